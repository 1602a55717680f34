//! Cases of the losses.

mod vectors;

use super::{CrossEntropy, MultiMargin, Reduction};
use crate::cases::{Case, exactly, inside, whole};
use crate::{Real, Tensor, TensorVar};

const REDUCTIONS: [Reduction; 3] = [Reduction::None, Reduction::Mean, Reduction::Sum];

/// A loss by all three reductions at once.
fn all_of<E: Real>(loss: impl Fn(Reduction) -> TensorVar<E>) -> TensorVar<E> {
    let results = REDUCTIONS.map(loss);
    crate::cases::together(&results)
}

/// Losses of elements or rows as they are, and their mean with the given divisor, and their sum.
fn all_from(losses: &[f64], divisor: f64) -> Tensor {
    let sum: f64 = losses.iter().sum();
    let mut all = losses.to_vec();
    all.extend([sum / divisor, sum]);
    Tensor::from(all)
}

/// Losses of pairs of elements.
fn pairs(x: &[Tensor], f: impl Fn(f64, f64) -> f64) -> Tensor {
    let losses: Vec<f64> = x[0].iter().zip(x[1].iter()).map(|(&x, &t)| f(x, t)).collect();
    all_from(&losses, losses.len() as f64)
}

/// The case of a loss of pairs of elements: points with `x` and `t` in these ranges.
fn pointwise(case: Case, x: [f64; 2], t: [f64; 2]) -> Case {
    let point = |shape: &[usize]| [inside(shape, x[0], x[1]), inside(shape, t[0], t[1])];
    case.at(point(&[5])).at(point(&[2, 3])).at(point(&[]))
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = of_differences();
    cases.extend(of_two_classes());
    cases.extend(of_classes());
    cases.extend(of_distributions());
    cases.extend(vectors::cases());
    cases
}

fn of_differences() -> Vec<Case> {
    let (x, t) = ([-1.0, 1.0], [-1.0, 1.0]);
    vec![
        whole!(
            "mse_loss",
            "x.mse_loss(target)",
            "dx = 2 g (x - target) / n",
            |x| x[0].mse_loss(x[1]),
            |x| {
                let squares: f64 =
                    x[0].iter().zip(x[1].iter()).map(|(x, t)| (x - t) * (x - t)).sum();
                Tensor::scalar(squares / x[0].len() as f64)
            }
        )
        .at([inside([4], -1.0, 1.0), inside([4], -1.0, 1.0)])
        .at([inside([2, 3], -1.0, 1.0), inside([2, 3], -1.0, 1.0)])
        .at([inside([], -1.0, 1.0), inside([], -1.0, 1.0)]),
        pointwise(
            whole!(
                "squared_error",
                "x.squared_error(target, reduction)",
                "dx = 2 g (x - target)",
                |x| all_of(|r| x[0].squared_error(x[1], r)),
                |x| pairs(x, |x, t| (x - t) * (x - t))
            ),
            x,
            t,
        ),
        pointwise(
            whole!(
                "l1_loss",
                "x.l1_loss(target, reduction)",
                "dx = g sign(x - target)",
                |x| all_of(|r| x[0].l1_loss(x[1], r)),
                |x| pairs(x, |x, t| (x - t).abs())
            )
            .kinks("x = target: 0 is taken"),
            [-1.0, -0.2],
            [0.2, 1.0],
        ),
        pointwise(
            whole!(
                "huber_loss",
                "x.huber_loss(target, delta, reduction)",
                "dx = g clamp(x - target, -delta, delta)",
                |x| all_of(|r| x[0].huber_loss(x[1], 1.5, r)),
                |x| pairs(x, |x, t| {
                    let r = (x - t).abs();
                    if r <= 1.5 { 0.5 * r * r } else { 1.5 * (r - 0.75) }
                })
            )
            .kinks("|x - target| = delta, of the second derivative: that from inside"),
            [-0.6, 0.6],
            [-0.6, 0.6],
        )
        .at([exactly([3], &[3.0, -2.5, 0.5]), exactly([3], &[0.5, 0.25, 0.25])]),
        pointwise(
            whole!(
                "smooth_l1_loss",
                "x.smooth_l1_loss(target, beta, reduction)",
                "dx = g clamp((x - target) / beta, -1, 1)",
                |x| all_of(|r| x[0].smooth_l1_loss(x[1], 1.5, r)),
                |x| pairs(x, |x, t| {
                    let r = (x - t).abs();
                    if r <= 1.5 { 0.5 * r * r / 1.5 } else { r - 0.75 }
                })
            )
            .kinks("|x - target| = beta, of the second derivative: that from inside"),
            [-0.6, 0.6],
            [-0.6, 0.6],
        )
        .at([exactly([3], &[3.0, -2.5, 0.5]), exactly([3], &[0.5, 0.25, 0.25])]),
        pointwise(
            whole!(
                "smooth_l1_loss",
                "x.smooth_l1_loss(target, beta, reduction)",
                "dx = g clamp((x - target) / beta, -1, 1)",
                |x| all_of(|r| x[0].smooth_l1_loss(x[1], 0.0, r)),
                |x| pairs(x, |x, t| (x - t).abs())
            ),
            [-1.0, -0.2],
            [0.2, 1.0],
        ),
        pointwise(
            whole!(
                "log_cosh_loss",
                "x.log_cosh_loss(target, reduction)",
                "dx = g tanh(x - target)",
                |x| all_of(|r| x[0].log_cosh_loss(x[1], r)),
                |x| pairs(x, |x, t| (x - t).cosh().ln())
            ),
            [-2.0, 2.0],
            [-2.0, 2.0],
        ),
        pointwise(
            whole!(
                "quantile_loss",
                "x.quantile_loss(target, q, reduction)",
                "dx = -g q if target > x, else g (1 - q)",
                |x| all_of(|r| x[0].quantile_loss(x[1], 0.7, r)),
                |x| pairs(x, |x, t| (0.7 * (t - x)).max(-0.3 * (t - x)))
            )
            .kinks("x = target: 1/2 - q is taken"),
            [-1.0, -0.2],
            [0.2, 1.0],
        )
        .at([exactly([2], &[1.0, 0.0]), exactly([2], &[0.5, 1.5])]),
    ]
}

