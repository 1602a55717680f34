//! Matrix products.

#[cfg(feature = "cases")]
pub(crate) mod cases;
mod dense;

use smallvec::{SmallVec, smallvec};

use crate::error::expect;
use crate::kernels::{Matrix, Onto, PIECE};
use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::tensor_var::try_apply_one;
use crate::{Error, KernelCall, Real, Shape, Target, Tensor, TensorVar, VjpKernel};

/// The products of the matrices in the last two axes of `a` and `b`, each of which may be taken
/// transposed; the axes before broadcast.
///
/// With `A` and `B` the matrices as they are multiplied, `Y = A B`: the cotangents are `G Bᵀ` and
/// `Aᵀ G`, so all four combinations of transposes are derivatives of each other.
struct MatMul {
    transpose_a: bool,
    transpose_b: bool,
}

/// Rows and columns of the matrix in the last two axes.
fn matrix(shape: &Shape, transposed: bool) -> (usize, usize) {
    let (rows, columns) = (shape[shape.rank() - 2], shape[shape.rank() - 1]);
    if transposed { (columns, rows) } else { (rows, columns) }
}

fn batch(shape: &Shape) -> Shape {
    shape[..shape.rank() - 2].into()
}

#[track_caller]
fn times<E: Real>(
    a: TensorVar<E>,
    transpose_a: bool,
    b: TensorVar<E>,
    transpose_b: bool,
) -> TensorVar<E> {
    crate::apply_op(MatMul { transpose_a, transpose_b }, &[a, b])[0]
}

impl<E: Real> Op<E> for MatMul {
    fn name(&self) -> &'static str {
        "matmul"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        let (rows, inner_a) = matrix(inputs[0], self.transpose_a);
        let (inner_b, columns) = matrix(inputs[1], self.transpose_b);
        if inner_a != inner_b {
            let detail = format!("the inner lengths {inner_a} and {inner_b} differ");
            return Err(Misfit::shape(detail));
        }
        let Some(mut shape) = batch(inputs[0]).broadcast(&batch(inputs[1])) else {
            return Err(Misfit::shape("the axes before the last two do not broadcast"));
        };
        shape.push(rows);
        shape.push(columns);
        Ok(smallvec![shape])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let shape = outputs.shape(0).clone();
        let target = Target { buffer: outputs.buffer(0), add: false };
        let (a, b) = ((&inputs[0], self.transpose_a), (&inputs[1], self.transpose_b));
        products(target, &shape, a, b);
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let (a, b, g) = (call.inputs[0], call.inputs[1], call.cotangent());
        let (ta, tb) = (self.transpose_a, self.transpose_b);
        let for_a = || {
            if ta { times(b, tb, g, true) } else { times(g, false, b, !tb) }
        };
        let for_b = || {
            if tb { times(g, true, a, ta) } else { times(a, !ta, g, false) }
        };
        smallvec![call.needs(0).then(for_a), call.needs(1).then(for_b)]
    }
    fn kernel(&self) -> Option<&dyn VjpKernel<E>> {
        Some(self)
    }
}

impl<E: Real> VjpKernel<E> for MatMul {
    fn run(&self, call: &mut KernelCall<'_, E>) {
        let (inputs, g) = (call.inputs, call.cotangent());
        let (ta, tb) = (self.transpose_a, self.transpose_b);
        let [for_a, for_b] = call.targets();
        if let Some(target) = for_a {
            let shape = inputs[0].shape();
            match ta {
                true => products(target, shape, (&inputs[1], tb), (g, true)),
                false => products(target, shape, (g, false), (&inputs[1], !tb)),
            }
        }
        if let Some(target) = for_b {
            let shape = inputs[1].shape();
            match tb {
                true => products(target, shape, (g, true), (&inputs[0], ta)),
                false => products(target, shape, (&inputs[0], !ta), (g, false)),
            }
        }
    }
}

