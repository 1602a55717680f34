//! Dense layers: a matrix product with a bias.

use smallvec::smallvec;

use super::times;
use crate::error::expect;
use crate::kernels::{Matrix, Onto, sum_rows};
use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::recycle::Scratch;
use crate::tensor_var::try_apply_one;
use crate::{Error, KernelCall, Real, Shape, Tensor, TensorVar, VjpKernel};

/// `x W + b` along the last axis of `x`, all rows of which are one matrix.
///
/// With `G` the cotangent: `dx = G Wᵀ`, `dW = xᵀ G`, and `db` is the sum of the rows of `G`.
struct Dense;

/// The shape as that of a matrix: all axes but the last are rows.
fn rows_of(shape: &Shape) -> Shape {
    let last = shape.rank() - 1;
    [shape[..last].iter().product::<usize>(), shape[last]].into()
}

/// A tensor as a matrix: all axes but the last are rows.
fn as_matrix<E: Real>(x: &Tensor<E>) -> Matrix<'_, E> {
    let (&columns, lengths) = x.shape().split_last().expect("the operation has asked for an axis");
    let rows = if let [rows] = lengths { *rows } else { lengths.iter().product() };
    Matrix { data: x.as_slice(), rows, columns, transposed: false }
}

impl<E: Real> Op<E> for Dense {
    fn name(&self) -> &'static str {
        "dense"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        let [x, weight, bias] = [inputs[0], inputs[1], inputs[2]];
        let (true, &[inner, outer]) = (x.rank() > 0, &weight[..]) else {
            return Err(Misfit::shape("the input has an axis at least, and the weight two"));
        };
        if x[x.rank() - 1] != inner {
            let detail = format!("the inner lengths {} and {inner} differ", x[x.rank() - 1]);
            return Err(Misfit::shape(detail));
        }
        if bias[..] != [outer] {
            let detail = format!("the bias is not a vector of {outer}, as the weight has columns");
            return Err(Misfit::shape(detail));
        }
        let mut shape = x.clone();
        shape.set(x.rank() - 1, outer);
        Ok(smallvec![shape])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let [x, weight, bias] = [&inputs[0], &inputs[1], &inputs[2]];
        // The product is added to the bias: without a pass of its own, and without the bare product in memory.
        let onto = Onto::Row(bias.as_slice());
        E::matmul(outputs.buffer(0), as_matrix(x), as_matrix(weight), onto);
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let (x, weight, g) = (call.inputs[0], call.inputs[1], call.cotangent());
        let rows = |x: TensorVar<E>| x.reshape(rows_of(&x.shape()));
        smallvec![
            call.needs(0).then(|| times(rows(g), false, weight, true).reshape(x.shape())),
            call.needs(1).then(|| times(rows(x), true, rows(g), false)),
            call.needs(2).then(|| rows(g).sum_axes(0)),
        ]
    }
    fn kernel(&self) -> Option<&dyn VjpKernel<E>> {
        Some(self)
    }
}

impl<E: Real> VjpKernel<E> for Dense {
    fn run(&self, call: &mut KernelCall<'_, E>) {
        let (inputs, g) = (call.inputs, as_matrix(call.cotangent()));
        let [x, weight] = [&inputs[0], &inputs[1]].map(as_matrix);
        let [for_x, for_weight, for_bias] = call.targets();
        if let Some(target) = for_bias.filter(|target| !target.buffer.is_empty()) {
            if target.add {
                let mut sums = Scratch::<E>::filled(target.buffer.len(), E::ZERO);
                sum_rows(g.data, &mut sums);
                target.buffer.iter_mut().zip(&**sums).for_each(|(slot, &sum)| *slot += sum);
            } else {
                sum_rows(g.data, target.buffer);
            }
        }
        if let Some(target) = for_weight {
            E::matmul(target.buffer, x.transpose(), g, Onto::added(target.add));
        }
        if let Some(target) = for_x {
            E::matmul(target.buffer, g, weight.transpose(), Onto::added(target.add));
        }
    }
}

impl<E: Real> TensorVar<E> {
    /// A dense (fully connected) layer: `x W + b` along the last axis of `x`, for a `weight` of shape
    /// `[in, out]` and a `bias` of shape `[out]`. The same as `x.matmul(weight) + bias`, in one pass.
    ///
    /// The weight lies as in Keras and Flax; that of PyTorch's `linear` is its transpose.
    ///
    /// ```
    /// use tape::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.constant([[1.0, 2.0], [3.0, 4.0]]);
    /// let (weight, bias) = (tape.tensor([[1.0], [10.0]]), tape.tensor([0.5]));
    /// assert_eq!(x.dense(weight, bias).value().to_vec(), [21.5, 43.5]);
    /// ```
    ///
    /// # Panics
    /// If the lengths do not fit; see [`try_dense`](Self::try_dense).
    #[track_caller]
    pub fn dense(self, weight: TensorVar<E>, bias: TensorVar<E>) -> Self {
        expect(self.try_dense(weight, bias))
    }

    /// Like [`dense`](Self::dense), for shapes from outside.
    ///
    /// # Errors
    /// If the weight is no matrix with as many rows as the last axis of `self` is long, or the bias is no
    /// vector with as many elements as the weight has columns.
    #[track_caller]
    pub fn try_dense(self, weight: TensorVar<E>, bias: TensorVar<E>) -> Result<Self, Error> {
        try_apply_one(Dense, &[self, weight, bias])
    }
}
