//! What the files `exponential`, `logarithm`, `hyperbolic` and `double` of `vector` compute, where everything is
//! explained.

use std::f64::consts::LOG2_E;

use super::super::formula::Comparison::{Equal, Greater, Less};
use super::super::formula::Direction::{Left, Right};
use super::term::{Bits, poly};
use crate::vector::coefficients::double::{
    self as coefficients, LN2_HIGH, LN2_LOW, SHIFT, TWO_BIASES,
};

type Term<'l> = super::term::Term<'l, f64>;

fn nearest(x: Term<'_>) -> Term<'_> {
    (x + SHIFT) - SHIFT
}

fn pow2(n: Term<'_>) -> Term<'_> {
    (n + (SHIFT + 1023.0)).shifted(Left, 52)
}

fn scale<'l>(x: Term<'l>, n: Term<'l>) -> Term<'l> {
    scale_by(x, n + TWO_BIASES)
}

fn scale_by<'l>(x: Term<'l>, biased: Term<'l>) -> Term<'l> {
    let half = biased.shifted(Right, 1);
    x * half.shifted(Left, 52) * biased.integer_sub(half).shifted(Left, 52)
}

fn two_sum<'l>(a: Term<'l>, b: Term<'l>) -> (Term<'l>, Term<'l>) {
    let s = a + b;
    let of_b = s - a;
    (s, (a - (s - of_b)) + (b - of_b))
}

fn fast_two_sum<'l>(a: Term<'l>, b: Term<'l>) -> (Term<'l>, Term<'l>) {
    let s = a + b;
    (s, b - (s - a))
}

fn exp_tail(r: Term<'_>) -> Term<'_> {
    poly(r, &coefficients::EXP)
}

fn reduced(x: Term<'_>) -> (Term<'_>, Term<'_>, Term<'_>) {
    let n = x.mul_add(LOG2_E, SHIFT) - SHIFT;
    let high = x.sub_product(n, LN2_HIGH);
    let low = n * LN2_LOW;
    let r = high - low;
    let rest = (high - r) - low;
    (n, r, (r * r).mul_add(exp_tail(r), rest))
}

pub(super) fn exp(x: Term<'_>) -> Term<'_> {
    let clamped = x.clamp(-746.0, 710.0);
    let biased = clamped.mul_add(LOG2_E, TWO_BIASES);
    let n = biased - TWO_BIASES;
    let r = clamped.sub_product(n, LN2_HIGH).sub_product(n, LN2_LOW);
    let power = 1.0 + (r * r).mul_add(exp_tail(r), r);
    scale_by(x.select(Less, -746.0, 0.0, power), biased)
}

pub(super) fn exp2(x: Term<'_>) -> Term<'_> {
    let x = x.clamp(-1080.0, 1025.0);
    let n = nearest(x);
    let r = x - n;
    let q = poly(r, &coefficients::EXP2);
    scale(r.mul_add(q, 1.0), n)
}

pub(super) fn exp_m1(x: Term<'_>) -> Term<'_> {
    let (n, r, t) = reduced(x.clamp(-50.0, 710.0));
    let half = pow2(n - 1.0);
    let (sum, rest) = two_sum(half - 0.5, half * r);
    let y = 2.0 * (sum + (rest + half * t));
    x.abs().select(Less, 1e-17, x, y)
}

pub(super) fn sigmoid(x: Term<'_>) -> Term<'_> {
    let (n, r, t) = reduced((-x).clamp(-40.0, 746.0));
    let (sum, rest) = fast_two_sum(1.0 + pow2((-n).clamp(-1000.0, 1000.0)), r);
    scale(1.0 / (sum + (rest + t)), -n)
}

pub(super) fn softplus(x: Term<'_>) -> Term<'_> {
    let (n, r, t) = reduced((-x.abs()).clamp(-746.0, 0.0));
    let (sum, rest) = fast_two_sum(x.term(1.0), r);
    let (sum, rest) = fast_two_sum(sum, rest + t);
    let positive = x.select(Greater, 0.0, x, 0.0);
    let y = positive + ln_1p_pair(scale(sum, n), scale(rest, n));
    // Only NaN differs from itself.
    x.select(Equal, x, y, x)
}

pub(super) fn tanh(x: Term<'_>) -> Term<'_> {
    let a = x.abs().clamp(0.0, 20.0);
    let z = a * a;
    let p = poly(z, &coefficients::TANH);
    let near = (a * z).mul_add(p, a);
    let (n, r, t) = reduced(2.0 * a);
    let power = pow2(n);
    let far = 1.0 - 2.0 / (power.mul_add(r, power + 1.0) + power * t);
    a.select(Less, 0.6, near, far).copysign(x)
}

fn split(x: Term<'_>) -> (Term<'_>, Term<'_>) {
    const ONE: u64 = 0x3ff0_0000_0000_0000;
    const SQRT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
    let tiny = f64::MIN_POSITIVE;
    let bits = x.select(Less, tiny, x * 18_014_398_509_481_984.0, x);
    let sum = bits.integer_add(Bits(ONE - SQRT_HALF));
    let m = bits.integer_sub(sum.and(Bits(0xfff0_0000_0000_0000))).integer_add(Bits(ONE));
    let k = sum.shifted(Right, 52).or(Bits(0x4330_0000_0000_0000)) - 4_503_599_627_370_496.0;
    (k - x.select(Less, tiny, 1077.0, 1023.0), m)
}

fn series(z: Term<'_>) -> Term<'_> {
    let p = poly(z, &coefficients::LN);
    z * p
}

fn assemble<'l>(k: Term<'l>, f: Term<'l>, c: Term<'l>) -> Term<'l> {
    let half = 0.5 * f * f;
    let s = f / (2.0 + f);
    let tail = s.mul_add(half + series(s * s), k.mul_add(LN2_LOW, c));
    k * LN2_HIGH - ((half - tail) - f)
}

fn ends<'l>(x: Term<'l>, y: Term<'l>) -> Term<'l> {
    let y = x.select(Less, f64::INFINITY, y, x);
    let y = x.select(Less, 0.0, f64::NAN, y);
    x.select(Equal, 0.0, f64::NEG_INFINITY, y)
}

pub(super) fn ln(x: Term<'_>) -> Term<'_> {
    let (k, m) = split(x);
    ends(x, assemble(k, m - 1.0, x.term(0.0)))
}

pub(super) fn ln_1p(x: Term<'_>) -> Term<'_> {
    let y = ends(1.0 + x, ln_1p_pair(x, x.term(0.0)));
    x.abs().select(Less, 1e-17, x, y)
}

fn ln_1p_pair<'l>(a: Term<'l>, b: Term<'l>) -> Term<'l> {
    let (sum, rest) = two_sum(a.term(1.0), a);
    let (k, m) = split(sum);
    let f = k.select(Equal, 0.0, a, m - 1.0);
    let c = k.select(Equal, 0.0, b, b + rest);
    assemble(k, f, c / sum)
}
