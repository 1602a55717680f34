//! A recording in numbers.

use std::collections::{BTreeMap, HashSet};

use super::node::{self, Given};
use crate::engine::NodeId;
use crate::inner::{Inner, Kind, TensorNode};
use crate::scalar::lane::Node;
use crate::{Real, Tape, Tensor};

/// What a tape consists of; see [`Tape::stats`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TapeStats {
    /// The nodes of the scalar lane. An operation of three or four operands takes two.
    pub scalar_nodes: usize,
    /// The nodes of the tensor lane. Each output of an operation is one.
    pub tensor_nodes: usize,
    /// The independent variables, numbers and tensors.
    pub leaves: usize,
    /// The constants that have a node, numbers and tensors.
    pub constants: usize,
    /// The tensors that are recorded and not computed yet.
    pub pending: usize,
    /// The bytes of all nodes, of the values that they hold, of what operations keep for the backward pass,
    /// of constants and of the lines of scalar operations. A buffer that several nodes share is counted
    /// once, also if it is shared with a tensor outside of the tape. Memory that the tape holds in reserve
    /// is not counted.
    pub bytes: usize,
    /// Each kind of operation, numbers before tensors, by name.
    pub operations: Vec<OperationStats>,
}

/// What a tape has of one kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OperationStats {
    /// The name. Leaves and constants are kinds, too.
    pub name: &'static str,
    /// Whether it is an operation on tensors.
    pub tensor: bool,
    /// How many results there are of it: nodes, where an operation on numbers counts once.
    pub count: usize,
    /// The bytes of its nodes, of their values and of what is kept for the backward pass. A buffer that
    /// several nodes share is counted for the first.
    pub bytes: usize,
}

impl<E: Real> Tape<E> {
    /// What has been recorded, in numbers.
    ///
    /// ```
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.tensor(Tensor::ones([1000]));
    /// let y = (x * x + x * 3.0).sum();
    /// let stats = tape.stats();
    /// assert_eq!((stats.tensor_nodes, stats.leaves, stats.pending), (5, 1, 4));
    /// assert_eq!(stats.operations.iter().find(|o| o.name == "mul").unwrap().count, 2);
    /// # let _ = y;
    /// ```
    pub fn stats(&self) -> TapeStats {
        let inner = &**self.inner();
        let mut count = Count::default();
        node::for_each(inner, |id| count.node(inner, id));
        let lines = match inner.scalars.detail() {
            super::Detail::Least => 0,
            _ => inner.scalars.len() * size_of::<&std::panic::Location<'static>>(),
        };
        let pool = inner.scalars.bytes() - inner.scalars.len() * scalar_node::<E>();
        let kinds = count.kinds.iter();
        let operations: Vec<OperationStats> = kinds
            .map(|(&(tensor, name), &(count, bytes))| OperationStats { name, tensor, count, bytes })
            .collect();
        TapeStats {
            scalar_nodes: inner.scalars.len(),
            tensor_nodes: inner.tensors.borrow().nodes.len(),
            leaves: count.leaves,
            constants: count.constants,
            pending: count.pending,
            bytes: operations.iter().map(|o| o.bytes).sum::<usize>() + pool + lines,
            operations,
        }
    }
}

/// The bytes of a node of the scalar lane and its value.
const fn scalar_node<E>() -> usize {
    size_of::<Node>() + size_of::<E>()
}

#[derive(Default)]
struct Count {
    /// Count and bytes, by lane and name.
    kinds: BTreeMap<(bool, &'static str), (usize, usize)>,
    leaves: usize,
    constants: usize,
    pending: usize,
    /// Where the buffers are that have been counted.
    buffers: HashSet<usize>,
}

impl Count {
    fn node<E: Real>(&mut self, inner: &Inner<E>, id: NodeId) {
        let name = node::name(inner, id);
        match node::given(inner, id) {
            Some(Given::Leaf) => self.leaves += 1,
            Some(Given::Constant) => self.constants += 1,
            None => {}
        }
        let bytes = match id {
            NodeId::Scalar(i) => {
                let carry = i > 0 && node::is_carry(inner, i - 1);
                (1 + usize::from(carry)) * scalar_node::<E>()
            }
            NodeId::Tensor(t) => self.tensor(inner, t),
        };
        let kind = self.kinds.entry((matches!(id, NodeId::Tensor(_)), name)).or_default();
        kind.0 += 1;
        kind.1 += bytes;
    }

    fn tensor<E: Real>(&mut self, inner: &Inner<E>, t: u32) -> usize {
        let lane = inner.tensors.borrow();
        let node = &lane.nodes[t as usize];
        let mut bytes = size_of::<TensorNode<E>>();
        match &node.value {
            Some(value) => bytes += self.buffer(value),
            None if matches!(node.kind, Kind::Lift { .. }) => {}
            None => self.pending += 1,
        }
        if let Kind::Output { call } = node.kind {
            let call = &lane.calls[call as usize];
            if call.first == t {
                let residuals = call.held.iter().flat_map(|held| &held.residuals);
                bytes += residuals.map(|r| self.buffer(r)).sum::<usize>();
            }
        }
        bytes
    }

    /// The bytes of a buffer that was not counted before.
    fn buffer<E: Real>(&mut self, tensor: &Tensor<E>) -> usize {
        let elements = tensor.as_slice();
        let new = self.buffers.insert(elements.as_ptr() as usize);
        if new { size_of_val(elements) } else { 0 }
    }
}
