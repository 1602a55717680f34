//! Every level that this machine has, against values of higher precision.

use std::f64::consts::LN_2;
use std::fs::read_to_string;

use super::{Arithmetic, Kernel, Level, Task, Vectorised, run_at};
use crate::primitive::Primitive;
use crate::{Elementary, Real};

fn run<E: Real>(name: &str, level: Level, exponent: i32, a: [&[E]; 4]) -> Vec<E> {
    let mut out = vec![E::ZERO; a[0].len()];
    let kernel = Kernel::find(name).unwrap();
    // Whole chunks, and a rest of an odd length.
    for start in (0..out.len()).step_by(509) {
        let end = (start + 509).min(out.len());
        kernel.run(level, exponent, a.map(|a| &a[start..end]), &mut out[start..end]);
    }
    out
}

/// The distance in units of the last place of `right`, whose true value is `right + rest`.
fn ulps(y: f64, right: f64, rest: f64) -> f64 {
    if right.is_nan() || y.to_bits() == right.to_bits() && rest == 0.0 {
        return if right.is_nan() && !y.is_nan() { f64::INFINITY } else { 0.0 };
    }
    if !y.is_finite() || !right.is_finite() {
        return f64::INFINITY;
    }
    let unit = f64::from_bits(right.abs().to_bits() + 1) - right.abs();
    ((y - right - rest) / unit).abs() + if y * right < 0.0 { 1.0 } else { 0.0 }
}

fn ulps_f32(y: f32, right: f64) -> f64 {
    let nearest = right as f32;
    if nearest.is_nan() || y.to_bits() == nearest.to_bits() {
        return if nearest.is_nan() && !y.is_nan() { f64::INFINITY } else { 0.0 };
    }
    if y.is_infinite() != nearest.is_infinite() {
        // The largest number is next to infinity.
        return if y.abs().max(nearest.abs().min(f32::MAX)) == f32::MAX {
            1.0
        } else {
            f64::INFINITY
        };
    }
    if y == nearest || y.is_nan() {
        return f64::INFINITY; // Zeros of different signs.
    }
    let unit = f32::from_bits(nearest.abs().to_bits() + 1) - nearest.abs();
    ((f64::from(y) - right) / f64::from(unit)).abs()
}

macro_rules! functions {
    ($($name:ident)*) => { [$((stringify!($name), <f64 as Elementary>::$name as fn(f64) -> f64)),*] };
}

type Function = (&'static str, fn(f64) -> f64);

/// The functions whose values are computed here by a method of its own.
fn functions() -> Vec<Function> {
    let mut all = functions!(
        exp exp2 exp_m1 ln ln_1p log2 log10 sin cos tan asin acos atan sinh cosh tanh sigmoid
        softplus erf erfc cbrt sqrt recip abs signum floor ceil round trunc relu
    )
    .to_vec();
    // Those of the standard library lose digits near 0, or overflow.
    all.extend([("asinh", libm::asinh as fn(f64) -> f64), ("atanh", libm::atanh)]);
    all.push(("acosh", |x| if x < 1.0 { f64::NAN } else { libm::acosh(x) }));
    all
}

const SPECIAL: [f64; 44] = [
    0.0,
    -0.0,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    1.0,
    -1.0,
    0.5,
    -0.5,
    1.5,
    -1.5,
    2.5,
    -2.5,
    2.0,
    -2.0,
    5e-324,
    -5e-324,
    1e-310,
    -1e-310,
    f64::MIN_POSITIVE,
    f64::MAX,
    f64::MIN,
    1e-20,
    -1e-20,
    709.7,
    709.8,
    -708.5,
    -745.1,
    -745.2,
    1023.5,
    1024.0,
    -1074.0,
    -1075.5,
    1e6,
    -1e6,
    1.1e6,
    1e22,
    0.49999999999999994,
    -0.49999999999999994,
    4503599627370497.5,
    -4503599627370495.5,
    1e300,
    26.6,
    0.9999999999999999,
];

#[test]
fn single_precision_within_two_ulp() {
    let mut x: Vec<f32> = (0..=u32::MAX).step_by(99_991).map(f32::from_bits).collect();
    x.extend((0..8000).map(|i| (i as f32 - 4000.0) * 0.0031));
    x.extend(SPECIAL.map(|x| x as f32));
    x.extend([88.72, 88.73, -87.4, -103.9, -104.1, 127.9, 128.0, -149.5, 8388607.5, -4194303.5]);
    for (name, function) in functions() {
        let right: Vec<f64> = x.iter().map(|&x| function(f64::from(x))).collect();
        for &level in Level::available() {
            for ((&x, y), &right) in x.iter().zip(run(name, level, 0, [&x; 4])).zip(&right) {
                let error = ulps_f32(y, right);
                assert!(
                    error < 2.0,
                    "{name}({x:e}) at {level:?}: {y:e}, not {right:e}: {error} ulp"
                );
            }
        }
    }
}

#[test]
fn double_precision_within_two_ulp() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/reference.txt");
    let text = read_to_string(path).unwrap();
    let mut tested = 0;
    for line in text.lines() {
        let (name, numbers) = line.split_once(' ').unwrap();
        let bits = |w| f64::from_bits(u64::from_str_radix(w, 16).unwrap());
        let numbers: Vec<f64> = numbers.split(' ').map(bits).collect();
        let (arguments, value) = numbers.split_at(numbers.len() - 2);
        let (x, z) = (arguments[0], arguments[arguments.len() - 1]);
        for &level in Level::available() {
            let y = run(name, level, 0, [&[x], &[z], &[z], &[z]])[0];
            let error = ulps(y, value[0], value[1]);
            assert!(error < 2.0, "{name}({x:e}, {z:e}) at {level:?}: {y:e}, {error} ulp");
            tested += 1;
        }
    }
    assert!(tested > 600);
}

