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
        // Tensors from the first asked-for one on, or that a scalar from the first asked-for one on may lead to.
        let after =
            partition_point(tensors, |t| recording.tensor_info(t).at <= first_scalar as u32);
        let first_tensor = needs.tensors.iter().position(|&needed| needed);
        let first_tensor = first_tensor.map_or(after, |first| after.min(first as u32));
        let mut next = first_scalar as u32;
        if first_tensor < tensors {
            // A tensor may lead to scalars that come before the first asked-for one.
            next = next.min(recording.tensor_info(first_tensor).at.min(scalars));
        }
        for t in first_tensor..tensors {
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

/// The first of `0..n` for which `before` is false; it is true up to there and false from there on.
fn partition_point(n: u32, before: impl Fn(u32) -> bool) -> u32 {
    let (mut low, mut high) = (0, n);
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}
