//! What a [`Chain`](crate::Chain) is made of: transforms of an update.
//!
//! A gradient goes in at the one end of a chain; what is subtracted from the parameter comes out at
//! the other. Each transform changes the update in place, a chunk of one parameter at a time, so
//! that a chunk passes through the whole chain while it is in the cache.
//!
//! - [`Scale`], [`ScaleBySchedule`]: by a number, by a learning rate.
//! - [`Trace`], classical or averaging: momentum.
//! - [`ScaleByAdagrad`], [`ScaleByRms`], [`ScaleByAdadelta`], [`ScaleByAdam`]: by a running size of
//!   the gradient, element by element.
//! - [`AddDecay`], [`AddSign`]: penalties on the parameters.
//! - [`ClipValue`], [`ClipNorm`], [`ClipGlobalNorm`]: bounds on the update.
//!
//! [`Transform`] may be implemented outside of this crate; nothing here has another door.
//!
//! The idea of a chain of transforms is that of [optax](https://github.com/google-deepmind/optax);
//! its sign is not: there, updates are added.

mod adadelta;
mod adagrad;
mod adam;
mod clip;
mod decay;
mod rms;
mod scale;
mod trace;

use std::fmt::Debug;

use tape::Real;

use crate::vector::vectorised;

pub use adadelta::ScaleByAdadelta;
pub use adagrad::ScaleByAdagrad;
pub use adam::ScaleByAdam;
pub use clip::{ClipGlobalNorm, ClipNorm, ClipValue};
pub use decay::{AddDecay, AddSign};
pub use rms::ScaleByRms;
pub use scale::{Scale, ScaleBySchedule};
pub use trace::Trace;

/// A stage of a [`Chain`](crate::Chain).
///
/// It is a description that never changes; what it remembers from step to step is kept by the chain
/// in [`State`] buffers, one set for each parameter.
///
/// ```
/// use optim::transforms::{At, Scale, State, Transform};
/// use optim::Chain;
/// use tape::Real;
///
/// /// Takes the sign of the update, and with it all of its size: "signSGD" of Bernstein et al. (2018).
/// #[derive(Debug)]
/// struct Sign;
///
/// impl<E: Real> Transform<E> for Sign {
///     fn chunk(&self, _: &At, _: State<'_, E>, _parameter: &[E], update: &mut [E]) {
///         for u in update {
///             *u = u.signum();
///         }
///     }
/// }
///
/// let chain: Chain = Chain::new().then(Sign).then(Scale::new(0.01));
/// ```
pub trait Transform<E: Real>: Debug + Send + Sync {
    /// How many numbers it remembers for each element of a parameter.
    fn buffers(&self) -> usize {
        0
    }

    /// What buffer `buffer` holds before the first step of a parameter.
    fn initial(&self, buffer: usize) -> E {
        let _ = buffer;
        E::ZERO
    }

    /// What it has to know before the first chunk.
    ///
    /// Anything but [`Statistic::None`] costs a pass over memory if it is not the first of its
    /// chain: the updates are stored up to here.
    fn statistic(&self) -> Statistic {
        Statistic::None
    }

    /// The learning rate of a step, if it is one: the chain refuses a step at which it is not finite,
    /// before anything is changed. `step` counts the steps that the optimiser has taken before.
    fn rate(&self, step: u64) -> Option<f64> {
        let _ = step;
        None
    }

    /// Up to two numbers that are the same for all elements of a parameter: `chunk` finds them in
    /// [`At::coefficients`]. They are computed once, and not for each chunk.
    fn coefficients(&self, at: &At) -> [f64; 2] {
        let _ = at;
        [0.0; 2]
    }

    /// Whether all that it does is to multiply the update by the first of its coefficients. The chain may
    /// then multiply by it where it goes over the update anyway, and leave out `chunk`.
    fn only_scales(&self) -> bool {
        false
    }

    /// Changes a chunk of the update of one parameter. `parameter` is the value before the step at
    /// the same elements.
    ///
    /// Chunks may come in any order, on several threads. The buffers of `state` lie behind each other, a
    /// power of two apart. Where a loop writes to one of them before it reads the same place of another,
    /// processors take the two for one and wait: so read first, and then write.
    fn chunk(&self, at: &At, state: State<'_, E>, parameter: &[E], update: &mut [E]);

    /// Does the work of `chunk` as the last stage, and subtracts: `x` holds the update at first, and in the
    /// end `parameter - factor u`, where `u` is what `chunk` makes of it.
    ///
    /// A transform that has one loop for both waits for memory once where two loops wait twice. It must
    /// give the same bits.
    fn chunk_and_subtract(
        &self,
        at: &At,
        state: State<'_, E>,
        parameter: &[E],
        factor: E,
        x: &mut [E],
    ) {
        self.chunk(at, state, parameter, x);
        subtract_from(parameter, factor, x);
    }
}

/// `x = parameter - factor x`.
pub(crate) fn subtract_from<E: Real>(parameter: &[E], factor: E, x: &mut [E]) {
    vectorised(
        #[inline(always)]
        move || {
            for (x, &parameter) in x.iter_mut().zip(parameter) {
                *x = parameter - factor * *x;
            }
        },
    );
}

/// What a [`Transform`] has to know of the updates before it changes one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Statistic {
    /// Nothing.
    #[default]
    None,
    /// The Euclidean norm of the update of the parameter.
    Norm,
    /// The Euclidean norm of the updates of all parameters of the step that the transform applies
    /// to, taken as one vector.
    GlobalNorm,
}

/// Where in the run of an optimiser a chunk is.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct At {
    /// How many steps the optimiser has taken before.
    pub step: u64,
    /// Which update of this parameter this is; the first is 1. It falls behind when a parameter has
    /// no gradient in some steps.
    pub update: u64,
    /// The norm that [`Transform::statistic`] asks for, and 0 if it asks for none.
    pub norm: f64,
    /// What [`Transform::coefficients`] has said.
    pub coefficients: [f64; 2],
}

/// What a transform remembers of one parameter, at the elements of a chunk.
#[derive(Debug)]
pub struct State<'a, E> {
    /// One buffer behind the other.
    numbers: &'a mut [E],
    buffers: usize,
}

impl<'a, E> State<'a, E> {
    pub(crate) fn new(numbers: &'a mut [E], buffers: usize) -> Self {
        State { numbers, buffers }
    }

    /// The buffers, as long as the chunk.
    ///
    /// # Panics
    /// If `N` is not what [`Transform::buffers`] says.
    #[track_caller]
    pub fn split<const N: usize>(self) -> [&'a mut [E]; N] {
        let count = self.buffers;
        assert!(count == N, "split: the transform has {count} buffers, not {N}");
        let mut buffers = self.numbers.chunks_exact_mut((self.numbers.len() / N.max(1)).max(1));
        std::array::from_fn(|_| buffers.next().expect("there are as many as the transform has"))
    }
}

/// Panics unless a rate of decay of a running mean is in `[0, 1)`.
#[track_caller]
fn check_decay(what: &str, decay: f64) -> f64 {
    assert!((0.0..1.0).contains(&decay), "{what} {decay} is not in [0, 1)");
    decay
}

/// Panics unless a number is finite and at least 0.
#[track_caller]
pub(crate) fn check_size(what: &str, size: f64) -> f64 {
    assert!(size >= 0.0 && size.is_finite(), "{what} {size} is not finite and at least 0");
    size
}

/// Panics unless a bound is at least 0; infinity bounds nothing.
#[track_caller]
fn check_limit(limit: f64) -> f64 {
    assert!(limit >= 0.0, "the limit {limit} is not at least 0");
    limit
}
