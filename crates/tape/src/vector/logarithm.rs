//! Logarithms, in double precision.
//!
//! `x = 2^k m` with `m` between `sqrt(1/2)` and `sqrt 2`, and with `f = m - 1`, `s = f / (2 + f)`:
//! `ln m = 2 atanh(s) = f - f^2 / 2 + s (f^2 / 2 + R)`, where `R = 2 atanh(s) / s - 2` is a
//! polynomial in `s^2`. In this form all but the last sum is small beside the result.

use super::coefficients::double::{LN2_HIGH, LN2_LOW};
use super::double::two_sum;
use super::{Arithmetic, coefficients, horner};

/// `k` and `m` with `x = 2^k m` and `m` between `sqrt(1/2)` and `sqrt 2`; for finite `x > 0`.
#[inline(always)]
pub(super) fn split(x: f64) -> (f64, f64) {
    const ONE: u64 = 0x3ff0_0000_0000_0000;
    const SQRT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
    let subnormal = x < f64::MIN_POSITIVE;
    let bits = (if subnormal { x * 18_014_398_509_481_984.0 } else { x }).to_bits();
    let exponent = bits.wrapping_add(ONE - SQRT_HALF) >> 52;
    let m = f64::from_bits(bits.wrapping_sub(exponent << 52).wrapping_add(ONE));
    // An integer below 2^52 becomes a double when it is put below the bits of 2^52.
    let k = f64::from_bits(0x4330_0000_0000_0000 | exponent) - 4_503_599_627_370_496.0;
    (k - if subnormal { 1077.0 } else { 1023.0 }, m)
}

/// `R` from `z = s^2 <= 0.0295`: `z` times a minimax polynomial of error 2^-51, so 2^-59 of `f`.
#[inline(always)]
fn series<A: Arithmetic>(z: f64) -> f64 {
    z * horner::<A, _, _>(z, coefficients::double::LN)
}

/// `ln(2^k (1 + f)) + c` for a small `c`.
#[inline(always)]
pub(super) fn assemble<A: Arithmetic>(k: f64, f: f64, c: f64) -> f64 {
    let half = 0.5 * f * f;
    let s = f / (2.0 + f);
    let tail = A::fma(s, half + series::<A>(s * s), A::fma(k, LN2_LOW, c));
    k * LN2_HIGH - ((half - tail) - f)
}

#[inline(always)]
pub(super) fn ln<A: Arithmetic>(x: f64) -> f64 {
    let (k, m) = split(x);
    ends(x, assemble::<A>(k, m - 1.0, 0.0))
}

/// The logarithm `y` of `x`, if `x` is finite and positive; else what a logarithm is there.
#[inline(always)]
pub(super) fn ends(x: f64, y: f64) -> f64 {
    let y = if x < f64::INFINITY { y } else { x };
    let y = if x < 0.0 { f64::NAN } else { y };
    if x == 0.0 { f64::NEG_INFINITY } else { y }
}

/// `ln(1 + x)`.
#[inline(always)]
pub(super) fn ln_1p<A: Arithmetic>(x: f64) -> f64 {
    let y = ends(1.0 + x, ln_1p_pair::<A>(x, 0.0));
    // -0 and the smallest numbers.
    if x.abs() < 1e-17 { x } else { y }
}

/// `ln(1 + a + b)` for a small `b` beside a finite `a > -1`.
#[inline(always)]
pub(super) fn ln_1p_pair<A: Arithmetic>(a: f64, b: f64) -> f64 {
    let (sum, rest) = two_sum(1.0, a);
    let (k, m) = split(sum);
    // Without a power of two to take out, f is `a` itself, which the sum has rounded.
    let (f, c) = if k == 0.0 { (a, b) } else { (m - 1.0, b + rest) };
    assemble::<A>(k, f, c / sum)
}

/// `k`, a head of 21 bits and a tail: their sum is `ln x` with `k` times `ln 2`.
#[inline(always)]
fn pieces<A: Arithmetic>(x: f64) -> (f64, f64, f64) {
    let (k, m) = split(x);
    let f = m - 1.0;
    let half = 0.5 * f * f;
    let s = f / (2.0 + f);
    let head = f64::from_bits((f - half).to_bits() & 0xffff_ffff_0000_0000);
    (k, head, ((f - head) - half) + s * (half + series::<A>(s * s)))
}

/// `log2 x = k + ln m / ln 2`; `1 / ln 2` has a head of 32 bits, so that heads multiply exactly.
#[inline(always)]
pub(super) fn log2<A: Arithmetic>(x: f64) -> f64 {
    const HIGH: f64 = 1.4426950407214463;
    const LOW: f64 = 1.6751713164886512e-10;
    let (k, head, tail) = pieces::<A>(x);
    let high = head * HIGH;
    let low = (tail + head) * LOW + tail * HIGH;
    let sum = k + high;
    ends(x, sum + (low + ((k - sum) + high)))
}

/// `log10 x = k log10(2) + ln m / ln 10`, in heads and tails as [`log2`].
#[inline(always)]
pub(super) fn log10<A: Arithmetic>(x: f64) -> f64 {
    const HIGH: f64 = 0.4342944818781689;
    const LOW: f64 = 2.5082946711645275e-11;
    const LOG10_2_HIGH: f64 = 0.3010299956640665;
    const LOG10_2_LOW: f64 = -8.532344317057107e-14;
    let (k, head, tail) = pieces::<A>(x);
    let high = head * HIGH;
    let low = k * LOG10_2_LOW + (tail + head) * LOW + tail * HIGH;
    let whole = k * LOG10_2_HIGH;
    let sum = whole + high;
    ends(x, sum + (low + ((whole - sum) + high)))
}
