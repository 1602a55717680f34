//! Shapes, and the rule by which two of them broadcast.

use std::fmt;
use std::ops::Deref;

use smallvec::SmallVec;

/// The lengths of the axes of a tensor, outermost first; empty for rank 0.
///
/// Made from arrays, slices and vectors of `usize`; it dereferences to a slice.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Shape(Lengths);

/// Every operation copies and compares shapes: up to four axes are in place, so that this is a few moves.
#[derive(PartialEq, Eq, Hash)]
enum Lengths {
    Few(Few),
    /// More than [`FEW`].
    Many(Vec<usize>),
}

/// The first `rank` are the lengths, the others 1: so the number of elements is a product without a loop.
///
/// The rank is a whole word behind the lengths, which also says that there are few: so a copy is made in the pieces in
/// which the next one reads it. A processor waits for what it reads in other pieces than it has just written.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(C)]
struct Few {
    lengths: [usize; FEW],
    rank: Rank,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(usize)]
enum Rank {
    Zero,
    One,
    Two,
    Three,
    Four,
}

const FEW: usize = 4;
const _: () = assert!(size_of::<Shape>() == 40);

impl Clone for Lengths {
    #[inline]
    fn clone(&self) -> Self {
        match self {
            &Lengths::Few(few) => Lengths::Few(few),
            Lengths::Many(lengths) => Lengths::Many(lengths.clone()),
        }
    }
}

impl Lengths {
    #[inline]
    fn new(lengths: &[usize]) -> Self {
        // One by one: a copy of so few would take longer to call than to do.
        let few = |lengths: [usize; FEW], rank| Lengths::Few(Few { lengths, rank });
        match *lengths {
            [] => few([1; FEW], Rank::Zero),
            [a] => few([a, 1, 1, 1], Rank::One),
            [a, b] => few([a, b, 1, 1], Rank::Two),
            [a, b, c] => few([a, b, c, 1], Rank::Three),
            [a, b, c, d] => few([a, b, c, d], Rank::Four),
            _ => Lengths::Many(lengths.to_vec()),
        }
    }
}

impl Default for Shape {
    fn default() -> Self {
        Shape(Lengths::new(&[]))
    }
}

/// The most axes that a tensor may have: reductions keep a set of them in the bits of a word.
pub(crate) const MAX_RANK: usize = 32;

/// The most elements: a buffer has at most `isize::MAX` bytes.
const MAX_ELEMENTS: usize = isize::MAX as usize / size_of::<f64>();

const TOO_LARGE: &str = "does not fit into memory";

impl Shape {
    #[track_caller]
    fn new(lens: &[usize]) -> Shape {
        let rank = lens.len();
        assert!(rank <= MAX_RANK, "a tensor has at most {MAX_RANK} axes, not {rank}");
        Shape(Lengths::new(lens))
    }

    fn lengths_mut(&mut self) -> &mut [usize] {
        match &mut self.0 {
            Lengths::Few(few) => &mut few.lengths[..few.rank as usize],
            Lengths::Many(lengths) => lengths,
        }
    }

    /// Changes the list of lengths.
    fn edit(&mut self, change: impl FnOnce(&mut SmallVec<[usize; 8]>)) {
        let mut lengths = SmallVec::from_slice(self);
        change(&mut lengths);
        self.0 = Lengths::new(&lengths);
    }

    /// The shape of a single number: no axes, one element.
    pub fn scalar() -> Shape {
        Shape::default()
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.len()
    }

    /// The number of elements: the product of the lengths.
    ///
    /// # Panics
    /// If so many elements do not fit into memory.
    #[track_caller]
    #[inline]
    pub fn elements(&self) -> usize {
        match self.usual_elements() {
            Some(elements) => elements,
            None => self.many_elements(),
        }
    }

    #[track_caller]
    #[inline(never)]
    fn many_elements(&self) -> usize {
        match self.checked_elements() {
            Some(elements) => elements,
            None => panic!("the number of elements of the shape {self} {TOO_LARGE}"),
        }
    }

