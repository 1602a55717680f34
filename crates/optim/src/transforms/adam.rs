//! Adam's scaling.

use tape::Real;

use super::{At, State, Transform, check_decay, check_size};
use crate::vector::vectorised;

/// `m <- beta1 m + (1 - beta1) u`, `v <- beta2 v + (1 - beta2) u^2`, and with
/// `m' = m / (1 - beta1^t)` and `v' = v / (1 - beta2^t)`: `u <- m' / (sqrt(v') + epsilon)`.
///
/// Kingma and Ba, "Adam: A Method for Stochastic Optimization" (2015), algorithm 1. `t` counts the
/// updates of the parameter, from 1. With
/// [`epsilon_inside_root`](ScaleByAdam::epsilon_inside_root) the last line is
/// `m' / sqrt(v' + epsilon)`, whose slope is finite at `v' = 0`.
#[derive(Clone, Debug)]
pub struct ScaleByAdam {
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    inside: bool,
}

impl ScaleByAdam {
    /// With the decays of both means.
    ///
    /// # Panics
    /// If a decay is not in `[0, 1)`, or `epsilon` is negative or not finite.
    #[track_caller]
    pub fn new(beta1: f64, beta2: f64, epsilon: f64) -> Self {
        ScaleByAdam {
            beta1: check_decay("beta1", beta1),
            beta2: check_decay("beta2", beta2),
            epsilon: check_size("epsilon", epsilon),
            inside: false,
        }
    }

    /// Whether `epsilon` is added below the root; by default it is added to the root.
    #[must_use]
    pub fn epsilon_inside_root(mut self, inside: bool) -> Self {
        self.inside = inside;
        self
    }
}

impl Default for ScaleByAdam {
    /// `beta1` = 0.9, `beta2` = 0.999, `epsilon` = 1e-8.
    fn default() -> Self {
        Self::new(0.9, 0.999, 1e-8)
    }
}

impl<E: Real> Transform<E> for ScaleByAdam {
    fn buffers(&self) -> usize {
        2
    }

    /// What corrects the bias of both means.
    fn coefficients(&self, at: &At) -> [f64; 2] {
        let t = at.update as f64;
        [1.0 / (1.0 - self.beta1.powf(t)), 1.0 / (1.0 - self.beta2.powf(t))]
    }

    fn chunk(&self, at: &At, state: State<'_, E>, _: &[E], update: &mut [E]) {
        let [mean, square] = state.split();
        let moments = self.moments(at);
        vectorised(
            #[inline(always)]
            move || {
                for ((u, m), v) in update.iter_mut().zip(mean).zip(square) {
                    (*u, *m, *v) = moments.next(*u, *m, *v);
                }
            },
        );
    }

    fn chunk_and_subtract(
        &self,
        at: &At,
        state: State<'_, E>,
        parameter: &[E],
        factor: E,
        x: &mut [E],
    ) {
        let [mean, square] = state.split();
        let moments = self.moments(at);
        vectorised(
            #[inline(always)]
            move || {
                for (((x, m), v), &parameter) in x.iter_mut().zip(mean).zip(square).zip(parameter) {
                    let (u, next_m, next_v) = moments.next(*x, *m, *v);
                    (*x, *m, *v) = (parameter - factor * u, next_m, next_v);
                }
            },
        );
    }
}

/// The numbers that are the same for all elements of a parameter in one step.
#[derive(Clone, Copy)]
struct Moments<E> {
    keep: [E; 2],
    intake: [E; 2],
    correct: [E; 2],
    /// One of the two is 0, so that the loop has no branch.
    outside: E,
    inside: E,
}

impl ScaleByAdam {
    fn moments<E: Real>(&self, at: &At) -> Moments<E> {
        let betas = [self.beta1, self.beta2];
        let (zero, epsilon) = (E::ZERO, E::lit(self.epsilon));
        let (outside, inside) = if self.inside { (zero, epsilon) } else { (epsilon, zero) };
        Moments {
            keep: betas.map(E::lit),
            intake: betas.map(|beta| E::lit(1.0 - beta)),
            correct: at.coefficients.map(E::lit),
            outside,
            inside,
        }
    }
}

impl<E: Real> Moments<E> {
    /// The update that becomes of the gradient `g`, and both means with it.
    #[inline(always)]
    fn next(self, g: E, m: E, v: E) -> (E, E, E) {
        let m = self.keep[0] * m + self.intake[0] * g;
        let v = self.keep[1] * v + self.intake[1] * g * g;
        let u = self.correct[0] * m / ((self.correct[1] * v + self.inside).sqrt() + self.outside);
        (u, m, v)
    }
}
