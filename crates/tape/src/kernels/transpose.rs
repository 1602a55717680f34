//! The transpose of a matrix, block by block.

use crate::Real;

/// The side of the square blocks that are turned at once: a line of the cache of `f32`s.
const SIDE: usize = 16;

/// Writes the transpose of rows `first..first + out.len() / rows` of the transpose of `x`, that is those
/// columns of `x`, a matrix of `columns` columns and `rows` rows, into `out`: each as a row.
pub(crate) fn columns_as_rows<E: Real>(
    x: &[E],
    rows: usize,
    columns: usize,
    first: usize,
    out: &mut [E],
) {
    super::vectorised(
        #[inline(always)]
        |_| blocks(x, rows, columns, first, out),
    );
}

#[inline(always)]
fn blocks<E: Real>(x: &[E], rows: usize, columns: usize, first: usize, out: &mut [E]) {
    let count = out.len() / rows.max(1);
    let (whole_rows, whole) = (rows / SIDE * SIDE, count / SIDE * SIDE);
    // Each block is read as pieces of rows and written as pieces of rows, through registers or the
    // first cache, so that a cache line is fetched once whatever the stride.
    for i in (0..whole_rows).step_by(SIDE) {
        for j in (0..whole).step_by(SIDE) {
            let mut block = [[E::ZERO; SIDE]; SIDE];
            for (p, row) in block.iter_mut().enumerate() {
                row.copy_from_slice(&x[(i + p) * columns + first + j..][..SIDE]);
            }
            for q in 0..SIDE {
                let line: &mut [E] = &mut out[(j + q) * rows + i..][..SIDE];
                for (p, slot) in line.iter_mut().enumerate() {
                    *slot = block[p][q];
                }
            }
        }
    }
    for j in 0..count {
        let from = if j < whole { whole_rows } else { 0 };
        for i in from..rows {
            out[j * rows + i] = x[i * columns + first + j];
        }
    }
}
