//! Systems of equations, and the elimination that they are solved by.

use smallvec::smallvec;

use super::factor::Solver;
use super::triangular::{columns, for_each_system, solutions, without_columns};
use super::{batch, finite, of_cotangents, which};
use crate::error::expect;
use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::tensor_var::{try_apply_one, try_apply_op};
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
        self.factors().solve(transposed, b, columns);
    }

    fn factors(&self) -> Factors<'_, E, impl Iterator<Item = usize> + '_> {
        Factors { n: self.n, l: &self.l, u: &self.u, perm: self.perm.iter().copied() }
    }

    /// How many numbers [`keep`](Self::keep) writes for a matrix of `n` rows.
    fn kept(n: usize) -> usize {
        (2 * n + 1) * n
    }

    /// Writes the factors down: `L`, `U`, and the numbers of the rows.
    fn keep(&self, out: &mut [E]) {
        let (l, rest) = out.split_at_mut(self.n * self.n);
        let (u, perm) = rest.split_at_mut(self.n * self.n);
        l.copy_from_slice(&self.l);
        u.copy_from_slice(&self.u);
        perm.iter_mut().zip(&self.perm).for_each(|(to, &row)| *to = E::lit(row as f64));
    }
}

/// The factors of one matrix, wherever they are: `P A = L U`.
struct Factors<'a, E, P> {
    n: usize,
    l: &'a [E],
    u: &'a [E],
    perm: P,
}

/// Those that [`Elimination::keep`] has written down.
fn read<E: Real>(kept: &[E], n: usize) -> Factors<'_, E, impl Iterator<Item = usize> + '_> {
    let (l, rest) = kept.split_at(n * n);
    let (u, perm) = rest.split_at(n * n);
    Factors { n, l, u, perm: perm.iter().map(|row| row.to_f64() as usize) }
}

impl<E: Real, P: Iterator<Item = usize>> Factors<'_, E, P> {
    /// Solves with the matrix or its transpose, in place.
    fn solve(self, transposed: bool, b: &mut [E], columns: usize) {
        let Factors { n, l, u, perm } = self;
        if b.is_empty() {
            return;
        }
        let unit_lower = Solver { lower: true, unit: true, transposed };
        let upper = Solver { lower: false, unit: false, transposed };
        let from = b.to_vec();
        if transposed {
            // A = Pᵀ L U, so Aᵀ = Uᵀ Lᵀ P.
            E::solve_triangular(u, n, upper, b, columns);
            E::solve_triangular(l, n, unit_lower, b, columns);
            let solved = b.to_vec();
            for (row, to) in solved.chunks_exact(columns).zip(perm) {
                b[to * columns..][..columns].copy_from_slice(row);
            }
        } else {
            for (row, at) in b.chunks_exact_mut(columns).zip(perm) {
                row.copy_from_slice(&from[at * columns..][..columns]);
            }
            E::solve_triangular(l, n, unit_lower, b, columns);
            E::solve_triangular(u, n, upper, b, columns);
        }
    }
}

/// `X` with `A X = B`, or `Aᵀ X = B`.
///
/// The cotangent of `B` is `H` with `Aᵀ H = G`, that of `A` is `-H Xᵀ`; for the transposed system the
/// transpose of it.
///
/// The factors are kept, and given to the system of the cotangents: so a matrix is eliminated once, for whatever order of
/// derivatives. They are no input: what they depend on is the matrix, which is one.
struct Solve<E: Real> {
    transposed: bool,
    factors: Option<Tensor<E>>,
}

/// The factors of a batch of matrices that [`solutions`] has accepted, one after the other.
fn eliminated<E: Real>(a: &Tensor<E>, n: usize) -> Result<Tensor<E>, Misfit> {
    let count = batch(a.shape()).elements();
    let mut kept = Tensor::uninitialised([count, Elimination::<E>::kept(n)].into());
    let matrices = a.as_slice().chunks_exact((n * n).max(1));
    let places = kept.as_mut_slice().chunks_exact_mut(Elimination::<E>::kept(n).max(1));
    for (k, (a, place)) in matrices.zip(places).enumerate() {
        Elimination::new(a, n).regular(k, count)?.keep(place);
    }
    Ok(kept)
}

impl<E: Real> Op<E> for Solve<E> {
    fn name(&self) -> &'static str {
        "solve"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        Ok(smallvec![solutions(inputs[0], inputs[1])?.0])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        inputs.iter().try_for_each(finite)?;
        let (shape, n) = solutions(inputs[0].shape(), inputs[1].shape())?;
        let columns = shape[shape.rank() - 1];
        let factors = match &self.factors {
            Some(factors) => factors.clone(),
            // A matrix that no right-hand side meets need not be regular.
            None if shape.elements() == 0 => Tensor::zeros([0]),
            None => eliminated(&inputs[0], n)?,
        };
        let kept = Elimination::<E>::kept(n);
        for_each_system(inputs, outputs, |k, _, x| {
            read(&factors.as_slice()[k * kept..][..kept], n).solve(self.transposed, x, columns);
            Ok(())
        })?;
        outputs.keep(factors);
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let (a, x) = (call.inputs[0], call.outputs[0]);
        let factors = Some(call.residuals[0].clone());
        let adjoint = Solve { transposed: !self.transposed, factors };
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
        Ok(without_columns(
            try_apply_one(Solve { transposed: false, factors: None }, &[self, b])?,
            vector,
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::Tape;

    #[test]
    fn a_matrix_whose_factors_are_there_is_not_eliminated_again() {
        let tape = Tape::new();
        let a = Tensor::from([[0.0, 2.0, 1.0], [4.0, 1.0, 0.5], [1.0, 1.0, 3.0]]);
        let b = tape.tensor([[1.0], [2.0], [3.0]]);
        let factors = eliminated(&a, 3).unwrap_or_else(|_| panic!("it is regular"));
        // Of another matrix, which would give another solution.
        let other = tape.tensor(Tensor::eye(3));
        for transposed in [false, true] {
            let with = Solve { transposed, factors: Some(factors.clone()) };
            let made = crate::apply_op(with, &[other, b])[0].value();
            let own = tape.constant(&a);
            let own = if transposed { own.matrix_transpose() } else { own };
            let expected = own.solve(b).value();
            for (made, expected) in made.iter().zip(expected.iter()) {
                assert!((made - expected).abs() < 1e-14, "{made} and {expected}");
            }
        }
        // Nor for the system of the cotangents.
        let call = Backward {
            inputs: &[other, b],
            outputs: &[b],
            cotangents: &[Some(b)],
            residuals: &[factors],
            needed: &[false, true],
            tag: b.tag,
            refusal: &RefCell::default(),
        };
        let made = Solve { transposed: false, factors: None }.vjp(&call)[1].expect("it is needed");
        let expected = tape.constant(&a).matrix_transpose().solve(b).value();
        for (made, expected) in made.value().iter().zip(expected.iter()) {
            assert!((made - expected).abs() < 1e-14, "{made} and {expected}");
        }
    }
}
