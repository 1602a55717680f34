//! The training loop with every step of the tape spelled out: reset, bind, forward, backward, step.
//!
//! Ten ReLU units and one linear one, plain gradient descent at 0.01, ten epochs over the diabetes
//! data (442 patients, 10 measurements; see `examples/data/README.md`), features and target
//! standardised.

#[path = "support/table.rs"]
mod table;

use rand::{SeedableRng, rngs::StdRng};
use wengert::prelude::*;

use table::{Standardiser, Table};

const EPOCHS: usize = 10;
const BATCH: usize = 16;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Table { features, targets } = Table::parse(include_str!("data/diabetes.csv"))?;
    let x = Standardiser::fit(&features).apply(&features);
    let y = Standardiser::fit(&targets).apply(&targets);
    let rows: Vec<usize> = (0..targets.len()).collect();
    let batches: Vec<_> = rows.chunks(BATCH).map(|rows| (x.rows(rows), y.rows(rows))).collect();

    let mut rng = StdRng::seed_from_u64(1);
    let mut params = Params::new();
    let w1 = params.insert("w1", Tensor::he_normal([10, 10], &mut rng));
    let b1 = params.insert("b1", Tensor::zeros([10]));
    let w2 = params.insert("w2", Tensor::xavier_uniform([10, 1], &mut rng));
    let b2 = params.insert("b2", Tensor::zeros([1]));
    let mut sgd = Sgd::new(0.01);

    let mut losses = Vec::new();
    let mut tape = Tape::new();
    for epoch in 1..=EPOCHS {
        let mut sum = 0.0;
        for (x, y) in &batches {
            // 1. Reset: the tape forgets the last step and keeps its memory.
            tape.reset();

            // 2. Bind: the parameters become leaves of the tape, the data constants. Nothing is copied.
            let p = params.bind(&tape);
            let (x, y) = (tape.constant(x), tape.constant(y));

            // 3. Forward: every operation is recorded.
            let hidden = (x.matmul(p[w1]) + p[b1]).relu();
            let prediction = hidden.matmul(p[w2]) + p[b2];
            let loss = prediction.mse_loss(y);
            sum += loss.item();

            // 4. Backward: one sweep from the loss to the leaves. The gradients are a value of their
            //    own, and the tape is as it was.
            let gradients = loss.backward()?;

            // 5. Step: the optimiser finds each parameter's gradient by its key.
            sgd.step(&mut params, &gradients)?;
        }
        let mean = sum / batches.len() as f64;
        println!("epoch {epoch:2}: mean loss of a batch {mean:.4}");
        losses.push(mean);
    }

    println!("first_loss={} last_loss={}", losses[0], losses[EPOCHS - 1]);
    Ok(())
}
