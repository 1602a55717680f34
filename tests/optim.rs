//! Optimisers against recurrences written out by hand, and the promises of a step.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use approx::assert_relative_eq;
use common::panic_at;
use wengert::autograd::{Differentiate, Gradients};
use wengert::optim::transforms::*;
use wengert::optim::*;
use wengert::tape::{Real, Tape, Tensor};

const STEPS: usize = 20;

/// The quadratic `sum a/2 (x - c)^2`, whose gradient is `a (x - c)`.
const A: [f64; 4] = [1.0, 8.0, 0.1, 2.0];
const C: [f64; 4] = [1.0, -2.0, 0.5, 0.0];
const START: [f64; 4] = [3.0, 1.0, -4.0, 0.0];

fn gradients<E: Real>(params: &Params<E>, key: ParamKey, a: &[E], c: &[E]) -> Gradients<E> {
    let tape = Tape::<E>::default();
    let p = params.bind(&tape);
    let (a, c) = (tape.constant(a), tape.constant(c));
    let d = p[key] - c;
    (a * d * d * E::lit(0.5)).sum().backward().unwrap()
}

/// Where a chain goes on the quadratic, step by step.
fn path(chain: impl Into<Chain>) -> Vec<Vec<f64>> {
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
fn assert_follows(
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

/// Two parameters whose gradients are `s` and `t`; the update of each, by a chain.
fn updates(chain: impl Into<Chain>, s: [f64; 2], t: [f64; 2]) -> ([f64; 2], [f64; 2]) {
    let mut params = Params::new();
    let x = params.insert("x", [0.0, 0.0]);
    let y = params.insert_in("bias", "y", [0.0, 0.0]);
    let tape = Tape::new();
    let p = params.bind(&tape);
    let loss = (p[x] * tape.constant(s)).sum() + (p[y] * tape.constant(t)).sum();
    chain.into().step(&mut params, &loss.backward().unwrap()).unwrap();
    let update = |key| [-params.get(key)[[0]], -params.get(key)[[1]]];
    (update(x), update(y))
}

#[track_caller]
fn assert_near(found: ([f64; 2], [f64; 2]), expected: ([f64; 2], [f64; 2])) {
    assert_relative_eq!(found.0[..], expected.0[..], max_relative = 1e-14);
    assert_relative_eq!(found.1[..], expected.1[..], max_relative = 1e-14);
}

#[test]
fn clipping() {
    let (s, t) = ([3.0, -4.0], [0.0, 12.0]);
    assert_near(updates(Sgd::new(1.0).clip_value(3.5), s, t), ([3.0, -3.5], [0.0, 3.5]));
    // The norms are 5 and 12, that of all is 13.
    assert_near(updates(Sgd::new(1.0).clip_norm(6.0), s, t), ([3.0, -4.0], [0.0, 6.0]));
    assert_near(updates(Sgd::new(1.0).clip_global_norm(6.5), s, t), ([1.5, -2.0], [0.0, 6.0]));
    assert_near(updates(Sgd::new(1.0).clip_global_norm(14.0), s, t), (s, t));
    // The squares overflow, the norm does not.
    assert_near(
        updates(Sgd::new(1.0).clip_global_norm(1.0), [3e200, 0.0], [0.0, 4e200]),
        ([0.6, 0.0], [0.0, 0.8]),
    );
}

#[test]
fn a_norm_in_the_middle_of_a_chain_is_that_of_the_updates() {
    let (s, t) = ([3.0, -4.0], [0.0, 12.0]);
    // Bounded, the elements are 1, -1, 0, 1: norms sqrt(2) and 1, sqrt(3) together.
    let chain = |clip: Chain| clip.then(Scale::new(10.0));
    let global = Chain::new().then(ClipValue::new(1.0)).then(ClipGlobalNorm::new(1.0));
    let r = 10.0 / 3f64.sqrt();
    assert_near(updates(chain(global), s, t), ([r, -r], [0.0, r]));
    let each = Chain::new().then(ClipValue::new(1.0)).then(ClipNorm::new(1.0));
    let r = 10.0 / 2f64.sqrt();
    assert_near(updates(chain(each), s, t), ([r, -r], [0.0, 10.0]));
    // Three statistics: 13 is clipped to 6.5, of which [1.5, -2] has the norm 2.5 and [0, 6] is
    // clipped to 3; twice that has the norms 5 and 6.
    let thrice = Chain::new()
        .then(ClipGlobalNorm::new(6.5))
        .then(ClipNorm::new(3.0))
        .then(Scale::new(2.0))
        .then(ClipGlobalNorm::new(61f64.sqrt() / 2.0));
    assert_near(updates(thrice, s, t), ([1.5, -2.0], [0.0, 3.0]));
    // At the end, and with a state behind it in the path over many steps.
    let last = Chain::new().then(Scale::new(2.0)).then(ClipNorm::new(5.0));
    assert_near(updates(last, s, t), ([3.0, -4.0], [0.0, 5.0]));
}

#[test]
fn momentum_behind_a_norm_in_the_middle() {
    let chain = Chain::new()
        .then(Trace::classical(0.5))
        .then(ClipGlobalNorm::new(1.0))
        .then(Trace::averaging(0.5))
        .then(AddDecay::new(0.1))
        .then(ScaleBySchedule::new(0.3));
    let found = path(chain);
    let (mut x, mut v, mut w) = (START, [0.0; 4], [0.0; 4]);
    for found in found {
        for k in 0..4 {
            v[k] = 0.5 * v[k] + A[k] * (x[k] - C[k]);
        }
        let norm = v.iter().map(|v| v * v).sum::<f64>().sqrt();
        for k in 0..4 {
            w[k] = 0.5 * w[k] + 0.5 * v[k] * (1.0 / norm).min(1.0);
            x[k] -= 0.3 * (w[k] + 0.1 * x[k]);
        }
        assert_relative_eq!(found[..], x[..], max_relative = 1e-12, epsilon = 1e-13);
    }
}

#[test]
fn transforms_of_a_group() {
    let (s, t) = ([3.0, -4.0], [0.0, 12.0]);
    let inside = Chain::new().then(Scale::new(2.0)).for_group("bias");
    assert_near(updates(inside, s, t), (s, [0.0, 24.0]));
    let outside = Chain::new().then(Scale::new(2.0)).except_group("bias");
    assert_near(updates(outside, s, t), ([6.0, -8.0], t));
    // The norm is that of the group alone.
    let clip = Chain::new().then(ClipGlobalNorm::new(2.5)).except_group("bias");
    assert_near(updates(clip, s, t), ([1.5, -2.0], t));

    let mut params = Params::new();
    let w = params.insert("w", [1.0]);
    let b = params.insert_in("bias", "b", [1.0]);
    let tape = Tape::new();
    let p = params.bind(&tape);
    let loss = (0.0 * p[w] + 0.0 * p[b]).sum();
    let mut opt = AdamW::new(0.5).weight_decay(0.5).without_decay("bias");
    opt.step(&mut params, &loss.backward().unwrap()).unwrap();
    assert_eq!(params.get(w).item(), 0.75);
    assert_eq!(params.get(b).item(), 1.0);
}

#[test]
fn schedules() {
    let staircase = Schedule::step_decay(0.8, 0.5, 3);
    let found: Vec<f64> = (0..7).map(|s| staircase.at(s)).collect();
    assert_eq!(found, [0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.2]);

    let exponential = Schedule::exponential(2.0, 0.9);
    assert_eq!(exponential.at(0), 2.0);
    assert_relative_eq!(exponential.at(2), 1.62, max_relative = 1e-15);

    let cosine = Schedule::cosine(1.0, 0.2, 8);
    assert_eq!(cosine.at(0), 1.0);
    assert_relative_eq!(cosine.at(4), 0.6, max_relative = 1e-15);
    let eighth = 0.2 + 0.4 * (1.0 + std::f64::consts::FRAC_1_SQRT_2);
    assert_relative_eq!(cosine.at(2), eighth, max_relative = 1e-15);
    assert_eq!(cosine.at(8), 0.2);
    assert_eq!(cosine.at(u64::MAX), 0.2);

    let warm = Schedule::warm_up(3, Schedule::step_decay(0.8, 0.5, 2));
    let found: Vec<f64> = (0..6).map(|s| warm.at(s)).collect();
    assert_relative_eq!(found[..], [0.2, 0.4, 0.6, 0.8, 0.8, 0.4][..], max_relative = 1e-15);
    assert_eq!(Schedule::warm_up(0, 0.3).at(0), 0.3);
    assert_eq!(Schedule::from(0.3).at(9), 0.3);

    // The first step of an optimiser is step 0.
    let opt = Sgd::new(Schedule::exponential(0.1, 0.5));
    assert_eq!(opt.learning_rate(), 0.1);
    assert_follows(opt, 0.0, |t, x, g, _| x - 0.1 * 0.5f64.powi(t as i32 - 1) * g);
}

#[track_caller]
fn assert_refused<R>(f: impl FnOnce() -> R, expected: &str) {
    let at = std::panic::Location::caller().line();
    let (message, file, line) = panic_at(f);
    assert!(message.contains(expected), "{message}");
    assert_eq!((file.as_str(), line), (file!(), at), "{message}");
}

#[test]
fn learning_rates_are_finite_and_not_negative() {
    for bad in [f64::NAN, f64::INFINITY, -0.1] {
        let what = "the learning rate";
        assert_refused(|| Sgd::<f64>::new(bad), what);
        assert_refused(|| Momentum::<f64>::new(bad), what);
        assert_refused(|| Nesterov::<f64>::new(bad), what);
        assert_refused(|| Adagrad::<f64>::new(bad), what);
        assert_refused(|| RmsProp::<f64>::new(bad), what);
        assert_refused(|| Adadelta::<f64>::new(bad), what);
        assert_refused(|| Adam::<f64>::new(bad), what);
        assert_refused(|| AdamW::<f64>::new(bad), what);
        assert_refused(|| ScaleBySchedule::new(bad), what);
        assert_refused(|| Schedule::constant(bad), what);
        assert_refused(|| Schedule::from(bad), what);
        assert_refused(|| Schedule::warm_up(5, bad), what);
        assert_refused(|| Schedule::step_decay(bad, 0.5, 1), what);
        assert_refused(|| Schedule::exponential(bad, 0.5), what);
        assert_refused(|| Schedule::cosine(bad, 0.0, 10), what);
        assert_refused(|| Schedule::cosine(0.1, bad, 10), what);
        assert_refused(|| Schedule::step_decay(0.1, bad, 1), "the factor");
        assert_refused(|| Schedule::exponential(0.1, bad), "the factor");
    }
    assert_refused(|| Schedule::step_decay(0.1, 0.5, 0), "every 0 steps");
    assert_refused(|| Scale::new(f64::NAN), "the factor NaN");
    // Ascent, and no step at all, are not mistakes.
    assert_follows(Chain::new().then(Scale::new(-0.01)), 0.0, |_, x, g, _| x + 0.01 * g);
    assert_follows(Sgd::new(0.0), 0.0, |_, x, _, _| x);
}

#[test]
fn settings_out_of_range_are_refused_where_they_are_made() {
    for bad in [f64::NAN, 1.0, 1.5, -0.1] {
        assert_refused(|| Adam::<f64>::new(0.1).betas(bad, 0.9), "beta1");
        assert_refused(|| AdamW::<f64>::new(0.1).betas(0.9, bad), "beta2");
        assert_refused(|| Momentum::<f64>::new(0.1).momentum(bad), "momentum");
        assert_refused(|| Momentum::<f64>::new(0.1).averaging().momentum(bad), "momentum");
        assert_refused(|| Nesterov::<f64>::new(0.1).momentum(bad), "momentum");
        assert_refused(|| RmsProp::<f64>::new(0.1).momentum(bad), "momentum");
        assert_refused(|| RmsProp::<f64>::new(0.1).alpha(bad), "alpha");
        assert_refused(|| Adadelta::<f64>::new(0.1).rho(bad), "rho");
    }
    for bad in [f64::NAN, f64::INFINITY, -0.1] {
        assert_refused(|| Adam::<f64>::new(0.1).epsilon(bad), "epsilon");
        assert_refused(|| RmsProp::<f64>::new(0.1).epsilon(bad), "epsilon");
        assert_refused(|| Adadelta::<f64>::new(0.1).epsilon(bad), "epsilon");
        assert_refused(|| Adagrad::<f64>::new(0.1).epsilon(bad), "epsilon");
        assert_refused(|| Adagrad::<f64>::new(0.1).initial_accumulator(bad), "initial sum");
        assert_refused(|| AdamW::<f64>::new(0.1).weight_decay(bad), "weight decay");
        assert_refused(|| Sgd::<f64>::new(0.1).weight_decay(bad), "weight decay");
        assert_refused(|| Sgd::<f64>::new(0.1).l1(bad), "the rate of the penalty");
    }
    for bad in [f64::NAN, -0.1] {
        assert_refused(|| Sgd::<f64>::new(0.1).clip_value(bad), "the limit");
        assert_refused(|| Sgd::<f64>::new(0.1).clip_norm(bad), "the limit");
        assert_refused(|| Sgd::<f64>::new(0.1).clip_global_norm(bad), "the limit");
    }
    let unbounded = Sgd::new(0.1).clip_norm(f64::INFINITY);
    assert_follows(unbounded, 0.0, |_, x, g, _| x - 0.1 * g);
}

#[test]
fn a_rate_that_overflows_on_the_way_is_refused_before_anything_moves() {
    let mut params = Params::new();
    let key = params.insert("x", Tensor::from(START));
    let mut opt = Momentum::new(Schedule::exponential(1.0, 1e200));
    let g = gradients(&params, key, &A, &C);
    opt.step(&mut params, &g).unwrap();
    let g = gradients(&params, key, &[0.0; 4], &C);
    opt.step(&mut params, &g).unwrap();
    let before = params.get(key).to_vec();
    let g = gradients(&params, key, &[0.0; 4], &C);
    let error = opt.step(&mut params, &g).unwrap_err();
    assert!(matches!(error, Error::Rate { step: 2, rate: f64::INFINITY, .. }), "{error}");
    assert!(error.to_string().contains("tests/optim.rs"), "{error}");
    assert_eq!((params.get(key).to_vec(), opt.steps()), (before, 2));

    // What is a number for `f64` need not be one for the parameters.
    let mut params = Params::new();
    let key = params.insert("x", [1.0f32]);
    let g = gradients(&params, key, &[1.0], &[0.0]);
    let error = Sgd::new(1e300).step(&mut params, &g).unwrap_err();
    assert!(matches!(error, Error::Rate { step: 0, .. }), "{error}");
    assert_eq!(params.get(key).item(), 1.0);
}

/// Whether two lists are equal bit by bit.
fn same_bits(a: &[f64], b: &[f64]) -> bool {
    let bits = |x: &[f64]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    bits(a) == bits(b)
}

#[test]
fn a_gradient_that_is_not_finite_changes_nothing() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let run = |disturbed: bool| {
            let mut params = Params::new();
            let x = params.insert("x", Tensor::from(START));
            let y = params.insert("y", Tensor::from(START));
            // A rate, a momentum and a correction that all depend on the number of steps.
            let mut opt = Chain::new()
                .then(Trace::classical(0.9))
                .then(ClipGlobalNorm::new(10.0))
                .then(ScaleByAdam::default())
                .then(ScaleBySchedule::new(Schedule::exponential(0.1, 0.9)));
            for step in 0..10 {
                if disturbed && step % 3 == 0 {
                    let before = (params.get(x).to_vec(), params.get(y).to_vec(), opt.steps());
                    let tape = Tape::new();
                    let p = params.bind(&tape);
                    let factors = tape.constant([1.0, 1.0, bad, bad]);
                    let loss = p[x].sum() + (p[y] * factors).sum();
                    let error = opt.step(&mut params, &loss.backward().unwrap());
                    match error.unwrap_err() {
                        Error::NonFinite { parameter, element, value, .. } => {
                            assert_eq!((parameter.as_str(), element), ("y", 2));
                            assert_eq!(value.is_nan(), bad.is_nan());
                        }
                        other => panic!("{other}"),
                    }
                    assert!(same_bits(params.get(x).as_slice(), &before.0));
                    assert!(same_bits(params.get(y).as_slice(), &before.1));
                    assert_eq!(opt.steps(), before.2);
                }
                let tape = Tape::new();
                let p = params.bind(&tape);
                let loss = (p[x] * p[x] * p[y]).sum() + (p[y] * p[y]).sum();
                opt.step(&mut params, &loss.backward().unwrap()).unwrap();
            }
            [params.get(x).to_vec(), params.get(y).to_vec()].concat()
        };
        assert!(same_bits(&run(true), &run(false)));
    }
}

