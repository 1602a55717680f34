//! What depends on the order of the elements along an axis. Indices are found from the values and are constants; the
//! values are gathered by them, so they are differentiable.
//!
//! NaN counts as larger than everything, and what is equal stays in its order.

use std::cmp::Ordering;

use crate::ops::Indices;
use crate::{Real, Shape, Tensor, TensorVar};

/// NaN is larger than everything.
fn compare<E: Real>(a: E, b: E) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// For each line along an axis, the indices that `f` picks from its elements: as many from each line. They are in the order of
/// a tensor whose axis has that length, whose shape is returned as well.
fn pick<E: Real>(
    x: &Tensor<E>,
    axis: usize,
    mut f: impl FnMut(&[E]) -> Vec<usize>,
    count: usize,
) -> (Shape, Vec<usize>) {
    let mut shape = x.shape().clone();
    let (len, stride) = (shape[axis], shape[axis + 1..].iter().product::<usize>());
    shape.set(axis, count);
    let mut indices = vec![0; shape.elements()];
    if indices.is_empty() {
        return (shape, indices);
    }
    let mut line = vec![E::ZERO; len];
    let blocks = x.as_slice().chunks_exact(len * stride);
    for (x, indices) in blocks.zip(indices.chunks_exact_mut(count * stride)) {
        for i in 0..stride {
            line.iter_mut().zip(x.iter().skip(i).step_by(stride)).for_each(|(to, &x)| *to = x);
            let places = indices.iter_mut().skip(i).step_by(stride);
            places.zip(f(&line)).for_each(|(place, index)| *place = index);
        }
    }
    (shape, indices)
}

/// The indices of a line in the order of its elements.
fn sorted<E: Real>(line: &[E], descending: bool) -> Vec<usize> {
    let mut order: Vec<usize> = (0..line.len()).collect();
    order.sort_by(|&a, &b| match descending {
        true => compare(line[b], line[a]),
        false => compare(line[a], line[b]),
    });
    order
}

/// The first of the largest or smallest elements of a line; the first NaN, if there is one.
fn extreme<E: Real>(line: &[E], largest: bool) -> usize {
    let mut best = 0;
    for (i, &x) in line.iter().enumerate().skip(1) {
        let wins = if largest { x > line[best] } else { x < line[best] };
        if !line[best].is_nan() && (wins || x.is_nan()) {
            best = i;
        }
    }
    best
}

impl<E: Real> TensorVar<E> {
    #[track_caller]
    fn extreme_all(self, name: &str, largest: bool) -> usize {
        let x = self.value();
        assert!(x.len() > 0, "{name}: a tensor of shape {} has no elements", x.shape());
        extreme(x.as_slice(), largest)
    }

    #[track_caller]
    fn extreme_axis(self, name: &'static str, axis: isize, largest: bool) -> Indices {
        let k = self.axis(name, axis);
        let x = self.value();
        assert!(x.shape()[k] > 0, "{name}: axis {axis} of shape {} has no elements", x.shape());
        pick(&x, k, |line| vec![extreme(line, largest)], 1).1.into()
    }

    /// The index of the largest of all elements, counted in row-major order: the first of equals, or the first NaN. This
    /// computes the tensor, and has no derivative.
    ///
    /// # Panics
    /// If there are no elements.
    #[track_caller]
    pub fn argmax(self) -> usize {
        self.extreme_all("argmax", true)
    }

    /// The index of the smallest of all elements; as [`argmax`](Self::argmax).
    ///
    /// # Panics
    /// If there are no elements.
    #[track_caller]
    pub fn argmin(self) -> usize {
        self.extreme_all("argmin", false)
    }

    /// The indices of the largest elements along an axis, one for each place of the other axes, in row-major order: the first of
    /// equals, or the first NaN. This computes the tensor, and has no derivative.
    ///
    /// ```
    /// use tape::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.tensor([[1.0, 5.0, 3.0], [4.0, 0.0, 4.0]]);
    /// assert_eq!(x.argmax_axis(1).as_slice(), [1, 0]);
    /// ```
    ///
    /// # Panics
    /// If the axis does not exist or has no elements.
    #[track_caller]
    pub fn argmax_axis(self, axis: isize) -> Indices {
        self.extreme_axis("argmax_axis", axis, true)
    }

    /// The indices of the smallest elements along an axis; as [`argmax_axis`](Self::argmax_axis).
    ///
    /// # Panics
    /// If the axis does not exist or has no elements.
    #[track_caller]
    pub fn argmin_axis(self, axis: isize) -> Indices {
        self.extreme_axis("argmin_axis", axis, false)
    }

    /// The indices by which [`sort`](Self::sort) puts the elements of an axis into order: of the shape of this tensor, in row-major
    /// order. This computes the tensor, and has no derivative.
    ///
    /// # Panics
    /// If the axis does not exist.
    #[track_caller]
    pub fn argsort(self, axis: isize, descending: bool) -> Indices {
        let k = self.axis("argsort", axis);
        let len = self.shape()[k];
        pick(&self.value(), k, |line| sorted(line, descending), len).1.into()
    }

    /// The elements along an axis in ascending or descending order, and the indices at which they were, of the same shape. What is
    /// equal stays in its order; NaN is larger than everything. The derivative goes to where the elements were.
    ///
    /// # Panics
    /// If the axis does not exist.
    #[track_caller]
    pub fn sort(self, axis: isize, descending: bool) -> (Self, Indices) {
        let indices = self.argsort(axis, descending);
        (self.gather(axis, self.shape(), &indices), indices)
    }

