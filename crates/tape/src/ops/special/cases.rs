//! Cases of the special functions. Their digits are compared with constants of high precision in a test of the
//! workspace; here the references are plain formulas.

use std::f64::consts::PI;

use crate::cases::{Case, elementwise, inside};
use crate::elementary::cases::erf_by_series;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = simple();
    cases.extend(normal());
    cases.extend(gamma());
    cases
}

fn simple() -> Vec<Case> {
    vec![
        elementwise!(
            "rsqrt",
            "x.rsqrt()",
            "dx = -g y / (2 x)",
            |x| x[0].rsqrt(),
            |x| x[0].powf(-0.5),
            [[0.3, 4.0]]
        )
        .kinks("0: infinite slope"),
        elementwise!(
            "log",
            "x.log(base)",
            "dx = g / (x ln base), dbase = -g y / (base ln base)",
            |x| x[0].log(x[1]),
            |x| x[0].log10() / x[1].log10(),
            [[0.3, 4.0], [1.5, 10.0]]
        )
        .kinks("x = 0, base = 0, base = 1"),
        elementwise!(
            "to_degrees",
            "x.to_degrees()",
            "dx = 180 g / pi",
            |x| x[0].to_degrees(),
            |x| x[0].to_degrees(),
            [[-4.0, 4.0]]
        ),
        elementwise!(
            "to_radians",
            "x.to_radians()",
            "dx = pi g / 180",
            |x| x[0].to_radians(),
            |x| x[0].to_radians(),
            [[-400.0, 400.0]]
        ),
        elementwise!(
            "fract",
            "x.fract()",
            "dx = g",
            |x| x[0].fract(),
            |x| x[0].fract(),
            [[0.2, 0.8]]
        )
        .kinks("integers but 0: 1 is taken")
        .at([inside([5], -2.8, -2.2)]),
        elementwise!(
            "sinc",
            "x.sinc()",
            "dx = g (cos(pi x) - y) / x",
            |x| x[0].sinc(),
            |x| (PI * x[0]).sin() / (PI * x[0]),
            [[0.01, 0.4]]
        )
        .at([inside([5], -3.0, -0.4)])
        .at([inside([5], 1.1, 5.0)]),
        elementwise!(
            "xlogy",
            "x.xlogy(y)",
            "dx = g ln y, dy = g x / y",
            |x| x[0].xlogy(x[1]),
            |x| x[0] * x[1].ln(),
            [[-1.0, 2.0], [0.4, 2.0]]
        )
        .kinks("x = 0, y <= 0: 0 is taken by x"),
        elementwise!(
            "logaddexp",
            "x.logaddexp(y)",
            "dx = g sigmoid(x - y), dy = g sigmoid(y - x)",
            |x| x[0].logaddexp(x[1]),
            |x| (x[0].exp() + x[1].exp()).ln(),
            [[-2.0, 2.0], [-2.0, 2.0]]
        ),
        elementwise!(
            "lerp",
            "x.lerp(end, t)",
            "dx = g (1 - t), dend = g t, dt = g (end - x)",
            |x| x[0].lerp(x[1], x[2]),
            |x| (1.0 - x[2]) * x[0] + x[2] * x[1],
            [[-2.0, 2.0], [-2.0, 2.0], [-0.5, 1.5]]
        ),
    ]
}

/// The zero of an increasing function, by halving.
fn solve(f: impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> f64 {
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if f(middle) > 0.0 { high = middle } else { low = middle }
    }
    0.5 * (low + high)
}

fn normal() -> Vec<Case> {
    vec![
        elementwise!(
            "erfinv",
            "x.erfinv()",
            "dx = g sqrt(pi) / 2 exp(y^2)",
            |x| x[0].erfinv(),
            |x| solve(|y| erf_by_series(y) - x[0], -4.0, 4.0),
            [[-0.8, 0.8]]
        )
        .kinks("-1 and 1: infinite")
        .at([inside([5], 0.86, 0.96)]),
        elementwise!(
            "norm_pdf",
            "x.norm_pdf()",
            "dx = -g x y",
            |x| x[0].norm_pdf(),
            |x| (-0.5 * x[0] * x[0]).exp() / (2.0 * PI).sqrt(),
            [[-3.0, 3.0]]
        ),
        elementwise!(
            "norm_cdf",
            "x.norm_cdf()",
            "dx = g phi(x)",
            |x| x[0].norm_cdf(),
            |x| 0.5 + 0.5 * erf_by_series(x[0] / 2.0f64.sqrt()),
            [[-3.0, 3.0]]
        ),
        elementwise!(
            "norm_quantile",
            "x.norm_quantile()",
            "dx = g / phi(y)",
            |x| x[0].norm_quantile(),
            |x| solve(|y| 0.5 + 0.5 * erf_by_series(y / 2.0f64.sqrt()) - x[0], -5.0, 5.0),
            [[0.1, 0.9]]
        )
        .kinks("0 and 1: infinite")
        .at([inside([5], 0.93, 0.94)]),
    ]
}

