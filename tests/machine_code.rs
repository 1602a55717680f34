//! Programs in machine code: the bits of the interpreter, in every kind of run that has any, and what it is not for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use wengert::prelude::*;

/// Whether this machine has it.
fn is_there() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

fn same<E: Real>(made: &[E], expected: &[E], what: &str) {
    assert_eq!(made.len(), expected.len());
    for (k, (&made, &expected)) in made.iter().zip(expected).enumerate() {
        let good = made.bits() == expected.bits() || (made.is_nan() && expected.is_nan());
        assert!(good, "{what}, {k}: {made} {expected}");
    }
}

/// At one point, and at two to eight where each of the inputs differs or does not.
fn check<E: Real>(program: &Program<E>, x: &[E]) {
    let code = program.clone().in_machine_code();
    same(&code.eval(x).unwrap(), &program.eval(x).unwrap(), "one point");
    let whole: Vec<Vec<E>> = x
        .iter()
        .enumerate()
        .map(|(k, &x)| {
            (0..8).map(|i| if i == 5 { -x } else { x + E::lit((i * k) as f64) }).collect()
        })
        .collect();
    for points in [2, 5, 8] {
        for modulus in 1..=2 {
            let columns: Vec<&[E]> = whole
                .iter()
                .enumerate()
                .map(|(k, column)| &column[..if k % modulus == 0 { points } else { 1 }])
                .collect();
            let (made, expected) = (code.eval_many(&columns), program.eval_many(&columns));
            same(&made.unwrap().concat(), &expected.unwrap().concat(), "points");
        }
    }
    assert_eq!(code.stats().machine_code > 0, is_there(), "{:?}", code.stats());
    assert_eq!(program.stats().machine_code, 0);
}

fn functions<T: Elementary>(x: &[T]) -> Vec<T> {
    let (a, b) = (x[0], x[1]);
    let unary = [
        -a,
        a.abs(),
        a.sqrt(),
        a.recip(),
        a.exp(),
        a.ln(),
        a.sin(),
        a.cos(),
        a.tanh(),
        a.erf(),
        a.floor(),
        a.signum(),
        a.relu(),
        a.sigmoid(),
        a.powi(2),
        a.powi(-3),
        a.cbrt(),
        a.atan(),
    ];
    let binary = [
        a + b,
        a - b,
        a * b,
        a / b,
        a % b,
        a.powf(b),
        a.atan2(b),
        a.hypot(b),
        a.min(b),
        a.max(b),
        a.copysign(b),
        a.mul_add(b, a),
        T::select_gt(a, b, a - b, a * b),
        a * b + b * x[2],
        a * x[2] - b * b,
        (a + b) * x[2],
        x[2] - a * b,
        x[2] / (a - b),
        (a / b) / x[2],
    ];
    [&unary[..], &binary[..]].concat()
}

#[test]
fn functions_at_special_numbers() -> Result<(), ProgramError> {
    let special =
        [0.0, -0.0, 1.0, -1.5, 0.7, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 5e-324, 1e300];
    let double = Program::record(3, |x: &[Var]| functions(x))?;
    let single = Program::<f32>::record(3, |x: &[Var<f32>]| functions(x))?;
    for a in special {
        for b in special {
            check(&double, &[a, b, 1.7]);
            check(&single, &[a as f32, b as f32, 1.7]);
        }
    }
    let derivatives = double.jacobian()?;
    check(&derivatives, &[0.3, 1.2, -0.8]);
    check(&single.jacobian()?, &[0.3, 1.2, -0.8]);
    Ok(())
}

#[test]
fn a_long_loop() -> Result<(), ProgramError> {
    // The equations of Lotka and Volterra; and a pendulum, with a function that is called in the loop.
    fn rabbits<T: Elementary>(x: &[T]) -> T {
        let (h, half) = (T::lit(1e-2), T::lit(0.5));
        let slope = |u: T, v: T| (x[0] * u - x[1] * u * v, x[3] * u * v - x[2] * v);
        let turn = |(u, v): (T, T), _| {
            let (a, b) = slope(u, v);
            let (c, d) = slope(u + half * h * a, v + half * h * b);
            (u + h * c, v + h * d)
        };
        let (u, v) = (0..1234).fold((x[4], x[5]), turn);
        u + v
    }
    fn pendulum<T: Elementary>(x: &[T]) -> T {
        let h = T::lit(1e-2);
        let turn = |(p, v): (T, T), _| {
            let v = v - h * (x[0] * p.sin() + x[1] * v * v.abs());
            (p + h * v, v)
        };
        (0..1234).fold((x[2], x[3]), turn).0
    }
    fn check_loop(program: &Program, x: &[f64]) -> Result<Program, ProgramError> {
        let n = x.len();
        let jvp = program.jvp()?;
        let units: Vec<f64> = (0..n * n).map(|i| f64::from(u8::from(i % (n + 1) == 0))).collect();
        let columns: Vec<&[f64]> =
            x.iter().map(std::slice::from_ref).chain(units.chunks(n)).collect();
        let code = jvp.clone().in_machine_code();
        same(&code.eval_many(&columns)?.concat(), &jvp.eval_many(&columns)?.concat(), "tangents");
        // Thousands of places, whose distances need more than a byte.
        let both = program.value_and_gradient()?;
        same(&both.clone().in_machine_code().eval(x)?, &both.eval(x)?, "gradient");
        Ok(code)
    }
    let rabbits = Program::record(6, |x: &[Var]| rabbits(x))?;
    let stats = check_loop(&rabbits, &[1.5, 1.0, 3.0, 1.0, 1.0, 1.2])?.stats();
    // The loop is one: it is far shorter than the list.
    assert!(stats.machine_code < stats.instructions, "{stats:?}");
    let pendulum = Program::record(4, |x: &[Var]| pendulum(x))?;
    check_loop(&pendulum, &[1.3, 0.2, 0.5, -0.1])?;
    Ok(())
}

