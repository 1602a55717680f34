//! Cases of the operations that read at given places.

use super::where_;
use crate::cases::{Case, exactly, inside, naive, whole};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        whole!(
            "index_select",
            "x.index_select(axis, indices)",
            "dx = g added at its places",
            |x| x[0].index_select(1, [2, 0, 2]),
            |x| naive::build(&[x[0].shape()[0], 3], |i| naive::at(&x[0], &[i[0], [2, 0, 2][i[1]]]))
        )
        .at_each([inside([2, 3], -1.0, 1.0), inside([0, 3], 0.0, 1.0)]),
        whole!(
            "embedding",
            "table.embedding(indices)",
            "dtable = g added at its rows",
            |x| x[0].embedding([1, 0, 1, 2]),
            |x| naive::build(&[4, x[0].shape()[1]], |i| naive::at(
                &x[0],
                &[[1, 0, 1, 2][i[0]], i[1]]
            ))
        )
        .at_each([inside([3, 2], -1.0, 1.0), inside([3, 0], 0.0, 1.0)]),
        whole!(
            "gather",
            "x.gather(axis, shape, indices)",
            "dx = g added at its places",
            |x| x[0].gather(1, [2, 3], [2, 0, 2, 1, 1, 0]),
            |x| {
                let from = [[2, 0, 2], [1, 1, 0]];
                naive::build(&[2, 3], |i| naive::at(&x[0], &[i[0], from[i[0]][i[1]]]))
            }
        )
        .at_each([inside([2, 3], -1.0, 1.0), inside([2, 4], -1.0, 1.0)]),
        whole!(
            "gather",
            "x.gather(axis, shape, indices)",
            "dx = g added at its places",
            |x| x[0].gather(1, [1, 3, 2], [0, 1, 1, 1, 0, 1]),
            |x| {
                let from = [[0, 1], [1, 1], [0, 1]];
                naive::build(&[1, 3, 2], |i| naive::at(&x[0], &[0, from[i[1]][i[2]], i[2]]))
            }
        )
        .at_each([inside([2, 2, 3], -1.0, 1.0), inside([1, 2, 2], -1.0, 1.0)]),
        whole!(
            "where_",
            "where_(mask, x, y)",
            "g to the branch that is taken",
            |x| where_(x[0], x[1], x[2]),
            |x| naive::build(&[2, 2], |i| {
                let k = if naive::at(&x[0], i) == 0.0 { 2 } else { 1 };
                if x[k].rank() == 0 { x[k].item() } else { naive::at(&x[k], i) }
            })
        )
        .at([
            exactly([2, 2], &[1.0, 0.0, 0.0, 2.0]).fixed(),
            inside([2, 2], -1.0, 1.0),
            inside([2, 2], -1.0, 1.0),
        ])
        .at([
            exactly([2, 2], &[1.0, 0.0, 0.0, -1.0]).fixed(),
            inside([], -1.0, 1.0),
            inside([2, 2], -1.0, 1.0),
        ]),
    ]
}
