//! One part of a chain: stages that are one pass over memory.

use autograd::Gradients;
use tape::Real;

use crate::chain::Stage;
use crate::memory::{Given, Memory, Slot};
use crate::numeric::{by_blocks, norm};
use crate::params::Entry;
use crate::pass::Pass;
use crate::transforms::{At, Statistic};

/// Stages of a chain up to the next one that reads a statistic, because that has to wait for the updates of
/// all parameters.
pub(crate) struct Part<'a, E: Real> {
    stages: &'a mut [Stage<E>],
    /// The place of the first of them in the chain.
    first: usize,
    statistic: Statistic,
    /// The norm of the updates of all parameters, if the first stage asks for it.
    global: f64,
    /// How many steps there were before.
    step: u64,
}

/// What the first of some stages has to know.
pub(crate) fn statistic<E: Real>(stages: &[Stage<E>]) -> Statistic {
    stages.first().map(|stage| stage.transform.statistic()).unwrap_or_default()
}

impl<'a, E: Real> Part<'a, E> {
    /// The part that begins at `first`.
    pub(crate) fn new(
        stages: &'a mut [Stage<E>],
        first: usize,
        step: u64,
        memory: &mut Memory<E>,
        gradients: &Gradients<E>,
    ) -> Self {
        let rest = stages.iter().enumerate().skip(first + 1);
        let mut readers = rest.filter(|(_, stage)| stage.transform.statistic() != Statistic::None);
        let end = readers.next().map_or(stages.len(), |(reader, _)| reader);
        let stages = &mut stages[first..end];
        let statistic = statistic(stages);
        let mut global = 0.0_f64;
        if statistic == Statistic::GlobalNorm {
            memory.each(gradients, |_, slot, _| {
                if slot.stages[first].applies {
                    global = global.hypot(slot.norm);
                }
            });
        }
        Part { stages, first, statistic, global, step }
    }

    /// Where the next part begins.
    pub(crate) fn end(&self) -> usize {
        self.first + self.stages.len()
    }

    /// Passes the update of a parameter through the stages, for the next part to go on from.
    pub(crate) fn keep(&mut self, entry: &Entry<E>, slot: &mut Slot<E>, gradient: &[E]) {
        self.prepare(slot);
        let source = (self.first == 0).then_some(gradient);
        let Slot { stages, update, memory, buffers, .. } = slot;
        update.resize(gradient.len(), E::ZERO);
        let states = &stages[self.first..self.end()];
        let pass = Pass::new(self.stages, states, *buffers);
        pass.keep(source, entry.value.as_slice(), update, memory);
        slot.norm = by_blocks(&slot.update, &mut slot.norms, norm);
    }

    /// Passes the update of a parameter through the stages, the last ones, and subtracts it.
    pub(crate) fn subtract(
        &mut self,
        entry: &mut Entry<E>,
        slot: &mut Slot<E>,
        given: Given<'_, E>,
    ) {
        self.prepare(slot);
        let Slot { stages, update, memory, buffers, .. } = slot;
        let states = &stages[self.first..self.end()];
        let pass = Pass::new(self.stages, states, *buffers);
        let kept = (self.first > 0).then_some(&**update);
        let gradient = match given {
            Given::Lent(gradient) => gradient,
            // Where the recording holds the old value, the new one takes the place of the gradient: no
            // other memory is touched.
            Given::Owned(gradient) => {
                if entry.exchange(gradient, |old, x| pass.replace(kept, old, x, memory)) {
                    return;
                }
                gradient.as_slice()
            }
        };
        let source = kept.unwrap_or(gradient);
        entry.rewrite(|old, x| match old {
            Some(old) => pass.replace(Some(source), old, x, memory),
            None => pass.subtract(source, x, memory),
        });
    }

    /// Tells the stages where the step is; the norm is for the first.
    fn prepare(&mut self, slot: &mut Slot<E>) {
        let norm = match self.statistic {
            Statistic::None => 0.0,
            Statistic::Norm => slot.norm,
            Statistic::GlobalNorm => self.global,
        };
        let mut at = At { step: self.step, update: slot.updates, norm, ..At::default() };
        let end = self.end();
        for (stage, state) in self.stages.iter_mut().zip(&mut slot.stages[self.first..end]) {
            if state.applies {
                let same = (stage.at.step, stage.at.update, stage.at.norm);
                if same != (at.step, at.update, at.norm) {
                    stage.at = At { coefficients: stage.transform.coefficients(&at), ..at };
                }
                state.at = stage.at;
            }
            at.norm = 0.0;
        }
    }
}
