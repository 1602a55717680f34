//! The decompositions of one matrix of plain numbers, by `faer`.
//!
//! Everything runs on the calling thread, whatever features of `faer` a program switches on: `faer`'s
//! own threads would change the bits. Signs that a decomposition leaves open are fixed here, so that
//! values are continuous: the diagonal of `R` in `QR` is not negative; of each eigenvector and left
//! singular vector the largest element (of nearly equal ones the first) is positive.

use faer::Par;
use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::householder;
use faer::linalg::{cholesky, evd, lu, qr, svd, triangular_solve};
use faer::mat::{Mat, MatMut, MatRef};
use faer::traits::RealField;

use crate::{Elementary, Real};

/// What an element type can decompose. Matrices are in row-major order.
pub trait Factor: Sized {
    /// `P A = L U` with row `perm[i]` of `A` in row `i`: `L` is `m` by `k`, `U` is `k` by `n`, where `k` is
    /// the smaller of both. Says whether `P` is an odd permutation.
    fn lu(a: &[Self], size: [usize; 2], l: &mut [Self], u: &mut [Self]) -> (Vec<usize>, bool);
    /// `A = L Lᵀ`, from the lower triangle; `Err` has the first row where `A` is not positive definite.
    fn cholesky(a: &[Self], n: usize, l: &mut [Self]) -> Result<(), usize>;
    /// `A = Q R` where `A` has at least as many rows as columns.
    fn qr(a: &[Self], size: [usize; 2], q: &mut [Self], r: &mut [Self]);
    /// `A = U diag(s) Vᵀ` with as many singular values as the shorter side, the largest first.
    fn svd(
        a: &[Self],
        size: [usize; 2],
        u: &mut [Self],
        s: &mut [Self],
        vt: &mut [Self],
    ) -> Result<(), String>;
    /// `A = V diag(values) Vᵀ` from the lower triangle, the smallest first.
    fn eigh(a: &[Self], n: usize, values: &mut [Self], vectors: &mut [Self]) -> Result<(), String>;
    /// Solves `T X = B` in place, where `T` is a triangle of `A` or of its transpose.
    fn solve_triangular(a: &[Self], n: usize, shape: Solver, b: &mut [Self], columns: usize);
}

/// Which triangle a system has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Solver {
    /// Whether the lower triangle of the stored matrix is read, else the upper.
    pub lower: bool,
    /// Whether the diagonal is read; else it is ones.
    pub unit: bool,
    /// Whether the transpose of what is read is the matrix of the system.
    pub transposed: bool,
}

fn scratch(requirement: faer::dyn_stack::StackReq, f: impl FnOnce(&mut MemStack)) {
    f(MemStack::new(&mut MemBuffer::new(requirement)));
}

/// Copies a matrix to a slice.
fn copy<F: Real + RealField>(from: MatRef<'_, F>, to: &mut [F]) {
    let columns = from.ncols();
    for (i, row) in to.chunks_exact_mut(columns.max(1)).enumerate() {
        row.iter_mut().enumerate().for_each(|(j, slot)| *slot = from[(i, j)]);
    }
}

/// Whether the largest element of a column is negative.
fn points_down<F: Real + RealField>(matrix: MatRef<'_, F>, column: usize) -> bool {
    let (mut largest, mut down) = (F::ZERO, false);
    let margin = <F as Elementary>::lit(1.0 + 1e-3);
    for i in 0..matrix.nrows() {
        let x = matrix[(i, column)];
        let size = Elementary::abs(x);
        if size > largest * margin {
            (largest, down) = (size, x < F::ZERO);
        }
    }
    down
}

/// Elimination of a singular matrix, column by column: where `faer` divides by a pivot of 0, there is nothing
/// to eliminate.
fn eliminate<F: Real + RealField>(packed: &mut Mat<F>, a: &[F]) -> (Vec<usize>, bool) {
    let (m, n) = (packed.nrows(), packed.ncols());
    let mut rows: Vec<Vec<F>> = a.chunks_exact(n).map(<[F]>::to_vec).collect();
    let (mut perm, mut odd) = ((0..m).collect::<Vec<_>>(), false);
    for k in 0..m.min(n) {
        let size = |i: usize| Elementary::abs(rows[i][k]);
        let best = (k + 1..m).fold(k, |best, i| if size(i) > size(best) { i } else { best });
        odd ^= best != k;
        rows.swap(k, best);
        perm.swap(k, best);
        let (upper, lower) = rows.split_at_mut(k + 1);
        let top = &upper[k];
        if top[k] == F::ZERO {
            continue;
        }
        for row in lower {
            let factor = row[k] / top[k];
            row[k] = factor;
            (k + 1..n).for_each(|j| row[j] -= factor * top[j]);
        }
    }
    for (i, row) in rows.iter().enumerate() {
        row.iter().enumerate().for_each(|(j, &x)| packed[(i, j)] = x);
    }
    (perm, odd)
}

