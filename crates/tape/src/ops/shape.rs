//! Operations that move elements and compute nothing.

#[cfg(feature = "cases")]
pub(crate) mod cases;

use smallvec::{SmallVec, smallvec};

use crate::error::expect;
use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::tensor_var::{apply_op, try_apply_op};
use crate::{Error, KernelCall, Real, Shape, Target, Tensor, TensorVar, VjpKernel};

/// `reshape`: the cotangent in the old shape.
struct Reshape(Shape);

impl<E: Real> Op<E> for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        if Some(inputs[0].elements()) == self.0.checked_elements() {
            return Ok(smallvec![self.0.clone()]);
        }
        Err(Misfit::shape(format!("it does not have the number of elements of {}", self.0)))
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        outputs.set(0, inputs[0].reshape(&self.0));
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        smallvec![Some(call.cotangent().reshape(call.inputs[0].shape()))]
    }
    fn kernel(&self) -> Option<&dyn VjpKernel<E>> {
        Some(self)
    }
}

impl<E: Real> VjpKernel<E> for Reshape {
    fn run(&self, call: &mut KernelCall<'_, E>) {
        // The buffer is shared, not copied, and belongs to the result alone when the sweep lets go.
        let cotangent = call.cotangent().reshape(call.inputs[0].shape());
        call.set(0, cotangent);
    }
}

/// `permute`: the cotangent under the inverse permutation.
struct Permute(SmallVec<[usize; 4]>);

impl<E: Real> Op<E> for Permute {
    fn name(&self) -> &'static str {
        "permute"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        Ok(smallvec![self.0.iter().map(|&k| inputs[0][k]).collect()])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let strides = inputs[0].shape().strides();
        let strides: SmallVec<[usize; 4]> = self.0.iter().map(|&k| strides[k]).collect();
        let shape = outputs.shape(0).clone();
        let target = Target { buffer: outputs.buffer(0), add: false };
        read_strided(inputs[0].as_slice(), &shape, &strides, target);
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let inverse: SmallVec<[isize; 4]> = self.inverse().iter().map(|&k| k as isize).collect();
        smallvec![Some(call.cotangent().permute(&inverse))]
    }
    fn kernel(&self) -> Option<&dyn VjpKernel<E>> {
        Some(self)
    }
}

impl Permute {
    fn inverse(&self) -> SmallVec<[usize; 4]> {
        let mut inverse: SmallVec<[usize; 4]> = smallvec![0; self.0.len()];
        for (to, &from) in self.0.iter().enumerate() {
            inverse[from] = to;
        }
        inverse
    }
}

impl<E: Real> VjpKernel<E> for Permute {
    fn run(&self, call: &mut KernelCall<'_, E>) {
        let (g, shape) = (call.cotangent(), call.inputs[0].shape());
        let strides = g.shape().strides();
        let strides: SmallVec<[usize; 4]> = self.inverse().iter().map(|&k| strides[k]).collect();
        if let Some(target) = call.target(0) {
            read_strided(g.as_slice(), shape, &strides, target);
        }
    }
}

/// Fills a tensor of the given shape with elements of `data` read by stride, or adds them to it.
fn read_strided<E: Real>(data: &[E], shape: &Shape, strides: &[usize], target: Target<'_, E>) {
    let Target { buffer, add } = target;
    let rank = shape.rank();
    if buffer.is_empty() {
        return;
    }
    if rank == 0 {
        return put(&mut buffer[..1], data, 1, add);
    }
    let (width, step) = (shape[rank - 1], strides[rank - 1]);
    // Where the last two axes change places, squares of the size of a cache line are read whole.
    let square = rank > 1 && step > 1 && strides[rank - 2] == 1;
    let inside = if square { rank - 2 } else { rank - 1 };
    let height = if square { shape[rank - 2] } else { 1 };
    const SIDE: usize = 16;
    let mut index: SmallVec<[usize; 8]> = smallvec![0; inside];
    let mut offset = 0;
    for block in buffer.chunks_exact_mut(height * width) {
        if square {
            for top in (0..height).step_by(SIDE) {
                for left in (0..width).step_by(SIDE) {
                    for row in top..height.min(top + SIDE) {
                        let len = SIDE.min(width - left);
                        let out = &mut block[row * width + left..][..len];
                        put(out, &data[offset + left * step + row..], step, add);
                    }
                }
            }
        } else {
            put(block, &data[offset..], step, add);
        }
        for k in (0..inside).rev() {
            index[k] += 1;
            offset += strides[k];
            if index[k] < shape[k] {
                break;
            }
            offset -= strides[k] * shape[k];
            index[k] = 0;
        }
    }
}

