//! Functions that are called and not recorded: on tapes and in programs.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use approx::assert_relative_eq;
use wengert::autograd::functional;
use wengert::autograd::sparse::SparsityPattern;
use wengert::prelude::*;

/// `(a e^b, sin(a b) + c)` as if it were somebody else's code, and how often it was called.
struct Foreign {
    /// Whether it states its derivative in recorded operations, too.
    to_any_order: bool,
    calls: AtomicUsize,
}

impl Foreign {
    fn new(to_any_order: bool) -> Arc<Self> {
        Arc::new(Foreign { to_any_order, calls: AtomicUsize::new(0) })
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

/// The same in operations.
fn own<T: Elementary>(x: &[T]) -> [T; 2] {
    [x[0] * x[1].exp(), (x[0] * x[1]).sin() + x[2]]
}

impl External for Foreign {
    fn name(&self) -> &'static str {
        "foreign"
    }
    fn inputs(&self) -> usize {
        3
    }
    fn outputs(&self) -> usize {
        2
    }
    fn call(&self, x: &[f64], y: &mut [f64]) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        y.copy_from_slice(&own(x));
    }
    fn vjp(&self, x: &[f64], y: &[f64], u: &[f64], v: &mut [f64]) {
        assert!(!self.to_any_order, "the recorded rule is asked first");
        let slope = u[1] * (x[0] * x[1]).cos();
        v[0] = u[0] * x[1].exp() + slope * x[1];
        v[1] = u[0] * y[0] + slope * x[0];
        v[2] = u[1];
    }
    fn recorded_vjp(&self, x: &[Var], y: &[Var], u: &[Var]) -> Option<Vec<Var>> {
        let slope = u[1] * (x[0] * x[1]).cos();
        let v = vec![u[0] * x[1].exp() + slope * x[1], u[0] * y[0] + slope * x[0], u[1]];
        self.to_any_order.then_some(v)
    }
}

/// Something around the call, by it or by operations.
fn around(x: &[Var], inner: impl Fn(&[Var]) -> Vec<Var>) -> Var {
    let first = inner(&[x[0] * x[0], x[1].sin(), x[0] / x[1]]);
    let second = inner(&[first[1], x[1], 0.25.into()]);
    first[0] * second[1] + second[0].sqrt() * x[0]
}

fn by_calls(foreign: &Arc<Foreign>) -> Program {
    Program::record(2, |x: &[Var]| around(x, |x| external(foreign, x))).unwrap()
}

fn by_operations() -> Program {
    Program::record(2, |x: &[Var]| around(x, |x| own(x).to_vec())).unwrap()
}

const POINT: [f64; 2] = [0.8, 1.3];

#[test]
fn first_derivatives_are_those_of_the_same_function_in_operations() -> Result<(), ProgramError> {
    for to_any_order in [false, true] {
        let (calls, operations) = (by_calls(&Foreign::new(to_any_order)), by_operations());
        assert_eq!(calls.eval(&POINT)?, operations.eval(&POINT)?);
        let tangent = [POINT[0], POINT[1], 0.3, -0.7];
        let cotangent = [POINT[0], POINT[1], 2.5];
        type Derivative = fn(&Program) -> Result<Program, ProgramError>;
        let derivatives: [(Derivative, &[f64]); 6] = [
            (Program::gradient, &POINT),
            (Program::value_and_gradient, &POINT),
            (Program::jacobian_forward, &POINT),
            (Program::jacobian_reverse, &POINT),
            (Program::jvp, &tangent),
            (Program::vjp, &cotangent),
        ];
        for (derivative, x) in derivatives {
            let (made, expected) = (derivative(&calls)?, derivative(&operations)?);
            assert_relative_eq!(
                made.eval(x)?.as_slice(),
                expected.eval(x)?.as_slice(),
                max_relative = 1e-13
            );
        }
    }
    Ok(())
}

#[test]
fn a_second_derivative_is_the_stated_one_or_an_error() -> Result<(), ProgramError> {
    let first_only = by_calls(&Foreign::new(false));
    let gradient = first_only.gradient()?;
    for refused in [first_only.hessian(), gradient.jvp(), gradient.vjp(), first_only.hvp()] {
        let error = refused.unwrap_err();
        let message = error.to_string();
        assert!(matches!(error, ProgramError::NoDerivative { .. }), "{message}");
        assert!(message.contains("foreign") && message.contains("external.rs"), "{message}");
    }
    // What is linear in the tangent or in the cotangent can be differentiated by that.
    let jvp = first_only.jvp()?;
    let jvp = Program::record(2, |v: &[Var]| {
        jvp.call(&[POINT[0].into(), POINT[1].into(), v[0], v[1]]).unwrap()
    })?;
    assert_relative_eq!(
        jvp.gradient()?.eval(&[0.3, 0.4])?.as_slice(),
        gradient.eval(&POINT)?.as_slice(),
        max_relative = 1e-13
    );
    let (calls, operations) = (by_calls(&Foreign::new(true)), by_operations());
    for (made, expected) in [
        (calls.hessian()?, operations.hessian()?),
        (calls.gradient()?.jacobian_forward()?, operations.hessian()?),
        (calls.hessian()?.jacobian_forward()?, operations.hessian()?.jacobian()?),
    ] {
        assert_relative_eq!(
            made.eval(&POINT)?.as_slice(),
            expected.eval(&POINT)?.as_slice(),
            max_relative = 1e-11
        );
    }
    Ok(())
}

