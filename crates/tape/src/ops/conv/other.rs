//! Convolutions along one and along three axes, as composites of the one along two.

#[cfg(feature = "cases")]
pub(crate) mod cases;

use super::{Conv2d, IntoPair};
use crate::error::expect;
use crate::ops::arrange::Pad;
use crate::{Error, Real, Shape, TensorVar, stack};

/// How the window of a [`conv1d`](TensorVar::conv1d) moves: stride 1, no padding, no dilation and one
/// group, unless said otherwise.
///
/// ```
/// use tape::Conv1d;
///
/// let causal_half = Conv1d::new().stride(2).padding(1);
/// assert_ne!(causal_half, Conv1d::new().dilation(2).groups(3));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv1d {
    stride: usize,
    padding: usize,
    dilation: usize,
    groups: usize,
}

impl Default for Conv1d {
    fn default() -> Self {
        Conv1d { stride: 1, padding: 0, dilation: 1, groups: 1 }
    }
}

impl Conv1d {
    /// Stride 1, no padding, no dilation, one group.
    pub fn new() -> Self {
        Self::default()
    }

    /// By how much the window moves from one place to the next.
    #[must_use]
    pub fn stride(self, stride: usize) -> Self {
        Conv1d { stride, ..self }
    }

    /// How many zeros stand before and after the line.
    #[must_use]
    pub fn padding(self, padding: usize) -> Self {
        Conv1d { padding, ..self }
    }

    /// The distance in the line between neighbours in the window.
    #[must_use]
    pub fn dilation(self, dilation: usize) -> Self {
        Conv1d { dilation, ..self }
    }

    /// Into how many groups the channels are split; each group of outputs sees one group of inputs.
    #[must_use]
    pub fn groups(self, groups: usize) -> Self {
        Conv1d { groups, ..self }
    }

    /// The same for images of height 1.
    pub(super) fn of_images(self) -> Conv2d {
        Conv2d::new()
            .stride([1, self.stride])
            .padding([0, self.padding])
            .dilation([1, self.dilation])
            .groups(self.groups)
    }
}

/// One number for all three axes of a volume, or three: depth, height and width.
pub trait IntoTriple {
    /// The number along the depth, the height and the width.
    fn into_triple(self) -> [usize; 3];
}

impl IntoTriple for usize {
    fn into_triple(self) -> [usize; 3] {
        [self; 3]
    }
}

impl IntoTriple for [usize; 3] {
    fn into_triple(self) -> [usize; 3] {
        self
    }
}

impl IntoTriple for (usize, usize, usize) {
    fn into_triple(self) -> [usize; 3] {
        [self.0, self.1, self.2]
    }
}

/// How the window of a [`conv3d`](TensorVar::conv3d) moves: stride 1, no padding, no dilation and one
/// group, unless said otherwise.
///
/// ```
/// use tape::Conv3d;
///
/// assert_ne!(Conv3d::new().stride([1, 2, 2]), Conv3d::new().padding(1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv3d {
    pub(super) stride: [usize; 3],
    pub(super) padding: [usize; 3],
    pub(super) dilation: [usize; 3],
    pub(super) groups: usize,
}

impl Default for Conv3d {
    fn default() -> Self {
        Conv3d { stride: [1; 3], padding: [0; 3], dilation: [1; 3], groups: 1 }
    }
}

impl Conv3d {
    /// Stride 1, no padding, no dilation, one group.
    pub fn new() -> Self {
        Self::default()
    }

    /// By how much the window moves from one place to the next.
    #[must_use]
    pub fn stride(self, stride: impl IntoTriple) -> Self {
        Conv3d { stride: stride.into_triple(), ..self }
    }

    /// How many zeros stand before and after each axis of the volume.
    #[must_use]
    pub fn padding(self, padding: impl IntoTriple) -> Self {
        Conv3d { padding: padding.into_triple(), ..self }
    }

