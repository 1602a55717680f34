//! The traits of `num_traits`, so that a function generic over `T: Float` is differentiated as it
//! is. Conversions and classifications look at the value and leave the tape.

use std::num::FpCategory;

use num_traits::{Float, FloatConst, FromPrimitive, Num, NumCast, One, Signed, ToPrimitive, Zero};

use super::Var;
use crate::Real;
use crate::program::record::{Comparison, compare, leave};

impl<E: Real> Zero for Var<E> {
    fn zero() -> Self {
        Var::constant(E::ZERO)
    }
    #[track_caller]
    fn is_zero(&self) -> bool {
        *self == E::ZERO
    }
}

impl<E: Real> One for Var<E> {
    fn one() -> Self {
        Var::constant(E::ONE)
    }
}

impl<E: Real + Num> Num for Var<E> {
    type FromStrRadixErr = E::FromStrRadixErr;
    fn from_str_radix(text: &str, radix: u32) -> Result<Self, Self::FromStrRadixErr> {
        E::from_str_radix(text, radix).map(Var::constant)
    }
}

/// Leaves the tape: what is computed from the result has no derivative.
impl<E: Real + ToPrimitive> ToPrimitive for Var<E> {
    #[track_caller]
    fn to_i64(&self) -> Option<i64> {
        leave(*self, "to_i64()");
        self.value.to_i64()
    }
    #[track_caller]
    fn to_u64(&self) -> Option<u64> {
        leave(*self, "to_u64()");
        self.value.to_u64()
    }
    #[track_caller]
    fn to_f32(&self) -> Option<f32> {
        leave(*self, "to_f32()");
        self.value.to_f32()
    }
    #[track_caller]
    fn to_f64(&self) -> Option<f64> {
        leave(*self, "to_f64()");
        Some(Real::to_f64(self.value))
    }
}

impl<E: Real + FromPrimitive> FromPrimitive for Var<E> {
    fn from_i64(n: i64) -> Option<Self> {
        E::from_i64(n).map(Var::constant)
    }
    fn from_u64(n: u64) -> Option<Self> {
        E::from_u64(n).map(Var::constant)
    }
    fn from_f32(n: f32) -> Option<Self> {
        E::from_f32(n).map(Var::constant)
    }
    fn from_f64(n: f64) -> Option<Self> {
        E::from_f64(n).map(Var::constant)
    }
}

/// Makes a constant: a cast from one `Var` to another leaves the tape.
impl<E: Real + NumCast> NumCast for Var<E> {
    fn from<T: ToPrimitive>(n: T) -> Option<Self> {
        E::from(n).map(Var::constant)
    }
}

impl<E: Real + Num> Signed for Var<E> {
    #[track_caller]
    fn abs(&self) -> Self {
        Var::abs(*self)
    }
    #[track_caller]
    fn abs_sub(&self, other: &Self) -> Self {
        (*self - *other).relu()
    }
    #[track_caller]
    fn signum(&self) -> Self {
        Var::signum(*self)
    }
    #[track_caller]
    fn is_positive(&self) -> bool {
        *self > E::ZERO
    }
    #[track_caller]
    fn is_negative(&self) -> bool {
        *self < E::ZERO
    }
}

macro_rules! constants {
    ($($name:ident)*) => { $(
        fn $name() -> Self {
            Var::constant(E::$name())
        }
    )* };
}

#[allow(non_snake_case)]
impl<E: Real + FloatConst> FloatConst for Var<E> {
    constants! {
        E FRAC_1_PI FRAC_1_SQRT_2 FRAC_2_PI FRAC_2_SQRT_PI FRAC_PI_2 FRAC_PI_3 FRAC_PI_4 FRAC_PI_6
        FRAC_PI_8 LN_10 LN_2 LOG10_E LOG2_E PI SQRT_2 TAU LOG10_2 LOG2_10
    }
}

macro_rules! float {
    (constants { $($constant:ident)* } unary { $($unary:ident)* }
     binary { $($binary:ident)* }) => {
        impl<E: Real + Float> Float for Var<E> {
            $(
                fn $constant() -> Self {
                    Var::constant(E::$constant())
                }
            )*
            #[track_caller]
            fn is_normal(self) -> bool {
                leave(self, "is_normal()");
                Float::is_normal(self.value)
            }
            $(
                #[track_caller]
                fn $unary(self) -> Self {
                    Var::$unary(self)
                }
            )*
            $(
                #[track_caller]
                fn $binary(self, other: Self) -> Self {
                    Var::$binary(self, other)
                }
            )*
            #[track_caller]
            fn is_nan(self) -> bool {
                !compare(self, self, Comparison::Ordered)
            }
            #[track_caller]
            fn is_infinite(self) -> bool {
                compare(self, self, Comparison::Infinite)
            }
            #[track_caller]
            fn is_finite(self) -> bool {
                compare(self, self, Comparison::Finite)
            }
            #[track_caller]
            fn is_sign_positive(self) -> bool {
                !compare(self, self, Comparison::Negative)
            }
            #[track_caller]
            fn is_sign_negative(self) -> bool {
                compare(self, self, Comparison::Negative)
            }
            #[track_caller]
            fn classify(self) -> FpCategory {
                leave(self, "classify()");
                Float::classify(self.value)
            }
            #[track_caller]
            fn fract(self) -> Self {
                self - self.trunc()
            }
            #[track_caller]
            fn mul_add(self, a: Self, b: Self) -> Self {
                Var::mul_add(self, a, b)
            }
            #[track_caller]
            fn powi(self, n: i32) -> Self {
                Var::powi(self, n)
            }
            #[track_caller]
            fn log(self, base: Self) -> Self {
                self.ln() / base.ln()
            }
            #[track_caller]
            fn abs_sub(self, other: Self) -> Self {
                (self - other).relu()
            }
            #[track_caller]
            fn sin_cos(self) -> (Self, Self) {
                Var::sin_cos(self)
            }
            #[track_caller]
            fn to_degrees(self) -> Self {
                self * Float::to_degrees(E::ONE)
            }
            #[track_caller]
            fn to_radians(self) -> Self {
                self * Float::to_radians(E::ONE)
            }
            #[track_caller]
            fn clamp(self, min: Self, max: Self) -> Self {
                Var::clamp(self, min, max)
            }
            #[track_caller]
            fn integer_decode(self) -> (u64, i16, i8) {
                leave(self, "integer_decode()");
                Float::integer_decode(self.value)
            }
        }
    };
}

float! {
    constants { nan infinity neg_infinity neg_zero min_value min_positive_value max_value epsilon }
    unary { floor ceil round trunc abs signum recip sqrt cbrt exp exp2 exp_m1 ln ln_1p log2 log10
        sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh }
    binary { powf atan2 hypot min max copysign }
}
