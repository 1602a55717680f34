//! The gradient checker, tested with rules that are wrong on purpose.

use wengert::autograd::assert_gradients;
use wengert::autograd::check::{
    Check, CheckError, Comparison, Place, Report, Status, gradcheck, gradgradcheck,
};
use wengert::prelude::*;
use wengert::tape::{Backward, Cotangents, Misfit, Outputs, Shapes};

/// The report of a check that must not pass.
#[track_caller]
fn fails(result: Result<Report, CheckError>) -> Report {
    match result {
        Err(CheckError::Failed(report)) => {
            assert!(!report.passed());
            report
        }
        other => panic!("the check has not failed: {other:?}"),
    }
}

#[track_caller]
fn worst_status(result: Result<Report, CheckError>) -> Status {
    fails(result).worst().unwrap().status
}

/// `x^3` with a partial that is not its derivative.
macro_rules! wrong {
    ($($name:ident |$x:ident, $y:ident| $partial:expr;)*) => { $(
        struct $name;
        impl Unary for $name {
            const NAME: &'static str = stringify!($name);
            fn value<T: Elementary>(&self, x: T) -> T {
                x * x * x
            }
            #[allow(unused_variables)]
            fn partial<T: Elementary>(&self, $x: T, $y: T) -> T {
                $partial
            }
        }
    )* };
}

wrong! {
    Right |x, y| T::lit(3.0) * x * x;
    WrongSign |x, y| T::lit(-3.0) * x * x;
    WrongFactor |x, y| T::lit(2.0) * x * x;
    SlightlyWrong |x, y| T::lit(3.0 + 1e-6) * x * x;
    WrongPower |x, y| T::lit(3.0) * y;
    NoDerivative |x, y| T::lit(0.0);
    NoNumber |x, y| T::lit(f64::NAN);
    // Right at first order, and cut off from what it depends on.
    Constant |x, y| (T::lit(3.0) * x * x).stop_gradient();
}

/// `a b + a` with a partial by `a` that has forgotten the second term.
struct MissingTerm;

impl Binary for MissingTerm {
    const NAME: &'static str = "missing_term";
    fn value<T: Elementary>(&self, a: T, b: T) -> T {
        a * b + a
    }
    fn partial_a<T: Elementary>(&self, _: T, b: T, _: T) -> T {
        b
    }
    fn partial_b<T: Elementary>(&self, a: T, _: T, _: T) -> T {
        a
    }
}

/// Adds a row to each row of a matrix, with a backward rule that may be wrong.
#[derive(Clone, Copy, PartialEq)]
enum AddRow {
    /// The cotangent of the row is the sum over the rows.
    Right,
    /// The cotangent of the row is that of the first row alone: the right shape, and no sum.
    FirstRow,
    /// The cotangent of one element of the matrix is wrong.
    OneElement,
}

impl<E: Real> Op<E> for AddRow {
    fn name(&self) -> &'static str {
        "add_row"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        Ok([inputs[0].clone()].into_iter().collect())
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let row = inputs[1].as_slice();
        let cells = inputs[0].iter().zip(row.iter().cycle());
        for (out, (&x, &r)) in outputs.buffer(0).iter_mut().zip(cells) {
            *out = x + r;
        }
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let g = call.cotangent();
        let row = match self {
            AddRow::FirstRow => g.select(0, 0),
            _ => g.sum_axes(0),
        };
        let matrix = match self {
            AddRow::OneElement => {
                let mut factor = Tensor::ones(call.inputs[0].shape());
                let last = factor.len() - 7;
                factor.as_mut_slice()[last] = E::lit(1.001);
                g * call.constant(factor)
            }
            _ => g,
        };
        [Some(matrix), Some(row)].into_iter().collect()
    }
}

fn matrix(rows: usize, columns: usize) -> Tensor {
    Tensor::from_fn([rows, columns], |[i, j]| ((i * columns + j) as f64 * 0.37).sin())
}

