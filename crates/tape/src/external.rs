//! Functions whose inside is not recorded: a solver, a table, code in another language.
//!
//! On a tape, a call is an [`Op`] of numbers as tensors of rank 0, so that sweeps need to know nothing of it.
//! In a program it is a call of the list (`program/body.rs`).

use std::sync::Arc;

use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::registry::{self, NO_TAPE};
use crate::scalar::opcode::Opcode;
use crate::{Real, Shape, Tensor, TensorVar, Var, apply_op};

/// A function of numbers that is called and not recorded, with the derivative that its author states; applied
/// by [`external`].
///
/// ```
/// use std::sync::Arc;
/// use tape::{External, Program, Var, external};
///
/// /// The root `y` of `y^3 + y = x`.
/// struct Root;
///
/// impl External for Root {
///     fn name(&self) -> &'static str {
///         "root"
///     }
///     fn inputs(&self) -> usize {
///         1
///     }
///     fn outputs(&self) -> usize {
///         1
///     }
///     fn call(&self, x: &[f64], y: &mut [f64]) {
///         y[0] = (0..60).fold(0.0, |y, _| y - (y * y * y + y - x[0]) / (3.0 * y * y + 1.0));
///     }
///     fn vjp(&self, _: &[f64], y: &[f64], u: &[f64], v: &mut [f64]) {
///         v[0] = u[0] / (3.0 * y[0] * y[0] + 1.0);
///     }
/// }
///
/// let root = Arc::new(Root);
/// let program = Program::record(1, |x: &[Var]| external(&root, x))?;
/// assert_eq!(program.eval(&[10.0])?, [2.0]);
/// # Ok::<(), tape::ProgramError>(())
/// ```
///
/// It must be a function: equal arguments give equal results, as often as they are asked for and on every
/// thread. What it cannot compute it gives as NaN. While a program is recorded it is called at the point where
/// that is done; while a derivative of a program is made it is not called.
pub trait External<E: Real = f64>: Send + Sync + 'static {
    /// The name in messages.
    fn name(&self) -> &'static str {
        "external"
    }

    /// How many numbers it takes.
    fn inputs(&self) -> usize;

    /// How many numbers it makes.
    fn outputs(&self) -> usize;

    /// The function: writes `y = f(x)`.
    fn call(&self, x: &[E], y: &mut [E]);

    /// Writes the cotangents of the arguments, `v = u^T J(x)`, from those of the results; `y` is `f(x)`. The
    /// cotangent of a result that nothing flows to is 0.
    fn vjp(&self, x: &[E], y: &[E], u: &[E], v: &mut [E]);

    /// Writes the tangents of the results, `u = J(x) v`, from those of the arguments; `y` is `f(x)`.
    ///
    /// As provided it asks [`vjp`](External::vjp) for each row of the Jacobian.
    fn jvp(&self, x: &[E], y: &[E], v: &[E], u: &mut [E]) {
        let (mut unit, mut row) = (vec![E::ZERO; y.len()], vec![E::ZERO; x.len()]);
        for (i, u) in u.iter_mut().enumerate() {
            unit[i] = E::ONE;
            self.vjp(x, y, &unit, &mut row);
            unit[i] = E::ZERO;
            *u = row.iter().zip(v).map(|(&partial, &v)| partial * v).sum();
        }
    }

    /// What [`vjp`](External::vjp) computes, as recorded operations on `x`, `y` and `u`, among which may be
    /// functions like this one: then there are derivatives of any order. Every sweep asks for this first.
    ///
    /// As provided it gives `None`, and a second derivative is an error. Nothing may be decided by the values.
    fn recorded_vjp(&self, x: &[Var<E>], y: &[Var<E>], u: &[Var<E>]) -> Option<Vec<Var<E>>> {
        let _ = (x, y, u);
        None
    }
}

/// The results of a function that is called and not recorded, as recorded numbers: on a tape, or in a
/// [`Program`](crate::Program), which will call it in every run. See [`External`].
///
/// Equal calls of one `Arc` are done once in a program. A function of constants is called here and now.
///
/// # Panics
/// If there are not as many arguments as the function takes, if an argument is a stale handle, or if they belong
/// to different tapes.
#[track_caller]
pub fn external<E: Real, F: External<E>>(function: &Arc<F>, x: &[Var<E>]) -> Vec<Var<E>> {
    let (name, expected, given) = (function.name(), function.inputs(), x.len());
    assert!(expected == given, "{name}: a function of {expected} numbers, and {given} were given");
    record(&Action { function: function.clone(), work: Work::Value }, x)
}

/// What is asked of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Work {
    /// `y` of `x`.
    Value,
    /// The cotangents of `x`, of `x`, `y` and the cotangents of `y`.
    Vjp,
    /// The tangents of `y`, of `x`, `y` and the tangents of `x`.
    Jvp,
}

/// A function of a user or a first derivative of it.
pub(crate) struct Action<E: Real> {
    pub(crate) function: Arc<dyn External<E>>,
    pub(crate) work: Work,
}

