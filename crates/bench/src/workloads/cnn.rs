//! T3: a network of two convolutions on 64 images, cross-entropy, momentum.
//!
//! A convolution is a product of the patches of the image, gathered as rows, with the kernels.

use wengert::prelude::*;
use wengert::tape::Indices;

use super::training::{ALL_LOSSES, Floor, Training};
use crate::counting;
use crate::formulas::{data, labels, weight};
use crate::measure::Settings;
use crate::report::Report;

const IMAGES: usize = 64;
const KERNEL: usize = 5;

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

/// The places of the patches of a square image `[side, side, channels]`: a row for each position of
/// the kernel, its elements in the order row, column, channel.
fn patches(side: usize, channels: usize) -> Indices {
    let out = side - KERNEL + 1;
    let mut places = Vec::with_capacity(out * out * KERNEL * KERNEL * channels);
    for position in 0..out * out {
        for element in 0..KERNEL * KERNEL * channels {
            let (offset, channel) = (element / channels, element % channels);
            let y = position / out + offset / KERNEL;
            let x = position % out + offset % KERNEL;
            places.push((y * side + x) * channels + channel);
        }
    }
    places.into()
}

/// Convolution of images `[count, pixels * channels]` with kernels `[out, in, 5, 5]`, ReLU, and the
/// largest of each 2 by 2: a result `[count, side / 2, side / 2, out]`.
fn layer(
    x: TensorVar<f32>,
    places: &Indices,
    kernels: TensorVar<f32>,
    bias: TensorVar<f32>,
    side: usize,
) -> TensorVar<f32> {
    let shape = kernels.shape();
    let (outputs, area) = (shape[0], shape[1] * KERNEL * KERNEL);
    let columns = x.index_select(1, places).reshape([IMAGES * side * side, area]);
    let kernels = kernels.permute(&[2, 3, 1, 0]).reshape([area, outputs]);
    let y = (columns.matmul(kernels) + bias).relu();
    y.reshape([IMAGES, side / 2, 2, side / 2, 2, outputs]).amax_axes([2, 4])
}

/// Runs the workload.
pub(crate) fn run(settings: &Settings) -> Report {
    // With one channel, the images [64, 1, 28, 28] are in the order that the patches are read in.
    let x = data([IMAGES, 28 * 28]);
    let labels = labels(IMAGES, 10);
    let (places1, places2) = (patches(28, 1), patches(12, 16));
    let start = counting::live();
    let mut params = Params::new();
    let kernels1 = params.insert("C1", weight(0, [16, 1, 5, 5]));
    let bias1 = params.insert("c1", weight(1, [16]));
    let kernels2 = params.insert("C2", weight(2, [32, 16, 5, 5]));
    let bias2 = params.insert("c2", weight(3, [32]));
    let w = params.insert("W", weight(4, [512, 10]));
    let b = params.insert("b", weight(5, [10]));
    let loss = |tape: &Tape<f32>, p: &Bound<f32>| {
        let first = layer(tape.constant(&x), &places1, p[kernels1], p[bias1], 24);
        let first = first.reshape([IMAGES, 12 * 12 * 16]);
        let second = layer(first, &places2, p[kernels2], p[bias2], 8);
        let flat = second.permute(&[0, 3, 1, 2]).reshape([IMAGES, 512]);
        (flat.matmul(p[w]) + p[b]).cross_entropy(&labels)
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
    training.run(settings, || Floor::products(PRODUCTS, settings.threads))
}
