//! Digits, NaN, and what happens at kinks.

use super::*;
use wengert::autograd::functional::{grad, hessian};

#[test]
fn the_quotient_of_a_remainder_is_the_one_that_was_taken() {
    for (a, b, quotient) in [(1.0, 0.1, 9.0), (5.0, 0.1, 49.0), (5.0, 0.2, 24.0), (-7.5, 2.0, -3.0)]
    {
        let g = grad(|[a, b]| a % b, [a, b]).unwrap();
        assert_eq!(g, [1.0, -quotient]);
    }
}

#[test]
fn tanh_keeps_the_digits_of_its_slope() {
    for x in [0.0, 0.5, 5.0, 15.0, 18.0, 20.0, 300.0f64, -20.0] {
        // 4 e^-2x / (1 + e^-2x)^2
        let e = (-2.0 * x.abs()).exp();
        let slope = 4.0 * e / (1.0 + e).powi(2);
        assert_relative_eq!(grad(|x| x.tanh(), x).unwrap(), slope, max_relative = 1e-13);
    }
    // Far out all orders are 0, and none is NaN.
    assert_eq!(grad(|x| x.tanh(), 1e4_f64).unwrap(), 0.0);
    assert_eq!(hessian(|x: Var| x.tanh(), 1e4_f64).unwrap().item(), 0.0);
    assert_eq!(hessian(|x: Var| x.sigmoid() + x.softplus(), -1e4_f64).unwrap().item(), 0.0);
    let slope = grad(|x: Var<f32>| x.tanh(), 9.0_f32).unwrap();
    assert_relative_eq!(slope, 6.091994e-8, max_relative = 1e-5);
}

#[test]
fn long_sums_over_any_axis_keep_their_digits() {
    let tape = Tape::<f32>::default();
    let n = 1 << 20;
    let tall = tape.tensor(Tensor::full([n, 2], 0.1f32));
    let exact = n as f32 * 0.1f32;
    for sum in [tall.sum_axes(0).value(), tall.reshape([2, n]).sum_axes(1).value()] {
        sum.iter().for_each(|s| assert_relative_eq!(*s, exact, max_relative = 1e-6));
    }
    let apart = tall.reshape([n / 2, 2, 2]).sum_axes([0, 2]).value();
    apart.iter().for_each(|s| assert_relative_eq!(*s, exact, max_relative = 1e-6));
    tall.mean_axes(0)
        .value()
        .iter()
        .for_each(|m| assert_relative_eq!(*m, 0.1, max_relative = 1e-6));
    // The gradient of a bias is such a sum.
    let bias = tape.tensor([0.0f32, 0.0]);
    let g = ((tall + bias) * 0.1).sum().backward().unwrap().wrt(bias);
    g.iter().for_each(|g| assert_relative_eq!(*g, exact, max_relative = 1e-6));
    let zeros = tape.tensor(Tensor::zeros([n]));
    assert_relative_eq!(zeros.logsumexp().item(), (n as f32).ln(), max_relative = 1e-6);
    assert_relative_eq!(zeros.softmax(0).value()[[5]], 1.0 / n as f32, max_relative = 1e-6);
}

#[test]
fn nan_goes_through() {
    let nan = f64::NAN;
    assert!(grad(|x| x.powf(2.0), nan).unwrap().is_nan());
    assert!(grad(|x| Var::from(2.0).powf(x), nan).unwrap().is_nan());
    assert!(grad(|x| x.abs(), nan).unwrap().is_nan());
    assert!(grad(|[x, y]| x.hypot(y), [nan, 3.0]).unwrap().iter().all(|g| g.is_nan()));
    assert!(Elementary::clamp(nan, 0.0, 1.0).is_nan());
    let tape = Tape::new();
    assert!(tape.var(nan).clamp(0.0, 1.0).value().is_nan());
    let t = tape.tensor([nan, 0.0]);
    assert!(t.amax().backward().unwrap().wrt(t)[[0]].is_nan() || t.amax().item().is_nan());
    let g = t.amax().backward().unwrap().wrt(t);
    assert_eq!(g, Tensor::from([1.0, 0.0]));
}

#[test]
fn second_derivatives_at_kinks_are_zero() {
    let zero = Tensor::zeros([2, 2]);
    assert_eq!(hessian(|[x, y]| x.hypot(y), [0.0, 0.0]).unwrap(), zero);
    assert_eq!(hessian(|x: Var| x.abs(), 0.0_f64).unwrap().item(), 0.0);
    assert_eq!(grad(|[x, y]| x.hypot(y), [0.0, 0.0]).unwrap(), [0.0, 0.0]);
    assert_eq!(hessian(|x: Var| x.relu(), 0.0_f64).unwrap().item(), 0.0);
}

#[test]
fn clamp_is_one_from_end_to_end() {
    for (x, slope) in [(-2.0_f64, 0.0), (-1.0, 1.0), (0.0, 1.0), (1.0, 1.0), (2.0, 0.0)] {
        assert_eq!(grad(|x: Var| x.clamp(-1.0, 1.0), x).unwrap(), slope);
        let tape = Tape::new();
        let t = tape.tensor([x]);
        let y = t.clamp(-1.0, 1.0);
        assert_eq!(y.value()[[0]], x.clamp(-1.0, 1.0));
        assert_eq!(y.sum().backward().unwrap().wrt(t)[[0]], slope);
    }
}

#[test]
fn pending_work_is_shared() {
    // A chain longer than what may be pending, with many consumers and a shared middle.
    let tape = Tape::new();
    let x = tape.tensor([0.1, 0.2, 0.3]);
    let mut y = x;
    let mut expected = Tensor::from([0.1, 0.2, 0.3]);
    for _ in 0..200 {
        y = (y * 1.01).sin() + x * 0.01;
        expected = expected.map(|v| (v * 1.01).sin());
        expected = expected.zip_map(&x.value(), |v, x| v + x * 0.01);
    }
    let consumers: Vec<_> = (0..50).map(|k| (y * f64::from(k)).sum()).collect();
    assert_relative_eq!(y.value(), expected, max_relative = 1e-13);
    for (k, consumer) in consumers.iter().enumerate() {
        let sum = expected.iter().sum::<f64>() * k as f64;
        assert_relative_eq!(consumer.item(), sum, max_relative = 1e-12);
    }
    assert_gradients!(
        |x: TensorVar| {
            let mut y = x;
            for _ in 0..60 {
                y = (y * 1.01).sin() + x * 0.01;
            }
            y * y
        },
        Tensor::from([0.1, 0.2, 0.3])
    );
}
