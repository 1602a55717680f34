//! Cases of linear algebra.

use super::Triangle;
use super::naive::{self, Rows, each, matrices, number};
use crate::Tensor;
use crate::cases::naive::together as reference_together;
use crate::cases::{Argument, Case, exactly, inside, together, whole};

/// Matrices far from singular, and of singular values far apart.
fn regular(shape: &[usize]) -> Argument {
    let [.., m, n] = *shape else { unreachable!("matrices") };
    let count: usize = shape.iter().product();
    let value = |at: usize| {
        let (i, j) = (at / n % m, at % n);
        let u = ((at as f64 + 1.0) * 12.9898).sin() * 43_758.545_3;
        let near = 0.8 * (u - u.floor()) - 0.4;
        if i == j { 1.0 + i as f64 + near } else { near }
    };
    exactly(shape, &(0..count).map(value).collect::<Vec<_>>())
}

fn last(x: &Tensor) -> [usize; 2] {
    [x.shape()[x.rank() - 2], x.shape()[x.rank() - 1]]
}

/// Solutions with one matrix for each right-hand side, or one vector for one matrix.
fn solutions(x: &[Tensor], f: impl Fn(&Rows, &Rows) -> Rows) -> Tensor {
    let [_, n] = last(&x[0]);
    if x[1].rank() == 1 {
        let b = x[1].iter().map(|&b| vec![b]).collect();
        return Tensor::from(f(&matrices(&x[0])[0], &b).concat());
    }
    let (a, b) = (matrices(&x[0]), matrices(&x[1]));
    let count = a.len().max(b.len());
    let columns = last(&x[1])[1];
    let batch = if a.len() >= b.len() { &x[0] } else { &x[1] };
    let shape = [&batch.shape()[..batch.rank() - 2], &[n, columns]].concat();
    let solve = |k: usize| f(&a[k % a.len()], &b[k % b.len()]).concat();
    Tensor::new(shape, (0..count).flat_map(solve).collect())
}

/// The triangle of a matrix that is read.
fn cut(a: &Rows, triangle: Triangle) -> Rows {
    let mut a = a.clone();
    for (i, row) in a.iter_mut().enumerate() {
        for (j, x) in row.iter_mut().enumerate() {
            let lower = matches!(triangle, Triangle::Lower | Triangle::UnitLower);
            if (lower && j > i) || (!lower && j < i) {
                *x = 0.0;
            }
            if i == j && matches!(triangle, Triangle::UnitLower | Triangle::UnitUpper) {
                *x = 1.0;
            }
        }
    }
    a
}

macro_rules! triangular {
    ($triangle:expr) => {
        whole!(
            "solve_triangular",
            "a.solve_triangular(b, triangle)",
            "db = a^-T g, da = -db x^T in the triangle",
            |x| x[0].solve_triangular(x[1], $triangle),
            |x| solutions(x, |a, b| naive::solve(&cut(a, $triangle), b))
        )
        .kinks("a 0 on the diagonal: refused")
        .at([regular(&[2, 3, 3]), inside([3, 2], -1.0, 1.0)])
        .at([regular(&[2, 2]), inside([2], -1.0, 1.0)])
    };
}

