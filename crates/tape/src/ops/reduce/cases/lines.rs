//! Cases of what goes along an axis: cumulative reductions, and what depends on the order of elements.

use crate::cases::{Case, apart, exactly, inside, naive, whole};
use crate::ops::Indices;
use crate::{Real, Tensor, TensorVar};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = along_an_axis();
    cases.extend(of_order());
    cases
}

fn along_an_axis() -> Vec<Case> {
    let shapes: [&[usize]; 4] = [&[5], &[2, 4], &[3, 1], &[2, 0]];
    let along = |case: Case| case.at_each(shapes.map(|shape| inside(shape, -2.0, 2.0)));
    vec![
        along(whole!(
            "cumsum",
            "x.cumsum(axis)",
            "dx = sum of g from here on",
            |x| x[0].cumsum(-1),
            |x| running(&x[0], x[0].rank() - 1, |x| x.iter().sum())
        )),
        whole!("cumsum", "x.cumsum(axis)", "dx = sum of g from here on", |x| x[0].cumsum(0), |x| {
            running(&x[0], 0, |x| x.iter().sum())
        })
        .at_each([inside([3, 2], -2.0, 2.0), inside([0, 2], 0.0, 1.0)]),
        along(whole!(
            "cumprod",
            "x.cumprod(axis)",
            "dx = sum of g y / x from here on",
            |x| x[0].cumprod(-1),
            |x| running(&x[0], x[0].rank() - 1, |x| x.iter().product())
        )),
        whole!(
            "cumprod",
            "x.cumprod(axis)",
            "dx = sum of g y / x from here on",
            |x| x[0].cumprod(1),
            |x| running(&x[0], 1, |x| x.iter().product())
        )
        .at_each([inside([2, 3, 2], 0.5, 2.0), exactly([1, 5], &[0.5, 0.0, 2.0, 0.0, 3.0])]),
        along(whole!(
            "logcumsumexp",
            "x.logcumsumexp(axis)",
            "dx = sum of g exp(x - y) from here on",
            |x| x[0].logcumsumexp(-1),
            |x| running(&x[0], x[0].rank() - 1, |x| x.iter().map(|x| x.exp()).sum::<f64>().ln())
        )),
        whole!("cummax", "x.cummax(axis)", "g to the largest so far", |x| x[0].cummax(1), |x| {
            running(&x[0], 1, |x| x.iter().copied().fold(f64::NEG_INFINITY, f64::max))
        })
        .kinks("equals: all to the last")
        .at_each([
            apart([2, 4], -2.0, 2.0),
            apart([2, 3, 2], -2.0, 2.0),
            apart([2, 0], 0.0, 1.0),
        ]),
        whole!("cummin", "x.cummin(axis)", "g to the smallest so far", |x| x[0].cummin(0), |x| {
            running(&x[0], 0, |x| x.iter().copied().fold(f64::INFINITY, f64::min))
        })
        .kinks("equals: all to the last")
        .at_each([apart([4], -2.0, 2.0), apart([3, 2], -2.0, 2.0)]),
    ]
}

/// `f` of all elements up to each, along an axis.
fn running(x: &Tensor, axis: usize, f: impl Fn(&[f64]) -> f64) -> Tensor {
    naive::lines(x, axis, |line| (0..line.len()).map(|k| f(&line[..=k])).collect())
}

