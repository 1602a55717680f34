//! Elementwise functions between the layers of a network.

#[cfg(feature = "cases")]
pub(crate) mod cases;

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use crate::primitive::unary;
use crate::{Binary, Elementary, Unary};

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

unary! {
    /// `-ln(1 + e^-x)`: `dy/dx = sigmoid(-x)`.
    LogSigmoid "log_sigmoid" |x, y| -(-x).softplus(), (-x).sigmoid();
    /// `x / (1 + |x|)`: `dy/dx = 1 / (1 + |x|)^2`.
    Softsign "softsign" |x, y| x / (T::lit(1.0) + x.abs()),
        (T::lit(1.0) / (T::lit(1.0) + x.abs())).square();
    /// `x sigmoid(x)`: `dy/dx = s(x) + x s(x) s(-x)`.
    Silu "silu" |x, y| x * x.sigmoid(), x.sigmoid() + x * (x.sigmoid() * (-x).sigmoid());
    /// `x tanh(u)` with `u = softplus(x)`: `dy/dx = tanh(u) + x s(x) / cosh^2(u)`, where
    /// `1 / cosh^2(u) = 4 s(2 u) s(-2 u)`.
    Mish "mish" |x, y| x * x.softplus().tanh(), {
        let u = x.softplus();
        let slope = T::lit(4.0) * ((u + u).sigmoid() * (-(u + u)).sigmoid());
        u.tanh() + x * (slope * x.sigmoid())
    };
    /// `x` between 0 and 6: `dy/dx = 1` there.
    Relu6 "relu6" |x, y| within(x, x, 0.0, 6.0), slope_within(x, T::lit(1.0), 0.0, 6.0);
    /// `x / 6 + 1 / 2` between 0 and 1: `dy/dx = 1 / 6` there.
    Hardsigmoid "hardsigmoid" |x, y|
        ((x + T::lit(3.0)) * T::lit(1.0 / 6.0)).clamp(T::lit(0.0), T::lit(1.0)),
        slope_within(x, T::lit(1.0 / 6.0), -3.0, 3.0);
    /// `x hardsigmoid(x)`: `dy/dx = (2 x + 3) / 6` between -3 and 3.
    Hardswish "hardswish" |x, y| x * x.apply(Hardsigmoid),
        T::select_gt(
            T::lit(3.0),
            x,
            slope_within(x, (x + x + T::lit(3.0)) * T::lit(1.0 / 6.0), -3.0, 3.0),
            T::lit(1.0),
        );
    /// `scale x` where it is positive, else `scale alpha (e^x - 1)`, whose derivative is taken at 0.
    Selu "selu" |x, y|
        T::select_gt(x, T::lit(0.0), T::lit(SELU_SCALE) * x, T::lit(SELU_SCALE * SELU_ALPHA) * negative(x).exp_m1()),
        T::select_gt(x, T::lit(0.0), T::lit(SELU_SCALE), T::lit(SELU_SCALE * SELU_ALPHA) * negative(x).exp());
}

/// The constants with which the activations of a network of SELUs keep mean 0 and variance 1.
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;

/// `x` where it is negative or NaN, else 0: the argument of an exponential that is chosen for negative `x`
/// alone and must not overflow elsewhere, because 0 times infinity is NaN.
#[inline(always)]
fn negative<T: Elementary>(x: T) -> T {
    T::select_gt(x, T::lit(0.0), T::lit(0.0), x)
}

/// `y` where `low <= x <= high` and where `x` is NaN, else the nearer end.
#[inline(always)]
fn within<T: Elementary>(x: T, y: T, low: f64, high: f64) -> T {
    let (low, high) = (T::lit(low), T::lit(high));
    T::select_gt(low, x, low, T::select_gt(x, high, high, y))
}

/// `slope` where `low < x < high`, else 0.
#[inline(always)]
fn slope_within<T: Elementary>(x: T, slope: T, low: f64, high: f64) -> T {
    let below_high = T::select_gt(T::lit(high), x, slope, T::lit(0.0));
    T::select_gt(x, T::lit(low), below_high, T::lit(0.0))
}

/// `x` where it is positive, else `slope x`, whose derivative is taken at 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeakyRelu {
    pub(crate) slope: f64,
}

impl Unary for LeakyRelu {
    const NAME: &'static str = "leaky_relu";
    #[inline(always)]
    fn value<T: Elementary>(&self, x: T) -> T {
        T::select_gt(x, T::lit(0.0), x, T::lit(self.slope) * x)
    }
    #[inline(always)]
    fn partial<T: Elementary>(&self, x: T, _: T) -> T {
        T::select_gt(x, T::lit(0.0), T::lit(1.0), T::lit(self.slope))
    }
}

/// `x` where it is positive, else `slope x` with a slope that is differentiated too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prelu;

