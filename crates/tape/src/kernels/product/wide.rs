//! Products in single precision on processors with vectors of 512 bits.
//!
//! The method is that of Goto and van de Geijn 2008, "Anatomy of high-performance matrix multiplication": a tile of the
//! result, 12 rows of two vectors, is summed in registers. The right operand is copied, a block of terms at a
//! time, into panels as wide as a tile, which stay in the second cache and are read from there in order; the rows of the left operand
//! that a tile needs stay in the first cache meanwhile, so they are read where they are. What lies in columns is
//! copied by the first tile that reads it, so that the others read neighbours. Meanwhile what later tiles read is asked for.
//!
//! Each element is the sum of its terms in their order, in blocks that depend on their number alone. So its bits do not
//! depend on the place of the element, nor on how rows or columns are shared among threads.

use std::cell::RefCell;

use faer::mat::MatMut;
use faer::reborrow::ReborrowMut;

use super::ahead::{Ahead, Lines, Walk};
use super::tile::{LONG, Left, Out, Right, Tile};
use super::{PIECE, THINNEST, for_each_piece};
use crate::kernels::{Matrix, Onto};
use crate::vector::avx512::{WIDTH, fits, load, singles_mut, store, transpose_block};
use crate::{Real, threads};

/// The rows and columns of a tile: 24 vectors of sums, of the 32 that there are.
const ROWS: usize = 12;
const COLUMNS: usize = 2 * WIDTH;
/// The terms of a block, and the columns of its panels: half a megabyte.
const TERMS: usize = 272;
const ACROSS: usize = 512;
/// Half a line of the cache: if each line is asked for twice, it is done over twice as many terms.
const HALF: usize = WIDTH / 2;
/// With so few rows the right operand is read where it is: to copy it is worth it only if it is read often.
const FEW: usize = 4 * ROWS;
/// The most numbers of a left operand by columns that is read where it is: it stays in the first cache.
const NEAR: usize = 1 << 12;

/// The fewest rows for which this is faster than the library. The fewest columns are those of a tile.
const FEWEST: usize = 8;

/// `c = onto + a b`, if that is done here; the slices have the lengths of their shapes, and none is empty.
pub(super) fn product<E: Real>(
    c: &mut [E],
    a: Matrix<'_, E>,
    b: Matrix<'_, E>,
    onto: Onto<'_, E>,
) -> bool {
    if a.rows < FEWEST || b.columns < COLUMNS || !fits::<E>() {
        return false;
    }
    // SAFETY: the processor has been asked for the instructions above.
    unsafe { multiply(singles_mut(c), a.in_singles(), b.in_singles(), onto.in_singles()) };
    true
}

#[target_feature(enable = "avx512f")]
fn multiply(c: &mut [f32], a: Matrix<'_, f32>, b: Matrix<'_, f32>, onto: Onto<'_, f32>) {
    let (rows, columns) = (a.rows, b.columns);
    // No element knows of another, so the pieces may depend on the number of threads: two for each, in case one of them is
    // kept from its work. The longer side is cut; each piece copies what it needs of the right operand, and of the left
    // one by columns.
    let pieces = match threads::available() {
        1 => 1,
        threads => (rows * a.columns * columns / PIECE).clamp(1, 2 * threads),
    };
    let cut =
        |length: usize, least: usize| length.div_ceil(pieces).max(THINNEST).next_multiple_of(least);
    let piece = match rows >= columns {
        true => (cut(rows, 4), columns),
        false => (rows, cut(columns, COLUMNS)),
    };
    let c = MatMut::from_row_major_slice_mut(c, rows, columns);
    for_each_piece(c, (0, 0), piece, &|c: MatMut<'_, f32>, (row, column)| {
        let c = c.try_as_row_major_mut().expect("the rows of a piece are slices");
        ROOM.with_borrow_mut(|room| Job { a, b, onto, row, column }.multiply(c, room));
    });
}

thread_local! {
    /// Of each thread, because pieces are shared out; kept, because a product is short.
    static ROOM: RefCell<Room> = const { RefCell::new(Room { left: Vec::new(), right: Vec::new() }) };
}

/// A line of the cache, at which a panel begins.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; WIDTH]);

/// Where operands are copied to.
struct Room {
    left: Vec<Line>,
    right: Vec<Line>,
}

/// Room for so many numbers.
fn numbers(lines: &mut Vec<Line>, count: usize) -> &mut [f32] {
    let needed = count.div_ceil(WIDTH);
    if lines.len() < needed {
        lines.resize(needed, Line([0.0; WIDTH]));
    }
    // SAFETY: a line is its numbers, and there are as many lines as it takes.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), count) }
}

