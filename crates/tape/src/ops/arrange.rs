//! Shapes with a length left open, repetition, splitting and padding: composites of the operations in
//! `shape` and `index`.

#[cfg(feature = "cases")]
pub(crate) mod cases;

use smallvec::SmallVec;

use super::conv::other::renamed;
use crate::error::expect;
use crate::{Error, Real, Shape, Tensor, TensorVar, concat};

/// What stands beyond the ends of an axis that is padded.
///
/// ```
/// use tape::{Pad, Tape, Tensor};
///
/// let tape = Tape::new();
/// let x = tape.tensor([1.0, 2.0, 3.0]);
/// let padded = |with| x.pad(0, 2, 1, with).value();
/// assert_eq!(padded(Pad::Constant(0.5)), Tensor::from([0.5, 0.5, 1.0, 2.0, 3.0, 0.5]));
/// assert_eq!(padded(Pad::Reflect), Tensor::from([3.0, 2.0, 1.0, 2.0, 3.0, 2.0]));
/// assert_eq!(padded(Pad::Replicate), Tensor::from([1.0, 1.0, 1.0, 2.0, 3.0, 3.0]));
/// assert_eq!(padded(Pad::Circular), Tensor::from([2.0, 3.0, 1.0, 2.0, 3.0, 1.0]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pad {
    /// A number.
    Constant(f64),
    /// The entries in reverse, without the one at the end itself; shorter than the axis.
    Reflect,
    /// The entry at the end, over and over.
    Replicate,
    /// The entries from the other end on; not longer than the axis.
    Circular,
}

impl Pad {
    /// Which entry of an axis stands at position `i`, which may lie beyond its ends.
    fn source(self, i: isize, len: isize) -> isize {
        match self {
            Pad::Reflect if i < 0 => -i,
            Pad::Reflect if i >= len => 2 * (len - 1) - i,
            Pad::Circular => i.rem_euclid(len),
            _ => i.clamp(0, len - 1),
        }
    }
}

impl<E: Real> TensorVar<E> {
    /// The same elements in another shape, one of whose lengths may be -1: it is then what is left for
    /// it. ([`reshape`](Self::reshape) takes lengths without a sign.)
    ///
    /// ```
    /// use tape::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    /// assert_eq!(x.view(&[2, -1]).shape(), [2, 3]);
    /// ```
    ///
    /// # Panics
    /// If several lengths are -1 or one is below, or the number of elements differs.
    #[track_caller]
    pub fn view(self, lens: &[isize]) -> Self {
        expect(self.try_view(lens))
    }

    /// Like [`view`](Self::view), for a shape from outside.
    ///
    /// # Errors
    /// Where [`view`](Self::view) panics.
    #[track_caller]
    pub fn try_view(self, lens: &[isize]) -> Result<Self, Error> {
        let own = self.shape();
        let open = lens.iter().filter(|&&len| len == -1).count();
        let known: Shape = lens.iter().filter(|&&len| len >= 0).map(|&len| len as usize).collect();
        let elements = known.checked_elements();
        let left = match elements {
            Some(n) if n > 0 && own.elements().is_multiple_of(n) => Some(own.elements() / n),
            _ => None,
        };
        let fits = known.rank() + open == lens.len() && open <= 1;
        match (fits, open, left) {
            (true, 0, _) => renamed("view", &[self], self.try_reshape(known)),
            (true, 1, Some(left)) => {
                let len = |&len: &isize| if len < 0 { left } else { len as usize };
                let shape = lens.iter().map(len).collect::<Shape>();
                renamed("view", &[self], self.try_reshape(shape))
            }
            _ => {
                let detail = format!("it cannot be seen as {lens:?}");
                Err(Error::shape("view", &[&own], detail))
            }
        }
    }

    /// The axes from `first` to `last`, both included, as one.
    ///
    /// # Panics
    /// If an axis does not exist, or `last` stands before `first`.
    #[track_caller]
    pub fn flatten_axes(self, first: isize, last: isize) -> Self {
        let shape = self.shape();
        let (a, b) = (self.axis("flatten_axes", first), self.axis("flatten_axes", last));
        if b < a {
            let detail = format!("axis {last} stands before axis {first}");
            panic!("{}", Error::shape("flatten_axes", &[&shape], detail));
        }
        let mut flat: Shape = shape[..a].into();
        flat.push(shape[a..=b].iter().product());
        shape[b + 1..].iter().for_each(|&len| flat.push(len));
        self.reshape(flat)
    }

