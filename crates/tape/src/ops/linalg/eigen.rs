//! Eigenvalues and eigenvectors of symmetric matrices.

use smallvec::smallvec;

use super::{batch, checked, equal_pair, finite, gaps, square, vectors};
use crate::error::expect;
use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::tensor_var::{try_apply_one, try_apply_op};
use crate::{Error, Real, Shape, Tensor, TensorVar};

/// `A = V diag(w) Vᵀ` of a symmetric matrix; outputs are `w` and `V`.
struct Eigen;

/// The eigenvalues alone: the cotangent is `V diag(g) Vᵀ`.
struct Eigenvalues;

/// Says which eigenvalues are equal, if two are.
fn equal<E: Real>(w: &Tensor<E>) -> Option<String> {
    let n = w.shape()[w.rank() - 1];
    w.as_slice().chunks_exact(n.max(1)).find_map(|w| {
        let scale = w.iter().fold(E::ZERO, |scale, x| scale.max(x.abs()));
        equal_pair(w, scale).map(|i| format!("eigenvalues {i} and {} are equal", i + 1))
    })
}

/// The decompositions of a batch of `n` by `n` matrices.
fn decompose<E: Real>(
    a: &Tensor<E>,
    n: usize,
    values: &mut [E],
    vectors: &mut [E],
) -> Result<(), Misfit> {
    finite(a)?;
    if n == 0 {
        return Ok(());
    }
    let pairs = values.chunks_exact_mut(n).zip(vectors.chunks_exact_mut(n * n));
    for ((values, vectors), a) in pairs.zip(a.as_slice().chunks_exact(n * n)) {
        E::eigh(a, n, values, vectors).map_err(Misfit::argument)?;
    }
    Ok(())
}

impl<E: Real> Op<E> for Eigen {
    fn name(&self) -> &'static str {
        "eigh"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        let n = square(inputs[0])?;
        Ok(smallvec![vectors(&batch(inputs[0]), n), inputs[0].clone()])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let n = square(inputs[0].shape())?;
        let mut buffers = outputs.buffers();
        let [values, vectors] = &mut buffers[..] else { unreachable!("two are announced") };
        decompose(&inputs[0], n, values, vectors)
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let (w, v) = (call.outputs[0], call.outputs[1]);
        if let Some(what) = equal(&w.value()) {
            return call.refuse(format!("{what}: they and their vectors have no derivative there"));
        }
        let adjoint = v.matrix_transpose();
        let mut inside = call.cotangents[0].map(|g| g.diag_embed(0));
        if let Some(g) = call.cotangents[1] {
            let turning = gaps(w, false) * adjoint.matmul(g);
            inside = Some(inside.map_or(turning, |inside| inside + turning));
        }
        smallvec![inside.map(|inside| v.matmul(inside).matmul(adjoint).symmetric_part())]
    }
}

impl<E: Real> Op<E> for Eigenvalues {
    fn name(&self) -> &'static str {
        "eigvalsh"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        let n = square(inputs[0])?;
        Ok(smallvec![vectors(&batch(inputs[0]), n)])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let n = square(inputs[0].shape())?;
        let mut unused = vec![E::ZERO; inputs[0].len()];
        decompose(&inputs[0], n, outputs.buffer(0), &mut unused)
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        if let Some(what) = equal(&call.outputs[0].value()) {
            return call.refuse(format!("{what}: they have no derivative there"));
        }
        let v = crate::apply_op(Eigen, call.inputs)[1];
        smallvec![Some(v.scale_columns(call.cotangent()).matmul(v.matrix_transpose()))]
    }
}

impl<E: Real> TensorVar<E> {
    /// The eigenvalues `w` `[.., n]`, the smallest first, and eigenvectors `V` `[.., n, n]`, in its columns, of each
    /// symmetric matrix `[.., n, n]`: `A = V diag(w) Vᵀ`. What is decomposed is the symmetric part
    /// `(A + Aᵀ) / 2`. Of each eigenvector the largest element is positive, so that it is continuous.
    ///
    /// With `F_ij = 1 / (w_j - w_i)` off the diagonal, the cotangent is the symmetric part of
    /// `V (diag(w') + F ∘ (Vᵀ V')) Vᵀ` (M. Giles, 2008, section 3.1). Where two eigenvalues are equal there is
    /// no derivative, and a sweep that needs it ends with an error: for a smooth function of the matrix,
    /// such as the exponential, use one that does not go through its eigenvalues.
    ///
    /// ```
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let (w, v) = tape.tensor([[3.0, 0.0], [0.0, 2.0]]).eigh();
    /// assert_eq!(w.value(), Tensor::from([2.0, 3.0]));
    /// assert_eq!(v.value(), Tensor::from([[0.0, 1.0], [1.0, 0.0]]));
    /// ```
    ///
    /// # Panics
    /// If the matrices are not square, or an element is not finite.
    #[track_caller]
    pub fn eigh(self) -> (Self, Self) {
        expect(self.try_eigh())
    }

    /// Like [`eigh`](Self::eigh), for matrices from outside.
    ///
    /// # Errors
    /// Where [`eigh`](Self::eigh) panics.
    #[track_caller]
    pub fn try_eigh(self) -> Result<(Self, Self), Error> {
        checked("eigh", self, square)?;
        let outputs = try_apply_op(Eigen, &[self.symmetric_part()])?;
        Ok((outputs[0], outputs[1]))
    }

    /// The eigenvalues of each symmetric matrix `[.., n, n]`, the smallest first; see [`eigh`](Self::eigh).
    ///
    /// # Panics
    /// As [`eigh`](Self::eigh).
    #[track_caller]
    pub fn eigvalsh(self) -> Self {
        expect(self.try_eigvalsh())
    }

    /// Like [`eigvalsh`](Self::eigvalsh), for matrices from outside.
    ///
    /// # Errors
    /// Where [`eigh`](Self::eigh) panics.
    #[track_caller]
    pub fn try_eigvalsh(self) -> Result<Self, Error> {
        checked("eigvalsh", self, square)?;
        try_apply_one(Eigenvalues, &[self.symmetric_part()])
    }
}
