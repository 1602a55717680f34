//! Sums, products, quotients and powers.

use super::{binary, unary};
use crate::{Elementary, Ternary, Unary};

binary! {
    /// `a + b`.
    Add "add" |g, a, b, y| a + b, g, g;
    /// `a - b`.
    Sub "sub" |g, a, b, y| a - b, g, -g;
    /// `a * b`.
    Mul "mul" |g, a, b, y| a * b, g * b, g * a;
    /// `a / b`: `dy/da = 1/b`, `dy/db = -y/b`.
    Div "div" |g, a, b, y| a / b, g / b, -(g / b * y);
    /// `a - b q` with the integer `q = trunc(a / b)` of the exact quotient: `dy/da = 1`, `dy/db = -q`.
    /// The rounded quotient may be on the other side of an integer, so `q` is taken from the value.
    Rem "rem" |g, a, b, y| a % b, g, -(g * ((a - y) / b).round());
    /// `a^b`: `dy/da = b a^(b-1)`, which is 0 for `a = b = 0`; `dy/db = y ln a`, which is 0 for
    /// `a = 0`.
    ///
    /// The exceptions are made by changing an argument and not by choosing a constant: a constant
    /// would have no derivative, and `b a^(b-1)` has one at `b = 0`. What is put there instead of 0 is
    /// NaN for NaN.
    Powf "powf" |g, a, b, y| a.powf(b),
        g * (b * T::select_gt(
            a.abs() + b.abs(),
            T::lit(0.0),
            a,
            a.abs() + b.abs() + T::lit(1.0),
        ).powf(b - T::lit(1.0))),
        g * (y * T::select_gt(a.abs(), T::lit(0.0), a, a.abs() + T::lit(1.0)).ln());
    /// `sqrt(a^2 + b^2)`: `dy/da = a/y`, `dy/db = b/y`. At the origin `y` counts as infinite, so that all
    /// derivatives are 0 there.
    Hypot "hypot" |g, a, b, y| a.hypot(b),
        g * (a / T::select_gt(y, T::lit(0.0), y, y + T::lit(f64::INFINITY))),
        g * (b / T::select_gt(y, T::lit(0.0), y, y + T::lit(f64::INFINITY)));
}

unary! {
    /// `-x`.
    Neg "neg" |x, y| -x, T::lit(-1.0), |g| -g;
    /// `1 / x`: `dy/dx = -y^2`.
    Recip "recip" |x, y| x.recip(), -(y * y);
    /// `sqrt(x)`: `dy/dx = 1 / (2 y)`.
    Sqrt "sqrt" |x, y| x.sqrt(), T::lit(0.5) / y, |g| T::lit(0.5) * g / y;
    /// `cbrt(x)`: `dy/dx = 1 / (3 y^2)`.
    Cbrt "cbrt" |x, y| x.cbrt(), T::lit(1.0) / (T::lit(3.0) * (y * y));
    /// `x` itself; used to broadcast.
    Copy "copy" |x, y| x, T::lit(1.0), |g| g;
}

/// `x^n` for an integer `n`: `dy/dx = n x^(n-1)`, which is 0 for `n = 0`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Powi {
    pub(crate) n: i32,
}

impl Unary for Powi {
    const NAME: &'static str = "powi";
    #[inline(always)]
    fn value<T: Elementary>(&self, x: T) -> T {
        x.powi(self.n)
    }
    #[inline(always)]
    fn partial<T: Elementary>(&self, x: T, y: T) -> T {
        match self.n {
            0 => T::lit(0.0),
            1 => T::lit(1.0),
            2 => T::lit(2.0) * x,
            // `n - 1` does not exist.
            i32::MIN => T::lit(f64::from(self.n)) * (y / x),
            n => T::lit(f64::from(n)) * x.powi(n - 1),
        }
    }
    #[inline(always)]
    fn pull<T: Elementary>(&self, g: T, x: T, y: T) -> T {
        // A constant has derivative 0 even where the cotangent is infinite.
        if self.n == 0 { T::lit(0.0) } else { g * self.partial(x, y) }
    }
}

/// `a * b + c` with one rounding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MulAdd;

impl Ternary for MulAdd {
    const NAME: &'static str = "mul_add";
    #[inline(always)]
    fn value<T: Elementary>(&self, a: T, b: T, c: T) -> T {
        a.mul_add(b, c)
    }
    #[inline(always)]
    fn partial_a<T: Elementary>(&self, _a: T, b: T, _c: T, _y: T) -> T {
        b
    }
    #[inline(always)]
    fn partial_b<T: Elementary>(&self, a: T, _b: T, _c: T, _y: T) -> T {
        a
    }
    #[inline(always)]
    fn partial_c<T: Elementary>(&self, _a: T, _b: T, _c: T, _y: T) -> T {
        T::lit(1.0)
    }
}
