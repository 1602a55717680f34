#![doc = include_str!("../README.md")]

pub use autograd;
pub use optim;
pub use tape;

/// Everything that a program with a loss and an optimiser needs.
pub mod prelude {
    pub use autograd::{Differentiate, Gradients};
    pub use tape::{
        Binary, Elementary, Op, Real, Shape, Tape, Tensor, TensorVar, Ternary, Unary, Var,
    };
}
