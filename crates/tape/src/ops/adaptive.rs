//! Pooling to a given size, along one, two or three axes: composites.

#[cfg(feature = "cases")]
pub(crate) mod cases;

use std::ops::Range;

use super::conv::{IntoPair, IntoTriple};
use crate::error::expect;
use crate::{Error, Real, Shape, Tensor, TensorVar};

/// The window of place `i` of `m` over `n` elements, as wide as it takes for all to be covered.
fn window(i: usize, n: usize, m: usize) -> Range<usize> {
    i * n / m..((i + 1) * n).div_ceil(m)
}

/// The elements of the `m` windows of `n` elements one after the other, and their weights `[m, longest]` in the means.
/// Windows that are shorter than the longest have their last element several times, which share its weight: with a weight
/// of 0 an infinite element would make NaN.
fn means<E: Real>(n: usize, m: usize) -> (Vec<usize>, Tensor<E>) {
    let longest = (0..m).map(|i| window(i, n, m).len()).max().unwrap_or(1);
    let mut places = Vec::with_capacity(m * longest);
    let mut weights = Tensor::zeros([m, longest]);
    for i in 0..m {
        let window = window(i, n, m);
        let len = window.len();
        for k in 0..longest {
            let times = if k < len - 1 { 1 } else { longest - len + 1 };
            places.push((window.start + k).min(window.end - 1));
            weights[[i, k]] = E::ONE / E::lit((len * times) as f64);
        }
    }
    (places, weights)
}

/// Calls `f` with the position of each element of a window, in row-major order: `windows` has its range along each of
/// the last axes, whose lengths are `lens`.
fn for_each_element(
    windows: &[Range<usize>],
    lens: &[usize],
    start: usize,
    f: &mut impl FnMut(usize),
) {
    let [window, windows @ ..] = windows else { return f(start) };
    for i in window.clone() {
        for_each_element(windows, &lens[1..], start * lens[0] + i, f);
    }
}

/// The positions of the largest elements of the windows of all planes: of the first of them, or of the first NaN.
fn largest<E: Real>(x: &Tensor<E>, size: &[usize]) -> Vec<usize> {
    let (lens, data) = (&x.shape()[2..], x.as_slice());
    let planes = x.shape()[0] * x.shape()[1];
    let places = size.iter().product::<usize>();
    let mut positions = Vec::with_capacity(planes * places);
    let mut windows: Vec<Range<usize>> = vec![0..0; size.len()];
    for plane in 0..planes {
        for place in 0..places {
            let mut rest = place;
            for (k, (&m, &n)) in size.iter().zip(lens).enumerate().rev() {
                windows[k] = window(rest % m, n, m);
                rest /= m;
            }
            let mut best: Option<usize> = None;
            for_each_element(&windows, lens, plane, &mut |at| {
                let better = best.is_none_or(|best: usize| {
                    data[at] > data[best] || (data[at].is_nan() && !data[best].is_nan())
                });
                if better {
                    best = Some(at);
                }
            });
            positions.push(best.expect("a window has elements"));
        }
    }
    positions
}

impl<E: Real> TensorVar<E> {
    /// An error unless this is `[n, channels, ...]` with as many further axes as there are sizes, and neither
    /// is without elements.
    #[track_caller]
    fn check_adaptive(self, name: &'static str, size: &[usize]) -> Result<(), Error> {
        let shape = self.shape();
        let fits = shape.rank() == 2 + size.len();
        if fits && shape[2..].iter().chain(size).all(|&len| len > 0) {
            // What it is computed by: the windows one by one, and the weights of all places.
            let mut windows = shape.clone();
            for (k, (&m, &n)) in size.iter().zip(&shape[2..]).enumerate() {
                windows.set(2 + k, m.saturating_mul(n.div_ceil(m) + 1));
                if let Some(detail) = Shape::from([m, n]).flaw() {
                    return Err(Error::shape(name, &[&shape], detail));
                }
            }
            return match windows.flaw() {
                Some(detail) => Err(Error::shape(name, &[&shape], detail)),
                None => Ok(()),
            };
        }
        let what = [
            "lines are [n, channels, length]",
            "images are [n, channels, height, width]",
            "volumes are [n, channels, depth, height, width]",
        ][size.len() - 1];
        let detail = format!("{what}, with elements, and become {size:?}");
        Err(Error::shape(name, &[&shape], detail))
    }

