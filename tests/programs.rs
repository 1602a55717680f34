//! Programs: recording, branches, errors, storing.

use std::error::Error;

use num_traits::{Float, ToPrimitive, Zero};
use wengert::prelude::*;

/// Counts a line of this file, to say which one a message must name.
macro_rules! here {
    () => {
        concat!("programs.rs:", line!())
    };
}

fn branch_line<T: std::fmt::Debug>(
    result: Result<T, ProgramError>,
) -> (String, bool, Option<usize>) {
    match result {
        Err(ProgramError::BranchChanged { location, held, point }) => (location, held, point),
        other => panic!("{other:?}"),
    }
}

#[test]
fn several_outputs_in_their_order() -> Result<(), ProgramError> {
    let p =
        Program::record(2, |x: &[Var]| (x[0] + x[1], [x[0], x[1]], vec![2.0 * x[0], 7.0.into()]))?;
    assert_eq!(p.eval(&[1.0, 2.0])?, [3.0, 1.0, 2.0, 2.0, 7.0]);
    assert_eq!(p.select(&[4, 0])?.eval(&[1.0, 2.0])?, [7.0, 3.0]);
    let product = Program::record(2, |x: &[Var]| x[0] * x[1])?;
    assert_eq!(p.beside(&product)?.eval(&[3.0, 2.0])?[5], 6.0);
    assert!(p.select(&[5]).is_err());
    assert!(p.beside(&Program::record(1, |x: &[Var]| x[0])?).is_err());
    Ok(())
}

#[test]
fn passes_leave_the_bits_alone() -> Result<(), ProgramError> {
    // What looks like nothing is something at -0, infinity and NaN.
    let p = Program::record(1, |x: &[Var]| {
        let x = x[0];
        [x + 0.0, x - 0.0, x * 1.0, x * 0.0, x / 1.0, -(-x), x * -1.0, 0.0 - x, x - x, x.powi(1)]
    })?;
    for x in [0.0, -0.0, 1.5, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 5e-324] {
        let expected = [x + 0.0, x - 0.0, x, x * 0.0, x, x, -x, 0.0 - x, x - x, x];
        for (k, (made, expected)) in p.eval(&[x])?.into_iter().zip(expected).enumerate() {
            let same = made.to_bits() == expected.to_bits() || (made.is_nan() && expected.is_nan());
            assert!(same, "output {k} at {x}: {made} {expected}");
        }
    }
    // x + 0, x * 0, 0 - x, x - x, and -x once for all that are it.
    assert_eq!(p.stats().instructions, 5, "{p}");
    Ok(())
}

#[test]
fn loops_over_neighbours_end_where_the_kind_changes() -> Result<(), ProgramError> {
    // Stretches that could be taken for one: they differ in an exponent, a constant, or a side.
    fn f<T: Elementary>(x: &[T]) -> Vec<T> {
        let part = |k: usize, f: fn(T, T) -> T| {
            (20 * k..20 * k + 20)
                .map(move |i| (i, f))
                .map(|(i, f)| f(x[i], x[i + 1]))
                .collect::<Vec<T>>()
        };
        [
            part(0, |x, _| x.powi(3)),
            part(1, |x, _| x.powi(5)),
            part(2, |x, _| x * T::lit(3.0)),
            part(3, |x, _| x * T::lit(5.0)),
            part(4, |x, y| x - y),
            part(5, |x, y| y - x),
            part(6, |x, y| T::select_gt(x, y, x, y)),
            part(7, |x, y| T::select_gt(x, y, y, x)),
            part(8, |x, y| x.mul_add(y, x)),
            part(9, |x, y| x.hypot(y)),
        ]
        .concat()
    }
    let x: Vec<f64> = (0..201).map(|i| (0.37 * f64::from(i)).cos()).collect();
    let program = Program::record(201, |x: &[Var]| f(x))?;
    assert_eq!(program.eval(&x)?, f(&x));
    // In single precision too.
    let single: Vec<f32> = x.iter().map(|&x| x as f32).collect();
    let program = Program::<f32>::record(201, |x: &[Var<f32>]| f(x))?;
    assert_eq!(program.eval(&single)?, f(&single));
    Ok(())
}

