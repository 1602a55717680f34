//! The programs that are measured.

use std::hint::black_box;
use std::time::{Duration, Instant};

use wengert::autograd::checkpoint::{forward_steps, loop_gradient};
use wengert::autograd::sparse::SparseDerivative;
use wengert::prelude::*;

use super::{Case, Row};
use crate::formulas::point;
use crate::timing::{Samples, interleaved};
use crate::workloads::black_scholes::{OPTIONS, inputs};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "one/rosenbrock",
        what: "value and gradient of a chain of 1,000",
        run: |s| rosenbrock(s, By::Steps),
    },
    Case { name: "one/rosenbrock-long", what: "the same of 100,000", run: long_rosenbrock },
    Case {
        name: "one/lotka-volterra",
        what: "100 steps of RK4, gradient by 6 inputs",
        run: |s| lotka(s, By::Steps),
    },
    Case {
        name: "one/s4",
        what: "100,000 steps of RK4, gradient by 6 inputs",
        run: |s| s4(s, By::Steps),
    },
    Case {
        name: "one/s4-forward",
        what: "the same gradient by forward mode",
        run: |s| s4_forward(s, By::Steps),
    },
    Case {
        name: "one/gmm",
        what: "a mixture of 5 Gaussians on 20 points",
        run: |s| mixture(s, By::Steps),
    },
    Case { name: "one/lse", what: "log-sum-exp of 1,000 numbers", run: log_sum_exp },
    Case {
        name: "one/ode",
        what: "a triangular system of 100, 10 steps of RK4",
        run: |s| triangular(s, By::Steps),
    },
    Case {
        name: "code/lotka-volterra",
        what: "as one/lotka-volterra, in machine code",
        run: |s| lotka(s, By::Code),
    },
    Case {
        name: "code/s4-forward",
        what: "as one/s4-forward, in machine code",
        run: |s| s4_forward(s, By::Code),
    },
    Case {
        name: "code/ode",
        what: "as one/ode, in machine code",
        run: |s| triangular(s, By::Code),
    },
    Case {
        name: "code/rosenbrock",
        what: "as one/rosenbrock, in machine code",
        run: |s| rosenbrock(s, By::Code),
    },
    Case { name: "code/gmm", what: "as one/gmm, in machine code", run: |s| mixture(s, By::Code) },
    Case { name: "many/black-scholes", what: "10,000 options, 5 derivatives", run: black_scholes },
    Case { name: "many/2threads", what: "the same on two threads", run: black_scholes_on_two },
    Case { name: "sparse/hessian", what: "chain of 100,000, all second derivatives", run: hessian },
    Case { name: "revolve", what: "1,000,000 steps of RK4 with 30 snapshots", run: revolve },
];

/// What runs a program.
#[derive(Clone, Copy, PartialEq)]
enum By {
    /// The interpreter of its steps.
    Steps,
    /// The processor.
    Code,
}

impl By {
    fn ready(self, program: Program) -> Program {
        match self {
            By::Steps => program,
            By::Code => program.in_machine_code(),
        }
    }

    /// What the first run has made, and in what time.
    fn note(self, program: &Program, first: Duration) -> String {
        let (kilobytes, ms) =
            (program.stats().machine_code as f64 / 1e3, 1e3 * first.as_secs_f64());
        match self {
            By::Steps => String::new(),
            By::Code => format!(", {kilobytes:.0} kB of code, first run {ms:.1} ms"),
        }
    }
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * (1.0 + a.abs().max(b.abs()))
}

/// A function at one point: value and gradient by the program, the value by the function itself.
fn one_point(
    by: By,
    seconds: f64,
    x: &[f64],
    program: &Program,
    plain: impl Fn(&[f64]) -> f64,
) -> Row {
    let start = Instant::now();
    let both = by.ready(program.value_and_gradient().expect("a function of numbers"));
    let made = start.elapsed();
    let mut workspace = Workspace::default();
    let mut results = vec![0.0; both.outputs()];
    let run = |results: &mut [f64], workspace: &mut Workspace<f64>| {
        both.eval_into(black_box(x), results, workspace).expect("the recorded branches");
        results[0]
    };
    let start = Instant::now();
    let value = run(&mut results, &mut workspace);
    let code = by.note(&both, start.elapsed());
    let values_ok = close(value, plain(x)) && slope_ok(x, &results[1..], &plain);
    let instructions = both.stats().instructions as f64;
    let batch = (2e4 / instructions).clamp(1.0, 1000.0) as usize;
    let samples =
        interleaved(seconds, batch, &mut || run(&mut results, &mut workspace), &mut || {
            plain(black_box(x))
        });
    let made = 1e3 * made.as_secs_f64();
    let note = format!("{instructions} instructions, made in {made:.1} ms{code}");
    Row { samples, instructions, values_ok, note }
}