    #[track_caller]
    fn adaptive_avg(self, name: &'static str, size: &[usize]) -> Result<Self, Error> {
        self.check_adaptive(name, size)?;
        let mut x = self;
        for (k, &len) in size.iter().enumerate().rev() {
            let axis = 2 + k;
            let shape = x.shape();
            // The axis as one of windows and one of their elements.
            let apart = |longest: usize| -> Shape {
                [&shape[..axis], &[len, longest], &shape[axis + 1..]].concat().into()
            };
            if shape[axis].is_multiple_of(len) {
                // The windows stand side by side.
                x = x.reshape(apart(shape[axis] / len)).mean_axes(axis as isize + 1);
                continue;
            }
            let (places, weights) = means(shape[axis], len);
            let apart = apart(weights.shape()[1]);
            let mut beside = vec![len, weights.shape()[1]];
            beside.resize(apart.rank() - axis, 1);
            let weights = self.constant_like(weights.try_reshape(beside)?);
            let windows = x.index_select(axis as isize, places).reshape(apart);
            x = (windows * weights).sum_axes(axis as isize + 1);
        }
        Ok(x)
    }

    #[track_caller]
    fn adaptive_max(self, name: &'static str, size: &[usize]) -> Result<Self, Error> {
        self.check_adaptive(name, size)?;
        // Where they are is locally constant.
        let positions = largest(&self.value(), size);
        let mut result = self.shape();
        size.iter().enumerate().for_each(|(k, &len)| result.set(2 + k, len));
        Ok(self.take(positions).reshape(result))
    }
}

impl<E: Real> TensorVar<E> {
    /// The means of windows of lines `[n, c, l]` that are laid so that there are `size` of them: place `i` of
    /// `m` has the elements from `floor(i n / m)` to `ceil((i + 1) n / m)`.
    ///
    /// ```
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.tensor(Tensor::new([1, 1, 3], vec![1.0, 2.0, 6.0]));
    /// assert_eq!(x.adaptive_avg_pool1d(2).value().to_vec(), [1.5, 4.0]);
    /// assert_eq!(x.adaptive_max_pool1d(2).value().to_vec(), [2.0, 6.0]);
    /// ```
    ///
    /// # Panics
    /// If the rank is another one, or one of the lengths is 0.
    #[track_caller]
    pub fn adaptive_avg_pool1d(self, size: usize) -> Self {
        expect(self.try_adaptive_avg_pool1d(size))
    }

    /// Like [`adaptive_avg_pool1d`](Self::adaptive_avg_pool1d), for shapes from outside.
    ///
    /// # Errors
    /// Where [`adaptive_avg_pool1d`](Self::adaptive_avg_pool1d) panics.
    #[track_caller]
    pub fn try_adaptive_avg_pool1d(self, size: usize) -> Result<Self, Error> {
        self.adaptive_avg("adaptive_avg_pool1d", &[size])
    }

    /// The largest elements of the windows of [`adaptive_avg_pool1d`](Self::adaptive_avg_pool1d). The derivative goes
    /// to the first of equals, as that of [`max_pool1d`](Self::max_pool1d).
    ///
    /// # Panics
    /// As [`adaptive_avg_pool1d`](Self::adaptive_avg_pool1d).
    #[track_caller]
    pub fn adaptive_max_pool1d(self, size: usize) -> Self {
        expect(self.try_adaptive_max_pool1d(size))
    }

    /// Like [`adaptive_max_pool1d`](Self::adaptive_max_pool1d), for shapes from outside.
    ///
    /// # Errors
    /// Where [`adaptive_max_pool1d`](Self::adaptive_max_pool1d) panics.
    #[track_caller]
    pub fn try_adaptive_max_pool1d(self, size: usize) -> Result<Self, Error> {
        self.adaptive_max("adaptive_max_pool1d", &[size])
    }

