//! The normal distribution and the inverse of the error function.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use super::polynomial;
use crate::{Elementary, Unary};

/// `1 / sqrt(2 pi)`.
const DENSITY: f64 = 0.398_942_280_401_432_7;

/// `sqrt(2 pi)`.
const SQRT_2_PI: f64 = 2.506_628_274_631_000_7;

/// `sqrt(pi) / 2`.
const HALF_SQRT_PI: f64 = 0.886_226_925_452_758;

/// Beyond it the density has underflowed in every precision.
const FAR: f64 = 40.0;

/// `e^(-x^2 / 2) / sqrt(2 pi)`: `dy/dx = -x y`.
///
/// The square of an `x` rounded to sixteenths is exact, so the exponential of it has no error from that of
/// its argument; the rest is a small argument.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NormPdf;

impl Unary for NormPdf {
    const NAME: &'static str = "norm_pdf";
    fn value<T: Elementary>(&self, x: T) -> T {
        let x = x.clamp(T::lit(-FAR), T::lit(FAR));
        let coarse = (x * T::lit(16.0)).round() * T::lit(1.0 / 16.0);
        let rest = (x - coarse) * (x + coarse);
        let exponentials = (coarse * coarse * T::lit(-0.5)).exp() * (rest * T::lit(-0.5)).exp();
        exponentials * T::lit(DENSITY)
    }
    fn partial<T: Elementary>(&self, x: T, y: T) -> T {
        -x.clamp(T::lit(-FAR), T::lit(FAR)) * y
    }
}

/// `erfc(-x / sqrt 2) / 2`: `dy/dx` is the density.
///
/// Far out the value is sensitive to the rounding of `x / sqrt 2`, so what that has lost is put back by the
/// derivative.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NormCdf;

impl Unary for NormCdf {
    const NAME: &'static str = "norm_cdf";
    fn value<T: Elementary>(&self, x: T) -> T {
        // A factor that single precision represents, and the rest of `1 / sqrt 2`.
        const HIGH: f64 = 0.707_106_769_084_930_4;
        const LOW: f64 = 1.210_161_710_447_897e-8;
        let x = x.clamp(T::lit(-FAR), T::lit(FAR));
        let t = x * T::lit(-FRAC_1_SQRT_2);
        let lost = x.mul_add(T::lit(-HIGH), -t) + x * T::lit(-LOW);
        let slope = (-(t * t)).exp() * T::lit(FRAC_2_SQRT_PI);
        T::lit(0.5) * (t.erfc() - slope * lost)
    }
    fn partial<T: Elementary>(&self, x: T, _: T) -> T {
        x.apply(NormPdf)
    }
}

/// The quantile at which the distribution function is: `dy/dp = sqrt(2 pi) e^(y^2 / 2)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NormQuantile;

impl Unary for NormQuantile {
    const NAME: &'static str = "norm_quantile";
    fn value<T: Elementary>(&self, p: T) -> T {
        let q = p - T::lit(0.5);
        quantile(q, T::select_gt(q, T::lit(0.0), T::lit(1.0) - p, p))
    }
    fn partial<T: Elementary>(&self, _: T, y: T) -> T {
        (y * y * T::lit(0.5)).exp() * T::lit(SQRT_2_PI)
    }
}

/// The inverse of the error function, `quantile((1 + x) / 2) / sqrt 2`: `dy/dx = sqrt(pi) / 2 e^(y^2)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Erfinv;

impl Unary for Erfinv {
    const NAME: &'static str = "erfinv";
    fn value<T: Elementary>(&self, x: T) -> T {
        let tail = (T::lit(1.0) - x.abs()) * T::lit(0.5);
        quantile(x * T::lit(0.5), tail) * T::lit(FRAC_1_SQRT_2)
    }
    fn partial<T: Elementary>(&self, _: T, y: T) -> T {
        (y * y).exp() * T::lit(HALF_SQRT_PI)
    }
}

/// The quantile from `q = p - 1/2` and the smaller one of `p` and `1 - p` (Wichura 1988, algorithm AS 241, PPND16).
fn quantile<T: Elementary>(q: T, tail: T) -> T {
    const A: [f64; 8] = [
        3.387_132_872_796_366_5,
        133.141_667_891_784_38,
        1_971.590_950_306_551_3,
        13_731.693_765_509_46,
        45_921.953_931_549_87,
        67_265.770_927_008_7,
        33_430.575_583_588_13,
        2_509.080_928_730_122_7,
    ];
    const B: [f64; 8] = [
        1.0,
        42.313_330_701_600_91,
        687.187_007_492_057_9,
        5_394.196_021_424_751,
        21_213.794_301_586_597,
        39_307.895_800_092_71,
        28_729.085_735_721_943,
        5_226.495_278_852_854,
    ];
    const C: [f64; 8] = [
        1.423_437_110_749_683_7,
        4.630_337_846_156_546,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        0.241_780_725_177_450_6,
        0.022_723_844_989_269_184,
        0.000_774_545_014_278_341_4,
    ];
    const D: [f64; 8] = [
        1.0,
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        0.689_767_334_985_1,
        0.148_103_976_427_480_08,
        0.015_198_666_563_616_457,
        0.000_547_593_808_499_534_5,
        1.050_750_071_644_416_9e-9,
    ];
    const E: [f64; 8] = [
        6.657_904_643_501_104,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        0.296_560_571_828_504_87,
        0.026_532_189_526_576_124,
        0.001_242_660_947_388_078_4,
        2.711_555_568_743_487_6e-5,
        2.010_334_399_292_288_1e-7,
    ];
    const F: [f64; 8] = [
        1.0,
        0.599_832_206_555_888,
        0.136_929_880_922_735_8,
        0.014_875_361_290_850_615,
        0.000_786_869_131_145_613_3,
        1.846_318_317_510_054_8e-5,
        1.421_511_758_316_446e-7,
        2.044_263_103_389_939_7e-15,
    ];
    let ratio = |x: T, above: &[f64], below: &[f64]| polynomial(x, above) / polynomial(x, below);
    let center = q * ratio(T::lit(0.180_625) - q * q, &A, &B);
    let r = (-tail.ln()).sqrt();
    let near = ratio(r - T::lit(1.6), &C, &D);
    // At a probability of 0 the quotient of the polynomials would be of infinities.
    let far = ratio(T::select_gt(T::lit(1e3), r, r, T::lit(1e3)) - T::lit(5.0), &E, &F);
    let far = T::select_gt(r, T::lit(1e3), r, far);
    let size = T::select_gt(r, T::lit(5.0), far, near);
    // A probability outside of [0, 1] has no logarithm, and NaN is not greater than anything.
    let outer = T::select_gt(q, T::lit(0.0), size, -size);
    T::select_gt(q.abs(), T::lit(0.425), outer, center)
}
