//! Passes over gradients: whether they are finite, and how long they are.

use tape::{Real, threads};

use crate::CHUNK;
use crate::vector::vectorised;

/// How many elements a thread reads at a time: reading is quick, and a smaller block would not be worth
/// handing over.
const BLOCK: usize = 64 * CHUNK;

/// Where a gradient is infinite or not a number first, if it is anywhere.
pub(crate) fn first_non_finite<E: Real>(x: &[E]) -> Option<usize> {
    x.iter().position(|x| !x.is_finite())
}

/// 0 if all numbers are finite, and NaN otherwise.
pub(crate) fn zero_if_finite<E: Real>(x: &[E]) -> f64 {
    // Without an early exit: the loop nearly always finds nothing, and so it runs in vectors.
    let found = vectorised(
        #[inline(always)]
        move || x.iter().fold(false, |found, x| found | !x.is_finite()),
    );
    if found { f64::NAN } else { 0.0 }
}

/// The Euclidean norm, also where the squares overflow or vanish.
pub(crate) fn norm<E: Real>(x: &[E]) -> f64 {
    const LANES: usize = 32;
    let squares = vectorised(
        #[inline(always)]
        move || {
            lanes::<E, f64, LANES>(x, 0.0, |sum, x| sum + x.to_f64() * x.to_f64(), |a, b| a + b)
        },
    );
    // Below this the squares have lost digits.
    const SMALL: f64 = 1e-280;
    if squares.is_finite() && squares > SMALL {
        return squares.sqrt();
    }
    let largest = x.iter().fold(0.0, |largest: f64, x| larger(largest, x.to_f64().abs()));
    if largest == 0.0 || !largest.is_finite() {
        return largest;
    }
    let scaled = |sum: f64, x: E| {
        let x = x.to_f64() / largest;
        sum + x * x
    };
    largest * lanes::<E, f64, LANES>(x, 0.0, scaled, |a, b| a + b).sqrt()
}

/// What `measure` says of `x`, a length; of a long `x`, block by block on all threads, in `lengths`.
pub(crate) fn by_blocks<E: Real>(
    x: &[E],
    lengths: &mut Vec<f64>,
    measure: impl Fn(&[E]) -> f64 + Sync + Send + Copy,
) -> f64 {
    if x.len() <= BLOCK {
        return measure(x);
    }
    lengths.resize(x.len().div_ceil(BLOCK), 0.0);
    threads::for_each_block(lengths, 1, |k, length| {
        length[0] = measure(&x[k * BLOCK..x.len().min((k + 1) * BLOCK)]);
    });
    lengths.iter().fold(0.0, |all: f64, &length| all.hypot(length))
}

/// The larger one, or NaN if there is one.
fn larger(a: f64, b: f64) -> f64 {
    if a >= b || a.is_nan() { a } else { b }
}

/// A fold of `x` in `LANES` independent accumulators, enough for the compiler to use several vectors.
#[inline(always)]
fn lanes<E: Real, A: Copy, const LANES: usize>(
    x: &[E],
    zero: A,
    add: impl Fn(A, E) -> A,
    join: impl Fn(A, A) -> A,
) -> A {
    let mut accumulators = [zero; LANES];
    let (whole, rest) = x.as_chunks::<LANES>();
    for chunk in whole {
        for (a, &x) in accumulators.iter_mut().zip(chunk) {
            *a = add(*a, x);
        }
    }
    for (a, &x) in accumulators.iter_mut().zip(rest) {
        *a = add(*a, x);
    }
    // All indices are constants, so that the accumulators are in registers.
    let mut rows = accumulators.chunks_exact(8);
    let mut sums = [zero; 8];
    for row in &mut rows {
        for (sum, &a) in sums.iter_mut().zip(row) {
            *sum = join(*sum, a);
        }
    }
    sums.into_iter().fold(zero, join)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_numbers_that_are_not_finite() {
        for n in [1, 15, 16, 17, 64, 100, 131, BLOCK + 1, 2 * BLOCK + 3] {
            let mut x = vec![1e308; n];
            let mut lengths = Vec::new();
            let mut measure = |x: &[f64]| by_blocks(x, &mut lengths, zero_if_finite);
            assert_eq!((measure(&x), first_non_finite(&x)), (0.0, None));
            for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                for k in [0, n / 2, n - 1] {
                    x[k] = bad;
                    assert!(!measure(&x).is_finite());
                    assert_eq!(first_non_finite(&x), Some(k));
                    x[k] = -1e308;
                }
            }
        }
        assert_eq!(zero_if_finite::<f32>(&[]), 0.0);
    }

    #[test]
    fn a_norm_by_blocks_is_that_of_the_whole() {
        let x: Vec<f64> = (0..2 * BLOCK + 7).map(|k| (k as f64).sin()).collect();
        let by_blocks = by_blocks(&x, &mut Vec::new(), norm);
        assert!((by_blocks / norm(&x) - 1.0).abs() < 1e-14, "{by_blocks}");
    }

    #[test]
    fn norms_neither_overflow_nor_vanish() {
        for scale in [1e-320, 1e-200, 1e-30, 1.0, 1e30, 1e200] {
            let found = norm(&[3.0 * scale, 4.0 * scale]);
            // The digits of the smallest numbers are few.
            let tolerance = 1e-15 + 1e-323 / scale;
            assert!((found / (5.0 * scale) - 1.0).abs() <= tolerance, "{found}");
        }
        assert!((norm(&[3e30f32, 4e30]) / 5e30 - 1.0).abs() < 1e-7);
        assert_eq!(norm::<f64>(&[]), 0.0);
        assert!(norm(&[f64::NAN, 1.0]).is_nan());
        assert!(norm(&[1.0, f64::NAN]).is_nan());
        assert_eq!(norm(&[f64::INFINITY, 1.0]), f64::INFINITY);
    }
}
