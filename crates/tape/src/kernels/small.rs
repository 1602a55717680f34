//! Products of small matrices, by a loop of our own: the fixed costs of a call of the library are more
//! than the work.

use super::Matrix;
use crate::Real;

/// Columns of a tile: its sums are in registers.
const COLUMNS: usize = 16;
/// Rows of a tile.
const ROWS: usize = 4;
/// How much of the inner length is multiplied between two visits of the result.
const DEPTH: usize = 64;

/// `c = a b`, or `c += a b`. Each element is the sum of its terms in the order of the inner index.
pub(super) fn product<E: Real>(c: &mut [E], a: Matrix<'_, E>, b: Matrix<'_, E>, add: bool) {
    if b.columns == 1 {
        // A column: as a row, it is the product of the transposes, and vectors run along its rows.
        if a.rows == 1 {
            return super::vectorised(
                #[inline(always)]
                |_| dot(c, a.data, b.data, add),
            );
        }
        let (a, b) = (b.transpose(), a.transpose());
        return fused_or_not(c, a, b, add);
    }
    fused_or_not(c, a, b, add);
}

#[inline(always)]
fn fused_or_not<E: Real>(c: &mut [E], a: Matrix<'_, E>, b: Matrix<'_, E>, add: bool) {
    super::vectorised(
        #[inline(always)]
        |fused| match fused {
            true => tiles::<E, true>(c, a, b, add),
            false => tiles::<E, false>(c, a, b, add),
        },
    );
}

/// The product of a row and a column, in fixed lanes.
#[inline(always)]
fn dot<E: Real>(c: &mut [E], a: &[E], b: &[E], add: bool) {
    let mut lanes = [E::ZERO; COLUMNS];
    let (a, b) = (a.chunks(COLUMNS), b.chunks(COLUMNS));
    for (a, b) in a.zip(b) {
        for ((lane, &a), &b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    let sum = super::fold_lanes(&mut lanes);
    c[0] = if add { c[0] + sum } else { sum };
}

#[inline(always)]
fn tiles<E: Real, const FUSED: bool>(c: &mut [E], a: Matrix<'_, E>, b: Matrix<'_, E>, add: bool) {
    let (inner, columns) = (a.columns, b.columns);
    let (row_step, inner_step) = if a.transposed { (1, a.rows) } else { (inner, 1) };
    let mut panel = [[E::ZERO; COLUMNS]; DEPTH];
    for j in (0..columns).step_by(COLUMNS) {
        let width = COLUMNS.min(columns - j);
        for k in (0..inner).step_by(DEPTH) {
            let depth = DEPTH.min(inner - k);
            read_panel(b, k, j, width, &mut panel[..depth]);
            for i in (0..a.rows).step_by(ROWS) {
                let rows = ROWS.min(a.rows - i);
                // A tile at the lower edge computes its last row again instead of rows that do not
                // exist, and one at the right edge works on zeros: neither is written.
                let starts: [usize; ROWS] =
                    std::array::from_fn(|r| (i + r.min(rows - 1)) * row_step + k * inner_step);
                let mut sums = [[E::ZERO; COLUMNS]; ROWS];
                for (p, line) in panel[..depth].iter().enumerate() {
                    for (sums, start) in sums.iter_mut().zip(starts) {
                        let factor = a.data[start + p * inner_step];
                        for (sum, &x) in sums.iter_mut().zip(line) {
                            *sum = if FUSED { factor.mul_add(x, *sum) } else { *sum + factor * x };
                        }
                    }
                }
                for (r, sums) in sums.iter().enumerate().take(rows) {
                    let out = &mut c[(i + r) * columns + j..][..width];
                    match add || k > 0 {
                        true => out.iter_mut().zip(sums).for_each(|(out, &sum)| *out += sum),
                        false => out.copy_from_slice(&sums[..width]),
                    }
                }
            }
        }
    }
}

/// Rows `k..` and columns `j..j + width` of `b`, with zeros after them.
#[inline(always)]
fn read_panel<E: Real>(
    b: Matrix<'_, E>,
    k: usize,
    j: usize,
    width: usize,
    panel: &mut [[E; COLUMNS]],
) {
    for (p, line) in panel.iter_mut().enumerate() {
        if b.transposed {
            for (q, slot) in line[..width].iter_mut().enumerate() {
                *slot = b.data[(j + q) * b.rows + k + p];
            }
        } else if width == COLUMNS {
            line.copy_from_slice(&b.data[(k + p) * b.columns + j..][..COLUMNS]);
        } else {
            line[..width].copy_from_slice(&b.data[(k + p) * b.columns + j..][..width]);
        }
        if width < COLUMNS {
            line[width..].fill(E::ZERO);
        }
    }
}
