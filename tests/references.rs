//! Whole trainings and gradients against reference values computed elsewhere, in double precision, by
//! other engines.
//!
//! Initial values and data are formulas of the index: `s sin(i + k)` for weight tensor `k`, `cos(0.37 i)`
//! for data, `sin(i)` for regression targets, `(7 i + 3) mod C` for labels; weights are rounded to `f32`
//! first, as the references do.

use approx::assert_relative_eq;
use wengert::prelude::*;

fn rounded(x: f64) -> f64 {
    f64::from(x as f32)
}

fn weight(k: usize, shape: impl Into<Shape>) -> Tensor {
    let shape = shape.into();
    let n = shape.elements();
    Tensor::new(shape, (0..n).map(|i| rounded(0.1 * ((i + k) as f64).sin())).collect())
}

fn data(shape: impl Into<Shape>) -> Tensor {
    let shape = shape.into();
    let n = shape.elements();
    Tensor::new(shape, (0..n).map(|i| rounded((0.37 * i as f64).cos())).collect())
}

fn targets(shape: impl Into<Shape>) -> Tensor {
    let shape = shape.into();
    let n = shape.elements();
    Tensor::new(shape, (0..n).map(|i| rounded((i as f64).sin())).collect())
}

fn labels(n: usize, classes: usize) -> Vec<usize> {
    (0..n).map(|i| (7 * i + 3) % classes).collect()
}

/// The losses before the first update and after each of ten; and the sum of the absolute values of the
/// first gradient.
fn train(
    mut params: Params,
    keys: &[ParamKey],
    mut optimizer: Adam,
    loss: impl Fn(&Tape, &Bound) -> TensorVar,
) -> (Vec<f64>, f64) {
    let mut tape = Tape::new();
    let (mut losses, mut norm) = (Vec::new(), 0.0);
    for step in 0..=10 {
        tape.reset();
        let p = params.bind(&tape);
        let loss = loss(&tape, &p);
        losses.push(loss.item());
        let g = loss.backward().expect("live");
        if step == 0 {
            norm = keys.iter().map(|&k| g.wrt(p[k]).iter().map(|g| g.abs()).sum::<f64>()).sum();
        }
        optimizer.step(&mut params, &g).expect("finite gradients");
    }
    (losses, norm)
}

/// The references are given for these numbers of updates.
fn check(losses: &[f64], expected: [f64; 5], tolerance: f64) {
    for (step, expected) in [0, 1, 2, 5, 10].into_iter().zip(expected) {
        assert_relative_eq!(losses[step], expected, max_relative = tolerance);
    }
}

#[test]
fn a_tiny_network_with_mean_squared_error_and_adam() {
    let mut params = Params::new();
    let w1 = params.insert("w1", weight(0, [13, 10]));
    let b1 = params.insert("b1", weight(1, [10]));
    let w2 = params.insert("w2", weight(2, [10, 1]));
    let b2 = params.insert("b2", weight(3, [1]));
    let (x, y) = (data([32, 13]), targets([32, 1]));
    let (losses, norm) = train(params, &[w1, b1, w2, b2], Adam::new(1e-3), |tape, p| {
        let hidden = (tape.constant(&x).matmul(p[w1]) + p[b1]).relu();
        (hidden.matmul(p[w2]) + p[b2]).mse_loss(tape.constant(&y))
    });
    let expected = [0.491063810911, 0.490635830135, 0.490249975572, 0.489329435767, 0.488185810966];
    check(&losses, expected, 1e-9);
    assert_relative_eq!(norm, 0.4372814927, max_relative = 1e-8);
}

#[test]
fn a_classifier_with_cross_entropy_and_adam() {
    let mut params = Params::new();
    let w1 = params.insert("w1", weight(0, [784, 512]));
    let b1 = params.insert("b1", weight(1, [512]));
    let w2 = params.insert("w2", weight(2, [512, 256]));
    let b2 = params.insert("b2", weight(3, [256]));
    let w3 = params.insert("w3", weight(4, [256, 10]));
    let b3 = params.insert("b3", weight(5, [10]));
    let (x, labels) = (data([128, 784]), labels(128, 10));
    let keys = [w1, b1, w2, b2, w3, b3];
    let (losses, norm) = train(params, &keys, Adam::new(1e-3), |tape, p| {
        let first = (tape.constant(&x).matmul(p[w1]) + p[b1]).relu();
        let second = (first.matmul(p[w2]) + p[b2]).relu();
        (second.matmul(p[w3]) + p[b3]).cross_entropy(&labels)
    });
    let expected = [2.304942196358, 2.352687741859, 2.357845884194, 2.378543831030, 2.264944138091];
    check(&losses, expected, 1e-6);
    assert_relative_eq!(norm, 69.01152973, max_relative = 1e-8);
}

