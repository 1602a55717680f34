//! Cases of interpolation and of the pooling of lines.

use super::Interpolation;
use crate::Tensor;
use crate::cases::{Argument, Case, apart, inside, naive, whole};

/// The value between the elements of an image, at a place in it.
fn between(x: &Tensor, i: &[usize], at: [f64; 2]) -> f64 {
    let s = x.shape();
    let weight = |k: usize, j: usize| {
        let at = at[k].clamp(0.0, (s[2 + k] - 1) as f64);
        (1.0 - (at - j as f64).abs()).max(0.0)
    };
    naive::indices(&s[2..])
        .iter()
        .map(|j| weight(0, j[0]) * weight(1, j[1]) * naive::at(x, &[i[0], i[1], j[0], j[1]]))
        .sum()
}

/// `f` of the elements of each window of 3, 2 apart, with a padding of 1.
fn windows(x: &Tensor, f: impl Fn(&[f64]) -> f64) -> Tensor {
    let s = x.shape();
    naive::build(&[s[0], s[1], (s[2] - 1) / 2 + 1], |i| {
        let places = (2 * i[2]..2 * i[2] + 3).filter(|&k| k >= 1 && k <= s[2]);
        let window: Vec<f64> = places.map(|k| naive::at(x, &[i[0], i[1], k - 1])).collect();
        f(&window)
    })
}

fn largest(window: &[f64]) -> f64 {
    window.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

pub(crate) fn cases() -> Vec<Case> {
    let images = |argument: fn(&[usize]) -> Argument| {
        [argument(&[1, 2, 2, 3]), argument(&[2, 1, 3, 4]), argument(&[1, 1, 1, 5])]
    };
    let lines = |argument: fn(&[usize]) -> Argument| [argument(&[2, 2, 5]), argument(&[1, 1, 4])];
    let smooth: fn(&[usize]) -> Argument = |shape| inside(shape, -1.0, 1.0);
    let distinct: fn(&[usize]) -> Argument = |shape| apart(shape, -2.0, 2.0);
    let weights = "g by the weights of the interpolation";
    let signature = "x.interpolate(size, how)";
    vec![
        whole!(
            "interpolate",
            signature,
            weights,
            |x| x[0].interpolate([4, 2], Interpolation::Nearest),
            |x| {
                let s = x[0].shape();
                naive::build(&[s[0], s[1], 4, 2], |i| {
                    let at = [i[2] as f64 / 4.0, i[3] as f64 / 2.0];
                    let at = [0, 1].map(|k| (at[k] * s[2 + k] as f64).floor());
                    between(&x[0], i, at)
                })
            }
        )
        .at_each(images(smooth)),
        whole!(
            "interpolate",
            signature,
            weights,
            |x| x[0].interpolate([4, 2], Interpolation::Bilinear { align_corners: false }),
            |x| {
                let s = x[0].shape();
                naive::build(&[s[0], s[1], 4, 2], |i| {
                    let at = [(i[2] as f64 + 0.5) / 4.0, (i[3] as f64 + 0.5) / 2.0];
                    between(&x[0], i, [0, 1].map(|k| at[k] * s[2 + k] as f64 - 0.5))
                })
            }
        )
        .at_each(images(smooth)),
        whole!(
            "interpolate",
            signature,
            weights,
            |x| x[0].interpolate([4, 1], Interpolation::Bilinear { align_corners: true }),
            |x| {
                let s = x[0].shape();
                naive::build(&[s[0], s[1], 4, 1], |i| {
                    between(&x[0], i, [i[2] as f64 * (s[2] - 1) as f64 / 3.0, 0.0])
                })
            }
        )
        .at_each(images(smooth)),
        whole!(
            "max_pool1d",
            "x.max_pool1d(size, stride, padding)",
            "g to the largest element of each window",
            |x| x[0].max_pool1d(3, 2, 1),
            |x| windows(&x[0], largest)
        )
        .kinks("equals: all to the first")
        .at_each(lines(distinct)),
        whole!(
            "avg_pool1d",
            "x.avg_pool1d(size, stride, padding)",
            "g / size to each element of the window",
            |x| x[0].avg_pool1d(3, 2, 1),
            |x| windows(&x[0], |window| window.iter().sum::<f64>() / 3.0)
        )
        .at_each(lines(smooth)),
    ]
}
