//! The hyperbolic functions and their inverses, in double precision.

use super::double::{divide, fast_two_sum, pow2, scale, two_product, two_sum};
use super::exponential::{clamp, reduced};
use super::logarithm::{assemble, ends, ln_1p_pair, split};
use super::{Arithmetic, coefficients, horner, poly};

/// `e^a` and `e^-a` for `a >= 0`, both over `2^n`: the first as a pair; and `n`.
#[inline(always)]
fn both<A: Arithmetic>(a: f64) -> (f64, f64, f64, f64) {
    let (n, r, t) = reduced::<A>(clamp(a, 0.0, 711.0));
    let (high, rest) = fast_two_sum(1.0, r);
    let back = pow2(clamp(-n, -500.0, 0.0));
    (high, rest + t, back * back / (high + t), n)
}

/// Below 1 `x + x^3 P(x^2)` with a minimax polynomial of error 2^-61, else half of `e^x - e^-x`.
#[inline(always)]
pub(super) fn sinh<A: Arithmetic>(x: f64) -> f64 {
    let a = x.abs();
    let z = a * a;
    let p = poly!(
        A,
        z,
        0.16666666666666666,
        0.008333333333333299,
        0.0001984126984132424,
        2.7557319191363643e-06,
        2.505211769941287e-08,
        1.6057679312223042e-10,
        7.746188979486805e-13
    );
    let near = A::fma(a * z, p, a);
    let (high, low, inverse, n) = both::<A>(a);
    let far = scale((high - inverse) + low, n - 1.0);
    (if a < 1.0 { near } else { far }).copysign(x)
}

/// Half of `e^x + e^-x`.
#[inline(always)]
pub(super) fn cosh<A: Arithmetic>(x: f64) -> f64 {
    let (high, low, inverse, n) = both::<A>(x.abs());
    scale((high + inverse) + low, n - 1.0)
}

/// Below 0.6 `x + x^3 P(x^2)` with a minimax polynomial of error 2^-54, else `1 - 2 / (e^(2x) + 1)`.
#[inline(always)]
pub(super) fn tanh<A: Arithmetic>(x: f64) -> f64 {
    let a = clamp(x.abs(), 0.0, 20.0);
    let z = a * a;
    let p = horner::<A, _, _>(z, coefficients::double::TANH);
    let near = A::fma(a * z, p, a);
    let (n, r, t) = reduced::<A>(2.0 * a);
    let power = pow2(n);
    let far = 1.0 - 2.0 / (A::fma(power, r, power + 1.0) + power * t);
    (if a < 0.6 { near } else { far }).copysign(x)
}

/// Below 0.55 `x + x^3 P(x^2)` with a minimax polynomial of error 2^-57, else `ln(x + sqrt(x^2 + 1))`,
/// which is `ln(2 x)` from 10^9 on.
#[inline(always)]
pub(super) fn asinh<A: Arithmetic>(x: f64) -> f64 {
    let a = x.abs();
    let z = a * a;
    let p = poly!(
        A,
        z,
        -0.16666666666666666,
        0.07499999999999449,
        -0.044642857141815526,
        0.03038194436703676,
        -0.02237215609664209,
        0.017352695282836585,
        -0.013963814068969134,
        0.01154144863338221,
        -0.009689521482255478,
        0.008038810709543716,
        -0.006113410305859178,
        0.003616002299503714,
        -0.001168055928703411
    );
    let near = A::fma(a * z, p, a);
    let large = a > 1e9;
    let (sum, rest) = fast_two_sum((z + 1.0).sqrt(), a);
    let (v, c) = if large { (a, 0.0) } else { (sum, rest / sum) };
    let (k, m) = split(v);
    let far = assemble::<A>(if large { k + 1.0 } else { k }, m - 1.0, c);
    (if a < 0.55 { near } else { ends(a, far) }).copysign(x)
}

/// `ln(1 + t + sqrt(t (t + 2)))` with `t = x - 1`, where the root is a pair; `ln(2 x)` from 10^9 on.
#[inline(always)]
pub(super) fn acosh<A: Arithmetic>(x: f64) -> f64 {
    let t = x - 1.0;
    let large = x > 1e9;
    let (factor, factor_low) = two_sum(x, 1.0);
    let (w, w_low) = two_product::<A>(t, factor);
    let s = w.sqrt();
    let (square, error) = two_product::<A>(s, s);
    let rest = (((w - square) - error) + (w_low + t * factor_low)) / (2.0 * s);
    let (high, low) = two_sum(t, s);
    let near = ln_1p_pair::<A>(high, low + rest);
    let (k, m) = split(x);
    let far = assemble::<A>(k + 1.0, m - 1.0, 0.0);
    let y = ends(x, if large { far } else { near });
    let y = if x == 1.0 { 0.0 } else { y };
    if x < 1.0 { f64::NAN } else { y }
}

/// Half of `ln(1 + 2 x / (1 - x))`, where the quotient is a pair.
#[inline(always)]
pub(super) fn atanh<A: Arithmetic>(x: f64) -> f64 {
    let a = x.abs();
    let (q, low) = divide::<A>((2.0 * a, 0.0), fast_two_sum(1.0, -a));
    let y = 0.5 * ln_1p_pair::<A>(q, low);
    let y = if a == 1.0 { f64::INFINITY } else { y };
    let y = if a > 1.0 { f64::NAN } else { y };
    // The smallest numbers, and NaN.
    (if a >= 1e-17 { y } else { a }).copysign(x)
}
