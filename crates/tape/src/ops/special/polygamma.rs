//! The derivatives of the logarithm of the gamma function.

use std::f64::consts::PI;

use super::{polynomial, sin_cos_pi};
use crate::{Binary, Elementary, Unary};

/// The Bernoulli numbers `B2`, `B4`, ...
const BERNOULLI: [f64; 10] = [
    1.0 / 6.0,
    -1.0 / 30.0,
    1.0 / 42.0,
    -1.0 / 30.0,
    5.0 / 66.0,
    -691.0 / 2730.0,
    7.0 / 6.0,
    -3617.0 / 510.0,
    43867.0 / 798.0,
    -174_611.0 / 330.0,
];

/// `1 - x` for negative numbers, where the functions are those of it and of the cotangent; else `x`.
fn reflected<T: Elementary>(x: T) -> T {
    T::select_gt(T::lit(0.0), x, T::lit(1.0) - x, x)
}

/// The digamma function: `ln z - 1 / (2 z) - sum B_2k / (2 k z^2k)` for `z = x + 10`, and back by `psi(x + 1) = psi(x) + 1 / x`.
/// For `x < 0` by `psi(x) = psi(1 - x) - pi cot(pi x)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Digamma;

impl Unary for Digamma {
    const NAME: &'static str = "digamma";
    fn value<T: Elementary>(&self, x: T) -> T {
        const STEPS: u32 = 10;
        let y = reflected(x);
        let mut sum = T::lit(1.0) / y;
        for k in 1..STEPS {
            sum += T::lit(1.0) / (y + T::lit(f64::from(k)));
        }
        let z = y + T::lit(f64::from(STEPS));
        let inverse = T::lit(1.0) / z;
        let square = inverse * inverse;
        let coefficients: [f64; 10] =
            std::array::from_fn(|k| BERNOULLI[k] / (2.0 * (k + 1) as f64));
        let series = T::lit(0.5) * inverse + square * polynomial(square, &coefficients);
        let positive = z.ln() - series - sum;

        let (sin, cos) = sin_cos_pi(x);
        let negative = positive - T::lit(PI) * (cos / sin);
        let negative = T::select_gt(sin.abs(), T::lit(0.0), negative, T::lit(f64::NAN));
        T::select_gt(T::lit(0.0), x, negative, positive)
    }
    fn partial<T: Elementary>(&self, x: T, _: T) -> T {
        x.apply(Polygamma { n: 1 })
    }
}

/// `digamma(a + b) - digamma(a)` for arguments that are not negative, without the difference of equals: it is
///
/// `sum over k < 12 of b / ((a + k) (a + b + k))`
///
/// and the same for `z = a + 12` in place of `a`, by the series of both digammas term by term.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DigammaRise;

impl Binary for DigammaRise {
    const NAME: &'static str = "digamma_rise";
    fn value<T: Elementary>(&self, a: T, b: T) -> T {
        const STEPS: u32 = 12;
        let end = a + b;
        let mut sum = b / a / end;
        for k in 1..STEPS {
            let k = T::lit(f64::from(k));
            sum += b / (a + k) / (end + k);
        }
        let steps = T::lit(f64::from(STEPS));
        let (z, w) = (a + steps, end + steps);
        // With u = 1 / z^2 and v = 1 / w^2, the powers u^k - v^k have the factor u - v.
        let (u, v) = (T::lit(1.0) / (z * z), T::lit(1.0) / (w * w));
        let (mut quotient, mut power) = (T::lit(1.0), T::lit(1.0));
        let mut series = T::lit(0.0);
        for (k, bernoulli) in BERNOULLI[..8].iter().enumerate() {
            series += T::lit(bernoulli / (2.0 * (k + 1) as f64)) * quotient;
            power *= v;
            quotient = quotient * u + power;
        }
        let factor = b / z / w * (T::lit(1.0) / z + T::lit(1.0) / w);
        let rise = sum + (b / z).ln_1p() + T::lit(0.5) * (b / z / w) + factor * series;
        let (zero, nan) = (T::lit(0.0), T::lit(f64::NAN));
        T::select_gt(zero, a, nan, T::select_gt(zero, b, nan, rise))
    }
    fn partial_a<T: Elementary>(&self, a: T, b: T, _: T) -> T {
        (a + b).apply(Polygamma { n: 1 }) - a.apply(Polygamma { n: 1 })
    }
    fn partial_b<T: Elementary>(&self, a: T, b: T, _: T) -> T {
        (a + b).apply(Polygamma { n: 1 })
    }
}