struct ExpFlushed<'a, E>(&'a mut [E]);

impl<E: Vectorised> Task for ExpFlushed<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        self.0.iter_mut().for_each(|x| *x = E::exp_flushed::<A>(*x));
    }
}

/// The exponential function, but for the least and the largest numbers.
#[test]
fn exp_flushed_is_zero_or_infinite_at_its_ends() {
    let x: Vec<f64> =
        (-80_000..80_000).map(|i| f64::from(i) * 0.01 + 0.003).chain(SPECIAL).collect();
    for &level in Level::available() {
        let mut double = x.clone();
        run_at(level, ExpFlushed(&mut double));
        let mut single: Vec<f32> = x.iter().map(|&x| x as f32).collect();
        run_at(level, ExpFlushed(&mut single));
        for ((&x, y), z) in x.iter().zip(double).zip(single) {
            let flushed = |least: f64, most: f64, y: f64| match x {
                x if x < (least - 0.5) * LN_2 => 0.0,
                x if x > (most - 0.5) * LN_2 => f64::INFINITY,
                _ => y,
            };
            let error = ulps(y, flushed(-1022.0, 1024.0, x.exp()), 0.0);
            assert!(error < 2.0, "exp_flushed({x:e}) at {level:?}: {y:e}, {error} ulp");
            let error = ulps_f32(z, flushed(-126.0, 128.0, f64::from(x as f32).exp()));
            assert!(error < 2.0, "exp_flushed({x:e}) at {level:?}: {z:e}, {error} ulp");
        }
    }
}

/// At special values, the scalar functions and those of vectors agree to an ulp or two.
#[test]
fn special_values_are_those_of_the_scalar_functions() {
    for (name, function) in functions() {
        for &level in Level::available() {
            for (x, y) in SPECIAL.into_iter().zip(run(name, level, 0, [&SPECIAL; 4])) {
                let error = ulps(y, function(x), 0.0);
                assert!(error <= 2.5, "{name}({x:e}) at {level:?}: {y:e}, not {:e}", function(x));
            }
        }
    }
}

#[test]
fn special_values_of_two_arguments() {
    let names =
        ["powf", "atan2", "hypot", "min", "max", "copysign", "add", "sub", "mul", "div", "rem"];
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for x in SPECIAL {
        for y in SPECIAL.into_iter().chain([3.0, -3.0, 1.0 / 3.0, 1e-3]) {
            a.push(x);
            b.push(y);
        }
    }
    let singles = |x: &[f64]| x.iter().map(|&x| x as f32).collect::<Vec<_>>();
    let (c, d) = (singles(&a), singles(&b));
    for name in names {
        let primitive = Kernel::find(name).unwrap().0;
        for &level in Level::available() {
            for (i, y) in run(name, level, 0, [&a, &b, &b, &b]).into_iter().enumerate() {
                let right = primitive.value(0, [a[i], b[i], b[i], b[i]]);
                // The sign of a zero is open for the smaller and the larger of two zeros.
                let error = if y == right && y == 0.0 && name.starts_with('m') {
                    0.0
                } else {
                    ulps(y, right, 0.0)
                };
                assert!(
                    error <= 2.5,
                    "{name}({:e}, {:e}) at {level:?}: {y:e}, not {right:e}",
                    a[i],
                    b[i]
                );
            }
            for (i, y) in run(name, level, 0, [&c, &d, &d, &d]).into_iter().enumerate() {
                let right = primitive.value(0, [c[i], d[i], d[i], d[i]]);
                let error = if y == right && y == 0.0 && name.starts_with('m') {
                    0.0
                } else {
                    ulps_f32(y, f64::from(right))
                };
                assert!(
                    error <= 2.5,
                    "{name}({:e}, {:e}) at {level:?}: {y:e}, not {right:e}",
                    c[i],
                    d[i]
                );
            }
        }
    }
}

#[test]
fn one_rounding_selection_and_integer_powers_are_exact() {
    let numbers: Vec<f64> = (0..1000).map(|i| (f64::from(i) * 12.9898).sin() * 3.0).collect();
    let other: Vec<f64> = numbers.iter().map(|x| x.cos()).collect();
    let third: Vec<f64> = numbers.iter().zip(&other).map(|(x, y)| -x * y).collect();
    for &level in Level::available() {
        for primitive in [Primitive::MulAdd, Primitive::SelectGt, Primitive::Powi, Primitive::Copy]
        {
            for exponent in [-7, -1, 0, 1, 2, 3, 12] {
                let a = [&numbers[..], &other, &third, &numbers];
                for (i, y) in run(primitive.name(), level, exponent, a).into_iter().enumerate() {
                    let right = primitive.value(exponent, a.map(|a| a[i]));
                    assert_eq!(
                        y.to_bits(),
                        right.to_bits(),
                        "{primitive:?} {exponent} at {level:?}"
                    );
                }
            }
        }
    }
}

/// An element has one value, whatever stands beside it.
#[test]
fn neighbours_do_not_matter() {
    let x: Vec<f64> = (0..600).map(|i| f64::from(i) * 7000.3).collect();
    for (name, _) in functions() {
        for &level in Level::available() {
            let together = run(name, level, 0, [&x; 4]);
            for (x, y) in x.iter().zip(together) {
                let alone = run(name, level, 0, [&[*x]; 4])[0];
                assert_eq!(alone.to_bits(), y.to_bits(), "{name}({x}) at {level:?}");
            }
        }
    }
}
