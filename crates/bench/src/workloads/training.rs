//! What the trainings have in common: the loop, its check, and what it needs.

use wengert::prelude::*;

use crate::counting;
use crate::floor::product::FreeProduct;
use crate::measure::{Checked, Settings, measure};
use crate::reference::{close, gradient_norm, losses};
use crate::report::{Memory, Report};

/// A model in training, as its user has it.
pub(crate) struct Training<L> {
    pub(crate) workload: &'static str,
    pub(crate) params: Params<f32>,
    pub(crate) optimizer: Chain<f32>,
    pub(crate) loss: L,
    /// How many bytes were allocated before there were parameters.
    pub(crate) start: usize,
    /// The relative errors that the first losses may have; the rest is not compared.
    pub(crate) tolerances: &'static [f64],
    /// How many steps make one sample.
    pub(crate) batch: usize,
    pub(crate) hand_counted: Option<usize>,
}

/// The other side: a step that returns the loss before it, or time alone.
pub(crate) struct Floor {
    pub(crate) step: Box<dyn FnMut() -> f64>,
    /// Whether the step returns a loss.
    pub(crate) has_loss: bool,
}

impl Floor {
    /// A step of the same training, written by hand.
    pub(crate) fn step(step: impl FnMut() -> f64 + 'static) -> Floor {
        Floor { step: Box::new(step), has_loss: true }
    }

    /// The matrix products alone: how many of each shape, `[m, k] [k, n]`, and whether those of a shape have the same right
    /// operand.
    pub(crate) fn products(
        list: &[(usize, (usize, usize, usize))],
        same_right: bool,
        threads: usize,
    ) -> Floor {
        let make =
            |&(count, shape): &(usize, _)| FreeProduct::new(count, shape, same_right, threads);
        let mut products: Vec<_> = list.iter().map(make).collect();
        let step = move || {
            products.iter_mut().for_each(FreeProduct::run);
            0.0
        };
        Floor { step: Box::new(step), has_loss: false }
    }
}

/// The error that single precision may make of a loss, where training does not amplify it: all eleven
/// losses are compared.
pub(crate) const ALL_LOSSES: &[f64] = &[2e-5; 11];
/// The relative error that the norm of the gradient of a parameter may have, and the absolute one: what
/// is left where larger contributions cancel has few digits in single precision.
const NORM_TOLERANCE: (f64, f64) = (2e-4, 1e-8);

impl<L: Fn(&Tape<f32>, &Bound<f32>) -> TensorVar<f32>> Training<L> {
    /// One step on a tape that is used again; hands the gradients to `look` before they are applied.
    fn step(
        &mut self,
        tape: &mut Tape<f32>,
        look: impl FnOnce(&Bound<f32>, &Gradients<f32>),
    ) -> f64 {
        tape.reset();
        let p = self.params.bind(tape);
        let loss = (self.loss)(tape, &p);
        let gradients = loss.backward().expect("the loss is on the tape");
        look(&p, &gradients);
        let value = f64::from(loss.item());
        self.optimizer.step(&mut self.params, gradients).expect("finite gradients");
        value
    }

    /// Checks the training and its floor, and times both.
    pub(crate) fn run(mut self, settings: &Settings, floor: impl FnOnce() -> Floor) -> Report {
        let names: Vec<_> =
            self.params.iter().map(|(key, name, _)| (key, name.to_owned())).collect();
        let expected = losses(self.workload);
        let tolerances = self.tolerances;
        let workload = self.workload;
        let right = |side: &str, step: usize, loss: f64| {
            let tolerance = tolerances.get(step);
            let ok = tolerance.is_none_or(|&tolerance| close(loss, expected[step], tolerance));
            if !ok {
                eprintln!("{workload}: loss {step} of {side} is {loss}, not {}", expected[step]);
            }
            ok
        };

        counting::start_peak();
        let mut tape = Tape::<f32>::default();
        let mut ok = true;
        let first = self.step(&mut tape, |p, gradients| {
            for (key, name) in &names {
                let gradient = gradients.wrt(p[*key]);
                let norm = gradient.iter().map(|&g| f64::from(g.abs())).sum::<f64>();
                ok &= right_norm(workload, name, norm);
            }
        });
        ok &= right("the engine", 0, first);
        for step in 1..=10 {
            let loss = self.step(&mut tape, |_, _| {});
            ok &= right("the engine", step, loss);
        }
        let allocations = counting::allocations();
        for _ in 0..10 {
            self.step(&mut tape, |_, _| {});
        }
        let allocations_per_step = (counting::allocations() - allocations) as f64 / 10.0;
        let peak_bytes = counting::peak() - self.start;
        let nodes = tape.tensor_nodes() + tape.scalar_nodes();

        let Floor { step: mut floor, has_loss } = floor();
        for step in (0..=10).filter(|_| has_loss) {
            ok &= right("the floor", step, floor());
        }
        let memory = Memory {
            nodes,
            bytes_per_node: peak_bytes as f64 / nodes as f64,
            allocations_per_step,
            peak_bytes,
            hand_counted: self.hand_counted,
        };
        let checked = Checked { workload, losses_ok: ok, memory, batch: self.batch };
        measure(settings, &checked, || self.step(&mut tape, |_, _| {}), floor, |us| us)
    }
}

fn right_norm(workload: &str, name: &str, norm: f64) -> bool {
    let expected = gradient_norm(workload, name);
    let (relative, absolute) = NORM_TOLERANCE;
    let ok = (norm - expected).abs() <= relative * expected + absolute;
    if !ok {
        eprintln!("{workload}: the gradient of {name} has norm {norm}, not {expected}");
    }
    ok
}