#[test]
fn on_a_tape() -> Result<(), Box<dyn Error>> {
    for to_any_order in [false, true] {
        let foreign = Foreign::new(to_any_order);
        let tape = Tape::new();
        let x = tape.vars(POINT);
        let (made, expected) =
            (around(&x, |x| external(&foreign, x)), around(&x, |x| own(x).to_vec()));
        assert_eq!(made.value(), expected.value());
        let (made, expected) = (made.backward()?, expected.backward()?);
        for x in x {
            assert_relative_eq!(made.wrt(x), expected.wrt(x), max_relative = 1e-13);
        }
        let f = |x: Vec<Var>| around(&x, |x| external(&foreign, x));
        let hessian = functional::hessian(f, POINT.to_vec());
        match to_any_order {
            true => assert_relative_eq!(
                hessian?.as_slice(),
                by_operations().hessian()?.eval(&POINT)?.as_slice(),
                max_relative = 1e-12
            ),
            false => assert!(hessian.unwrap_err().to_string().contains("foreign")),
        }
        let difference = |h: f64| {
            let moved =
                around(&[(POINT[0] + h).into(), POINT[1].into()], |x| external(&foreign, x));
            moved.value()
        };
        let slope = (difference(1e-5) - difference(-1e-5)) / 2e-5;
        assert_relative_eq!(made.wrt(x[0]), slope, max_relative = 1e-8);
    }
    Ok(())
}

#[test]
fn at_many_points_and_at_every_place_of_tensors() -> Result<(), Box<dyn Error>> {
    let program = by_calls(&Foreign::new(false));
    let both = program.value_and_gradient()?;
    let a: Vec<f64> = (0..1000).map(|i| 0.5 + 0.001 * f64::from(i)).collect();
    let many = both.eval_many(&[&a, &[1.3]])?;
    for (i, &a) in a.iter().enumerate() {
        let one = both.eval(&[a, 1.3])?;
        assert_eq!([many[0][i], many[1][i], many[2][i]], one[..]);
    }
    for (sum, each) in both.eval_sum(&[&a, &[1.3]])?.iter().zip(&many) {
        assert_relative_eq!(*sum, each.iter().sum::<f64>(), max_relative = 1e-13);
    }
    assert!(with_threads(3, || both.eval_many(&[&a, &[1.3]]).unwrap()) == many);
    assert_eq!(both.eval_many(&[&[], &[1.3]])?, [[0.0; 0]; 3]);
    // Rows broadcast against a column.
    let tape = Tape::new();
    let (x, y) = (tape.tensor([0.8, 0.9, 1.0]), tape.tensor([[1.3], [1.4]]));
    let z = program.map(&[x, y])[0];
    let expected = by_operations().map(&[x, y])[0];
    assert_eq!(z.shape(), expected.shape());
    let (made, expected) = (z.sum().backward()?, expected.sum().backward()?);
    for x in [x, y] {
        let (made, expected) = (made.wrt(x), expected.wrt(x));
        assert_relative_eq!(made.as_slice(), expected.as_slice(), max_relative = 1e-12);
    }
    let slope = z.sum().grad_recorded(&[x])?[0].unwrap();
    let error = slope.sum().backward().unwrap_err().to_string();
    assert!(error.contains("foreign") && error.contains("recorded_vjp"), "{error}");
    Ok(())
}

#[test]
fn a_call_is_done_once_or_not_at_all() -> Result<(), ProgramError> {
    let foreign = Foreign::new(false);
    let program = Program::record(3, |x: &[Var]| {
        let (one, other) = (external(&foreign, x), external(&foreign, x));
        let unused = external(&foreign, &[x[1], x[0], x[2]]);
        let _ = unused[0].exp();
        // Equal calls are one, and of this one result 1 alone is needed.
        let third = external(&foreign, &[x[2], x[1], x[0]]);
        [one[0] + other[1], third[1]]
    })?;
    let before = foreign.calls();
    let x = [0.5, 0.6, 0.7];
    let [a, b] = own(&x);
    assert_eq!(program.eval(&x)?, [a + b, own(&[0.7, 0.6, 0.5])[1]]);
    assert_eq!(foreign.calls() - before, 2, "{program}");
    let text = program.to_string();
    assert!(text.contains("foreign[1] x2 x1 x0") && !text.contains("foreign[0] x2"), "{text}");
    // To make a derivative, to select and to join, nothing is called.
    let before = foreign.calls();
    let gradient = program.gradient_of(1)?;
    let joined = gradient.beside(&program.select(&[0])?)?;
    assert_eq!(foreign.calls(), before);
    assert!(gradient.to_string().contains("vjp of foreign["), "{gradient}");
    assert_eq!(joined.eval(&x)?[3], a + b);
    // What the gradient does not need of `third` is not called for.
    assert_eq!(foreign.calls() - before, 2);
    assert_eq!(SparsityPattern::jacobian(&program).entries(), 6);
    // A function of constants is one.
    let constant = Program::record(0, |_: &[Var]| external(&foreign, &x.map(Var::constant)))?;
    assert_eq!((constant.stats().instructions, constant.eval(&[])?), (0, vec![a, b]));
    Ok(())
}

