//! Determinants and their logarithms.

use smallvec::smallvec;

use super::solve::{Elimination, rounding};
use super::{batch, checked, finite, of_cotangents, reason, square, which};
use crate::error::expect;
use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::tensor_var::try_apply_op;
use crate::{Error, Real, Shape, Tensor, TensorVar, stack};

/// By how much smaller than the largest a singular value may be before the derivative is not taken by the
/// inverse: there, terms as large as one over it cancel in the second derivative, and with them as many
/// digits.
fn well<E: Real>() -> E {
    E::EPSILON.powf(E::lit(0.375))
}

/// Whether one over the condition of a matrix, of which there is the elimination, is above a bound. It
/// is measured in the elements as they are: the derivative by a small element, which scaling would make
/// harmless, is compared with the others.
fn is_well_conditioned<E: Real>(a: &[E], n: usize, elimination: &Elimination<E>) -> bool {
    if elimination.share() <= rounding() {
        return false;
    }
    let mut inverse = vec![E::ZERO; n * n];
    inverse.iter_mut().step_by(n + 1).for_each(|x| *x = E::ONE);
    elimination.solve(false, &mut inverse, n);
    let norm = |x: &[E]| x.iter().fold(E::ZERO, |norm, &x| norm.hypot(x));
    norm(a) * norm(&inverse) * well::<E>() < E::ONE
}

/// `det A` of matrices far from singular, or of any if `any`: the cotangent is `g det(A) A⁻ᵀ`.
struct Determinant {
    any: bool,
}

impl<E: Real> Op<E> for Determinant {
    fn name(&self) -> &'static str {
        "det"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        square(inputs[0])?;
        Ok(smallvec![batch(inputs[0])])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let n = square(inputs[0].shape())?;
        let out = outputs.buffer(0);
        for (k, out) in out.iter_mut().enumerate() {
            let a = &inputs[0].as_slice()[k * n * n..][..n * n];
            let elimination = Elimination::new(a, n);
            if !self.any && !is_well_conditioned(a, n, &elimination) {
                return Err(Misfit::argument("near a singular matrix"));
            }
            *out = elimination.determinant();
        }
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let factor = (call.cotangent() * call.outputs[0]).unsqueeze(-1).unsqueeze(-1);
        match call.inputs[0].try_inverse() {
            Ok(inverse) => smallvec![Some(factor * inverse.matrix_transpose())],
            Err(error) => call.refuse(of_cotangents(error)),
        }
    }
}

/// The sign of the determinant and the logarithm of its size: the cotangent is `g A⁻ᵀ`.
struct LogDeterminant(&'static str);

impl<E: Real> Op<E> for LogDeterminant {
    fn name(&self) -> &'static str {
        self.0
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        square(inputs[0])?;
        Ok(smallvec![batch(inputs[0]); 2])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        finite(&inputs[0])?;
        let n = square(inputs[0].shape())?;
        let mut buffers = outputs.buffers();
        let count = buffers[0].len();
        for k in 0..count {
            let a = &inputs[0].as_slice()[k * n * n..][..n * n];
            let (sign, log) = Elimination::new(a, n).regular(k, count)?.log_determinant();
            if self.0 == "logdet" && sign < E::ZERO {
                let which = which(k, count);
                return Err(Misfit::argument(format!("the determinant of {which} is negative")));
            }
            (buffers[0][k], buffers[1][k]) = (sign, log);
        }
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        // The sign is locally constant.
        let Some(g) = call.cotangents[1] else { return smallvec![None] };
        let inverse = call.inputs[0].inverse();
        smallvec![Some(g.unsqueeze(-1).unsqueeze(-1) * inverse.matrix_transpose())]
    }
}

/// The determinant of one matrix that is near a singular one, as a polynomial in its elements.
///
/// With constant orthogonal matrices, `det A = ± det(Uᵀ A V)`; with those of the singular value
/// decomposition the upper left block `B` of the product has the large singular values and is far from
/// singular, so `det A = ± det B det(D - C B⁻¹ E)` holds, with all its derivatives, for all matrices near
/// this one.
#[track_caller]
fn near_singular<E: Real>(a: TensorVar<E>) -> TensorVar<E> {
    let n = a.shape()[0];
    if n == 1 {
        return a.reshape(Shape::scalar());
    }
    let value = a.value();
    let zeros = |len| vec![E::ZERO; len];
    let (mut u, mut s, mut vt) = (zeros(n * n), zeros(n), zeros(n * n));
    if let Err(detail) = E::svd(value.as_slice(), [n, n], &mut u, &mut s, &mut vt) {
        panic!("{}", Error::argument("det", detail));
    }
    if s[0] == E::ZERO {
        return by_powers(a);
    }
    let large = s.iter().filter(|&&x| x > well::<E>() * s[0]).count();
    if large == n {
        return crate::apply_op(Determinant { any: true }, &[a])[0];
    }
    let sign = Elimination::new(&u, n).determinant() * Elimination::new(&vt, n).determinant();
    let sign = if sign < E::ZERO { -E::ONE } else { E::ONE };
    let (u, vt) = (Tensor::new([n, n], u), Tensor::new([n, n], vt));
    let turned = a.constant_like(u).t().matmul(a).matmul(a.constant_like(vt).t());
    let (top, below) = (turned.narrow(0, 0, large), turned.narrow(0, large, n - large));
    let (block, right) = (top.narrow(1, 0, large), top.narrow(1, large, n - large));
    let (left, corner) = (below.narrow(1, 0, large), below.narrow(1, large, n - large));
    let rest = corner - left.matmul(block.solve(right));
    let of_block = crate::apply_op(Determinant { any: true }, &[block])[0];
    of_block * near_singular(rest) * sign
}

