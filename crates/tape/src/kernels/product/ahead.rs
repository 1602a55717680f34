//! What later tiles of a product read is asked for while earlier ones are summed.
//!
//! A product of operands that are in no near cache would else wait for them: the processor fetches ahead along one or two
//! rows, but not from twelve rows a few numbers each, nor from rows that a product only gets to when it is done with
//! many others.

use std::ptr;

use crate::kernels::Matrix;
use crate::vector::LINE;

/// The numbers in a line of the cache.
const LENGTH: usize = LINE / size_of::<f32>();

/// Lines of the cache, one for each of so many terms of a tile, `step` numbers apart.
#[derive(Clone, Copy)]
pub(super) struct Lines {
    pub(super) first: *const f32,
    pub(super) step: usize,
    pub(super) terms: usize,
}

impl Lines {
    /// Always the line of this number.
    pub(super) fn same(first: *const f32, terms: usize) -> Lines {
        Lines { first, step: 0, terms }
    }
}

/// The most pieces of what is asked for with a tile: the end of each is a jump that the processor may not foresee.
const MOST: usize = 6;

/// What is asked for in the course of a tile, one after the other.
pub(super) struct Ahead {
    lines: [Lines; MOST],
    count: usize,
}

impl Ahead {
    pub(super) fn new() -> Ahead {
        Ahead { lines: [Lines::same(ptr::null(), 0); MOST], count: 0 }
    }

    pub(super) fn clear(&mut self) {
        self.count = 0;
    }

    /// With the lines of one number that is there, for the terms that are left.
    pub(super) fn and_then(&mut self, same: Lines) -> &[Lines] {
        self.lines[self.count] = same;
        &self.lines[..=self.count]
    }
}

/// A walk through a part of a matrix, line by line, in equal shares: runs of lines that are `step` numbers apart; the
/// runs begin `apart` from each other.
#[derive(Clone, Copy)]
pub(super) struct Walk {
    first: *const f32,
    runs: usize,
    apart: usize,
    lines: usize,
    step: usize,
    /// The lines of this run that are done.
    done: usize,
    share: usize,
}

impl Walk {
    /// Through nothing.
    pub(super) const NOWHERE: Walk =
        Walk { first: ptr::null(), runs: 0, apart: 0, lines: 0, step: 0, done: 0, share: 0 };

    /// Through some rows and columns of what lies in memory by rows, as it lies there, in steps of no more than a line.
    pub(super) fn rows(
        m: Matrix<'_, f32>,
        (row, column): (usize, usize),
        (rows, columns): (usize, usize),
        shares: usize,
        step: usize,
    ) -> Walk {
        let step = step.clamp(1, LENGTH);
        let first = m.data.as_ptr().wrapping_add(row * m.columns + column);
        let (runs, run) = match columns == m.columns {
            true => (1, rows * columns),
            false => (rows, columns),
        };
        let lines = run.div_ceil(step);
        let share = (runs * lines).div_ceil(shares);
        Walk { first, runs, apart: m.columns, lines, step, done: 0, share }
    }

    /// Down a column of so many rows of what lies in memory by rows.
    pub(super) fn column(
        m: Matrix<'_, f32>,
        (row, column): (usize, usize),
        rows: usize,
        shares: usize,
    ) -> Walk {
        let first = m.data.as_ptr().wrapping_add(row * m.columns + column);
        let share = rows.div_ceil(shares);
        Walk { first, runs: 1, apart: 0, lines: rows, step: m.columns, done: 0, share }
    }

    /// Adds the next share to what is asked for, as far as there is place.
    pub(super) fn go_on(&mut self, ahead: &mut Ahead) {
        let mut share = self.share;
        while share > 0 && self.runs > 0 && ahead.count < MOST - 1 {
            let terms = share.min(self.lines - self.done);
            let first = self.first.wrapping_add(self.done * self.step);
            ahead.lines[ahead.count] = Lines { first, step: self.step, terms };
            ahead.count += 1;
            share -= terms;
            self.done += terms;
            if self.done == self.lines {
                self.first = self.first.wrapping_add(self.apart);
                self.runs -= 1;
                self.done = 0;
            }
        }
    }
}
