//! Rounding to integers without a call, on processors that have no instruction for it.

use super::Arithmetic;

macro_rules! rounding {
    ($f:ident, $shift:literal, $trunc:ident, $floor:ident, $ceil:ident, $round:ident) => {
        /// The integer part.
        #[inline(always)]
        pub(super) fn $trunc<A: Arithmetic>(x: $f) -> $f {
            if A::FUSED {
                return x.trunc();
            }
            // To a sum with `$shift` a number is rounded to an integer; from there on, all numbers
            // are integers.
            let a = x.abs();
            let nearest = (a + $shift) - $shift;
            let whole = if nearest > a { nearest - 1.0 } else { nearest };
            (if a < $shift { whole } else { a }).copysign(x)
        }

        /// The largest integer not above `x`.
        #[inline(always)]
        pub(super) fn $floor<A: Arithmetic>(x: $f) -> $f {
            if A::FUSED {
                return x.floor();
            }
            let whole = $trunc::<A>(x);
            if whole > x { whole - 1.0 } else { whole }
        }

        /// The smallest integer not below `x`.
        #[inline(always)]
        pub(super) fn $ceil<A: Arithmetic>(x: $f) -> $f {
            if A::FUSED {
                return x.ceil();
            }
            let whole = $trunc::<A>(x);
            (if whole < x { whole + 1.0 } else { whole }).copysign(x)
        }

        /// The nearest integer, halves away from zero.
        #[inline(always)]
        pub(super) fn $round<A: Arithmetic>(x: $f) -> $f {
            let whole = $trunc::<A>(x);
            let away = whole + (1.0 as $f).copysign(x);
            (if (x - whole).abs() >= 0.5 { away } else { whole }).copysign(x)
        }
    };
}

rounding!(f32, 8_388_608.0, trunc_f32, floor_f32, ceil_f32, round_f32);
rounding!(f64, 4_503_599_627_370_496.0, trunc_f64, floor_f64, ceil_f64, round_f64);
