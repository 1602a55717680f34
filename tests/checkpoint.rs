//! Pieces that are computed again, loops with few states in memory, and pieces that are kept as Jacobians.

use std::cell::Cell;
use std::rc::Rc;

use wengert::autograd::checkpoint::{checkpoint, forward_steps, loop_gradient, preaccumulate};
use wengert::autograd::functional::{grad, hessian};
use wengert::autograd::{Error, assert_gradients};
use wengert::prelude::*;

fn piece(x: &[TensorVar]) -> Vec<TensorVar> {
    vec![(x[0].matmul(x[1]) * 0.3).tanh(), (x[0].sin() * x[0]).sum()]
}

#[test]
fn a_piece_has_the_derivatives_of_what_is_in_it() {
    let x = Tensor::new([2, 3], vec![0.1, 0.5, -0.3, 0.8, -0.2, 0.4]);
    let w = Tensor::new([3, 2], vec![0.3, -0.5, 0.2, 0.9, 0.1, -0.4]);
    let f = |(x, w): (TensorVar, TensorVar)| {
        // An input that is made from another one, an output that is used twice.
        let y = checkpoint(piece, &[x, w * x.sum()]);
        (y[0] * y[0]).sum() * y[1] + y[1]
    };
    let direct = |(x, w): (TensorVar, TensorVar)| {
        let y = piece(&[x, w * x.sum()]);
        (y[0] * y[0]).sum() * y[1] + y[1]
    };
    assert_eq!(grad(f, (&x, &w)).unwrap(), grad(direct, (&x, &w)).unwrap());
    let (made, expected) = (hessian(f, (&x, &w)).unwrap(), hessian(direct, (&x, &w)).unwrap());
    approx::assert_relative_eq!(made, expected, epsilon = 1e-13);
    assert_gradients!(f, (&x, &w));
    // One output alone, and an input that nothing is asked of.
    assert_gradients!(|x: TensorVar| checkpoint(piece, &[x, w.clone().into_constant(x)])[0], &x);
}

/// A constant on the tape of another handle.
trait IntoConstant {
    fn into_constant(self, on: TensorVar) -> TensorVar;
}

impl IntoConstant for Tensor {
    fn into_constant(self, on: TensorVar) -> TensorVar {
        let zeros = (on * 0.0).sum().stop_gradient();
        // Broadcasts to the shape of the data: the sum of nothing and the data.
        let rows = self.shape()[0];
        let parts: Vec<TensorVar> = self.iter().map(|&e| (zeros + e).reshape([1])).collect();
        concat(&parts, 0).reshape([rows, self.len() / rows])
    }
}

#[test]
fn a_piece_is_done_again_only_when_a_sweep_comes() {
    let count = Rc::new(Cell::new(0));
    let tape = Tape::new();
    let x = tape.tensor([1.0, 2.0]);
    let before = tape.tensor_nodes();
    let counter = count.clone();
    let f = move |x: &[TensorVar]| {
        counter.set(counter.get() + 1);
        vec![(0..50).fold(x[0], |y, _| (y * 1.01).sin())]
    };
    let y = checkpoint(f, &[x])[0];
    assert_eq!((count.get(), tape.tensor_nodes() - before), (1, 1));
    y.sum().backward().unwrap();
    assert_eq!(count.get(), 2);
    x.sum().backward().unwrap();
    assert_eq!(count.get(), 2);
}

#[test]
#[should_panic(expected = "two different tapes")]
fn a_piece_that_reaches_outside() {
    let tape = Tape::new();
    let (x, outside) = (tape.tensor([1.0]), tape.tensor([2.0]));
    checkpoint(move |x| vec![x[0] * outside], &[x]);
}

fn lotka_volterra(x: &[Var], p: &[Var]) -> Vec<Var> {
    let f = |x: Var, y: Var| (p[0] * x - p[1] * x * y, p[2] * x * y - p[3] * y);
    let (a, b) = f(x[0], x[1]);
    let (c, d) = f(x[0] + 5e-3 * a, x[1] + 5e-3 * b);
    vec![x[0] + 1e-2 * c, x[1] + 1e-2 * d]
}