/// The derivative in one direction against a central difference.
fn slope_ok(x: &[f64], gradient: &[f64], plain: impl Fn(&[f64]) -> f64) -> bool {
    let direction = |k: usize| (k as f64).cos();
    let moved = |h: f64| {
        plain(&x.iter().enumerate().map(|(k, x)| x + h * direction(k)).collect::<Vec<_>>())
    };
    let slope: f64 = gradient.iter().enumerate().map(|(k, g)| g * direction(k)).sum();
    let h = 1e-5;
    let difference = (moved(h) - moved(-h)) / (2.0 * h);
    (slope - difference).abs() <= 1e-5 * (1.0 + slope.abs())
}

fn record(n: usize, f: impl FnOnce(&[Var]) -> Var) -> Program {
    Program::record(n, f).expect("a function of numbers")
}

fn chain<T: Elementary>(x: &[T]) -> T {
    let term = |w: &[T]| {
        let (t, u) = (w[1] - w[0] * w[0], T::lit(1.0) - w[0]);
        T::lit(100.0) * (t * t) + u * u
    };
    x[1..].windows(2).fold(term(&x[..2]), |sum, w| sum + term(w))
}

fn rosenbrock(seconds: f64, by: By) -> Row {
    one_point(by, seconds, &point(1000), &record(1000, chain), chain)
}

fn long_rosenbrock(seconds: f64) -> Row {
    one_point(By::Steps, seconds, &point(100_000), &record(100_000, chain), chain)
}

/// One step of Runge and Kutta's method on the equations of Lotka and Volterra.
fn step<T: Elementary>(p: &[T], (x, y): (T, T)) -> (T, T) {
    let slope = |(x, y): (T, T)| (p[0] * x - p[1] * x * y, p[3] * x * y - p[2] * y);
    let (half, whole, sixth) = (T::lit(0.5e-4), T::lit(1e-4), T::lit(1e-4 / 6.0));
    let two = T::lit(2.0);
    let k1 = slope((x, y));
    let k2 = slope((x + half * k1.0, y + half * k1.1));
    let k3 = slope((x + half * k2.0, y + half * k2.1));
    let k4 = slope((x + whole * k3.0, y + whole * k3.1));
    (
        x + sixth * (k1.0 + two * k2.0 + two * k3.0 + k4.0),
        y + sixth * (k1.1 + two * k2.1 + two * k3.1 + k4.1),
    )
}

fn solve<T: Elementary>(p: &[T], steps: usize) -> T {
    let (x, y) = (0..steps).fold((p[4], p[5]), |state, _| step(p, state));
    x + y
}

const START: [f64; 6] = [1.5, 1.0, 3.0, 1.0, 1.0, 1.0];

fn lotka(seconds: f64, by: By) -> Row {
    one_point(by, seconds, &START, &record(6, |p| solve(p, 100)), |p| solve(p, 100))
}

fn s4(seconds: f64, by: By) -> Row {
    one_point(by, seconds, &START, &record(6, |p| solve(p, 100_000)), |p| solve(p, 100_000))
}

/// The tangents in the directions of all inputs, in one run.
fn s4_forward(seconds: f64, by: By) -> Row {
    let plain = |p: &[f64]| solve(p, 100_000);
    let start = Instant::now();
    let recorded = record(6, |p| solve(p, 100_000));
    let recording = start.elapsed();
    let jvp = by.ready(recorded.jvp().expect("a function of numbers"));
    let units: Vec<f64> = (0..36).map(|i| f64::from(u8::from(i % 7 == 0))).collect();
    let run = |gradient: &mut [f64]| {
        let point = black_box(&START).iter().map(std::slice::from_ref);
        let columns: Vec<&[f64]> = point.chain(units.chunks(6)).collect();
        jvp.eval_many_into(&columns, &mut [&mut *gradient]).expect("no branches");
        gradient[0]
    };
    let mut gradient = [0.0; 6];
    let first = Instant::now();
    run(&mut gradient);
    let (made, code) = (start.elapsed(), by.note(&jvp, first.elapsed()));
    let values_ok = slope_ok(&START, &gradient, plain);
    let samples =
        interleaved(seconds, 1, &mut || run(&mut gradient), &mut || plain(black_box(&START)));
    let instructions = jvp.stats().instructions as f64;
    let [recording, made] = [recording, made].map(|time| 1e3 * time.as_secs_f64());
    let note = format!(
        "{instructions} instructions, recorded in {recording:.1} ms, made in {made:.1} ms{code}"
    );
    Row { samples, instructions, values_ok, note }
}

