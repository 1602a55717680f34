//! Cases of the normalisations over channels and rows.

use crate::Tensor;
use crate::cases::{Argument, Case, inside, naive, together, whole};

/// `(mean, variance)` of the elements at which `same` is true.
fn moments(x: &Tensor, same: impl Fn(&[usize]) -> bool) -> (f64, f64) {
    let all = naive::indices(x.shape());
    let group: Vec<f64> = all.iter().filter(|i| same(i)).map(|i| naive::at(x, i)).collect();
    let mean = group.iter().sum::<f64>() / group.len() as f64;
    (mean, group.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / group.len() as f64)
}

/// Normalised over the places that are the same as each.
fn normalised(x: &[Tensor], same: impl Fn(&[usize], &[usize]) -> bool) -> Tensor {
    naive::build(x[0].shape(), |i| {
        let (mean, variance) = moments(&x[0], |j| same(i, j));
        let z = (naive::at(&x[0], i) - mean) / (variance + 0.01).sqrt();
        z * x[1].as_slice()[i[1]] + x[2].as_slice()[i[1]]
    })
}

fn point(shape: &[usize]) -> Vec<Argument> {
    let channels = [shape[1]];
    vec![inside(shape, -2.0, 2.0), inside(channels, 0.5, 1.5), inside(channels, -1.0, 1.0)]
}

pub(crate) fn cases() -> Vec<Case> {
    let derivative = "dx = (gain g - mean - z mean(z gain g)) / sd, z = (x - mean x) / sd";
    vec![
        whole!(
            "batch_norm",
            "x.batch_norm(gain, bias, eps)",
            derivative,
            |x| {
                let (y, mean, variance) = x[0].batch_norm(x[1], x[2], 0.01);
                together(&[y, mean, variance])
            },
            |x| {
                let of = |c: usize| moments(&x[0], |j| j[1] == c);
                let channels = [x[1].len()];
                naive::together(&[
                    normalised(x, |i, j| i[1] == j[1]),
                    naive::build(&channels, |i| of(i[0]).0),
                    naive::build(&channels, |i| of(i[0]).1),
                ])
            }
        )
        .at(point(&[3, 2]))
        .at(point(&[2, 2, 3]))
        .at(point(&[2, 1, 2, 2])),
        whole!(
            "batch_norm_with",
            "x.batch_norm_with(mean, variance, gain, bias, eps)",
            "dx = gain g / sd, and so on",
            |x| x[0].batch_norm_with(x[1], x[2], x[3], x[4], 0.01),
            |x| naive::build(x[0].shape(), |i| {
                let of = |k: usize| x[k].as_slice()[i[1]];
                (naive::at(&x[0], i) - of(1)) / (of(2) + 0.01).sqrt() * of(3) + of(4)
            })
        )
        .at([
            inside([2, 2, 2], -2.0, 2.0),
            inside([2], -1.0, 1.0),
            inside([2], 0.5, 1.5),
            inside([2], 0.5, 1.5),
            inside([2], -1.0, 1.0),
        ]),
        whole!(
            "group_norm",
            "x.group_norm(groups, gain, bias, eps)",
            derivative,
            |x| x[0].group_norm(2, x[1], x[2], 0.01),
            |x| {
                let size = x[1].len() / 2;
                normalised(x, |i, j| i[0] == j[0] && i[1] / size == j[1] / size)
            }
        )
        .at(point(&[2, 4]))
        .at(point(&[2, 2, 3]))
        .at(point(&[1, 4, 2, 1])),
        whole!(
            "instance_norm",
            "x.instance_norm(gain, bias, eps)",
            derivative,
            |x| x[0].instance_norm(x[1], x[2], 0.01),
            |x| normalised(x, |i, j| i[..2] == j[..2])
        )
        .at(point(&[2, 2, 3]))
        .at(point(&[1, 2, 2, 2])),
        whole!(
            "rms_norm",
            "x.rms_norm(gain, eps)",
            "dx = (gain g - u mean(u gain g)) / rms, u = x / rms",
            |x| x[0].rms_norm(x[1], 0.01),
            |x| {
                let width = x[1].len();
                let mut out = Vec::new();
                for row in x[0].as_slice().chunks(width) {
                    let mean = row.iter().map(|x| x * x).sum::<f64>() / width as f64;
                    let scale = 1.0 / (mean + 0.01).sqrt();
                    out.extend(row.iter().zip(x[1].iter()).map(|(x, g)| x * scale * g));
                }
                Tensor::new(x[0].shape(), out)
            }
        )
        .at([inside([3], -2.0, 2.0), inside([3], 0.5, 1.5)])
        .at([inside([2, 1, 3], -2.0, 2.0), inside([3], 0.5, 1.5)]),
    ]
}
