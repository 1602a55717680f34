//! Writing to given places, and reading from places that a mask or a flat list names.

#[cfg(feature = "cases")]
pub(crate) mod cases;

use crate::error::expect;
use crate::ops::index::{IndexAdd, Indices, ScatterAdd, for_each_place};
use crate::primitive::Primitive;
use crate::{Error, Real, Shape, Tensor, TensorVar, concat};

/// The largest index must be within an axis.
#[track_caller]
fn within(
    name: &'static str,
    indices: &Indices,
    what: impl Fn() -> String,
    len: usize,
) -> Result<(), Error> {
    match indices.largest().filter(|&i| i >= len) {
        Some(i) => Err(Error::argument(name, format!("index {i} is out of range for {}", what()))),
        None => Ok(()),
    }
}

/// What lengths are allowed beside an axis.
#[derive(Clone, Copy)]
enum Fit {
    Equal,
    Within,
}

impl<E: Real> TensorVar<E> {
    /// Checks what is written along an axis: `source` has the rank of this tensor and along other axes
    /// lengths that `fit` its own, and there are `count` indices, which are all within the axis.
    #[track_caller]
    fn check_source(
        self,
        name: &'static str,
        axis: usize,
        indices: &Indices,
        source: TensorVar<E>,
        fit: Fit,
        count: impl Fn(&Shape) -> usize,
    ) -> Result<(), Error> {
        let (own, other) = (self.shape(), source.shape());
        let fits = |k: usize| match fit {
            Fit::Equal => other[k] == own[k],
            Fit::Within => other[k] <= own[k],
        };
        if own.rank() != other.rank() || !(0..own.rank()).all(|k| k == axis || fits(k)) {
            let detail = match fit {
                Fit::Equal => format!("they may differ along axis {axis} only"),
                Fit::Within => format!("the second may be longer along axis {axis} only"),
            };
            return Err(Error::shape(name, &[&own, &other], detail));
        }
        let (given, needed) = (indices.as_slice().len(), count(&other));
        if given != needed {
            let detail = format!("{given} indices where {needed} are needed");
            return Err(Error::shape(name, &[&own, &other], detail));
        }
        let len = own[axis];
        within(name, indices, || format!("axis {axis} of length {len}"), len)
    }

    /// The tensor with elements of `source` in place of its own: `out[i][indices[i][j]] = source[i][j]` for
    /// axis 1, where the indices have the shape of `source`. Where an index stands several times, the
    /// last one wins, and only it receives a derivative. (PyTorch leaves open which one wins.) Along other axes
    /// `source` may be shorter; what is beyond stays.
    ///
    /// ```
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.tensor([[1.0, 2.0, 3.0]]);
    /// let y = x.scatter(1, [2, 0], tape.tensor([[10.0, 20.0]]));
    /// assert_eq!(y.value(), Tensor::from([[20.0, 2.0, 10.0]]));
    /// ```
    ///
    /// # Panics
    /// If `source` has another rank or is longer along another axis, there are not as many indices as elements of
    /// `source`, or an index is out of range.
    #[track_caller]
    pub fn scatter(self, axis: isize, indices: impl Into<Indices>, source: TensorVar<E>) -> Self {
        expect(self.try_scatter(axis, indices, source))
    }

    /// Like [`scatter`](Self::scatter), for indices from outside.
    ///
    /// # Errors
    /// Where [`scatter`](Self::scatter) panics.
    #[track_caller]
    pub fn try_scatter(
        self,
        axis: isize,
        indices: impl Into<Indices>,
        source: TensorVar<E>,
    ) -> Result<Self, Error> {
        let k = self.try_axis("scatter", axis)?;
        let indices = indices.into();
        self.check_source("scatter", k, &indices, source, Fit::Within, Shape::elements)?;
        let (own, other) = (self.shape(), source.shape());
        // Where each element comes from: its own place, or one of the source behind it.
        let mut from: Vec<usize> = (0..own.elements()).collect();
        for_each_place(&indices, &other, k, &own, |at, to| from[to] = own.elements() + at);
        let both = concat(&[self.flatten(), source.flatten()], 0);
        Ok(both.try_index_select(0, from)?.reshape(own))
    }

    /// The tensor with elements of `source` added: `out[i][indices[i][j]] += source[i][j]` for axis 1, where
    /// the indices have the shape of `source`. Where an index stands several times, all are added.
    ///
    /// # Panics
    /// As [`scatter`](Self::scatter).
    #[track_caller]
    pub fn scatter_add(
        self,
        axis: isize,
        indices: impl Into<Indices>,
        source: TensorVar<E>,
    ) -> Self {
        expect(self.try_scatter_add(axis, indices, source))
    }

    /// Like [`scatter_add`](Self::scatter_add), for indices from outside.
    ///
    /// # Errors
    /// Where [`scatter`](Self::scatter) panics.
    #[track_caller]
    pub fn try_scatter_add(
        self,
        axis: isize,
        indices: impl Into<Indices>,
        source: TensorVar<E>,
    ) -> Result<Self, Error> {
        let axis = self.try_axis("scatter_add", axis)?;
        let indices = indices.into();
        self.check_source("scatter_add", axis, &indices, source, Fit::Within, Shape::elements)?;
        let into = self.shape();
        Ok(self + crate::tensor_var::try_apply_one(ScatterAdd { axis, indices, into }, &[source])?)
    }