fn lu_of<F: Real + RealField>(
    a: &[F],
    [m, n]: [usize; 2],
    l: &mut [F],
    u: &mut [F],
) -> (Vec<usize>, bool) {
    let mut packed: Mat<F> = MatRef::from_row_major_slice(a, m, n).to_owned();
    let (mut perm, mut inverse) = (vec![0usize; m], vec![0usize; m]);
    let mut odd = false;
    use lu::partial_pivoting::factor as by;
    scratch(by::lu_in_place_scratch::<usize, F>(m, n, Par::Seq, Default::default()), |stack| {
        let target = packed.as_mut();
        let (info, _) =
            by::lu_in_place(target, &mut perm, &mut inverse, Par::Seq, stack, Default::default());
        odd = info.transposition_count % 2 == 1;
    });
    let k = m.min(n);
    let (zero, one) = (F::ZERO, F::ONE);
    if (0..k).any(|i| packed[(i, i)] == zero || packed[(i, i)].is_nan()) {
        (perm, odd) = eliminate(&mut packed, a);
    }
    for i in 0..m {
        for j in 0..k {
            l[i * k + j] = match i.cmp(&j) {
                std::cmp::Ordering::Less => zero,
                std::cmp::Ordering::Equal => one,
                std::cmp::Ordering::Greater => packed[(i, j)],
            };
        }
    }
    for i in 0..k {
        for j in 0..n {
            u[i * n + j] = if j < i { zero } else { packed[(i, j)] };
        }
    }
    (perm, odd)
}

fn cholesky_of<F: Real + RealField>(a: &[F], n: usize, l: &mut [F]) -> Result<(), usize> {
    let mut packed: Mat<F> = MatRef::from_row_major_slice(a, n, n).to_owned();
    let mut result = Ok(());
    use cholesky::llt::factor as by;
    scratch(by::cholesky_in_place_scratch::<F>(n, Par::Seq, Default::default()), |stack| {
        let target = packed.as_mut();
        let done =
            by::cholesky_in_place(target, Default::default(), Par::Seq, stack, Default::default());
        result = match done {
            Ok(_) => Ok(()),
            Err(by::LltError::NonPositivePivot { index }) => Err(index),
        };
    });
    for i in 0..n {
        for j in 0..n {
            l[i * n + j] = if j > i { F::ZERO } else { packed[(i, j)] };
        }
    }
    result
}

fn qr_of<F: Real + RealField>(a: &[F], [m, n]: [usize; 2], q: &mut [F], r: &mut [F]) {
    let mut packed: Mat<F> = MatRef::from_row_major_slice(a, m, n).to_owned();
    use qr::no_pivoting::factor as by;
    let block = by::recommended_block_size::<F>(m, n);
    let mut coefficients: Mat<F> = Mat::zeros(block, n);
    scratch(by::qr_in_place_scratch::<F>(m, n, block, Par::Seq, Default::default()), |stack| {
        let (target, coefficients) = (packed.as_mut(), coefficients.as_mut());
        by::qr_in_place(target, coefficients, Par::Seq, stack, Default::default());
    });
    let mut thin: Mat<F> = Mat::identity(m, n);
    use householder::{
        apply_block_householder_sequence_on_the_left_in_place_scratch as required,
        apply_block_householder_sequence_on_the_left_in_place_with_conj as apply,
    };
    scratch(required::<F>(m, block, n), |stack| {
        let (basis, conj) = (packed.as_ref(), faer::Conj::No);
        apply(basis, coefficients.as_ref(), conj, thin.as_mut(), Par::Seq, stack);
    });
    copy(thin.as_ref(), q);
    for i in 0..n {
        let negative = packed[(i, i)] < F::ZERO;
        for j in 0..n {
            let x = if j < i { F::ZERO } else { packed[(i, j)] };
            r[i * n + j] = if negative { -x } else { x };
        }
        if negative {
            q.iter_mut().skip(i).step_by(n).for_each(|x| *x = -*x);
        }
    }
}

