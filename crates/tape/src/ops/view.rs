//! Elements read by stride from some element on: mirror images, every other element, diagonals, windows.

#[cfg(feature = "cases")]
pub(crate) mod cases;

use smallvec::{SmallVec, smallvec};

use crate::error::expect;
use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::tensor_var::try_apply_one;
use crate::{Error, IntoAxes, KernelCall, Real, Shape, Tensor, TensorVar, VjpKernel};

/// The element at an index is the one at `offset` plus the index times the strides; an element may be
/// read several times, or never. The transpose adds the cotangents up where they came from.
#[derive(Clone, Debug)]
struct View {
    name: &'static str,
    shape: Shape,
    strides: SmallVec<[isize; 4]>,
    offset: usize,
}

/// Adds elements up among zeros where a view has read them: the transpose of [`View`].
struct Unview {
    view: View,
    whole: Shape,
}

impl View {
    /// All of a tensor, as it is.
    fn whole(name: &'static str, shape: &Shape) -> Self {
        let strides = shape.strides().iter().map(|&stride| stride as isize).collect();
        View { name, shape: shape.clone(), strides, offset: 0 }
    }

    /// Calls `f(place in the view, place in the tensor)` for each run along the last axis.
    fn for_each_run(&self, mut f: impl FnMut(usize, usize)) {
        if self.shape.elements() == 0 {
            return;
        }
        let outer = self.shape.rank().saturating_sub(1);
        let width = self.shape.last().copied().unwrap_or(1);
        let mut index: SmallVec<[usize; 8]> = smallvec![0; outer];
        let mut at = self.offset as isize;
        for run in 0..self.shape.elements() / width {
            f(run * width, at as usize);
            for k in (0..outer).rev() {
                index[k] += 1;
                at += self.strides[k];
                if index[k] < self.shape[k] {
                    break;
                }
                at -= self.strides[k] * self.shape[k] as isize;
                index[k] = 0;
            }
        }
    }

    /// Calls `f(place in the view, place in the tensor)` for each element.
    fn for_each(&self, mut f: impl FnMut(usize, usize)) {
        let width = self.shape.last().copied().unwrap_or(1);
        let step = self.strides.last().copied().unwrap_or(1);
        self.for_each_run(|to, from| {
            for k in 0..width {
                f(to + k, (from as isize + k as isize * step) as usize);
            }
        });
    }
}

impl<E: Real> Op<E> for View {
    fn name(&self) -> &'static str {
        self.name
    }
    fn infer(&self, _: &[&Shape]) -> Result<Shapes, Misfit> {
        Ok(smallvec![self.shape.clone()])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let (x, out) = (inputs[0].as_slice(), outputs.buffer(0));
        self.for_each(|to, from| out[to] = x[from]);
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let op = Unview { view: self.clone(), whole: call.inputs[0].shape() };
        smallvec![Some(call.cotangent().apply_op(op))]
    }
    fn kernel(&self) -> Option<&dyn VjpKernel<E>> {
        Some(self)
    }
}

impl<E: Real> VjpKernel<E> for View {
    fn run(&self, call: &mut KernelCall<'_, E>) {
        let g = call.cotangent().as_slice();
        if let Some(sum) = call.sum(0) {
            self.for_each(|to, from| sum[from] += g[to]);
        }
    }
}

impl<E: Real> Op<E> for Unview {
    fn name(&self) -> &'static str {
        self.view.name
    }
    fn infer(&self, _: &[&Shape]) -> Result<Shapes, Misfit> {
        Ok(smallvec![self.whole.clone()])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let (x, out) = (inputs[0].as_slice(), outputs.buffer(0));
        out.fill(E::ZERO);
        self.view.for_each(|to, from| out[from] += x[to]);
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        smallvec![Some(call.cotangent().apply_op(self.view.clone()))]
    }
}

/// The length of a diagonal of matrices of this size, and where it begins.
fn diagonal_of(rows: usize, columns: usize, offset: isize) -> (usize, usize, usize) {
    let (top, left) = (offset.min(0).unsigned_abs(), offset.max(0).unsigned_abs());
    (rows.saturating_sub(top).min(columns.saturating_sub(left)), top, left)
}

