//! The one vocabulary in which elementwise rules are written.

#[cfg(feature = "cases")]
pub(crate) mod cases;

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Rem, Sub, SubAssign};

use crate::ops::activation::*;
use crate::ops::special::*;
use crate::rule::{Binary, Ternary, Unary};
use crate::{Real, TensorVar, Var};

pub(crate) mod sealed {
    /// Closes [`Elementary`](super::Elementary) and [`Real`](crate::Real) to other crates, so that
    /// methods may be added without breaking anyone.
    pub trait Sealed {}
}

/// The methods of [`Elementary`] that apply a rule.
macro_rules! provided {
    ($($(#[$meta:meta])* $method:ident($($operand:ident),*) [$($constant:ident: $type:ty),*] => $apply:ident($($call:tt)*);)*) => { $(
        $(#[$meta])*
        #[track_caller]
        fn $method(self $(, $operand: Self)* $(, $constant: $type)*) -> Self {
            self.$apply($($call)*)
        }
    )* };
}

/// A number, a recorded number, or a whole recorded tensor: what elementwise mathematics is written
/// against.
///
/// It is implemented by `f32`, `f64`, [`Var`](crate::Var), [`TensorVar`](crate::TensorVar) and
/// [`Symbol`](crate::Symbol). A function generic over `T: Elementary` is the plain function, the
/// function recorded on scalars and the function recorded on tensors at once:
///
/// ```
/// use tape::{Elementary, Tape, Tensor};
///
/// fn pseudo_huber<T: Elementary>(r: T) -> T {
///     (r * r + T::lit(1.0)).sqrt() - T::lit(1.0)
/// }
///
/// let tape = Tape::new();
/// assert_eq!(pseudo_huber(0.0), 0.0);
/// assert_eq!(pseudo_huber(tape.var(0.0)).value(), 0.0);
/// assert_eq!(pseudo_huber(tape.tensor([0.0, 0.0])).value(), Tensor::from([0.0, 0.0]));
/// ```
///
/// There is no comparison on purpose: a rule that looked at a value would be right for that value
/// alone. A branch is written with [`select_gt`](Elementary::select_gt), which is recorded like
/// every other operation. Constants are written `T::lit(2.0)`.
///
/// Methods keep the names and the meaning that Rust's floats give them; so `signum(0.0)` is 1.
pub trait Elementary:
    sealed::Sealed
    + Copy
    + Debug
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Rem<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
{
    /// The constant `c`; it belongs to no tape and has no derivative.
    fn lit(c: f64) -> Self;

    /// `|x|`; its derivative at 0 is 0.
    fn abs(self) -> Self;
    /// The sign of `x` as 1 or -1 (1 for +0, -1 for -0); its derivative is 0.
    fn signum(self) -> Self;
    /// `1 / x`.
    fn recip(self) -> Self;
    /// The square root; its derivative at 0 is infinite.
    fn sqrt(self) -> Self;
    /// The cube root; its derivative at 0 is infinite.
    fn cbrt(self) -> Self;
    /// `e^x`.
    fn exp(self) -> Self;
    /// `2^x`.
    fn exp2(self) -> Self;
    /// `e^x - 1`, accurate near 0.
    fn exp_m1(self) -> Self;
    /// The natural logarithm.
    fn ln(self) -> Self;
    /// `ln(1 + x)`, accurate near 0.
    fn ln_1p(self) -> Self;
    /// The logarithm to base 2.
    fn log2(self) -> Self;
    /// The logarithm to base 10.
    fn log10(self) -> Self;
    /// Sine of an angle in radians.
    fn sin(self) -> Self;
    /// Cosine of an angle in radians.
    fn cos(self) -> Self;
    /// Tangent of an angle in radians.
    fn tan(self) -> Self;
    /// Arc sine, in radians.
    fn asin(self) -> Self;
    /// Arc cosine, in radians.
    fn acos(self) -> Self;
    /// Arc tangent, in radians.
    fn atan(self) -> Self;
    /// Hyperbolic sine.
    fn sinh(self) -> Self;
    /// Hyperbolic cosine.
    fn cosh(self) -> Self;
    /// Hyperbolic tangent.
    fn tanh(self) -> Self;
    /// Inverse hyperbolic sine.
    fn asinh(self) -> Self;
    /// Inverse hyperbolic cosine.
    fn acosh(self) -> Self;
    /// Inverse hyperbolic tangent.
    fn atanh(self) -> Self;
    /// The largest integer not above `x`; its derivative is 0.
    fn floor(self) -> Self;
    /// The smallest integer not below `x`; its derivative is 0.
    fn ceil(self) -> Self;
    /// The nearest integer, halves away from zero; its derivative is 0.
    fn round(self) -> Self;
    /// The integer part; its derivative is 0.
    fn trunc(self) -> Self;
    /// The error function, `2 / sqrt(pi)` times the integral of `e^(-t^2)` from 0 to `x`.
    fn erf(self) -> Self;
    /// `1 - erf(x)`, accurate where `erf(x)` is near 1.
    fn erfc(self) -> Self;
    /// The logistic function `1 / (1 + e^-x)`, without overflow at either end.
    fn sigmoid(self) -> Self;
    /// `ln(1 + e^x)`, without overflow at either end.
    fn softplus(self) -> Self;
    /// `max(x, 0)`; its derivative at 0 is 0.
    fn relu(self) -> Self;
    /// `x^n` for an integer `n`.
    fn powi(self, n: i32) -> Self;
    /// `x^y` for a real exponent, which may be recorded as well.
    fn powf(self, y: Self) -> Self;
    /// The angle of the point `(x, y)`, called as `y.atan2(x)`, in radians.
    fn atan2(self, x: Self) -> Self;
    /// `sqrt(x^2 + y^2)` without overflow; its derivative at the origin is 0.
    fn hypot(self, y: Self) -> Self;
    /// The smaller of the two; at a tie each gets half of the derivative.
    fn min(self, other: Self) -> Self;
    /// The larger of the two; at a tie each gets half of the derivative.
    fn max(self, other: Self) -> Self;
    /// The magnitude of `self` with the sign of `sign`.
    fn copysign(self, sign: Self) -> Self;
    /// `self * a + b` with one rounding.
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// `x` where `a > b`, else `y`: the only branch that a rule may have.
    ///
    /// The derivative goes to the chosen branch; the other one receives the cotangent 0, and nothing
    /// goes to `a` or `b`. A NaN in `a` or `b` chooses `y`.
    ///
    /// Both branches are computed, and inside of the one that is not chosen `0 * inf` is NaN: `select_gt(x, 0, x.sqrt(), 0)` has the gradient NaN at `x = 0`. So keep
    /// the argument in its domain as well: `select_gt(x, 0, select_gt(x, 0, x, 1).sqrt(), 0)`.
    fn select_gt(a: Self, b: Self, x: Self, y: Self) -> Self;
    /// The same value, cut off from what it depends on.
    fn stop_gradient(self) -> Self;

    /// Applies a unary rule.
    fn apply<U: Unary>(self, rule: U) -> Self;
    /// Applies a binary rule.
    fn apply2<B: Binary>(self, other: Self, rule: B) -> Self;
    /// Applies a ternary rule.
    fn apply3<R: Ternary>(self, b: Self, c: Self, rule: R) -> Self;

    /// Sine and cosine of an angle in radians.
    #[track_caller]
    fn sin_cos(self) -> (Self, Self) {
        (self.sin(), self.cos())
    }

    /// `x * x`.
    #[track_caller]
    fn square(self) -> Self {
        self * self
    }

    /// The nearest point of `[low, high]`; the derivative is 1 from end to end, and 0 outside. NaN stays
    /// NaN.
    #[track_caller]
    fn clamp(self, low: Self, high: Self) -> Self {
        Self::select_gt(low, self, low, Self::select_gt(self, high, high, self))
    }

    for_each_activation!(provided);
    for_each_special!(provided);
}

/// The methods that apply a rule with the operands in parentheses and the constants in brackets, as
/// inherent ones, so that the trait need not be imported and operands may be numbers.
macro_rules! inherent {
    ($($(#[$meta:meta])* $method:ident($($operand:ident),*) [$($constant:ident: $type:ty),*] => $apply:ident($($call:tt)*);)*) => {
        impl<E: Real> Var<E> { $(
            $(#[$meta])*
            #[track_caller]
            pub fn $method(self $(, $operand: impl Into<Self>)* $(, $constant: $type)*) -> Self {
                Elementary::$method(self $(, $operand.into())* $(, $constant)*)
            }
        )* }

        impl<E: Real> TensorVar<E> { $(
            $(#[$meta])*
            #[track_caller]
            pub fn $method(self $(, $operand: impl Into<Self>)* $(, $constant: $type)*) -> Self {
                Elementary::$method(self $(, $operand.into())* $(, $constant)*)
            }
        )* }
    };
}

for_each_activation!(inherent);
for_each_special!(inherent);

macro_rules! elementary_float {
    ($f:ident, $erf:ident, $erfc:ident, $acosh:ident, $atanh:ident) => {
        impl sealed::Sealed for $f {}

        impl Elementary for $f {
            elementary_float!(@unary $f:
                abs signum recip sqrt cbrt exp exp2 exp_m1 ln ln_1p log2 log10 sin cos tan asin acos
                atan sinh cosh tanh asinh floor ceil round trunc);
            elementary_float!(@binary $f: powf atan2 hypot copysign);

            #[inline(always)]
            fn lit(c: f64) -> Self {
                c as $f
            }
            // The standard library has no error function; those of `libm` are within 1 ulp.
            #[inline(always)]
            fn erf(self) -> Self {
                libm::$erf(self)
            }
            #[inline(always)]
            fn erfc(self) -> Self {
                libm::$erfc(self)
            }
            // The standard library's lose digits: near 1 and near -1.
            #[inline(always)]
            fn acosh(self) -> Self {
                libm::$acosh(self)
            }
            #[inline(always)]
            fn atanh(self) -> Self {
                libm::$atanh(self)
            }
            #[inline(always)]
            fn sigmoid(self) -> Self {
                // The exponential of a negative number cannot overflow.
                let e = (-self.abs()).exp();
                (if self >= 0.0 { 1.0 } else { e }) / (1.0 + e)
            }
            #[inline(always)]
            fn softplus(self) -> Self {
                (if self > 0.0 { self } else { 0.0 }) + (-self.abs()).exp().ln_1p()
            }
            #[inline(always)]
            fn relu(self) -> Self {
                // Written so that NaN stays NaN.
                if self <= 0.0 { 0.0 } else { self }
            }
            #[inline(always)]
            fn powi(self, n: i32) -> Self {
                $f::powi(self, n)
            }
            #[inline(always)]
            fn min(self, other: Self) -> Self {
                $f::min(self, other)
            }
            #[inline(always)]
            fn max(self, other: Self) -> Self {
                $f::max(self, other)
            }
            #[inline(always)]
            fn mul_add(self, a: Self, b: Self) -> Self {
                $f::mul_add(self, a, b)
            }
            #[inline(always)]
            fn select_gt(a: Self, b: Self, x: Self, y: Self) -> Self {
                if a > b { x } else { y }
            }
            #[inline(always)]
            fn stop_gradient(self) -> Self {
                self
            }
            #[inline(always)]
            fn apply<U: Unary>(self, rule: U) -> Self {
                rule.value(self)
            }
            #[inline(always)]
            fn apply2<B: Binary>(self, other: Self, rule: B) -> Self {
                rule.value(self, other)
            }
            #[inline(always)]
            fn apply3<R: Ternary>(self, b: Self, c: Self, rule: R) -> Self {
                rule.value(self, b, c)
            }
        }
    };
    (@unary $f:ident: $($m:ident)*) => { $(
        #[inline(always)]
        fn $m(self) -> Self {
            $f::$m(self)
        }
    )* };
    (@binary $f:ident: $($m:ident)*) => { $(
        #[inline(always)]
        fn $m(self, other: Self) -> Self {
            $f::$m(self, other)
        }
    )* };
}

elementary_float!(f32, erff, erfcf, acoshf, atanhf);
elementary_float!(f64, erf, erfc, acosh, atanh);