fn systems() -> Vec<Case> {
    vec![
        whole!("solve", "a.solve(b)", "db = a^-T g, da = -db x^T", |x| x[0].solve(x[1]), |x| {
            solutions(x, naive::solve)
        })
        .kinks("singular: refused")
        .at([regular(&[3, 3]), inside([3, 2], -1.0, 1.0)])
        .at([regular(&[2, 2, 2]), inside([2, 1], -1.0, 1.0)])
        .at([regular(&[3, 3]), inside([2, 3, 1], -1.0, 1.0)])
        .at([regular(&[1, 1]), inside([1], -1.0, 1.0)])
        .at([regular(&[0, 0]), inside([0, 2], -1.0, 1.0)])
        .single_accuracy(1e-4),
        triangular!(Triangle::Lower),
        triangular!(Triangle::Upper),
        triangular!(Triangle::UnitLower),
        triangular!(Triangle::UnitUpper),
        whole!("lstsq", "a.lstsq(b)", "of r^-1 q^T b with a = q r", |x| x[0].lstsq(x[1]), |x| {
            let pinv = |a: &Rows, b: &Rows| naive::product(&naive::pinv(a), b);
            solutions(x, pinv)
        })
        .kinks("not of full rank: refused")
        .at([regular(&[4, 2]), inside([4, 2], -1.0, 1.0)])
        .at([regular(&[2, 3]), inside([2], -1.0, 1.0)])
        .at([regular(&[2, 3, 2]), inside([3, 1], -1.0, 1.0)])
        .accuracy(1e-12)
        .single_accuracy(1e-4),
        whole!("inverse", "a.inverse()", "da = -y^T g y^T", |x| x[0].inverse(), |x| each(
            &x[0],
            last(&x[0]),
            |a| naive::solve(a, &naive::identity(a.len()))
        ))
        .kinks("singular: refused")
        .at_each([regular(&[3, 3]), regular(&[2, 2, 2]), regular(&[1, 1]), regular(&[0, 0])])
        .single_accuracy(1e-4),
        whole!(
            "pinv",
            "a.pinv()",
            "da = -y^T g y^T + (1 - a y) g^T y y^T + y^T y g^T (1 - y a)",
            |x| x[0].pinv(),
            |x| {
                let [m, n] = last(&x[0]);
                each(&x[0], [n, m], naive::pinv)
            }
        )
        .kinks("not of full rank: refused")
        .at_each([regular(&[3, 3]), regular(&[2, 4, 2]), regular(&[2, 3]), regular(&[1, 2])])
        .accuracy(1e-12)
        .single_accuracy(1e-4),
    ]
}

fn numbers() -> Vec<Case> {
    let squares = || [regular(&[3, 3]), regular(&[2, 2, 2]), regular(&[1, 1]), regular(&[2, 0, 0])];
    vec![
        whole!("det", "a.det()", "da = g y a^-T", |x| x[0].det(), |x| {
            number(&x[0], naive::determinant)
        })
        .at_each(squares())
        .at_each([
            // Singular, and nearly so.
            exactly([3, 3], &[2.0, 1.0, 0.0, 4.0, 1.0, 1.0, 2.0, 0.0, 1.0]),
            exactly([2, 2, 2], &[0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0]),
            exactly([2, 2], &[1.0, 2.0, 2.0, 4.000_001]),
        ])
        .single_accuracy(1e-3),
        whole!(
            "slogdet",
            "a.slogdet()",
            "da = g a^-T of the logarithm, 0 of the sign",
            |x| {
                let (sign, log) = x[0].slogdet();
                together(&[sign, log])
            },
            |x| reference_together(&[
                number(&x[0], |a| naive::determinant(a).signum()),
                number(&x[0], |a| naive::determinant(a).abs().ln())
            ])
        )
        .kinks("singular: refused")
        .at_each(squares())
        .at_each([exactly([2, 2], &[1.0, 2.0, 3.0, 1.0])])
        .single_accuracy(1e-4),
        whole!("logdet", "a.logdet()", "da = g a^-T", |x| x[0].logdet(), |x| {
            number(&x[0], |a| naive::determinant(a).ln())
        })
        .kinks("singular, or of negative determinant: refused")
        .at_each(squares())
        .single_accuracy(1e-4),
        whole!("nuclear_norm", "a.nuclear_norm()", "da = g u v^T", |x| x[0].nuclear_norm(), |x| {
            number(&x[0], |a| naive::svd(a).1.iter().sum())
        })
        .kinks("a singular value of 0: its part is 0; second order where two are equal: refused")
        .at_each([regular(&[3, 3]), regular(&[2, 3, 2]), regular(&[1, 3]), regular(&[2, 0, 2])])
        .accuracy(1e-12)
        .single_accuracy(1e-3),
        whole!(
            "spectral_norm",
            "a.spectral_norm()",
            "da = g u_1 v_1^T",
            |x| x[0].spectral_norm(),
            |x| number(&x[0], |a| naive::svd(a).1[0])
        )
        .kinks("two largest singular values: refused; the zero matrix: 0")
        .at_each([regular(&[3, 3]), regular(&[2, 3, 2]), regular(&[1, 3])])
        .accuracy(1e-12)
        .single_accuracy(1e-3),
    ]
}

