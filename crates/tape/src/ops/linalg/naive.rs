//! Linear algebra by the formulas of a textbook, for the references of the cases. Matrices are rows.

use crate::Tensor;

pub(super) type Rows = Vec<Vec<f64>>;

/// The matrices of a tensor.
pub(super) fn matrices(x: &Tensor) -> Vec<Rows> {
    let (m, n) = (x.shape()[x.rank() - 2], x.shape()[x.rank() - 1]);
    let count: usize = x.shape()[..x.rank() - 2].iter().product();
    let row = |k: usize, i: usize| x.as_slice()[(k * m + i) * n..][..n].to_vec();
    (0..count).map(|k| (0..m).map(|i| row(k, i)).collect()).collect()
}

/// A tensor of `[.., m, n]` from what `f` makes of each matrix of `x`.
pub(super) fn each(x: &Tensor, [m, n]: [usize; 2], f: impl Fn(&Rows) -> Rows) -> Tensor {
    let shape = [&x.shape()[..x.rank() - 2], &[m, n]].concat();
    let data = matrices(x).iter().flat_map(|a| f(a).concat()).collect();
    Tensor::new(shape, data)
}

/// A tensor of the batch's shape from a number for each matrix.
pub(super) fn number(x: &Tensor, f: impl Fn(&Rows) -> f64) -> Tensor {
    let data = matrices(x).iter().map(f).collect();
    Tensor::new(&x.shape()[..x.rank() - 2], data)
}

pub(super) fn transpose(a: &Rows) -> Rows {
    let columns = a.first().map_or(0, Vec::len);
    (0..columns).map(|j| a.iter().map(|row| row[j]).collect()).collect()
}

pub(super) fn product(a: &Rows, b: &Rows) -> Rows {
    let columns = b.first().map_or(0, Vec::len);
    let at = |row: &[f64], j: usize| row.iter().zip(b).map(|(x, other)| x * other[j]).sum();
    a.iter().map(|row| (0..columns).map(|j| at(row, j)).collect()).collect()
}

pub(super) fn symmetric(a: &Rows) -> Rows {
    let t = transpose(a);
    let mean = |(a, b): (&f64, &f64)| (a + b) / 2.0;
    a.iter().zip(&t).map(|(a, b)| a.iter().zip(b).map(mean).collect()).collect()
}