/// The negative log-likelihood of 20 points under a mixture of 5 Gaussians in 2 dimensions, by weights, means
/// and precisions.
fn mixture(seconds: f64, by: By) -> Row {
    fn f<T: Elementary>(x: &[T]) -> T {
        let likelihood = |i: usize| {
            let place = [(i as f64).cos(), (1.7 * i as f64).sin()];
            let part = |k: usize| {
                let p = &x[5 * k..5 * k + 5];
                let (a, b) = (T::lit(place[0]) - p[1], T::lit(place[1]) - p[2]);
                let (a, b) = (a * p[3].exp(), b * p[4].exp());
                (p[0] + p[3] + p[4] - T::lit(0.5) * (a * a + b * b)).exp()
            };
            (1..5).fold(part(0), |sum, k| sum + part(k)).ln()
        };
        let weights = (1..5).fold(x[0].exp(), |sum, k| sum + x[5 * k].exp()).ln();
        (1..20).fold(likelihood(0), |sum, i| sum + likelihood(i)) - T::lit(20.0) * weights
    }
    one_point(by, seconds, &point(25), &record(25, f), f)
}

fn log_sum_exp(seconds: f64) -> Row {
    fn f<T: Elementary>(x: &[T]) -> T {
        let most = x[1..].iter().fold(x[0], |most, &x| most.max(x)).stop_gradient();
        let first = (x[0] - most).exp();
        x[1..].iter().fold(first, |sum, &x| sum + (x - most).exp()).ln() + most
    }
    one_point(By::Steps, seconds, &point(1000), &record(1000, f), f)
}

/// `y_i' = x_i y_(i-1)`, `y_0' = x_0`: the last component after ten steps.
fn triangular(seconds: f64, by: By) -> Row {
    fn f<T: Elementary>(x: &[T]) -> T {
        let (n, h) = (x.len(), 0.02);
        let slope = |y: &[T]| -> Vec<T> {
            (0..n).map(|i| if i == 0 { x[0] } else { x[i] * y[i - 1] }).collect()
        };
        let moved = |y: &[T], k: &[T], h: f64| -> Vec<T> {
            y.iter().zip(k).map(|(&y, &k)| y + T::lit(h) * k).collect()
        };
        let mut y = vec![T::lit(1.0); n];
        for _ in 0..10 {
            let k1 = slope(&y);
            let k2 = slope(&moved(&y, &k1, 0.5 * h));
            let k3 = slope(&moved(&y, &k2, 0.5 * h));
            let k4 = slope(&moved(&y, &k3, h));
            for (i, y) in y.iter_mut().enumerate() {
                let two = T::lit(2.0);
                *y += T::lit(h / 6.0) * (k1[i] + two * k2[i] + two * k3[i] + k4[i]);
            }
        }
        y[n - 1]
    }
    one_point(by, seconds, &point(100), &record(100, f), f)
}

/// The price of a call by Black and Scholes's formula.
fn call<T: Elementary>([s, k, r, sigma, t]: [T; 5]) -> T {
    let half = T::lit(0.5);
    let cdf = |z: T| half * (T::lit(1.0) + (z * T::lit(std::f64::consts::FRAC_1_SQRT_2)).erf());
    let deviation = sigma * t.sqrt();
    let d1 = ((s / k).ln() + (r + half * sigma * sigma) * t) / deviation;
    s * cdf(d1) - k * (-r * t).exp() * cdf(d1 - deviation)
}

fn options() -> Vec<Vec<f64>> {
    inputs().chunks(OPTIONS).map(<[f64]>::to_vec).collect()
}

/// Prices and sensitivities of all options; a function to call again and again.
fn sensitivities(columns: &[Vec<f64>]) -> (Program, impl FnMut() -> f64 + Send + '_) {
    let program = record(5, |x| call([x[0], x[1], x[2], x[3], x[4]]));
    let both = program.value_and_gradient().expect("one price");
    let mut results = vec![vec![0.0; OPTIONS]; 6];
    let run = both.clone();
    let work = move || {
        let columns: [&[f64]; 5] = std::array::from_fn(|k| columns[k].as_slice());
        let mut outputs: Vec<&mut [f64]> = results.iter_mut().map(Vec::as_mut_slice).collect();
        run.eval_many_into(black_box(&columns), &mut outputs).expect("no branches");
        results[0][0] + results[5][OPTIONS - 1]
    };
    (both, work)
}

