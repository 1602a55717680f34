//! What a sweep needs to see of a tape: the nodes in their order, and (in `rules`) their local rules.
//!
//! This is the interface to the `autograd` crate. Nothing here sums cotangents or keeps them: a rule
//! hands over (operand, cotangent), and the sweep decides what becomes of it.
//!
//! Rules may be a user's code, which may do anything, even drop the tape. So no reference into the
//! arena is held while one runs, a [`Recording`] keeps the arena alive, and after each rule it
//! checks that the recording is still the same.

mod anomaly;
mod cotangent;
mod pieces;
mod rules;

use std::cell::RefCell;
use std::panic::Location;
use std::rc::Rc;

use smallvec::SmallVec;

use crate::inner::{Inner, Kind, Label};
use crate::registry;
use crate::rule::MAX_OPERANDS;
use crate::scalar::lane::Node;
use crate::scalar::local_rule::operands_of;
use crate::scalar::opcode::Opcode;
use crate::{Real, Tensor, TensorVar, Var};

pub use anomaly::{Anomaly, Suspended};
pub use cotangent::{Cotangent, Sums};
pub use pieces::Asked;
use rules::fit;

pub use crate::recycle::{LeafCotangent, Recyclable, Recycled, Scratch};
pub use crate::scalar::{Handled, Segment};

/// A node, in one of the lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeId {
    /// A scalar node.
    Scalar(u32),
    /// A tensor node.
    Tensor(u32),
}

/// What a sweep has to know about a tensor node.
#[derive(Clone, Copy, Debug)]
pub struct TensorInfo {
    /// How many scalar nodes were recorded before it.
    pub at: u32,
    /// Whether it is an independent variable.
    pub leaf: bool,
    /// Whether it depends on an independent variable.
    pub active: bool,
    /// The label of a leaf that has one.
    pub label: Option<Label>,
    /// The first of the nodes that share its rule: the outputs of one operation.
    pub first: u32,
    /// How many nodes share its rule.
    pub group: u32,
}

/// A recording as a sweep sees it.
pub struct Recording<E: Real> {
    inner: Rc<Inner<E>>,
    epoch: u64,
    refusal: RefCell<Option<Refusal>>,
    anomaly: RefCell<Option<Anomaly>>,
}

/// The rule of an operation has said that there is no derivative; see [`Backward::refuse`](crate::Backward::refuse).
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The operation.
    pub operation: &'static str,
    /// Why there is no derivative.
    pub reason: String,
    /// The line that recorded the operation.
    pub recorded: &'static Location<'static>,
}

impl<E: Real> Recording<E> {
    fn hold(tag: u32) -> Option<Self> {
        let inner = registry::hold::<E>(tag)?;
        let epoch = inner.epoch.get();
        Some(Recording { inner, epoch, refusal: RefCell::default(), anomaly: RefCell::default() })
    }

    /// The recording that `v` belongs to; `None` if it is stale or a constant.
    pub fn of_var(v: Var<E>) -> Option<Self> {
        Self::hold(v.tag)
    }

    /// The recording that `t` belongs to; `None` if it is stale or a constant.
    pub fn of_tensor(t: TensorVar<E>) -> Option<Self> {
        Self::hold(t.tag)
    }

    /// Notes that `operation` makes plain numbers of what is recorded: an error if that is a program.
    #[track_caller]
    pub fn leave(&self, operation: &'static str) {
        crate::program::record::note_numbers(&self.inner, operation);
    }

    /// What the first rule that has refused since the last call has said.
    pub fn take_refusal(&self) -> Option<Refusal> {
        self.refusal.take()
    }

    /// The node of `v`; `None` if it is not of this recording.
    pub fn scalar_id(&self, v: Var<E>) -> Option<u32> {
        let known = (v.index as usize) < self.inner.scalars.len();
        (known && v.tag == self.inner.tag_of_scalar(v.index)).then_some(v.index)
    }

    /// The node of `t`; `None` if it is not of this recording.
    pub fn tensor_id(&self, t: TensorVar<E>) -> Option<u32> {
        let known = (t.index as usize) < self.inner.tensors.borrow().nodes.len();
        (known && t.tag == self.inner.tag_of_tensor(t.index)).then_some(t.index)
    }

    /// The recorded number `i`.
    pub fn var(&self, i: u32) -> Var<E> {
        let (_, value) = self.inner.scalars.node(i);
        Var { value, index: i, tag: self.inner.tag_of_scalar(i) }
    }

    /// The recorded tensor `t`.
    pub fn tensor(&self, t: u32) -> TensorVar<E> {
        TensorVar { constant: E::ZERO, index: t, tag: self.inner.tag_of_tensor(t) }
    }

    /// A constant on this recording.
    #[track_caller]
    pub fn constant(&self, value: Tensor<E>) -> TensorVar<E> {
        TensorVar::source(&self.inner, value, Kind::Constant, None)
    }

    /// A new independent tensor on this recording.
    #[track_caller]
    pub fn leaf(&self, value: Tensor<E>) -> TensorVar<E> {
        TensorVar::source(&self.inner, value, Kind::Leaf, None)
    }

    /// The tags of the scalar nodes: each from a first node on.
    pub fn scalar_tags(&self) -> SmallVec<[(u32, u32); 2]> {
        self.inner.scalar_tags()
    }

