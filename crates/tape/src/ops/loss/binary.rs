//! Losses of yes or no.

use super::{Reduction, equal_shapes};
use crate::error::{expect, require};
use crate::primitive::unary;
use crate::{Binary, Elementary, Error, Real, TensorVar};

/// `-(t ln p + (1 - t) ln(1 - p))` with logarithms of at least -100: `dy/dp = (p - t) / (p (1 - p))` with a
/// denominator of at least 1e-12, `dy/dt = ln(1 - p) - ln p`.
#[derive(Clone, Copy, Debug)]
struct CrossEntropyOfProbability;

unary! {
    /// `ln p`, at least -100: `dy/dp = 1 / p`, and 0 where the logarithm is cut off or the quotient would overflow.
    LnProbability "ln_probability" |p, y| at_least(p.ln()), T::lit(1.0) / denominator(p);
    /// `ln(1 - p)`, at least -100: `dy/dp = -1 / (1 - p)`, with the same exception.
    LnComplement "ln_complement" |p, y| at_least((-p).ln_1p()),
        T::lit(-1.0) / denominator(T::lit(1.0) - p);
}

#[inline(always)]
fn at_least<T: Elementary>(ln: T) -> T {
    T::select_gt(T::lit(-100.0), ln, T::lit(-100.0), ln)
}

/// `p`, but infinite where it is no normal number of every precision.
#[inline(always)]
fn denominator<T: Elementary>(p: T) -> T {
    T::select_gt(p, T::lit(1e-37), p, p + T::lit(f64::INFINITY))
}

impl Binary for CrossEntropyOfProbability {
    const NAME: &'static str = "binary_cross_entropy";
    #[inline(always)]
    fn value<T: Elementary>(&self, p: T, t: T) -> T {
        -(t * p.apply(LnProbability) + (T::lit(1.0) - t) * p.apply(LnComplement))
    }
    #[inline(always)]
    fn partial_a<T: Elementary>(&self, p: T, t: T, _: T) -> T {
        let variance = p * (T::lit(1.0) - p);
        let least = T::lit(1e-12);
        (p - t) / T::select_gt(least, variance, least, variance)
    }
    #[inline(always)]
    fn partial_b<T: Elementary>(&self, p: T, _: T, _: T) -> T {
        p.apply(LnComplement) - p.apply(LnProbability)
    }
}

/// `ln(1 + e^x) - t x`, without the difference of large numbers: `dy/dx = (1 - t) s(x) - t s(-x)`, `dy/dt = -x`.
#[derive(Clone, Copy, Debug)]
struct CrossEntropyOfLogit;

impl Binary for CrossEntropyOfLogit {
    const NAME: &'static str = "binary_cross_entropy_with_logits";
    #[inline(always)]
    fn value<T: Elementary>(&self, x: T, t: T) -> T {
        // x (1 - t) for positive x, -x t for others.
        let linear = T::select_gt(x, T::lit(0.0), x * (T::lit(1.0) - t), -(x * t));
        linear + (-x.abs()).exp().ln_1p()
    }
    #[inline(always)]
    fn partial_a<T: Elementary>(&self, x: T, t: T, _: T) -> T {
        (T::lit(1.0) - t) * x.sigmoid() - t * (-x).sigmoid()
    }
    #[inline(always)]
    fn partial_b<T: Elementary>(&self, x: T, _: T, _: T) -> T {
        -x
    }
}

