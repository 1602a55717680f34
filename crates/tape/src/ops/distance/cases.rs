//! Cases of products of vectors and of distances.

use crate::Tensor;
use crate::cases::{Case, apart, exactly, inside, naive, whole};

fn distances(x: &[Tensor], norm: impl Fn(&[f64]) -> f64) -> Tensor {
    let (a, b) = (&x[0], &x[1]);
    let (n, m, d) = (a.shape()[0], b.shape()[0], a.shape()[1]);
    naive::build(&[n, m], |i| {
        let differences: Vec<f64> = (0..d).map(|k| (a[[i[0], k]] - b[[i[1], k]]).abs()).collect();
        norm(&differences)
    })
}

macro_rules! cdist {
    ($p:expr, |$d:ident| $norm:expr) => {
        whole!(
            "cdist",
            "x.cdist(y, p)",
            "dx_i = sum over j of g_ij sign(d) (abs(d) / r_ij)^(p-1), d = x_i - y_j",
            |x| x[0].cdist(x[1], $p),
            |x| distances(x, |$d: &[f64]| $norm)
        )
        .kinks("equal rows, and for p = 1 equal coordinates: 0; p = inf at ties: shared")
        .at([apart([2, 3], -1.0, 1.0), inside([3, 3], 1.5, 3.0)])
        .at([inside([2, 0], -1.0, 1.0), inside([1, 0], -1.0, 1.0)])
        .at([inside([0, 2], -1.0, 1.0), inside([1, 2], -1.0, 1.0)])
    };
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        whole!("dot", "x.dot(y)", "dx = g y, dy = g x", |x| x[0].dot(x[1]), |x| {
            Tensor::scalar(x[0].iter().zip(x[1].iter()).map(|(a, b)| a * b).sum())
        })
        .at([inside([3], -1.0, 1.0), inside([3], -1.0, 1.0)])
        .at([inside([0], -1.0, 1.0), inside([0], -1.0, 1.0)]),
        whole!("outer", "x.outer(y)", "dx = g y, dy = g^T x", |x| x[0].outer(x[1]), |x| {
            naive::build(&[x[0].len(), x[1].len()], |i| x[0][[i[0]]] * x[1][[i[1]]])
        })
        .at([inside([3], -1.0, 1.0), inside([2], -1.0, 1.0)])
        .at([inside([0], -1.0, 1.0), inside([2], -1.0, 1.0)]),
        cdist!(1.0, |d| d.iter().sum()),
        cdist!(2.0, |d| d.iter().map(|d| d * d).sum::<f64>().sqrt()),
        cdist!(3.5, |d| d.iter().map(|d| d.powf(3.5)).sum::<f64>().powf(1.0 / 3.5)),
        cdist!(f64::INFINITY, |d| d.iter().fold(0.0, |m, &d| m.max(d))),
        whole!("cdist", "x.cdist(y, p)", "as above", |x| x[0].cdist(x[1], 2.0), |x| {
            let (a, b) = (&x[0], &x[1]);
            naive::build(&[2, 1, 2], |i| (a[[i[0], 0, 0]] - b[[i[2], 0]]).abs())
        })
        .at([exactly([2, 1, 1], &[0.25, 0.75]), exactly([2, 1], &[1.5, -2.0])]),
    ]
}
