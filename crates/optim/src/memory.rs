//! What a chain remembers of each parameter from step to step.

use std::borrow::Cow;
use std::ops::Range;
use std::panic::Location;

use autograd::Gradients;
use slotmap::SecondaryMap;
use tape::{Label, Real, Tensor};

use crate::numeric::{by_blocks, first_non_finite, norm, zero_if_finite};
use crate::params::{EntryId, own_entry};
use crate::transforms::{At, State};
use crate::{Error, Params};

/// What a chain remembers of the parameters of one store.
#[derive(Clone, Debug)]
pub(crate) struct Memory<E: Real> {
    pub(crate) store: u64,
    pub(crate) slots: SecondaryMap<EntryId, Slot<E>>,
}

/// What a chain remembers of one parameter.
#[derive(Clone, Debug)]
pub(crate) struct Slot<E: Real> {
    /// How many updates it has had.
    pub(crate) updates: u64,
    /// What each stage knows; empty before the first update.
    pub(crate) stages: Vec<StageState>,
    /// What the stages remember of the elements, chunk by chunk: all buffers of the first chunk, all of
    /// the second, and so on. So a block of the parameter has one piece of it, which a thread may have for
    /// itself.
    pub(crate) memory: Vec<E>,
    /// How many buffers there are.
    pub(crate) buffers: usize,
    /// Where the update waits while the chain reads a statistic of them all.
    pub(crate) update: Vec<E>,
    /// The norm of the update of this step, if a stage asks for it.
    pub(crate) norm: f64,
    /// Those of its blocks.
    pub(crate) norms: Vec<f64>,
    /// How many gradients this step has.
    gradients: u32,
    /// How many of them the current pass has met.
    met: u32,
    /// Their sum, if there are several.
    sum: Vec<E>,
}

/// What one stage knows of one parameter.
#[derive(Clone, Debug)]
pub(crate) struct StageState {
    /// Whether the stage is for the group of the parameter.
    pub(crate) applies: bool,
    /// Whether it only multiplies, by the first of its coefficients.
    pub(crate) scales: bool,
    /// Which of the buffers are its own.
    pub(crate) buffers: Range<usize>,
    /// Where in the run the present step is.
    pub(crate) at: At,
}

/// The gradient of a parameter, at the last look that a step takes at it.
pub(crate) enum Given<'a, E: Real> {
    /// It stays as it is.
    Lent(&'a [E]),
    /// Nobody reads it after the step: its buffer may become that of the new value.
    Owned(&'a mut Tensor<E>),
}

impl StageState {
    /// The factor of a stage that only multiplies.
    pub(crate) fn factor<E: Real>(&self) -> Option<E> {
        (self.applies && self.scales).then(|| E::lit(self.at.coefficients[0]))
    }

    /// Its part of what the chain remembers of a chunk of `len` elements.
    pub(crate) fn own<'a, E: Real>(&self, memory: &'a mut [E], len: usize) -> State<'a, E> {
        let own = self.buffers.start * len..self.buffers.end * len;
        State::new(&mut memory[own], self.buffers.len())
    }
}

impl<E: Real> Default for Slot<E> {
    fn default() -> Self {
        Slot {
            updates: 0,
            stages: Vec::new(),
            memory: Vec::new(),
            buffers: 0,
            update: Vec::new(),
            norm: 0.0,
            norms: Vec::new(),
            gradients: 0,
            met: 0,
            sum: Vec::new(),
        }
    }
}

impl<E: Real> Memory<E> {
    pub(crate) fn new(store: u64) -> Self {
        Memory { store, slots: SecondaryMap::new() }
    }

    /// Counts and adds up the gradients that belong to `params`, and checks them all. If `measured`, their
    /// norms are taken by the way.
    ///
    /// Nothing that outlives a step is changed, so that the step may still be refused. Gradients at
    /// values that parameters no longer have are refused, unless `outdated`.
    pub(crate) fn gather(
        &mut self,
        params: &Params<E>,
        gradients: &Gradients<E>,
        measured: bool,
        outdated: bool,
        location: &'static Location<'static>,
    ) -> Result<(), Error> {
        for slot in self.slots.values_mut() {
            slot.gradients = 0;
            slot.met = 0;
        }
        let (mut found, mut several, mut refused) = (false, false, None);
        for (label, gradient) in gradients.labelled() {
            let Some((id, entry)) = params.labelled(label) else {
                continue;
            };
            if label.version != entry.version && !outdated {
                return Err(Error::Outdated { parameter: entry.name.clone(), location });
            }
            if gradient.shape() != entry.value.shape() {
                return Err(Error::Shape {
                    operation: "step",
                    parameter: entry.name.clone(),
                    expected: Box::new(entry.value.shape().clone()),
                    found: Box::new(gradient.shape().clone()),
                    location,
                });
            }
            // The map refuses the place of a parameter whose place a later one has taken.
            let Some(slot) = self.slots.entry(id) else {
                continue;
            };
            let slot = slot.or_default();
            slot.gradients += 1;
            several |= slot.gradients > 1;
            found = true;
            // Whoever has written it may have seen by the way that it is finite.
            if refused.is_none() && (measured || !gradient.is_known_finite()) {
                refused = slot.look_at(&entry.name, gradient.as_slice(), measured, location);
            }
        }
        if !found {
            return Err(Error::NoGradients { location });
        }
        if several {
            self.add_up(gradients);
            self.each(gradients, |id, slot, sum| {
                if slot.gradients > 1 && refused.is_none() {
                    refused = slot.look_at(&params.entry(id).name, sum, measured, location);
                }
            });
        }
        refused.map_or(Ok(()), Err)
    }

