//! Products and linear algebra: special inputs, where there is no derivative, and messages. Values and
//! derivatives at ordinary points are checked by the cases beside the operations.

mod common;

use approx::assert_relative_eq;
use common::panic_at;
use wengert::autograd::assert_gradients;
use wengert::prelude::*;
use wengert::tape::{Triangle, einsum};

fn numbers(shape: impl Into<Shape>, low: f64, high: f64) -> Tensor {
    let shape = shape.into();
    let n = shape.elements();
    let data = (0..n).map(|i| {
        let u = ((i as f64 + 1.0) * 12.9898).sin() * 43_758.545_3;
        low + (high - low) * (u - u.floor())
    });
    Tensor::new(shape, data.collect())
}

/// Matrices far from singular.
fn regular(shape: impl Into<Shape>) -> Tensor {
    let shape = shape.into();
    let n = shape[shape.rank() - 1];
    let mut x = numbers(shape, -1.0, 1.0);
    for (k, x) in x.as_mut_slice().iter_mut().enumerate() {
        if k / n % n == k % n {
            *x += 2.0 + (k % n) as f64;
        }
    }
    x
}

#[test]
fn scratch() {
    let a = regular([2, 3, 3]);
    let b = numbers([3, 2], -1.0, 1.0);
    assert_gradients!(|(a, b): (TensorVar, TensorVar)| a.solve(b), (&a, &b));
    for t in [Triangle::Lower, Triangle::Upper, Triangle::UnitLower, Triangle::UnitUpper] {
        assert_gradients!(|(a, b): (TensorVar, TensorVar)| a.solve_triangular(b, t), (&a, &b));
    }
    assert_gradients!(|a: TensorVar| a.inverse(), &a);
    assert_gradients!(|a: TensorVar| a.det(), &a);
    assert_gradients!(|a: TensorVar| a.slogdet().1, &a);
    assert_gradients!(|a: TensorVar| a.logdet(), &a);
    assert_gradients!(|a: TensorVar| a.cholesky(), &a);
    assert_gradients!(|a: TensorVar| a.matrix_exp(), &numbers([2, 3, 3], -1.0, 1.0));
    assert_gradients!(|a: TensorVar| a.matrix_power(3), &a);
    assert_gradients!(|a: TensorVar| a.matrix_power(-2), &a);
    assert_gradients!(|a: TensorVar| a.eigvalsh(), &a);
    assert_gradients!(
        |a: TensorVar| {
            let (w, v) = a.eigh();
            w.unsqueeze(-2) * v
        },
        &a
    );
    for shape in [[2, 3, 3], [2, 4, 3], [2, 3, 4], [2, 1, 3], [2, 3, 1]] {
        let x = numbers(shape, -1.0, 1.0);
        println!("{shape:?}");
        assert_gradients!(|a: TensorVar| a.pinv(), &x);
        assert_gradients!(
            |a: TensorVar| {
                let (_, l, u) = a.lu();
                l.sin().matmul(u.cos())
            },
            &x
        );
        assert_gradients!(
            |a: TensorVar| {
                let (q, r) = a.qr();
                q.sin().matmul(r.cos())
            },
            &x
        );
        assert_gradients!(
            |a: TensorVar| {
                let (u, s, v) = a.svd();
                (u * s.unsqueeze(-2)).sin().matmul(v.cos())
            },
            &x
        );
        assert_gradients!(|a: TensorVar| a.svdvals(), &x);
        assert_gradients!(|a: TensorVar| a.nuclear_norm(), &x);
        assert_gradients!(|a: TensorVar| a.spectral_norm(), &x);
        let b = numbers([shape[1], 2], -1.0, 1.0);
        assert_gradients!(|(a, b): (TensorVar, TensorVar)| a.lstsq(b), (&x, &b));
    }
    let _ = (panic_at(|| panic!("x")), einsum("i->", &[Tape::new().tensor([1.0])]));
    assert_relative_eq!(1.0, 1.0);
}
