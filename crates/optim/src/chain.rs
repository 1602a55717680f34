//! The one type that takes steps: a chain of transforms.

use std::borrow::Cow;
use std::panic::Location;
use std::sync::Arc;

use autograd::Gradients;
use tape::Real;

use crate::memory::{Memory, Slot, StageState};
use crate::params::EntryId;
use crate::part::{Part, statistic};
use crate::transforms::{At, Statistic, Transform};
use crate::{CHUNK, Error, Params};

/// An optimiser: transforms through which a gradient passes before it is subtracted.
///
/// ```
/// use autograd::Differentiate;
/// use optim::transforms::{AddDecay, ClipGlobalNorm, ScaleByAdam, ScaleBySchedule};
/// use optim::{Chain, Params, Schedule};
/// use tape::{Tape, Tensor};
///
/// // AdamW with clipped gradients, which leaves biases undecayed.
/// let mut optimizer = Chain::new()
///     .then(ClipGlobalNorm::new(1.0))
///     .then(ScaleByAdam::default())
///     .then(AddDecay::new(0.01))
///     .except_group("bias")
///     .then(ScaleBySchedule::new(Schedule::cosine(1e-2, 1e-4, 1000)));
///
/// let mut params = Params::new();
/// let w = params.insert("w", Tensor::from([1.0, -2.0]));
/// let mut tape = Tape::new();
/// for _ in 0..100 {
///     tape.reset();
///     let p = params.bind(&tape);
///     let loss = (p[w] * p[w]).sum();
///     optimizer.step(&mut params, loss.backward()?)?;
/// }
/// assert!(params.get(w)[[0]].abs() < 0.5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// An empty chain subtracts the gradient itself.
///
/// A clone goes on from the same state on its own.
#[derive(Clone, Debug)]
pub struct Chain<E: Real = f64> {
    stages: Vec<Stage<E>>,
    /// What is remembered of the parameters of each store that it has taken steps on.
    memories: Vec<Memory<E>>,
    steps: u64,
    /// Whether gradients at earlier values are taken.
    outdated: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Stage<E: Real> {
    pub(crate) transform: Arc<dyn Transform<E>>,
    only: Option<Only>,
    /// Where it was when it was last asked for its coefficients: for most parameters of a step they are
    /// the same.
    pub(crate) at: At,
}

/// The parameters that a stage is for: those in a group, or those outside.
#[derive(Clone, Debug)]
struct Only {
    group: String,
    inside: bool,
}

impl<E: Real> Chain<E> {
    /// A chain without transforms.
    pub fn new() -> Self {
        Chain { stages: Vec::new(), memories: Vec::new(), steps: 0, outdated: false }
    }

    /// Appends a transform. What the chain remembers of earlier steps is forgotten.
    #[must_use]
    pub fn then(mut self, transform: impl Transform<E> + 'static) -> Self {
        let transform = Arc::new(transform);
        self.stages.push(Stage { transform, only: None, at: At::default() });
        self.reset();
        self
    }

    /// Restricts the last transform to the parameters of a group.
    ///
    /// # Panics
    /// If there is no transform yet.
    #[must_use]
    #[track_caller]
    pub fn for_group(self, group: impl Into<String>) -> Self {
        self.restrict("for_group", group.into(), true)
    }

    /// Restricts the last transform to the parameters outside of a group.
    ///
    /// # Panics
    /// If there is no transform yet.
    #[must_use]
    #[track_caller]
    pub fn except_group(self, group: impl Into<String>) -> Self {
        self.restrict("except_group", group.into(), false)
    }

    #[track_caller]
    fn restrict(mut self, what: &str, group: String, inside: bool) -> Self {
        let Some(stage) = self.stages.last_mut() else {
            panic!("{what}: the chain has no transform yet")
        };
        stage.only = Some(Only { group, inside });
        self.reset();
        self
    }

    /// Also takes gradients at values that the parameters no longer have, as asynchronous methods do
    /// on purpose. By default they are an [`Error::Outdated`], since they mostly come from a `bind`
    /// that was left outside of the loop.
    ///
    /// ```
    /// use autograd::Differentiate;
    /// use optim::{Error, Params, Sgd};
    /// use tape::Tape;
    ///
    /// let mut params = Params::new();
    /// let x = params.insert("x", [1.0]);
    /// let tape = Tape::new();
    /// let gradients = params.bind(&tape)[x].sum().backward()?;
    /// let mut strict = Sgd::new(0.25);
    /// strict.step(&mut params, &gradients)?;
    /// let refused = strict.step(&mut params, &gradients);
    /// assert!(matches!(refused, Err(Error::Outdated { .. })));
    ///
    /// Sgd::new(0.25).accept_outdated().step(&mut params, &gradients)?;
    /// assert_eq!(params.get(x).item(), 0.5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn accept_outdated(mut self) -> Self {
        self.outdated = true;
        self
    }