#[test]
fn a_sum_of_gradients_that_overflows_is_refused() {
    let mut params = Params::new();
    let x = params.insert("x", [1.0]);
    let tape = Tape::new();
    let (p, q) = (params.bind(&tape), params.bind(&tape));
    let loss = (p[x] * 1e308 + q[x] * 1e308).sum();
    let error = Sgd::new(0.1).step(&mut params, &loss.backward().unwrap());
    assert!(matches!(error, Err(Error::NonFinite { .. })));
    assert_eq!(params.get(x).item(), 1.0);
}

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

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// Counts what the thread allocates, so that tests that run beside this one do not matter.
struct Counting;

// SAFETY: all requests are handed to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn a_training_loop_stops_allocating() {
    let mut params = Params::new();
    let keys: Vec<_> =
        (0..40).map(|k| params.insert(format!("w{k}"), Tensor::full([3, 1000], 0.5))).collect();
    let mut opt = Chain::new()
        .then(ScaleByAdam::default())
        .then(ClipGlobalNorm::new(1.0))
        .then(ScaleBySchedule::new(0.01));
    let mut tape = Tape::new();
    let mut counts = Vec::new();
    for _ in 0..30 {
        tape.reset();
        let start = ALLOCATIONS.get();
        let (p, q) = (params.bind(&tape), params.bind(&tape));
        let bound = ALLOCATIONS.get();
        let mut loss = p[keys[0]].sum();
        for &key in &keys {
            loss += (p[key] * q[key]).sum();
        }
        let gradients = loss.backward().unwrap();
        let swept = ALLOCATIONS.get();
        opt.step(&mut params, &gradients).unwrap();
        drop((p, q));
        counts.push(bound - start + ALLOCATIONS.get() - swept);
    }
    assert!(counts[0] > 0, "the counter counts");
    assert_eq!(counts[10..], [0; 20], "{counts:?}");
}
