//! The decomposition into an orthogonal and a triangular factor.

use smallvec::smallvec;

use super::triangular::{Triangle, try_solve_with};
use super::{batch, finite, matrices, matrix, of_cotangents};
use crate::error::expect;
use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::tensor_var::try_apply_op;
use crate::{Error, Real, Shape, Tensor, TensorVar, concat};

/// `A = Q R` of matrices with at least as many rows as columns; outputs are `Q` and `R`.
///
/// With cotangents `Q'` and `R'` and `M = R R'ᵀ - Q'ᵀ Q`, that of `A` is `(Q' + Q S) R⁻ᵀ`, where `S` is the
/// symmetric matrix with the lower triangle of `M`.
struct Qr;

impl<E: Real> Op<E> for Qr {
    fn name(&self) -> &'static str {
        "qr"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        let (_, n) = matrix(inputs[0])?;
        Ok(smallvec![inputs[0].clone(), matrices(&batch(inputs[0]), n, n)])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        finite(&inputs[0])?;
        let (m, n) = matrix(inputs[0].shape())?;
        let mut buffers = outputs.buffers();
        if n == 0 {
            return Ok(());
        }
        let [q, r] = &mut buffers[..] else { unreachable!("two outputs are announced") };
        let pairs = q.chunks_exact_mut(m * n).zip(r.chunks_exact_mut(n * n));
        for ((q, r), a) in pairs.zip(inputs[0].as_slice().chunks_exact(m * n)) {
            E::qr(a, [m, n], q, r);
        }
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let (q, r) = (call.outputs[0], call.outputs[1]);
        if !has_full_rank(&r.value()) {
            return call
                .refuse("a matrix does not have full rank: its factors have no derivative there");
        }
        let of_r = call.cotangents[1].map(|g| r.matmul(g.matrix_transpose()));
        let of_q = call.cotangents[0].map(|g| g.matrix_transpose().matmul(q));
        let m = match (of_r, of_q) {
            (Some(r), Some(q)) => r - q,
            (Some(r), None) => r,
            (None, Some(q)) => -q,
            (None, None) => return smallvec![None],
        };
        let symmetric = m.tril(0) + m.tril(-1).matrix_transpose();
        let turned = q.matmul(symmetric);
        let left = call.cotangents[0].map_or(turned, |g| g + turned);
        match try_solve_with(r, Triangle::Upper, false, left.matrix_transpose()) {
            Ok(solved) => smallvec![Some(solved.matrix_transpose())],
            Err(error) => call.refuse(of_cotangents(error)),
        }
    }
}

/// Whether the diagonals of triangles are more than the rounding of their columns.
pub(super) fn has_full_rank<E: Real>(r: &Tensor<E>) -> bool {
    let n = r.shape()[r.rank() - 1];
    let tolerance = E::lit(8.0 * n as f64) * E::EPSILON;
    r.as_slice().chunks_exact((n * n).max(1)).all(|r| {
        (0..n).all(|j| {
            let column = (0..=j).map(|i| r[i * n + j]);
            let norm = column.fold(E::ZERO, |norm, x| norm.hypot(x));
            r[j * n + j].abs() > tolerance * norm
        })
    })
}

impl<E: Real> TensorVar<E> {
    /// The decomposition `A = Q R` of each matrix `[.., m, n]`: orthonormal columns `[.., m, k]` and an upper
    /// triangle `[.., k, n]`, where `k` is the smaller of `m` and `n` (PyTorch's `mode="reduced"`). The diagonal
    /// of `R` is not negative, which makes the factors unique where the first `k` columns are independent.
    ///
    /// Where they are not, there are factors but no derivative; a sweep that needs it ends with an error.
    ///
    /// Source of the derivative: S. Walter and L. Lehmann, "Algorithmic differentiation of linear algebra
    /// functions with application in optimum experimental design", 2010; M. Seeger et al.,
    /// "Auto-differentiating linear algebra", 2017.
    ///
    /// ```
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let (q, r) = tape.tensor([[0.0, 2.0], [3.0, 4.0]]).qr();
    /// assert!((q.matmul(r).value()[[0, 1]] - 2.0).abs() < 1e-15);
    /// assert!((r.value()[[0, 0]] - 3.0).abs() < 1e-15);
    /// ```
    ///
    /// # Panics
    /// If the rank is below 2, or an element is not finite.
    #[track_caller]
    pub fn qr(self) -> (Self, Self) {
        expect(self.try_qr())
    }

    /// Like [`qr`](Self::qr), for matrices from outside.
    ///
    /// # Errors
    /// Where [`qr`](Self::qr) panics.
    #[track_caller]
    pub fn try_qr(self) -> Result<(Self, Self), Error> {
        super::checked("qr", self, |shape| matrix(shape).map(|(m, _)| m))?;
        let shape = self.shape();
        let (m, n) = (shape[shape.rank() - 2], shape[shape.rank() - 1]);
        if n <= m {
            let outputs = try_apply_op(Qr, &[self])?;
            return Ok((outputs[0], outputs[1]));
        }
        // What is beyond the square part only turns.
        let (first, rest) = (self.narrow(-1, 0, m), self.narrow(-1, m, n - m));
        let outputs = try_apply_op(Qr, &[first])?;
        let (q, r) = (outputs[0], outputs[1]);
        Ok((q, concat(&[r, q.matrix_transpose().matmul(rest)], -1)))
    }
}
