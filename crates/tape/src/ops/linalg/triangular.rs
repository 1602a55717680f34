//! Systems with a triangular matrix.

use smallvec::smallvec;

use super::factor::Solver;
use super::{batch, finite, matrices, matrix, of_cotangents, square, which};
use crate::error::expect;
use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::tensor_var::{try_apply_one, try_apply_op};
use crate::{Error, Real, Shape, Tensor, TensorVar};

/// Which triangle of a matrix is read; the other one is taken to be 0, and has no derivative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Triangle {
    /// The diagonal and what is below.
    Lower,
    /// The diagonal and what is above.
    Upper,
    /// What is below the diagonal, which is taken to be ones.
    UnitLower,
    /// What is above the diagonal, which is taken to be ones.
    UnitUpper,
}

impl Triangle {
    fn solver(self, transposed: bool) -> Solver {
        Solver {
            lower: matches!(self, Triangle::Lower | Triangle::UnitLower),
            unit: matches!(self, Triangle::UnitLower | Triangle::UnitUpper),
            transposed,
        }
    }
}

/// `X` with `T X = B`, where `T` is a triangle of the matrix or its transpose.
///
/// The cotangent of `B` is `H` with `Tᵀ H = G`, that of `T` is `-H Xᵀ`, cut to the triangle.
struct SolveTriangular(Solver);

/// The shape of the solutions, and the rows.
pub(super) fn solutions(a: &Shape, b: &Shape) -> Result<(Shape, usize), Misfit> {
    let n = square(a)?;
    let (rows, columns) = matrix(b)?;
    if rows != n {
        let detail = format!("{n} equations with right-hand sides of {rows} rows");
        return Err(Misfit::shape(detail));
    }
    match batch(a).broadcast(&batch(b)) {
        Some(batch) => Ok((matrices(&batch, n, columns), n)),
        None => Err(Misfit::shape("the axes before the last two do not broadcast")),
    }
}

/// Calls `f(matrix, right-hand sides in place)` for each system of a batch.
pub(super) fn for_each_system<E: Real>(
    inputs: &[Tensor<E>],
    outputs: &mut Outputs<E>,
    mut f: impl FnMut(usize, &[E], &mut [E]) -> Result<(), Misfit>,
) -> Result<(), Misfit> {
    let shape = outputs.shape(0).clone();
    let whole = batch(&shape);
    let (n, columns) = (shape[shape.rank() - 2], shape[shape.rank() - 1]);
    let strides = [0, 1].map(|k| batch(inputs[k].shape()).strides_within(&whole));
    let (a, b) = (inputs[0].as_slice(), inputs[1].as_slice());
    let out = outputs.buffer(0);
    if n * columns == 0 {
        return Ok(());
    }
    for (k, out) in out.chunks_exact_mut(n * columns).enumerate() {
        let [at_a, at_b] = [0, 1].map(|i| crate::ops::product::position(k, &whole, &strides[i]));
        out.copy_from_slice(&b[at_b * n * columns..][..n * columns]);
        f(at_a, &a[at_a * n * n..][..n * n], out)?;
    }
    Ok(())
}

impl<E: Real> Op<E> for SolveTriangular {
    fn name(&self) -> &'static str {
        "solve_triangular"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        Ok(smallvec![solutions(inputs[0], inputs[1])?.0])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        inputs.iter().try_for_each(finite)?;
        let (_, n) = solutions(inputs[0].shape(), inputs[1].shape())?;
        let count = batch(inputs[0].shape()).elements();
        let columns = outputs.shape(0)[outputs.shape(0).rank() - 1];
        for_each_system(inputs, outputs, |k, a, x| {
            let zero = |i: &usize| a[i * n + i] == E::ZERO;
            if let Some(i) = (0..n).find(zero).filter(|_| !self.0.unit) {
                let detail = format!("element {i} of the diagonal is 0: {}", which(k, count));
                return Err(Misfit::argument(format!("{detail} is singular")));
            }
            E::solve_triangular(a, n, self.0, x, columns);
            Ok(())
        })
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let (a, x) = (call.inputs[0], call.outputs[0]);
        let adjoint = Solver { transposed: !self.0.transposed, ..self.0 };
        let h = match try_apply_op(SolveTriangular(adjoint), &[a, call.cotangent()]) {
            Ok(h) => h[0],
            Err(error) => return call.refuse(of_cotangents(error)),
        };
        let for_a = || {
            let (left, right) = if self.0.transposed { (x, h) } else { (h, x) };
            let product = -left.matmul(right.matrix_transpose());
            match (self.0.lower, self.0.unit) {
                (true, unit) => product.tril(if unit { -1 } else { 0 }),
                (false, unit) => product.triu(if unit { 1 } else { 0 }),
            }
        };
        smallvec![call.needs(0).then(for_a), call.needs(1).then_some(h)]
    }
}

/// Solves with a triangle, or with its transpose.
#[track_caller]
pub(super) fn try_solve_with<E: Real>(
    a: TensorVar<E>,
    triangle: Triangle,
    transposed: bool,
    b: TensorVar<E>,
) -> Result<TensorVar<E>, Error> {
    try_apply_one(SolveTriangular(triangle.solver(transposed)), &[a, b])
}

/// Right-hand sides with an axis of columns, and whether it is new.
#[track_caller]
pub(super) fn columns<E: Real>(b: TensorVar<E>) -> (TensorVar<E>, bool) {
    let vector = b.rank() == 1;
    (if vector { b.unsqueeze(1) } else { b }, vector)
}

/// Solutions without the axis that [`columns`] has made.
#[track_caller]
pub(super) fn without_columns<E: Real>(x: TensorVar<E>, vector: bool) -> TensorVar<E> {
    if vector { x.squeeze(-1) } else { x }
}

impl<E: Real> TensorVar<E> {
    /// The solutions `X` of `A X = B`, where this is `A`, of which one triangle is read: `[.., n, n]`. `B` is
    /// `[.., n, k]`, or one vector `[n]`; the axes before broadcast.
    ///
    /// ```
    /// use tape::{Tape, Tensor, Triangle};
    ///
    /// let tape = Tape::new();
    /// let a = tape.tensor([[2.0, 9.0], [1.0, 4.0]]);
    /// let x = a.solve_triangular(tape.tensor([4.0, 6.0]), Triangle::Lower);
    /// assert_eq!(x.value(), Tensor::from([2.0, 1.0]));
    /// ```
    ///
    /// # Panics
    /// If the shapes do not fit, an element is not finite, or an element of the diagonal is 0.
    #[track_caller]
    pub fn solve_triangular(self, b: TensorVar<E>, triangle: Triangle) -> Self {
        expect(self.try_solve_triangular(b, triangle))
    }

    /// Like [`solve_triangular`](Self::solve_triangular), for matrices from outside.
    ///
    /// # Errors
    /// Where [`solve_triangular`](Self::solve_triangular) panics.
    #[track_caller]
    pub fn try_solve_triangular(self, b: TensorVar<E>, triangle: Triangle) -> Result<Self, Error> {
        let (b, vector) = columns(b);
        Ok(without_columns(try_solve_with(self, triangle, false, b)?, vector))
    }
}
