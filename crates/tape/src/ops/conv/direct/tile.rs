//! The innermost loop of a convolution.

use super::table::Offsets;
use crate::Real;
use crate::vector::{Arithmetic, Level};

/// How many rows are computed at once: their sums and one vector or two fill the registers.
const ROWS: usize = 8;

/// `sums[to i][lane] += sum over j of x[row i + column j] * v[j][lane]`.
#[inline(always)]
pub(super) fn add_products<A: Arithmetic, E: Real, const LANES: usize>(
    sums: &mut [[E; LANES]],
    to: Offsets<'_>,
    (x, rows): (&[E], Offsets<'_>),
    columns: Offsets<'_>,
    v: &[E],
) {
    #[cfg(target_arch = "x86_64")]
    if const { A::FUSED && size_of::<E>() == 4 && LANES >= 16 }
        && super::avx512::add_products(sums, to, (x, rows), columns, v)
    {
        return;
    }
    let span = columns.span();
    for (to, rows) in to.chunks(ROWS).zip(rows.chunks(ROWS)) {
        // Where there are fewer, the last row stands again.
        let last = rows.len() - 1;
        let starts: [&[E]; ROWS] = std::array::from_fn(|i| &x[rows.get(i.min(last))..][..span]);
        let mut own = [[E::ZERO; LANES]; ROWS];
        for (own, to) in own.iter_mut().zip(to.iter()) {
            *own = sums[to];
        }
        // Rows of one known length need one check of a column.
        let starts = starts.map(|row| &row[..span]);
        for (column, v) in columns.iter().zip(v.as_chunks::<LANES>().0) {
            assert!(column < span);
            for i in 0..ROWS {
                let x = starts[i][column];
                for lane in 0..LANES {
                    own[i][lane] = A::fma(x, v[lane], own[i][lane]);
                }
            }
        }
        for (own, to) in own.iter().zip(to.iter()) {
            sums[to] = *own;
        }
    }
}

/// How many lanes are good for `count` sums side by side: one vector but at least four, or two vectors
/// where there are registers for them and they are full.
pub(super) fn lanes_for<E: Real>(count: usize) -> usize {
    let bytes = match Level::best() {
        Level::Avx512 => 64,
        Level::Avx2 => 32,
        Level::Baseline => 16,
    };
    let one = (bytes / size_of::<E>()).max(4);
    let full = count.is_multiple_of(2 * one) || count > 4 * one;
    if bytes == 64 && full { 2 * one } else { one }
}

/// Calls a function with the number of lanes as a constant. The conditions on constants spare the
/// compiler the numbers that cannot be.
macro_rules! with_lanes {
    ($lanes:expr, $($call:tt)*) => {
        match $lanes {
            32 if const { A::FUSED && size_of::<E>() == 4 } => $($call)*::<A, 32>(),
            16 if const { A::FUSED } => $($call)*::<A, 16>(),
            8 if const { A::FUSED } => $($call)*::<A, 8>(),
            lanes => {
                assert!(lanes == 4);
                $($call)*::<A, 4>()
            }
        }
    };
}
pub(super) use with_lanes;
