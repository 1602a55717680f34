//! Roots and powers, in double precision.

use super::coefficients::double::{LN2_HIGH, LN2_LOW};
use super::double::{fast_two_sum, nearest, pow2, scale, two_product, two_sum};
use super::exponential::{clamp, reduced};
use super::logarithm::split;
use super::{Arithmetic, poly, rounding};

/// `x = 2^(3j + i) m` with `m` in `[sqrt(1/2), sqrt 2)`: the root of `2^i m` from a polynomial of error
/// 2^-16, a step of Halley and a step of Newton with the exact residual.
#[inline(always)]
pub(super) fn cbrt<A: Arithmetic>(x: f64) -> f64 {
    let a = x.abs();
    let (k, m) = split(a);
    let j = nearest((k - 1.0) * (1.0 / 3.0));
    let i = k - 3.0 * j;
    let guess = poly!(
        A,
        m,
        0.4516668735250697,
        0.9048188350599018,
        -0.5356311276828938,
        0.21693795608485308,
        -0.037788292866494336
    );
    // The cube roots of 2 and 4.
    let factor = if i < 0.5 {
        1.0
    } else if i < 1.5 {
        1.2599210498948732
    } else {
        1.5874010519681996
    };
    let target = m * pow2(i);
    let t = guess * factor;
    let cube = t * t * t;
    let d = 1.0 / (2.0 * cube + target);
    let t = A::fma(t * (target - cube), d, t);
    let (square, square_low) = two_product::<A>(t, t);
    let (cube, cube_low) = two_product::<A>(square, t);
    let residual = (cube - target) + A::fma(square_low, t, cube_low);
    // 1 / (3 t^2) = t / (3 t^3), and `d` is close to 1 / (3 t^3).
    let y = (t - residual * (t * d)) * pow2(j);
    (if (a > 0.0) & (a < f64::INFINITY) { y } else { a }).copysign(x)
}

/// The root of the sum of the squares, scaled where they would overflow or lose digits.
#[inline(always)]
pub(super) fn hypot(x: f64, y: f64) -> f64 {
    const UP: f64 = f64::from_bits((1023 + 600) << 52);
    const DOWN: f64 = f64::from_bits((1023 - 600) << 52);
    let (x, y) = (x.abs(), y.abs());
    let large = if x > y { x } else { y };
    let (to, from) = if large > 1e150 {
        (DOWN, UP)
    } else if large < 1e-130 {
        (UP, DOWN)
    } else {
        (1.0, 1.0)
    };
    let (a, b) = (x * to, y * to);
    let r = (a * a + b * b).sqrt() * from;
    // Infinity wins over NaN.
    if (x == f64::INFINITY) | (y == f64::INFINITY) { f64::INFINITY } else { r }
}

/// [`hypot`] for single precision: doubles hold the squares.
#[inline(always)]
pub(super) fn hypot_single(x: f32, y: f32) -> f32 {
    let (a, b) = (f64::from(x), f64::from(y));
    let r = (a * a + b * b).sqrt() as f32;
    let infinite = (x.abs() == f32::INFINITY) | (y.abs() == f32::INFINITY);
    if infinite { f32::INFINITY } else { r }
}

/// `ln a` as a pair with some 65 bits, for finite `a > 0`.
///
/// As in `logarithm`, `ln m = 2 atanh(s)`, here as `2 s + s (2/3 z + z^2 Q(z))` with `z = s^2`, where `s`
/// and the first term of the series are pairs and `Q` is a minimax polynomial of error 2^-58.
#[inline(always)]
fn ln_pair<A: Arithmetic>(a: f64) -> (f64, f64) {
    const TWO_THIRDS_LOW: f64 = 3.700743415417188e-17;
    let (k, m) = split(a);
    let f = m - 1.0;
    let (s, s_low) = super::double::divide::<A>((f, 0.0), two_sum(m, 1.0));
    let (z, error) = two_product::<A>(s, s);
    let z_low = A::fma(2.0 * s, s_low, error);
    let q = poly!(
        A,
        z,
        0.4,
        0.2857142857142938,
        0.2222222222164818,
        0.181818183370346,
        0.1538459479629481,
        0.13334813317048047,
        0.11706014884419476,
        0.11725409493632094
    );
    let (b, b_error) = two_product::<A>(z, 2.0 / 3.0);
    let b_low = b_error + (z * TWO_THIRDS_LOW + z_low * (2.0 / 3.0));
    let (b, rest) = fast_two_sum(b, z * z * q);
    let b_low = b_low + rest;
    let (p, p_error) = two_product::<A>(s, b);
    let p_low = p_error + (s * b_low + s_low * b);
    let (high, rest) = fast_two_sum(2.0 * s, p);
    let low = rest + (p_low + 2.0 * s_low);
    let (sum, rest) = two_sum(k * LN2_HIGH, high);
    fast_two_sum(sum, rest + A::fma(k, LN2_LOW, low))
}

/// `e^(y ln |x|)` with the exponent as a pair, and the sign and the zeros put in afterwards; for finite
/// arguments.
#[inline(always)]
pub(super) fn powf<A: Arithmetic>(x: f64, y: f64) -> f64 {
    let a = x.abs();
    let (ln, ln_low) = ln_pair::<A>(if a == 0.0 { 1.0 } else { a });
    // More would overflow in the products, and cannot be told apart: |ln| is 0 or above 10^-16.
    let exponent = clamp(y, -1e20, 1e20);
    let (p, p_error) = two_product::<A>(exponent, ln);
    let low = A::fma(exponent, ln_low, p_error);
    let (n, r, t) = reduced::<A>(clamp(p, -746.0, 710.0));
    let (high, rest) = fast_two_sum(1.0, r);
    let low = if p.abs() < 800.0 { low } else { 0.0 };
    let power = scale(high + (rest + A::fma(low, high + t, t)), n);
    finish::<A>(x, y, power)
}

/// [`powf`] from the power of `|x|`; what it is for `x = 0` is of no account.
#[inline(always)]
fn finish<A: Arithmetic>(x: f64, y: f64, power: f64) -> f64 {
    let of_zero = if y > 0.0 { 0.0 } else { f64::INFINITY };
    let power = if x == 0.0 { of_zero } else { power };
    let half = 0.5 * y;
    let integer = rounding::trunc_f64::<A>(y) == y;
    let odd = integer & (rounding::trunc_f64::<A>(half) != half);
    let power = if odd { power.copysign(x) } else { power };
    let power = if (x < 0.0) & !integer { f64::NAN } else { power };
    if (y == 0.0) | (x == 1.0) { 1.0 } else { power }
}

/// [`powf`] for single precision: in doubles the logarithm needs no second part.
#[inline(always)]
pub(super) fn powf_single<A: Arithmetic>(x: f32, y: f32) -> f32 {
    let (x, y) = (f64::from(x), f64::from(y));
    let a = x.abs();
    let power = super::exponential::exp::<A>(y * super::logarithm::ln::<A>(a));
    finish::<A>(x, y, power) as f32
}
