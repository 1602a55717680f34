//! Products in single precision on processors with vectors of 512 bits.
//!
//! The method is that of Goto and van de Geijn 2008, "Anatomy of high-performance matrix multiplication": a tile of the
//! result, 12 rows of two vectors, is summed in registers. The right operand is copied, a block of terms at a
//! time, into panels as wide as a tile, which stay in the second cache and are read from there in order; the rows of the left operand
//! that a tile needs stay in the first cache meanwhile, so they are read where they are. What lies in columns is
//! copied into an order in which neighbours are read together.
//!
//! Each element is the sum of its terms in their order, in blocks that depend on their number alone. So its bits do not
//! depend on the place of the element, nor on how rows or columns are shared among threads.

use std::arch::x86_64::_mm512_add_ps;
use std::cell::RefCell;

use faer::mat::MatMut;
use faer::{ContiguousFwd, reborrow::ReborrowMut};

use super::tile::{Left, Right, sums};
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
/// The rows of a left operand by columns that are copied at once.
const DOWN: usize = 20 * ROWS;
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

/// A piece of the result: some rows and columns.
type Out<'a> = MatMut<'a, f32, usize, usize, isize, ContiguousFwd>;

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

impl Job<'_> {
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
        let Block { term, terms, columns, .. } = block;
        // Whole panels of few rows stay where they are.
        let in_place = if rows <= FEW && !self.b.transposed { columns / COLUMNS } else { 0 };
        let panels = columns.div_ceil(COLUMNS);
        let copy = numbers(&mut room.right, panels * terms * COLUMNS);
        if self.b.transposed {
            for panel in 0..panels {
                self.copy_columns(block, panel, &mut copy[panel * terms * COLUMNS..]);
            }
        } else {
            self.copy_rows(block, in_place, copy);
        }
        let copy = &*copy;
        let panel = |k: usize| match k < in_place {
            true => {
                let column = self.column + block.column + k * COLUMNS;
                let at = term * self.b.columns + column;
                Right { data: &self.b.data[at..], along: self.b.columns }
            }
            false => Right { data: &copy[k * terms * COLUMNS..], along: COLUMNS },
        };
        for from in (0..rows).step_by(DOWN) {
            let count = DOWN.min(rows - from);
            let copied = a.transposed && a.rows * terms > NEAR;
            let left = numbers(&mut room.left, if copied { count * terms } else { 0 });
            if copied {
                self.copy_left(block, from, count, left);
            }
            for (row, height) in strips(count) {
                let first = self.row + from + row;
                let left = match (a.transposed, copied) {
                    (false, _) => Left {
                        data: &a.data[first * a.columns + term..],
                        down: a.columns,
                        along: 1,
                    },
                    (true, false) => {
                        Left { data: &a.data[term * a.rows + first..], down: 1, along: a.rows }
                    }
                    (true, true) => Left { data: &left[row * terms..], down: 1, along: height },
                };
                for k in 0..panels {
                    self.tile(c.rb_mut(), block, (from + row, height), k, left, panel(k));
                }
            }
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

    /// Copies the numbers of some rows of a left operand by columns: strip after strip, those of a term together.
    #[target_feature(enable = "avx512f")]
    fn copy_left(self, block: Block, from: usize, count: usize, out: &mut [f32]) {
        for k in 0..block.terms {
            let rows = &self.a.data[(block.term + k) * self.a.rows + self.row + from..][..count];
            for (row, height) in strips(count) {
                let to = &mut out[row * block.terms + k * height..][..height];
                store(load(&rows[row..][..height]), to);
            }
        }
    }

    /// Adds the terms of a block to a tile: some rows, and the columns of a panel.
    #[target_feature(enable = "avx512f")]
    fn tile(
        self,
        c: Out<'_>,
        block: Block,
        (row, height): (usize, usize),
        panel: usize,
        left: Left<'_>,
        right: Right<'_>,
    ) {
        let place = Place { block, row, column: block.column + panel * COLUMNS };
        let wide = block.columns - panel * COLUMNS > WIDTH;
        match (height, wide) {
            (12, true) => self.sum::<12, 2>(c, place, left, right),
            (8, true) => self.sum::<8, 2>(c, place, left, right),
            (4, true) => self.sum::<4, 2>(c, place, left, right),
            (2, true) => self.sum::<2, 2>(c, place, left, right),
            (_, true) => self.sum::<1, 2>(c, place, left, right),
            (12, false) => self.sum::<12, 1>(c, place, left, right),
            (8, false) => self.sum::<8, 1>(c, place, left, right),
            (4, false) => self.sum::<4, 1>(c, place, left, right),
            (2, false) => self.sum::<2, 1>(c, place, left, right),
            (_, false) => self.sum::<1, 1>(c, place, left, right),
        }
    }

    /// The sums of a tile of `R` rows of `V` vectors, added to what they go onto.
    #[target_feature(enable = "avx512f")]
    fn sum<const R: usize, const V: usize>(
        self,
        mut c: Out<'_>,
        place: Place,
        left: Left<'_>,
        right: Right<'_>,
    ) {
        let Place { block, row, column } = place;
        let width = (V * WIDTH).min(block.column + block.columns - column);
        let sums = sums::<R, V>(block.terms, left, right, V * WIDTH);
        let onto = if block.term > 0 { Onto::Itself } else { self.onto };
        for (sums, row) in sums.iter().zip(row..) {
            let row = &mut c.rb_mut().row_mut(row).as_slice_mut()[column..][..width];
            for ((sum, out), at) in sums.iter().zip(row.chunks_mut(WIDTH)).zip([0, WIDTH]) {
                let sum = match onto {
                    Onto::Nothing => *sum,
                    Onto::Itself => _mm512_add_ps(load(out), *sum),
                    Onto::Row(row) => {
                        _mm512_add_ps(load(&row[self.column + column + at..][..out.len()]), *sum)
                    }
                };
                store(sum, out);
            }
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