    /// The tensor repeated along axes of length 1, and along new ones in front; -1 leaves a length as it
    /// is. [`broadcast_to`](Self::broadcast_to) is the same with lengths without a sign.
    ///
    /// # Panics
    /// If an axis longer than 1 would change its length.
    #[track_caller]
    pub fn expand(self, lens: &[isize]) -> Self {
        let own = self.shape();
        let skip = lens.len().checked_sub(own.rank());
        let mut shape = SmallVec::<[usize; 4]>::new();
        for (k, &len) in lens.iter().enumerate() {
            let old = skip.and_then(|skip| k.checked_sub(skip)).map(|k| own[k]);
            shape.push(match (len, old) {
                (-1, Some(old)) => old,
                (len, old) if len >= 0 && old.is_none_or(|old| old == 1 || old == len as usize) => {
                    len as usize
                }
                _ => {
                    let detail = format!("it cannot be expanded to {lens:?}");
                    panic!("{}", Error::shape("expand", &[&own], detail))
                }
            });
        }
        if skip.is_none() {
            let detail = format!("it has more axes than {lens:?}");
            panic!("{}", Error::shape("expand", &[&own], detail));
        }
        self.broadcast_to(Shape::from(&shape[..]))
    }

    /// Copies of the tensor side by side: `times[k]` along axis `k`. More numbers than axes make new axes
    /// in front.
    ///
    /// ```
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.tensor([1.0, 2.0]);
    /// assert_eq!(x.repeat(&[2]).value(), Tensor::from([1.0, 2.0, 1.0, 2.0]));
    /// assert_eq!(x.repeat(&[2, 1]).value(), Tensor::from([[1.0, 2.0], [1.0, 2.0]]));
    /// ```
    ///
    /// # Panics
    /// If there are fewer numbers than axes; [`tile`](Self::tile) takes them for the last axes.
    #[track_caller]
    pub fn repeat(self, times: &[usize]) -> Self {
        self.copies("repeat", times)
    }

    #[track_caller]
    fn copies(self, name: &'static str, times: &[usize]) -> Self {
        let own = self.shape();
        let Some(skip) = times.len().checked_sub(own.rank()) else {
            let detail = format!("{times:?} has fewer numbers than it has axes");
            panic!("{}", Error::shape(name, &[&own], detail));
        };
        // An axis of copies before each axis.
        let (mut ones, mut copies, mut flat) = (Shape::scalar(), Shape::scalar(), Shape::scalar());
        for (k, &times) in times.iter().enumerate() {
            let len = k.checked_sub(skip).map_or(1, |k| own[k]);
            if len == 1 {
                // An axis of one element needs no other one for its copies.
                ones.push(1);
                copies.push(times);
                flat.push(times);
                continue;
            }
            if times != 1 {
                ones.push(1);
                copies.push(times);
            }
            ones.push(len);
            copies.push(len);
            flat.push(times.saturating_mul(len));
        }
        if let Some(detail) = copies.flaw().or_else(|| flat.flaw()) {
            panic!("{}", Error::shape(name, &[&own], detail));
        }
        self.reshape(ones).broadcast_to(copies).reshape(flat)
    }

    /// Copies of the tensor side by side, as numpy's `tile`: like [`repeat`](Self::repeat), but fewer
    /// numbers than axes are those of the last axes.
    #[track_caller]
    pub fn tile(self, times: &[usize]) -> Self {
        let missing = self.rank().saturating_sub(times.len());
        let mut all: SmallVec<[usize; 4]> = smallvec::smallvec![1; missing];
        all.extend_from_slice(times);
        self.copies("tile", &all)
    }

    /// The entries of an axis moved on by `shift` places; those that leave at one end come in at the other.
    ///
    /// # Panics
    /// If the axis does not exist.
    #[track_caller]
    pub fn roll(self, shift: isize, axis: isize) -> Self {
        let k = self.axis("roll", axis);
        let len = self.shape()[k];
        let at = shift.rem_euclid(len.max(1) as isize) as usize;
        if at == 0 {
            return self;
        }
        let k = k as isize;
        concat(&[self.narrow(k, len - at, at), self.narrow(k, 0, len - at)], k)
    }

    /// The tensor in pieces of the given lengths along an axis.
    ///
    /// # Panics
    /// If they do not add up to the length of the axis.
    #[track_caller]
    pub fn split(self, axis: isize, lens: &[usize]) -> Vec<Self> {
        let shape = self.shape();
        let k = self.axis("split", axis);
        let sum = lens.iter().try_fold(0usize, |sum, &len| sum.checked_add(len));
        if sum != Some(shape[k]) {
            let detail = format!("{lens:?} does not add up to the length of axis {k}");
            panic!("{}", Error::shape("split", &[&shape], detail));
        }
        let mut pieces = Vec::with_capacity(lens.len());
        let mut start = 0;
        for &len in lens {
            pieces.push(self.narrow(k as isize, start, len));
            start += len;
        }
        pieces
    }

