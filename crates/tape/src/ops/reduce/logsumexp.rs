//! The logarithm of the sum of exponentials.
//!
//! A run of neighbours that has an output of its own is done piece by piece, each from a base of its own: memory is read once,
//! and written once. The sums of the pieces are put together at the end. The base is the largest element of the piece, or that
//! of a piece before, if it turns out to do as well.

use smallvec::smallvec;

use super::{Over, Run, extrema, for_each_run, run_of, sum_over};
use crate::kernels::{SumBlock, fold_lanes, sum};
use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::recycle::Scratch;
use crate::shape::AxisSet;
use crate::threads::for_each_pair_of_blocks;
use crate::vector::{Arithmetic, Task, Vectorised, at_best_level};
use crate::{KernelCall, Real, Shape, Target, Tensor, VjpKernel};

/// `ln sum exp x`, from the largest element, so that nothing overflows; `dy/dx = exp(x - y)`.
///
/// The kernel needs no exponentials: it keeps those of the forward pass, and their sums. There a number that is less than the
/// least normal one is 0.
pub(super) struct LogSumExp(pub(super) Over);

/// How many exponentials a thread is given at once: some tens of microseconds of work.
const EXPONENTIALS: usize = 1 << 14;
/// Within a run, so many elements have a base of their own. So they are read once: from the search for the largest one to
/// the sum they are in the first-level cache.
const PIECE: usize = 1024;

/// The length of the runs and how many pieces each has, if each has an output of its own.
fn pieces(shape: &Shape, axes: AxisSet, outputs: usize) -> Option<(usize, usize)> {
    let (run, count) = run_of(shape, axes);
    let len = run.len();
    let own = matches!(run, Run::Together(_)) && count == outputs && len > 0;
    own.then(|| (len, len.div_ceil(PIECE)))
}

/// Calls `f(number of the first element, block, its numbers)` for blocks of runs of a length, on all threads: a long run is
/// several blocks, many short ones are one. `found` has two numbers for each piece, or nothing.
fn for_each_block_of_runs<E: Real>(
    len: usize,
    out: &mut [E],
    mut found: &mut [E],
    f: impl Fn(usize, &mut [E], &mut [E]) + Sync + Copy + Send,
) {
    let per_run = 2 * len.div_ceil(PIECE);
    let runs = EXPONENTIALS.div_ceil(len);
    let (whole, block, per_block) = match runs {
        1 => (len, EXPONENTIALS, 2 * EXPONENTIALS / PIECE),
        _ => (out.len(), runs * len, runs * per_run),
    };
    for (k, out) in out.chunks_mut(whole.max(1)).enumerate() {
        let own = (out.len() / len * per_run).min(found.len());
        let (own, others) = std::mem::take(&mut found).split_at_mut(own);
        found = others;
        for_each_pair_of_blocks(out, block, own, per_block, |j, out, own| {
            f(k * whole + j * block, out, own);
        });
    }
}

/// The exponentials of runs of a length, and the base and the sum of each piece.
fn exponentials_by_pieces<E: Real>(x: &[E], len: usize, out: &mut [E], found: &mut [E]) {
    for_each_block_of_runs(len, out, found, |first, out, found| {
        at_best_level(Pieces { x: &x[first..], len: len.min(EXPONENTIALS), out, found });
    });
}

/// `e^(x - base)` with a base for each piece of runs of a length; the base and the sum of each.
struct Pieces<'a, E> {
    x: &'a [E],
    len: usize,
    out: &'a mut [E],
    found: &'a mut [E],
}

impl<E: Real> Task for Pieces<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        let Pieces { x, len, out, found } = self;
        let mut found = found.chunks_exact_mut(2);
        for (x, out) in x.chunks(len).zip(out.chunks_mut(len)) {
            // The largest element of a piece is sought if that of the piece before was not near the one before, or turns out
            // to be far from its own.
            let (mut base, mut guess) = (x[0], false);
            for (x, out) in x.chunks(PIECE).zip(out.chunks_mut(PIECE)) {
                let mut search = !guess;
                let sum = loop {
                    if search {
                        let before = std::mem::replace(&mut base, largest_of(x));
                        guess = (base - before).abs() < E::lit(5.0);
                    }
                    let sum = exponentials_from::<E, A>(x, base, out);
                    if search || is_moderate(sum) {
                        break sum;
                    }
                    search = true;
                };
                let found = found.next().expect("two numbers for each piece");
                (found[0], found[1]) = (base, sum);
            }
        }
    }
}

/// `e^(x - base)` and the sum of them.
#[inline(always)]
fn exponentials_from<E: Real, A: Arithmetic>(x: &[E], base: E, out: &mut [E]) -> E {
    let base = finite_or_zero(base);
    for (out, &x) in out.iter_mut().zip(x) {
        *out = <E as Vectorised>::exp_flushed::<A>(x - base);
    }
    SumBlock(out).run::<A>()
}

/// Whether a sum of exponentials says that the base is near the largest element: nothing has overflowed, and what has
/// underflowed is nothing beside the sum.
#[inline(always)]
fn is_moderate<E: Real>(sum: E) -> bool {
    E::lit(1e-3) < sum && sum < E::lit(1e6)
}

