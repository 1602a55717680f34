//! Elementary functions in a form that vectorises: what the chunk interpreter computes with.
//!
//! The functions of the standard library are calls, one for each number. Those of this module are
//! straight lines of arithmetic, comparisons and bit operations: all cases are computed, and one is
//! selected. So a loop over a slice becomes vector instructions, and since the functions are inlined
//! into the loop, they are compiled for the instructions that the caller of the loop is compiled
//! for. `dispatch` has one such caller for each [`Level`] and chooses by the processor.
//!
//! All results are within 2 ulp of the true ones, and the special cases are those of the standard
//! library; `docs/ulp.md` is a table of errors and speeds. Where the method of a function has a
//! bounded range (angles beyond 2^20, infinite exponents) the elements out of range are computed
//! again by the scalar function, so no result depends on the neighbours in its chunk.
//!
//! The polynomials are minimax polynomials, computed by the exchange algorithm of Remez with 45
//! digits and rounded to doubles. What they approximate, where and how well stands at each.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
pub(crate) mod coefficients;
mod dispatch;
mod double;
mod error_function;
mod exponential;
mod hyperbolic;
mod inverse;
mod logarithm;
mod power;
mod prefetch;
mod rounding;
mod single;
mod trigonometric;

#[cfg(test)]
mod tests;

pub use dispatch::Level;
#[cfg(all(test, target_arch = "x86_64", not(miri)))]
pub(crate) use dispatch::upper_halves_in_use;
pub(crate) use dispatch::{at_best_level, in_library, run_at};
pub(crate) use prefetch::{LINE, prefetch, prefetch_at, prefetch_to_write, resize};

use crate::primitive::Primitive;
use crate::rule::MAX_OPERANDS;
use crate::{Elementary, Real};

/// How `a * b + c` is computed.
pub trait Arithmetic {
    /// Whether there is an instruction for it, with one rounding. It comes with instructions that
    /// round to integers.
    const FUSED: bool;
    /// The bytes of a vector.
    const BYTES: usize;

    /// `a * b + c`, with one rounding or with two.
    #[inline(always)]
    fn fma<T: Elementary>(a: T, b: T, c: T) -> T {
        if Self::FUSED { a.mul_add(b, c) } else { a * b + c }
    }
}

/// Products and sums are rounded one by one.
#[derive(Debug)]
pub enum Plain {}

/// There are fused multiply-add instructions.
#[derive(Debug)]
pub enum Fused {}

/// As [`Fused`], for vectors of twice the length.
#[derive(Debug)]
pub enum Wide {}

impl Arithmetic for Plain {
    const FUSED: bool = false;
    const BYTES: usize = 16;
}

impl Arithmetic for Fused {
    const FUSED: bool = true;
    const BYTES: usize = 32;
}

impl Arithmetic for Wide {
    const FUSED: bool = true;
    const BYTES: usize = 64;
}

/// Work that is compiled once for each [`Level`]. Everything in it must be `#[inline(always)]`: what
/// is not inlined is compiled for the lowest level.
pub(crate) trait Task {
    type Output;
    fn run<A: Arithmetic>(self) -> Self::Output;
}

/// `c0 + x (c1 + x (c2 + ...))`.
macro_rules! poly {
    ($a:ident, $x:expr, $c:expr) => { $c };
    ($a:ident, $x:expr, $c:expr, $($rest:expr),+) => {
        $a::fma($x, $crate::vector::poly!($a, $x, $($rest),+), $c)
    };
}
use poly;

/// `c[0] + x (c[1] + x (c[2] + ...))`.
#[inline(always)]
fn horner<A: Arithmetic, T: Elementary, const N: usize>(x: T, c: [T; N]) -> T {
    // Not by an iterator: its closure might not be inlined, and then it is compiled for the lowest level.
    let (mut p, mut k) = (c[N - 1], N - 1);
    while k > 0 {
        k -= 1;
        p = A::fma(x, p, c[k]);
    }
    p
}

