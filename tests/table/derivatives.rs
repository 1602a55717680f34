//! The checks of one case.

use wengert::autograd::check::{Check, CheckError, Comparison, Entry};
use wengert::prelude::*;
use wengert::tape::cases::{Argument, Case, Reference};

/// The largest relative errors of a case.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found {
    pub(crate) first: f64,
    pub(crate) second: f64,
    /// How many derivatives were compared.
    pub(crate) compared: usize,
}

/// Checks a case at all of its points.
pub(crate) fn check(case: &Case) -> Result<Found, String> {
    let mut found = Found::default();
    for point in &case.points {
        let of = |argument: (usize, &Argument)| argument.1.value(argument.0);
        let values: Vec<Tensor> = point.iter().enumerate().map(of).collect();
        let fixed: Vec<bool> = point.iter().map(|argument| argument.fixed).collect();
        let shapes: Vec<String> = values.iter().map(|x| x.shape().to_string()).collect();
        let at = |message: String| format!("at {}: {message}", shapes.join(", "));
        let here = at_point(case, &values, &fixed).map_err(at)?;
        on_plain_tensors(case, &values).map_err(at)?;
        found.first = found.first.max(here.first);
        found.second = found.second.max(here.second);
        found.compared += here.compared;
    }
    Ok(found)
}

fn at_point(case: &Case, values: &[Tensor], fixed: &[bool]) -> Result<Found, String> {
    let expected = reference(case.reference, values);
    let (value, gradient) = double(case, values, fixed)?;
    close("value and reference", &value, &expected, case.accuracy)?;

    let (single_value, single_gradient) = single(case, values, fixed)?;
    close("single precision", &single_value, &value, case.single_accuracy)?;
    for (single, double) in single_gradient.iter().zip(&gradient) {
        close("the gradient in single precision", single, double, case.single_accuracy)?;
    }
    if let Some(scalar) = case.scalar {
        on_numbers(scalar, values, &value, &gradient)?;
    }
    if !case.differentiable {
        let flows = gradient.iter().flat_map(|g| g.iter()).any(|&g| g != 0.0);
        return if flows { Err("it has a gradient".to_owned()) } else { Ok(Found::default()) };
    }
    let variables: usize = lengths(values, fixed).sum();
    if value.len() == 0 || variables == 0 {
        return Ok(Found::default());
    }
    differences(case, values, fixed)
}

fn lengths(values: &[Tensor], fixed: &[bool]) -> impl Iterator<Item = usize> {
    values.iter().zip(fixed).filter(|(_, fixed)| !**fixed).map(|(x, _)| x.len())
}

/// The independent value.
fn reference(reference: Reference, values: &[Tensor]) -> Tensor {
    match reference {
        Reference::Whole(f) => f(values),
        Reference::Each(f) => {
            let shape = values.iter().fold(Shape::scalar(), |shape, x| {
                shape.broadcast(x.shape()).expect("the arguments broadcast")
            });
            let n = shape.elements();
            let of = |i: usize| -> Vec<f64> {
                values.iter().map(|x| x.as_slice()[place(x.shape(), &shape, i)]).collect()
            };
            Tensor::new(shape.clone(), (0..n).map(|i| f(&of(i))).collect())
        }
    }
}

/// Where in a tensor the element is that element `i` of a larger shape comes from.
fn place(own: &Shape, shape: &Shape, i: usize) -> usize {
    let (mut at, mut rest, mut stride) = (0, i, 1);
    for k in (0..shape.rank()).rev() {
        let index = rest % shape[k];
        rest /= shape[k];
        if let Some(k) = (k + own.rank()).checked_sub(shape.rank()) {
            at += stride * if own[k] == 1 { 0 } else { index };
            stride *= own[k];
        }
    }
    at
}

/// How the elements of a result of `n` elements are weighted.
fn weights(n: usize) -> Vec<f64> {
    (0..n).map(|i| f64::from((1.0 + 0.5 * (2.3 * i as f64 + 0.4).sin()) as f32)).collect()
}

macro_rules! value_and_gradient {
    ($name:ident, $e:ty, $run:ident) => {
        /// Value and gradient on leaves, in double precision.
        fn $name(
            case: &Case,
            values: &[Tensor],
            fixed: &[bool],
        ) -> Result<(Tensor, Vec<Tensor>), String> {
            let narrow = |x: &Tensor| -> Tensor<$e> {
                Tensor::new(x.shape(), x.iter().map(|&x| x as $e).collect())
            };
            let wide = |x: Tensor<$e>| -> Tensor {
                Tensor::new(x.shape(), x.iter().map(|&x| f64::from(x)).collect())
            };
            let tape = Tape::<$e>::default();
            let leaf = |(x, &fixed): (&Tensor, &bool)| match fixed {
                true => tape.constant(narrow(x)),
                false => tape.tensor(narrow(x)),
            };
            let vars: Vec<TensorVar<$e>> = values.iter().zip(fixed).map(leaf).collect();
            let y = (case.$run)(&vars);
            let w = weights(y.shape().elements());
            let w = tape.constant(narrow(&Tensor::new(y.shape(), w)));
            let gradients = (y * w).sum().backward().map_err(|e| e.to_string())?;
            let of = |(&v, &fixed): (&TensorVar<$e>, &bool)| match fixed {
                true => Tensor::zeros(v.shape()),
                false => wide(gradients.wrt(v)),
            };
            Ok((wide(y.value()), vars.iter().zip(fixed).map(of).collect()))
        }
    };
}

