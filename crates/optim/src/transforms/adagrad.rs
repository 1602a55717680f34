//! Adagrad's scaling.

use tape::Real;

use super::{At, State, Transform, check_size};
use crate::vector::vectorised;

/// `s <- s + u^2`, `u <- u / (sqrt(s) + epsilon)`.
///
/// Duchi, Hazan and Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic
/// Optimization" (2011), with `epsilon` outside of the root as in PyTorch.
#[derive(Clone, Debug)]
pub struct ScaleByAdagrad {
    epsilon: f64,
    initial: f64,
}

impl ScaleByAdagrad {
    /// With `s` starting at `initial`.
    ///
    /// # Panics
    /// If an argument is negative or not finite.
    #[track_caller]
    pub fn new(epsilon: f64, initial: f64) -> Self {
        ScaleByAdagrad {
            epsilon: check_size("epsilon", epsilon),
            initial: check_size("the initial sum of squares", initial),
        }
    }
}

impl Default for ScaleByAdagrad {
    /// `epsilon` = 1e-10, starting at 0.
    fn default() -> Self {
        Self::new(1e-10, 0.0)
    }
}

impl<E: Real> Transform<E> for ScaleByAdagrad {
    fn buffers(&self) -> usize {
        1
    }

    fn initial(&self, _: usize) -> E {
        E::lit(self.initial)
    }

    fn chunk(&self, _: &At, state: State<'_, E>, _: &[E], update: &mut [E]) {
        let [sum] = state.split();
        let epsilon = E::lit(self.epsilon);
        vectorised(
            #[inline(always)]
            move || {
                for (u, s) in update.iter_mut().zip(sum) {
                    let sum = *s + *u * *u;
                    *u /= sum.sqrt() + epsilon;
                    *s = sum;
                }
            },
        );
    }
}
