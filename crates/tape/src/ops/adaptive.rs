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

/// The weights `[m, n]` of the means of `m` windows of `n` elements.
fn means<E: Real>(n: usize, m: usize) -> Tensor<E> {
    let mut weights = Tensor::zeros([m, n]);
    for i in 0..m {
        let window = window(i, n, m);
        let share = E::ONE / E::lit(window.len() as f64);
        window.for_each(|k| weights[[i, k]] = share);
    }
    weights
}

/// The places in a line of `n` elements that are compared for each of `m` places, and how many they are for
/// each: windows that are shorter than the longest have their last element several times.
fn compared(n: usize, m: usize) -> (Vec<usize>, usize) {
    let longest = (0..m).map(|i| window(i, n, m).len()).max().unwrap_or(1);
    let places = (0..m).flat_map(|i| {
        let window = window(i, n, m);
        (0..longest).map(move |k| (window.start + k).min(window.end - 1))
    });
    (places.collect(), longest)
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
            let mut shape = x.shape();
            let weights = self.constant_like(means(shape[axis], len));
            if axis + 1 == shape.rank() {
                x = x.matmul(weights.t());
                continue;
            }
            // The axis as the rows of matrices.
            let after = shape[axis + 1..].iter().product();
            let before = shape[..axis].iter().product();
            let rows = weights.matmul(x.reshape([before, shape[axis], after]));
            shape.set(axis, len);
            x = rows.reshape(shape);
        }
        Ok(x)
    }

    #[track_caller]
    fn adaptive_max(self, name: &'static str, size: &[usize]) -> Result<Self, Error> {
        self.check_adaptive(name, size)?;
        let own = self.shape();
        let mut windows = self;
        let mut apart: Vec<usize> = own[..2].to_vec();
        let mut inside: Vec<isize> = Vec::new();
        for (k, &len) in size.iter().enumerate() {
            let axis = 2 + k;
            let (places, longest) = compared(own[axis], len);
            windows = windows.index_select(axis as isize, places);
            inside.push(apart.len() as isize + 1);
            apart.extend([len, longest]);
        }
        Ok(windows.reshape(Shape::from(&apart[..])).amax_axes(&inside[..]))
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

    /// The largest elements of the windows of [`adaptive_avg_pool1d`](Self::adaptive_avg_pool1d). The derivative is shared among
    /// equals. (That of [`max_pool1d`](Self::max_pool1d) goes to the first.)
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

    /// The largest elements of the windows of [`adaptive_avg_pool2d`](Self::adaptive_avg_pool2d). The derivative is shared among
    /// equals. (That of [`max_pool2d`](Self::max_pool2d) goes to the first.)
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

    /// The largest elements of the windows of [`adaptive_avg_pool3d`](Self::adaptive_avg_pool3d). The derivative is shared among
    /// equals. (That of [`max_pool3d`](Self::max_pool3d) goes to the first.)
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
