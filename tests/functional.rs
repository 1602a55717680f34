//! Derivatives of closures, against closed forms and against each other.

use approx::assert_relative_eq;
use wengert::autograd::Error;
use wengert::autograd::functional::{
    Flat, Input, grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp,
};
use wengert::prelude::*;

fn rosenbrock([x, y]: [Var; 2]) -> Var {
    (1.0 - x).powi(2) + 100.0 * (y - x * x).powi(2)
}

/// A rule of a user, of which forward mode knows nothing.
struct Bump;

impl Unary for Bump {
    const NAME: &'static str = "bump";
    fn value<T: Elementary>(&self, x: T) -> T {
        (-(x * x)).exp()
    }
    fn partial<T: Elementary>(&self, x: T, y: T) -> T {
        T::lit(-2.0) * x * y
    }
}

/// Uses both lanes, broadcasts, reductions, products, indexing, branches and a rule of a user.
fn mixed((w, a, v): (TensorVar, Var, Vec<Var>)) -> (TensorVar, Var) {
    let row = (w * a).sum_axes(0).tanh();
    let table = w.t().matmul(w) + row;
    let s = TensorVar::select_gt(table, 1.0, table.softmax(-1), table * table);
    let total = s.apply(Bump).mean_axes(1) * v[0] + v[1].sin() * w.select(0, 1).flatten();
    let tail = total.sum().to_scalar() * v[1].atan2(a) + v[0].mul_add(a, 2.0).apply(Bump);
    (total, tail)
}

fn mixed_point() -> (Tensor, f64, Vec<f64>) {
    let w = Tensor::from([[0.3, -0.7, 1.1], [0.9, 0.4, -0.2]]);
    (w, 0.8, vec![1.3, -0.6])
}

/// The Jacobian whose columns are forward passes.
fn columns(n: usize) -> Tensor {
    let columns: Vec<Vec<f64>> = (0..n)
        .map(|k| {
            let mut unit = vec![0.0; n];
            unit[k] = 1.0;
            let tangent = mixed_point().rebuild(&mut Flat::new(&unit));
            let (_, (total, tail)) = jvp(mixed, mixed_point(), tangent).unwrap();
            total.iter().copied().chain([tail]).collect()
        })
        .collect();
    Tensor::from_fn([columns[0].len(), n], |[i, j]| columns[j][i])
}

#[test]
fn gradients_have_the_structure_of_the_point() {
    let g = grad(|x| x.sin() * x, 0.5_f64).unwrap();
    assert_relative_eq!(g, 0.5 * 0.5_f64.cos() + 0.5_f64.sin());
    assert_eq!(grad(|[x, y]| x * y, [3.0, 4.0]).unwrap(), [4.0, 3.0]);
    let norm = |x: Vec<Var>| x.iter().map(|&x| x * x).sum::<Var>();
    assert_eq!(grad(norm, vec![1.0, 2.0]).unwrap(), [2.0, 4.0]);
    assert_eq!(grad(norm, &[1.0, 2.0][..]).unwrap(), [2.0, 4.0]);
    let w = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    let g = grad(|w: TensorVar| (w * w).sum(), &w).unwrap();
    assert_eq!(g, w.map(|x| 2.0 * x));
    let (gw, gb) = grad(|(w, b)| (w * b).sum(), (&w, 3.0_f64)).unwrap();
    assert_eq!((gw, gb), (Tensor::full([2, 2], 3.0), 10.0));
    let (a, (b, c), d) =
        grad(|(a, (b, c), d)| a * b * c * d[0], (2.0_f64, (3.0_f64, 5.0_f64), [7.0])).unwrap();
    assert_eq!((a, b, c, d), (105.0, 70.0, 42.0, [30.0]));
    let (value, g) = value_and_grad(|w: TensorVar| (w * w).sum(), w).unwrap();
    assert_eq!((value, g[[1, 1]]), (30.0, 8.0));
}

#[test]
fn single_precision() {
    let g: f32 = grad(|x| x.sin() * x, 0.5_f32).unwrap();
    assert_relative_eq!(g, 0.5 * 0.5_f32.cos() + 0.5_f32.sin());
    let h = hessian(|[x, y]| x * x * y, &[3.0_f32, 4.0]).unwrap();
    assert_eq!(h, Tensor::from([[8.0_f32, 6.0], [6.0, 0.0]]));
    let w = Tensor::from([1.0_f32, 2.0]);
    let (v, t) = jvp(|w: TensorVar<f32>| w * w, &w, Tensor::from([1.0, 0.0])).unwrap();
    assert_eq!((v, t), (Tensor::from([1.0, 4.0]), Tensor::from([2.0, 0.0])));
}

