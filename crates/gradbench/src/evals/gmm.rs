//! `gmm`: the logarithm of the posterior probability of a mixture of `k` Gaussians in `d` dimensions, with
//! Wishart priors on the precisions, and its gradient.
//!
//! With `Q_k` the lower triangular matrix that has `exp(q_k)` on its diagonal and `l_k` below it, column by
//! column:
//!
//! `- n d / 2 ln(2 pi) + sum_i lse_k(alpha_k + sum q_k - 1/2 |Q_k (x_i - mu_k)|^2) - n lse(alpha)`
//! `- sum_k (gamma^2 / 2 |Q_k|^2 - m sum q_k) + k C`,
//!
//! where `C = d (d + m + 1) (ln gamma - 1/2 ln 2) - ln Gamma_d((d + m + 1) / 2)`.

use std::f64::consts::{LN_2, PI};

use serde::{Deserialize, Serialize};
use wengert::prelude::*;

use crate::error::expect_len;
use crate::job::{Answer, Call};
use crate::{Error, Job, Matrix, Objective};

/// The input of both functions.
#[derive(Clone, Debug, Deserialize)]
pub struct Input {
    /// The dimension.
    pub d: usize,
    /// The number of Gaussians.
    pub k: usize,
    /// The number of points.
    pub n: usize,
    /// The points, `[n, d]`.
    pub x: Matrix,
    /// The degrees of freedom of the prior are `d + m + 1`.
    pub m: u32,
    /// The scale of the prior.
    pub gamma: f64,
    /// The logarithms of the weights, but for a constant.
    pub alpha: Vec<f64>,
    /// The means, `[k, d]`.
    pub mu: Matrix,
    /// The logarithms of the diagonals, `[k, d]`.
    pub q: Matrix,
    /// What is below the diagonals, column by column, `[k, d (d - 1) / 2]`.
    pub l: Matrix,
}

impl Input {
    fn checked(self) -> Result<Self, Error> {
        let Input { d, k, n, x, gamma, alpha, mu, q, l, .. } = &self;
        if *d == 0 || *k == 0 || *n == 0 {
            return Err(Error::input("d, k and n should be at least 1"));
        }
        // The shapes of the others bound these, so the products below do not overflow.
        expect_len("the rows of x", x.rows, *n)?;
        expect_len("the columns of x", x.columns, *d)?;
        expect_len("the elements of alpha", alpha.len(), *k)?;
        for (name, matrix, columns) in [("mu", mu, *d), ("q", q, *d), ("l", l, d * (d - 1) / 2)] {
            expect_len(&format!("the rows of {name}"), matrix.rows, *k)?;
            expect_len(&format!("the columns of {name}"), matrix.columns, columns)?;
        }
        match *gamma > 0.0 {
            true => Ok(self),
            false => Err(Error::input("gamma should be positive")),
        }
    }

    /// The parts of the function that do not depend on what it is differentiated by.
    fn constant(&self) -> f64 {
        let (d, k, n) = (self.d as f64, self.k as f64, self.n as f64);
        let freedom = d + f64::from(self.m) + 1.0;
        let gammas = (0..self.d).map(|j| libm::lgamma(0.5 * (freedom - j as f64))).sum::<f64>();
        let log_gamma = 0.25 * d * (d - 1.0) * PI.ln() + gammas;
        let c = freedom * d * (self.gamma.ln() - 0.5 * LN_2) - log_gamma;
        k * c - 0.5 * n * d * (2.0 * PI).ln()
    }

    /// The function on plain numbers.
    pub fn objective(&self) -> f64 {
        let (d, k) = (self.d, self.k);
        let diagonals: Vec<f64> = self.q.data.iter().map(|q| q.exp()).collect();
        let sums_q: Vec<f64> = (0..k).map(|k| self.q.row(k).iter().sum()).collect();
        let mut centred = vec![0.0; d];
        let mut product = vec![0.0; d];
        let mut terms = vec![0.0; k];
        let mut value = self.constant() - self.n as f64 * log_sum_exp(&self.alpha);
        for x in self.x.iter_rows() {
            for (k, term) in terms.iter_mut().enumerate() {
                for ((centred, x), mu) in centred.iter_mut().zip(x).zip(self.mu.row(k)) {
                    *centred = x - mu;
                }
                let diagonal = &diagonals[k * d..][..d];
                for ((product, q), centred) in product.iter_mut().zip(diagonal).zip(&centred) {
                    *product = q * centred;
                }
                let mut below = self.l.row(k);
                for (j, &centred) in centred.iter().enumerate() {
                    let (column, rest) = below.split_at(d - 1 - j);
                    for (product, l) in product[j + 1..].iter_mut().zip(column) {
                        *product += l * centred;
                    }
                    below = rest;
                }
                *term = self.alpha[k] + sums_q[k] - 0.5 * sum_of_squares(&product);
            }
            value += log_sum_exp(&terms);
        }
        let norm = sum_of_squares(&diagonals) + sum_of_squares(&self.l.data);
        value - 0.5 * self.gamma * self.gamma * norm
            + f64::from(self.m) * sums_q.iter().sum::<f64>()
    }
}

