//! The parts of a sweep that looks at what each rule makes, for
//! [`Tape::with_anomaly_detection`](tape::Tape::with_anomaly_detection).
//!
//! The first thing that is noted becomes the error of the sweep; what is computed after it does not
//! matter.

use smallvec::SmallVec;
use tape::engine::{Cotangent, Handled, NodeId};
use tape::{Real, Tensor};

use super::{FirstOrder, add, is_absent};

impl<E: Real> FirstOrder<'_, E> {
    /// As [`run_of_primitives`](FirstOrder::run_of_primitives), slowly.
    pub(super) fn watched_run(&mut self, low: u32, high: u32) -> Option<u32> {
        for i in (low..high).rev() {
            let g = self.scalars[i as usize];
            if is_absent(g) {
                continue;
            }
            let mut handed: SmallVec<[(u32, E); 3]> = SmallVec::new();
            let handled =
                self.recording.segment().local_rule(i as usize, g, |operand, cotangent| {
                    handed.push((operand, cotangent));
                });
            if handled == Handled::No {
                return Some(i);
            }
            for (operand, cotangent) in handed {
                self.add_to_scalar(NodeId::Scalar(i), operand, cotangent);
            }
        }
        None
    }

    /// Adds the cotangent that the rule of node `from` hands to the scalar node `to`.
    pub(super) fn add_to_scalar(&mut self, from: NodeId, to: u32, cotangent: E) {
        let slot = &mut self.scalars[to as usize];
        let before = *slot;
        add(slot, cotangent);
        let after = *slot;
        if !self.watched || after.is_finite() {
            return;
        }
        if cotangent.is_finite() {
            if before.is_finite() {
                self.recording.look_at_sum(NodeId::Scalar(to), &Tensor::scalar(after));
            }
            return;
        }
        // What a tensor hands over has been looked at where it came from.
        if let NodeId::Scalar(i) = from {
            let g = self.scalars[i as usize];
            if g.is_finite() {
                let handed = Tensor::scalar(cotangent);
                self.recording.look_at_rule(from, &[Tensor::scalar(g)], &handed);
            }
        }
    }

    /// The cotangents of an operation, if they are to be looked at and finite.
    pub(super) fn finite_numbers(
        &self,
        cotangents: &[Option<Cotangent<E>>],
    ) -> Option<SmallVec<[Tensor<E>; 3]>> {
        let watched = self.watched && cotangents.iter().flatten().all(Cotangent::is_finite);
        watched.then(|| cotangents.iter().flatten().map(Cotangent::numbers).collect())
    }

    /// Whether what has flowed to a tensor so far is finite.
    pub(super) fn is_sum_finite(&self, t: u32) -> bool {
        self.tensors[t as usize].as_ref().is_none_or(Cotangent::is_finite)
    }

    /// Looks at the sum of finite cotangents of a tensor.
    pub(super) fn look_at_sum(&self, t: u32) {
        if let Some(sum) = &self.tensors[t as usize] {
            self.recording.look_at_sum(NodeId::Tensor(t), &sum.numbers());
        }
    }
}
