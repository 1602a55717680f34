//! Optimisers against recurrences written out by hand, and the promises of a step.

#[path = "../common/mod.rs"]
mod common;

mod chains;
mod recurrences;
mod refusals;
mod settings;
mod steps;
mod threads;

use approx::assert_relative_eq;
use wengert::autograd::{Differentiate, Gradients};
use wengert::optim::*;
use wengert::tape::{Real, Tape, Tensor};

pub(crate) const STEPS: usize = 20;

/// The quadratic `sum a/2 (x - c)^2`, whose gradient is `a (x - c)`.
pub(crate) const A: [f64; 4] = [1.0, 8.0, 0.1, 2.0];
pub(crate) const C: [f64; 4] = [1.0, -2.0, 0.5, 0.0];
pub(crate) const START: [f64; 4] = [3.0, 1.0, -4.0, 0.0];

pub(crate) fn gradients<E: Real>(
    params: &Params<E>,
    key: ParamKey,
    a: &[E],
    c: &[E],
) -> Gradients<E> {
    let tape = Tape::<E>::default();
    let p = params.bind(&tape);
    let (a, c) = (tape.constant(a), tape.constant(c));
    let d = p[key] - c;
    (a * d * d * E::lit(0.5)).sum().backward().unwrap()
}

/// Where a chain goes on the quadratic, step by step.
pub(crate) fn path(chain: impl Into<Chain>) -> Vec<Vec<f64>> {
    let mut chain = chain.into();
    let mut params = Params::new();
    let key = params.insert("x", Tensor::from(START));
    let mut step = || {
        let g = gradients(&params, key, &A, &C);
        chain.step(&mut params, &g).unwrap();
        params.get(key).to_vec()
    };
    (0..STEPS).map(|_| step()).collect()
}

/// Holds a chain to a recurrence: `f(t, x, g, state)` is the next `x` of one element; `t` is from 1,
/// and the two numbers of state begin with `initial`.
#[track_caller]
pub(crate) fn assert_follows(
    chain: impl Into<Chain>,
    initial: f64,
    f: impl Fn(usize, f64, f64, &mut [f64; 2]) -> f64,
) {
    let path = path(chain);
    for k in 0..START.len() {
        let (mut x, mut state) = (START[k], [initial; 2]);
        for (t, found) in path.iter().enumerate() {
            x = f(t + 1, x, A[k] * (x - C[k]), &mut state);
            assert_relative_eq!(found[k], x, max_relative = 1e-12, epsilon = 1e-13);
        }
    }
}
