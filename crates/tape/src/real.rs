//! The element types: `f32` and `f64`.

use std::cell::{Cell, RefCell};
use std::fmt::{Display, LowerExp};
use std::iter::Sum;
use std::thread::LocalKey;

use approx::{AbsDiffEq, RelativeEq, UlpsEq};

use crate::recycle::{Pool, Recyclable};
use crate::registry::{Cursor, Registry};
use crate::{Elementary, Tape};

/// The element of a tape: `f32` or `f64`.
///
/// Sealed. Code that is generic over the precision is written against it.
pub trait Real:
    Elementary
    + PartialOrd
    + Default
    + Display
    + LowerExp
    + Sum
    + AbsDiffEq<Epsilon = Self>
    + RelativeEq
    + UlpsEq
    + Send
    + Sync
    + Recyclable<Self>
    + crate::vector::Vectorised
    + crate::ops::Factor
    + 'static
{
    /// The distance from 1 to the next larger number.
    const EPSILON: Self;
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// The name of the type, as in Rust.
    const NAME: &'static str;

    /// The value in double precision.
    fn to_f64(self) -> f64;
    /// Whether the value is neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// Whether the value is NaN.
    fn is_nan(self) -> bool;
    /// The bits, widened.
    fn bits(self) -> u64;
    /// The number that has these [`bits`](Real::bits).
    fn from_bits(bits: u64) -> Self;
    /// A draw from the standard normal distribution.
    fn standard_normal<R: rand::Rng + ?Sized>(rng: &mut R) -> Self;
    /// A draw from the uniform distribution on `[0, 1)`.
    fn standard_uniform<R: rand::Rng + ?Sized>(rng: &mut R) -> Self;

    #[doc(hidden)]
    fn cursor() -> &'static LocalKey<Cursor<Self>>;
    #[doc(hidden)]
    fn registry() -> &'static LocalKey<RefCell<Registry<Self>>>;
    #[doc(hidden)]
    fn pool() -> &'static LocalKey<RefCell<Pool<Self>>>;
    #[doc(hidden)]
    fn side_tape() -> &'static LocalKey<Cell<Option<Tape<Self>>>>;
    #[doc(hidden)]
    fn matmul(
        c: &mut [Self],
        a: crate::kernels::Matrix<'_, Self>,
        b: crate::kernels::Matrix<'_, Self>,
        onto: crate::kernels::Onto<'_, Self>,
    );
}

macro_rules! real {
    ($f:ident, $cursor:ident, $registry:ident, $pool:ident, $side_tape:ident) => {
        thread_local! {
            static $cursor: Cursor<$f> = const { Cursor::new() };
            static $registry: RefCell<Registry<$f>> = const { RefCell::new(Registry::new()) };
            static $pool: RefCell<Pool<$f>> = RefCell::new(Pool::default());
            static $side_tape: Cell<Option<Tape<$f>>> = const { Cell::new(None) };
        }

        impl Real for $f {
            const EPSILON: Self = $f::EPSILON;
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const NAME: &'static str = stringify!($f);

            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn is_finite(self) -> bool {
                $f::is_finite(self)
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                $f::is_nan(self)
            }
            #[inline(always)]
            fn bits(self) -> u64 {
                u64::from(self.to_bits())
            }
            #[inline(always)]
            fn from_bits(bits: u64) -> Self {
                $f::from_bits(bits as _)
            }
            fn standard_normal<R: rand::Rng + ?Sized>(rng: &mut R) -> Self {
                rand_distr::Distribution::sample(&rand_distr::StandardNormal, rng)
            }
            fn standard_uniform<R: rand::Rng + ?Sized>(rng: &mut R) -> Self {
                rand_distr::Distribution::sample(&rand_distr::StandardUniform, rng)
            }
            #[inline(always)]
            fn cursor() -> &'static LocalKey<Cursor<Self>> {
                &$cursor
            }
            #[inline(always)]
            fn registry() -> &'static LocalKey<RefCell<Registry<Self>>> {
                &$registry
            }
            #[inline(always)]
            fn pool() -> &'static LocalKey<RefCell<Pool<Self>>> {
                &$pool
            }
            #[inline(always)]
            fn side_tape() -> &'static LocalKey<Cell<Option<Tape<Self>>>> {
                &$side_tape
            }
            fn matmul(
                c: &mut [Self],
                a: crate::kernels::Matrix<'_, Self>,
                b: crate::kernels::Matrix<'_, Self>,
                onto: crate::kernels::Onto<'_, Self>,
            ) {
                crate::kernels::product(c, a, b, onto);
            }
        }
    };
}

real!(f32, CURSOR_F32, REGISTRY_F32, POOL_F32, SIDE_TAPE_F32);
real!(f64, CURSOR_F64, REGISTRY_F64, POOL_F64, SIDE_TAPE_F64);
