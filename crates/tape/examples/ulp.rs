//! Prints a table of the errors and the speeds of the vectorised elementary functions.
//!
//! ```text
//! cargo run --release -p wengert-tape --example ulp -- [STRIDE [REFERENCE [LEVEL [FUNCTION]]]]
//! ```
//!
//! Functions of one argument in single precision are compared, for every `STRIDE`-th of all 2^32 bit
//! patterns, with the double-precision function of the standard library (or of `libm`). With the stride
//! 1, which is complete, it takes about a quarter of an hour. Double precision is compared with the
//! values of a file that `crates/tape/tests/data/reference.py` has made. The level is the best one, or
//! one of `Baseline`, `Avx2`, `Avx512`; the functions are all of them, or one.

use std::fs::read_to_string;
use std::time::Instant;

use tape::vector::{Kernel, Level};
use tape::{Elementary, Real};

/// The name of a primitive, and the function in double precision.
type Function = (&'static str, fn(f64) -> f64);

const FUNCTIONS: &[Function] = &[
    ("exp", f64::exp),
    ("exp2", f64::exp2),
    ("exp_m1", f64::exp_m1),
    ("ln", f64::ln),
    ("ln_1p", f64::ln_1p),
    ("log2", f64::log2),
    ("log10", f64::log10),
    ("sin", f64::sin),
    ("cos", f64::cos),
    ("tan", f64::tan),
    ("asin", f64::asin),
    ("acos", f64::acos),
    ("atan", f64::atan),
    ("sinh", f64::sinh),
    ("cosh", f64::cosh),
    ("tanh", f64::tanh),
    ("asinh", asinh),
    ("acosh", f64::acosh),
    ("atanh", atanh),
    ("sigmoid", |x| Elementary::sigmoid(x)),
    ("softplus", |x| Elementary::softplus(x)),
    ("erf", libm::erf),
    ("erfc", libm::erfc),
    ("cbrt", f64::cbrt),
    ("sqrt", f64::sqrt),
    ("recip", f64::recip),
    ("floor", f64::floor),
    ("ceil", f64::ceil),
    ("round", f64::round),
    ("trunc", f64::trunc),
];

// Those of the standard library lose digits near 0; the ones of `libm` do not.
fn asinh(x: f64) -> f64 {
    libm::asinh(x)
}
fn atanh(x: f64) -> f64 {
    libm::atanh(x)
}

fn kernel(name: &str) -> Kernel {
    Kernel::find(name).expect("a primitive of this name")
}

/// The largest error so far, in ulp, and where it is.
#[derive(Clone, Copy, Default)]
struct Worst {
    ulp: f64,
    at: [f64; 2],
    tested: u64,
}

impl Worst {
    fn see(&mut self, ulp: f64, at: [f64; 2]) {
        self.tested += 1;
        // NaN is a difference that has no measure.
        if ulp > self.ulp || ulp.is_nan() {
            (self.ulp, self.at) = (if ulp.is_nan() { f64::INFINITY } else { ulp }, at);
        }
    }

    fn merge(&mut self, other: Worst) {
        let tested = self.tested + other.tested;
        if other.ulp > self.ulp {
            *self = other;
        }
        self.tested = tested;
    }
}

/// The distance from `y` to the true `high + low` in units of the last place of a type with the given
/// digits and exponents.
fn ulps(y: f64, high: f64, low: f64, digits: i32, smallest: i32, largest: f64) -> f64 {
    if high.is_nan() || y.is_nan() {
        return if high.is_nan() && y.is_nan() { 0.0 } else { f64::NAN };
    }
    if y == high && low == 0.0 {
        return if y == 0.0 && y.is_sign_negative() != high.is_sign_negative() {
            f64::NAN
        } else {
            0.0
        };
    }
    let exponent = ((high.to_bits() >> 52 & 0x7ff) as i32 - 1023).max(smallest);
    // In two steps, because a power below 2^-1022 is computed as a reciprocal.
    let unit = |e: i32| 2f64.powi(e / 2) * 2f64.powi(e - e / 2 - digits + 1);
    if y.is_infinite() || high.is_infinite() {
        // An overflow is right from half a unit above the largest number on.
        let (a, b) = (y.abs().min(largest), high.abs().min(largest));
        return if y.signum() == high.signum() {
            ((a - b) / unit(exponent.min(1023))).abs()
        } else {
            f64::NAN
        };
    }
    (((y - high) - low) / unit(exponent)).abs()
}

fn in_single(name: &str, function: fn(f64) -> f64, stride: u64, level: Level) -> Worst {
    let kernel = kernel(name);
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get()) as u64;
    std::thread::scope(|scope| {
        let part = |thread: u64| {
            let mut worst = Worst::default();
            let (mut x, mut y) = ([0f32; 4096], [0f32; 4096]);
            let total = (1u64 << 32).div_ceil(stride);
            let (mut next, end) = (total * thread / threads, total * (thread + 1) / threads);
            while next < end {
                let n = (end - next).min(4096) as usize;
                for (i, x) in x[..n].iter_mut().enumerate() {
                    *x = f32::from_bits(((next + i as u64) * stride) as u32);
                }
                for (x, y) in x[..n].chunks(512).zip(y[..n].chunks_mut(512)) {
                    kernel.run(level, 0, [x; 4], y);
                }
                for (&x, &y) in x[..n].iter().zip(&y[..n]) {
                    let right = function(f64::from(x));
                    let ulp = ulps(f64::from(y), right, 0.0, 24, -126, 2f64.powi(128));
                    worst.see(ulp, [f64::from(x), 0.0]);
                }
                next += n as u64;
            }
            worst
        };
        let handles: Vec<_> = (0..threads).map(|k| scope.spawn(move || part(k))).collect();
        let mut worst = Worst::default();
        for handle in handles {
            worst.merge(handle.join().expect("a comparison does not panic"));
        }
        worst
    })
}

