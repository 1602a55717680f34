//! Transforms in a row: bounds, norms, groups.

use approx::assert_relative_eq;
use wengert::autograd::Differentiate;
use wengert::optim::transforms::*;
use wengert::optim::*;
use wengert::tape::Tape;

use crate::{A, C, START, path};

/// Two parameters whose gradients are `s` and `t`; the update of each, by a chain.
fn updates(chain: impl Into<Chain>, s: [f64; 2], t: [f64; 2]) -> ([f64; 2], [f64; 2]) {
    let mut params = Params::new();
    let x = params.insert("x", [0.0, 0.0]);
    let y = params.insert_in("bias", "y", [0.0, 0.0]);
    let tape = Tape::new();
    let p = params.bind(&tape);
    let loss = (p[x] * tape.constant(s)).sum() + (p[y] * tape.constant(t)).sum();
    chain.into().step(&mut params, loss.backward().unwrap()).unwrap();
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
    opt.step(&mut params, loss.backward().unwrap()).unwrap();
    assert_eq!(params.get(w).item(), 0.75);
    assert_eq!(params.get(b).item(), 1.0);
}
