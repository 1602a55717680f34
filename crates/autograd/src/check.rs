//! Comparison of derivatives with finite differences.
//!
//! [`gradcheck`] compares the gradient of a closure with differences of its values,
//! [`gradgradcheck`] also the Hessian with differences of gradients; [`Check`] is the same with
//! settings, and [`assert_gradients!`](crate::assert_gradients) the form for tests.
//!
//! ```
//! use autograd::check::gradcheck;
//!
//! let report = gradcheck(|[x, y]| x * y.sin(), [0.5, 2.0])?;
//! assert!(report.passed());
//! println!("{report}");
//! # Ok::<(), autograd::check::CheckError>(())
//! ```
//!
//! What is done, for a closure `f` at a point `x`:
//!
//! - A result of several elements is paired with fixed pseudo-random weights, so that one number
//!   `s(x)` is differentiated; a result of one element is that number.
//! - The gradient of a first-order sweep is compared with central differences of `s`, extrapolated
//!   twice, with a step that fits the precision and the point.
//! - It is compared with the gradient of a recorded sweep, and with forward mode.
//! - At second order, the derivative of the recorded gradient is compared with differences of the
//!   first-order one.
//!
//! A comparison passes if the distance is at most
//! `max(absolute, relative * larger magnitude) + rounding + truncation`. The last two are the
//! estimated errors of the difference itself; the truncation counts only up to the first term, so a
//! difference that has not converged cannot excuse a wrong derivative.
//!
//! A kink or a jump within the step makes differences meaningless. It is recognised, and reported as
//! a [`Kink`](Status::Kink), which is not a pass: check at another point. A derivative or a function
//! that is not finite is reported as [`NonFinite`](Status::NonFinite), however it compares.

mod compare;
mod difference;
mod problem;
mod report;
mod settings;

use std::panic::Location;

use tape::Real;

use crate::functional::{Closure, Input, Output, contract_gradient, elements_of};
use compare::{compare_sweeps, first_order, second_along, second_order};
use problem::{Problem, Random, Recorder, pair};
use settings::Settings;

pub use report::{CheckError, Comparison, Entry, Place, Report, Status};

/// Compares the gradient of `f` at `x` with finite differences: [`Check`] with its defaults.
///
/// # Errors
/// [`CheckError::Failed`] with the report if a comparison does not agree; [`CheckError::Derivative`]
/// if there is no derivative.
///
/// # Panics
/// Where the closure does.
#[track_caller]
pub fn gradcheck<X: Input, O: Output<X::Elem>>(
    f: impl Fn(X::Lifted) -> O,
    x: X,
) -> Result<Report, CheckError> {
    Check::default().run(f, x)
}

/// Compares the gradient and the Hessian of `f` at `x` with finite differences: [`Check`] of order 2.
///
/// # Errors
/// As [`gradcheck`].
///
/// # Panics
/// Where the closure does.
#[track_caller]
pub fn gradgradcheck<X: Input, O: Output<X::Elem>>(
    f: impl Fn(X::Lifted) -> O,
    x: X,
) -> Result<Report, CheckError> {
    Check::default().order(2).run(f, x)
}

/// The settings of a check.
///
/// ```
/// use autograd::check::Check;
/// use tape::{Tensor, TensorVar};
///
/// let x = Tensor::full([100, 100], 0.3);
/// let check = Check::default().order(2).directions(3);
/// check.run(|x: TensorVar| (x.matmul(x.t())).tanh().mean(), &x)?;
/// # Ok::<(), autograd::check::CheckError>(())
/// ```
///
/// | setting | `f64` | `f32` |
/// |---|---|---|
/// | relative and absolute tolerance, first order | 1e-8 | 1e-2 and 1e-3 |
/// | relative and absolute tolerance, second order | 1e-6 | 1e-2 and 1e-3 |
/// | step | 1/128 | 1/16 |
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Check {
    order: usize,
    relative: Option<f64>,
    absolute: Option<f64>,
    step: Option<f64>,
    directions: Option<usize>,
    seed: u64,
}

impl Default for Check {
    /// First order, every element.
    fn default() -> Self {
        Check { order: 1, relative: None, absolute: None, step: None, directions: None, seed: 0 }
    }
}

impl Check {
    /// The highest order that is checked: 1 or 2.
    ///
    /// # Panics
    /// If it is another number.
    #[track_caller]
    pub fn order(mut self, order: usize) -> Self {
        assert!(matches!(order, 1 | 2), "the order of a gradient check is 1 or 2, not {order}");
        self.order = order;
        self
    }

    /// The tolerance, as a part of the larger of the two derivatives.
    pub fn relative(mut self, tolerance: f64) -> Self {
        self.relative = Some(tolerance);
        self
    }

    /// The tolerance where derivatives are near 0.
    pub fn absolute(mut self, tolerance: f64) -> Self {
        self.absolute = Some(tolerance);
        self
    }

    /// The largest step of the differences, in units of `max(1/4, sqrt |x|)` for an element `x`. It
    /// is shortened, at most to a 512th, where a function value is not finite or the extrapolation
    /// has not converged; not at a kink.
    pub fn step(mut self, step: f64) -> Self {
        self.step = Some(step);
        self
    }