/// A product of some rows of the left operand and some columns of the right one.
#[derive(Clone, Copy)]
struct Job<'a> {
    a: Matrix<'a, f32>,
    b: Matrix<'a, f32>,
    onto: Onto<'a, f32>,
    /// The first of the rows, and of the columns.
    row: usize,
    column: usize,
}

/// Terms from one on, and columns of the piece of the result from one on.
#[derive(Clone, Copy)]
struct Block {
    term: usize,
    terms: usize,
    column: usize,
    columns: usize,
}

impl<'a> Job<'a> {
    #[target_feature(enable = "avx512f")]
    fn multiply(self, mut c: Out<'_>, room: &mut Room) {
        let (inner, columns) = (self.b.rows, c.ncols());
        // Blocks of one length: a short last one would go to the result as often as a long one.
        let length = inner.div_ceil(inner.div_ceil(TERMS));
        for column in (0..columns).step_by(ACROSS) {
            for term in (0..inner).step_by(length) {
                let terms = length.min(inner - term);
                let block = Block { term, terms, column, columns: ACROSS.min(columns - column) };
                self.add_block(c.rb_mut(), block, room);
            }
        }
    }

    /// Adds the terms of a block to all rows.
    #[target_feature(enable = "avx512f")]
    fn add_block(self, mut c: Out<'_>, block: Block, room: &mut Room) {
        let (a, rows) = (self.a, c.nrows());
        let Block { terms, columns, .. } = block;
        // Whole panels of few rows stay where they are.
        let in_place = if rows <= FEW && !self.b.transposed { columns / COLUMNS } else { 0 };
        let panels = columns.div_ceil(COLUMNS);
        let right = numbers(&mut room.right, panels * terms * COLUMNS);
        if self.b.transposed {
            for panel in 0..panels {
                self.copy_columns(block, panel, &mut right[panel * terms * COLUMNS..]);
            }
        } else {
            self.copy_rows(block, in_place, right);
        }
        let right = &*right;
        // What lies in columns is copied by the first tile that reads it.
        let copied = a.transposed && a.rows * terms > NEAR && panels > 1;
        let left_copy = numbers(&mut room.left, if copied { terms * ROWS } else { 0 });
        let mut later = self.next_block(block, rows, panels);
        let mut ahead = Ahead::new();
        for (row, height) in strips(rows) {
            let from = self.left(block, row);
            let next = ROWS.min(rows - row - height);
            let mut next_rows = self.next_rows(block, (row + height, next), panels);
            for k in 0..panels {
                let right = match k < in_place {
                    true => self.right(block, k),
                    false => Right { data: &right[k * terms * COLUMNS..], along: COLUMNS },
                };
                let copy = &mut left_copy[..if copied { terms * height } else { 0 }];
                let (left, copy) = match (copied, k) {
                    (false, _) => (from, None),
                    (true, 0) => (from, Some(copy)),
                    (true, _) => (Left { data: copy, down: 1, along: height }, None),
                };
                ahead.clear();
                later.iter_mut().for_each(|walk| walk.go_on(&mut ahead));
                next_rows.go_on(&mut ahead);
                let ahead = ahead.and_then(Lines::same(left.data.as_ptr(), terms));
                let place = Place { block, row, column: block.column + k * COLUMNS };
                self.tile(c.rb_mut(), place, height, (left, right), copy, ahead);
            }
        }
    }

