//! T3: a network of two convolutions on 64 images, cross-entropy, momentum.

use wengert::prelude::*;

use super::training::{ALL_LOSSES, Floor, Training};
use crate::counting;
use crate::formulas::{data, labels, weight};
use crate::measure::Settings;
use crate::report::Report;

const IMAGES: usize = 64;

/// The products of the convolutions, the patches as rows, and of the dense layer: forward, for the
/// weights, and for the inputs where they are not data.
const PRODUCTS: &[(usize, (usize, usize, usize))] = &[
    (1, (IMAGES * 24 * 24, 25, 16)),
    (1, (25, IMAGES * 24 * 24, 16)),
    (1, (IMAGES * 8 * 8, 400, 32)),
    (1, (400, IMAGES * 8 * 8, 32)),
    (1, (IMAGES * 8 * 8, 32, 400)),
    (1, (IMAGES, 512, 10)),
    (1, (512, IMAGES, 10)),
    (1, (IMAGES, 10, 512)),
];

/// Runs the workload.
pub(crate) fn run(settings: &Settings) -> Report {
    let x = data([IMAGES, 1, 28, 28]);
    let labels = labels(IMAGES, 10);
    let start = counting::live();
    let mut params = Params::new();
    let kernels1 = params.insert("C1", weight(0, [16, 1, 5, 5]));
    let bias1 = params.insert("c1", weight(1, [16]));
    let kernels2 = params.insert("C2", weight(2, [32, 16, 5, 5]));
    let bias2 = params.insert("c2", weight(3, [32]));
    let w = params.insert("W", weight(4, [512, 10]));
    let b = params.insert("b", weight(5, [10]));
    let loss = |tape: &Tape<f32>, p: &Bound<f32>| {
        let x = tape.constant(&x);
        let first =
            x.conv2d(p[kernels1], p[bias1], Conv2d::new()).relu().max_pool2d(Pool2d::new(2));
        let second =
            first.conv2d(p[kernels2], p[bias2], Conv2d::new()).relu().max_pool2d(Pool2d::new(2));
        let flat = second.reshape([IMAGES, 512]);
        flat.dense(p[w], p[b]).cross_entropy(&labels)
    };
    let training = Training {
        workload: "T3",
        params,
        optimizer: Momentum::new(1e-2).into(),
        loss,
        start,
        tolerances: ALL_LOSSES,
        batch: 1,
        hand_counted: None,
    };
    training.run(settings, || Floor::products(PRODUCTS, false, settings.threads))
}
