//! Singular values and vectors, and the norms that are made of singular values.

use smallvec::smallvec;

use super::{batch, equal_pair, finite, gaps, matrices, matrix, vectors};
use crate::error::expect;
use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::tensor_var::{try_apply_one, try_apply_op};
use crate::{Error, Real, Shape, Tensor, TensorVar};

/// Singular values up to this part of the largest are 0.
fn tolerance<E: Real>(m: usize, n: usize) -> E {
    E::lit(8.0 * m.max(n) as f64) * E::EPSILON
}

/// Calls `f` with the singular values of each matrix until it says something.
fn find<E: Real, R>(s: &Tensor<E>, f: impl FnMut(&[E]) -> Option<R>) -> Option<R> {
    let k = s.shape()[s.rank() - 1];
    s.as_slice().chunks_exact(k.max(1)).find_map(f)
}

/// `A = U diag(s) Vᵀ`; outputs are `U`, `s` and `Vᵀ`.
struct Svd;

impl<E: Real> Op<E> for Svd {
    fn name(&self) -> &'static str {
        "svd"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        let (m, n) = matrix(inputs[0])?;
        let (batch, k) = (batch(inputs[0]), m.min(n));
        Ok(smallvec![matrices(&batch, m, k), vectors(&batch, k), matrices(&batch, k, n)])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        finite(&inputs[0])?;
        let (m, n) = matrix(inputs[0].shape())?;
        let k = m.min(n);
        let mut buffers = outputs.buffers();
        if k == 0 {
            return Ok(());
        }
        let [u, s, vt] = &mut buffers[..] else { unreachable!("three outputs are announced") };
        let factors = u.chunks_exact_mut(m * k).zip(s.chunks_exact_mut(k));
        let factors = factors.zip(vt.chunks_exact_mut(k * n));
        for (((u, s), vt), a) in factors.zip(inputs[0].as_slice().chunks_exact(m * n)) {
            E::svd(a, [m, n], u, s, vt).map_err(Misfit::argument)?;
        }
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let [u, s, vt] = *call.outputs else { unreachable!("three outputs are announced") };
        let [gu, gs, gvt] = *call.cotangents else { unreachable!("three outputs are announced") };
        let shape = call.inputs[0].shape();
        let (m, n) = (shape[shape.rank() - 2], shape[shape.rank() - 1]);
        let mut sum = gs.map(|gs| u.scale_columns(gs).matmul(vt));
        let mut add = |term: TensorVar<E>| sum = Some(sum.map_or(term, |sum| sum + term));
        if gu.is_some() || gvt.is_some() {
            let values = s.value();
            let refused = find(&values, |s| {
                let zero = s.last().is_some_and(|&last| last <= tolerance::<E>(m, n) * s[0]);
                match equal_pair(s, s[0]) {
                    _ if zero => Some("a singular value is 0".to_owned()),
                    Some(i) => Some(format!("singular values {i} and {} are equal", i + 1)),
                    None => None,
                }
            });
            if let Some(what) = refused {
                return call.refuse(format!("{what}: the vectors have no derivative there"));
            }
            let f = gaps(s, true);
            let antisymmetric = |x: TensorVar<E>| x - x.matrix_transpose();
            if let Some(gu) = gu {
                let inside = (f * antisymmetric(u.matrix_transpose().matmul(gu))).scale_columns(s);
                add(u.matmul(inside).matmul(vt));
                if m > n {
                    let scaled = gu.scale_columns(s.recip());
                    let outside = scaled - u.matmul(u.matrix_transpose().matmul(scaled));
                    add(outside.matmul(vt));
                }
            }
            if let Some(gvt) = gvt {
                let v = vt.matrix_transpose();
                let turned = antisymmetric(vt.matmul(gvt.matrix_transpose()));
                add(u.matmul((f * turned).scale_rows(s)).matmul(vt));
                if n > m {
                    let scaled = gvt.scale_rows(s.recip());
                    let outside = scaled - scaled.matmul(v).matmul(vt);
                    add(u.matmul(outside));
                }
            }
        }
        smallvec![sum]
    }
}