#[test]
fn rosenbrock_at_its_usual_start() {
    let x = [-1.2, 1.0];
    let h = hessian(rosenbrock, x).unwrap();
    let expected = Tensor::from([[1330.0, 480.0], [480.0, 200.0]]);
    assert_relative_eq!(h, expected, epsilon = 1e-10);
    let h = hessian(|[x, y]| (1.0 - x).powi(2) + 100.0 * (y - x * x).powi(2), [-1.2, 1.0]);
    assert_relative_eq!(h.unwrap(), expected, epsilon = 1e-10);
    let (value, g) = value_and_grad(rosenbrock, x).unwrap();
    assert_relative_eq!(value, 24.2, epsilon = 1e-12);
    assert_relative_eq!(g[0], -215.6, epsilon = 1e-10);
    assert_relative_eq!(g[1], -88.0, epsilon = 1e-10);
    let product = hvp(rosenbrock, x, [2.0, -3.0]).unwrap();
    assert_relative_eq!(product[0], 2.0 * 1330.0 - 3.0 * 480.0, epsilon = 1e-10);
    assert_relative_eq!(product[1], 2.0 * 480.0 - 3.0 * 200.0, epsilon = 1e-10);
}

#[test]
fn third_derivative_by_nesting() {
    // The derivatives of x e^x are (x + 1) e^x, (x + 2) e^x, (x + 3) e^x.
    let third = grad(
        |x| {
            let first = (x * x.exp()).grad_recorded(&[x]).unwrap()[0].unwrap();
            first.grad_recorded(&[x]).unwrap()[0].unwrap()
        },
        0.5_f64,
    );
    assert_relative_eq!(third.unwrap(), 3.5 * 0.5_f64.exp(), max_relative = 1e-12);
    let x = Tensor::from([0.5, -0.25]);
    let third = grad(
        |x: TensorVar| {
            let first = (x * x.exp()).sum().grad_recorded(&[x]).unwrap()[0].unwrap();
            first.sum().grad_recorded(&[x]).unwrap()[0].unwrap().sum()
        },
        &x,
    );
    let expected = x.map(|x| (x + 3.0) * x.exp());
    assert_relative_eq!(third.unwrap(), expected, max_relative = 1e-12);
}

#[test]
fn constants_have_the_derivative_zero() {
    let x = [1.0, 2.0];
    assert_eq!(grad(|_: [Var; 2]| Var::constant(3.0), x).unwrap(), [0.0; 2]);
    assert_eq!(grad(|[x, _]| x.stop_gradient(), x).unwrap(), [0.0; 2]);
    assert_eq!(grad(|[x, _]| x * x, x).unwrap(), [2.0, 0.0]);
    let t = Tensor::from([1.0, 2.0]);
    let constant = |_: TensorVar| TensorVar::scalar_constant(3.0);
    assert_eq!(grad(constant, &t).unwrap(), Tensor::zeros([2]));
    let cut = |t: TensorVar| t.stop_gradient().sum();
    assert_eq!(grad(cut, &t).unwrap(), Tensor::zeros([2]));
    assert_eq!(hessian(cut, &t).unwrap(), Tensor::zeros([2, 2]));
    // Linear: the gradient is a constant, and zero rows are what is left.
    assert_eq!(hessian(|t: TensorVar| (3.0 * t).sum(), &t).unwrap(), Tensor::zeros([2, 2]));
    assert_eq!(hessian(|[x, y]| x - 2.0 * y, x).unwrap(), Tensor::zeros([2, 2]));
    let h = hessian(|(a, t): (Var, TensorVar)| a * a + t.sum(), (2.0_f64, &t)).unwrap();
    assert_eq!((h[[0, 0]], h.iter().sum::<f64>()), (2.0, 2.0));
    assert_eq!(hvp(|[x, y]| x - 2.0 * y, x, x).unwrap(), [0.0; 2]);
    let (_, tangent) = jvp(|[x, _]| (x.stop_gradient(), Var::from(1.0)), x, x).unwrap();
    assert_eq!(tangent, (0.0, 0.0));
    let j = jacobian(|[x, y]: [Var; 2]| vec![y, Var::from(2.0), x * y], x).unwrap();
    assert_eq!(j, Tensor::from([[0.0, 1.0], [0.0, 0.0], [2.0, 1.0]]));
}

