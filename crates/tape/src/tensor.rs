//! Tensors: dense, row-major arrays of any rank, without a tape.

mod approximate;
mod construct;
mod display;
mod functions;
mod operators;
mod several;
mod side_tape;
mod start;

pub use side_tape::{Operand, infer};

use std::ops::{Index, IndexMut};

use start::Start;

use crate::buffer::Buffer;
use crate::error::expect;
use crate::vector::LINE;
use crate::{Error, Real, Shape};

/// A dense, row-major array of any rank.
///
/// The buffer is shared: a clone is cheap, and so is a piece along the outermost axis; writing to a tensor whose
/// buffer somebody else holds copies it first.
///
/// ```
/// use tape::Tensor;
///
/// let t = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
/// assert_eq!(*t.shape(), [2, 3]);
/// assert_eq!(t[[1, 2]], 6.0);
/// ```
///
/// It has the functions and operators of [`TensorVar`](crate::TensorVar), by the same names and with the same bits; nothing is
/// recorded. Another tensor is handed over by reference or by value, and a number may stand for one
/// ([`Operand`]). Each function computes at once: to have many elementwise ones in one pass over memory, or to
/// call a function of handles, use [`infer`].
///
/// ```
/// use tape::Tensor;
///
/// let (x, w) = (Tensor::from([[1.0, -2.0]]), Tensor::from([[0.5], [1.0]]));
/// assert_eq!(x.matmul(&w).relu() + 1.0, Tensor::from([[1.0]]));
/// assert_eq!(Tensor::concat(&[&x, &-&x], 0).max(0.5).sum_axes(0), Tensor::from([1.5, 2.5]));
/// ```
#[derive(Clone, Debug)]
pub struct Tensor<E: Real = f64> {
    shape: Shape,
    data: Buffer<E>,
    /// Where in the buffer it begins.
    start: Start,
}

/// Tensors from this many bytes on begin at a line of the cache: a vector that lies across two lines is loaded as two.
const LONG: usize = 16 * 1024;

/// Very long ones have memory pages of their own, so their buffers begin at the same place in a page. Where a loop writes
/// to an address that is, but for the page, a little ahead of one that it reads, the processor takes the next loads
/// for loads of what it has just stored, and waits. So what is written should begin elsewhere in a page than what is read.
const VERY_LONG: usize = 128 * 1024;
const PAGE: usize = 4096;

impl<E: Real> Tensor<E> {
    /// A tensor of the given shape from its elements in row-major order.
    ///
    /// # Panics
    /// If the number of elements is not that of the shape; see [`try_new`](Tensor::try_new).
    #[track_caller]
    pub fn new(shape: impl Into<Shape>, data: Vec<E>) -> Self {
        expect(Self::try_new(shape, data))
    }

    /// Like [`new`](Tensor::new), for data from outside.
    ///
    /// # Errors
    /// If the number of elements is not that of the shape.
    #[track_caller]
    pub fn try_new(shape: impl Into<Shape>, data: Vec<E>) -> Result<Self, Error> {
        let shape = shape.into();
        if shape.checked_elements() != Some(data.len()) {
            let detail = match shape.checked_elements() {
                Some(n) => format!("the shape has {n} elements, not {}", data.len()),
                None => "the number of elements does not fit into memory".to_owned(),
            };
            return Err(Error::shape("Tensor::new", &[&shape], detail));
        }
        Ok(Tensor::from_parts(shape, Buffer::new(data)))
    }

    pub(crate) fn from_parts(shape: Shape, data: Buffer<E>) -> Self {
        debug_assert_eq!(shape.elements(), data.len());
        Tensor { shape, data, start: Start::ZERO }
    }

    /// A tensor in a part of the buffer of this one: the elements from number `first` on.
    pub(crate) fn window(&self, first: usize, shape: Shape) -> Self {
        assert!(first + shape.elements() <= self.len(), "a window that is not within a tensor");
        Tensor { shape, data: self.data.clone(), start: self.start.behind(first) }
    }

    /// A tensor in a buffer from the pool that nobody else holds, of unspecified elements.
    pub(crate) fn uninitialised(shape: Shape) -> Self {
        Tensor::uninitialised_at(shape, PAGE / 2)
    }

    /// Like [`uninitialised`](Self::uninitialised), for what is written while `read` is read; see [`PAGE`].
    pub(crate) fn uninitialised_beside(shape: Shape, read: &Self) -> Self {
        Tensor::uninitialised_at(shape, read.as_slice().as_ptr().addr() + PAGE / 2)
    }

    /// A long tensor begins at a line of the cache, and a very long one at the one that `address` is in, modulo a
    /// page.
    fn uninitialised_at(shape: Shape, address: usize) -> Self {
        let len = shape.elements();
        if len < LONG / size_of::<E>() {
            return Tensor::from_parts(shape, crate::recycle::take(len));
        }
        let very_long = len >= VERY_LONG / size_of::<E>();
        let room = if very_long { PAGE } else { LINE } / size_of::<E>();
        let data = crate::recycle::take::<E>(len + room);
        let start = match very_long {
            true => {
                let line = address / LINE * LINE;
                line.wrapping_sub(data.as_ptr().addr()) % PAGE / size_of::<E>()
            }
            false => data.as_ptr().align_offset(LINE).min(room),
        };
        Tensor { shape, data, start: Start::at(start) }
    }

