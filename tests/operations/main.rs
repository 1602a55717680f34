//! Every operation: its value against an independent computation, its first and second derivative
//! against finite differences, for several shapes and broadcasts, on scalars and on tensors.

#![allow(clippy::op_ref)] // Operators by reference are tested on purpose.

use approx::assert_relative_eq;
use wengert::autograd::assert_gradients;
use wengert::prelude::*;
use wengert::tape::{concat, stack, where_};

/// Numbers that look random and are the same everywhere.
fn numbers(shape: impl Into<Shape>, low: f64, high: f64) -> Tensor {
    let shape = shape.into();
    let n = shape.elements();
    let data = (0..n).map(|i| {
        let u = ((i as f64 + 1.0) * 12.9898).sin() * 43_758.545_3;
        low + (high - low) * (u - u.floor())
    });
    Tensor::new(shape, data.collect())
}

mod absence;
mod accuracy;
mod arithmetic;
mod convolution;
mod elementary;
mod networks;
mod normalisation;
mod pooling;
mod products;
mod reductions;
mod shapes;
