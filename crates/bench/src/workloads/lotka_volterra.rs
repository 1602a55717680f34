//! S4: a long chain of few numbers: 100,000 steps of Runge and Kutta's method on the equations of Lotka
//! and Volterra, differentiated by four parameters and two initial values.

use wengert::prelude::*;

use super::gradient::{Expected, Scalars, of_plain};
use crate::measure::Settings;
use crate::report::Report;

const STEPS: usize = 100_000;
const H: f64 = 1e-4;
const POINT: [f64; 6] = [1.5, 1.0, 3.0, 1.0, 1.0, 1.0];
const EXPECTED: Expected<'_> = Expected {
    value: 1.936_035_845_71,
    norms: &[
        4.096_212_993_658,
        0.509_408_811_911,
        1.145_834_886_43,
        1.804_327_868_767,
        0.777_983_101_191_9,
        0.400_282_266_222_5,
    ],
};

/// `x' = alpha x - beta x y`, `y' = delta x y - gamma y`.
fn slope<T: Elementary>([alpha, beta, gamma, delta]: [T; 4], (x, y): (T, T)) -> (T, T) {
    (alpha * x - beta * x * y, delta * x * y - gamma * y)
}

/// The sum of both numbers at the end.
fn solve<T: Elementary>(p: &[T]) -> T {
    let parameters = [p[0], p[1], p[2], p[3]];
    let (half, whole, sixth) = (T::lit(0.5 * H), T::lit(H), T::lit(H / 6.0));
    let two = T::lit(2.0);
    let (mut x, mut y) = (p[4], p[5]);
    for _ in 0..STEPS {
        let k1 = slope(parameters, (x, y));
        let k2 = slope(parameters, (x + half * k1.0, y + half * k1.1));
        let k3 = slope(parameters, (x + half * k2.0, y + half * k2.1));
        let k4 = slope(parameters, (x + whole * k3.0, y + whole * k3.1));
        x += sixth * (k1.0 + two * k2.0 + two * k3.0 + k4.0);
        y += sixth * (k1.1 + two * k2.1 + two * k3.1 + k4.1);
    }
    x + y
}

/// Runs the workload.
pub(crate) fn run(settings: &Settings) -> Report {
    let plain = || solve(&std::hint::black_box(POINT));
    let scalars = Scalars { workload: "S4", point: POINT.to_vec(), f: |x: &[Var]| solve(x) };
    scalars.run(settings, &EXPECTED, plain, of_plain)
}
