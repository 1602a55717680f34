//! Pieces of tensors, and tensors of pieces.

use smallvec::{SmallVec, smallvec};

use super::put;
use crate::error::expect;
use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::ops::rows::vectorised;
use crate::tensor_var::{apply_op, try_apply_one};
use crate::{Error, KernelCall, Piece, Real, Shape, Target, Tensor, TensorVar, VjpKernel};

/// A stretch of one axis: the cotangent is put back among zeros.
struct Narrow {
    axis: usize,
    start: usize,
    len: usize,
    /// Whether the axis, of which one entry is left, goes.
    gone: bool,
}

impl Narrow {
    /// The first element, where the others stand behind it: the piece is a window then.
    fn first(&self, input: &Shape) -> Option<usize> {
        let outermost = input[..self.axis].iter().all(|&len| len == 1);
        outermost.then(|| self.start * input[self.axis + 1..].iter().product::<usize>())
    }
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
        match self.gone {
            true => shape.remove(self.axis),
            false => shape.set(self.axis, self.len),
        };
        Ok(smallvec![shape])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let shape = outputs.shape(0).clone();
        let (long, short) = runs(inputs[0].shape(), &shape, self.axis);
        let skip = self.start * (long / inputs[0].shape()[self.axis].max(1));
        if let Some(first) = self.first(inputs[0].shape()) {
            outputs.set(0, inputs[0].window(first, shape));
        } else if short > 0 {
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
        let g = match self.gone {
            true => call.cotangent().unsqueeze(self.axis as isize),
            false => call.cotangent(),
        };
        let len = call.inputs[0].shape()[self.axis];
        smallvec![Some(g.apply_op(Embed { axis: self.axis, start: self.start, len }))]
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
            vectorised(
                #[inline(always)]
                || {
                    let rows = g.as_slice().chunks_exact(short);
                    for (sum, row) in sum.chunks_exact_mut(long).zip(rows) {
                        put(&mut sum[skip..skip + short], row, 1, true);
                    }
                },
            );
        }
    }
    fn piece(&self, input: &Shape) -> Option<Piece> {
        self.first(input).map(Piece::Stretch)
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

/// The elements from the given axis on, in each of two shapes; the second may lack the axis, of which it has one entry.
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
            let Some(sum) = shape[self.axis].checked_add(other[self.axis]) else {
                return Err(Misfit::shape("their lengths add up to more than a usize holds"));
            };
            shape.set(self.axis, sum);
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
    expect(try_concat(tensors, axis))
}

/// Like [`concat()`], for shapes from outside.
///
/// # Errors
/// If the shapes differ along another axis.
#[track_caller]
pub fn try_concat<E: Real>(tensors: &[TensorVar<E>], axis: isize) -> Result<TensorVar<E>, Error> {
    let axis = axis_of("concat", tensors, axis, 0)?;
    try_apply_one(Concat { axis }, tensors)
}

/// The tensors, all of one shape, along a new axis.
///
/// # Panics
/// If there is none, or their shapes differ.
#[track_caller]
pub fn stack<E: Real>(tensors: &[TensorVar<E>], axis: isize) -> TensorVar<E> {
    let axis = expect(axis_of("stack", tensors, axis, 1));
    let mut shapes: SmallVec<[Shape; 8]> = SmallVec::new();
    for tensor in tensors {
        shapes.push(tensor.shape());
    }
    if shapes.iter().any(|shape| *shape != shapes[0]) {
        let shapes: SmallVec<[&Shape; 8]> = shapes.iter().collect();
        panic!("{}", Error::shape("stack", &shapes, "they differ".to_owned()));
    }
    let mut rows: SmallVec<[TensorVar<E>; 8]> = SmallVec::new();
    for tensor in tensors {
        rows.push(tensor.unsqueeze(axis as isize));
    }
    apply_op(Concat { axis }, &rows)[0]
}

#[track_caller]
fn axis_of<E: Real>(
    name: &'static str,
    tensors: &[TensorVar<E>],
    axis: isize,
    more: usize,
) -> Result<usize, Error> {
    let Some(first) = tensors.first() else {
        return Err(Error::argument(name, "there are no tensors"));
    };
    let shape = first.shape();
    let rank = (shape.rank() + more) as isize;
    if (-rank..rank).contains(&axis) {
        return Ok(axis.rem_euclid(rank) as usize);
    }
    Err(Error::shape(name, &[&shape], format!("axis {axis} does not exist")))
}

impl<E: Real> TensorVar<E> {
    /// The `len` entries of an axis from `start` on. Where they stand side by side in memory, as along the outermost
    /// axis, nothing is copied: they share the buffer, which lives as long as they do.
    ///
    /// # Panics
    /// If they are outside of the axis.
    #[track_caller]
    pub fn narrow(self, axis: isize, start: usize, len: usize) -> Self {
        let axis = self.axis("narrow", axis);
        self.apply_op(Narrow { axis, start, len, gone: false })
    }

    /// A range of an axis; as [`narrow`](Self::narrow).
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
        let axis = self.axis("select", axis);
        self.apply_op(Narrow { axis, start: at, len: 1, gone: true })
    }
}