/// All kinds of steps: pairs, products, functions of what is the same everywhere and of what is not.
fn mixed<T: Elementary>(x: &[T]) -> Vec<T> {
    let (a, b, c) = (x[0], x[1], x[2]);
    let product = a * b + b * c - (a * c - b * b);
    let fraction = (a + b) / c - c / (a - b) + (a / c) * b;
    let function = b.exp().sqrt() * c.sin() + (b * b).powi(3) / b.powi(-2) + b.hypot(c).cbrt();
    let chosen = T::select_gt(a, c, -b, product) + a.max(c).mul_add(b, fraction);
    vec![product, fraction, function, chosen, b.ln() - a.abs().sqrt()]
}

#[test]
fn few_points_have_the_bits_of_one() -> Result<(), ProgramError> {
    let p = Program::record(3, |x: &[Var]| mixed(x))?;
    let both = p.beside(&p.jacobian()?)?;
    let a: Vec<f64> = (0..8).map(|i| 0.7 + f64::from(i)).collect();
    for points in 1..=8 {
        for columns in [[&a[..points], &[0.4], &[1.9]], [&[0.4], &a[..points], &a[..points]]] {
            let many = both.eval_many(&columns)?;
            for i in 0..points {
                let x = columns.map(|column| column[i % column.len()]);
                let made: Vec<u64> = many.iter().map(|output| output[i].to_bits()).collect();
                let one: Vec<u64> = both.eval(&x)?.into_iter().map(f64::to_bits).collect();
                assert_eq!(made, one, "{points} {i}");
                assert_eq!(p.eval(&x)?, mixed(&x));
            }
        }
    }
    let single = Program::<f32>::record(3, |x: &[Var<f32>]| mixed(x))?;
    let made = single.eval_many(&[&[0.7, 3.5], &[0.4], &[1.9]])?;
    assert_eq!(made.iter().map(|y| y[1]).collect::<Vec<_>>(), mixed(&[3.5f32, 0.4, 1.9]));
    assert_eq!(p.eval_sum(&[&[1.0, 2.0], &[0.5], &[3.0]])?.len(), 5);
    Ok(())
}

/// Every two operations that may be done in one step.
fn pairs<T: Elementary>(x: &[T]) -> Vec<T> {
    let (a, b, c, d) = (x[0], x[1], x[2], x[3]);
    let inner: [fn(T, T) -> T; 4] = [|a, b| a + b, |a, b| a - b, |a, b| a * b, |a, b| a / b];
    let outer: [fn(T, T) -> T; 6] =
        [|v, c| v + c, |v, c| v - c, |v, c| c - v, |v, c| v * c, |v, c| v / c, |v, c| c / v];
    // With another operand for each, so that none of the inner ones is shared.
    let mut y = Vec::new();
    for inner in inner {
        for outer in outer {
            y.push(outer(inner(x[4 + y.len()], b), c));
        }
    }
    y.extend([a * b + c * d, a * c - b * d]);
    y
}

#[test]
fn pairs_of_operations_have_the_bits_of_both() -> Result<(), ProgramError> {
    let p = Program::record(28, |x: &[Var]| pairs(x))?;
    let a = [0.7, 1.7, -2.3];
    let mut x: Vec<f64> = (0..28).map(|k| (1.3 * f64::from(k)).sin() + 1.5).collect();
    let many = {
        let column = |k| if k > 3 { &a[..] } else { &x[k..=k] };
        p.eval_many(&(0..28).map(column).collect::<Vec<&[f64]>>())?
    };
    for (i, &a) in a.iter().enumerate() {
        x[4..].fill(a);
        assert_eq!(p.eval(&x)?, pairs(&x));
        assert_eq!(many.iter().map(|y| y[i]).collect::<Vec<_>>(), pairs(&x), "{a}");
    }
    Ok(())
}