#[test]
fn errors() {
    let t = Tensor::from([1.0, 2.0]);
    let line = line!() + 1;
    let error = grad(|t: TensorVar| t * t, &t).unwrap_err();
    assert!(matches!(&error, Error::NotScalar { shape, location }
        if *shape == [2] && location.line() == line));
    let error = hessian(|[x, y]| [x, y], [1.0, 2.0]).unwrap_err();
    assert!(matches!(error, Error::NotScalar { .. }));
    let error = vjp(|t: TensorVar| t * t, &t, Tensor::zeros([3])).unwrap_err();
    assert!(matches!(error, Error::CotangentShape { .. }));
    let tape = Tape::new();
    let other = tape.var(2.0);
    let error = grad(|_| other * other, 1.0_f64).unwrap_err();
    assert!(matches!(error, Error::ForeignVariable { .. }));
    let error = jvp(|_| other * other, 1.0_f64, 1.0).unwrap_err();
    assert!(matches!(error, Error::ForeignVariable { .. }));
    // One element is one element, whatever its shape.
    let g = grad(|t: TensorVar| t.sum().reshape([1, 1]), &t).unwrap();
    assert_eq!(g, Tensor::ones([2]));
    assert_eq!(hessian(|t: TensorVar| (t * t).sum().reshape([1]), &t).unwrap()[[1, 1]], 2.0);
}

#[test]
#[should_panic(expected = "hvp: the tangent has 3 elements")]
fn a_tangent_of_another_shape() {
    let _ = hvp(|t: TensorVar| t.sum(), Tensor::zeros([2]), Tensor::zeros([3]));
}

#[test]
fn rows_by_reverse_mode_are_columns_by_forward_mode() {
    let rows = jacobian(mixed, mixed_point()).unwrap();
    assert_eq!(*rows.shape(), [4, 9]);
    assert!(rows.iter().all(|x| x.is_finite()));
    assert_relative_eq!(columns(9), rows, epsilon = 1e-13, max_relative = 1e-12);
}

#[test]
fn forward_mode_is_the_difference_quotient() {
    let point = mixed_point();
    let mut x = Vec::new();
    point.flatten(&mut x);
    let v: Vec<f64> = (0..9).map(|k| (k as f64 * 1.7).sin()).collect();
    let at = |h: f64| {
        let moved: Vec<f64> = x.iter().zip(&v).map(|(x, v)| x + h * v).collect();
        let ((total, tail), _) = {
            let moved = point.rebuild(&mut Flat::new(&moved));
            jvp(mixed, moved, mixed_point()).unwrap()
        };
        Tensor::from_iter(total.iter().copied().chain([tail]))
    };
    let h = 2e-6;
    let quotient = at(h).zip_map(&at(-h), |a, b| (a - b) / (2.0 * h));
    let tangent = point.rebuild(&mut Flat::new(&v));
    let (_, (total, tail)) = jvp(mixed, mixed_point(), tangent).unwrap();
    let tangent = Tensor::from_iter(total.iter().copied().chain([tail]));
    assert_relative_eq!(tangent, quotient, epsilon = 1e-9);
}

#[test]
fn forward_and_reverse_mode_are_transposes() {
    let v: Vec<f64> = (0..9).map(|k| (k as f64).cos()).collect();
    let tangent = mixed_point().rebuild(&mut Flat::new(&v));
    let (value, (dt, ds)) = jvp(mixed, mixed_point(), tangent).unwrap();
    let u = (Tensor::from([0.3, -1.0, 2.0]), 0.7);
    let (same, cotangent) = vjp(mixed, mixed_point(), u.clone()).unwrap();
    assert_eq!(value, same);
    let mut flat = Vec::new();
    <(Tensor, f64, Vec<f64>)>::flatten_gradient(&cotangent, &mut flat);
    let left: f64 = u.0.iter().zip(dt.iter()).map(|(u, d)| u * d).sum::<f64>() + u.1 * ds;
    let right: f64 = flat.iter().zip(&v).map(|(c, v)| c * v).sum();
    assert_relative_eq!(left, right, max_relative = 1e-13);
}

#[test]
fn an_absent_tangent_is_not_multiplied() {
    // The partial of the root at 0 is infinite, and nothing moves there.
    let (_, tangent) = jvp(|[x, y]| x.sqrt().stop_gradient() + y, [0.0, 1.0], [0.0, 1.0]).unwrap();
    assert_eq!(tangent, 1.0);
    let t = Tensor::from([0.0, 4.0]);
    let c = |(t, y): (TensorVar, Var)| t.constant_like([0.0, 4.0]).sqrt() * y + t;
    let (_, tangent) = jvp(c, (&t, 1.0_f64), (Tensor::zeros([2]), 1.0)).unwrap();
    assert_eq!(tangent, Tensor::from([0.0, 2.0]));
}

