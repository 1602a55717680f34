//! Single precision in vectors of 16 numbers by intrinsics, for loops in which the compiler would not keep in
//! registers what belongs there.

use std::any::TypeId;
use std::arch::x86_64::{
    __m512, __mmask16, _mm512_add_ps, _mm512_castpd_ps, _mm512_castps_pd, _mm512_mask_storeu_ps,
    _mm512_maskz_loadu_ps, _mm512_setzero_ps, _mm512_shuffle_f32x4, _mm512_unpackhi_pd,
    _mm512_unpackhi_ps, _mm512_unpacklo_pd, _mm512_unpacklo_ps,
};
use std::slice;

use super::Level;
use crate::Real;

/// The numbers in a vector.
pub(crate) const WIDTH: usize = 16;

/// Whether this is `f32`, on a processor that has the instructions.
#[inline(always)]
pub(crate) fn fits<E: Real>() -> bool {
    TypeId::of::<E>() == TypeId::of::<f32>() && Level::best() == Level::Avx512
}

/// The slice as what it is.
#[inline(always)]
pub(crate) fn singles<E: Real>(x: &[E]) -> &[f32] {
    assert!(TypeId::of::<E>() == TypeId::of::<f32>());
    // SAFETY: `E` is `f32`.
    unsafe { slice::from_raw_parts(x.as_ptr().cast(), x.len()) }
}

#[inline(always)]
pub(crate) fn singles_mut<E: Real>(x: &mut [E]) -> &mut [f32] {
    assert!(TypeId::of::<E>() == TypeId::of::<f32>());
    // SAFETY: `E` is `f32`.
    unsafe { slice::from_raw_parts_mut(x.as_mut_ptr().cast(), x.len()) }
}

/// The transpose of a matrix of at most 16 rows and columns, put into another one or added to it:
/// `to[j * to_step + i] = from[i * from_step + j]`.
#[target_feature(enable = "avx512f")]
pub(crate) fn transpose_block(
    (from, from_step): (&[f32], usize),
    (rows, columns): (usize, usize),
    (to, to_step): (&mut [f32], usize),
    add: bool,
) {
    let mut x = [_mm512_setzero_ps(); WIDTH];
    for i in 0..WIDTH {
        if i < rows {
            x[i] = load(&from[i * from_step..][..columns]);
        }
    }
    // Four by four in each quarter of the vectors, then the quarters.
    let mut fours = [_mm512_setzero_ps(); WIDTH];
    for q in 0..4 {
        let [a, b, c, d] = [x[4 * q], x[4 * q + 1], x[4 * q + 2], x[4 * q + 3]];
        let (low, high) = (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
        let (other_low, other_high) = (_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
        let (low, other_low) = (_mm512_castps_pd(low), _mm512_castps_pd(other_low));
        let (high, other_high) = (_mm512_castps_pd(high), _mm512_castps_pd(other_high));
        fours[4 * q] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, other_low));
        fours[4 * q + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, other_low));
        fours[4 * q + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(high, other_high));
        fours[4 * q + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(high, other_high));
    }
    const EVEN: i32 = 0x88;
    const ODD: i32 = 0xdd;
    for k in 0..4 {
        let even = _mm512_shuffle_f32x4::<EVEN>(fours[k], fours[4 + k]);
        let odd = _mm512_shuffle_f32x4::<ODD>(fours[k], fours[4 + k]);
        let even_below = _mm512_shuffle_f32x4::<EVEN>(fours[8 + k], fours[12 + k]);
        let odd_below = _mm512_shuffle_f32x4::<ODD>(fours[8 + k], fours[12 + k]);
        x[k] = _mm512_shuffle_f32x4::<EVEN>(even, even_below);
        x[4 + k] = _mm512_shuffle_f32x4::<EVEN>(odd, odd_below);
        x[8 + k] = _mm512_shuffle_f32x4::<ODD>(even, even_below);
        x[12 + k] = _mm512_shuffle_f32x4::<ODD>(odd, odd_below);
    }
    for j in 0..WIDTH {
        if j < columns {
            let to = &mut to[j * to_step..][..rows];
            let sum = if add { _mm512_add_ps(load(to), x[j]) } else { x[j] };
            store(sum, to);
        }
    }
}

/// The first `count` lanes.
#[inline]
#[target_feature(enable = "avx512f")]
fn first_lanes(count: usize) -> __mmask16 {
    assert!(count <= WIDTH);
    ((1_u32 << count) - 1) as __mmask16
}

/// As many lanes as there are numbers; the rest is 0.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) fn load(x: &[f32]) -> __m512 {
    // SAFETY: what is not there is masked.
    unsafe { _mm512_maskz_loadu_ps(first_lanes(x.len()), x.as_ptr()) }
}

/// As many lanes as there is room for.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) fn store(vector: __m512, x: &mut [f32]) {
    // SAFETY: what there is no room for is masked.
    unsafe { _mm512_mask_storeu_ps(x.as_mut_ptr(), first_lanes(x.len()), vector) }
}