    /// How many steps it has taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Forgets all earlier steps; the transforms stay.
    pub fn reset(&mut self) {
        self.memories.clear();
        self.steps = 0;
    }

    /// Moves the parameters of `params` by their gradients.
    ///
    /// Several gradients of a parameter add up. Gradients of other stores, and of parameters that
    /// were removed since, are ignored. A parameter without a gradient stays as it is, and so does
    /// what is remembered of it: momentum does not move it on.
    ///
    /// Gradients are taken by value or by reference. Values recorded before keep their value: a parameter
    /// whose buffer a tape still holds gets its new value in another buffer, which is that of its gradient
    /// if the gradients are given by value, and otherwise one more, which is used again two steps later. In
    /// a loop of `reset`, `bind`, `backward` and `step`, a step does not allocate.
    ///
    /// A step is computed as IEEE does: a finite gradient may still move a parameter to infinity.
    ///
    /// # Errors
    /// If none of the gradients belongs to `params`, if one of them was taken at a value that its
    /// parameter no longer has (see [`accept_outdated`](Chain::accept_outdated)), if one has another
    /// shape than its parameter, or if one is infinite or not a number; and if a learning rate is. So
    /// a step with the same gradients again is an error. Parameters, state and number of steps are then
    /// exactly as before.
    #[track_caller]
    pub fn step<'a>(
        &mut self,
        params: &mut Params<E>,
        gradients: impl Into<Cow<'a, Gradients<E>>>,
    ) -> Result<(), Error> {
        let location = Location::caller();
        let gradients = gradients.into();
        self.check_rates(location)?;
        let known = self.memories.iter().position(|m| m.store == params.id());
        let place = known.unwrap_or_else(|| {
            self.memories.push(Memory::new(params.id()));
            self.memories.len() - 1
        });
        let memory = &mut self.memories[place];
        let measured = statistic(&self.stages) != Statistic::None;
        memory.gather(params, &gradients, measured, self.outdated, location)?;
        memory.with_gradients().for_each(|(id, slot)| begin(&self.stages, params, id, slot));

        let mut first = 0;
        loop {
            let count = self.stages.len();
            let mut part = Part::new(&mut self.stages, first, self.steps, memory, &gradients);
            first = part.end();
            if first == count {
                memory.each_last(gradients, |id, slot, gradient| {
                    part.subtract(params.entry_mut(id), slot, gradient);
                });
                break;
            }
            memory.each(&gradients, |id, slot, gradient| {
                part.keep(params.entry(id), slot, gradient);
            });
        }
        self.steps += 1;
        Ok(())
    }

    /// Refuses the step if a learning rate is not finite, as a number of `E`.
    fn check_rates(&self, location: &'static Location<'static>) -> Result<(), Error> {
        let step = self.steps;
        let mut rates = self.stages.iter().filter_map(|stage| stage.transform.rate(step));
        match rates.find(|&rate| !E::lit(rate).is_finite()) {
            Some(rate) => Err(Error::Rate { step, rate, location }),
            None => Ok(()),
        }
    }
}

impl<E: Real> Default for Chain<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Real> Stage<E> {
    fn applies_to(&self, group: &str) -> bool {
        self.only.as_ref().is_none_or(|only| (only.group == group) == only.inside)
    }
}

/// Counts the update of a parameter; the first one makes its state.
fn begin<E: Real>(stages: &[Stage<E>], params: &Params<E>, id: EntryId, slot: &mut Slot<E>) {
    if slot.updates == 0 {
        let entry = params.entry(id);
        let len = entry.value.len();
        slot.stages.clear();
        slot.buffers = 0;
        for stage in stages {
            let applies = stage.applies_to(&entry.group);
            let end = slot.buffers + if applies { stage.transform.buffers() } else { 0 };
            let (scales, at) = (stage.transform.only_scales(), At::default());
            slot.stages.push(StageState { applies, scales, buffers: slot.buffers..end, at });
            slot.buffers = end;
        }
        slot.memory.clear();
        slot.memory.reserve_exact(len * slot.buffers);
        for start in (0..len).step_by(CHUNK) {
            let chunk = CHUNK.min(len - start);
            for (stage, state) in stages.iter().zip(&slot.stages) {
                for buffer in 0..state.buffers.len() {
                    let end = slot.memory.len() + chunk;
                    slot.memory.resize(end, stage.transform.initial(buffer));
                }
            }
        }
    }
    slot.updates += 1;
}
