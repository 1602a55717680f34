//! Operations that read or write at given places.

#[cfg(feature = "cases")]
pub(crate) mod cases;
mod slices;

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use crate::error::expect;
use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::primitive::Primitive;
use crate::vector::at_best_level;
use crate::{Error, KernelCall, Piece, Real, Shape, Tensor, TensorVar, VjpKernel};

pub(crate) use slices::{AHEAD, Rows, add_slice, fetch_slice, with_width};
use slices::{CopySlices, add_slices};

/// A list of indices or labels, shared: making one from a slice copies it, a clone is cheap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Indices {
    list: Arc<[usize]>,
    /// Every use of a list looks whether it is in range.
    largest: Option<usize>,
}

impl Indices {
    fn new(list: Arc<[usize]>) -> Self {
        let largest = list.iter().copied().max();
        Indices { list, largest }
    }

    /// The indices.
    pub fn as_slice(&self) -> &[usize] {
        &self.list
    }

    pub(crate) fn largest(&self) -> Option<usize> {
        self.largest
    }
}

impl From<&[usize]> for Indices {
    fn from(indices: &[usize]) -> Self {
        Indices::new(indices.into())
    }
}

impl<const N: usize> From<[usize; N]> for Indices {
    fn from(indices: [usize; N]) -> Self {
        Indices::new(indices.as_slice().into())
    }
}

impl<const N: usize> From<&[usize; N]> for Indices {
    fn from(indices: &[usize; N]) -> Self {
        Indices::new(indices.as_slice().into())
    }
}

impl From<Vec<usize>> for Indices {
    fn from(indices: Vec<usize>) -> Self {
        Indices::new(indices.into())
    }
}

impl From<&Vec<usize>> for Indices {
    fn from(indices: &Vec<usize>) -> Self {
        Indices::new(indices.as_slice().into())
    }
}

impl From<&Indices> for Indices {
    fn from(indices: &Indices) -> Self {
        indices.clone()
    }
}

/// Lengths (before, along, after) an axis.
fn around(shape: &Shape, axis: usize) -> (usize, usize, usize) {
    (shape[..axis].iter().product(), shape[axis], shape[axis + 1..].iter().product())
}

/// Whole slices along an axis: the transpose adds them up at their places.
struct IndexSelect {
    axis: usize,
    indices: Indices,
}

impl<E: Real> Op<E> for IndexSelect {
    fn name(&self) -> &'static str {
        "index_select"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        let len = inputs[0][self.axis];
        if let Some(largest) = self.indices.largest().filter(|&i| i >= len) {
            let detail =
                format!("index {largest} is out of range for axis {} of length {len}", self.axis);
            return Err(Misfit::argument(detail));
        }
        let mut shape = inputs[0].clone();
        shape.set(self.axis, self.indices.list.len());
        Ok(smallvec![shape])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let (before, len, after) = around(inputs[0].shape(), self.axis);
        if before == 1 {
            outputs.set_rows(self.indices.clone(), after);
            return Ok(());
        }
        let x = inputs[0].as_slice();
        let out = outputs.buffer(0);
        if after > 0 {
            let indices = self.indices.as_slice();
            at_best_level(CopySlices { x, indices, lengths: (before, len, after), out });
        }
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let len = call.inputs[0].shape()[self.axis];
        let op = IndexAdd { axis: self.axis, indices: self.indices.clone(), len };
        smallvec![Some(call.cotangent().apply_op(op))]
    }
    fn kernel(&self) -> Option<&dyn VjpKernel<E>> {
        Some(self)
    }
}

impl<E: Real> VjpKernel<E> for IndexSelect {
    fn run(&self, call: &mut KernelCall<'_, E>) {
        let (shape, g) = (call.inputs[0].shape(), call.cotangent().as_slice());
        let Some(sum) = call.sum(0) else { return };
        add_slices(g, &self.indices, around(shape, self.axis), sum);
    }
    fn piece(&self, input: &Shape) -> Option<Piece> {
        let (before, _, width) = around(input, self.axis);
        (before == 1).then(|| Piece::Rows { indices: self.indices.clone(), width })
    }
}

/// Adds slices up at given places of an axis of zeros: the transpose of [`IndexSelect`].
pub(super) struct IndexAdd {
    pub(super) axis: usize,
    pub(super) indices: Indices,
    pub(super) len: usize,
}

impl<E: Real> Op<E> for IndexAdd {
    fn name(&self) -> &'static str {
        "index_add"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        let mut shape = inputs[0].clone();
        shape.set(self.axis, self.len);
        Ok(smallvec![shape])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let (before, _, after) = around(inputs[0].shape(), self.axis);
        let out = outputs.buffer(0);
        out.fill(E::ZERO);
        add_slices(inputs[0].as_slice(), &self.indices, (before, self.len, after), out);
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let op = IndexSelect { axis: self.axis, indices: self.indices.clone() };
        smallvec![Some(call.cotangent().apply_op(op))]
    }
}

