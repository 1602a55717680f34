//! The gamma function and what is made of it.

use std::f64::consts::PI;

use super::polygamma::{Digamma, DigammaRise};
use super::{polynomial, sin_cos_pi};
use crate::{Binary, Elementary, Unary};

/// `sqrt(2 pi)`.
const SQRT_2_PI: f64 = 2.506_628_274_631_000_7;

/// `ln sqrt(2 pi)`.
const LN_SQRT_2_PI: f64 = 0.918_938_533_204_672_7;

/// From here on Stirling's series is taken.
const LARGE: f64 = 12.0;

/// `(1 / gamma(1 + z) - 1) / z` for `|z| <= 1/2`: the coefficients of its Taylor series (Wrench 1968, "Concerning
/// two series for the gamma function"), computed anew.
fn reciprocal<T: Elementary>(z: T) -> T {
    const SERIES: [f64; 20] = [
        0.577_215_664_901_532_9,
        -0.655_878_071_520_253_9,
        -0.042_002_635_034_095_24,
        0.166_538_611_382_291_48,
        -0.042_197_734_555_544_34,
        -0.009_621_971_527_876_975,
        0.007_218_943_246_663_1,
        -0.001_165_167_591_859_065,
        -0.000_215_241_674_114_950_98,
        0.000_128_050_282_388_116_2,
        -2.013_485_478_078_824e-5,
        -1.250_493_482_142_670_6e-6,
        1.133_027_231_981_696e-6,
        -2.056_338_416_977_607e-7,
        6.116_095_104_481_416e-9,
        5.002_007_644_469_223e-9,
        -1.181_274_570_487_02e-9,
        1.043_426_711_691_100_5e-10,
        7.782_263_439_905_071e-12,
        -3.696_805_618_642_206e-12,
    ];
    polynomial(z, &SERIES)
}

/// What Stirling's formula for `ln gamma` leaves: `1/(12 a) - 1/(360 a^3) + ...`, for large `a`.
fn correction<T: Elementary>(a: T) -> T {
    const SERIES: [f64; 8] = [
        1.0 / 12.0,
        -1.0 / 360.0,
        1.0 / 1260.0,
        -1.0 / 1680.0,
        1.0 / 1188.0,
        -691.0 / 360_360.0,
        1.0 / 156.0,
        -3617.0 / 122_400.0,
    ];
    let inverse = T::lit(1.0) / a;
    inverse * polynomial(inverse * inverse, &SERIES)
}

/// For `1/2 <= a < 12`: `(y, p)` with `gamma(a) = p gamma(y)` and `y` in `[1/2, 3/2)`. The differences
/// are exact.
fn reduced<T: Elementary>(a: T) -> (T, T) {
    let (mut y, mut product) = (a, T::lit(1.0));
    for _ in 0..11 {
        let less = y - T::lit(1.0);
        let again = |yes: T, no: T| T::select_gt(y, T::lit(1.5), yes, no);
        product = again(product * less, product);
        y = again(less, y);
    }
    (y, product)
}

/// `gamma(a)` as a product of two, for `a > 0`: it may overflow where a quotient by it does not.
fn gamma_of_positive<T: Elementary>(a: T) -> (T, T) {
    let (y, product) = reduced(a);
    let tiny = |yes: T, no: T| T::select_gt(T::lit(0.5), a, yes, no);
    let z = tiny(a, y - T::lit(1.0));
    let small = tiny(T::lit(1.0) / a, product) / (T::lit(1.0) + z * reciprocal(z));

    // sqrt(2 pi) a^(a - 1/2) e^-a: the root of the power, because the whole would overflow too soon, and the
    // fourth root of the exponential, because infinity times 0 is NaN. Far out it is infinite in any case.
    let b = T::select_gt(a, T::lit(180.0), T::lit(180.0), a);
    let root = b.powf(T::lit(0.5) * b - T::lit(0.25));
    let quarter = (T::lit(-0.25) * b).exp();
    let large = root * quarter * quarter * quarter * quarter;
    let large = large * (correction(b).exp() * T::lit(SQRT_2_PI));
    let is_small = |yes: T, no: T| T::select_gt(T::lit(LARGE), a, yes, no);
    (is_small(small, large), is_small(T::lit(1.0), root))
}

/// `ln gamma(a)` for `a > 0`, with its digits near the zeros 1 and 2.
fn ln_gamma_of_positive<T: Elementary>(a: T) -> T {
    let (y, product) = reduced(a);
    let tiny = |yes: T, no: T| T::select_gt(T::lit(0.5), a, yes, no);
    let z = tiny(a, y - T::lit(1.0));
    let ln = tiny(a, product).ln();
    let small = tiny(-ln, ln) - (z * reciprocal(z)).ln_1p();
    let half = T::lit(0.5);
    let large = (a - half) * (a.ln() - T::lit(1.0)) + T::lit(LN_SQRT_2_PI - 0.5) + correction(a);
    T::select_gt(T::lit(LARGE), a, small, large)
}

