//! A loss of one's own: the quantile ("pinball") loss, for which no library function is needed.
//!
//! Its minimum is not the mean but a quantile: too low a prediction costs `level` for each unit, too
//! high a one `1 - level`. Fitted with `level = 0.9`, a line has nine points of ten below it.
//!
//! Source: R. Koenker, G. Bassett, "Regression quantiles", Econometrica 46 (1978), 33-50.

use rand::{SeedableRng, rngs::StdRng};
use wengert::prelude::*;

/// The loss of a residual, target minus prediction. It is an ordinary function: of a number, of a
/// recorded number, or of a whole recorded tensor.
fn pinball<T: Elementary>(residual: T, level: f64) -> T {
    let (low, high) = (T::lit(level), T::lit(level - 1.0));
    let price = T::select_gt(residual, T::lit(0.0), low, high);
    price * residual
}

const POINTS: usize = 1000;
const LEVEL: f64 = 0.9;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The noise grows with x, so that the quantile is steeper than the middle of the data.
    let mut rng = StdRng::seed_from_u64(1);
    let x = Tensor::uniform([POINTS], 0.0, 1.0, &mut rng);
    let noise = Tensor::normal([POINTS], 0.0, 1.0, &mut rng);
    let y = x.zip_map(&noise, |x, noise| 2.0 * x + 0.5 * x * noise);

    let mut params = Params::new();
    let slope = params.insert("slope", Tensor::scalar(0.0));
    let intercept = params.insert("intercept", Tensor::scalar(0.0));
    let mut adam = Adam::new(0.02);

    let mut tape = Tape::new();
    for step in 0..1000 {
        tape.reset();
        let p = params.bind(&tape);
        let line = p[slope] * tape.constant(&x) + p[intercept];
        let loss = pinball(tape.constant(&y) - line, LEVEL).mean();
        if step % 200 == 0 {
            println!("step {step:3}: loss {:.4}", loss.item());
        }
        adam.step(&mut params, loss.backward()?)?;
    }

    // The same function on plain numbers.
    println!(
        "the loss of one unit too low is {}, too high {:.1}",
        pinball(1.0, LEVEL),
        pinball(-1.0, LEVEL)
    );

    let (slope, intercept) = (params.get(slope).item(), params.get(intercept).item());
    let below = x.iter().zip(y.iter()).filter(|&(x, y)| *y < slope * x + intercept);
    let below = below.count() as f64 / POINTS as f64;
    println!("the line has slope {slope:.3} and intercept {intercept:.3}");
    println!("{:.1} % of the points are below it", 100.0 * below);
    println!("below={below} slope={slope} intercept={intercept}");
    Ok(())
}
