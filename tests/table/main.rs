//! The table of the operations: every case of every operation is checked, and `docs/operations.md` says what
//! was found.
//!
//! - The value against an independent computation.
//! - The gradient by a first-order sweep, by a recorded one and by forward mode, against finite
//!   differences.
//! - The Hessian against finite differences of the gradient.
//! - Value and gradient in single precision against those in double precision.
//! - The operation on recorded numbers against that on tensors.
//! - The operation on plain tensors, without a tape: the same bits.
//!
//! The file is written by `WENGERT_WRITE_DOCS=1 cargo test --test table`; the test fails if it is out of
//! date, or if an operation has no case.

mod coverage;
mod derivatives;
mod document;

use std::panic::{AssertUnwindSafe, catch_unwind};

use derivatives::Found;
use document::Row;
use wengert::tape::cases::{self, Case};

#[test]
fn every_operation() {
    let mut rows: Vec<Row> = Vec::new();
    let mut failures = Vec::new();
    for (family, cases) in cases::all() {
        for case in cases {
            assert!(!case.points.is_empty(), "{} has no points", case.name);
            let found = catch_unwind(AssertUnwindSafe(|| derivatives::check(&case)));
            let found = match found {
                Ok(Ok(found)) => found,
                Ok(Err(message)) => {
                    failures.push(format!("{}: {message}", case.name));
                    continue;
                }
                Err(_) => {
                    failures.push(format!("{}: a panic, see above", case.name));
                    continue;
                }
            };
            document::add(&mut rows, family, &case, found);
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    document::compare(&rows);
}

#[test]
fn no_operation_is_forgotten() {
    let names: Vec<&str> =
        cases::all().into_iter().flat_map(|(_, cases)| cases).map(|case| case.name).collect();
    coverage::check(&names);
    coverage::check_plain_twins();
}

/// A wrong value, a wrong derivative and a wrong second derivative are found.
#[test]
fn what_is_wrong_is_found() {
    let all: Vec<Case> = cases::all().into_iter().flat_map(|(_, cases)| cases).collect();
    let of = |name: &str| all.iter().find(|case| case.name == name).expect("it has cases").clone();
    let found = |case: &Case| derivatives::check(case).map(|_: Found| ());
    assert!(found(&of("sin")).is_ok());
    let wrong_value = Case { run: |x| x[0].sin() * 1.000_000_1, ..of("sin") };
    assert!(found(&wrong_value).unwrap_err().contains("reference"));
    let wrong_slope = Case { run: |x| x[0].stop_gradient() + x[0] * 0.0, ..of("trunc") };
    assert!(found(&wrong_slope).is_err());
    let cut =
        Case { run: |x| x[0].stop_gradient().sin() * x[0] / x[0].stop_gradient(), ..of("sin") };
    assert!(found(&cut).unwrap_err().contains("gradient"));
    // The slope is right and does not depend on x.
    let constant_slope = |x: &[wengert::prelude::TensorVar]| {
        let (constant, slope) = (x[0].sin().stop_gradient(), x[0].cos().stop_gradient());
        constant + slope * (x[0] - x[0].stop_gradient())
    };
    let once = Case { run: constant_slope, scalar: None, ..of("sin") };
    assert!(found(&once).unwrap_err().contains("hessian"));
    let wrong_single = Case { run_single: |x| x[0].sin() * 1.001, ..of("sin") };
    assert!(found(&wrong_single).unwrap_err().contains("single"));
    let wrong_plain = Case { plain: |x| x[0].sin() * (1.0 + f64::EPSILON), ..of("sin") };
    assert!(found(&wrong_plain).unwrap_err().contains("plain"));
    let wrong_scalar = Case { scalar: Some(|x| x[0].sin() + 1e-9), ..of("sin") };
    assert!(found(&wrong_scalar).unwrap_err().contains("numbers"));
}
