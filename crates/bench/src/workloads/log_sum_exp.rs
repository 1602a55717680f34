//! S2: the gradient of `ln sum exp(x[i])`, number by number and on tensors.

use wengert::prelude::*;

use super::gradient::{Expected, Scalars, Tensors, of_plain};
use crate::floor::math::{exp64, sum64, vectorised};
use crate::formulas::point;
use crate::measure::Settings;
use crate::report::Report;

const N: usize = 100_000;
const EXPECTED: Expected<'_> = Expected { value: 11.748_824_141_6, norms: &[1.0] };

/// Runs the workload on the scalar tape.
pub(crate) fn run_scalars(settings: &Settings) -> Report {
    let point = point(N);
    let x = point.clone();
    let plain = move || x.iter().map(|x| x.exp()).sum::<f64>().ln();
    let f = |x: &[Var]| x.iter().map(|x| x.exp()).sum::<Var>().ln();
    Scalars { workload: "S2", point, f }.run(settings, &EXPECTED, plain, of_plain)
}

/// Runs the workload on tensors.
pub(crate) fn run_tensors(settings: &Settings) -> Report {
    let x = point(N);
    let f = |x: TensorVar| x.logsumexp();
    let tensors = Tensors { workload: "S2t", point: x.clone().into(), f };
    let threads = settings.threads;
    tensors.run(settings, &EXPECTED, move |g| gradient(&x, g, threads))
}

/// By hand: the exponentials and their sum in one pass, and the quotients in another.
fn gradient(x: &[f64], g: &mut [f64], threads: usize) -> f64 {
    let scale = |g: &mut [f64], factor: f64| {
        vectorised(
            #[inline(always)]
            || g.iter_mut().for_each(|g| *g *= factor),
        );
    };
    if threads == 1 {
        let sum = exponentials(x, g);
        scale(g, 1.0 / sum);
        return sum.ln();
    }
    let half = x.len() / 2;
    let (left, right) = g.split_at_mut(half);
    let (a, b) = rayon::join(|| exponentials(&x[..half], left), || exponentials(&x[half..], right));
    let factor = 1.0 / (a + b);
    rayon::join(|| scale(left, factor), || scale(right, factor));
    (a + b).ln()
}

fn exponentials(x: &[f64], out: &mut [f64]) -> f64 {
    vectorised(
        #[inline(always)]
        || {
            let mut total = 0.0;
            for (x, out) in x.chunks(1024).zip(out.chunks_mut(1024)) {
                for (x, out) in x.iter().zip(&mut *out) {
                    *out = exp64(*x);
                }
                total += sum64(out);
            }
            total
        },
    )
}
