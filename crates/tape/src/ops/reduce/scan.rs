//! Cumulative reductions along an axis.

use smallvec::smallvec;

use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::{Real, Shape, Tensor, TensorVar, concat};

/// `y[k]` is the sum of `x[..=k]`, or of `x[k..]` if it is backward: each is the transpose of the other.
struct CumulativeSum {
    axis: usize,
    backward: bool,
}

impl<E: Real> Op<E> for CumulativeSum {
    fn name(&self) -> &'static str {
        "cumsum"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        Ok(smallvec![inputs[0].clone()])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let shape = inputs[0].shape();
        let (len, stride) = (shape[self.axis], shape[self.axis + 1..].iter().product::<usize>());
        let y = outputs.buffer(0);
        y.copy_from_slice(inputs[0].as_slice());
        let block = len * stride;
        if block == 0 {
            return Ok(());
        }
        for y in y.chunks_exact_mut(block) {
            for k in 1..len {
                // From the row before, or from the row behind.
                let (to, from) = if self.backward { (len - 1 - k, len - k) } else { (k, k - 1) };
                for i in 0..stride {
                    let more = y[from * stride + i];
                    y[to * stride + i] += more;
                }
            }
        }
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let op = CumulativeSum { axis: self.axis, backward: !self.backward };
        smallvec![Some(call.cotangent().apply_op(op))]
    }
}

impl<E: Real> TensorVar<E> {
    /// The cumulative sums along an axis.
    ///
    /// ```
    /// use tape::Tape;
    ///
    /// let tape = Tape::new();
    /// assert_eq!(tape.tensor([1.0, 2.0, 3.0]).cumsum(0).value().to_vec(), [1.0, 3.0, 6.0]);
    /// ```
    ///
    /// # Panics
    /// If the axis does not exist.
    #[track_caller]
    pub fn cumsum(self, axis: isize) -> Self {
        let axis = self.axis("cumsum", axis);
        self.apply_op(CumulativeSum { axis, backward: false })
    }

    /// The cumulative products along an axis. The derivative is right at zeros, too.
    ///
    /// # Panics
    /// If the axis does not exist.
    #[track_caller]
    pub fn cumprod(self, axis: isize) -> Self {
        let axis = self.axis("cumprod", axis);
        self.scan(axis, |a, b| a * b)
    }

    /// The logarithms of the cumulative sums of the exponentials along an axis, without overflow.
    ///
    /// # Panics
    /// If the axis does not exist.
    #[track_caller]
    pub fn logcumsumexp(self, axis: isize) -> Self {
        let axis = self.axis("logcumsumexp", axis);
        self.scan(axis, |a, b| a.logaddexp(b))
    }

    /// Combines each element with all before it, in a number of steps that grows as the logarithm of the length (Hillis and
    /// Steele 1986, "Data parallel algorithms"): no derivative needs a quotient.
    #[track_caller]
    fn scan(self, axis: usize, combine: impl Fn(Self, Self) -> Self) -> Self {
        let len = self.shape()[axis];
        let k = axis as isize;
        let (mut y, mut step) = (self, 1);
        while step < len {
            let rest = combine(y.narrow(k, step, len - step), y.narrow(k, 0, len - step));
            y = concat(&[y.narrow(k, 0, step), rest], k);
            step *= 2;
        }
        y
    }
}
