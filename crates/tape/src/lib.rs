//! The tape of the wengert automatic differentiation engine.
//!
//! A [`Tape`] records what is done to its handles: [`Var`] for numbers, [`TensorVar`] for tensors,
//! both in one arena and in one order. It knows the *local* rule of each operation, which turns the
//! cotangent of a result into cotangents of the operands. It never applies the chain rule: that is
//! the business of the `autograd` crate, which in turn names no operation.
//!
//! The story of an operation:
//!
//! 1. A user writes `x.sin() * w + b` on handles. Each operation finds its tape through the
//!    `registry` of the thread and appends a node. A scalar node has its value at once; an elementwise
//!    tensor node has a shape and is *pending* unless there is next to nothing to compute; an operation with structure
//!    ([`Op`]) computes.
//! 2. When somebody asks for the value of a pending node, the `cluster` module turns it and all that
//!    is pending below it into one program of primitives, and runs it over cache-sized chunks.
//! 3. A sweep walks the nodes backward through [`engine`], which hands out the cotangents that the
//!    local rules make.
//!
//! Where to look:
//!
//! - [`Elementary`] and the rules [`Unary`], [`Binary`], [`Ternary`]: elementwise mathematics;
//!   `primitive` has the built-in rules.
//! - [`Op`]: operations with structure; `ops` has the built-in ones, a family a file.
//! - `scalar` and `tensor_var`: the handles; `inner`: the arena behind them.
//! - [`Program`]: a recorded function of numbers as a list that is run many times.
//! - [`Tensor`], [`Shape`]: plain arrays, without a tape.

mod buffer;
#[cfg(feature = "cases")]
#[doc(hidden)]
pub mod cases;
mod cluster;
mod diagnostics;
mod elementary;
pub mod engine;
mod error;
mod external;
mod inner;
mod kernel_rule;
mod kernels;
#[cfg(all(feature = "jit", target_arch = "x86_64", any(unix, windows)))]
mod machine_code;
mod op;
mod ops;
mod primitive;
mod program;
mod real;
mod recycle;
mod registry;
mod rule;
mod scalar;
mod shape;
mod symbol;
mod tape;
mod tensor;
mod tensor_var;
#[doc(hidden)]
pub mod threads;
#[doc(hidden)]
pub mod vector;

#[cfg(test)]
mod forged;

/// Makes the [`Shapes`] and [`Cotangents`] of an [`Op`].
pub use smallvec::smallvec;

pub use diagnostics::{OperationStats, Profile, ProfileRow, TapeStats};
pub use elementary::Elementary;
pub use error::Error;
pub use external::{External, external};
pub use inner::Label;
pub use kernel_rule::{KernelCall, Piece, Target, VjpKernel};
#[doc(hidden)]
pub use kernels::{Matrix, Onto};
pub use op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
pub use ops::{
    Attention, Conv1d, Conv2d, Conv3d, CrossEntropy, Indices, Interpolation, IntoPair, IntoTriple,
    MultiMargin, Pad, Pool2d, Pool3d, Reduction, Triangle, TripletMargin, concat, einsum,
    multi_head_attention, scaled_dot_product_attention, stack, try_concat, try_einsum,
    try_multi_head_attention, try_scaled_dot_product_attention, where_,
};
#[doc(hidden)]
pub use program::Dependency;
pub use program::{Program, ProgramError, ProgramOutputs, ProgramStats, Rerecording, Workspace};
pub use real::Real;
pub use rule::{Binary, Ternary, Unary};
pub use scalar::Var;
pub use shape::{IntoAxes, Shape};
pub use symbol::Symbol;
pub use tape::Tape;
pub use tensor::{Operand, Tensor, infer};
pub use tensor_var::{HandleKey, TensorVar, apply_op, try_apply_op};
pub use threads::with_threads;
