//! Cases of attention.

use super::{Attention, multi_head_attention, scaled_dot_product_attention};
use crate::Tensor;
use crate::cases::{Case, inside, naive, whole};

/// The definition for matrices: `head` picks the numbers of queries, keys and values.
fn attention(
    [t, s, d, width]: [usize; 4],
    head: impl Fn(usize, usize, usize) -> f64,
    scale: f64,
    causal: bool,
    mask: impl Fn(usize, usize) -> f64,
) -> Vec<f64> {
    let mut out = Vec::new();
    for i in 0..t {
        let keys = if causal { s.min(i + 1) } else { s };
        let score = |j: usize| -> f64 {
            (0..d).map(|k| head(0, i, k) * head(1, j, k)).sum::<f64>() * scale + mask(i, j)
        };
        let weights: Vec<f64> = (0..keys).map(|j| score(j).exp()).collect();
        let sum: f64 = weights.iter().sum();
        for k in 0..width {
            out.push((0..keys).map(|j| weights[j] / sum * head(2, j, k)).sum());
        }
    }
    out
}

/// `[..., t, d]`, `[..., s, d]`, `[..., s, width]` and perhaps a mask `[t, s]`.
fn of_batches(x: &[Tensor], scale: Option<f64>, causal: bool) -> Tensor {
    let shape = |k: usize, back: usize| x[k].shape()[x[k].rank() - back];
    let (t, s, d, width) = (shape(0, 2), shape(1, 2), shape(0, 1), shape(2, 1));
    let mut out = Vec::new();
    for b in 0..x[0].len() / (t * d) {
        let rows = [t, s, s];
        let head = |which: usize, i: usize, k: usize| {
            let width = shape(which, 1);
            x[which].as_slice()[(b * rows[which] + i) * width + k]
        };
        let mask = |i: usize, j: usize| x.get(3).map_or(0.0, |m| m[[i, j]]);
        let scale = scale.unwrap_or(1.0 / (d as f64).sqrt());
        out.extend(attention([t, s, d, width], head, scale, causal, mask));
    }
    let mut shape = x[0].shape().to_vec();
    *shape.last_mut().expect("queries have two axes") = width;
    Tensor::new(shape, out)
}

/// Two heads in one tensor `[..., t, 6 d]`.
fn of_heads(x: &Tensor) -> Tensor {
    let (rank, shape) = (x.rank(), x.shape().to_vec());
    let (t, d) = (shape[rank - 2], shape[rank - 1] / 6);
    let mut out_shape = shape;
    out_shape[rank - 1] = 2 * d;
    let heads: Vec<Vec<f64>> = (0..2 * x.len() / (6 * t * d))
        .map(|unit| {
            let (b, h) = (unit / 2, unit % 2);
            let head = |which: usize, i: usize, k: usize| {
                x.as_slice()[(b * t + i) * 6 * d + (2 * which + h) * d + k]
            };
            attention([t, t, d, d], head, 1.0 / (d as f64).sqrt(), true, |_, _| 0.0)
        })
        .collect();
    naive::build(&[out_shape.iter().product::<usize>()], |at| {
        let (row, column) = (at[0] / (2 * d), at[0] % (2 * d));
        heads[2 * (row / t) + column / d][row % t * d + column % d]
    })
    .reshape(out_shape)
}

pub(crate) fn cases() -> Vec<Case> {
    let signature = "scaled_dot_product_attention(q, k, v, attention)";
    let derivative = "of p v with p = softmax(scale q k^T + mask)";
    let name = "scaled_dot_product_attention";
    vec![
        whole!(
            name,
            signature,
            derivative,
            |x| scaled_dot_product_attention(x[0], x[1], x[2], Attention::default()),
            |x| of_batches(x, None, false)
        )
        .at([inside([3, 2], -1.5, 1.5), inside([4, 2], -1.0, 1.0), inside([4, 1], -1.0, 1.0)])
        .at([
            inside([2, 2, 3], -1.5, 1.5),
            inside([2, 3, 3], -1.0, 1.0),
            inside([2, 3, 2], -1.0, 1.0),
        ]),
        whole!(
            name,
            signature,
            derivative,
            |x| {
                let attention = Attention { causal: true, scale: Some(0.7), mask: Some(x[3]) };
                scaled_dot_product_attention(x[0], x[1], x[2], attention)
            },
            |x| of_batches(x, Some(0.7), true)
        )
        .at([
            inside([1, 3, 2], -1.5, 1.5),
            inside([1, 3, 2], -1.0, 1.0),
            inside([1, 3, 2], -1.0, 1.0),
            inside([3, 3], -1.0, 1.0),
        ]),
        whole!(
            "multi_head_attention",
            "multi_head_attention(qkv, heads, attention)",
            derivative,
            |x| {
                let attention = Attention { causal: true, ..Attention::default() };
                multi_head_attention(x[0], 2, attention)
            },
            |x| of_heads(&x[0])
        )
        .at_each([inside([3, 6], -1.5, 1.5), inside([2, 2, 12], -1.5, 1.5)]),
    ]
}
