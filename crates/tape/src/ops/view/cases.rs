//! Cases of the operations that read by stride.

use crate::cases::{Case, inside, naive, whole};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        whole!(
            "flip",
            "x.flip(axes)",
            "dx = g with the same axes reversed",
            |x| x[0].flip([0, -1]),
            |x| {
                let s = x[0].shape();
                naive::build(s, |i| naive::at(&x[0], &[s[0] - 1 - i[0], i[1], s[2] - 1 - i[2]]))
            }
        )
        .at_each([inside([2, 3, 2], -1.0, 1.0), inside([2, 0, 1], 0.0, 1.0)]),
        whole!(
            "slice_step",
            "x.slice_step(axis, range, step)",
            "dx = g among zeros",
            |x| x[0].slice_step(1, 1..x[0].shape()[1], 2),
            |x| {
                let s = x[0].shape();
                naive::build(&[s[0], s[1] / 2], |i| naive::at(&x[0], &[i[0], 1 + 2 * i[1]]))
            }
        )
        .at_each([
            inside([2, 6], -1.0, 1.0),
            inside([3, 5], -1.0, 1.0),
            inside([0, 4], 0.0, 1.0),
        ]),
        whole!(
            "windows",
            "x.windows(axis, size, step)",
            "dx = sum of g over the windows that an element is in",
            |x| x[0].windows(-1, 3, 2),
            |x| {
                let s = x[0].shape();
                let count = (s[1] - 3) / 2 + 1;
                naive::build(&[s[0], count, 3], |i| naive::at(&x[0], &[i[0], 2 * i[1] + i[2]]))
            }
        )
        .at_each([
            inside([2, 7], -1.0, 1.0),
            inside([1, 3], -1.0, 1.0),
            inside([0, 4], 0.0, 1.0),
        ]),
        whole!(
            "diagonal",
            "x.diagonal(offset, rows, columns)",
            "dx = g on the diagonal, 0 beside it",
            |x| x[0].diagonal(-1, 0, 2),
            |x| {
                let s = x[0].shape();
                let len = s[0].saturating_sub(1).min(s[2]);
                naive::build(&[s[1], len], |i| naive::at(&x[0], &[i[1] + 1, i[0], i[1]]))
            }
        )
        .at_each([
            inside([3, 2, 4], -1.0, 1.0),
            inside([3, 1, 1], -1.0, 1.0),
            inside([1, 2, 3], 0.0, 1.0),
        ]),
        whole!(
            "diag_embed",
            "x.diag_embed(offset)",
            "dx = the diagonal of g",
            |x| x[0].diag_embed(1),
            |x| {
                let s = x[0].shape();
                let n = s[1] + 1;
                naive::build(&[s[0], n, n], |i| {
                    if i[2] == i[1] + 1 { naive::at(&x[0], &[i[0], i[1]]) } else { 0.0 }
                })
            }
        )
        .at_each([inside([2, 3], -1.0, 1.0), inside([2, 0], 0.0, 1.0)]),
        whole!("diag", "x.diag(offset)", "as of diagonal or diag_embed", |x| x[0].diag(-1), |x| {
            let n = x[0].len() + 1;
            naive::build(&[n, n], |i| if i[0] == i[1] + 1 { x[0].as_slice()[i[1]] } else { 0.0 })
        })
        .at_each([inside([3], -1.0, 1.0), inside([0], 0.0, 1.0)]),
        whole!("diag", "x.diag(offset)", "as of diagonal or diag_embed", |x| x[0].diag(1), |x| {
            let s = x[0].shape();
            naive::build(&[s[0].min(s[1] - 1)], |i| naive::at(&x[0], &[i[0], i[0] + 1]))
        })
        .at_each([inside([2, 4], -1.0, 1.0), inside([3, 1], -1.0, 1.0)]),
        whole!(
            "trace",
            "a.trace()",
            "da = g on the diagonal, 0 beside it",
            |x| x[0].trace(),
            |x| {
                let s = x[0].shape();
                let of = |k: usize| {
                    let element = |i: usize| x[0].as_slice()[(k * s[1] + i) * s[2] + i];
                    (0..s[1].min(s[2])).map(element).sum()
                };
                naive::build(&s[..1], |i| of(i[0]))
            }
        )
        .at_each([
            inside([2, 3, 3], -1.0, 1.0),
            inside([2, 2, 4], -1.0, 1.0),
            inside([2, 0, 0], 0.0, 1.0),
        ]),
    ]
}