    fn add_up(&mut self, gradients: &Gradients<E>) {
        for slot in self.slots.values_mut() {
            slot.sum.clear();
        }
        for (label, gradient) in gradients.labelled() {
            let slot = own_entry(self.store, label).and_then(|id| self.slots.get_mut(id));
            let Some(slot) = slot.filter(|slot| slot.gradients > 1) else {
                continue;
            };
            if slot.sum.is_empty() {
                slot.sum.extend_from_slice(gradient.as_slice());
            } else {
                for (sum, &g) in slot.sum.iter_mut().zip(gradient.as_slice()) {
                    *sum += g;
                }
            }
        }
    }

    /// The parameters that have a gradient in this step.
    pub(crate) fn with_gradients(&mut self) -> impl Iterator<Item = (EntryId, &mut Slot<E>)> {
        self.slots.iter_mut().filter(|(_, slot)| slot.gradients > 0)
    }

    /// Calls `f` for each parameter that has a gradient in this step, once, in the order of the
    /// recording.
    pub(crate) fn each(
        &mut self,
        gradients: &Gradients<E>,
        mut f: impl FnMut(EntryId, &mut Slot<E>, &[E]),
    ) {
        for (label, gradient) in gradients.labelled() {
            if let Some((id, slot)) = self.meet(label) {
                slot.with_gradient(gradient.as_slice(), |slot, gradient| f(id, slot, gradient));
            }
        }
    }

    /// As [`each`](Memory::each), for the last look at the gradients: those that the step may keep are
    /// handed over for writing.
    pub(crate) fn each_last(
        &mut self,
        gradients: Cow<'_, Gradients<E>>,
        mut f: impl FnMut(EntryId, &mut Slot<E>, Given<'_, E>),
    ) {
        match gradients {
            Cow::Borrowed(gradients) => {
                self.each(gradients, |id, slot, gradient| f(id, slot, Given::Lent(gradient)));
            }
            Cow::Owned(mut gradients) => {
                for (label, gradient) in gradients.labelled_mut() {
                    match self.meet(label) {
                        Some((id, slot)) if slot.gradients == 1 => {
                            f(id, slot, Given::Owned(gradient));
                        }
                        Some((id, slot)) => slot.with_gradient(&[], |slot, sum| {
                            f(id, slot, Given::Lent(sum));
                        }),
                        None => {}
                    }
                }
            }
        }
    }

    /// The parameter that a gradient belongs to, if it has a part in this step and this is the last of its
    /// gradients.
    fn meet(&mut self, label: Label) -> Option<(EntryId, &mut Slot<E>)> {
        let id = own_entry(self.store, label)?;
        let slot = self.slots.get_mut(id).filter(|slot| slot.gradients > 0)?;
        slot.met += 1;
        if slot.met < slot.gradients {
            return None;
        }
        slot.met = 0;
        Some((id, slot))
    }
}

impl<E: Real> Slot<E> {
    /// Takes the norm of a gradient of the parameter, or of their sum, if `measured`. Refuses it if it is not finite.
    fn look_at(
        &mut self,
        parameter: &str,
        gradient: &[E],
        measured: bool,
        location: &'static Location<'static>,
    ) -> Option<Error> {
        let measure = if measured { norm } else { zero_if_finite };
        self.norm = by_blocks(gradient, &mut self.norms, measure);
        // The norm of finite numbers may be infinite.
        if self.norm.is_finite() {
            return None;
        }
        first_non_finite(gradient).map(|element| Error::NonFinite {
            parameter: parameter.to_owned(),
            element,
            value: gradient[element].to_f64(),
            location,
        })
    }

    /// Calls `f` with the gradient of this step: the only one, or the sum of several.
    fn with_gradient(&mut self, only: &[E], f: impl FnOnce(&mut Self, &[E])) {
        if self.gradients == 1 {
            return f(self, only);
        }
        let sum = std::mem::take(&mut self.sum);
        f(self, &sum);
        self.sum = sum;
    }
}
