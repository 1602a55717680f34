//! Systems of equations, and the elimination that they are solved by.

use smallvec::smallvec;

use super::factor::Solver;
use super::triangular::{columns, for_each_system, solutions, without_columns};
use super::{batch, finite, of_cotangents, which};
use crate::error::expect;
use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::tensor_var::try_apply_op;
use crate::{Error, Real, Shape, Tensor, TensorVar};

/// Which part of a pivot is more than rounding: `|u_kk|` over what it was summed up from.
///
/// Neither scaling rows nor scaling columns changes it. It is 1 for a triangular matrix, and about the
/// machine epsilon for a singular one.
pub(super) fn pivot_share<E: Real>(l: &[E], u: &[E], [m, n]: [usize; 2], k: usize) -> E {
    let rank = m.min(n);
    let pivot = u[k * n + k].abs();
    let terms = (0..k).map(|j| (l[k * rank + j] * u[j * n + k]).abs());
    let sum = terms.fold(pivot, |sum, term| sum + term);
    if sum > E::ZERO { pivot / sum } else { E::ZERO }
}

/// The pivot share up to which a matrix is singular. For random matrices of rank `n - 1` the smallest share is
/// a few epsilons, below this for nineteen of twenty, whatever `n` is; for those of full rank some thousandths.
pub(super) fn rounding<E: Real>() -> E {
    E::lit(32.0) * E::EPSILON
}

/// The elimination of one square matrix: `P A = L U`.
pub(super) struct Elimination<E> {
    n: usize,
    pub(super) l: Vec<E>,
    pub(super) u: Vec<E>,
    perm: Vec<usize>,
    odd: bool,
}

impl<E: Real> Elimination<E> {
    pub(super) fn new(a: &[E], n: usize) -> Self {
        let (mut l, mut u) = (vec![E::ZERO; n * n], vec![E::ZERO; n * n]);
        let (perm, odd) =
            if n == 0 { (Vec::new(), false) } else { E::lu(a, [n, n], &mut l, &mut u) };
        Elimination { n, l, u, perm, odd }
    }

    /// The least share of a pivot that is more than rounding.
    pub(super) fn share(&self) -> E {
        let size = [self.n, self.n];
        let shares = (0..self.n).map(|k| pivot_share(&self.l, &self.u, size, k));
        shares.fold(E::ONE, |least, share| if share < least { share } else { least })
    }

    /// Refuses a singular matrix.
    pub(super) fn regular(self, k: usize, count: usize) -> Result<Self, Misfit> {
        if self.n > 0 && self.share() <= rounding() {
            return Err(Misfit::argument(format!("{} is singular", which(k, count))));
        }
        Ok(self)
    }

    /// The sign of the determinant, and the logarithm of its size.
    pub(super) fn log_determinant(&self) -> (E, E) {
        let (mut sign, mut log) = (if self.odd { -E::ONE } else { E::ONE }, E::ZERO);
        for pivot in self.u.iter().step_by(self.n + 1) {
            sign *= pivot.signum();
            log += pivot.abs().ln();
        }
        (sign, log)
    }

    pub(super) fn determinant(&self) -> E {
        let pivots = self.u.iter().step_by(self.n + 1);
        pivots.fold(if self.odd { -E::ONE } else { E::ONE }, |product, &pivot| product * pivot)
    }

    /// Solves with the matrix or its transpose, in place.
    pub(super) fn solve(&self, transposed: bool, b: &mut [E], columns: usize) {
        let n = self.n;
        if b.is_empty() {
            return;
        }
        let unit_lower = Solver { lower: true, unit: true, transposed };
        let upper = Solver { lower: false, unit: false, transposed };
        let from = b.to_vec();
        if transposed {
            // A = Pᵀ L U, so Aᵀ = Uᵀ Lᵀ P.
            E::solve_triangular(&self.u, n, upper, b, columns);
            E::solve_triangular(&self.l, n, unit_lower, b, columns);
            let solved = b.to_vec();
            for (row, &to) in solved.chunks_exact(columns).zip(&self.perm) {
                b[to * columns..][..columns].copy_from_slice(row);
            }
        } else {
            for (row, &at) in b.chunks_exact_mut(columns).zip(&self.perm) {
                row.copy_from_slice(&from[at * columns..][..columns]);
            }
            E::solve_triangular(&self.l, n, unit_lower, b, columns);
            E::solve_triangular(&self.u, n, upper, b, columns);
        }
    }
}

/// `X` with `A X = B`, or `Aᵀ X = B`.
///
/// The cotangent of `B` is `H` with `Aᵀ H = G`, that of `A` is `-H Xᵀ`; for the transposed system the
/// transpose of it.
struct Solve {
    transposed: bool,
}

impl<E: Real> Op<E> for Solve {
    fn name(&self) -> &'static str {
        "solve"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        Ok(smallvec![solutions(inputs[0], inputs[1])?.0])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        inputs.iter().try_for_each(finite)?;
        let (shape, n) = solutions(inputs[0].shape(), inputs[1].shape())?;
        let (count, columns) = (batch(inputs[0].shape()).elements(), shape[shape.rank() - 1]);
        let mut last: Option<(usize, Elimination<E>)> = None;
        for_each_system(inputs, outputs, |k, a, x| {
            let elimination = match last.take() {
                Some((of, elimination)) if of == k => elimination,
                _ => Elimination::new(a, n).regular(k, count)?,
            };
            elimination.solve(self.transposed, x, columns);
            last = Some((k, elimination));
            Ok(())
        })
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let (a, x) = (call.inputs[0], call.outputs[0]);
        let adjoint = Solve { transposed: !self.transposed };
        let h = match try_apply_op(adjoint, &[a, call.cotangent()]) {
            Ok(h) => h[0],
            Err(error) => return call.refuse(of_cotangents(error)),
        };
        let for_a = || {
            let (left, right) = if self.transposed { (x, h) } else { (h, x) };
            -left.matmul(right.matrix_transpose())
        };
        smallvec![call.needs(0).then(for_a), call.needs(1).then_some(h)]
    }
}

impl<E: Real> TensorVar<E> {
    /// The solutions `X` of `A X = B`, where this is `A`: `[.., n, n]`. `B` is `[.., n, k]`, or one vector `[n]`;
    /// the axes before broadcast. (PyTorch takes a `B` with one axis less than `A` for a batch of vectors;
    /// here it is a matrix.)
    ///
    /// By elimination with row pivots. With `Aᵀ H = G`, the cotangents are `H` and `-H Xᵀ` (M. Giles, "An
    /// extended collection of matrix derivative results for forward and reverse mode algorithmic
    /// differentiation", 2008, section 2.3).
    ///
    /// ```
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let a = tape.tensor([[2.0, 1.0], [0.0, 4.0]]);
    /// assert_eq!(a.solve(tape.tensor([4.0, 8.0])).value(), Tensor::from([1.0, 2.0]));
    /// ```
    ///
    /// # Panics
    /// If the shapes do not fit, an element is not finite, or a matrix is singular.
    #[track_caller]
    pub fn solve(self, b: TensorVar<E>) -> Self {
        expect(self.try_solve(b))
    }

    /// Like [`solve`](Self::solve), for matrices from outside.
    ///
    /// # Errors
    /// Where [`solve`](Self::solve) panics.
    #[track_caller]
    pub fn try_solve(self, b: TensorVar<E>) -> Result<Self, Error> {
        let (b, vector) = columns(b);
        Ok(without_columns(try_apply_op(Solve { transposed: false }, &[self, b])?[0], vector))
    }
}
