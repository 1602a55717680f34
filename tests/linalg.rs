//! Products and linear algebra: special inputs, where there is no derivative, and messages. Values and
//! derivatives at ordinary points are checked by the cases beside the operations.

mod common;

use approx::assert_relative_eq;
use common::{numbers, panic_at};
use wengert::autograd::assert_gradients;
use wengert::prelude::*;
use wengert::tape::{Triangle, einsum};

fn ignore<T>(_: T) {}

/// Matrices far from singular.
fn regular(shape: impl Into<Shape>) -> Tensor {
    let shape = shape.into();
    let n = shape[shape.rank() - 1];
    let mut x = numbers(shape, -1.0, 1.0);
    for (k, x) in x.as_mut_slice().iter_mut().enumerate() {
        if k / n % n == k % n {
            *x += 2.0 + (k % n) as f64;
        }
    }
    x
}

#[test]
fn what_the_references_do_not_reach() {
    // Larger than the blocks of the decompositions, and than where they divide and conquer.
    let n = 150;
    let a = regular([n, n]);
    let tape = Tape::new();
    let x = tape.tensor(&a);
    let near = |y: TensorVar, z: TensorVar, tolerance: f64| {
        let (y, z) = (y.value(), z.value());
        assert_eq!(y.shape(), z.shape());
        let scale = z.iter().fold(1.0, |s: f64, z| s.max(z.abs()));
        let worst = y.iter().zip(z.iter()).fold(0.0, |w: f64, (y, z)| w.max((y - z).abs()));
        assert!(worst <= tolerance * scale, "{worst} beside {scale}");
    };
    let eye = tape.constant(Tensor::eye(n));
    near(x.inverse().matmul(x), eye, 1e-11);
    near(x.pinv().matmul(x), eye, 1e-11);
    near(x.matmul(x.solve(x)), x, 1e-11);
    let (p, l, u) = x.lu();
    near(p.matmul(l).matmul(u), x, 1e-13);
    let (q, r) = x.qr();
    near(q.matmul(r), x, 1e-13);
    near(q.t().matmul(q), eye, 1e-13);
    let (u, s, vt) = x.svd();
    near((u * s).matmul(vt), x, 1e-13);
    let symmetric = (x + x.t()) * 0.5;
    let (w, v) = x.eigh();
    near((v * w).matmul(v.t()), symmetric, 1e-13);
    let definite = x.matmul(x.t());
    let c = definite.cholesky();
    near(c.matmul(c.t()), definite, 1e-13);
    near(c.cholesky_solve(definite), eye, 1e-9);
    near(definite.logdet(), x.slogdet().1 * 2.0, 1e-12);
    let y = x * 0.02;
    near(y.matrix_exp().matmul((-y).matrix_exp()), eye, 1e-9);
    near(x.matrix_power(0), eye, 0.0);
    near(x.diagonal(0, 0, 1).sum(), x.trace(), 1e-15);
}

/// The message of the error of a sweep, which must name both lines in this file.
#[track_caller]
fn refusal<T>(result: Result<T, wengert::autograd::Error>) -> String {
    let Err(error) = result else { panic!("the sweep has given a derivative") };
    let message = error.to_string();
    assert_eq!(message.matches("tests/linalg.rs:").count(), 2, "{message}");
    message
}

