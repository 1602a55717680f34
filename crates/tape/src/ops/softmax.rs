//! Softmax and its logarithm along an axis.

use smallvec::smallvec;

use super::rows::{dot, exp_in_place, exponentials, total, vectorised};
use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::recycle::Scratch;
use crate::threads::for_each_pair_of_blocks;
use crate::{KernelCall, Real, Shape, Tensor, TensorVar, VjpKernel};

/// How many elements are worth handing to another thread.
const BLOCK: usize = 1 << 15;

/// `y = exp(x) / sum exp(x)`; the cotangent of `x` is `y (g - sum g y)`.
struct Softmax {
    axis: usize,
}

/// `y = x - ln sum exp(x)`; the cotangent of `x` is `g - exp(y) sum g`.
struct LogSoftmax {
    axis: usize,
}

/// Fills `out` line by line along an axis: `f` makes a line of `out` from the lines of `a` and `b` at the
/// same place. With `add`, the line is added to what is there.
fn for_each_line<E: Real>(
    shape: &Shape,
    axis: usize,
    [a, b]: [&[E]; 2],
    out: &mut [E],
    add: bool,
    f: impl Fn(&[E], &[E], &mut [E]) + Copy + Sync + Send,
) {
    let len = shape[axis];
    let stride = shape[axis + 1..].iter().product::<usize>();
    if out.is_empty() {
        return;
    }
    // Whole lines lie together in `along` elements.
    let along = len * stride;
    let block = (BLOCK / along).max(1) * along;
    let direct = stride == 1 && !add;
    let room = if direct { 0 } else { 3 * len };
    let mut scratch = Scratch::<E>::filled(room * out.len().div_ceil(block), E::ZERO);
    for_each_pair_of_blocks(out, block, &mut scratch, room, |k, out, scratch| {
        let (a, b) = (&a[k * block..][..out.len()], &b[k * block..][..out.len()]);
        if direct {
            let lines = a.chunks_exact(len).zip(b.chunks_exact(len));
            out.chunks_exact_mut(len).zip(lines).for_each(|(out, (a, b))| f(a, b, out));
            return;
        }
        let (line_a, rest) = scratch.split_at_mut(len);
        let (line_b, line) = rest.split_at_mut(len);
        for start in (0..out.len()).step_by(along).flat_map(|at| at..at + stride) {
            let places = (start..start + along).step_by(stride);
            for (i, at) in places.clone().take(len).enumerate() {
                (line_a[i], line_b[i]) = (a[at], b[at]);
            }
            f(line_a, line_b, line);
            for (&x, at) in line.iter().zip(places) {
                out[at] = if add { out[at] + x } else { x };
            }
        }
    });
}

impl<E: Real> Op<E> for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        Ok(smallvec![inputs[0].clone()])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let (shape, x) = (inputs[0].shape(), inputs[0].as_slice());
        for_each_line(shape, self.axis, [x, x], outputs.buffer(0), false, |x, _, y| {
            vectorised(
                #[inline(always)]
                || {
                    y.copy_from_slice(x);
                    let (_, sum) = exponentials(y);
                    y.iter_mut().for_each(|y| *y /= sum);
                },
            );
        });
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let (g, y) = (call.cotangent(), call.outputs[0]);
        let inner = (g * y).sum_axes_keep(self.axis as isize);
        smallvec![Some(y * (g - inner))]
    }
    fn kernel(&self) -> Option<&dyn VjpKernel<E>> {
        Some(self)
    }
}

impl<E: Real> VjpKernel<E> for Softmax {
    fn run(&self, call: &mut KernelCall<'_, E>) {
        let (g, y) = (call.cotangent().as_slice(), call.outputs[0].as_slice());
        let shape = call.inputs[0].shape();
        let Some(target) = call.target(0) else { return };
        for_each_line(shape, self.axis, [g, y], target.buffer, target.add, |g, y, out| {
            vectorised(
                #[inline(always)]
                || {
                    let inner = dot(g, y);
                    for ((out, &g), &y) in out.iter_mut().zip(g).zip(y) {
                        *out = y * (g - inner);
                    }
                },
            );
        });
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
        let (shape, x) = (inputs[0].shape(), inputs[0].as_slice());
        for_each_line(shape, self.axis, [x, x], outputs.buffer(0), false, |x, _, y| {
            vectorised(
                #[inline(always)]
                || {
                    y.copy_from_slice(x);
                    let (largest, sum) = exponentials(y);
                    let ln = sum.ln();
                    for (y, &x) in y.iter_mut().zip(x) {
                        *y = x - largest - ln;
                    }
                },
            );
        });
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let (g, y) = (call.cotangent(), call.outputs[0]);
        let total = g.sum_axes_keep(self.axis as isize);
        smallvec![Some(g - y.exp() * total)]
    }
    fn kernel(&self) -> Option<&dyn VjpKernel<E>> {
        Some(self)
    }
}