    /// The left operand of some rows, where it is.
    fn left(self, block: Block, row: usize) -> Left<'a> {
        let (a, row, term) = (self.a, self.row + row, block.term);
        match a.transposed {
            false => Left { data: &a.data[row * a.columns + term..], down: a.columns, along: 1 },
            true => Left { data: &a.data[term * a.rows + row..], down: 1, along: a.rows },
        }
    }

    /// A panel of the right operand, where it is.
    fn right(self, block: Block, k: usize) -> Right<'a> {
        let at = block.term * self.b.columns + self.column + block.column + k * COLUMNS;
        Right { data: &self.b.data[at..], along: self.b.columns }
    }

    /// What the next block reads and copies, in a share for each tile of this one.
    fn next_block(self, block: Block, rows: usize, panels: usize) -> [Walk; 2] {
        let (a, b) = (self.a, self.b);
        if block.terms < LONG {
            return [Walk::NOWHERE; 2];
        }
        let (term, tiles) = (block.term + block.terms, rows.div_ceil(ROWS) * panels);
        let terms = block.terms.min(b.rows - term);
        let left = match a.transposed {
            true => Walk::rows(a.transpose(), (term, self.row), (terms, rows), tiles, HALF),
            false => Walk::NOWHERE,
        };
        let right = match b.transposed {
            true => Walk::NOWHERE,
            false => {
                let first = (term, self.column + block.column);
                Walk::rows(b, first, (terms, block.columns), tiles, HALF)
            }
        };
        [left, right]
    }

    /// What so many rows from a row on read of the left operand, in a share for each panel.
    fn next_rows(self, block: Block, (row, count): (usize, usize), panels: usize) -> Walk {
        let (a, row, Block { term, terms, .. }) = (self.a, self.row + row, block);
        match a.transposed {
            _ if count == 0 || terms < LONG => Walk::NOWHERE,
            false => Walk::rows(a, (row, term), (count, terms), panels, count.div_ceil(panels) + 1),
            // Later blocks have been asked for. The rows before have brought all lines but that of the last row.
            true if term == 0 => Walk::column(a.transpose(), (0, row + count - 1), terms, panels),
            true => Walk::NOWHERE,
        }
    }

    /// Copies the numbers of a right operand by rows into panels from number `first` on, row by row: memory is
    /// read in order.
    #[target_feature(enable = "avx512f")]
    fn copy_rows(self, block: Block, first: usize, out: &mut [f32]) {
        let Block { term, terms, column, columns } = block;
        for k in 0..terms {
            let row = &self.b.data[(term + k) * self.b.columns + self.column + column..][..columns];
            for (panel, from) in row.chunks(COLUMNS).enumerate().skip(first) {
                let to = &mut out[(panel * terms + k) * COLUMNS..][..COLUMNS];
                for (to, from) in to.chunks_exact_mut(WIDTH).zip(from.chunks(WIDTH)) {
                    store(load(from), to);
                }
            }
        }
    }

    /// Copies the numbers of a right operand by columns into a panel: those of a term lie together there.
    #[target_feature(enable = "avx512f")]
    fn copy_columns(self, block: Block, panel: usize, out: &mut [f32]) {
        let (b, Block { term, terms, columns, .. }) = (self.b, block);
        let width = COLUMNS.min(columns - panel * COLUMNS);
        let column = self.column + block.column + panel * COLUMNS;
        for half in (0..width).step_by(WIDTH) {
            let count = WIDTH.min(width - half);
            for k in (0..terms).step_by(WIDTH) {
                let from = &b.data[(column + half) * b.rows + term + k..];
                let to = &mut out[k * COLUMNS + half..];
                let size = (count, WIDTH.min(terms - k));
                transpose_block((from, b.rows), size, (to, COLUMNS), false);
            }
        }
    }

    /// Adds the terms of a block to a tile: some rows, and the columns of a panel.
    #[target_feature(enable = "avx512f")]
    fn tile(
        self,
        c: Out<'_>,
        place: Place,
        height: usize,
        factors: (Left<'_>, Right<'_>),
        copy: Option<&mut [f32]>,
        ahead: &[Lines],
    ) {
        let Place { block, row, column } = place;
        let width = COLUMNS.min(block.column + block.columns - column);
        let (left, right) = factors;
        let onto = match self.onto {
            _ if block.term > 0 => Onto::Itself,
            Onto::Row(row) => Onto::Row(&row[self.column + column..]),
            onto => onto,
        };
        let out = c.submatrix_mut(row, column, height, width);
        let tile = Tile { out, onto, terms: block.terms, left, right };
        match (height, width > WIDTH) {
            (12, true) => tile.sum_whole::<12, 2>(copy, ahead),
            (8, true) => tile.sum_whole::<8, 2>(copy, ahead),
            (4, true) => tile.sum_whole::<4, 2>(copy, ahead),
            (2, true) => tile.sum_whole::<2, 2>(copy, ahead),
            (_, true) => tile.sum_whole::<1, 2>(copy, ahead),
            (12, false) => tile.sum_whole::<12, 1>(copy, ahead),
            (8, false) => tile.sum_whole::<8, 1>(copy, ahead),
            (4, false) => tile.sum_whole::<4, 1>(copy, ahead),
            (2, false) => tile.sum_whole::<2, 1>(copy, ahead),
            (_, false) => tile.sum_whole::<1, 1>(copy, ahead),
        }
    }
}

/// Where a tile is: its block, and its first row and column in the piece of the result.
#[derive(Clone, Copy)]
struct Place {
    block: Block,
    row: usize,
    column: usize,
}

/// So many rows as strips, each by its first row and its height, for which there is code.
fn strips(rows: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut row = 0;
    std::iter::from_fn(move || {
        let height = match rows - row {
            0 => return None,
            12.. => ROWS,
            8.. => 8,
            4.. => 4,
            2.. => 2,
            _ => 1,
        };
        row += height;
        Some((row - height, height))
    })
}
