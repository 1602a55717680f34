//! What a step changes, and what it leaves alone.

use wengert::autograd::Differentiate;
use wengert::optim::transforms::{ClipNorm, ScaleByAdam};
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

/// A chain of each structure: of one part and of several, with stages that remember and without.
fn structures() -> [Chain; 5] {
    [
        Sgd::new(0.1).into(),
        Adam::new(0.1).weight_decay(0.1).into(),
        Momentum::new(0.1).clip_global_norm(0.5).into(),
        Chain::new().then(ScaleByAdam::default()).then(ClipNorm::new(0.1)),
        Chain::new(),
    ]
}

#[test]
fn gradients_by_value_make_the_same_steps_as_by_reference() {
    for (k, (mut lent, mut given)) in structures().into_iter().zip(structures()).enumerate() {
        let mut left = Params::new();
        // Longer than the pieces that a step works on, and one of a single number.
        let long: Vec<f64> = (0..5000).map(|i| (0.37 * f64::from(i)).cos()).collect();
        let keys = [left.insert("x", long), left.insert("y", START), left.insert("z", [0.7])];
        let mut right = left.clone();
        let mut tapes = [Tape::new(), Tape::new()];
        let loss = |params: &Params, tape: &mut Tape| {
            tape.reset();
            // The second parameter is bound twice, so that its gradient is a sum.
            let (p, q) = (params.bind(tape), params.bind(tape));
            let loss = (p[keys[0]].cosh().sum() + (p[keys[1]] * q[keys[1]]).sum()).sin()
                + p[keys[2]].square().sum();
            (loss.backward().unwrap(), p)
        };
        for _ in 0..6 {
            let (gradients, _) = loss(&left, &mut tapes[0]);
            lent.step(&mut left, &gradients).unwrap();
            let (gradients, p) = loss(&right, &mut tapes[1]);
            let before = right.clone();
            given.step(&mut right, gradients).unwrap();
            for key in keys {
                assert_eq!(left.get(key), right.get(key), "chain {k}");
                // What was recorded, and what somebody else holds, is as it was.
                assert_ne!(before.get(key), right.get(key), "chain {k}");
                assert_eq!(&p[key].value(), before.get(key), "chain {k}");
            }
        }
    }
}

#[test]
fn the_new_value_takes_the_place_of_a_gradient_that_nobody_holds() {
    let mut params = Params::new();
    let x = params.insert("x", START);
    let tape = Tape::new();
    let at = |tensor: &Tensor| tensor.as_slice().as_ptr();
    let mut opt = Adam::new(0.1);

    let gradients = params.bind(&tape)[x].square().sum().backward().unwrap();
    let place = at(gradients.labelled().next().unwrap().1);
    opt.step(&mut params, gradients).unwrap();
    assert_eq!(at(params.get(x)), place);

    let gradients = params.bind(&tape)[x].square().sum().backward().unwrap();
    let held = gradients.labelled().next().unwrap().1.clone();
    let copy = held.to_vec();
    opt.step(&mut params, gradients).unwrap();
    assert_ne!(at(params.get(x)), at(&held));
    assert_eq!(held.to_vec(), copy);
}

#[test]
fn a_refused_step_by_value_changes_nothing() {
    let mut params = Params::new();
    let keys = [params.insert("x", START), params.insert("y", START)];
    let tape = Tape::new();
    let p = params.bind(&tape);
    let gradients = (p[keys[0]].sum() + p[keys[1]].recip().sum()).backward().unwrap();
    let before = params.clone();
    let mut opt = Adam::new(0.1);
    let error = opt.step(&mut params, gradients).unwrap_err();
    assert!(matches!(error, Error::NonFinite { .. }), "{error}");
    assert_eq!(opt.steps(), 0);
    for key in keys {
        assert_eq!(params.get(key), before.get(key));
    }
}
