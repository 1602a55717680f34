//! Cases of the convolutions.

use super::Conv2d;
use crate::Tensor;
use crate::cases::{Case, inside, naive, whole};

fn options() -> Conv2d {
    Conv2d::new().stride([2, 1]).padding([1, 0]).dilation([1, 2]).groups(2)
}

/// How many places a window of 2 has: stride (2, 1), padding (1, 0), dilation (1, 2).
fn places(height: usize, width: usize) -> [usize; 2] {
    [height / 2 + 1, width - 2]
}

/// The element at place `(i, j)` and offset `(u, v)` of the window; 0 outside of the image.
fn element(x: &Tensor, n: usize, channel: usize, [i, j]: [usize; 2], [u, v]: [usize; 2]) -> f64 {
    let (row, column) = ((2 * i + u).wrapping_sub(1), j + 2 * v);
    let inside = row < x.shape()[2] && column < x.shape()[3];
    if inside { naive::at(x, &[n, channel, row, column]) } else { 0.0 }
}

/// The sum of the definition, for windows of 2 by 2 and two groups.
fn convolution(x: &[Tensor]) -> Tensor {
    let [n, channels, height, width] = **x[0].shape() else { unreachable!("images") };
    let filters = x[1].shape()[0];
    let [rows, columns] = places(height, width);
    naive::build(&[n, filters, rows, columns], |i| {
        let mut sum = x.get(2).map_or(0.0, |bias| bias.as_slice()[i[1]]);
        for c in 0..channels / 2 {
            let channel = i[1] / (filters / 2) * (channels / 2) + c;
            for w in naive::indices(&[2, 2]) {
                sum += naive::at(&x[1], &[i[1], c, w[0], w[1]])
                    * element(&x[0], i[0], channel, [i[2], i[3]], [w[0], w[1]]);
            }
        }
        sum
    })
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        whole!(
            "conv2d",
            "x.conv2d(weight, bias, options)",
            "dx = g * weight, transposed; dweight = g * x; dbias = sum g",
            |x| x[0].conv2d(x[1], x[2], options()),
            |x| convolution(x)
        )
        .at([
            inside([1, 2, 3, 4], -1.0, 1.0),
            inside([2, 1, 2, 2], -1.0, 1.0),
            inside([2], -1.0, 1.0),
        ])
        .at([
            inside([2, 4, 2, 3], -1.0, 1.0),
            inside([4, 2, 2, 2], -1.0, 1.0),
            inside([4], -1.0, 1.0),
        ]),
        whole!(
            "conv2d",
            "x.conv2d(weight, bias, options)",
            "dx = g * weight, transposed; dweight = g * x; dbias = sum g",
            |x| x[0].conv2d(x[1], None, options()),
            |x| convolution(x)
        )
        .at([inside([1, 2, 3, 3], -1.0, 1.0), inside([2, 1, 2, 2], -1.0, 1.0)]),
        whole!(
            "unfold",
            "x.unfold(size, options)",
            "dx = fold of g",
            |x| x[0].unfold(2, options().groups(1)),
            |x| {
                let [n, channels, height, width] = **x[0].shape() else { unreachable!("images") };
                let [rows, columns] = places(height, width);
                naive::build(&[n, channels * 4, rows * columns], |i| {
                    let (place, window) =
                        ([i[2] / columns, i[2] % columns], [i[1] / 2 % 2, i[1] % 2]);
                    element(&x[0], i[0], i[1] / 4, place, window)
                })
            }
        )
        .at_each([inside([2, 1, 3, 4], -1.0, 1.0), inside([1, 2, 2, 3], -1.0, 1.0)]),
        whole!(
            "fold",
            "x.fold(image, size, options)",
            "dx = unfold of g",
            |x| x[0].fold([3, 4], 2, options().groups(1)),
            |x| {
                let (n, channels) = (x[0].shape()[0], x[0].shape()[1] / 4);
                let [rows, columns] = places(3, 4);
                let mut image = Tensor::zeros([n, channels, 3, 4]);
                for i in naive::indices(&[n, channels, 2, 2, rows, columns]) {
                    let (row, column) = ((2 * i[4] + i[2]).wrapping_sub(1), i[5] + 2 * i[3]);
                    if row < 3 && column < 4 {
                        let from = [i[0], 4 * i[1] + 2 * i[2] + i[3], i[4] * columns + i[5]];
                        image[[i[0], i[1], row, column]] += naive::at(&x[0], &from);
                    }
                }
                image
            }
        )
        .at_each([inside([1, 4, 4], -1.0, 1.0), inside([2, 8, 4], -1.0, 1.0)]),
    ]
}
