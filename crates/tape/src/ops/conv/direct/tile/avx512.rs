//! The tile of single precision by intrinsics: left to itself, the compiler loads the vectors again for
//! each row, and the loads then take longer than the products.

use std::any::TypeId;
use std::arch::x86_64::{
    __m512, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
};
use std::slice;

use super::{ROWS, Rows};
use crate::Real;
use crate::vector::Level;

/// As [`tile`](super::tile), if that can be done here: for `f32`, whole vectors and a processor that has
/// them.
#[inline(always)]
pub(super) fn tile<E: Real, const LANES: usize>(
    sums: &mut [[E; LANES]; ROWS],
    rows: Rows<'_, E>,
    columns: &[usize],
    v: &[E],
) -> bool {
    if TypeId::of::<E>() != TypeId::of::<f32>() || Level::best() != Level::Avx512 {
        return false;
    }
    let (sums, rows, v) = (singles_mut(sums.as_flattened_mut()), rows.0.map(singles), singles(v));
    match LANES {
        // SAFETY: the processor has been asked for the instructions a few lines above.
        32 => unsafe { run::<2>(sums, rows, columns, v) },
        // SAFETY: as above.
        16 => unsafe { run::<1>(sums, rows, columns, v) },
        _ => return false,
    }
    true
}

/// The slice as what it is.
#[inline(always)]
fn singles<E: Real>(x: &[E]) -> &[f32] {
    assert!(TypeId::of::<E>() == TypeId::of::<f32>());
    // SAFETY: `E` is `f32`.
    unsafe { slice::from_raw_parts(x.as_ptr().cast(), x.len()) }
}

#[inline(always)]
fn singles_mut<E: Real>(x: &mut [E]) -> &mut [f32] {
    assert!(TypeId::of::<E>() == TypeId::of::<f32>());
    // SAFETY: `E` is `f32`.
    unsafe { slice::from_raw_parts_mut(x.as_mut_ptr().cast(), x.len()) }
}

/// `VECTORS` vectors of 16 lanes for each row.
#[target_feature(enable = "avx512f")]
fn run<const VECTORS: usize>(sums: &mut [f32], rows: [&[f32]; ROWS], columns: &[usize], v: &[f32]) {
    let span = rows[0].len();
    let rows = rows.map(|row| &row[..span]);
    let mut own = [[_mm512_setzero_ps(); VECTORS]; ROWS];
    for (own, sums) in own.as_flattened_mut().iter_mut().zip(sums.as_chunks::<16>().0) {
        *own = load(sums);
    }
    for (&column, v) in columns.iter().zip(v.chunks_exact(16 * VECTORS)) {
        assert!(column < span);
        let mut vectors = [_mm512_setzero_ps(); VECTORS];
        for (vector, v) in vectors.iter_mut().zip(v.as_chunks::<16>().0) {
            *vector = load(v);
        }
        for i in 0..ROWS {
            let x = _mm512_set1_ps(rows[i][column]);
            for k in 0..VECTORS {
                own[i][k] = _mm512_fmadd_ps(x, vectors[k], own[i][k]);
            }
        }
    }
    for (own, sums) in own.as_flattened().iter().zip(sums.as_chunks_mut::<16>().0) {
        // SAFETY: there is room for 16 numbers.
        unsafe { _mm512_storeu_ps(sums.as_mut_ptr(), *own) };
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(x: &[f32; 16]) -> __m512 {
    // SAFETY: there are 16 numbers.
    unsafe { _mm512_loadu_ps(x.as_ptr()) }
}
