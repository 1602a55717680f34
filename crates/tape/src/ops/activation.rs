//! Elementwise functions between the layers of a network.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use crate::{Elementary, Unary};

/// `sqrt(2 / pi)`.
const SQRT_2_OVER_PI: f64 = FRAC_2_SQRT_PI * FRAC_1_SQRT_2;

/// The share of `x^3` in the argument of the hyperbolic tangent.
const CUBE: f64 = 0.044_715;

/// `x s(2 u)` with the sigmoid `s` and `u = sqrt(2 / pi) (x + 0.044715 x^3)`, because
/// `(1 + tanh u) / 2 = s(2 u)`. Without the sum `1 + tanh u` no digits are lost where that is near 0.
///
/// The derivative is `s(2 u) + 2 x u' s(2 u) s(-2 u)`, where beyond a few units one of the sigmoids
/// underflows. There `x u'` must not overflow, so `x` is moved to where the product is 0 in any case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GeluTanh;

/// Beyond it the second term of the derivative, with all its derivatives, has underflowed in every
/// precision.
const FAR: f64 = 32.0;

impl Unary for GeluTanh {
    const NAME: &'static str = "gelu_tanh";

    #[inline(always)]
    fn value<T: Elementary>(&self, x: T) -> T {
        let z = x.clamp(T::lit(-FAR), T::lit(FAR));
        let twice = z * T::lit(2.0 * SQRT_2_OVER_PI) * (z * z * T::lit(CUBE) + T::lit(1.0));
        x * twice.sigmoid()
    }

    #[inline(always)]
    fn partial<T: Elementary>(&self, x: T, _: T) -> T {
        let z = x.clamp(T::lit(-FAR), T::lit(FAR));
        let square = z * z;
        let c = T::lit(2.0 * SQRT_2_OVER_PI);
        let twice = z * c * (square * T::lit(CUBE) + T::lit(1.0));
        let slope = z * c * (square * T::lit(3.0 * CUBE) + T::lit(1.0));
        let s = twice.sigmoid();
        s + slope * (s * (-twice).sigmoid())
    }
}

/// `x erfc(-x / sqrt 2) / 2`; the derivative is `erfc(-x / sqrt 2) / 2 + x e^(-x^2 / 2) / sqrt(2 pi)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gelu;

impl Unary for Gelu {
    const NAME: &'static str = "gelu";

    #[inline(always)]
    fn value<T: Elementary>(&self, x: T) -> T {
        T::lit(0.5) * x * (x * T::lit(-FRAC_1_SQRT_2)).erfc()
    }

    #[inline(always)]
    fn partial<T: Elementary>(&self, x: T, _: T) -> T {
        let density = (x * x * T::lit(-0.5)).exp() * T::lit(0.5 * SQRT_2_OVER_PI);
        T::lit(0.5) * (x * T::lit(-FRAC_1_SQRT_2)).erfc() + x * density
    }
}

/// The methods of [`Elementary`] that apply a rule of this file.
macro_rules! for_each_activation {
    ($callback:ident) => {
        $callback! {
            /// The Gaussian error linear unit, `x` times the normal distribution function of `x`:
            ///
            /// `0.5 x (1 + erf(x / sqrt 2))`
            ///
            /// (Hendrycks and Gimpel 2016, "Gaussian Error Linear Units"). It is computed by `erfc`,
            /// which keeps the digits for negative `x`.
            gelu() [] => apply(Gelu);
            /// The Gaussian error linear unit in its approximate form, as in GPT-2:
            ///
            /// `0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`
            ///
            /// (Hendrycks and Gimpel 2016, "Gaussian Error Linear Units"). It is computed as
            /// `x sigmoid(2 u)`, which is the same and keeps its digits for negative `x`.
            gelu_tanh() [] => apply(GeluTanh);
        }
    };
}
pub(crate) use for_each_activation;

#[cfg(feature = "cases")]
pub(crate) fn cases() -> Vec<crate::cases::Case> {
    use crate::cases::elementwise;
    use crate::elementary::cases::erf_by_series;

    vec![
        elementwise!(
            "gelu",
            "x.gelu()",
            "dx = g (Phi(x) + x phi(x))",
            |x| x[0].gelu(),
            |x| 0.5 * x[0] * (1.0 + erf_by_series(x[0] / 2.0f64.sqrt())),
            [[-2.5, 2.5]]
        ),
        elementwise!(
            "gelu_tanh",
            "x.gelu_tanh()",
            "dx = g (s(u) + x u' s(u) s(-u))",
            |x| x[0].gelu_tanh(),
            |x| {
                let u = (2.0 / std::f64::consts::PI).sqrt() * (x[0] + 0.044715 * x[0].powi(3));
                0.5 * x[0] * (1.0 + u.tanh())
            },
            [[-2.5, 2.5]]
        ),
    ]
}
