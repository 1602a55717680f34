//! Scaling by a number and by a learning rate.

use tape::Real;

use super::{At, State, Transform};
use crate::Schedule;
use crate::vector::vectorised;

/// `u <- factor u`.
#[derive(Clone, Debug)]
pub struct Scale {
    factor: f64,
}

impl Scale {
    /// Scales by `factor`. As updates are subtracted, a negative one ascends.
    ///
    /// # Panics
    /// If `factor` is not finite.
    #[track_caller]
    pub fn new(factor: f64) -> Self {
        assert!(factor.is_finite(), "the factor {factor} is not finite");
        Scale { factor }
    }
}

impl<E: Real> Transform<E> for Scale {
    fn coefficients(&self, _: &At) -> [f64; 2] {
        [self.factor, 0.0]
    }

    fn only_scales(&self) -> bool {
        true
    }

    fn chunk(&self, at: &At, _: State<'_, E>, _: &[E], update: &mut [E]) {
        scale(update, at);
    }
}

/// `u <- schedule(step) u`, with the number of steps that the optimiser has taken before.
#[derive(Clone, Debug)]
pub struct ScaleBySchedule {
    schedule: Schedule,
}

impl ScaleBySchedule {
    /// Scales by a learning rate, a number or a [`Schedule`].
    ///
    /// # Panics
    /// If a number is negative or not finite.
    #[track_caller]
    pub fn new(schedule: impl Into<Schedule>) -> Self {
        ScaleBySchedule { schedule: schedule.into() }
    }
}

impl<E: Real> Transform<E> for ScaleBySchedule {
    fn rate(&self, step: u64) -> Option<f64> {
        Some(self.schedule.at(step))
    }

    fn coefficients(&self, at: &At) -> [f64; 2] {
        [self.schedule.at(at.step), 0.0]
    }

    fn only_scales(&self) -> bool {
        true
    }

    fn chunk(&self, at: &At, _: State<'_, E>, _: &[E], update: &mut [E]) {
        scale(update, at);
    }
}

/// The whole of a transform that only scales.
pub(super) fn scale<E: Real>(update: &mut [E], at: &At) {
    let factor = E::lit(at.coefficients[0]);
    vectorised(
        #[inline(always)]
        move || {
            for u in update {
                *u *= factor;
            }
        },
    );
}
