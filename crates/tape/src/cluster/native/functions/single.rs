//! What `vector/single.rs` computes, where everything is explained.

use std::f32::consts::LOG2_E;

use super::super::formula::Comparison::{Equal, Less};
use super::super::formula::Direction::{Left, Right};
use super::term::{Bits, poly};
use crate::vector::coefficients::single::{
    self as coefficients, LN2_HIGH, LN2_LOW, SHIFT, TWO_BIASES,
};

type Term<'l> = super::term::Term<'l, f32>;

fn pow2(n: Term<'_>) -> Term<'_> {
    (n + (SHIFT + 127.0)).shifted(Left, 23)
}

fn scale<'l>(x: Term<'l>, n: Term<'l>) -> Term<'l> {
    scale_by(x, n + TWO_BIASES)
}

fn scale_by<'l>(x: Term<'l>, biased: Term<'l>) -> Term<'l> {
    let half = biased.shifted(Right, 1);
    x * half.shifted(Left, 23) * biased.integer_sub(half).shifted(Left, 23)
}

fn reduced(x: Term<'_>) -> (Term<'_>, Term<'_>) {
    let n = x.mul_add(LOG2_E, SHIFT) - SHIFT;
    (n, less_power(x, n))
}

fn less_power<'l>(x: Term<'l>, n: Term<'l>) -> Term<'l> {
    let r = x.sub_product(n, LN2_HIGH).sub_product(n, LN2_LOW);
    let p = poly(r, &coefficients::EXP);
    (r * r).mul_add(p, r)
}

pub(super) fn exp(x: Term<'_>) -> Term<'_> {
    let clamped = x.clamp(-104.0, 89.0);
    let biased = clamped.mul_add(LOG2_E, TWO_BIASES);
    let q = less_power(clamped, biased - TWO_BIASES);
    scale_by(x.select(Less, -104.0, 0.0, 1.0 + q), biased)
}

pub(super) fn ln(x: Term<'_>) -> Term<'_> {
    const ONE: u64 = 0x3f80_0000;
    const SQRT_HALF: u64 = 0x3f35_04f3;
    let tiny = f32::MIN_POSITIVE;
    let bits = x.select(Less, tiny, x * 16_777_216.0, x);
    let sum = bits.integer_add(Bits(ONE - SQRT_HALF));
    let m = bits.integer_sub(sum.and(Bits(0xff80_0000))).integer_add(Bits(ONE));
    let k = sum.shifted(Right, 23).or(Bits(0x4b00_0000)) - 8_388_608.0;
    let k = k - x.select(Less, tiny, 151.0, 127.0);
    let f = m - 1.0;
    let z = f * f;
    let p = poly(f, &coefficients::LN);
    let tail = (f * z).mul_add(p, k * LN2_LOW);
    let y = k.mul_add(LN2_HIGH, z.mul_add(-0.5, tail) + f);
    let y = x.select(Less, f32::INFINITY, y, x);
    let y = x.select(Less, 0.0, f32::NAN, y);
    x.select(Equal, 0.0, f32::NEG_INFINITY, y)
}

pub(super) fn sigmoid(x: Term<'_>) -> Term<'_> {
    let (n, q) = reduced((-x).clamp(-20.0, 104.0));
    let power = pow2((-n).clamp(-120.0, 120.0));
    let sum = 1.0 + power;
    let rest = power - (sum - 1.0);
    scale(1.0 / (sum + (q + rest)), -n)
}

pub(super) fn tanh(x: Term<'_>) -> Term<'_> {
    let a = x.abs().clamp(0.0, 10.0);
    let z = a * a;
    let p = poly(z, &coefficients::TANH);
    let near = (a * z).mul_add(p, a);
    let (n, q) = reduced(2.0 * a);
    let power = pow2(n);
    let far = 1.0 - 2.0 / power.mul_add(q, power + 1.0);
    a.select(Less, 0.6, near, far).copysign(x)
}

pub(super) fn erf(x: Term<'_>) -> Term<'_> {
    let a = x.abs().clamp(0.0, 4.0);
    let z = a * a;
    let p = poly(z, &coefficients::ERF_NEAR);
    let q = poly(a, &coefficients::ERF_FAR);
    let (n, e) = reduced(-q);
    let power = pow2(n);
    let far = 1.0 - power.mul_add(e, power);
    a.select(Less, 0.92, a.mul_add(p, a), far).copysign(x)
}