/// Another function that takes and gives as many numbers.
struct Negated(Arc<Foreign>);

impl External for Negated {
    fn inputs(&self) -> usize {
        3
    }
    fn outputs(&self) -> usize {
        2
    }
    fn call(&self, x: &[f64], y: &mut [f64]) {
        self.0.call(x, y);
        y.iter_mut().for_each(|y| *y = -*y);
    }
    fn vjp(&self, x: &[f64], y: &[f64], u: &[f64], v: &mut [f64]) {
        self.0.vjp(x, &[-y[0], -y[1]], &[-u[0], -u[1]], v);
    }
}

#[test]
fn equal_arguments_do_not_make_two_functions_one() -> Result<(), ProgramError> {
    let foreign = Foreign::new(false);
    let negated = Arc::new(Negated(foreign.clone()));
    let program = Program::record(3, |x: &[Var]| {
        [external(&foreign, x)[0], external(&negated, x)[0], external(&foreign, x)[1]]
    })?;
    let x = [0.5, 0.6, 0.7];
    let [a, b] = own(&x);
    assert_eq!(program.eval(&x)?, [a, -a, b]);
    let slopes = program.jacobian()?.eval(&x)?;
    let (one, other) = (&slopes[..3], &slopes[3..6]);
    assert!(one.iter().zip(other).all(|(one, other)| *one == -*other), "{slopes:?}");
    assert!(one[0] != 0.0 && one[1] != 0.0);
    Ok(())
}

/// States cotangents for one of its two arguments.
struct Forgetful;

impl External for Forgetful {
    fn name(&self) -> &'static str {
        "forgetful"
    }
    fn inputs(&self) -> usize {
        2
    }
    fn outputs(&self) -> usize {
        1
    }
    fn call(&self, x: &[f64], y: &mut [f64]) {
        y[0] = x[0] * x[1];
    }
    fn vjp(&self, x: &[f64], _: &[f64], u: &[f64], v: &mut [f64]) {
        (v[0], v[1]) = (u[0] * x[1], u[0] * x[0]);
    }
    fn recorded_vjp(&self, x: &[Var], _: &[Var], u: &[Var]) -> Option<Vec<Var>> {
        Some(vec![u[0] * x[1]])
    }
}

#[test]
fn a_recorded_rule_states_a_cotangent_for_each_argument() {
    let function = Arc::new(Forgetful);
    let message = |f: &dyn Fn()| {
        let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).unwrap_err();
        payload.downcast_ref::<String>().expect("a message").clone()
    };
    let tape = Tape::new();
    let x = tape.vars([2.0, 3.0]);
    let y = external(&function, &x)[0];
    let on_tape = message(&|| drop(y.backward()));
    let program = Program::record(2, |x: &[Var]| external(&function, x)).unwrap();
    let in_program = message(&|| drop(program.gradient()));
    for message in [on_tape, in_program] {
        assert!(message.contains("forgetful"), "{message}");
        assert!(message.contains("gives 1 cotangents for 2 arguments"), "{message}");
    }
}

#[test]
fn comparisons_beside_a_call_are_checked() -> Result<(), ProgramError> {
    let foreign = Foreign::new(false);
    let f = |x: &[Var]| {
        let y = external(&foreign, &[x[0], x[0], x[0]])[0];
        if y > 1.0 { y * x[0] } else { -y }
    };
    let slope = Program::record_at(&[1.0], f)?.gradient()?;
    assert!(slope.eval(&[0.7]).is_ok());
    assert!(matches!(slope.eval(&[0.1]), Err(ProgramError::BranchChanged { .. })));
    let columns: [&[f64]; 1] = [&[0.9, 0.8, 0.2, 0.1]];
    let error = slope.eval_many(&columns).unwrap_err();
    assert!(matches!(error, ProgramError::BranchChanged { point: Some(2), .. }), "{error}");
    Ok(())
}

#[test]
fn what_cannot_be() {
    let foreign = Foreign::new(false);
    let error = serde_json::to_string(&by_calls(&foreign)).unwrap_err().to_string();
    assert!(error.contains("`foreign`") && error.contains("cannot be stored"), "{error}");
    let tape = Tape::new();
    let x = tape.var(1.0);
    let payload = std::panic::catch_unwind(|| external(&foreign, &[x, x])).unwrap_err();
    let message = payload.downcast_ref::<String>().unwrap();
    assert!(message.contains("a function of 3 numbers, and 2 were given"), "{message}");
}
