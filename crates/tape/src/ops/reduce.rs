//! Reductions: sums, means, extrema, variances, log-sum-exp.

use smallvec::smallvec;

use crate::kernels::{for_each_reduced, sum, sum_rows};
use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::recycle::Scratch;
use crate::shape::AxisSet;
use crate::{Error, IntoAxes, Real, Shape, Tensor, TensorVar};

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
    let blocks = x.chunks_exact(reduced * inside);
    if inside == 1 {
        out.iter_mut().zip(blocks).for_each(|(out, x)| *out = sum(x));
    } else {
        out.chunks_exact_mut(inside).zip(blocks).for_each(|(out, x)| sum_rows(x, out));
    }
}

/// `sum`: the cotangent is repeated.
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
struct Extremum {
    over: Over,
    largest: bool,
}

impl Extremum {
    fn better<E: Real>(&self, a: E, b: E) -> bool {
        if self.largest { a > b } else { a < b }
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
        let x = inputs[0].as_slice();
        let out = outputs.buffer(0);
        out.fill(E::lit(if self.largest { f64::NEG_INFINITY } else { f64::INFINITY }));
        for_each_reduced(inputs[0].shape(), self.over.axes, |i, o| {
            // NaN wins against everything, so that it is seen.
            if self.better(x[i], out[o]) || x[i].is_nan() {
                out[o] = x[i];
            }
        });
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        // Which elements are extremal is locally constant, so the shares are constants.
        let same = |x: E, y: E| x == y || x.is_nan() && y.is_nan();
        let (x, y) = (call.inputs[0].value(), call.outputs[0].value());
        let shape = x.shape();
        let mut ties = vec![0usize; y.len()];
        for_each_reduced(shape, self.over.axes, |i, o| {
            ties[o] += usize::from(same(x.as_slice()[i], y.as_slice()[o]));
        });
        let mut share = Tensor::zeros(shape);
        let shares = share.as_mut_slice();
        for_each_reduced(shape, self.over.axes, |i, o| {
            if same(x.as_slice()[i], y.as_slice()[o]) {
                shares[i] = E::ONE / E::lit(ties[o] as f64);
            }
        });
        let g = self.over.expand(call.cotangent(), shape);
        smallvec![Some(g * call.constant(share))]
    }
}

/// `ln sum exp x`, from the largest element, so that nothing overflows; `dy/dx = exp(x - y)`.
struct LogSumExp(Over);

impl<E: Real> Op<E> for LogSumExp {
    fn name(&self) -> &'static str {
        "logsumexp"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        Ok(smallvec![self.0.shape(inputs[0])])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let (x, shape) = (inputs[0].as_slice(), inputs[0].shape());
        let minus_infinity = E::lit(f64::NEG_INFINITY);
        let mut largest = Scratch::<E>::filled(outputs.shape(0).elements(), minus_infinity);
        for_each_reduced(shape, self.0.axes, |i, o| {
            if x[i] > largest[o] || x[i].is_nan() {
                largest[o] = x[i];
            }
        });
        // An infinite largest element would make `inf - inf`.
        for base in largest.iter_mut().filter(|base| !base.is_finite()) {
            *base = E::ZERO;
        }
        let mut exponentials = Scratch::<E>::filled(x.len(), E::ZERO);
        for_each_reduced(shape, self.0.axes, |i, o| exponentials[i] = (x[i] - largest[o]).exp());
        let out = outputs.buffer(0);
        sum_over(&exponentials, shape, self.0.axes, out);
        for (out, &base) in out.iter_mut().zip(largest.iter()) {
            *out = out.ln() + base;
        }
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let x = call.inputs[0];
        let shape = x.shape();
        let y = self.0.expand(call.outputs[0], &shape);
        let g = self.0.expand(call.cotangent(), &shape);
        smallvec![Some(g * (x - y).exp())]
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

    #[track_caller]
    fn reduce_sum(self, over: Over) -> Self {
        if self.is_constant() {
            self
        } else if !over.keep && over.axes == AxisSet::all(self.rank()) {
            self.total()
        } else {
            self.apply_op(Sum(over))
        }
    }

    #[track_caller]
    fn reduce_mean(self, over: Over) -> Self {
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
        if self.is_constant() { self } else { self.apply_op(LogSumExp(over)) }
    }

    #[track_caller]
    fn reduce_var(self, over: Over, correction: f64) -> Self {
        let count = over.count(&self.shape()) as f64;
        let centred = self - self.reduce_mean(Over { keep: true, ..over });
        (centred * centred).reduce_sum(over) / E::lit(count - correction)
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
    logsumexp, logsumexp_axes, logsumexp_axes_keep, reduce_logsumexp:
        "The logarithm of the sum of the exponentials, without overflow,";
}
