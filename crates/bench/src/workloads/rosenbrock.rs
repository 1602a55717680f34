//! S1: the gradient of `sum 100 (x[i+1] - x[i]^2)^2 + (1 - x[i])^2`, number by number and on tensors.

mod floor;

use wengert::prelude::*;

use super::gradient::{Expected, Scalars, Tensors};
use crate::formulas::point;
use crate::measure::Settings;
use crate::report::Report;

const N: usize = 100_000;
const EXPECTED: Expected<'_> = Expected { value: 8_900_324.132_51, norms: &[30_258_872.639_968] };

fn rosenbrock(x: &[Var]) -> Var {
    x.windows(2)
        .map(|w| {
            let t = w[1] - w[0] * w[0];
            let u = 1.0 - w[0];
            100.0 * (t * t) + u * u
        })
        .sum()
}

fn rosenbrock_on_tensors(x: TensorVar) -> TensorVar {
    let (left, right) = (x.slice(0, 0..N - 1), x.slice(0, 1..N));
    (100.0 * (right - left.square()).square() + (1.0 - left).square()).sum()
}

/// Runs the workload on the scalar tape.
pub(crate) fn run_scalars(settings: &Settings) -> Report {
    let point = point(N);
    let mut floor = floor::Minimal::new(point.clone());
    let scalars = Scalars { workload: "S1", point, f: rosenbrock };
    scalars.run(settings, &EXPECTED, move || floor.gradient(), |us, _| us)
}

/// Runs the workload on tensors.
pub(crate) fn run_tensors(settings: &Settings) -> Report {
    let x = point(N);
    let tensors = Tensors { workload: "S1t", point: x.clone().into(), f: rosenbrock_on_tensors };
    let threads = settings.threads;
    tensors.run(settings, &EXPECTED, move |g| floor::gradient(&x, g, threads))
}