/// The gamma function: `dy/dx = y digamma(x)`. For `x < 0` by `gamma(x) gamma(-x) = -pi / (x sin(pi x))`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gamma;

impl Unary for Gamma {
    const NAME: &'static str = "gamma";
    fn value<T: Elementary>(&self, x: T) -> T {
        let a = x.abs();
        let (first, second) = gamma_of_positive(a);
        let (sin, _) = sin_cos_pi(x);
        let reflected = T::lit(-PI) / (x * sin * first) / second;
        let negative = T::select_gt(sin.abs(), T::lit(0.0), reflected, T::lit(f64::NAN));
        let positive = T::select_gt(a, T::lit(0.0), first * second, T::lit(1.0) / x);
        T::select_gt(T::lit(0.0), x, negative, positive)
    }
    fn partial<T: Elementary>(&self, x: T, y: T) -> T {
        y * x.apply(Digamma)
    }
}

/// `ln |gamma(x)|`: `dy/dx = digamma(x)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LnGamma;

impl Unary for LnGamma {
    const NAME: &'static str = "ln_gamma";
    fn value<T: Elementary>(&self, x: T) -> T {
        let a = x.abs();
        let positive = ln_gamma_of_positive(a);
        let (sin, _) = sin_cos_pi(x);
        let reflected = T::lit(PI.ln()) - sin.abs().ln() - a.ln() - positive;
        let negative = T::select_gt(T::lit(f64::INFINITY), a, reflected, a);
        T::select_gt(T::lit(0.0), x, negative, positive)
    }
    fn partial<T: Elementary>(&self, x: T, _: T) -> T {
        x.apply(Digamma)
    }
}

/// `ln gamma(a) + ln gamma(b) - ln gamma(a + b)`: `dy/da = digamma(a) - digamma(a + b)`.
///
/// Where the larger argument is large, the difference is taken inside of Stirling's series, as in Didonato and Morris
/// 1992, "Algorithm 708".
#[derive(Clone, Copy, Debug)]
pub(crate) struct LnBeta;

impl Binary for LnBeta {
    const NAME: &'static str = "ln_beta";
    fn value<T: Elementary>(&self, a: T, b: T) -> T {
        let small = T::select_gt(a, b, b, a);
        let large = T::select_gt(a, b, a, b);
        let sum = a + b;
        let both_small =
            ln_gamma_of_positive(small) + ln_gamma_of_positive(large) - ln_gamma_of_positive(sum);

        let half = T::lit(0.5);
        let ratio = (small / large).ln_1p();
        let corrections = correction(sum) - correction(large);
        let difference = (large - half) * ratio + (small * sum.ln() - small) + corrections;
        let one_large = ln_gamma_of_positive(small) - difference;

        // small ln(small / sum), as a small argument of ln_1p where the two are far apart.
        let share = small * (large / small).ln_1p();
        let both_large = T::lit(LN_SQRT_2_PI) - half * small.ln() - (large - half) * ratio - share
            + correction(small)
            - corrections;
        let of_large = T::select_gt(T::lit(LARGE), small, one_large, both_large);
        let value = T::select_gt(T::lit(LARGE), large, both_small, of_large);
        let at_edge =
            T::select_gt(T::lit(0.0), small, T::lit(f64::NAN), small + T::lit(f64::INFINITY));
        T::select_gt(small, T::lit(0.0), value, at_edge)
    }
    fn partial_a<T: Elementary>(&self, a: T, b: T, _: T) -> T {
        -a.apply2(b, DigammaRise)
    }
    fn partial_b<T: Elementary>(&self, a: T, b: T, _: T) -> T {
        -b.apply2(a, DigammaRise)
    }
}

/// `gamma(a) gamma(b) / gamma(a + b)`: `dy/da = y (digamma(a) - digamma(a + b))`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beta;

impl Binary for Beta {
    const NAME: &'static str = "beta";
    fn value<T: Elementary>(&self, a: T, b: T) -> T {
        let sum = a + b;
        let gamma = |x: T| gamma_of_positive(x).0;
        let direct = gamma(a) / gamma(sum) * gamma(b);
        let by_logarithm = a.apply2(b, LnBeta).exp();
        // The quotient only where all three are of the small kind, whose second factor is 1.
        let fits = T::select_gt(
            a,
            T::lit(0.0),
            T::select_gt(b, T::lit(0.0), sum, T::lit(LARGE)),
            T::lit(LARGE),
        );
        T::select_gt(T::lit(LARGE), fits, direct, by_logarithm)
    }
    fn partial_a<T: Elementary>(&self, a: T, b: T, y: T) -> T {
        -(y * a.apply2(b, DigammaRise))
    }
    fn partial_b<T: Elementary>(&self, a: T, b: T, y: T) -> T {
        -(y * b.apply2(a, DigammaRise))
    }
}
