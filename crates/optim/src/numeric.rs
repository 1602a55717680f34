//! Passes over gradients: whether they are finite, and how long they are.

use tape::Real;

/// How many independent accumulators a pass has: enough for the compiler to use whole vectors.
const LANES: usize = 16;

/// The first element that is infinite or not a number.
pub(crate) fn first_non_finite<E: Real>(x: &[E]) -> Option<usize> {
    // `0 x` is 0, or NaN if `x` is not finite, and a sum with a NaN is NaN: no branch, so that the
    // loop, which nearly always finds nothing, runs at the speed of memory.
    let total = lanes(x, E::ZERO, |sum, x| sum + x * E::ZERO, |a, b| a + b);
    if total == E::ZERO {
        return None;
    }
    x.iter().position(|x| !x.is_finite())
}

/// The Euclidean norm, also where the squares overflow or vanish.
pub(crate) fn norm<E: Real>(x: &[E]) -> f64 {
    let add_square = |sum: f64, x: E| {
        let x = x.to_f64();
        sum + x * x
    };
    let squares = lanes(x, 0.0, add_square, |a, b| a + b);
    // Below this the squares have lost digits.
    const SMALL: f64 = 1e-280;
    if squares.is_finite() && squares > SMALL {
        return squares.sqrt();
    }
    let largest = lanes(x, 0.0, |m: f64, x| larger(m, x.to_f64().abs()), larger);
    if largest == 0.0 || !largest.is_finite() {
        return largest;
    }
    let scaled = |sum: f64, x: E| {
        let x = x.to_f64() / largest;
        sum + x * x
    };
    largest * lanes(x, 0.0, scaled, |a, b| a + b).sqrt()
}

/// The larger one, or NaN if there is one.
fn larger(a: f64, b: f64) -> f64 {
    if a >= b || a.is_nan() { a } else { b }
}

fn lanes<E: Real, A: Copy>(
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
    accumulators.into_iter().fold(zero, join)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_first_number_that_is_not_finite() {
        for n in [1, 15, 16, 17, 100] {
            let mut x = vec![1e308; n];
            assert_eq!(first_non_finite(&x), None);
            for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                x[n - 1] = bad;
                assert_eq!(first_non_finite(&x), Some(n - 1));
            }
        }
        assert_eq!(first_non_finite::<f32>(&[]), None);
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
