//! The inverse, and the pseudo-inverse.

use smallvec::smallvec;

use super::solve::Elimination;
use super::{batch, each_square, finite, matrices, matrix, square};
use crate::error::expect;
use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::tensor_var::try_apply_one;
use crate::{Error, Real, Shape, Tensor, TensorVar};

/// `Y = A⁻¹`: the cotangent is `-Yᵀ G Yᵀ`.
struct Inverse;

impl<E: Real> Op<E> for Inverse {
    fn name(&self) -> &'static str {
        "inverse"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        square(inputs[0])?;
        Ok(smallvec![inputs[0].clone()])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let n = square(inputs[0].shape())?;
        let count = batch(inputs[0].shape()).elements();
        each_square(&inputs[0], outputs, |k, a, inverse| {
            let elimination = Elimination::new(a, n).regular(k, count)?;
            inverse.fill(E::ZERO);
            inverse.iter_mut().step_by(n + 1).for_each(|x| *x = E::ONE);
            elimination.solve(false, inverse, n);
            Ok(())
        })
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let adjoint = call.outputs[0].matrix_transpose();
        smallvec![Some(-adjoint.matmul(call.cotangent()).matmul(adjoint))]
    }
}

/// `Y = A⁺`, where singular values up to `tolerance` times the largest count as 0.
///
/// At constant rank, `dY = -Y dA Y + Y Yᵀ dAᵀ (I - A Y) + (I - Y A) dAᵀ Yᵀ Y` (G. Golub and V. Pereyra, "The
/// differentiation of pseudo-inverses and nonlinear least squares problems whose variables separate",
/// SIAM J. Numer. Anal. 10, 1973, theorem 4.3).
struct PseudoInverse {
    tolerance: f64,
}

impl<E: Real> Op<E> for PseudoInverse {
    fn name(&self) -> &'static str {
        "pinv"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        let (m, n) = matrix(inputs[0])?;
        Ok(smallvec![matrices(&batch(inputs[0]), n, m)])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        finite(&inputs[0])?;
        let (m, n) = matrix(inputs[0].shape())?;
        let k = m.min(n);
        let (mut u, mut s, mut vt) = (vec![E::ZERO; m * k], vec![E::ZERO; k], vec![E::ZERO; k * n]);
        let out = outputs.buffer(0);
        out.fill(E::ZERO);
        let (mut full, size) = (true, (m * n).max(1));
        for (out, a) in out.chunks_exact_mut(size).zip(inputs[0].as_slice().chunks_exact(size)) {
            E::svd(a, [m, n], &mut u, &mut s, &mut vt).map_err(Misfit::argument)?;
            let least = E::lit(self.tolerance) * s[0];
            for (r, &s) in s.iter().enumerate() {
                if s <= least {
                    full = false;
                    continue;
                }
                for i in 0..n {
                    let factor = vt[r * n + i] / s;
                    for j in 0..m {
                        out[i * m + j] += factor * u[j * k + r];
                    }
                }
            }
        }
        // Whether all have full rank does not change from one matrix to its neighbours.
        outputs.keep(Tensor::scalar(if full { E::ONE } else { E::ZERO }));
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        if call.residuals[0].item() == E::ZERO {
            return call.refuse("a matrix does not have full rank, and near it the rank jumps");
        }
        let (a, y, g) = (call.inputs[0], call.outputs[0], call.cotangent());
        let (yt, gt) = (y.matrix_transpose(), g.matrix_transpose());
        let mut sum = -yt.matmul(g).matmul(yt);
        let (rows, columns) = (a.shape()[a.rank() - 2], a.shape()[a.rank() - 1]);
        if rows > columns {
            let tail = gt.matmul(y).matmul(yt);
            sum = sum + tail - a.matmul(y.matmul(tail));
        }
        if columns > rows {
            let head = yt.matmul(y).matmul(gt);
            sum = sum + head - head.matmul(y).matmul(a);
        }
        smallvec![Some(sum)]
    }
}

impl<E: Real> TensorVar<E> {
    /// The inverse of each matrix `[.., n, n]`. To solve equations, [`solve`](Self::solve) is faster and more
    /// accurate.
    ///
    /// With `Y = A⁻¹`, the cotangent is `-Yᵀ G Yᵀ`.
    ///
    /// ```
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let y = tape.tensor([[2.0, 0.0], [0.0, 4.0]]).inverse();
    /// assert_eq!(y.value(), Tensor::from([[0.5, 0.0], [0.0, 0.25]]));
    /// ```
    ///
    /// # Panics
    /// If the matrices are not square, an element is not finite, or a matrix is singular.
    #[track_caller]
    pub fn inverse(self) -> Self {
        expect(self.try_inverse())
    }

    /// Like [`inverse`](Self::inverse), for matrices from outside.
    ///
    /// # Errors
    /// Where [`inverse`](Self::inverse) panics.
    #[track_caller]
    pub fn try_inverse(self) -> Result<Self, Error> {
        try_apply_one(Inverse, &[self])
    }

    /// The pseudo-inverse (Moore and Penrose) of each matrix `[.., m, n]`: `[.., n, m]`. Singular values up to
    /// `8 max(m, n)` times the machine epsilon times the largest count as 0 (in PyTorch `max(m, n)` times).
    ///
    /// For a matrix without full rank there is a value but no derivative: near it the rank, and with it the
    /// value, jumps. A sweep that needs it ends with an error.
    ///
    /// Source of the derivative: G. Golub and V. Pereyra, SIAM J. Numer. Anal. 10 (1973), theorem 4.3.
    ///
    /// # Panics
    /// If the rank is below 2, or an element is not finite.
    #[track_caller]
    pub fn pinv(self) -> Self {
        expect(self.try_pinv())
    }

    /// Like [`pinv`](Self::pinv), for matrices from outside.
    ///
    /// # Errors
    /// Where [`pinv`](Self::pinv) panics.
    #[track_caller]
    pub fn try_pinv(self) -> Result<Self, Error> {
        let longest = self.shape().iter().rev().take(2).copied().max().unwrap_or(0);
        let tolerance = 8.0 * longest as f64 * E::EPSILON.to_f64();
        try_apply_one(PseudoInverse { tolerance }, &[self])
    }
}
