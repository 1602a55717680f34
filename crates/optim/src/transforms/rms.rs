//! RMSProp's scaling.

use tape::Real;

use super::{At, State, Transform, check_decay, check_size};
use crate::vector::vectorised;

/// `s <- alpha s + (1 - alpha) u^2`, `u <- u / (sqrt(s) + epsilon)`.
///
/// Tieleman and Hinton, lecture 6.5 of "Neural Networks for Machine Learning" (2012), with `epsilon`
/// outside of the root as in PyTorch.
///
/// The [`centered`](ScaleByRms::centered) form divides by an estimate of the standard deviation:
/// `a <- alpha a + (1 - alpha) u`, `u <- u / (sqrt(s - a^2) + epsilon)`; Graves, "Generating
/// Sequences With Recurrent Neural Networks" (2013). `s - a^2` is taken as 0 where rounding made it
/// negative, whose root would be NaN.
#[derive(Clone, Debug)]
pub struct ScaleByRms {
    alpha: f64,
    epsilon: f64,
    centered: bool,
}

impl ScaleByRms {
    /// With the decay `alpha`.
    ///
    /// # Panics
    /// If `alpha` is not in `[0, 1)`, or `epsilon` is negative or not finite.
    #[track_caller]
    pub fn new(alpha: f64, epsilon: f64) -> Self {
        ScaleByRms {
            alpha: check_decay("alpha", alpha),
            epsilon: check_size("epsilon", epsilon),
            centered: false,
        }
    }

    /// The form that subtracts the square of the mean, or the other one.
    #[must_use]
    pub fn centered(mut self, centered: bool) -> Self {
        self.centered = centered;
        self
    }
}

impl Default for ScaleByRms {
    /// `alpha` = 0.99, `epsilon` = 1e-8, not centered.
    fn default() -> Self {
        Self::new(0.99, 1e-8)
    }
}

impl<E: Real> Transform<E> for ScaleByRms {
    fn buffers(&self) -> usize {
        if self.centered { 2 } else { 1 }
    }

    fn chunk(&self, _: &At, state: State<'_, E>, _: &[E], update: &mut [E]) {
        let (keep, intake) = (E::lit(self.alpha), E::lit(1.0 - self.alpha));
        let epsilon = E::lit(self.epsilon);
        if self.centered {
            let [square, mean] = state.split();
            vectorised(
                #[inline(always)]
                move || {
                    for ((u, s), a) in update.iter_mut().zip(square).zip(mean) {
                        let next_s = keep * *s + intake * *u * *u;
                        let next_a = keep * *a + intake * *u;
                        let variance = next_s - next_a * next_a;
                        let variance = if variance < E::ZERO { E::ZERO } else { variance };
                        *u /= variance.sqrt() + epsilon;
                        (*s, *a) = (next_s, next_a);
                    }
                },
            );
        } else {
            let [square] = state.split();
            vectorised(
                #[inline(always)]
                move || {
                    for (u, s) in update.iter_mut().zip(square) {
                        let next = keep * *s + intake * *u * *u;
                        *u /= next.sqrt() + epsilon;
                        *s = next;
                    }
                },
            );
        }
    }
}