fn black_scholes(seconds: f64) -> Row {
    let columns = options();
    let (program, mut work) = sensitivities(&columns);
    let at = |i: usize| std::array::from_fn(|k| columns[k][i]);
    let values_ok = {
        let (first, last) = (program.eval(&at(0)), program.eval(&at(OPTIONS - 1)));
        let expected = first.expect("no branches")[0] + last.expect("no branches")[5];
        close(work(), expected)
    };
    let mut plain = || (0..OPTIONS).map(|i| call::<f64>(black_box(at(i)))).sum();
    let samples = interleaved(seconds, 1, &mut work, &mut plain);
    let instructions = (program.stats().instructions * OPTIONS) as f64;
    Row { samples, instructions, values_ok, note: String::new() }
}

fn black_scholes_on_two(seconds: f64) -> Row {
    let columns = options();
    let (program, mut alone) = sensitivities(&columns);
    let (_, mut together) = sensitivities(&columns);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("two threads");
    // Several runs a sample, and all of them in the pool: one that has just been idle takes longer to wake up
    // than a run does, and so does the way in.
    const RUNS: usize = 20;
    let repeated = |run: &mut dyn FnMut() -> f64| (0..RUNS).map(|_| run()).fold(0.0, |_, y| y);
    let mut on_two = || pool.install(|| repeated(&mut together));
    let mut on_one = || repeated(&mut alone);
    let values_ok = on_two().to_bits() == on_one().to_bits();
    let mut samples = interleaved(seconds, 1, &mut on_two, &mut on_one);
    samples.engine.iter_mut().chain(&mut samples.floor).for_each(|time| *time /= RUNS as f64);
    let instructions = (program.stats().instructions * OPTIONS) as f64;
    Row { samples, instructions, values_ok, note: String::new() }
}

fn hessian(seconds: f64) -> Row {
    const N: usize = 100_000;
    let x = point(N);
    let program = record(N, chain);
    let gradient = program.gradient().expect("one value");
    let start = Instant::now();
    let hessian = SparseDerivative::hessian(&program).expect("one value");
    let made = start.elapsed();
    let mut workspaces = [Workspace::default(), Workspace::default()];
    let [first, second] = &mut workspaces;
    let mut entries = vec![0.0; hessian.program().outputs()];
    let mut slopes = vec![0.0; N];
    let matrix = hessian.eval(&x).expect("no branches");
    let middle = N / 2;
    let expected = 1200.0 * x[middle] * x[middle] - 400.0 * x[middle + 1] + 202.0;
    let values_ok = close(matrix.get(middle, middle), expected)
        && close(matrix.get(middle, middle + 1), -400.0 * x[middle])
        && hessian.pattern().entries() == 3 * N - 2;
    let samples = interleaved(
        seconds,
        1,
        &mut || {
            hessian.program().eval_into(&x, &mut entries, first).expect("no branches");
            entries[0]
        },
        &mut || {
            gradient.eval_into(&x, &mut slopes, second).expect("no branches");
            slopes[0]
        },
    );
    let note = format!(
        "{} colours, {} entries, made in {:.0} ms",
        hessian.colours(),
        hessian.pattern().entries(),
        1e3 * made.as_secs_f64()
    );
    let instructions = hessian.program().stats().instructions as f64;
    Row { samples, instructions, values_ok, note }
}

fn revolve(_: f64) -> Row {
    const STEPS: usize = 1_000_000;
    const SNAPSHOTS: usize = 30;
    let rk4 = |_: usize, x: &[Var], p: &[Var]| {
        let (x, y) = step(p, (x[0], x[1]));
        vec![x, y]
    };
    let start = Instant::now();
    let (state, parameters) = (&START[4..], &START[..4]);
    let g = loop_gradient(STEPS, SNAPSHOTS, state, parameters, rk4, |x, _| x[0] + x[1])
        .expect("every rule has a derivative");
    let engine = start.elapsed().as_secs_f64() * 1e6;
    let start = Instant::now();
    let value = solve(&black_box(START), STEPS);
    let hand = start.elapsed().as_secs_f64() * 1e6;
    let optimum = forward_steps(STEPS, SNAPSHOTS);
    let note = format!("{} steps done again, the optimum is {optimum}", g.forward_steps);
    Row {
        samples: Samples { engine: vec![engine], floor: vec![hand] },
        instructions: (STEPS * record(6, |p| solve(p, 1)).stats().instructions) as f64,
        values_ok: close(g.value, value) && g.forward_steps == optimum,
        note,
    }
}
