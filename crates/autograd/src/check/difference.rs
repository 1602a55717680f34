//! Derivatives by differences, and how far they can be trusted.
//!
//! The central difference `D(h) = (f(x + h) - f(x - h)) / 2h` has the error `a h^2 + b h^4 + ...`.
//! From the steps `h`, `h/2` and `h/4`, two levels of Richardson extrapolation remove the first two
//! terms (Richardson, *The approximate arithmetical solution by finite differences*, 1911); the
//! distance of the two levels estimates what is left.
//!
//! A smooth function also obeys `D(h) = 5 D(h/2) - 4 D(h/4)` up to `h^4`, and the difference of the
//! one-sided quotients, `G(h) = (f(x + h) - 2 f(x) + f(x - h)) / h`, obeys
//! `G(h) = 10 G(h/2) - 16 G(h/4)` up to `h^5`. At a kink of height `k`, `G` is `k` for every step,
//! and violates the second law by `7k`; at a kink beside the point but within the step, one law or
//! the other is violated, and at a jump both are.

/// A function value: a number, and the size of what was added up for it, which is what rounding is
/// proportional to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) value: f64,
    pub(super) magnitude: f64,
}

/// A derivative by differences.
#[derive(Clone, Copy, Debug)]
pub(super) struct Difference {
    pub(super) value: f64,
    /// The estimated error of the extrapolation.
    pub(super) truncation: f64,
    /// The estimated error by rounding.
    pub(super) rounding: f64,
    pub(super) kink: bool,
}

/// The offsets of the samples in units of `h / 4`, beside 0.
pub(super) const OFFSETS: [f64; 6] = [-4.0, -2.0, -1.0, 1.0, 2.0, 4.0];

/// What is known about a derivative beforehand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    /// The derivative by the sweep.
    pub(super) analytic: f64,
    /// How much the function changes when each coordinate that moves changes by its own size:
    /// rounding of the coordinates is proportional to it.
    pub(super) sensitivity: f64,
    /// The error that nobody asks about.
    pub(super) tolerance: f64,
    /// The distance from 1 to the next number.
    pub(super) epsilon: f64,
}

/// A violation of the laws of smooth functions by more than this part of the derivative is a kink.
/// Curvature at the length of the step violates them a hundred times less; a kink that is flatter
/// than this is left to the comparison.
const KINK: f64 = 1e-3;

/// The derivative from the samples at 0 and at [`OFFSETS`], for the step `h`; `None` if a sample is
/// not finite.
pub(super) fn difference(
    center: Sample,
    samples: [Sample; 6],
    h: f64,
    context: Context,
) -> Option<Difference> {
    let finite = |sample: &Sample| sample.value.is_finite();
    if !finite(&center) || !samples.iter().all(finite) {
        return None;
    }
    let [m4, m2, m1, p1, p2, p4] = samples.map(|sample| sample.value);
    let h1 = h / 4.0;
    let central = |minus: f64, plus: f64, k: f64| (plus - minus) / (2.0 * k * h1);
    let (d4, d2, d1) = (central(m4, p4, 4.0), central(m2, p2, 2.0), central(m1, p1, 1.0));
    // Differences with the center first: the sum of three values would lose digits.
    let gap =
        |minus: f64, plus: f64, k: f64| ((plus - center.value) - (center.value - minus)) / (k * h1);
    let (g4, g2, g1) = (gap(m4, p4, 4.0), gap(m2, p2, 2.0), gap(m1, p1, 1.0));

    let (coarse, fine) = ((4.0 * d2 - d4) / 3.0, (4.0 * d1 - d2) / 3.0);
    let value = (16.0 * fine - coarse) / 15.0;

    let magnitude = samples.iter().fold(center.magnitude, |size, s| size.max(s.magnitude));
    let rounding = context.epsilon * (8.0 * magnitude + context.sensitivity) / h1;
    let defect = (d4 - 5.0 * d2 + 4.0 * d1).abs().max((g4 - 10.0 * g2 + 16.0 * g1).abs());
    let size = d4.abs().max(d1.abs()).max(context.analytic.abs());
    // The laws multiply the rounding of a value by up to 60.
    let accepted = (KINK * size).max(100.0 * context.tolerance).max(16.0 * rounding);
    Some(Difference { value, truncation: (value - fine).abs(), rounding, kink: defect > accepted })
}

/// Differentiates a function of several values along a line through the point, each as far as it can
/// be done: with the step `h`, and with smaller ones where a sample is not finite or the
/// extrapolation has not converged. `at(offset)` has the values there.
pub(super) fn differentiate<Failure>(
    center: &[Sample],
    mut at: impl FnMut(f64) -> Result<Vec<Sample>, Failure>,
    h: f64,
    contexts: &[Context],
) -> Result<Vec<Option<Difference>>, Failure> {
    /// How many steps are tried, and how much smaller each is.
    const STEPS: usize = 4;
    const SHRINK: f64 = 8.0;

    let mut best: Vec<Option<Difference>> = vec![None; center.len()];
    // Near the end of its domain a function may be as curved as at a kink.
    let mut edge = vec![false; center.len()];
    let mut step = h;
    for _ in 0..STEPS {
        let mut samples = Vec::with_capacity(OFFSETS.len());
        for offset in OFFSETS {
            samples.push(at(offset * step / 4.0)?);
        }
        let mut settled = true;
        for (k, best) in best.iter_mut().enumerate() {
            let context = contexts[k];
            if best.is_some_and(|best| settles(&best, context, edge[k])) {
                continue;
            }
            let of = std::array::from_fn(|i| samples[i][k]);
            match difference(center[k], of, step, context) {
                None => edge[k] = true,
                Some(new) if best.is_none_or(|best| error(&new) < error(&best)) => {
                    *best = Some(new);
                }
                Some(_) => {}
            }
            settled &= best.is_some_and(|best| settles(&best, context, edge[k]));
        }
        if settled {
            break;
        }
        step /= SHRINK;
    }
    Ok(best)
}

fn error(difference: &Difference) -> f64 {
    difference.truncation + difference.rounding
}

/// Whether a smaller step would not help. A kink that the first step has met stays one: that the
/// derivative is right between the point and the kink is not what was asked.
fn settles(difference: &Difference, context: Context, edge: bool) -> bool {
    if difference.kink {
        return !edge;
    }
    difference.truncation <= (context.tolerance / 2.0).max(difference.rounding)
}
