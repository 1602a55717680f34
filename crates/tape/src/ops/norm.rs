//! Layer normalisation.

#[cfg(feature = "cases")]
pub(crate) mod cases;

use smallvec::smallvec;

use crate::error::expect;
use crate::kernels::fold_lanes;
use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::recycle::Room;
use crate::tensor_var::try_apply_one;
use crate::threads::for_each_pair_of_blocks;
use crate::vector::{Arithmetic, Task, at_best_level};
use crate::{Error, KernelCall, Real, Shape, Tensor, TensorVar, VjpKernel};

/// `layer_norm` of `x`, gain and bias: with `z = (x - mean) / std` in each row, `y = gain z + bias`.
///
/// With `h = g gain`, the cotangent of `x` is `(h - mean h - z mean(h z)) / std`, that of the gain is the
/// sum of `g z` over the rows, and that of the bias the sum of `g`.
struct LayerNorm {
    eps: f64,
}

/// The sums of a row run in this many lanes.
const LANES: usize = 16;

/// How many elements a thread is given at once: some tens of microseconds of work.
const BLOCK: usize = 1 << 15;

/// How many rows of the given width are dealt with together, in at most `most` blocks.
fn rows_in_block(rows: usize, width: usize, most: usize) -> usize {
    BLOCK.div_ceil(width.max(1)).max(rows.div_ceil(most)).max(1)
}

impl<E: Real> Op<E> for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        let Some(&width) = inputs[0].last() else {
            return Err(Misfit::shape("a tensor of rank 0 has no last axis"));
        };
        if **inputs[1] != [width] || **inputs[2] != [width] {
            return Err(Misfit::shape(format!(
                "gain and bias are of shape [{width}], the last axis"
            )));
        }
        Ok(smallvec![inputs[0].clone()])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let (x, gain, bias) = (inputs[0].as_slice(), inputs[1].as_slice(), inputs[2].as_slice());
        let width = gain.len();
        let rows = x.len().checked_div(width).unwrap_or(0);
        // Mean and 1 / std of each row.
        let mut moments = Tensor::uninitialised([rows, 2].into());
        let out = outputs.buffer(0);
        let block = rows_in_block(rows, width, usize::MAX);
        let eps = E::lit(self.eps);
        let (len, of_moments) = (block * width, moments.as_mut_slice());
        for_each_pair_of_blocks(out, len, of_moments, 2 * block, |k, out, moments| {
            let x = &x[k * len..][..out.len()];
            at_best_level(Normalise { x, gain, bias, eps, out, moments });
        });
        outputs.keep(moments);
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let (x, gain, g) = (call.inputs[0], call.inputs[1], call.cotangent());
        let centred = x - x.mean_axes_keep(-1);
        let variance = (centred * centred).mean_axes_keep(-1);
        let std = (variance + E::lit(self.eps)).sqrt();
        let z = centred / std;
        let for_x = || {
            let h = g * gain;
            (h - h.mean_axes_keep(-1) - z * (h * z).mean_axes_keep(-1)) / std
        };
        // The engine sums over the axes that the gain and the bias do not have.
        smallvec![
            call.needs(0).then(for_x),
            call.needs(1).then(|| g * z),
            call.needs(2).then_some(g),
        ]
    }
    fn kernel(&self) -> Option<&dyn VjpKernel<E>> {
        Some(self)
    }
}

impl<E: Real> VjpKernel<E> for LayerNorm {
    fn run(&self, call: &mut KernelCall<'_, E>) {
        let (inputs, moments, g) = (call.inputs, &call.residuals[0], call.cotangent().as_slice());
        let (x, gain, moments) = (inputs[0].as_slice(), inputs[1].as_slice(), moments.as_slice());
        let (width, rows) = (gain.len(), moments.len() / 2);
        let [for_x, for_gain, for_bias] = call.targets();
        // Each block of rows has sums of its own for gain and bias, so that the result does not depend on
        // who computes them.
        let block = rows_in_block(rows, width, 32);
        let blocks = rows.div_ceil(block);
        let mut sums = Room::<E>::zeros(blocks.max(1) * 2 * width);
        let (len, sums_len) = (block * width, 2 * width);
        let with_sums = for_gain.is_some() || for_bias.is_some();
        let of_blocks = &mut sums[..blocks * sums_len];
        let of = |k: usize, n: usize| {
            let (x, g) = (&x[k * len..][..n], &g[k * len..][..n]);
            (x, g, &moments[2 * k * block..])
        };
        match for_x {
            Some(target) => {
                let add = target.add;
                for_each_pair_of_blocks(target.buffer, len, of_blocks, sums_len, |k, out, sums| {
                    let (x, g, moments) = of(k, out.len());
                    at_best_level(Pull { x, g, gain, moments, out, add, sums, with_sums });
                });
            }
            None => {
                for_each_pair_of_blocks(of_blocks, sums_len, &mut [], 0, |k, sums, _: &mut [E]| {
                    let (x, g, moments) = of(k, len.min(x.len() - k * len));
                    let (out, add) = (&mut [][..], false);
                    at_best_level(Pull { x, g, gain, moments, out, add, sums, with_sums });
                });
            }
        }
        let (first, others) = sums.split_at_mut(sums_len);
        for other in others.chunks_exact(sums_len.max(1)) {
            first.iter_mut().zip(other).for_each(|(sum, &x)| *sum += x);
        }
        let (gains, biases) = first.split_at(width);
        for (target, sums) in [(for_gain, gains), (for_bias, biases)] {
            let Some(target) = target else { continue };
            for (slot, &sum) in target.buffer.iter_mut().zip(sums) {
                *slot = if target.add { *slot + sum } else { sum };
            }
        }
    }
}

