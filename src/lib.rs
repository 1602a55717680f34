#![doc = include_str!("../README.md")]

/// The chain rule: backward passes, derivatives of closures ([`functional`](autograd::functional)),
/// gradient checking ([`check`](autograd::check)).
pub use autograd;
/// Parameters, optimisers, schedules.
pub use optim;
/// Recording: tapes, handles, tensors, rules, operations.
pub use tape;

/// Everything that a program with a loss and an optimiser needs, and what it takes to write an
/// operation of one's own and to check its gradients.
pub mod prelude {
    pub use autograd::{Differentiate, DifferentiateProgram, Gradients, assert_gradients};
    pub use optim::{
        Adadelta, Adagrad, Adam, AdamW, Bound, Chain, GradientDescent, Momentum, Nesterov,
        ParamKey, Params, RmsProp, Schedule, Sgd,
    };
    pub use tape::{
        Attention, Backward, Binary, Conv2d, Cotangents, CrossEntropy, Elementary, External,
        Indices, KernelCall, Misfit, Op, Outputs, Piece, Pool2d, Program, ProgramError, Real,
        Reduction, Rerecording, Shape, Shapes, Tape, Tensor, TensorVar, Ternary, Unary, Var,
        VjpKernel, Workspace, apply_op, concat, external, infer, multi_head_attention,
        scaled_dot_product_attention, smallvec, stack, where_, with_threads,
    };
}

/// The code blocks of the guides are tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/adding_an_op.md")]
struct AddingAnOp;

/// And those of the page on programs.
#[cfg(doctest)]
#[doc = include_str!("../docs/programs.md")]
struct Programs;
