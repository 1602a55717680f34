//! Sine and its relatives; angles in radians.

use super::{binary, unary};

unary! {
    /// `sin x`: `dy/dx = cos x`.
    Sin "sin" |x, y| x.sin(), x.cos();
    /// `cos x`: `dy/dx = -sin x`.
    Cos "cos" |x, y| x.cos(), -x.sin();
    /// `tan x`: `dy/dx = 1 + y^2`.
    Tan "tan" |x, y| x.tan(), T::lit(1.0) + y * y;
    /// `asin x`: `dy/dx = 1 / sqrt(1 - x^2)`.
    Asin "asin" |x, y| x.asin(),
        T::lit(1.0) / ((T::lit(1.0) - x) * (T::lit(1.0) + x)).sqrt();
    /// `acos x`: `dy/dx = -1 / sqrt(1 - x^2)`.
    Acos "acos" |x, y| x.acos(),
        T::lit(-1.0) / ((T::lit(1.0) - x) * (T::lit(1.0) + x)).sqrt();
    /// `atan x`: `dy/dx = 1 / (1 + x^2)`.
    Atan "atan" |x, y| x.atan(), T::lit(1.0) / (T::lit(1.0) + x * x);
}

binary! {
    /// The angle of the point `(b, a)`: `dy/da = b / r^2`, `dy/db = -a / r^2`, as quotients of
    /// quotients by `r = hypot(a, b)` so that the square neither overflows nor underflows.
    Atan2 "atan2" |g, a, b, y| a.atan2(b),
        g * (b / a.hypot(b) / a.hypot(b)),
        -(g * (a / a.hypot(b) / a.hypot(b)));
}