    /// The distance in the volume between neighbours in the window.
    #[must_use]
    pub fn dilation(self, dilation: impl IntoTriple) -> Self {
        Conv3d { dilation: dilation.into_triple(), ..self }
    }

    /// Into how many groups the channels are split; each group of outputs sees one group of inputs.
    #[must_use]
    pub fn groups(self, groups: usize) -> Self {
        Conv3d { groups, ..self }
    }

    /// The same along height and width.
    pub(super) fn of_images(self) -> Conv2d {
        let [_, height, width] = self.stride;
        let options = Conv2d::new().stride([height, width]).groups(self.groups);
        let [_, height, width] = self.padding;
        let options = options.padding([height, width]);
        let [_, height, width] = self.dilation;
        options.dilation([height, width])
    }

    /// The same along the depth.
    pub(super) fn of_depth(self) -> Conv2d {
        Conv2d::new()
            .stride([self.stride[0], 1])
            .padding([self.padding[0], 0])
            .dilation([self.dilation[0], 1])
    }
}

/// Checks the ranks of what a convolution takes.
#[track_caller]
pub(super) fn check_ranks<E: Real>(
    name: &'static str,
    x: TensorVar<E>,
    weight: TensorVar<E>,
    rank: usize,
) -> Result<(), Error> {
    let (x, weight) = (x.shape(), weight.shape());
    if x.rank() != rank || weight.rank() != rank {
        let detail = format!("inputs and weights have {rank} axes");
        return Err(Error::shape(name, &[&x, &weight], detail));
    }
    Ok(())
}

/// Names an error of a part after the whole, whose shapes the user knows.
#[track_caller]
pub(in crate::ops) fn renamed<E: Real, R>(
    name: &'static str,
    inputs: &[TensorVar<E>],
    result: Result<R, Error>,
) -> Result<R, Error> {
    let detail = match result {
        Ok(value) => return Ok(value),
        Err(Error::Argument { detail, .. }) => return Err(Error::argument(name, detail)),
        Err(Error::Shape { detail, .. }) => detail,
    };
    let mut shapes = Vec::new();
    for input in inputs {
        shapes.push(input.shape());
    }
    let shapes: Vec<&Shape> = shapes.iter().collect();
    Err(Error::shape(name, &shapes, detail))
}

impl<E: Real> TensorVar<E> {
    /// The convolution of lines `[n, c_in, l]` with filters `[c_out, c_in / groups, k]`, plus a bias `[c_out]` if
    /// there is one; see [`conv2d`](Self::conv2d), of which it is the one for images of height 1.
    ///
    /// ```
    /// use tape::{Conv1d, Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.tensor([[[1.0, 2.0, 4.0]]]);
    /// let w = tape.tensor([[[-1.0, 1.0]]]);
    /// assert_eq!(x.conv1d(w, None, Conv1d::new()).value(), Tensor::from([[[1.0, 2.0]]]));
    /// ```
    ///
    /// # Panics
    /// As [`conv2d`](Self::conv2d).
    #[track_caller]
    pub fn conv1d(
        self,
        weight: TensorVar<E>,
        bias: impl Into<Option<TensorVar<E>>>,
        options: Conv1d,
    ) -> Self {
        expect(self.try_conv1d(weight, bias, options))
    }

    /// Like [`conv1d`](Self::conv1d), for shapes from outside.
    ///
    /// # Errors
    /// Where [`conv1d`](Self::conv1d) panics.
    #[track_caller]
    pub fn try_conv1d(
        self,
        weight: TensorVar<E>,
        bias: impl Into<Option<TensorVar<E>>>,
        options: Conv1d,
    ) -> Result<Self, Error> {
        check_ranks("conv1d", self, weight, 3)?;
        let (images, filters) = (self.unsqueeze(2), weight.unsqueeze(2));
        let result = images.try_conv2d(filters, bias, options.of_images());
        Ok(renamed("conv1d", &[self, weight], result)?.squeeze(2))
    }