value_and_gradient!(double, f64, run);
value_and_gradient!(single, f32, run_single);

/// Whether two tensors agree, up to a part of their largest element.
fn close(what: &str, a: &Tensor, b: &Tensor, tolerance: f64) -> Result<(), String> {
    if a.shape() != b.shape() {
        return Err(format!("{what}: the shapes {} and {} differ", a.shape(), b.shape()));
    }
    let finite = b.iter().filter(|x| x.is_finite());
    let largest = finite.fold(0.0f64, |largest, x| largest.max(x.abs()));
    for (i, (a, b)) in a.iter().zip(b.iter()).enumerate() {
        let fits = a == b || (a - b).abs() <= tolerance * largest.max(1e-3);
        if !fits {
            return Err(format!("{what} differ at {i}: {a:e} and {b:e}"));
        }
    }
    Ok(())
}

/// Without a tape the operation must say exactly what it says on one.
fn on_plain_tensors(case: &Case, values: &[Tensor]) -> Result<(), String> {
    let plain = (case.plain)(&values.iter().collect::<Vec<_>>());
    let tape = Tape::new();
    let vars: Vec<TensorVar> = values.iter().map(|x| tape.constant(x)).collect();
    let recorded = (case.run)(&vars).value();
    let bits = |x: &Tensor| -> Vec<u64> { x.iter().map(|x| x.to_bits()).collect() };
    if plain.shape() == recorded.shape() && bits(&plain) == bits(&recorded) {
        return Ok(());
    }
    Err(format!("on plain tensors it is {plain}, on recorded ones {recorded}"))
}

/// The operation on recorded numbers, element by element, must say what it says on tensors.
fn on_numbers(
    scalar: fn(&[Var]) -> Var,
    values: &[Tensor],
    value: &Tensor,
    gradient: &[Tensor],
) -> Result<(), String> {
    let weights = weights(value.len());
    let mut sums: Vec<Tensor> = values.iter().map(|x| Tensor::zeros(x.shape())).collect();
    let mut results = Vec::new();
    for (i, weight) in weights.into_iter().enumerate() {
        let tape = Tape::new();
        let places: Vec<usize> =
            values.iter().map(|x| place(x.shape(), value.shape(), i)).collect();
        let vars: Vec<Var> =
            values.iter().zip(&places).map(|(x, &at)| tape.var(x.as_slice()[at])).collect();
        let y = scalar(&vars);
        results.push(y.value());
        let gradients = (y * weight).backward().map_err(|e| e.to_string())?;
        for ((sum, &at), &v) in sums.iter_mut().zip(&places).zip(&vars) {
            sum.as_mut_slice()[at] += gradients.wrt(v);
        }
    }
    close("tensors and numbers", &Tensor::new(value.shape(), results), value, 1e-13)?;
    for (numbers, tensors) in sums.iter().zip(gradient) {
        close("the gradients of tensors and numbers", numbers, tensors, 1e-12)?;
    }
    Ok(())
}

/// The derivatives of both orders against finite differences, the sweeps against each other and against
/// forward mode. All variables are parts of one vector, so that mixed derivatives are checked as well.
fn differences(case: &Case, values: &[Tensor], fixed: &[bool]) -> Result<Found, String> {
    let data: Vec<f64> = values
        .iter()
        .zip(fixed)
        .filter(|(_, fixed)| !**fixed)
        .flat_map(|(x, _)| x.to_vec())
        .collect();
    let run = case.run;
    let f = |all: TensorVar| {
        let mut vars = Vec::new();
        let mut start = 0;
        for (x, &fixed) in values.iter().zip(fixed) {
            if fixed {
                vars.push(all.constant_like(x));
                continue;
            }
            vars.push(all.narrow(0, start, x.len()).reshape(x.shape()));
            start += x.len();
        }
        run(&vars)
    };
    let report = match Check::default().order(2).run(f, Tensor::from(data)) {
        Ok(report) => report,
        Err(CheckError::Failed(report)) => return Err(report.to_string()),
        Err(error) => return Err(error.to_string()),
    };
    let entries = |comparison: Comparison| -> Vec<&Entry> {
        report.entries.iter().filter(|entry| entry.comparison == comparison).collect()
    };
    let (first, second) = (entries(Comparison::First), entries(Comparison::Second));
    let largest = |entries: &[&Entry]| {
        entries.iter().fold(0.0f64, |size, entry| size.max(entry.analytic.abs()))
    };
    let error =
        |entries: &[&Entry]| entries.iter().fold(0.0f64, |error, entry| error.max(entry.error));
    let relative = |error: f64, size: f64| if size > 0.0 { error / size } else { error };
    let slope = largest(&first);
    Ok(Found {
        first: relative(error(&first), slope),
        // Where the function is linear, what there is of a second derivative is measured by the first.
        second: relative(error(&second), largest(&second).max(slope)),
        compared: first.len() + second.len(),
    })
}
