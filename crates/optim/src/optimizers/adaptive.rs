//! Descent with steps scaled by the size of past gradients.

use tape::Real;

use super::Frame;
use crate::transforms::{ScaleByAdadelta, ScaleByAdagrad, ScaleByRms, Trace};
use crate::{Chain, Schedule};

/// Adagrad: `s <- s + g^2`, `x <- x - rate g / (sqrt(s) + epsilon)`.
///
/// Duchi, Hazan and Singer (2011), the diagonal form. Defaults as in PyTorch: `epsilon` = 1e-10, `s`
/// from 0; its `lr_decay` is a [`Schedule`] here. See [`ScaleByAdagrad`].
#[derive(Clone, Debug)]
pub struct Adagrad<E: Real = f64> {
    pub(super) frame: Frame<E>,
    epsilon: f64,
    initial: f64,
}

impl<E: Real> Adagrad<E> {
    /// With a learning rate, a number or a [`Schedule`].
    ///
    /// # Panics
    /// If a number is negative or not finite.
    #[track_caller]
    pub fn new(rate: impl Into<Schedule>) -> Self {
        Adagrad { frame: Frame::new(rate.into()), epsilon: 1e-10, initial: 0.0 }.build()
    }

    /// What is added to the root.
    ///
    /// # Panics
    /// If it is negative or not finite.
    #[must_use]
    #[track_caller]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self.build()
    }

    /// Where the sum of squares starts.
    ///
    /// # Panics
    /// If it is negative or not finite.
    #[must_use]
    #[track_caller]
    pub fn initial_accumulator(mut self, initial: f64) -> Self {
        self.initial = initial;
        self.build()
    }

    #[track_caller]
    pub(super) fn scaling(&self, chain: Chain<E>) -> Chain<E> {
        chain.then(ScaleByAdagrad::new(self.epsilon, self.initial))
    }
}

/// RMSProp: `s <- alpha s + (1 - alpha) g^2`, `x <- x - rate g / (sqrt(s) + epsilon)`.
///
/// Tieleman and Hinton, lecture 6.5 (2012). Defaults as in PyTorch: `alpha` = 0.99, `epsilon` = 1e-8,
/// not centered, no momentum. See [`ScaleByRms`] for the centered form, which deviates from PyTorch's
/// where rounding would make it take the root of a negative number.
#[derive(Clone, Debug)]
pub struct RmsProp<E: Real = f64> {
    pub(super) frame: Frame<E>,
    alpha: f64,
    epsilon: f64,
    centered: bool,
    momentum: f64,
}

impl<E: Real> RmsProp<E> {
    /// With a learning rate, a number or a [`Schedule`].
    ///
    /// # Panics
    /// If a number is negative or not finite.
    #[track_caller]
    pub fn new(rate: impl Into<Schedule>) -> Self {
        RmsProp {
            frame: Frame::new(rate.into()),
            alpha: 0.99,
            epsilon: 1e-8,
            centered: false,
            momentum: 0.0,
        }
        .build()
    }

    /// The decay of the mean of squares.
    ///
    /// # Panics
    /// If it is not in `[0, 1)`.
    #[must_use]
    #[track_caller]
    pub fn alpha(mut self, alpha: f64) -> Self {
        self.alpha = alpha;
        self.build()
    }

    /// What is added to the root.
    ///
    /// # Panics
    /// If it is negative or not finite.
    #[must_use]
    #[track_caller]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self.build()
    }

    /// Whether to divide by the standard deviation instead of the root mean square.
    #[must_use]
    pub fn centered(mut self, centered: bool) -> Self {
        self.centered = centered;
        self.build()
    }

    /// Classical momentum of the scaled gradients: `v <- mu v + g / (sqrt(s) + epsilon)`,
    /// `x <- x - rate v`.
    ///
    /// # Panics
    /// If it is not in `[0, 1)`.
    #[must_use]
    #[track_caller]
    pub fn momentum(mut self, mu: f64) -> Self {
        self.momentum = mu;
        self.build()
    }

    #[track_caller]
    pub(super) fn scaling(&self, chain: Chain<E>) -> Chain<E> {
        let rms = ScaleByRms::new(self.alpha, self.epsilon).centered(self.centered);
        let chain = chain.then(rms);
        if self.momentum == 0.0 {
            return chain;
        }
        chain.then(Trace::classical(self.momentum))
    }
}

/// Adadelta: `s <- rho s + (1 - rho) g^2`, `d = sqrt(a + epsilon) / sqrt(s + epsilon) g`,
/// `a <- rho a + (1 - rho) d^2`, `x <- x - rate d`.
///
/// Zeiler (2012), who has no rate: it is 1 by default. Defaults as in PyTorch: `rho` = 0.9,
/// `epsilon` = 1e-6. See [`ScaleByAdadelta`].
#[derive(Clone, Debug)]
pub struct Adadelta<E: Real = f64> {
    pub(super) frame: Frame<E>,
    rho: f64,
    epsilon: f64,
}

impl<E: Real> Adadelta<E> {
    /// With a learning rate, a number or a [`Schedule`].
    ///
    /// # Panics
    /// If a number is negative or not finite.
    #[track_caller]
    pub fn new(rate: impl Into<Schedule>) -> Self {
        Adadelta { frame: Frame::new(rate.into()), rho: 0.9, epsilon: 1e-6 }.build()
    }

    /// The decay of both means of squares.
    ///
    /// # Panics
    /// If it is not in `[0, 1)`.
    #[must_use]
    #[track_caller]
    pub fn rho(mut self, rho: f64) -> Self {
        self.rho = rho;
        self.build()
    }

    /// What is added below both roots.
    ///
    /// # Panics
    /// If it is negative or not finite.
    #[must_use]
    #[track_caller]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self.build()
    }

    #[track_caller]
    pub(super) fn scaling(&self, chain: Chain<E>) -> Chain<E> {
        chain.then(ScaleByAdadelta::new(self.rho, self.epsilon))
    }
}