#[test]
fn tangents_in_several_directions_of_a_long_loop() -> Result<(), ProgramError> {
    // So long that the list repeats itself, and with a length that no period divides.
    let f = |x: &[Var]| {
        let turn = |(p, v): (Var, Var), _| {
            let v = v - 0.01 * (x[0] * p.sin() + x[1] * v * v.abs());
            (p + 0.01 * v, v)
        };
        let (p, v) = (0..1234).fold((x[2], x[3]), turn);
        [p, v]
    };
    let program = Program::record(4, f)?;
    let x = [1.3, 0.2, 0.5, -0.1];
    let expected = program.jacobian()?.eval(&x)?;
    let unit: Vec<[f64; 4]> =
        (0..4).map(|k| std::array::from_fn(|i| f64::from(u8::from(i == k)))).collect();
    let columns: Vec<&[f64]> =
        x.iter().map(std::slice::from_ref).chain(unit.iter().map(|u| &u[..])).collect();
    let made = program.jvp()?.eval_many(&columns)?.concat();
    for (made, expected) in made.iter().zip(&expected) {
        assert!((made - expected).abs() <= 1e-11 * (1.0 + expected.abs()), "{made} {expected}");
    }
    Ok(())
}

#[test]
fn passes_shorten() -> Result<(), ProgramError> {
    let p = Program::record(2, |x: &[Var]| {
        let (a, b) = (x[0], x[1]);
        let dead = (a * b).exp();
        let _ = dead.sin();
        let two = Var::constant(4.0).sqrt();
        a * b + b * a + two * a - (-b)
    })?;
    // a b, a b + a b, 2 a, +, + b.
    assert_eq!(p.stats().instructions, 5, "{p}");
    assert_eq!(p.eval(&[3.0, 5.0])?, [3.0 * 5.0 + 3.0 * 5.0 + 6.0 + 5.0]);
    Ok(())
}

#[test]
fn a_branch_that_would_change_is_an_error_with_its_line() -> Result<(), ProgramError> {
    let line = std::cell::Cell::new(0);
    let f = |x: &[Var]| {
        line.set(line!() + 1);
        if x[0] * x[0] > x[1] { x[0].sin() } else { x[1].exp() }
    };
    let p = Program::record_at(&[2.0, 1.0], f)?;
    assert_eq!(p.eval(&[3.0, 1.0])?, [3f64.sin()]);
    let expected = format!("tests/programs.rs:{}:", line.get());
    let (location, held, point) = branch_line(p.eval(&[0.5, 1.0]));
    assert!(location.starts_with(&expected), "{location} {expected}");
    assert_eq!((held, point), (true, None));
    // In every derivative, and wherever it runs.
    for derived in [p.gradient()?, p.hessian()?, p.jacobian_forward()?, p.value_and_gradient()?] {
        assert!(derived.eval(&[3.0, 1.0]).is_ok());
        branch_line(derived.eval(&[0.5, 1.0]));
    }
    assert!(p.eval_many(&[&[3.0, 4.0, 5.0], &[1.0]]).is_ok());
    let (location, _, point) = branch_line(p.eval_many(&[&[3.0, 4.0, 0.5, 0.1], &[1.0]]));
    assert!(location.starts_with(&expected) && point == Some(2));
    branch_line(p.eval_sum(&[&[3.0, 4.0, 0.5], &[1.0]]));
    // At the border the comparison is the recorded one, not its neighbour.
    branch_line(p.eval(&[1.0, 1.0]));
    // On tensors and on tapes.
    let tape = Tape::new();
    let (x, one) = (tape.tensor([3.0, 0.5]), tape.constant(1.0));
    let message = p.try_map(&[x, one]).unwrap_err().to_string();
    assert!(message.contains(&expected) && message.contains("point 1"), "{message}");
    branch_line(p.call(&[tape.var(0.5), tape.var(1.0)]));
    // And within another program.
    let outer = Program::record_at(&[3.0], |x: &[Var]| p.call(&[x[0], 1.0.into()]).unwrap())?;
    assert_eq!(outer.eval(&[4.0])?, [4f64.sin()]);
    branch_line(outer.eval(&[0.5]));
    Ok(())
}