    /// Like [`full`](Tensor::full), in a buffer from the pool.
    pub(crate) fn recycled(shape: Shape, value: E) -> Self {
        let mut tensor = Tensor::uninitialised(shape);
        tensor.get_mut_slice().expect("a buffer from the pool has one owner").fill(value);
        tensor
    }

    pub(crate) fn into_buffer(self) -> Buffer<E> {
        self.data
    }

    /// The shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.shape.rank()
    }

    /// The number of elements.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.shape.elements()
    }

    /// The elements in row-major order.
    #[inline]
    pub fn as_slice(&self) -> &[E] {
        &self.data[self.start.first()..][..self.shape.elements()]
    }

    /// The elements in row-major order, for writing; they are copied first if somebody else holds the buffer.
    pub fn as_mut_slice(&mut self) -> &mut [E] {
        if !self.data.is_unique() {
            *self = Tensor::from_parts(self.shape.clone(), Buffer::new(self.to_vec()));
        }
        self.get_mut_slice().expect("a buffer of its own")
    }

    /// The elements for writing, if nobody else holds the buffer or a part of it.
    pub fn get_mut_slice(&mut self) -> Option<&mut [E]> {
        let len = self.shape.elements();
        // Nobody knows what will be written.
        self.start = self.start.known_finite(false);
        self.data.get_mut().map(|data| &mut data[self.start.first()..][..len])
    }

    /// Whether all elements are known to be finite: whoever has written them has said so. If not, they may be finite all
    /// the same.
    #[doc(hidden)]
    #[inline]
    pub fn is_known_finite(&self) -> bool {
        self.start.is_known_finite()
    }

    /// Notes that all elements are finite, until the next one is written.
    pub(crate) fn set_known_finite(&mut self) {
        self.start = self.start.known_finite(true);
    }

    /// Whether both share one buffer, or have parts of one.
    pub fn shares_buffer(&self, other: &Self) -> bool {
        self.data.is_same(&other.data)
    }

    /// A copy of the elements in row-major order.
    pub fn to_vec(&self) -> Vec<E> {
        self.as_slice().to_vec()
    }

    /// The elements one by one.
    pub fn iter(&self) -> std::slice::Iter<'_, E> {
        self.as_slice().iter()
    }

    /// The only element.
    ///
    /// # Panics
    /// If there is not exactly one element.
    #[track_caller]
    pub fn item(&self) -> E {
        assert!(
            self.len() == 1,
            "item: a tensor of shape {} does not have exactly one element",
            self.shape
        );
        self.as_slice()[0]
    }

    /// The same elements in another shape.
    ///
    /// # Panics
    /// If the number of elements differs.
    #[track_caller]
    pub fn reshape(&self, shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        assert!(
            shape.checked_elements() == Some(self.len()),
            "reshape: {} has {} elements, and {shape} has another number",
            self.shape,
            self.len()
        );
        Tensor { shape, data: self.data.clone(), start: self.start }
    }

    /// `f` of each element.
    pub fn map(&self, f: impl FnMut(E) -> E) -> Self {
        Tensor::from_parts(self.shape.clone(), Buffer::new(self.iter().copied().map(f).collect()))
    }

    /// `f` of each pair of elements at the same place.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn zip_map(&self, other: &Self, mut f: impl FnMut(E, E) -> E) -> Self {
        assert!(
            self.shape == other.shape,
            "zip_map: shapes {} and {} differ",
            self.shape,
            other.shape
        );
        let data = self.iter().zip(other.iter()).map(|(&a, &b)| f(a, b)).collect();
        Tensor::from_parts(self.shape.clone(), Buffer::new(data))
    }

    /// The rows `rows` of the outermost axis, as a tensor of its own.
    ///
    /// # Panics
    /// If the tensor has rank 0 or a row is out of range.
    #[track_caller]
    pub fn rows(&self, rows: &[usize]) -> Self {
        assert!(self.rank() > 0, "rows: a tensor of rank 0 has no rows");
        let width = self.shape[1..].iter().product::<usize>();
        let mut data = Vec::with_capacity(rows.len() * width);
        for &row in rows {
            assert!(row < self.shape[0], "rows: row {row} of a tensor of shape {}", self.shape);
            data.extend_from_slice(&self.as_slice()[row * width..][..width]);
        }
        let mut shape = self.shape.clone();
        shape.set(0, rows.len());
        Tensor::from_parts(shape, Buffer::new(data))
    }

    #[track_caller]
    fn offset(&self, index: &[usize]) -> usize {
        let fits = index.len() == self.rank() && index.iter().zip(&*self.shape).all(|(i, d)| i < d);
        assert!(fits, "index {index:?} is outside of a tensor of shape {}", self.shape);
        index.iter().zip(&*self.shape).fold(0, |offset, (i, d)| offset * d + i)
    }
}

/// The element at a multi-index, as in `t[[1, 2]]`.
impl<E: Real, const N: usize> Index<[usize; N]> for Tensor<E> {
    type Output = E;
    #[track_caller]
    fn index(&self, index: [usize; N]) -> &E {
        &self.as_slice()[self.offset(&index)]
    }
}

/// The element at a multi-index; a shared buffer is copied first.
impl<E: Real, const N: usize> IndexMut<[usize; N]> for Tensor<E> {
    #[track_caller]
    fn index_mut(&mut self, index: [usize; N]) -> &mut E {
        let offset = self.offset(&index);
        &mut self.as_mut_slice()[offset]
    }
}
