//! Softmax and its logarithm along an axis.

use smallvec::smallvec;

use crate::kernels::sum;
use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::recycle::Scratch;
use crate::{Real, Shape, Tensor, TensorVar};

/// `y = exp(x) / sum exp(x)`; the cotangent of `x` is `y (g - sum g y)`.
struct Softmax {
    axis: usize,
}

/// `y = x - ln sum exp(x)`; the cotangent of `x` is `g - exp(y) sum g`.
struct LogSoftmax {
    axis: usize,
}

/// Calls `f(input, output, stride)` for each line along the axis: its elements are those at multiples of
/// the stride.
fn for_each_line<E: Real>(
    x: &Tensor<E>,
    axis: usize,
    out: &mut [E],
    mut f: impl FnMut(&[E], &mut [E], usize),
) {
    let shape = x.shape();
    let stride = shape[axis + 1..].iter().product::<usize>();
    let block = shape[axis] * stride;
    if out.is_empty() {
        return;
    }
    for (x, out) in x.as_slice().chunks_exact(block).zip(out.chunks_exact_mut(block)) {
        for k in 0..stride {
            f(&x[k..], &mut out[k..], stride);
        }
    }
}

/// The largest element of a line (NaN if there is one) and the sum of the exponentials relative to it,
/// which are left in `exponentials`.
fn largest_and_sum<E: Real>(x: &[E], stride: usize, exponentials: &mut [E]) -> (E, E) {
    let mut largest = E::lit(f64::NEG_INFINITY);
    for &x in x.iter().step_by(stride) {
        if x > largest || x.is_nan() {
            largest = x;
        }
    }
    for (e, &x) in exponentials.iter_mut().zip(x.iter().step_by(stride)) {
        *e = (x - largest).exp();
    }
    (largest, sum(exponentials))
}

impl<E: Real> Op<E> for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        Ok(smallvec![inputs[0].clone()])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let mut line = Scratch::<E>::filled(inputs[0].shape()[self.axis], E::ZERO);
        for_each_line(&inputs[0], self.axis, outputs.buffer(0), |x, out, stride| {
            let (_, sum) = largest_and_sum(x, stride, &mut line);
            for (out, &e) in out.iter_mut().step_by(stride).zip(line.iter()) {
                *out = e / sum;
            }
        });
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let (g, y) = (call.cotangent(), call.outputs[0]);
        let inner = (g * y).sum_axes_keep(self.axis as isize);
        smallvec![Some(y * (g - inner))]
    }
}

impl<E: Real> Op<E> for LogSoftmax {
    fn name(&self) -> &'static str {
        "log_softmax"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        Ok(smallvec![inputs[0].clone()])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let mut line = Scratch::<E>::filled(inputs[0].shape()[self.axis], E::ZERO);
        for_each_line(&inputs[0], self.axis, outputs.buffer(0), |x, out, stride| {
            let (largest, sum) = largest_and_sum(x, stride, &mut line);
            let ln = sum.ln();
            for (out, &x) in out.iter_mut().step_by(stride).zip(x.iter().step_by(stride)) {
                *out = x - largest - ln;
            }
        });
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let (g, y) = (call.cotangent(), call.outputs[0]);
        let total = g.sum_axes_keep(self.axis as isize);
        smallvec![Some(g - y.exp() * total)]
    }
}

impl<E: Real> TensorVar<E> {
    /// `exp(x) / sum exp(x)` along an axis, from the largest element, so that nothing overflows.
    ///
    /// # Panics
    /// If the axis does not exist.
    #[track_caller]
    pub fn softmax(self, axis: isize) -> Self {
        self.apply_op(Softmax { axis: self.axis("softmax", axis) })
    }

    /// `x - ln sum exp(x)` along an axis, from the largest element, so that nothing overflows and
    /// small probabilities keep their digits.
    ///
    /// # Panics
    /// If the axis does not exist.
    #[track_caller]
    pub fn log_softmax(self, axis: isize) -> Self {
        self.apply_op(LogSoftmax { axis: self.axis("log_softmax", axis) })
    }
}
