//! Penalties on the parameters, as terms of the update.

use tape::Real;

use super::{At, State, Transform, check_size};
use crate::vector::vectorised;

/// `u <- u + rate x` with the parameter `x`.
///
/// Its place in the chain says what it is:
///
/// - before a scaling (Adam's, or momentum), it is the gradient of the penalty `rate/2 |x|^2` added to
///   that of the loss: the *coupled* form, called L2 regularisation, or `weight_decay` of PyTorch's
///   `Adam` and `SGD`;
/// - after it, and before the learning rate, it is *decoupled* weight decay: Loshchilov and Hutter,
///   "Decoupled Weight Decay Regularization" (2019), the `weight_decay` of `AdamW`.
#[derive(Clone, Debug)]
pub struct AddDecay {
    rate: f64,
}

impl AddDecay {
    /// Adds `rate x`.
    ///
    /// # Panics
    /// If `rate` is negative or not finite.
    #[track_caller]
    pub fn new(rate: f64) -> Self {
        AddDecay { rate: check_size("the weight decay", rate) }
    }
}

impl<E: Real> Transform<E> for AddDecay {
    fn chunk(&self, _: &At, _: State<'_, E>, parameter: &[E], update: &mut [E]) {
        let rate = E::lit(self.rate);
        vectorised(
            #[inline(always)]
            move || {
                for (u, &x) in update.iter_mut().zip(parameter) {
                    *u += rate * x;
                }
            },
        );
    }
}

/// `u <- u + rate sign(x)` with the parameter `x`: a subgradient of the penalty `rate |x|_1`; the sign
/// of 0 is 0.
///
/// Parameters come near 0 and change sign there; they are not set to 0 (that takes a proximal step).
#[derive(Clone, Debug)]
pub struct AddSign {
    rate: f64,
}

impl AddSign {
    /// Adds `rate sign(x)`.
    ///
    /// # Panics
    /// If `rate` is negative or not finite.
    #[track_caller]
    pub fn new(rate: f64) -> Self {
        AddSign { rate: check_size("the rate of the penalty", rate) }
    }
}

impl<E: Real> Transform<E> for AddSign {
    fn chunk(&self, _: &At, _: State<'_, E>, parameter: &[E], update: &mut [E]) {
        let rate = E::lit(self.rate);
        vectorised(
            #[inline(always)]
            move || {
                for (u, &x) in update.iter_mut().zip(parameter) {
                    let size = if x == E::ZERO { E::ZERO } else { rate };
                    *u += size.copysign(x);
                }
            },
        );
    }
}
