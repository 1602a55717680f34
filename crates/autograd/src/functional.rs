//! Derivatives of closures.
//!
//! Each function makes a tape of its own, runs the closure on it once, and gives back numbers; the
//! handles that the closure sees are stale afterwards. A point is an [`Input`]: a number, an array, a
//! vector, a tensor, or a tuple of these; a gradient has the structure of its point. A result is an
//! [`Output`].
//!
//! ```
//! use autograd::functional::{grad, hessian};
//! use tape::Tensor;
//!
//! let slope = grad(|x| x.sin() * x, 0.5_f64)?;
//! assert_eq!(slope, 0.5 * 0.5_f64.cos() + 0.5_f64.sin());
//!
//! // The function of Rosenbrock (1960) at its usual starting point.
//! let h = hessian(|[x, y]| (1.0 - x).powi(2) + 100.0 * (y - x * x).powi(2), [-1.2, 1.0])?;
//! approx::assert_relative_eq!(h, Tensor::from([[1330.0, 480.0], [480.0, 200.0]]), epsilon = 1e-10);
//! # Ok::<(), autograd::Error>(())
//! ```
//!
//! | function | result | cost, in runs of the closure |
//! |---|---|---|
//! | [`grad`], [`value_and_grad`] | gradient | a few |
//! | [`vjp`] | cotangent times Jacobian | a few |
//! | [`jvp`] | Jacobian times tangent | a few |
//! | [`hvp`] | Hessian times vector | a few |
//! | [`jacobian`] | all rows | a few for each output |
//! | [`hessian`] | all rows | a few for each input |
//!
//! A result that does not depend on the point has the derivative zero. A result of *another* tape is
//! an error: it would have the derivative zero as well, but hardly by intention.
//!
//! The numbers that these functions return have no derivative themselves: a `grad` inside the closure
//! of a `grad` is a constant. Derivatives of derivatives come from
//! [`grad_recorded`](crate::Differentiate::grad_recorded) inside the closure:
//!
//! ```
//! use autograd::Differentiate;
//! use autograd::functional::grad;
//!
//! let third = grad(
//!     |x| {
//!         let first = (x * x.exp()).grad_recorded(&[x]).unwrap()[0].unwrap();
//!         first.grad_recorded(&[x]).unwrap()[0].unwrap()
//!     },
//!     0.5_f64,
//! )?;
//! approx::assert_relative_eq!(third, 3.5 * 0.5_f64.exp(), max_relative = 1e-12);
//! # Ok::<(), autograd::Error>(())
//! ```

mod closure;
mod input;
mod output;

use std::panic::Location;

use tape::Tensor;

use crate::Error;

pub(crate) use closure::{Closure, contract, contract_gradient};
pub use input::{Flat, Input};
pub use output::Output;

/// The elements of a point.
pub(crate) fn elements_of<X: Input>(x: &X) -> Vec<X::Elem> {
    let mut elements = Vec::with_capacity(x.size());
    x.flatten(&mut elements);
    elements
}

#[track_caller]
fn record<X: Input, O: Output<X::Elem>>(
    f: impl FnOnce(X::Lifted) -> O,
    x: &X,
) -> Result<(Closure<X::Elem>, O), Error> {
    Closure::record(f, x, &elements_of(x), Location::caller())
}

/// The elements of a tangent of `x`.
#[track_caller]
fn tangent_of<X: Input>(function: &str, x: &X, tangent: &X::Gradient) -> Vec<X::Elem> {
    let mut elements = Vec::with_capacity(x.size());
    X::flatten_gradient(tangent, &mut elements);
    assert!(
        x.same_structure(tangent),
        "{function}: the tangent has {} elements, and the point has {}, or their shapes differ",
        elements.len(),
        x.size()
    );
    elements
}

fn gradient_of<X: Input>(x: &X, elements: &[X::Elem]) -> X::Gradient {
    x.rebuild(&mut Flat::new(elements))
}

