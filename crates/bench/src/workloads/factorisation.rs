//! T6: a factorisation of a matrix of ratings, with biases and a penalty on what was gathered; Adam
//! moves the whole tables.

mod floor;

use wengert::prelude::*;

use super::training::{ALL_LOSSES, Floor, Training};
use crate::counting;
use crate::formulas::{labels, ratings, weight};
use crate::measure::Settings;
use crate::report::Report;

/// Runs the workload.
pub(crate) fn run(settings: &Settings) -> Report {
    let (users, items) = (labels(4096, 6000), labels(4096, 4000));
    let ratings = ratings(4096);
    let start = counting::live();
    let mut params = Params::new();
    let u = params.insert("U", weight(0, [6000, 32]));
    let v = params.insert("V", weight(1, [4000, 32]));
    let bu = params.insert("bu", weight(2, [6000]));
    let bi = params.insert("bi", weight(3, [4000]));
    let loss = |_: &Tape<f32>, p: &Bound<f32>| {
        let (pu, pv) = (p[u].index_select(0, &users), p[v].index_select(0, &items));
        let (cu, cv) = (p[bu].index_select(0, &users), p[bi].index_select(0, &items));
        let error = (pu * pv).sum_axes(1) + cu + cv - &ratings;
        let penalty = pu.square().sum() + pv.square().sum() + cu.square().sum() + cv.square().sum();
        error.square().mean() + penalty * (1e-4 / 4096.0)
    };
    let training = Training {
        workload: "T6",
        params,
        optimizer: Adam::new(1e-2).into(),
        loss,
        start,
        tolerances: ALL_LOSSES,
        batch: 1,
        hand_counted: None,
    };
    training.run(settings, || {
        let (users, items) = (users.as_slice(), items.as_slice());
        let mut model = floor::Model::new(users, items, &ratings, settings.threads);
        Floor::step(move || model.step())
    })
}