    /// The means of windows of images `[n, c, h, w]`, along each axis as those of
    /// [`adaptive_avg_pool1d`](Self::adaptive_avg_pool1d).
    ///
    /// ```
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.tensor(Tensor::new([1, 1, 1, 3], vec![1.0, 2.0, 6.0]));
    /// assert_eq!(x.adaptive_avg_pool2d([1, 2]).value().to_vec(), [1.5, 4.0]);
    /// assert_eq!(x.adaptive_avg_pool2d(1).value().to_vec(), [3.0]);
    /// ```
    ///
    /// # Panics
    /// If the rank is another one, or one of the lengths is 0.
    #[track_caller]
    pub fn adaptive_avg_pool2d(self, size: impl IntoPair) -> Self {
        expect(self.try_adaptive_avg_pool2d(size))
    }

    /// Like [`adaptive_avg_pool2d`](Self::adaptive_avg_pool2d), for shapes from outside.
    ///
    /// # Errors
    /// Where [`adaptive_avg_pool2d`](Self::adaptive_avg_pool2d) panics.
    #[track_caller]
    pub fn try_adaptive_avg_pool2d(self, size: impl IntoPair) -> Result<Self, Error> {
        self.adaptive_avg("adaptive_avg_pool2d", &size.into_pair())
    }

    /// The largest elements of the windows of [`adaptive_avg_pool2d`](Self::adaptive_avg_pool2d). The derivative goes
    /// to the first of equals, as that of [`max_pool2d`](Self::max_pool2d).
    ///
    /// # Panics
    /// As [`adaptive_avg_pool2d`](Self::adaptive_avg_pool2d).
    #[track_caller]
    pub fn adaptive_max_pool2d(self, size: impl IntoPair) -> Self {
        expect(self.try_adaptive_max_pool2d(size))
    }

    /// Like [`adaptive_max_pool2d`](Self::adaptive_max_pool2d), for shapes from outside.
    ///
    /// # Errors
    /// Where [`adaptive_max_pool2d`](Self::adaptive_max_pool2d) panics.
    #[track_caller]
    pub fn try_adaptive_max_pool2d(self, size: impl IntoPair) -> Result<Self, Error> {
        self.adaptive_max("adaptive_max_pool2d", &size.into_pair())
    }

    /// The means of windows of volumes `[n, c, d, h, w]`, along each axis as those of
    /// [`adaptive_avg_pool1d`](Self::adaptive_avg_pool1d).
    ///
    /// # Panics
    /// If the rank is another one, or one of the lengths is 0.
    #[track_caller]
    pub fn adaptive_avg_pool3d(self, size: impl IntoTriple) -> Self {
        expect(self.try_adaptive_avg_pool3d(size))
    }

    /// Like [`adaptive_avg_pool3d`](Self::adaptive_avg_pool3d), for shapes from outside.
    ///
    /// # Errors
    /// Where [`adaptive_avg_pool3d`](Self::adaptive_avg_pool3d) panics.
    #[track_caller]
    pub fn try_adaptive_avg_pool3d(self, size: impl IntoTriple) -> Result<Self, Error> {
        self.adaptive_avg("adaptive_avg_pool3d", &size.into_triple())
    }

    /// The largest elements of the windows of [`adaptive_avg_pool3d`](Self::adaptive_avg_pool3d). The derivative goes
    /// to the first of equals, as that of [`max_pool3d`](Self::max_pool3d).
    ///
    /// # Panics
    /// As [`adaptive_avg_pool3d`](Self::adaptive_avg_pool3d).
    #[track_caller]
    pub fn adaptive_max_pool3d(self, size: impl IntoTriple) -> Self {
        expect(self.try_adaptive_max_pool3d(size))
    }

    /// Like [`adaptive_max_pool3d`](Self::adaptive_max_pool3d), for shapes from outside.
    ///
    /// # Errors
    /// Where [`adaptive_max_pool3d`](Self::adaptive_max_pool3d) panics.
    #[track_caller]
    pub fn try_adaptive_max_pool3d(self, size: impl IntoTriple) -> Result<Self, Error> {
        self.adaptive_max("adaptive_max_pool3d", &size.into_triple())
    }
}