/// Writes elements of `data`, `step` apart, or adds them.
#[inline(always)]
fn put<E: Real>(out: &mut [E], data: &[E], step: usize, add: bool) {
    match (step, add) {
        (1, false) => out.copy_from_slice(&data[..out.len()]),
        (1, true) => out.iter_mut().zip(data).for_each(|(out, &x)| *out += x),
        (_, false) => out.iter_mut().zip(data.iter().step_by(step)).for_each(|(out, &x)| *out = x),
        (_, true) => out.iter_mut().zip(data.iter().step_by(step)).for_each(|(out, &x)| *out += x),
    }
}

/// A stretch of one axis: the cotangent is put back among zeros.
struct Narrow {
    axis: usize,
    start: usize,
    len: usize,
}

impl<E: Real> Op<E> for Narrow {
    fn name(&self) -> &'static str {
        "slice"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        let end = self.start.saturating_add(self.len);
        if end > inputs[0][self.axis] {
            let Narrow { axis, start, .. } = self;
            return Err(Misfit::shape(format!("{start}..{end} is outside of axis {axis}")));
        }
        let mut shape = inputs[0].clone();
        shape.set(self.axis, self.len);
        Ok(smallvec![shape])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let (long, short) = runs(inputs[0].shape(), outputs.shape(0), self.axis);
        let skip = self.start * (long / inputs[0].shape()[self.axis].max(1));
        if short > 0 {
            let rows = inputs[0].as_slice().chunks_exact(long);
            for (out, row) in outputs.buffer(0).chunks_exact_mut(short).zip(rows) {
                out.copy_from_slice(&row[skip..skip + short]);
            }
        } else {
            outputs.buffer(0);
        }
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let len = call.inputs[0].shape()[self.axis];
        smallvec![Some(call.cotangent().apply_op(Embed {
            axis: self.axis,
            start: self.start,
            len
        }))]
    }
    fn kernel(&self) -> Option<&dyn VjpKernel<E>> {
        Some(self)
    }
}

impl<E: Real> VjpKernel<E> for Narrow {
    fn run(&self, call: &mut KernelCall<'_, E>) {
        let (g, shape) = (call.cotangent(), call.inputs[0].shape());
        let (long, short) = runs(shape, g.shape(), self.axis);
        let skip = self.start * (long / shape[self.axis].max(1));
        // What other slices of the same tensor have put there stays: no zeros are added to it.
        let Some(sum) = call.sum(0) else { return };
        if short > 0 {
            let rows = g.as_slice().chunks_exact(short);
            for (sum, row) in sum.chunks_exact_mut(long).zip(rows) {
                put(&mut sum[skip..skip + short], row, 1, true);
            }
        }
    }
}

/// Zeros around a tensor along one axis: the transpose of [`Narrow`].
struct Embed {
    axis: usize,
    start: usize,
    len: usize,
}

impl<E: Real> Op<E> for Embed {
    fn name(&self) -> &'static str {
        "embed"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        let mut shape = inputs[0].clone();
        shape.set(self.axis, self.len);
        Ok(smallvec![shape])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let (short, long) = runs(inputs[0].shape(), outputs.shape(0), self.axis);
        let skip = self.start * (long / self.len.max(1));
        let out = outputs.buffer(0);
        out.fill(E::ZERO);
        if short > 0 {
            let rows = inputs[0].as_slice().chunks_exact(short);
            for (out, row) in out.chunks_exact_mut(long).zip(rows) {
                out[skip..skip + short].copy_from_slice(row);
            }
        }
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let len = call.inputs[0].shape()[self.axis];
        smallvec![Some(call.cotangent().narrow(self.axis as isize, self.start, len))]
    }
}

/// The elements from the given axis on, in each of two shapes.
fn runs(a: &Shape, b: &Shape, axis: usize) -> (usize, usize) {
    (a[axis..].iter().product(), b[axis..].iter().product())
}

/// `concat`: each input gets its stretch of the cotangent.
struct Concat {
    axis: usize,
}

