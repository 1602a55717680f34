//! Cases of the pooling to a given size.

use crate::Tensor;
use crate::cases::{Case, apart, inside, naive, whole};

/// `f` of the elements of each of as many windows as there are places.
fn windows(x: &Tensor, size: &[usize], f: impl Fn(&[f64]) -> f64) -> Tensor {
    let s = x.shape();
    let shape: Vec<usize> = s[..2].iter().chain(size).copied().collect();
    naive::build(&shape, |i| {
        // Element j of n is in window i of m if their shares of the line overlap.
        let inside = |k: usize, j: usize| {
            let (n, m) = (s[2 + k], size[k]);
            j < ((i[2 + k] + 1) * n).div_ceil(m) && (j + 1) * m > i[2 + k] * n
        };
        let places = naive::indices(&s[2..]);
        let window: Vec<f64> = places
            .iter()
            .filter(|place| place.iter().enumerate().all(|(k, &j)| inside(k, j)))
            .map(|place| naive::at(x, &[&i[..2], place].concat()))
            .collect();
        f(&window)
    })
}

fn largest(window: &[f64]) -> f64 {
    window.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn mean(window: &[f64]) -> f64 {
    window.iter().sum::<f64>() / window.len() as f64
}

pub(crate) fn cases() -> Vec<Case> {
    let lines: [&[usize]; 2] = [&[2, 2, 5], &[1, 1, 2]];
    let images: [&[usize]; 3] = [&[1, 2, 2, 3], &[2, 1, 3, 4], &[1, 1, 1, 5]];
    let volumes: [&[usize]; 2] = [&[1, 2, 2, 2, 3], &[1, 1, 3, 1, 2]];
    let smooth = |shape: &[usize]| inside(shape, -1.0, 1.0);
    let distinct = |shape: &[usize]| apart(shape, -2.0, 2.0);
    let share = "g / size to each element of the window";
    let to_largest = "g to the largest element of each window";
    let mut cases = vec![
        whole!(
            "adaptive_avg_pool1d",
            "x.adaptive_avg_pool1d(size)",
            share,
            |x| x[0].adaptive_avg_pool1d(3),
            |x| windows(&x[0], &[3], mean)
        )
        .at_each(lines.map(smooth)),
        whole!(
            "adaptive_avg_pool2d",
            "x.adaptive_avg_pool2d(size)",
            share,
            |x| x[0].adaptive_avg_pool2d([2, 3]),
            |x| windows(&x[0], &[2, 3], mean)
        )
        .at_each(images.map(smooth)),
        whole!(
            "adaptive_avg_pool3d",
            "x.adaptive_avg_pool3d(size)",
            share,
            |x| x[0].adaptive_avg_pool3d([2, 1, 3]),
            |x| windows(&x[0], &[2, 1, 3], mean)
        )
        .at_each(volumes.map(smooth)),
    ];
    let largest_ones = [
        whole!(
            "adaptive_max_pool1d",
            "x.adaptive_max_pool1d(size)",
            to_largest,
            |x| x[0].adaptive_max_pool1d(3),
            |x| windows(&x[0], &[3], largest)
        )
        .at_each(lines.map(distinct)),
        whole!(
            "adaptive_max_pool2d",
            "x.adaptive_max_pool2d(size)",
            to_largest,
            |x| x[0].adaptive_max_pool2d([2, 3]),
            |x| windows(&x[0], &[2, 3], largest)
        )
        .at_each(images.map(distinct)),
        whole!(
            "adaptive_max_pool3d",
            "x.adaptive_max_pool3d(size)",
            to_largest,
            |x| x[0].adaptive_max_pool3d([2, 1, 3]),
            |x| windows(&x[0], &[2, 1, 3], largest)
        )
        .at_each(volumes.map(distinct)),
    ];
    cases.extend(largest_ones.map(|case| case.kinks("equals: all to the first")));
    cases
}
