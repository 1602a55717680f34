//! The scalar lane: [`Var`] and the list of nodes behind it.

pub(crate) mod lane;
pub(crate) mod local_rule;
mod num;
pub(crate) mod opcode;
mod operators;
mod var;

pub use lane::Segment;
pub use local_rule::Handled;
pub use var::Var;
