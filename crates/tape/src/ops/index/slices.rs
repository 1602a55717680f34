//! Slices along an axis, at places given by their number.

use super::Indices;
use crate::vector::{Arithmetic, LINE, Task, at_best_level, prefetch};
use crate::{Real, Shape, Tensor};

/// Calls a method with a width as a constant, if it is a common one, and with 0 if not: for short rows a loop of unknown
/// length takes longer than the work.
macro_rules! with_width {
    ($width:expr, $self:ident.$method:ident($($argument:expr),*)) => {
        match $width {
            16 => $self.$method::<16>($($argument),*),
            32 => $self.$method::<32>($($argument),*),
            64 => $self.$method::<64>($($argument),*),
            _ => $self.$method::<0>($($argument),*),
        }
    };
}
pub(crate) use with_width;

/// Rows of a tensor: of every index `i` the `width` elements from number `i * width` on.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    pub(crate) indices: Indices,
    pub(crate) width: usize,
}

impl Rows {
    /// Whether they are as long as the output, and within the input.
    pub(crate) fn fit(&self, input: &Shape, output: &Shape) -> bool {
        let end = self.indices.largest().map_or(0, |i| i.saturating_add(1));
        self.indices.list.len().checked_mul(self.width) == Some(output.elements())
            && end.checked_mul(self.width).is_some_and(|end| end <= input.elements())
    }

    /// Whether those who read them element by element may read them where they are: rows of whole lines of the
    /// cache, which the copy would push out of it.
    pub(crate) fn may_stay<E: Real>(&self) -> bool {
        const MANY: usize = 1 << 14;
        self.width * size_of::<E>() >= LINE && self.indices.list.len() * self.width >= MANY
    }

    /// A tensor of them.
    pub(crate) fn copied<E: Real>(&self, table: &Tensor<E>, shape: Shape) -> Tensor<E> {
        let mut rows = Tensor::uninitialised(shape);
        self.read(table.as_slice(), 0, rows.as_mut_slice());
        rows
    }

    /// Fills `out` with their elements from `start` on.
    pub(crate) fn read<E: Real>(&self, table: &[E], start: usize, out: &mut [E]) {
        let width = self.width;
        let (mut row, column) = (start / width.max(1), start % width.max(1));
        let mut rest = out;
        if column > 0 {
            let first;
            (first, rest) = rest.split_at_mut((width - column).min(rest.len()));
            let place = self.indices.list[row] * width + column;
            first.copy_from_slice(&table[place..][..first.len()]);
            row += 1;
        }
        let (whole, last) = rest.split_at_mut(rest.len() - rest.len() % width.max(1));
        let indices = &self.indices.list[row.min(self.indices.list.len())..];
        if !last.is_empty() {
            let place = indices[whole.len() / width] * width;
            last.copy_from_slice(&table[place..][..last.len()]);
        }
        if !whole.is_empty() {
            let lengths = (1, table.len() / width, width);
            at_best_level(CopySlices { x: table, indices, lengths, out: whole });
        }
    }
}

/// Copies the slices of `x` at the indices, one after the other. `x` has the lengths (before, along, after) around the
/// axis.
pub(super) struct CopySlices<'a, E> {
    pub(super) x: &'a [E],
    pub(super) indices: &'a [usize],
    pub(super) lengths: (usize, usize, usize),
    pub(super) out: &'a mut [E],
}

impl<E: Real> Task for CopySlices<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        with_width!(self.lengths.2, self.copy());
    }
}

impl<E: Real> CopySlices<'_, E> {
    #[inline(always)]
    fn copy<const WIDTH: usize>(self) {
        let CopySlices { x, indices, lengths: (before, len, after), out } = self;
        let after = if WIDTH > 0 { WIDTH } else { after };
        let ahead = ahead_to_read::<E>(after);
        let mut slices = out.chunks_exact_mut(after);
        for block in 0..before {
            let table = &x[block * len * after..][..len * after];
            if after == 1 {
                let out = &mut slices.by_ref();
                indices.iter().zip(out).for_each(|(&i, out)| out[0] = table[i]);
                continue;
            }
            for ((k, &i), out) in indices.iter().enumerate().zip(&mut slices) {
                fetch_slice(table, indices, k + ahead, after);
                let from = &table[i * after..][..after];
                // To call a function that copies takes longer than to copy a few vectors.
                let (vectors, rest) = out.as_chunks_mut::<VECTOR>();
                let (from_vectors, from_rest) = from.as_chunks::<VECTOR>();
                vectors.iter_mut().zip(from_vectors).for_each(|(out, x)| *out = *x);
                rest.iter_mut().zip(from_rest).for_each(|(out, &x)| *out = x);
            }
        }
    }
}

/// Adds the slices of `x`, one after the other, to those of `sum` at the indices. `sum` has the lengths
/// (before, along, after) around the axis.
///
/// Always in the order of the indices, on one thread: an index may stand several times.
pub(super) fn add_slices<E: Real>(
    x: &[E],
    indices: &Indices,
    lengths: (usize, usize, usize),
    sum: &mut [E],
) {
    if lengths.2 > 0 {
        at_best_level(AddSlices { x, indices: indices.as_slice(), lengths, sum });
    }
}

struct AddSlices<'a, E> {
    x: &'a [E],
    indices: &'a [usize],
    lengths: (usize, usize, usize),
    sum: &'a mut [E],
}

impl<E: Real> Task for AddSlices<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        let AddSlices { x, indices, lengths: (before, len, after), sum } = self;
        let mut slices = x.chunks_exact(after);
        for block in 0..before {
            let table = &mut sum[block * len * after..][..len * after];
            if after == 1 {
                let x = &mut slices.by_ref();
                indices.iter().zip(x).for_each(|(&i, x)| table[i] += x[0]);
                continue;
            }
            for ((k, &i), x) in indices.iter().enumerate().zip(&mut slices) {
                fetch_slice(table, indices, k + AHEAD, after);
                add_slice(&mut table[i * after..][..after], x);
            }
        }
    }
}

/// How many elements are copied at a time.
const VECTOR: usize = 16;

/// `sum += x`.
#[inline(always)]
pub(crate) fn add_slice<E: Real>(sum: &mut [E], x: &[E]) {
    sum.iter_mut().zip(x).for_each(|(sum, &x)| *sum += x);
}

/// How many indices ahead a slice is asked for: some tens of nanoseconds.
pub(crate) const AHEAD: usize = 8;

/// As [`AHEAD`], for slices that are only read: short ones are copied sooner than they come.
fn ahead_to_read<E>(after: usize) -> usize {
    if after * size_of::<E>() <= 2 * LINE { 2 * AHEAD } else { AHEAD }
}

/// Asks for slice number `indices[k]` of a table, if there is one: the processor cannot guess which is next.
#[inline(always)]
pub(crate) fn fetch_slice<E: Real>(table: &[E], indices: &[usize], k: usize, after: usize) {
    // Short ones share their lines with others, and would cost as much to ask for as to read.
    if after * size_of::<E>() >= LINE
        && let Some(&i) = indices.get(k)
    {
        prefetch(&table[i * after..][..after]);
    }
}