    /// The tensor in `count` pieces along an axis, all of one length but perhaps the last, which may be
    /// shorter; so there may be fewer than `count`.
    ///
    /// # Panics
    /// If the axis does not exist or `count` is 0.
    #[track_caller]
    pub fn chunk(self, axis: isize, count: usize) -> Vec<Self> {
        let k = self.axis("chunk", axis);
        assert!(count > 0, "chunk: a tensor cannot be cut into 0 pieces");
        let len = self.shape()[k];
        let each = len.div_ceil(count).max(1);
        let mut lens: SmallVec<[usize; 8]> = SmallVec::new();
        (0..len).step_by(each).for_each(|start| lens.push(each.min(len - start)));
        if lens.is_empty() {
            lens.push(0);
        }
        self.split(k as isize, &lens)
    }

    /// The entries of an axis, which goes, one by one.
    ///
    /// # Panics
    /// If the axis does not exist.
    #[track_caller]
    pub fn unbind(self, axis: isize) -> Vec<Self> {
        let k = self.axis("unbind", axis);
        let mut entries = Vec::new();
        for at in 0..self.shape()[k] {
            entries.push(self.select(k as isize, at));
        }
        entries
    }

    /// The tensor with `before` and `after` entries more at the ends of an axis; see [`Pad`] for what
    /// stands there. Several axes are padded one after the other. (PyTorch takes the numbers of all axes
    /// in one list, last axis first.)
    ///
    /// # Panics
    /// If the axis does not exist, or is too short for what stands beyond its ends: a reflection is
    /// shorter than the axis, a circle not longer, and an empty axis has nothing to repeat.
    #[track_caller]
    pub fn pad(self, axis: isize, before: usize, after: usize, with: Pad) -> Self {
        let shape = self.shape();
        let k = self.axis("pad", axis);
        let len = shape[k];
        let most = before.max(after);
        if most == 0 {
            return self;
        }
        let mut padded = shape.clone();
        padded.set(k, len.saturating_add(before).saturating_add(after));
        if let Some(detail) = padded.flaw() {
            panic!("{}", Error::shape("pad", &[&shape], detail));
        }
        if let Pad::Constant(c) = with {
            let block = |len| {
                let mut block = shape.clone();
                block.set(k, len);
                self.constant_like(Tensor::full(block, E::lit(c)))
            };
            return concat(&[block(before), self, block(after)], k as isize);
        }
        let fits = match with {
            Pad::Reflect => most < len,
            Pad::Circular => most <= len,
            _ => len > 0,
        };
        if !fits {
            let detail = format!("axis {k} is too short for {with:?} by {before} and {after}");
            panic!("{}", Error::shape("pad", &[&shape], detail));
        }
        let (before, after, len) = (before as isize, after as isize, len as isize);
        let indices = (-before..len + after).map(|i| with.source(i, len) as usize);
        self.index_select(k as isize, indices.collect::<Vec<_>>())
    }

    /// The lower triangle of each matrix in the last two axes; the rest is 0. Diagonals up to `offset`
    /// stay: 0 is the main one, positive ones are above.
    ///
    /// # Panics
    /// If the rank is below 2.
    #[track_caller]
    pub fn tril(self, offset: isize) -> Self {
        self.triangle("tril", |i, j| j - i <= offset)
    }

    /// The upper triangle of each matrix in the last two axes; the rest is 0. Diagonals from `offset` on
    /// stay: 0 is the main one, positive ones are above.
    ///
    /// # Panics
    /// If the rank is below 2.
    #[track_caller]
    pub fn triu(self, offset: isize) -> Self {
        self.triangle("triu", |i, j| j - i >= offset)
    }

    #[track_caller]
    fn triangle(self, name: &'static str, stays: impl Fn(isize, isize) -> bool) -> Self {
        let shape = self.shape();
        let &[.., rows, columns] = &*shape else {
            let detail = "it has no matrices in its last two axes".to_owned();
            panic!("{}", Error::shape(name, &[&shape], detail));
        };
        let bit = |[i, j]: [usize; 2]| if stays(i as isize, j as isize) { E::ONE } else { E::ZERO };
        let mask = self.constant_like(Tensor::from_fn([rows, columns], bit));
        // Chosen, not multiplied: 0 times an infinity would be NaN.
        TensorVar::select_gt(mask, E::ZERO, self, E::ZERO)
    }
}
