//! Less memory for more work: pieces of a computation that are done again when a sweep comes to them.
//!
//! - [`checkpoint`] keeps the inputs of a piece on the tape and nothing of what is in it.
//! - [`loop_gradient`] differentiates a long loop with room for a few states only, by as few steps as that
//!   takes.
//! - [`preaccumulate`] goes the other way: it differentiates a piece at once and keeps its Jacobian.

mod piece;
mod preaccumulated;
mod revolve;

pub use piece::checkpoint;
pub use preaccumulated::preaccumulate;
pub use revolve::{LoopGradient, forward_steps, loop_gradient};
