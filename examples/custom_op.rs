//! Two operations on whole tensors that the library does not have: one with two outputs, and one
//! that keeps something from forward to backward.
//!
//! The backward rule of an operation is written with recorded operations, so it has derivatives of
//! its own, and there is no second rule to write for them.

use wengert::autograd::check::gradgradcheck;
use wengert::autograd::functional::hessian;
use wengert::prelude::*;
use wengert::tape::{Backward, Cotangents, Misfit, Outputs, Shapes, apply_op};

/// The mean and the variance of all elements, in one pass.
///
/// The pass is that of B. P. Welford, "Note on a method for calculating corrected sums of squares and
/// products", Technometrics 4 (1962), which keeps its digits where the textbook's difference of
/// squares loses them.
struct Moments;

impl<E: Real> Op<E> for Moments {
    fn name(&self) -> &'static str {
        "moments"
    }

    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        match inputs[0].elements() {
            0 => Err(Misfit::shape("no elements have no mean")),
            _ => Ok([Shape::scalar(), Shape::scalar()].into_iter().collect()),
        }
    }

    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let (mut count, mut mean, mut squares) = (E::ZERO, E::ZERO, E::ZERO);
        for &x in inputs[0].iter() {
            count += E::ONE;
            let delta = x - mean;
            mean += delta / count;
            squares += delta * (x - mean);
        }
        outputs.set(0, Tensor::scalar(mean));
        outputs.set(1, Tensor::scalar(squares / count));
        Ok(())
    }

    /// `d mean / d x = 1 / n` and `d variance / d x = 2 (x - mean) / n`. An output that the result
    /// does not depend on has no cotangent.
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let (x, mean) = (call.inputs[0], call.outputs[0]);
        let n = E::lit(x.shape().elements() as f64);
        let from_mean = call.cotangents[0].map(|g| (g / n).broadcast_to(x.shape()));
        let from_variance = call.cotangents[1].map(|g| g * (x - mean) * (E::lit(2.0) / n));
        let both = match (from_mean, from_variance) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        };
        [both].into_iter().collect()
    }
}

/// The elements in ascending order.
struct Sort;

impl<E: Real> Op<E> for Sort {
    fn name(&self) -> &'static str {
        "sort"
    }

    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        match inputs[0].rank() {
            1 => Ok([inputs[0].clone()].into_iter().collect()),
            rank => Err(Misfit::shape(format!("a list has rank 1, not {rank}"))),
        }
    }

    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let x = inputs[0].as_slice();
        if let Some(at) = x.iter().position(|x| x.is_nan()) {
            return Err(Misfit::argument(format!("element {at} is not a number")));
        }
        let mut order: Vec<usize> = (0..x.len()).collect();
        order.sort_by(|&i, &j| x[i].partial_cmp(&x[j]).expect("there is no NaN"));

        let mut rank = vec![E::ZERO; x.len()];
        for (place, (sorted, &i)) in outputs.buffer(0).iter_mut().zip(&order).enumerate() {
            *sorted = x[i];
            rank[i] = E::lit(place as f64);
        }
        // The order does not change with a small change of the elements, so it may be kept. What
        // does change must be taken from the inputs and outputs, or its derivative is lost.
        outputs.keep(rank.into());
        Ok(())
    }

    /// Each cotangent goes back to where its element came from.
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let rank = call.residuals[0].iter().map(|rank| rank.to_f64() as usize);
        let unsorted = call.cotangent().index_select(0, rank.collect::<Vec<_>>());
        [Some(unsorted)].into_iter().collect()
    }
}

/// Mean and variance, as a function of the kind that the library has.
fn moments(x: TensorVar) -> (TensorVar, TensorVar) {
    let outputs = apply_op(Moments, &[x]);
    (outputs[0], outputs[1])
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tape = Tape::new();
    let x = tape.tensor([4.0, -1.0, 2.5, 0.5]);

    // Two outputs: a result may depend on both, or on one alone.
    let (mean, variance) = moments(x);
    println!("mean {}, variance {}", mean.item(), variance.item());
    println!("gradient of the variance: {}", variance.backward()?.wrt(x));
    let variation = variance.sqrt() / mean;
    println!("gradient of deviation / mean: {:.4}", variation.backward()?.wrt(x));

    let sorted = x.apply_op(Sort);
    println!("sorted: {}", sorted.value());
    let weighted = (tape.constant([1.0, 2.0, 3.0, 4.0]) * sorted).sum();
    println!("gradient of their sum weighted by place: {}", weighted.backward()?.wrt(x));

    // The second derivatives: `2 (I - 1/n) / n` for the variance.
    let point = x.value();
    println!("Hessian of the variance:\n{}", hessian(|x| moments(x).1, &point)?);

    // First and second derivatives of both against finite differences, on a function that uses
    // every output and is not linear in any; a wrong rule is an error here.
    let report = gradgradcheck(
        |x: TensorVar| {
            let weights = x.constant_like([1.0, 2.0, 3.0, 4.0]);
            let (mean, variance) = moments(weights * x.apply_op(Sort));
            mean * variance.sqrt()
        },
        &point,
    )?;
    print!("{report}");
    println!("comparisons={} largest_error={}", report.entries.len(), report.max_error());
    Ok(())
}