/// The `n`-th derivative of the digamma function. For `x > 0`, with `z = x + m`,
///
/// `(-1)^(n+1) n! (sum over k < m of 1 / (x + k)^(n+1) + z^-n (1/n + 1/(2 z) + sum B_2k (2k+n-1)! / ((2k)! n!) z^-2k))`
///
/// whose terms are almost all positive; for `x < 0` by the derivatives of the cotangent, which are polynomials of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Polygamma {
    pub(crate) n: u32,
}

impl Polygamma {
    /// The absolute value for positive arguments.
    fn size<T: Elementary>(n: u32, y: T) -> T {
        let steps = 10 + n;
        let mut sum = (T::lit(1.0) / y).powi(n as i32 + 1);
        for k in 1..steps {
            sum += (T::lit(1.0) / (y + T::lit(f64::from(k)))).powi(n as i32 + 1);
        }
        let inverse = T::lit(1.0) / (y + T::lit(f64::from(steps)));
        let square = inverse * inverse;
        // (2k + n - 1)! / ((2k)! n!), from one k to the next.
        let mut factor = 1.0 / f64::from(n);
        let coefficients: [f64; 10] = std::array::from_fn(|k| {
            let even = 2.0 * (k + 1) as f64;
            let top = even + f64::from(n) - 1.0;
            factor *= top * (top - 1.0) / (even * (even - 1.0));
            BERNOULLI[k] * factor
        });
        let series = T::lit(1.0 / f64::from(n))
            + T::lit(0.5) * inverse
            + square * polynomial(square, &coefficients);
        (sum + inverse.powi(n as i32) * series) * T::lit(factorial(n))
    }

    /// The coefficients of the `n`-th derivative of `cot t` as a polynomial of `cot t`.
    fn of_cotangent(n: u32) -> Vec<f64> {
        let mut p = vec![0.0, 1.0];
        for _ in 0..n {
            // With c' = -(1 + c^2).
            let mut next = vec![0.0; p.len() + 1];
            for (k, &c) in p.iter().enumerate().skip(1) {
                next[k - 1] -= k as f64 * c;
                next[k + 1] -= k as f64 * c;
            }
            p = next;
        }
        p
    }
}

fn factorial(n: u32) -> f64 {
    (1..=n).map(f64::from).product()
}

impl Unary for Polygamma {
    const NAME: &'static str = "polygamma";
    fn value<T: Elementary>(&self, x: T) -> T {
        let n = self.n;
        if n == 0 {
            return x.apply(Digamma);
        }
        let size = Self::size(n, reflected(x));
        let positive = if n % 2 == 1 { size } else { -size };
        let (sin, cos) = sin_cos_pi(x);
        let cotangent = polynomial(cos / sin, &Self::of_cotangent(n));
        let negative = -size - cotangent * T::lit(PI.powi(n as i32 + 1));
        let pole = T::lit(if n % 2 == 1 { f64::INFINITY } else { f64::NAN });
        let unknown = T::select_gt(sin.abs(), T::lit(-1.0), pole, sin);
        let negative = T::select_gt(sin.abs(), T::lit(0.0), negative, unknown);
        T::select_gt(T::lit(0.0), x, negative, positive)
    }
    fn partial<T: Elementary>(&self, x: T, _: T) -> T {
        x.apply(Polygamma { n: self.n + 1 })
    }
}