#[test]
fn where_there_is_no_derivative_a_sweep_says_so() {
    let tape = Tape::new();
    let eye = tape.tensor(Tensor::eye(3));
    let low = tape.tensor([[1.0, 2.0], [2.0, 4.0]]);
    let (w, v) = eye.eigh();
    assert_eq!(w.value().to_vec(), [1.0; 3]);
    let of = |y: TensorVar| refusal(y.sin().sum().backward());
    assert!(of(w).starts_with("eigh: eigenvalues 0 and 1 are equal"));
    assert!(of(v).starts_with("eigh: eigenvalues 0 and 1 are equal"));
    assert!(of(eye.eigvalsh()).starts_with("eigvalsh: eigenvalues 0 and 1"));
    let (u, s, _) = eye.svd();
    assert!(of(u).starts_with("svd: singular values 0 and 1 are equal"));
    assert!(of(s * u).contains("svd: singular values 0 and 1 are equal"));
    assert!(of(low.svd().2).starts_with("svd: a singular value is 0"));
    assert!(of(eye.svdvals()).starts_with("svdvals: singular values 0 and 1"));
    assert!(of(eye.spectral_norm()).starts_with("spectral_norm: singular values 0 and 1"));
    assert!(of(low.pinv()).starts_with("pinv: a matrix does not have full rank"));
    assert!(of(low.qr().1).starts_with("qr: a matrix does not have full rank"));
    assert!(of(low.lu().2).starts_with("lu: a pivot is 0"));
    // Pivots of 0 before the last leave the factors finite.
    let rank_one = Tensor::from([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [-1.0, -2.0, -3.0]]);
    for a in [&rank_one, &Tensor::zeros([3, 2]), &Tensor::zeros([2, 3])] {
        let (p, l, u) = tape.tensor(a).lu();
        assert_eq!(p.matmul(l).matmul(u).value(), *a);
        assert!(of(u).starts_with("lu: a pivot is 0"));
    }
    assert_eq!(tape.tensor(&rank_one).det().item(), 0.0);
    // The other sweeps say it as well.
    let y = eye.eigvalsh().sin().sum();
    assert!(refusal(y.grad(&[eye])).contains("eigvalsh"));
    assert!(refusal(y.grad_recorded(&[eye])).contains("eigvalsh"));
    assert!(refusal(eye.eigvalsh().vjp([1.0, 2.0, 3.0])).contains("eigvalsh"));
    let forward = wengert::autograd::functional::jvp(
        |x: TensorVar| x.eigvalsh(),
        Tensor::<f64>::eye(2),
        Tensor::<f64>::ones([2, 2]),
    );
    assert!(forward.unwrap_err().to_string().contains("eigvalsh: eigenvalues 0 and 1"));
    // A cotangent that is not finite.
    let a = tape.tensor([[2.0, 1.0], [1.0, 3.0]]);
    let nan = tape.constant([[f64::NAN, 1.0], [1.0, 1.0]]);
    let (_, l, _) = a.lu();
    for y in [
        a.solve(a * 2.0),
        a.solve_triangular(a, Triangle::Lower),
        a.cholesky(),
        a.qr().0,
        l,
        a.matrix_exp(),
    ] {
        let message = refusal((y * nan).sum().backward());
        assert!(message.contains("its rule cannot take the cotangent: element"), "{message}");
    }
    // Nobody asks: there is no error.
    let other = tape.tensor(2.0);
    let y = other * 3.0 + eye.eigvalsh().sum();
    assert_eq!(y.grad(&[other]).unwrap().wrt(other).item(), 3.0);
    // A refusal does not outlive its sweep.
    assert_eq!(other.square().backward().unwrap().wrt(other).item(), 4.0);
}

#[test]
fn conventions_at_zero() {
    let tape = Tape::new();
    let zero = tape.tensor(Tensor::zeros([2, 3]));
    for norm in [zero.nuclear_norm(), zero.spectral_norm(), zero.svdvals().sum()] {
        assert_eq!(norm.item(), 0.0);
        assert_eq!(norm.backward().unwrap().wrt(zero), Tensor::zeros([2, 3]));
    }
    // Rank 1: the part of the other singular value is 0.
    let low = tape.tensor([[3.0, 0.0], [0.0, 0.0]]);
    let g = low.nuclear_norm().backward().unwrap().wrt(low);
    assert_relative_eq!(g.as_slice(), [1.0, 0.0, 0.0, 0.0].as_slice(), epsilon = 1e-15);
    // The norm of the identity has a first derivative, and its second is refused.
    let eye = tape.tensor(Tensor::eye(2));
    let norm = eye.nuclear_norm();
    assert_relative_eq!(norm.backward().unwrap().wrt(eye), Tensor::eye(2), epsilon = 1e-15);
    let g = norm.grad_recorded(&[eye]).unwrap()[0].unwrap();
    assert!(refusal(g.square().sum().backward()).contains("svd: singular values 0 and 1"));
    // Rows that are equal have the distance 0 and no derivative.
    let x = tape.tensor([[1.0, 2.0], [1.0, 2.0]]);
    for p in [1.0, 1.5, 2.0, 3.0, f64::INFINITY] {
        let d = x.cdist(x, p).sum();
        assert_eq!(d.item(), 0.0);
        assert_eq!(d.backward().unwrap().wrt(x), Tensor::zeros([2, 2]), "{p}");
        let g = d.grad_recorded(&[x]).unwrap()[0].unwrap();
        let second = g.square().sum().backward().unwrap().wrt(x);
        assert_eq!(second, Tensor::zeros([2, 2]), "{p}");
    }
}

