//! The exponential and whole powers of a matrix.

use smallvec::smallvec;

use super::solve::Elimination;
use super::{batch, checked, each_square, of_cotangents, square};
use crate::error::expect;
use crate::kernels::{Matrix, Onto};
use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::tensor_var::{try_apply_one, try_apply_op};
use crate::{Error, Real, Shape, Tensor, TensorVar, concat};

/// `exp A`. The cotangent is the derivative of the exponential at `Aᵀ` in the direction `G`, which is the
/// upper right block of `exp [Aᵀ G; 0 Aᵀ]`.
struct Exponential;

/// The coefficients of the approximant of order 13, the last ones first in no power of the highest.
const PADE: [f64; 14] = [
    64_764_752_532_480_000.0,
    32_382_376_266_240_000.0,
    7_771_770_303_897_600.0,
    1_187_353_796_428_800.0,
    129_060_195_264_000.0,
    10_559_470_521_600.0,
    670_442_572_800.0,
    33_522_128_640.0,
    1_323_241_920.0,
    40_840_800.0,
    960_960.0,
    16_380.0,
    182.0,
    1.0,
];

/// Up to this norm the approximant has the accuracy of double precision.
const NORM: f64 = 5.371_920_351_148_152;

fn product<E: Real>(a: &[E], b: &[E], n: usize) -> Vec<E> {
    let mut out = vec![E::ZERO; n * n];
    let of = |data| Matrix { data, rows: n, columns: n, transposed: false };
    E::matmul(&mut out, of(a), of(b), Onto::Nothing);
    out
}

/// `exp A` of one matrix: N. Higham, "The scaling and squaring method for the matrix exponential revisited",
/// SIAM J. Matrix Anal. Appl. 26 (2005), algorithm 2.3 with the approximant of order 13.
fn exponential<E: Real>(a: &[E], n: usize) -> Vec<E> {
    let column = |j: usize| (0..n).map(|i| a[i * n + j].abs().to_f64()).sum::<f64>();
    let norm = (0..n).map(column).fold(0.0, f64::max);
    let squarings = (norm / NORM).log2().ceil().max(0.0);
    let scale = E::lit((-squarings).exp2());
    let a: Vec<E> = a.iter().map(|&x| x * scale).collect();
    // Numerator and denominator are V + U and V - U, with the odd powers in U and the even ones in V.
    let a2 = product(&a, &a, n);
    let a4 = product(&a2, &a2, n);
    let a6 = product(&a4, &a2, n);
    // The coefficients are taken relative to the last: single precision does not hold all of them.
    let sum = |first: usize, count: usize| -> Vec<E> {
        let terms = [&a2, &a4, &a6];
        let b = |k: usize| E::lit(PADE[k] / PADE[0]);
        let mut out = vec![E::ZERO; n * n];
        for (k, term) in terms[..count].iter().enumerate() {
            let b = b(first + 2 * k);
            out.iter_mut().zip(term.iter()).for_each(|(out, &x)| *out += b * x);
        }
        out
    };
    let with = |high: Vec<E>, low: Vec<E>, constant: f64| -> Vec<E> {
        let mut out = product(&a6, &high, n);
        out.iter_mut().zip(&low).for_each(|(out, &x)| *out += x);
        let constant = E::lit(constant / PADE[0]);
        out.iter_mut().step_by(n + 1).for_each(|x| *x += constant);
        out
    };
    let u = product(&a, &with(sum(9, 3), sum(3, 3), PADE[1]), n);
    let v = with(sum(8, 3), sum(2, 3), PADE[0]);
    let mut result: Vec<E> = v.iter().zip(&u).map(|(&v, &u)| v + u).collect();
    let denominator: Vec<E> = v.iter().zip(&u).map(|(&v, &u)| v - u).collect();
    Elimination::new(&denominator, n).solve(false, &mut result, n);
    for _ in 0..squarings as usize {
        result = product(&result, &result, n);
    }
    result
}

