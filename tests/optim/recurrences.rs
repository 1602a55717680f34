//! Each optimiser against the formula that its documentation gives.

use approx::assert_relative_eq;
use wengert::autograd::Differentiate;
use wengert::optim::transforms::*;
use wengert::optim::*;
use wengert::tape::{Tape, Tensor};

use crate::{assert_follows, gradients};

#[test]
fn gradient_descent() {
    assert_follows(Sgd::new(0.1), 0.0, |_, x, g, _| x - 0.1 * g);
    assert_follows(GradientDescent::default(), 0.0, |_, x, g, _| x - 0.001 * g);
    assert_follows(Chain::new(), 0.0, |_, x, g, _| x - g);
    assert_follows(Chain::new().then(Scale::new(0.2)), 0.0, |_, x, g, _| x - 0.2 * g);
}

#[test]
fn momentum_in_both_forms() {
    assert_follows(Momentum::new(0.05), 0.0, |_, x, g, [v, _]| {
        *v = 0.9 * *v + g;
        x - 0.05 * *v
    });
    let averaging = Momentum::new(0.05).momentum(0.8).averaging();
    assert_follows(averaging, 0.0, |_, x, g, [v, _]| {
        *v = 0.8 * *v + (1.0 - 0.8) * g;
        x - 0.05 * *v
    });
}

#[test]
fn nesterov() {
    assert_follows(Nesterov::new(0.05).momentum(0.7), 0.0, |_, x, g, [v, _]| {
        *v = 0.7 * *v + g;
        x - 0.05 * (g + 0.7 * *v)
    });
    let averaging = Chain::new().then(Trace::averaging(0.7).nesterov());
    assert_follows(averaging, 0.0, |_, x, g, [v, _]| {
        *v = 0.7 * *v + 0.3 * g;
        x - (0.3 * g + 0.7 * *v)
    });
}

#[test]
fn adagrad() {
    let opt = Adagrad::new(0.5).epsilon(1e-3).initial_accumulator(0.1);
    assert_follows(opt, 0.1, |_, x, g, [s, _]| {
        *s += g * g;
        x - 0.5 * g / (s.sqrt() + 1e-3)
    });
}

#[test]
fn rms_prop() {
    let opt = RmsProp::new(0.1).alpha(0.9).epsilon(1e-3);
    assert_follows(opt, 0.0, |_, x, g, [s, _]| {
        *s = 0.9 * *s + 0.1 * g * g;
        x - 0.1 * g / (s.sqrt() + 1e-3)
    });
    let centered = RmsProp::new(0.1).alpha(0.9).epsilon(1e-3).centered(true);
    assert_follows(centered, 0.0, |_, x, g, [s, a]| {
        *s = 0.9 * *s + 0.1 * g * g;
        *a = 0.9 * *a + 0.1 * g;
        x - 0.1 * g / ((*s - *a * *a).sqrt() + 1e-3)
    });
    let momentum = RmsProp::new(0.1).alpha(0.9).epsilon(1e-3).momentum(0.5);
    assert_follows(momentum, 0.0, |_, x, g, [s, v]| {
        *s = 0.9 * *s + 0.1 * g * g;
        *v = 0.5 * *v + g / (s.sqrt() + 1e-3);
        x - 0.1 * *v
    });
}

#[test]
fn a_centered_variance_below_zero_is_zero() {
    // With a constant gradient the variance is 0, and rounding puts it below now and then.
    let mut params = Params::new();
    let key = params.insert("x", Tensor::full([100], 0.0));
    let mut tape = Tape::new();
    let mut opt = RmsProp::new(0.1).alpha(0.1).centered(true);
    for _ in 0..100 {
        tape.reset();
        let slopes = tape.constant(Tensor::linspace(0.1, 10.0, 100));
        let g = (params.bind(&tape)[key] * slopes).sum().backward().unwrap();
        opt.step(&mut params, &g).unwrap();
    }
    assert!(params.get(key).iter().all(|x| x.is_finite()));
}