#[test]
fn determinants_near_singular_matrices() {
    for n in 1..=4 {
        assert_gradients!(|a: TensorVar| a.det(), &Tensor::zeros([n, n]));
    }
    let rank_one = Tensor::from([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [-1.0, -2.0, -3.0]]);
    assert_gradients!(|a: TensorVar| a.det(), &rank_one);
    // Two small pivots of different sizes, hidden by a rotation.
    let tape = Tape::new();
    let (q, _) = tape.tensor(numbers([4, 4], -1.0, 1.0)).qr();
    let d = tape.constant([3.0, 2.0, 1e-9, 1e-13]);
    let a = (q * d).matmul(q.t()).value();
    assert_gradients!(|a: TensorVar| a.det(), &a);
    let badly_scaled = Tensor::from([[1.0, 0.0], [0.0, 1e-20]]);
    let x = tape.tensor(badly_scaled);
    assert_eq!(x.det().item(), 1e-20);
    // Which is far from singular: nothing but the scale is small.
    assert_eq!(x.inverse().value()[[1, 1]], 1e20);
    assert_eq!(x.solve(tape.tensor([1.0, 1e-20])).value(), Tensor::from([1.0, 1.0]));
    let row_scaled = tape.tensor([[1.0, 1.0], [1e-20, 2e-20]]);
    assert!(row_scaled.try_inverse().is_ok());
}

