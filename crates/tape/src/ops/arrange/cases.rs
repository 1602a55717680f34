//! Cases of repetition, splitting and padding.

use super::Pad;
use crate::cases::{Case, inside, naive, together, whole};

/// The case of one way to pad the last of two axes by 2 and 1.
macro_rules! pad {
    ($with:expr, $beyond:expr) => {
        whole!(
            "pad",
            "x.pad(axis, before, after, with)",
            "dx = sum of g over the places where an element stands",
            |x| x[0].pad(-1, 2, 1, $with),
            |x| {
                let s = x[0].shape();
                let n = s[1] as isize;
                let beyond: fn(isize, isize) -> Option<isize> = $beyond;
                naive::build(&[s[0], s[1] + 3], |i| {
                    let at = i[1] as isize - 2;
                    let at = if (0..n).contains(&at) { Some(at) } else { beyond(at, n) };
                    at.map_or(1.5, |at| naive::at(&x[0], &[i[0], at as usize]))
                })
            }
        )
        .at_each([
            inside([2, 3], -1.0, 1.0),
            inside([1, 4], -1.0, 1.0),
            inside([0, 3], 0.0, 1.0),
        ])
    };
}

#[allow(clippy::op_ref)] // The same text is for plain tensors, which are not `Copy`.
pub(crate) fn cases() -> Vec<Case> {
    let pieces = "dx = g of each piece in its place";
    vec![
        whole!(
            "view",
            "x.view(&[2, -1])",
            "dx = g in the shape of x",
            |x| x[0].view(&[2, -1]),
            |x| x[0].reshape([2, x[0].len() / 2])
        )
        .at_each([
            inside([3, 4], -1.0, 1.0),
            inside([2], -1.0, 1.0),
            inside([0, 3], 0.0, 1.0),
        ]),
        whole!(
            "flatten_axes",
            "x.flatten_axes(first, last)",
            "dx = g in the shape of x",
            |x| x[0].flatten_axes(1, -1),
            |x| x[0].reshape([x[0].shape()[0], x[0].shape()[1] * x[0].shape()[2]])
        )
        .at_each([inside([2, 3, 2], -1.0, 1.0), inside([2, 0, 2], 0.0, 1.0)]),
        whole!(
            "expand",
            "x.expand(&[2, -1, 3])",
            "dx = sum of g over the copies",
            |x| x[0].expand(&[2, -1, 3]),
            |x| naive::build(&[2, x[0].len(), 3], |i| x[0].as_slice()[i[1]])
        )
        .at_each([
            inside([2, 1], -1.0, 1.0),
            inside([1, 3, 1], -1.0, 1.0),
            inside([0, 1], 0.0, 1.0),
        ]),
        whole!(
            "repeat",
            "x.repeat(times)",
            "dx = sum of g over the copies",
            |x| x[0].repeat(&[2, 1, 3]),
            |x| {
                let s = x[0].shape();
                naive::build(&[2, s[0], 3 * s[1]], |i| naive::at(&x[0], &[i[1], i[2] % s[1]]))
            }
        )
        .at_each([inside([2, 2], -1.0, 1.0), inside([2, 0], 0.0, 1.0)]),
        whole!(
            "tile",
            "x.tile(times)",
            "dx = sum of g over the copies",
            |x| x[0].tile(&[2]),
            |x| {
                let s = x[0].shape();
                naive::build(&[s[0], 2 * s[1]], |i| naive::at(&x[0], &[i[0], i[1] % s[1]]))
            }
        )
        .at_each([inside([2, 3], -1.0, 1.0), inside([0, 2], 0.0, 1.0)]),
        whole!("roll", "x.roll(shift, axis)", "dx = g moved back", |x| x[0].roll(-2, 1), |x| {
            let s = x[0].shape();
            naive::build(s, |i| naive::at(&x[0], &[i[0], (i[1] + 2) % s[1]]))
        })
        .at_each([
            inside([2, 3], -1.0, 1.0),
            inside([2, 1], -1.0, 1.0),
            inside([2, 0], 0.0, 1.0),
        ]),
        whole!(
            "split",
            "x.split(axis, lens)",
            pieces,
            |x| {
                let parts = x[0].split(1, &[1, x[0].shape()[1] - 1]);
                together(&[&parts[1] * &parts[0], parts[0].flatten()])
            },
            |x| {
                let s = x[0].shape();
                let first = |i: usize| naive::at(&x[0], &[i, 0]);
                naive::together(&[
                    naive::build(&[s[0], s[1] - 1], |i| {
                        naive::at(&x[0], &[i[0], i[1] + 1]) * first(i[0])
                    }),
                    naive::build(&[s[0]], |i| first(i[0])),
                ])
            }
        )
        .at_each([inside([2, 3], -1.0, 1.0), inside([2, 1], -1.0, 1.0)]),
        whole!(
            "chunk",
            "x.chunk(axis, count)",
            pieces,
            |x| {
                let parts = x[0].chunk(0, 2);
                together(&[parts[0].flatten(), parts[parts.len() - 1].square()])
            },
            |x| {
                let (s, data) = (x[0].shape(), x[0].as_slice());
                let cut = s[0].div_ceil(2) * s[1];
                let last = if s[0] > 1 { &data[cut..] } else { data };
                let square = last.iter().map(|x| x * x);
                data[..cut].iter().copied().chain(square).collect()
            }
        )
        .at_each([
            inside([4, 2], -1.0, 1.0),
            inside([5, 1], -1.0, 1.0),
            inside([1, 2], -1.0, 1.0),
        ]),
        whole!(
            "unbind",
            "x.unbind(axis)",
            pieces,
            |x| &x[0].unbind(1)[1] * &x[0].unbind(1)[0],
            |x| naive::build(&[x[0].shape()[0]], |i| {
                naive::at(&x[0], &[i[0], 1]) * naive::at(&x[0], &[i[0], 0])
            })
        )
        .at_each([inside([3, 2], -1.0, 1.0), inside([0, 2], 0.0, 1.0)]),
        pad!(Pad::Constant(1.5), |_, _| None),
        pad!(Pad::Reflect, |i, n| Some(if i < 0 { -i } else { 2 * n - 2 - i })),
        pad!(Pad::Replicate, |i, n| Some(if i < 0 { 0 } else { n - 1 })),
        pad!(Pad::Circular, |i, n| Some((i + n) % n)),
        whole!(
            "tril",
            "a.tril(offset)",
            "da = g on and below the diagonal",
            |x| x[0].tril(1),
            |x| {
                naive::build(
                    x[0].shape(),
                    |i| if i[2] <= i[1] + 1 { naive::at(&x[0], i) } else { 0.0 },
                )
            }
        )
        .at_each([
            inside([2, 3, 4], -1.0, 1.0),
            inside([1, 4, 2], -1.0, 1.0),
            inside([1, 0, 2], 0.0, 1.0),
        ]),
        whole!(
            "triu",
            "a.triu(offset)",
            "da = g on and above the diagonal",
            |x| x[0].triu(1),
            |x| {
                naive::build(x[0].shape(), |i| if i[2] > i[1] { naive::at(&x[0], i) } else { 0.0 })
            }
        )
        .at_each([
            inside([2, 3, 4], -1.0, 1.0),
            inside([1, 4, 2], -1.0, 1.0),
            inside([1, 0, 2], 0.0, 1.0),
        ]),
    ]
}
