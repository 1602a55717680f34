//! Pooling of volumes: that of their images, and then that along the depth.

use super::Pool2d;
use crate::error::expect;
use crate::ops::conv::IntoTriple;
use crate::ops::conv::other::renamed;
use crate::{Error, Real, TensorVar};

/// The window of a pooling of volumes: it moves by its own size and without padding, unless said otherwise.
/// A size alone stands for such a window.
///
/// ```
/// use tape::Pool3d;
///
/// assert_eq!(Pool3d::from(2), Pool3d::new([2, 2, 2]).stride(2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool3d {
    size: [usize; 3],
    stride: [usize; 3],
    padding: [usize; 3],
}

impl Pool3d {
    /// A window of the given depth, height and width.
    pub fn new(size: impl IntoTriple) -> Self {
        let size = size.into_triple();
        Pool3d { size, stride: size, padding: [0; 3] }
    }

    /// By how much the window moves from one place to the next.
    #[must_use]
    pub fn stride(self, stride: impl IntoTriple) -> Self {
        Pool3d { stride: stride.into_triple(), ..self }
    }

    /// How far the window may reach beyond each end of the volume, at most half of its size.
    #[must_use]
    pub fn padding(self, padding: impl IntoTriple) -> Self {
        Pool3d { padding: padding.into_triple(), ..self }
    }

    /// The window in an image.
    fn across(self) -> Pool2d {
        let ([_, height, width], [_, down, right], [_, above, left]) =
            (self.size, self.stride, self.padding);
        Pool2d::new([height, width]).stride([down, right]).padding([above, left])
    }

    /// The window along the depth, in images whose rows are whole images.
    fn along(self) -> Pool2d {
        Pool2d::new([self.size[0], 1]).stride([self.stride[0], 1]).padding([self.padding[0], 0])
    }
}

impl<T: IntoTriple> From<T> for Pool3d {
    fn from(size: T) -> Self {
        Pool3d::new(size)
    }
}

impl<E: Real> TensorVar<E> {
    /// The largest element in each window of volumes `[n, c, d, h, w]`: `[n, c, od, oh, ow]`; see
    /// [`max_pool2d`](Self::max_pool2d) for the lengths. The derivative goes to the first of the largest elements
    /// of a window, in row-major order.
    ///
    /// ```
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.tensor(Tensor::from_fn([1, 1, 2, 2, 2], |[_, _, d, h, w]| (4 * d + 2 * h + w) as f64));
    /// assert_eq!(x.max_pool3d(2).item(), 7.0);
    /// assert_eq!(x.avg_pool3d(2).item(), 3.5);
    /// ```
    ///
    /// # Panics
    /// If the rank is not 5; else as [`max_pool2d`](Self::max_pool2d).
    #[track_caller]
    pub fn max_pool3d(self, options: impl Into<Pool3d>) -> Self {
        expect(self.try_max_pool3d(options))
    }

    /// Like [`max_pool3d`](Self::max_pool3d), for shapes from outside.
    ///
    /// # Errors
    /// Where [`max_pool3d`](Self::max_pool3d) panics.
    #[track_caller]
    pub fn try_max_pool3d(self, options: impl Into<Pool3d>) -> Result<Self, Error> {
        let (name, options) = ("max_pool3d", options.into());
        let images = self.as_images(name)?;
        let pooled = renamed(name, &[self], images.try_max_pool2d(options.across()))?;
        let (planes, back) = self.as_planes(pooled);
        Ok(back(renamed(name, &[self], planes.try_max_pool2d(options.along()))?))
    }

    /// The mean of each window of volumes `[n, c, d, h, w]`; shapes are those of
    /// [`max_pool3d`](Self::max_pool3d). What the window has in the padding counts as zeros.
    ///
    /// # Panics
    /// As [`max_pool3d`](Self::max_pool3d).
    #[track_caller]
    pub fn avg_pool3d(self, options: impl Into<Pool3d>) -> Self {
        expect(self.try_avg_pool3d(options))
    }

    /// Like [`avg_pool3d`](Self::avg_pool3d), for shapes from outside.
    ///
    /// # Errors
    /// Where [`avg_pool3d`](Self::avg_pool3d) panics.
    #[track_caller]
    pub fn try_avg_pool3d(self, options: impl Into<Pool3d>) -> Result<Self, Error> {
        let (name, options) = ("avg_pool3d", options.into());
        let images = self.as_images(name)?;
        let pooled = renamed(name, &[self], images.try_avg_pool2d(options.across()))?;
        let (planes, back) = self.as_planes(pooled);
        Ok(back(renamed(name, &[self], planes.try_avg_pool2d(options.along()))?))
    }

    /// Volumes as images, each layer a channel of its own.
    #[track_caller]
    fn as_images(self, name: &'static str) -> Result<Self, Error> {
        let shape = self.shape();
        let [n, channels, depth, height, width] = *shape else {
            let detail = "volumes are [n, channels, depth, height, width]".to_owned();
            return Err(Error::shape(name, &[&shape], detail));
        };
        Ok(self.reshape([n, channels * depth, height, width]))
    }

    /// Pooled images of these volumes as images whose rows are whole images, and the way back from what
    /// becomes of them.
    #[track_caller]
    fn as_planes(self, images: Self) -> (Self, impl Fn(Self) -> Self) {
        let (own, pooled) = (self.shape(), images.shape());
        let (n, channels, depth) = (own[0], own[1], own[2]);
        let (height, width) = (pooled[2], pooled[3]);
        let back =
            move |planes: Self| planes.reshape([n, channels, planes.shape()[2], height, width]);
        (images.reshape([n, channels, depth, height * width]), back)
    }
}
