//! Functions with kinks, ties or steps; what they do there is stated at each.

use super::{binary, unary};

unary! {
    /// `|x|`: the derivative is the sign, 0 at 0, NaN at NaN.
    Abs "abs" |x, y| x.abs(),
        T::select_gt(
            x,
            T::lit(0.0),
            T::lit(1.0),
            T::select_gt(T::lit(0.0), x, T::lit(-1.0), x.stop_gradient()),
        ),
        |g| T::select_gt(
            x,
            T::lit(0.0),
            g,
            T::select_gt(T::lit(0.0), x, -g, g * x.stop_gradient()),
        );
    /// The sign as 1 or -1: the derivative is 0.
    Signum "signum" |x, y| x.signum(), T::lit(0.0), |g| T::lit(0.0);
    /// The integer at or below: the derivative is 0.
    Floor "floor" |x, y| x.floor(), T::lit(0.0), |g| T::lit(0.0);
    /// The integer at or above: the derivative is 0.
    Ceil "ceil" |x, y| x.ceil(), T::lit(0.0), |g| T::lit(0.0);
    /// The nearest integer: the derivative is 0.
    Round "round" |x, y| x.round(), T::lit(0.0), |g| T::lit(0.0);
    /// The integer part: the derivative is 0.
    Trunc "trunc" |x, y| x.trunc(), T::lit(0.0), |g| T::lit(0.0);
    /// `max(x, 0)`: the derivative is 1 above 0, else 0.
    /// It is told by the result, which is kept for whoever reads it; the argument need not be.
    Relu "relu" |x, y| x.relu(), T::select_gt(y, T::lit(0.0), T::lit(1.0), T::lit(0.0)),
        |g| T::select_gt(y, T::lit(0.0), g, T::lit(0.0));
}

binary! {
    /// The smaller one gets the cotangent; half each at a tie, and where one is NaN.
    Min "min" |g, a, b, y| a.min(b),
        T::select_gt(b, a, g, T::select_gt(a, b, T::lit(0.0), T::lit(0.5) * g)),
        T::select_gt(a, b, g, T::select_gt(b, a, T::lit(0.0), T::lit(0.5) * g));
    /// The larger one gets the cotangent; half each at a tie, and where one is NaN.
    Max "max" |g, a, b, y| a.max(b),
        T::select_gt(a, b, g, T::select_gt(b, a, T::lit(0.0), T::lit(0.5) * g)),
        T::select_gt(b, a, g, T::select_gt(a, b, T::lit(0.0), T::lit(0.5) * g));
    /// The magnitude of `a` with the sign of `b`: the derivative by `a` is the product of the signs,
    /// by `b` it is 0.
    Copysign "copysign" |g, a, b, y| a.copysign(b),
        g * (T::lit(1.0).copysign(a) * T::lit(1.0).copysign(b)), T::lit(0.0);
}