impl<E: Real> TensorVar<E> {
    /// The cross-entropy of probabilities `p` (this tensor) against targets `t`, which are probabilities or 0 and 1:
    /// `-(t ln p + (1 - t) ln(1 - p))`, reduced. For logits take
    /// [`binary_cross_entropy_with_logits`](Self::binary_cross_entropy_with_logits), which is right for logits of any size.
    ///
    /// As in PyTorch, no logarithm is below -100, and the derivative by `p` is `(p - t) / max(p (1 - p), 1e-12)`.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn binary_cross_entropy(self, target: impl Into<Self>, reduction: Reduction) -> Self {
        expect(self.try_binary_cross_entropy(target, reduction))
    }

    /// Like [`binary_cross_entropy`](Self::binary_cross_entropy), for shapes from outside.
    ///
    /// # Errors
    /// If the shapes differ.
    #[track_caller]
    pub fn try_binary_cross_entropy(
        self,
        target: impl Into<Self>,
        reduction: Reduction,
    ) -> Result<Self, Error> {
        let target = target.into();
        equal_shapes("binary_cross_entropy", &[self, target])?;
        Ok(reduction.of(self.apply2(target, CrossEntropyOfProbability)))
    }

    /// The cross-entropy of the probabilities `sigmoid(x)` against targets `t`, which are probabilities or 0 and 1:
    /// `ln(1 + e^x) - t x`, reduced; without overflow and with all digits for logits of any size.
    ///
    /// ```
    /// use tape::{Reduction, Tape};
    ///
    /// let tape = Tape::new();
    /// let (x, t) = (tape.tensor([1e4, 1e4, 0.0]), tape.constant([1.0, 0.0, 1.0]));
    /// let y = x.binary_cross_entropy_with_logits(t, Reduction::None).value();
    /// assert_eq!(y.to_vec(), [0.0, 1e4, 2.0f64.ln()]);
    /// ```
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn binary_cross_entropy_with_logits(
        self,
        target: impl Into<Self>,
        reduction: Reduction,
    ) -> Self {
        expect(self.try_binary_cross_entropy_with_logits(target, reduction))
    }

    /// Like [`binary_cross_entropy_with_logits`](Self::binary_cross_entropy_with_logits), for shapes from outside.
    ///
    /// # Errors
    /// If the shapes differ.
    #[track_caller]
    pub fn try_binary_cross_entropy_with_logits(
        self,
        target: impl Into<Self>,
        reduction: Reduction,
    ) -> Result<Self, Error> {
        let target = target.into();
        equal_shapes("binary_cross_entropy_with_logits", &[self, target])?;
        Ok(reduction.of(self.apply2(target, CrossEntropyOfLogit)))
    }

    /// Like [`binary_cross_entropy_with_logits`](Self::binary_cross_entropy_with_logits), with a weight for what is
    /// yes: `pos_weight t ln(1 + e^-x) + (1 - t) ln(1 + e^x)`, reduced. The weight is a number, or one for each class
    /// along the last axes: it broadcasts to the shape of the others (PyTorch's `pos_weight`).
    ///
    /// # Panics
    /// If the shapes differ, or that of the weight does not broadcast to them.
    #[track_caller]
    pub fn weighted_binary_cross_entropy_with_logits(
        self,
        target: impl Into<Self>,
        pos_weight: impl Into<Self>,
        reduction: Reduction,
    ) -> Self {
        expect(self.try_weighted_binary_cross_entropy_with_logits(target, pos_weight, reduction))
    }

    /// Like [`weighted_binary_cross_entropy_with_logits`](Self::weighted_binary_cross_entropy_with_logits), for shapes from
    /// outside.
    ///
    /// # Errors
    /// Where it panics.
    #[track_caller]
    pub fn try_weighted_binary_cross_entropy_with_logits(
        self,
        target: impl Into<Self>,
        pos_weight: impl Into<Self>,
        reduction: Reduction,
    ) -> Result<Self, Error> {
        let name = "weighted_binary_cross_entropy_with_logits";
        let (t, weight) = (target.into(), pos_weight.into());
        equal_shapes(name, &[self, t])?;
        let (own, other) = (self.shape(), weight.shape());
        if own.broadcast(&other).as_ref() != Some(&own) {
            let detail = "the second, of the weights, does not broadcast to the first".to_owned();
            return Err(Error::shape(name, &[&own, &other], detail));
        }
        // Both terms are positive, so no digits are lost.
        let yes = weight * t * (-self).softplus();
        Ok(reduction.of(yes + (Self::from(E::ONE) - t) * self.softplus()))
    }

    /// The focal loss of logits against targets of 0 and 1, reduced (Lin et al. 2017, "Focal loss for dense object
    /// detection"): the cross-entropy times `alpha_t (1 - p_t)^gamma`, where `p_t` is the probability of the target and
    /// `alpha_t` is `alpha` for 1 and `1 - alpha` for 0. The paper takes `alpha = 0.25` and `gamma = 2`.
    ///
    /// # Panics
    /// If the shapes differ or `gamma` is negative.
    #[track_caller]
    pub fn focal_loss(
        self,
        target: impl Into<Self>,
        alpha: f64,
        gamma: f64,
        reduction: Reduction,
    ) -> Self {
        expect(self.try_focal_loss(target, alpha, gamma, reduction))
    }

    /// Like [`focal_loss`](Self::focal_loss), for shapes from outside.
    ///
    /// # Errors
    /// Where [`focal_loss`](Self::focal_loss) panics.
    #[track_caller]
    pub fn try_focal_loss(
        self,
        target: impl Into<Self>,
        alpha: f64,
        gamma: f64,
        reduction: Reduction,
    ) -> Result<Self, Error> {
        require(gamma >= 0.0, "focal_loss", || format!("gamma is {gamma}, which is negative"))?;
        let t = target.into();
        equal_shapes("focal_loss", &[self, t])?;
        let entropy = self.apply2(t, CrossEntropyOfLogit);
        let missed = t * (-self).sigmoid() + (Self::from(E::ONE) - t) * self.sigmoid();
        // A small power of 0 has an infinite derivative.
        let least = E::lit(1e-30);
        let missed = TensorVar::select_gt(missed, least, missed, least);
        let share = t * E::lit(2.0 * alpha - 1.0) + E::lit(1.0 - alpha);
        Ok(reduction.of(share * missed.powf(E::lit(gamma)) * entropy))
    }

    /// The hinge loss `max(0, 1 - t x)` against targets `t` of -1 and 1, reduced; its derivative at the kink is 0.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn hinge_loss(self, target: impl Into<Self>, reduction: Reduction) -> Self {
        expect(self.try_hinge_loss(target, reduction))
    }

    /// Like [`hinge_loss`](Self::hinge_loss), for shapes from outside.
    ///
    /// # Errors
    /// If the shapes differ.
    #[track_caller]
    pub fn try_hinge_loss(
        self,
        target: impl Into<Self>,
        reduction: Reduction,
    ) -> Result<Self, Error> {
        let target = target.into();
        equal_shapes("hinge_loss", &[self, target])?;
        Ok(reduction.of((Self::from(E::ONE) - self * target).relu()))
    }
}
