//! T2: a classifier of 784, 512, 256 and 10 units on 128 rows, cross-entropy, Adam.

mod floor;

use wengert::prelude::*;

use super::training::{Floor, Training};
use crate::counting;
use crate::formulas::{data, labels, weight};
use crate::measure::Settings;
use crate::report::Report;

/// What a step has to hold, in bytes.
const HAND_COUNTED: usize = {
    const NUMBERS: usize = 784 * 512 + 512 + 512 * 256 + 256 + 256 * 10 + 10;
    // The parameters, Adam's mean and mean of squares, and the gradients.
    let parameters = 4 * NUMBERS;
    // Both hidden layers, which the products' derivatives read, and the logits.
    let saved = 128 * 512 + 128 * 256 + 128 * 10;
    // In the widest moment: the cotangents of the first hidden layer and of the second.
    let cotangents = 128 * 512 + 128 * 256;
    4 * (parameters + saved + cotangents)
};

/// Runs the workload.
pub(crate) fn run(settings: &Settings) -> Report {
    let (x, labels) = (data([128, 784]), labels(128, 10));
    let start = counting::live();
    let mut params = Params::new();
    let w1 = params.insert("W1", weight(0, [784, 512]));
    let b1 = params.insert("b1", weight(1, [512]));
    let w2 = params.insert("W2", weight(2, [512, 256]));
    let b2 = params.insert("b2", weight(3, [256]));
    let w3 = params.insert("W3", weight(4, [256, 10]));
    let b3 = params.insert("b3", weight(5, [10]));
    let loss = |tape: &Tape<f32>, p: &Bound<f32>| {
        let first = tape.constant(&x).dense(p[w1], p[b1]).relu();
        let second = first.dense(p[w2], p[b2]).relu();
        second.dense(p[w3], p[b3]).cross_entropy(&labels)
    };
    let training = Training {
        workload: "T2",
        params,
        optimizer: Adam::new(1e-3).into(),
        loss,
        start,
        // From the sixth loss on, training amplifies what single precision has rounded.
        tolerances: &[2e-5; 5],
        batch: 1,
        hand_counted: Some(HAND_COUNTED),
    };
    training.run(settings, || {
        let mut model = floor::Model::new(&x, labels.as_slice(), settings.threads);
        Floor::step(move || model.step())
    })
}