fn factors() -> Vec<Case> {
    let squares = || [regular(&[3, 3]), regular(&[2, 2, 2]), regular(&[1, 1]), regular(&[2, 0, 0])];
    let shapes = || [regular(&[3, 3]), regular(&[2, 3, 2]), regular(&[2, 4]), regular(&[1, 1])];
    vec![
        whole!(
            "cholesky",
            "a.cholesky()",
            "da = symmetric part of l^-T (lower half of l^T g) l^-1",
            |x| x[0].cholesky(),
            |x| each(&x[0], last(&x[0]), |a| naive::cholesky(&naive::symmetric(a)))
        )
        .kinks("not positive definite: refused")
        .at_each(squares())
        .single_accuracy(1e-4),
        whole!(
            "cholesky_solve",
            "l.cholesky_solve(b)",
            "as of two of solve_triangular",
            |x| x[0].cholesky_solve(x[1]),
            |x| solutions(x, |l, b| {
                let l = cut(l, Triangle::Lower);
                naive::solve(&naive::product(&l, &naive::transpose(&l)), b)
            })
        )
        .kinks("a 0 on the diagonal: refused")
        .at([regular(&[3, 3]), inside([3, 2], -1.0, 1.0)])
        .at([regular(&[2, 2, 2]), inside([2, 1], -1.0, 1.0)])
        .at([regular(&[2, 2]), inside([2], -1.0, 1.0)])
        .single_accuracy(1e-4),
        whole!(
            "lu",
            "a.lu()",
            "da = p l^-T (strict lower part of l^T dl + upper part of du u^T) u^-T",
            |x| {
                let (p, l, u) = x[0].lu();
                together(&[p, l, u])
            },
            |x| {
                let [m, n] = last(&x[0]);
                let k = m.min(n);
                let part = |i: usize, shape| each(&x[0], shape, |a| naive::lu(a)[i].clone());
                reference_together(&[part(0, [m, m]), part(1, [m, k]), part(2, [k, n])])
            }
        )
        .kinks("a pivot of 0: refused")
        .at_each(shapes())
        .single_accuracy(1e-4),
        whole!(
            "qr",
            "a.qr()",
            "da = (dq + q copyltu(r dr^T - dq^T q)) r^-T",
            |x| {
                let (q, r) = x[0].qr();
                together(&[q, r])
            },
            |x| {
                let [m, n] = last(&x[0]);
                let k = m.min(n);
                let part = |i: usize, shape| each(&x[0], shape, |a| naive::qr(a)[i].clone());
                reference_together(&[part(0, [m, k]), part(1, [k, n])])
            }
        )
        .kinks("the first columns not independent: refused")
        .at_each(shapes())
        .single_accuracy(1e-4),
        whole!(
            "svd",
            "a.svd()",
            "da = u (f o skew(u^T du) s + s f o skew(v^T dv) + ds) v^T + ...",
            |x| {
                let (u, s, vt) = x[0].svd();
                together(&[u, s, vt])
            },
            |x| {
                let [m, n] = last(&x[0]);
                let k = m.min(n);
                reference_together(&[
                    each(&x[0], [m, k], |a| naive::svd(a).0),
                    each(&x[0], [1, k], |a| vec![naive::svd(a).1]),
                    each(&x[0], [k, n], |a| naive::svd(a).2),
                ])
            }
        )
        .kinks("equal singular values, or one of 0: refused")
        .at_each(shapes())
        .accuracy(1e-12)
        .single_accuracy(1e-3),
        whole!("svdvals", "a.svdvals()", "da = u diag(g) v^T", |x| x[0].svdvals(), |x| {
            let [m, n] = last(&x[0]);
            let shape = [&x[0].shape()[..x[0].rank() - 2], &[m.min(n)]].concat();
            each(&x[0], [1, m.min(n)], |a| vec![naive::svd(a).1]).reshape(shape)
        })
        .kinks("equal singular values: refused; one of 0: its part is 0")
        .at_each(shapes())
        .accuracy(1e-12)
        .single_accuracy(1e-3),
        whole!(
            "eigh",
            "a.eigh()",
            "da = symmetric part of v (dw + f o (v^T dv)) v^T",
            |x| {
                let (w, v) = x[0].eigh();
                together(&[w, v])
            },
            |x| {
                let [n, _] = last(&x[0]);
                reference_together(&[
                    each(&x[0], [1, n], |a| vec![naive::eigh(a).0]),
                    each(&x[0], [n, n], |a| naive::eigh(a).1),
                ])
            }
        )
        .kinks("equal eigenvalues: refused")
        .at_each(squares())
        .accuracy(1e-12)
        .single_accuracy(1e-3),
        whole!("eigvalsh", "a.eigvalsh()", "da = v diag(g) v^T", |x| x[0].eigvalsh(), |x| {
            let [n, _] = last(&x[0]);
            let shape = &x[0].shape()[..x[0].rank() - 1];
            each(&x[0], [1, n], |a| vec![naive::eigh(a).0]).reshape(shape)
        })
        .kinks("equal eigenvalues: refused")
        .at_each(squares())
        .accuracy(1e-12)
        .single_accuracy(1e-3),
    ]
}

