//! The step by hand: one compiled loop for the value and both gradients.

use wengert::prelude::Tensor;

use crate::floor::math::{exp32, ln32, sum32, vectorised};

const BLOCK: usize = 2048;

/// The data and the gradients.
pub(super) struct Model {
    a: Tensor<f32>,
    b: Tensor<f32>,
    x: Tensor<f32>,
    y: Tensor<f32>,
    ga: Vec<f32>,
    gb: Vec<f32>,
    threads: usize,
}

impl Model {
    pub(super) fn new(
        a: &Tensor<f32>,
        b: &Tensor<f32>,
        x: &Tensor<f32>,
        y: &Tensor<f32>,
        threads: usize,
    ) -> Model {
        let zeros = vec![0.0; a.len()];
        let (a, b, x, y) = (a.clone(), b.clone(), x.clone(), y.clone());
        Model { a, b, x, y, ga: zeros.clone(), gb: zeros, threads }
    }

    pub(super) fn gradients(&self) -> [&[f32]; 2] {
        [&self.ga, &self.gb]
    }

    pub(super) fn step(&mut self) -> f64 {
        let n = self.a.len();
        let inputs = [&self.a, &self.b, &self.x, &self.y].map(Tensor::as_slice);
        let (ga, gb) = (&mut self.ga, &mut self.gb);
        let sum = if self.threads == 1 {
            gradient(inputs, ga, gb, n)
        } else {
            let half = (n / 2).next_multiple_of(BLOCK);
            let (ga0, ga1) = ga.split_at_mut(half);
            let (gb0, gb1) = gb.split_at_mut(half);
            let (first, second) = rayon::join(
                || gradient(inputs.map(|x| &x[..half]), ga0, gb0, n),
                || gradient(inputs.map(|x| &x[half..]), ga1, gb1, n),
            );
            first + second
        };
        sum / n as f64
    }
}

/// The sum of the terms of a part of the `n` elements, and the gradients of their mean.
fn gradient(inputs: [&[f32]; 4], ga: &mut [f32], gb: &mut [f32], n: usize) -> f64 {
    let scale = 1.0 / n as f32;
    let mut total = 0.0;
    vectorised(
        #[inline(always)]
        || {
            let mut terms = [0.0_f32; BLOCK];
            for start in (0..ga.len()).step_by(BLOCK) {
                let end = ga.len().min(start + BLOCK);
                let [a, b, x, y] = inputs.map(|x| &x[start..end]);
                let terms = &mut terms[..end - start];
                let out = ga[start..end].iter_mut().zip(&mut gb[start..end]).zip(&mut *terms);
                for ((((out, a), b), x), y) in out.zip(a).zip(b).zip(x).zip(y) {
                    let ((ga, gb), term) = out;
                    let z = a.mul_add(*x, *b) - y;
                    let root = z.mul_add(z, 1.0).sqrt();
                    let e = exp32(-y * a);
                    *term = root - 1.0 + 0.1_f32.mul_add(a.abs(), ln32(1.0 + e));
                    let slope = z / root;
                    let sign = if *a > 0.0 { 0.1 } else { -0.1 };
                    let sign = if *a == 0.0 { 0.0 } else { sign };
                    *ga = scale * (slope.mul_add(*x, sign) - y * e / (1.0 + e));
                    *gb = scale * slope;
                }
                total += f64::from(sum32(terms));
            }
        },
    );
    total
}
