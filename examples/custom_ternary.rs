//! An elementwise function of three arguments that the library does not have.
//!
//! The logarithm of the normal density at `x` with mean `m` and standard deviation `s`,
//! `-((x - m) / s)^2 / 2 - ln s - ln(2 pi) / 2`, with derivatives by all three.

use wengert::autograd::check::gradgradcheck;
use wengert::autograd::functional::{grad, hessian};
use wengert::prelude::*;

#[derive(Clone, Copy)]
struct LogNormalDensity;

impl Ternary for LogNormalDensity {
    const NAME: &'static str = "log_normal_density";

    fn value<T: Elementary>(&self, x: T, m: T, s: T) -> T {
        let z = (x - m) / s;
        let half_ln_two_pi = T::lit(0.5 * std::f64::consts::TAU.ln());
        T::lit(-0.5) * z * z - s.ln() - half_ln_two_pi
    }

    fn partial_a<T: Elementary>(&self, x: T, m: T, s: T, _y: T) -> T {
        (m - x) / (s * s)
    }

    fn partial_b<T: Elementary>(&self, x: T, m: T, s: T, _y: T) -> T {
        (x - m) / (s * s)
    }

    fn partial_c<T: Elementary>(&self, x: T, m: T, s: T, _y: T) -> T {
        let z = (x - m) / s;
        (z * z - T::lit(1.0)) / s
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // On plain numbers.
    println!("density at the mean: {:.6}", 0_f64.apply3(0.0, 1.0, LogNormalDensity).exp());

    // On recorded numbers: the first and the second derivatives by x, m and s.
    let first = grad(|[x, m, s]| x.apply3(m, s, LogNormalDensity), [1.3, 0.5, 0.4])?;
    let second = hessian(|[x, m, s]| x.apply3(m, s, LogNormalDensity), [1.3, 0.5, 0.4])?;
    println!("gradient at (1.3, 0.5, 0.4): {first:.4?}");
    println!("Hessian there:\n{second:.4}");

    // On a recorded tensor and numbers together: the likelihood of a sample. Its gradient vanishes
    // at the mean and the deviation of the sample, which are the best guess.
    let tape = Tape::new();
    let sample = tape.constant([1.0, 2.0, 4.0, 5.0]);
    let [m, s] = tape.vars([3.0, 2.5_f64.sqrt()]);
    let likelihood = sample.apply3(m, s, LogNormalDensity).sum();
    let gradients = likelihood.backward()?;
    println!("at the optimum: by m {:.0e}, by s {:.0e}", gradients.wrt(m), gradients.wrt(s));

    // First and second derivatives against finite differences; a wrong rule is an error here.
    let report = gradgradcheck(|[x, m, s]| x.apply3(m, s, LogNormalDensity), [1.3, 0.5, 0.4])?;
    print!("{report}");
    println!("comparisons={} largest_error={}", report.entries.len(), report.max_error());
    Ok(())
}
