//! Adam and its relatives.

use tape::Real;

use super::Frame;
use crate::transforms::ScaleByAdam;
use crate::{Chain, Schedule};

/// What Adam and AdamW share.
#[derive(Clone, Copy, Debug)]
struct Moments {
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    inside: bool,
}

impl Moments {
    const DEFAULT: Moments = Moments { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, inside: false };
}

macro_rules! moments {
    ($($name:ident)*) => { $(
        impl<E: Real> $name<E> {
            /// The decays of the mean and of the mean of squares.
            ///
            /// # Panics
            /// If one is not in `[0, 1)`.
            #[must_use]
            #[track_caller]
            pub fn betas(mut self, beta1: f64, beta2: f64) -> Self {
                (self.moments.beta1, self.moments.beta2) = (beta1, beta2);
                self.build()
            }

            /// What is added to the root.
            ///
            /// # Panics
            /// If it is negative or not finite.
            #[must_use]
            #[track_caller]
            pub fn epsilon(mut self, epsilon: f64) -> Self {
                self.moments.epsilon = epsilon;
                self.build()
            }

            /// Whether `epsilon` is added below the root instead.
            #[must_use]
            pub fn epsilon_inside_root(mut self, inside: bool) -> Self {
                self.moments.inside = inside;
                self.build()
            }

            #[track_caller]
            pub(super) fn scaling(&self, chain: Chain<E>) -> Chain<E> {
                let Moments { beta1, beta2, epsilon, inside } = self.moments;
                chain.then(ScaleByAdam::new(beta1, beta2, epsilon).epsilon_inside_root(inside))
            }
        }
    )* };
}

moments!(Adam AdamW);

/// Adam: `m <- beta1 m + (1 - beta1) g`, `v <- beta2 v + (1 - beta2) g^2`, and with
/// `m' = m / (1 - beta1^t)` and `v' = v / (1 - beta2^t)`: `x <- x - rate m' / (sqrt(v') + epsilon)`.
///
/// Kingma and Ba, "Adam: A Method for Stochastic Optimization" (2015). Defaults as in PyTorch and in
/// the paper: `beta1` = 0.9, `beta2` = 0.999, `epsilon` = 1e-8 outside of the root. `t` counts the
/// updates of the parameter. See [`ScaleByAdam`].
///
/// ```
/// # use autograd::Differentiate;
/// # use optim::{Adam, Params, Schedule};
/// # use tape::{Tape, Tensor};
/// # let mut params = Params::new();
/// # let x = params.insert("x", Tensor::from([1.0, 2.0]));
/// # let tape = Tape::new();
/// # let gradients = params.bind(&tape)[x].sum().backward()?;
/// let mut opt = Adam::new(Schedule::cosine(1e-2, 0.0, 1000))
///     .betas(0.9, 0.99)
///     .weight_decay(1e-4)
///     .clip_global_norm(1.0);
/// opt.step(&mut params, &gradients)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Adam<E: Real = f64> {
    pub(super) frame: Frame<E>,
    moments: Moments,
}

impl<E: Real> Adam<E> {
    /// With a learning rate, a number or a [`Schedule`].
    ///
    /// # Panics
    /// If a number is negative or not finite.
    #[track_caller]
    pub fn new(rate: impl Into<Schedule>) -> Self {
        Adam { frame: Frame::new(rate.into()), moments: Moments::DEFAULT }.build()
    }
}

/// Adam with decoupled weight decay: with `m'` and `v'` as in [`Adam`],
/// `x <- x - rate (m' / (sqrt(v') + epsilon) + decay x)`.
///
/// Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (2019), with the decay multiplied
/// by the rate, as in PyTorch. Defaults as in PyTorch: those of [`Adam`], and `decay` = 0.01.
#[derive(Clone, Debug)]
pub struct AdamW<E: Real = f64> {
    pub(super) frame: Frame<E>,
    moments: Moments,
}

impl<E: Real> AdamW<E> {
    /// With a learning rate, a number or a [`Schedule`].
    ///
    /// # Panics
    /// If a number is negative or not finite.
    #[track_caller]
    pub fn new(rate: impl Into<Schedule>) -> Self {
        let mut frame = Frame::new(rate.into());
        frame.decoupled = true;
        frame.decay = 1e-2;
        AdamW { frame, moments: Moments::DEFAULT }.build()
    }

    /// The decoupled decay: [`AddDecay`](crate::transforms::AddDecay) behind the scaling. By default 0.01.
    ///
    /// # Panics
    /// If it is negative or not finite.
    #[must_use]
    #[track_caller]
    pub fn weight_decay(mut self, rate: f64) -> Self {
        self.frame.decay = rate;
        self.build()
    }
}
