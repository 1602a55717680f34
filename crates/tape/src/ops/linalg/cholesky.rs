//! The Cholesky decomposition of positive definite matrices.

use smallvec::smallvec;

use super::triangular::{Triangle, columns, try_solve_with, without_columns};
use super::{batch, each_square, of_cotangents, square, which};
use crate::error::expect;
use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::ops::conv::other::renamed;
use crate::tensor_var::try_apply_one;
use crate::{Error, Real, Shape, Tensor, TensorVar};

/// `A = L Lᵀ` of a symmetric matrix.
///
/// The cotangent is the symmetric part of `L⁻ᵀ P L⁻¹`, where `P` is the lower triangle of `Lᵀ G` with half
/// of its diagonal.
struct Cholesky;

impl<E: Real> Op<E> for Cholesky {
    fn name(&self) -> &'static str {
        "cholesky"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        square(inputs[0])?;
        Ok(smallvec![inputs[0].clone()])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let n = square(inputs[0].shape())?;
        let count = batch(inputs[0].shape()).elements();
        each_square(&inputs[0], outputs, |k, a, l| {
            E::cholesky(a, n, l).map_err(|row| {
                let which = which(k, count);
                Misfit::argument(format!("{which} is not positive definite (seen in row {row})"))
            })
        })
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let (l, g) = (call.outputs[0], call.cotangent());
        let product = l.matrix_transpose().matmul(g);
        let p = (product.tril(0) + product.tril(-1)) * E::lit(0.5);
        let under_l = |x| try_solve_with(l, Triangle::Lower, true, x);
        match under_l(p).and_then(|half| under_l(half.matrix_transpose())) {
            Ok(whole) => smallvec![Some(whole.symmetric_part())],
            Err(error) => call.refuse(of_cotangents(error)),
        }
    }
}

impl<E: Real> TensorVar<E> {
    /// The lower triangle `L` with `A = L Lᵀ`, for each symmetric positive definite matrix `[.., n, n]`. What is
    /// decomposed is the symmetric part `(A + Aᵀ) / 2`.
    ///
    /// The cotangent is the symmetric part of `L⁻ᵀ P L⁻¹`, where `P` is the lower triangle of `Lᵀ G` with half
    /// of its diagonal (I. Murray, "Differentiation of the Cholesky decomposition", 2016, equation 10).
    ///
    /// ```
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let l = tape.tensor([[4.0, 2.0], [2.0, 5.0]]).cholesky();
    /// assert_eq!(l.value(), Tensor::from([[2.0, 0.0], [1.0, 2.0]]));
    /// ```
    ///
    /// # Panics
    /// If the matrices are not square, an element is not finite, or a matrix is not positive definite.
    #[track_caller]
    pub fn cholesky(self) -> Self {
        expect(self.try_cholesky())
    }

    /// Like [`cholesky`](Self::cholesky), for matrices from outside.
    ///
    /// # Errors
    /// Where [`cholesky`](Self::cholesky) panics.
    #[track_caller]
    pub fn try_cholesky(self) -> Result<Self, Error> {
        super::checked("cholesky", self, square)?;
        try_apply_one(Cholesky, &[self.symmetric_part()])
    }

    /// The solutions `X` of `L Lᵀ X = B`, where this is the lower triangle `L` that [`cholesky`](Self::cholesky)
    /// gives. (In PyTorch the arguments stand in the other order.)
    ///
    /// # Panics
    /// Where [`solve_triangular`](Self::solve_triangular) does.
    #[track_caller]
    pub fn cholesky_solve(self, b: TensorVar<E>) -> Self {
        expect(self.try_cholesky_solve(b))
    }

    /// Like [`cholesky_solve`](Self::cholesky_solve), for matrices from outside.
    ///
    /// # Errors
    /// Where [`cholesky_solve`](Self::cholesky_solve) panics.
    #[track_caller]
    pub fn try_cholesky_solve(self, b: TensorVar<E>) -> Result<Self, Error> {
        let (b, vector) = columns(b);
        let half = try_solve_with(self, Triangle::Lower, false, b);
        let half = renamed("cholesky_solve", &[self, b], half)?;
        Ok(without_columns(try_solve_with(self, Triangle::Lower, true, half)?, vector))
    }
}