#[test]
fn branches_are_checked() -> Result<(), ProgramError> {
    let f = |x: &[Var]| if x[0] * x[1] > 1.0 { x[0].sqrt() } else { -x[0] };
    let program = Program::record_at(&[4.0, 1.0], f)?.in_machine_code();
    assert_eq!(program.eval(&[9.0, 1.0])?, [3.0]);
    assert!(matches!(program.eval(&[0.5, 1.0]), Err(ProgramError::BranchChanged { .. })));
    let few = program.eval_many(&[&[4.0, 9.0, 0.5], &[1.0]]);
    assert!(matches!(few, Err(ProgramError::BranchChanged { point: Some(2), .. })), "{few:?}");
    assert_eq!(program.eval_many(&[&[4.0, 9.0, 16.0], &[1.0]])?, [[2.0, 3.0, 4.0]]);
    Ok(())
}

/// `x^2`, and a panic below zero.
struct Square;

impl External for Square {
    fn name(&self) -> &'static str {
        "square"
    }
    fn inputs(&self) -> usize {
        1
    }
    fn outputs(&self) -> usize {
        1
    }
    fn call(&self, x: &[f64], y: &mut [f64]) {
        assert!(x[0] >= 0.0 || x[0].is_nan(), "below zero");
        y[0] = x[0] * x[0];
    }
    fn vjp(&self, x: &[f64], _: &[f64], u: &[f64], v: &mut [f64]) {
        v[0] = 2.0 * x[0] * u[0];
    }
}

#[test]
fn functions_from_elsewhere_are_called_between_pieces() -> Result<(), ProgramError> {
    let square = Arc::new(Square);
    let f = |x: &[Var]| {
        let y = external(&square, &[x[0] * x[1] + x[1]])[0];
        let z = external(&square, &[y - x[0] / x[1]])[0];
        [x[0] * y + x[1] * z, z - x[0].exp()]
    };
    let program = Program::record(2, f)?;
    let code = program.clone().in_machine_code();
    let x = [1.3, 0.9];
    same(&code.eval(&x)?, &program.eval(&x)?, "calls");
    assert_eq!(code.stats().machine_code > 0, is_there());
    let gradient = program.jacobian()?;
    same(&gradient.clone().in_machine_code().eval(&x)?, &gradient.eval(&x)?, "derivatives");
    // A panic passes, and the program can be used again.
    assert!(catch_unwind(AssertUnwindSafe(|| code.eval(&[-9.0, 0.9]))).is_err());
    same(&code.eval(&x)?, &program.eval(&x)?, "after a panic");
    Ok(())
}

#[test]
fn on_several_threads() -> Result<(), ProgramError> {
    let program = Program::record(3, |x: &[Var]| functions(x))?;
    let code = program.clone().in_machine_code();
    std::thread::scope(|scope| {
        for t in 0..4 {
            let (program, code) = (&program, &code);
            scope.spawn(move || {
                for i in 0..100 {
                    let x = [0.1 + f64::from(t), 0.2 + f64::from(i), 1.5];
                    same(&code.eval(&x).unwrap(), &program.eval(&x).unwrap(), "thread");
                }
            });
        }
    });
    Ok(())
}

#[test]
fn what_is_made_of_it_is_without() -> Result<(), Box<dyn std::error::Error>> {
    let code = Program::record(2, |x: &[Var]| x[0] * x[1] + x[0])?.in_machine_code();
    let clone = code.clone();
    assert_eq!(code.eval(&[2.0, 3.0])?, [8.0]);
    assert_eq!(clone.stats(), code.stats());
    let gradient = code.gradient()?;
    assert_eq!(gradient.eval(&[2.0, 3.0])?, [4.0, 2.0]);
    assert_eq!(gradient.stats().machine_code, 0);
    let loaded: Program = serde_json::from_str(&serde_json::to_string(&code)?)?;
    assert_eq!(loaded.eval(&[2.0, 3.0])?, [8.0]);
    assert_eq!(loaded.stats().machine_code, 0);
    // Without an instruction, and without an output.
    assert_eq!(Program::record(1, |x: &[Var]| x[0])?.in_machine_code().eval(&[7.0])?, [7.0]);
    assert!(code.select(&[])?.in_machine_code().eval(&[1.0, 2.0])?.is_empty());
    Ok(())
}
