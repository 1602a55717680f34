//! Rows of a target, at places given by their number.

use crate::Real;
use crate::ops::index::{AHEAD, add_slice, fetch_slice, with_width};
use crate::recycle::Recycled;
use crate::vector::{Arithmetic, Task, at_best_level};

/// What is known of a target that nothing had been written to.
pub(super) struct Written<'m, E: Real> {
    /// Which rows have been written.
    rows: Recycled<E, bool>,
    /// Whether all that was written is finite. What is not never becomes so again by adding to it.
    finite: &'m mut bool,
}

impl<'m, E: Real> Written<'m, E> {
    /// Nothing is written to `rows` rows.
    pub(super) fn nothing(rows: usize, finite: &'m mut bool) -> Self {
        *finite = true;
        Written { rows: Recycled::filled(rows, false), finite }
    }

    /// Fills the rows that nothing was written to with zeros. For an unknown width as many as lie side by side are one
    /// piece.
    pub(super) fn clear_others(&self, memory: &mut [E], width: usize) {
        with_width!(width, self.clear(memory, width));
    }

    fn clear<const WIDTH: usize>(&self, memory: &mut [E], width: usize) {
        if WIDTH > 0 {
            let rows = memory.as_chunks_mut::<WIDTH>().0;
            let others = rows.iter_mut().zip(&*self.rows).filter(|&(_, &written)| !written);
            return others.for_each(|(row, _)| *row = [E::ZERO; WIDTH]);
        }
        let mut rest = memory;
        for run in self.rows.chunk_by(|a, b| a == b) {
            let rows;
            (rows, rest) = rest.split_at_mut(run.len() * width);
            if !run[0] {
                rows.fill(E::ZERO);
            }
        }
        rest.fill(E::ZERO);
    }
}

/// Rows of `width` elements, which the indices name, that chunks are added to.
pub(super) struct Rows<'a, E> {
    pub(super) sum: &'a mut [E],
    pub(super) indices: &'a [usize],
    pub(super) width: usize,
}

impl<E: Real> Rows<'_, E> {
    /// Adds the elements from `start` on, `x`.
    #[inline(always)]
    pub(super) fn add(self, start: usize, x: &[E]) {
        if self.width == 1 {
            let places = &self.indices[start..][..x.len()];
            return places.iter().zip(x).for_each(|(&place, &x)| self.sum[place] += x);
        }
        self.each_piece(start, x, |_, sum, x, _| add_slice(sum, x));
    }

    /// As [`add`](Self::add), where rows that are not written hold anything: the first sum there is one with zeros.
    pub(super) fn write_or_add(self, start: usize, x: &[E], written: &mut Written<'_, E>) {
        let rows = &mut written.rows[..];
        *written.finite &= at_best_level(Put { to: self, start, x, rows });
    }

    /// Calls `f(index, place of a piece, the piece, whether the row ends with it)`.
    #[inline(always)]
    fn each_piece(self, start: usize, x: &[E], f: impl FnMut(usize, &mut [E], &[E], bool)) {
        with_width!(self.width, self.each_piece_of(start, x, f));
    }

    #[inline(always)]
    fn each_piece_of<const WIDTH: usize>(
        self,
        start: usize,
        x: &[E],
        f: impl FnMut(usize, &mut [E], &[E], bool),
    ) {
        if WIDTH > 0 && start.is_multiple_of(WIDTH) && x.len().is_multiple_of(WIDTH) {
            self.each_row::<WIDTH>(start / WIDTH, x, f);
        } else {
            self.each_part(start, x, f);
        }
    }

    /// As [`each_piece`](Self::each_piece), of whole rows from number `first` on.
    #[inline(always)]
    fn each_row<const WIDTH: usize>(
        self,
        first: usize,
        x: &[E],
        mut f: impl FnMut(usize, &mut [E], &[E], bool),
    ) {
        let Rows { sum, indices, .. } = self;
        for (row, x) in (first..).zip(x.chunks_exact(WIDTH)) {
            fetch_slice(sum, indices, row + AHEAD, WIDTH);
            f(indices[row], &mut sum[indices[row] * WIDTH..][..WIDTH], x, true);
        }
    }

    #[inline(always)]
    fn each_part(self, start: usize, x: &[E], mut f: impl FnMut(usize, &mut [E], &[E], bool)) {
        let Rows { sum, indices, width } = self;
        let (mut row, mut column) = (start / width, start % width);
        let mut rest = x;
        while !rest.is_empty() {
            let (x, others) = rest.split_at((width - column).min(rest.len()));
            fetch_slice(sum, indices, row + AHEAD, width);
            let place = indices[row] * width + column;
            f(indices[row], &mut sum[place..][..x.len()], x, column + x.len() == width);
            (row, column, rest) = (row + 1, 0, others);
        }
    }
}

/// See [`Rows::write_or_add`]; says whether all that was written is finite.
///
/// It is a function by itself, and what it sees of the numbers is not shared by the loops: else the compiler would keep that in
/// memory.
struct Put<'a, E> {
    to: Rows<'a, E>,
    start: usize,
    x: &'a [E],
    rows: &'a mut [bool],
}

impl<E: Real> Task for Put<'_, E> {
    type Output = bool;
    #[inline(always)]
    fn run<A: Arithmetic>(self) -> bool {
        with_width!(self.to.width, self.put())
    }
}

impl<E: Real> Put<'_, E> {
    #[inline(always)]
    fn put<const WIDTH: usize>(self) -> bool {
        let Put { to, start, x, rows } = self;
        let mut seen = Seen::new();
        to.each_piece_of::<WIDTH>(
            start,
            x,
            #[inline(always)]
            |index, sum, x, is_last| {
                match rows[index] {
                    true => seen.put(sum, x, |sum, x| sum + x),
                    false => seen.put(sum, x, |_, x| E::ZERO + x),
                }
                // A chunk may end within a row; the next one goes on with what there is of it.
                rows[index] |= is_last;
            },
        );
        seen.is_finite()
    }
}

/// In how many lanes is looked whether numbers are finite.
const LANES: usize = 16;

/// Whether numbers are finite, seen when they are written: a pass of its own would wait for memory.
struct Seen<E> {
    /// Sums of the numbers times zero: zeros, or not a number where one is not finite.
    zeros: [E; LANES],
}

impl<E: Real> Seen<E> {
    #[inline(always)]
    fn new() -> Self {
        Seen { zeros: [E::ZERO; LANES] }
    }

    /// Writes `f(old, x)`.
    #[inline(always)]
    fn put(&mut self, to: &mut [E], x: &[E], f: impl Fn(E, E) -> E) {
        let (vectors, rest) = to.as_chunks_mut::<LANES>();
        let (vectors_x, rest_x) = x.as_chunks::<LANES>();
        for (to, x) in vectors.iter_mut().zip(vectors_x) {
            // As a value, which is in registers when it is looked at.
            let new: [E; LANES] = std::array::from_fn(
                #[inline(always)]
                |k| f(to[k], x[k]),
            );
            *to = new;
            self.look(&new);
        }
        rest.iter_mut().zip(rest_x).for_each(|(to, &x)| *to = f(*to, x));
        self.look(rest);
    }

    #[inline(always)]
    fn look(&mut self, x: &[E]) {
        self.zeros.iter_mut().zip(x).for_each(|(zero, &x)| *zero += x * E::ZERO);
    }

    #[inline(always)]
    fn is_finite(&self) -> bool {
        self.zeros.iter().fold(true, |finite, &zero| finite & (zero == E::ZERO))
    }
}
