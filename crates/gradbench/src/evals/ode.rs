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
        let mut y = vec![0.0; self.x.len()];
        let mut stages = Stages::new(self.x.len());
        for _ in 0..self.s {
            self.advance(&mut y, &mut stages);
        }
        y
    }

    /// One step on plain numbers.
    fn advance(&self, y: &mut [f64], Stages { slopes, between }: &mut Stages) {
        let h = END / self.s as f64;
        self.slope(y, &mut slopes[0]);
        for (k, part) in [0.5 * h, 0.5 * h, h].into_iter().enumerate() {
            for ((between, y), slope) in between.iter_mut().zip(&*y).zip(&slopes[k]) {
                *between = y + part * slope;
            }
            self.slope(between, &mut slopes[k + 1]);
        }
        let [k1, k2, k3, k4] = slopes;
        let slopes = k1.iter().zip(k2).zip(k3.iter().zip(k4));
        for (y, ((k1, k2), (k3, k4))) in y.iter_mut().zip(slopes) {
            *y += h * (*k1 + 2.0 * *k2 + 2.0 * *k3 + *k4) / 6.0;
        }
    }

    fn slope(&self, y: &[f64], slope: &mut [f64]) {
        slope[0] = self.x[0];
        for ((slope, x), y) in slope[1..].iter_mut().zip(&self.x[1..]).zip(y) {
            *slope = x * y;
        }
    }
}

/// What a step needs besides.
struct Stages {
    slopes: [Vec<f64>; 4],
    between: Vec<f64>,
}

impl Stages {
    fn new(n: usize) -> Self {
        Stages { slopes: std::array::from_fn(|_| vec![0.0; n]), between: vec![0.0; n] }
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
///
/// A recording of all steps would not stay in the cache. So the states between the steps are computed on
/// plain numbers and kept, and then each step, the last one first, is recorded for itself and passed
/// backward by the cotangent of its result.
pub struct Gradient {
    tape: Tape,
    input: Input,
    x: Tensor,
    /// The states before each step.
    states: Vec<Tensor>,
    gradient: Vec<f64>,
}

impl Gradient {
    /// The gradient at a point.
    ///
    /// # Errors
    /// If there is not enough memory to keep a state for each step.
    pub fn new(input: &Input) -> Result<Self, Error> {
        let n = input.x.len();
        let mut memory = Vec::<f64>::new();
        let enough = n.checked_mul(input.s).is_some_and(|all| memory.try_reserve(all).is_ok());
        if !enough {
            return Err(Error::input("there is not enough memory for so many steps"));
        }
        drop(memory);
        Ok(Gradient {
            tape: Tape::new(),
            x: Tensor::from(input.x.as_slice()),
            states: (0..input.s).map(|_| Tensor::zeros([n])).collect(),
            gradient: vec![0.0; n],
            input: input.clone(),
        })
    }

    /// What the last run has found.
    pub fn gradient(&self) -> &[f64] {
        &self.gradient
    }

    fn keep_states(&mut self) {
        let n = self.input.x.len();
        let (mut y, mut stages) = (vec![0.0; n], Stages::new(n));
        for state in &mut self.states {
            state.as_mut_slice().copy_from_slice(&y);
            self.input.advance(&mut y, &mut stages);
        }
    }
}

/// The right side of the equations on recorded tensors.
fn slope(x: TensorVar, y: TensorVar, one: TensorVar) -> TensorVar {
    let before = y.narrow(0, 0, y.shape()[0] - 1);
    x * concat(&[one, before], 0)
}

impl Job for Gradient {
    fn run(&mut self) -> Result<(), Error> {
        // The last recording holds the buffer of a state.
        self.tape.reset();
        self.keep_states();
        let (n, h) = (self.input.x.len(), END / self.input.s as f64);
        let mut cotangent = Tensor::zeros([n]);
        cotangent[[n - 1]] = 1.0;
        self.gradient.fill(0.0);
        for state in self.states.iter().rev() {
            self.tape.reset();
            let [x, y] = [&self.x, state].map(|tensor| self.tape.tensor(tensor));
            let one = self.tape.constant([1.0]);
            let gradients = step(h, y, |y| slope(x, y, one)).vjp(cotangent)?;
            self.gradient.iter_mut().zip(gradients.wrt(x).iter()).for_each(|(sum, g)| *sum += g);
            cotangent = gradients.wrt(y);
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
        "gradient" => call.repeat(|| Gradient::new(&input)),
        _ => Err(Error::Function { module: "ode", function: function.to_owned() }),
    }
}
