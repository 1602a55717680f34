//! T4: an LSTM of 128 units that predicts the next of 64 tokens, 32 sequences of 64 steps, Adam.

use wengert::prelude::*;

use super::training::{ALL_LOSSES, Floor, Training};
use crate::counting;
use crate::formulas::{labels_in_order, weight};
use crate::measure::Settings;
use crate::report::Report;

const BATCH: usize = 32;
const TIME: usize = 64;
const TOKENS: usize = 64;
const UNITS: usize = 128;

/// The products of the inputs, of the output layer and for all weights are each one over all steps.
/// The first step has no state to multiply; the others all have the same weights.
const PRODUCTS: &[(usize, (usize, usize, usize))] = &[
    (1, (BATCH * TIME, 64, 4 * UNITS)),
    (TIME - 1, (BATCH, UNITS, 4 * UNITS)),
    (1, (BATCH * TIME, UNITS, TOKENS)),
    (1, (UNITS, BATCH * TIME, TOKENS)),
    (1, (BATCH * TIME, TOKENS, UNITS)),
    (TIME - 1, (BATCH, 4 * UNITS, UNITS)),
    (1, (UNITS, BATCH * (TIME - 1), 4 * UNITS)),
    (1, (64, BATCH * TIME, 4 * UNITS)),
    (1, (BATCH * TIME, 4 * UNITS, 64)),
];

/// Runs the workload.
pub(crate) fn run(settings: &Settings) -> Report {
    // The sequences are rows; the recurrence goes along them.
    let at = |t: usize| (0..BATCH).map(move |sequence| sequence * TIME + t);
    let tokens = labels_in_order((0..TIME).flat_map(at), TOKENS);
    let next = labels_in_order((0..TIME).flat_map(at).map(|i| i + 1), TOKENS);
    let zeros = Tensor::zeros([BATCH, UNITS]);
    let start = counting::live();
    let mut params = Params::new();
    let e = params.insert("E", weight(0, [TOKENS, 64]));
    let wih = params.insert("Wih", weight(1, [64, 4 * UNITS]));
    let whh = params.insert("Whh", weight(2, [UNITS, 4 * UNITS]));
    let b = params.insert("b", weight(3, [4 * UNITS]));
    let wo = params.insert("Wo", weight(4, [UNITS, TOKENS]));
    let bo = params.insert("bo", weight(5, [TOKENS]));
    let loss = |tape: &Tape<f32>, p: &Bound<f32>| {
        let x = p[e].embedding(&tokens).reshape([TIME, BATCH, 64]);
        let zero = tape.constant(&zeros);
        let y = x.lstm(zero, zero, p[wih], p[whh], p[b]).0;
        y.reshape([TIME * BATCH, UNITS]).dense(p[wo], p[bo]).cross_entropy(&next)
    };
    let training = Training {
        workload: "T4",
        params,
        optimizer: Adam::new(1e-3).into(),
        loss,
        start,
        tolerances: ALL_LOSSES,
        batch: 1,
        hand_counted: None,
    };
    training.run(settings, || Floor::products(PRODUCTS, true, settings.threads))
}
