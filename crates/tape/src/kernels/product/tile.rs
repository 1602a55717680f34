//! The inner loop of a product: some rows of the result, and one or two vectors of columns, are summed in registers.

use std::arch::x86_64::{
    _mm512_add_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps,
    _mm512_set1_ps, _mm512_setzero_ps,
};

use faer::ContiguousFwd;
use faer::mat::MatMut;

use super::ahead::Lines;
use crate::kernels::Onto;
use crate::vector::avx512::{WIDTH, first_lanes};
use crate::vector::{prefetch_at, prefetch_to_write};

/// The fewest terms for which it is worth it to ask for what comes later: with fewer a tile is done before that is there.
pub(super) const LONG: usize = 64;

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

/// Some rows and columns of the result.
pub(super) type Out<'a> = MatMut<'a, f32, usize, usize, isize, ContiguousFwd>;

/// All of a result.
pub(super) fn out(c: &mut [f32], rows: usize, columns: usize) -> Out<'_> {
    let c = MatMut::from_row_major_slice_mut(c, rows, columns);
    c.try_as_row_major_mut().expect("rows of a slice")
}

/// A tile of the result, what it is added to, and what it is the sum of.
pub(super) struct Tile<'a> {
    pub(super) out: Out<'a>,
    pub(super) onto: Onto<'a, f32>,
    pub(super) terms: usize,
    pub(super) left: Left<'a>,
    pub(super) right: Right<'a>,
}

impl Tile<'_> {
    /// Makes the tile, of `R` rows and at most `V` vectors of columns, of which the last may be short.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn sum<const R: usize, const V: usize>(self) {
        let ahead = [Lines::same(self.left.data.as_ptr(), self.terms)];
        // The only difference is what the compiler knows.
        match self.left.down {
            1 => self.by_columns().sum_of::<R, V, false, false>(&mut [], &ahead),
            _ => self.by_rows().sum_of::<R, V, false, false>(&mut [], &ahead),
        }
    }

    /// The same where the right operand has whole vectors, even if the tile has not. Numbers of a left operand by columns
    /// are copied, those of a term together, so that they are neighbours when they are read again. Meanwhile lines of
    /// the cache are asked for: as many as there are terms.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn sum_whole<const R: usize, const V: usize>(
        self,
        copy: Option<&mut [f32]>,
        ahead: &[Lines],
    ) {
        match (self.left.down, copy) {
            (1, Some(copy)) => self.by_columns().sum_of::<R, V, true, true>(copy, ahead),
            (1, None) => self.by_columns().sum_of::<R, V, true, false>(&mut [], ahead),
            _ => self.by_rows().sum_of::<R, V, true, false>(&mut [], ahead),
        }
    }

    #[inline(always)]
    fn by_columns(self) -> Self {
        Tile { left: Left { down: 1, ..self.left }, ..self }
    }

    #[inline(always)]
    fn by_rows(self) -> Self {
        Tile { left: Left { along: 1, ..self.left }, ..self }
    }

    /// All of it in one function: sums that were handed to another one would go through memory.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn sum_of<const R: usize, const V: usize, const WHOLE: bool, const COPY: bool>(
        self,
        copy: &mut [f32],
        ahead: &[Lines],
    ) {
        let Tile { out, onto, terms, left, right } = self;
        let width = out.ncols();
        assert!(out.nrows() == R && width <= V * WIDTH);
        assert!(left.data.len() > (R - 1) * left.down + (terms - 1) * left.along);
        let read = if WHOLE { V * WIDTH } else { width };
        assert!(right.data.len() >= (terms - 1) * right.along + read);
        assert!(!COPY || copy.len() >= terms * R);
        let lanes: [_; V] =
            std::array::from_fn(|v| first_lanes(width.saturating_sub(v * WIDTH).min(WIDTH)));
        let (a, b, down) = (left.data.as_ptr(), right.data.as_ptr(), out.row_stride());
        let c = out.as_ptr_mut();
        let c = |r: usize, v: usize| c.wrapping_offset(r as isize * down).wrapping_add(v * WIDTH);
        if WHOLE && terms >= LONG {
            for r in 0..R {
                for v in 0..V {
                    prefetch_to_write(c(r, v));
                }
            }
        }
        let mut sums = [[_mm512_setzero_ps(); V]; R];
        let mut from = 0;
        for lines in ahead {
            let to = terms.min(from + lines.terms);
            let mut at = lines.first;
            for term in from..to {
                if WHOLE {
                    prefetch_at(at);
                    at = at.wrapping_add(lines.step);
                }
                // SAFETY: the slices are as long as has been asked for above, and lanes beyond the width are masked.
                unsafe {
                    let mut vectors = [_mm512_setzero_ps(); V];
                    for (v, vector) in vectors.iter_mut().enumerate() {
                        let at = b.wrapping_add(term * right.along + v * WIDTH);
                        // To load with a mask takes the place of a multiplication.
                        *vector = match WHOLE {
                            true => _mm512_loadu_ps(at),
                            false => _mm512_maskz_loadu_ps(lanes[v], at),
                        };
                    }
                    if COPY {
                        let rows = first_lanes(R);
                        let column = _mm512_maskz_loadu_ps(rows, a.add(term * left.along));
                        _mm512_mask_storeu_ps(copy.as_mut_ptr().add(term * R), rows, column);
                    }
                    for (r, sums) in sums.iter_mut().enumerate() {
                        let factor = _mm512_set1_ps(*a.add(r * left.down + term * left.along));
                        for (sum, vector) in sums.iter_mut().zip(vectors) {
                            *sum = _mm512_fmadd_ps(factor, vector, *sum);
                        }
                    }
                }
            }
            from = to;
        }
        assert_eq!(from, terms, "the terms of a tile");
        if let Onto::Row(row) = onto {
            assert!(row.len() >= width);
        }
        for (r, sums) in sums.iter_mut().enumerate() {
            for (v, sum) in sums.iter_mut().enumerate() {
                // SAFETY: the rows are those of `out`, and the row is as long; lanes beyond the width are masked.
                unsafe {
                    match onto {
                        Onto::Nothing => {}
                        Onto::Itself => {
                            *sum = _mm512_add_ps(_mm512_maskz_loadu_ps(lanes[v], c(r, v)), *sum);
                        }
                        Onto::Row(row) => {
                            let at = row.as_ptr().wrapping_add(v * WIDTH);
                            *sum = _mm512_add_ps(_mm512_maskz_loadu_ps(lanes[v], at), *sum);
                        }
                    }
                    _mm512_mask_storeu_ps(c(r, v), lanes[v], *sum);
                }
            }
        }
    }
}