fn svd_of<F: Real + RealField>(
    a: &[F],
    [m, n]: [usize; 2],
    u: &mut [F],
    s: &mut [F],
    vt: &mut [F],
) -> Result<(), String> {
    let a = MatRef::from_row_major_slice(a, m, n);
    let k = m.min(n);
    let (mut left, mut right): (Mat<F>, Mat<F>) = (Mat::zeros(m, k), Mat::zeros(n, k));
    let mut values: Diag<F> = Diag::zeros(k);
    let thin = svd::ComputeSvdVectors::Thin;
    let mut result = Ok(());
    let required = svd::svd_scratch::<F>(m, n, thin, thin, Par::Seq, Default::default());
    scratch(required, |stack| {
        let (left, right) = (Some(left.as_mut()), Some(right.as_mut()));
        let values = values.as_mut();
        result = svd::svd(a, values, left, right, Par::Seq, stack, Default::default())
            .map_err(|_| "the iteration has not converged".to_owned());
    });
    result?;
    for j in 0..k {
        s[j] = values.column_vector()[j];
        let flip = points_down(left.as_ref(), j);
        let sign = |x: F| if flip { -x } else { x };
        (0..m).for_each(|i| u[i * k + j] = sign(left[(i, j)]));
        (0..n).for_each(|i| vt[j * n + i] = sign(right[(i, j)]));
    }
    Ok(())
}

fn eigh_of<F: Real + RealField>(
    a: &[F],
    n: usize,
    values: &mut [F],
    vectors: &mut [F],
) -> Result<(), String> {
    let a = MatRef::from_row_major_slice(a, n, n);
    let mut columns: Mat<F> = Mat::zeros(n, n);
    let mut diagonal: Diag<F> = Diag::zeros(n);
    let mut result = Ok(());
    let with = evd::ComputeEigenvectors::Yes;
    let required = evd::self_adjoint_evd_scratch::<F>(n, with, Par::Seq, Default::default());
    scratch(required, |stack| {
        let (values, columns) = (diagonal.as_mut(), Some(columns.as_mut()));
        result = evd::self_adjoint_evd(a, values, columns, Par::Seq, stack, Default::default())
            .map_err(|_| "the iteration has not converged".to_owned());
    });
    result?;
    for j in 0..n {
        values[j] = diagonal.column_vector()[j];
        let flip = points_down(columns.as_ref(), j);
        for i in 0..n {
            let x = columns[(i, j)];
            vectors[i * n + j] = if flip { -x } else { x };
        }
    }
    Ok(())
}

fn solve_triangular_of<F: Real + RealField>(
    a: &[F],
    n: usize,
    shape: Solver,
    b: &mut [F],
    columns: usize,
) {
    let a = MatRef::from_row_major_slice(a, n, n);
    let a = if shape.transposed { a.transpose() } else { a };
    let b = MatMut::from_row_major_slice_mut(b, n, columns);
    use triangular_solve::{
        solve_lower_triangular_in_place, solve_unit_lower_triangular_in_place,
        solve_unit_upper_triangular_in_place, solve_upper_triangular_in_place,
    };
    match (shape.lower != shape.transposed, shape.unit) {
        (true, false) => solve_lower_triangular_in_place(a, b, Par::Seq),
        (true, true) => solve_unit_lower_triangular_in_place(a, b, Par::Seq),
        (false, false) => solve_upper_triangular_in_place(a, b, Par::Seq),
        (false, true) => solve_unit_upper_triangular_in_place(a, b, Par::Seq),
    }
}

macro_rules! factor {
    ($($f:ty)*) => { $(
        impl Factor for $f {
            fn lu(a: &[$f], size: [usize; 2], l: &mut [$f], u: &mut [$f]) -> (Vec<usize>, bool) {
                lu_of(a, size, l, u)
            }
            fn cholesky(a: &[$f], n: usize, l: &mut [$f]) -> Result<(), usize> {
                cholesky_of(a, n, l)
            }
            fn qr(a: &[$f], size: [usize; 2], q: &mut [$f], r: &mut [$f]) {
                qr_of(a, size, q, r);
            }
            fn svd(
                a: &[$f],
                size: [usize; 2],
                u: &mut [$f],
                s: &mut [$f],
                vt: &mut [$f],
            ) -> Result<(), String> {
                svd_of(a, size, u, s, vt)
            }
            fn eigh(a: &[$f], n: usize, values: &mut [$f], vectors: &mut [$f]) -> Result<(), String> {
                eigh_of(a, n, values, vectors)
            }
            fn solve_triangular(a: &[$f], n: usize, shape: Solver, b: &mut [$f], columns: usize) {
                solve_triangular_of(a, n, shape, b, columns);
            }
        }
    )* };
}

// Not one implementation for all: that would be compiled anew, with all of `faer` below it, in every crate
// that takes a decomposition.
factor!(f32 f64);