#[test]
fn right_rules_pass() {
    assert_gradients!(|x: Var| x.apply(Right), 0.7_f64);
    assert_gradients!(|x: TensorVar| x.apply(Right), matrix(2, 3));
    let x = (matrix(3, 4), Tensor::from([0.1, 0.2, 0.3, 0.4]));
    let add =
        |(x, r): (TensorVar, TensorVar)| wengert::tape::apply_op(AddRow::Right, &[x, r])[0].tanh();
    assert_gradients!(add, x);
}

#[test]
fn wrong_rules_fail_on_scalars() {
    for x in [0.7_f64, -1.3, 40.0] {
        let differs = |result| assert_eq!(worst_status(result), Status::Differs, "at {x}");
        differs(gradcheck(|x: Var| x.apply(WrongSign), x));
        differs(gradcheck(|x: Var| x.apply(WrongFactor), x));
        differs(gradcheck(|x: Var| x.apply(SlightlyWrong), x));
        differs(gradcheck(|x: Var| x.apply(WrongPower), x));
        differs(gradcheck(|x: Var| x.apply(NoDerivative), x));
        differs(gradcheck(|[a, b]| a.apply2(b, MissingTerm), [x, 0.4]));
        let nan = gradcheck(|x: Var| x.apply(NoNumber), x);
        assert_eq!(worst_status(nan), Status::NonFinite);
    }
}

#[test]
fn wrong_rules_fail_on_tensors_and_along_directions() {
    let x = matrix(3, 3);
    for check in [Check::default(), Check::default().directions(2)] {
        let differs = |result| assert_eq!(worst_status(result), Status::Differs);
        differs(check.run(|x: TensorVar| x.apply(WrongSign), &x));
        differs(check.run(|x: TensorVar| x.apply(WrongFactor), &x));
        differs(check.run(|x: TensorVar| x.apply(WrongPower).sum(), &x));
        differs(check.run(|(a, b): (TensorVar, Var)| a.apply2(b, MissingTerm), (&x, 0.5_f64)));
    }
}

#[test]
fn a_constant_second_derivative_fails_at_second_order_alone() {
    for check in [Check::default(), Check::default().directions(2)] {
        let x = matrix(2, 2);
        assert!(check.run(|x: TensorVar| x.apply(Constant), &x).is_ok());
        let report = fails(check.clone().order(2).run(|x: TensorVar| x.apply(Constant), &x));
        assert!(report.failures().all(|e| e.comparison == Comparison::Second));
        assert!(check.run(|x: Var| x.apply(Constant), 0.7_f64).is_ok());
        let report = fails(check.clone().order(2).run(|x: Var| x.apply(Constant), 0.7_f64));
        assert!(report.failures().all(|e| e.comparison == Comparison::Second));
        assert!(report.to_string().contains("does a derivative use a constant"), "{report}");
        let report = fails(check.order(2).run(|x: Var| x.apply(WrongSign), 0.7_f64));
        assert!(!report.to_string().contains("does a derivative use a constant"), "{report}");
    }
}

#[test]
fn a_forgotten_broadcast_fails() {
    let wrong = |(x, r): (TensorVar, TensorVar)| {
        wengert::tape::apply_op(AddRow::FirstRow, &[x, r])[0].tanh()
    };
    let x = (matrix(3, 4), Tensor::from([0.1, 0.2, 0.3, 0.4]));
    let report = fails(gradcheck(wrong, x.clone()));
    // The twelve elements of the matrix are right, the four of the row are wrong.
    let numeric = report.failures().filter(|e| e.comparison == Comparison::First);
    let places: Vec<Place> = numeric.map(|e| e.index).collect();
    assert_eq!(places, [12, 13, 14, 15].map(Place::Element));
    fails(Check::default().directions(1).run(wrong, x));
}

#[test]
fn one_wrong_element_among_many_fails_along_a_direction() {
    let x = (matrix(200, 150), Tensor::from_fn([150], |[i]| i as f64 * 0.01));
    let run = |op: AddRow| {
        let f = move |(x, r): (TensorVar, TensorVar)| wengert::tape::apply_op(op, &[x, r])[0].sin();
        Check::default().directions(2).run(f, x.clone())
    };
    let report = run(AddRow::Right).unwrap();
    let numeric = report.entries.iter().filter(|e| e.comparison == Comparison::First);
    assert_eq!(numeric.count(), 2, "the cost does not grow with the number of elements");
    let report = fails(run(AddRow::OneElement));
    assert_eq!(report.worst().unwrap().status, Status::Differs);
}