    /// Checks along so many random directions, instead of each element: the cost does not grow with
    /// the number of elements. Every element moves in every direction, so that one wrong element is
    /// seen, but not which one it is.
    pub fn directions(mut self, directions: usize) -> Self {
        self.directions = Some(directions);
        self
    }

    /// Other random directions and weights than those of seed 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Checks the derivatives of `f` at `x`.
    ///
    /// # Errors
    /// [`CheckError::Failed`] with the report if a comparison does not agree;
    /// [`CheckError::Derivative`] if there is no derivative.
    ///
    /// # Panics
    /// Where the closure does.
    #[track_caller]
    #[allow(clippy::needless_pass_by_value)] // So that a literal needs no `&`; references are points too.
    pub fn run<X: Input, O: Output<X::Elem>>(
        &self,
        f: impl Fn(X::Lifted) -> O,
        x: X,
    ) -> Result<Report, CheckError> {
        let location = Location::caller();
        let record = |elements: &[X::Elem]| {
            let (closure, _) = Closure::record(&f, &x, elements, location)?;
            Ok(closure)
        };
        self.run_recorded(&record, elements_of(&x))
    }

    /// The same for what records the function: one type for all closures, so a test crate with many of them does not
    /// compile this many times.
    #[track_caller]
    fn run_recorded<E: Real>(
        &self,
        f: &Recorder<'_, E>,
        point: Vec<E>,
    ) -> Result<Report, CheckError> {
        let mut random = Random(self.seed);
        let problem = Problem::new(f, point, &mut random)?;
        let closure = problem.record(&problem.point)?;
        let mut entries = Vec::new();
        let first = Settings::new::<E>(self, 1);

        // Before anything else is recorded behind the function, which it would walk as well.
        let along: Vec<E> =
            (0..problem.point.len()).map(|_| E::lit(random.sign_and_size())).collect();
        let forward = pair(&closure.tangent(&along)?, &problem.weights);
        let result = problem.result(&closure)?;
        let gradient = closure.gradient(result)?;
        let reverse = pair(&gradient, &along);
        let scale = forward.magnitude.max(reverse.magnitude);
        let index = Place::Direction(0);
        let (reverse, forward) = (reverse.value, forward.value);
        entries.push(first.agree(Comparison::Forward, index, reverse, forward, scale));

        let recorded = closure.recorded_gradient(result)?;
        let recorded_values = closure.recorded_values(&recorded);
        entries.extend(compare_sweeps(&first, &gradient, &recorded_values));

        first_order(&problem, &first, &gradient, self.directions, &mut random, &mut entries)?;
        if self.order == 2 {
            let second = Settings::new::<E>(self, 2);
            match self.directions {
                None => {
                    let hessian = closure.hessian(&recorded)?;
                    second_order(&problem, &second, &gradient, &hessian, &mut entries)?;
                }
                Some(directions) => {
                    let product = |v: &[E]| -> Result<Vec<E>, CheckError> {
                        let slope = contract_gradient(&recorded, &closure, v);
                        Ok(closure.gradient(slope)?)
                    };
                    for k in 0..directions {
                        let entry = second_along(&problem, &second, k, &product, &mut random)?;
                        entries.push(entry);
                    }
                }
            }
        }
        let report = Report { entries, element: E::NAME };
        match report.passed() {
            true => Ok(report),
            false => Err(CheckError::Failed(report)),
        }
    }
}

/// Runs with both element types, so that they and all that they need are compiled here. A crate that is not optimised takes what is
/// generic from others that have it: its tests are compiled in a tenth of the time. One that is optimised does not.
#[cfg(debug_assertions)]
#[expect(dead_code, reason = "it is there to be compiled")]
static RUNS: (Run<f64>, Run<f32>) = (Check::run_recorded, Check::run_recorded);
#[cfg(debug_assertions)]
type Run<E> = fn(&Check, &Recorder<'_, E>, Vec<E>) -> Result<Report, CheckError>;

/// Panics, with the report and at the caller's line, unless the gradient and the Hessian of a closure
/// agree with finite differences. Settings are those of [`Check`](crate::check::Check), by name.
///
/// ```
/// use autograd::assert_gradients;
/// use tape::{Tensor, TensorVar};
///
/// assert_gradients!(|[x, y]| x * y.exp(), [0.5, -1.0]);
///
/// let w = Tensor::from([[0.1, 0.2], [0.3, 0.4]]);
/// assert_gradients!(|w: TensorVar| w.softmax(1), &w, relative = 1e-5, order = 1);
/// ```
#[macro_export]
macro_rules! assert_gradients {
    ($f:expr, $x:expr $(, $setting:ident = $value:expr)* $(,)?) => {
        if let ::core::result::Result::Err(error) =
            $crate::check::Check::default().order(2)$(.$setting($value))*.run($f, $x)
        {
            ::core::panic!(
                "the gradients of `{}` at `{}`: {}",
                ::core::stringify!($f),
                ::core::stringify!($x),
                error
            );
        }
    };
}