#[test]
fn messages_name_the_operation_and_the_line() {
    let tape = Tape::new();
    let low = tape.tensor([[0.1, 0.2], [0.3, 0.6]]);
    let wide = tape.tensor(numbers([2, 3], 0.0, 1.0));
    let vector = tape.tensor([1.0, 2.0]);
    let nan = tape.tensor([[1.0, f64::NAN], [0.0, 1.0]]);
    let batch = tape.tensor(Tensor::new([2, 1, 1], vec![1.0, 0.0]));
    let cases: &[(&str, &dyn Fn())] = &[
        ("solve: the matrix is singular", &|| ignore(low.solve(vector))),
        ("solve: shapes [2, 3] and [2, 1]: its matrices of 2", &|| ignore(wide.solve(vector))),
        ("solve: shapes [2, 2] and [3, 1]: 2 equations", &|| {
            ignore(low.solve(tape.tensor([1.0; 3])));
        }),
        ("inverse: the matrix is singular", &|| ignore(low.inverse())),
        ("inverse: matrix 1 of the batch is singular", &|| ignore(batch.inverse())),
        ("inverse: element 1 in row-major order is NaN", &|| ignore(nan.inverse())),
        ("inverse: shape [2]: it has no matrices", &|| ignore(vector.inverse())),
        ("slogdet: the matrix is singular", &|| ignore(low.slogdet())),
        ("logdet: the determinant of the matrix is negative", &|| {
            ignore(tape.tensor([[0.0, 1.0], [1.0, 0.0]]).logdet());
        }),
        ("det: element 1 in row-major order is NaN", &|| ignore(nan.det())),
        ("det: shape [2, 3]: its matrices of 2 rows and 3", &|| ignore(wide.det())),
        ("lstsq: a matrix does not have full rank", &|| ignore(low.lstsq(vector))),
        ("lstsq: shapes [2, 3] and [3]", &|| ignore(wide.lstsq(tape.tensor([1.0; 3])))),
        ("solve_triangular: element 0 of the diagonal is 0: matrix 1", &|| {
            ignore(batch.solve_triangular(tape.tensor([[1.0]]), Triangle::Upper));
        }),
        ("cholesky: the matrix is not positive definite", &|| ignore((-low).cholesky())),
        ("cholesky: shape [2, 3]: its matrices", &|| ignore(wide.cholesky())),
        ("eigh: element 1 in row-major order is NaN", &|| ignore(nan.eigh())),
        ("eigvalsh: shape [2, 3]", &|| ignore(wide.eigvalsh())),
        ("svd: element 1 in row-major order is NaN", &|| ignore(nan.svd())),
        ("qr: shape [2]: it has no matrices", &|| ignore(vector.qr())),
        ("lu: shape [2]: it has no matrices", &|| ignore(vector.lu())),
        ("pinv: shape [2]", &|| ignore(vector.pinv())),
        ("spectral_norm: shape [0, 2]: matrices without elements", &|| {
            ignore(tape.tensor(Tensor::zeros([0, 2])).spectral_norm());
        }),
        ("matrix_exp: the exponential overflows", &|| ignore((low * 1e4).matrix_exp())),
        ("matrix_power: shape [2, 3]", &|| ignore(wide.matrix_power(2))),
        ("inverse: the matrix is singular", &|| ignore(low.matrix_power(-1))),
        ("dot: shapes [2, 2] and [2]", &|| ignore(low.dot(vector))),
        ("outer: shapes [2, 2] and [2]", &|| ignore(low.outer(vector))),
        ("cdist: shapes [2, 2] and [2, 3]", &|| ignore(low.cdist(wide, 2.0))),
        ("cdist: the exponent is positive, not 0", &|| ignore(low.cdist(low, 0.0))),
        (
            "einsum: shapes [2, 3] and [2, 2]: \"ij,jk->ik\": `j` has the length 3 and the length 2",
            &|| {
                ignore(einsum("ij,jk->ik", &[wide, low]));
            },
        ),
        ("einsum: shape [2, 3]: \"ij,jk\": 2 operands are named, 1 are given", &|| {
            ignore(einsum("ij,jk", &[wide]));
        }),
        ("einsum: shape [2, 3]: \"i->i\": operand 0 of shape [2, 3] has 1 letters", &|| {
            ignore(einsum("i->i", &[wide]));
        }),
        ("\"ij->k\": the result has `k`, which no operand has", &|| {
            ignore(einsum("ij->k", &[wide]));
        }),
        ("\"ij->ii\": the result has `i` twice", &|| ignore(einsum("ij->ii", &[wide]))),
        ("\"i1->i\": `1` in `i1` is no letter", &|| ignore(einsum("i1->i", &[wide]))),
        ("`......` has two ellipses", &|| ignore(einsum("......", &[wide]))),
        ("the result lacks the ellipsis", &|| ignore(einsum("...i->i", &[wide]))),
        ("the ellipses do not broadcast", &|| ignore(einsum("...,...", &[wide, low]))),
        ("`-` in `i->j` is no letter", &|| ignore(einsum("ij->i->j", &[wide]))),
    ];
    for (expected, f) in cases {
        let (message, file, _) = panic_at(f);
        assert!(message.contains(expected), "{message}, not {expected}");
        assert!(file.ends_with("tests/linalg.rs"), "{message} at {file}");
    }
}

#[test]
fn einsum_takes_numbers() {
    let tape = Tape::new();
    let x = tape.tensor([1.0, 2.0]);
    assert_eq!(einsum(",i->i", &[3.0.into(), x]).value(), Tensor::from([3.0, 6.0]));
    assert_eq!(einsum("i,->", &[x, 2.0.into()]).item(), 6.0);
}

#[test]
fn einsum_contracts_in_a_good_order() {
    // Left to right this would be a matrix of 2000 by 2000.
    let tape = Tape::new();
    let n = 2000;
    let column = tape.tensor(numbers([n, 1], -1.0, 1.0));
    let row = tape.tensor(numbers([1, n], -1.0, 1.0));
    let vector = tape.tensor(numbers([n], -1.0, 1.0));
    let y = einsum("ij,jk,k->i", &[column, row, vector]).value();
    let inner: f64 = row.value().iter().zip(vector.value().iter()).map(|(a, b)| a * b).sum();
    for (y, x) in y.iter().zip(column.value().iter()) {
        assert_relative_eq!(*y, x * inner, epsilon = 1e-10);
    }
}