fn of_two_classes() -> Vec<Case> {
    let entropy = "x.binary_cross_entropy_with_logits(target, reduction)";
    vec![
        pointwise(
            whole!(
                "binary_cross_entropy",
                "p.binary_cross_entropy(target, reduction)",
                "dp = g (p - t) / (p (1 - p)), dt = g (ln(1 - p) - ln p)",
                |x| all_of(|r| x[0].binary_cross_entropy(x[1], r)),
                |x| pairs(x, |p, t| -(t * p.ln() + (1.0 - t) * (1.0 - p).ln()))
            )
            .kinks("p = 0, p = 1"),
            [0.2, 0.8],
            [0.1, 0.9],
        ),
        pointwise(
            whole!(
                "binary_cross_entropy_with_logits",
                entropy,
                "dx = g (sigmoid(x) - t), dt = -g x",
                |x| all_of(|r| x[0].binary_cross_entropy_with_logits(x[1], r)),
                |x| pairs(x, |x, t| (1.0 + x.exp()).ln() - t * x)
            ),
            [-3.0, 3.0],
            [0.0, 1.0],
        ),
        whole!(
            "weighted_binary_cross_entropy_with_logits",
            "x.weighted_binary_cross_entropy_with_logits(target, pos_weight, reduction)",
            "dx = g ((1 - t) sigmoid(x) - w t sigmoid(-x)), dw = g t ln(1 + e^-x)",
            |x| all_of(|r| x[0].weighted_binary_cross_entropy_with_logits(x[1], x[2], r)),
            |x| {
                let weights = x[2].to_vec();
                let losses: Vec<f64> = (0..x[0].len())
                    .map(|k| {
                        let (x, t) = (x[0].as_slice()[k], x[1].as_slice()[k]);
                        let p = 1.0 / (1.0 + (-x).exp());
                        -weights[k % weights.len()] * t * p.ln() - (1.0 - t) * (1.0 - p).ln()
                    })
                    .collect();
                all_from(&losses, losses.len() as f64)
            }
        )
        .at([inside([2, 3], -3.0, 3.0), inside([2, 3], 0.0, 1.0), inside([3], 0.5, 2.0)])
        .at([inside([4], -3.0, 3.0), inside([4], 0.0, 1.0), inside([], 0.5, 2.0)]),
        pointwise(
            whole!(
                "focal_loss",
                "x.focal_loss(target, alpha, gamma, reduction)",
                "of alpha_t (1 - p_t)^gamma times the cross-entropy",
                |x| all_of(|r| x[0].focal_loss(x[1], 0.25, 2.0, r)),
                |x| pairs(x, |x, t| {
                    let p = 1.0 / (1.0 + (-x).exp());
                    let missed = t * (1.0 - p) + (1.0 - t) * p;
                    let share = t * 0.25 + (1.0 - t) * 0.75;
                    share * missed.powi(2) * -(t * p.ln() + (1.0 - t) * (1.0 - p).ln())
                })
            ),
            [-2.0, 2.0],
            [0.0, 1.0],
        ),
        pointwise(
            whole!(
                "hinge_loss",
                "x.hinge_loss(target, reduction)",
                "dx = -g t if t x < 1, else 0",
                |x| all_of(|r| x[0].hinge_loss(x[1], r)),
                |x| pairs(x, |x, t| (1.0 - t * x).max(0.0))
            )
            .kinks("t x = 1: 0 is taken"),
            [-2.0, 0.8],
            [0.9, 1.1],
        )
        .at([exactly([3], &[2.0, -2.0, 0.5]), exactly([3], &[1.0, -1.0, -1.0])]),
    ]
}

