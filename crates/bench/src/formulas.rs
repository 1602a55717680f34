//! Initial values and data by formula of the index, the same for every engine.
//!
//! Sines and cosines are computed in double precision and only then rounded to `f32`.

use wengert::prelude::*;
use wengert::tape::Indices;

/// Weights number `k` of a model: `scale * sin(i + k)`.
pub(crate) fn weight_scaled(scale: f64, k: usize, shape: impl Into<Shape>) -> Tensor<f32> {
    fill(shape, |i| scale * (i + k as f64).sin())
}

/// Weights number `k` of a model: `0.1 sin(i + k)`.
pub(crate) fn weight(k: usize, shape: impl Into<Shape>) -> Tensor<f32> {
    weight_scaled(0.1, k, shape)
}

/// Data: `cos(0.37 i)`.
pub(crate) fn data(shape: impl Into<Shape>) -> Tensor<f32> {
    fill(shape, |i| (0.37 * i).cos())
}

/// Targets of a regression: `sin(i)`.
pub(crate) fn targets(shape: impl Into<Shape>) -> Tensor<f32> {
    fill(shape, f64::sin)
}

/// Ratings: `3 + sin(i)`.
pub(crate) fn ratings(n: usize) -> Tensor<f32> {
    fill([n], |i| 3.0 + i.sin())
}

/// Labels, indices and tokens: `(7 i + 3) mod classes`.
pub(crate) fn labels(n: usize, classes: usize) -> Indices {
    labels_in_order(0..n, classes)
}

/// The labels of the given numbers, in their order.
pub(crate) fn labels_in_order(numbers: impl Iterator<Item = usize>, classes: usize) -> Indices {
    numbers.map(|i| (7 * i + 3) % classes).collect::<Vec<_>>().into()
}

/// The point at which functions of many numbers are differentiated: `cos(0.37 i)`.
pub(crate) fn point(n: usize) -> Vec<f64> {
    (0..n).map(|i| (0.37 * i as f64).cos()).collect()
}

fn fill(shape: impl Into<Shape>, f: impl Fn(f64) -> f64) -> Tensor<f32> {
    let shape = shape.into();
    let n = shape.elements();
    Tensor::new(shape, (0..n).map(|i| f(i as f64) as f32).collect())
}
