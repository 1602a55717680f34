//! Losses of the difference of a prediction and a target.

use std::f64::consts::LN_2;

use super::{Reduction, equal_shapes};
use crate::error::{expect, require};
use crate::primitive::unary;
use crate::{Elementary, Error, Real, TensorVar, Unary};

/// `r^2 / 2` where `|r| <= delta`, else `delta (|r| - delta / 2)`: `dy/dr` is `r`, kept within `delta`.
#[derive(Clone, Copy, Debug)]
struct Huber {
    delta: f64,
}

impl Huber {
    #[inline(always)]
    fn kept<T: Elementary>(&self, r: T) -> T {
        r.clamp(T::lit(-self.delta), T::lit(self.delta))
    }
}

impl Unary for Huber {
    const NAME: &'static str = "huber_loss";
    #[inline(always)]
    fn value<T: Elementary>(&self, r: T) -> T {
        let kept = self.kept(r);
        kept * (r - T::lit(0.5) * kept)
    }
    #[inline(always)]
    fn partial<T: Elementary>(&self, r: T, _: T) -> T {
        self.kept(r)
    }
}

unary! {
    /// `ln cosh r`: `dy/dr = tanh r`. As `ln(1 + sinh^2 r) / 2` for small `r`, where it keeps its digits, and as
    /// `|r| + ln(1 + e^(-2 |r|)) - ln 2` for others, where nothing overflows.
    LogCosh "log_cosh_loss" |r, y| {
        let size = r.abs();
        let small = T::lit(0.5) * r.sinh().square().ln_1p();
        let large = size + (T::lit(-2.0) * size).exp().ln_1p() - T::lit(LN_2);
        T::select_gt(T::lit(1.0), size, small, large)
    }, r.tanh();
}

impl<E: Real> TensorVar<E> {
    #[track_caller]
    fn residual(self, name: &'static str, target: impl Into<Self>) -> Result<Self, Error> {
        let target = target.into();
        equal_shapes(name, &[self, target])?;
        Ok(self - target)
    }

