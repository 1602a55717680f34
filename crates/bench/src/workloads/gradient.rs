//! What the workloads on the scalar tape, and their forms on tensors, have in common.

use wengert::prelude::*;

use crate::counting;
use crate::measure::{Checked, Settings, measure};
use crate::reference::close;
use crate::report::{Memory, Report};

/// A function of many numbers whose gradient is taken again and again.
pub(crate) struct Scalars<F> {
    pub(crate) workload: &'static str,
    pub(crate) point: Vec<f64>,
    pub(crate) f: F,
}

/// The value of a function and its gradient, as the reference has them.
pub(crate) struct Expected<'a> {
    pub(crate) value: f64,
    /// The norms of pieces of the gradient, all of one length.
    pub(crate) norms: &'a [f64],
}

impl Expected<'_> {
    pub(crate) fn matches(&self, workload: &str, value: f64, gradient: &[f64]) -> bool {
        let piece = gradient.len() / self.norms.len();
        let norm = |g: &[f64]| g.iter().map(|g| g.abs()).sum::<f64>();
        let norms: Vec<_> = gradient.chunks(piece).map(norm).collect();
        let right = close(value, self.value, 1e-10)
            && norms.iter().zip(self.norms).all(|(&a, &b)| close(a, b, 1e-9));
        if !right {
            eprintln!("{workload}: {value}, {norms:?}, not {}, {:?}", self.value, self.norms);
        }
        right
    }
}

impl<F: Fn(&[Var]) -> Var> Scalars<F> {
    /// Checks the gradient and times it. The floor is made by `rule` of the time of `floor` and of
    /// the number of nodes.
    pub(crate) fn run(
        self,
        settings: &Settings,
        expected: &Expected<'_>,
        mut floor: impl FnMut() -> f64,
        rule: impl Fn(f64, usize) -> f64,
    ) -> Report {
        let Scalars { workload, point, f } = self;
        let mut gradient = vec![0.0; point.len()];
        let start = counting::live();
        counting::start_peak();
        let mut tape = Tape::new();
        let mut x = Vec::with_capacity(point.len());
        let mut engine = |gradient: &mut [f64]| {
            tape.reset();
            x.clear();
            x.extend(point.iter().map(|&v| tape.var(v)));
            let y = f(&x);
            let g = y.backward().expect("the result is on the tape");
            for (slot, &x) in gradient.iter_mut().zip(&x) {
                *slot = g.wrt(x);
            }
            (y.value(), tape.scalar_nodes(), tape.scalar_bytes())
        };
        let (value, nodes, bytes) = engine(&mut gradient);
        engine(&mut gradient);
        let peak_bytes = counting::peak() - start;
        let allocations = counting::allocations();
        engine(&mut gradient);
        let allocations_per_step = (counting::allocations() - allocations) as f64;
        let floor_value = floor();
        let losses_ok = expected.matches(workload, value, &gradient)
            && close(floor_value, expected.value, 1e-10);
        let memory = Memory {
            nodes,
            bytes_per_node: bytes as f64 / nodes as f64,
            allocations_per_step,
            peak_bytes,
            hand_counted: None,
        };
        let checked = Checked { workload, losses_ok, memory, batch: 1 };
        measure(settings, &checked, || engine(&mut gradient).0, floor, |us| rule(us, nodes))
    }
}

/// The time that a tape may take beside a plain evaluation: three times as long, and 4 ns a node.
pub(crate) fn of_plain(plain: f64, nodes: usize) -> f64 {
    3.0 * plain + 0.004 * nodes as f64
}

/// A function of one tensor whose gradient is taken again and again.
pub(crate) struct Tensors<F> {
    pub(crate) workload: &'static str,
    pub(crate) point: Tensor,
    pub(crate) f: F,
}

impl<F: Fn(TensorVar) -> TensorVar> Tensors<F> {
    /// Checks the gradient and times it, beside a hand-written one that fills a slice.
    pub(crate) fn run(
        self,
        settings: &Settings,
        expected: &Expected<'_>,
        mut floor: impl FnMut(&mut [f64]) -> f64,
    ) -> Report {
        let Tensors { workload, point, f } = self;
        let start = counting::live();
        counting::start_peak();
        let mut tape = Tape::new();
        let mut engine = |look: &mut dyn FnMut(&[f64], usize)| {
            tape.reset();
            let x = tape.tensor(&point);
            let y = f(x);
            let g = y.backward().expect("the result is on the tape");
            look(g.wrt(x).as_slice(), tape.tensor_nodes());
            y.item()
        };
        let (mut nodes, mut ok) = (0, false);
        let mut gradient = Vec::new();
        let value = engine(&mut |g, n| {
            gradient = g.to_vec();
            nodes = n;
        });
        ok |= expected.matches(workload, value, &gradient);
        drop(gradient);
        for _ in 0..3 {
            engine(&mut |_, _| {});
        }
        let allocations = counting::allocations();
        engine(&mut |_, _| {});
        let allocations_per_step = (counting::allocations() - allocations) as f64;
        let peak_bytes = counting::peak() - start;

        let mut gradient = vec![0.0; point.len()];
        let floor_value = floor(&mut gradient);
        ok &= expected.matches("the floor", floor_value, &gradient);
        let memory = Memory {
            nodes,
            bytes_per_node: peak_bytes as f64 / nodes as f64,
            allocations_per_step,
            peak_bytes,
            hand_counted: None,
        };
        let checked = Checked { workload, losses_ok: ok, memory, batch: 1 };
        measure(settings, &checked, || engine(&mut |_, _| {}), || floor(&mut gradient), |us| us)
    }
}
