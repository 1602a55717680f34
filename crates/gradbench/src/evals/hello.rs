//! `hello`: the square of a number, and its derivative.

use serde::Serialize;
use wengert::prelude::*;

use crate::job::{Answer, Call};
use crate::{Error, Job, Objective};

/// `x^2`.
pub fn square<T: Elementary>(x: T) -> T {
    x * x
}

/// The derivative of [`square`].
pub struct Double {
    tape: Tape,
    x: f64,
    derivative: f64,
}

impl Double {
    /// The derivative at `x`.
    pub fn new(x: f64) -> Self {
        Double { tape: Tape::new(), x, derivative: 0.0 }
    }
}

impl Job for Double {
    fn run(&mut self) -> Result<(), Error> {
        self.tape.reset();
        let x = self.tape.var(self.x);
        self.derivative = square(x).backward()?.wrt(x);
        Ok(())
    }

    fn output(&self) -> impl Serialize {
        self.derivative
    }
}

/// The input is a number and says nothing of runs: one it is.
pub(crate) fn evaluate(function: &str, call: &Call<'_>) -> Result<Answer, Error> {
    let x: f64 = call.input()?;
    match function {
        "square" => call.once(|| Ok(Objective::new(|| square(x)))),
        "double" => call.once(|| Ok(Double::new(x))),
        _ => Err(Error::Function { module: "hello", function: function.to_owned() }),
    }
}
