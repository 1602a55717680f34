//! Exponentials, in double precision.
//!
//! With `n` the integer next to `x / ln 2` and `r = x - n ln 2`, `e^x = 2^n e^r` and
//! `|r| <= ln 2 / 2`. `ln 2` is a number of 41 bits, whose product with `n` is exact, and a rest.

use std::f64::consts::LOG2_E;

use super::coefficients::double::{LN2_HIGH, LN2_LOW, SHIFT, TWO_BIASES};
use super::double::{fast_two_sum, nearest, pow2, scale, scale_by, two_sum};
use super::logarithm::ln_1p_pair;
use super::{Arithmetic, coefficients, horner};

/// `n`, `r` and `t` with `e^x = 2^n (1 + r + t)`, where `t` is below `r^2` and `r + t` has some 60
/// good bits; for `|x|` below 10^5.
#[inline(always)]
pub(super) fn reduced<A: Arithmetic>(x: f64) -> (f64, f64, f64) {
    let n = A::fma(x, LOG2_E, SHIFT) - SHIFT;
    let high = A::fma(-n, LN2_HIGH, x);
    let low = n * LN2_LOW;
    let r = high - low;
    let rest = (high - r) - low;
    (n, r, A::fma(r * r, exp_tail::<A>(r), rest))
}

/// `(e^r - 1 - r) / r^2` for `|r| <= ln 2 / 2`: minimax polynomial, error 2^-59.
#[inline(always)]
fn exp_tail<A: Arithmetic>(r: f64) -> f64 {
    horner::<A, _, _>(r, coefficients::double::EXP)
}

/// `e^x / 2^n - 1` for the integer next to `x / ln 2`.
#[inline(always)]
fn less_power<A: Arithmetic>(x: f64, n: f64) -> f64 {
    let r = A::fma(-n, LN2_LOW, A::fma(-n, LN2_HIGH, x));
    A::fma(r * r, exp_tail::<A>(r), r)
}

#[inline(always)]
pub(super) fn exp<A: Arithmetic>(x: f64) -> f64 {
    let clamped = clamp(x, -746.0, 710.0);
    let biased = A::fma(clamped, LOG2_E, TWO_BIASES);
    let power = 1.0 + less_power::<A>(clamped, biased - TWO_BIASES);
    // What rounds to zero is not left to underflow, which takes some processors a hundred times as long.
    scale_by(if x < -746.0 { 0.0 } else { power }, biased)
}

/// `e^x` from 2^-1022.5 to 2^1023.5, and else 0 or infinity: [`exp`] in four fifths of the time, for who has subtracted the
/// largest of all exponents.
#[inline(always)]
pub(super) fn exp_flushed<A: Arithmetic>(x: f64) -> f64 {
    const ONE_BIAS: f64 = SHIFT + 1023.0;
    let x = clamp(x, -709.0, 710.0);
    let biased = A::fma(x, LOG2_E, ONE_BIAS);
    let power = 1.0 + less_power::<A>(x, biased - ONE_BIAS);
    // The least exponent and the largest one are those of 0 and infinity.
    power * f64::from_bits(biased.to_bits() << 52)
}

/// `2^x = 2^n 2^r` with `n` the integer next to `x`. `(2^r - 1) / r` for `|r| <= 1/2` is a minimax
/// polynomial, error 2^-62.
#[inline(always)]
pub(super) fn exp2<A: Arithmetic>(x: f64) -> f64 {
    let x = clamp(x, -1080.0, 1025.0);
    let n = nearest(x);
    let r = x - n;
    let q = horner::<A, _, _>(r, coefficients::double::EXP2);
    scale(A::fma(r, q, 1.0), n)
}

/// `e^x - 1 = (2^n - 1) + 2^n r + 2^n t`, added in this order with the rounding error of the first
/// sum.
#[inline(always)]
pub(super) fn exp_m1<A: Arithmetic>(x: f64) -> f64 {
    let clamped = clamp(x, -50.0, 710.0);
    let (n, r, t) = reduced::<A>(clamped);
    // Half of everything, because 2^1024 is not a number.
    let half = pow2(n - 1.0);
    let (sum, rest) = two_sum(half - 0.5, half * r);
    let y = 2.0 * (sum + (rest + half * t));
    // Half of a subnormal number would lose a bit, and the sum the sign of -0.
    if x.abs() < 1e-17 { x } else { y }
}

/// `1 / (1 + e^-x) = 2^-n / (2^-n + 1 + r + t)` with `e^-x = 2^n (1 + r + t)`.
#[inline(always)]
pub(super) fn sigmoid<A: Arithmetic>(x: f64) -> f64 {
    let (n, r, t) = reduced::<A>(clamp(-x, -40.0, 746.0));
    let (sum, rest) = fast_two_sum(1.0 + pow2(clamp(-n, -1000.0, 1000.0)), r);
    scale(1.0 / (sum + (rest + t)), -n)
}

/// `max(x, 0) + ln(1 + e^-|x|)`, with the exponential as a pair.
#[inline(always)]
pub(super) fn softplus<A: Arithmetic>(x: f64) -> f64 {
    let (n, r, t) = reduced::<A>(clamp(-x.abs(), -746.0, 0.0));
    let (sum, rest) = fast_two_sum(1.0, r);
    let (sum, rest) = fast_two_sum(sum, rest + t);
    let positive = if x > 0.0 { x } else { 0.0 };
    let y = positive + ln_1p_pair::<A>(scale(sum, n), scale(rest, n));
    if x.is_nan() { x } else { y }
}

/// `x` moved into an interval; NaN stays NaN.
#[inline(always)]
pub(super) fn clamp(x: f64, low: f64, high: f64) -> f64 {
    let x = if x > high { high } else { x };
    if x < low { low } else { x }
}
