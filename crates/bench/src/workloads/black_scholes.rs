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

fn normal_cdf<T: Elementary>(z: T) -> T {
    T::lit(0.5) * (T::lit(1.0) + (z * T::lit(std::f64::consts::FRAC_1_SQRT_2)).erf())
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
