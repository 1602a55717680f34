//! The functions of networks in single precision, which have polynomials of their own: twice as many
//! numbers fit into a vector. The others are computed in doubles.
//!
//! The methods are those of the files for double precision.

use std::f32::consts::LOG2_E;
use std::f64::consts::FRAC_2_PI;

use super::coefficients::single::{LN2_HIGH, LN2_LOW, SHIFT, TWO_BIASES};
use super::double::{low_bits, nearest as nearest_f64};
use super::{Arithmetic, coefficients, horner, poly};

/// `2^n` for an integer `n` from -126 to 127.
#[inline(always)]
fn pow2(n: f32) -> f32 {
    f32::from_bits((n + (SHIFT + 127.0)).to_bits() << 23)
}

/// `x 2^n` for an integer `n` from -252 to 254, rounded once if `x` is near 1.
#[inline(always)]
fn scale(x: f32, n: f32) -> f32 {
    scale_by(x, n + TWO_BIASES)
}

/// [`scale`] for `n + TWO_BIASES`.
#[inline(always)]
fn scale_by(x: f32, biased: f32) -> f32 {
    let bits = biased.to_bits();
    let half = bits >> 1;
    x * f32::from_bits(half << 23) * f32::from_bits((bits - half) << 23)
}

#[inline(always)]
fn clamp(x: f32, low: f32, high: f32) -> f32 {
    let x = if x > high { high } else { x };
    if x < low { low } else { x }
}

/// `n` and `q` with `e^x = 2^n (1 + q)`.
#[inline(always)]
fn reduced<A: Arithmetic>(x: f32) -> (f32, f32) {
    let n = A::fma(x, LOG2_E, SHIFT) - SHIFT;
    (n, less_power::<A>(x, n))
}

/// `e^x / 2^n - 1` for the integer next to `x / ln 2`; minimax polynomial, error 2^-27.
#[inline(always)]
fn less_power<A: Arithmetic>(x: f32, n: f32) -> f32 {
    let r = A::fma(-n, LN2_LOW, A::fma(-n, LN2_HIGH, x));
    let p = horner::<A, _, _>(r, coefficients::single::EXP);
    A::fma(r * r, p, r)
}

#[inline(always)]
pub(super) fn exp<A: Arithmetic>(x: f32) -> f32 {
    let clamped = clamp(x, -104.0, 89.0);
    let biased = A::fma(clamped, LOG2_E, TWO_BIASES);
    let q = less_power::<A>(clamped, biased - TWO_BIASES);
    // What rounds to zero is not left to underflow, which takes some processors a hundred times as long.
    scale_by(if x < -104.0 { 0.0 } else { 1.0 + q }, biased)
}

/// `e^x` from 2^-126.5 to 2^127.5, and else 0 or infinity.
#[inline(always)]
pub(super) fn exp_flushed<A: Arithmetic>(x: f32) -> f32 {
    const ONE_BIAS: f32 = SHIFT + 127.0;
    let x = clamp(x, -88.0, 89.0);
    let biased = A::fma(x, LOG2_E, ONE_BIAS);
    let q = less_power::<A>(x, biased - ONE_BIAS);
    (1.0 + q) * f32::from_bits(biased.to_bits() << 23)
}

/// With `x = 2^k m` and `f = m - 1`, `ln m = f - f^2 / 2 + f^3 P(f)`; minimax polynomial, error
/// 2^-25 of `f^3`.
#[inline(always)]
pub(super) fn ln<A: Arithmetic>(x: f32) -> f32 {
    const ONE: u32 = 0x3f80_0000;
    const SQRT_HALF: u32 = 0x3f35_04f3;
    let subnormal = x < f32::MIN_POSITIVE;
    let bits = (if subnormal { x * 16_777_216.0 } else { x }).to_bits();
    let exponent = bits.wrapping_add(ONE - SQRT_HALF) >> 23;
    let m = f32::from_bits(bits.wrapping_sub(exponent << 23).wrapping_add(ONE));
    let k = f32::from_bits(0x4b00_0000 | exponent) - 8_388_608.0;
    let k = k - if subnormal { 151.0 } else { 127.0 };
    let f = m - 1.0;
    let z = f * f;
    let p = horner::<A, _, _>(f, coefficients::single::LN);
    let tail = A::fma(f * z, p, k * LN2_LOW);
    let y = A::fma(k, LN2_HIGH, A::fma(-0.5, z, tail) + f);
    let y = if x < f32::INFINITY { y } else { x };
    let y = if x < 0.0 { f32::NAN } else { y };
    if x == 0.0 { f32::NEG_INFINITY } else { y }
}

