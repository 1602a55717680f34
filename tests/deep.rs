//! Recordings of millions of nodes in one chain: nothing here may recurse.

use wengert::prelude::*;

#[test]
fn ten_million_scalar_nodes_in_sequence() {
    const N: usize = 10_000_000;
    let tape = Tape::new();
    let x = tape.var(1.0);
    let mut y = x;
    for _ in 0..N / 2 {
        y = y * 1.000_000_1 + x;
    }
    assert!(tape.scalar_nodes() > N);
    // y = x (c^n + (c^n - 1) / (c - 1)) for c = 1.0000001 and n = N / 2.
    let power = ((N / 2) as f64 * 1e-7_f64.ln_1p()).exp();
    let expected = power + (power - 1.0) / 1e-7;
    let g = y.backward().expect("live").wrt(x);
    assert!((g / expected - 1.0).abs() < 1e-8, "{g} {expected}");
    assert!((y.value() / expected - 1.0).abs() < 1e-8);
    drop(tape);
}

#[test]
fn a_million_tensor_nodes_in_sequence() {
    const N: usize = 1_000_000;
    let tape = Tape::new();
    let x = tape.tensor([1.0, 2.0]);
    let mut y = x;
    for _ in 0..N / 2 {
        y = y * 0.999_999 + x;
    }
    assert!(tape.tensor_nodes() > N);
    let loss = y.sum();
    let power = ((N / 2) as f64 * (-1e-6_f64).ln_1p()).exp();
    let expected = power + (1.0 - power) / 1e-6;
    assert!((loss.item() / (3.0 * expected) - 1.0).abs() < 1e-9);
    let g = loss.backward().expect("live").wrt(x);
    for g in g.iter() {
        assert!((g / expected - 1.0).abs() < 1e-9, "{g} {expected}");
    }
}

#[test]
fn a_long_chain_is_differentiated_twice() {
    const N: usize = 100_000;
    let tape = Tape::new();
    let x = tape.var(0.5);
    let mut y = x;
    for _ in 0..N {
        y = (y * 0.9 + x).sin();
    }
    let first = y.grad_recorded(&[x]).expect("live")[0].expect("y depends on x");
    let second = first.backward().expect("live").wrt(x);
    // At the fixed point y = sin(0.9 y + x): y' = c / (1 - 0.9 c) with c = cos(0.9 y + x).
    let (u, c) = (0.9 * y.value() + 0.5, (0.9 * y.value() + 0.5).cos());
    let slope = c / (1.0 - 0.9 * c);
    assert!((first.value() - slope).abs() < 1e-12);
    let curvature = -u.sin() * (0.9 * slope + 1.0).powi(2) / (1.0 - 0.9 * c);
    assert!((second / curvature - 1.0).abs() < 1e-9, "{second} {curvature}");
}
