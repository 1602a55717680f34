//! Operations with structure: the extension point [`Op`].
//!
//! What is not elementwise (products, reductions, indexing, decompositions) implements [`Op`]; so do
//! all such operations of this crate.

use std::any::Any;
use std::cell::RefCell;

use smallvec::{SmallVec, smallvec};

use crate::ops::index::Rows;
use crate::{Error, Indices, Real, Shape, Tensor, TensorVar, VjpKernel};

/// The shapes of the outputs of an [`Op`].
pub type Shapes = SmallVec<[Shape; 3]>;

/// The cotangents of the inputs of an [`Op`], one for each input; `None` where nothing flows.
pub type Cotangents<E> = SmallVec<[Option<TensorVar<E>>; 6]>;

/// Why an [`Op`] cannot take its inputs. The tape adds the operation, the shapes and the line.
#[derive(Clone, Debug)]
pub struct Misfit(pub(crate) MisfitKind);

#[derive(Clone, Debug)]
pub(crate) enum MisfitKind {
    Shape(String),
    Argument(String),
}

impl Misfit {
    /// The shapes do not fit; `detail` says why.
    pub fn shape(detail: impl Into<String>) -> Self {
        Misfit(MisfitKind::Shape(detail.into()))
    }

    /// An argument other than a shape is wrong: an index, a label, a singular matrix.
    pub fn argument(detail: impl Into<String>) -> Self {
        Misfit(MisfitKind::Argument(detail.into()))
    }

    #[track_caller]
    pub(crate) fn into_error(self, operation: &'static str, shapes: &[&Shape]) -> Error {
        match self.0 {
            MisfitKind::Shape(detail) => Error::shape(operation, shapes, detail),
            MisfitKind::Argument(detail) => {
                Error::Argument { operation, detail, location: std::panic::Location::caller() }
            }
        }
    }
}

/// A differentiable operation on whole tensors: any number of inputs, several outputs, residuals
/// kept from forward to backward.
///
/// Its backward rule is a composite of recorded operations, so it can be differentiated again, to
/// any order, with nothing more to write.
///
/// ```
/// use tape::{Backward, Cotangents, Misfit, Op, Outputs, Real, Shape, Shapes, Tape, Tensor};
///
/// /// The trace of a square matrix.
/// struct Trace;
///
/// impl<E: Real> Op<E> for Trace {
///     fn name(&self) -> &'static str {
///         "trace"
///     }
///     fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
///         match **inputs[0] {
///             [rows, columns] if rows == columns => Ok([Shape::scalar()].into_iter().collect()),
///             _ => Err(Misfit::shape("the trace is that of a square matrix")),
///         }
///     }
///     fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
///         let n = inputs[0].shape()[0];
///         outputs.buffer(0)[0] = inputs[0].iter().step_by(n + 1).copied().sum();
///         Ok(())
///     }
///     fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
///         let n = call.inputs[0].shape()[0];
///         let identity = call.constant(Tensor::eye(n));
///         [Some(call.cotangent() * identity)].into_iter().collect()
///     }
/// }
///
/// let tape = Tape::new();
/// let a = tape.tensor([[1.0, 2.0], [3.0, 4.0]]);
/// assert_eq!(a.apply_op(Trace).item(), 5.0);
/// ```
pub trait Op<E: Real>: Any {
    /// The name in messages.
    fn name(&self) -> &'static str;

    /// The shapes of the outputs, from those of the inputs.
    ///
    /// # Errors
    /// If the operation cannot take these shapes.
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit>;

    /// Computes the outputs. Shapes are as [`infer`](Op::infer) has accepted them.
    ///
    /// # Errors
    /// If the operation cannot take these values.
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit>;

    /// The cotangents of the inputs from those of the outputs, as recorded operations on
    /// `call.inputs`, `call.outputs` and `call.cotangents`.
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E>;

    /// A faster rule for sweeps whose result is numbers, if there is one; see [`VjpKernel`].
    fn kernel(&self) -> Option<&dyn VjpKernel<E>> {
        None
    }
}

/// Where [`Op::forward`] puts its results.
#[derive(Debug)]
pub struct Outputs<E: Real> {
    /// The operation, for messages.
    pub(crate) name: &'static str,
    pub(crate) shapes: Shapes,
    pub(crate) tensors: SmallVec<[Option<Tensor<E>>; 3]>,
    pub(crate) residuals: SmallVec<[Tensor<E>; 2]>,
    /// What the only output is, if it is rows of the only input.
    pub(crate) rows: Option<Rows>,
}

impl<E: Real> Outputs<E> {
    /// Those of an operation that has not announced any.
    #[inline]
    pub(crate) fn new() -> Self {
        let (shapes, tensors, residuals) = Default::default();
        Outputs { name: "", shapes, tensors, residuals, rows: None }
    }

    /// Takes down what [`Op::infer`] has announced.
    #[inline]
    pub(crate) fn announce(&mut self, name: &'static str, mut shapes: Shapes) {
        self.name = name;
        for shape in shapes.drain(..) {
            self.shapes.push(shape);
            self.tensors.push(None);
        }
    }

    /// The shape of output `k`.
    ///
    /// # Panics
    /// If [`Op::infer`] has not announced it.
    #[track_caller]
    pub fn shape(&self, k: usize) -> &Shape {
        self.announced(k)
    }

    /// The buffer of output `k`, in row-major order, to be filled; what it holds at first is
    /// unspecified.
    ///
    /// # Panics
    /// If [`Op::infer`] has not announced it.
    #[track_caller]
    pub fn buffer(&mut self, k: usize) -> &mut [E] {
        let shape = self.announced(k).clone();
        filled_later(self.tensors[k].insert(Tensor::uninitialised(shape)))
    }