/// Adds the elements of a tensor of rank 1 up at given places of `len` zeros.
#[track_caller]
pub(super) fn put<E: Real>(x: TensorVar<E>, indices: Indices, len: usize) -> TensorVar<E> {
    x.apply_op(IndexAdd { axis: 0, indices, len })
}

/// Single elements along an axis, a different one at each place: the transpose adds them up.
struct Gather {
    axis: usize,
    indices: Indices,
    shape: Shape,
}

/// Adds elements up at given places along an axis of zeros: the transpose of [`Gather`].
pub(super) struct ScatterAdd {
    pub(super) axis: usize,
    pub(super) indices: Indices,
    pub(super) into: Shape,
}

/// Calls `f(position in the index list, position in the other tensor)`. The list has the shape `shape`, which
/// along no other axis is longer than `other`.
pub(super) fn for_each_place(
    indices: &Indices,
    shape: &Shape,
    axis: usize,
    other: &Shape,
    mut f: impl FnMut(usize, usize),
) {
    if (0..shape.rank()).all(|k| k == axis || shape[k] == other[k]) {
        let (_, along, after) = around(shape, axis);
        for (at, &i) in indices.list.iter().enumerate() {
            let (block, inside) = (at / (along * after), at % after);
            f(at, (block * other[axis] + i) * after + inside);
        }
        return;
    }
    let strides = other.strides();
    let mut index: SmallVec<[usize; 8]> = smallvec![0; shape.rank()];
    for (at, &i) in indices.list.iter().enumerate() {
        let beside = (0..shape.rank()).filter(|&k| k != axis).map(|k| index[k] * strides[k]);
        f(at, beside.sum::<usize>() + i * strides[axis]);
        for k in (0..shape.rank()).rev() {
            index[k] += 1;
            if index[k] < shape[k] {
                break;
            }
            index[k] = 0;
        }
    }
}

impl<E: Real> Op<E> for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        let (own, x) = (&self.shape, inputs[0]);
        let fits =
            own.rank() == x.rank() && (0..x.rank()).all(|k| k == self.axis || own[k] <= x[k]);
        if !fits || own.checked_elements() != Some(self.indices.list.len()) {
            let detail = format!(
                "{} indices of shape {own}; it may be longer along axis {} only",
                self.indices.list.len(),
                self.axis
            );
            return Err(Misfit::shape(detail));
        }
        let len = x[self.axis];
        if let Some(largest) = self.indices.largest().filter(|&i| i >= len) {
            let detail =
                format!("index {largest} is out of range for axis {} of length {len}", self.axis);
            return Err(Misfit::argument(detail));
        }
        Ok(smallvec![own.clone()])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let x = inputs[0].as_slice();
        let (other, out) = (inputs[0].shape(), outputs.buffer(0));
        for_each_place(&self.indices, &self.shape, self.axis, other, |at, from| out[at] = x[from]);
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let into = call.inputs[0].shape();
        let op = ScatterAdd { axis: self.axis, indices: self.indices.clone(), into };
        smallvec![Some(call.cotangent().apply_op(op))]
    }
    fn kernel(&self) -> Option<&dyn VjpKernel<E>> {
        Some(self)
    }
}

impl<E: Real> VjpKernel<E> for Gather {
    fn run(&self, call: &mut KernelCall<'_, E>) {
        let (other, g) = (call.inputs[0].shape(), call.cotangent().as_slice());
        let Some(sum) = call.sum(0) else { return };
        for_each_place(&self.indices, &self.shape, self.axis, other, |at, to| sum[to] += g[at]);
    }
}

impl<E: Real> Op<E> for ScatterAdd {
    fn name(&self) -> &'static str {
        "scatter_add"
    }
    fn infer(&self, _: &[&Shape]) -> Result<Shapes, Misfit> {
        Ok(smallvec![self.into.clone()])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let x = inputs[0].as_slice();
        let out = outputs.buffer(0);
        out.fill(E::ZERO);
        let shape = inputs[0].shape();
        for_each_place(&self.indices, shape, self.axis, &self.into, |at, to| out[to] += x[at]);
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let shape = call.inputs[0].shape();
        let op = Gather { axis: self.axis, indices: self.indices.clone(), shape };
        smallvec![Some(call.cotangent().apply_op(op))]
    }
}

impl<E: Real> TensorVar<E> {
    /// The slices at `indices` of an axis, in that order: rows of a table for axis 0. An index may
    /// stand several times; its derivatives add up.
    ///
    /// # Panics
    /// If an index is out of range, or the axis does not exist.
    #[track_caller]
    pub fn index_select(self, axis: isize, indices: impl Into<Indices>) -> Self {
        expect(self.try_index_select(axis, indices))
    }

