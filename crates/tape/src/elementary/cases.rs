//! Cases of the primitives and of what [`Elementary`] makes of them.

mod piecewise;

use std::f64::consts::{FRAC_2_SQRT_PI, LN_2, LN_10};

use crate::Elementary;
use crate::cases::{Case, elementwise, inside};

/// The error function by its series (Abramowitz and Stegun 1964, 7.1.6), whose terms are positive.
pub(crate) fn erf_by_series(x: f64) -> f64 {
    let (mut term, mut sum, mut n) = (x, x, 1.0);
    while term.abs() > 1e-18 * sum.abs() && n < 400.0 {
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
        n += 1.0;
    }
    FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = arithmetic();
    cases.extend(exponential());
    cases.extend(trigonometric());
    cases.extend(piecewise::cases());
    cases
}

fn arithmetic() -> Vec<Case> {
    vec![
        elementwise!(
            "add",
            "a + b",
            "da = g, db = g",
            |x| x[0] + x[1],
            |x| x[0] + x[1],
            [[-2.0, 2.0], [-2.0, 2.0]]
        ),
        elementwise!(
            "sub",
            "a - b",
            "da = g, db = -g",
            |x| x[0] - x[1],
            |x| x[0] - x[1],
            [[-2.0, 2.0], [-2.0, 2.0]]
        ),
        elementwise!(
            "mul",
            "a * b",
            "da = g b, db = g a",
            |x| x[0] * x[1],
            |x| x[0] * x[1],
            [[-2.0, 2.0], [-2.0, 2.0]]
        ),
        elementwise!(
            "div",
            "a / b",
            "da = g / b, db = -g y / b",
            |x| x[0] / x[1],
            |x| x[0] / x[1],
            [[-2.0, 2.0], [0.4, 2.0]]
        )
        .kinks("b = 0"),
        elementwise!(
            "rem",
            "a % b",
            "da = g, db = -g trunc(a / b)",
            |x| x[0] % x[1],
            |x| x[0] % x[1],
            [[0.65, 0.75], [0.42, 0.5]]
        )
        .kinks("a / b an integer"),
        elementwise!("neg", "-x", "dx = -g", |x| -x[0], |x| -x[0], [[-2.0, 2.0]]),
        elementwise!(
            "mul_add",
            "a.mul_add(b, c)",
            "da = g b, db = g a, dc = g",
            |x| x[0].mul_add(x[1], x[2]),
            |x| x[0].mul_add(x[1], x[2]),
            [[-2.0, 2.0], [-2.0, 2.0], [-2.0, 2.0]]
        ),
        elementwise!(
            "square",
            "x.square()",
            "dx = 2 g x",
            |x| x[0].square(),
            |x| x[0] * x[0],
            [[-2.0, 2.0]]
        ),
        elementwise!(
            "recip",
            "x.recip()",
            "dx = -g y^2",
            |x| x[0].recip(),
            |x| 1.0 / x[0],
            [[0.4, 3.0]]
        )
        .kinks("0")
        .at([inside([5], -3.0, -0.4)]),
        elementwise!(
            "sqrt",
            "x.sqrt()",
            "dx = g / (2 y)",
            |x| x[0].sqrt(),
            |x| x[0].sqrt(),
            [[0.3, 4.0]]
        )
        .kinks("0: infinite slope"),
        elementwise!(
            "cbrt",
            "x.cbrt()",
            "dx = g / (3 y^2)",
            |x| x[0].cbrt(),
            |x| x[0].cbrt(),
            [[0.3, 4.0]]
        )
        .kinks("0: infinite slope")
        .at([inside([5], -3.0, -0.4)]),
        elementwise!(
            "powi",
            "x.powi(n)",
            "dx = g n x^(n-1)",
            |x| x[0].powi(3),
            |x| x[0] * x[0] * x[0],
            [[-2.0, 2.0]]
        )
        .kinks("0, if n < 0"),
        elementwise!(
            "powi",
            "x.powi(n)",
            "dx = g n x^(n-1)",
            |x| x[0].powi(-2),
            |x| 1.0 / (x[0] * x[0]),
            [[0.5, 2.0]]
        )
        .kinks("0, if n < 0"),
        elementwise!(
            "powi",
            "x.powi(n)",
            "dx = g n x^(n-1)",
            |x| x[0].powi(0) + x[0].powi(1) + x[0].powi(2),
            |x| 1.0 + x[0] + x[0] * x[0],
            [[-2.0, 2.0]]
        )
        .kinks("0, if n < 0"),
        elementwise!(
            "powf",
            "a.powf(b)",
            "da = g b a^(b-1), db = g y ln a",
            |x| x[0].powf(x[1]),
            |x| x[0].powf(x[1]),
            [[0.4, 2.0], [-1.5, 2.5]]
        )
        .kinks("a = 0, if b < 1"),
        elementwise!(
            "powf",
            "a.powf(b)",
            "da = g b a^(b-1), db = g y ln a",
            |x| power(x[0], 2.5),
            |x| x[0].powf(2.5),
            [[0.4, 2.0]]
        )
        .kinks("a = 0, if b < 1"),
        elementwise!(
            "hypot",
            "a.hypot(b)",
            "da = g a / y, db = g b / y",
            |x| x[0].hypot(x[1]),
            |x| (x[0] * x[0] + x[1] * x[1]).sqrt(),
            [[-2.0, -0.4], [-2.0, 2.0]]
        )
        .kinks("the origin: 0 is taken"),
    ]
}

