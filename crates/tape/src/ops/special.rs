//! Special functions, and small ones that Rust's floats or PyTorch have: rules made of primitives.
//!
//! They are elementwise, on numbers and on tensors, and have derivatives of any order. Values in double
//! precision are within 1e-14 of the exact ones, relative to them, but near a zero, where what counts is the size of
//! what is subtracted.

#[cfg(feature = "cases")]
pub(crate) mod cases;
mod gamma;
mod normal;
mod polygamma;
mod simple;

use std::f64::consts::PI;

use crate::Elementary;

pub(crate) use gamma::{Beta, Gamma, LnBeta, LnGamma};
pub(crate) use normal::{Erfinv, NormCdf, NormPdf, NormQuantile};
pub(crate) use polygamma::{Digamma, Polygamma};
pub(crate) use simple::{Fract, Lerp, Log, Logaddexp, Rsqrt, Sinc, ToDegrees, ToRadians, Xlogy};

/// The methods of [`Elementary`] that apply a rule of this folder.
macro_rules! for_each_special {
    ($callback:ident) => {
        $callback! {
            /// `1 / sqrt(x)`; its derivative at 0 is minus infinity.
            rsqrt() [] => apply(Rsqrt);
            /// The logarithm to any base, `ln x / ln base`.
            log(base) [] => apply2(base, Log);
            /// Radians to degrees, `180 x / pi`.
            to_degrees() [] => apply(ToDegrees);
            /// Degrees to radians, `pi x / 180`.
            to_radians() [] => apply(ToRadians);
            /// `x - trunc(x)`, which has the sign of `x`; its derivative is 1, at the integers as well.
            fract() [] => apply(Fract);
            /// `sin(pi x) / (pi x)`, and 1 at 0, as in numpy and PyTorch. All derivatives are accurate near
            /// 0. At other integers it is 0; NaN at infinity.
            sinc() [] => apply(Sinc { order: 0 });
            /// `x ln y`, and 0 at `x = 0` for any `y` but NaN. Where `x = 0` and `y <= 0`, the derivative by
            /// `x` is 0, as in PyTorch; so is that by `y` at `x = y = 0`, where PyTorch has NaN.
            xlogy(y) [] => apply2(y, Xlogy);
            /// `ln(e^x + e^y)` without overflow. Equal infinities have themselves as the result, and
            /// the derivatives are one half each.
            logaddexp(y) [] => apply2(y, Logaddexp);
            /// `x + t (end - x)`: this number at `t = 0` and `end` at `t = 1`, both exactly.
            lerp(end, t) [] => apply3(end, t, Lerp);
            /// The inverse of the error function. It is infinite at -1 and 1, and NaN beyond.
            ///
            /// Wichura 1988, "Algorithm AS 241: The Percentage Points of the Normal Distribution".
            erfinv() [] => apply(Erfinv);
            /// The density of the standard normal distribution, `e^(-x^2 / 2) / sqrt(2 pi)`.
            norm_pdf() [] => apply(NormPdf);
            /// The distribution function of the standard normal distribution,
            /// `(1 + erf(x / sqrt 2)) / 2`, accurate for small probabilities; PyTorch's `ndtr`.
            norm_cdf() [] => apply(NormCdf);
            /// The `x` at which [`norm_cdf`](Elementary::norm_cdf) is this number; PyTorch's `ndtri`. It is infinite
            /// at 0 and 1, and NaN beyond.
            ///
            /// Wichura 1988, "Algorithm AS 241: The Percentage Points of the Normal Distribution".
            norm_quantile() [] => apply(NormQuantile);
            /// The gamma function. At 0 it is infinite with the sign of the zero; at negative integers and
            /// minus infinity it is NaN.
            gamma() [] => apply(Gamma);
            /// `ln |gamma(x)|`; without the sign that Rust's unstable `ln_gamma` returns beside it. At 0, at
            /// negative integers and at both infinities it is infinity.
            ln_gamma() [] => apply(LnGamma);
            /// The digamma function, the derivative of [`ln_gamma`](Elementary::ln_gamma). At 0 it is infinite with
            /// the sign opposite to that of the zero; at negative integers it is NaN.
            digamma() [] => apply(Digamma);
            /// The `n`-th derivative of [`digamma`](Elementary::digamma). At 0 and at negative integers it is
            /// infinity for odd `n`; for even `n` it is infinite with the sign opposite to that of the zero,
            /// and NaN at negative integers. `n!` must be finite in the precision, and so must that of the
            /// order of the derivative that is asked for.
            polygamma() [n: u32] => apply(Polygamma { n });
            /// The beta function, `gamma(x) gamma(y) / gamma(x + y)`, for positive arguments. It is infinite
            /// where one is 0 and NaN where one is negative. The relative error is `1e-15 |ln beta|` for large arguments.
            beta(y) [] => apply2(y, Beta);
            /// The logarithm of [`beta`](Elementary::beta), accurate for arguments of any size.
            ln_beta(y) [] => apply2(y, LnBeta);
        }
    };
}
pub(crate) use for_each_special;

/// A polynomial from its coefficients, the constant one first.
fn polynomial<T: Elementary>(x: T, coefficients: &[f64]) -> T {
    let Some((&last, rest)) = coefficients.split_last() else { return T::lit(0.0) };
    rest.iter().rev().fold(T::lit(last), |sum, &c| sum * x + T::lit(c))
}

/// `sin(pi x)` and `cos(pi x)`, exactly 0 at their zeros: first what is beyond the nearest integer is found.
fn sin_cos_pi<T: Elementary>(x: T) -> (T, T) {
    let integer = x.round();
    let odd = integer - T::lit(2.0) * (integer * T::lit(0.5)).floor();
    let sign = T::lit(1.0) - T::lit(2.0) * odd;
    let rest = x - integer;
    let sin = (T::lit(PI) * rest).sin();
    // Near the zeros of the cosine it is the sine of the distance from them, which is exact.
    let far = (T::lit(PI) * (T::lit(0.5) - rest.abs())).sin();
    let cos = T::select_gt(rest.abs(), T::lit(0.25), far, (T::lit(PI) * rest).cos());
    (sign * sin, sign * cos)
}
