//! Cases of the normalisations.

use crate::Tensor;
use crate::cases::{Case, inside, whole};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        whole!(
            "layer_norm",
            "x.layer_norm(gain, bias, eps)",
            "dx = (gain g - mean - u mean(u gain g)) / sd, u = (x - mean x) / sd",
            |x| x[0].layer_norm(x[1], x[2], 0.01),
            |x| {
                let width = x[1].len();
                let mut out = Vec::new();
                for row in x[0].as_slice().chunks(width) {
                    let mean = row.iter().sum::<f64>() / width as f64;
                    let var = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
                    let scaled = row.iter().zip(x[1].iter()).zip(x[2].iter());
                    out.extend(scaled.map(|((x, g), b)| g * (x - mean) / (var + 0.01).sqrt() + b));
                }
                Tensor::new(x[0].shape(), out)
            }
        )
        .at([inside([4], -2.0, 2.0), inside([4], 0.5, 1.5), inside([4], -1.0, 1.0)])
        .at([inside([2, 3], -2.0, 2.0), inside([3], 0.5, 1.5), inside([3], -1.0, 1.0)])
        .at([inside([2, 1, 3], -2.0, 2.0), inside([3], 0.5, 1.5), inside([3], -1.0, 1.0)]),
    ]
}