#[test]
fn every_kind_of_comparison() -> Result<(), ProgramError> {
    let values = [-1.0, -0.0, 0.0, 1.0, 2.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
    let questions: [fn(Var, Var) -> bool; 14] = [
        |a, b| a < b,
        |a, b| a <= b,
        |a, b| a > b,
        |a, b| a >= b,
        |a, b| a == b,
        |a, b| a != b,
        |a, b| a < 1.0 && b.is_positive_number(),
        |a, _| a.is_zero(),
        |a, _| a.is_nan(),
        |a, _| a.is_finite(),
        |a, _| a.is_infinite(),
        |a, _| a.is_sign_negative(),
        |a, _| a.is_sign_positive(),
        |a, b| a.partial_cmp(&b).is_none(),
    ];
    for (k, question) in questions.iter().enumerate() {
        for a in values {
            for b in values {
                let f = |x: &[Var]| if question(x[0], x[1]) { x[0] } else { x[1] };
                let p = Program::record_at(&[a, b], f)?;
                assert!(p.eval(&[a, b]).is_ok(), "question {k} at its own point {a} {b}");
                let asked = question(a.into(), b.into());
                for c in values {
                    for d in values {
                        let now = question(c.into(), d.into());
                        // Several comparisons may be behind one question: then more is checked.
                        if now != asked {
                            assert!(p.eval(&[c, d]).is_err(), "question {k}: {a} {b}, {c} {d}");
                        } else if k < 6 || (7..13).contains(&k) {
                            assert!(p.eval(&[c, d]).is_ok(), "question {k}: {a} {b}, {c} {d}");
                        }
                        let many = p.eval_many(&[&[c], &[d]]).is_ok();
                        assert_eq!(many, p.eval(&[c, d]).is_ok(), "question {k}: {c} {d}");
                    }
                }
            }
        }
    }
    Ok(())
}

trait PositiveNumber {
    fn is_positive_number(&self) -> bool;
}

impl PositiveNumber for Var {
    fn is_positive_number(&self) -> bool {
        num_traits::Signed::is_positive(self)
    }
}

#[test]
fn leaving_the_tape_is_an_error_with_the_line() {
    type Leave = fn(&[Var]) -> Var;
    let cases: [(&str, &str, Leave); 4] = [
        ("value()", here!(), |x| (x[0].value() * 2.0).into()),
        ("to_f64()", here!(), |x| ToPrimitive::to_f64(&x[0]).unwrap().into()),
        ("to_i64()", here!(), |x| ToPrimitive::to_i64(&x[0]).unwrap() as f64 * x[0]),
        ("classify()", here!(), |x| x[x[0].classify() as usize / 9]),
    ];
    for (operation, line, f) in cases {
        let error = Program::record(1, f).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(operation) && message.contains(line), "{message} {line}");
    }
    // Frozen on purpose it is a constant.
    let p = Program::record_at(&[3.0], |x: &[Var]| x[0] * x[0].freeze()).unwrap();
    assert_eq!(p.eval(&[5.0]).unwrap(), [15.0]);
    // A constant has no tape to leave, and elsewhere nothing is changed.
    assert!(Program::record(1, |x: &[Var]| x[0] * Var::constant(2.0).value()).is_ok());
    assert_eq!(Tape::new().var(2.0).value(), 2.0);
}

#[test]
fn a_sweep_of_numbers_while_a_program_is_recorded_leaves_the_tape() {
    let f = |x: &[Var]| {
        let slope = (x[0] * x[0]).backward().map(|g| g.wrt(x[0]));
        x[0] * slope.unwrap_or(0.0)
    };
    let error = Program::record(1, f).unwrap_err();
    assert!(matches!(error, ProgramError::LeftTape { .. }), "{error}");
    // A recorded one does not.
    let f = |x: &[Var]| (x[0] * x[0]).grad_recorded(x).unwrap()[0].unwrap();
    assert_eq!(Program::record(1, f).unwrap().eval(&[5.0]).unwrap(), [10.0]);
}

