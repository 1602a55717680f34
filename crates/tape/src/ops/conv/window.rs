//! Where a window stands as it moves over an image.

use std::ops::Range;

use crate::op::Misfit;
use crate::{Real, Shape};

/// One number for both axes of an image, or a pair: height and width.
pub trait IntoPair {
    /// The number along the height and along the width.
    fn into_pair(self) -> [usize; 2];
}

impl IntoPair for usize {
    fn into_pair(self) -> [usize; 2] {
        [self, self]
    }
}

impl IntoPair for [usize; 2] {
    fn into_pair(self) -> [usize; 2] {
        self
    }
}

impl IntoPair for (usize, usize) {
    fn into_pair(self) -> [usize; 2] {
        [self.0, self.1]
    }
}

/// A window over the last two axes of a tensor.
#[derive(Clone, Copy, Debug)]
pub(in crate::ops) struct Window {
    pub(in crate::ops) size: [usize; 2],
    pub(in crate::ops) stride: [usize; 2],
    pub(in crate::ops) padding: [usize; 2],
    pub(in crate::ops) dilation: [usize; 2],
}

impl Window {
    /// How many places the window has along each axis of an image.
    pub(in crate::ops) fn places(&self, image: [usize; 2]) -> Result<[usize; 2], Misfit> {
        let mut places = [0; 2];
        for axis in 0..2 {
            let (size, stride, dilation) =
                (self.size[axis], self.stride[axis], self.dilation[axis]);
            if stride == 0 || dilation == 0 {
                let what = if stride == 0 { "stride" } else { "dilation" };
                return Err(Misfit::argument(format!(
                    "a {what} of 0 along axis {axis} of the image"
                )));
            }
            if size == 0 {
                return Err(Misfit::shape(format!("a window of {:?} is empty", self.size)));
            }
            let padding = self.padding[axis];
            let padded = padding.checked_mul(2).and_then(|both| both.checked_add(image[axis]));
            let extent = (size - 1).checked_mul(dilation).and_then(|reach| reach.checked_add(1));
            let fits = padded.zip(extent).and_then(|(padded, extent)| padded.checked_sub(extent));
            let Some(free) = fits else {
                let [height, width] = self.size;
                let dilated = if dilation > 1 {
                    format!(" of dilation {:?}", self.dilation)
                } else {
                    String::new()
                };
                return Err(Misfit::shape(format!(
                    "a window of {height} by {width}{dilated} does not fit into an image of {} by {} with \
                     a padding of {:?}",
                    image[0], image[1], self.padding
                )));
            };
            places[axis] = free / stride + 1;
        }
        // With this, products of what is counted here do not overflow.
        let padded = Shape::from(self.padded(image));
        match padded.flaw() {
            Some(detail) => Err(Misfit::shape(format!("with its padding, {detail}"))),
            None => Ok(places),
        }
    }

    /// An image with its padding.
    pub(in crate::ops) fn padded(&self, image: [usize; 2]) -> [usize; 2] {
        [image[0] + 2 * self.padding[0], image[1] + 2 * self.padding[1]]
    }

    /// The places along an axis where element `k` of the window is inside of an image of length `len`,
    /// and where in the image it is at the first of them.
    pub(in crate::ops) fn inside(
        &self,
        axis: usize,
        k: usize,
        len: usize,
        places: usize,
    ) -> (Range<usize>, usize) {
        let (stride, offset) = (self.stride[axis], k * self.dilation[axis]);
        let padding = self.padding[axis];
        let first = padding.saturating_sub(offset).div_ceil(stride);
        // The position is `place * stride + offset - padding`, which must be below `len`.
        let end = (len + padding).saturating_sub(offset).div_ceil(stride).min(places);
        let first = first.min(end);
        // Where there is no place, this is nobody's position, and may be large.
        (first..end, first.saturating_mul(stride).saturating_add(offset).saturating_sub(padding))
    }

    /// Calls `f(element of the window, first place, position in the image, count)` for each run of places
    /// in one row of an image where an element of the window is inside of the image. Positions grow by
    /// the stride along the width.
    pub(in crate::ops) fn for_each_run(
        &self,
        image: [usize; 2],
        places: [usize; 2],
        mut f: impl FnMut(usize, usize, usize, usize),
    ) {
        for i in 0..self.size[0] {
            let (rows, top) = self.inside(0, i, image[0], places[0]);
            for j in 0..self.size[1] {
                let (columns, left) = self.inside(1, j, image[1], places[1]);
                if columns.is_empty() {
                    continue;
                }
                for (step, row) in rows.clone().enumerate() {
                    let position = (top + step * self.stride[0]) * image[1] + left;
                    let place = row * places[1] + columns.start;
                    f(i * self.size[1] + j, place, position, columns.len());
                }
            }
        }
    }
}

/// The lengths of the last two axes.
pub(in crate::ops) fn image(shape: &Shape) -> [usize; 2] {
    [shape[shape.rank() - 2], shape[shape.rank() - 1]]
}

/// Copies an image into the middle of a larger one.
pub(in crate::ops) fn embed<E: Real>(
    from: &[E],
    image: [usize; 2],
    to: &mut [E],
    padded: [usize; 2],
    padding: [usize; 2],
) {
    if image[1] == 0 {
        return;
    }
    for (k, row) in from.chunks_exact(image[1]).enumerate() {
        let (channel, row_number) = (k / image[0], k % image[0]);
        let at = (channel * padded[0] + row_number + padding[0]) * padded[1] + padding[1];
        to[at..at + image[1]].copy_from_slice(row);
    }
}
