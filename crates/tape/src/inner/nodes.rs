//! The table of tensor nodes.

use std::ops::{Deref, DerefMut};
use std::panic::Location;

use super::{Kind, Label};
use crate::{Real, Shape, Tensor, recycle};

pub(crate) struct TensorNode<E: Real> {
    pub(crate) kind: Kind,
    pub(crate) shape: Shape,
    /// How many scalar nodes were recorded before: the two lanes have one order.
    pub(crate) at: u32,
    pub(crate) location: &'static Location<'static>,
    /// The value, once it was asked for.
    pub(crate) value: Option<Tensor<E>>,
    /// About how many elementwise nodes have to be computed to get the value; 0 if it is there.
    pub(crate) pending: u32,
    /// The first of the nodes that have to be computed; its own number if it is alone.
    pub(crate) low: u32,
    /// Whether it depends on a leaf.
    pub(crate) active: bool,
    /// How many nodes were made of it; more than one, too, if it is held.
    pub(crate) uses: u32,
    /// Whether several cotangents are this one, or it is asked for later.
    pub(crate) held: bool,
    pub(crate) label: Option<Label>,
}

impl<E: Real> TensorNode<E> {
    /// Puts the value there, which has been computed.
    pub(crate) fn set_value(&mut self, value: Tensor<E>) {
        self.value = Some(value);
        self.pending = 0;
    }

    /// Whether it is elementwise work of which no other node was made.
    pub(crate) fn is_last(&self) -> bool {
        self.uses == 0 && matches!(self.kind, Kind::Elementwise { .. })
    }

    /// Takes the value of an elementwise node, whose number is `own`, away: it is pending, then, as it was.
    pub(crate) fn take_value(&mut self, own: u32) -> Option<Tensor<E>> {
        (self.pending, self.low) = (1, own);
        self.value.take()
    }
}

/// The nodes in their order, and behind them the places of earlier ones: a node is large, so it is written where it
/// stays, and forgotten there.
pub(crate) struct Nodes<E: Real> {
    places: Vec<TensorNode<E>>,
    len: usize,
}

impl<E: Real> Nodes<E> {
    pub(super) fn new() -> Self {
        Nodes { places: Vec::new(), len: 0 }
    }

    /// Appends a node without a value, which depends on no leaf and is not pending, to be completed. Its operands
    /// must have been checked.
    #[inline]
    pub(crate) fn push(
        &mut self,
        kind: Kind,
        shape: Shape,
        at: u32,
        location: &'static Location<'static>,
    ) -> (u32, &mut TensorNode<E>) {
        let t = self.len;
        assert!(t < u32::MAX as usize, "a tape holds at most 2^32 - 1 tensors");
        if t == self.places.len() {
            self.grow(location);
        }
        self.len += 1;
        let node = &mut self.places[t];
        debug_assert!(node.value.is_none(), "what was forgotten has no value");
        // One by one: all at once would be made elsewhere and copied.
        node.kind = kind;
        node.shape = shape;
        node.at = at;
        node.location = location;
        node.pending = 0;
        node.low = 0;
        node.active = false;
        node.uses = 0;
        node.held = false;
        node.label = None;
        (t as u32, node)
    }

    #[cold]
    fn grow(&mut self, location: &'static Location<'static>) {
        self.places.push(TensorNode {
            kind: Kind::Constant,
            shape: Shape::scalar(),
            at: 0,
            location,
            value: None,
            pending: 0,
            low: 0,
            active: false,
            uses: 0,
            held: false,
            label: None,
        });
    }

    /// Forgets all but the first `len` nodes.
    pub(super) fn truncate(&mut self, len: usize) {
        let len = len.min(self.len);
        for node in &mut self[len..] {
            if let Some(value) = node.value.take() {
                recycle::give(value.into_buffer());
            }
        }
        self.len = len;
    }
}

impl<E: Real> Deref for Nodes<E> {
    type Target = [TensorNode<E>];
    #[inline]
    fn deref(&self) -> &[TensorNode<E>] {
        &self.places[..self.len]
    }
}

impl<E: Real> DerefMut for Nodes<E> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [TensorNode<E>] {
        &mut self.places[..self.len]
    }
}
