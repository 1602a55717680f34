//! Operations that move elements and compute nothing.

#[cfg(feature = "cases")]
pub(crate) mod cases;
mod pieces;

pub use pieces::{concat, stack, try_concat};

use smallvec::{SmallVec, smallvec};

use crate::error::expect;
use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::tensor_var::try_apply_one;
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
        try_apply_one(Reshape(shape.into()), &[self])
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
        expect(self.try_axis(name, axis))
    }

    #[track_caller]
    pub(crate) fn try_axis(self, name: &'static str, axis: isize) -> Result<usize, Error> {
        let shape = self.shape();
        match shape.axis(axis) {
            Some(k) => Ok(k),
            None => Err(Error::shape(name, &[&shape], format!("axis {axis} does not exist"))),
        }
    }
}