/// The gradient of `f` at `x`, in the structure of `x`.
///
/// ```
/// use autograd::functional::grad;
/// use tape::Tensor;
///
/// let w = Tensor::from([1.0, 2.0, 3.0]);
/// let (dw, db) = grad(|(w, b)| (w * w).sum() * b, (&w, 0.5_f64))?;
/// assert_eq!((dw, db), (Tensor::from([1.0, 2.0, 3.0]), 14.0));
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// [`Error::NotScalar`] if the result does not have exactly one element;
/// [`Error::ForeignVariable`] if it belongs to another tape.
///
/// # Panics
/// Where the closure does.
#[track_caller]
pub fn grad<X: Input, O: Output<X::Elem>>(
    f: impl FnOnce(X::Lifted) -> O,
    x: X,
) -> Result<X::Gradient, Error> {
    Ok(value_and_grad(f, x)?.1)
}

/// The value and the gradient of `f` at `x`, from one run.
///
/// ```
/// use autograd::functional::value_and_grad;
///
/// assert_eq!(value_and_grad(|[x, y]| x * x * y, [3.0, 4.0])?, (36.0, [24.0, 9.0]));
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// As [`grad`].
///
/// # Panics
/// Where the closure does.
#[track_caller]
#[allow(clippy::needless_pass_by_value)] // So that a literal needs no `&`; references are points too.
pub fn value_and_grad<X: Input, O: Output<X::Elem>>(
    f: impl FnOnce(X::Lifted) -> O,
    x: X,
) -> Result<(X::Elem, X::Gradient), Error> {
    let (closure, _) = record(f, &x)?;
    let result = closure.scalar()?;
    let gradient = closure.gradient(result)?;
    Ok((closure.values()[0], gradient_of(&x, &gradient)))
}

/// The value of `f` at `x` and its directional derivative `J(x) tangent`, by forward mode.
///
/// ```
/// use autograd::functional::jvp;
///
/// let (value, tangent) = jvp(|[x, y]| [x * y, x + y], [3.0, 4.0], [1.0, 0.0])?;
/// assert_eq!((value, tangent), ([12.0, 7.0], [4.0, 1.0]));
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// [`Error::ForeignVariable`] if the result belongs to another tape.
///
/// # Panics
/// If the tangent does not have the structure of `x`, and where the closure does.
#[track_caller]
#[allow(clippy::needless_pass_by_value)] // So that a literal needs no `&`; references are points too.
pub fn jvp<X: Input, O: Output<X::Elem>>(
    f: impl FnOnce(X::Lifted) -> O,
    x: X,
    tangent: X::Gradient,
) -> Result<(O::Value, O::Value), Error> {
    let tangent = tangent_of("jvp", &x, &tangent);
    let (closure, output) = record(f, &x)?;
    let values = closure.values();
    let tangents = closure.tangent(&tangent)?;
    let of = |elements: &[_]| output.rebuild(&mut Flat::new(elements));
    Ok((of(&values), of(&tangents)))
}

/// The value of `f` at `x` and the cotangent of `x`, `cotangent^T J(x)`: the gradient of
/// `sum(cotangent * f(x))`.
///
/// ```
/// use autograd::functional::vjp;
///
/// let (value, cotangent) = vjp(|[x, y]| [x * y, x + y], [3.0, 4.0], [1.0, 10.0])?;
/// assert_eq!((value, cotangent), ([12.0, 7.0], [14.0, 13.0]));
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// [`Error::CotangentShape`] if the cotangent does not have the structure of the result;
/// [`Error::ForeignVariable`] if the result belongs to another tape.
///
/// # Panics
/// Where the closure does.
#[track_caller]
#[allow(clippy::needless_pass_by_value)] // So that a literal needs no `&`; references are points too.
pub fn vjp<X: Input, O: Output<X::Elem>>(
    f: impl FnOnce(X::Lifted) -> O,
    x: X,
    cotangent: O::Value,
) -> Result<(O::Value, X::Gradient), Error> {
    let location = Location::caller();
    let (closure, output) = record(f, &x)?;
    let mut weights = Vec::new();
    let flattened = output.flatten(&cotangent, &mut weights);
    flattened.map_err(|(cotangent, result)| Error::CotangentShape {
        cotangent,
        result,
        location,
    })?;
    let pairing = contract(closure.outputs.iter().copied(), &weights);
    let gradient = closure.gradient(pairing)?;
    let value = output.rebuild(&mut Flat::new(&closure.values()));
    Ok((value, gradient_of(&x, &gradient)))
}

