//! Shapes, and the rule by which two of them broadcast.

use std::fmt;
use std::ops::Deref;

use smallvec::SmallVec;

/// The lengths of the axes of a tensor, outermost first; empty for rank 0.
///
/// Made from arrays, slices and vectors of `usize`; it dereferences to a slice.
#[derive(Default, PartialEq, Eq, Hash)]
pub struct Shape(SmallVec<[usize; 4]>);

impl Clone for Shape {
    fn clone(&self) -> Self {
        // The derived one would go through an iterator.
        Shape(SmallVec::from_slice(&self.0))
    }
}

/// The most axes that a tensor may have: reductions keep a set of them in the bits of a word.
pub(crate) const MAX_RANK: usize = 32;

/// The most elements: a buffer has at most `isize::MAX` bytes.
const MAX_ELEMENTS: usize = isize::MAX as usize / size_of::<f64>();

const TOO_LARGE: &str = "does not fit into memory";

impl Shape {
    #[track_caller]
    fn new(lens: SmallVec<[usize; 4]>) -> Shape {
        let rank = lens.len();
        assert!(rank <= MAX_RANK, "a tensor has at most {MAX_RANK} axes, not {rank}");
        Shape(lens)
    }

    /// The shape of a single number: no axes, one element.
    pub fn scalar() -> Shape {
        Shape::default()
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The number of elements: the product of the lengths.
    ///
    /// # Panics
    /// If so many elements do not fit into memory.
    #[track_caller]
    pub fn elements(&self) -> usize {
        match self.checked_elements() {
            Some(elements) => elements,
            None => panic!("the number of elements of the shape {self} {TOO_LARGE}"),
        }
    }

    /// The number of elements; `None` if so many numbers do not fit into the memory that any machine can address.
    pub fn checked_elements(&self) -> Option<usize> {
        if self.0.contains(&0) {
            return Some(0);
        }
        let elements = self.0.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        elements.filter(|&n| n <= MAX_ELEMENTS)
    }

    /// Why no tensor has this shape, which was computed from others; `None` if it can have it.
    #[inline]
    pub(crate) fn flaw(&self) -> Option<String> {
        // Every operation asks; a few axes of usual lengths have at most 2^60 elements.
        let usual = self.rank() <= 4 && self.0.iter().all(|&len| len < 1 << 15);
        if usual { None } else { self.find_flaw() }
    }

    #[cold]
    fn find_flaw(&self) -> Option<String> {
        if self.rank() > MAX_RANK {
            return Some(format!("a tensor has at most {MAX_RANK} axes, not {}", self.rank()));
        }
        let too_large = || format!("the number of elements of {self} {TOO_LARGE}");
        self.checked_elements().is_none().then(too_large)
    }

    /// The row-major strides, in elements.
    pub fn strides(&self) -> SmallVec<[usize; 4]> {
        let mut strides: SmallVec<[usize; 4]> = SmallVec::from_elem(1, self.rank());
        for k in (1..self.rank()).rev() {
            // Only a shape without elements can have strides that are too large.
            strides[k - 1] = strides[k].saturating_mul(self.0[k]);
        }
        strides
    }

    /// The common shape under numpy's rule: aligned at the last axis, lengths are equal or 1.
    /// `None` if there is none.
    pub fn broadcast(&self, other: &Shape) -> Option<Shape> {
        if self == other {
            return Some(self.clone());
        }
        let (long, short) = if self.rank() >= other.rank() { (self, other) } else { (other, self) };
        let mut out = long.clone();
        let skip = long.rank() - short.rank();
        for (d, &s) in out.0[skip..].iter_mut().zip(short.iter()) {
            match (*d, s) {
                (d, s) if d == s => {}
                (1, s) => *d = s,
                (_, 1) => {}
                _ => return None,
            }
        }
        Some(out)
    }

    /// The strides with which a tensor of this shape is read as if it had the shape `target`: 0
    /// along every axis that is repeated. `self` must broadcast to `target`.
    pub(crate) fn strides_within(&self, target: &Shape) -> SmallVec<[usize; 4]> {
        let own = self.strides();
        let skip = target.rank() - self.rank();
        let mut strides: SmallVec<[usize; 4]> = SmallVec::from_elem(0, target.rank());
        for k in 0..self.rank() {
            if self.0[k] != 1 {
                strides[skip + k] = own[k];
            }
        }
        strides
    }

    /// The position of a (possibly negative) axis.
    pub(crate) fn axis(&self, axis: isize) -> Option<usize> {
        let rank = self.rank() as isize;
        (-rank..rank).contains(&axis).then_some(axis.rem_euclid(rank.max(1)) as usize)
    }

    pub(crate) fn push(&mut self, len: usize) {
        self.0.push(len);
    }

    #[track_caller]
    pub(crate) fn insert(&mut self, axis: usize, len: usize) {
        assert!(self.rank() < MAX_RANK, "a tensor has at most {MAX_RANK} axes");
        self.0.insert(axis, len);
    }

    pub(crate) fn remove(&mut self, axis: usize) {
        self.0.remove(axis);
    }

    pub(crate) fn set(&mut self, axis: usize, len: usize) {
        self.0[axis] = len;
    }
}

impl Deref for Shape {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    #[track_caller]
    fn from(lens: [usize; N]) -> Self {
        Shape::new(SmallVec::from_slice(&lens))
    }
}

impl From<&[usize]> for Shape {
    #[track_caller]
    fn from(lens: &[usize]) -> Self {
        Shape::new(SmallVec::from_slice(lens))
    }
}

impl From<Vec<usize>> for Shape {
    #[track_caller]
    fn from(lens: Vec<usize>) -> Self {
        Shape::new(SmallVec::from_vec(lens))
    }
}

impl From<&Shape> for Shape {
    fn from(shape: &Shape) -> Self {
        shape.clone()
    }
}

impl FromIterator<usize> for Shape {
    fn from_iter<I: IntoIterator<Item = usize>>(lens: I) -> Self {
        Shape::new(lens.into_iter().collect())
    }
}

impl<const N: usize> PartialEq<[usize; N]> for Shape {
    fn eq(&self, other: &[usize; N]) -> bool {
        **self == other[..]
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Axes of a tensor, as arguments of reductions: `1`, `-1`, `[0, 2]`, `&axes[..]`. Negative axes
/// count from the end.
pub trait IntoAxes {
    /// The axes as given.
    fn into_axes(self) -> SmallVec<[isize; 4]>;
}

impl IntoAxes for isize {
    fn into_axes(self) -> SmallVec<[isize; 4]> {
        SmallVec::from_slice(&[self])
    }
}

impl<const N: usize> IntoAxes for [isize; N] {
    fn into_axes(self) -> SmallVec<[isize; 4]> {
        SmallVec::from_slice(&self)
    }
}

impl IntoAxes for &[isize] {
    fn into_axes(self) -> SmallVec<[isize; 4]> {
        SmallVec::from_slice(self)
    }
}

/// A set of axes as bits: what an operation keeps of [`IntoAxes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AxisSet(u64);

impl AxisSet {
    pub(crate) fn all(rank: usize) -> Self {
        AxisSet((1u64 << rank) - 1)
    }

    /// The axes of `shape` that `axes` names; `Err` holds the one that it does not have or that is
    /// named twice.
    pub(crate) fn new(shape: &Shape, axes: &[isize]) -> Result<Self, isize> {
        let mut set = AxisSet(0);
        for &axis in axes {
            match shape.axis(axis) {
                Some(k) if !set.contains(k) => set.0 |= 1 << k,
                _ => return Err(axis),
            }
        }
        Ok(set)
    }

    pub(crate) fn insert(&mut self, k: usize) {
        self.0 |= 1 << k;
    }

    pub(crate) fn remove(&mut self, k: usize) {
        self.0 &= !(1 << k);
    }

    pub(crate) fn contains(self, k: usize) -> bool {
        self.0 >> k & 1 == 1
    }
}