impl<E: Real> TensorVar<E> {
    /// The tensor with the order along some axes reversed.
    ///
    /// ```
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.tensor([[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(x.flip(0).value(), Tensor::from([[3.0, 4.0], [1.0, 2.0]]));
    /// assert_eq!(x.flip([0, 1]).value(), Tensor::from([[4.0, 3.0], [2.0, 1.0]]));
    /// ```
    ///
    /// # Panics
    /// If an axis does not exist or is named twice.
    #[track_caller]
    pub fn flip(self, axes: impl IntoAxes) -> Self {
        let shape = self.shape();
        let mut view = View::whole("flip", &shape);
        let mut seen: SmallVec<[usize; 4]> = SmallVec::new();
        for axis in axes.into_axes() {
            let k = self.axis("flip", axis);
            if seen.contains(&k) {
                let detail = format!("axis {axis} stands twice");
                panic!("{}", Error::shape("flip", &[&shape], detail));
            }
            seen.push(k);
            if shape.elements() > 0 {
                view.offset += (shape[k] - 1) * view.strides[k].unsigned_abs();
            }
            view.strides[k] = -view.strides[k];
        }
        self.apply_op(view)
    }

    /// Every `step`th entry of a range of an axis, from its start on: `x[start:end:step]` in Python.
    ///
    /// ```
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.tensor([0.0, 1.0, 2.0, 3.0, 4.0]);
    /// assert_eq!(x.slice_step(0, 1..5, 2).value(), Tensor::from([1.0, 3.0]));
    /// ```
    ///
    /// # Panics
    /// If the range is outside of the axis or ends before it starts, or the step is 0. (Unlike Python,
    /// which clips.)
    #[track_caller]
    pub fn slice_step(self, axis: isize, range: std::ops::Range<usize>, step: usize) -> Self {
        let shape = self.shape();
        let k = self.axis("slice_step", axis);
        let std::ops::Range { start, end } = range;
        if start > end || end > shape[k] || step == 0 {
            let detail = format!("{start}..{end} by {step} along axis {k}");
            panic!("{}", Error::shape("slice_step", &[&shape], detail));
        }
        let mut view = View::whole("slice_step", &shape);
        view.shape.set(k, (end - start).div_ceil(step));
        view.offset = start * view.strides[k].unsigned_abs();
        view.strides[k] *= step as isize;
        self.apply_op(view)
    }

    /// All windows of `size` entries of an axis, `step` apart, as a new last axis: the axis of length `n`
    /// becomes one of `(n - size) / step + 1` windows. Windows may overlap. (`Tensor.unfold` in PyTorch;
    /// [`unfold`](Self::unfold) is here that of images.)
    ///
    /// ```
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.tensor([0.0, 1.0, 2.0, 3.0]);
    /// assert_eq!(x.windows(0, 2, 1).value(), Tensor::from([[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]]));
    /// ```
    ///
    /// # Panics
    /// If the axis does not exist or is shorter than the window, or `size` or `step` is 0.
    #[track_caller]
    pub fn windows(self, axis: isize, size: usize, step: usize) -> Self {
        let shape = self.shape();
        let k = self.axis("windows", axis);
        if size == 0 || step == 0 || size > shape[k] {
            let detail = format!("windows of {size}, {step} apart, along axis {k}");
            panic!("{}", Error::shape("windows", &[&shape], detail));
        }
        let mut view = View::whole("windows", &shape);
        view.shape.set(k, (shape[k] - size) / step + 1);
        view.shape.push(size);
        view.strides.push(view.strides[k]);
        view.strides[k] *= step as isize;
        self.apply_op(view)
    }

    /// The diagonals of the matrices in axes `rows` and `columns`, which go, as a new last axis. A positive
    /// offset is above the main diagonal, a negative one below.
    ///
    /// ```
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    /// assert_eq!(x.diagonal(0, 0, 1).value(), Tensor::from([1.0, 5.0]));
    /// assert_eq!(x.diagonal(1, 0, 1).value(), Tensor::from([2.0, 6.0]));
    /// ```
    ///
    /// # Panics
    /// If an axis does not exist, or both are the same.
    #[track_caller]
    pub fn diagonal(self, offset: isize, rows: isize, columns: isize) -> Self {
        let shape = self.shape();
        let (r, c) = (self.axis("diagonal", rows), self.axis("diagonal", columns));
        if r == c {
            let detail = format!("rows and columns are both axis {r}");
            panic!("{}", Error::shape("diagonal", &[&shape], detail));
        }
        let mut view = View::whole("diagonal", &shape);
        let (len, top, left) = diagonal_of(shape[r], shape[c], offset);
        let (down, right) = (view.strides[r], view.strides[c]);
        view.offset =
            if len == 0 { 0 } else { top * down.unsigned_abs() + left * right.unsigned_abs() };
        for k in [r.max(c), r.min(c)] {
            view.shape.remove(k);
            view.strides.remove(k);
        }
        view.shape.push(len);
        view.strides.push(down + right);
        self.apply_op(view)
    }

    /// Square matrices, zero but for a diagonal, which is the last axis of this tensor; the transpose of
    /// [`diagonal`](Self::diagonal). A positive offset is above the main diagonal, a negative one below.
    ///
    /// # Panics
    /// If the rank is 0.
    #[track_caller]
    pub fn diag_embed(self, offset: isize) -> Self {
        let own = self.shape();
        let k = self.axis("diag_embed", -1);
        let n = own[k].saturating_add(offset.unsigned_abs());
        let mut whole = own.clone();
        whole.set(k, n);
        whole.push(n);
        if let Some(detail) = whole.flaw() {
            panic!("{}", Error::shape("diag_embed", &[&own], detail));
        }
        let mut view = View::whole("diag_embed", &whole);
        let (_, top, left) = diagonal_of(n, n, offset);
        view.offset = if own[k] == 0 { 0 } else { top * n + left };
        view.shape = own;
        view.strides.truncate(k);
        view.strides.push(n as isize + 1);
        self.apply_op(Unview { view, whole })
    }

    /// A vector as a diagonal of a square matrix, or a diagonal of a matrix as a vector.
    ///
    /// ```
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.tensor([1.0, 2.0]);
    /// assert_eq!(x.diag(0).value(), Tensor::from([[1.0, 0.0], [0.0, 2.0]]));
    /// assert_eq!(x.diag(-1).diag(-1).value(), x.value());
    /// ```
    ///
    /// # Panics
    /// If the rank is neither 1 nor 2.
    #[track_caller]
    pub fn diag(self, offset: isize) -> Self {
        match self.rank() {
            1 => self.diag_embed(offset),
            2 => self.diagonal(offset, 0, 1),
            _ => {
                let detail = "it is neither a vector nor a matrix".to_owned();
                panic!("{}", Error::shape("diag", &[&self.shape()], detail))
            }
        }
    }

    /// The sum of the diagonal of each matrix in the last two axes. (PyTorch's takes one matrix only.)
    ///
    /// # Panics
    /// If the rank is below 2.
    #[track_caller]
    pub fn trace(self) -> Self {
        expect(self.try_trace())
    }

    /// Like [`trace`](Self::trace), for shapes from outside.
    ///
    /// # Errors
    /// If the rank is below 2.
    #[track_caller]
    pub fn try_trace(self) -> Result<Self, Error> {
        let shape = self.shape();
        if shape.rank() < 2 {
            let detail = "it has no matrices in its last two axes".to_owned();
            return Err(Error::shape("trace", &[&shape], detail));
        }
        let mut view = View::whole("trace", &shape);
        let (rows, columns) = (shape[shape.rank() - 2], shape[shape.rank() - 1]);
        view.shape = shape[..shape.rank() - 2].into();
        view.shape.push(rows.min(columns));
        view.strides.truncate(shape.rank() - 2);
        view.strides.push(columns as isize + 1);
        Ok(try_apply_one(view, &[self])?.sum_axes(-1))
    }
}
