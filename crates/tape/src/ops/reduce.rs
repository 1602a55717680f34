//! Reductions: sums, means, extrema, variances, log-sum-exp here; others in the files of this folder.

#[cfg(feature = "cases")]
pub(crate) mod cases;
mod logic;
mod logsumexp;
mod norm;
mod order;
mod product;
mod scan;

use smallvec::smallvec;

use crate::kernels::{fold_lanes, sum_each, sum_rows};
use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::recycle::Scratch;
use crate::shape::AxisSet;
use crate::vector::{Arithmetic, Task, at_best_level};
use crate::{
    Error, IntoAxes, KernelCall, Real, Shape, Target, Tensor, TensorVar, VjpKernel, cluster,
    registry,
};

/// The axes that a reduction runs over, and whether they stay with length 1.
#[derive(Clone, Copy, Debug)]
struct Over {
    axes: AxisSet,
    keep: bool,
}

impl Over {
    fn shape(self, input: &Shape) -> Shape {
        if self.keep {
            return self.kept(input);
        }
        (0..input.rank()).filter(|&k| !self.axes.contains(k)).map(|k| input[k]).collect()
    }

    /// The shape with the reduced axes as 1.
    fn kept(self, input: &Shape) -> Shape {
        (0..input.rank()).map(|k| if self.axes.contains(k) { 1 } else { input[k] }).collect()
    }

    fn count(self, input: &Shape) -> usize {
        (0..input.rank()).filter(|&k| self.axes.contains(k)).map(|k| input[k]).product()
    }

    /// A tensor of the reduced shape, ready to broadcast against the input.
    #[track_caller]
    fn expand<E: Real>(self, reduced: TensorVar<E>, input: &Shape) -> TensorVar<E> {
        let leading = (0..input.rank()).skip_while(|&k| self.axes.contains(k));
        if self.keep || leading.into_iter().all(|k| !self.axes.contains(k)) {
            // Numpy's rule puts the missing leading axes back by itself.
            return reduced;
        }
        reduced.reshape(self.kept(input))
    }
}

/// Sums over some axes, each run of neighbours at once, the last run first.
fn sum_over<E: Real>(x: &[E], shape: &Shape, axes: AxisSet, out: &mut [E]) {
    let Some(last) = (0..shape.rank()).rev().find(|&k| axes.contains(k)) else {
        return out.copy_from_slice(x);
    };
    let first = (0..=last).rev().take_while(|&k| axes.contains(k)).last().unwrap_or(last);
    let reduced = shape[first..=last].iter().product();
    let inside = shape[last + 1..].iter().product();
    if !(0..first).any(|k| axes.contains(k)) {
        return sum_block(x, reduced, inside, out);
    }
    let mut rest = shape.clone();
    (first..=last).for_each(|k| rest.set(k, 1));
    let mut partial = Scratch::<E>::filled(rest.elements(), E::ZERO);
    sum_block(x, reduced, inside, &mut partial);
    let mut before = axes;
    (first..=last).for_each(|k| before.remove(k));
    sum_over(&partial, &rest, before, out);
}

/// Sums over the middle one of three axes; `x` has the lengths (as `out` says, `reduced`, `inside`).
fn sum_block<E: Real>(x: &[E], reduced: usize, inside: usize, out: &mut [E]) {
    if reduced == 0 || inside == 0 {
        return out.fill(E::ZERO);
    }
    if inside == 1 {
        return sum_each(x, reduced, out);
    }
    let blocks = x.chunks_exact(reduced * inside);
    out.chunks_exact_mut(inside).zip(blocks).for_each(|(out, x)| sum_rows(x, out));
}

/// Neighbours in the input that the reduction treats alike.
#[derive(Clone, Copy, Debug)]
enum Run {
    /// They go to one output.
    Together(usize),
    /// They go to as many neighbours in the output.
    Apart(usize),
}

impl Run {
    fn len(self) -> usize {
        match self {
            Run::Together(len) | Run::Apart(len) => len,
        }
    }
}

