//! T7: a loss of one's own on a million elements, gradient only: what elementwise work costs.

mod floor;

use wengert::prelude::*;

use crate::counting;
use crate::formulas::{data, targets, weight};
use crate::measure::{Checked, Settings, measure};
use crate::reference::close;
use crate::report::{Memory, Report};

const N: usize = 1_000_000;
/// The loss, and the norms of the gradients by `a` and by `b`.
const EXPECTED: [f64; 3] = [0.872703, 0.3426961, 0.4827592];

struct Step {
    tape: Tape<f32>,
    a: Tensor<f32>,
    b: Tensor<f32>,
    x: Tensor<f32>,
    y: Tensor<f32>,
    nodes: usize,
}

impl Step {
    /// The loss; the gradients are handed to `look`.
    fn run(&mut self, look: impl FnOnce(Tensor<f32>, Tensor<f32>)) -> f64 {
        self.tape.reset();
        let (a, b) = (self.tape.tensor(&self.a), self.tape.tensor(&self.b));
        let (x, y) = (self.tape.constant(&self.x), self.tape.constant(&self.y));
        let residual = a * x + b - y;
        let robust = (residual * residual + 1.0).sqrt() - 1.0;
        let loss = (robust + 0.1 * a.abs() + ((-y * a).exp() + 1.0).ln()).mean();
        let gradients = loss.backward().expect("the loss is on the tape");
        look(gradients.wrt(a), gradients.wrt(b));
        let value = f64::from(loss.item());
        self.nodes = self.tape.tensor_nodes();
        value
    }
}

/// Runs the workload.
pub(crate) fn run(settings: &Settings) -> Report {
    let (x, y) = (data([N]), targets([N]));
    let start = counting::live();
    counting::start_peak();
    let (a, b) = (weight(0, [N]), weight(1, [N]));
    let mut step = Step { tape: Tape::default(), a, b, x, y, nodes: 0 };
    let norm = |g: &[f32]| g.iter().map(|&g| f64::from(g.abs())).sum::<f64>();
    let mut norms = [0.0; 2];
    let loss = step.run(|a, b| norms = [norm(a.as_slice()), norm(b.as_slice())]);
    for _ in 0..3 {
        step.run(|_, _| {});
    }
    let allocations = counting::allocations();
    step.run(|_, _| {});
    let allocations_per_step = (counting::allocations() - allocations) as f64;
    let peak_bytes = counting::peak() - start;

    let mut floor = floor::Model::new(&step.a, &step.b, &step.x, &step.y, settings.threads);
    let floor_loss = floor.step();
    let [floor_a, floor_b] = floor.gradients();
    let found = [loss, norms[0], norms[1], floor_loss, norm(floor_a), norm(floor_b)];
    let ok = found.iter().zip(EXPECTED.iter().cycle()).all(|(&x, &e)| close(x, e, 1e-5));
    if !ok {
        eprintln!("T7: {found:?}, not twice {EXPECTED:?}");
    }
    let nodes = step.nodes;
    let memory = Memory {
        nodes,
        bytes_per_node: peak_bytes as f64 / nodes as f64,
        allocations_per_step,
        peak_bytes,
        hand_counted: None,
    };
    let checked = Checked { workload: "T7", losses_ok: ok, memory, batch: 1 };
    measure(settings, &checked, || step.run(|_, _| {}), || floor.step(), |us| us)
}
