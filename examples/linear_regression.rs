//! Linear regression: the line `y = 3 x`, found again from a hundred noisy points.
//!
//! With noise of deviation 0.1 on `x` uniform in `[-1, 1)`, the slope of the best line has the
//! standard deviation `0.1 / sqrt(100 / 3)`, about 0.02.

use rand::{SeedableRng, rngs::StdRng};
use wengert::prelude::*;

const POINTS: usize = 100;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut rng = StdRng::seed_from_u64(1);
    let x = Tensor::uniform([POINTS], -1.0, 1.0, &mut rng);
    let noise = Tensor::normal([POINTS], 0.0, 0.1, &mut rng);
    let y = x.zip_map(&noise, |x, noise| 3.0 * x + noise);

    let mut params = Params::new();
    let slope = params.insert("slope", Tensor::scalar(0.0));
    let intercept = params.insert("intercept", Tensor::scalar(0.0));
    let mut sgd = Sgd::new(0.1);

    let mut tape = Tape::new();
    for step in 0..300 {
        tape.reset();
        let p = params.bind(&tape);
        let line = p[slope] * tape.constant(&x) + p[intercept];
        let loss = line.mse_loss(tape.constant(&y));
        if step % 50 == 0 {
            println!("step {step:3}: loss {:.5}", loss.item());
        }
        sgd.step(&mut params, loss.backward()?)?;
    }

    let (slope, intercept) = (params.get(slope).item(), params.get(intercept).item());
    println!("the line has slope {slope:.3} and intercept {intercept:.3}");
    println!("slope={slope} intercept={intercept}");
    Ok(())
}
