//! An elementwise function of two arguments that the library does not have.
//!
//! `ln(exp(a) + exp(b))`, the sum of two probabilities that are kept as logarithms. Written out with
//! `exp` and `ln` it overflows, and the usual remedy has a kink at `a = b` that the function itself
//! does not have. As a rule it has neither: the derivatives are `exp(a - y)` and `exp(b - y)`.

use wengert::autograd::check::gradgradcheck;
use wengert::autograd::functional::{grad, hessian};
use wengert::prelude::*;

#[derive(Clone, Copy)]
struct LogAddExp;

impl Binary for LogAddExp {
    const NAME: &'static str = "log_add_exp";

    fn value<T: Elementary>(&self, a: T, b: T) -> T {
        a.max(b) + (-(a - b).abs()).exp().ln_1p()
    }

    fn partial_a<T: Elementary>(&self, a: T, _b: T, y: T) -> T {
        (a - y).exp()
    }

    fn partial_b<T: Elementary>(&self, _a: T, b: T, y: T) -> T {
        (b - y).exp()
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // On plain numbers, where exp alone would be infinite.
    println!("log_add_exp(1000, 1000) = {:.4}", 1000_f64.apply2(1000.0, LogAddExp));

    // On recorded numbers: the first and the second derivatives. At a = b they are 1/2, and
    // 1/2 (1 - 1/2) with either sign.
    let first = grad(|[a, b]| a.apply2(b, LogAddExp), [0.7, 0.7])?;
    let second = hessian(|[a, b]| a.apply2(b, LogAddExp), [0.7, 0.7])?;
    println!("gradient at (0.7, 0.7): {first:.4?}");
    println!("Hessian there:\n{second:.4}");

    // On recorded tensors, which broadcast against each other and against numbers.
    let tape = Tape::new();
    let column = tape.tensor([[0.0], [1.0]]);
    let row = tape.tensor([-1.0, 0.5, 2.0]);
    let gradients = column.apply2(row, LogAddExp).sum().backward()?;
    println!("gradient of the sum by the row: {:.4}", gradients.wrt(row));

    // First and second derivatives against finite differences; a wrong rule is an error here.
    let report = gradgradcheck(|[a, b]| a.apply2(b, LogAddExp), [0.7, -0.2])?;
    print!("{report}");
    println!("comparisons={} largest_error={}", report.entries.len(), report.max_error());
    Ok(())
}