/// What is made of the singular values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// All of them, the largest first.
    Each,
    /// Their sum.
    Sum,
    /// The largest one.
    Largest,
}

/// Singular values without vectors: the cotangent is `U diag(g) Vᵀ`, where `g` is 0 for singular values
/// that are 0.
struct Singular {
    name: &'static str,
    of: Of,
}

impl<E: Real> Op<E> for Singular {
    fn name(&self) -> &'static str {
        self.name
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        let (m, n) = matrix(inputs[0])?;
        if self.of == Of::Largest && m.min(n) == 0 {
            return Err(Misfit::shape("matrices without elements have no largest singular value"));
        }
        let batch = batch(inputs[0]);
        Ok(smallvec![if self.of == Of::Each { vectors(&batch, m.min(n)) } else { batch }])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        finite(&inputs[0])?;
        let (m, n) = matrix(inputs[0].shape())?;
        let k = m.min(n);
        let out = outputs.buffer(0);
        out.fill(E::ZERO);
        if k == 0 {
            return Ok(());
        }
        let (mut u, mut s, mut vt) = (vec![E::ZERO; m * k], vec![E::ZERO; k], vec![E::ZERO; k * n]);
        let width = if self.of == Of::Each { k } else { 1 };
        let matrices = inputs[0].as_slice().chunks_exact(m * n);
        for (out, a) in out.chunks_exact_mut(width).zip(matrices) {
            E::svd(a, [m, n], &mut u, &mut s, &mut vt).map_err(Misfit::argument)?;
            match self.of {
                Of::Each => out.copy_from_slice(&s),
                Of::Sum => out[0] = s.iter().copied().sum(),
                Of::Largest => out[0] = s[0],
            }
        }
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let a = call.inputs[0];
        let (u, s, vt) = a.svd();
        let shape = a.shape();
        let least = tolerance::<E>(shape[shape.rank() - 2], shape[shape.rank() - 1]);
        let values = s.value();
        let refused = find(&values, |s| {
            let positive = s.iter().take_while(|&&x| x > least * s[0]).count();
            let compared = match self.of {
                Of::Each => positive,
                Of::Sum => 0,
                Of::Largest => positive.min(2),
            };
            equal_pair(&s[..compared], s[0])
        });
        if let Some(i) = refused {
            let detail = format!("singular values {i} and {} are equal", i + 1);
            return call.refuse(format!("{detail}: they have no derivative there"));
        }
        let k = values.shape()[values.rank() - 1];
        let mut weights = Tensor::zeros(values.shape());
        let pairs = weights.as_mut_slice().chunks_exact_mut(k.max(1));
        for (weights, s) in pairs.zip(values.as_slice().chunks_exact(k.max(1))) {
            for (i, weight) in weights.iter_mut().enumerate() {
                let counts = s[i] > least * s[0] && (self.of != Of::Largest || i == 0);
                *weight = if counts { E::ONE } else { E::ZERO };
            }
        }
        let g = call.cotangent();
        let g = if self.of == Of::Each { g } else { g.unsqueeze(-1) };
        smallvec![Some(u.scale_columns(call.constant(weights) * g).matmul(vt))]
    }
}