#[test]
fn what_does_not_belong() {
    let other = Tape::new();
    let foreign = other.var(1.0);
    let error = Program::record(1, |x: &[Var]| [x[0], foreign]).unwrap_err();
    assert!(matches!(error, ProgramError::ForeignOutput { position: 1, .. }), "{error}");
    let error = Program::record(1, |x: &[Var]| x[0].to_tensor().exp().to_scalar()).unwrap_err();
    assert!(
        matches!(error, ProgramError::Tensor { .. } | ProgramError::LeftTape { .. }),
        "{error}"
    );
    let (x, y) = (other.var(1.0), other.var(2.0));
    assert!(matches!(Program::of(&[x], &[x * y]), Err(ProgramError::MissingInput { .. })));
    assert!(matches!(
        Program::of(&[x, y, 1.0.into()], &[x * y]),
        Err(ProgramError::ForeignInput { position: 2, .. })
    ));
    assert_eq!(Program::of(&[x, y], &[x * y]).unwrap().eval(&[3.0, 4.0]).unwrap(), [12.0]);
}

#[test]
fn wrong_numbers_of_arguments() -> Result<(), ProgramError> {
    let p = Program::record(2, |x: &[Var]| x[0] * x[1])?;
    let message = p.eval(&[1.0]).unwrap_err().to_string();
    assert!(
        message.contains("2 inputs, and 1 were given") && message.contains("programs.rs"),
        "{message}"
    );
    assert!(p.eval_into(&[1.0, 2.0], &mut [], &mut Workspace::default()).is_err());
    assert!(p.eval_many(&[&[1.0]]).is_err());
    let message = p.eval_many(&[&[1.0, 2.0], &[1.0, 2.0, 3.0]]).unwrap_err().to_string();
    assert!(message.contains("input 1 has 3 elements for 2 points"), "{message}");
    assert!(p.eval_many_into(&[&[1.0, 2.0], &[1.0]], &mut [&mut [0.0]]).is_err());
    assert_eq!(p.eval_many(&[&[], &[]])?, [[0.0; 0]]);
    assert_eq!(p.eval_many(&[&[], &[1.0]])?, [[0.0; 0]]);
    assert_eq!(p.eval_sum(&[&[], &[1.0]])?, [0.0]);
    let nothing = Program::record(0, |_: &[Var]| Var::constant(3.0))?;
    assert_eq!((nothing.eval(&[])?, nothing.gradient()?.eval(&[])?), (vec![3.0], vec![]));
    let two = p.beside(&p)?;
    assert!(two.gradient().is_err() && two.hessian().is_err());
    assert_eq!(two.jacobian()?.eval(&[3.0, 4.0])?, [4.0, 3.0, 4.0, 3.0]);
    Ok(())
}

/// A rule whose author says what its derivative is: that of the identity.
struct Straight;

impl Unary for Straight {
    const NAME: &'static str = "straight";
    fn value<T: Elementary>(&self, x: T) -> T {
        x.floor() * T::lit(2.0)
    }
    fn partial<T: Elementary>(&self, x: T, _: T) -> T {
        x
    }
}

#[test]
fn rules_keep_the_derivative_that_they_state() -> Result<(), Box<dyn Error>> {
    let p = Program::record(1, |x: &[Var]| x[0].apply(Straight) * x[0])?;
    assert_eq!(p.eval(&[2.5])?, [10.0]);
    // 2 floor(x) + x * x, and its derivative as stated: x + 2 x.
    assert_eq!(p.gradient()?.eval(&[2.5])?, [4.0 + 6.25]);
    assert_eq!(p.hessian()?.eval(&[2.5])?, [2.5 + 5.0]);
    assert_eq!(p.eval_many(&[&[2.5, 3.5]])?, [[10.0, 21.0]]);
    assert_eq!(p.inlined().gradient()?.eval(&[2.5])?, [4.0]);
    assert!(p.to_string().contains("straight x0"), "{p}");
    let tape = Tape::new();
    let x = tape.tensor([2.5, 3.5]);
    assert_eq!(p.map(&[x])[0].sum().backward()?.wrt(x), Tensor::from([10.25, 18.25]));
    // The program outlives the tape and goes to other threads.
    let made = std::thread::spawn(move || p.gradient()?.eval(&[2.5])).join().unwrap()?;
    assert_eq!(made, [10.25]);
    Ok(())
}

