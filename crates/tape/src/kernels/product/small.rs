//! Products of small matrices, for which the way into the library takes longer than the work: single precision, on
//! processors with vectors of 512 bits.

use faer::reborrow::ReborrowMut;

use super::prepare;
use super::tile::{Left, Out, Right, Tile, out};
use crate::Real;
use crate::kernels::{Matrix, Onto};
use crate::vector::avx512::{WIDTH, fits, singles_mut, transpose_block};

/// The most multiplications, and the most terms of a sum: with more, the library is as fast or faster.
const MOST: usize = 1 << 13;
const TERMS: usize = 64;
/// The most elements of a right operand that is transposed, because it is copied.
const COPIED: usize = 1 << 9;

/// `c = onto + a b`, if that is done here; the slices have the lengths of their shapes, and none is empty.
pub(super) fn product<E: Real>(
    c: &mut [E],
    a: Matrix<'_, E>,
    b: Matrix<'_, E>,
    onto: Onto<'_, E>,
) -> bool {
    // A column is made as a row, from vectors of its elements.
    let (left, right) = if b.columns == 1 { (b.transpose(), a.transpose()) } else { (a, b) };
    let few = left.rows * right.data.len() <= MOST && right.rows <= TERMS;
    if !few || right.is_by_columns() && right.data.len() > COPIED || !fits::<E>() {
        return false;
    }
    // What is added to each row of a column is a number, and not a row.
    let onto = match onto {
        Onto::Row(_) if b.columns == 1 => Onto::added(prepare(c, onto)),
        onto => onto.in_singles(),
    };
    // SAFETY: the processor has been asked for the instructions above.
    unsafe { multiply(singles_mut(c), left.in_singles(), right.in_singles(), onto) };
    true
}

#[target_feature(enable = "avx512f")]
fn multiply(c: &mut [f32], a: Matrix<'_, f32>, b: Matrix<'_, f32>, onto: Onto<'_, f32>) {
    let (inner, columns) = (b.rows, b.columns);
    let mut copy;
    let b = if b.is_by_columns() {
        copy = [0.0; COPIED];
        for term in (0..inner).step_by(WIDTH) {
            for column in (0..columns).step_by(WIDTH) {
                let from = (&b.data[column * inner + term..], inner);
                let to = (&mut copy[term * columns + column..], columns);
                let size = (WIDTH.min(columns - column), WIDTH.min(inner - term));
                transpose_block(from, size, to, false);
            }
        }
        &copy[..inner * columns]
    } else {
        b.data
    };
    let mut c = out(c, a.rows, columns);
    for column in (0..columns).step_by(WIDTH) {
        let width = WIDTH.min(columns - column);
        let mut row = 0;
        while row < a.rows {
            let part = Part { a, b, columns, row, column, width };
            // As many rows in each part, as far as it goes: one of few takes as long, because each sum waits for itself.
            let rest = a.rows - row;
            row += match rest.div_ceil(rest.div_ceil(MOST_ROWS)) {
                1 => part.multiply::<1>(c.rb_mut(), onto),
                2 => part.multiply::<2>(c.rb_mut(), onto),
                3 => part.multiply::<3>(c.rb_mut(), onto),
                4 => part.multiply::<4>(c.rb_mut(), onto),
                5 => part.multiply::<5>(c.rb_mut(), onto),
                6 => part.multiply::<6>(c.rb_mut(), onto),
                7 => part.multiply::<7>(c.rb_mut(), onto),
                _ => part.multiply::<MOST_ROWS>(c.rb_mut(), onto),
            };
        }
    }
}

/// The most rows of a part.
const MOST_ROWS: usize = 8;

/// Some rows of a vector of columns of the result.
struct Part<'a> {
    a: Matrix<'a, f32>,
    /// The rows of the right operand.
    b: &'a [f32],
    columns: usize,
    row: usize,
    column: usize,
    width: usize,
}

impl Part<'_> {
    /// Makes `ROWS` rows, whose sums stay in registers; gives their number.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn multiply<const ROWS: usize>(&self, c: Out<'_>, onto: Onto<'_, f32>) -> usize {
        let Part { a, b, columns, row, column, width } = *self;
        let left = match a.transposed {
            true => Left { data: &a.data[row..], down: 1, along: a.rows },
            false => Left { data: &a.data[row * a.columns..], down: a.columns, along: 1 },
        };
        let right = Right { data: &b[column..], along: columns };
        let onto = match onto {
            Onto::Row(row) => Onto::Row(&row[column..]),
            onto => onto,
        };
        let out = c.submatrix_mut(row, column, ROWS, width);
        Tile { out, onto, terms: a.columns, left, right }.sum::<ROWS, 1>();
        ROWS
    }
}
