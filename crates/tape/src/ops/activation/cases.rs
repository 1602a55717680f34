//! Cases of the activations.

use crate::cases::{Case, elementwise, inside};
use crate::elementary::cases::erf_by_series;

/// Points on both sides of 0, where many have a kink.
fn sides(case: Case) -> Case {
    case.at([inside([5], -2.0, -0.3)]).at([inside([2, 2], 0.3, 2.0)]).at([inside([], -2.0, -0.3)])
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        elementwise!(
            "gelu",
            "x.gelu()",
            "dx = g (Phi(x) + x phi(x))",
            |x| x[0].gelu(),
            |x| 0.5 * x[0] * (1.0 + erf_by_series(x[0] / 2.0f64.sqrt())),
            [[-2.5, 2.5]]
        ),
        elementwise!(
            "gelu_tanh",
            "x.gelu_tanh()",
            "dx = g (s(u) + x u' s(u) s(-u))",
            |x| x[0].gelu_tanh(),
            |x| {
                let u = (2.0 / std::f64::consts::PI).sqrt() * (x[0] + 0.044715 * x[0].powi(3));
                0.5 * x[0] * (1.0 + u.tanh())
            },
            [[-2.5, 2.5]]
        ),
        elementwise!(
            "log_sigmoid",
            "x.log_sigmoid()",
            "dx = g sigmoid(-x)",
            |x| x[0].log_sigmoid(),
            |x| -(1.0 + (-x[0]).exp()).ln(),
            [[-3.0, 3.0]]
        ),
        elementwise!(
            "silu",
            "x.silu()",
            "dx = g (s(x) + x s(x) s(-x))",
            |x| x[0].silu(),
            |x| x[0] / (1.0 + (-x[0]).exp()),
            [[-3.0, 3.0]]
        ),
        elementwise!(
            "mish",
            "x.mish()",
            "dx = g (tanh u + x s(x) / cosh^2 u), u = softplus(x)",
            |x| x[0].mish(),
            |x| x[0] * (1.0 + x[0].exp()).ln().tanh(),
            [[-3.0, 3.0]]
        ),
        sides(
            elementwise!(
                "softsign",
                "x.softsign()",
                "dx = g / (1 + |x|)^2",
                |x| x[0].softsign(),
                |x| if x[0] < 0.0 { x[0] / (1.0 - x[0]) } else { x[0] / (1.0 + x[0]) },
                [[0.3, 3.0]]
            )
            .kinks("0, of the second derivative: 0 is taken"),
        ),
        sides(
            elementwise!(
                "relu6",
                "x.relu6()",
                "dx = g if 0 < x < 6, else 0",
                |x| x[0].relu6(),
                |x| x[0].clamp(0.0, 6.0),
                [[0.3, 5.5]]
            )
            .kinks("0 and 6: 0 is taken")
            .at([inside([5], 6.5, 9.0)]),
        ),
        sides(
            elementwise!(
                "leaky_relu",
                "x.leaky_relu(slope)",
                "dx = g if x > 0, else g slope",
                |x| x[0].leaky_relu(0.1),
                |x| x[0].max(0.0) + 0.1 * x[0].min(0.0),
                [[0.3, 3.0]]
            )
            .kinks("0: slope is taken"),
        ),
        elementwise!(
            "prelu",
            "x.prelu(slope)",
            "dx = g if x > 0, else g slope; dslope = g min(x, 0)",
            |x| x[0].prelu(x[1]),
            |x| x[0].max(0.0) + x[1] * x[0].min(0.0),
            [[-2.0, -0.3], [-0.5, 0.5]]
        )
        .kinks("x = 0: slope and 0 are taken")
        .at([inside([2, 3], 0.3, 2.0), inside([3], -0.5, 0.5)]),
        sides(
            elementwise!(
                "elu",
                "x.elu(alpha)",
                "dx = g if x > 0, else g alpha exp(x)",
                |x| x[0].elu(1.5),
                |x| x[0].max(0.0) + 1.5 * (x[0].min(0.0).exp() - 1.0),
                [[0.3, 3.0]]
            )
            .kinks("0: alpha is taken"),
        ),
        sides(
            elementwise!(
                "selu",
                "x.selu()",
                "dx = 1.0507 g if x > 0, else 1.7581 g exp(x)",
                |x| x[0].selu(),
                |x| 1.0507009873554805
                    * (x[0].max(0.0) + 1.6732632423543772 * (x[0].min(0.0).exp() - 1.0)),
                [[0.3, 3.0]]
            )
            .kinks("0: 1.7581 is taken"),
        ),
        sides(
            elementwise!(
                "celu",
                "x.celu(alpha)",
                "dx = g if x > 0, else g exp(x / alpha)",
                |x| x[0].celu(0.7),
                |x| x[0].max(0.0) + 0.7 * ((x[0].min(0.0) / 0.7).exp() - 1.0),
                [[0.3, 3.0]]
            )
            .kinks("0, of the second derivative: that from the left"),
        ),
        sides(
            elementwise!(
                "hardsigmoid",
                "x.hardsigmoid()",
                "dx = g / 6 if |x| < 3, else 0",
                |x| x[0].hardsigmoid(),
                |x| (x[0] + 3.0).clamp(0.0, 6.0) / 6.0,
                [[-2.5, 2.5]]
            )
            .kinks("-3 and 3: 0 is taken")
            .at([inside([5], 3.5, 9.0)])
            .at([inside([5], -9.0, -3.5)]),
        ),
        sides(
            elementwise!(
                "hardswish",
                "x.hardswish()",
                "dx = g (2 x + 3) / 6 if |x| < 3",
                |x| x[0].hardswish(),
                |x| x[0] * (x[0] + 3.0).clamp(0.0, 6.0) / 6.0,
                [[-2.5, 2.5]]
            )
            .kinks("-3 and 3: 0 and 1 are taken")
            .at([inside([5], 3.5, 9.0)])
            .at([inside([5], -9.0, -3.5)]),
        ),
        elementwise!(
            "hardtanh",
            "x.hardtanh(low, high)",
            "dx = g if low < x < high, else 0",
            |x| x[0].hardtanh(-1.0, 2.0),
            |x| x[0].clamp(-1.0, 2.0),
            [[-0.7, 1.7]]
        )
        .kinks("low and high: 0 is taken")
        .at([inside([5], 2.5, 4.0)])
        .at([inside([5], -4.0, -1.5)]),
    ]
}
