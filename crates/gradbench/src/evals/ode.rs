//! `ode`: the equations `y_0' = x_0`, `y_i' = x_i y_(i-1)`, from `y = 0` at time 0 to time 2 by `s` steps
//! of the method of Runge and Kutta of fourth order. The gradient is that of the last component.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use wengert::prelude::*;

use super::ready;
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

/// On how many components before its own a component of a step's result depends: on one for each stage.
const BEFORE: usize = 4;

/// What a component of the result depends on: elements of `x` and, one more, of `y`.
const GIVEN: usize = BEFORE + BEFORE + 1;

/// One component of a step's result as a function of the last `BEFORE` elements of `x` up to it, and the
/// last `BEFORE + 1` of `y`.
fn component(h: f64, given: &[Var]) -> Var {
    let (x, y) = given.split_at(BEFORE);
    // The slope of the first component is not needed.
    let x = [&[Var::lit(0.0)], x].concat();
    step(h, &x, y)[BEFORE]
}

/// How many components are computed at once: what is given and found for them should stay in the cache.
const CHUNK: usize = 1000;

/// The gradient of the last component.
///
/// What a step does to one component is recorded once, and the program of its cotangents is made. The states between
/// the steps are computed on plain numbers and kept, and then the program is run on all components of each of
/// them, the last one first.
///
/// Before the first component there are others here, so that all are alike: with `x = 0` and `y = 1` before it,
/// `y_0' = x_0 y_(-1)` too.
pub struct Gradient {
    input: Input,
    /// From what a component depends on and its cotangent to the cotangents of what it depends on.
    backward: Program,
    x: Vec<f64>,
    y: Vec<f64>,
    of_x: Vec<f64>,
    of_y: Vec<f64>,
    /// The cotangents of the step's result.
    of_result: Vec<f64>,
    found: [Vec<f64>; GIVEN],
    /// The states before each step.
    states: Vec<f64>,
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
        let backward = Program::record(GIVEN, |given| component(h, given))?.vjp()?;
        let padded = || vec![0.0; BEFORE + n];
        Ok(Gradient {
            input: input.clone(),
            backward: ready(backward, |_| false)?,
            x: padded(),
            y: padded(),
            of_x: padded(),
            of_y: padded(),
            of_result: padded(),
            found: std::array::from_fn(|_| vec![0.0; CHUNK]),
            states,
        })
    }

    /// What the last run has found.
    pub fn gradient(&self) -> &[f64] {
        &self.of_x[BEFORE..]
    }

    fn keep_states(&mut self) {
        let n = self.input.x.len();
        let (mut y, mut stages) = (vec![0.0; n], Stages::new(n));
        for state in self.states.chunks_exact_mut(n) {
            state.copy_from_slice(&y);
            self.input.advance(&mut y, &mut stages);
        }
    }

    /// Adds what the cotangents of some components of a step's result contribute to those of `x` and `y`.
    fn differentiate(&mut self, components: Range<usize>) -> Result<(), Error> {
        let (first, len) = (components.start, components.len());
        let given: [&[f64]; GIVEN + 1] = std::array::from_fn(|k| match k {
            0..BEFORE => &self.x[first + k + 1..][..len],
            BEFORE..GIVEN => &self.y[first + k - BEFORE..][..len],
            _ => &self.of_result[first + BEFORE..][..len],
        });
        let mut found = self.found.each_mut().map(|column| &mut column[..len]);
        self.backward.eval_many_into(&given, &mut found)?;
        for (k, found) in found.iter().enumerate() {
            let sums = match k {
                0..BEFORE => &mut self.of_x[first + k + 1..],
                _ => &mut self.of_y[first + k - BEFORE..],
            };
            sums.iter_mut().zip(&**found).for_each(|(sum, part)| *sum += part);
        }
        Ok(())
    }
}

impl Job for Gradient {
    fn run(&mut self) -> Result<(), Error> {
        self.keep_states();
        let n = self.input.x.len();
        self.x[BEFORE..].copy_from_slice(&self.input.x);
        self.y[BEFORE - 1] = 1.0;
        self.of_x.fill(0.0);
        self.of_result.fill(0.0);
        self.of_result[BEFORE + n - 1] = 1.0;
        for step in (0..self.input.s).rev() {
            self.y[BEFORE..].copy_from_slice(&self.states[step * n..][..n]);
            self.of_y.fill(0.0);
            for first in (0..n).step_by(CHUNK) {
                self.differentiate(first..n.min(first + CHUNK))?;
            }
            std::mem::swap(&mut self.of_result, &mut self.of_y);
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
