//! Cases of functions with kinks, ties or steps.

use crate::Elementary;
use crate::cases::{Case, elementwise, inside};

pub(super) fn cases() -> Vec<Case> {
    vec![
        elementwise!(
            "abs",
            "x.abs()",
            "dx = g sign(x)",
            |x| x[0].abs(),
            |x| x[0].max(-x[0]),
            [[0.3, 2.0]]
        )
        .kinks("0: 0 is taken")
        .at([inside([5], -3.0, -0.4)]),
        elementwise!(
            "signum",
            "x.signum()",
            "dx = 0",
            |x| x[0].signum(),
            |x| x[0].signum(),
            [[0.3, 2.0]]
        )
        .kinks("0")
        .at([inside([5], -3.0, -0.4)]),
        elementwise!(
            "floor",
            "x.floor()",
            "dx = 0",
            |x| x[0].floor(),
            |x| x[0].floor(),
            [[0.2, 0.8]]
        )
        .kinks("integers")
        .at([inside([5], -1.8, -1.2)]),
        elementwise!("ceil", "x.ceil()", "dx = 0", |x| x[0].ceil(), |x| x[0].ceil(), [[0.2, 0.8]])
            .kinks("integers")
            .at([inside([5], -1.8, -1.2)]),
        elementwise!(
            "round",
            "x.round()",
            "dx = 0",
            |x| x[0].round(),
            |x| x[0].round(),
            [[0.6, 1.4]]
        )
        .kinks("integers and a half")
        .at([inside([5], -1.4, -0.6)]),
        elementwise!(
            "trunc",
            "x.trunc()",
            "dx = 0",
            |x| x[0].trunc(),
            |x| x[0].trunc(),
            [[1.2, 1.8]]
        )
        .kinks("integers but 0")
        .at([inside([5], -1.8, -1.2)]),
        elementwise!(
            "relu",
            "x.relu()",
            "dx = g if x > 0, else 0",
            |x| x[0].relu(),
            |x| if x[0] > 0.0 { x[0] } else { 0.0 },
            [[0.2, 2.0]]
        )
        .kinks("0: 0 is taken")
        .at([inside([5], -3.0, -0.4)]),
        elementwise!(
            "min",
            "a.min(b)",
            "g to the smaller",
            |x| x[0].min(x[1]),
            |x| if x[0] < x[1] { x[0] } else { x[1] },
            [[-2.0, 0.0], [0.2, 2.0]]
        )
        .kinks("a = b: half each")
        .at([inside([5], 0.2, 1.0), inside([5], -1.0, 0.0)]),
        elementwise!(
            "max",
            "a.max(b)",
            "g to the larger",
            |x| x[0].max(x[1]),
            |x| if x[0] > x[1] { x[0] } else { x[1] },
            [[-2.0, 0.0], [0.2, 2.0]]
        )
        .kinks("a = b: half each")
        .at([inside([5], 0.2, 1.0), inside([5], -1.0, 0.0)]),
        elementwise!(
            "clamp",
            "x.clamp(low, high)",
            "g to the one that is returned",
            |x| x[0].clamp(x[1], x[2]),
            |x| x[0].max(x[1]).min(x[2]),
            [[-0.4, 0.4], [-2.0, -0.6], [0.6, 2.0]]
        )
        .kinks("x = low, x = high: g to x")
        .at([inside([5], 0.5, 1.0), inside([], -2.0, -1.0), inside([5], -0.2, 0.2)])
        .at([inside([5], -1.0, -0.5), inside([5], -0.2, 0.2), inside([], 1.0, 2.0)]),
        elementwise!(
            "copysign",
            "a.copysign(b)",
            "da = g sign(a) sign(b), db = 0",
            |x| x[0].copysign(x[1]),
            |x| x[0].abs() * x[1].signum(),
            [[0.3, 2.0], [-2.0, -0.3]]
        )
        .kinks("a = 0, b = 0")
        .at([inside([5], -2.0, -0.3), inside([5], 0.3, 2.0)]),
        elementwise!(
            "select_gt",
            "select_gt(a, b, x, y)",
            "g to x if a > b, else to y",
            |x| select(x[0], x[1], x[2], x[3]),
            |x| if x[0] > x[1] { x[2] } else { x[3] },
            [[-1.0, -0.1], [0.1, 1.0], [-2.0, 2.0], [-2.0, 2.0]]
        )
        .kinks("a = b")
        .at([[5], [5], [5], [5]].map(|s| inside(s, 0.5, 1.0)))
        .at([
            inside([3], 0.6, 1.0),
            inside([], 0.0, 0.5),
            inside([3], -1.0, 1.0),
            inside([1], -1.0, 1.0),
        ]),
        elementwise!(
            "stop_gradient",
            "x.stop_gradient()",
            "nothing flows",
            |x| x[0].stop_gradient(),
            |x| x[0],
            [[-2.0, 2.0]]
        )
        .discrete(),
    ]
}

fn select<T: Elementary>(a: T, b: T, x: T, y: T) -> T {
    T::select_gt(a, b, x, y)
}
