//! Every operation: its value against an independent computation, its first and second derivative
//! against finite differences, for several shapes and broadcasts, on scalars and on tensors.

#![allow(clippy::op_ref)] // Operators by reference are tested on purpose.

#[path = "../common/mod.rs"]
mod common;

use approx::assert_relative_eq;
use common::numbers;
use wengert::autograd::assert_gradients;
use wengert::prelude::*;
use wengert::tape::{concat, stack, where_};

/// Checks that the kernels of a first-order sweep and the composite rules of a recorded one say the same.
#[track_caller]
fn assert_kernels_are_composites(f: impl Fn(&[TensorVar]) -> TensorVar, inputs: &[Tensor]) {
    let tape = Tape::new();
    let vars: Vec<TensorVar> = inputs.iter().map(|x| tape.tensor(x)).collect();
    let y = f(&vars);
    let weights = tape.constant(numbers(y.shape(), 0.5, 1.5));
    let loss = (y * weights).sum();
    let kernels = loss.backward().unwrap();
    let composites = loss.grad_recorded(&vars).unwrap();
    for (k, (&x, composite)) in vars.iter().zip(composites).enumerate() {
        let (Some(kernel), Some(composite)) = (kernels.get(x), composite) else {
            panic!("input {k} has no gradient")
        };
        let composite = composite.value();
        assert_eq!(kernel.shape(), composite.shape(), "input {k}");
        for (i, (&a, &b)) in kernel.iter().zip(composite.iter()).enumerate() {
            let close = (a - b).abs() <= 1e-11 * (1.0 + a.abs().max(b.abs()));
            assert!(close, "input {k} at {i}: the kernel gives {a}, the composite {b}");
        }
    }
}

/// The bits of a result and of its gradients with one, two and three threads, which must be equal.
#[track_caller]
fn assert_threads_agree(f: impl Fn(&[TensorVar<f32>]) -> TensorVar<f32> + Sync, inputs: &[Tensor]) {
    let run = || {
        let tape = Tape::<f32>::default();
        let vars: Vec<TensorVar<f32>> = inputs.iter().map(|x| tape.tensor(single(x))).collect();
        let y = f(&vars);
        let g = y.square().sum().backward().unwrap();
        let mut bits: Vec<u32> = y.value().iter().map(|y| y.to_bits()).collect();
        vars.iter().for_each(|&v| bits.extend(g.wrt(v).iter().map(|g| g.to_bits())));
        bits
    };
    let alone = run();
    for threads in [1, 2, 3] {
        assert!(wengert::tape::with_threads(threads, run) == alone, "{threads} threads");
    }
}

/// In single precision.
fn single(x: &Tensor) -> Tensor<f32> {
    Tensor::new(x.shape(), x.iter().map(|&x| x as f32).collect())
}

mod absence;
mod accuracy;
mod arithmetic;
mod attention;
mod convolution;
mod elementary;
mod indexing;
mod networks;
mod normalisation;
mod pooling;
mod products;
mod recurrent;
mod reductions;
mod shapes;
