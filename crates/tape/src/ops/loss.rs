//! Losses: how far predictions are from what they should be.
//!
//! `x` is the prediction, on which a method is called. Two tensors that are compared must have equal shapes: a `[n]`
//! against a `[n, 1]` would broadcast to `[n, n]`, which is never what is meant. Classes are along the last axis (in PyTorch they
//! are along the second). All are composites of recorded operations, or elementwise rules; so they have
//! derivatives of any order, by the target as well.

mod binary;
#[cfg(feature = "cases")]
pub(crate) mod cases;
mod classes;
mod cross_entropy;
mod distance;
mod distribution;
mod pointwise;

use smallvec::SmallVec;

use crate::{Error, Real, Shape, TensorVar};

pub use classes::{CrossEntropy, MultiMargin};
pub use distance::TripletMargin;

/// What becomes of the losses of the elements, rows or pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reduction {
    /// They stay as they are.
    None,
    /// Their mean, of rank 0. That of nothing is NaN.
    #[default]
    Mean,
    /// Their sum, of rank 0.
    Sum,
}

impl Reduction {
    #[track_caller]
    fn of<E: Real>(self, losses: TensorVar<E>) -> TensorVar<E> {
        match self {
            Reduction::None => losses,
            Reduction::Mean => losses.mean(),
            Reduction::Sum => losses.sum(),
        }
    }
}

/// An error unless all shapes are equal.
#[track_caller]
fn equal_shapes<E: Real>(name: &'static str, operands: &[TensorVar<E>]) -> Result<(), Error> {
    // A loop and not `map`: a closure would lose the caller's line.
    let mut shapes: SmallVec<[Shape; 3]> = SmallVec::new();
    for operand in operands {
        shapes.push(operand.shape());
    }
    if shapes.iter().all(|shape| *shape == shapes[0]) {
        return Ok(());
    }
    let shapes: Vec<&Shape> = shapes.iter().collect();
    Err(Error::shape(name, &shapes, "they differ".to_owned()))
}
