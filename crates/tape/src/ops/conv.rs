//! Two-dimensional convolution.

#[cfg(feature = "cases")]
pub(crate) mod cases;
mod direct;
pub(super) mod other;
mod transposed;
mod unfold;
pub(super) mod window;

use smallvec::{SmallVec, smallvec};

use crate::error::expect;
use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::tensor_var::try_apply_one;
use crate::{Error, KernelCall, Real, Shape, Tensor, TensorVar, VjpKernel};

pub use other::{Conv1d, Conv3d, IntoTriple};
pub use window::IntoPair;

use direct::Geometry;
use window::{Window, image};

/// How the window of a [`conv2d`](TensorVar::conv2d) moves: stride 1, no padding, no dilation and one
/// group, unless said otherwise.
///
/// ```
/// use tape::Conv2d;
///
/// let same = Conv2d::new().padding(1);
/// let half = Conv2d::new().stride(2).padding([1, 0]).groups(4);
/// assert_ne!(same, half);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2d {
    stride: [usize; 2],
    padding: [usize; 2],
    dilation: [usize; 2],
    groups: usize,
}

impl Default for Conv2d {
    fn default() -> Self {
        Conv2d { stride: [1; 2], padding: [0; 2], dilation: [1; 2], groups: 1 }
    }
}

impl Conv2d {
    /// Stride 1, no padding, no dilation, one group.
    pub fn new() -> Self {
        Self::default()
    }

    /// By how much the window moves from one place to the next.
    #[must_use]
    pub fn stride(self, stride: impl IntoPair) -> Self {
        Conv2d { stride: stride.into_pair(), ..self }
    }

    /// How many zeros stand before and after each axis of the image.
    #[must_use]
    pub fn padding(self, padding: impl IntoPair) -> Self {
        Conv2d { padding: padding.into_pair(), ..self }
    }

    /// The distance in the image between neighbours in the window.
    #[must_use]
    pub fn dilation(self, dilation: impl IntoPair) -> Self {
        Conv2d { dilation: dilation.into_pair(), ..self }
    }

    /// Into how many groups the channels are split; each group of outputs sees one group of inputs.
    #[must_use]
    pub fn groups(self, groups: usize) -> Self {
        Conv2d { groups, ..self }
    }

    fn window(&self, size: [usize; 2]) -> Window {
        let Conv2d { stride, padding, dilation, .. } = *self;
        Window { size, stride, padding, dilation }
    }
}

/// `conv2d`: inputs are the images, the weights and perhaps the bias.
///
/// The composite says it as a product of the weights with unfolded images, which is a sum of products
/// and linear in each. The kernel is in [`direct`].
struct Convolution(Conv2d);

impl Convolution {
    fn geometry(&self, x: &Shape, weight: &Shape) -> Result<Geometry, Misfit> {
        let groups = self.0.groups;
        let (&[n, channels, height, width], &[filters, depth, rows, columns]) = (&**x, &**weight)
        else {
            let detail = "images are [n, channels, height, width] and weights [filters, channels / groups, \
                          height, width]";
            return Err(Misfit::shape(detail));
        };
        if groups == 0 {
            return Err(Misfit::argument("channels cannot be split into 0 groups"));
        }
        if depth.checked_mul(groups) != Some(channels) {
            let detail = format!(
                "the images have {channels} channels, the weights are for {depth} in each of {groups} groups"
            );
            return Err(Misfit::shape(detail));
        }
        if filters % groups != 0 {
            return Err(Misfit::shape(format!(
                "{filters} filters do not split into {groups} groups"
            )));
        }
        let window = self.0.window([rows, columns]);
        let image = [height, width];
        let places = window.places(image)?;
        Ok(Geometry { n, groups, depth, filters: filters / groups, image, places, window })
    }
}

impl<E: Real> Op<E> for Convolution {
    fn name(&self) -> &'static str {
        "conv2d"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        let geometry = self.geometry(inputs[0], inputs[1])?;
        let filters = inputs[1][0];
        if let Some(bias) = inputs.get(2)
            && ***bias != [filters]
        {
            return Err(Misfit::shape(format!(
                "the bias is not one number for each of {filters} filters"
            )));
        }
        let [height, width] = geometry.places;
        Ok(smallvec![[geometry.n, filters, height, width].into()])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let geometry = self.geometry(inputs[0].shape(), inputs[1].shape())?;
        let bias = inputs.get(2).map(Tensor::as_slice);
        let (x, weight) = (inputs[0].as_slice(), inputs[1].as_slice());
        direct::forward(&geometry, x, weight, bias, outputs.buffer(0));
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let (x, weight, g) = (call.inputs[0], call.inputs[1], call.cotangent());
        let (images, weights) = (x.shape(), weight.shape());
        let (n, groups) = (images[0], self.0.groups);
        let (filters, depth) = (weights[0] / groups, weights[1]);
        let window = self.0.window(image(&weights));
        let (shape, taps) = (g.shape(), depth * window.size[0] * window.size[1]);
        let places = shape[2] * shape[3];
        let rows = g.reshape([n, groups, filters, places]);
        let for_x = || {
            let matrix = weight.reshape([groups, filters, taps]).transpose(1, 2);
            let columns = matrix.matmul(rows).reshape([n, groups * taps, places]);
            columns.apply_op(unfold::Fold { window, image: image(&images) })
        };
        let for_weight = || {
            let columns = x.apply_op(unfold::Unfold(window)).reshape([n, groups, taps, places]);
            rows.matmul(columns.transpose(2, 3)).sum_axes(0).reshape(weights)
        };
        let mut cotangents: Cotangents<E> =
            smallvec![call.needs(0).then(for_x), call.needs(1).then(for_weight)];
        if call.inputs.len() == 3 {
            cotangents.push(call.needs(2).then(|| g.sum_axes([0, 2, 3])));
        }
        cotangents
    }
    fn kernel(&self) -> Option<&dyn VjpKernel<E>> {
        Some(self)
    }
}

