//! Cases of writing to places.

use crate::Tensor;
use crate::cases::{Case, exactly, inside, naive, whole};

/// Indices into two places along axis 1 of a source `[n, 3]`.
fn indices(n: usize) -> Vec<usize> {
    (0..3 * n).map(|k| k * k % 5 % 2).collect()
}

/// Adds or puts the source where the indices say.
fn written(x: &[Tensor], add: bool) -> Tensor {
    let mut out = x[0].clone();
    for (k, i) in indices(x[1].shape()[0]).into_iter().enumerate() {
        let place = [k / 3, i];
        out[place] = x[1].as_slice()[k] + if add { out[place] } else { 0.0 };
    }
    out
}

pub(crate) fn cases() -> Vec<Case> {
    let point = |n| [inside([n, 2], -1.0, 1.0), inside([n, 3], -1.0, 1.0)];
    // A source with fewer rows.
    let shorter = || [inside([4, 2], -1.0, 1.0), inside([2, 3], -1.0, 1.0)];
    vec![
        whole!(
            "scatter",
            "x.scatter(axis, indices, source)",
            "dx = g where nothing is written, dsource = g where it is the last",
            |x| x[0].scatter(1, indices(x[1].shape()[0]), x[1]),
            |x| written(x, false)
        )
        .at(point(2))
        .at(point(1))
        .at(point(0))
        .at(shorter()),
        whole!(
            "scatter_add",
            "x.scatter_add(axis, indices, source)",
            "dx = g, dsource = g at the indices",
            |x| x[0].scatter_add(1, indices(x[1].shape()[0]), x[1]),
            |x| written(x, true)
        )
        .at(point(2))
        .at(point(0))
        .at(shorter()),
        whole!(
            "index_add",
            "x.index_add(axis, indices, source)",
            "dx = g, dsource = the slices of g at the indices",
            |x| x[0].index_add(1, [1, 0, 1], x[1]),
            |x| {
                let at = |i: &[usize], k| naive::at(&x[1], &[i[0], k]);
                naive::build(x[0].shape(), |i| {
                    let more = if i[1] == 1 { at(i, 0) + at(i, 2) } else { at(i, 1) };
                    naive::at(&x[0], i) + more
                })
            }
        )
        .at(point(2))
        .at(point(0)),
        whole!(
            "take",
            "x.take(indices)",
            "dx = sum of g over the places that took an element",
            |x| x[0].take([3, 0, 3]),
            |x| [3, 0, 3].into_iter().map(|i| x[0].as_slice()[i]).collect()
        )
        .at_each([inside([2, 2], -1.0, 1.0), inside([4], -1.0, 1.0)]),
        whole!(
            "masked_fill",
            "x.masked_fill(mask, value)",
            "dx = g where the mask is 0, dvalue = sum of g elsewhere",
            |x| x[0].masked_fill(x[1], x[2]),
            |x| naive::build(x[0].shape(), |i| {
                if x[1].as_slice()[i[1]] == 0.0 { naive::at(&x[0], i) } else { x[2].item() }
            })
        )
        .at([inside([3, 2], -1.0, 1.0), exactly([2], &[0.0, 1.0]).fixed(), inside([], 1.0, 2.0)])
        .at([
            inside([0, 2], -1.0, 1.0),
            exactly([2], &[0.0, 1.0]).fixed(),
            inside([], 1.0, 2.0),
        ]),
        whole!(
            "masked_select",
            "x.masked_select(mask)",
            "dx = g where the mask is not 0, 0 elsewhere",
            |x| x[0].masked_select(&x[1].value()),
            |x| (0..x[0].shape()[0]).map(|i| x[0][[i, 1]]).collect()
        )
        .at([inside([3, 2], -1.0, 1.0), exactly([2], &[0.0, 1.0]).fixed()])
        .at([inside([0, 2], -1.0, 1.0), exactly([2], &[0.0, 1.0]).fixed()]),
    ]
}