    /// How many scalar nodes there are.
    pub fn scalars(&self) -> usize {
        self.inner.scalars.len()
    }

    /// How many tensor nodes there are.
    pub fn tensors(&self) -> usize {
        self.inner.tensors.borrow().nodes.len()
    }

    /// The scalar nodes, lent for a stretch of a sweep that runs no code of a user.
    pub fn segment(&self) -> Segment<'_, E> {
        self.inner.scalars.segment()
    }

    /// The facts about tensor node `t`.
    #[inline]
    pub fn tensor_info(&self, t: u32) -> TensorInfo {
        let lane = self.inner.tensors.borrow();
        let node = &lane.nodes[t as usize];
        let (first, group) = match node.kind {
            Kind::Output { call, .. } => {
                let call = &lane.calls[call as usize];
                (call.first, call.outputs)
            }
            _ => (t, 1),
        };
        TensorInfo {
            at: node.at,
            leaf: matches!(node.kind, Kind::Leaf),
            active: node.active,
            label: node.label,
            first,
            group,
        }
    }

    /// Whether tensor node `t` depends on an independent variable.
    #[inline]
    pub fn is_active(&self, t: u32) -> bool {
        self.inner.tensors.borrow().nodes[t as usize].active
    }

    /// Whether scalar node `i` is an independent variable.
    pub fn is_scalar_leaf(&self, i: u32) -> bool {
        Opcode(self.inner.scalars.node(i).0[0]) == Opcode::LEAF
    }

    fn carried(&self, i: u32) -> (u32, u32) {
        let ([_, a, b], _) = self.inner.scalars.node(i - 1);
        (a, b)
    }

    fn scalar_operands(&self, i: u32) -> ([u32; MAX_OPERANDS], usize) {
        let (node, _) = self.inner.scalars.node(i);
        let arity = |rule| self.inner.rules.borrow().get(rule).rule.arity();
        operands_of(node, arity, || self.carried(i))
    }

    /// Calls `f` with each node that `id` was made from.
    pub fn for_each_operand(&self, id: NodeId, mut f: impl FnMut(NodeId)) {
        match id {
            NodeId::Scalar(i) => {
                if let Some(t) = self.item_of(i) {
                    return f(NodeId::Tensor(t));
                }
                let (operands, arity) = self.scalar_operands(i);
                operands[..arity].iter().for_each(|&o| f(NodeId::Scalar(o)));
            }
            NodeId::Tensor(t) => {
                let lane = self.inner.tensors.borrow();
                match lane.nodes[t as usize].kind {
                    Kind::Leaf | Kind::Constant => {}
                    Kind::Lift { scalar } => f(NodeId::Scalar(scalar)),
                    Kind::Total { operand, .. } => f(NodeId::Tensor(operand)),
                    Kind::Elementwise { operands, arity, constants, .. } => {
                        for k in (0..arity as usize).filter(|k| constants >> k & 1 == 0) {
                            f(NodeId::Tensor(operands[k]));
                        }
                    }
                    Kind::Output { call, .. } => {
                        for &input in &lane.calls[call as usize].inputs {
                            f(NodeId::Tensor(input));
                        }
                    }
                }
            }
        }
    }

    /// The tensor whose only element scalar node `i` is, if it is such a node.
    pub fn item_of(&self, i: u32) -> Option<u32> {
        let ([opcode, _, t], _) = self.inner.scalars.node(i);
        (Opcode(opcode) == Opcode::ITEM).then_some(t)
    }

    /// Whether two recorded tensors have the same shape.
    pub(crate) fn have_one_shape(&self, a: TensorVar<E>, b: TensorVar<E>) -> bool {
        let lane = self.inner.tensors.borrow();
        lane.nodes[a.index as usize].shape == lane.nodes[b.index as usize].shape
    }

    /// The cotangent `g` of tensor `t` in the shape of `t`.
    pub fn fitted(&self, g: TensorVar<E>, t: u32) -> TensorVar<E> {
        fit(g, self.tensor(t))
    }

    /// Computes the tensors that `list` names, those of one shape in one pass over the data.
    pub fn compute(&self, list: impl FnOnce(&mut dyn FnMut(TensorVar<E>))) {
        crate::cluster::force_all(&self.inner, |targets| {
            list(&mut |t| {
                if self.tensor_id(t).is_some() {
                    targets.push(t.index);
                }
            });
        });
    }

    /// Panics if the tape was reset or dropped since the sweep began.
    pub fn check(&self) {
        assert!(
            self.inner.epoch.get() == self.epoch,
            "the tape was reset or dropped while a sweep was running on it"
        );
    }

    /// Opens a tail: what is recorded from here on is forgotten when the guard is dropped, and its
    /// handles are stale then.
    pub fn begin_tail(&self) -> Tail<E> {
        self.check();
        Tail { inner: self.inner.clone(), epoch: self.epoch, tag: self.inner.begin() }
    }
}

/// See [`Recording::begin_tail`].
pub struct Tail<E: Real> {
    inner: Rc<Inner<E>>,
    epoch: u64,
    tag: u32,
}

impl<E: Real> Drop for Tail<E> {
    fn drop(&mut self) {
        if self.inner.epoch.get() == self.epoch {
            self.inner.rewind(self.tag);
        }
    }
}

// A node takes 12 bytes beside its value.
const _: () = assert!(size_of::<Node>() == 12);