    /// The convolution of volumes `[n, c_in, d, h, w]` with filters `[c_out, c_in / groups, kd, kh, kw]`, plus a
    /// bias `[c_out]` if there is one: the formula of [`conv2d`](Self::conv2d) with one axis more.
    ///
    /// A composite: the slices that a window covers along the depth become channels of a
    /// [`conv2d`](Self::conv2d), so they are copied `kd` times.
    ///
    /// # Panics
    /// As [`conv2d`](Self::conv2d).
    #[track_caller]
    pub fn conv3d(
        self,
        weight: TensorVar<E>,
        bias: impl Into<Option<TensorVar<E>>>,
        options: Conv3d,
    ) -> Self {
        expect(self.try_conv3d(weight, bias, options))
    }

    /// Like [`conv3d`](Self::conv3d), for shapes from outside.
    ///
    /// # Errors
    /// Where [`conv3d`](Self::conv3d) panics.
    #[track_caller]
    pub fn try_conv3d(
        self,
        weight: TensorVar<E>,
        bias: impl Into<Option<TensorVar<E>>>,
        options: Conv3d,
    ) -> Result<Self, Error> {
        check_ranks("conv3d", self, weight, 5)?;
        let (own, filters) = (self.shape(), weight.shape());
        let (&[n, channels, depth, height, width], &[count, group, size, kh, kw]) =
            (&*own, &*filters)
        else {
            unreachable!("the ranks were checked")
        };
        let window = options.of_depth().window([size, 1]);
        let steps = match window.places([depth, 1]) {
            Ok([steps, _]) => steps,
            Err(misfit) => {
                let error = Err(misfit.into_error("conv3d", &[&own, &filters]));
                return renamed("conv3d", &[self, weight], error);
            }
        };
        let ([padding, ..], [stride, ..], [dilation, ..]) =
            (options.padding, options.stride, options.dilation);
        let padded = self.pad(2, padding, padding, Pad::Constant(0.0));
        let mut slices = Vec::with_capacity(size);
        for k in 0..size {
            let start = k * dilation;
            slices.push(padded.slice_step(2, start..start + (steps - 1) * stride + 1, stride));
        }
        let slices = stack(&slices, 2).permute(&[0, 3, 1, 2, 4, 5]);
        let images = slices.reshape([n * steps, channels * size, height, width]);
        let filters = weight.reshape([count, group * size, kh, kw]);
        let result = images.try_conv2d(filters, bias, options.of_images());
        let y = renamed("conv3d", &[self, weight], result)?;
        let shape = y.shape();
        let split: Shape = [n, steps, count, shape[2], shape[3]].into();
        Ok(y.reshape(split).permute(&[0, 2, 1, 3, 4]))
    }

    /// The transpose of [`conv2d`](Self::conv2d) by its input: of `[n, c_in, h, w]` and weights
    /// `[c_in, c_out / groups, kh, kw]` the images `[n, c_out, oh, ow]`, to which each input adds its multiple of
    /// the window, plus a bias `[c_out]` if there is one:
    /// `oh = (h - 1) s - 2 p + d (kh - 1) + 1 + o`, and `ow` likewise, where `o` is `output_padding`: how many rows
    /// and columns more there are at the end, fewer than the stride.
    ///
    /// ```
    /// use tape::{Conv2d, Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.tensor(Tensor::new([1, 1, 1, 2], vec![1.0, 2.0]));
    /// let w = tape.tensor(Tensor::new([1, 1, 1, 2], vec![10.0, 20.0]));
    /// let y = x.conv_transpose2d(w, None, Conv2d::new(), 0);
    /// assert_eq!(y.value(), Tensor::new([1, 1, 1, 3], vec![10.0, 40.0, 40.0]));
    /// ```
    ///
    /// # Panics
    /// If the shapes do not fit each other, the padding is larger than what there is to cut off, a stride, a
    /// dilation or the number of groups is 0, or the output padding is too large.
    #[track_caller]
    pub fn conv_transpose2d(
        self,
        weight: TensorVar<E>,
        bias: impl Into<Option<TensorVar<E>>>,
        options: Conv2d,
        output_padding: impl IntoPair,
    ) -> Self {
        expect(self.try_conv_transpose2d(weight, bias, options, output_padding))
    }

