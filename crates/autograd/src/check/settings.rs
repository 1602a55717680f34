//! What is accepted, for one order and precision.

use tape::Real;

use super::difference::{Context, Difference};
use super::{Check, Comparison, Entry, Place, Status};

/// An error of less than so many estimated errors of a difference that has not converged may be that
/// of the difference.
const STUCK: f64 = 32.0;

/// The settings for one order and precision.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    relative: f64,
    absolute: f64,
    pub(super) step: f64,
    epsilon: f64,
}

impl Settings {
    pub(super) fn new<E: Real>(check: &Check, order: usize) -> Self {
        let epsilon = E::EPSILON.to_f64();
        let (relative, absolute, step) = match (epsilon < 1e-10, order) {
            (true, 1) => (1e-8, 1e-8, 1.0 / 128.0),
            (true, _) => (1e-6, 1e-6, 1.0 / 128.0),
            (false, _) => (1e-2, 1e-3, 1.0 / 16.0),
        };
        Settings {
            relative: check.relative.unwrap_or(relative),
            absolute: check.absolute.unwrap_or(absolute),
            step: check.step.unwrap_or(step),
            epsilon,
        }
    }

    fn tolerance(&self, a: f64, b: f64) -> f64 {
        self.absolute.max(self.relative * a.abs().max(b.abs()))
    }

    pub(super) fn context(&self, analytic: f64, sensitivity: f64) -> Context {
        Context {
            analytic,
            sensitivity,
            tolerance: self.tolerance(analytic, analytic),
            epsilon: self.epsilon,
        }
    }

    /// Compares a derivative with a difference.
    pub(super) fn judge(
        &self,
        comparison: Comparison,
        index: Place,
        analytic: f64,
        difference: Option<Difference>,
    ) -> Entry {
        let Some(difference) = difference else {
            let tolerance = self.tolerance(analytic, analytic);
            return entry(comparison, index, analytic, f64::NAN, tolerance);
        };
        let asked = self.tolerance(analytic, difference.value);
        let tolerance = asked + difference.rounding + difference.truncation.min(asked);
        let mut entry = entry(comparison, index, analytic, difference.value, tolerance);
        // The extrapolation assumes a smooth function. Where the gradient has a kink, the difference
        // comes close to the derivative and stops on the way.
        let stuck = entry.error < STUCK * difference.truncation;
        match entry.status {
            Status::Differs if stuck => entry.status = Status::Kink,
            Status::Agrees | Status::Differs if difference.kink => entry.status = Status::Kink,
            _ => {}
        }
        entry
    }

    /// Compares two derivatives that differ by rounding alone, in sums of the given size; a part of
    /// the absolute tolerance stands for cancellation inside of the function, which is not seen here.
    pub(super) fn agree(
        &self,
        comparison: Comparison,
        index: Place,
        a: f64,
        b: f64,
        size: f64,
    ) -> Entry {
        let tolerance = 1e4 * self.epsilon * size + 1e-4 * self.absolute;
        entry(comparison, index, a, b, tolerance)
    }
}

fn entry(
    comparison: Comparison,
    index: Place,
    analytic: f64,
    numeric: f64,
    tolerance: f64,
) -> Entry {
    let finite = analytic.is_finite() && numeric.is_finite();
    let status = match approx::abs_diff_eq!(analytic, numeric, epsilon = tolerance) {
        _ if !finite => Status::NonFinite,
        true => Status::Agrees,
        false => Status::Differs,
    };
    let error = match finite {
        true => (analytic - numeric).abs(),
        false => f64::INFINITY,
    };
    Entry { comparison, index, analytic, numeric, error, tolerance, status }
}