fn exponential() -> Vec<Case> {
    vec![
        elementwise!("exp", "x.exp()", "dx = g y", |x| x[0].exp(), |x| x[0].exp(), [[-2.0, 2.0]]),
        elementwise!(
            "exp2",
            "x.exp2()",
            "dx = g y ln 2",
            |x| x[0].exp2(),
            |x| (x[0] * LN_2).exp(),
            [[-2.0, 2.0]]
        ),
        elementwise!(
            "exp_m1",
            "x.exp_m1()",
            "dx = g exp(x)",
            |x| x[0].exp_m1(),
            |x| x[0].exp_m1(),
            [[-1.0, 1.0]]
        ),
        elementwise!("ln", "x.ln()", "dx = g / x", |x| x[0].ln(), |x| x[0].ln(), [[0.3, 4.0]])
            .kinks("0"),
        elementwise!(
            "ln_1p",
            "x.ln_1p()",
            "dx = g / (1 + x)",
            |x| x[0].ln_1p(),
            |x| x[0].ln_1p(),
            [[-0.5, 2.0]]
        )
        .kinks("-1"),
        elementwise!(
            "log2",
            "x.log2()",
            "dx = g / (x ln 2)",
            |x| x[0].log2(),
            |x| x[0].ln() / LN_2,
            [[0.3, 4.0]]
        )
        .kinks("0"),
        elementwise!(
            "log10",
            "x.log10()",
            "dx = g / (x ln 10)",
            |x| x[0].log10(),
            |x| x[0].ln() / LN_10,
            [[0.3, 4.0]]
        )
        .kinks("0"),
        elementwise!(
            "erf",
            "x.erf()",
            "dx = g 2 / sqrt(pi) exp(-x^2)",
            |x| x[0].erf(),
            |x| erf_by_series(x[0]),
            [[-2.0, 2.0]]
        ),
        elementwise!(
            "erfc",
            "x.erfc()",
            "dx = -g 2 / sqrt(pi) exp(-x^2)",
            |x| x[0].erfc(),
            |x| 1.0 - erf_by_series(x[0]),
            [[-2.0, 2.0]]
        ),
        elementwise!(
            "sigmoid",
            "x.sigmoid()",
            "dx = g y (1 - y)",
            |x| x[0].sigmoid(),
            |x| 1.0 / (1.0 + (-x[0]).exp()),
            [[-4.0, 4.0]]
        ),
        elementwise!(
            "softplus",
            "x.softplus()",
            "dx = g sigmoid(x)",
            |x| x[0].softplus(),
            |x| (1.0 + x[0].exp()).ln(),
            [[-4.0, 4.0]]
        ),
        elementwise!(
            "sinh",
            "x.sinh()",
            "dx = g cosh x",
            |x| x[0].sinh(),
            |x| (x[0].exp() - (-x[0]).exp()) / 2.0,
            [[-2.0, 2.0]]
        ),
        elementwise!(
            "cosh",
            "x.cosh()",
            "dx = g sinh x",
            |x| x[0].cosh(),
            |x| (x[0].exp() + (-x[0]).exp()) / 2.0,
            [[-2.0, 2.0]]
        ),
        elementwise!(
            "tanh",
            "x.tanh()",
            "dx = g (1 - y^2)",
            |x| x[0].tanh(),
            |x| 1.0 - 2.0 / ((2.0 * x[0]).exp() + 1.0),
            [[-2.0, 2.0]]
        ),
        elementwise!(
            "asinh",
            "x.asinh()",
            "dx = g / sqrt(1 + x^2)",
            |x| x[0].asinh(),
            |x| (x[0] + (x[0] * x[0] + 1.0).sqrt()).ln(),
            [[-3.0, 3.0]]
        ),
        elementwise!(
            "acosh",
            "x.acosh()",
            "dx = g / sqrt(x^2 - 1)",
            |x| x[0].acosh(),
            |x| (x[0] + (x[0] * x[0] - 1.0).sqrt()).ln(),
            [[1.3, 4.0]]
        )
        .kinks("1: infinite slope"),
        elementwise!(
            "atanh",
            "x.atanh()",
            "dx = g / (1 - x^2)",
            |x| x[0].atanh(),
            |x| 0.5 * ((1.0 + x[0]) / (1.0 - x[0])).ln(),
            [[-0.8, 0.8]]
        )
        .kinks("-1 and 1"),
    ]
}

