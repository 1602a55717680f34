//! `llsq`: the squared error of a polynomial that is to be the sign function on `[-1, 1]`:
//!
//! `y(x) = 1/2 sum_i (sign(t_i) - sum_j x_j t_i^j)^2` with `t_i = -1 + 2 i / (n - 1)`.

use serde::{Deserialize, Serialize};
use wengert::prelude::*;

use crate::job::{Answer, Call};
use crate::{Error, Job, Objective};

/// The input of both functions.
#[derive(Clone, Debug, Deserialize)]
pub struct Input {
    /// The coefficients of the polynomial.
    pub x: Vec<f64>,
    /// How many points there are.
    pub n: usize,
}

impl Input {
    fn checked(self) -> Result<Self, Error> {
        if self.x.is_empty() {
            return Err(Error::input("x should have at least one element"));
        }
        if self.n < 2 {
            return Err(Error::input("n should be at least 2: the points divide by n - 1"));
        }
        Ok(self)
    }

    fn point(&self, i: usize) -> f64 {
        -1.0 + i as f64 * 2.0 / (self.n - 1) as f64
    }

    /// The function on plain numbers.
    pub fn primal(&self) -> f64 {
        let mut sum = 0.0;
        for i in 0..self.n {
            let t = self.point(i);
            let mut residual = sign(t);
            let mut power = 1.0;
            for x in &self.x {
                residual -= x * power;
                power *= t;
            }
            sum += residual * residual;
        }
        0.5 * sum
    }
}

/// The sign, which is 0 at 0.
fn sign(t: f64) -> f64 {
    f64::from(t > 0.0) - f64::from(t < 0.0)
}

/// How many points are on the tape at once: their powers should stay in the cache.
const BLOCK: usize = 256;

/// The gradient. It is a sum over the points, so they go over the tape block by block, each with the
/// matrix of its powers: `1/2 |s - x P|^2`.
pub struct Gradient {
    input: Input,
    tape: Tape,
    x: Tensor,
    /// The powers of the points of a block: row `j` is `t^j`.
    powers: Tensor,
    /// The signs of the points of a block.
    signs: Tensor,
    gradient: Vec<f64>,
}

impl Gradient {
    /// The gradient at a point.
    pub fn new(input: &Input) -> Self {
        let m = input.x.len();
        Gradient {
            input: input.clone(),
            tape: Tape::new(),
            x: Tensor::from(input.x.as_slice()),
            powers: Tensor::zeros([m, BLOCK.min(input.n)]),
            signs: Tensor::zeros([BLOCK.min(input.n)]),
            gradient: vec![0.0; m],
        }
    }

    /// What the last run has found.
    pub fn gradient(&self) -> &[f64] {
        &self.gradient
    }

    /// The powers and signs of `len` points from `first` on.
    fn fill(&mut self, first: usize, len: usize) {
        let m = self.input.x.len();
        if self.signs.len() != len {
            (self.powers, self.signs) = (Tensor::zeros([m, len]), Tensor::zeros([len]));
        }
        let input = &self.input;
        let t: Vec<f64> = (first..first + len).map(|i| input.point(i)).collect();
        for (s, &t) in self.signs.as_mut_slice().iter_mut().zip(&t) {
            *s = sign(t);
        }
        let powers = self.powers.as_mut_slice();
        powers[..len].fill(1.0);
        for j in 1..m {
            let (before, row) = powers[(j - 1) * len..].split_at_mut(len);
            for ((power, before), t) in row.iter_mut().zip(before).zip(&t) {
                *power = *before * t;
            }
        }
    }
}

impl Job for Gradient {
    fn run(&mut self) -> Result<(), Error> {
        self.gradient.fill(0.0);
        for first in (0..self.input.n).step_by(BLOCK) {
            // The recording before holds the buffers that are filled here.
            self.tape.reset();
            self.fill(first, BLOCK.min(self.input.n - first));
            let x = self.tape.tensor(&self.x);
            let residuals = &self.signs - x.matmul(self.tape.constant(&self.powers));
            let error = 0.5 * residuals.square().sum();
            let part = error.backward()?.wrt(x);
            self.gradient.iter_mut().zip(part.iter()).for_each(|(sum, part)| *sum += part);
        }
        Ok(())
    }

    fn output(&self) -> impl Serialize {
        self.gradient()
    }
}

pub(crate) fn evaluate(function: &str, call: &Call<'_>) -> Result<Answer, Error> {
    let input = call.input::<Input>()?.checked()?;
    match function {
        "primal" => call.repeat(|| Ok(Objective::new(|| input.primal()))),
        "gradient" => call.repeat(|| Ok(Gradient::new(&input))),
        _ => Err(Error::Function { module: "llsq", function: function.to_owned() }),
    }
}