#[test]
fn kinks_are_kinks() {
    let kink = |result| {
        let report = fails(result);
        assert!(report.kinks().count() > 0, "{report}");
        assert_eq!(report.worst().unwrap().status, Status::Kink, "{report}");
    };
    // At the kink, where the rule gives a subgradient that central differences may confirm.
    kink(gradcheck(|x: Var| x.abs(), 0.0_f64));
    kink(gradcheck(|x: Var| x.relu(), 0.0_f64));
    kink(gradcheck(|x: Var| x.relu() * 3.0 + x.sin(), 0.0_f64));
    kink(gradcheck(|[x, y]| x.max(y), [1.5, 1.5]));
    kink(gradcheck(|x: TensorVar| x.abs(), Tensor::from([1.0, 0.0, -1.0])));
    kink(Check::default().directions(1).run(|x: TensorVar| x.abs(), Tensor::from([1.0, 0.0])));
    // Beside the kink, closer than the step, where the derivative is right.
    for part in [0.001, 0.05, 0.15, 0.156, 0.2, 0.3, 0.45, 0.6, 0.9] {
        let x = part * 0.25 / 128.0;
        kink(gradcheck(|x: Var| x.abs(), x));
        kink(gradcheck(|x: Var| x.relu().exp(), -x));
        kink(gradcheck(|x: Var| (x - 2.0).relu() + x.cos(), 2.0 + x));
    }
    // A jump, and a kink of the first derivative.
    kink(gradcheck(|x: Var| x.floor(), 2.0001_f64));
    let quadratic = |x: Var| x.relu() * x;
    let report = fails(gradgradcheck(quadratic, 0.0_f64));
    assert_eq!(report.failures().count(), report.kinks().count(), "{report}");
    assert!(report.kinks().any(|e| e.comparison == Comparison::Second));
    // The value is dominated by a smooth term, and its difference comes close and does not arrive.
    kink(gradcheck(|x: Var| x.relu() * x + 5.0 * x, 0.0_f64));
    // Away from the kink there is none.
    assert_gradients!(|x: Var| x.abs() + x.relu(), 0.1_f64);
    assert_gradients!(|x: Var| x.floor() * x, 2.5_f64);
    let error = gradcheck(|x| x.abs(), 0.0_f32).unwrap_err();
    assert!(error.report().unwrap().kinks().count() > 0);
}

/// Computes `|x|` with `-1` as the derivative everywhere: wrong, and next to a kink.
struct WrongAbs;

impl Unary for WrongAbs {
    const NAME: &'static str = "wrong_abs";
    fn value<T: Elementary>(&self, x: T) -> T {
        x.abs()
    }
    fn partial<T: Elementary>(&self, _: T, _: T) -> T {
        T::lit(-1.0)
    }
}

#[test]
fn a_kink_excuses_nothing_elsewhere() {
    let report = fails(gradcheck(|x: TensorVar| x.apply(WrongAbs), Tensor::from([0.0, 1.0, -1.0])));
    let worst = report.worst().unwrap();
    assert_eq!((worst.index, worst.status), (Place::Element(1), Status::Differs));
    assert_eq!(report.kinks().next().unwrap().index, Place::Element(0));
}

#[test]
fn what_is_not_finite_is_reported() {
    let not_finite = |result| assert_eq!(worst_status(result), Status::NonFinite);
    not_finite(gradcheck(|x: Var| x.sqrt(), 0.0_f64));
    not_finite(gradcheck(|x: Var| x.ln(), -1.0_f64));
    not_finite(gradcheck(|x: Var| x.exp(), 1000.0_f64));
    not_finite(gradcheck(|x: TensorVar| x.sqrt().sum(), Tensor::from([1.0, 0.0])));
    // Near the end of the domain the step is shortened.
    assert_gradients!(|x: Var| x.ln(), 1e-3_f64);
    assert_gradients!(|x: Var| x.sqrt(), 1e-3_f64);
    // Where a singularity is hardly farther than the step, a shorter one has to be asked for.
    let x = Tensor::from([0.99, -0.995]);
    assert_gradients!(|x: TensorVar| x.atanh(), &x, step = 1e-4);
}