    /// Like [`index_select`](Self::index_select), for indices from outside.
    ///
    /// # Errors
    /// If an index is out of range.
    #[track_caller]
    pub fn try_index_select(self, axis: isize, indices: impl Into<Indices>) -> Result<Self, Error> {
        let axis = self.try_axis("index_select", axis)?;
        let op = IndexSelect { axis, indices: indices.into() };
        crate::tensor_var::try_apply_one(op, &[self])
    }

    /// The rows of a table at `indices`: of a table `[n, d]` the rows `[indices, d]`, of a table `[n]`
    /// the numbers `[indices]`. An index may stand several times; its derivatives add up, in place, and
    /// rows that nobody asks for cost nothing more than the zeros of their gradient.
    ///
    /// ```
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let table = tape.tensor([[0.0, 1.0], [10.0, 11.0], [20.0, 21.0]]);
    /// let tokens = [2, 0, 2, 1];
    /// let rows = table.embedding(tokens);
    /// assert_eq!(rows.value(), Tensor::from([[20.0, 21.0], [0.0, 1.0], [20.0, 21.0], [10.0, 11.0]]));
    /// // A batch of two sequences.
    /// assert_eq!(rows.reshape([2, 2, 2]).shape(), [2, 2, 2]);
    /// ```
    ///
    /// # Panics
    /// If an index is out of range, or the table has rank 0.
    #[track_caller]
    pub fn embedding(self, indices: impl Into<Indices>) -> Self {
        expect(self.try_embedding(indices))
    }

    /// Like [`embedding`](Self::embedding), for indices from outside.
    ///
    /// # Errors
    /// If an index is out of range, or the table has rank 0.
    #[track_caller]
    pub fn try_embedding(self, indices: impl Into<Indices>) -> Result<Self, Error> {
        let shape = self.shape();
        let Some(&rows) = shape.first() else {
            return Err(Error::shape("embedding", &[&shape], "a table has rows".to_owned()));
        };
        let indices = indices.into();
        let outside = indices.list.iter().enumerate().find(|&(_, &i)| i >= rows);
        if let Some((position, index)) = outside {
            return Err(Error::Argument {
                operation: "embedding",
                detail: format!("index {index} at position {position} for a table of {rows} rows"),
                location: std::panic::Location::caller(),
            });
        }
        crate::tensor_var::try_apply_one(IndexSelect { axis: 0, indices }, &[self])
    }

    /// At each place of a tensor of the given shape, the element of this one whose index along
    /// `axis` is the index there: `out[i][j] = x[i][indices[i][j]]` for axis 1. Along other axes the shape may be
    /// shorter than that of this tensor, as in PyTorch: what is beyond is not read.
    ///
    /// ```
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    /// assert_eq!(x.gather(1, [2, 1], [2, 0]).value(), Tensor::from([[3.0], [4.0]]));
    /// assert_eq!(x.gather(0, [1, 2], [1, 0]).value(), Tensor::from([[4.0, 2.0]]));
    /// ```
    ///
    /// # Panics
    /// If the shape has another rank or is longer along another axis, does not have as many
    /// elements as there are indices, or an index is out of range.
    #[track_caller]
    pub fn gather(self, axis: isize, shape: impl Into<Shape>, indices: impl Into<Indices>) -> Self {
        expect(self.try_gather(axis, shape, indices))
    }

    /// Like [`gather`](Self::gather), for indices from outside.
    ///
    /// # Errors
    /// Where [`gather`](Self::gather) panics for its shape or an index.
    #[track_caller]
    pub fn try_gather(
        self,
        axis: isize,
        shape: impl Into<Shape>,
        indices: impl Into<Indices>,
    ) -> Result<Self, Error> {
        let axis = self.try_axis("gather", axis)?;
        let op = Gather { axis, indices: indices.into(), shape: shape.into() };
        crate::tensor_var::try_apply_one(op, &[self])
    }
}

/// Elementwise `x` where the mask is neither 0 nor NaN, else `y`; shapes broadcast.
///
/// The derivative goes to the chosen branch. The other one receives the cotangent 0, and inside of it
/// `0 * inf` is NaN: keep its argument in its domain as
/// well, `where_(mask, where_(mask, x, 1.0).ln(), 0.0)`.
#[track_caller]
pub fn where_<E: Real>(
    mask: impl Into<TensorVar<E>>,
    x: impl Into<TensorVar<E>>,
    y: impl Into<TensorVar<E>>,
) -> TensorVar<E> {
    let choices = [mask.into().abs(), TensorVar::scalar_constant(E::ZERO), x.into(), y.into()];
    expect(TensorVar::try_named("where_", Primitive::SelectGt, &choices))
}
