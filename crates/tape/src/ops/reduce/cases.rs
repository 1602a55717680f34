//! Cases of the reductions.

mod lines;

use crate::cases::{Case, apart, inside, naive, whole};

/// The forms of a reduction: over everything, over some axes, over some axes that stay with length 1.
/// `$argument(shape, low, high)` makes the points, and `$empty` is a list of shapes without elements that it
/// takes.
macro_rules! forms {
    ($cases:ident, $all:ident $axes:ident $keep:ident ($($arg:expr),*) $($signature:literal)?, $derivative:literal, $kinks:literal,
        $argument:ident $low:literal $high:literal, $empty:expr, |$x:ident| $reference:expr) => {
        let point = |shape: &[usize]| $argument(shape, $low, $high);
        let empty: &[[usize; 3]] = &$empty;
        let [all, axes, keep] = [
            concat!("x.", stringify!($all), "(", $($signature,)? ")"),
            concat!("x.", stringify!($axes), "(axes", $(", ", $signature,)? ")"),
            concat!("x.", stringify!($keep), "(axes", $(", ", $signature,)? ")"),
        ];
        $cases.push(
            whole!(stringify!($all), all, $derivative, |x| x[0].$all($($arg),*),
                |x| naive::total(&x[0], |$x| $reference))
                .kinks($kinks)
                .at_each([point(&[5]), point(&[3, 2]), point(&[2, 1, 3]), point(&[1])])
                .at_each(empty.iter().map(|s| point(s))),
        );
        $cases.push(
            whole!(stringify!($axes), axes, $derivative,
                |x| x[0].$axes([0, -1] $(, $arg)*),
                |x| naive::reduce(&x[0], &[0, 2], false, |$x| $reference))
                .kinks($kinks)
                .at_each([point(&[2, 3, 2]), point(&[3, 1, 1])])
                .at_each(empty.iter().map(|s| point(s))),
        );
        $cases.push(
            whole!(stringify!($axes), axes, $derivative,
                |x| x[0].$axes(-2 $(, $arg)*),
                |x| naive::reduce(&x[0], &[x[0].rank() - 2], false, |$x| $reference))
                .kinks($kinks)
                .at_each([point(&[2, 3, 2]), point(&[4, 2]), point(&[3, 1])]),
        );
        $cases.push(
            whole!(stringify!($keep), keep, $derivative,
                |x| x[0].$keep([1, 2] $(, $arg)*),
                |x| naive::reduce(&x[0], &[1, 2], true, |$x| $reference))
                .kinks($kinks)
                .at_each([point(&[2, 3, 2]), point(&[3, 1, 2])])
                .at_each(empty.iter().map(|s| point(s))),
        );
        $cases.push(
            whole!(stringify!($keep), keep, $derivative,
                |x| x[0].$keep(0 $(, $arg)*),
                |x| naive::reduce(&x[0], &[0], true, |$x| $reference))
                .kinks($kinks)
                .at_each([point(&[4]), point(&[3, 2])]),
        );
    };
}

/// The squared deviations from the mean, summed.
fn deviations(x: &[f64]) -> f64 {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    x.iter().map(|x| (x - mean) * (x - mean)).sum()
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    forms!(cases, sum sum_axes sum_axes_keep (), "dx = g, repeated", "",
        inside -2.0 2.0, [[0, 2, 3], [2, 0, 2], [2, 3, 0]], |x| x.iter().sum());
    forms!(cases, mean mean_axes mean_axes_keep (), "dx = g / n, repeated", "",
        inside -2.0 2.0, [], |x| x.iter().sum::<f64>() / x.len() as f64);
    forms!(cases, amax amax_axes amax_axes_keep (), "g to the largest element",
        "equals: equal parts", apart -2.0 2.0, [],
        |x| x.iter().copied().fold(f64::NEG_INFINITY, f64::max));
    forms!(cases, amin amin_axes amin_axes_keep (), "g to the smallest element",
        "equals: equal parts", apart -2.0 2.0, [],
        |x| x.iter().copied().fold(f64::INFINITY, f64::min));
    forms!(cases, logsumexp logsumexp_axes logsumexp_axes_keep (), "dx = g exp(x - y)", "",
        inside -2.0 2.0, [[2, 0, 0], [0, 2, 0]], |x| x.iter().map(|x| x.exp()).sum::<f64>().ln());
    forms!(cases, var var_axes var_axes_keep (0.0) "correction",
        "dx = 2 g (x - mean x) / (n - correction)", "", inside -2.0 2.0, [],
        |x| deviations(x) / x.len() as f64);
    forms!(cases, prod prod_axes prod_axes_keep (), "dx = g times the product of the others", "",
        inside 0.5 2.0, [[0, 2, 3], [2, 0, 2], [2, 3, 0]], |x| x.iter().product());
    forms!(cases, std std_axes std_axes_keep (1.0) "correction",
        "dx = g (x - mean x) / ((n - correction) y)", "equal elements: 0 is taken",
        inside -2.0 2.0, [], |x| (deviations(x) / (x.len() as f64 - 1.0)).sqrt());
    forms!(cases, norm norm_axes norm_axes_keep (2.0) "p", "dx = g sign(x) |x / y|^(p - 1)",
        "0: 0 is taken", inside 0.3 2.0, [[0, 2, 3]],
        |x| x.iter().map(|x| x * x).sum::<f64>().sqrt());
    forms!(cases, norm norm_axes norm_axes_keep (1.0) "p", "dx = g sign(x) |x / y|^(p - 1)",
        "0: 0 is taken", inside -2.0 -0.3, [[0, 2, 3]], |x| x.iter().map(|x| x.abs()).sum::<f64>());
    forms!(cases, norm norm_axes norm_axes_keep (3.5) "p", "dx = g sign(x) |x / y|^(p - 1)",
        "0: 0 is taken", inside -2.0 -0.3, [[0, 2, 3]],
        |x| x.iter().map(|x| x.abs().powf(3.5)).sum::<f64>().powf(1.0 / 3.5));
    forms!(cases, norm norm_axes norm_axes_keep (f64::INFINITY) "p",
        "dx = g sign(x) |x / y|^(p - 1)", "0: 0 is taken", apart -2.0 -0.3, [],
        |x| x.iter().fold(0.0, |m: f64, x| m.max(x.abs())));
    // A standard deviation of one element with correction 1 is NaN.
    for case in &mut cases {
        if case.name.starts_with("std") {
            case.points.retain(|point| point[0].value(0).len() > 3);
        }
    }
    cases.extend(lines::cases());
    cases
}
