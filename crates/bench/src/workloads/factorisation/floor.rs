//! The step by hand: one pass over the ratings adds into the gradients, and Adam's pass over the
//! tables clears them again.

use wengert::prelude::Tensor;

use crate::floor::adam::{Adam, Parameter};
use crate::floor::math::vectorised;
use crate::formulas::weight;

const WIDTH: usize = 32;
const PENALTY: f32 = 1e-4 / 4096.0;

/// The model and its data.
pub(super) struct Model {
    u: Parameter,
    v: Parameter,
    bu: Parameter,
    bi: Parameter,
    /// User, item and rating.
    ratings: Vec<(usize, usize, f32)>,
    threads: usize,
    steps: u64,
}

impl Model {
    pub(super) fn new(
        users: &[usize],
        items: &[usize],
        ratings: &Tensor<f32>,
        threads: usize,
    ) -> Model {
        let pairs = users.iter().zip(items);
        Model {
            u: Parameter::new(weight(0, [6000, WIDTH]).as_slice()),
            v: Parameter::new(weight(1, [4000, WIDTH]).as_slice()),
            bu: Parameter::new(weight(2, [6000]).as_slice()),
            bi: Parameter::new(weight(3, [4000]).as_slice()),
            ratings: pairs.zip(ratings.iter()).map(|((&u, &v), &r)| (u, v, r)).collect(),
            threads,
            steps: 0,
        }
    }

    pub(super) fn step(&mut self) -> f64 {
        let loss = vectorised(
            #[inline(always)]
            || self.gradient(),
        );
        self.steps += 1;
        let adam = Adam::new(1e-2, self.steps);
        for parameter in [&mut self.u, &mut self.v, &mut self.bu, &mut self.bi] {
            parameter.update::<true>(adam, self.threads);
        }
        loss
    }

    #[inline(always)]
    fn gradient(&mut self) -> f64 {
        let n = self.ratings.len() as f32;
        let (u, gu) = rows(&mut self.u);
        let (v, gv) = rows(&mut self.v);
        let (bu, bi) = (&mut self.bu, &mut self.bi);
        let (mut squares, mut penalty) = (0.0_f64, [0.0_f32; WIDTH]);
        let mut of_biases = 0.0_f64;
        for &(i, j, rating) in &self.ratings {
            let (row_u, row_v) = (&u[i], &v[j]);
            let mut products = [0.0; WIDTH];
            for l in 0..WIDTH {
                products[l] = row_u[l] * row_v[l];
                penalty[l] += row_u[l].mul_add(row_u[l], row_v[l] * row_v[l]);
            }
            let error = sum(products) + bu.value[i] + bi.value[j] - rating;
            squares += f64::from(error * error);
            of_biases += f64::from(bu.value[i].powi(2) + bi.value[j].powi(2));
            let slope = 2.0 / n * error;
            let (gu, gv) = (&mut gu[i], &mut gv[j]);
            for l in 0..WIDTH {
                gu[l] += slope.mul_add(row_v[l], 2.0 * PENALTY * row_u[l]);
                gv[l] += slope.mul_add(row_u[l], 2.0 * PENALTY * row_v[l]);
            }
            bu.gradient[i] += slope + 2.0 * PENALTY * bu.value[i];
            bi.gradient[j] += slope + 2.0 * PENALTY * bi.value[j];
        }
        let penalty = f64::from(sum(penalty)) + of_biases;
        squares / f64::from(n) + f64::from(PENALTY) * penalty
    }
}

type Rows<'a> = (&'a [[f32; WIDTH]], &'a mut [[f32; WIDTH]]);

fn rows(table: &mut Parameter) -> Rows<'_> {
    (table.value.as_chunks().0, table.gradient.as_chunks_mut().0)
}

/// The sum of the lanes, in halves.
#[inline(always)]
fn sum(x: [f32; WIDTH]) -> f32 {
    let mut x = x;
    let mut width = WIDTH / 2;
    while width > 0 {
        for l in 0..width {
            x[l] += x[l + width];
        }
        width /= 2;
    }
    x[0]
}