impl<E: Real> TensorVar<E> {
    /// The decomposition `A = U diag(s) Vᵀ` of each matrix `[.., m, n]` into `U` `[.., m, k]` with orthonormal
    /// columns, singular values `s` `[.., k]`, the largest first, and `Vᵀ` `[.., k, n]`, where `k` is the smaller
    /// of `m` and `n` (PyTorch's with `full_matrices=False`). Of each column of `U` the largest element is
    /// positive, so that the vectors are continuous.
    ///
    /// With `F_ij = 1 / (s_j² - s_i²)` off the diagonal and cotangents marked by a prime, that of `A` is
    /// `U (F ∘ (Uᵀ U' - U'ᵀ U) S + S F ∘ (Vᵀ V' - V'ᵀ V) + diag s') Vᵀ + (I - U Uᵀ) U' S⁻¹ Vᵀ + U S⁻¹ V'ᵀ (I - V Vᵀ)`
    /// (J. Townsend, "Differentiating the singular value decomposition", 2016). Where two singular values are
    /// equal, or one is 0, the vectors have no derivative; a sweep that needs it ends with an error.
    ///
    /// ```
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let (u, s, vt) = tape.tensor([[0.0, 2.0], [-3.0, 0.0]]).svd();
    /// assert!((s.value()[[0]] - 3.0).abs() < 1e-14);
    /// assert!((u.value()[[1, 0]] - 1.0).abs() < 1e-14);
    /// assert!((vt.value()[[0, 0]] + 1.0).abs() < 1e-14);
    /// ```
    ///
    /// # Panics
    /// If the rank is below 2, or an element is not finite.
    #[track_caller]
    pub fn svd(self) -> (Self, Self, Self) {
        expect(self.try_svd())
    }

    /// Like [`svd`](Self::svd), for matrices from outside.
    ///
    /// # Errors
    /// Where [`svd`](Self::svd) panics.
    #[track_caller]
    pub fn try_svd(self) -> Result<(Self, Self, Self), Error> {
        let outputs = try_apply_op(Svd, &[self])?;
        Ok((outputs[0], outputs[1], outputs[2]))
    }

    /// The singular values of each matrix `[.., m, n]`, the largest first: `[.., k]`, where `k` is the smaller of
    /// `m` and `n`.
    ///
    /// The cotangent is `U diag(g) Vᵀ`. A singular value that is 0 passes nothing on, as `abs` at 0; where two
    /// others are equal there is no derivative, and a sweep that needs it ends with an error.
    ///
    /// # Panics
    /// If the rank is below 2, or an element is not finite.
    #[track_caller]
    pub fn svdvals(self) -> Self {
        expect(self.try_svdvals())
    }

    /// Like [`svdvals`](Self::svdvals), for matrices from outside.
    ///
    /// # Errors
    /// Where [`svdvals`](Self::svdvals) panics.
    #[track_caller]
    pub fn try_svdvals(self) -> Result<Self, Error> {
        try_apply_one(Singular { name: "svdvals", of: Of::Each }, &[self])
    }

    /// The sum of the singular values of each matrix `[.., m, n]`.
    ///
    /// The derivative is `U Vᵀ`, without the vectors of singular values that are 0: so it is 0 for a matrix
    /// of zeros. A second derivative exists where singular values are positive, and is computed where
    /// they differ too; elsewhere the sweep ends with an error.
    ///
    /// # Panics
    /// If the rank is below 2, or an element is not finite.
    #[track_caller]
    pub fn nuclear_norm(self) -> Self {
        expect(self.try_nuclear_norm())
    }

    /// Like [`nuclear_norm`](Self::nuclear_norm), for matrices from outside.
    ///
    /// # Errors
    /// Where [`nuclear_norm`](Self::nuclear_norm) panics.
    #[track_caller]
    pub fn try_nuclear_norm(self) -> Result<Self, Error> {
        try_apply_one(Singular { name: "nuclear_norm", of: Of::Sum }, &[self])
    }

    /// The largest singular value of each matrix `[.., m, n]`: by how much it lengthens a vector at most.
    ///
    /// The derivative is `u vᵀ` of its vectors, and 0 for a matrix of zeros. Where the second singular value
    /// is equal there is none, and a sweep that needs it ends with an error.
    ///
    /// # Panics
    /// If the rank is below 2, the matrices have no elements, or an element is not finite.
    #[track_caller]
    pub fn spectral_norm(self) -> Self {
        expect(self.try_spectral_norm())
    }

    /// Like [`spectral_norm`](Self::spectral_norm), for matrices from outside.
    ///
    /// # Errors
    /// Where [`spectral_norm`](Self::spectral_norm) panics.
    #[track_caller]
    pub fn try_spectral_norm(self) -> Result<Self, Error> {
        try_apply_one(Singular { name: "spectral_norm", of: Of::Largest }, &[self])
    }
}