    /// The mean squared error `mean((x - target)^2)`, of rank 0.
    ///
    /// The shapes must be equal: a `[n]` against a `[n, 1]` would broadcast to `[n, n]`, which is
    /// never what is meant.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn mse_loss(self, target: impl Into<Self>) -> Self {
        expect(self.try_mse_loss(target))
    }

    /// Like [`mse_loss`](Self::mse_loss), for shapes from outside.
    ///
    /// # Errors
    /// If the shapes differ.
    #[track_caller]
    pub fn try_mse_loss(self, target: impl Into<Self>) -> Result<Self, Error> {
        let residual = self.residual("mse_loss", target)?;
        Ok((residual * residual).mean())
    }

    /// The squared errors `(x - target)^2`, reduced.
    ///
    /// ```
    /// use tape::{Reduction, Tape};
    ///
    /// let tape = Tape::new();
    /// let (x, target) = (tape.tensor([1.0, 4.0]), tape.constant([0.0, 2.0]));
    /// assert_eq!(x.squared_error(target, Reduction::Sum).item(), 5.0);
    /// ```
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn squared_error(self, target: impl Into<Self>, reduction: Reduction) -> Self {
        expect(self.try_squared_error(target, reduction))
    }

    /// Like [`squared_error`](Self::squared_error), for shapes from outside.
    ///
    /// # Errors
    /// If the shapes differ.
    #[track_caller]
    pub fn try_squared_error(
        self,
        target: impl Into<Self>,
        reduction: Reduction,
    ) -> Result<Self, Error> {
        Ok(reduction.of(self.residual("squared_error", target)?.square()))
    }

    /// The absolute errors `|x - target|`, reduced. Where they are equal the derivative is 0.
    ///
    /// ```
    /// use tape::{Reduction, Tape};
    ///
    /// let tape = Tape::new();
    /// let (x, target) = (tape.tensor([1.0, 4.0]), tape.constant([0.0, 2.0]));
    /// assert_eq!(x.l1_loss(target, Reduction::Mean).item(), 1.5);
    /// ```
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn l1_loss(self, target: impl Into<Self>, reduction: Reduction) -> Self {
        expect(self.try_l1_loss(target, reduction))
    }

    /// Like [`l1_loss`](Self::l1_loss), for shapes from outside.
    ///
    /// # Errors
    /// If the shapes differ.
    #[track_caller]
    pub fn try_l1_loss(self, target: impl Into<Self>, reduction: Reduction) -> Result<Self, Error> {
        Ok(reduction.of(self.residual("l1_loss", target)?.abs()))
    }

    /// With `r = x - target`: `r^2 / 2` where `|r| <= delta`, else `delta (|r| - delta / 2)`, reduced (Huber 1964,
    /// "Robust estimation of a location parameter").
    ///
    /// # Panics
    /// If the shapes differ or `delta` is not positive.
    #[track_caller]
    pub fn huber_loss(self, target: impl Into<Self>, delta: f64, reduction: Reduction) -> Self {
        expect(self.try_huber_loss(target, delta, reduction))
    }

    /// Like [`huber_loss`](Self::huber_loss), for shapes from outside.
    ///
    /// # Errors
    /// Where [`huber_loss`](Self::huber_loss) panics.
    #[track_caller]
    pub fn try_huber_loss(
        self,
        target: impl Into<Self>,
        delta: f64,
        reduction: Reduction,
    ) -> Result<Self, Error> {
        require(delta > 0.0, "huber_loss", || format!("delta is {delta}, which is not positive"))?;
        Ok(reduction.of(self.residual("huber_loss", target)?.apply(Huber { delta })))
    }

    /// The Huber loss divided by its threshold, with `r = x - target`: `r^2 / (2 beta)` where `|r| <= beta`, else
    /// `|r| - beta / 2`, reduced (Girshick 2015, "Fast R-CNN"). With `beta = 0` it is
    /// [`l1_loss`](Self::l1_loss).
    ///
    /// # Panics
    /// If the shapes differ or `beta` is negative.
    #[track_caller]
    pub fn smooth_l1_loss(self, target: impl Into<Self>, beta: f64, reduction: Reduction) -> Self {
        expect(self.try_smooth_l1_loss(target, beta, reduction))
    }

    /// Like [`smooth_l1_loss`](Self::smooth_l1_loss), for shapes from outside.
    ///
    /// # Errors
    /// Where [`smooth_l1_loss`](Self::smooth_l1_loss) panics.
    #[track_caller]
    pub fn try_smooth_l1_loss(
        self,
        target: impl Into<Self>,
        beta: f64,
        reduction: Reduction,
    ) -> Result<Self, Error> {
        require(beta >= 0.0, "smooth_l1_loss", || format!("beta is {beta}, which is negative"))?;
        let residual = self.residual("smooth_l1_loss", target)?;
        let losses = match beta {
            0.0 => residual.abs(),
            _ => residual.apply(Huber { delta: beta }) / E::lit(beta),
        };
        Ok(reduction.of(losses))
    }

    /// `ln cosh(x - target)`, reduced: a square for small errors and an absolute value for large ones, with all
    /// derivatives.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn log_cosh_loss(self, target: impl Into<Self>, reduction: Reduction) -> Self {
        expect(self.try_log_cosh_loss(target, reduction))
    }

    /// Like [`log_cosh_loss`](Self::log_cosh_loss), for shapes from outside.
    ///
    /// # Errors
    /// If the shapes differ.
    #[track_caller]
    pub fn try_log_cosh_loss(
        self,
        target: impl Into<Self>,
        reduction: Reduction,
    ) -> Result<Self, Error> {
        Ok(reduction.of(self.residual("log_cosh_loss", target)?.apply(LogCosh)))
    }

    /// The pinball loss of a quantile `q`, with `r = target - x`: `q r` where `r > 0`, else `(q - 1) r`, reduced
    /// (Koenker and Bassett 1978, "Regression quantiles"). Its smallest mean is at the quantile. Where
    /// they are equal, the derivative is in the middle of those from both sides.
    ///
    /// ```
    /// use tape::{Reduction, Tape};
    ///
    /// let tape = Tape::new();
    /// let (x, target) = (tape.tensor([1.0, 1.0]), tape.constant([2.0, 0.0]));
    /// let y = x.quantile_loss(target, 0.75, Reduction::None).value();
    /// assert_eq!(y.to_vec(), [0.75, 0.25]);
    /// ```
    ///
    /// # Panics
    /// If the shapes differ or `q` is not between 0 and 1.
    #[track_caller]
    pub fn quantile_loss(self, target: impl Into<Self>, q: f64, reduction: Reduction) -> Self {
        expect(self.try_quantile_loss(target, q, reduction))
    }

    /// Like [`quantile_loss`](Self::quantile_loss), for shapes from outside.
    ///
    /// # Errors
    /// Where [`quantile_loss`](Self::quantile_loss) panics.
    #[track_caller]
    pub fn try_quantile_loss(
        self,
        target: impl Into<Self>,
        q: f64,
        reduction: Reduction,
    ) -> Result<Self, Error> {
        require((0.0..=1.0).contains(&q), "quantile_loss", || {
            format!("q is {q}, which is not in [0, 1]")
        })?;
        let r = self.residual("quantile_loss", target)?;
        Ok(reduction.of(r.abs() * E::lit(0.5) - r * E::lit(q - 0.5)))
    }
}