/// The derivative of order `n` of digamma, by its sum and the first terms of Euler and Maclaurin.
fn polygamma_by_sum(n: i32, x: f64) -> f64 {
    const TERMS: usize = 20_000;
    let sign = if n % 2 == 0 { -1.0 } else { 1.0 };
    let factorial: f64 = (1..=n).map(f64::from).product();
    let term = |k: usize| (x + k as f64).powi(-n - 1);
    // From the smallest on.
    let sum: f64 = (0..TERMS).rev().map(term).sum();
    let z = x + TERMS as f64;
    let rest = match n {
        0 => -z.ln(),
        _ => z.powi(-n) / f64::from(n),
    };
    let ends = 0.5 * z.powi(-n - 1) + f64::from(n + 1) / 12.0 * z.powi(-n - 2);
    sign * factorial * (sum + rest + ends)
}

fn gamma() -> Vec<Case> {
    let poles = "0, -1, -2, ...";
    vec![
        elementwise!(
            "gamma",
            "x.gamma()",
            "dx = g y digamma(x)",
            |x| x[0].gamma(),
            |x| libm::tgamma(x[0]),
            [[0.4, 3.0]]
        )
        .kinks(poles)
        .at([inside([5], -2.8, -2.2)])
        .at([inside([5], 4.0, 16.0)]),
        elementwise!(
            "ln_gamma",
            "x.ln_gamma()",
            "dx = g digamma(x)",
            |x| x[0].ln_gamma(),
            |x| libm::lgamma(x[0]),
            [[0.4, 3.0]]
        )
        .kinks(poles)
        .at([inside([5], -2.8, -2.2)])
        .at([inside([5], 4.0, 16.0)]),
        elementwise!(
            "digamma",
            "x.digamma()",
            "dx = g polygamma(1)",
            |x| x[0].digamma(),
            |x| polygamma_by_sum(0, x[0]),
            [[0.4, 3.0]]
        )
        .kinks(poles)
        .accuracy(1e-11)
        .at([inside([5], -2.8, -2.2)])
        .at([inside([5], 4.0, 16.0)]),
        elementwise!(
            "polygamma",
            "x.polygamma(n)",
            "dx = g polygamma(n + 1)",
            |x| x[0].polygamma(1),
            |x| polygamma_by_sum(1, x[0]),
            [[0.4, 3.0]]
        )
        .kinks(poles)
        .at([inside([5], -2.8, -2.2)])
        .at([inside([5], 4.0, 16.0)]),
        elementwise!(
            "polygamma",
            "x.polygamma(n)",
            "dx = g polygamma(n + 1)",
            |x| x[0].polygamma(0) + x[0].polygamma(2) + x[0].polygamma(3),
            |x| polygamma_by_sum(0, x[0]) + polygamma_by_sum(2, x[0]) + polygamma_by_sum(3, x[0]),
            [[0.4, 3.0]]
        )
        .kinks(poles)
        .accuracy(1e-11)
        .at([inside([5], -2.8, -2.2)]),
        elementwise!(
            "beta",
            "x.beta(y)",
            "dx = g y (digamma(x) - digamma(x + y))",
            |x| x[0].beta(x[1]),
            |x| libm::tgamma(x[0]) * libm::tgamma(x[1]) / libm::tgamma(x[0] + x[1]),
            [[0.4, 3.0], [0.5, 4.0]]
        )
        .kinks("0")
        .at([inside([5], 10.0, 14.0), inside([5], 0.5, 14.0)]),
        elementwise!(
            "ln_beta",
            "x.ln_beta(y)",
            "dx = g (digamma(x) - digamma(x + y))",
            |x| x[0].ln_beta(x[1]),
            |x| libm::lgamma(x[0]) + libm::lgamma(x[1]) - libm::lgamma(x[0] + x[1]),
            [[0.4, 3.0], [0.5, 4.0]]
        )
        .kinks("0")
        .at([inside([5], 10.0, 14.0), inside([5], 0.5, 14.0)])
        .at([inside([5], 13.0, 30.0), inside([5], 14.0, 20.0)]),
    ]
}