#[test]
fn a_loop_has_the_gradient_of_its_steps_by_the_least_work() {
    let (state, parameters) = ([1.0, 1.2], [1.5, 1.0, 3.0, 1.0]);
    for (steps, snapshots) in
        [(0, 1), (1, 1), (2, 1), (5, 1), (7, 2), (10, 3), (20, 4), (37, 5), (37, 40), (200, 6)]
    {
        let step = |_: usize, x: &[Var], p: &[Var]| lotka_volterra(x, p);
        let loss = |x: &[Var], p: &[Var]| x[0] * x[1] + p[0];
        let made = loop_gradient(steps, snapshots, &state, &parameters, step, loss).unwrap();
        let tape = Tape::new();
        let (x, p) = (tape.vars(state), tape.vars(parameters));
        let end = (0..steps).fold(x.to_vec(), |x, _| lotka_volterra(&x, &p));
        let direct = loss(&end, &p);
        let g = direct.backward().unwrap();
        assert_eq!(made.value, direct.value());
        for (made, expected) in [(&made.state, x.to_vec()), (&made.parameters, p.to_vec())] {
            for (&made, v) in made.iter().zip(expected) {
                approx::assert_relative_eq!(made, g.wrt(v), max_relative = 1e-12);
            }
        }
        assert_eq!(made.forward_steps, forward_steps(steps, snapshots), "{steps} {snapshots}");
    }
}

/// The least work, by trying every place for the next snapshot.
fn least(steps: usize, snapshots: usize, known: &mut Vec<Vec<Option<usize>>>) -> usize {
    if steps <= 1 {
        return 0;
    }
    if snapshots == 1 {
        return steps * (steps - 1) / 2;
    }
    if let Some(known) = known[steps][snapshots] {
        return known;
    }
    let place = |a: usize, known: &mut _| {
        a + least(steps - a, snapshots - 1, known) + least(a, snapshots, known)
    };
    let best = (1..steps).map(|a| place(a, known)).min().unwrap();
    known[steps][snapshots] = Some(best);
    best
}

#[test]
fn the_formula_is_the_optimum_and_the_loop_takes_it() {
    let known = &mut vec![vec![None; 12]; 61];
    for steps in 0..=60 {
        for snapshots in 1..12 {
            let optimum = least(steps, snapshots, known);
            assert_eq!(forward_steps(steps, snapshots), optimum, "{steps} {snapshots}");
            let step = |_: usize, x: &[Var], _: &[Var]| vec![x[0] * 1.01];
            let g = loop_gradient(steps, snapshots, &[1.0], &[], step, |x, _| x[0]).unwrap();
            assert_eq!(g.forward_steps, optimum, "{steps} {snapshots}");
        }
    }
}

#[test]
fn a_step_may_use_its_number_and_branch() {
    let step = |k: usize, x: &[Var], p: &[Var]| {
        vec![if x[0] > 1.0 { x[0] * p[0] } else { x[0] + k as f64 * p[0] }]
    };
    let g = loop_gradient(3, 1, &[0.5], &[0.8], step, |x, _| x[0]).unwrap();
    // 0.5, 0.5, 1.3, 1.3 * 0.8.
    approx::assert_relative_eq!(g.value, 1.04, max_relative = 1e-15);
    approx::assert_relative_eq!(g.parameters[0], 0.8 + 1.3, max_relative = 1e-15);
    approx::assert_relative_eq!(g.state[0], 0.8, max_relative = 1e-15);
}

#[test]
fn a_piece_kept_as_its_jacobian() {
    let tape = Tape::new();
    let [x, y] = tape.vars([0.7, 1.9]);
    let f = |v: Vec<Var>| [v[0] * v[1].sin() + v[2], v[1].exp(), 3.0.into()];
    let z = preaccumulate(f, &[x * y, y, 2.0.into()]);
    let direct = f(vec![x * y, y, 2.0.into()]);
    let (made, expected) = (z[0] * z[1] + z[2] * x, direct[0] * direct[1] + direct[2] * x);
    assert_eq!(made.value(), expected.value());
    let (made, expected) = (made.backward().unwrap(), expected.backward().unwrap());
    for v in [x, y] {
        approx::assert_relative_eq!(made.wrt(v), expected.wrt(v), max_relative = 1e-14);
    }
    // There is no second derivative, and that is said with the line, not answered with 0.
    let line = line!() + 1;
    let z = preaccumulate(|v| v[0] * v[0], &[x])[0];
    let error = z.grad_recorded(&[x]).unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, Error::NoDerivative { .. }), "{message}");
    assert!(
        message.contains("preaccumulate") && message.contains(&format!("checkpoint.rs:{line}")),
        "{message}"
    );
}