impl<E: Real> Op<E> for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        let mut shape = inputs[0].clone();
        for other in &inputs[1..] {
            let fits = other.rank() == shape.rank()
                && (0..shape.rank()).all(|k| k == self.axis || other[k] == shape[k]);
            if !fits {
                let detail = format!("they may differ along axis {} only", self.axis);
                return Err(Misfit::shape(detail));
            }
            shape.set(self.axis, shape[self.axis] + other[self.axis]);
        }
        Ok(smallvec![shape])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let long = outputs.shape(0)[self.axis..].iter().product::<usize>();
        let out = outputs.buffer(0);
        let mut skip = 0;
        for input in inputs {
            let short = input.shape()[self.axis..].iter().product::<usize>();
            if short > 0 {
                let rows = input.as_slice().chunks_exact(short);
                for (out, row) in out.chunks_exact_mut(long).zip(rows) {
                    out[skip..skip + short].copy_from_slice(row);
                }
            }
            skip += short;
        }
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let g = call.cotangent();
        let mut start = 0;
        let mut cotangents = Cotangents::new();
        for (k, input) in call.inputs.iter().enumerate() {
            let len = input.shape()[self.axis];
            cotangents.push(call.needs(k).then(|| g.narrow(self.axis as isize, start, len)));
            start += len;
        }
        cotangents
    }
    fn kernel(&self) -> Option<&dyn VjpKernel<E>> {
        Some(self)
    }
}

impl<E: Real> VjpKernel<E> for Concat {
    fn run(&self, call: &mut KernelCall<'_, E>) {
        let (inputs, g) = (call.inputs, call.cotangent());
        let long = g.shape()[self.axis..].iter().product::<usize>();
        let mut skip = 0;
        for (k, input) in inputs.iter().enumerate() {
            let short = input.shape()[self.axis..].iter().product::<usize>();
            if let Some(Target { buffer, add }) = call.target(k)
                && short > 0
            {
                let rows = g.as_slice().chunks_exact(long);
                for (out, row) in buffer.chunks_exact_mut(short).zip(rows) {
                    put(out, &row[skip..skip + short], 1, add);
                }
            }
            skip += short;
        }
    }
}

/// The tensors one after the other along an axis that they have.
///
/// # Panics
/// If there is none, or their shapes differ along another axis.
#[track_caller]
pub fn concat<E: Real>(tensors: &[TensorVar<E>], axis: isize) -> TensorVar<E> {
    let axis = axis_of("concat", tensors, axis, 0);
    apply_op(Concat { axis }, tensors)[0]
}

/// Like [`concat()`], for shapes from outside.
///
/// # Errors
/// If the shapes differ along another axis.
#[track_caller]
pub fn try_concat<E: Real>(tensors: &[TensorVar<E>], axis: isize) -> Result<TensorVar<E>, Error> {
    let axis = axis_of("concat", tensors, axis, 0);
    Ok(try_apply_op(Concat { axis }, tensors)?[0])
}

/// The tensors, all of one shape, along a new axis.
///
/// # Panics
/// If there is none, or their shapes differ.
#[track_caller]
pub fn stack<E: Real>(tensors: &[TensorVar<E>], axis: isize) -> TensorVar<E> {
    let axis = axis_of("stack", tensors, axis, 1);
    let mut rows: SmallVec<[TensorVar<E>; 8]> = SmallVec::new();
    for tensor in tensors {
        rows.push(tensor.unsqueeze(axis as isize));
    }
    apply_op(Concat { axis }, &rows)[0]
}

#[track_caller]
fn axis_of<E: Real>(name: &str, tensors: &[TensorVar<E>], axis: isize, more: usize) -> usize {
    let Some(first) = tensors.first() else { panic!("{name}: there are no tensors") };
    let rank = (first.rank() + more) as isize;
    assert!((-rank..rank).contains(&axis), "{name}: axis {axis} of shape {}", first.shape());
    axis.rem_euclid(rank) as usize
}

impl<E: Real> TensorVar<E> {
    /// The same elements in another shape.
    ///
    /// # Panics
    /// If the number of elements differs.
    #[track_caller]
    pub fn reshape(self, shape: impl Into<Shape>) -> Self {
        expect(self.try_reshape(shape))
    }

