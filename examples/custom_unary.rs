//! An elementwise function of one argument that the library does not have, with a parameter.
//!
//! The snake activation `x + sin(a x)^2 / a` (L. Ziyin, T. Hartwig, M. Ueda, "Neural networks fail
//! to learn periodic functions and how to fix it", NeurIPS 2020). Value and derivative are written
//! once; plain numbers, recorded numbers, recorded tensors and derivatives of every order follow.

use wengert::autograd::check::gradgradcheck;
use wengert::autograd::functional::{grad, hessian};
use wengert::prelude::*;

#[derive(Clone, Copy)]
struct Snake {
    frequency: f64,
}

impl Unary for Snake {
    const NAME: &'static str = "snake";

    fn value<T: Elementary>(&self, x: T) -> T {
        let a = T::lit(self.frequency);
        x + (a * x).sin().square() / a
    }

    /// `1 + sin(2 a x)`. The value of the function is there for rules in which it saves work, as in
    /// that of `exp`.
    fn partial<T: Elementary>(&self, x: T, _y: T) -> T {
        T::lit(1.0) + (T::lit(2.0 * self.frequency) * x).sin()
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let snake = Snake { frequency: 1.5 };

    // On a plain number.
    println!("snake(0.4) = {:.6}", 0.4_f64.apply(snake));

    // On a recorded number: the first and the second derivative.
    let first = grad(|x| x.apply(snake), 0.4_f64)?;
    let second = hessian(|x| x.apply(snake), 0.4_f64)?.item();
    println!("snake'(0.4) = {first:.6}, snake''(0.4) = {second:.6}");

    // On a recorded tensor, here one of rank 1.
    let tape = Tape::new();
    let x = tape.tensor([-1.0, 0.0, 0.4, 2.0]);
    let gradient = x.apply(snake).sum().backward()?.wrt(x);
    println!("snake' of {} is {gradient:.4}", x.value());

    // First and second derivatives against finite differences; a wrong rule is an error here.
    let report = gradgradcheck(|x| x.apply(snake), 0.4_f64)?;
    print!("{report}");
    println!("comparisons={} largest_error={}", report.entries.len(), report.max_error());
    Ok(())
}
