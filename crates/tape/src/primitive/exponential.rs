//! Exponentials, logarithms and what is made of them.

use std::f64::consts::{FRAC_2_SQRT_PI, LN_2, LN_10};

use super::unary;

unary! {
    /// `e^x`: `dy/dx = y`.
    Exp "exp" |x, y| x.exp(), y;
    /// `2^x`: `dy/dx = y ln 2`.
    Exp2 "exp2" |x, y| x.exp2(), y * T::lit(LN_2);
    /// `e^x - 1`: `dy/dx = e^x`, computed anew because `y + 1` has lost the small digits of `e^x`.
    ExpM1 "exp_m1" |x, y| x.exp_m1(), x.exp();
    /// `ln x`: `dy/dx = 1 / x`.
    Ln "ln" |x, y| x.ln(), T::lit(1.0) / x, |g| g / x;
    /// `ln(1 + x)`: `dy/dx = 1 / (1 + x)`.
    Ln1p "ln_1p" |x, y| x.ln_1p(), T::lit(1.0) / (T::lit(1.0) + x), |g| g / (T::lit(1.0) + x);
    /// `log2 x`: `dy/dx = 1 / (x ln 2)`.
    Log2 "log2" |x, y| x.log2(), T::lit(1.0) / (x * T::lit(LN_2));
    /// `log10 x`: `dy/dx = 1 / (x ln 10)`.
    Log10 "log10" |x, y| x.log10(), T::lit(1.0) / (x * T::lit(LN_10));
    /// The error function: `dy/dx = 2 / sqrt(pi) e^(-x^2)`.
    Erf "erf" |x, y| x.erf(), T::lit(FRAC_2_SQRT_PI) * (-(x * x)).exp();
    /// `1 - erf x`: `dy/dx = -2 / sqrt(pi) e^(-x^2)`.
    Erfc "erfc" |x, y| x.erfc(), T::lit(-FRAC_2_SQRT_PI) * (-(x * x)).exp();
    /// `1 / (1 + e^-x)`: `dy/dx = y (1 - y)`, with `1 - y` as the sigmoid of `-x`, because the
    /// difference has lost all digits where `y` is near 1.
    Sigmoid "sigmoid" |x, y| x.sigmoid(), y * (-x).sigmoid();
    /// `ln(1 + e^x)`: `dy/dx = sigmoid(x)`.
    Softplus "softplus" |x, y| x.softplus(), x.sigmoid();
    /// `tanh x`: `dy/dx = 1 / cosh^2 x` as `4 s(2 x) s(-2 x)` with the sigmoid `s`: `1 - y^2` has lost all
    /// digits where `y` is near 1, and a quotient by `cosh` overflows at second order.
    Tanh "tanh" |x, y| x.tanh(), T::lit(4.0) * ((x + x).sigmoid() * (-(x + x)).sigmoid());
    /// `sinh x`: `dy/dx = cosh x`.
    Sinh "sinh" |x, y| x.sinh(), x.cosh();
    /// `cosh x`: `dy/dx = sinh x`.
    Cosh "cosh" |x, y| x.cosh(), x.sinh();
    /// `asinh x`: `dy/dx = 1 / sqrt(1 + x^2)`, by `hypot` so that the square does not overflow.
    Asinh "asinh" |x, y| x.asinh(), T::lit(1.0) / x.hypot(T::lit(1.0));
    /// `acosh x`: `dy/dx = 1 / sqrt(x^2 - 1)`, as two roots so that the product does not overflow.
    Acosh "acosh" |x, y| x.acosh(),
        T::lit(1.0) / ((x - T::lit(1.0)).sqrt() * (x + T::lit(1.0)).sqrt());
    /// `atanh x`: `dy/dx = 1 / (1 - x^2)`.
    Atanh "atanh" |x, y| x.atanh(), T::lit(1.0) / ((T::lit(1.0) - x) * (T::lit(1.0) + x));
}