fn sum_of_squares(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum()
}

fn log_sum_exp(x: &[f64]) -> f64 {
    let a = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    a + x.iter().map(|x| (x - a).exp()).sum::<f64>().ln()
}

/// The gradient, in the shapes of the input.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Independent {
    /// By `alpha`.
    pub alpha: Vec<f64>,
    /// By `mu`.
    pub mu: Matrix,
    /// By `q`.
    pub q: Matrix,
    /// By `l`.
    pub l: Matrix,
}

/// The job of finding the gradient.
pub struct Gradient {
    tape: Tape,
    input: Input,
    /// The points, a column each.
    points: Tensor,
    alpha: Tensor,
    mu: Tensor,
    q: Tensor,
    l: Tensor,
    /// Where each element of a triangular matrix stands in the row `exp(q), l, 0`.
    places: Indices,
    gradient: Independent,
}

impl Gradient {
    /// The gradient at a point.
    pub fn new(input: &Input) -> Self {
        let (d, x) = (input.d, &input.x);
        Gradient {
            tape: Tape::new(),
            points: Tensor::from_fn([d, input.n], |[j, i]| x.data[i * d + j]),
            alpha: Tensor::from(input.alpha.as_slice()),
            mu: input.mu.tensor(),
            q: input.q.tensor(),
            l: input.l.tensor(),
            places: places(d),
            gradient: Independent::default(),
            input: input.clone(),
        }
    }

    /// What the last run has found.
    pub fn gradient(&self) -> &Independent {
        &self.gradient
    }

    /// The function on recorded tensors. All products `Q_k x_i` are one product of matrices.
    fn record(&self, alpha: TensorVar, mu: TensorVar, q: TensorVar, l: TensorVar) -> TensorVar {
        let Input { d, k, n, m, gamma, .. } = self.input;
        let diagonal = q.exp();
        let sums_q = q.sum_axes(1);
        let zeros = self.tape.constant(Tensor::zeros([k, 1]));
        let triangles = concat(&[diagonal, l, zeros], 1).index_select(1, self.places.clone());

        let products = triangles.reshape([k * d, d]).matmul(self.tape.constant(&self.points));
        let centres = triangles.reshape([k, d, d]).matmul(mu.reshape([k, d, 1]));
        let squares = (products.reshape([k, d, n]) - centres).square().sum_axes(1);
        let terms = (alpha + sums_q).reshape([k, 1]) - 0.5 * squares;
        let likelihood = terms.logsumexp_axes(0).sum() - n as f64 * alpha.logsumexp();

        let norm = diagonal.square().sum() + l.square().sum();
        let prior = f64::from(m) * sums_q.sum() - 0.5 * gamma * gamma * norm;
        likelihood + prior + self.input.constant()
    }
}

/// For each element of a lower triangular matrix, row by row, its place in the row of its diagonal, then
/// what is below it column by column, and then a zero.
fn places(d: usize) -> Indices {
    let column = |c: usize| d + c * (d - 1) - c * c.saturating_sub(1) / 2;
    let place = |(r, c): (usize, usize)| match r.cmp(&c) {
        std::cmp::Ordering::Equal => r,
        std::cmp::Ordering::Greater => column(c) + r - c - 1,
        std::cmp::Ordering::Less => d + d * (d - 1) / 2,
    };
    (0..d).flat_map(|r| (0..d).map(move |c| (r, c))).map(place).collect::<Vec<_>>().into()
}

impl Job for Gradient {
    fn run(&mut self) -> Result<(), Error> {
        self.tape.reset();
        let inputs = [&self.alpha, &self.mu, &self.q, &self.l];
        let [alpha, mu, q, l] = inputs.map(|tensor| self.tape.tensor(tensor));
        let g = self.record(alpha, mu, q, l).backward()?;
        let matrix = |v: TensorVar| {
            let g = g.wrt(v);
            Matrix::new(g.shape()[0], g.shape()[1], g.to_vec())
        };
        self.gradient = Independent {
            alpha: g.wrt(alpha).to_vec(),
            mu: matrix(mu),
            q: matrix(q),
            l: matrix(l),
        };
        Ok(())
    }

    fn output(&self) -> impl Serialize {
        self.gradient()
    }
}

pub(crate) fn evaluate(function: &str, call: &Call<'_>) -> Result<Answer, Error> {
    let input = call.input::<Input>()?.checked()?;
    match function {
        "objective" => call.repeat(|| Ok(Objective::new(|| input.objective()))),
        "jacobian" => call.repeat(|| Ok(Gradient::new(&input))),
        _ => Err(Error::Function { module: "gmm", function: function.to_owned() }),
    }
}
