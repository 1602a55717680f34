//! Inputs of the sizes and the kind that the benchmark has, for measurements without its evaluator.

use std::hint::black_box;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;

use crate::evals::{ba, gmm, kmeans, llsq, lse, lstm, ode};
use crate::{Job, Matrix};

/// A function and its derivative at one input, to be measured.
pub struct Case {
    /// The name of the evaluation.
    pub eval: &'static str,
    /// The name of the input.
    pub input: &'static str,
    /// Makes the input, and what is measured on it.
    pub make: fn() -> Sides,
}

/// What is measured: each call computes everything once.
pub struct Sides {
    /// The function on plain numbers.
    pub objective: Box<dyn FnMut()>,
    /// The derivative, prepared once.
    pub gradient: Box<dyn FnMut()>,
    /// The derivative with its preparation.
    pub rerecorded: Box<dyn FnMut()>,
}

impl Sides {
    fn new<I: Clone + 'static, T, J: Job + 'static>(
        input: I,
        objective: impl Fn(&I) -> T + 'static,
        prepare: impl Fn(&I) -> J + 'static,
    ) -> Self {
        let mut job = prepare(&input);
        let of_objective = input.clone();
        Sides {
            objective: Box::new(move || {
                black_box(objective(black_box(&of_objective)));
            }),
            gradient: Box::new(move || run(&mut job)),
            rerecorded: Box::new(move || run(&mut prepare(black_box(&input)))),
        }
    }
}

fn run(job: &mut impl Job) {
    job.run().expect("the inputs of the suite have derivatives");
}

macro_rules! cases {
    ($($eval:literal $input:literal $make:expr;)*) => {
        vec![$(Case { eval: $eval, input: $input, make: || $make }),*]
    };
}

/// The inputs for which the benchmark's figures are best known.
///
/// ```
/// let case = gradbench::suite().into_iter().find(|case| case.eval == "llsq").unwrap();
/// let mut sides = (case.make)();
/// (sides.objective)();
/// (sides.gradient)();
/// ```
pub fn suite() -> Vec<Case> {
    cases! {
        "llsq" "n16_m128" llsq(16, 128);
        "llsq" "n1024_m128" llsq(1024, 128);
        "llsq" "n16392_m128" llsq(16_392, 128);
        "lse" "n2500" lse(2500);
        "lse" "n40000" lse(40_000);
        "lse" "n640000" lse(640_000);
        "ode" "n1000_s100" ode(1000, 100);
        "ode" "n10000_s10" ode(10_000, 10);
        "gmm" "d2_k5_n1000" gmm(2, 5, 1000);
        "gmm" "d10_k25_n1000" gmm(10, 25, 1000);
        "gmm" "d64_k25_n1000" gmm(64, 25, 1000);
        "ba" "n49_m7776_p31843" ba(49, 7776, 31_843);
        "lstm" "l2_c1024" lstm(2, 1024);
        "lstm" "l4_c1024" lstm(4, 1024);
        "kmeans" "k10_n1000_d8" kmeans(10, 1000, 8);
        "kmeans" "k100_n10000_d8" kmeans(100, 10_000, 8);
    }
}

/// Numbers that are the same in every run of the program.
struct Numbers(StdRng);

impl Numbers {
    fn new() -> Self {
        Numbers(StdRng::seed_from_u64(1964))
    }

    /// Between 0 and 1.
    fn uniform(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| self.0.random()).collect()
    }

    fn normal(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| self.0.sample(StandardNormal)).collect()
    }

    fn uniform_matrix(&mut self, rows: usize, columns: usize) -> Matrix {
        Matrix::new(rows, columns, self.uniform(rows * columns))
    }

    fn normal_matrix(&mut self, rows: usize, columns: usize) -> Matrix {
        Matrix::new(rows, columns, self.normal(rows * columns))
    }
}

fn llsq(n: usize, m: usize) -> Sides {
    let input = llsq::Input { x: Numbers::new().uniform(m), n };
    Sides::new(input, llsq::Input::primal, llsq::Gradient::new)
}

fn lse(n: usize) -> Sides {
    let input = lse::Input { x: Numbers::new().uniform(n) };
    Sides::new(input, lse::Input::primal, lse::Gradient::new)
}

fn ode(n: usize, s: usize) -> Sides {
    let input = ode::Input { x: Numbers::new().uniform(n), s };
    let prepare = |input: &ode::Input| ode::Gradient::new(input).expect("there is the memory");
    Sides::new(input, ode::Input::primal, prepare)
}

fn gmm(d: usize, k: usize, n: usize) -> Sides {
    let mut numbers = Numbers::new();
    let input = gmm::Input {
        d,
        k,
        n,
        m: 0,
        gamma: 1.0,
        alpha: numbers.normal(k),
        mu: numbers.uniform_matrix(k, d),
        q: numbers.normal_matrix(k, d),
        l: numbers.normal_matrix(k, d * (d - 1) / 2),
        x: numbers.normal_matrix(n, d),
    };
    Sides::new(input, gmm::Input::objective, gmm::Gradient::new)
}

/// A camera that looks at a point not far from its axis.
fn ba(n: usize, m: usize, p: usize) -> Sides {
    let camera = [0.02, -0.12, 0.25, 0.8, -0.3, 6.0, 400.0, 320.0, 240.0, -0.1, 0.01];
    let input = ba::Input::replicated([n, m, p], camera, [-0.6, 0.5, -1.0], 0.9, [300.0, 250.0]);
    let input = input.expect("the sizes are those of the benchmark");
    let prepare = |input: &ba::Input| ba::Jacobian::new(input).expect("there is the memory");
    Sides::new(input, ba::Input::objective, prepare)
}

/// Bits of letters, as in the benchmark, are as good as these.
fn lstm(layers: usize, length: usize) -> Sides {
    const WIDTH: usize = 14;
    let mut numbers = Numbers::new();
    let mut sequence = numbers.uniform_matrix(length, WIDTH);
    sequence.data.iter_mut().for_each(|bit| *bit = bit.round());
    let input = lstm::Input {
        main_params: numbers.uniform_matrix(2 * layers, 4 * WIDTH),
        extra_params: numbers.uniform_matrix(3, WIDTH),
        state: numbers.uniform_matrix(2 * layers, WIDTH),
        sequence,
    };
    let prepare = |input: &lstm::Input| lstm::Gradient::new(input).expect("numbers are recorded");
    Sides::new(input, lstm::Input::objective, prepare)
}

/// The centroids are some of the points, so none is without a point.
fn kmeans(k: usize, n: usize, d: usize) -> Sides {
    let points = Numbers::new().uniform_matrix(n, d);
    let centroids = Matrix::new(k, d, points.data[..k * d].to_vec());
    let input = kmeans::Input { points, centroids };
    Sides::new(input, kmeans::Input::cost, kmeans::Direction::new)
}
