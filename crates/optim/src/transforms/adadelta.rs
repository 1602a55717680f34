//! Adadelta's scaling.

use tape::Real;

use super::{At, State, Transform, check_decay, check_size};
use crate::vector::vectorised;

/// `s <- rho s + (1 - rho) u^2`, `d = sqrt(a + epsilon) / sqrt(s + epsilon) u`,
/// `a <- rho a + (1 - rho) d^2`, `u <- d`.
///
/// Zeiler, "ADADELTA: An Adaptive Learning Rate Method" (2012), algorithm 1.
#[derive(Clone, Debug)]
pub struct ScaleByAdadelta {
    rho: f64,
    epsilon: f64,
}

impl ScaleByAdadelta {
    /// With the decay `rho`. `epsilon` sets the size of the first steps.
    ///
    /// # Panics
    /// If `rho` is not in `[0, 1)`, or `epsilon` is negative or not finite.
    #[track_caller]
    pub fn new(rho: f64, epsilon: f64) -> Self {
        ScaleByAdadelta { rho: check_decay("rho", rho), epsilon: check_size("epsilon", epsilon) }
    }
}

impl Default for ScaleByAdadelta {
    /// `rho` = 0.9, `epsilon` = 1e-6.
    fn default() -> Self {
        Self::new(0.9, 1e-6)
    }
}

impl<E: Real> Transform<E> for ScaleByAdadelta {
    fn buffers(&self) -> usize {
        2
    }

    fn chunk(&self, _: &At, state: State<'_, E>, _: &[E], update: &mut [E]) {
        let [square, moved] = state.split();
        let (keep, intake) = (E::lit(self.rho), E::lit(1.0 - self.rho));
        let epsilon = E::lit(self.epsilon);
        vectorised(
            #[inline(always)]
            move || {
                for ((u, s), a) in update.iter_mut().zip(square).zip(moved) {
                    let next_s = keep * *s + intake * *u * *u;
                    let d = (*a + epsilon).sqrt() / (next_s + epsilon).sqrt() * *u;
                    (*u, *s, *a) = (d, next_s, keep * *a + intake * d * d);
                }
            },
        );
    }
}