/// The last axes of a shape that are all reduced, or all not, as one run, and how often it stands in the
/// shape.
fn run_of(shape: &Shape, reduced: AxisSet) -> (Run, usize) {
    let rank = shape.rank();
    let together = rank > 0 && reduced.contains(rank - 1);
    let first = (0..rank).rev().find(|&k| reduced.contains(k) != together).map_or(0, |k| k + 1);
    let len = shape[first..].iter().product();
    let count = shape[..first].iter().product();
    (if together { Run::Together(len) } else { Run::Apart(len) }, count)
}

/// Calls `f(run, where it begins in the input, where in the output)` for all runs, in order.
fn for_each_run(shape: &Shape, reduced: AxisSet, mut f: impl FnMut(Run, usize, usize)) {
    let (run, count) = run_of(shape, reduced);
    if run.len() == 0 {
        return;
    }
    // The axes before those of the run.
    let (mut rank, mut inside) = (shape.rank(), 1);
    while inside < run.len() {
        rank -= 1;
        inside *= shape[rank];
    }
    let mut strides = [0usize; 64];
    let mut stride = if let Run::Apart(len) = run { len } else { 1 };
    for k in (0..rank).rev().filter(|&k| !reduced.contains(k)) {
        strides[k] = stride;
        stride *= shape[k];
    }
    let mut index = [0usize; 64];
    let mut position = 0;
    for number in 0..count {
        f(run, number * run.len(), position);
        for k in (0..rank).rev() {
            index[k] += 1;
            position += strides[k];
            if index[k] < shape[k] {
                break;
            }
            position -= strides[k] * shape[k];
            index[k] = 0;
        }
    }
}

/// `sum`: the cotangent is repeated. It has no kernel: what repeats costs nothing in the elementwise work
/// before the sum, and a kernel would write it out.
struct Sum(Over);

impl<E: Real> Op<E> for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        Ok(smallvec![self.0.shape(inputs[0])])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let shape = inputs[0].shape();
        sum_over(inputs[0].as_slice(), shape, self.0.axes, outputs.buffer(0));
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let shape = call.inputs[0].shape();
        smallvec![Some(self.0.expand(call.cotangent(), &shape).broadcast_to(shape))]
    }
}

/// `amax` or `amin`: the cotangent goes to the extremal elements, in equal parts where there are
/// several.
#[derive(Clone, Copy)]
struct Extremum {
    over: Over,
    largest: bool,
}

/// The better one of an extremum so far and an element. NaN wins against everything, so that it is seen.
#[inline(always)]
fn better<E: Real>(largest: bool, best: E, x: E) -> E {
    let wins = if largest { x > best } else { x < best };
    if wins | x.is_nan() { x } else { best }
}

/// Whether an element is the extremum.
#[inline(always)]
fn same<E: Real>(x: E, y: E) -> bool {
    (x == y) | (x.is_nan() & y.is_nan())
}

/// The extrema of `x`.
fn extrema<E: Real>(x: &[E], shape: &Shape, axes: AxisSet, largest: bool, out: &mut [E]) {
    out.fill(E::lit(if largest { f64::NEG_INFINITY } else { f64::INFINITY }));
    for_each_run(shape, axes, |run, i, o| {
        let x = &x[i..i + run.len()];
        at_best_level(Best { x, run, largest, out: &mut out[o..] });
    });
}

struct Best<'a, E> {
    x: &'a [E],
    run: Run,
    largest: bool,
    out: &'a mut [E],
}

impl<E: Real> Task for Best<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        let Best { x, run, largest, out } = self;
        if let Run::Apart(len) = run {
            for (out, &x) in out[..len].iter_mut().zip(x) {
                *out = better(largest, *out, x);
            }
            return;
        }
        const LANES: usize = 16;
        let mut lanes = [out[0]; LANES];
        let (chunks, rest) = x.as_chunks::<LANES>();
        for chunk in chunks {
            for (best, &x) in lanes.iter_mut().zip(chunk) {
                *best = better(largest, *best, x);
            }
        }
        for (best, &x) in lanes.iter_mut().zip(rest) {
            *best = better(largest, *best, x);
        }
        out[0] = fold_lanes(lanes, |a, b| better(largest, a, b));
    }
}

