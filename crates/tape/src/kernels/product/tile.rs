//! The inner loop of a product: some rows of the result, and one or two vectors of columns, are summed in registers.

use std::arch::x86_64::{
    __m512, _mm512_fmadd_ps, _mm512_maskz_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps,
};

use crate::vector::avx512::{WIDTH, first_lanes};

/// Numbers of the left operand for some rows: that of a row and a term is at `row * down + term * along`. Rows or terms are
/// neighbours: `down` or `along` is 1.
#[derive(Clone, Copy)]
pub(super) struct Left<'a> {
    pub(super) data: &'a [f32],
    pub(super) down: usize,
    pub(super) along: usize,
}

/// Some neighbours of the right operand for each term, `along` apart.
#[derive(Clone, Copy)]
pub(super) struct Right<'a> {
    pub(super) data: &'a [f32],
    pub(super) along: usize,
}

/// The sums over `terms` of the products of `R` rows and `width` columns, at most `V` vectors.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn sums<const R: usize, const V: usize>(
    terms: usize,
    left: Left<'_>,
    right: Right<'_>,
    width: usize,
) -> [[__m512; V]; R] {
    // The only difference is what the compiler knows.
    match left.down {
        1 => sums_of::<R, V>(terms, Left { down: 1, ..left }, right, width),
        _ => sums_of::<R, V>(terms, Left { along: 1, ..left }, right, width),
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn sums_of<const R: usize, const V: usize>(
    terms: usize,
    left: Left<'_>,
    right: Right<'_>,
    width: usize,
) -> [[__m512; V]; R] {
    assert!(left.data.len() > (R - 1) * left.down + (terms - 1) * left.along);
    assert!(right.data.len() >= (terms - 1) * right.along + width);
    let lanes: [_; V] = std::array::from_fn(|v| first_lanes((width - v * WIDTH).min(WIDTH)));
    let (a, b) = (left.data.as_ptr(), right.data.as_ptr());
    let mut sums = [[_mm512_setzero_ps(); V]; R];
    for term in 0..terms {
        // SAFETY: both slices are as long as has been asked for above, and lanes beyond the width are masked.
        unsafe {
            let mut vectors = [_mm512_setzero_ps(); V];
            for (v, vector) in vectors.iter_mut().enumerate() {
                let at = b.wrapping_add(term * right.along + v * WIDTH);
                *vector = _mm512_maskz_loadu_ps(lanes[v], at);
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                let factor = _mm512_set1_ps(*a.add(r * left.down + term * left.along));
                for (sum, vector) in sums.iter_mut().zip(vectors) {
                    *sum = _mm512_fmadd_ps(factor, vector, *sum);
                }
            }
        }
    }
    sums
}
