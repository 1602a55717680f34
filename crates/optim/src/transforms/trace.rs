//! Momentum.

use tape::Real;

use super::{At, State, Transform, check_decay};
use crate::vector::vectorised;

/// Momentum: a trace `v` of the updates, which fades by a factor at each step and starts at 0.
///
/// - [`classical`](Trace::classical): `v <- mu v + u`, `u <- v`. Polyak, "Some methods of speeding up
///   the convergence of iteration methods" (1964), as PyTorch and Sutskever et al. (2013) write it.
///   For a constant gradient it grows to `u / (1 - mu)`.
/// - [`averaging`](Trace::averaging): `v <- beta v + (1 - beta) u`, `u <- v`: an exponential moving
///   average, as many texts write it. It is the classical form times `1 - beta`; the bias towards 0
///   of its first steps is not corrected.
/// - [`nesterov`](Trace::nesterov) looks ahead: with `a` = 1 (classical) or `1 - beta` (averaging),
///   `u <- a u + mu v` with the new `v`. Nesterov (1983), in the form of Sutskever et al., "On the
///   importance of initialization and momentum in deep learning" (2013), with the parameters taken
///   at the point where the gradient is, as in PyTorch.
#[derive(Clone, Debug)]
pub struct Trace {
    decay: f64,
    intake: f64,
    nesterov: bool,
}

impl Trace {
    /// `v <- mu v + u`.
    ///
    /// # Panics
    /// If `mu` is not in `[0, 1)`.
    #[track_caller]
    pub fn classical(mu: f64) -> Self {
        Trace { decay: check_decay("momentum", mu), intake: 1.0, nesterov: false }
    }

    /// `v <- beta v + (1 - beta) u`.
    ///
    /// # Panics
    /// If `beta` is not in `[0, 1)`.
    #[track_caller]
    pub fn averaging(beta: f64) -> Self {
        Trace { decay: check_decay("momentum", beta), intake: 1.0 - beta, nesterov: false }
    }

    /// The form that looks one step ahead.
    #[must_use]
    pub fn nesterov(mut self) -> Self {
        self.nesterov = true;
        self
    }
}

impl<E: Real> Transform<E> for Trace {
    fn buffers(&self) -> usize {
        1
    }

    fn chunk(&self, _: &At, state: State<'_, E>, _: &[E], update: &mut [E]) {
        let [trace] = state.split();
        let (decay, intake) = (E::lit(self.decay), E::lit(self.intake));
        let nesterov = self.nesterov;
        vectorised(
            #[inline(always)]
            move || {
                for (u, v) in update.iter_mut().zip(trace) {
                    let next = decay * *v + intake * *u;
                    *u = if nesterov { intake * *u + decay * next } else { next };
                    *v = next;
                }
            },
        );
    }
}
