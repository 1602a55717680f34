//! Which nodes a sweep has to visit when only some gradients are asked for.

use tape::Real;
use tape::engine::{NodeId, Recording, Recycled};

/// The nodes that lead from the asked-for variables to the result.
pub(crate) struct Needs<E: Real> {
    scalars: Recycled<E, bool>,
    tensors: Recycled<E, bool>,
    /// Up to here no scalar node leads there.
    pub(crate) first_scalar: u32,
}

impl<E: Real> Needs<E> {
    /// Walks forward from the variables, through `scalars` scalar and `tensors` tensor nodes.
    pub(crate) fn new(
        recording: &Recording<E>,
        variables: &[NodeId],
        (scalars, tensors): (u32, u32),
    ) -> Self {
        let mut needs = Needs {
            scalars: Recycled::filled(scalars as usize, false),
            tensors: Recycled::filled(tensors as usize, false),
            first_scalar: 0,
        };
        for &variable in variables {
            needs.set(variable);
        }
        let first_scalar =
            needs.scalars.iter().position(|&needed| needed).unwrap_or(scalars as usize);
        let first_tensor =
            needs.tensors.iter().position(|&needed| needed).unwrap_or(tensors as usize);
        let mut next = first_scalar as u32;
        if (first_tensor as u32) < tensors {
            // A tensor may lead to scalars that come before the first asked-for one.
            next = next.min(recording.tensor_info(first_tensor as u32).at.min(scalars));
        }
        for t in first_tensor as u32..tensors {
            let at = recording.tensor_info(t).at.min(scalars);
            needs.mark_scalars(recording, next, at);
            next = next.max(at);
            needs.mark(recording, NodeId::Tensor(t));
        }
        needs.mark_scalars(recording, next, scalars);
        let first = needs.scalars.iter().position(|&needed| needed).unwrap_or(scalars as usize);
        needs.first_scalar = first as u32;
        needs
    }

    fn mark_scalars(&mut self, recording: &Recording<E>, from: u32, to: u32) {
        for i in from..to {
            self.mark(recording, NodeId::Scalar(i));
        }
    }

    fn mark(&mut self, recording: &Recording<E>, id: NodeId) {
        if self.get(id) {
            return;
        }
        let mut needed = false;
        recording.for_each_operand(id, |operand| needed |= self.get(operand));
        if needed {
            self.set(id);
        }
    }

    fn set(&mut self, id: NodeId) {
        let flag = match id {
            NodeId::Scalar(i) => self.scalars.get_mut(i as usize),
            NodeId::Tensor(t) => self.tensors.get_mut(t as usize),
        };
        if let Some(flag) = flag {
            *flag = true;
        }
    }

    pub(crate) fn get(&self, id: NodeId) -> bool {
        let flag = match id {
            NodeId::Scalar(i) => self.scalars.get(i as usize),
            NodeId::Tensor(t) => self.tensors.get(t as usize),
        };
        flag.copied().unwrap_or(false)
    }
}
