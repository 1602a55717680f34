//! Functions of several tensors of which none comes first, and rules and operations of the caller, on plain
//! tensors.

use std::borrow::Borrow;

use smallvec::SmallVec;

use super::Tensor;
use super::side_tape::{Operand, SideTape};
use crate::error::expect;
use crate::{Attention, Binary, Error, Op, Real, Shape, TensorVar, Ternary, Unary};

impl<E: Real> Tensor<E> {
    /// [`concat`](crate::concat()) without a tape.
    #[track_caller]
    pub fn concat(tensors: &[impl Borrow<Tensor<E>>], axis: isize) -> Tensor<E> {
        expect(Self::try_concat(tensors, axis))
    }

    /// [`try_concat`](crate::try_concat) without a tape.
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn try_concat(tensors: &[impl Borrow<Tensor<E>>], axis: isize) -> Result<Tensor<E>, Error> {
        let side = SideTape::new();
        Ok(side.take(crate::try_concat(&side.put_all(tensors), axis)?))
    }

    /// [`stack`](crate::stack) without a tape.
    #[track_caller]
    pub fn stack(tensors: &[impl Borrow<Tensor<E>>], axis: isize) -> Tensor<E> {
        let side = SideTape::new();
        side.take(crate::stack(&side.put_all(tensors), axis))
    }

    /// [`einsum`](crate::einsum) without a tape.
    #[track_caller]
    pub fn einsum(subscripts: &str, operands: &[impl Borrow<Tensor<E>>]) -> Tensor<E> {
        expect(Self::try_einsum(subscripts, operands))
    }

    /// [`try_einsum`](crate::try_einsum) without a tape.
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn try_einsum(
        subscripts: &str,
        operands: &[impl Borrow<Tensor<E>>],
    ) -> Result<Tensor<E>, Error> {
        let side = SideTape::new();
        Ok(side.take(crate::try_einsum(subscripts, &side.put_all(operands))?))
    }

    /// [`where_`](crate::where_) without a tape.
    #[track_caller]
    pub fn where_(mask: impl Operand<E>, x: impl Operand<E>, y: impl Operand<E>) -> Tensor<E> {
        let side = SideTape::new();
        side.take(crate::where_(side.put(mask), side.put(x), side.put(y)))
    }

    /// [`TensorVar::select_gt`] without a tape.
    #[track_caller]
    pub fn select_gt(
        a: impl Operand<E>,
        b: impl Operand<E>,
        x: impl Operand<E>,
        y: impl Operand<E>,
    ) -> Tensor<E> {
        let side = SideTape::new();
        side.take(TensorVar::select_gt(side.put(a), side.put(b), side.put(x), side.put(y)))
    }

    /// [`scaled_dot_product_attention`](crate::scaled_dot_product_attention) without a tape.
    #[track_caller]
    pub fn scaled_dot_product_attention(
        q: impl Operand<E>,
        k: impl Operand<E>,
        v: impl Operand<E>,
        attention: Attention<&Tensor<E>>,
    ) -> Tensor<E> {
        expect(Self::try_scaled_dot_product_attention(q, k, v, attention))
    }

    /// [`try_scaled_dot_product_attention`](crate::try_scaled_dot_product_attention) without a tape.
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn try_scaled_dot_product_attention(
        q: impl Operand<E>,
        k: impl Operand<E>,
        v: impl Operand<E>,
        attention: Attention<&Tensor<E>>,
    ) -> Result<Tensor<E>, Error> {
        let side = SideTape::new();
        let attention = attention.map_mask(|mask| side.put(mask));
        let (q, k, v) = (side.put(q), side.put(k), side.put(v));
        Ok(side.take(crate::try_scaled_dot_product_attention(q, k, v, attention)?))
    }

    /// [`multi_head_attention`](crate::multi_head_attention) without a tape.
    #[track_caller]
    pub fn multi_head_attention(
        qkv: impl Operand<E>,
        heads: usize,
        attention: Attention<&Tensor<E>>,
    ) -> Tensor<E> {
        expect(Self::try_multi_head_attention(qkv, heads, attention))
    }

    /// [`try_multi_head_attention`](crate::try_multi_head_attention) without a tape.
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn try_multi_head_attention(
        qkv: impl Operand<E>,
        heads: usize,
        attention: Attention<&Tensor<E>>,
    ) -> Result<Tensor<E>, Error> {
        let side = SideTape::new();
        let attention = attention.map_mask(|mask| side.put(mask));
        Ok(side.take(crate::try_multi_head_attention(side.put(qkv), heads, attention)?))
    }

    /// [`TensorVar::try_reshape`] without a tape.
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn try_reshape(&self, shape: impl Into<Shape>) -> Result<Tensor<E>, Error> {
        let side = SideTape::new();
        Ok(side.take(side.put(self).try_reshape(shape)?))
    }

    /// Applies a unary rule to each element; see [`TensorVar::apply`].
    #[track_caller]
    pub fn apply<U: Unary>(&self, rule: U) -> Tensor<E> {
        let side = SideTape::new();
        side.take(side.put(self).apply(rule))
    }

    /// Applies a binary rule to each pair of elements; see [`TensorVar::apply2`].
    #[track_caller]
    pub fn apply2<B: Binary>(&self, other: impl Operand<E>, rule: B) -> Tensor<E> {
        let side = SideTape::new();
        side.take(side.put(self).apply2(side.put(other), rule))
    }

    /// Applies a ternary rule to each triple of elements; see [`TensorVar::apply3`].
    #[track_caller]
    pub fn apply3<R: Ternary>(&self, b: impl Operand<E>, c: impl Operand<E>, rule: R) -> Tensor<E> {
        let side = SideTape::new();
        side.take(side.put(self).apply3(side.put(b), side.put(c), rule))
    }

    /// Applies an operation with one output; see [`TensorVar::apply_op`].
    #[track_caller]
    pub fn apply_op<O: Op<E>>(&self, op: O) -> Tensor<E> {
        let side = SideTape::new();
        side.take(side.put(self).apply_op(op))
    }

    /// Applies an operation to several tensors; see [`apply_op`](crate::apply_op).
    #[track_caller]
    pub fn apply_op_to<O: Op<E>>(
        op: O,
        inputs: &[impl Borrow<Tensor<E>>],
    ) -> SmallVec<[Tensor<E>; 3]> {
        let side = SideTape::new();
        let outputs = crate::apply_op(op, &side.put_all(inputs));
        outputs.into_iter().map(|output| side.take(output)).collect()
    }
}
