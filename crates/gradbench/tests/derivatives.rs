//! Every derivative against differences of the plain function, on small inputs whose numbers differ from
//! each other.

use gradbench::evals::{gmm, hello, kmeans, llsq, lse, lstm, ode};
use gradbench::{Error, Job, Matrix};
use serde_json::to_value;

/// Numbers between -1 and 1 that do not repeat.
fn numbers(seed: u32, n: usize) -> Vec<f64> {
    (0..n).map(|i| (1.7 * i as f64 + f64::from(seed)).sin()).collect()
}

fn matrix(seed: u32, rows: usize, columns: usize) -> Matrix {
    Matrix::new(rows, columns, numbers(seed, rows * columns))
}

fn run<J: Job>(mut job: J) -> J {
    // Twice: nothing of the first run may be left in the second.
    job.run().unwrap();
    job.run().unwrap();
    job
}

/// The gradient of `f` at `x` by central differences of fourth order.
fn differences(x: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let at = |i: usize, step: f64| {
        let mut x = x.to_vec();
        x[i] += step;
        f(&x)
    };
    let slope = |i: usize, h: f64| (at(i, h) - at(i, -h)) / (2.0 * h);
    (0..x.len()).map(|i| (4.0 * slope(i, 5e-4) - slope(i, 1e-3)) / 3.0).collect()
}

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (i, (&a, &b)) in found.iter().zip(expected).enumerate() {
        let error = (a - b).abs() / (a.abs() + b.abs()).max(1.0);
        assert!(error <= 1e-8, "element {i}: {a} and {b}");
    }
}

#[test]
fn hello_doubles() {
    assert_eq!(hello::square(-1.5), 2.25);
    assert_eq!(to_value(run(hello::Double::new(-1.5)).output()).unwrap(), -3.0);
}

#[test]
fn lse() {
    for x in [numbers(1, 1), numbers(2, 7), vec![1000.0, 1000.0, 998.0], vec![-800.0, -801.0]] {
        let largest = x.iter().copied().fold(f64::MIN, f64::max);
        let primal = |x: &[f64]| lse::Input { x: x.to_vec() }.primal();
        let naive = largest + x.iter().map(|x| (x - largest).exp()).sum::<f64>().ln();
        assert_close(&[primal(&x)], &[naive]);
        let job = run(lse::Gradient::new(&lse::Input { x: x.clone() }));
        assert_close(job.gradient(), &differences(&x, primal));
    }
}

#[test]
fn llsq_in_one_block_and_in_several() {
    for (n, m) in [(2, 1), (7, 4), (256, 3), (601, 5)] {
        let x = numbers(3, m);
        let primal = |x: &[f64]| llsq::Input { x: x.to_vec(), n }.primal();
        let job = run(llsq::Gradient::new(&llsq::Input { x: x.clone(), n }));
        assert_close(job.gradient(), &differences(&x, primal));
    }
    // The points are -1, 0 and 1: the residuals -1 - (2 - 3), 0 - 2 and 1 - (2 + 3).
    let three = llsq::Input { x: vec![2.0, 3.0], n: 3 };
    assert_eq!(three.primal(), 0.5 * (0.0 + 4.0 + 16.0));
}

#[test]
fn ode() {
    // The last of them has its last components in two chunks.
    for (n, s) in [(1, 3), (2, 1), (6, 4), (9, 0), (23, 7), (1003, 2)] {
        let x = numbers(4, n).iter().map(|x| 1.5 + x).collect::<Vec<_>>();
        let last = |x: &[f64]| *ode::Input { x: x.to_vec(), s }.primal().last().unwrap();
        let job = run(ode::Gradient::new(&ode::Input { x: x.clone(), s }).unwrap());
        assert_close(job.gradient(), &differences(&x, last));
    }
    // As long as there are not more components than the order, the method is exact: at time 2 the
    // solution is x_0 t, x_0 x_1 t^2 / 2, ...
    let input = ode::Input { x: vec![3.0, 5.0, 7.0, 0.5], s: 3 };
    let exact = [6.0, 15.0 * 2.0, 105.0 * 8.0 / 6.0, 52.5 * 16.0 / 24.0];
    assert_close(&input.primal(), &exact);
}

fn mixture(d: usize, k: usize, n: usize, m: u32) -> gmm::Input {
    gmm::Input {
        d,
        k,
        n,
        m,
        gamma: 1.3,
        alpha: numbers(5, k),
        mu: matrix(6, k, d),
        q: matrix(7, k, d),
        l: matrix(8, k, d * (d - 1) / 2),
        x: matrix(9, n, d),
    }
}

