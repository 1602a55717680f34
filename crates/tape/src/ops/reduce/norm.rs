//! Lengths and standard deviations: roots of sums, whose derivative at 0 is 0.

use super::Over;
use crate::{Elementary, IntoAxes, Real, TensorVar, Unary};

/// The `p`-th root of what is not negative: `dy/dx = y / (p x)`. At 0 the denominator counts as infinite,
/// so that all derivatives are 0 there.
#[derive(Clone, Copy, Debug)]
struct Root {
    p: f64,
}

impl Unary for Root {
    const NAME: &'static str = "root";
    #[inline(always)]
    fn value<T: Elementary>(&self, x: T) -> T {
        if self.p == 2.0 { x.sqrt() } else { x.powf(T::lit(1.0 / self.p)) }
    }
    #[inline(always)]
    fn partial<T: Elementary>(&self, x: T, y: T) -> T {
        let infinite = x + T::lit(f64::INFINITY);
        let denominator = T::select_gt(x, T::lit(0.0), x, infinite);
        T::lit(1.0 / self.p) * y / denominator
    }
}

/// `|x|^p`: `dy/dx = p |x|^(p-1) sign(x)`, with the sign 0 of 0.
#[derive(Clone, Copy, Debug)]
struct PowerOfSize {
    p: f64,
}

impl Unary for PowerOfSize {
    const NAME: &'static str = "power_of_size";
    #[inline(always)]
    fn value<T: Elementary>(&self, x: T) -> T {
        x.abs().powf(T::lit(self.p))
    }
    #[inline(always)]
    fn partial<T: Elementary>(&self, x: T, _: T) -> T {
        let zero = T::lit(0.0);
        let not_positive = T::select_gt(zero, x, T::lit(-1.0), x.stop_gradient());
        let sign = T::select_gt(x, zero, T::lit(1.0), not_positive);
        T::lit(self.p) * x.apply(PowerOfSize { p: self.p - 1.0 }) * sign
    }
}

impl<E: Real> TensorVar<E> {
    #[track_caller]
    fn reduce_norm(self, over: Over, p: f64) -> Self {
        assert!(p >= 1.0, "norm: the order is {p}, and not at least 1");
        if p == f64::INFINITY {
            return self.abs().reduce_amax(over);
        }
        if p == 1.0 {
            return self.abs().reduce_sum(over);
        }
        let powers = if p == 2.0 { self * self } else { self.apply(PowerOfSize { p }) };
        powers.reduce_sum(over).apply(Root { p })
    }

    /// The norm of order `p` of all elements, `(sum |x|^p)^(1/p)`, of rank 0: 2 for the length of a vector or the
    /// Frobenius norm of a matrix, 1 for the sum of the absolute values, infinity for the largest of them.
    ///
    /// The derivative is 0 where all elements are 0, and for 1 and infinity where an element is 0. For infinity it
    /// is shared equally among equals. For `1 < p < 2` the second derivative at an element 0 is NaN where it is
    /// infinite. The powers must not overflow; where all of
    /// them vanish (of numbers below 1e-162, in single precision 1e-23), the norm and its derivative are 0.
    ///
    /// ```
    /// use tape::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.tensor([3.0, -4.0]);
    /// assert_eq!((x.norm(1.0).item(), x.norm(2.0).item(), x.norm(f64::INFINITY).item()), (7.0, 5.0, 4.0));
    /// ```
    ///
    /// # Panics
    /// If `p` is below 1.
    #[track_caller]
    pub fn norm(self, p: f64) -> Self {
        self.reduce_norm(self.over_all(), p)
    }

    /// The [`norm`](Self::norm) over some axes, which go.
    ///
    /// # Panics
    /// If an axis does not exist, or `p` is below 1.
    #[track_caller]
    pub fn norm_axes(self, axes: impl IntoAxes, p: f64) -> Self {
        self.reduce_norm(self.over("norm", axes, false), p)
    }

    /// The [`norm`](Self::norm) over some axes, which stay with length 1.
    ///
    /// # Panics
    /// If an axis does not exist, or `p` is below 1.
    #[track_caller]
    pub fn norm_axes_keep(self, axes: impl IntoAxes, p: f64) -> Self {
        self.reduce_norm(self.over("norm", axes, true), p)
    }

    /// The standard deviation of all elements: the root of [`var`](Self::var). Where it is 0, so is its derivative.
    #[track_caller]
    pub fn std(self, correction: f64) -> Self {
        self.var(correction).apply(Root { p: 2.0 })
    }

    /// The standard deviation over some axes, which go.
    ///
    /// # Panics
    /// If an axis does not exist.
    #[track_caller]
    pub fn std_axes(self, axes: impl IntoAxes, correction: f64) -> Self {
        self.reduce_var(self.over("std", axes, false), correction).apply(Root { p: 2.0 })
    }

    /// The standard deviation over some axes, which stay with length 1.
    ///
    /// # Panics
    /// If an axis does not exist.
    #[track_caller]
    pub fn std_axes_keep(self, axes: impl IntoAxes, correction: f64) -> Self {
        self.reduce_var(self.over("std", axes, true), correction).apply(Root { p: 2.0 })
    }
}
