//! Single precision in vectors of 16 numbers by intrinsics, for loops in which the compiler would not keep in
//! registers what belongs there.

use std::any::TypeId;
use std::arch::x86_64::{
    __m512, __mmask16, _mm512_add_ps, _mm512_castpd_ps, _mm512_castps_pd, _mm512_mask_storeu_ps,
    _mm512_maskz_loadu_ps, _mm512_setzero_ps, _mm512_shuffle_f32x4, _mm512_shuffle_ps,
    _mm512_unpackhi_pd, _mm512_unpackhi_ps, _mm512_unpacklo_pd, _mm512_unpacklo_ps,
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

/// The sum of the rows of `x`, each as long as `out`: first of those that are left over, then of four at a time; if they are
/// no longer than a vector and that can be done here.
#[inline]
pub(crate) fn sum_rows<E: Real>(x: &[E], out: &mut [E]) -> bool {
    if out.len() > WIDTH || !fits::<E>() {
        return false;
    }
    // SAFETY: the processor has been asked for the instructions above.
    unsafe { sum_of_rows(singles(x), singles_mut(out)) };
    true
}

#[target_feature(enable = "avx512f")]
fn sum_of_rows(x: &[f32], out: &mut [f32]) {
    let width = out.len();
    let fours = x.chunks_exact(4 * width);
    let mut sum = _mm512_setzero_ps();
    for row in fours.remainder().chunks_exact(width) {
        sum = _mm512_add_ps(sum, load(row));
    }
    for rows in fours {
        let [a, b, c, d] = [0, 1, 2, 3].map(|k| k * width).map(|at| load(&rows[at..][..width]));
        let pairs = _mm512_add_ps(_mm512_add_ps(a, b), _mm512_add_ps(c, d));
        sum = _mm512_add_ps(sum, pairs);
    }
    store(sum, out);
}

/// The sum of each `length` neighbours, no more than a block of [`sum`](crate::kernels::sum) and with its bits, if that
/// can be done here.
#[inline]
pub(crate) fn sum_each<E: Real>(x: &[E], length: usize, out: &mut [E]) -> bool {
    if !fits::<E>() {
        return false;
    }
    let x = &singles(x)[..out.len() * length];
    for (out, x) in singles_mut(out).chunks_mut(WIDTH).zip(x.chunks(WIDTH * length)) {
        // SAFETY: the processor has been asked for the instructions a few lines above.
        let sums = unsafe { sums_of_runs(x, length) };
        // SAFETY: as above.
        unsafe { store(sums, out) };
    }
    true
}

/// The sums of at most 16 runs of so many neighbours.
///
/// Each run becomes one vector, whose halves have to be added, then the quarters of these, and so on. Two vectors of which the
/// half counts are one, so 16 runs take 15 additions where a run by itself takes four.
#[target_feature(enable = "avx512f")]
fn sums_of_runs(x: &[f32], length: usize) -> __m512 {
    let mut halves = [_mm512_setzero_ps(); WIDTH];
    for (half, x) in halves.iter_mut().zip(x.chunks_exact(length)) {
        let (mut low, mut high) = (_mm512_setzero_ps(), _mm512_setzero_ps());
        let (whole, rest) = x.as_chunks::<{ 2 * WIDTH }>();
        for x in whole {
            low = _mm512_add_ps(low, load(&x[..WIDTH]));
            high = _mm512_add_ps(high, load(&x[WIDTH..]));
        }
        if !rest.is_empty() {
            let (x, others) = rest.split_at(rest.len().min(WIDTH));
            low = _mm512_add_ps(low, load(x));
            high = _mm512_add_ps(high, load(others));
        }
        *half = _mm512_add_ps(low, high);
    }
    // The quarters of a vector hold four lanes each: of runs 0, 4, 8 and 12 in the first one, of 1, 5, 9 and 13 in the
    // second, and so on.
    const LOWER: i32 = 0x44;
    const UPPER: i32 = 0xee;
    const EVEN: i32 = 0x88;
    const ODD: i32 = 0xdd;
    let mut fours = [_mm512_setzero_ps(); 4];
    for k in 0..4 {
        let [a, b, c, d] = [halves[k], halves[4 + k], halves[8 + k], halves[12 + k]];
        let eights = |a, b| {
            let (lower, upper) =
                (_mm512_shuffle_f32x4::<LOWER>(a, b), _mm512_shuffle_f32x4::<UPPER>(a, b));
            _mm512_add_ps(lower, upper)
        };
        let (a, b) = (eights(a, b), eights(c, d));
        let (even, odd) = (_mm512_shuffle_f32x4::<EVEN>(a, b), _mm512_shuffle_f32x4::<ODD>(a, b));
        fours[k] = _mm512_add_ps(even, odd);
    }
    let pairs = |a, b| {
        let (a, b) = (_mm512_castps_pd(a), _mm512_castps_pd(b));
        let (low, high) = (_mm512_unpacklo_pd(a, b), _mm512_unpackhi_pd(a, b));
        _mm512_add_ps(_mm512_castpd_ps(low), _mm512_castpd_ps(high))
    };
    let (a, b) = (pairs(fours[0], fours[1]), pairs(fours[2], fours[3]));
    let (even, odd) = (_mm512_shuffle_ps::<EVEN>(a, b), _mm512_shuffle_ps::<ODD>(a, b));
    _mm512_add_ps(even, odd)
}

/// The first `count` lanes.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) fn first_lanes(count: usize) -> __mmask16 {
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