#[test]
fn gmm() {
    for (d, k, n, m) in [(1, 1, 1, 0), (1, 3, 4, 2), (2, 1, 3, 0), (3, 2, 5, 1), (4, 3, 6, 0)] {
        let input = mixture(d, k, n, m);
        let lengths = [k, k * d, k * d, k * d * (d - 1) / 2];
        let parts = [&input.alpha, &input.mu.data, &input.q.data, &input.l.data];
        let x = parts.map(|part| &part[..]).concat();
        let objective = |x: &[f64]| {
            let mut input = input.clone();
            let parts =
                [&mut input.alpha, &mut input.mu.data, &mut input.q.data, &mut input.l.data];
            let mut rest = x;
            for (part, length) in parts.into_iter().zip(lengths) {
                let (own, others) = rest.split_at(length);
                part.copy_from_slice(own);
                rest = others;
            }
            input.objective()
        };
        let job = run(gmm::Gradient::new(&input));
        let g = job.gradient();
        let found = [&g.alpha, &g.mu.data, &g.q.data, &g.l.data].map(|part| &part[..]).concat();
        assert_close(&found, &differences(&x, objective));
        assert_eq!((g.l.rows, g.l.columns), (k, d * (d - 1) / 2));
    }
}

/// One Gaussian in one dimension, where the formula is short: the weight is 1 whatever `alpha` is.
#[test]
fn gmm_of_one_gaussian() {
    let mut input = mixture(1, 1, 1, 0);
    (input.mu.data[0], input.q.data[0], input.x.data[0]) = (0.1, 2.0_f64.ln(), 0.4);
    let likelihood = -0.5 * (2.0 * std::f64::consts::PI).ln() + 2.0_f64.ln() - 0.5 * 0.36;
    let prior = -0.5 * 1.69 * 4.0 + 2.0 * (1.3_f64.ln() - 0.5 * 2.0_f64.ln());
    assert_close(&[input.objective()], &[likelihood + prior]);
}

#[test]
fn lstm() {
    for (layers, width, length) in [(1, 1, 2), (2, 3, 5), (3, 2, 4), (2, 14, 3), (1, 2, 600)] {
        let input = lstm::Input {
            main_params: matrix(10, 2 * layers, 4 * width),
            extra_params: matrix(11, 3, width),
            state: matrix(12, 2 * layers, width),
            sequence: matrix(13, length, width),
        };
        let main = input.main_params.data.len();
        let x = [&input.main_params.data[..], &input.extra_params.data].concat();
        let objective = |x: &[f64]| {
            let mut input = input.clone();
            input.main_params.data.copy_from_slice(&x[..main]);
            input.extra_params.data.copy_from_slice(&x[main..]);
            input.objective()
        };
        let job = run(lstm::Gradient::new(&input).unwrap());
        assert_close(job.gradient(), &differences(&x, objective));
    }
}

/// One layer of one unit over two places, step by step.
#[test]
fn lstm_of_one_unit() {
    let input = lstm::Input {
        main_params: Matrix::new(2, 4, vec![0.5, -0.3, 0.7, 0.2, 0.1, 0.4, -0.2, 0.3]),
        extra_params: Matrix::new(3, 1, vec![1.5, 0.8, -0.6]),
        state: Matrix::new(2, 1, vec![0.9, -0.4]),
        sequence: Matrix::new(2, 1, vec![2.0, 0.25]),
    };
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let value = 2.0 * 1.5;
    let forget = sigmoid(value * 0.5 + 0.1);
    let ingate = sigmoid(0.9 * -0.3 + 0.4);
    let outgate = sigmoid(value * 0.7 - 0.2);
    let change = (0.9_f64 * 0.2 + 0.3).tanh();
    let cell = -0.4 * forget + ingate * change;
    let output = outgate * cell.tanh() * 0.8 - 0.6;
    let loss = -0.25 * (output - (2.0 + output.exp()).ln());
    assert_close(&[input.objective()], &[loss]);
}

#[test]
fn kmeans() {
    for (k, n, d) in [(1, 1, 1), (2, 9, 3), (11, 60, 2)] {
        let points = matrix(14, n, d);
        let near = points.data[..k * d].iter().zip(numbers(15, k * d));
        let centroids = Matrix::new(k, d, near.map(|(p, shift)| p + 0.01 * shift).collect());
        let input = kmeans::Input { points, centroids };
        let cost = |c: &[f64]| {
            let centroids = Matrix::new(k, d, c.to_vec());
            kmeans::Input { points: input.points.clone(), centroids }.cost()
        };
        let c = &input.centroids.data;
        let gradient = differences(c, cost);
        let curvature = |i: usize| {
            let at = |step: f64| {
                let mut c = c.clone();
                c[i] += step;
                cost(&c)
            };
            (at(1e-3) - 2.0 * at(0.0) + at(-1e-3)) / 1e-6
        };
        let expected: Vec<_> = (0..k * d).map(|i| gradient[i] / curvature(i)).collect();
        let job = run(kmeans::Direction::new(&input));
        assert_close(&job.direction().data, &expected);
    }
}

#[test]
fn a_centroid_without_points_has_no_direction() {
    let points = Matrix::new(2, 1, vec![0.0, 1.0]);
    let centroids = Matrix::new(2, 1, vec![0.4, 9.0]);
    let mut job = kmeans::Direction::new(&kmeans::Input { points, centroids });
    let message = job.run().unwrap_err().to_string();
    assert!(message.contains("centroid 1"), "{message}");
    assert!(matches!(job.run(), Err(Error::Input(_))));
}
