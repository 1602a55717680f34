//! Bounds on the update.

use tape::Real;

use super::scale::scale;
use super::{At, State, Statistic, Transform, check_limit};
use crate::vector::vectorised;

/// `u <- min(max(u, -limit), limit)`, element by element.
#[derive(Clone, Debug)]
pub struct ClipValue {
    limit: f64,
}

impl ClipValue {
    /// Bounds each element.
    ///
    /// # Panics
    /// If `limit` is negative or NaN. Infinity bounds nothing.
    #[track_caller]
    pub fn new(limit: f64) -> Self {
        ClipValue { limit: check_limit(limit) }
    }
}

impl<E: Real> Transform<E> for ClipValue {
    fn chunk(&self, _: &At, _: State<'_, E>, _: &[E], update: &mut [E]) {
        let limit = E::lit(self.limit);
        vectorised(
            #[inline(always)]
            move || {
                for u in update {
                    // Comparisons, so that a NaN made earlier in the chain stays one.
                    if *u > limit {
                        *u = limit;
                    } else if *u < -limit {
                        *u = -limit;
                    }
                }
            },
        );
    }
}

/// `u <- u min(1, limit / |u|)` with the Euclidean norm of the update of one parameter.
#[derive(Clone, Debug)]
pub struct ClipNorm {
    limit: f64,
}

impl ClipNorm {
    /// Bounds the norm of each parameter's update.
    ///
    /// # Panics
    /// If `limit` is negative or NaN. Infinity bounds nothing.
    #[track_caller]
    pub fn new(limit: f64) -> Self {
        ClipNorm { limit: check_limit(limit) }
    }
}

impl<E: Real> Transform<E> for ClipNorm {
    fn statistic(&self) -> Statistic {
        Statistic::Norm
    }

    fn coefficients(&self, at: &At) -> [f64; 2] {
        [factor(self.limit, at.norm), 0.0]
    }

    fn only_scales(&self) -> bool {
        true
    }

    fn chunk(&self, at: &At, _: State<'_, E>, _: &[E], update: &mut [E]) {
        scale(update, at);
    }
}

/// `u <- u min(1, limit / |u|)` with the Euclidean norm of all updates of the step together.
///
/// Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks" (2013).
/// PyTorch's `clip_grad_norm_` adds 1e-6 to the norm that it divides by; this does not.
#[derive(Clone, Debug)]
pub struct ClipGlobalNorm {
    limit: f64,
}

impl ClipGlobalNorm {
    /// Bounds the norm of all updates of a step.
    ///
    /// # Panics
    /// If `limit` is negative or NaN. Infinity bounds nothing.
    #[track_caller]
    pub fn new(limit: f64) -> Self {
        ClipGlobalNorm { limit: check_limit(limit) }
    }
}

impl<E: Real> Transform<E> for ClipGlobalNorm {
    fn statistic(&self) -> Statistic {
        Statistic::GlobalNorm
    }

    fn coefficients(&self, at: &At) -> [f64; 2] {
        [factor(self.limit, at.norm), 0.0]
    }

    fn only_scales(&self) -> bool {
        true
    }

    fn chunk(&self, at: &At, _: State<'_, E>, _: &[E], update: &mut [E]) {
        scale(update, at);
    }
}

/// `min(1, limit / norm)`.
fn factor(limit: f64, norm: f64) -> f64 {
    if norm > limit { limit / norm } else { 1.0 }
}