    /// Like [`conv_transpose2d`](Self::conv_transpose2d), for shapes from outside.
    ///
    /// # Errors
    /// Where [`conv_transpose2d`](Self::conv_transpose2d) panics.
    #[track_caller]
    pub fn try_conv_transpose2d(
        self,
        weight: TensorVar<E>,
        bias: impl Into<Option<TensorVar<E>>>,
        options: Conv2d,
        output_padding: impl IntoPair,
    ) -> Result<Self, Error> {
        let name = "conv_transpose2d";
        super::transposed::try_images(
            name,
            self,
            weight,
            bias.into(),
            options,
            output_padding.into_pair(),
        )
    }

    /// The transpose of [`conv1d`](Self::conv1d) by its input; see [`conv_transpose2d`](Self::conv_transpose2d):
    /// of `[n, c_in, l]` and weights `[c_in, c_out / groups, k]` the lines `[n, c_out, ol]`.
    ///
    /// # Panics
    /// As [`conv_transpose2d`](Self::conv_transpose2d).
    #[track_caller]
    pub fn conv_transpose1d(
        self,
        weight: TensorVar<E>,
        bias: impl Into<Option<TensorVar<E>>>,
        options: Conv1d,
        output_padding: usize,
    ) -> Self {
        expect(self.try_conv_transpose1d(weight, bias, options, output_padding))
    }

    /// Like [`conv_transpose1d`](Self::conv_transpose1d), for shapes from outside.
    ///
    /// # Errors
    /// Where [`conv_transpose1d`](Self::conv_transpose1d) panics.
    #[track_caller]
    pub fn try_conv_transpose1d(
        self,
        weight: TensorVar<E>,
        bias: impl Into<Option<TensorVar<E>>>,
        options: Conv1d,
        output_padding: usize,
    ) -> Result<Self, Error> {
        let name = "conv_transpose1d";
        check_ranks(name, self, weight, 3)?;
        let (x, filters, more) = (self.unsqueeze(2), weight.unsqueeze(2), [0, output_padding]);
        let options = options.of_images();
        let result = super::transposed::try_images(name, x, filters, bias.into(), options, more);
        Ok(renamed(name, &[self, weight], result)?.squeeze(2))
    }

    /// The transpose of [`conv3d`](Self::conv3d) by its input; see [`conv_transpose2d`](Self::conv_transpose2d):
    /// of `[n, c_in, d, h, w]` and weights `[c_in, c_out / groups, kd, kh, kw]` the volumes
    /// `[n, c_out, od, oh, ow]`.
    ///
    /// # Panics
    /// As [`conv_transpose2d`](Self::conv_transpose2d).
    #[track_caller]
    pub fn conv_transpose3d(
        self,
        weight: TensorVar<E>,
        bias: impl Into<Option<TensorVar<E>>>,
        options: Conv3d,
        output_padding: impl IntoTriple,
    ) -> Self {
        expect(self.try_conv_transpose3d(weight, bias, options, output_padding))
    }

    /// Like [`conv_transpose3d`](Self::conv_transpose3d), for shapes from outside.
    ///
    /// # Errors
    /// Where [`conv_transpose3d`](Self::conv_transpose3d) panics.
    #[track_caller]
    pub fn try_conv_transpose3d(
        self,
        weight: TensorVar<E>,
        bias: impl Into<Option<TensorVar<E>>>,
        options: Conv3d,
        output_padding: impl IntoTriple,
    ) -> Result<Self, Error> {
        let more = output_padding.into_triple();
        check_ranks("conv_transpose3d", self, weight, 5)?;
        let result = super::transposed::try_volumes(self, weight, bias.into(), options, more);
        renamed("conv_transpose3d", &[self, weight], result)
    }
}
