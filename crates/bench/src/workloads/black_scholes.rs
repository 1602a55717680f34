//! S3: the prices of 10,000 call options by Black and Scholes's formula, and all their sensitivities.

use wengert::prelude::*;

use super::gradient::{Expected, Scalars, of_plain};
use crate::measure::Settings;
use crate::report::Report;

/// How many options there are.
pub(crate) const OPTIONS: usize = 10_000;
/// The sum of the prices, and of the absolute sensitivities to S, K, r, sigma, T.
const EXPECTED: Expected<'_> = Expected {
    value: 113_954.775_521,
    norms: &[6_401.117_479, 5_443.541_949, 517_980.689_98, 319_295.997_34, 61_923.935_975],
};

/// The error function, as a rule of one's own: `2 / sqrt(pi)` times the integral of `exp(-t^2)` from 0
/// to `x`.
///
/// Rational approximations of W. J. Cody, "Rational Chebyshev Approximations for the Error Function",
/// Mathematics of Computation 23 (1969): one near 0, and one for its complement.
struct Erf;

impl Unary for Erf {
    const NAME: &'static str = "erf";

    fn value<T: Elementary>(&self, x: T) -> T {
        let magnitude = x.abs();
        let near = T::lit(0.46875);
        // Each branch is kept in its domain, because both are computed.
        let small = T::select_gt(magnitude, near, near, magnitude);
        let large = T::select_gt(magnitude, near, magnitude, near);
        let complement = (-(large * large)).exp() * quotient(large, &FAR);
        let value = T::select_gt(
            magnitude,
            near,
            T::lit(1.0) - complement,
            small * quotient(small * small, &NEAR),
        );
        value.copysign(x)
    }

    fn partial<T: Elementary>(&self, x: T, _y: T) -> T {
        T::lit(std::f64::consts::FRAC_2_SQRT_PI) * (-(x * x)).exp()
    }
}

/// The coefficients of numerator and denominator, the highest power first.
struct Rational<const N: usize> {
    numerator: [f64; N],
    denominator: [f64; N],
}

const NEAR: Rational<5> = Rational {
    numerator: [
        1.857_777_061_846_031_5e-1,
        3.161_123_743_870_565_6,
        1.138_641_541_510_501_6e2,
        3.774_852_376_853_02e2,
        3.209_377_589_138_469_5e3,
    ],
    denominator: [
        1.0,
        2.360_129_095_234_412_2e1,
        2.440_246_379_344_441_7e2,
        1.282_616_526_077_372_3e3,
        2.844_236_833_439_171e3,
    ],
};

const FAR: Rational<9> = Rational {
    numerator: [
        2.153_115_354_744_038_3e-8,
        5.641_884_969_886_701e-1,
        8.883_149_794_388_376,
        6.611_919_063_714_163e1,
        2.986_351_381_974_001e2,
        8.819_522_212_417_69e2,
        1.712_047_612_634_070_7e3,
        2.051_078_377_826_071_6e3,
        1.230_339_354_797_997_2e3,
    ],
    denominator: [
        1.0,
        1.574_492_611_070_983_5e1,
        1.176_939_508_913_125e2,
        5.371_811_018_620_099e2,
        1.621_389_574_566_690_3e3,
        3.290_799_235_733_459_7e3,
        4.362_619_090_143_247e3,
        3.439_367_674_143_721_6e3,
        1.230_339_354_803_749_5e3,
    ],
};

fn quotient<T: Elementary, const N: usize>(x: T, rational: &Rational<N>) -> T {
    let polynomial = |c: &[f64; N]| {
        let (first, rest) = c.split_first().expect("a polynomial has coefficients");
        rest.iter().fold(T::lit(*first), |sum, &c| sum * x + T::lit(c))
    };
    polynomial(&rational.numerator) / polynomial(&rational.denominator)
}

fn normal_cdf<T: Elementary>(z: T) -> T {
    T::lit(0.5) * (T::lit(1.0) + (z * T::lit(std::f64::consts::FRAC_1_SQRT_2)).apply(Erf))
}

/// The price of a call: `s` spot, `k` strike, `r` rate, `sigma` volatility, `t` time.
fn call<T: Elementary>(s: T, k: T, r: T, sigma: T, t: T) -> T {
    let deviation = sigma * t.sqrt();
    let d1 = ((s / k).ln() + (r + T::lit(0.5) * sigma * sigma) * t) / deviation;
    let d2 = d1 - deviation;
    s * normal_cdf(d1) - k * (-r * t).exp() * normal_cdf(d2)
}

/// The sum of all prices; the five inputs stand one after the other, each for all options.
fn prices<T: Elementary>(x: &[T]) -> T {
    let input = |k: usize, i: usize| x[k * OPTIONS + i];
    let price = |i| call(input(0, i), input(1, i), input(2, i), input(3, i), input(4, i));
    (1..OPTIONS).fold(price(0), |sum, i| sum + price(i))
}

/// The five inputs, one after the other, each for all options.
pub(crate) fn inputs() -> Vec<f64> {
    let of: [fn(f64) -> f64; 5] = [
        |i| 100.0 + 10.0 * (0.37 * i).cos(),
        |i| 100.0 + 10.0 * i.sin(),
        |i| 0.05 + 0.01 * (0.37 * i + 1.0).cos(),
        |i| 0.2 + 0.05 * (i + 1.0).sin(),
        |i| 1.0 + 0.5 * (0.37 * i + 2.0).cos(),
    ];
    of.iter().flat_map(|f| (0..OPTIONS).map(move |i| f(i as f64))).collect()
}

/// Runs the workload.
pub(crate) fn run(settings: &Settings) -> Report {
    let point = inputs();
    let x = point.clone();
    let scalars = Scalars { workload: "S3", point, f: |x: &[Var]| prices(x) };
    scalars.run(settings, &EXPECTED, move || prices(&x), of_plain)
}
