//! The loops of single precision by intrinsics: left to itself, the compiler loads the vectors again for
//! each row, and the loads then take longer than the products.

use std::any::TypeId;
use std::arch::x86_64::{
    __m512, __mmask16, _mm512_add_ps, _mm512_castpd_ps, _mm512_castps_pd, _mm512_fmadd_ps,
    _mm512_loadu_ps, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_set1_ps,
    _mm512_setzero_ps, _mm512_shuffle_f32x4, _mm512_storeu_ps, _mm512_unpackhi_pd,
    _mm512_unpackhi_ps, _mm512_unpacklo_pd, _mm512_unpacklo_ps,
};
use std::slice;

use super::table::Offsets;
use crate::Real;
use crate::vector::Level;

/// The numbers in a vector.
const WIDTH: usize = 16;

/// Whether this is `f32`, on a processor that has the instructions.
#[inline(always)]
fn fits<E: Real>() -> bool {
    TypeId::of::<E>() == TypeId::of::<f32>() && Level::best() == Level::Avx512
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

/// The transpose of a matrix of at most 16 rows and columns, put into another one or added to it:
/// `to[j * to_step + i] = from[i * from_step + j]`.
#[target_feature(enable = "avx512f")]
fn transpose_block(
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
fn load(x: &[f32]) -> __m512 {
    // SAFETY: what is not there is masked.
    unsafe { _mm512_maskz_loadu_ps(first_lanes(x.len()), x.as_ptr()) }
}

/// As many lanes as there is room for.
#[inline]
#[target_feature(enable = "avx512f")]
fn store(vector: __m512, x: &mut [f32]) {
    // SAFETY: what there is no room for is masked.
    unsafe { _mm512_mask_storeu_ps(x.as_mut_ptr(), first_lanes(x.len()), vector) }
}