#[test]
fn adadelta() {
    let opt = Adadelta::new(0.7).rho(0.8).epsilon(1e-2);
    assert_follows(opt, 0.0, |_, x, g, [s, a]| {
        *s = 0.8 * *s + 0.2 * g * g;
        let d = (*a + 1e-2).sqrt() / (*s + 1e-2).sqrt() * g;
        *a = 0.8 * *a + 0.2 * d * d;
        x - 0.7 * d
    });
}

fn adam(t: usize, g: f64, [m, v]: &mut [f64; 2]) -> (f64, f64) {
    *m = 0.8 * *m + (1.0 - 0.8) * g;
    *v = 0.95 * *v + (1.0 - 0.95) * g * g;
    let t = t as i32;
    (*m / (1.0 - 0.8f64.powi(t)), *v / (1.0 - 0.95f64.powi(t)))
}

#[test]
fn adam_with_epsilon_on_either_side_of_the_root() {
    let opt = || Adam::new(0.1).betas(0.8, 0.95).epsilon(1e-3);
    assert_follows(opt(), 0.0, |t, x, g, state| {
        let (m, v) = adam(t, g, state);
        x - 0.1 * m / (v.sqrt() + 1e-3)
    });
    let inside = opt().epsilon_inside_root(true);
    assert_follows(inside, 0.0, |t, x, g, state| {
        let (m, v) = adam(t, g, state);
        x - 0.1 * m / (v + 1e-3).sqrt()
    });
}

#[test]
fn weight_decay_coupled_and_decoupled() {
    let coupled = Adam::new(0.1).betas(0.8, 0.95).weight_decay(0.2);
    assert_follows(coupled, 0.0, |t, x, g, state| {
        let (m, v) = adam(t, g + 0.2 * x, state);
        x - 0.1 * m / (v.sqrt() + 1e-8)
    });
    let decoupled = AdamW::new(0.1).betas(0.8, 0.95).weight_decay(0.2);
    assert_follows(decoupled, 0.0, |t, x, g, state| {
        let (m, v) = adam(t, g, state);
        x - 0.1 * (m / (v.sqrt() + 1e-8) + 0.2 * x)
    });
    assert_follows(AdamW::new(0.1).betas(0.8, 0.95), 0.0, |t, x, g, state| {
        let (m, v) = adam(t, g, state);
        x - 0.1 * (m / (v.sqrt() + 1e-8) + 0.01 * x)
    });
}

#[test]
fn the_sign_penalty_is_zero_at_zero() {
    assert_follows(Sgd::new(0.1).l1(0.3), 0.0, |_, x, g, _| {
        let sign = if x > 0.0 {
            1.0
        } else if x < 0.0 {
            -1.0
        } else {
            0.0
        };
        x - 0.1 * (g + 0.3 * sign)
    });
}

#[test]
fn a_chain_in_single_precision_and_over_many_chunks() {
    const N: usize = 10_007;
    let start: Vec<f32> = (0..N).map(|k| (k as f32 * 0.37).sin()).collect();
    let (a, c) = (vec![1.5f32; N], vec![0.25f32; N]);
    let mut params = Params::new();
    let key = params.insert("x", start.clone());
    let mut opt = AdamW::new(0.01);
    for _ in 0..5 {
        let g = gradients(&params, key, &a, &c);
        opt.step(&mut params, &g).unwrap();
    }
    for (&x0, &found) in start.iter().zip(params.get(key).iter()) {
        let (mut x, mut m, mut v) = (f64::from(x0), 0.0, 0.0);
        for t in 1..=5 {
            let g = 1.5 * (x - 0.25);
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            let (m, v) = (m / (1.0 - 0.9f64.powi(t)), v / (1.0 - 0.999f64.powi(t)));
            x -= 0.01 * (m / (v.sqrt() + 1e-8) + 0.01 * x);
        }
        assert_relative_eq!(f64::from(found), x, max_relative = 1e-4, epsilon = 1e-5);
    }
}