    /// Like [`reshape`](Self::reshape), for a shape from outside.
    ///
    /// # Errors
    /// If the number of elements differs.
    #[track_caller]
    pub fn try_reshape(self, shape: impl Into<Shape>) -> Result<Self, Error> {
        Ok(try_apply_op(Reshape(shape.into()), &[self])?[0])
    }

    /// The axes in another order: axis `k` of the result is axis `axes[k]` of this tensor.
    ///
    /// # Panics
    /// If `axes` does not name every axis once.
    #[track_caller]
    pub fn permute(self, axes: &[isize]) -> Self {
        let shape = self.shape();
        let order: Option<SmallVec<[usize; 4]>> = axes.iter().map(|&k| shape.axis(k)).collect();
        let all = |order: &SmallVec<[usize; 4]>| {
            order.len() == shape.rank() && (0..shape.rank()).all(|k| order.contains(&k))
        };
        match order.filter(all) {
            Some(order) => self.apply_op(Permute(order)),
            None => {
                let detail = format!("{axes:?} does not name each of its axes once");
                panic!("{}", Error::shape("permute", &[&shape], detail))
            }
        }
    }

    /// The tensor with two axes exchanged.
    ///
    /// # Panics
    /// If an axis does not exist.
    #[track_caller]
    pub fn transpose(self, a: isize, b: isize) -> Self {
        let mut order: SmallVec<[isize; 4]> = (0..self.rank() as isize).collect();
        let (a, b) = (self.axis("transpose", a), self.axis("transpose", b));
        order.swap(a, b);
        self.permute(&order)
    }

    /// The transpose of a matrix.
    ///
    /// # Panics
    /// If the rank is not 2.
    #[track_caller]
    pub fn t(self) -> Self {
        assert!(self.rank() == 2, "t: a tensor of shape {} is no matrix", self.shape());
        self.permute(&[1, 0])
    }

    /// The `len` entries of an axis from `start` on.
    ///
    /// # Panics
    /// If they are outside of the axis.
    #[track_caller]
    pub fn narrow(self, axis: isize, start: usize, len: usize) -> Self {
        let axis = self.axis("narrow", axis);
        self.apply_op(Narrow { axis, start, len })
    }

    /// A range of an axis.
    ///
    /// # Panics
    /// If it is outside of the axis or ends before it starts.
    #[track_caller]
    pub fn slice(self, axis: isize, range: std::ops::Range<usize>) -> Self {
        let std::ops::Range { start, end } = range;
        assert!(start <= end, "slice: {start}..{end} ends before it starts");
        self.narrow(axis, start, end - start)
    }

    /// One entry of an axis, which goes.
    ///
    /// # Panics
    /// If it is outside of the axis.
    #[track_caller]
    pub fn select(self, axis: isize, at: usize) -> Self {
        let k = self.axis("select", axis);
        self.narrow(axis, at, 1).squeeze(k as isize)
    }

    /// The tensor with a new axis of length 1 at position `axis`.
    ///
    /// # Panics
    /// If the position is beyond the rank.
    #[track_caller]
    pub fn unsqueeze(self, axis: isize) -> Self {
        let mut shape = self.shape();
        let places = shape.rank() as isize + 1;
        assert!((-places..places).contains(&axis), "unsqueeze: axis {axis} of shape {shape}");
        shape.insert(axis.rem_euclid(places) as usize, 1);
        self.reshape(shape)
    }

    /// The tensor without an axis of length 1.
    ///
    /// # Panics
    /// If the axis does not exist or is longer.
    #[track_caller]
    pub fn squeeze(self, axis: isize) -> Self {
        let mut shape = self.shape();
        let k = self.axis("squeeze", axis);
        assert!(shape[k] == 1, "squeeze: axis {axis} of shape {shape} is not of length 1");
        shape.remove(k);
        self.reshape(shape)
    }

    /// All elements along one axis.
    #[track_caller]
    pub fn flatten(self) -> Self {
        self.reshape([self.shape().elements()])
    }

    #[track_caller]
    pub(crate) fn axis(self, name: &'static str, axis: isize) -> usize {
        let shape = self.shape();
        match shape.axis(axis) {
            Some(k) => k,
            None => {
                panic!("{}", Error::shape(name, &[&shape], format!("axis {axis} does not exist")))
            }
        }
    }
}