pub(super) fn identity(n: usize) -> Rows {
    (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect()
}

/// `A⁻¹ B` by the elimination of Gauss and Jordan.
pub(super) fn solve(a: &Rows, b: &Rows) -> Rows {
    let n = a.len();
    let mut rows: Rows = a.iter().zip(b).map(|(a, b)| [&a[..], b].concat()).collect();
    for k in 0..n {
        let best = (k..n).max_by(|&i, &j| rows[i][k].abs().total_cmp(&rows[j][k].abs()));
        rows.swap(k, best.expect("there is a row"));
        let pivot = rows[k][k];
        rows[k].iter_mut().for_each(|x| *x /= pivot);
        let top = rows[k].clone();
        for (i, row) in rows.iter_mut().enumerate().filter(|&(i, _)| i != k) {
            let (_, factor) = (i, row[k]);
            row.iter_mut().zip(&top).for_each(|(x, t)| *x -= factor * t);
        }
    }
    rows.iter().map(|row| row[n..].to_vec()).collect()
}

/// By the first row and its minors.
pub(super) fn determinant(a: &Rows) -> f64 {
    let minor = |j: usize| -> Rows {
        let cut = |row: &Vec<f64>| {
            row.iter().enumerate().filter(|&(k, _)| k != j).map(|(_, &x)| x).collect()
        };
        a[1..].iter().map(cut).collect()
    };
    let sign = |j: usize| if j.is_multiple_of(2) { 1.0 } else { -1.0 };
    match a.first() {
        None => 1.0,
        Some(first) => {
            first.iter().enumerate().map(|(j, x)| sign(j) * x * determinant(&minor(j))).sum()
        }
    }
}

pub(super) fn cholesky(a: &Rows) -> Rows {
    let n = a.len();
    let mut l = vec![vec![0.0; n]; n];
    for i in 0..n {
        for j in 0..=i {
            let rest = a[i][j] - (0..j).map(|k| l[i][k] * l[j][k]).sum::<f64>();
            l[i][j] = if i == j { rest.sqrt() } else { rest / l[j][j] };
        }
    }
    l
}

/// `P`, `L` and `U`.
pub(super) fn lu(a: &Rows) -> [Rows; 3] {
    let (m, n) = (a.len(), a[0].len());
    let (mut rows, mut order) = (a.clone(), (0..m).collect::<Vec<_>>());
    for k in 0..m.min(n) {
        let best = (k..m).max_by(|&i, &j| rows[i][k].abs().total_cmp(&rows[j][k].abs()));
        let best = best.expect("there is a row");
        rows.swap(k, best);
        order.swap(k, best);
        let top = rows[k].clone();
        for row in &mut rows[k + 1..] {
            row[k] /= top[k];
            (k + 1..n).for_each(|j| row[j] -= row[k] * top[j]);
        }
    }
    let k = m.min(n);
    let mut p = vec![vec![0.0; m]; m];
    order.iter().enumerate().for_each(|(i, &row)| p[row][i] = 1.0);
    let lower = |i: usize, j: usize| match i.cmp(&j) {
        std::cmp::Ordering::Less => 0.0,
        std::cmp::Ordering::Equal => 1.0,
        std::cmp::Ordering::Greater => rows[i][j],
    };
    let l = (0..m).map(|i| (0..k).map(|j| lower(i, j)).collect()).collect();
    let upper = |i: usize, j: usize| if j < i { 0.0 } else { rows[i][j] };
    let u = (0..k).map(|i| (0..n).map(|j| upper(i, j)).collect()).collect();
    [p, l, u]
}

/// `Q` and `R` by the method of Gram and Schmidt, twice.
pub(super) fn qr(a: &Rows) -> [Rows; 2] {
    let k = a.len().min(a[0].len());
    let mut q: Rows = Vec::new();
    for column in transpose(a).into_iter().take(k) {
        let mut rest = column;
        for other in q.iter().chain(&q.clone()) {
            let part: f64 = other.iter().zip(&rest).map(|(x, y)| x * y).sum();
            rest.iter_mut().zip(other).for_each(|(x, y)| *x -= part * y);
        }
        let norm = rest.iter().map(|x| x * x).sum::<f64>().sqrt();
        q.push(rest.iter().map(|x| x / norm).collect());
    }
    let mut r = product(&q, a);
    for (i, row) in r.iter_mut().enumerate() {
        row[..i].fill(0.0);
    }
    [transpose(&q), r]
}

/// The largest element of each column positive.
fn signed(columns: &mut Rows, others: &mut Rows) {
    for (column, other) in columns.iter_mut().zip(others) {
        let largest = column.iter().fold(0.0f64, |m, x| if x.abs() > m.abs() { *x } else { m });
        if largest < 0.0 {
            column.iter_mut().chain(other).for_each(|x| *x = -*x);
        }
    }
}

/// `U`, the singular values and `Vᵀ`, by rotations that make the columns orthogonal (M. Hestenes).
pub(super) fn svd(a: &Rows) -> (Rows, Vec<f64>, Rows) {
    let (m, n) = (a.len(), a.first().map_or(0, Vec::len));
    if m < n {
        // The signs are those of the left vectors.
        let (v, s, ut) = svd(&transpose(a));
        let (mut u, mut v) = (ut, transpose(&v));
        signed(&mut u, &mut v);
        return (transpose(&u), s, v);
    }
    let (mut columns, mut v) = (transpose(a), identity(n));
    for _ in 0..60 {
        for p in 0..n {
            for q in p + 1..n {
                let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
                let both = dot(&columns[p], &columns[q]);
                if both == 0.0 {
                    continue;
                }
                let difference = dot(&columns[q], &columns[q]) - dot(&columns[p], &columns[p]);
                let zeta = difference / (2.0 * both);
                let t = zeta.signum() / (zeta.abs() + (1.0 + zeta * zeta).sqrt());
                let c = 1.0 / (1.0 + t * t).sqrt();
                for rows in [&mut columns, &mut v] {
                    for i in 0..rows[p].len() {
                        let (x, y) = (rows[p][i], rows[q][i]);
                        (rows[p][i], rows[q][i]) = (c * x - c * t * y, c * t * x + c * y);
                    }
                }
            }
        }
    }
    let norm = |column: &Vec<f64>| column.iter().map(|x| x * x).sum::<f64>().sqrt();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| norm(&columns[j]).total_cmp(&norm(&columns[i])));
    let s: Vec<f64> = order.iter().map(|&i| norm(&columns[i])).collect();
    let scaled = |i: usize| columns[i].iter().map(|x| x / norm(&columns[i])).collect();
    let mut u: Rows = order.iter().map(|&i| scaled(i)).collect();
    let mut vt: Rows = order.iter().map(|&i| v[i].clone()).collect();
    signed(&mut u, &mut vt);
    (transpose(&u), s, vt)
}

/// Eigenvalues, the smallest first, and eigenvectors in columns, by the rotations of Jacobi.
pub(super) fn eigh(a: &Rows) -> (Vec<f64>, Rows) {
    let n = a.len();
    let (mut a, mut v) = (symmetric(a), identity(n));
    for _ in 0..60 {
        for p in 0..n {
            for q in p + 1..n {
                if a[p][q] == 0.0 {
                    continue;
                }
                let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
                let t = theta.signum() / (theta.abs() + (1.0 + theta * theta).sqrt());
                let c = 1.0 / (1.0 + t * t).sqrt();
                let mut turn = identity(n);
                (turn[p][p], turn[q][q], turn[p][q], turn[q][p]) = (c, c, c * t, -c * t);
                a = product(&transpose(&turn), &product(&a, &turn));
                v = product(&v, &turn);
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a[i][i].total_cmp(&a[j][j]));
    let columns = transpose(&v);
    let mut sorted: Rows = order.iter().map(|&i| columns[i].clone()).collect();
    signed(&mut sorted, &mut vec![Vec::new(); n]);
    (order.iter().map(|&i| a[i][i]).collect(), transpose(&sorted))
}

/// `A⁺` of a matrix of full rank.
pub(super) fn pinv(a: &Rows) -> Rows {
    let t = transpose(a);
    if a.len() >= a[0].len() {
        solve(&product(&t, a), &t)
    } else {
        transpose(&solve(&product(a, &t), a))
    }
}

/// By the series.
pub(super) fn exponential(a: &Rows) -> Rows {
    let (mut sum, mut term) = (identity(a.len()), identity(a.len()));
    for k in 1..60 {
        term = product(&term, a);
        term.iter_mut().flatten().for_each(|x| *x /= f64::from(k));
        for (row, more) in sum.iter_mut().zip(&term) {
            row.iter_mut().zip(more).for_each(|(x, y)| *x += y);
        }
    }
    sum
}
