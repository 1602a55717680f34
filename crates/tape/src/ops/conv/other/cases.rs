//! Cases of the convolutions along one and three axes, and of the transposed ones.

use super::{Conv1d, Conv3d};
use crate::Tensor;
use crate::cases::{Case, inside, naive, whole};
use crate::ops::conv::Conv2d;

/// Stride, padding and dilation along each axis of volumes; images and lines have the last ones.
const MOVES: [[usize; 3]; 3] = [[1, 1, 1], [2, 1, 1], [2, 1, 2]];
/// How much longer a transposed result is.
const MORE: [usize; 3] = [0, 1, 1];

fn lines() -> Conv1d {
    Conv1d::new().stride(2).padding(1).dilation(2).groups(2)
}

fn images() -> Conv2d {
    Conv2d::new().stride(2).padding(1).dilation([1, 2]).groups(2)
}

fn volumes() -> Conv3d {
    Conv3d::new().stride([1, 2, 2]).padding(1).dilation([1, 1, 2]).groups(2)
}

/// Every pair of an input and an output place that a convolution joins: `f(input, output, weight)` with the
/// indices `[n, channel, place ..]`, `[n, filter, place ..]` and `[filter, channel in group, window ..]`.
fn joined(
    input: &[usize],
    output: &[usize],
    weight: &[usize],
    mut f: impl FnMut(&[usize], &[usize], &[usize]),
) {
    let moves = &MOVES[3 - (input.len() - 2)..];
    let (group, of_group) = (input[1] / 2, output[1] / 2);
    for out in naive::indices(output) {
        for c in 0..group {
            for w in naive::indices(&weight[2..]) {
                let place: Option<Vec<usize>> = (0..w.len())
                    .map(|k| {
                        let [stride, padding, dilation] = moves[k];
                        let at = (out[2 + k] * stride + w[k] * dilation).checked_sub(padding)?;
                        (at < input[2 + k]).then_some(at)
                    })
                    .collect();
                let Some(place) = place else { continue };
                let channel = out[1] / of_group * group + c;
                f(
                    &[&[out[0], channel], &place[..]].concat(),
                    &out,
                    &[&[out[1], c], &w[..]].concat(),
                );
            }
        }
    }
}

fn offset(shape: &[usize], index: &[usize]) -> usize {
    index.iter().zip(shape).fold(0, |o, (&i, &len)| o * len + i)
}

fn convolution(x: &[Tensor]) -> Tensor {
    let (input, weight) = (x[0].shape(), x[1].shape());
    let moves = &MOVES[3 - (input.rank() - 2)..];
    let mut output = vec![input[0], weight[0]];
    for (k, [stride, padding, dilation]) in moves.iter().enumerate() {
        output.push((input[2 + k] + 2 * padding - dilation * (weight[2 + k] - 1) - 1) / stride + 1);
    }
    let mut y = naive::build(&output, |i| x[2].as_slice()[i[1]]);
    joined(input, &output, weight, |from, to, w| {
        let product = naive::at(&x[0], from) * naive::at(&x[1], w);
        y.as_mut_slice()[offset(&output, to)] += product;
    });
    y
}

fn transposed(x: &[Tensor]) -> Tensor {
    // What is the output of the convolution is the input here.
    let (output, weight) = (x[0].shape(), x[1].shape());
    let axes = output.rank() - 2;
    let moves = &MOVES[3 - axes..];
    let mut input = vec![output[0], weight[1] * 2];
    for (k, [stride, padding, dilation]) in moves.iter().enumerate() {
        let whole = (output[2 + k] - 1) * stride + dilation * (weight[2 + k] - 1) + 1;
        input.push(whole + MORE[3 - axes + k] - 2 * padding);
    }
    let mut y = naive::build(&input, |i| x[2].as_slice()[i[1]]);
    joined(&input, output, weight, |to, from, w| {
        let product = naive::at(&x[0], from) * naive::at(&x[1], w);
        y.as_mut_slice()[offset(&input, to)] += product;
    });
    y
}

pub(crate) fn cases() -> Vec<Case> {
    let derivative = "dx = g * weight, transposed; dweight = g * x; dbias = sum g";
    let back = "dx = the convolution of g; dweight = x * g; dbias = sum g";
    let some = |shape: &[usize]| inside(shape, -1.0, 1.0);
    let point = |x: &[usize], w: &[usize], bias: usize| [some(x), some(w), some(&[bias])];
    vec![
        whole!(
            "conv1d",
            "x.conv1d(weight, bias, options)",
            derivative,
            |x| x[0].conv1d(x[1], x[2], lines()),
            |x| convolution(x)
        )
        .at(point(&[2, 2, 5], &[4, 1, 2], 4))
        .at(point(&[1, 4, 4], &[2, 2, 3], 2))
        .at(point(&[0, 2, 4], &[2, 1, 2], 2)),
        whole!(
            "conv3d",
            "x.conv3d(weight, bias, options)",
            derivative,
            |x| x[0].conv3d(x[1], x[2], volumes()),
            |x| convolution(x)
        )
        .at(point(&[1, 2, 2, 2, 3], &[2, 1, 2, 2, 2], 2))
        .at(point(&[2, 4, 1, 1, 1], &[2, 2, 3, 1, 1], 2)),
        whole!(
            "conv_transpose1d",
            "x.conv_transpose1d(weight, bias, options, output_padding)",
            back,
            |x| x[0].conv_transpose1d(x[1], x[2], lines(), 1),
            |x| transposed(x)
        )
        .at(point(&[2, 2, 3], &[2, 2, 2], 4))
        .at(point(&[1, 4, 2], &[4, 1, 3], 2)),
        whole!(
            "conv_transpose2d",
            "x.conv_transpose2d(weight, bias, options, output_padding)",
            back,
            |x| x[0].conv_transpose2d(x[1], x[2], images(), 1),
            |x| transposed(x)
        )
        .at(point(&[2, 2, 2, 2], &[2, 1, 2, 2], 2))
        .at(point(&[1, 2, 1, 2], &[2, 2, 3, 2], 4)),
        whole!(
            "conv_transpose3d",
            "x.conv_transpose3d(weight, bias, options, output_padding)",
            back,
            |x| x[0].conv_transpose3d(x[1], x[2], volumes(), [0, 1, 1]),
            |x| transposed(x)
        )
        .at(point(&[1, 2, 2, 2, 2], &[2, 1, 2, 2, 2], 2))
        .at(point(&[1, 4, 1, 1, 2], &[4, 1, 3, 2, 2], 2)),
    ]
}
