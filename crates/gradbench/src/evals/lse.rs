//! `lse`: the logarithm of a sum of exponentials, `a + ln sum_i exp(x_i - a)` with `a = max x`.

use serde::{Deserialize, Serialize};
use wengert::prelude::*;

use crate::job::{Answer, Call};
use crate::{Error, Job, Objective};

/// The input of both functions.
#[derive(Clone, Debug, Deserialize)]
pub struct Input {
    /// The point.
    pub x: Vec<f64>,
}

impl Input {
    fn checked(self) -> Result<Self, Error> {
        match self.x.is_empty() {
            true => Err(Error::input("x should have at least one element")),
            false => Ok(self),
        }
    }

    /// The function on plain numbers.
    pub fn primal(&self) -> f64 {
        let a = self.x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        a + self.x.iter().map(|x| (x - a).exp()).sum::<f64>().ln()
    }
}

/// The function on a recorded tensor. The largest element is there for the exponentials not to
/// overflow, and the result does not depend on what stands in its place; so no cotangent need pass it.
fn log_sum_exp(x: TensorVar) -> TensorVar {
    let a = x.amax().stop_gradient();
    let exponentials = (x - a).exp();
    // Computed here, or the sum and the gradient would each do it.
    exponentials.value();
    exponentials.sum().ln() + a
}

/// The gradient.
pub struct Gradient {
    tape: Tape,
    x: Tensor,
    gradient: Tensor,
}

impl Gradient {
    /// The gradient at a point.
    pub fn new(input: &Input) -> Self {
        Gradient {
            tape: Tape::new(),
            x: Tensor::from(input.x.as_slice()),
            gradient: Tensor::zeros([0]),
        }
    }

    /// What the last run has found.
    pub fn gradient(&self) -> &[f64] {
        self.gradient.as_slice()
    }
}

impl Job for Gradient {
    fn run(&mut self) -> Result<(), Error> {
        self.tape.reset();
        let x = self.tape.tensor(&self.x);
        self.gradient = log_sum_exp(x).backward()?.wrt(x);
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
        _ => Err(Error::Function { module: "lse", function: function.to_owned() }),
    }
}
