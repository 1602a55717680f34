//! Losses that are logarithms of probabilities.

use super::{Reduction, equal_shapes};
use crate::error::{expect, require};
use crate::{Error, Real, TensorVar};

impl<E: Real> TensorVar<E> {
    /// The divergence of Kullback and Leibler, element by element, of probabilities `t` (the target) from those
    /// whose *logarithm* is this tensor: `t (ln t - x)`, and 0 where `t = 0`, reduced.
    ///
    /// As in PyTorch, the mean is that over all elements. The divergence of a batch is the sum divided by
    /// the number of its rows.
    ///
    /// ```
    /// use tape::{Reduction, Tape};
    ///
    /// let tape = Tape::new();
    /// let (p, t) = (tape.tensor([0.5, 0.5]), tape.constant([1.0, 0.0]));
    /// assert_eq!(p.ln().kl_div(t, Reduction::Sum).item(), 2.0f64.ln());
    /// ```
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn kl_div(self, target: impl Into<Self>, reduction: Reduction) -> Self {
        expect(self.try_kl_div(target, reduction))
    }

    /// Like [`kl_div`](Self::kl_div), for shapes from outside.
    ///
    /// # Errors
    /// If the shapes differ.
    #[track_caller]
    pub fn try_kl_div(self, target: impl Into<Self>, reduction: Reduction) -> Result<Self, Error> {
        let target = target.into();
        equal_shapes("kl_div", &[self, target])?;
        Ok(reduction.of(target.xlogy(target) - target * self))
    }

    /// The negative logarithm of the probability of counts `t` by Poisson's distribution, without the part that depends
    /// on `t` alone, reduced. If `logarithm`, this tensor is the logarithm of the expected counts: `e^x - t x`; else
    /// it is the counts themselves: `x - t ln(x + 1e-8)`.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn poisson_nll_loss(
        self,
        target: impl Into<Self>,
        logarithm: bool,
        reduction: Reduction,
    ) -> Self {
        expect(self.try_poisson_nll_loss(target, logarithm, reduction))
    }

    /// Like [`poisson_nll_loss`](Self::poisson_nll_loss), for shapes from outside.
    ///
    /// # Errors
    /// If the shapes differ.
    #[track_caller]
    pub fn try_poisson_nll_loss(
        self,
        target: impl Into<Self>,
        logarithm: bool,
        reduction: Reduction,
    ) -> Result<Self, Error> {
        let target = target.into();
        equal_shapes("poisson_nll_loss", &[self, target])?;
        Ok(reduction.of(match logarithm {
            true => self.exp() - target * self,
            false => self - target * (self + E::lit(1e-8)).ln(),
        }))
    }

    /// The negative logarithm of the density of `target` by normal distributions of mean `x` and the given variances,
    /// without the constant `ln(2 pi) / 2`, reduced: `(ln v + (x - target)^2 / v) / 2` with `v = max(variance, eps)`.
    ///
    /// As in PyTorch, whose default for `eps` is 1e-6, the derivative by a variance below `eps` is that at
    /// `eps` and not 0; so a variance that has become too small can grow again.
    ///
    /// # Panics
    /// If the shapes differ or `eps` is not positive.
    #[track_caller]
    pub fn gaussian_nll_loss(
        self,
        target: impl Into<Self>,
        variance: impl Into<Self>,
        eps: f64,
        reduction: Reduction,
    ) -> Self {
        expect(self.try_gaussian_nll_loss(target, variance, eps, reduction))
    }

    /// Like [`gaussian_nll_loss`](Self::gaussian_nll_loss), for shapes from outside.
    ///
    /// # Errors
    /// Where [`gaussian_nll_loss`](Self::gaussian_nll_loss) panics.
    #[track_caller]
    pub fn try_gaussian_nll_loss(
        self,
        target: impl Into<Self>,
        variance: impl Into<Self>,
        eps: f64,
        reduction: Reduction,
    ) -> Result<Self, Error> {
        require(eps > 0.0, "gaussian_nll_loss", || format!("eps is {eps}, which is not positive"))?;
        let (target, variance) = (target.into(), variance.into());
        equal_shapes("gaussian_nll_loss", &[self, target, variance])?;
        let least = E::lit(eps);
        let missing = TensorVar::select_gt(least, variance, Self::from(least) - variance, E::ZERO);
        let variance = variance + missing.stop_gradient();
        let residual = self - target;
        Ok(reduction.of((variance.ln() + residual * residual / variance) * E::lit(0.5)))
    }
}