    /// The `k` largest (or smallest) elements along an axis, the first being the most extreme, and the indices at which they were. Among
    /// equals the first come first; NaN is larger than everything.
    ///
    /// # Panics
    /// If the axis does not exist or is shorter than `k`.
    #[track_caller]
    pub fn topk(self, k: usize, axis: isize, largest: bool) -> (Self, Indices) {
        let at = self.axis("topk", axis);
        let shape = self.shape();
        assert!(k <= shape[at], "topk: {k} elements of axis {axis} of shape {shape}");
        let few = |line: &[E]| {
            let mut order = sorted(line, largest);
            order.truncate(k);
            order
        };
        let (shape, indices) = pick(&self.value(), at, few, k);
        let indices = Indices::from(indices);
        (self.gather(axis, shape, &indices), indices)
    }

    /// The largest element so far at each place along an axis. The derivative goes to it, to the last of equals, as in
    /// PyTorch; once NaN was met, it stays.
    ///
    /// # Panics
    /// If the axis does not exist.
    #[track_caller]
    pub fn cummax(self, axis: isize) -> Self {
        self.so_far("cummax", axis, true)
    }

    /// The smallest element so far at each place along an axis; as [`cummax`](Self::cummax).
    ///
    /// # Panics
    /// If the axis does not exist.
    #[track_caller]
    pub fn cummin(self, axis: isize) -> Self {
        self.so_far("cummin", axis, false)
    }

    #[track_caller]
    fn so_far(self, name: &'static str, axis: isize, largest: bool) -> Self {
        let k = self.axis(name, axis);
        let running = |line: &[E]| {
            let mut best = 0;
            let so_far = line.iter().enumerate().map(|(i, &x)| {
                let wins = if largest { x >= line[best] } else { x <= line[best] };
                if x.is_nan() || wins {
                    best = i;
                }
                best
            });
            so_far.collect()
        };
        let (shape, indices) = pick(&self.value(), k, running, self.shape()[k]);
        self.gather(axis, shape, indices)
    }

    /// The median of all elements, of rank 0: of an even number of elements the lower one of the two in the middle, as in PyTorch. NaN if
    /// an element is.
    ///
    /// # Panics
    /// If there are no elements.
    #[track_caller]
    pub fn median(self) -> Self {
        let flat = self.flatten();
        flat.reduce_median("median", 0)
    }

    /// The median along an axis, which goes; as [`median`](Self::median).
    ///
    /// # Panics
    /// If the axis does not exist or has no elements.
    #[track_caller]
    pub fn median_axis(self, axis: isize) -> Self {
        self.reduce_median("median_axis", axis)
    }

    #[track_caller]
    fn reduce_median(self, name: &'static str, axis: isize) -> Self {
        let k = self.axis(name, axis);
        let x = self.value();
        assert!(x.shape()[k] > 0, "{name}: axis {axis} of shape {} has no elements", x.shape());
        let (shape, indices) = pick(&x, k, |line| vec![at_rank(line, (line.len() - 1) / 2)], 1);
        self.gather(axis, shape, indices).squeeze(k as isize)
    }

    /// The quantile `q` of all elements, of rank 0: of `n` elements in ascending order, the one at place `q (n - 1)`, counted from
    /// 0; between two places the value is interpolated linearly. NaN if an element is.
    ///
    /// ```
    /// use tape::Tape;
    ///
    /// let tape = Tape::new();
    /// assert_eq!(tape.tensor([4.0, 1.0, 2.0]).quantile(0.75).item(), 3.0);
    /// ```
    ///
    /// # Panics
    /// If there are no elements or `q` is not in `[0, 1]`.
    #[track_caller]
    pub fn quantile(self, q: f64) -> Self {
        let flat = self.flatten();
        flat.reduce_quantile("quantile", 0, q)
    }

    /// The quantile along an axis, which goes; as [`quantile`](Self::quantile).
    ///
    /// # Panics
    /// If the axis does not exist or has no elements, or `q` is not in `[0, 1]`.
    #[track_caller]
    pub fn quantile_axis(self, axis: isize, q: f64) -> Self {
        self.reduce_quantile("quantile_axis", axis, q)
    }

    #[track_caller]
    fn reduce_quantile(self, name: &'static str, axis: isize, q: f64) -> Self {
        assert!((0.0..=1.0).contains(&q), "{name}: {q} is not in [0, 1]");
        let k = self.axis(name, axis);
        let x = self.value();
        let len = x.shape()[k];
        assert!(len > 0, "{name}: axis {axis} of shape {} has no elements", x.shape());
        let place = q * (len - 1) as f64;
        let (below, part) = (place.floor() as usize, place.fract());
        let above = (below + 1).min(len - 1);
        let at = |rank: usize| pick(&x, k, |line: &[E]| vec![at_rank(line, rank)], 1);
        let (shape, low) = at(below);
        let low = self.gather(axis, &shape, low);
        let value = match part {
            // So that nothing flows to the other one, which may be infinite.
            0.0 => low,
            _ => low.lerp(self.gather(axis, &shape, at(above).1), E::lit(part)),
        };
        value.squeeze(k as isize)
    }
}

/// The index of the element of a rank in a line; of a NaN, if there is one.
fn at_rank<E: Real>(line: &[E], rank: usize) -> usize {
    match line.iter().position(|x| x.is_nan()) {
        Some(nan) => nan,
        None => sorted(line, false)[rank],
    }
}