impl Binary for Prelu {
    const NAME: &'static str = "prelu";
    #[inline(always)]
    fn value<T: Elementary>(&self, x: T, slope: T) -> T {
        T::select_gt(x, T::lit(0.0), x, slope * x)
    }
    #[inline(always)]
    fn partial_a<T: Elementary>(&self, x: T, slope: T, _: T) -> T {
        T::select_gt(x, T::lit(0.0), T::lit(1.0), slope)
    }
    #[inline(always)]
    fn partial_b<T: Elementary>(&self, x: T, _: T, _: T) -> T {
        negative(x)
    }
}

/// `x` where it is positive, else `alpha (e^x - 1)`, whose derivative is taken at 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Elu {
    pub(crate) alpha: f64,
}

impl Unary for Elu {
    const NAME: &'static str = "elu";
    #[inline(always)]
    fn value<T: Elementary>(&self, x: T) -> T {
        T::select_gt(x, T::lit(0.0), x, T::lit(self.alpha) * negative(x).exp_m1())
    }
    #[inline(always)]
    fn partial<T: Elementary>(&self, x: T, _: T) -> T {
        T::select_gt(x, T::lit(0.0), T::lit(1.0), T::lit(self.alpha) * negative(x).exp())
    }
}

/// `x` where it is positive, else `alpha (e^(x / alpha) - 1)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Celu {
    pub(crate) alpha: f64,
}

impl Unary for Celu {
    const NAME: &'static str = "celu";
    #[inline(always)]
    fn value<T: Elementary>(&self, x: T) -> T {
        let alpha = T::lit(self.alpha);
        T::select_gt(x, T::lit(0.0), x, alpha * (negative(x) / alpha).exp_m1())
    }
    #[inline(always)]
    fn partial<T: Elementary>(&self, x: T, _: T) -> T {
        let slope = (negative(x) / T::lit(self.alpha)).exp();
        T::select_gt(x, T::lit(0.0), T::lit(1.0), slope)
    }
}

/// `x` between `low` and `high`: `dy/dx = 1` there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hardtanh {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Unary for Hardtanh {
    const NAME: &'static str = "hardtanh";
    #[inline(always)]
    fn value<T: Elementary>(&self, x: T) -> T {
        within(x, x, self.low, self.high)
    }
    #[inline(always)]
    fn partial<T: Elementary>(&self, x: T, _: T) -> T {
        slope_within(x, T::lit(1.0), self.low, self.high)
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
            /// `ln sigmoid(x) = -ln(1 + e^-x)`, without overflow at either end.
            log_sigmoid() [] => apply(LogSigmoid);
            /// `min(max(x, 0), 6)`; its derivative is 1 between 0 and 6, else 0.
            relu6() [] => apply(Relu6);
            /// `x` if `x > 0`, else `slope x` (Maas, Hannun and Ng 2013); its derivative at 0 is `slope`. PyTorch's
            /// default for the slope is 0.01.
            leaky_relu() [slope: f64] => apply(LeakyRelu { slope });
            /// `x` if `x > 0`, else `slope x` with a slope that is learnt (He et al. 2015, "Delving deep into
            /// rectifiers"); it broadcasts. The derivatives at 0 are `slope` and 0.
            prelu(slope) [] => apply2(slope, Prelu);
            /// `x` if `x > 0`, else `alpha (e^x - 1)` (Clevert, Unterthiner and Hochreiter 2015); its derivative
            /// at 0 is `alpha`. PyTorch's default for `alpha` is 1.
            elu() [alpha: f64] => apply(Elu { alpha });
            /// `1.0507 x` if `x > 0`, else `1.0507 * 1.67326 (e^x - 1)` (Klambauer et al. 2017,
            /// "Self-normalizing neural networks"); its derivative at 0 is that from the left, 1.7581.
            selu() [] => apply(Selu);
            /// `x` if `x > 0`, else `alpha (e^(x / alpha) - 1)` (Barron 2017), which has no kink.
            celu() [alpha: f64] => apply(Celu { alpha });
            /// `x sigmoid(x)`, also called swish (Elfwing, Uchibe and Doya 2017; Ramachandran, Zoph and Le 2017).
            /// At minus infinity it is NaN, as in PyTorch.
            silu() [] => apply(Silu);
            /// `x tanh(ln(1 + e^x))` (Misra 2019). At minus infinity it is NaN, as in PyTorch.
            mish() [] => apply(Mish);
            /// `x / (1 + |x|)`. At infinity it is NaN, as in PyTorch.
            softsign() [] => apply(Softsign);
            /// `min(max(x + 3, 0), 6) / 6`; its derivative is 1/6 between -3 and 3, else 0.
            hardsigmoid() [] => apply(Hardsigmoid);
            /// `x hardsigmoid(x)` (Howard et al. 2019, "Searching for MobileNetV3"); its derivative is 0 at -3 and 1 at 3.
            hardswish() [] => apply(Hardswish);
            /// `min(max(x, low), high)`; its derivative is 1 between the ends, else 0. (That of
            /// [`clamp`](Elementary::clamp) is 1 at the ends; PyTorch has the same difference.) PyTorch's
            /// defaults are -1 and 1.
            hardtanh() [low: f64, high: f64] => apply(Hardtanh { low, high });
        }
    };
}
pub(crate) use for_each_activation;
