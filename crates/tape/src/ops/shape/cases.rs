//! Cases of the operations that move elements.

use crate::cases::{Case, inside, naive, whole};
use crate::{Shape, concat, stack};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        whole!(
            "reshape",
            "x.reshape(shape)",
            "dx = g in the shape of x",
            |x| x[0].reshape([x[0].shape().elements() / 2, 2]),
            |x| x[0].reshape([x[0].len() / 2, 2])
        )
        .at_each([
            inside([2, 3], -1.0, 1.0),
            inside([2], -1.0, 1.0),
            inside([0, 4], 0.0, 1.0),
        ]),
        whole!("flatten", "x.flatten()", "dx = g in the shape of x", |x| x[0].flatten(), |x| x[0]
            .reshape([x[0].len()]))
        .at_each([inside([2, 3], -1.0, 1.0), inside([], -1.0, 1.0), inside([0, 4], 0.0, 1.0)]),
        whole!(
            "squeeze",
            "x.squeeze(axis)",
            "dx = g in the shape of x",
            |x| x[0].squeeze(-2),
            |x| x[0].reshape([x[0].shape()[0], x[0].shape()[2]])
        )
        .at_each([inside([2, 1, 3], -1.0, 1.0), inside([0, 1, 2], -1.0, 1.0)]),
        whole!(
            "unsqueeze",
            "x.unsqueeze(axis)",
            "dx = g in the shape of x",
            |x| x[0].unsqueeze(1),
            |x| x[0].reshape([x[0].shape()[0], 1, x[0].shape()[1]])
        )
        .at_each([inside([2, 3], -1.0, 1.0), inside([0, 2], -1.0, 1.0)]),
        whole!(
            "permute",
            "x.permute(axes)",
            "dx = g with the axes back",
            |x| x[0].permute(&[2, 0, -2]),
            |x| {
                let s = x[0].shape();
                naive::build(&[s[2], s[0], s[1]], |i| naive::at(&x[0], &[i[1], i[2], i[0]]))
            }
        )
        .at_each([inside([2, 3, 4], -1.0, 1.0), inside([1, 0, 2], -1.0, 1.0)]),
        whole!(
            "transpose",
            "x.transpose(a, b)",
            "dx = g with the axes exchanged",
            |x| x[0].transpose(0, -1),
            |x| {
                let s = x[0].shape();
                naive::build(&[s[2], s[1], s[0]], |i| naive::at(&x[0], &[i[2], i[1], i[0]]))
            }
        )
        .at_each([inside([2, 3, 4], -1.0, 1.0), inside([2, 0, 1], -1.0, 1.0)]),
        whole!("t", "x.t()", "dx = transpose of g", |x| x[0].t(), |x| {
            let s = x[0].shape();
            naive::build(&[s[1], s[0]], |i| naive::at(&x[0], &[i[1], i[0]]))
        })
        .at_each([inside([2, 3], -1.0, 1.0), inside([0, 3], -1.0, 1.0)]),
        whole!(
            "narrow",
            "x.narrow(axis, start, len)",
            "dx = g in place, 0 elsewhere",
            |x| x[0].narrow(1, 1, 2),
            |x| naive::build(&[x[0].shape()[0], 2], |i| naive::at(&x[0], &[i[0], i[1] + 1]))
        )
        .at_each([inside([2, 4], -1.0, 1.0), inside([0, 3], -1.0, 1.0)]),
        whole!(
            "slice",
            "x.slice(axis, range)",
            "dx = g in place, 0 elsewhere",
            |x| x[0].slice(-1, 1..3),
            |x| naive::build(&[x[0].shape()[0], 2], |i| naive::at(&x[0], &[i[0], i[1] + 1]))
        )
        .at_each([inside([2, 4], -1.0, 1.0), inside([0, 3], -1.0, 1.0)]),
        whole!(
            "select",
            "x.select(axis, at)",
            "dx = g in place, 0 elsewhere",
            |x| x[0].select(1, 2),
            |x| naive::build(&[x[0].shape()[0]], |i| naive::at(&x[0], &[i[0], 2]))
        )
        .at_each([inside([2, 4], -1.0, 1.0), inside([0, 3], -1.0, 1.0)]),
        whole!(
            "broadcast_to",
            "x.broadcast_to(shape)",
            "dx = g summed to the shape of x",
            |x| x[0].broadcast_to([2, 4, 3]),
            |x| {
                let own: Vec<usize> = x[0].shape().to_vec();
                naive::build(&[2, 4, 3], |i| {
                    let i = &i[3 - own.len()..];
                    let index: Vec<usize> = i.iter().zip(&own).map(|(&i, &n)| i % n).collect();
                    naive::at(&x[0], &index)
                })
            }
        )
        .at_each([
            inside([4, 1], -1.0, 1.0),
            inside([], -1.0, 1.0),
            inside([2, 1, 3], 0.0, 1.0),
        ]),
        whole!(
            "concat",
            "concat(&[a, b, ...], axis)",
            "each gets its part of g",
            |x| concat(x, 1),
            |x| {
                let width: usize = x.iter().map(|x| x.shape()[1]).sum();
                naive::build(&[x[0].shape()[0], width], |i| {
                    let mut column = i[1];
                    for x in x {
                        if column < x.shape()[1] {
                            return naive::at(x, &[i[0], column]);
                        }
                        column -= x.shape()[1];
                    }
                    unreachable!("the widths add up")
                })
            }
        )
        .at([inside([2, 3], -1.0, 1.0), inside([2, 1], -1.0, 1.0)])
        .at([inside([2, 1], -1.0, 1.0)])
        .at([
            inside([2, 2], -1.0, 1.0),
            inside([2, 0], 0.0, 1.0),
            inside([2, 1], -1.0, 1.0),
        ]),
        whole!(
            "stack",
            "stack(&[a, b, ...], axis)",
            "each gets its part of g",
            |x| stack(x, -1),
            |x| {
                let mut shape: Vec<usize> = x[0].shape().to_vec();
                shape.push(x.len());
                naive::build(&shape, |i| naive::at(&x[i[i.len() - 1]], &i[..i.len() - 1]))
            }
        )
        .at([inside([2, 3], -1.0, 1.0), inside([2, 3], -1.0, 1.0)])
        .at([inside(Shape::scalar(), -1.0, 1.0), inside(Shape::scalar(), -1.0, 1.0)]),
    ]
}