/// Calls `$callback` with the functions of one argument: `method Primitive file in_single`, where
/// the last says how single precision is computed: in `doubles` or by `single` functions.
macro_rules! for_each_vectorised {
    ($callback:ident) => {
        $callback! {
            exp Exp exponential single; exp2 Exp2 exponential doubles;
            exp_m1 ExpM1 exponential doubles; sigmoid Sigmoid exponential single;
            softplus Softplus exponential doubles; ln Ln logarithm single;
            ln_1p Ln1p logarithm doubles; log2 Log2 logarithm doubles;
            log10 Log10 logarithm doubles; asin Asin inverse doubles; acos Acos inverse doubles;
            atan Atan inverse doubles; sinh Sinh hyperbolic doubles; cosh Cosh hyperbolic doubles;
            tanh Tanh hyperbolic single; asinh Asinh hyperbolic doubles;
            acosh Acosh hyperbolic doubles; atanh Atanh hyperbolic doubles;
            cbrt Cbrt power doubles; erf Erf error_function single;
            erfc Erfc error_function doubles;
        }
    };
}
pub(crate) use for_each_vectorised;

macro_rules! vectorised {
    ($($method:ident $primitive:ident $file:ident $single:ident;)*) => {
        /// The functions of this module by element type. Of those of one argument, `sin`, `cos` and
        /// `tan` stand apart because they have a bounded range.
        pub trait Vectorised: Copy {
            $(#[doc(hidden)] fn $method<A: Arithmetic>(x: Self) -> Self;)*
            #[doc(hidden)]
            fn exp_flushed<A: Arithmetic>(x: Self) -> Self;
            #[doc(hidden)]
            fn sin<A: Arithmetic>(x: Self) -> Self;
            #[doc(hidden)]
            fn cos<A: Arithmetic>(x: Self) -> Self;
            #[doc(hidden)]
            fn tan<A: Arithmetic>(x: Self) -> Self;
            #[doc(hidden)]
            fn floor<A: Arithmetic>(x: Self) -> Self;
            #[doc(hidden)]
            fn ceil<A: Arithmetic>(x: Self) -> Self;
            #[doc(hidden)]
            fn round<A: Arithmetic>(x: Self) -> Self;
            #[doc(hidden)]
            fn trunc<A: Arithmetic>(x: Self) -> Self;
            #[doc(hidden)]
            fn powf<A: Arithmetic>(x: Self, y: Self) -> Self;
            #[doc(hidden)]
            fn atan2<A: Arithmetic>(y: Self, x: Self) -> Self;
            #[doc(hidden)]
            fn hypot<A: Arithmetic>(x: Self, y: Self) -> Self;
            /// Whether `sin`, `cos` and `tan` are good at `x`.
            #[doc(hidden)]
            fn is_small_angle(x: Self) -> bool;
            /// Whether `atan2` is good at a point with the coordinate `x`.
            #[doc(hidden)]
            fn is_coordinate(x: Self) -> bool;
            /// Whether `powf` is good at a base or an exponent `x`.
            #[doc(hidden)]
            fn is_finite(x: Self) -> bool;
        }

        impl Vectorised for f64 {
            $(#[inline(always)]
            fn $method<A: Arithmetic>(x: Self) -> Self {
                $file::$method::<A>(x)
            })*
            #[inline(always)]
            fn exp_flushed<A: Arithmetic>(x: Self) -> Self {
                exponential::exp_flushed::<A>(x)
            }
            #[inline(always)]
            fn sin<A: Arithmetic>(x: Self) -> Self {
                trigonometric::sin::<A>(x)
            }
            #[inline(always)]
            fn cos<A: Arithmetic>(x: Self) -> Self {
                trigonometric::cos::<A>(x)
            }
            #[inline(always)]
            fn tan<A: Arithmetic>(x: Self) -> Self {
                trigonometric::tan::<A>(x)
            }
            #[inline(always)]
            fn floor<A: Arithmetic>(x: Self) -> Self {
                rounding::floor_f64::<A>(x)
            }
            #[inline(always)]
            fn ceil<A: Arithmetic>(x: Self) -> Self {
                rounding::ceil_f64::<A>(x)
            }
            #[inline(always)]
            fn round<A: Arithmetic>(x: Self) -> Self {
                rounding::round_f64::<A>(x)
            }
            #[inline(always)]
            fn trunc<A: Arithmetic>(x: Self) -> Self {
                rounding::trunc_f64::<A>(x)
            }
            #[inline(always)]
            fn powf<A: Arithmetic>(x: Self, y: Self) -> Self {
                power::powf::<A>(x, y)
            }
            #[inline(always)]
            fn atan2<A: Arithmetic>(y: Self, x: Self) -> Self {
                inverse::atan2::<A>(y, x)
            }
            #[inline(always)]
            fn hypot<A: Arithmetic>(x: Self, y: Self) -> Self {
                power::hypot(x, y)
            }
            #[inline(always)]
            fn is_small_angle(x: Self) -> bool {
                x.abs() <= trigonometric::LIMIT
            }
            #[inline(always)]
            fn is_coordinate(x: Self) -> bool {
                inverse::is_coordinate(x)
            }
            #[inline(always)]
            fn is_finite(x: Self) -> bool {
                x.abs() <= f64::MAX
            }
        }

        impl Vectorised for f32 {
            $(#[inline(always)]
            fn $method<A: Arithmetic>(x: Self) -> Self {
                in_single!($single $file $method A x)
            })*
            #[inline(always)]
            fn exp_flushed<A: Arithmetic>(x: Self) -> Self {
                single::exp_flushed::<A>(x)
            }
            #[inline(always)]
            fn sin<A: Arithmetic>(x: Self) -> Self {
                single::sin::<A>(x)
            }
            #[inline(always)]
            fn cos<A: Arithmetic>(x: Self) -> Self {
                single::cos::<A>(x)
            }
            #[inline(always)]
            fn tan<A: Arithmetic>(x: Self) -> Self {
                trigonometric::tan::<A>(f64::from(x)) as f32
            }
            #[inline(always)]
            fn floor<A: Arithmetic>(x: Self) -> Self {
                rounding::floor_f32::<A>(x)
            }
            #[inline(always)]
            fn ceil<A: Arithmetic>(x: Self) -> Self {
                rounding::ceil_f32::<A>(x)
            }
            #[inline(always)]
            fn round<A: Arithmetic>(x: Self) -> Self {
                rounding::round_f32::<A>(x)
            }
            #[inline(always)]
            fn trunc<A: Arithmetic>(x: Self) -> Self {
                rounding::trunc_f32::<A>(x)
            }
            #[inline(always)]
            fn powf<A: Arithmetic>(x: Self, y: Self) -> Self {
                power::powf_single::<A>(x, y)
            }
            #[inline(always)]
            fn atan2<A: Arithmetic>(y: Self, x: Self) -> Self {
                inverse::atan2::<A>(f64::from(y), f64::from(x)) as f32
            }
            #[inline(always)]
            fn hypot<A: Arithmetic>(x: Self, y: Self) -> Self {
                power::hypot_single(x, y)
            }
            #[inline(always)]
            fn is_small_angle(x: Self) -> bool {
                x.abs() <= trigonometric::LIMIT as f32
            }
            #[inline(always)]
            fn is_coordinate(x: Self) -> bool {
                x.abs() <= f32::MAX
            }
            #[inline(always)]
            fn is_finite(x: Self) -> bool {
                x.abs() <= f32::MAX
            }
        }
    };
}

macro_rules! in_single {
    (single $file:ident $method:ident $a:ident $x:ident) => {
        single::$method::<$a>($x)
    };
    (doubles $file:ident $method:ident $a:ident $x:ident) => {
        $file::$method::<$a>(f64::from($x)) as f32
    };
}

for_each_vectorised!(vectorised);

/// A primitive at a level of choice, for tests and measurements.
#[derive(Clone, Copy, Debug)]
pub struct Kernel(Primitive);

impl Kernel {
    /// The primitive of the given name.
    pub fn find(name: &str) -> Option<Kernel> {
        Primitive::ALL.iter().find(|p| p.name() == name).map(|&p| Kernel(p))
    }

    /// Computes `out[i]` from `operands[..][i]`, of which the first ones count.
    ///
    /// # Panics
    ///
    /// When the processor does not have the level, or an operand is shorter than `out`.
    pub fn run<E: Real>(
        self,
        level: Level,
        exponent: i32,
        operands: [&[E]; MAX_OPERANDS],
        out: &mut [E],
    ) {
        run_at(level, self.0.task(exponent, operands, out));
    }
}
