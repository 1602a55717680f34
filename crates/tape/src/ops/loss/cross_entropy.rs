//! The mean cross-entropy of logits against labels as one operation, which keeps no probabilities.

use smallvec::smallvec;

use crate::kernels::sum;
use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::ops::Indices;
use crate::ops::rows::{exponentials, probabilities, put, vectorised};
use crate::recycle::Scratch;
use crate::threads::for_each_pair_of_blocks;
use crate::{KernelCall, Real, Shape, Tensor, VjpKernel};

/// How many logits are worth handing to another thread.
const BLOCK: usize = 1 << 15;

/// The mean over the rows of `ln sum exp(x) - x[label]`; the cotangent of `x` is
/// `(softmax(x) - onehot(label)) g / rows`.
///
/// The residual has for each row its largest logit and the sum of the exponentials relative to that: the
/// two parts of its log-sum-exp, whose sum would round away small parts beside large ones.
pub(super) struct MeanCrossEntropy {
    pub(super) labels: Indices,
}

/// Rows and classes of logits.
fn rows_and_classes(shape: &Shape) -> (usize, usize) {
    let classes = shape[shape.rank() - 1];
    (shape[..shape.rank() - 1].iter().product(), classes)
}

impl<E: Real> Op<E> for MeanCrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        let labels = self.labels.as_slice();
        if inputs[0].rank() == 0 {
            return Err(Misfit::shape("logits have an axis of classes"));
        }
        let (rows, classes) = rows_and_classes(inputs[0]);
        if labels.len() != rows {
            return Err(Misfit::shape(format!("{} labels for {rows} rows", labels.len())));
        }
        if let Some((row, label)) = labels.iter().enumerate().find(|&(_, &label)| label >= classes)
        {
            let detail = format!("label {label} of row {row} for {classes} classes");
            return Err(Misfit::argument(detail));
        }
        Ok(smallvec![Shape::scalar()])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let (rows, classes) = rows_and_classes(inputs[0].shape());
        let x = inputs[0].as_slice();
        let mut parts = Tensor::uninitialised([rows, 2].into());
        let block = (BLOCK / classes.max(1)).max(1);
        let mut scratch = Scratch::<E>::filled(classes * rows.div_ceil(block), E::ZERO);
        let out = parts.as_mut_slice();
        for_each_pair_of_blocks(out, 2 * block, &mut scratch, classes, |k, parts, scratch| {
            let x = x[k * block * classes..].chunks_exact(classes);
            for (part, x) in parts.chunks_exact_mut(2).zip(x) {
                scratch.copy_from_slice(x);
                let parts = vectorised(
                    #[inline(always)]
                    || exponentials(scratch),
                );
                part.copy_from_slice(&[parts.0, parts.1]);
            }
        });
        let mut losses = Scratch::<E>::filled(rows, E::ZERO);
        for (row, loss) in losses.iter_mut().enumerate() {
            let (largest, sum) = (out[2 * row], out[2 * row + 1]);
            *loss = (largest - x[row * classes + self.labels.as_slice()[row]]) + sum.ln();
        }
        outputs.buffer(0)[0] = sum(&losses) / E::lit(rows as f64);
        outputs.keep(parts);
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let shape = call.inputs[0].shape();
        let (rows, classes) = rows_and_classes(&shape);
        let mut one_hot = Tensor::recycled(shape, E::ZERO);
        let places = one_hot.as_mut_slice();
        for (row, &label) in self.labels.as_slice().iter().enumerate() {
            places[row * classes + label] = E::ONE;
        }
        let difference = call.inputs[0].softmax(-1) - call.constant(one_hot);
        smallvec![Some(difference * (call.cotangent() / E::lit(rows as f64)))]
    }
    fn kernel(&self) -> Option<&dyn VjpKernel<E>> {
        Some(self)
    }
}

impl<E: Real> VjpKernel<E> for MeanCrossEntropy {
    fn run(&self, call: &mut KernelCall<'_, E>) {
        let (x, parts) = (call.inputs[0].as_slice(), call.residuals[0].as_slice());
        let (rows, classes) = rows_and_classes(call.inputs[0].shape());
        let factor = call.cotangent().item() / E::lit(rows as f64);
        let labels = self.labels.as_slice();
        let Some(target) = call.target(0) else { return };
        let add = target.add;
        let block = (BLOCK / classes.max(1)).max(1);
        let room = if add { classes } else { 0 };
        let mut scratch = Scratch::<E>::filled(room * rows.div_ceil(block), E::ZERO);
        let (out, length) = (target.buffer, block * classes);
        for_each_pair_of_blocks(out, length, &mut scratch, room, |k, out, scratch| {
            let first = k * block;
            for (row, out) in (first..).zip(out.chunks_exact_mut(classes)) {
                let p = if add { &mut *scratch } else { &mut *out };
                p.copy_from_slice(&x[row * classes..][..classes]);
                vectorised(
                    #[inline(always)]
                    || probabilities(p, parts[2 * row], parts[2 * row + 1]),
                );
                p[labels[row]] -= E::ONE;
                match add {
                    true => put(out, scratch, factor, true),
                    false => out.iter_mut().for_each(|out| *out *= factor),
                }
            }
        });
    }
}
