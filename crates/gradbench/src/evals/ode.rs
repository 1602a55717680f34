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

/// One step of the method of Runge and Kutta of length `h` from `y`.
fn step<T: Elementary>(h: f64, x: &[T], y: &[T]) -> Vec<T> {
    let between = |part: f64, slope: &[T]| -> Vec<T> {
        y.iter().zip(slope).map(|(&y, &slope)| y + T::lit(part) * slope).collect()
    };
    let k1 = slope(x, y);
    let k2 = slope(x, &between(0.5 * h, &k1));
    let k3 = slope(x, &between(0.5 * h, &k2));
    let k4 = slope(x, &between(h, &k3));
    let mean = |i: usize| k1[i] + T::lit(2.0) * (k2[i] + k3[i]) + k4[i];
    (0..y.len()).map(|i| y[i] + T::lit(h / 6.0) * mean(i)).collect()
}

/// The right side of the equations.
fn slope<T: Elementary>(x: &[T], y: &[T]) -> Vec<T> {
    let before = std::iter::once(T::lit(1.0)).chain(y.iter().copied());
    x.iter().zip(before).map(|(&x, y)| x * y).collect()
}

/// The gradient of the last component.
///
/// One step is recorded once, and the program of its cotangents is made. The states between the steps are
/// computed on plain numbers and kept, and then the program is run for each of them, the last one first.
pub struct Gradient {
    input: Input,
    /// From `x`, `y` and the cotangent of the step's result to the cotangents of `x` and `y`.
    backward: Program,
    workspace: Workspace<f64>,
    arguments: Vec<f64>,
    cotangents: Vec<f64>,
    /// The states before each step.
    states: Vec<f64>,
    gradient: Vec<f64>,
}

impl Gradient {
    /// The gradient at a point.
    ///
    /// # Errors
    /// If there is not enough memory to keep a state for each step.
    pub fn new(input: &Input) -> Result<Self, Error> {
        let (n, h) = (input.x.len(), END / input.s as f64);
        let mut states = Vec::new();
        let enough =
            n.checked_mul(input.s).is_some_and(|all| states.try_reserve_exact(all).is_ok());
        if !enough {
            return Err(Error::input("there is not enough memory for so many steps"));
        }
        states.resize(n * input.s, 0.0);
        let forward = Program::record(2 * n, |x_and_y| {
            let (x, y) = x_and_y.split_at(n);
            step(h, x, y)
        })?;
        Ok(Gradient {
            input: input.clone(),
            backward: forward.vjp()?,
            workspace: Workspace::default(),
            arguments: vec![0.0; 3 * n],
            cotangents: vec![0.0; 2 * n],
            states,
            gradient: vec![0.0; n],
        })
    }

    /// What the last run has found.
    pub fn gradient(&self) -> &[f64] {
        &self.gradient
    }

    fn keep_states(&mut self) {
        let n = self.input.x.len();
        let (mut y, mut stages) = (vec![0.0; n], Stages::new(n));
        for state in self.states.chunks_exact_mut(n) {
            state.copy_from_slice(&y);
            self.input.advance(&mut y, &mut stages);
        }
    }
}

impl Job for Gradient {
    fn run(&mut self) -> Result<(), Error> {
        self.keep_states();
        let n = self.input.x.len();
        self.arguments[..n].copy_from_slice(&self.input.x);
        self.arguments[2 * n..].fill(0.0);
        self.arguments[3 * n - 1] = 1.0;
        self.gradient.fill(0.0);
        for state in self.states.chunks_exact(n).rev() {
            self.arguments[n..2 * n].copy_from_slice(state);
            self.backward.eval_into(&self.arguments, &mut self.cotangents, &mut self.workspace)?;
            let (of_x, of_y) = self.cotangents.split_at(n);
            self.gradient.iter_mut().zip(of_x).for_each(|(sum, g)| *sum += g);
            self.arguments[2 * n..].copy_from_slice(of_y);
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
