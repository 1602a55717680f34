//! Backward passes over a recording: the chain rule, and nothing else.
//!
//! A result recorded by the `tape` crate is differentiated by the methods of [`Differentiate`]:
//! [`backward`](Differentiate::backward) for numbers,
//! [`grad_recorded`](Differentiate::grad_recorded) for gradients that are recorded themselves.
//! [`functional`] does the same for closures, and makes Jacobians and Hessians.
//! [`check`] compares derivatives with finite differences.
//!
//! No operation is named in this crate. A sweep asks the tape for the local rule of each node, adds
//! up what the rules hand over, and is done.

pub mod check;
pub mod checkpoint;
pub mod functional;
pub mod sparse;

mod differentiate;
mod error;
mod forward;
mod gradients;
mod program;
mod sweep;

pub use differentiate::{Differentiate, Handle, Wrt};
pub use error::Error;
pub use gradients::{Gradients, Variable};
pub use program::DifferentiateProgram;