#[test]
fn unreached_inputs_and_infinite_partials() -> Result<(), ProgramError> {
    let p = Program::record(3, |x: &[Var]| [x[0].sqrt(), x[1] * 0.0])?;
    // Row 0 does not depend on x1, nor row 1 on x0, whose partial would be infinite.
    for jacobian in [p.jacobian_forward()?, p.jacobian_reverse()?] {
        assert_eq!(jacobian.eval(&[0.0, 1.0, 1.0])?, [f64::INFINITY, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }
    let tape = Tape::new();
    let (a, b) = (tape.tensor([0.0]), tape.tensor([1.0]));
    let outputs = p.map(&[a, b, tape.constant(1.0)]);
    let g = outputs[1].sum().backward().unwrap();
    assert_eq!(g.wrt(a), Tensor::from([0.0]));
    Ok(())
}

#[test]
fn many_points_on_several_threads_have_the_same_bits() -> Result<(), ProgramError> {
    let p = Program::record(2, |x: &[Var]| (x[0].exp() * x[1]).sin() / (x[0] * x[0] + 1.0))?;
    let p = p.value_and_gradient()?;
    let a: Vec<f64> = (0..100_003).map(|i| (0.37 * f64::from(i)).cos()).collect();
    let run = || (p.eval_many(&[&a, &[0.7]]).unwrap(), p.eval_sum(&[&a, &[0.7]]).unwrap());
    let alone = run();
    for threads in [1, 2, 3] {
        assert!(with_threads(threads, run) == alone, "{threads} threads");
    }
    Ok(())
}

#[test]
fn stored_and_loaded() -> Result<(), Box<dyn Error>> {
    let p = Program::record_at(&[2.0, 1.0], |x: &[Var]| {
        let y = if x[0] > x[1] { x[0].powi(3) } else { x[1] };
        [y * f64::INFINITY, y.min(0.1) + x[0], Var::select_gt(x[0], 0.3, y, 1.0 / 3.0)]
    })?;
    let text = serde_json::to_string(&p)?;
    let loaded: Program = serde_json::from_str(&text)?;
    assert_eq!(loaded.to_string(), p.to_string());
    assert_eq!(loaded.jacobian()?.eval(&[2.0, 1.5])?[2..], p.jacobian()?.eval(&[2.0, 1.5])?[2..]);
    assert_eq!(branch_line(loaded.eval(&[0.0, 1.0])), branch_line(p.eval(&[0.0, 1.0])));
    // What is wrong with a file is said, and nothing of it is used.
    let bad = [
        ("\"wengert_program\":1", "\"wengert_program\":2", "version 2"),
        ("\"f64\"", "\"f32\"", "its numbers are f32"),
        ("\"powi\"", "\"power\"", "no operation `power`"),
        ("{\"input\":0}", "{\"input\":2}", "input 2 of 2"),
        ("{\"value\":0}", "{\"value\":99}", "value 99 of"),
        ("{\"constant\":0}", "{\"constant\":77}", "constant 77 of"),
        ("[{\"input\":1},{\"input\":0}", "[{\"input\":1}", ""),
    ];
    for (part, instead, message) in bad {
        assert!(text.contains(part) || message.is_empty(), "{part} {text}");
        let error = serde_json::from_str::<Program>(&text.replace(part, instead));
        if !message.is_empty() {
            let error = error.unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
    let with_rule = Program::record(1, |x: &[Var]| x[0].apply(Straight))?;
    assert!(serde_json::to_string(&with_rule).unwrap_err().to_string().contains("`straight`"));
    assert!(serde_json::to_string(&with_rule.inlined()).is_ok());
    Ok(())
}