/// The products of matrices, which may be taken transposed, over the axes before the last two, which
/// broadcast; summed over those batch axes along which the result does not extend.
fn products<E: Real>(
    target: Target<'_, E>,
    shape: &Shape,
    (a, transpose_a): (&Tensor<E>, bool),
    (b, transpose_b): (&Tensor<E>, bool),
) {
    let (rows, inner) = matrix(a.shape(), transpose_a);
    let (_, columns) = matrix(b.shape(), transpose_b);
    if a.rank() == 2 && b.rank() == 2 {
        let a = Matrix { data: a.as_slice(), rows, columns: inner, transposed: transpose_a };
        let b = Matrix { data: b.as_slice(), rows: inner, columns, transposed: transpose_b };
        return E::matmul(target.buffer, a, b, Onto::added(target.add));
    }
    let batches = [batch(a.shape()), batch(b.shape()), batch(shape)];
    let both = batches[0].broadcast(&batches[1]).and_then(|both| both.broadcast(&batches[2]));
    let whole = both.expect("the operation has inferred that the batch axes broadcast");
    let out = target.buffer;
    if !target.add && (inner == 0 || whole.elements() == 0) {
        out.fill(E::ZERO);
    }
    if out.is_empty() || inner == 0 {
        return;
    }
    let strides = batches.each_ref().map(|batch| batch.strides_within(&whole));
    let (a, b) = (a.as_slice(), b.as_slice());
    let multiply = |k: usize, out: &mut [E], add: bool| {
        let [at_a, at_b] = [0, 1].map(|i| position(k, &whole, &strides[i]));
        let a = &a[at_a * rows * inner..][..rows * inner];
        let b = &b[at_b * inner * columns..][..inner * columns];
        let a = Matrix { data: a, rows, columns: inner, transposed: transpose_a };
        let b = Matrix { data: b, rows: inner, columns, transposed: transpose_b };
        E::matmul(out, a, b, Onto::added(add));
    };
    if batches[2].elements() == whole.elements() {
        // Each product has a matrix of its own, so threads may share them. Where one is worth several
        // pieces, it is cut itself.
        let (size, work) = (rows * columns, rows * inner * columns);
        let per_block = if work < 2 * PIECE { (PIECE / work).max(1) } else { whole.elements() };
        crate::threads::for_each_block(out, per_block * size, |block, out| {
            for (k, out) in out.chunks_exact_mut(size).enumerate() {
                multiply(block * per_block + k, out, target.add);
            }
        });
        return;
    }
    // The first product that goes to a matrix replaces what is there, unless that is a sum already.
    let mut written: SmallVec<[bool; 64]> = smallvec![target.add; batches[2].elements()];
    for k in 0..whole.elements() {
        let at = position(k, &whole, &strides[2]);
        let add = std::mem::replace(&mut written[at], true);
        multiply(k, &mut out[at * rows * columns..][..rows * columns], add);
    }
}

/// The position in a tensor with these strides of the `k`th index of `shape`, in row-major order.
pub(super) fn position(k: usize, shape: &Shape, strides: &[usize]) -> usize {
    let (mut rest, mut at) = (k, 0);
    for axis in (0..shape.rank()).rev() {
        at += rest % shape[axis] * strides[axis];
        rest /= shape[axis];
    }
    at
}

impl<E: Real> TensorVar<E> {
    /// The matrix product, by numpy's rule: the product of the matrices in the last two axes, where
    /// the axes before broadcast. A vector on the left is a row, one on the right is a column, and
    /// its axis does not appear in the result.
    ///
    /// # Panics
    /// If the inner lengths differ, the batch axes do not broadcast, or an operand has rank 0.
    #[track_caller]
    pub fn matmul(self, other: TensorVar<E>) -> Self {
        expect(self.try_matmul(other))
    }

    /// Like [`matmul`](Self::matmul), for shapes from outside.
    ///
    /// # Errors
    /// If the shapes do not fit.
    #[track_caller]
    pub fn try_matmul(self, other: TensorVar<E>) -> Result<Self, Error> {
        let (left, right) = (self.shape(), other.shape());
        if left.rank() == 0 || right.rank() == 0 {
            let detail = "a tensor of rank 0 has no rows; multiply by `*`".to_owned();
            return Err(Error::shape("matmul", &[&left, &right], detail));
        }
        let inner_right = right[right.rank().saturating_sub(2)];
        if left[left.rank() - 1] != inner_right {
            let detail =
                format!("the inner lengths {} and {inner_right} differ", left[left.rank() - 1]);
            return Err(Error::shape("matmul", &[&left, &right], detail));
        }
        let a = if left.rank() == 1 { self.unsqueeze(0) } else { self };
        let b = if right.rank() == 1 { other.unsqueeze(1) } else { other };
        let op = MatMul { transpose_a: false, transpose_b: false };
        let product = if a.rank() > 2 && b.rank() == 2 {
            // One matrix for the whole batch: one product of many rows.
            let mut shape = a.shape();
            let inner = shape[shape.rank() - 1];
            let rows = shape[..shape.rank() - 1].iter().product::<usize>();
            let flat = try_apply_one(op, &[a.reshape([rows, inner]), b])?;
            shape.set(shape.rank() - 1, flat.shape()[1]);
            flat.reshape(shape)
        } else {
            try_apply_one(op, &[a, b])?
        };
        // The axes that the vectors were given go again.
        let product = if right.rank() == 1 { product.squeeze(-1) } else { product };
        Ok(match (left.rank(), right.rank()) {
            (1, 1) => product.squeeze(-1),
            (1, _) => product.squeeze(-2),
            _ => product,
        })
    }
}