impl<E: Real> Clone for Action<E> {
    fn clone(&self) -> Self {
        Action { function: self.function.clone(), work: self.work }
    }
}

impl<E: Real> Action<E> {
    pub(crate) fn outputs(&self) -> usize {
        match self.work {
            Work::Value | Work::Jvp => self.function.outputs(),
            Work::Vjp => self.function.inputs(),
        }
    }

    /// What tells it from other functions: where it is, and what is asked of it.
    pub(crate) fn key(&self) -> (usize, Work) {
        (Arc::as_ptr(&self.function).cast::<()>() as usize, self.work)
    }

    pub(crate) fn run(&self, operands: &[E], results: &mut [E]) {
        let (x, rest) = operands.split_at(self.function.inputs());
        match self.work {
            Work::Value => self.function.call(x, results),
            Work::Vjp => {
                let (y, u) = rest.split_at(self.function.outputs());
                self.function.vjp(x, y, u, results);
            }
            Work::Jvp => {
                let (y, v) = rest.split_at(self.function.outputs());
                self.function.jvp(x, y, v, results);
            }
        }
    }
}

/// The results as recorded numbers. On a tape whose values mean nothing the function is not called.
#[track_caller]
pub(crate) fn record<E: Real>(action: &Action<E>, operands: &[Var<E>]) -> Vec<Var<E>> {
    let Some(on_tape) = operands.iter().find(|v| v.tag != NO_TAPE) else {
        let values: Vec<E> = operands.iter().map(|v| v.value).collect();
        let mut results = vec![E::ZERO; action.outputs()];
        action.run(&values, &mut results);
        return results.into_iter().map(Var::constant).collect();
    };
    if action.outputs() == 0 {
        return Vec::new();
    }
    let called = !registry::find::<E>(on_tape.tag).0.placeholders.get();
    let lifted: Vec<_> = operands.iter().map(|&v| TensorVar::lift(v)).collect();
    let results = apply_op(Call { action: action.clone(), called }, &lifted);
    results.into_iter().map(item).collect()
}

/// The number that a tensor of rank 0 is.
#[track_caller]
fn item<E: Real>(t: TensorVar<E>) -> Var<E> {
    let value = t.item();
    let (inner, tag) = registry::find::<E>(t.tag);
    Var { value, index: inner.scalars.push_leaf(Opcode::ITEM, t.index, value), tag }
}

/// A call on a tape.
pub(crate) struct Call<E: Real> {
    pub(crate) action: Action<E>,
    /// Whether it was called, or is only noted.
    called: bool,
}

impl<E: Real> Op<E> for Call<E> {
    fn name(&self) -> &'static str {
        self.action.function.name()
    }

    fn infer(&self, _: &[&Shape]) -> Result<Shapes, Misfit> {
        Ok((0..self.action.outputs()).map(|_| Shape::scalar()).collect())
    }

    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let mut results = vec![E::ONE; self.action.outputs()];
        if self.called {
            let operands: Vec<E> = inputs.iter().map(Tensor::item).collect();
            self.action.run(&operands, &mut results);
        }
        for (k, &result) in results.iter().enumerate() {
            outputs.buffer(k)[0] = result;
        }
        Ok(())
    }

    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let function = &self.action.function;
        let zero = TensorVar::scalar_constant(E::ZERO);
        let flowed: Vec<_> = call.cotangents.iter().map(|g| g.unwrap_or(zero)).collect();
        let (arguments, both) = (function.inputs(), function.inputs() + function.outputs());
        let apply = |work, operands: &[TensorVar<E>]| {
            let action = Action { function: function.clone(), work };
            apply_op(Call { action, called: self.called }, operands)
        };
        if self.action.work == Work::Value {
            let numbers = |list: &[TensorVar<E>]| list.iter().map(|t| t.to_scalar()).collect();
            let [x, y, u]: [Vec<Var<E>>; 3] =
                [numbers(call.inputs), numbers(call.outputs), numbers(&flowed)];
            let Some(made) = function.recorded_vjp(&x, &y, &u) else {
                let operands = [call.inputs, call.outputs, &flowed].concat();
                return apply(Work::Vjp, &operands).into_iter().map(Some).collect();
            };
            let (name, count) = (function.name(), made.len());
            assert!(
                count == arguments,
                "{name}: its recorded_vjp gives {count} cotangents for {arguments} arguments"
            );
            return made.into_iter().map(|v| Some(TensorVar::lift(v))).collect();
        }
        if (0..both).any(|k| call.needs(k)) {
            return call.refuse(
                "it states a first derivative only; External::recorded_vjp states those of any order",
            );
        }
        // Both are linear in their last operands, and each is the transpose of the other.
        let transposed = if self.action.work == Work::Vjp { Work::Jvp } else { Work::Vjp };
        let made = apply(transposed, &[&call.inputs[..both], &flowed].concat());
        (0..both).map(|_| None).chain(made.into_iter().map(Some)).collect()
    }
}
