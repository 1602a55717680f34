//! What `vector/single.rs` computes, where everything is explained.

use std::f32::consts::LOG2_E;

use super::super::formula::Comparison::{Equal, Less};
use super::super::formula::Direction::{Left, Right};
use super::term::{Bits, poly};

type Term<'l> = super::term::Term<'l, f32>;

const SHIFT: f32 = 12_582_912.0;
const LN2_HIGH: f32 = 0.693_176_27;
const LN2_LOW: f32 = -2.9088971e-05;

fn nearest(x: Term<'_>) -> Term<'_> {
    (x + SHIFT) - SHIFT
}

fn pow2(n: Term<'_>) -> Term<'_> {
    (n + (SHIFT + 127.0)).shifted(Left, 23)
}

fn scale<'l>(x: Term<'l>, n: Term<'l>) -> Term<'l> {
    let half = nearest(0.5 * n);
    x * pow2(half) * pow2(n - half)
}

fn reduced(x: Term<'_>) -> (Term<'_>, Term<'_>) {
    let n = nearest(x * LOG2_E);
    let r = x.sub_product(n, LN2_HIGH).sub_product(n, LN2_LOW);
    let p = poly(r, &[0.5, 0.16666576, 0.041666374, 0.008363238, 0.0013941216]);
    (n, (r * r).mul_add(p, r))
}

pub(super) fn exp(x: Term<'_>) -> Term<'_> {
    let (n, q) = reduced(x.clamp(-104.0, 89.0));
    scale(1.0 + q, n)
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
    let p = poly(
        f,
        &[
            0.3333333,
            -0.2499998,
            0.20000689,
            -0.16669153,
            0.14251138,
            -0.123966455,
            0.11634797,
            -0.11660358,
            0.07332628,
        ],
    );
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
    let p = poly(z, &[-0.3333333, 0.13332933, -0.05387633, 0.021121472, -0.0062836604]);
    let near = (a * z).mul_add(p, a);
    let (n, q) = reduced(2.0 * a);
    let power = pow2(n);
    let far = 1.0 - 2.0 / power.mul_add(q, power + 1.0);
    a.select(Less, 0.6, near, far).copysign(x)
}

pub(super) fn erf(x: Term<'_>) -> Term<'_> {
    let a = x.abs().clamp(0.0, 4.0);
    let z = a * a;
    let p = poly(
        z,
        &[
            0.12837917,
            -0.37612635,
            0.11283703,
            -0.0268598,
            0.005201961,
            -0.0008152631,
            8.4099214e-05,
        ],
    );
    let q = poly(
        a,
        &[
            0.00020703285,
            1.1276273,
            0.637266,
            0.10385618,
            -0.022189679,
            0.003033666,
            -0.00019494387,
        ],
    );
    let (n, e) = reduced(-q);
    let power = pow2(n);
    let far = 1.0 - power.mul_add(e, power);
    a.select(Less, 0.92, a.mul_add(p, a), far).copysign(x)
}
