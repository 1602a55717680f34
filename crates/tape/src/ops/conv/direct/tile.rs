//! The innermost loop of a convolution.

use crate::Real;
use crate::vector::{Arithmetic, Task, at_best_level};

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

/// The lanes of one vector, but at least four.
pub(super) const fn one_vector<A: Arithmetic, E>() -> usize {
    let lanes = A::BYTES / size_of::<E>();
    if lanes < 4 { 4 } else { lanes }
}

/// Whether there are registers for the sums of two vectors.
pub(super) const fn has_two<A: Arithmetic>() -> bool {
    A::BYTES == 64
}

/// How many lanes are good for `count` sums side by side: one vector, or two if they are full.
pub(super) fn lanes_for<E: Real>(count: usize) -> usize {
    at_best_level(Lanes::<E> { count, element: std::marker::PhantomData })
}

struct Lanes<E> {
    count: usize,
    element: std::marker::PhantomData<E>,
}

impl<E: Real> Task for Lanes<E> {
    type Output = usize;
    #[inline(always)]
    fn run<A: Arithmetic>(self) -> usize {
        let one = one_vector::<A, E>();
        let full = self.count.is_multiple_of(2 * one) || self.count > 4 * one;
        if has_two::<A>() && full { 2 * one } else { one }
    }
}

/// Calls a function with the number of lanes, which is that of one vector or two, as a constant. The
/// conditions on constants spare the compiler the numbers that cannot be.
macro_rules! with_lanes {
    ($lanes:expr, $($call:tt)*) => {
        if const { one_vector::<A, E>() == 16 } {
            if $lanes == 16 { $($call)*::<A, 16>() } else { $($call)*::<A, 32>() }
        } else if const { one_vector::<A, E>() == 8 } {
            if const { !has_two::<A>() } || $lanes == 8 {
                $($call)*::<A, 8>()
            } else {
                $($call)*::<A, 16>()
            }
        } else {
            $($call)*::<A, 4>()
        }
    };
}
pub(super) use with_lanes;
