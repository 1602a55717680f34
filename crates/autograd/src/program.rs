//! Derivatives of programs, which are programs.
//!
//! The sweep of a recorded program is recorded behind it, and the two together are made a program again. So
//! there is nothing here that a derivative of any order would need: it is the derivative of a derivative.

use std::panic::Location;

use tape::engine::Recording;
use tape::{Program, ProgramError, Real, TensorVar, Var};

use crate::forward::Forward;
use crate::{Differentiate, Error};

/// Derivatives of a [`Program`], each of them a program.
///
/// Each is an error, [`ProgramError::NoDerivative`], where it would need a derivative that a function of a user
/// does not state ([`External`](tape::External)).
///
/// ```
/// use autograd::DifferentiateProgram;
/// use tape::Program;
///
/// let p = Program::record(2, |x| x[0] * x[0] * x[1])?;
/// assert_eq!(p.gradient()?.eval(&[3.0, 4.0])?, [24.0, 9.0]);
/// assert_eq!(p.hessian()?.eval(&[3.0, 4.0])?, [8.0, 6.0, 6.0, 0.0]);
/// assert_eq!(p.gradient()?.gradient_of(1)?.eval(&[3.0, 4.0])?, [6.0, 0.0]);
/// # Ok::<(), tape::ProgramError>(())
/// ```
pub trait DifferentiateProgram<E: Real>: Sized {
    /// The gradient of the only output: `inputs` numbers.
    ///
    /// # Errors
    /// [`ProgramError::Count`] if there is not exactly one output.
    #[track_caller]
    fn gradient(&self) -> Result<Self, ProgramError>;

    /// The only output and behind it the gradient: `1 + inputs` numbers.
    ///
    /// # Errors
    /// As [`gradient`](DifferentiateProgram::gradient).
    #[track_caller]
    fn value_and_gradient(&self) -> Result<Self, ProgramError>;

    /// The gradient of output `k`.
    ///
    /// # Errors
    /// [`ProgramError::Count`] if there is no such output.
    #[track_caller]
    fn gradient_of(&self, k: usize) -> Result<Self, ProgramError>;

    /// The cotangents of the inputs, `cotangent^T J(x)`, as a program of the inputs and, behind them, the
    /// cotangents of the outputs.
    #[track_caller]
    fn vjp(&self) -> Result<Self, ProgramError>;

    /// The tangents of the outputs, `J(x) tangent`, as a program of the inputs and, behind them, their
    /// tangents.
    #[track_caller]
    fn jvp(&self) -> Result<Self, ProgramError>;

    /// All partial derivatives, row after row: `outputs * inputs` numbers. By forward mode where there are
    /// fewer inputs than outputs, else by reverse mode.
    #[track_caller]
    fn jacobian(&self) -> Result<Self, ProgramError>;

    /// [`jacobian`](DifferentiateProgram::jacobian) by forward mode: one pass for each input.
    #[track_caller]
    fn jacobian_forward(&self) -> Result<Self, ProgramError>;

    /// [`jacobian`](DifferentiateProgram::jacobian) by reverse mode: one pass for each output.
    #[track_caller]
    fn jacobian_reverse(&self) -> Result<Self, ProgramError>;

    /// The second derivatives of the only output, row after row: `inputs * inputs` numbers.
    ///
    /// # Errors
    /// As [`gradient`](DifferentiateProgram::gradient).
    #[track_caller]
    fn hessian(&self) -> Result<Self, ProgramError>;

    /// The Hessian of the only output times a vector, as a program of the inputs and, behind them, the
    /// vector.
    ///
    /// # Errors
    /// As [`gradient`](DifferentiateProgram::gradient).
    #[track_caller]
    fn hvp(&self) -> Result<Self, ProgramError>;

    /// Applies the program at every place of tensors that broadcast, as one recorded operation that can be
    /// differentiated to any order. The result has one tensor for each output.
    ///
    /// ```
    /// use autograd::{Differentiate, DifferentiateProgram};
    /// use tape::{Program, Tape, Tensor};
    ///
    /// let p = Program::record(2, |x| x[0] * x[1].sin())?;
    /// let tape = Tape::new();
    /// let (a, b) = (tape.tensor([1.0, 2.0]), tape.tensor([[0.0], [3.0]]));
    /// let y = p.map(&[a, b])[0];
    /// assert_eq!(y.value(), (a * b.sin()).value());
    /// assert_eq!(y.sum().backward()?.wrt(a), Tensor::from([3f64.sin(); 2]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    /// Where [`try_map`](DifferentiateProgram::try_map) returns an error, and as
    /// [`apply_op`](tape::apply_op).
    #[track_caller]
    fn map(&self, inputs: &[TensorVar<E>]) -> Vec<TensorVar<E>>;

    /// [`map`](DifferentiateProgram::map) with errors as values.
    ///
    /// # Errors
    /// If there are not as many tensors as inputs, if they do not broadcast, or if a comparison turns out
    /// differently at some place than when the program was recorded.
    #[track_caller]
    fn try_map(&self, inputs: &[TensorVar<E>]) -> Result<Vec<TensorVar<E>>, tape::Error>;
}

impl<E: Real> DifferentiateProgram<E> for Program<E> {
    #[track_caller]
    fn gradient(&self) -> Result<Self, ProgramError> {
        only_output(self)?;
        self.gradient_of(0)
    }

    #[track_caller]
    fn value_and_gradient(&self) -> Result<Self, ProgramError> {
        only_output(self)?;
        extended(self, 0, |x, y, _| Ok([vec![y[0]], gradient(y[0], x)?].concat()))
    }