fn functions() -> Vec<Case> {
    let small = |shape: &[usize]| inside(shape, -1.0, 1.0);
    let power = "sum over the factors";
    vec![
        whole!(
            "matrix_exp",
            "a.matrix_exp()",
            "da = upper right block of exp [a^T g; 0 a^T]",
            |x| x[0].matrix_exp(),
            |x| each(&x[0], last(&x[0]), naive::exponential)
        )
        .kinks("overflow: refused")
        .at_each([small(&[3, 3]), small(&[2, 2, 2]), small(&[1, 1]), small(&[0, 0])])
        .at_each([
            // Without a full set of eigenvectors, of equal eigenvalues, and so large that it is scaled.
            exactly([2, 2], &[1.0, 1.0, 0.0, 1.0]),
            exactly([2, 2], &[0.0; 4]),
            exactly([2, 2], &[-4.0, 3.0, 1.0, -6.0]),
        ])
        .accuracy(1e-12)
        .single_accuracy(1e-4),
        whole!("matrix_power", "a.matrix_power(n)", power, |x| x[0].matrix_power(5), |x| {
            let fifth = |a: &Rows| (0..4).fold(a.clone(), |power, _| naive::product(&power, a));
            each(&x[0], last(&x[0]), fifth)
        })
        .at_each([small(&[3, 3]), small(&[2, 2, 2]), small(&[0, 0])]),
        whole!("matrix_power", "a.matrix_power(n)", power, |x| x[0].matrix_power(-2), |x| {
            let inverse = |a: &Rows| naive::solve(a, &naive::identity(a.len()));
            each(&x[0], last(&x[0]), |a| naive::product(&inverse(a), &inverse(a)))
        })
        .at_each([regular(&[3, 3]), regular(&[1, 1])])
        .single_accuracy(1e-4),
        whole!(
            "matrix_transpose",
            "a.matrix_transpose()",
            "da = g^T",
            |x| x[0].matrix_transpose(),
            |x| {
                let [m, n] = last(&x[0]);
                each(&x[0], [n, m], naive::transpose)
            }
        )
        .at_each([small(&[2, 2, 3]), small(&[1, 2])]),
    ]
}

pub(crate) fn cases() -> Vec<Case> {
    [systems(), numbers(), factors(), functions()].into_iter().flatten().collect()
}
