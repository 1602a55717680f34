//! The floors: a minimal tape, and a loop.

use crate::floor::math::{sum64, vectorised};
use crate::floor::minimal::{MinimalTape, Node};

/// The gradient by a minimal tape.
pub(super) struct Minimal {
    point: Vec<f64>,
    tape: MinimalTape,
    leaves: Vec<Node>,
    slots: Vec<f64>,
    gradient: Vec<f64>,
}

impl Minimal {
    pub(super) fn new(point: Vec<f64>) -> Minimal {
        let gradient = vec![0.0; point.len()];
        let tape = MinimalTape::default();
        Minimal {
            leaves: Vec::with_capacity(point.len()),
            point,
            tape,
            slots: Vec::new(),
            gradient,
        }
    }

    /// The value; the gradient is left in its buffer.
    pub(super) fn gradient(&mut self) -> f64 {
        let tape = &mut self.tape;
        tape.clear();
        self.leaves.clear();
        self.leaves.extend(self.point.iter().map(|&v| tape.leaf(v)));
        let y = rosenbrock(tape, &self.leaves);
        tape.sweep(y, &mut self.slots);
        self.gradient.copy_from_slice(&self.slots[..self.point.len()]);
        y.value()
    }
}

fn rosenbrock(tape: &mut MinimalTape, x: &[Node]) -> Node {
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

/// The value, and the gradient into `g`, in one pass; in halves if there are several threads.
pub(super) fn gradient(x: &[f64], g: &mut [f64], threads: usize) -> f64 {
    let n = x.len();
    // The first and the last number have one neighbour.
    let slope = |i: usize| 200.0 * (x[i + 1] - x[i] * x[i]);
    let first = -2.0 * x[0] * slope(0) - 2.0 * (1.0 - x[0]);
    let last = slope(n - 2);
    let own = slope(0) * slope(0) / 400.0 + (1.0 - x[0]).powi(2);
    g[0] = first;
    g[n - 1] = last;
    let inner = &mut g[1..n - 1];
    own + if threads == 1 {
        between(x, inner)
    } else {
        let half = inner.len() / 2;
        let (left, right) = inner.split_at_mut(half);
        let (a, b) = rayon::join(|| between(&x[..half + 2], left), || between(&x[half..], right));
        a + b
    }
}

/// The terms and the gradient of all numbers that have two neighbours in `x`.
fn between(x: &[f64], g: &mut [f64]) -> f64 {
    const BLOCK: usize = 1024;
    vectorised(
        #[inline(always)]
        || {
            let mut terms = [0.0; BLOCK];
            let mut total = 0.0;
            for (k, g) in g.chunks_mut(BLOCK).enumerate() {
                let n = g.len();
                let (before, own) = (&x[k * BLOCK..][..n], &x[k * BLOCK + 1..][..n]);
                let after = &x[k * BLOCK + 2..][..n];
                let out = g.iter_mut().zip(&mut terms);
                for ((((g, term), before), x), after) in out.zip(before).zip(own).zip(after) {
                    let (t, u) = (after - x * x, 1.0 - x);
                    *term = (100.0 * t).mul_add(t, u * u);
                    *g = 200.0 * (x - before * before) - (400.0 * x).mul_add(t, 2.0 * u);
                }
                total += sum64(&terms[..n]);
            }
            total
        },
    )
}