/// The mean squared error of two layers, of 3 to 4 to 1 units.
fn loss((w1, b1, (w2, b2)): (TensorVar, TensorVar, (TensorVar, Var))) -> TensorVar {
    let x = Tensor::from_fn([5, 3], |[i, j]| ((3 * i + j) as f64 * 0.9).sin());
    let y = Tensor::from_fn([5, 1], |[i, _]| (i as f64).cos());
    let hidden = (w1.constant_like(x).matmul(w1) + b1).tanh();
    let residual = hidden.matmul(w2) + b2 - w1.constant_like(y);
    (residual * residual).mean()
}

type Network = (Tensor, Tensor, (Tensor, f64));

fn network() -> Network {
    let w1 = Tensor::from_fn([3, 4], |[i, j]| ((4 * i + j) as f64 * 1.3).cos());
    let b1 = Tensor::from([0.1, -0.2, 0.3, 0.05]);
    let w2 = Tensor::from_fn([4, 1], |[i, _]| 0.5 - 0.3 * i as f64);
    (w1, b1, (w2, 0.2))
}

#[test]
fn hessian_of_a_network() {
    let point = network();
    let mut x = Vec::new();
    point.flatten(&mut x);
    let n = point.size();
    assert_eq!(n, 21);
    let gradient = |x: &[f64]| {
        let mut flat = Vec::new();
        let g = grad(loss, point.rebuild(&mut Flat::new(x))).unwrap();
        Network::flatten_gradient(&g, &mut flat);
        flat
    };
    let h = hessian(loss, network()).unwrap();
    let step = 1e-5;
    for j in 0..n {
        let (mut above, mut below) = (x.clone(), x.clone());
        above[j] += step;
        below[j] -= step;
        let (above, below) = (gradient(&above), gradient(&below));
        for i in 0..n {
            let quotient = (above[i] - below[i]) / (2.0 * step);
            assert_relative_eq!(h[[i, j]], quotient, epsilon = 1e-6);
            assert_relative_eq!(h[[i, j]], h[[j, i]], epsilon = 1e-13);
        }
    }
    assert!(h.iter().filter(|x| x.abs() > 1e-3).count() > n);

    let v: Vec<f64> = (0..n).map(|k| (k as f64 * 0.7).sin()).collect();
    let direction = point.rebuild(&mut Flat::new(&v));
    let mut product = Vec::new();
    let hv = hvp(loss, network(), direction).unwrap();
    Network::flatten_gradient(&hv, &mut product);
    for i in 0..n {
        let row: f64 = (0..n).map(|j| h[[i, j]] * v[j]).sum();
        assert_relative_eq!(product[i], row, epsilon = 1e-13, max_relative = 1e-12);
    }
}

#[test]
fn forward_over_deep_recordings() {
    let deep = |x: Var| (0..20_000).fold(x, |x, _| (x * 0.5).sin() + 0.3);
    let (_, forward) = jvp(deep, 0.7_f64, 1.0).unwrap();
    assert_relative_eq!(forward, grad(deep, 0.7_f64).unwrap(), max_relative = 1e-12);
    let deep = |x: TensorVar| (0..300).fold(x, |x, _| (x.softmax(0) + x * 0.5).sin());
    let x = Tensor::from([0.2, 0.5, -0.1]);
    let v = Tensor::from([1.0, -2.0, 0.5]);
    let (_, forward) = jvp(deep, &x, v.clone()).unwrap();
    let j = jacobian(deep, &x).unwrap();
    for i in 0..3 {
        let row: f64 = (0..3).map(|k| j[[i, k]] * v[[k]]).sum();
        assert_relative_eq!(forward[[i]], row, epsilon = 1e-14, max_relative = 1e-10);
    }
}

/// A number that leads to the result through tensors alone, when nothing else is asked for.
#[test]
fn a_number_through_tensors() {
    let f = |x: Var| (x.to_tensor().reshape([1]) * 2.0).square().sum();
    assert_eq!(grad(f, 3.0).unwrap(), 24.0);
    assert_eq!(hessian(f, 3.0).unwrap().item(), 8.0);
    let through = |x: Var| (x.sin().to_tensor() * 2.0).sum().to_scalar() * x;
    assert_eq!(grad(through, 0.5).unwrap(), 2.0 * 0.5f64.sin() + 0.5f64.cos());
    let tape = Tape::new();
    let earlier = tape.tensor([1.0, 2.0]) * 2.0;
    let _unused = tape.var(1.0);
    let x = tape.var(3.0);
    let y = (earlier * x).sum() + earlier.sum();
    assert_eq!(y.grad(&[x]).unwrap().wrt(x), 6.0);
    let recorded = y.grad_recorded(&[x]).unwrap()[0].unwrap();
    assert_eq!(recorded.value(), 6.0);
}