    #[track_caller]
    fn gradient_of(&self, k: usize) -> Result<Self, ProgramError> {
        let output = self.select(&[k])?;
        extended(&output, 0, |x, y, _| gradient(y[0], x))
    }

    #[track_caller]
    fn vjp(&self) -> Result<Self, ProgramError> {
        extended(self, self.outputs(), |x, y, u| gradient(pairing(y, u), x))
    }

    #[track_caller]
    fn jvp(&self) -> Result<Self, ProgramError> {
        extended(self, self.inputs(), |x, y, dx| {
            tangents(x, y, x.iter().copied().zip(dx.iter().copied()))
        })
    }

    #[track_caller]
    fn jacobian(&self) -> Result<Self, ProgramError> {
        match self.inputs() < self.outputs() {
            true => self.jacobian_forward(),
            false => self.jacobian_reverse(),
        }
    }

    #[track_caller]
    fn jacobian_forward(&self) -> Result<Self, ProgramError> {
        extended(self, 0, |x, y, _| {
            let one = Var::constant(E::ONE);
            let column = |&x_k: &Var<E>| tangents(x, y, [(x_k, one)]);
            let columns: Vec<Vec<Var<E>>> = x.iter().map(column).collect::<Result<_, _>>()?;
            let row = |i: usize| columns.iter().map(move |column| column[i]);
            Ok((0..y.len()).flat_map(row).collect())
        })
    }

    #[track_caller]
    fn jacobian_reverse(&self) -> Result<Self, ProgramError> {
        extended(self, 0, |x, y, _| {
            let rows: Vec<Vec<Var<E>>> =
                y.iter().map(|&y| gradient(y, x)).collect::<Result<_, _>>()?;
            Ok(rows.concat())
        })
    }

    #[track_caller]
    fn hessian(&self) -> Result<Self, ProgramError> {
        self.gradient()?.jacobian_reverse()
    }

    #[track_caller]
    fn hvp(&self) -> Result<Self, ProgramError> {
        self.gradient()?.jvp()
    }

    #[track_caller]
    fn map(&self, inputs: &[TensorVar<E>]) -> Vec<TensorVar<E>> {
        match self.try_map(inputs) {
            Ok(outputs) => outputs,
            Err(error) => panic!("{error}"),
        }
    }

    #[track_caller]
    fn try_map(&self, inputs: &[TensorVar<E>]) -> Result<Vec<TensorVar<E>>, tape::Error> {
        self.try_map_with(inputs, Self::vjp)
    }
}

/// An error unless there is exactly one output.
#[track_caller]
fn only_output<E: Real>(program: &Program<E>) -> Result<(), ProgramError> {
    let (given, location) = (program.outputs(), Location::caller());
    match given {
        1 => Ok(()),
        _ => {
            Err(ProgramError::Count { what: "output has a gradient", expected: 1, given, location })
        }
    }
}

/// [`Program::extended`] by derivatives, which there may not be.
#[track_caller]
pub(crate) fn extended<E: Real>(
    program: &Program<E>,
    extra: usize,
    f: impl FnOnce(&[Var<E>], &[Var<E>], &[Var<E>]) -> Result<Vec<Var<E>>, Error>,
) -> Result<Program<E>, ProgramError> {
    let (location, mut failed) = (Location::caller(), None);
    let made = program.extended(extra, |x, y, more| {
        f(x, y, more).unwrap_or_else(|error| {
            failed = Some(error);
            Vec::new()
        })
    });
    match failed {
        None => made,
        Some(Error::NoDerivative { operation, reason, .. }) => {
            Err(ProgramError::NoDerivative { operation, reason, location })
        }
        Some(error) => {
            unreachable!("a program of numbers on a tape of its own has a derivative: {error}")
        }
    }
}

/// The gradient as recorded numbers; zero for what `y` does not depend on.
pub(crate) fn gradient<E: Real>(y: Var<E>, x: &[Var<E>]) -> Result<Vec<Var<E>>, Error> {
    let zero = Var::constant(E::ZERO);
    Ok(y.grad_recorded(x)?.into_iter().map(|g| g.unwrap_or(zero)).collect())
}

/// `sum(y * u)`.
fn pairing<E: Real>(y: &[Var<E>], u: &[Var<E>]) -> Var<E> {
    let products = y.iter().zip(u).map(|(&y, &u)| y * u);
    products.reduce(|sum, product| sum + product).unwrap_or_default()
}

/// The tangents of `y` from those of some of the variables; there are none of the others.
pub(crate) fn tangents<E: Real>(
    x: &[Var<E>],
    y: &[Var<E>],
    seeds: impl IntoIterator<Item = (Var<E>, Var<E>)>,
) -> Result<Vec<Var<E>>, Error> {
    let zero = Var::constant(E::ZERO);
    let Some(recording) = x.first().and_then(|&x| Recording::of_var(x)) else {
        return Ok(vec![zero; y.len()]);
    };
    // No further than the results: behind them there may be the tangents of earlier passes.
    let last = x.iter().chain(y).filter_map(|&v| recording.scalar_id(v)).max();
    let mut forward = Forward::up_to(recording, last.map_or(0, |last| last as usize + 1));
    for (x, dx) in seeds {
        forward.seed_scalar(x, dx);
    }
    forward.run()?;
    Ok(y.iter().map(|&y| forward.scalar(y).unwrap_or(zero)).collect())
}
