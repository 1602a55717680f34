//! Linear algebra: equations, decompositions and what is made of them, for the matrices in the last two
//! axes of a tensor; the axes before are a batch.
//!
//! Values come from `faer`, on the calling thread; see [`factor`]. Rules are composites of recorded
//! operations, so there are derivatives of any order.
//!
//! # Where there is no derivative
//!
//! - An element that is NaN or infinite is refused by every operation here.
//! - A singular matrix is refused by what needs an inverse: `solve`, `inverse`, `slogdet`, `logdet`; a
//!   matrix without full rank by `lstsq`. A matrix counts as singular if a pivot of its elimination is
//!   at most 32 machine epsilons of the terms that it was summed up from. `det` has a derivative everywhere.
//! - `lu`, `qr`, `pinv`, `svd` and `eigh` have values at every matrix, and derivatives where the
//!   factors are differentiable. Elsewhere (no full rank, equal eigenvalues or singular values) a sweep
//!   that needs them ends with an error that names the operation and the line that recorded it; see
//!   [`Backward::refuse`](crate::Backward::refuse). The custom of a zero in place of the infinite factor
//!   would be wrong even for functions that are smooth there.
//! - A singular value that is 0 is at the kink of an absolute value: as for `abs`, its derivative is 0.
//!
//! `cholesky`, `eigh` and `eigvalsh` read the symmetric part `(A + Aᵀ) / 2`, so their derivatives are
//! symmetric and those of what they compute.

#[cfg(feature = "cases")]
pub(crate) mod cases;
mod cholesky;
mod determinant;
mod eigen;
mod exponential;
pub(super) mod factor;
mod inverse;
mod least_squares;
mod lu;
#[cfg(feature = "cases")]
mod naive;
mod qr;
mod singular;
mod solve;
mod triangular;

pub use triangular::Triangle;

use crate::op::{Misfit, MisfitKind, Outputs};
use crate::{Error, Real, Shape, Tensor, TensorVar};

/// Rows and columns of the matrices in the last two axes.
fn matrix(shape: &Shape) -> Result<(usize, usize), Misfit> {
    match **shape {
        [.., rows, columns] => Ok((rows, columns)),
        _ => Err(Misfit::shape("it has no matrices in its last two axes")),
    }
}

/// The rows of the square matrices in the last two axes.
fn square(shape: &Shape) -> Result<usize, Misfit> {
    match matrix(shape)? {
        (rows, columns) if rows == columns => Ok(rows),
        (rows, columns) => Err(Misfit::shape(format!(
            "its matrices of {rows} rows and {columns} columns are not square"
        ))),
    }
}

/// The axes before the last two.
fn batch(shape: &Shape) -> Shape {
    shape[..shape.rank() - 2].into()
}

/// The shape of a batch of matrices.
fn matrices(batch: &Shape, rows: usize, columns: usize) -> Shape {
    batch.iter().copied().chain([rows, columns]).collect()
}

/// The shape of a batch of vectors.
fn vectors(batch: &Shape, len: usize) -> Shape {
    batch.iter().copied().chain([len]).collect()
}

/// Calls `f(number, matrix, result)` for each square matrix of `a`, whose results have the same shape and are the
/// only output. Refuses elements that are NaN or infinite.
fn each_square<E: Real>(
    a: &Tensor<E>,
    outputs: &mut Outputs<E>,
    mut f: impl FnMut(usize, &[E], &mut [E]) -> Result<(), Misfit>,
) -> Result<(), Misfit> {
    finite(a)?;
    let n = square(a.shape())?;
    let size = (n * n).max(1);
    let results = outputs.buffer(0).chunks_exact_mut(size);
    a.as_slice()
        .chunks_exact(size)
        .zip(results)
        .enumerate()
        .try_for_each(|(k, (a, result))| f(k, a, result))
}

/// Refuses elements that are NaN or infinite.
fn finite<E: Real>(x: &Tensor<E>) -> Result<(), Misfit> {
    match x.iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(at) => {
            let x = x.as_slice()[at];
            Err(Misfit::argument(format!("element {at} in row-major order is {x}")))
        }
    }
}

/// How a message calls matrix `k` of `count`.
fn which(k: usize, count: usize) -> String {
    if count == 1 { "the matrix".to_owned() } else { format!("matrix {k} of the batch") }
}

/// The reason of a misfit as a refusal says it.
fn reason(misfit: Misfit) -> String {
    match misfit.0 {
        MisfitKind::Shape(detail) | MisfitKind::Argument(detail) => detail,
    }
}

/// What a rule refuses with where an operation on the cotangents has failed.
fn of_cotangents(error: Error) -> String {
    match error {
        Error::Shape { detail, .. } | Error::Argument { detail, .. } => {
            format!("its rule cannot take the cotangent: {detail}")
        }
    }
}

/// Checks the shape of the argument of a composite operation.
#[track_caller]
fn checked<E: Real>(
    name: &'static str,
    x: TensorVar<E>,
    check: impl Fn(&Shape) -> Result<usize, Misfit>,
) -> Result<usize, Error> {
    let shape = x.shape();
    match check(&shape) {
        Ok(n) => Ok(n),
        Err(misfit) => Err(misfit.into_error(name, &[&shape])),
    }
}

impl<E: Real> TensorVar<E> {
    /// The transposes of the matrices in the last two axes: PyTorch's `mT`.
    ///
    /// # Panics
    /// If the rank is below 2.
    #[track_caller]
    pub fn matrix_transpose(self) -> Self {
        self.transpose(-2, -1)
    }

    /// `(A + Aᵀ) / 2`.
    #[track_caller]
    fn symmetric_part(self) -> Self {
        (self + self.matrix_transpose()) * E::lit(0.5)
    }

    /// The columns of each matrix times the numbers of a vector: `A diag(s)`.
    #[track_caller]
    fn scale_columns(self, s: TensorVar<E>) -> Self {
        self * s.unsqueeze(-2)
    }

    /// The rows of each matrix times the numbers of a vector: `diag(s) A`.
    #[track_caller]
    fn scale_rows(self, s: TensorVar<E>) -> Self {
        self * s.unsqueeze(-1)
    }
}

/// `1 / (x_j - x_i)` off the diagonal, times `1 / (x_j + x_i)` where squares are compared; 0 on it.
#[track_caller]
fn gaps<E: Real>(x: TensorVar<E>, of_squares: bool) -> TensorVar<E> {
    let n = x.shape()[x.rank() - 1];
    let identity = x.constant_like(Tensor::eye(n));
    let (row, column) = (x.unsqueeze(-2), x.unsqueeze(-1));
    let difference = row - column;
    let gap = if of_squares { difference * (row + column) } else { difference };
    // The diagonal is 0 / 1.
    (-identity + E::ONE) / (gap + identity)
}

/// The first two of ordered numbers that are as good as equal, beside numbers of size `scale`.
fn equal_pair<E: Real>(ordered: &[E], scale: E) -> Option<usize> {
    let tolerance = E::lit(8.0 * ordered.len() as f64) * E::EPSILON * scale;
    ordered.windows(2).position(|pair| (pair[0] - pair[1]).abs() <= tolerance)
}