impl<E: Real> VjpKernel<E> for LogSoftmax {
    fn run(&self, call: &mut KernelCall<'_, E>) {
        let (g, y) = (call.cotangent().as_slice(), call.outputs[0].as_slice());
        let shape = call.inputs[0].shape();
        let Some(target) = call.target(0) else { return };
        for_each_line(shape, self.axis, [g, y], target.buffer, target.add, |g, y, out| {
            vectorised(
                #[inline(always)]
                || {
                    let total = total(g);
                    out.copy_from_slice(y);
                    exp_in_place(out);
                    for (out, &g) in out.iter_mut().zip(g) {
                        *out = g - *out * total;
                    }
                },
            );
        });
    }
}

impl<E: Real> TensorVar<E> {
    /// `exp(x) / sum exp(x)` along an axis, from the largest element, so that nothing overflows.
    ///
    /// A line whose elements are all minus infinity is NaN.
    ///
    /// # Panics
    /// If the axis does not exist.
    #[track_caller]
    pub fn softmax(self, axis: isize) -> Self {
        self.apply_op(Softmax { axis: self.axis("softmax", axis) })
    }

    /// `exp(-x) / sum exp(-x)` along an axis: [`softmax`](Self::softmax) of `-x`.
    ///
    /// # Panics
    /// If the axis does not exist.
    #[track_caller]
    pub fn softmin(self, axis: isize) -> Self {
        let axis = self.axis("softmin", axis);
        (-self).apply_op(Softmax { axis })
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

#[cfg(feature = "cases")]
pub(crate) fn cases() -> Vec<crate::cases::Case> {
    use crate::cases::{inside, naive, whole};

    fn softmax(x: &[f64]) -> Vec<f64> {
        let sum: f64 = x.iter().map(|x| x.exp()).sum();
        x.iter().map(|x| x.exp() / sum).collect()
    }
    vec![
        whole!("softmax", "x.softmax(axis)", "dx = y (g - sum g y)", |x| x[0].softmax(-1), |x| {
            naive::lines(&x[0], x[0].rank() - 1, softmax)
        })
        .at_each([
            inside([4], -2.0, 2.0),
            inside([2, 3], -2.0, 2.0),
            inside([2, 0], 0.0, 1.0),
        ]),
        whole!("softmax", "x.softmax(axis)", "dx = y (g - sum g y)", |x| x[0].softmax(0), |x| {
            naive::lines(&x[0], 0, softmax)
        })
        .at_each([inside([3, 2], -2.0, 2.0), inside([1, 2], -2.0, 2.0)]),
        whole!("softmin", "x.softmin(axis)", "dx = -y (g - sum g y)", |x| x[0].softmin(1), |x| {
            naive::lines(&x[0].map(|x| -x), 1, softmax)
        })
        .at_each([inside([2, 3], -2.0, 2.0), inside([2, 2, 2], -2.0, 2.0)]),
        whole!(
            "log_softmax",
            "x.log_softmax(axis)",
            "dx = g - exp(y) sum g",
            |x| x[0].log_softmax(-1),
            |x| naive::lines(&x[0], x[0].rank() - 1, |x| {
                softmax(x).iter().map(|p| p.ln()).collect()
            })
        )
        .at_each([
            inside([4], -2.0, 2.0),
            inside([2, 3], -2.0, 2.0),
            inside([2, 0], 0.0, 1.0),
        ]),
        whole!(
            "log_softmax",
            "x.log_softmax(axis)",
            "dx = g - exp(y) sum g",
            |x| x[0].log_softmax(0),
            |x| naive::lines(&x[0], 0, |x| softmax(x).iter().map(|p| p.ln()).collect())
        )
        .at_each([inside([3, 2, 2], -2.0, 2.0)]),
    ]
}
