//! Small functions.

use std::f64::consts::{LN_2, PI};

use super::{polynomial, sin_cos_pi};
use crate::primitive::unary;
use crate::{Binary, Elementary, Ternary, Unary};

unary! {
    /// `1 / sqrt(x)`: `dy/dx = -y / (2 x)`.
    Rsqrt "rsqrt" |x, y| T::lit(1.0) / x.sqrt(), T::lit(-0.5) * y / x;
    /// `180 x / pi`.
    ToDegrees "to_degrees" |x, y| x * T::lit(180.0 / PI), T::lit(180.0 / PI);
    /// `pi x / 180`.
    ToRadians "to_radians" |x, y| x * T::lit(PI / 180.0), T::lit(PI / 180.0);
    /// `x - trunc x`: `dy/dx = 1`.
    Fract "fract" |x, y| x - x.trunc(), T::lit(1.0), |g| g;
}

/// `ln a / ln b`: `dy/da = 1 / (a ln b)`, `dy/db = -y / (b ln b)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log;

impl Binary for Log {
    const NAME: &'static str = "log";
    fn value<T: Elementary>(&self, a: T, b: T) -> T {
        a.ln() / b.ln()
    }
    fn partial_a<T: Elementary>(&self, a: T, b: T, _: T) -> T {
        T::lit(1.0) / (a * b.ln())
    }
    fn partial_b<T: Elementary>(&self, _: T, b: T, y: T) -> T {
        -y / (b * b.ln())
    }
}

/// The derivative of some order of `sin(pi x) / (pi x)`.
///
/// With `t = pi x`, the derivatives of `s(t) = sin t / t` obey `t s_n + n s_(n-1) = sin(t + n pi / 2)`, which loses
/// digits for small `t`. There the series of `s_n` converges fast.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sinc {
    pub(crate) order: u32,
}

impl Unary for Sinc {
    const NAME: &'static str = "sinc";

    fn value<T: Elementary>(&self, x: T) -> T {
        let t = T::lit(PI) * x;
        let (sin, cos) = sin_cos_pi(x);
        let mut far = sin / t;
        for n in 1..=self.order {
            let turned = [sin, cos, -sin, -cos][n as usize % 4];
            far = (turned - T::lit(f64::from(n)) * far) / t;
        }
        // The coefficient of t^j is (-1)^k / (j! (2 k + 1)) for 2 k = n + j.
        let odd = self.order % 2;
        let mut factorial = 1.0;
        let mut coefficients = Vec::new();
        for j in 0..2 * (12 + self.order) {
            factorial *= f64::from(j.max(1));
            if j % 2 == odd {
                let k = (self.order + j) / 2;
                let sign = if k % 2 == 1 { -1.0 } else { 1.0 };
                coefficients.push(sign / (factorial * f64::from(2 * k + 1)));
            }
        }
        let series = polynomial(t * t, &coefficients);
        let near = if odd == 1 { t * series } else { series };
        let limit = 1.5 + f64::from(self.order);
        T::select_gt(T::lit(limit), t.abs(), near, far) * T::lit(PI.powi(self.order as i32))
    }

    fn partial<T: Elementary>(&self, x: T, _: T) -> T {
        x.apply(Sinc { order: self.order + 1 })
    }
}

/// `a ln b`: `dy/da = ln b`, `dy/db = a / b`.
///
/// As in the rule of powers, exceptions are made by changing an argument and not by choosing a constant, which
/// would have no derivative. What is put there is NaN for NaN.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Xlogy;

impl Xlogy {
    /// `b`, and 1 where `a` is 0.
    fn argument<T: Elementary>(a: T, b: T) -> T {
        let one = T::lit(1.0) + a.abs();
        T::select_gt(a.abs(), T::lit(0.0), b, T::select_gt(b.abs(), T::lit(-1.0), one, b))
    }
}

impl Binary for Xlogy {
    const NAME: &'static str = "xlogy";
    fn value<T: Elementary>(&self, a: T, b: T) -> T {
        a * Self::argument(a, b).ln()
    }
    fn partial_a<T: Elementary>(&self, a: T, b: T, _: T) -> T {
        T::select_gt(b, T::lit(0.0), b, Self::argument(a, b)).ln()
    }
    fn partial_b<T: Elementary>(&self, a: T, b: T, _: T) -> T {
        let size = a.abs() + b.abs();
        a / T::select_gt(size, T::lit(0.0), b, size + T::lit(1.0))
    }
}

/// `ln(e^a + e^b)`: `dy/da = sigmoid(a - b)`, `dy/db = sigmoid(b - a)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Logaddexp;

impl Logaddexp {
    /// `a - b`; 0 where both are the same infinity.
    fn difference<T: Elementary>(a: T, b: T) -> T {
        let infinite = a.signum() - b.signum();
        let ordered = T::select_gt(a, b, a - b, T::select_gt(b, a, a - b, infinite));
        T::select_gt(T::lit(f64::INFINITY), a.abs(), a - b, ordered)
    }
}

impl Binary for Logaddexp {
    const NAME: &'static str = "logaddexp";
    fn value<T: Elementary>(&self, a: T, b: T) -> T {
        let more = (-(a - b).abs()).exp().ln_1p();
        let same = T::lit(0.5) * a + T::lit(0.5) * b + T::lit(LN_2);
        T::select_gt(a, b, a + more, T::select_gt(b, a, b + more, same))
    }
    fn partial_a<T: Elementary>(&self, a: T, b: T, _: T) -> T {
        Self::difference(a, b).sigmoid()
    }
    fn partial_b<T: Elementary>(&self, a: T, b: T, _: T) -> T {
        Self::difference(b, a).sigmoid()
    }
}

/// `a + t (b - a)`, counted from the nearer end: `dy/da = 1 - t`, `dy/db = t`, `dy/dt = b - a`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lerp;

impl Ternary for Lerp {
    const NAME: &'static str = "lerp";
    fn value<T: Elementary>(&self, a: T, b: T, t: T) -> T {
        let from_end = b - (b - a) * (T::lit(1.0) - t);
        T::select_gt(T::lit(0.5), t, a + t * (b - a), from_end)
    }
    fn partial_a<T: Elementary>(&self, _: T, _: T, t: T, _: T) -> T {
        T::lit(1.0) - t
    }
    fn partial_b<T: Elementary>(&self, _: T, _: T, t: T, _: T) -> T {
        t
    }
    fn partial_c<T: Elementary>(&self, a: T, b: T, _: T, _: T) -> T {
        b - a
    }
}
