//! The tape, as its user holds it.

use std::panic::Location;
use std::rc::Rc;

use crate::diagnostics::{Detail, Settings};
use crate::inner::{Inner, Kind, Label};
use crate::scalar::opcode::Opcode;
use crate::{Real, Tensor, TensorVar, Var, recycle};

/// A recording: an arena of scalar and tensor operations in the order in which they were done.
///
/// The user owns it. Handles ([`Var`], [`TensorVar`]) are plain numbers that find it by a tag; when
/// it is reset or dropped, they are stale, and using one is a panic that says so.
///
/// ```
/// use tape::Tape;
///
/// let mut tape = Tape::new();
/// let x = tape.var(3.0);
/// let y = x * x;
/// assert_eq!(y.value(), 9.0);
/// tape.reset(); // keeps the memory; `x` and `y` are stale from here on
/// ```
///
/// A tape stays on its thread; each thread may have many.
pub struct Tape<E: Real = f64> {
    inner: Rc<Inner<E>>,
}

impl Tape<f64> {
    /// An empty tape for double precision; one for single precision is `Tape::<f32>::default()`.
    ///
    /// (As with `HashMap::new`, a constructor for all types would leave the type of `2.0 * x` open.)
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self::default()
    }
}

impl<E: Real> Tape<E> {
    fn build(settings: Settings) -> Self {
        Tape { inner: Inner::new(settings) }
    }

    /// An empty tape with other settings than this one.
    pub(crate) fn rebuilt(self, change: impl FnOnce(&mut Settings)) -> Self {
        let (detail, profile) = (self.inner.scalars.detail(), self.inner.profiler.is_some());
        let mut settings = Settings { detail, profile };
        change(&mut settings);
        Self::build(settings)
    }

    /// A tape for which the pool keeps no buffers.
    pub(crate) fn uncounted() -> Self {
        Tape { inner: Inner::uncounted() }
    }

    /// An empty tape that also keeps the line of every scalar operation, for messages: write
    /// `Tape::new().with_locations()`. Tensor operations always keep theirs.
    #[must_use]
    pub fn with_locations(self) -> Self {
        self.rebuilt(|settings| settings.detail = settings.detail.max(Detail::Locations))
    }

    /// An empty tape that looks for *anomalies*: an operation that makes NaN or an infinity of finite
    /// numbers. Write `Tape::new().with_anomaly_detection()`. It keeps the lines of scalar operations,
    /// too, as [`with_locations`](Tape::with_locations) does.
    ///
    /// The first anomaly in a recorded expression is a panic at the line of the operation, because an
    /// operator cannot return an error (nor do the `try_` forms for this). The first one in a backward
    /// pass is an error of that pass, with the operation whose derivative made it and the line that
    /// recorded it. The messages have the shapes, and the values as far as they are few. NaN or an
    /// infinity that was *given*, as a leaf or a constant, is none, nor is what is made of it: numbers and
    /// elementwise operations on tensors are looked at element by element, other operations and derivatives
    /// of tensors as a whole. Nor does it matter what becomes of the value: the branch that a `select_gt`
    /// masks is reported like any other.
    ///
    /// Tensor operations are computed one by one in this mode, and every value is looked at, so it is slow:
    /// it is for finding a mistake.
    ///
    /// ```should_panic
    /// use tape::Tape;
    ///
    /// let tape = Tape::new().with_anomaly_detection();
    /// let x = tape.tensor([1.0, 0.5, -1.0]);
    /// let y = x.ln(); // panics: ln(-1) is NaN, ...
    /// # let _ = y;
    /// ```
    #[must_use]
    pub fn with_anomaly_detection(self) -> Self {
        self.rebuilt(|settings| settings.detail = Detail::Anomalies)
    }

    pub(crate) fn inner(&self) -> &Rc<Inner<E>> {
        &self.inner
    }

    /// A new independent scalar.
    #[track_caller]
    pub fn var(&self, value: E) -> Var<E> {
        let index = self.inner.scalars.push_leaf(Opcode::LEAF, 0, value);
        Var { value, index, tag: self.inner.tag_now.get() }
    }

    /// New independent scalars.
    #[track_caller]
    pub fn vars<const N: usize>(&self, values: [E; N]) -> [Var<E>; N] {
        // A loop and not `map`: a closure would lose the caller's line.
        let mut vars = [Var::default(); N];
        for (var, value) in vars.iter_mut().zip(values) {
            *var = self.var(value);
        }
        vars
    }

    /// New independent scalars, as many as there are values.
    #[track_caller]
    pub fn vars_from(&self, values: &[E]) -> Vec<Var<E>> {
        let mut vars = Vec::with_capacity(values.len());
        for &value in values {
            vars.push(self.var(value));
        }
        vars
    }

    /// A new independent tensor. It shares the buffer of `value`.
    #[track_caller]
    pub fn tensor(&self, value: impl Into<Tensor<E>>) -> TensorVar<E> {
        TensorVar::source(&self.inner, value.into(), Kind::Leaf, None)
    }

    /// A tensor that is not differentiated by: data, targets, masks. It shares the buffer of
    /// `value`, and no cotangent is computed for it.
    #[track_caller]
    pub fn constant(&self, value: impl Into<Tensor<E>>) -> TensorVar<E> {
        TensorVar::source(&self.inner, value.into(), Kind::Constant, None)
    }

    /// A new independent tensor with a label by which a parameter store finds its gradient.
    #[track_caller]
    pub fn labelled(&self, label: Label, value: impl Into<Tensor<E>>) -> TensorVar<E> {
        TensorVar::source(&self.inner, value.into(), Kind::Leaf, Some(label))
    }

    /// The line that recorded scalar node `v`, if the tape keeps those of scalars.
    pub fn location(&self, v: Var<E>) -> Option<&'static Location<'static>> {
        let own = v.tag == self.inner.tag_of_scalar(v.index);
        self.inner.scalars.location(v.index).filter(|_| own)
    }

    /// Forgets the recording and keeps its memory for the next one. All handles become stale.
    ///
    /// A training loop begins each step with it. Without it everything works as well, but the
    /// recording grows, and the memory with it.
    pub fn reset(&mut self) {
        if let Some(profiler) = &self.inner.profiler {
            profiler.count_numbers(&self.inner);
        }
        self.inner.retire();
        recycle::tape_reset::<E>();
        self.inner.begin();
    }

    /// Forgets the recording, operations and rules included. To the pool of buffers it is no `reset`, so it
    /// does not make those of other tapes older.
    pub(crate) fn clear(&mut self) {
        self.inner.retire();
        drop(self.inner.take_leftovers());
        self.inner.begin();
    }

    /// How many scalar nodes there are.
    pub fn scalar_nodes(&self) -> usize {
        self.inner.scalars.len()
    }

    /// How many tensor nodes there are.
    pub fn tensor_nodes(&self) -> usize {
        self.inner.tensors.borrow().nodes.len()
    }

    /// The bytes that the scalar nodes and their constants take.
    pub fn scalar_bytes(&self) -> usize {
        self.inner.scalars.bytes()
    }
}

impl<E: Real> Default for Tape<E> {
    fn default() -> Self {
        Self::build(Settings { detail: Detail::Least, profile: false })
    }
}

impl<E: Real> Drop for Tape<E> {
    fn drop(&mut self) {
        // A sweep may hold the arena still: every handle must be stale all the same.
        self.inner.retire();
    }
}

impl<E: Real> std::fmt::Debug for Tape<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tape")
            .field("scalar_nodes", &self.scalar_nodes())
            .field("tensor_nodes", &self.tensor_nodes())
            .finish()
    }
}