fn trigonometric() -> Vec<Case> {
    vec![
        elementwise!(
            "sin",
            "x.sin()",
            "dx = g cos x",
            |x| x[0].sin(),
            |x| x[0].sin(),
            [[-3.0, 3.0]]
        ),
        elementwise!(
            "cos",
            "x.cos()",
            "dx = -g sin x",
            |x| x[0].cos(),
            |x| x[0].cos(),
            [[-3.0, 3.0]]
        ),
        elementwise!(
            "sin_cos",
            "x.sin_cos()",
            "dx = g0 cos x - g1 sin x",
            |x| {
                let (sin, cos) = x[0].sin_cos();
                sin * cos
            },
            |x| x[0].sin() * x[0].cos(),
            [[-3.0, 3.0]]
        ),
        elementwise!(
            "tan",
            "x.tan()",
            "dx = g (1 + y^2)",
            |x| x[0].tan(),
            |x| x[0].sin() / x[0].cos(),
            [[-1.2, 1.2]]
        )
        .kinks("odd multiples of pi / 2"),
        elementwise!(
            "asin",
            "x.asin()",
            "dx = g / sqrt(1 - x^2)",
            |x| x[0].asin(),
            |x| x[0].asin(),
            [[-0.8, 0.8]]
        )
        .kinks("-1 and 1: infinite slope"),
        elementwise!(
            "acos",
            "x.acos()",
            "dx = -g / sqrt(1 - x^2)",
            |x| x[0].acos(),
            |x| x[0].acos(),
            [[-0.8, 0.8]]
        )
        .kinks("-1 and 1: infinite slope"),
        elementwise!(
            "atan",
            "x.atan()",
            "dx = g / (1 + x^2)",
            |x| x[0].atan(),
            |x| x[0].atan(),
            [[-3.0, 3.0]]
        ),
        elementwise!(
            "atan2",
            "y.atan2(x)",
            "dy = g x / r^2, dx = -g y / r^2",
            |x| x[0].atan2(x[1]),
            |x| x[0].atan2(x[1]),
            [[0.4, 2.0], [-2.0, 2.0]]
        )
        .kinks("the origin; a jump for x < 0 at y = 0"),
    ]
}

fn power<T: Elementary>(x: T, n: f64) -> T {
    x.powf(T::lit(n))
}