    /// The tensor with slices of `source` added at the given indices of an axis, one index a slice. Where
    /// an index stands several times, all are added.
    ///
    /// # Panics
    /// If the shapes differ along another axis, there are not as many indices as slices of `source`, or an
    /// index is out of range.
    #[track_caller]
    pub fn index_add(self, axis: isize, indices: impl Into<Indices>, source: TensorVar<E>) -> Self {
        expect(self.try_index_add(axis, indices, source))
    }

    /// Like [`index_add`](Self::index_add), for indices from outside.
    ///
    /// # Errors
    /// Where [`index_add`](Self::index_add) panics.
    #[track_caller]
    pub fn try_index_add(
        self,
        axis: isize,
        indices: impl Into<Indices>,
        source: TensorVar<E>,
    ) -> Result<Self, Error> {
        let axis = self.try_axis("index_add", axis)?;
        let indices = indices.into();
        self.check_source("index_add", axis, &indices, source, Fit::Equal, |shape| shape[axis])?;
        let len = self.shape()[axis];
        Ok(self + crate::tensor_var::try_apply_one(IndexAdd { axis, indices, len }, &[source])?)
    }

    /// The elements at given places of the tensor in row-major order, as a vector.
    ///
    /// # Panics
    /// If an index is out of range.
    #[track_caller]
    pub fn take(self, indices: impl Into<Indices>) -> Self {
        expect(self.try_take(indices))
    }

    /// Like [`take`](Self::take), for indices from outside.
    ///
    /// # Errors
    /// If an index is out of range.
    #[track_caller]
    pub fn try_take(self, indices: impl Into<Indices>) -> Result<Self, Error> {
        let (indices, len) = (indices.into(), self.shape().elements());
        within("take", &indices, || format!("a tensor of {len} elements"), len)?;
        self.flatten().try_index_select(0, indices)
    }

    /// The tensor with `value` where the mask is neither 0 nor NaN; shapes broadcast. What is replaced
    /// receives the derivative 0; see [`where_`](crate::where_) for what to do where its own derivative is infinite.
    #[track_caller]
    pub fn masked_fill(
        self,
        mask: impl Into<TensorVar<E>>,
        value: impl Into<TensorVar<E>>,
    ) -> Self {
        let choices = [mask.into().abs(), TensorVar::scalar_constant(E::ZERO), value.into(), self];
        expect(Self::try_named("masked_fill", Primitive::SelectGt, &choices))
    }

    /// The elements where the mask is neither 0 nor NaN, in row-major order, as a vector; shapes broadcast.
    /// The mask is no variable: what it selects has no derivative by it.
    ///
    /// ```
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.tensor([[1.0, 2.0], [3.0, 4.0]]);
    /// let mask = Tensor::from([[0.0, 1.0], [1.0, 0.0]]);
    /// assert_eq!(x.masked_select(&mask).value(), Tensor::from([2.0, 3.0]));
    /// ```
    ///
    /// # Panics
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn masked_select(self, mask: &Tensor<E>) -> Self {
        let own = self.shape();
        let Some(shape) = own.broadcast(mask.shape()) else {
            let detail = "they do not broadcast".to_owned();
            panic!("{}", Error::shape("masked_select", &[&own, mask.shape()], detail));
        };
        // The places in the mask, as it is repeated to the common shape.
        let strides = mask.shape().strides_within(&shape);
        let (mut indices, mut index) = (Vec::new(), vec![0; shape.rank()]);
        for at in 0..shape.elements() {
            let place: usize = index.iter().zip(&strides).map(|(i, stride)| i * stride).sum();
            let bit = mask.as_slice()[place];
            if bit != E::ZERO && !bit.is_nan() {
                indices.push(at);
            }
            for k in (0..shape.rank()).rev() {
                index[k] += 1;
                if index[k] < shape[k] {
                    break;
                }
                index[k] = 0;
            }
        }
        let whole = if own == shape { self } else { self.broadcast_to(shape) };
        whole.flatten().index_select(0, indices)
    }
}

impl<E: Real> Tensor<E> {
    /// A row of zeros with a 1 at the given index, for each index: `[indices, classes]`.
    ///
    /// ```
    /// use tape::Tensor;
    ///
    /// assert_eq!(Tensor::one_hot([2, 0], 3), Tensor::from([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]));
    /// ```
    ///
    /// # Panics
    /// If an index is not below `classes`.
    #[track_caller]
    pub fn one_hot(indices: impl Into<Indices>, classes: usize) -> Self {
        expect(Self::try_one_hot(indices, classes))
    }

    /// Like [`one_hot`](Self::one_hot), for indices from outside.
    ///
    /// # Errors
    /// If an index is not below `classes`.
    #[track_caller]
    pub fn try_one_hot(indices: impl Into<Indices>, classes: usize) -> Result<Self, Error> {
        let indices = indices.into();
        within("one_hot", &indices, || format!("{classes} classes"), classes)?;
        let rows = indices.as_slice();
        let shape = Shape::from([rows.len(), classes]);
        if let Some(detail) = shape.flaw() {
            return Err(Error::shape("one_hot", &[&shape], detail));
        }
        let mut out = Self::zeros(shape);
        let buffer = out.as_mut_slice();
        rows.iter().enumerate().for_each(|(row, &i)| buffer[row * classes + i] = E::ONE);
        Ok(out)
    }
}
