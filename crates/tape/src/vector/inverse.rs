//! The inverse trigonometric functions, in double precision.

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};

use super::double::{divide, two_product, two_sum};
use super::{Arithmetic, poly};

/// `pi` is `PI + PI_LOW`; its half and its quarter likewise.
const PI_LOW: f64 = 1.2246467991473532e-16;

/// `z (asin(s) - s) / s^3` for `z = s^2 <= 1/4`: minimax polynomial, error 2^-56.
#[inline(always)]
fn asin_series<A: Arithmetic>(z: f64) -> f64 {
    z * poly!(
        A,
        z,
        0.16666666666666669,
        0.07499999999998246,
        0.04464285714671502,
        0.030381944111486255,
        0.022372173991937087,
        0.017352368698808223,
        0.013971561192651324,
        0.011475856595829429,
        0.010343929955748742,
        0.005368862248790659,
        0.017636788516383315,
        -0.015212438127253425,
        0.028998874125483222
    )
}

/// `s` and `t` with `asin(s) = s + t`: of `s = |x|` up to 1/2, else of `s = sqrt((1 - |x|) / 2)`, for
/// which `asin |x| = pi / 2 - 2 asin(s)`. What the root has rounded away is in `t`.
#[inline(always)]
fn reduced<A: Arithmetic>(x: f64) -> (f64, f64) {
    let a = x.abs();
    let small = a <= 0.5;
    let z = if small { a * a } else { 0.5 - 0.5 * a };
    let root = z.sqrt();
    let (square, error) = two_product::<A>(root, root);
    let rest = ((z - square) - error) / (2.0 * root);
    let s = if small { a } else { root };
    let rest = if small | (z == 0.0) { 0.0 } else { rest };
    (s, A::fma(s, asin_series::<A>(z), rest))
}

#[inline(always)]
pub(super) fn asin<A: Arithmetic>(x: f64) -> f64 {
    let (s, t) = reduced::<A>(x);
    let (sum, rest) = two_sum(FRAC_PI_2, -2.0 * s);
    let far = sum + (rest + (0.5 * PI_LOW - 2.0 * t));
    (if x.abs() <= 0.5 { s + t } else { far }).copysign(x)
}

/// `pi / 2 - asin x` up to 1/2, else `2 asin(s)`, or `pi` less that.
#[inline(always)]
pub(super) fn acos<A: Arithmetic>(x: f64) -> f64 {
    let (s, t) = reduced::<A>(x);
    let small = x.abs() <= 0.5;
    let (start, start_low) = if small {
        (FRAC_PI_2, 0.5 * PI_LOW)
    } else if x < 0.0 {
        (PI, PI_LOW)
    } else {
        (0.0, 0.0)
    };
    // The multiple of asin(s) that is added.
    let factor = if small { -(1.0f64.copysign(x)) } else { 2.0f64.copysign(x) };
    let (sum, rest) = two_sum(start, factor * s);
    sum + (rest + (start_low + factor * t))
}

/// The angle of the point `(d, n)` in the first quadrant, as a pair.
///
/// The point is turned by 0, 45 or 90 degrees so that the tangent of the angle is at most
/// `sqrt 2 - 1`: turning by 45 degrees makes the tangent `(n - d) / (n + d)`, by 90 it is `-d / n`. The
/// quotient is a pair; `(atan(t) - t) / t^3` is a minimax polynomial in `t^2`, error 2^-55.
#[inline(always)]
fn angle<A: Arithmetic>(n: f64, d: f64) -> (f64, f64) {
    const TAN_PI_8: f64 = std::f64::consts::SQRT_2 - 1.0;
    let flat = n <= TAN_PI_8 * d;
    let steep = d < TAN_PI_8 * n;
    let difference = two_sum(n, -d);
    let sum = two_sum(n, d);
    let above = if flat {
        (n, 0.0)
    } else if steep {
        (-d, 0.0)
    } else {
        difference
    };
    let below = if flat {
        (d, 0.0)
    } else if steep {
        (n, 0.0)
    } else {
        sum
    };
    let start = if flat {
        0.0
    } else if steep {
        FRAC_PI_2
    } else {
        FRAC_PI_4
    };
    let (t, low) = divide::<A>(above, below);
    let z = t * t;
    let p = poly!(
        A,
        z,
        -0.3333333333333333,
        0.1999999999999574,
        -0.14285714284708023,
        0.11111111018278907,
        -0.09090904690018037,
        0.07692185570626203,
        -0.06664542263593799,
        0.05858395884800562,
        -0.050866457561253214,
        0.03926372029926645,
        -0.019213408503736262
    );
    let tail = A::fma(t * z, p, low);
    let (high, rest) = two_sum(start, t);
    // The low part of the start is the same multiple of that of pi as its high part.
    (high, rest + A::fma(start, PI_LOW / PI, tail))
}

#[inline(always)]
pub(super) fn atan<A: Arithmetic>(x: f64) -> f64 {
    // From 2^60 on the result is pi / 2, and infinities would make NaN.
    let a = x.abs();
    let a = if a > 1e18 { 1e18 } else { a };
    let (high, low) = angle::<A>(a, 1.0);
    (high + low).copysign(x)
}

/// Where [`atan2`] neither overflows nor underflows: zero, or of middling size.
#[inline(always)]
pub(super) fn is_coordinate(x: f64) -> bool {
    let a = x.abs();
    (a == 0.0) | (1e-150..=1e150).contains(&a)
}

#[inline(always)]
pub(super) fn atan2<A: Arithmetic>(y: f64, x: f64) -> f64 {
    let (n, d) = (y.abs(), x.abs());
    // The angle of the origin is that of the axis.
    let d = if (n == 0.0) & (d == 0.0) { 1.0 } else { d };
    let (high, low) = angle::<A>(n, d);
    let (turned, rest) = two_sum(PI, -high);
    let left = x.is_sign_negative();
    (if left { turned + (rest + (PI_LOW - low)) } else { high + low }).copysign(y)
}
