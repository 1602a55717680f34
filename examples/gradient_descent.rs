//! Gradient descent, written by hand, on the sum of the squares of ten numbers.
//!
//! The gradient is `2 theta`, so that a step multiplies each number by `1 - 2 alpha = 0.98`: after a
//! thousand steps `0.98^1000`, about two billionths, of the start is left.

use wengert::prelude::*;

const ALPHA: f64 = 0.01;
const STEPS: usize = 1000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut theta = [10.0, -9.0, 8.0, -7.0, 6.0, -5.0, 4.0, -3.0, 2.0, -1.0];

    let mut tape = Tape::new();
    for step in 0..STEPS {
        tape.reset();
        let x = tape.vars(theta);
        let loss: Var = x.iter().map(|&x| x * x).sum();
        if step % 200 == 0 {
            println!("step {step:4}: loss {:.3e}", loss.value());
        }
        let gradient = loss.backward()?;
        for (theta, x) in theta.iter_mut().zip(x) {
            *theta -= ALPHA * gradient.wrt(x);
        }
    }

    let largest = theta.iter().fold(0.0f64, |m, t| m.max(t.abs()));
    println!("after {STEPS} steps each number is 0 within {largest:.1e}");
    println!("max_abs_theta={largest}");
    Ok(())
}