#[test]
fn right_functions_of_scalars() {
    assert_gradients!(|x: Var| x.sin() * x, 0.5_f64);
    assert_gradients!(|x: Var| x.exp() / x, -1.5_f64);
    assert_gradients!(|x: Var| x.exp(), 30.0_f64);
    assert_gradients!(|x: Var| x.sin(), 1000.0_f64);
    assert_gradients!(|x: Var| x.recip(), 0.1_f64);
    assert_gradients!(|x: Var| x.powi(5), 100.0_f64);
    assert_gradients!(|x: Var| x.powi(4), 0.0_f64);
    assert_gradients!(|x: Var| x.cosh(), 0.0_f64);
    assert_gradients!(|x: Var| x * 0.0 + 1e6, 1.0_f64);
    assert_gradients!(|_: Var| Var::constant(2.0), 1.0_f64);
    assert_gradients!(|[x, y]| (1.0 - x).powi(2) + 100.0 * (y - x * x).powi(2), [-1.2, 1.0]);
    assert_gradients!(|[x, y]| [x.atan2(y), x.hypot(y), x.powf(y)], [0.8, 1.7]);
    assert_gradients!(
        |x: Vec<Var>| x.iter().map(|&x| (x * x).sin()).product::<Var>(),
        vec![0.3, 0.9, -1.1]
    );
    let softmax = |x: Vec<Var>| {
        let sum: Var = x.iter().map(|x| x.exp()).sum();
        x.into_iter().map(|x| x.exp() / sum).collect::<Vec<_>>()
    };
    assert_gradients!(softmax, &[0.1, 1.2, -0.4][..]);
}

#[test]
fn right_functions_of_tensors_and_mixtures() {
    let (a, b) = (matrix(2, 3), matrix(3, 2).map(|x| x + 0.3));
    assert_gradients!(|(a, b): (TensorVar, TensorVar)| a.matmul(b), (&a, &b));
    assert_gradients!(|a: TensorVar| a.softmax(1).ln(), &a);
    assert_gradients!(|a: TensorVar| a.log_softmax(0), &a);
    assert_gradients!(|a: TensorVar| a.cross_entropy([2, 0]), &a);
    assert_gradients!(|a: TensorVar| a.var_axes(1, 1.0), &a);
    assert_gradients!(
        |(a, r): (TensorVar, TensorVar)| a * r.exp(),
        (&a, Tensor::from([0.1, 0.2, 0.3]))
    );
    assert_gradients!(|(a, s): (TensorVar, Var)| (a.tanh() * s, s.sin()), (&a, 0.8_f64));
    assert_gradients!(
        |(a, s, v): (TensorVar, Var, Vec<Var>)| (a.select(1, 0) * s).sum().to_scalar() * v[0]
            + v[1],
        (&a, 0.8_f64, vec![0.2, 0.3])
    );
    let big = matrix(60, 40);
    let product = |a: TensorVar| a.matmul(a.t()).tanh();
    assert_gradients!(product, &big, directions = 3);
    assert_gradients!(product, &big, directions = 3, seed = 7);
    assert_gradients!(|_: TensorVar| TensorVar::scalar_constant(2.0), &a);
}

#[test]
fn single_precision() {
    assert_gradients!(|x: Var<f32>| x.sin() * x, 0.5_f32);
    assert_gradients!(|[x, y]| x.exp() * y, &[0.5_f32, -2.0]);
    let a = Tensor::<f32>::from_fn([3, 4], |[i, j]| (i as f32 - j as f32) * 0.3);
    assert_gradients!(|a: TensorVar<f32>| a.softmax(1), &a);
    assert_gradients!(|a: TensorVar<f32>| a.matmul(a.t()).tanh(), &a, directions = 2);
    assert_eq!(worst_status(gradcheck(|x: Var<f32>| x.apply(WrongSign), 0.7_f32)), Status::Differs);
    assert_eq!(
        worst_status(gradcheck(|x: Var<f32>| x.apply(WrongFactor), 0.7_f32)),
        Status::Differs
    );
    let constant = gradgradcheck(|x: Var<f32>| x.apply(Constant), 0.7_f32);
    assert_eq!(worst_status(constant), Status::Differs);
    assert_eq!(fails(gradcheck(|x: Var<f32>| x.apply(WrongSign), 0.7_f32)).element, "f32");
}

