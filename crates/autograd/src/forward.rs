//! Forward mode over a recording: tangents instead of cotangents, first node to last.
//!
//! A recording states the transposed rule of each node, from the cotangent of a result to those of
//! the operands. Three observations turn it around:
//!
//! - The rule of a scalar node, asked with the cotangent 1, hands over the partial derivatives; the
//!   tangent of the node is their sum, each times the tangent of its operand.
//! - The rule of an elementwise tensor node is diagonal, so it is its own transpose: asked with the
//!   tangent of an operand instead of a cotangent, it hands over the tangent of the node.
//! - The rule of any other tensor node is linear in its cotangent `u`. So it is recorded with new
//!   variables for `u`, paired with the tangents of the operands, and differentiated by `u`: the
//!   transpose of the transpose.
//!
//! A tangent that is absent is skipped, even where a partial is infinite.

use smallvec::SmallVec;
use tape::engine::{NodeId, Recording};
use tape::{Real, Tensor, TensorVar, Var};

use crate::error::refused;
use crate::{Differentiate, Error};

/// A forward pass over a recording. What it computes is recorded behind the nodes that it walks.
pub(crate) struct Forward<E: Real> {
    recording: Recording<E>,
    scalars: Vec<Option<Var<E>>>,
    tensors: Vec<Option<TensorVar<E>>>,
}

impl<E: Real> Forward<E> {
    /// A pass over all that is recorded now.
    pub(crate) fn new(recording: Recording<E>) -> Self {
        Forward {
            scalars: vec![None; recording.scalars()],
            tensors: vec![None; recording.tensors()],
            recording,
        }
    }

    /// A pass over the first `scalars` numbers of a recording and the tensors before them.
    pub(crate) fn up_to(recording: Recording<E>, scalars: usize) -> Self {
        let before = |&t: &u32| (recording.tensor_info(t).at as usize) < scalars;
        let tensors = (0..recording.tensors() as u32).take_while(before).count();
        Forward { scalars: vec![None; scalars], tensors: vec![None; tensors], recording }
    }

    /// The tangent of a leaf, which may be recorded itself.
    pub(crate) fn seed_scalar(&mut self, leaf: Var<E>, tangent: Var<E>) {
        if let Some(i) = self.recording.scalar_id(leaf) {
            self.scalars[i as usize] = Some(tangent);
        }
    }

    /// The tangent of a leaf, of the same shape.
    pub(crate) fn seed_tensor(&mut self, leaf: TensorVar<E>, tangent: Tensor<E>) {
        if let Some(t) = self.recording.tensor_id(leaf) {
            self.tensors[t as usize] = Some(self.recording.constant(tangent));
        }
    }

    /// The tangent of a recorded number; `None` if none has flowed to it.
    pub(crate) fn scalar(&self, v: Var<E>) -> Option<Var<E>> {
        let i = self.recording.scalar_id(v)?;
        *self.scalars.get(i as usize)?
    }

    /// The tangent of a recorded tensor, of its shape; `None` if none has flowed to it.
    pub(crate) fn tensor(&self, t: TensorVar<E>) -> Option<TensorVar<E>> {
        let t = self.recording.tensor_id(t)?;
        *self.tensors.get(t as usize)?
    }

    /// Walks the nodes.
    #[track_caller]
    pub(crate) fn run(&mut self) -> Result<(), Error> {
        let (scalars, tensors) = (self.scalars.len() as u32, self.tensors.len() as u32);
        let (mut i, mut t) = (0, 0);
        while t < tensors {
            let info = self.recording.tensor_info(t);
            (i..info.at).for_each(|i| self.scalar_node(i));
            i = info.at;
            self.tensor_group(t, info.group)?;
            t += info.group;
        }
        (i..scalars).for_each(|i| self.scalar_node(i));
        Ok(())
    }

    fn tangent_of(&self, id: NodeId) -> bool {
        match id {
            NodeId::Scalar(i) => self.scalars[i as usize].is_some(),
            NodeId::Tensor(t) => self.tensors[t as usize].is_some(),
        }
    }

