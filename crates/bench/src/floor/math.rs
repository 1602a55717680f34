//! Loops for the widest vectors of the processor, and the elementary functions that they need:
//! branch-free, so that the compiler makes vectors of them.
//!
//! Everything here is to be inlined into a closure given to [`vectorised`]; elsewhere `mul_add` is a
//! slow call.

/// Runs a closure compiled for the vector unit that this processor has.
#[inline(always)]
pub(crate) fn vectorised<R>(f: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(f)
}

/// `e^x` to about 1e-7: `2^n e^r` with `|r| <= ln(2) / 2`, and a polynomial for `e^r` (coefficients of
/// the Cephes library).
#[inline(always)]
pub(crate) fn exp32(x: f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let t = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = t - ROUND;
    let r = n.mul_add(-355.0 / 512.0, x);
    let r = n.mul_add(2.121_944_4e-4, r);
    let mut p = 1.987_569_1e-4_f32;
    for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = p.mul_add(r, c);
    }
    let e = p.mul_add(r * r, r + 1.0);
    e * f32::from_bits((t.to_bits() << 23).wrapping_add(127 << 23))
}

/// `ln x` to about 1e-7 for normal positive `x`: `x = 2^n m` with `m` around 1, and a polynomial for
/// `ln m` (coefficients of the Cephes library).
#[inline(always)]
pub(crate) fn ln32(x: f32) -> f32 {
    // The bits of sqrt(1/2).
    const HALF: u32 = 0x3f35_04f3;
    let n = (x.to_bits().wrapping_sub(HALF) as i32) >> 23;
    let f = f32::from_bits(x.to_bits().wrapping_sub((n << 23) as u32)) - 1.0;
    let mut p = 7.037_683_6e-2_f32;
    for c in [
        -1.151_461e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_8e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ] {
        p = p.mul_add(f, c);
    }
    let (n, square) = (n as f32, f * f);
    let tail = n.mul_add(-2.121_944_4e-4, p * f * square);
    n.mul_add(355.0 / 512.0, f + square.mul_add(-0.5, tail))
}

/// `e^x` to about 1e-15, as [`exp32`], with the series of the exponential up to the power 12.
#[inline(always)]
pub(crate) fn exp64(x: f64) -> f64 {
    const ROUND: f64 = 6_755_399_441_055_744.0;
    const LN2_HIGH: f64 = 0.693_145_751_953_125;
    const LN2_LOW: f64 = 1.428_606_820_309_417_2e-6;
    let x = x.clamp(-708.0, 709.0);
    let t = x.mul_add(std::f64::consts::LOG2_E, ROUND);
    let n = t - ROUND;
    let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, x));
    let mut p = 1.0 / 479_001_600.0_f64;
    for c in [
        39_916_800.0,
        3_628_800.0,
        362_880.0,
        40_320.0,
        5_040.0,
        720.0,
        120.0,
        24.0,
        6.0,
        2.0,
        1.0,
        1.0,
    ] {
        p = p.mul_add(r, 1.0 / c);
    }
    p * f64::from_bits((t.to_bits() << 52).wrapping_add(1023 << 52))
}

macro_rules! sum {
    ($name:ident, $f:ty) => {
        /// The sum of a slice, in lanes.
        #[inline(always)]
        pub(crate) fn $name(x: &[$f]) -> $f {
            let mut lanes = [0.0; 32];
            let (chunks, rest) = x.as_chunks::<32>();
            for chunk in chunks {
                for (lane, x) in lanes.iter_mut().zip(chunk) {
                    *lane += x;
                }
            }
            lanes.iter().sum::<$f>() + rest.iter().sum::<$f>()
        }
    };
}

sum!(sum32, f32);
sum!(sum64, f64);

#[cfg(test)]
mod tests {
    use super::*;

    fn largest_error(from: f64, to: f64, f: impl Fn(f64) -> f64) -> f64 {
        (0..=20_000).map(|i| f(from + (to - from) * f64::from(i) / 20_000.0)).fold(0.0, f64::max)
    }

    #[test]
    fn the_functions_of_the_floor_are_accurate() {
        let exp32 = largest_error(-80.0, 80.0, |x| {
            let x = x as f32;
            (f64::from(exp32(x)) / f64::from(x).exp() - 1.0).abs()
        });
        assert!(exp32 < 2e-7, "{exp32}");
        let ln32 = largest_error(-20.0, 20.0, |x| {
            let x = x.exp2() as f32;
            (f64::from(ln32(x)) - f64::from(x).ln()).abs() / f64::from(x).ln().abs().max(1e-3)
        });
        assert!(ln32 < 3e-7, "{ln32}");
        let exp64 = largest_error(-700.0, 700.0, |x| (exp64(x) / x.exp() - 1.0).abs());
        assert!(exp64 < 1e-15, "{exp64}");
    }
}
