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

/// For a linear interpolation of `n` elements at `m` places: the neighbours of each place below and above, and their
/// weights. A place that is an element has it as both, half and half: with a weight of 0 an infinite neighbour would make
/// NaN.
fn linear<E: Real>(n: usize, m: usize, align_corners: bool) -> [(Vec<usize>, Vec<E>); 2] {
    let mut neighbours = [(Vec::with_capacity(m), Vec::with_capacity(m)), Default::default()];
    for i in 0..m {
        let at = match align_corners {
            true if m == 1 => 0.0,
            true => i as f64 * (n - 1) as f64 / (m - 1) as f64,
            false => ((i as f64 + 0.5) * n as f64 / m as f64 - 0.5).max(0.0),
        };
        let low = (at.floor() as usize).min(n - 1);
        let part = if low + 1 < n { at - low as f64 } else { 0.0 };
        let (high, part) = if part > 0.0 { (low + 1, part) } else { (low, 0.5) };
        for (k, (at, weight)) in [(low, 1.0 - part), (high, part)].into_iter().enumerate() {
            neighbours[k].0.push(at);
            neighbours[k].1.push(E::lit(weight));
        }
    }
    neighbours
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

    /// The sum of an axis of images at two lists of places, with weights.
    #[track_caller]
    fn between(self, axis: usize, [low, high]: [(Vec<usize>, Vec<E>); 2]) -> Self {
        let (m, rest) = (low.1.len(), if axis == 2 { [1].as_slice() } else { &[] });
        let shape: Vec<usize> = [m].iter().chain(rest).copied().collect();
        let low_weights = self.constant_like(Tensor::new(&shape[..], low.1));
        let high_weights = self.constant_like(Tensor::new(&shape[..], high.1));
        let axis = axis as isize;
        self.index_select(axis, low.0) * low_weights
            + self.index_select(axis, high.0) * high_weights
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
                let neighbours = |k: usize| linear(own[k], size[k], align_corners);
                self.between(3, neighbours(1)).between(2, neighbours(0))
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
