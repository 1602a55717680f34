//! Learning rates as functions of the step.

use std::f64::consts::PI;

use crate::transforms::check_size;

/// A learning rate that depends on the number of steps taken before.
///
/// A number converts to a constant schedule, so that one may write `Sgd::new(0.1)`.
///
/// ```
/// use optim::Schedule;
///
/// let schedule = Schedule::cosine(1.0, 0.1, 100).after_warm_up(3);
/// assert_eq!(schedule.at(0), 0.25);
/// assert_eq!(schedule.at(3), 1.0);
/// assert_eq!(schedule.at(103), 0.1);
/// assert_eq!(Schedule::from(0.1).at(1000), 0.1);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule(Form);

#[derive(Clone, Debug, PartialEq)]
enum Form {
    Constant(f64),
    StepDecay { initial: f64, factor: f64, every: u64 },
    Exponential { initial: f64, factor: f64 },
    Cosine { initial: f64, minimum: f64, steps: u64 },
    WarmUp { steps: u64, then: Box<Schedule> },
}

impl Schedule {
    /// `rate` at every step.
    ///
    /// # Panics
    /// If `rate` is negative or not finite. (To ascend, put a [`Scale`](crate::transforms::Scale) by -1
    /// into the chain.)
    #[track_caller]
    pub fn constant(rate: f64) -> Self {
        Schedule(Form::Constant(check_rate(rate)))
    }

    /// `initial * factor^floor(step / every)`: a staircase.
    ///
    /// # Panics
    /// If `every` is 0, or if `initial` or `factor` is negative or not finite.
    #[track_caller]
    pub fn step_decay(initial: f64, factor: f64, every: u64) -> Self {
        assert!(every > 0, "step_decay: every 0 steps");
        let (initial, factor) = (check_rate(initial), check_factor(factor));
        Schedule(Form::StepDecay { initial, factor, every })
    }

    /// `initial * factor^step`.
    ///
    /// # Panics
    /// If `initial` or `factor` is negative or not finite.
    #[track_caller]
    pub fn exponential(initial: f64, factor: f64) -> Self {
        let (initial, factor) = (check_rate(initial), check_factor(factor));
        Schedule(Form::Exponential { initial, factor })
    }

    /// `minimum + (initial - minimum) (1 + cos(pi step / steps)) / 2` before step `steps`, and
    /// `minimum` from there on.
    ///
    /// Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (2017), without
    /// the restarts.
    ///
    /// # Panics
    /// If `initial` or `minimum` is negative or not finite.
    #[track_caller]
    pub fn cosine(initial: f64, minimum: f64, steps: u64) -> Self {
        let (initial, minimum) = (check_rate(initial), check_rate(minimum));
        Schedule(Form::Cosine { initial, minimum, steps })
    }

    /// This schedule after a linear warm-up: `self.at(0) (step + 1) / (steps + 1)` before step
    /// `steps`, and `self.at(step - steps)` from there on.
    ///
    /// The rate starts above 0, since a step of length 0 would be wasted, and the line meets
    /// `self.at(0)` at step `steps`.
    #[must_use]
    pub fn after_warm_up(self, steps: u64) -> Self {
        Schedule(Form::WarmUp { steps, then: Box::new(self) })
    }

    /// A linear warm-up over `steps` steps to `then`: see [`after_warm_up`](Self::after_warm_up).
    ///
    /// # Panics
    /// If `then` is a number that is negative or not finite.
    #[track_caller]
    pub fn warm_up(steps: u64, then: impl Into<Schedule>) -> Self {
        then.into().after_warm_up(steps)
    }

    /// The rate at a step; the first is step 0.
    ///
    /// It may be infinite where a factor above 1 has made it so; an optimiser refuses such a step.
    pub fn at(&self, step: u64) -> f64 {
        match self.0 {
            Form::Constant(rate) => rate,
            Form::StepDecay { initial, factor, every } => {
                initial * factor.powf((step / every) as f64)
            }
            Form::Exponential { initial, factor } => initial * factor.powf(step as f64),
            Form::Cosine { initial, minimum, steps } => {
                if step >= steps {
                    return minimum;
                }
                let phase = step as f64 / steps as f64;
                minimum + (initial - minimum) * 0.5 * (1.0 + (PI * phase).cos())
            }
            Form::WarmUp { steps, ref then } => {
                if step >= steps {
                    return then.at(step - steps);
                }
                then.at(0) * ((step as f64 + 1.0) / (steps as f64 + 1.0))
            }
        }
    }
}

#[track_caller]
fn check_rate(rate: f64) -> f64 {
    check_size("the learning rate", rate)
}

#[track_caller]
fn check_factor(factor: f64) -> f64 {
    check_size("the factor of the learning rate", factor)
}

impl From<f64> for Schedule {
    /// The same rate at every step.
    ///
    /// # Panics
    /// If it is negative or not finite.
    #[track_caller]
    fn from(rate: f64) -> Self {
        Schedule::constant(rate)
    }
}
