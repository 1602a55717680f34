//! T1: a network of 13, 10 and 1 units on 32 rows, mean squared error, Adam: what a step costs when
//! there is next to nothing to compute.

mod floor;

use wengert::prelude::*;

use super::training::{ALL_LOSSES, Floor, Training};
use crate::counting;
use crate::formulas::{data, targets, weight};
use crate::measure::Settings;
use crate::report::Report;

/// Runs the workload.
pub(crate) fn run(settings: &Settings) -> Report {
    let (x, y) = (data([32, 13]), targets([32, 1]));
    let start = counting::live();
    let mut params = Params::new();
    let w1 = params.insert("W1", weight(0, [13, 10]));
    let b1 = params.insert("b1", weight(1, [10]));
    let w2 = params.insert("W2", weight(2, [10, 1]));
    let b2 = params.insert("b2", weight(3, [1]));
    let loss = |tape: &Tape<f32>, p: &Bound<f32>| {
        let hidden = tape.constant(&x).dense(p[w1], p[b1]).relu();
        hidden.dense(p[w2], p[b2]).mse_loss(tape.constant(&y))
    };
    let training = Training {
        workload: "T1",
        params,
        optimizer: Adam::new(1e-3).into(),
        loss,
        start,
        tolerances: ALL_LOSSES,
        batch: 200,
        hand_counted: None,
    };
    training.run(settings, || {
        let mut model = floor::Model::new(&x, &y);
        Floor::step(move || model.step())
    })
}
