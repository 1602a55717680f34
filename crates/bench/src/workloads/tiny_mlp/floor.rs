//! The step by hand: ten units are one vector of 16 lanes, and the matrix products are three loops.

use wengert::prelude::Tensor;

use crate::floor::adam::Adam;
use crate::floor::math::vectorised;
use crate::formulas::weight;

const ROWS: usize = 32;
const INPUTS: usize = 13;
const LANES: usize = 16;

/// All numbers of the model as rows of 16 lanes: W1, b1, W2, and b2 in the first lane of the last.
type Numbers = [[f32; LANES]; INPUTS + 3];

const B1: usize = INPUTS;
const W2: usize = INPUTS + 1;
const B2: usize = INPUTS + 2;

/// The model, its gradient, and Adam's two means.
pub(super) struct Model {
    x: [[f32; INPUTS]; ROWS],
    y: [f32; ROWS],
    value: Numbers,
    mean: Numbers,
    square: Numbers,
    steps: u64,
}

impl Model {
    pub(super) fn new(x: &Tensor<f32>, y: &Tensor<f32>) -> Model {
        let mut value = [[0.0; LANES]; INPUTS + 3];
        let rows = weight(0, [INPUTS, 10]);
        for (row, w) in value.iter_mut().zip(rows.as_slice().chunks_exact(10)) {
            row[..10].copy_from_slice(w);
        }
        value[B1][..10].copy_from_slice(weight(1, [10]).as_slice());
        value[W2][..10].copy_from_slice(weight(2, [10, 1]).as_slice());
        value[B2][0] = weight(3, [1]).as_slice()[0];
        let zeros = [[0.0; LANES]; INPUTS + 3];
        Model {
            x: x.as_slice().as_chunks::<INPUTS>().0.try_into().expect("32 rows"),
            y: y.as_slice().try_into().expect("32 targets"),
            value,
            mean: zeros,
            square: zeros,
            steps: 0,
        }
    }

    pub(super) fn step(&mut self) -> f64 {
        self.steps += 1;
        let (loss, mut gradient) = vectorised(
            #[inline(always)]
            || self.gradient(),
        );
        Adam::new(1e-3, self.steps).update::<false>(
            self.value.as_flattened_mut(),
            gradient.as_flattened_mut(),
            self.mean.as_flattened_mut(),
            self.square.as_flattened_mut(),
        );
        loss
    }

    #[inline(always)]
    fn gradient(&self) -> (f64, Numbers) {
        let value = &self.value;
        let mut hidden = [[0.0; LANES]; ROWS];
        let mut slopes = [0.0; ROWS];
        let mut loss = 0.0;
        for r in 0..ROWS {
            let mut h = value[B1];
            for (x, w) in self.x[r].iter().zip(value) {
                add_scaled(*x, w, &mut h);
            }
            hidden[r] = h.map(|h| h.max(0.0));
            let mut products = [0.0; LANES];
            for l in 0..LANES {
                products[l] = hidden[r][l] * value[W2][l];
            }
            let error = sum(products) + value[B2][0] - self.y[r];
            loss += error * error;
            slopes[r] = error * (2.0 / ROWS as f32);
        }
        let mut gradient = [[0.0; LANES]; INPUTS + 3];
        for r in 0..ROWS {
            let mut g = [0.0; LANES];
            for l in 0..LANES {
                g[l] = if hidden[r][l] > 0.0 { slopes[r] * value[W2][l] } else { 0.0 };
                gradient[B1][l] += g[l];
            }
            add_scaled(slopes[r], &hidden[r], &mut gradient[W2]);
            gradient[B2][0] += slopes[r];
            for (x, sum) in self.x[r].iter().zip(&mut gradient) {
                add_scaled(*x, &g, sum);
            }
        }
        (f64::from(loss / ROWS as f32), gradient)
    }
}

/// `sum += a x`, lane by lane.
#[inline(always)]
fn add_scaled(a: f32, x: &[f32; LANES], sum: &mut [f32; LANES]) {
    for (sum, x) in sum.iter_mut().zip(x) {
        *sum = a.mul_add(*x, *sum);
    }
}

/// The sum of the lanes, in halves.
#[inline(always)]
fn sum(x: [f32; LANES]) -> f32 {
    let mut x = x;
    let mut width = LANES / 2;
    while width > 0 {
        for l in 0..width {
            x[l] += x[l + width];
        }
        width /= 2;
    }
    x[0]
}