/// The logarithms of the probabilities of each row.
fn ln_p(x: &Tensor, classes: usize) -> Vec<Vec<f64>> {
    let row = |x: &[f64]| {
        let sum: f64 = x.iter().map(|x| x.exp()).sum();
        x.iter().map(|x| x - sum.ln()).collect()
    };
    x.as_slice().chunks(classes).map(row).collect()
}

const WEIGHTS: [f64; 3] = [0.5, 2.0, 1.25];

fn options(reduction: Reduction) -> CrossEntropy {
    CrossEntropy { weights: Some(WEIGHTS.to_vec()), smoothing: 0.25, ignore: Some(7), reduction }
}

/// With [`WEIGHTS`], a smoothing, the labels 2, 7, 0, 1, and 7 for what does not count.
fn weighted(x: &[Vec<f64>], smoothing: f64) -> Tensor {
    let losses: Vec<f64> = x
        .iter()
        .zip([2, 7, 0, 1])
        .map(|(ln_p, label)| match label {
            7 => 0.0,
            _ => {
                let all: f64 = ln_p.iter().zip(WEIGHTS).map(|(ln_p, w)| w * ln_p / 3.0).sum();
                -(1.0 - smoothing) * WEIGHTS[label] * ln_p[label] - smoothing * all
            }
        })
        .collect();
    all_from(&losses, WEIGHTS.iter().sum())
}

fn of_classes() -> Vec<Case> {
    vec![
        whole!(
            "cross_entropy",
            "x.cross_entropy(labels)",
            "dx = g (softmax(x) - onehot(label)) / rows",
            |x| x[0].cross_entropy([2, 0, 1]),
            |x| {
                let rows = ln_p(&x[0], x[0].len() / 3);
                Tensor::scalar(-rows.iter().zip([2, 0, 1]).map(|(p, l)| p[l]).sum::<f64>() / 3.0)
            }
        )
        .at_each([inside([3, 3], -2.0, 2.0), inside([3, 1, 4], -2.0, 2.0)]),
        whole!(
            "cross_entropy_with",
            "x.cross_entropy_with(labels, options)",
            "dx = g w (softmax(x) - target)",
            |x| all_of(|r| x[0].cross_entropy_with([2, 7, 0, 1], options(r))),
            |x| weighted(&ln_p(&x[0], 3), 0.25)
        )
        .at_each([inside([4, 3], -2.0, 2.0), inside([2, 2, 3], -2.0, 2.0)]),
        whole!(
            "cross_entropy_with",
            "x.cross_entropy_with(labels, options)",
            "dx = g w (softmax(x) - target)",
            |x| all_of(|reduction| {
                x[0].cross_entropy_with(
                    [1, 0],
                    CrossEntropy { reduction, ..CrossEntropy::default() },
                )
            }),
            |x| {
                let rows = ln_p(&x[0], x[0].len() / 2);
                all_from(&[-rows[0][1], -rows[1][0]], 2.0)
            }
        )
        .at_each([inside([2, 3], -2.0, 2.0), inside([2, 1, 2], -2.0, 2.0)]),
        whole!(
            "cross_entropy_of",
            "x.cross_entropy_of(probabilities, options)",
            "dx = g (softmax(x) sum(w t) - w t), dt = -g w ln softmax(x)",
            |x| all_of(|r| {
                x[0].cross_entropy_of(x[1], CrossEntropy { ignore: None, ..options(r) })
            }),
            |x| {
                let rows = ln_p(&x[0], 3);
                let rows = rows.iter().zip(x[1].as_slice().chunks(3));
                let losses: Vec<f64> = rows
                    .map(|(p, t)| {
                        (0..3).map(|k| -WEIGHTS[k] * (0.75 * t[k] + 0.25 / 3.0) * p[k]).sum()
                    })
                    .collect();
                all_from(&losses, losses.len() as f64)
            }
        )
        .at([inside([2, 3], -2.0, 2.0), inside([2, 3], 0.1, 0.6)])
        .at([inside([3], -2.0, 2.0), inside([3], 0.1, 0.6)]),
        whole!(
            "nll_loss",
            "x.nll_loss(labels, options)",
            "dx = -g w at the label, else 0",
            |x| all_of(|r| {
                x[0].nll_loss([2, 7, 0, 1], CrossEntropy { smoothing: 0.0, ..options(r) })
            }),
            |x| {
                let rows: Vec<Vec<f64>> = x[0].as_slice().chunks(3).map(<[f64]>::to_vec).collect();
                weighted(&rows, 0.0)
            }
        )
        .at_each([inside([4, 3], -3.0, -0.1), inside([2, 2, 3], -3.0, -0.1)]),
        whole!(
            "multi_margin_loss",
            "x.multi_margin_loss(labels, margin, reduction)",
            "dx = g / classes where the margin is not kept, less their sum at the label",
            |x| all_of(|r| x[0].multi_margin_loss([2, 0], 0.5, r)),
            |x| {
                let rows = x[0].as_slice().chunks(3).zip([2, 0]);
                let losses: Vec<f64> = rows
                    .map(|(x, label)| {
                        let others = (0..3).filter(|&k| k != label);
                        others.map(|k| (0.5 - x[label] + x[k]).max(0.0)).sum::<f64>() / 3.0
                    })
                    .collect();
                all_from(&losses, 2.0)
            }
        )
        .kinks("margins that are just kept: 0 is taken")
        .at_each([
            exactly([2, 3], &[0.5, -1.0, 0.25, 1.0, 0.75, -0.5]),
            exactly([2, 1, 3], &[2.0, 0.0, 1.0, 0.0, 0.25, 0.75]),
        ]),
        whole!(
            "multi_margin_loss_with",
            "x.multi_margin_loss_with(labels, options)",
            "dx = g w p max(0, margin - x[label] + x)^(p-1) / classes, less their sum at the label",
            |x| all_of(|reduction| {
                let weights = Some(WEIGHTS.to_vec());
                let options = MultiMargin { margin: 0.5, p: 2, weights, reduction };
                x[0].multi_margin_loss_with([2, 0], options)
            }),
            |x| {
                let rows = x[0].as_slice().chunks(3).zip([2, 0]);
                let losses: Vec<f64> = rows
                    .map(|(x, label)| {
                        let others = (0..3).filter(|&k| k != label);
                        let missing = |k: usize| (0.5 - x[label] + x[k]).max(0.0).powi(2);
                        WEIGHTS[label] * others.map(missing).sum::<f64>() / 3.0
                    })
                    .collect();
                all_from(&losses, 2.0)
            }
        )
        .kinks("p = 1, margins that are just kept: 0 is taken")
        .at_each([exactly([2, 3], &[0.5, -1.0, 0.25, 1.0, 0.75, -0.5])]),
    ]
}

