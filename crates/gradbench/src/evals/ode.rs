//! `ode`: the equations `y_0' = x_0`, `y_i' = x_i y_(i-1)`, from `y = 0` at time 0 to time 2 by `s` steps
//! of the method of Runge and Kutta of fourth order. The gradient is that of the last component.

use serde::{Deserialize, Serialize};
use wengert::prelude::*;

use crate::job::{Answer, Call};
use crate::{Error, Job, Objective};

/// The time at the end.
const END: f64 = 2.0;

/// The input of both functions.
#[derive(Clone, Debug, Deserialize)]
pub struct Input {
    /// The factors.
    pub x: Vec<f64>,
    /// The number of steps.
    pub s: usize,
}

impl Input {
    fn checked(self) -> Result<Self, Error> {
        match self.x.is_empty() {
            true => Err(Error::input("x should have at least one element")),
            false => Ok(self),
        }
    }

    /// The solution at the end, on plain numbers.
    pub fn primal(&self) -> Vec<f64> {
        let (n, h) = (self.x.len(), END / self.s as f64);
        let mut y = vec![0.0; n];
        let mut slopes = [vec![0.0; n], vec![0.0; n], vec![0.0; n], vec![0.0; n]];
        let mut between = vec![0.0; n];
        for _ in 0..self.s {
            self.slope(&y, &mut slopes[0]);
            for (k, part) in [0.5 * h, 0.5 * h, h].into_iter().enumerate() {
                for ((between, y), slope) in between.iter_mut().zip(&y).zip(&slopes[k]) {
                    *between = y + part * slope;
                }
                self.slope(&between, &mut slopes[k + 1]);
            }
            let [k1, k2, k3, k4] = &slopes;
            let slopes = k1.iter().zip(k2).zip(k3.iter().zip(k4));
            for (y, ((k1, k2), (k3, k4))) in y.iter_mut().zip(slopes) {
                *y += h * (k1 + 2.0 * k2 + 2.0 * k3 + k4) / 6.0;
            }
        }
        y
    }

    fn slope(&self, y: &[f64], slope: &mut [f64]) {
        slope[0] = self.x[0];
        for ((slope, x), y) in slope[1..].iter_mut().zip(&self.x[1..]).zip(y) {
            *slope = x * y;
        }
    }
}

/// One step of the method of Runge and Kutta of length `h` from `y`, for numbers or tensors.
fn step<T: Elementary>(h: f64, y: T, slope: impl Fn(T) -> T) -> T {
    let (half, two) = (T::lit(0.5 * h), T::lit(2.0));
    let k1 = slope(y);
    let k2 = slope(y + half * k1);
    let k3 = slope(y + half * k2);
    let k4 = slope(y + T::lit(h) * k3);
    y + T::lit(h / 6.0) * (k1 + two * k2 + two * k3 + k4)
}

/// The gradient of the last component.
pub struct Gradient {
    tape: Tape,
    steps: usize,
    x: Tensor,
    gradient: Tensor,
}

impl Gradient {
    /// The gradient at a point.
    pub fn new(input: &Input) -> Self {
        Gradient {
            tape: Tape::new(),
            steps: input.s,
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
        let (n, h) = (self.x.len(), END / self.steps as f64);
        let x = self.tape.tensor(&self.x);
        let one = self.tape.constant([1.0]);
        let mut y = self.tape.constant(Tensor::zeros([n]));
        for _ in 0..self.steps {
            y = step(h, y, |y| x * concat(&[one, y.narrow(0, 0, n - 1)], 0));
        }
        self.gradient = y.select(0, n - 1).backward()?.wrt(x);
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
        _ => Err(Error::Function { module: "ode", function: function.to_owned() }),
    }
}
