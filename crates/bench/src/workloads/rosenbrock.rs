//! S1: the gradient of `sum 100 (x[i+1] - x[i]^2)^2 + (1 - x[i])^2` on the scalar tape.

use wengert::prelude::*;

use super::Settings;
use crate::counting;
use crate::minimal::{MinimalTape, Node};
use crate::report::Report;
use crate::timing::interleaved;

const N: usize = 100_000;
const VALUE: f64 = 8_900_324.132_51;
const NORM: f64 = 30_258_872.639_968;

fn rosenbrock(x: &[Var]) -> Var {
    x.windows(2)
        .map(|w| {
            let t = w[1] - w[0] * w[0];
            let u = 1.0 - w[0];
            100.0 * (t * t) + u * u
        })
        .sum()
}

fn minimal_rosenbrock(tape: &mut MinimalTape, x: &[Node]) -> Node {
    let (one, hundred) = (tape.constant(1.0), tape.constant(100.0));
    let mut sum = None;
    for w in x.windows(2) {
        let square = tape.mul(w[0], w[0]);
        let t = tape.sub(w[1], square);
        let u = tape.sub_from(one, w[0]);
        let tt = tape.mul(t, t);
        let first = tape.scale(hundred, tt);
        let second = tape.mul(u, u);
        let term = tape.add(first, second);
        sum = Some(match sum {
            None => term,
            Some(sum) => tape.add(sum, term),
        });
    }
    sum.expect("at least two numbers")
}

/// Runs the workload.
pub(crate) fn run(settings: &Settings) -> Report {
    let point: Vec<f64> = (0..N).map(|i| (0.37 * i as f64).cos()).collect();
    let before = counting::start_peak();
    let mut tape = Tape::new();
    let mut x: Vec<Var> = Vec::with_capacity(N);
    let mut gradient = vec![0.0; N];
    let mut engine = || {
        tape.reset();
        x.clear();
        x.extend(point.iter().map(|&v| tape.var(v)));
        let y = rosenbrock(&x);
        let g = y.backward().expect("the result is on the tape");
        for (slot, &x) in gradient.iter_mut().zip(&x) {
            *slot = g.wrt(x);
        }
        (y.value(), tape.scalar_nodes(), tape.scalar_bytes())
    };
    let (value, nodes, bytes) = engine();
    engine();
    let peak_bytes = counting::peak() - before;
    let allocations = counting::allocations();
    engine();
    let allocations_per_step = (counting::allocations() - allocations) as f64;
    // The gradient is looked at through the closure's own borrow, so it is computed once more.
    let norm = {
        let tape = Tape::new();
        let x: Vec<Var> = point.iter().map(|&v| tape.var(v)).collect();
        let g = rosenbrock(&x).backward().expect("the result is on the tape");
        x.iter().map(|&x| g.wrt(x).abs()).sum::<f64>()
    };

    let mut minimal = MinimalTape::default();
    let (mut leaves, mut slots) = (Vec::with_capacity(N), Vec::new());
    let mut floor_gradient = vec![0.0; N];
    let mut floor = || {
        minimal.clear();
        leaves.clear();
        leaves.extend(point.iter().map(|&v| minimal.leaf(v)));
        let y = minimal_rosenbrock(&mut minimal, &leaves);
        minimal.sweep(y, &mut slots);
        floor_gradient.copy_from_slice(&slots[..N]);
        y.value()
    };
    let floor_value = floor();
    let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * b.abs();
    let losses_ok = close(value, VALUE) && close(floor_value, VALUE) && close(norm, NORM);
    let (engine, floor) = interleaved(
        settings.seconds,
        || {
            std::hint::black_box(engine());
        },
        || {
            std::hint::black_box(floor());
        },
    );
    let bytes_per_node = bytes as f64 / nodes as f64;
    assert_eq!(nodes, minimal.len(), "both tapes record the same list");
    Report {
        workload: "S1",
        threads: 1,
        engine,
        floor,
        losses_ok,
        nodes,
        bytes_per_node,
        allocations_per_step,
        peak_bytes,
    }
}
