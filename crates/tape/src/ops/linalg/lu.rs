//! Elimination with row pivots, as a decomposition.

use smallvec::smallvec;

use super::solve::{pivot_share, rounding};
use super::triangular::{Triangle, try_solve_with};
use super::{batch, finite, matrices, matrix, of_cotangents};
use crate::error::expect;
use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::tensor_var::try_apply_op;
use crate::{Error, Real, Shape, Tensor, TensorVar, concat};

/// `A = P L U`; outputs are `P`, `L` and `U`.
///
/// Of a square matrix, the cotangent of `Pᵀ A` is
/// `L⁻ᵀ (strict lower triangle of Lᵀ L' + upper triangle of U' Uᵀ) U⁻ᵀ`, where a prime marks a cotangent. The
/// rows and columns that a longer matrix has beyond the square one, `A₂ = L₂ U` and `A₃ = L U₃`, have
/// `A₂' = L₂' U⁻ᵀ` and `A₃' = L⁻ᵀ U₃'`, and take `L₂ᵀ A₂'` from `U'` and `A₃' U₃ᵀ` from `L'`.
struct Lu;

impl<E: Real> Op<E> for Lu {
    fn name(&self) -> &'static str {
        "lu"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        let (m, n) = matrix(inputs[0])?;
        let (batch, k) = (batch(inputs[0]), m.min(n));
        let sizes = [(m, m), (m, k), (k, n)];
        Ok(sizes.into_iter().map(|(rows, columns)| matrices(&batch, rows, columns)).collect())
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        finite(&inputs[0])?;
        let (m, n) = matrix(inputs[0].shape())?;
        let k = m.min(n);
        let mut buffers = outputs.buffers();
        buffers[0].fill(E::ZERO);
        for at in 0..batch(inputs[0].shape()).elements() {
            if k == 0 {
                buffers[0][at * m * m..][..m * m]
                    .iter_mut()
                    .step_by(m + 1)
                    .for_each(|x| *x = E::ONE);
                continue;
            }
            let a = &inputs[0].as_slice()[at * m * n..][..m * n];
            let [p, l, u] = &mut buffers[..] else { unreachable!("three outputs are announced") };
            let (l, u) = (&mut l[at * m * k..][..m * k], &mut u[at * k * n..][..k * n]);
            let (perm, _) = E::lu(a, [m, n], l, u);
            perm.iter().enumerate().for_each(|(i, &row)| p[at * m * m + row * m + i] = E::ONE);
        }
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let [p, l, u] = *call.outputs else { unreachable!("three outputs are announced") };
        let shape = call.inputs[0].shape();
        let (m, n) = (shape[shape.rank() - 2], shape[shape.rank() - 1]);
        let k = m.min(n);
        let (lv, uv) = (l.value(), u.value());
        for at in 0..batch(&shape).elements() {
            let (l, u) = (&lv.as_slice()[at * m * k..], &uv.as_slice()[at * k * n..]);
            if (0..k).any(|j| pivot_share(l, u, [m, n], j) <= rounding()) {
                return call.refuse("a pivot is 0: the factors have no derivative there");
            }
        }
        let [_, gl, gu] = *call.cotangents else { unreachable!("three outputs are announced") };
        let zero = |of: TensorVar<E>| call.constant(Tensor::zeros(of.shape()));
        let (gl, gu) = (gl.unwrap_or_else(|| zero(l)), gu.unwrap_or_else(|| zero(u)));
        let rows = |x: TensorVar<E>, from, len| x.narrow(-2, from, len);
        let columns = |x: TensorVar<E>, from, len| x.narrow(-1, from, len);
        let (square_l, square_u) = (rows(l, 0, k), columns(u, 0, k));
        // X U⁻ᵀ and L⁻ᵀ X.
        let over_u = |x: TensorVar<E>| {
            let solved = try_solve_with(square_u, Triangle::Upper, false, x.matrix_transpose());
            solved.map(TensorVar::matrix_transpose)
        };
        let under_l = |x| try_solve_with(square_l, Triangle::UnitLower, true, x);
        let whole = || -> Result<TensorVar<E>, Error> {
            let (mut square_gl, mut square_gu) = (rows(gl, 0, k), columns(gu, 0, k));
            let (mut below, mut beside) = (None, None);
            if m > k {
                let part = over_u(rows(gl, k, m - k))?;
                square_gu -= rows(l, k, m - k).matrix_transpose().matmul(part);
                below = Some(part);
            }
            if n > k {
                let part = under_l(columns(gu, k, n - k))?;
                square_gl -= part.matmul(columns(u, k, n - k).matrix_transpose());
                beside = Some(part);
            }
            let middle = square_l.matrix_transpose().matmul(square_gl).tril(-1)
                + square_gu.matmul(square_u.matrix_transpose()).triu(0);
            let square = over_u(under_l(middle)?)?;
            Ok(match (below, beside) {
                (Some(below), _) => concat(&[square, below], -2),
                (_, Some(beside)) => concat(&[square, beside], -1),
                _ => square,
            })
        };
        match whole() {
            Ok(whole) => smallvec![Some(p.matmul(whole))],
            Err(error) => call.refuse(of_cotangents(error)),
        }
    }
}

impl<E: Real> TensorVar<E> {
    /// The decomposition `A = P L U` of each matrix `[.., m, n]` by elimination with row pivots: a permutation
    /// `[.., m, m]`, a lower triangle `[.., m, k]` with ones on the diagonal, and an upper triangle
    /// `[.., k, n]`, where `k` is the smaller of `m` and `n`.
    ///
    /// The permutation is a constant. Where a pivot is 0 there are factors but no derivative; a sweep that
    /// needs it ends with an error.
    ///
    /// Source of the derivative: F. de Hoog, R. Anderssen and M. Lukas, "Differentiation of matrix functionals
    /// using triangular factorization", Math. Comp. 80 (2011).
    ///
    /// ```
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let (p, l, u) = tape.tensor([[1.0, 3.0], [2.0, 4.0]]).lu();
    /// assert_eq!(p.value(), Tensor::from([[0.0, 1.0], [1.0, 0.0]]));
    /// assert_eq!(l.value(), Tensor::from([[1.0, 0.0], [0.5, 1.0]]));
    /// assert_eq!(u.value(), Tensor::from([[2.0, 4.0], [0.0, 1.0]]));
    /// ```
    ///
    /// # Panics
    /// If the rank is below 2, or an element is not finite.
    #[track_caller]
    pub fn lu(self) -> (Self, Self, Self) {
        expect(self.try_lu())
    }

    /// Like [`lu`](Self::lu), for matrices from outside.
    ///
    /// # Errors
    /// Where [`lu`](Self::lu) panics.
    #[track_caller]
    pub fn try_lu(self) -> Result<(Self, Self, Self), Error> {
        let outputs = try_apply_op(Lu, &[self])?;
        Ok((outputs[0], outputs[1], outputs[2]))
    }
}
