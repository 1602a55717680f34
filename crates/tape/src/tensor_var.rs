//! The handle of a recorded tensor.

mod apply;
mod elementwise;
mod operators;

use std::fmt;
use std::panic::Location;

pub(crate) use apply::try_apply_one;
pub use apply::{apply_op, try_apply_op};

use crate::elementary::sealed::Sealed;
use crate::error::expect;
use crate::inner::{Inner, Kind, Label, TensorLane, TensorNode};
use crate::op::Op;
use crate::registry::{self, NO_TAPE};
use crate::scalar::opcode::Opcode;
use crate::{Real, Shape, Tensor, Var, cluster};

/// A recorded tensor: its place on the tape.
///
/// `Copy`, `Send`, `'static`, 16 bytes. Expressions are written as for floats; shapes broadcast as
/// in numpy; scalars ([`Var`], numbers) and tensors mix.
///
/// ```
/// use tape::{Tape, Tensor};
///
/// let tape = Tape::new();
/// let x = tape.tensor([[1.0, 2.0], [3.0, 4.0]]);
/// let row = tape.tensor([10.0, 20.0]);
/// let a = tape.var(0.5);
/// let y = 2.0 * x + row * a;
/// assert_eq!(y.value(), Tensor::from([[7.0, 14.0], [11.0, 18.0]]));
/// ```
///
/// Elementwise operations are recorded at once and computed when a value is needed, many in one
/// pass over memory; on a few elements, at once. A mismatch of shapes is reported at once.
///
/// # Panics
/// Every operation panics, naming the caller's line, on shapes that do not fit, on a stale handle,
/// and on operands of different tapes.
#[derive(Clone, Copy)]
pub struct TensorVar<E: Real = f64> {
    /// The value, if there is no tape.
    pub(crate) constant: E,
    pub(crate) index: u32,
    pub(crate) tag: u32,
}

const _: () = assert!(size_of::<TensorVar<f64>>() == 16);

impl<E: Real> TensorVar<E> {
    /// A constant of rank 0 that belongs to no tape and has no derivative.
    pub fn scalar_constant(value: E) -> Self {
        TensorVar { constant: value, index: 0, tag: NO_TAPE }
    }

    /// Whether this is a constant without a tape.
    pub fn is_constant(self) -> bool {
        self.tag == NO_TAPE
    }

    fn on_tape(index: u32, tag: u32) -> Self {
        TensorVar { constant: E::ZERO, index, tag }
    }

    #[track_caller]
    pub(crate) fn source(
        inner: &Inner<E>,
        value: Tensor<E>,
        kind: Kind,
        label: Option<Label>,
    ) -> Self {
        let lane = &mut *inner.tensors.borrow_mut();
        let (at, shape) = (inner.scalars.len() as u32, value.shape().clone());
        let (t, node) = lane.nodes.push(kind, shape, at, Location::caller());
        node.value = Some(value);
        node.active = matches!(kind, Kind::Leaf);
        node.label = label;
        TensorVar::on_tape(t, inner.tag_now.get())
    }

    #[track_caller]
    pub(crate) fn constant_on(tag: u32, value: Tensor<E>) -> Self {
        let (inner, _) = registry::find::<E>(tag);
        Self::source(inner, value, Kind::Constant, None)
    }

    /// A constant on the tape of `self`, which must have one.
    #[track_caller]
    pub fn constant_like(self, value: impl Into<Tensor<E>>) -> Self {
        assert!(self.tag != NO_TAPE, "a constant without a tape has none to put another one on");
        Self::constant_on(self.tag, value.into())
    }

    /// A recorded number as a tensor of rank 0.
    #[track_caller]
    pub(crate) fn lift(v: Var<E>) -> Self {
        if v.tag == NO_TAPE {
            return TensorVar::scalar_constant(v.value);
        }
        let location = Location::caller();
        let (inner, tag) = registry::find::<E>(v.tag);
        assert!((v.index as usize) < inner.scalars.len(), "a handle kept over a reset");
        let lane = &mut *inner.tensors.borrow_mut();
        let (kind, at) = (Kind::Lift { scalar: v.index }, inner.scalars.len() as u32);
        let (t, node) = lane.nodes.push(kind, Shape::scalar(), at, location);
        node.active = true;
        TensorVar::on_tape(t, tag)
    }

