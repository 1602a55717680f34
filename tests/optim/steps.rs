//! What a step changes, and what it leaves alone.

use wengert::autograd::Differentiate;
use wengert::optim::*;
use wengert::tape::{Tape, Tensor};

use crate::{A, C, START, gradients, path};

#[test]
fn one_optimizer_keeps_the_states_of_two_stores_apart() {
    let mut opt = Adam::new(0.1);
    let mut alone = Adam::new(0.1);
    let mut first = Params::new();
    let x = first.insert("x", Tensor::from(START));
    let mut second = first.clone();
    let mut lonely = first.clone();
    for _ in 0..5 {
        let g = gradients(&first, x, &A, &C);
        opt.step(&mut first, &g).unwrap();
    }
    for _ in 0..5 {
        let g = gradients(&second, x, &A, &C);
        opt.step(&mut second, &g).unwrap();
        let g = gradients(&lonely, x, &A, &C);
        alone.step(&mut lonely, &g).unwrap();
    }
    assert_eq!(second.get(x), lonely.get(x));
}

#[test]
fn a_parameter_without_a_gradient_is_left_alone() {
    let mut params = Params::new();
    let x = params.insert("x", Tensor::from(START));
    let y = params.insert("y", Tensor::from(START));
    let mut opt = AdamW::new(0.1);
    let g = gradients(&params, x, &A, &C);
    opt.step(&mut params, &g).unwrap();
    let resting = params.get(x).clone();
    for _ in 0..3 {
        let g = gradients(&params, y, &A, &C);
        opt.step(&mut params, &g).unwrap();
    }
    assert_eq!(params.get(x), &resting);
    // Its next update is its second, whatever the optimiser has done elsewhere.
    let g = gradients(&params, x, &A, &C);
    opt.step(&mut params, &g).unwrap();
    assert_eq!(params.get(x).to_vec(), path(AdamW::new(0.1))[1]);
}

#[test]
fn a_finite_gradient_may_overflow_a_parameter() {
    let mut params = Params::new();
    let w = params.insert("w", [-1e308]);
    let tape = Tape::new();
    let gradients = (params.bind(&tape)[w] * 1e308).sum().backward().unwrap();
    Sgd::new(10.0).step(&mut params, &gradients).unwrap();
    assert_eq!(params.get(w).item(), f64::NEG_INFINITY);
}
