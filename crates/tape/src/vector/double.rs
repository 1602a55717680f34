//! Pairs of doubles for what one double cannot hold, and powers of two.

use super::Arithmetic;
use super::coefficients::double::{SHIFT, TWO_BIASES};

/// The nearest integer, halves to even, of a number below 2^51.
#[inline(always)]
pub(super) fn nearest(x: f64) -> f64 {
    (x + SHIFT) - SHIFT
}

/// The lowest bits of an integer below 2^51.
#[inline(always)]
pub(super) fn low_bits(n: f64) -> u64 {
    (n + SHIFT).to_bits()
}

/// `2^n` for an integer `n` from -1022 to 1023.
#[inline(always)]
pub(super) fn pow2(n: f64) -> f64 {
    // The sum has n + 1023 in its lowest bits, which are shifted to where an exponent stands.
    f64::from_bits((n + (SHIFT + 1023.0)).to_bits() << 52)
}

/// `x 2^n` for an integer `n` from -2044 to 2046, rounded once if `x` is near 1.
#[inline(always)]
pub(super) fn scale(x: f64, n: f64) -> f64 {
    scale_by(x, n + TWO_BIASES)
}

/// [`scale`] for `n + TWO_BIASES`.
#[inline(always)]
pub(super) fn scale_by(x: f64, biased: f64) -> f64 {
    // By two powers, because one may not be a number; a half of the integer is the exponent of each.
    let bits = biased.to_bits();
    let half = bits >> 1;
    x * f64::from_bits(half << 52) * f64::from_bits((bits - half) << 52)
}

/// `a + b` and what the sum has rounded away.
#[inline(always)]
pub(super) fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let s = a + b;
    let of_b = s - a;
    (s, (a - (s - of_b)) + (b - of_b))
}

/// [`two_sum`] for `|a| >= |b|`.
#[inline(always)]
pub(super) fn fast_two_sum(a: f64, b: f64) -> (f64, f64) {
    let s = a + b;
    (s, b - (s - a))
}

/// `a b` and what the product has rounded away, for factors below 2^995 whose product is not tiny.
#[inline(always)]
pub(super) fn two_product<A: Arithmetic>(a: f64, b: f64) -> (f64, f64) {
    let p = a * b;
    let error = if A::FUSED {
        a.mul_add(b, -p)
    } else {
        // Products of halves are exact (Dekker 1971).
        let ((ah, al), (bh, bl)) = (halves(a), halves(b));
        ((ah * bh - p) + ah * bl + al * bh) + al * bl
    };
    (p, error)
}

/// A sum of two numbers of 26 bits each.
#[inline(always)]
fn halves(a: f64) -> (f64, f64) {
    let c = 134_217_729.0 * a;
    let high = c - (c - a);
    (high, a - high)
}

/// The quotient of two pairs, as a pair.
#[inline(always)]
pub(super) fn divide<A: Arithmetic>((nh, nl): (f64, f64), (dh, dl): (f64, f64)) -> (f64, f64) {
    let r = 1.0 / dh;
    let q = nh * r;
    let (p, e) = two_product::<A>(q, dh);
    (q, (((nh - p) - e) + (nl - q * dl)) * r)
}