impl Extremum {
    /// What flows to each element of `x`: its share of `g` where it is extremal, else 0.
    fn pull<E: Real>(&self, x: &Tensor<E>, y: &[E], g: impl Fn(usize) -> E, target: Target<'_, E>) {
        let (shape, axes) = (x.shape(), self.over.axes);
        let x = x.as_slice();
        let Target { buffer, add } = target;
        let mut ties = Scratch::<E>::filled(y.len(), E::ZERO);
        for_each_run(shape, axes, |run, i, o| {
            let x = &x[i..i + run.len()];
            match run {
                Run::Together(_) => {
                    let count = x.iter().map(|&x| usize::from(same(x, y[o]))).sum::<usize>();
                    ties[o] += E::lit(count as f64);
                }
                Run::Apart(len) => {
                    let places = ties[o..o + len].iter_mut().zip(&y[o..o + len]);
                    for ((ties, &y), &x) in places.zip(x) {
                        *ties += if same(x, y) { E::ONE } else { E::ZERO };
                    }
                }
            }
        });
        for (o, share) in ties.iter_mut().enumerate() {
            *share = g(o) / *share;
        }
        for_each_run(shape, axes, |run, i, o| {
            let x = &x[i..i + run.len()];
            for (k, (slot, &x)) in buffer[i..i + run.len()].iter_mut().zip(x).enumerate() {
                let o = if let Run::Apart(_) = run { o + k } else { o };
                let own = if same(x, y[o]) { ties[o] } else { E::ZERO };
                *slot = if add { *slot + own } else { own };
            }
        });
    }
}

impl<E: Real> Op<E> for Extremum {
    fn name(&self) -> &'static str {
        if self.largest { "amax" } else { "amin" }
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        if self.over.count(inputs[0]) == 0 {
            return Err(Misfit::shape("an extremum of no elements does not exist"));
        }
        Ok(smallvec![self.over.shape(inputs[0])])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let (x, shape) = (inputs[0].as_slice(), inputs[0].shape());
        extrema(x, shape, self.over.axes, self.largest, outputs.buffer(0));
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        // Which elements are extremal is locally constant, so the shares are constants.
        let (x, y) = (call.inputs[0].value(), call.outputs[0].value());
        let mut share = Tensor::uninitialised(x.shape().clone());
        let target = Target { buffer: share.as_mut_slice(), add: false };
        self.pull(&x, y.as_slice(), |_| E::ONE, target);
        let g = self.over.expand(call.cotangent(), x.shape());
        smallvec![Some(g * call.constant(share))]
    }
    fn kernel(&self) -> Option<&dyn VjpKernel<E>> {
        Some(self)
    }
}

impl<E: Real> VjpKernel<E> for Extremum {
    fn run(&self, call: &mut KernelCall<'_, E>) {
        let (x, y, g) = (&call.inputs[0], call.outputs[0].as_slice(), call.cotangent().as_slice());
        if let Some(target) = call.target(0) {
            self.pull(x, y, |o| g[o], target);
        }
    }
}

impl<E: Real> TensorVar<E> {
    #[track_caller]
    fn over(self, name: &'static str, axes: impl IntoAxes, keep: bool) -> Over {
        let shape = self.shape();
        match AxisSet::new(&shape, &axes.into_axes()) {
            Ok(axes) => Over { axes, keep },
            Err(axis) => {
                let what =
                    if shape.axis(axis).is_some() { "stands twice" } else { "does not exist" };
                let detail = format!("axis {axis} {what}");
                panic!("{}", Error::shape(name, &[&shape], detail))
            }
        }
    }

    #[track_caller]
    fn over_all(self) -> Over {
        Over { axes: AxisSet::all(self.rank()), keep: false }
    }

    #[track_caller]
    pub(crate) fn sum_axis_set(self, axes: AxisSet, keep: bool) -> Self {
        self.reduce_sum(Over { axes, keep })
    }

    /// Whether a reduction leaves one number, of rank 0.
    fn is_total(self, over: Over) -> bool {
        !over.keep && over.axes == AxisSet::all(self.rank())
    }

    #[track_caller]
    fn reduce_sum(self, over: Over) -> Self {
        if self.is_constant() {
            self
        } else if self.is_total(over) {
            self.total(false)
        } else if let Some(sums) = self.sums_of_rows(over) {
            self.apply_done(Sum(over), sums)
        } else {
            self.apply_op(Sum(over))
        }
    }

