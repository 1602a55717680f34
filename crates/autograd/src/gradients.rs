//! The result of a backward pass.

use std::borrow::Cow;

use smallvec::SmallVec;
use tape::engine::{LeafCotangent, NodeId, Recycled, Scratch};
use tape::{HandleKey, Label, Real, Tensor, TensorVar, Var};

use crate::sweep::is_absent;

/// Gradients, as a value: what a backward pass has found, by handle.
///
/// It is independent of the tape: it stays valid when the tape is reset, and no later pass changes
/// it.
///
/// ```
/// use autograd::Differentiate;
/// use tape::Tape;
///
/// let tape = Tape::new();
/// let [x, y, unused] = tape.vars([3.0, 4.0, 5.0]);
/// let g = (x * x * y).backward()?;
/// assert_eq!(g.wrt(x), 24.0);
/// assert_eq!(g.wrt(y), 9.0);
/// assert_eq!(g.wrt(unused), 0.0);
/// assert_eq!(g.get(unused), None);
/// # Ok::<(), autograd::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Gradients<E: Real = f64> {
    /// The cotangent of every scalar node up to the result.
    scalars: Scratch<E>,
    leaves: Recycled<E, LeafCotangent<E>>,
    /// The tags of the scalar nodes: each from a first node on.
    tags: SmallVec<[(u32, u32); 2]>,
    /// The variables that were asked for; `None` if that is every leaf.
    asked: Option<SmallVec<[NodeId; 8]>>,
}

impl<E: Real> Gradients<E> {
    pub(crate) fn new(
        scalars: Scratch<E>,
        leaves: Recycled<E, LeafCotangent<E>>,
        tags: SmallVec<[(u32, u32); 2]>,
        asked: Option<&[NodeId]>,
    ) -> Self {
        Gradients { scalars, leaves, tags, asked: asked.map(SmallVec::from_slice) }
    }

    /// The gradient by `x`; zero if the result does not depend on it.
    ///
    /// # Panics
    /// If `x` is not on the tape of the result, or its gradient was not asked for: `backward` keeps those
    /// of scalars and of tensors that are leaves, `grad` those of its variables. And if `x` is a tensor
    /// that the result does not depend on, and its tape, which knows the shape, is gone.
    #[track_caller]
    #[inline]
    pub fn wrt<V: Variable<E>>(&self, x: V) -> V::Gradient {
        match self.get(x) {
            Some(gradient) => gradient,
            None => x.zero_gradient(self),
        }
    }

    /// The gradient by `x`; `None` if nothing has flowed to it: the result does not depend on it,
    /// or it is not on the tape of the result.
    #[inline]
    pub fn get<V: Variable<E>>(&self, x: V) -> Option<V::Gradient> {
        x.gradient(self)
    }

    /// The gradients of the leaves that have a label, in the order in which they were recorded. A
    /// label may come several times.
    pub fn labelled(&self) -> impl Iterator<Item = (Label, &Tensor<E>)> {
        self.leaves.iter().filter_map(|leaf| Some((leaf.label?, &leaf.value)))
    }

    /// As [`labelled`](Gradients::labelled), for writing: what is written is the gradient from then on.
    pub fn labelled_mut(&mut self) -> impl Iterator<Item = (Label, &mut Tensor<E>)> {
        self.leaves.iter_mut().filter_map(|leaf| Some((leaf.label?, &mut leaf.value)))
    }

    /// Whether the gradient by this node was computed as a whole: on the way to those that were asked for,
    /// others have a part of theirs.
    #[inline]
    fn was_asked(&self, id: NodeId) -> bool {
        self.asked.as_ref().is_none_or(|asked| asked.contains(&id))
    }

    /// Panics unless a gradient that is not there is zero.
    #[track_caller]
    fn assert_zero(&self, variable: &dyn std::fmt::Debug, tag: u32, id: NodeId) {
        assert!(self.knows_tag(tag), "wrt: {variable:?} is not on the tape of the result");
        assert!(
            self.was_asked(id),
            "wrt: the gradient by {variable:?} was not asked for; add it to those of grad(&[..])"
        );
    }

    fn knows_tag(&self, tag: u32) -> bool {
        self.tags.iter().any(|&(_, known)| known == tag)
    }

    #[inline]
    fn tag_of_scalar(&self, index: u32) -> Option<u32> {
        self.tags.iter().rev().find(|&&(first, _)| first <= index).map(|&(_, tag)| tag)
    }
}

/// So that an optimiser takes gradients by reference, or as a value whose memory it may use.
impl<'a, E: Real> From<&'a Gradients<E>> for Cow<'a, Gradients<E>> {
    fn from(gradients: &'a Gradients<E>) -> Self {
        Cow::Borrowed(gradients)
    }
}

impl<E: Real> From<Gradients<E>> for Cow<'_, Gradients<E>> {
    fn from(gradients: Gradients<E>) -> Self {
        Cow::Owned(gradients)
    }
}

mod sealed {
    pub trait Sealed {}
    impl<E: tape::Real> Sealed for tape::Var<E> {}
    impl<E: tape::Real> Sealed for tape::TensorVar<E> {}
}

/// What one may differentiate by: [`Var`] and [`TensorVar`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no variable to differentiate by",
    note = "ask for one `Var` or `TensorVar` at a time: `xs.map(|x| g.wrt(x))`"
)]
pub trait Variable<E: Real>: Copy + sealed::Sealed {
    /// The type of its gradient: a number or a tensor.
    type Gradient;
    #[doc(hidden)]
    fn gradient(self, gradients: &Gradients<E>) -> Option<Self::Gradient>;
    #[doc(hidden)]
    #[track_caller]
    fn zero_gradient(self, gradients: &Gradients<E>) -> Self::Gradient;
}

impl<E: Real> Variable<E> for Var<E> {
    type Gradient = E;

    #[inline]
    fn gradient(self, gradients: &Gradients<E>) -> Option<E> {
        let HandleKey { tag, index } = self.key();
        let slot = *gradients.scalars.get(index as usize)?;
        let own = gradients.tag_of_scalar(index) == Some(tag);
        let asked = gradients.was_asked(NodeId::Scalar(index));
        (own && asked && !is_absent(slot)).then_some(slot)
    }

    #[track_caller]
    fn zero_gradient(self, gradients: &Gradients<E>) -> E {
        let HandleKey { tag, index } = self.key();
        gradients.assert_zero(&self, tag, NodeId::Scalar(index));
        E::ZERO
    }
}

impl<E: Real> Variable<E> for TensorVar<E> {
    type Gradient = Tensor<E>;

    fn gradient(self, gradients: &Gradients<E>) -> Option<Tensor<E>> {
        let found = gradients.leaves.iter().find(|leaf| leaf.leaf.key() == self.key());
        found.map(|leaf| leaf.value.clone())
    }

    #[track_caller]
    fn zero_gradient(self, gradients: &Gradients<E>) -> Tensor<E> {
        let HandleKey { tag, index } = self.key();
        gradients.assert_zero(&self, tag, NodeId::Tensor(index));
        assert!(
            gradients.asked.is_some() || self.is_leaf(),
            "wrt: {self:?} is not a leaf, and backward keeps the gradients of leaves; ask for it \
             by grad(&[..])"
        );
        Tensor::zeros(self.shape())
    }
}
