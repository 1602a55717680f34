//! The sweep whose result is numbers.

use tape::engine::{Handled, LeafCotangent, NodeId, Recording, Recycled, Scratch, Tail};
use tape::{Real, TensorVar};

use super::{Needs, accumulate, extent, group_of, one};
use crate::Gradients;

/// What stands in the slot of a scalar that nothing has flowed to: -0, the neutral element of IEEE
/// addition. A sum that something has flowed to is never -0; see [`add`].
pub(crate) fn absent<E: Real>() -> E {
    -E::ZERO
}

/// Whether nothing has flowed to a slot.
#[inline(always)]
pub(crate) fn is_absent<E: Real>(slot: E) -> bool {
    slot.bits() == absent::<E>().bits()
}

/// Adds a cotangent. The second addition turns -0 into +0 and changes nothing else.
#[inline(always)]
fn add<E: Real>(slot: &mut E, cotangent: E) {
    *slot = *slot + cotangent + E::ZERO;
}

/// A first-order sweep over a recording.
pub(crate) struct FirstOrder<'a, E: Real> {
    recording: &'a Recording<E>,
    needs: Option<Needs<E>>,
    scalars: Scratch<E>,
    tensors: Recycled<E, Option<TensorVar<E>>>,
    /// Opened when the first rule of a tensor or of a user runs.
    tail: Option<Tail<E>>,
}

impl<'a, E: Real> FirstOrder<'a, E> {
    /// Sweeps from `out`, whose cotangent is 1 or, for a tensor, the given one. Without `variables`
    /// the result has the gradient of every leaf.
    pub(crate) fn run(
        recording: &'a Recording<E>,
        out: NodeId,
        cotangent: Option<tape::Tensor<E>>,
        variables: Option<&[NodeId]>,
    ) -> Gradients<E> {
        let (scalars, tensors) = extent(recording, out);
        let mut sweep = FirstOrder {
            recording,
            needs: variables.map(|v| Needs::new(recording, v, (scalars, tensors))),
            scalars: Scratch::filled(scalars as usize, absent()),
            tensors: Recycled::filled(tensors as usize, None),
            tail: None,
        };
        match out {
            NodeId::Scalar(i) => {
                sweep.scalars[i as usize] = cotangent.map_or(E::ONE, |cotangent| cotangent.item());
            }
            NodeId::Tensor(t) => {
                sweep.open_tail();
                sweep.tensors[t as usize] = Some(match cotangent {
                    Some(cotangent) => recording.constant(cotangent),
                    None => one(recording, t),
                });
            }
        }
        sweep.sweep(scalars, tensors);
        sweep.finish(variables)
    }

    fn needed(&self, id: NodeId) -> bool {
        match (&self.needs, id) {
            (Some(needs), id) => needs.get(id),
            (None, NodeId::Scalar(_)) => true,
            (None, NodeId::Tensor(t)) => self.recording.tensor_info(t).active,
        }
    }

    fn sweep(&mut self, mut scalars: u32, mut tensors: u32) {
        while tensors > 0 {
            let info = self.recording.tensor_info(tensors - 1);
            self.sweep_scalars(info.at.min(scalars), scalars);
            scalars = info.at.min(scalars);
            self.tensor_group(info.first, info.group);
            tensors = info.first;
        }
        self.sweep_scalars(0, scalars);
    }

    /// The scalar nodes `low..high`, backward.
    fn sweep_scalars(&mut self, low: u32, high: u32) {
        let low = low.max(self.needs.as_ref().map_or(0, |needs| needs.first_scalar));
        let mut high = high;
        while low < high {
            match self.run_of_primitives(low, high) {
                None => return,
                Some(i) => {
                    self.other_scalar(i);
                    high = i;
                }
            }
        }
    }

    /// Sweeps down to `low`, or to a node that is not a primitive, which it returns.
    fn run_of_primitives(&mut self, low: u32, high: u32) -> Option<u32> {
        let segment = self.recording.segment();
        let slots = &mut self.scalars[..high as usize];
        // Said once here, so that it need not be checked at each node.
        assert!(slots.len() <= segment.len());
        for i in (low as usize..slots.len()).rev() {
            // Operands come before their node, so the slots below are all that a rule needs.
            let (below, own) = slots.split_at_mut(i);
            let g = own[0];
            if is_absent(g) {
                continue;
            }
            let handled = segment.local_rule(i, g, |operand, cotangent| {
                add(&mut below[operand as usize], cotangent);
            });
            if handled == Handled::No {
                return Some(i as u32);
            }
        }
        None
    }

    /// A scalar node with a user's rule, or one that comes from a tensor.
    fn other_scalar(&mut self, i: u32) {
        let g = self.scalars[i as usize];
        self.open_tail();
        if let Some(t) = self.recording.item_of(i) {
            accumulate(&mut self.tensors[t as usize], TensorVar::scalar_constant(g));
            return;
        }
        let needs = &self.needs;
        let needed = |id| needs.as_ref().is_none_or(|needs| needs.get(id));
        let slots = &mut self.scalars;
        self.recording.scalar_rule(i, g, needed, |operand, cotangent| {
            add(&mut slots[operand as usize], cotangent);
        });
    }

    fn tensor_group(&mut self, first: u32, group: u32) {
        let Some(cotangents) = group_of(&self.tensors, first, group) else {
            return;
        };
        let mut handed: super::Handed<E> = Default::default();
        self.recording.tensor_rule(
            first,
            &cotangents,
            |id| self.needed(id),
            |operand, cotangent| handed.push((operand, cotangent)),
        );
        for (operand, cotangent) in handed {
            match operand {
                NodeId::Tensor(t) => accumulate(&mut self.tensors[t as usize], cotangent),
                NodeId::Scalar(i) => add(&mut self.scalars[i as usize], cotangent.item()),
            }
        }
    }

    fn open_tail(&mut self) {
        if self.tail.is_none() {
            self.tail = Some(self.recording.begin_tail());
        }
    }

    /// Computes the gradients of the leaves, or of the variables.
    fn finish(mut self, variables: Option<&[NodeId]>) -> Gradients<E> {
        let mut leaves = Recycled::empty();
        for t in 0..self.tensors.len() as u32 {
            let Some(cotangent) = self.tensors[t as usize] else {
                continue;
            };
            let info = self.recording.tensor_info(t);
            let wanted = match variables {
                Some(variables) => variables.contains(&NodeId::Tensor(t)),
                None => info.leaf,
            };
            if wanted {
                let leaf = self.recording.tensor(t);
                let value = cotangent.value();
                leaves.push(LeafCotangent { leaf, label: info.label, value });
            }
        }
        // The handles of the tail go stale here; the values above have been taken out of it.
        drop(self.tail.take());
        Gradients::new(self.scalars, leaves, self.recording.scalar_tags(), variables)
    }
}
