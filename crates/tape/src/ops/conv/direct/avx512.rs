//! The loops of single precision by intrinsics: left to itself, the compiler loads the vectors again for
//! each row, and the loads then take longer than the products.

use std::arch::x86_64::{
    _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
};

use super::table::Offsets;
use crate::Real;
use crate::vector::avx512::{WIDTH, fits, load, singles, singles_mut, transpose_block};

/// As [`add_products`](super::tile::add_products), if that can be done here: for `f32`, whole vectors and
/// a processor that has them.
#[inline(always)]
pub(super) fn add_products<E: Real, const LANES: usize>(
    sums: &mut [[E; LANES]],
    to: Offsets<'_>,
    (x, rows): (&[E], Offsets<'_>),
    columns: Offsets<'_>,
    v: &[E],
) -> bool {
    if !fits::<E>() {
        return false;
    }
    let (sums, x, v) = (singles_mut(sums.as_flattened_mut()), singles(x), singles(v));
    match LANES {
        // SAFETY: the processor has been asked for the instructions a few lines above.
        32 => unsafe { products::<2>(sums, to, (x, rows), columns, v) },
        // SAFETY: as above.
        16 => unsafe { products::<1>(sums, to, (x, rows), columns, v) },
        _ => return false,
    }
    true
}

/// `VECTORS` vectors for each row; as many rows at once as there are registers for, and about the same
/// number each time.
#[target_feature(enable = "avx512f")]
fn products<const VECTORS: usize>(
    sums: &mut [f32],
    to: Offsets<'_>,
    (x, rows): (&[f32], Offsets<'_>),
    columns: Offsets<'_>,
    v: &[f32],
) {
    const REGISTERS: usize = 16;
    let count = to.len();
    let parts = count.div_ceil(REGISTERS / VECTORS);
    let most = count.div_ceil(parts.max(1)).max(1);
    for (to, of) in to.chunks(most).zip(rows.chunks(most)) {
        macro_rules! by_count {
            ($($count:literal)*) => {
                match to.len() {
                    $($count if const { $count * VECTORS <= REGISTERS } => {
                        tile::<VECTORS, $count>(sums, to, (x, of), columns, v);
                    })*
                    _ => unreachable!("there are no more rows than registers"),
                }
            };
        }
        by_count!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);
    }
}

/// The sums of `ROWS` rows, in registers.
#[target_feature(enable = "avx512f")]
fn tile<const VECTORS: usize, const ROWS: usize>(
    sums: &mut [f32],
    to: Offsets<'_>,
    (x, rows): (&[f32], Offsets<'_>),
    columns: Offsets<'_>,
    v: &[f32],
) {
    assert!(to.len() == ROWS && rows.len() == ROWS);
    // Offsets ascend, so all are within the spans.
    assert!(to.span() * VECTORS * WIDTH <= sums.len());
    assert!(rows.span() - 1 + columns.span() <= x.len());
    let (x, sums) = (x.as_ptr(), sums.as_mut_ptr());
    let (mut starts, mut slots) = ([x; ROWS], [sums; ROWS]);
    let mut own = [[_mm512_setzero_ps(); VECTORS]; ROWS];
    for i in 0..ROWS {
        // SAFETY: this is within `x`, see above.
        starts[i] = unsafe { x.add(rows.get(i)) };
        // SAFETY: there are `VECTORS` vectors, see above.
        slots[i] = unsafe { sums.add(to.get(i) * VECTORS * WIDTH) };
        for (k, own) in own[i].iter_mut().enumerate() {
            // SAFETY: as above.
            *own = unsafe { _mm512_loadu_ps(slots[i].add(k * WIDTH)) };
        }
    }
    for (column, v) in columns.iter().zip(v.chunks_exact(VECTORS * WIDTH)) {
        let mut vectors = [_mm512_setzero_ps(); VECTORS];
        for k in 0..VECTORS {
            vectors[k] = load(&v[k * WIDTH..][..WIDTH]);
        }
        for i in 0..ROWS {
            // SAFETY: row and column are within their spans, so this is within `x`.
            let x = _mm512_set1_ps(unsafe { *starts[i].add(column) });
            for k in 0..VECTORS {
                own[i][k] = _mm512_fmadd_ps(x, vectors[k], own[i][k]);
            }
        }
    }
    for i in 0..ROWS {
        for (k, &own) in own[i].iter().enumerate() {
            // SAFETY: as where they were loaded.
            unsafe { _mm512_storeu_ps(slots[i].add(k * WIDTH), own) };
        }
    }
}

/// As [`transpose`](super::pack::transpose), if that can be done here.
#[inline(always)]
pub(super) fn transpose<E: Real>(
    (from, from_step): (&[E], usize),
    (rows, columns): (usize, usize),
    (to, to_step): (&mut [E], usize),
    add: bool,
) -> bool {
    if !fits::<E>() {
        return false;
    }
    let (from, to) = (singles(from), singles_mut(to));
    for row in (0..rows).step_by(WIDTH) {
        for column in (0..columns).step_by(WIDTH) {
            let from = (&from[row * from_step + column..], from_step);
            let to = (&mut to[column * to_step + row..], to_step);
            let size = (WIDTH.min(rows - row), WIDTH.min(columns - column));
            // SAFETY: the processor has been asked for the instructions above.
            unsafe { transpose_block(from, size, to, add) };
        }
    }
    true
}
