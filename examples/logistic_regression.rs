//! Logistic regression on four points whose label is their first coordinate.
//!
//! The model is `sigmoid(x w + b)`, the loss the mean squared error, the optimiser plain gradient
//! descent.

use wengert::prelude::*;

const STEPS: usize = 1000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let points = Tensor::from([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]);
    let labels = Tensor::from([[1.0], [1.0], [0.0], [0.0]]);

    let mut params = Params::new();
    let w = params.insert("w", Tensor::zeros([2, 1]));
    let b = params.insert("b", Tensor::zeros([1]));
    let mut sgd = Sgd::new(0.1);

    let mut losses = Vec::new();
    let mut tape = Tape::new();
    for step in 0..STEPS {
        tape.reset();
        let p = params.bind(&tape);
        let probability = (tape.constant(&points).matmul(p[w]) + p[b]).sigmoid();
        let loss = probability.mse_loss(tape.constant(&labels));
        losses.push(loss.item());
        if step % 200 == 0 {
            println!("step {step:4}: loss {:.4}", loss.item());
        }
        sgd.step(&mut params, loss.backward()?)?;
    }

    let weights = params.get(w).reshape([2]);
    println!("weights {weights:.3}, bias {:.3}", params.get(b));
    println!("first_loss={} last_loss={}", losses[0], losses[STEPS - 1]);
    Ok(())
}