/// The worst of the lines of a file for `name`: name, one or two arguments, and the value as a sum of two
/// numbers, all as bits.
fn in_double(name: &str, reference: &str, level: Level) -> Worst {
    let kernel = kernel(name);
    let mut worst = Worst::default();
    for line in reference.lines() {
        let mut words = line.split_whitespace();
        if words.next() != Some(name) {
            continue;
        }
        let numbers: Vec<f64> = words
            .map(|w| f64::from_bits(u64::from_str_radix(w, 16).expect("a number in base 16")))
            .collect();
        let (arguments, value) = numbers.split_at(numbers.len() - 2);
        let (x, y) = (arguments[0], arguments[arguments.len() - 1]);
        let mut out = [0.0; 1];
        kernel.run(level, 0, [&[x], &[y], &[y], &[y]], &mut out);
        worst.see(ulps(out[0], value[0], value[1], 53, -1022, f64::MAX), [x, y]);
    }
    worst
}

/// Nanoseconds an element, of the best of many runs over chunks of 512.
fn time<E: Real>(name: &str, level: Level) -> f64 {
    let kernel = kernel(name);
    let n = 512;
    let x: Vec<E> = (0..n).map(|i| E::lit(0.05 + 0.9 * f64::from(i) / f64::from(n))).collect();
    let y: Vec<E> = (0..n).map(|i| E::lit(1.3 - 0.7 * f64::from(i) / f64::from(n))).collect();
    let x = if name == "acosh" { y.iter().map(|&y| y + E::ONE).collect() } else { x };
    let mut out = vec![E::ZERO; n as usize];
    let mut best = f64::INFINITY;
    for _ in 0..30 {
        let start = Instant::now();
        for _ in 0..40 {
            kernel.run(level, 3, [&x, &y, &y, &x], std::hint::black_box(&mut out));
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    best / 40.0 / f64::from(n) * 1e9
}

fn row(name: &str, kind: &str, worst: Worst, times: &[f64]) {
    let at = if worst.at[0] == worst.at[1] || worst.at[1] == 0.0 {
        format!("{:e}", worst.at[0])
    } else {
        format!("{:e}, {:e}", worst.at[0], worst.at[1])
    };
    let error = if worst.tested == 0 {
        "| | | ".to_string()
    } else {
        format!("| {:.3} | {at} | {} ", worst.ulp, worst.tested)
    };
    let times: String = times.iter().map(|t| format!("| {t:.2} ")).collect();
    println!("| {name} | {kind} {error}{times}|");
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let stride = arguments.next().map_or(997, |s| s.parse().expect("the stride is a number"));
    let reference = arguments.next().map_or(String::new(), |path| {
        read_to_string(path).expect("the reference values are in a file")
    });
    let levels = Level::available();
    let level = arguments.next().map_or(Level::best(), |name| {
        *levels.iter().find(|l| format!("{l:?}") == name).expect("a level of this processor")
    });
    let only = arguments.next();
    let asked = |name: &str| only.as_ref().is_none_or(|only| only == name);
    println!("Errors at the level {level:?}.\n");
    let heads: String = levels.iter().map(|l| format!(" {l:?}, ns |")).collect();
    println!("| function | type | largest error, ulp | at | tested |{heads}");
    println!("|---|---|---|---|---|{}", "---|".repeat(levels.len()));
    for &(name, function) in FUNCTIONS.iter().filter(|f| asked(f.0)) {
        let times: Vec<_> = levels.iter().map(|&l| time::<f32>(name, l)).collect();
        // 0: speeds only.
        let worst =
            if stride == 0 { Worst::default() } else { in_single(name, function, stride, level) };
        row(name, "f32", worst, &times);
    }
    let more = ["powf", "atan2", "hypot", "powi", "add", "div", "min", "mul_add", "select_gt"];
    for name in more.into_iter().filter(|name| asked(name)) {
        let times: Vec<_> = levels.iter().map(|&l| time::<f32>(name, l)).collect();
        row(name, "f32", Worst::default(), &times);
    }
    for name in FUNCTIONS.iter().map(|f| f.0).chain(more).filter(|name| asked(name)) {
        let times: Vec<_> = levels.iter().map(|&l| time::<f64>(name, l)).collect();
        row(name, "f64", in_double(name, &reference, level), &times);
    }
}
