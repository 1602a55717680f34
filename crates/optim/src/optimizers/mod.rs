//! Optimisers by name: short chains.
//!
//! All have one frame, in this order: bounds on the gradient, penalties, the scaling that gives the
//! optimiser its name, decoupled weight decay, the learning rate. What differs is in the middle.

mod adam;
mod adaptive;
mod descent;

use std::borrow::Cow;

use autograd::Gradients;
use tape::Real;

use crate::transforms::{AddDecay, AddSign, ClipGlobalNorm, ClipNorm, ClipValue, ScaleBySchedule};
use crate::{Chain, Error, Params, Schedule};

pub use adam::{Adam, AdamW};
pub use adaptive::{Adadelta, Adagrad, RmsProp};
pub use descent::{GradientDescent, Momentum, Nesterov, Sgd};

/// What all named optimisers have, and the chain that it makes.
#[derive(Clone, Debug)]
struct Frame<E: Real> {
    rate: Schedule,
    clip_value: Option<f64>,
    clip_norm: Option<f64>,
    clip_global_norm: Option<f64>,
    decay: f64,
    decoupled: bool,
    l1: f64,
    undecayed: Option<String>,
    outdated: bool,
    chain: Chain<E>,
}

impl<E: Real> Frame<E> {
    fn new(rate: Schedule) -> Self {
        Frame {
            rate,
            clip_value: None,
            clip_norm: None,
            clip_global_norm: None,
            decay: 0.0,
            decoupled: false,
            l1: 0.0,
            undecayed: None,
            outdated: false,
            chain: Chain::new(),
        }
    }

    /// The chain in front of the scaling.
    #[track_caller]
    fn before(&self) -> Chain<E> {
        let mut chain = Chain::new();
        if let Some(limit) = self.clip_value {
            chain = chain.then(ClipValue::new(limit));
        }
        if let Some(limit) = self.clip_norm {
            chain = chain.then(ClipNorm::new(limit));
        }
        if let Some(limit) = self.clip_global_norm {
            chain = chain.then(ClipGlobalNorm::new(limit));
        }
        if self.l1 != 0.0 {
            chain = self.except(chain.then(AddSign::new(self.l1)));
        }
        if self.decoupled { chain } else { self.decayed(chain) }
    }

    /// The whole chain, from the one up to the scaling.
    #[track_caller]
    fn after(&self, mut chain: Chain<E>) -> Chain<E> {
        if self.decoupled {
            chain = self.decayed(chain);
        }
        let chain = chain.then(ScaleBySchedule::new(self.rate.clone()));
        if self.outdated { chain.accept_outdated() } else { chain }
    }

    #[track_caller]
    fn decayed(&self, chain: Chain<E>) -> Chain<E> {
        if self.decay == 0.0 {
            return chain;
        }
        self.except(chain.then(AddDecay::new(self.decay)))
    }

    fn except(&self, chain: Chain<E>) -> Chain<E> {
        match &self.undecayed {
            Some(group) => chain.except_group(group.as_str()),
            None => chain,
        }
    }
}

/// The methods that all named optimisers have; `$rate` is the default learning rate.
macro_rules! framed {
    ($name:ident, $rate:expr) => {
        impl<E: Real> $name<E> {
            /// Bounds each element of the gradient: [`ClipValue`].
            ///
            /// # Panics
            /// If `limit` is negative or NaN.
            #[must_use]
            #[track_caller]
            pub fn clip_value(mut self, limit: f64) -> Self {
                self.frame.clip_value = Some(limit);
                self.build()
            }

            /// Bounds the norm of the gradient of each parameter: [`ClipNorm`].
            ///
            /// # Panics
            /// If `limit` is negative or NaN.
            #[must_use]
            #[track_caller]
            pub fn clip_norm(mut self, limit: f64) -> Self {
                self.frame.clip_norm = Some(limit);
                self.build()
            }

            /// Bounds the norm of all gradients together: [`ClipGlobalNorm`].
            ///
            /// # Panics
            /// If `limit` is negative or NaN.
            #[must_use]
            #[track_caller]
            pub fn clip_global_norm(mut self, limit: f64) -> Self {
                self.frame.clip_global_norm = Some(limit);
                self.build()
            }

            /// Adds the subgradient of the penalty `rate |x|_1` to the gradient, behind the bounds:
            /// [`AddSign`].
            ///
            /// # Panics
            /// If `rate` is negative or not finite.
            #[must_use]
            #[track_caller]
            pub fn l1(mut self, rate: f64) -> Self {
                self.frame.l1 = rate;
                self.build()
            }

            /// Leaves the parameters of a group (of biases, say) without weight decay and without
            /// the penalty of `l1`.
            #[must_use]
            #[track_caller]
            pub fn without_decay(mut self, group: impl Into<String>) -> Self {
                self.frame.undecayed = Some(group.into());
                self.build()
            }

            /// Also takes gradients at values that the parameters no longer have: see
            /// [`Chain::accept_outdated`].
            #[must_use]
            pub fn accept_outdated(mut self) -> Self {
                self.frame.outdated = true;
                self.build()
            }

            /// Moves the parameters along their gradients: see [`Chain::step`].
            ///
            /// # Errors
            /// See [`Chain::step`]; nothing is changed then.
            #[track_caller]
            pub fn step<'a>(
                &mut self,
                params: &mut Params<E>,
                gradients: impl Into<Cow<'a, Gradients<E>>>,
            ) -> Result<(), Error> {
                self.frame.chain.step(params, gradients)
            }

            /// How many steps it has taken.
            pub fn steps(&self) -> u64 {
                self.frame.chain.steps()
            }

            /// The learning rate of the next step.
            pub fn learning_rate(&self) -> f64 {
                self.frame.rate.at(self.steps())
            }

            /// Puts the chain together. The settings of an optimiser are chosen before its first
            /// step: a new chain remembers none.
            #[must_use]
            #[track_caller]
            pub(super) fn build(mut self) -> Self {
                let chain = self.scaling(self.frame.before());
                self.frame.chain = self.frame.after(chain);
                self
            }
        }

        impl<E: Real> Default for $name<E> {
            #[doc = concat!("With the learning rate ", stringify!($rate), ", as in PyTorch.")]
            fn default() -> Self {
                Self::new($rate)
            }
        }

        /// The chain behind the name, with what it remembers; so that one may choose among
        /// optimisers while the program runs.
        impl<E: Real> From<$name<E>> for Chain<E> {
            fn from(optimizer: $name<E>) -> Self {
                optimizer.frame.chain
            }
        }
    };
}

/// The weight decay of the optimisers that take it as a penalty.
macro_rules! coupled_decay {
    ($($name:ident)*) => { $(
        impl<E: Real> $name<E> {
            /// Adds `rate x`, the gradient of the penalty `rate/2 |x|^2`, to the gradient, behind the
            /// bounds: the coupled form of [`AddDecay`]. By default 0.
            ///
            /// # Panics
            /// If `rate` is negative or not finite.
            #[must_use]
            #[track_caller]
            pub fn weight_decay(mut self, rate: f64) -> Self {
                self.frame.decay = rate;
                self.build()
            }
        }
    )* };
}

framed!(GradientDescent, 1e-3);
framed!(Momentum, 1e-3);
framed!(Nesterov, 1e-3);
framed!(Adagrad, 1e-2);
framed!(RmsProp, 1e-2);
framed!(Adadelta, 1.0);
framed!(Adam, 1e-3);
framed!(AdamW, 1e-3);
coupled_decay!(GradientDescent Momentum Nesterov Adagrad RmsProp Adadelta Adam);
