//! Cases of the losses of pairs and triples of vectors.

use super::{all_from, all_of};
use crate::Tensor;
use crate::cases::{Argument, Case, exactly, inside, whole};
use crate::ops::loss::TripletMargin;

/// The cosines of the rows of two tensors `[..., 3]`.
fn cosines(x: &Tensor, y: &Tensor) -> Vec<f64> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let rows = x.as_slice().chunks(3).zip(y.as_slice().chunks(3));
    rows.map(|(a, b)| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()).collect()
}

fn vectors(shape: &[usize]) -> Argument {
    inside(shape, -1.5, 2.0)
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        whole!(
            "cosine_similarity",
            "x.cosine_similarity(y, axis, eps)",
            "dx = g (y / |y| - cos x / |x|) / |x|",
            |x| x[0].cosine_similarity(x[1], -1, 1e-8),
            |x| {
                let outer = &x[0].shape()[..x[0].rank() - 1];
                Tensor::new(outer, cosines(&x[0], &x[1]))
            }
        )
        .kinks("|x| = eps, |y| = eps")
        .at([vectors(&[3]), vectors(&[3])])
        .at([vectors(&[2, 3]), vectors(&[2, 3])]),
        whole!(
            "cosine_embedding_loss",
            "x.cosine_embedding_loss(other, y, margin, reduction)",
            "that of 1 - cos, or of max(0, cos - margin)",
            |x| all_of(|r| x[0].cosine_embedding_loss(x[1], x[2], 0.1, r)),
            |x| {
                let pairs = cosines(&x[0], &x[1]).into_iter().zip(x[2].to_vec());
                let of =
                    |(cos, y): (f64, f64)| if y > 0.0 { 1.0 - cos } else { (cos - 0.1).max(0.0) };
                let losses: Vec<f64> = pairs.map(of).collect();
                all_from(&losses, losses.len() as f64)
            }
        )
        .kinks("cos = margin: 0 is taken")
        .at([
            vectors(&[4, 3]),
            vectors(&[4, 3]),
            exactly([4], &[1.0, -1.0, 1.0, -1.0]).fixed(),
        ]),
        whole!(
            "triplet_margin_loss",
            "x.triplet_margin_loss(positive, negative, margin, reduction)",
            "dx = g (u - v) with the unit vectors of both differences",
            |x| all_of(|r| x[0].triplet_margin_loss(x[1], x[2], 1.0, r)),
            |x| {
                let length = |k: usize, row: usize| {
                    let of = |k: usize| &x[k].as_slice()[3 * row..][..3];
                    of(0).iter().zip(of(k)).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
                };
                let rows = 0..x[0].len() / 3;
                let losses: Vec<f64> =
                    rows.map(|row| (length(1, row) - length(2, row) + 1.0).max(0.0)).collect();
                all_from(&losses, losses.len() as f64)
            }
        )
        .kinks("margins that are just kept, equal vectors: 0 is taken")
        .at([vectors(&[3, 3]), vectors(&[3, 3]), vectors(&[3, 3])])
        .at([vectors(&[3]), vectors(&[3]), vectors(&[3])]),
        whole!(
            "triplet_margin_loss_with",
            "x.triplet_margin_loss_with(positive, negative, options)",
            "dx = g times the difference of the derivatives of both norms",
            |x| all_of(|reduction| {
                let options = TripletMargin { margin: 2.0, p: 3.0, swap: true, reduction };
                x[0].triplet_margin_loss_with(x[1], x[2], options)
            }),
            |x| {
                let length = |a: usize, b: usize, row: usize| {
                    let of = |k: usize| &x[k].as_slice()[3 * row..][..3];
                    let cubes = of(a).iter().zip(of(b)).map(|(a, b)| (a - b).abs().powi(3));
                    cubes.sum::<f64>().cbrt()
                };
                let losses: Vec<f64> = (0..x[0].len() / 3)
                    .map(|row| {
                        let far = length(0, 2, row).min(length(1, 2, row));
                        (length(0, 1, row) - far + 2.0).max(0.0)
                    })
                    .collect();
                all_from(&losses, losses.len() as f64)
            }
        )
        .kinks("margins that are just kept, equal vectors: 0 is taken")
        .at([vectors(&[4, 3]), vectors(&[4, 3]), vectors(&[4, 3])]),
        whole!(
            "info_nce",
            "queries.info_nce(keys, temperature, reduction)",
            "that of the cross-entropy of queries keys^T / temperature",
            |x| all_of(|r| x[0].info_nce(x[1], 0.5, r)),
            |x| {
                let n = x[0].shape()[0];
                let of = |k: usize, row: usize| &x[k].as_slice()[3 * row..][..3];
                let score = |i: usize, j: usize| {
                    of(0, i).iter().zip(of(1, j)).map(|(a, b)| a * b).sum::<f64>() / 0.5
                };
                let losses: Vec<f64> = (0..n)
                    .map(|i| (0..n).map(|j| score(i, j).exp()).sum::<f64>().ln() - score(i, i))
                    .collect();
                all_from(&losses, n as f64)
            }
        )
        .at([inside([3, 3], -1.0, 1.0), inside([3, 3], -1.0, 1.0)]),
    ]
}