impl<E: Real> Op<E> for Exponential {
    fn name(&self) -> &'static str {
        "matrix_exp"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        square(inputs[0])?;
        Ok(smallvec![inputs[0].clone()])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let n = square(inputs[0].shape())?;
        each_square(&inputs[0], outputs, |_, a, out| {
            let result = exponential(a, n);
            if result.iter().any(|x| !x.is_finite()) {
                return Err(Misfit::argument("the exponential overflows"));
            }
            out.copy_from_slice(&result);
            Ok(())
        })
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let (a, g) = (call.inputs[0].matrix_transpose(), call.cotangent());
        let shape = a.shape();
        let n = shape[shape.rank() - 1];
        // The block is linear in G. A power of two, which is exact, keeps a large one from costing digits.
        let largest = g.value().iter().fold(0.0, |largest: f64, x| largest.max(x.abs().to_f64()));
        let size =
            if largest > 0.0 { largest.log2().ceil().clamp(-100.0, 100.0).exp2() } else { 1.0 };
        let zeros = call.constant(Tensor::zeros(shape));
        let top = concat(&[a, g * E::lit(1.0 / size)], -1);
        let both = concat(&[top, concat(&[zeros, a], -1)], -2);
        match try_apply_op(Exponential, &[both]) {
            Ok(block) => {
                let corner = block[0].narrow(-2, 0, n).narrow(-1, n, n);
                smallvec![Some(corner * E::lit(size))]
            }
            Err(error) => call.refuse(of_cotangents(error)),
        }
    }
}

impl<E: Real> TensorVar<E> {
    /// The exponential `I + A + A²/2 + ...` of each matrix `[.., n, n]`, by scaling and squaring (N. Higham, SIAM J.
    /// Matrix Anal. Appl. 26, 2005).
    ///
    /// The cotangent is the upper right block of the exponential of `[Aᵀ G; 0 Aᵀ]` (R. Mathias, "A chain rule
    /// for matrix functions and applications", SIAM J. Matrix Anal. Appl. 17, 1996): it needs no
    /// eigenvalues, so it is right for all matrices.
    ///
    /// ```
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let y = tape.tensor([[0.0, 2.0], [0.0, 0.0]]).matrix_exp();
    /// assert_eq!(y.value(), Tensor::from([[1.0, 2.0], [0.0, 1.0]]));
    /// ```
    ///
    /// # Panics
    /// If the matrices are not square, an element is not finite, or the exponential overflows.
    #[track_caller]
    pub fn matrix_exp(self) -> Self {
        expect(self.try_matrix_exp())
    }

    /// Like [`matrix_exp`](Self::matrix_exp), for matrices from outside.
    ///
    /// # Errors
    /// Where [`matrix_exp`](Self::matrix_exp) panics.
    #[track_caller]
    pub fn try_matrix_exp(self) -> Result<Self, Error> {
        try_apply_one(Exponential, &[self])
    }

    /// Each matrix `[.., n, n]` times itself, `exponent` factors in all: a composite of products, by repeated
    /// squaring. For an exponent of 0 it is the identity, which has no derivative by the matrix; for a
    /// negative one the power of the inverse.
    ///
    /// # Panics
    /// If the matrices are not square; for a negative exponent where [`inverse`](Self::inverse) does.
    #[track_caller]
    pub fn matrix_power(self, exponent: i32) -> Self {
        expect(self.try_matrix_power(exponent))
    }

    /// Like [`matrix_power`](Self::matrix_power), for matrices from outside.
    ///
    /// # Errors
    /// Where [`matrix_power`](Self::matrix_power) panics.
    #[track_caller]
    pub fn try_matrix_power(self, exponent: i32) -> Result<Self, Error> {
        let n = checked("matrix_power", self, square)?;
        if exponent == 0 {
            let batch = batch(&self.shape());
            let identity = Tensor::eye(n);
            let copies = identity.as_slice().repeat(batch.elements());
            return Ok(self.constant_like(Tensor::new(self.shape(), copies)));
        }
        let mut square = if exponent < 0 { self.try_inverse()? } else { self };
        let (mut left, mut power) = (exponent.unsigned_abs(), None::<TensorVar<E>>);
        loop {
            if left % 2 == 1 {
                power = Some(match power {
                    Some(power) => power.matmul(square),
                    None => square,
                });
            }
            left /= 2;
            match power {
                Some(power) if left == 0 => return Ok(power),
                _ => square = square.matmul(square),
            }
        }
    }
}