fn of_distributions() -> Vec<Case> {
    vec![
        pointwise(
            whole!(
                "kl_div",
                "x.kl_div(target, reduction)",
                "dx = -g t, dt = g (ln t + 1 - x)",
                |x| all_of(|r| x[0].kl_div(x[1], r)),
                |x| pairs(x, |x, t| t * (t.ln() - x))
            )
            .kinks("t = 0: as xlogy"),
            [-2.0, -0.1],
            [0.1, 0.9],
        ),
        pointwise(
            whole!(
                "poisson_nll_loss",
                "x.poisson_nll_loss(target, logarithm, reduction)",
                "dx = g (exp(x) - t), or g (1 - t / (x + 1e-8))",
                |x| all_of(|r| x[0].poisson_nll_loss(x[1], true, r)),
                |x| pairs(x, |x, t| x.exp() - t * x)
            ),
            [-1.0, 1.0],
            [0.0, 4.0],
        ),
        pointwise(
            whole!(
                "poisson_nll_loss",
                "x.poisson_nll_loss(target, logarithm, reduction)",
                "dx = g (exp(x) - t), or g (1 - t / (x + 1e-8))",
                |x| all_of(|r| x[0].poisson_nll_loss(x[1], false, r)),
                |x| pairs(x, |x, t| x - t * (x + 1e-8).ln())
            ),
            [0.5, 3.0],
            [0.0, 4.0],
        ),
        whole!(
            "gaussian_nll_loss",
            "x.gaussian_nll_loss(target, variance, eps, reduction)",
            "dx = g (x - t) / v, dv = g (1 - (x - t)^2 / v) / (2 v)",
            |x| all_of(|r| x[0].gaussian_nll_loss(x[1], x[2], 1e-6, r)),
            |x| {
                let elements = x[0].iter().zip(x[1].iter()).zip(x[2].iter());
                let of = |((x, t), v): ((&f64, &f64), &f64)| 0.5 * (v.ln() + (x - t) * (x - t) / v);
                let losses: Vec<f64> = elements.map(of).collect();
                all_from(&losses, losses.len() as f64)
            }
        )
        .kinks("variance = eps")
        .at([inside([4], -1.0, 1.0), inside([4], -1.0, 1.0), inside([4], 0.4, 2.0)])
        .at([
            inside([2, 2], -1.0, 1.0),
            inside([2, 2], -1.0, 1.0),
            inside([2, 2], 0.4, 2.0),
        ]),
    ]
}