    /// The sums over axes that are the last ones, if they can be had without the tensor itself.
    #[track_caller]
    fn sums_of_rows(self, over: Over) -> Option<Tensor<E>> {
        let (inner, _) = registry::find::<E>(self.tag);
        let shape = self.shape();
        let Run::Together(length) = run_of(&shape, over.axes).0 else { return None };
        if length != over.count(&shape) || inner.watch().is_some() {
            return None;
        }
        cluster::sums_of_neighbours(inner, self.index, length, over.shape(&shape))
    }

    #[track_caller]
    fn reduce_mean(self, over: Over) -> Self {
        if !self.is_constant() && self.is_total(over) {
            return self.total(true);
        }
        let count = over.count(&self.shape());
        self.reduce_sum(over) / E::lit(count as f64)
    }

    #[track_caller]
    fn reduce_amax(self, over: Over) -> Self {
        if self.is_constant() { self } else { self.apply_op(Extremum { over, largest: true }) }
    }

    #[track_caller]
    fn reduce_amin(self, over: Over) -> Self {
        if self.is_constant() { self } else { self.apply_op(Extremum { over, largest: false }) }
    }

    #[track_caller]
    fn reduce_logsumexp(self, over: Over) -> Self {
        if self.is_constant() { self } else { self.apply_op(logsumexp::LogSumExp(over)) }
    }

    #[track_caller]
    fn reduce_var(self, over: Over, correction: f64) -> Self {
        let count = over.count(&self.shape()) as f64;
        let centred = self - self.reduce_mean(Over { keep: true, ..over });
        (centred * centred).reduce_sum(over) / E::lit((count - correction).max(0.0))
    }

    /// The variance of all elements: the squared deviations from the mean, summed and divided by
    /// `n - correction`; 0 for a population, 1 for a sample.
    #[track_caller]
    pub fn var(self, correction: f64) -> Self {
        self.reduce_var(self.over_all(), correction)
    }

    /// The variance over some axes, which go.
    #[track_caller]
    pub fn var_axes(self, axes: impl IntoAxes, correction: f64) -> Self {
        self.reduce_var(self.over("var", axes, false), correction)
    }

    /// The variance over some axes, which stay with length 1.
    #[track_caller]
    pub fn var_axes_keep(self, axes: impl IntoAxes, correction: f64) -> Self {
        self.reduce_var(self.over("var", axes, true), correction)
    }
}

macro_rules! reductions {
    ($($name:ident, $axes:ident, $keep:ident, $reduce:ident: $what:literal;)*) => {
        impl<E: Real> TensorVar<E> { $(
            #[doc = concat!($what, " of all elements, of rank 0.")]
            #[track_caller]
            pub fn $name(self) -> Self {
                self.$reduce(self.over_all())
            }
            #[doc = concat!($what, " over some axes, which go.")]
            ///
            /// # Panics
            /// If an axis does not exist.
            #[track_caller]
            pub fn $axes(self, axes: impl IntoAxes) -> Self {
                self.$reduce(self.over(stringify!($name), axes, false))
            }
            #[doc = concat!($what, " over some axes, which stay with length 1.")]
            ///
            /// # Panics
            /// If an axis does not exist.
            #[track_caller]
            pub fn $keep(self, axes: impl IntoAxes) -> Self {
                self.$reduce(self.over(stringify!($name), axes, true))
            }
        )* }
    };
}

reductions! {
    sum, sum_axes, sum_axes_keep, reduce_sum: "The sum";
    mean, mean_axes, mean_axes_keep, reduce_mean: "The mean";
    amax, amax_axes, amax_axes_keep, reduce_amax:
        "The largest element (its derivative is shared equally among equals)";
    amin, amin_axes, amin_axes_keep, reduce_amin:
        "The smallest element (its derivative is shared equally among equals)";
    prod, prod_axes, prod_axes_keep, reduce_prod: "The product (its derivative is right at zeros, too)";
    logsumexp, logsumexp_axes, logsumexp_axes_keep, reduce_logsumexp:
        "The logarithm of the sum of the exponentials, without overflow,";
}