    /// Whether a tangent has flowed to an operand. It has not to those of a leaf, which has none.
    fn reached(&self, id: NodeId) -> bool {
        let mut reached = false;
        self.recording.for_each_operand(id, |operand| reached |= self.tangent_of(operand));
        reached
    }

    fn scalar_node(&mut self, i: u32) {
        if !self.reached(NodeId::Scalar(i)) {
            return;
        }
        if let Some(t) = self.recording.item_of(i) {
            self.scalars[i as usize] = self.tensors[t as usize].map(TensorVar::to_scalar);
            return;
        }
        let (scalars, mut sum) = (&self.scalars, None);
        let one = Var::constant(E::ONE);
        let reached = |id| match id {
            NodeId::Scalar(i) => scalars[i as usize].is_some(),
            NodeId::Tensor(_) => false,
        };
        self.recording.recorded_scalar_rule(i, one, reached, |operand, partial| {
            if let Some(tangent) = scalars[operand as usize] {
                let term = partial * tangent;
                sum = Some(sum.map_or(term, |sum: Var<E>| sum + term));
            }
        });
        self.scalars[i as usize] = sum;
    }

    /// The nodes `first..first + group`, which share their rule.
    #[track_caller]
    fn tensor_group(&mut self, first: u32, group: u32) -> Result<(), Error> {
        if !self.reached(NodeId::Tensor(first)) {
            return Ok(());
        }
        let mut lifted = None;
        self.recording.for_each_operand(NodeId::Tensor(first), |operand| {
            if let NodeId::Scalar(i) = operand {
                lifted = self.scalars[i as usize];
            }
        });
        if let Some(tangent) = lifted {
            self.set(first, Some(tangent.into()));
            return Ok(());
        }
        let mut sum: Option<TensorVar<E>> = None;
        let elementwise = self.recording.elementwise_products(
            first,
            |operand| self.tensors[operand as usize],
            |_, term| sum = Some(sum.map_or(term, |sum| sum + term)),
        );
        if elementwise {
            self.set(first, sum);
            return Ok(());
        }
        self.transposed_twice(first, group)
    }

    /// `d <rule(u), tangents> / du`.
    #[track_caller]
    fn transposed_twice(&mut self, first: u32, group: u32) -> Result<(), Error> {
        let mut cotangents: SmallVec<[_; 2]> = SmallVec::new();
        for t in first..first + group {
            let shape = self.recording.tensor(t).shape();
            // The rule is linear in it, so the value does not matter.
            cotangents.push(self.recording.leaf(Tensor::zeros(shape)));
        }
        let given: SmallVec<[_; 2]> = cotangents.iter().copied().map(Some).collect();
        let mut pairing: Option<TensorVar<E>> = None;
        self.recording.tensor_rule(
            first,
            &given,
            |operand| self.tangent_of(operand),
            |operand, cotangent| {
                let tangent = match operand {
                    NodeId::Tensor(t) => self.tensors[t as usize],
                    NodeId::Scalar(i) => self.scalars[i as usize].map(TensorVar::from),
                };
                if let Some(tangent) = tangent {
                    let term = (cotangent * tangent).sum();
                    pairing = Some(pairing.map_or(term, |sum| sum + term));
                }
            },
        );
        refused(&self.recording)?;
        let Some(pairing) = pairing.filter(|pairing| !pairing.is_constant()) else {
            return Ok(());
        };
        let tangents = pairing.grad_recorded(&cotangents)?;
        for (t, tangent) in (first..).zip(tangents) {
            self.set(t, tangent);
        }
        Ok(())
    }

    /// Stores the tangent of a tensor, repeated to its shape.
    fn set(&mut self, t: u32, tangent: Option<TensorVar<E>>) {
        let shape = self.recording.tensor(t).shape();
        self.tensors[t as usize] = tangent.map(|tangent| match tangent.is_constant() {
            true => self.recording.constant(Tensor::full(shape, tangent.item())),
            false => tangent.broadcast_to(shape),
        });
    }
}
