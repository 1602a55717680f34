//! Sine, cosine and tangent, in double precision, for `|x| <= 2^20`.
//!
//! With `n` the integer next to `x / (pi / 2)`, the angle `r = x - n pi / 2` is within `pi / 4`.
//! `pi / 2` is cut into pieces of 33 bits, whose products with `n < 2^20` are exact; the rounding
//! errors of the differences are carried along. So `r` is a pair with some 100 bits, and good even
//! where `x` is next to a multiple of `pi / 2`.

use std::f64::consts::FRAC_2_PI;

use super::double::{divide, fast_two_sum, low_bits, nearest, two_sum};
use super::{Arithmetic, poly};

/// Beyond this the reduction is not exact.
pub(super) const LIMIT: f64 = 1_048_576.0;

/// `n` and the pair `r`.
#[inline(always)]
pub(super) fn reduced(x: f64) -> (f64, f64, f64) {
    const FIRST: f64 = f64::from_bits(0x3ff9_21fb_5440_0000);
    const SECOND: f64 = f64::from_bits(0x3dd0_b461_1a60_0000);
    const THIRD: f64 = f64::from_bits(0x3ba3_198a_2e00_0000);
    const REST: f64 = 8.478427660368898e-32;
    let n = nearest(x * FRAC_2_PI);
    let (a, a_rest) = two_sum(x - n * FIRST, -n * SECOND);
    let (b, b_rest) = two_sum(a, -n * THIRD);
    let (high, low) = fast_two_sum(b, (a_rest + b_rest) - n * REST);
    (n, high, low)
}

/// `sin(r + low) - r`; minimax polynomial in `r^2`, error 2^-55 of `r^3`.
#[inline(always)]
fn sin_tail<A: Arithmetic>(r: f64, low: f64) -> f64 {
    let z = r * r;
    let p = poly!(
        A,
        z,
        -0.16666666666666666,
        0.00833333333333094,
        -0.0001984126983674298,
        2.755731609430797e-06,
        -2.5051130101805494e-08,
        1.5918002281873061e-10
    );
    // The derivative of the sine is 1 - z / 2.
    A::fma(z * r, p, low - 0.5 * z * low)
}

/// `cos(r + low)` as a pair; minimax polynomial in `r^2`, error 2^-59 of `r^4`.
#[inline(always)]
fn cos_pair<A: Arithmetic>(r: f64, low: f64) -> (f64, f64) {
    let z = r * r;
    let p = poly!(
        A,
        z,
        0.041666666666666664,
        -0.001388888888888739,
        2.4801587298755762e-05,
        -2.7557317266494944e-07,
        2.0876145163581403e-09,
        -1.138255204095506e-11
    );
    let half = 0.5 * z;
    let high = 1.0 - half;
    // What the square has rounded away is below a quarter of an ulp of the cosine.
    (high, ((1.0 - high) - half) + A::fma(z * z, p, -(r * low)))
}

/// The sine of `(n + quadrants) pi / 2 + r`: `cos r` for an odd number of quarter turns, with the
/// other sign in the second half of the turn.
#[inline(always)]
fn sine_of_turned<A: Arithmetic>(x: f64, quadrants: f64) -> f64 {
    let (n, r, low) = reduced(x);
    let sin = r + sin_tail::<A>(r, low);
    let (high, rest) = cos_pair::<A>(r, low);
    let bits = low_bits(n + quadrants);
    let y = if bits & 1 == 0 { sin } else { high + rest };
    f64::from_bits(y.to_bits() ^ (bits & 2) << 62)
}

#[inline(always)]
pub(super) fn sin<A: Arithmetic>(x: f64) -> f64 {
    let y = sine_of_turned::<A>(x, 0.0);
    if x == 0.0 { x } else { y }
}

#[inline(always)]
pub(super) fn cos<A: Arithmetic>(x: f64) -> f64 {
    sine_of_turned::<A>(x, 1.0)
}

/// `sin / cos`, or `-cos / sin` for an odd number of quarter turns, as a quotient of pairs.
#[inline(always)]
pub(super) fn tan<A: Arithmetic>(x: f64) -> f64 {
    let (n, r, low) = reduced(x);
    let sin = (r, sin_tail::<A>(r, low));
    let cos = cos_pair::<A>(r, low);
    let odd = low_bits(n) & 1 == 1;
    let above = if odd { (-cos.0, -cos.1) } else { sin };
    let below = if odd { sin } else { cos };
    let (sum, rest) = fast_two_sum(below.0, below.1);
    let (q, q_rest) = divide::<A>(above, (sum, rest));
    if x == 0.0 { x } else { q + q_rest }
}
