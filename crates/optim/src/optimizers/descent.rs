//! Gradient descent, with and without momentum.

use tape::Real;

use super::Frame;
use crate::transforms::Trace;
use crate::{Chain, Schedule};

/// Gradient descent: `x <- x - rate g`.
///
/// Cauchy, "Méthode générale pour la résolution des systèmes d'équations simultanées" (1847); with
/// gradients of random samples, Robbins and Monro, "A Stochastic Approximation Method" (1951).
///
/// ```
/// use autograd::Differentiate;
/// use optim::{GradientDescent, Params};
/// use tape::{Tape, Tensor};
///
/// let mut params = Params::new();
/// let x = params.insert("x", Tensor::from([1.0, 2.0]));
/// let mut opt = GradientDescent::new(0.25);
/// let tape = Tape::new();
/// let p = params.bind(&tape);
/// opt.step(&mut params, (p[x] * p[x]).sum().backward()?)?;
/// assert_eq!(params.get(x), &Tensor::from([0.5, 1.0]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct GradientDescent<E: Real = f64> {
    pub(super) frame: Frame<E>,
}

/// The name that [`GradientDescent`] has when the gradients are those of random samples.
pub type Sgd<E = f64> = GradientDescent<E>;

impl<E: Real> GradientDescent<E> {
    /// With a learning rate, a number or a [`Schedule`].
    ///
    /// # Panics
    /// If a number is negative or not finite.
    #[track_caller]
    pub fn new(rate: impl Into<Schedule>) -> Self {
        let frame = Frame::new(rate.into());
        GradientDescent { frame }.build()
    }

    pub(super) fn scaling(&self, chain: Chain<E>) -> Chain<E> {
        chain
    }
}

/// Gradient descent with momentum: `v <- mu v + g`, `x <- x - rate v`, from `v = 0`.
///
/// Polyak, "Some methods of speeding up the convergence of iteration methods" (1964), written as in
/// PyTorch's `SGD`: the rate multiplies `v` and not `g`, which differs from Polyak's form when the
/// rate changes. `mu` is 0.9 by default (PyTorch has none). See [`Trace`].
///
/// ```
/// # use autograd::Differentiate;
/// # use optim::{Momentum, Params};
/// # use tape::{Tape, Tensor};
/// # let mut params = Params::new();
/// # let x = params.insert("x", Tensor::from([1.0, 2.0]));
/// # let tape = Tape::new();
/// let mut opt = Momentum::new(0.5).momentum(0.5);
/// // By 0.5 * 1, and then by 0.5 * (0.5 * 1 + 1).
/// for _ in 0..2 {
///     let gradients = params.bind(&tape)[x].sum().backward()?;
///     opt.step(&mut params, &gradients)?;
/// }
/// assert_eq!(params.get(x), &Tensor::from([-0.25, 0.75]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Momentum<E: Real = f64> {
    pub(super) frame: Frame<E>,
    momentum: f64,
    averaging: bool,
}

impl<E: Real> Momentum<E> {
    /// With a learning rate, a number or a [`Schedule`].
    ///
    /// # Panics
    /// If a number is negative or not finite.
    #[track_caller]
    pub fn new(rate: impl Into<Schedule>) -> Self {
        Momentum { frame: Frame::new(rate.into()), momentum: 0.9, averaging: false }.build()
    }

    /// The factor `mu` by which the velocity fades at each step.
    ///
    /// # Panics
    /// If it is not in `[0, 1)`.
    #[must_use]
    #[track_caller]
    pub fn momentum(mut self, mu: f64) -> Self {
        self.momentum = mu;
        self.build()
    }

    /// The form of the texts: `v <- beta v + (1 - beta) g`, with `beta` = `mu`. It is the classical
    /// form with the rate `(1 - beta) rate`.
    #[must_use]
    pub fn averaging(mut self) -> Self {
        self.averaging = true;
        self.build()
    }

    #[track_caller]
    pub(super) fn scaling(&self, chain: Chain<E>) -> Chain<E> {
        chain.then(if self.averaging {
            Trace::averaging(self.momentum)
        } else {
            Trace::classical(self.momentum)
        })
    }
}

/// Nesterov's momentum: `v <- mu v + g`, `x <- x - rate (g + mu v)`, from `v = 0`.
///
/// Nesterov, "A method for solving the convex programming problem with convergence rate O(1/k^2)"
/// (1983), in the form of Sutskever et al. (2013) with the gradient taken where the parameters are,
/// as PyTorch's `SGD(nesterov=True)`. `mu` is 0.9 by default. See [`Trace`].
#[derive(Clone, Debug)]
pub struct Nesterov<E: Real = f64> {
    pub(super) frame: Frame<E>,
    momentum: f64,
}

impl<E: Real> Nesterov<E> {
    /// With a learning rate, a number or a [`Schedule`].
    ///
    /// # Panics
    /// If a number is negative or not finite.
    #[track_caller]
    pub fn new(rate: impl Into<Schedule>) -> Self {
        Nesterov { frame: Frame::new(rate.into()), momentum: 0.9 }.build()
    }

    /// The factor `mu` by which the velocity fades at each step.
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
        chain.then(Trace::classical(self.momentum).nesterov())
    }
}