/// The largest element. NaN is passed over: it will be in the sum.
#[inline(always)]
fn largest_of<E: Real>(x: &[E]) -> E {
    const LANES: usize = 16;
    let larger = |a: E, b: E| if b > a { b } else { a };
    let mut lanes = [E::lit(f64::NEG_INFINITY); LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, x);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane = larger(*lane, x);
    }
    fold_lanes(lanes, larger)
}

/// A largest element as a base; 0 instead of an infinite one, which would make `inf - inf`.
#[inline(always)]
fn finite_or_zero<E: Real>(largest: E) -> E {
    if largest.is_finite() { largest } else { E::ZERO }
}

/// The logarithm of the sum of a run from the bases and sums of its pieces, and what the exponentials of each
/// piece are to be divided by.
fn put_together<E: Real>(found: &[E], divisors: &mut [E]) -> E {
    if let &[largest, sum] = found {
        divisors[0] = sum;
        return sum.ln() + finite_or_zero(largest);
    }
    let worst = E::lit(f64::NEG_INFINITY);
    let largest = found.iter().step_by(2).fold(worst, |best, &x| if x > best { x } else { best });
    let base = finite_or_zero(largest);
    // Relative to the base of the whole run. A piece without a finite element has nothing to add.
    let factor = |largest: E| {
        let own = if largest == worst { worst } else { finite_or_zero(largest) };
        (own - base).exp()
    };
    for (divisor, piece) in divisors.iter_mut().zip(found.chunks_exact(2)) {
        *divisor = factor(piece[0]) * piece[1];
    }
    let total = sum(divisors);
    for (divisor, piece) in divisors.iter_mut().zip(found.chunks_exact(2)) {
        *divisor = total / factor(piece[0]);
    }
    total.ln() + base
}

/// `e^(x - base)` for the base of each output, where runs share outputs.
fn exponentials<E: Real>(x: &[E], shape: &Shape, axes: AxisSet, base: &[E], out: &mut [E]) {
    for_each_run(shape, axes, |run, i, o| {
        let len = run.len();
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
                *out = <E as Vectorised>::exp_flushed::<A>(x - base);
            }
            return;
        }
        for ((out, x), &base) in out.chunks_mut(len).zip(x.chunks(len)).zip(base) {
            for (out, &x) in out.iter_mut().zip(x) {
                *out = <E as Vectorised>::exp_flushed::<A>(x - base);
            }
        }
    }
}

impl LogSumExp {
    /// The largest elements, as bases.
    fn base<E: Real>(&self, x: &Tensor<E>, base: &mut [E]) {
        extrema(x.as_slice(), x.shape(), self.0.axes, true, base);
        base.iter_mut().for_each(|base| *base = finite_or_zero(*base));
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
        let count = outputs.shape(0).elements();
        if let Some((len, per_run)) = pieces(shape, axes, count) {
            let mut weights = Tensor::uninitialised(shape.clone());
            let mut found = Scratch::<E>::filled(2 * count * per_run, E::ZERO);
            exponentials_by_pieces(x, len, weights.as_mut_slice(), &mut found);
            let mut divisors = Tensor::uninitialised([count * per_run].into());
            let runs = divisors.as_mut_slice().chunks_mut(per_run).zip(found.chunks(2 * per_run));
            for (out, (divisors, found)) in outputs.buffer(0).iter_mut().zip(runs) {
                *out = put_together(found, divisors);
            }
            outputs.keep(weights);
            outputs.keep(divisors);
            return Ok(());
        }
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
        let Some(target) = call.target(0) else { return };
        if let Some((len, _)) = pieces(shape, self.0.axes, g.len()) {
            return scale_by_pieces(weights, len, g, sums, target);
        }
        let Target { buffer, add } = target;
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

/// The weights of runs of a length times the number of each run in `g`, over what each piece is divided by.
fn scale_by_pieces<E: Real>(
    weights: &[E],
    len: usize,
    g: &[E],
    divisors: &[E],
    Target { buffer, add }: Target<'_, E>,
) {
    for_each_block_of_runs(len, buffer, &mut [], |first, out, _| {
        let (run, before) = (first / len, first % len);
        let divisors = &divisors[run * len.div_ceil(PIECE) + before / PIECE..];
        let (weights, len) = (&weights[first..], len.min(EXPONENTIALS));
        at_best_level(ScalePieces { weights, len, g: &g[run..], divisors, out, add });
    });
}

/// The weights of runs of a length times the number of each run in `g`, over what each piece is divided by.
struct ScalePieces<'a, E> {
    weights: &'a [E],
    len: usize,
    g: &'a [E],
    divisors: &'a [E],
    out: &'a mut [E],
    add: bool,
}

impl<E: Real> Task for ScalePieces<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        let ScalePieces { weights, len, g, divisors, out, add } = self;
        let runs = out.chunks_mut(len).zip(weights.chunks(len));
        let numbers = g.iter().zip(divisors.chunks(len.div_ceil(PIECE)));
        for ((out, weights), (&g, divisors)) in runs.zip(numbers) {
            let pieces = out.chunks_mut(PIECE).zip(weights.chunks(PIECE)).zip(divisors);
            for ((out, weights), &divisor) in pieces {
                Scale { weights, factors: &[g / divisor], out, add }.run::<A>();
            }
        }
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