/// Adds up what `f` makes of each index below `len`, in lanes.
#[inline(always)]
fn sum_lanes<E: Real>(len: usize, f: impl Fn(usize) -> E) -> E {
    let mut lanes = [E::ZERO; LANES];
    let whole = len / LANES * LANES;
    for start in (0..whole).step_by(LANES) {
        for (k, lane) in lanes.iter_mut().enumerate() {
            *lane += f(start + k);
        }
    }
    for k in whole..len {
        lanes[k - whole] += f(k);
    }
    fold_lanes(lanes, |a, b| a + b)
}

/// Some rows of the forward pass.
struct Normalise<'a, E> {
    x: &'a [E],
    gain: &'a [E],
    bias: &'a [E],
    eps: E,
    out: &'a mut [E],
    moments: &'a mut [E],
}

impl<E: Real> Task for Normalise<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        let Normalise { x, gain, bias, eps, out, moments } = self;
        let width = gain.len();
        let share = E::ONE / E::lit(width as f64);
        let rows = out.chunks_exact_mut(width).zip(x.chunks_exact(width));
        for ((out, x), moments) in rows.zip(moments.as_chunks_mut::<2>().0) {
            let x = &x[..width];
            let mean = sum_lanes(width, |k| x[k]) * share;
            // From the deviations: the mean of the squares less the square of the mean loses its digits.
            let squares = sum_lanes(width, |k| (x[k] - mean) * (x[k] - mean));
            let scale = E::ONE / (squares * share + eps).sqrt();
            *moments = [mean, scale];
            let (gain, bias) = (&gain[..width], &bias[..width]);
            for (k, (out, &x)) in out.iter_mut().zip(x).enumerate() {
                *out = A::fma((x - mean) * scale, gain[k], bias[k]);
            }
        }
    }
}

/// Some rows of the backward pass, and the sums for the gain and for the bias.
struct Pull<'a, E> {
    x: &'a [E],
    g: &'a [E],
    gain: &'a [E],
    moments: &'a [E],
    out: &'a mut [E],
    add: bool,
    sums: &'a mut [E],
    with_sums: bool,
}

impl<E: Real> Task for Pull<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        let Pull { x, g, gain, moments, out, add, sums, with_sums } = self;
        let width = gain.len();
        if width == 0 {
            return;
        }
        let share = E::ONE / E::lit(width as f64);
        let (gains, biases) = sums.split_at_mut(width);
        let rows = x.chunks_exact(width).zip(g.chunks_exact(width));
        for (row, ((x, g), &[mean, scale])) in rows.zip(moments.as_chunks::<2>().0).enumerate() {
            if with_sums {
                let (gains, biases) = (&mut gains[..width], &mut biases[..width]);
                for k in 0..width {
                    gains[k] = A::fma(g[k], (x[k] - mean) * scale, gains[k]);
                    biases[k] += g[k];
                }
            }
            if out.is_empty() {
                continue;
            }
            let (x, g, gain) = (&x[..width], &g[..width], &gain[..width]);
            let mean_h = sum_lanes(width, |k| g[k] * gain[k]) * share;
            let with_z = sum_lanes(width, |k| g[k] * gain[k] * (x[k] - mean));
            let mean_hz = with_z * scale * share;
            let out = &mut out[row * width..][..width];
            for k in 0..width {
                let z = (x[k] - mean) * scale;
                let own = (A::fma(g[k], gain[k], -mean_h) - z * mean_hz) * scale;
                out[k] = if add { out[k] + own } else { own };
            }
        }
    }
}

impl<E: Real> TensorVar<E> {
    /// Layer normalisation (Ba, Kiros and Hinton 2016, "Layer Normalization") over the last axis: in each row
    ///
    /// `y = gain (x - mean x) / sqrt(var x + eps) + bias`
    ///
    /// with the biased variance, the mean of the squared deviations. `gain` and `bias` have the shape of the
    /// last axis.
    ///
    /// ```
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.tensor([[1.0, 3.0], [-2.0, 2.0]]);
    /// let (gain, bias) = (tape.tensor([2.0, 2.0]), tape.tensor([0.0, 1.0]));
    /// let y = x.layer_norm(gain, bias, 0.0).value();
    /// assert_eq!(y, Tensor::from([[-2.0, 3.0], [-2.0, 3.0]]));
    /// ```
    ///
    /// # Panics
    /// If `x` has rank 0, or `gain` or `bias` do not have the shape of its last axis.
    #[track_caller]
    pub fn layer_norm(self, gain: TensorVar<E>, bias: TensorVar<E>, eps: f64) -> Self {
        expect(self.try_layer_norm(gain, bias, eps))
    }

    /// Like [`layer_norm`](Self::layer_norm), for shapes from outside.
    ///
    /// # Errors
    /// Where [`layer_norm`](Self::layer_norm) panics.
    #[track_caller]
    pub fn try_layer_norm(
        self,
        gain: TensorVar<E>,
        bias: TensorVar<E>,
        eps: f64,
    ) -> Result<Self, Error> {
        try_apply_one(LayerNorm { eps }, &[self, gain, bias])
    }
}