/// The determinant of one matrix.
#[track_caller]
fn one<E: Real>(a: TensorVar<E>) -> TensorVar<E> {
    if let Ok(determinant) = try_apply_op(Determinant { any: false }, &[a]) {
        return determinant[0];
    }
    let near = near_singular(a);
    // The value of the elimination, which is often exactly 0, with the derivatives of the other.
    let value = Elimination::new(a.value().as_slice(), a.shape()[0]).determinant();
    near + (value - near.item())
}

/// The determinant of a matrix whose elements are all 0, by a formula without a division by them (U. Le
/// Verrier and D. Faddeev): it has derivatives of any order.
#[track_caller]
fn by_powers<E: Real>(a: TensorVar<E>) -> TensorVar<E> {
    let n = a.shape()[0];
    let identity = a.constant_like(Tensor::eye(n));
    let (mut power, mut coefficient) = (a, -a.trace());
    for k in 2..=n {
        power = a.matmul(power + coefficient * identity);
        coefficient = power.trace() * E::lit(-1.0 / k as f64);
    }
    if n.is_multiple_of(2) { coefficient } else { -coefficient }
}

impl<E: Real> TensorVar<E> {
    /// The determinant of each matrix `[.., n, n]`; 1 for `n = 0`.
    ///
    /// The cotangent is `g det(A) A⁻ᵀ`, the matrix of the cofactors, which exists at every matrix. So do all
    /// further derivatives, which are also right at singular matrices and near them.
    ///
    /// ```
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// assert_eq!(tape.tensor([[1.0, 2.0], [2.0, 4.0]]).det().item(), 0.0);
    /// ```
    ///
    /// # Panics
    /// If the matrices are not square, or an element is not finite.
    #[track_caller]
    pub fn det(self) -> Self {
        expect(self.try_det())
    }

    /// Like [`det`](Self::det), for matrices from outside.
    ///
    /// # Errors
    /// Where [`det`](Self::det) panics.
    #[track_caller]
    pub fn try_det(self) -> Result<Self, Error> {
        let n = checked("det", self, square)?;
        if let Err(misfit) = finite(&self.value()) {
            return Err(Error::argument("det", reason(misfit)));
        }
        let shape = self.shape();
        let batch = batch(&shape);
        if n == 1 {
            return Ok(self.reshape(batch));
        }
        match try_apply_op(Determinant { any: false }, &[self]) {
            Ok(determinant) => Ok(determinant[0]),
            Err(_) => {
                let flat = self.reshape([batch.elements(), n, n]);
                let mut each = Vec::new();
                for matrix in flat.unbind(0) {
                    each.push(one(matrix));
                }
                Ok(stack(&each, 0).reshape(batch))
            }
        }
    }

    /// The sign of the determinant of each matrix `[.., n, n]`, which is a constant, and the logarithm of its
    /// size, which neither overflows nor underflows.
    ///
    /// The cotangent is `g A⁻ᵀ`. (PyTorch gives -∞ for a singular matrix; here it is refused.)
    ///
    /// # Panics
    /// If the matrices are not square, an element is not finite, or a matrix is singular.
    #[track_caller]
    pub fn slogdet(self) -> (Self, Self) {
        expect(self.try_slogdet())
    }

    /// Like [`slogdet`](Self::slogdet), for matrices from outside.
    ///
    /// # Errors
    /// Where [`slogdet`](Self::slogdet) panics.
    #[track_caller]
    pub fn try_slogdet(self) -> Result<(Self, Self), Error> {
        let outputs = try_apply_op(LogDeterminant("slogdet"), &[self])?;
        Ok((outputs[0], outputs[1]))
    }

    /// The logarithm of the determinant of each matrix `[.., n, n]`. (PyTorch gives NaN for a negative
    /// determinant; here it is refused.)
    ///
    /// # Panics
    /// As [`slogdet`](Self::slogdet), and if a determinant is negative.
    #[track_caller]
    pub fn logdet(self) -> Self {
        expect(self.try_logdet())
    }

    /// Like [`logdet`](Self::logdet), for matrices from outside.
    ///
    /// # Errors
    /// Where [`logdet`](Self::logdet) panics.
    #[track_caller]
    pub fn try_logdet(self) -> Result<Self, Error> {
        Ok(try_apply_op(LogDeterminant("logdet"), &[self])?[1])
    }
}