/// `1 / (1 + e^-x)`, where both terms are divided by the power of two in `e^-x`.
#[inline(always)]
pub(super) fn sigmoid<A: Arithmetic>(x: f32) -> f32 {
    let (n, q) = reduced::<A>(clamp(-x, -20.0, 104.0));
    let power = pow2(clamp(-n, -120.0, 120.0));
    let sum = 1.0 + power;
    // What the sum has rounded away, if it was the power.
    let rest = power - (sum - 1.0);
    scale(1.0 / (sum + (q + rest)), -n)
}

/// Below 0.6 a polynomial, error 2^-26; else `1 - 2 / (e^(2x) + 1)`.
#[inline(always)]
pub(super) fn tanh<A: Arithmetic>(x: f32) -> f32 {
    let a = clamp(x.abs(), 0.0, 10.0);
    let z = a * a;
    let p = horner::<A, _, _>(z, coefficients::single::TANH);
    let near = A::fma(a * z, p, a);
    let (n, q) = reduced::<A>(2.0 * a);
    let power = pow2(n);
    let far = 1.0 - 2.0 / A::fma(power, q, power + 1.0);
    (if a < 0.6 { near } else { far }).copysign(x)
}

/// Below 0.92 `x + x P(x^2)`, error 2^-31; else `1 - e^-Q(x)`, error 2^-29.
#[inline(always)]
pub(super) fn erf<A: Arithmetic>(x: f32) -> f32 {
    let a = clamp(x.abs(), 0.0, 4.0);
    let z = a * a;
    let p = horner::<A, _, _>(z, coefficients::single::ERF_NEAR);
    let q = horner::<A, _, _>(a, coefficients::single::ERF_FAR);
    let (n, e) = reduced::<A>(-q);
    let power = pow2(n);
    let far = 1.0 - A::fma(power, e, power);
    (if a < 0.92 { A::fma(a, p, a) } else { far }).copysign(x)
}

/// The sine of `x` and `quadrants` quarter turns. The angle is reduced in doubles: `x - n pi / 2` is
/// exact to 2^-66 beside a smallest difference of some 2^-45.
#[inline(always)]
fn sine_of_turned<A: Arithmetic>(x: f32, quadrants: f64) -> f32 {
    const HIGH: f64 = f64::from_bits(0x3ff9_21fb_5440_0000);
    const LOW: f64 = 6.077_100_506_506_192e-11;
    let wide = f64::from(x);
    let n = nearest_f64(wide * FRAC_2_PI);
    let r = A::fma(-n, LOW, A::fma(-n, HIGH, wide)) as f32;
    let z = r * r;
    let s = poly!(A, z, -0.16666664, 0.008332748, -0.00019587757);
    let c = poly!(A, z, 0.041666664, -0.0013888302, 2.4547788e-05);
    let bits = low_bits(n + quadrants) as u32;
    let sin = A::fma(r * z, s, r);
    let cos = A::fma(z * z, c, A::fma(-0.5, z, 1.0));
    let y = if bits & 1 == 0 { sin } else { cos };
    f32::from_bits(y.to_bits() ^ (bits & 2) << 30)
}

#[inline(always)]
pub(super) fn sin<A: Arithmetic>(x: f32) -> f32 {
    let y = sine_of_turned::<A>(x, 0.0);
    if x == 0.0 { x } else { y }
}

#[inline(always)]
pub(super) fn cos<A: Arithmetic>(x: f32) -> f32 {
    sine_of_turned::<A>(x, 1.0)
}
