//! Images of another size, and windows of lines: composites.

#[cfg(feature = "cases")]
pub(crate) mod cases;

use super::conv::IntoPair;
use super::conv::other::renamed;
use super::pool::Pool2d;
use crate::error::expect;
use crate::{Error, Real, Shape, Tensor, TensorVar};

/// How [`interpolate`](TensorVar::interpolate) fills in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interpolation {
    /// The element at the place, rounded down: position `i` of `m` is taken from `floor(i n / m)` of `n`.
    Nearest,
    /// Linear between neighbours along both axes.
    Bilinear {
        /// Whether the outermost elements are at the same places, or else the outer edges of the outermost
        /// elements, so that an element is an area.
        align_corners: bool,
    },
}

/// The weights `[m, n]` of a linear interpolation of `n` elements at `m` places.
fn linear<E: Real>(n: usize, m: usize, align_corners: bool) -> Tensor<E> {
    let mut weights = Tensor::zeros([m, n]);
    for i in 0..m {
        let at = match align_corners {
            true if m == 1 => 0.0,
            true => i as f64 * (n - 1) as f64 / (m - 1) as f64,
            false => ((i as f64 + 0.5) * n as f64 / m as f64 - 0.5).max(0.0),
        };
        let low = (at.floor() as usize).min(n - 1);
        let part = if low + 1 < n { at - low as f64 } else { 0.0 };
        weights[[i, low]] += E::lit(1.0 - part);
        if part > 0.0 {
            weights[[i, low + 1]] += E::lit(part);
        }
    }
    weights
}

impl<E: Real> TensorVar<E> {
    /// Height and width, if this is images with elements and the new size has some.
    #[track_caller]
    fn images(self, name: &'static str, size: [usize; 2]) -> Result<[usize; 2], Error> {
        let shape = self.shape();
        match *shape {
            [n, channels, height, width]
                if [height, width, size[0], size[1]].iter().all(|&l| l > 0) =>
            {
                // The result, and what it is computed with.
                let result = Shape::from([n, channels, size[0], size[1]]);
                let weights = [[size[0], height], [size[1], width]].map(Shape::from);
                match weights.iter().chain([&result]).find_map(Shape::flaw) {
                    Some(detail) => Err(Error::shape(name, &[&shape], detail)),
                    None => Ok([height, width]),
                }
            }
            _ => {
                let detail = format!(
                    "images are [n, channels, height, width], with elements, and become {size:?}"
                );
                Err(Error::shape(name, &[&shape], detail))
            }
        }
    }

    /// Both axes of images under matrices: `A X Bᵀ`.
    #[track_caller]
    fn between(self, rows: Tensor<E>, columns: Tensor<E>) -> Self {
        let (rows, columns) = (self.constant_like(rows), self.constant_like(columns));
        rows.matmul(self.matmul(columns.t()))
    }

    /// Images `[n, c, h, w]` in another size: `[n, c, oh, ow]`. Places are those of PyTorch's `interpolate`.
    ///
    /// ```
    /// use tape::{Interpolation, Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.tensor(Tensor::new([1, 1, 1, 2], vec![0.0, 2.0]));
    /// let to = |how| x.interpolate([1, 4], how).value().to_vec();
    /// assert_eq!(to(Interpolation::Nearest), [0.0, 0.0, 2.0, 2.0]);
    /// assert_eq!(to(Interpolation::Bilinear { align_corners: false }), [0.0, 0.5, 1.5, 2.0]);
    /// ```
    ///
    /// # Panics
    /// If the rank is not 4, or one of the sizes is 0.
    #[track_caller]
    pub fn interpolate(self, size: impl IntoPair, how: Interpolation) -> Self {
        expect(self.try_interpolate(size, how))
    }

    /// Like [`interpolate`](Self::interpolate), for shapes from outside.
    ///
    /// # Errors
    /// Where [`interpolate`](Self::interpolate) panics.
    #[track_caller]
    pub fn try_interpolate(self, size: impl IntoPair, how: Interpolation) -> Result<Self, Error> {
        let size = size.into_pair();
        let own = self.images("interpolate", size)?;
        Ok(match how {
            Interpolation::Nearest => {
                let from = |k: usize| -> Vec<usize> {
                    (0..size[k]).map(|i| i * own[k] / size[k]).collect()
                };
                self.index_select(2, from(0)).index_select(3, from(1))
            }
            Interpolation::Bilinear { align_corners } => {
                let weights = |k: usize| linear(own[k], size[k], align_corners);
                self.between(weights(0), weights(1))
            }
        })
    }

    /// The largest element in each window of lines `[n, c, l]`; see [`max_pool2d`](Self::max_pool2d).
    ///
    /// # Panics
    /// As [`max_pool2d`](Self::max_pool2d).
    #[track_caller]
    pub fn max_pool1d(self, size: usize, stride: usize, padding: usize) -> Self {
        expect(self.try_max_pool1d(size, stride, padding))
    }

    /// Like [`max_pool1d`](Self::max_pool1d), for shapes from outside.
    ///
    /// # Errors
    /// Where [`max_pool1d`](Self::max_pool1d) panics.
    #[track_caller]
    pub fn try_max_pool1d(self, size: usize, stride: usize, padding: usize) -> Result<Self, Error> {
        let images = self.lines("max_pool1d")?;
        let result = images.try_max_pool2d(of_lines(size, stride, padding));
        Ok(renamed("max_pool1d", &[self], result)?.squeeze(2))
    }

    /// The mean of each window of lines `[n, c, l]`, with zeros in the padding; see
    /// [`avg_pool2d`](Self::avg_pool2d).
    ///
    /// # Panics
    /// As [`max_pool2d`](Self::max_pool2d).
    #[track_caller]
    pub fn avg_pool1d(self, size: usize, stride: usize, padding: usize) -> Self {
        expect(self.try_avg_pool1d(size, stride, padding))
    }

    /// Like [`avg_pool1d`](Self::avg_pool1d), for shapes from outside.
    ///
    /// # Errors
    /// Where [`avg_pool1d`](Self::avg_pool1d) panics.
    #[track_caller]
    pub fn try_avg_pool1d(self, size: usize, stride: usize, padding: usize) -> Result<Self, Error> {
        let images = self.lines("avg_pool1d")?;
        let result = images.try_avg_pool2d(of_lines(size, stride, padding));
        Ok(renamed("avg_pool1d", &[self], result)?.squeeze(2))
    }

    /// Lines as images of height 1.
    #[track_caller]
    fn lines(self, name: &'static str) -> Result<Self, Error> {
        let shape = self.shape();
        if shape.rank() != 3 {
            return Err(Error::shape(
                name,
                &[&shape],
                "lines are [n, channels, length]".to_owned(),
            ));
        }
        Ok(self.unsqueeze(2))
    }
}

fn of_lines(size: usize, stride: usize, padding: usize) -> Pool2d {
    Pool2d::new([1, size]).stride([1, stride]).padding([0, padding])
}