impl<E: Real> VjpKernel<E> for Convolution {
    fn run(&self, call: &mut KernelCall<'_, E>) {
        let (inputs, g) = (call.inputs, call.cotangent().as_slice());
        let (x, weight) = (&inputs[0], &inputs[1]);
        let geometry = self
            .geometry(x.shape(), weight.shape())
            .unwrap_or_else(|_| unreachable!("the operation has accepted these shapes"));
        if let Some(target) = call.target(0) {
            direct::for_images(&geometry, weight.as_slice(), g, target);
        }
        let [_, for_weight, for_bias] = call.targets();
        if for_weight.is_some() || for_bias.is_some() {
            direct::for_weights(&geometry, x.as_slice(), g, for_weight, for_bias);
        }
    }
}

impl<E: Real> TensorVar<E> {
    /// The two-dimensional convolution (cross-correlation, as is usual in networks) of images
    /// `[n, c_in, h, w]` with filters `[c_out, c_in / groups, kh, kw]`, plus a bias `[c_out]` if there is
    /// one: with stride `s`, padding `p` and dilation `d`, the `[n, c_out, oh, ow]` numbers
    ///
    /// `y[b, o, i, j] = bias[o] + sum over c, u, v of weight[o, c, u, v] x[b, c, i s + u d - p, j s + v d - p]`
    ///
    /// where `x` is 0 outside of the image, `c` runs over the input channels of the group of `o`, and
    /// `oh = (h + 2 p - d (kh - 1) - 1) / s + 1`, rounded down, and `ow` likewise.
    ///
    /// ```
    /// use tape::{Conv2d, Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.tensor(Tensor::new([1, 1, 2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    /// let edge = tape.tensor(Tensor::new([1, 1, 1, 2], vec![-1.0, 1.0]));
    /// let y = x.conv2d(edge, None, Conv2d::new());
    /// assert_eq!(y.value(), Tensor::new([1, 1, 2, 2], vec![1.0; 4]));
    /// let bias = tape.tensor([0.5]);
    /// let y = x.conv2d(edge, bias, Conv2d::new().padding([0, 1]).stride(2));
    /// assert_eq!(y.value(), Tensor::new([1, 1, 1, 2], vec![1.5, 1.5]));
    /// ```
    ///
    /// The sums run directly over the images, without a copy of their windows. They are vectorised over the
    /// filters of a group (over its input channels, for the cotangent of the images): a group of few
    /// filters leaves a part of the vectors idle.
    ///
    /// # Panics
    /// If the shapes do not fit each other, the window is empty or does not fit into the padded image, or
    /// a stride, a dilation or the number of groups is 0.
    #[track_caller]
    pub fn conv2d(
        self,
        weight: TensorVar<E>,
        bias: impl Into<Option<TensorVar<E>>>,
        options: Conv2d,
    ) -> Self {
        expect(self.try_conv2d(weight, bias, options))
    }

    /// Like [`conv2d`](Self::conv2d), for shapes from outside.
    ///
    /// # Errors
    /// Where [`conv2d`](Self::conv2d) panics.
    #[track_caller]
    pub fn try_conv2d(
        self,
        weight: TensorVar<E>,
        bias: impl Into<Option<TensorVar<E>>>,
        options: Conv2d,
    ) -> Result<Self, Error> {
        let inputs: SmallVec<[TensorVar<E>; 3]> =
            [self, weight].into_iter().chain(bias.into()).collect();
        try_apply_one(Convolution(options), &inputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tape;

    fn numbers<E: Real>(shape: &[usize], step: f64) -> Tensor<E> {
        let n: usize = shape.iter().product();
        Tensor::new(shape, (0..n).map(|i| E::lit((step * i as f64).sin())).collect())
    }

    fn sums<E: Real>(shape: [usize; 4], filters: [usize; 4]) -> Vec<f64> {
        let tape = Tape::<E>::default();
        let (x, w) = (tape.tensor(numbers(&shape, 0.37)), tape.tensor(numbers(&filters, 0.11)));
        let y = x.conv2d(w, None, Conv2d::new()).value();
        y.iter().map(|y| y.to_f64()).collect()
    }

    #[test]
    fn the_tile_of_single_precision_says_what_that_of_double_precision_says() {
        for (shape, filters) in [
            ([1, 1, 9, 9], [16, 1, 5, 5]),
            ([2, 3, 7, 12], [32, 3, 3, 3]),
            ([3, 2, 5, 6], [33, 2, 2, 4]),
        ] {
            let (single, double) = (sums::<f32>(shape, filters), sums::<f64>(shape, filters));
            assert_eq!(single.len(), double.len());
            for (single, double) in single.iter().zip(&double) {
                assert!((single - double).abs() < 1e-4, "{single} and {double}");
            }
        }
    }
}