/// The product `H(x) v` of the Hessian of `f` with a vector, in the structure of `x`: the gradient of
/// `<grad f(x), v>` (Pearlmutter, *Fast exact multiplication by the Hessian*, 1994). The Hessian is
/// not formed.
///
/// ```
/// use autograd::functional::hvp;
///
/// assert_eq!(hvp(|[x, y]| x * x * y, [3.0, 4.0], [1.0, 0.0])?, [8.0, 6.0]);
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// As [`grad`].
///
/// # Panics
/// If `v` does not have the structure of `x`, and where the closure does.
#[track_caller]
#[allow(clippy::needless_pass_by_value)] // So that a literal needs no `&`; references are points too.
pub fn hvp<X: Input, O: Output<X::Elem>>(
    f: impl FnOnce(X::Lifted) -> O,
    x: X,
    v: X::Gradient,
) -> Result<X::Gradient, Error> {
    let v = tangent_of("hvp", &x, &v);
    let (closure, _) = record(f, &x)?;
    let gradient = closure.recorded_gradient(closure.scalar()?)?;
    let slope = contract_gradient(&gradient, &closure, &v);
    let product = closure.gradient(slope)?;
    Ok(gradient_of(&x, &product))
}

/// The Jacobian of `f` at `x`, of shape `[outputs, inputs]`, over the elements in order: one backward
/// pass for each output element. For few inputs and many outputs, its columns come cheaper from
/// [`jvp`] of the unit vectors.
///
/// ```
/// use autograd::functional::jacobian;
/// use tape::Tensor;
///
/// let j = jacobian(|[x, y]| [x * y, x + y, y * y], [3.0, 4.0])?;
/// assert_eq!(j, Tensor::from([[4.0, 3.0], [1.0, 1.0], [0.0, 8.0]]));
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// The row of an element of a tensor is a pass with a cotangent that is zero elsewhere; zero times an
/// infinite partial is NaN, as in every pass.
///
/// # Errors
/// [`Error::ForeignVariable`] if the result belongs to another tape.
///
/// # Panics
/// Where the closure does.
#[track_caller]
#[allow(clippy::needless_pass_by_value)] // So that a literal needs no `&`; references are points too.
pub fn jacobian<X: Input, O: Output<X::Elem>>(
    f: impl FnOnce(X::Lifted) -> O,
    x: X,
) -> Result<Tensor<X::Elem>, Error> {
    Ok(jacobian_and_values(f, x)?.1)
}

/// The elements of the result, and the Jacobian.
#[track_caller]
#[allow(clippy::needless_pass_by_value, clippy::type_complexity)]
pub(crate) fn jacobian_and_values<X: Input, O: Output<X::Elem>>(
    f: impl FnOnce(X::Lifted) -> O,
    x: X,
) -> Result<(Vec<X::Elem>, Tensor<X::Elem>), Error> {
    let (closure, _) = record(f, &x)?;
    let mut rows = Vec::new();
    for &output in &closure.outputs {
        closure.rows(output, &mut rows)?;
    }
    let values = closure.values();
    Ok((values, Tensor::new([closure.shape.elements(), x.size()], rows)))
}

/// The Hessian of `f` at `x`, of shape `[inputs, inputs]`, over the elements in order: one recorded
/// gradient, and one backward pass for each of its elements.
///
/// ```
/// use autograd::functional::hessian;
/// use tape::Tensor;
///
/// let h = hessian(|[x, y]| x * x * y, [3.0, 4.0])?;
/// assert_eq!(h, Tensor::from([[8.0, 6.0], [6.0, 0.0]]));
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// As [`grad`].
///
/// # Panics
/// Where the closure does.
#[track_caller]
#[allow(clippy::needless_pass_by_value)] // So that a literal needs no `&`; references are points too.
pub fn hessian<X: Input, O: Output<X::Elem>>(
    f: impl FnOnce(X::Lifted) -> O,
    x: X,
) -> Result<Tensor<X::Elem>, Error> {
    let (closure, _) = record(f, &x)?;
    let gradient = closure.recorded_gradient(closure.scalar()?)?;
    let rows = closure.hessian(&gradient)?;
    Ok(Tensor::new([x.size(), x.size()], rows))
}