fn of_order() -> Vec<Case> {
    let some = || [apart([5], -2.0, 2.0), apart([2, 4], -2.0, 2.0), apart([2, 1, 3], -2.0, 2.0)];
    let differentiable = vec![
        whole!(
            "sort",
            "x.sort(axis, descending)",
            "g back to where the elements were",
            |x| x[0].sort(-1, false).0,
            |x| naive::lines(&x[0], x[0].rank() - 1, ascending)
        ),
        whole!(
            "sort",
            "x.sort(axis, descending)",
            "g back to where the elements were",
            |x| x[0].sort(0, true).0,
            |x| naive::lines(&x[0], 0, |x| ascending(x).into_iter().rev().collect())
        ),
        whole!(
            "topk",
            "x.topk(k, axis, largest)",
            "g back to where the elements were",
            |x| x[0].topk(2, -1, true).0,
            |x| naive::lines(&x[0], x[0].rank() - 1, |x| {
                ascending(x).into_iter().rev().take(2).collect()
            })
        ),
        whole!(
            "topk",
            "x.topk(k, axis, largest)",
            "g back to where the elements were",
            |x| x[0].topk(3, -1, false).0,
            |x| naive::lines(&x[0], x[0].rank() - 1, |x| ascending(x)[..3].to_vec())
        ),
        whole!("median", "x.median()", "g to the median", |x| x[0].median(), |x| naive::total(
            &x[0],
            |x| ascending(x)[(x.len() - 1) / 2]
        )),
        whole!(
            "median_axis",
            "x.median_axis(axis)",
            "g to the median",
            |x| x[0].median_axis(-1),
            |x| naive::reduce(&x[0], &[x[0].rank() - 1], false, |x| {
                ascending(x)[(x.len() - 1) / 2]
            })
        ),
        whole!(
            "quantile",
            "x.quantile(q)",
            "g in parts to the two neighbours",
            |x| x[0].quantile(0.3),
            |x| naive::total(&x[0], |x| quantile(x, 0.3))
        ),
        whole!(
            "quantile_axis",
            "x.quantile_axis(axis, q)",
            "g in parts to the two neighbours",
            |x| x[0].quantile_axis(0, 1.0),
            |x| naive::reduce(&x[0], &[0], false, |x| quantile(x, 1.0))
        ),
        whole!(
            "quantile_axis",
            "x.quantile_axis(axis, q)",
            "g in parts to the two neighbours",
            |x| x[0].quantile_axis(-1, 0.6),
            |x| naive::reduce(&x[0], &[x[0].rank() - 1], false, |x| quantile(x, 0.6))
        ),
    ];
    let discrete = vec![
        whole!("argmax", "x.argmax()", "none", |x| numbers(x[0], &[x[0].argmax()].into()), |x| {
            indices(&x[0].reshape([x[0].len()]), largest)
        }),
        whole!("argmin", "x.argmin()", "none", |x| numbers(x[0], &[x[0].argmin()].into()), |x| {
            indices(&x[0].reshape([x[0].len()]), smallest)
        }),
        whole!(
            "argmax_axis",
            "x.argmax_axis(axis)",
            "none",
            |x| numbers(x[0], &x[0].argmax_axis(-1)),
            |x| indices(&x[0], largest)
        ),
        whole!(
            "argmin_axis",
            "x.argmin_axis(axis)",
            "none",
            |x| numbers(x[0], &x[0].argmin_axis(-1)),
            |x| indices(&x[0], smallest)
        ),
        whole!(
            "argsort",
            "x.argsort(axis, descending)",
            "none",
            |x| numbers(x[0], &x[0].argsort(-1, false)),
            |x| order(&x[0])
        ),
        whole!("all", "x.all()", "none", |x| truth(x[0], x[0].all()), |x| Tensor::scalar(
            if x[0].iter().any(|&x| x == 0.0) { 0.0 } else { 1.0 }
        )),
        whole!("any", "x.any()", "none", |x| truth(x[0], x[0].any()), |x| Tensor::scalar(
            if x[0].iter().any(|&x| x != 0.0) { 1.0 } else { 0.0 }
        )),
        whole!("all_axes", "x.all_axes(axes)", "none", |x| x[0].all_axes(-1), |x| naive::reduce(
            &x[0],
            &[x[0].rank() - 1],
            false,
            |x| { if x.contains(&0.0) { 0.0 } else { 1.0 } }
        )),
        whole!("any_axes", "x.any_axes(axes)", "none", |x| x[0].any_axes(-1), |x| naive::reduce(
            &x[0],
            &[x[0].rank() - 1],
            false,
            |x| { if x.iter().any(|&x| x != 0.0) { 1.0 } else { 0.0 } }
        )),
    ];
    let kinks = |case: &Case| match case.name {
        "sort" | "topk" => "equals: in their order",
        _ => "equals: to the first of them that fits",
    };
    let differentiable = differentiable.into_iter().map(|case| {
        let kinks = kinks(&case);
        case.kinks(kinks).at_each(some())
    });
    let with_equals = [
        exactly([2, 3], &[1.0, 2.0, 2.0, 0.0, 0.0, -1.0]),
        exactly([2, 2], &[0.0, 0.0, 3.0, 3.0]),
        exactly([3], &[0.0, 0.0, 0.0]),
    ];
    let discrete = discrete
        .into_iter()
        .map(|case| case.discrete().at_each(some()).at_each(with_equals.clone()));
    differentiable.chain(discrete).collect()
}

/// Interpolated between neighbours.
fn quantile(x: &[f64], q: f64) -> f64 {
    let x = ascending(x);
    let place = q * (x.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(x.len() - 1);
    x[below] * (1.0 - place.fract()) + x[above] * place.fract()
}

fn ascending(x: &[f64]) -> Vec<f64> {
    let mut x = x.to_vec();
    x.sort_by(f64::total_cmp);
    x
}

/// Indices as a tensor without a derivative.
fn numbers<E: Real>(x: TensorVar<E>, indices: &Indices) -> TensorVar<E> {
    let numbers: Vec<E> = indices.as_slice().iter().map(|&i| E::lit(i as f64)).collect();
    x.constant_like(numbers)
}

fn truth<E: Real>(x: TensorVar<E>, is: bool) -> TensorVar<E> {
    x.constant_like(if is { E::ONE } else { E::ZERO })
}

/// The index of the first element that equals `f` of its line, for each line along the last axis.
fn indices(x: &Tensor, f: impl Fn(&[f64]) -> f64) -> Tensor {
    let lines = x.as_slice().chunks(x.shape()[x.rank() - 1]);
    lines.map(|line| line.iter().take_while(|&&x| x != f(line)).count() as f64).collect()
}

/// The indices by which each line along the last axis is in order, of equals the first one first.
fn order(x: &Tensor) -> Tensor {
    let lines = x.as_slice().chunks(x.shape()[x.rank() - 1]);
    let of = |line: &[f64]| -> Vec<f64> {
        let mut order: Vec<(f64, usize)> = line.iter().copied().zip(0..).collect();
        order.sort_by(|a, b| a.partial_cmp(b).expect("there is no NaN"));
        order.into_iter().map(|(_, i)| i as f64).collect()
    };
    lines.flat_map(of).collect()
}

fn largest(x: &[f64]) -> f64 {
    x.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn smallest(x: &[f64]) -> f64 {
    x.iter().copied().fold(f64::INFINITY, f64::min)
}
