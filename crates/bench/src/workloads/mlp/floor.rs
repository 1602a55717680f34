//! The step by hand: eight matrix products, and loops over rows between them.

use wengert::prelude::Tensor;

use crate::floor::adam::{Adam, Parameter};
use crate::floor::math::{exp32, vectorised};
use crate::floor::product::Product;
use crate::formulas::weight;

const ROWS: usize = 128;
const WIDTHS: [usize; 4] = [784, 512, 256, 10];
const CLASSES: usize = 10;

/// The model and all buffers of a step.
pub(super) struct Model {
    layers: [Layer; 3],
    /// The input of each layer, and the logits.
    activations: [Vec<f32>; 4],
    /// The cotangents of the outputs of each layer.
    cotangents: [Vec<f32>; 3],
    labels: Vec<usize>,
    threads: usize,
    steps: u64,
}

struct Layer {
    weight: Parameter,
    bias: Parameter,
    forward: Product,
    for_weight: Product,
    for_input: Product,
}

impl Layer {
    fn new(k: usize, inputs: usize, outputs: usize, threads: usize) -> Layer {
        Layer {
            weight: Parameter::new(weight(k, [inputs, outputs]).as_slice()),
            bias: Parameter::new(weight(k + 1, [outputs]).as_slice()),
            forward: Product::new((ROWS, inputs, outputs), (false, false), threads),
            for_weight: Product::new((inputs, ROWS, outputs), (true, false), threads),
            for_input: Product::new((ROWS, outputs, inputs), (false, true), threads),
        }
    }
}

impl Model {
    pub(super) fn new(x: &Tensor<f32>, labels: &[usize], threads: usize) -> Model {
        let layer = |k: usize| Layer::new(2 * k, WIDTHS[k], WIDTHS[k + 1], threads);
        let mut activations = WIDTHS.map(|width| vec![0.0; ROWS * width]);
        activations[0].copy_from_slice(x.as_slice());
        Model {
            layers: [layer(0), layer(1), layer(2)],
            activations,
            cotangents: [1, 2, 3].map(|k| vec![0.0; ROWS * WIDTHS[k]]),
            labels: labels.to_vec(),
            threads,
            steps: 0,
        }
    }

    pub(super) fn step(&mut self) -> f64 {
        for (k, layer) in self.layers.iter_mut().enumerate() {
            let (inputs, outputs) = self.activations.split_at_mut(k + 1);
            let out = &mut outputs[0];
            layer.forward.run(out, &inputs[k], &layer.weight.value);
            vectorised(
                #[inline(always)]
                || add_bias(out, &layer.bias.value, k < 2),
            );
        }
        let loss = {
            let (logits, out) = (&mut self.activations[3], &mut self.cotangents[2]);
            vectorised(
                #[inline(always)]
                || cross_entropy(logits, &self.labels, out),
            )
        };
        for k in (0..3).rev() {
            let layer = &mut self.layers[k];
            let (before, after) = self.cotangents.split_at_mut(k);
            let g = &mut after[0];
            let bias = &mut layer.bias.gradient;
            vectorised(
                #[inline(always)]
                || sum_rows(g, bias, (k < 2).then(|| &self.activations[k + 1][..])),
            );
            layer.for_weight.run(&mut layer.weight.gradient, &self.activations[k], g);
            if let Some(before) = before.last_mut() {
                layer.for_input.run(before, g, &layer.weight.value);
            }
        }
        self.steps += 1;
        let adam = Adam::new(1e-3, self.steps);
        for layer in &mut self.layers {
            layer.weight.update::<false>(adam, self.threads);
            layer.bias.update::<false>(adam, self.threads);
        }
        loss
    }
}

/// `x + bias`, and the positive part of it for hidden layers.
#[inline(always)]
fn add_bias(x: &mut [f32], bias: &[f32], relu: bool) {
    let least = if relu { 0.0 } else { f32::NEG_INFINITY };
    for row in x.chunks_exact_mut(bias.len()) {
        for (x, b) in row.iter_mut().zip(bias) {
            *x = (*x + b).max(least);
        }
    }
}

/// The sum of the rows of `g`, after setting to 0 what comes from outputs that were cut off.
#[inline(always)]
fn sum_rows(g: &mut [f32], sums: &mut [f32], outputs: Option<&[f32]>) {
    let width = sums.len();
    sums.fill(0.0);
    for (r, row) in g.chunks_exact_mut(width).enumerate() {
        if let Some(outputs) = outputs {
            for (g, &out) in row.iter_mut().zip(&outputs[r * width..][..width]) {
                *g = if out > 0.0 { *g } else { 0.0 };
            }
        }
        for (sum, g) in sums.iter_mut().zip(row) {
            *sum += *g;
        }
    }
}

/// The mean cross-entropy, and its gradient by the logits, which are overwritten.
#[inline(always)]
fn cross_entropy(logits: &mut [f32], labels: &[usize], gradient: &mut [f32]) -> f64 {
    for row in logits.as_chunks_mut::<CLASSES>().0 {
        let largest = row.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
        row.iter_mut().for_each(|x| *x -= largest);
    }
    for (g, x) in gradient.iter_mut().zip(&*logits) {
        *g = exp32(*x);
    }
    let mut loss = 0.0_f64;
    let rows = gradient.as_chunks_mut::<CLASSES>().0.iter_mut();
    for ((row, x), &label) in rows.zip(logits.as_chunks::<CLASSES>().0).zip(labels) {
        let sum = row.iter().sum::<f32>();
        loss += f64::from(sum.ln() - x[label]);
        let scale = 1.0 / (sum * ROWS as f32);
        row.iter_mut().for_each(|g| *g *= scale);
        row[label] -= 1.0 / ROWS as f32;
    }
    loss / ROWS as f64
}
