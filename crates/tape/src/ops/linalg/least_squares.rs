//! Least squares.

use super::qr::has_full_rank;
use super::triangular::{Triangle, columns, try_solve_with, without_columns};
use super::{batch, matrix};
use crate::error::expect;
use crate::{Error, Real, TensorVar};

impl<E: Real> TensorVar<E> {
    /// For each column of `B` the `X` that makes the length of `A X - B` smallest, where this is `A`: `[.., m, n]`
    /// of full rank. `B` is `[.., m, k]`, or one vector `[m]`; the axes before broadcast. With fewer rows than
    /// columns, where several `X` solve the system, it is the shortest.
    ///
    /// A composite: with `A = Q R`, `X = R⁻¹ Qᵀ B`; with `Aᵀ = Q R` for fewer rows, `X = Q R⁻ᵀ B`.
    ///
    /// ```
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// // The line through (0, 1), (1, 3), (2, 5).
    /// let a = tape.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]);
    /// let x = a.lstsq(tape.tensor([1.0, 3.0, 5.0])).value();
    /// assert!((x[[0]] - 1.0).abs() < 1e-14 && (x[[1]] - 2.0).abs() < 1e-14);
    /// ```
    ///
    /// # Panics
    /// If the shapes do not fit, an element is not finite, or a matrix does not have full rank;
    /// `a.pinv().matmul(b)` is the shortest solution then.
    #[track_caller]
    pub fn lstsq(self, b: TensorVar<E>) -> Self {
        expect(self.try_lstsq(b))
    }

    /// Like [`lstsq`](Self::lstsq), for matrices from outside.
    ///
    /// # Errors
    /// Where [`lstsq`](Self::lstsq) panics.
    #[track_caller]
    pub fn try_lstsq(self, b: TensorVar<E>) -> Result<Self, Error> {
        let (own, given) = (self.shape(), b.shape());
        let (b, vector) = columns(b);
        let shape = b.shape();
        let (Ok((m, n)), Ok((rows, _))) = (matrix(&own), matrix(&shape)) else {
            let detail = "it takes matrices and right-hand sides".to_owned();
            return Err(Error::shape("lstsq", &[&own, &given], detail));
        };
        if rows != m || batch(&own).broadcast(&batch(&shape)).is_none() {
            let detail = "the rows differ in number, or the axes before do not broadcast";
            return Err(Error::shape("lstsq", &[&own, &given], detail.to_owned()));
        }
        let tall = if n <= m { self } else { self.matrix_transpose() };
        let (q, r) = tall.try_qr()?;
        if !has_full_rank(&r.value()) {
            return Err(Error::argument("lstsq", "a matrix does not have full rank"));
        }
        let x = if n <= m {
            try_solve_with(r, Triangle::Upper, false, q.matrix_transpose().matmul(b))?
        } else {
            q.matmul(try_solve_with(r, Triangle::Upper, true, b)?)
        };
        Ok(without_columns(x, vector))
    }
}
