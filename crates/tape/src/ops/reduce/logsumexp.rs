//! The logarithm of the sum of exponentials.

use smallvec::smallvec;

use super::{Over, Run, extrema, for_each_run, run_of, sum_over};
use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::recycle::Scratch;
use crate::shape::AxisSet;
use crate::threads::for_each_block;
use crate::vector::{Arithmetic, Task, Vectorised, at_best_level};
use crate::{KernelCall, Real, Shape, Target, Tensor, VjpKernel};

/// `ln sum exp x`, from the largest element, so that nothing overflows; `dy/dx = exp(x - y)`.
///
/// The kernel needs no exponentials: it keeps those of the forward pass, and their sums.
pub(super) struct LogSumExp(pub(super) Over);

/// How many exponentials a thread is given at once: some tens of microseconds of work.
const EXPONENTIALS: usize = 1 << 14;

/// `e^(x - base)` for the base of each output.
fn exponentials<E: Real>(x: &[E], shape: &Shape, axes: AxisSet, base: &[E], out: &mut [E]) {
    let (run, count) = run_of(shape, axes);
    let len = run.len();
    if let (Run::Together(_), true) = (run, count == base.len() && len > 0) {
        // Each run has an output of its own. A long one is several blocks, many short ones are one.
        if len >= EXPONENTIALS {
            let runs = out.chunks_mut(len).zip(x.chunks(len));
            for ((out, x), base) in runs.zip(base.chunks(1)) {
                for_each_block(out, EXPONENTIALS, |k, out| {
                    let x = &x[k * EXPONENTIALS..];
                    at_best_level(Exponentials { x, base, len: EXPONENTIALS, out });
                });
            }
            return;
        }
        let runs = EXPONENTIALS.div_ceil(len);
        for_each_block(out, runs * len, |k, out| {
            let (x, base) = (&x[k * runs * len..], &base[k * runs..]);
            at_best_level(Exponentials { x, base, len, out });
        });
        return;
    }
    for_each_run(shape, axes, |run, i, o| {
        let (x, out) = (&x[i..i + len], &mut out[i..i + len]);
        let (base, len) = match run {
            Run::Together(len) => (&base[o..=o], len),
            Run::Apart(len) => (&base[o..o + len], 1),
        };
        at_best_level(Exponentials { x, base, len, out });
    });
}

/// `e^(x - base)` with a base for each `len` elements.
struct Exponentials<'a, E> {
    x: &'a [E],
    base: &'a [E],
    len: usize,
    out: &'a mut [E],
}

impl<E: Real> Task for Exponentials<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        let Exponentials { x, base, len, out } = self;
        if len == 1 {
            for ((out, &x), &base) in out.iter_mut().zip(x).zip(base) {
                *out = <E as Vectorised>::exp::<A>(x - base);
            }
            return;
        }
        for ((out, x), &base) in out.chunks_mut(len).zip(x.chunks(len)).zip(base) {
            for (out, &x) in out.iter_mut().zip(x) {
                *out = <E as Vectorised>::exp::<A>(x - base);
            }
        }
    }
}

impl LogSumExp {
    /// The largest elements; 0 instead of an infinite one, which would make `inf - inf`.
    fn base<E: Real>(&self, x: &Tensor<E>, base: &mut [E]) {
        extrema(x.as_slice(), x.shape(), self.0.axes, true, base);
        for base in base.iter_mut().filter(|base| !base.is_finite()) {
            *base = E::ZERO;
        }
    }
}

impl<E: Real> Op<E> for LogSumExp {
    fn name(&self) -> &'static str {
        "logsumexp"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        Ok(smallvec![self.0.shape(inputs[0])])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let (x, shape, axes) = (inputs[0].as_slice(), inputs[0].shape(), self.0.axes);
        let mut base = Scratch::<E>::filled(outputs.shape(0).elements(), E::ZERO);
        self.base(&inputs[0], &mut base);
        let mut weights = Tensor::uninitialised(shape.clone());
        exponentials(x, shape, axes, &base, weights.as_mut_slice());
        let mut sums = Tensor::uninitialised(outputs.shape(0).clone());
        sum_over(weights.as_slice(), shape, axes, sums.as_mut_slice());
        let out = outputs.buffer(0);
        for ((out, &base), &sum) in out.iter_mut().zip(base.iter()).zip(sums.iter()) {
            *out = sum.ln() + base;
        }
        outputs.keep(weights);
        outputs.keep(sums);
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        // Not `exp(x - y)`: for large elements `y` has rounded away what is small beside them. The base is
        // a constant, because it cancels.
        let x = call.inputs[0];
        let shape = x.shape();
        let mut base = Tensor::uninitialised(call.outputs[0].shape());
        self.base(&x.value(), base.as_mut_slice());
        let weights = (x - self.0.expand(call.constant(base), &shape)).exp();
        let sums = self.0.expand(weights.reduce_sum(self.0), &shape);
        smallvec![Some(self.0.expand(call.cotangent(), &shape) * (weights / sums))]
    }
    fn kernel(&self) -> Option<&dyn VjpKernel<E>> {
        Some(self)
    }
}

impl<E: Real> VjpKernel<E> for LogSumExp {
    fn run(&self, call: &mut KernelCall<'_, E>) {
        let (shape, g) = (call.inputs[0].shape(), call.cotangent().as_slice());
        let [weights, sums] = call.residuals else { unreachable!("the forward pass keeps two") };
        let (weights, sums) = (weights.as_slice(), sums.as_slice());
        let Some(Target { buffer, add }) = call.target(0) else { return };
        let mut factors = Scratch::<E>::filled(g.len(), E::ZERO);
        for ((factor, &g), &sum) in factors.iter_mut().zip(g).zip(sums) {
            *factor = g / sum;
        }
        for_each_run(shape, self.0.axes, |run, i, o| {
            let (weights, out) = (&weights[i..i + run.len()], &mut buffer[i..i + run.len()]);
            let factors = match run {
                Run::Together(_) => &factors[o..=o],
                Run::Apart(len) => &factors[o..o + len],
            };
            at_best_level(Scale { weights, factors, out, add });
        });
    }
}

/// Weights times one factor, or one for each.
struct Scale<'a, E> {
    weights: &'a [E],
    factors: &'a [E],
    out: &'a mut [E],
    add: bool,
}

impl<E: Real> Task for Scale<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        let Scale { weights, factors, out, add } = self;
        match (factors, add) {
            (&[factor], false) => {
                out.iter_mut().zip(weights).for_each(|(out, &w)| *out = factor * w);
            }
            (&[factor], true) => {
                out.iter_mut().zip(weights).for_each(|(out, &w)| *out += factor * w);
            }
            (factors, add) => {
                for ((out, &w), &factor) in out.iter_mut().zip(weights).zip(factors) {
                    *out = if add { *out + factor * w } else { factor * w };
                }
            }
        }
    }
}
