//! House prices in Boston: a network of ten ReLU units, trained with a loss of one's own.
//!
//! 506 rows of 13 features, four fifths for training; Adam, batches of 32, a hundred epochs. Prints the
//! mean squared error in ($1000)^2 (the variance of the prices is 84) and draws the learning curve
//! into `target/housing/`. About the data, and why it is to be used with care, see
//! `examples/data/README.md`.

mod data;
mod plot;
#[path = "../support/table.rs"]
mod table;

use indicatif::{ProgressBar, ProgressStyle};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng, rngs::StdRng};
use wengert::optim::{Bound, ParamKey};
use wengert::prelude::*;

use data::Set;

const EPOCHS: usize = 100;

/// Quadratic for residuals below `delta`, linear beyond, so that a few very dear houses do not rule
/// the fit. It is an ordinary function: of a number, of a recorded number, of a recorded tensor.
fn pseudo_huber<T: Elementary>(residual: T, delta: f64) -> T {
    let scaled = residual / T::lit(delta);
    T::lit(delta * delta) * ((scaled * scaled + T::lit(1.0)).sqrt() - T::lit(1.0))
}

/// `x -> relu(x w1 + b1) w2 + b2`
struct Network {
    w1: ParamKey,
    b1: ParamKey,
    w2: ParamKey,
    b2: ParamKey,
}

impl Network {
    fn new(params: &mut Params, rng: &mut impl Rng) -> Network {
        Network {
            w1: params.insert("w1", Tensor::he_normal([13, 10], rng)),
            b1: params.insert("b1", Tensor::zeros([10])),
            w2: params.insert("w2", Tensor::xavier_uniform([10, 1], rng)),
            b2: params.insert("b2", Tensor::zeros([1])),
        }
    }

    fn predict(&self, p: &Bound, x: TensorVar) -> TensorVar {
        let hidden = x.dense(p[self.w1], p[self.b1]).relu();
        hidden.dense(p[self.w2], p[self.b2])
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut rng = StdRng::seed_from_u64(42);
    let (train, test) = data::load(&mut rng)?;
    let mut batches = train.batches(32);

    let mut params = Params::new();
    let network = Network::new(&mut params, &mut rng);
    let mut adam = Adam::new(1e-2);

    let mut tape = Tape::new();
    let mut curve = Vec::new();
    let progress = progress_bar();
    for _ in 0..EPOCHS {
        batches.shuffle(&mut rng);
        for batch in &batches {
            tape.reset();
            let p = params.bind(&tape);
            let prediction = network.predict(&p, tape.constant(&batch.x));
            let residual = prediction - tape.constant(&batch.y);
            let loss = pseudo_huber(residual, 5.0).mean() + 1e-3 * p[network.w1].square().sum();
            adam.step(&mut params, loss.backward()?)?;
        }

        let mut error_on = |set| mean_squared_error(&network, &params, set, &mut tape);
        let errors = (error_on(&train), error_on(&test));
        progress.set_message(format!("train {:5.2}  test {:5.2}", errors.0, errors.1));
        progress.inc(1);
        curve.push(errors);
    }
    progress.finish_and_clear();

    let (train_mse, test_mse) = curve[EPOCHS - 1];
    println!("error on the training set: {train_mse:.2}, on the test set: {test_mse:.2} ($1000)^2");
    for picture in plot::learning_curve(&curve)? {
        println!("drew {}", picture.display());
    }
    println!("train_mse={train_mse} test_mse={test_mse}");
    Ok(())
}

fn mean_squared_error(network: &Network, params: &Params, set: &Set, tape: &mut Tape) -> f64 {
    tape.reset();
    let prediction = network.predict(&params.bind(tape), tape.constant(&set.x));
    prediction.mse_loss(tape.constant(&set.y)).item()
}

/// Draws on stderr, and on a terminal only: stdout is for results.
fn progress_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("epoch {pos:>3}/{len} {bar:40} {msg}")
        .expect("the template is well-formed");
    ProgressBar::new(EPOCHS as u64).with_style(style)
}
