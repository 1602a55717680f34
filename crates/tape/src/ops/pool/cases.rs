//! Cases of the pooling operations.

use super::{Pool2d, Pool3d};
use crate::Tensor;
use crate::cases::{Case, apart, inside, naive, whole};

/// `f` of the elements of each window that are in the image: windows 2 by 2, stride (2, 1), padding 1.
fn windows(x: &Tensor, f: impl Fn(&[f64]) -> f64) -> Tensor {
    let [n, c, height, width] = **x.shape() else { unreachable!("images have four axes") };
    let (rows, columns) = (height / 2 + 1, width + 1);
    naive::build(&[n, c, rows, columns], |i| {
        let mut window = Vec::new();
        for u in 0..2 {
            for v in 0..2 {
                let (row, column) = ((2 * i[2] + u).wrapping_sub(1), (i[3] + v).wrapping_sub(1));
                if row < height && column < width {
                    window.push(naive::at(x, &[i[0], i[1], row, column]));
                }
            }
        }
        f(&window)
    })
}

/// The same of volumes: windows 2 by 2 by 2, stride (1, 2, 1), padding (0, 1, 1).
fn blocks(x: &Tensor, f: impl Fn(&[f64]) -> f64) -> Tensor {
    let [n, c, depth, height, width] = **x.shape() else { unreachable!("volumes have five axes") };
    naive::build(&[n, c, depth - 1, height / 2 + 1, width + 1], |i| {
        let mut window = Vec::new();
        for j in naive::indices(&[2, 2, 2]) {
            let row = (2 * i[3] + j[1]).wrapping_sub(1);
            let column = (i[4] + j[2]).wrapping_sub(1);
            if row < height && column < width {
                window.push(naive::at(x, &[i[0], i[1], i[2] + j[0], row, column]));
            }
        }
        f(&window)
    })
}

fn options_of_volumes() -> Pool3d {
    Pool3d::new(2).stride([1, 2, 1]).padding([0, 1, 1])
}

fn options() -> Pool2d {
    Pool2d::new(2).stride([2, 1]).padding(1)
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        whole!(
            "max_pool2d",
            "x.max_pool2d(options)",
            "g to the largest element of each window",
            |x| x[0].max_pool2d(options()),
            |x| windows(&x[0], |w| w.iter().copied().fold(f64::NEG_INFINITY, f64::max))
        )
        .kinks("equals: all to the first")
        .at_each([apart([1, 1, 2, 2], -2.0, 2.0), apart([2, 2, 4, 3], -2.0, 2.0)]),
        whole!(
            "avg_pool2d",
            "x.avg_pool2d(options)",
            "g / size to each element of the window",
            |x| x[0].avg_pool2d(options()),
            |x| windows(&x[0], |w| w.iter().sum::<f64>() / 4.0)
        )
        .at_each([inside([1, 1, 2, 2], -2.0, 2.0), inside([2, 2, 4, 3], -2.0, 2.0)]),
        whole!(
            "max_pool3d",
            "x.max_pool3d(options)",
            "g to the largest element of each window",
            |x| x[0].max_pool3d(options_of_volumes()),
            |x| blocks(&x[0], |w| w.iter().copied().fold(f64::NEG_INFINITY, f64::max))
        )
        .kinks("equals: all to the first")
        .at_each([apart([1, 1, 2, 2, 1], -2.0, 2.0), apart([2, 1, 3, 2, 2], -2.0, 2.0)]),
        whole!(
            "avg_pool3d",
            "x.avg_pool3d(options)",
            "g / size to each element of the window",
            |x| x[0].avg_pool3d(options_of_volumes()),
            |x| blocks(&x[0], |w| w.iter().sum::<f64>() / 8.0)
        )
        .at_each([inside([1, 1, 2, 2, 1], -2.0, 2.0), inside([2, 1, 3, 2, 2], -2.0, 2.0)]),
    ]
}