    /// The shape.
    #[track_caller]
    pub fn shape(self) -> Shape {
        if self.tag == NO_TAPE {
            return Shape::scalar();
        }
        let (inner, _) = registry::find::<E>(self.tag);
        self.node(&inner.tensors.borrow()).shape.clone()
    }

    /// The number of axes.
    #[track_caller]
    pub fn rank(self) -> usize {
        self.shape().rank()
    }

    #[track_caller]
    fn node(self, lane: &TensorLane<E>) -> &TensorNode<E> {
        match lane.nodes.get(self.index as usize) {
            Some(node) => node,
            None => panic!("a handle that names no node of this tape: it was kept over a reset"),
        }
    }

    /// The value, computed now if it was not needed before. What is computed from it is not
    /// recorded.
    #[track_caller]
    pub fn value(self) -> Tensor<E> {
        if self.tag == NO_TAPE {
            return Tensor::scalar(self.constant);
        }
        self.value_on(registry::find::<E>(self.tag).0)
    }

    /// The value, where the tape has been found.
    #[track_caller]
    fn value_on(self, inner: &Inner<E>) -> Tensor<E> {
        if let Some(value) = &self.node(&inner.tensors.borrow()).value {
            return value.clone();
        }
        cluster::force(inner, self.index)
    }

    /// The only element.
    ///
    /// # Panics
    /// If there is not exactly one.
    #[track_caller]
    pub fn item(self) -> E {
        self.value().item()
    }

    /// The only element as a recorded number. This computes it.
    ///
    /// # Panics
    /// If there is not exactly one.
    #[track_caller]
    pub fn to_scalar(self) -> Var<E> {
        if self.tag == NO_TAPE {
            return Var::constant(self.constant);
        }
        let shape = self.shape();
        assert!(
            shape.elements() == 1,
            "to_scalar: a tensor of shape {shape} does not have exactly one element"
        );
        let this = if shape.rank() == 0 { self } else { self.reshape(Shape::scalar()) };
        let value = this.item();
        let (inner, tag) = registry::find::<E>(this.tag);
        let index = inner.scalars.push_leaf(Opcode::ITEM, this.index, value);
        Var { value, index, tag }
    }

    /// Applies an operation with one output.
    #[track_caller]
    pub fn apply_op<O: Op<E>>(self, op: O) -> Self {
        expect(try_apply_one(op, &[self]))
    }
}

/// Which node of which recording a handle names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HandleKey {
    /// The tag of the recording, or of the part of it that a sweep has made.
    pub tag: u32,
    /// The number of the node in its lane.
    pub index: u32,
}

impl<E: Real> TensorVar<E> {
    /// Which node this is.
    pub fn key(self) -> HandleKey {
        HandleKey { tag: self.tag, index: self.index }
    }
}

impl<E: Real> Var<E> {
    /// Which node this is.
    pub fn key(self) -> HandleKey {
        HandleKey { tag: self.tag, index: self.index }
    }
}

impl<E: Real> Sealed for TensorVar<E> {}

impl<E: Real> From<E> for TensorVar<E> {
    fn from(value: E) -> Self {
        TensorVar::scalar_constant(value)
    }
}

impl<E: Real> From<Var<E>> for TensorVar<E> {
    #[track_caller]
    fn from(v: Var<E>) -> Self {
        TensorVar::lift(v)
    }
}

impl<E: Real> fmt::Debug for TensorVar<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tag {
            NO_TAPE => write!(f, "TensorVar({:?}, constant)", self.constant),
            tag => write!(f, "TensorVar(tensor {} of tape {tag})", self.index),
        }
    }
}

impl<E: Real> TensorVar<E> {
    /// Whether this is an independent variable.
    #[track_caller]
    pub fn is_leaf(self) -> bool {
        self.tag != NO_TAPE && {
            let (inner, _) = registry::find::<E>(self.tag);
            matches!(self.node(&inner.tensors.borrow()).kind, Kind::Leaf)
        }
    }
}