#[test]
fn a_matrix_factorisation_with_adam() {
    let mut params = Params::new();
    let u = params.insert("u", weight(0, [6000, 32]));
    let v = params.insert("v", weight(1, [4000, 32]));
    let bu = params.insert("bu", weight(2, [6000]));
    let bi = params.insert("bi", weight(3, [4000]));
    let (users, items) = (labels(4096, 6000), labels(4096, 4000));
    let ratings: Tensor = (0..4096).map(|i| rounded(3.0 + f64::from(i).sin())).collect();
    let (losses, norm) = train(params, &[u, v, bu, bi], Adam::new(1e-2), |_, p| {
        let (pu, pv) = (p[u].index_select(0, &users), p[v].index_select(0, &items));
        let (cu, cv) = (p[bu].index_select(0, &users), p[bi].index_select(0, &items));
        let error = (pu * pv).sum_axes(1) + cu + cv - &ratings;
        let penalty = pu.square().sum() + pv.square().sum() + cu.square().sum() + cv.square().sum();
        error.square().mean() + penalty * (1e-4 / 4096.0)
    });
    let expected = [9.242659755341, 8.884495237969, 8.525223229535, 7.414918273658, 5.372570566469];
    check(&losses, expected, 1e-9);
    assert_relative_eq!(norm, 35.81578044, max_relative = 1e-8);
}

#[test]
fn a_custom_loss_on_a_million_elements() {
    const N: usize = 1_000_000;
    let tape = Tape::new();
    let (a, b) = (tape.tensor(weight(0, [N])), tape.tensor(weight(1, [N])));
    let (x, y) = (tape.constant(data([N])), tape.constant(targets([N])));
    let residual = a * x + b - y;
    let loss =
        ((residual * residual + 1.0).sqrt() - 1.0 + 0.1 * a.abs() + ((-y * a).exp() + 1.0).ln())
            .mean();
    let g = loss.backward().expect("live");
    let norm = |t: &Tensor| t.iter().map(|g| g.abs()).sum::<f64>();
    assert_relative_eq!(loss.item(), 0.872703, max_relative = 1e-6);
    assert_relative_eq!(norm(&g.wrt(a)), 0.3426961, max_relative = 1e-6);
    assert_relative_eq!(norm(&g.wrt(b)), 0.4827592, max_relative = 1e-6);
}

/// The value of a function of scalars and the sum of the absolute values of its gradient.
fn scalar_gradient(point: &[f64], f: impl Fn(&[Var]) -> Var) -> (f64, Vec<f64>) {
    let tape = Tape::new();
    let x = tape.vars_from(point);
    let y = f(&x);
    let g = y.backward().expect("live");
    (y.value(), x.iter().map(|&x| g.wrt(x)).collect())
}

fn norm(g: &[f64]) -> f64 {
    g.iter().map(|g| g.abs()).sum()
}

#[test]
fn scalar_functions_of_many_variables() {
    let point: Vec<f64> = (0..100_000).map(|i| (0.37 * f64::from(i)).cos()).collect();
    let (value, g) = scalar_gradient(&point, |x| {
        let terms = x.windows(2).map(|w| {
            let (t, u) = (w[1] - w[0] * w[0], 1.0 - w[0]);
            100.0 * (t * t) + u * u
        });
        terms.sum()
    });
    assert_relative_eq!(value, 8_900_324.132_51, max_relative = 1e-12);
    assert_relative_eq!(norm(&g), 30_258_872.639_968, max_relative = 1e-12);
    let (value, g) = scalar_gradient(&point, |x| x.iter().map(|x| x.exp()).sum::<Var>().ln());
    assert_relative_eq!(value, 11.748_824_141_6, max_relative = 1e-11);
    assert_relative_eq!(norm(&g), 1.0, max_relative = 1e-12);
    // The same on a tensor.
    let tape = Tape::new();
    let t = tape.tensor(point);
    let y = t.logsumexp();
    assert_relative_eq!(y.item(), value, max_relative = 1e-13);
    let on_tensor = y.backward().expect("live").wrt(t);
    assert_relative_eq!(on_tensor.as_slice(), g.as_slice(), max_relative = 1e-9);
}

#[test]
fn an_ordinary_differential_equation() {
    /// Lotka and Volterra: `x' = alpha x - beta x y`, `y' = delta x y - gamma y`.
    fn slope(p: &[Var], (x, y): (Var, Var)) -> (Var, Var) {
        (p[0] * x - p[1] * x * y, p[3] * x * y - p[2] * y)
    }
    let (value, g) = scalar_gradient(&[1.5, 1.0, 3.0, 1.0, 1.0, 1.0], |p| {
        let h = 1e-4;
        let (mut x, mut y) = (p[4], p[5]);
        for _ in 0..100_000 {
            let k1 = slope(p, (x, y));
            let k2 = slope(p, (x + 0.5 * h * k1.0, y + 0.5 * h * k1.1));
            let k3 = slope(p, (x + 0.5 * h * k2.0, y + 0.5 * h * k2.1));
            let k4 = slope(p, (x + h * k3.0, y + h * k3.1));
            x += (k1.0 + 2.0 * k2.0 + 2.0 * k3.0 + k4.0) * (h / 6.0);
            y += (k1.1 + 2.0 * k2.1 + 2.0 * k3.1 + k4.1) * (h / 6.0);
        }
        x + y
    });
    assert_relative_eq!(value, 1.93603584571, max_relative = 1e-9);
    let expected = [
        4.096212993658,
        0.509408811911,
        1.14583488643,
        1.804327868767,
        0.7779831011919,
        0.4002822662225,
    ];
    for (g, expected) in g.iter().zip(expected) {
        assert_relative_eq!(g.abs(), expected, max_relative = 1e-8);
    }
}