    /// The number of elements; `None` if so many numbers do not fit into the memory that any machine can address.
    ///
    /// A length of 0 makes no other length smaller: the others have to fit by themselves, as in numpy. So whatever
    /// part of a shape an operation multiplies fits as well.
    pub fn checked_elements(&self) -> Option<usize> {
        if let Some(elements) = self.usual_elements() {
            return Some(elements);
        }
        let product = self.iter().try_fold(1usize, |n, &d| n.checked_mul(d.max(1)));
        let product = product.filter(|&n| n <= MAX_ELEMENTS)?;
        Some(if self.contains(&0) { 0 } else { product })
    }

    /// The number of elements if there are a few axes of usual lengths, which have at most 2^60 elements. It is
    /// quicker to ask this than to count with care.
    #[inline]
    fn usual_elements(&self) -> Option<usize> {
        match self.0 {
            Lengths::Few(Few { lengths: [a, b, c, d], .. }) if (a | b | c | d) < 1 << 15 => {
                Some(a * b * (c * d))
            }
            _ => None,
        }
    }

    /// Why no tensor has this shape, which was computed from others; `None` if it can have it.
    #[inline]
    pub(crate) fn flaw(&self) -> Option<String> {
        if self.usual_elements().is_some() { None } else { self.find_flaw() }
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
            // Only a shape that no tensor has can have strides that are too large.
            strides[k - 1] = strides[k].saturating_mul(self[k]);
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
        for (d, &s) in out.lengths_mut()[skip..].iter_mut().zip(short.iter()) {
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
        let mut strides: SmallVec<[usize; 4]> = SmallVec::from_elem(0, target.rank());
        let mut own = 1usize;
        for (stride, &len) in strides.iter_mut().rev().zip(self.iter().rev()) {
            *stride = if len == 1 { 0 } else { own };
            own = own.saturating_mul(len);
        }
        strides
    }

    /// The position of a (possibly negative) axis.
    pub(crate) fn axis(&self, axis: isize) -> Option<usize> {
        let rank = self.rank() as isize;
        (-rank..rank).contains(&axis).then_some(axis.rem_euclid(rank.max(1)) as usize)
    }

    pub(crate) fn push(&mut self, len: usize) {
        self.edit(|lengths| lengths.push(len));
    }

    #[track_caller]
    pub(crate) fn insert(&mut self, axis: usize, len: usize) {
        assert!(self.rank() < MAX_RANK, "a tensor has at most {MAX_RANK} axes");
        self.edit(|lengths| lengths.insert(axis, len));
    }

    pub(crate) fn remove(&mut self, axis: usize) {
        self.edit(|lengths| {
            lengths.remove(axis);
        });
    }

    pub(crate) fn set(&mut self, axis: usize, len: usize) {
        self.lengths_mut()[axis] = len;
    }
}

impl Deref for Shape {
    type Target = [usize];
    #[inline]
    fn deref(&self) -> &[usize] {
        match &self.0 {
            Lengths::Few(few) => &few.lengths[..few.rank as usize],
            Lengths::Many(lengths) => lengths,
        }
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    #[track_caller]
    fn from(lens: [usize; N]) -> Self {
        Shape::new(&lens)
    }
}

impl From<&[usize]> for Shape {
    #[track_caller]
    fn from(lens: &[usize]) -> Self {
        Shape::new(lens)
    }
}

impl From<Vec<usize>> for Shape {
    #[track_caller]
    fn from(lens: Vec<usize>) -> Self {
        Shape::new(&lens)
    }
}

impl From<&Shape> for Shape {
    fn from(shape: &Shape) -> Self {
        shape.clone()
    }
}

impl FromIterator<usize> for Shape {
    fn from_iter<I: IntoIterator<Item = usize>>(lens: I) -> Self {
        Shape::new(&lens.into_iter().collect::<SmallVec<[usize; 8]>>())
    }
}

impl<const N: usize> PartialEq<[usize; N]> for Shape {
    fn eq(&self, other: &[usize; N]) -> bool {
        **self == other[..]
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
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