#[test]
fn the_report() {
    let f = |[x, y]: [Var; 2]| x.apply(WrongFactor) + y * y;
    let report = fails(gradgradcheck(f, [0.7, 0.2]));
    // Forward mode, recorded sweep, two elements, four pairs.
    assert_eq!(report.entries.len(), 1 + 1 + 2 + 4);
    let worst = *report.worst().unwrap();
    assert_eq!(worst.index, Place::Element(0));
    assert!((worst.analytic - 2.0 * 0.49).abs() < 1e-12);
    assert!((worst.numeric - 3.0 * 0.49).abs() < 1e-10);
    assert!((worst.error - 0.49).abs() < 1e-10);
    assert!(worst.tolerance > 0.0 && worst.tolerance < 1e-7);
    assert!(!worst.passed() && !worst.is_kink());
    // The wrong partial is differentiated rightly, so its own derivative agrees with its differences.
    assert_eq!(report.failures().count(), 1);
    let text = report.to_string();
    for part in ["1 of 8 comparisons (f64)", "gradient", "[0]", "9.8", "1.47", "DIFFERS", "hessian"]
    {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let error = gradcheck(f, [0.7, 0.2]).unwrap_err();
    assert!(error.to_string().contains("DIFFERS"));
    assert!(error.report().is_some());

    let report = gradcheck(|x: TensorVar| x * x, Tensor::linspace(1.0, 2.0, 20)).unwrap();
    assert_eq!(report.entries.len(), 22);
    assert!(report.to_string().contains("and 12 more, none worse"));
    assert!(report.entries.iter().all(|e| e.status == Status::Agrees));

    let empty = gradcheck(|x: Vec<Var>| x.into_iter().sum::<Var>(), Vec::<f64>::new()).unwrap();
    assert!(empty.passed());
}

#[test]
fn settings() {
    let slightly = |x: Var| x.apply(SlightlyWrong);
    assert!(Check::default().relative(1e-5).run(slightly, 0.7_f64).is_ok());
    assert!(Check::default().absolute(1e-5).run(slightly, 0.7_f64).is_ok());
    assert!(Check::default().relative(1e-7).run(slightly, 0.7_f64).is_err());
    assert_gradients!(slightly, 0.7_f64, relative = 1e-5, absolute = 1e-5, order = 1);
    assert_gradients!(|x: Var| x.apply(Constant), 0.7_f64, order = 1);
    // A shorter step does not reach the kink.
    assert_gradients!(|x: Var| x.abs(), 1e-3_f64, step = 1e-4, absolute = 1e-5);
    let tape = Tape::new();
    let other = tape.var(2.0);
    let error = gradcheck(|_: Var| other, 1.0_f64).unwrap_err();
    assert!(matches!(error, CheckError::Derivative(_)) && error.report().is_none());
}

#[test]
#[should_panic(expected = "DIFFERS")]
fn the_macro_panics() {
    assert_gradients!(|x: Var| x.apply(WrongSign), 0.7_f64);
}

#[test]
fn the_macro_panics_at_the_line_of_the_test() {
    let line = std::sync::Arc::new(std::sync::Mutex::new(None));
    let seen = line.clone();
    let thread = std::thread::Builder::new().name("line".to_owned());
    let old = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().name() == Some("line") {
            *seen.lock().unwrap() = info.location().map(|l| (l.file().to_owned(), l.line()));
        } else {
            old(info);
        }
    }));
    let expected = line!() + 2;
    let run = || {
        assert_gradients!(|x: Var| x.apply(WrongSign), 0.7_f64);
    };
    assert!(thread.spawn(run).unwrap().join().is_err());
    let (file, at) = line.lock().unwrap().clone().unwrap();
    assert!(file.ends_with("check.rs"), "{file}");
    assert_eq!(at, expected);
}
