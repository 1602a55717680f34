//! The innermost loop of a convolution.

#[cfg(target_arch = "x86_64")]
mod avx512;

use crate::Real;
use crate::vector::{Arithmetic, Level};

/// How many rows are computed at once: their sums and one vector or two fill the registers.
pub(super) const ROWS: usize = 8;

/// Where eight rows of scalars begin; the last one stands again where there are fewer.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a, E>([&'a [E]; ROWS]);

impl<'a, E> Rows<'a, E> {
    /// Rows of length `span` that begin at `offsets`, of which there are one to eight.
    #[inline(always)]
    pub(super) fn new(x: &'a [E], offsets: &[usize], span: usize) -> Self {
        let last = offsets.len() - 1;
        Rows(std::array::from_fn(|i| &x[offsets[i.min(last)]..][..span]))
    }

    /// Rows of length `span` that begin at `first`, `first + 1` and so on, `count` different ones.
    #[inline(always)]
    pub(super) fn consecutive(x: &'a [E], first: usize, count: usize, span: usize) -> Self {
        Rows(std::array::from_fn(|i| &x[first + i.min(count - 1)..][..span]))
    }
}

/// `sums[i][lane] += sum over j of rows[i][columns[j]] * v[j][lane]`.
#[inline(always)]
pub(super) fn tile<A: Arithmetic, E: Real, const LANES: usize>(
    sums: &mut [[E; LANES]; ROWS],
    rows: Rows<'_, E>,
    columns: &[usize],
    v: &[E],
) {
    #[cfg(target_arch = "x86_64")]
    if const { A::FUSED && size_of::<E>() == 4 && LANES >= 16 }
        && avx512::tile(sums, rows, columns, v)
    {
        return;
    }
    let span = rows.0[0].len();
    // Rows of one known length need one check of a column.
    let rows = rows.0.map(|row| &row[..span]);
    let mut own = *sums;
    for (&column, v) in columns.iter().zip(v.as_chunks::<LANES>().0) {
        assert!(column < span);
        for i in 0..ROWS {
            let x = rows[i][column];
            for lane in 0..LANES {
                own[i][lane] = A::fma(x, v[lane], own[i][lane]);
            }
        }
    }
    *sums = own;
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