    #[track_caller]
    fn announced(&self, k: usize) -> &Shape {
        let count = self.shapes.len();
        assert!(
            k < count,
            "{}: forward makes output {k}, where infer has announced {count}",
            self.name
        );
        &self.shapes[k]
    }

    /// The buffers of all outputs at once; as [`buffer`](Self::buffer).
    pub fn buffers(&mut self) -> SmallVec<[&mut [E]; 4]> {
        for (tensor, shape) in self.tensors.iter_mut().zip(&self.shapes) {
            *tensor = Some(Tensor::uninitialised(shape.clone()));
        }
        self.tensors.iter_mut().flatten().map(filled_later).collect()
    }

    /// Makes `tensor` output `k`, without a copy.
    ///
    /// # Panics
    /// If its shape is not the one that [`Op::infer`] has announced.
    #[track_caller]
    pub fn set(&mut self, k: usize, tensor: Tensor<E>) {
        let announced = self.announced(k);
        assert!(
            tensor.shape() == announced,
            "{}: forward gives output {k} the shape {}, where infer has announced {announced}",
            self.name,
            tensor.shape()
        );
        self.tensors[k] = Some(tensor);
    }

    /// Makes the only output rows of the only input: of every index `i` the `width` elements from number `i * width`
    /// on. Elementwise operations read long rows where they are, so they are copied only if they are asked for as a
    /// tensor.
    ///
    /// # Panics
    /// If the operation has several outputs. When it is recorded: if it has several inputs, or the rows are not within the
    /// input, or are not as long as [`Op::infer`] has announced.
    #[track_caller]
    pub fn set_rows(&mut self, indices: Indices, width: usize) {
        let count = self.shapes.len();
        assert!(count == 1, "{}: rows are the only output, and there are {count}", self.name);
        self.rows = Some(Rows { indices, width });
    }

    /// Keeps a tensor for the backward pass; see [`Backward::residuals`] and
    /// [`KernelCall::residuals`](crate::KernelCall::residuals).
    pub fn keep(&mut self, residual: Tensor<E>) {
        self.residuals.push(residual);
    }

    /// Panics unless every output was made.
    #[track_caller]
    pub(crate) fn check(&self) {
        if let Some(k) = self.tensors.iter().position(Option::is_none) {
            panic!("{}: forward has not made output {k}", self.name);
        }
    }
}

fn filled_later<E: Real>(tensor: &mut Tensor<E>) -> &mut [E] {
    tensor.get_mut_slice().expect("a buffer from the pool has one owner")
}

/// What [`Op::vjp`] is given.
#[derive(Debug)]
pub struct Backward<'a, E: Real> {
    /// The inputs, as recorded.
    pub inputs: &'a [TensorVar<E>],
    /// The outputs, as recorded.
    pub outputs: &'a [TensorVar<E>],
    /// The cotangent of each output; `None` for an output that the result does not depend on.
    pub cotangents: &'a [Option<TensorVar<E>>],
    /// What [`Outputs::keep`] has kept. They are constants: use them only for what does not change
    /// with the inputs (indices, masks), or the second derivative is wrong.
    pub residuals: &'a [Tensor<E>],
    pub(crate) needed: &'a [bool],
    pub(crate) tag: u32,
    pub(crate) refusal: &'a RefCell<Option<String>>,
}

impl<E: Real> Backward<'_, E> {
    /// Whether the cotangent of input `k` is asked for; the others may be `None`.
    pub fn needs(&self, k: usize) -> bool {
        self.needed[k]
    }

    /// The cotangent of an operation with one output.
    ///
    /// # Panics
    /// If the operation has several outputs and nothing flows to the first.
    pub fn cotangent(&self) -> TensorVar<E> {
        self.cotangents[0].expect("the only output has a cotangent, or the rule is not asked")
    }

    /// Says that there is no derivative at these values, and why: the sweep ends with an error that has
    /// the reason, the operation and the line that recorded it. What the rule returns is then not used.
    ///
    /// ```
    /// # use tape::{Backward, Cotangents, Real};
    /// # fn rule<E: Real>(call: &Backward<'_, E>) -> Cotangents<E> {
    /// if call.outputs[0].value().iter().any(|&y| y == E::ZERO) {
    ///     return call.refuse("the root has no slope at 0");
    /// }
    /// # tape::smallvec![None]
    /// # }
    /// ```
    pub fn refuse(&self, reason: impl Into<String>) -> Cotangents<E> {
        *self.refusal.borrow_mut() = Some(reason.into());
        smallvec![None; self.inputs.len()]
    }

    /// A constant on the tape of the operation.
    pub fn constant(&self, value: impl Into<Tensor<E>>) -> TensorVar<E> {
        TensorVar::constant_on(self.tag, value.into())
    }
}

/// What a recycled place held before. It is dropped by whoever put something new there, when nothing
/// of the tape is borrowed any more: dropping it may run code of a user.
pub(crate) enum Displaced<T, P> {
    Nothing,
    Value(#[allow(dead_code)] T),
    Place(#[allow(dead_code)] P),
}

/// Puts `value` into the allocation behind the pointer `place`, if nobody else holds that and it has the
/// same type; else a new pointer in its place.
///
/// `own` and `erase` are what cannot be written generically: the content of a pointer with one owner, and
/// a new pointer.
pub(crate) fn recycle_place<T: 'static, P>(
    place: &mut P,
    value: T,
    own: impl FnOnce(&mut P) -> Option<&mut dyn Any>,
    erase: impl FnOnce(T) -> P,
) -> Displaced<T, P> {
    if let Some(slot) = own(place).and_then(|slot| slot.downcast_mut::<T>()) {
        return Displaced::Value(std::mem::replace(slot, value));
    }
    Displaced::Place(std::mem::replace(place, erase(value)))
}
