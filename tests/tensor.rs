//! Plain tensors: making them, reading them, printing them, and the distributions of initialisers.

use approx::{assert_abs_diff_eq, assert_relative_eq, assert_relative_ne};
use rand::SeedableRng;
use rand::rngs::StdRng;
use wengert::prelude::*;

#[test]
fn ways_to_make_one() {
    let from_slice = Tensor::from(&[1.0, 2.0, 3.0][..]);
    assert_eq!(from_slice, Tensor::from([1.0, 2.0, 3.0]));
    assert_eq!(from_slice, vec![1.0, 2.0, 3.0].into());
    assert_eq!(from_slice, (1..4).map(f64::from).collect());
    let matrix = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    assert_eq!(*matrix.shape(), [2, 2]);
    let cube = Tensor::from([[[1.0f32, 2.0]], [[3.0, 4.0]], [[5.0, 6.0]]]);
    assert_eq!(*cube.shape(), [3, 1, 2]);
    assert_eq!(cube[[2, 0, 1]], 6.0);
    assert_eq!(Tensor::scalar(2.5).item(), 2.5);
    assert_eq!(Tensor::from(2.5).rank(), 0);
    assert_eq!(Tensor::<f64>::eye(2), Tensor::from([[1.0, 0.0], [0.0, 1.0]]));
    assert_eq!(Tensor::linspace(0.0, 1.0, 5), Tensor::from([0.0, 0.25, 0.5, 0.75, 1.0]));
    assert_eq!(Tensor::linspace(3.0, 9.0, 1), Tensor::from([3.0]));
    let table = Tensor::from_fn([2, 3], |[i, j]| (10 * i + j) as f64);
    assert_eq!(table, Tensor::from([[0.0, 1.0, 2.0], [10.0, 11.0, 12.0]]));
    assert_eq!(Tensor::<f64>::ones([2, 0]).len(), 0);
}

#[test]
fn reading_and_writing() {
    let mut t = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    let copy = t.clone();
    assert!(t.shares_buffer(&copy));
    t[[1, 0]] = 40.0;
    assert!(!t.shares_buffer(&copy));
    assert_eq!((t[[1, 0]], copy[[1, 0]]), (40.0, 4.0));
    assert_eq!(copy.reshape([3, 2])[[2, 1]], 6.0);
    assert!(copy.reshape([6]).shares_buffer(&copy));
    assert_eq!(copy.rows(&[1, 1, 0])[[0, 2]], 6.0);
    assert_eq!(copy.map(|x| x * x).iter().sum::<f64>(), 91.0);
    assert_eq!(copy.zip_map(&copy, |a, b| a - b), Tensor::zeros([2, 3]));
    assert_eq!(copy.to_vec(), copy.as_slice());
    t.as_mut_slice().fill(0.0);
    assert_eq!(t, Tensor::zeros([2, 3]));
    // A leaf shares the buffer, and writing afterwards does not reach it.
    let tape = Tape::new();
    let leaf = tape.tensor(&t);
    assert!(leaf.value().shares_buffer(&t));
    t.as_mut_slice().fill(7.0);
    assert_eq!(leaf.value(), Tensor::zeros([2, 3]));
}

#[test]
fn comparing() {
    let a = Tensor::from([1.0, 2.0]);
    let b = Tensor::from([1.0 + 1e-12, 2.0]);
    assert_ne!(a, b);
    assert_abs_diff_eq!(a, b, epsilon = 1e-11);
    assert_relative_eq!(a, b, max_relative = 1e-11);
    assert_relative_ne!(a, a.reshape([2, 1]));
    assert_ne!(a, a.reshape([1, 2]));
}

#[test]
fn printing() {
    assert_eq!(Tensor::scalar(1.5).to_string(), "1.5");
    assert_eq!(format!("{:.2}", Tensor::from([1.0, 2.0])), "[1.00, 2.00]");
    assert_eq!(Tensor::from([[1.0, 2.0], [3.0, 4.0]]).to_string(), "[[1, 2],\n [3, 4]]");
    let cube = Tensor::from([[[1.0], [2.0]], [[3.0], [4.0]]]);
    assert_eq!(cube.to_string(), "[[[1],\n  [2]],\n\n [[3],\n  [4]]]");
    assert_eq!(Tensor::<f64>::zeros([0, 3]).to_string(), "[] of shape [0, 3]");
    let tape = Tape::new();
    assert_eq!(format!("{} {:?}", tape.var(2.5), Var::constant(1.0)), "2.5 Var(1.0, constant)");
}

/// Mean and variance.
fn moments(t: &Tensor) -> (f64, f64) {
    let n = t.len() as f64;
    let mean = t.iter().sum::<f64>() / n;
    (mean, t.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n)
}

#[test]
fn initialisers() {
    let mut rng = StdRng::seed_from_u64(7);
    let (fan_in, fan_out) = (200.0, 300.0);
    let shape = [200, 300];
    // 60,000 draws: the mean is within 5 standard errors, the variance within 3 per cent.
    let check = |t: &Tensor, variance: f64, bound: Option<f64>| {
        let (mean, found) = moments(t);
        assert!(mean.abs() < 5.0 * (variance / 6e4).sqrt(), "{mean}");
        assert_relative_eq!(found, variance, max_relative = 0.03);
        if let Some(bound) = bound {
            let largest = t.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
            assert!(largest <= bound && largest > 0.999 * bound, "{largest} {bound}");
        }
    };
    let xavier = 2.0 / (fan_in + fan_out);
    let he = 2.0 / fan_in;
    check(&Tensor::xavier_uniform(shape, &mut rng), xavier, Some((3.0 * xavier).sqrt()));
    check(&Tensor::xavier_normal(shape, &mut rng), xavier, None);
    check(&Tensor::he_uniform(shape, &mut rng), he, Some((3.0 * he).sqrt()));
    check(&Tensor::he_normal(shape, &mut rng), he, None);
    check(&Tensor::normal(shape, 0.0, 2.0, &mut rng), 4.0, None);
    check(&Tensor::uniform(shape, -1.5, 1.5, &mut rng), 0.75, Some(1.5));
    // A convolution kernel [out, in, height, width].
    check(&Tensor::he_normal([100, 40, 4, 4], &mut rng), 2.0 / 640.0, None);
    check(&Tensor::xavier_normal([100, 40, 4, 4], &mut rng), 2.0 / (640.0 + 1600.0), None);
    // A distribution of rand_distr.
    let exponential = rand_distr::Exp::new(2.0).expect("a positive rate");
    let (mean, variance) = moments(&Tensor::random(shape, &exponential, &mut rng));
    assert_relative_eq!(mean, 0.5, max_relative = 0.03);
    assert_relative_eq!(variance, 0.25, max_relative = 0.06);
    // The same seed gives the same numbers.
    let draw = || Tensor::<f32>::he_normal([3, 3], &mut StdRng::seed_from_u64(1));
    assert_eq!(draw(), draw());
}

#[test]
fn shapes() {
    let shape = |s: &[usize]| Shape::from(s);
    let broadcast = |a: &[usize], b: &[usize]| shape(a).broadcast(&shape(b));
    assert_eq!(broadcast(&[2, 3], &[3]), Some(shape(&[2, 3])));
    assert_eq!(broadcast(&[2, 1], &[1, 3]), Some(shape(&[2, 3])));
    assert_eq!(broadcast(&[0, 1], &[3]), Some(shape(&[0, 3])));
    assert_eq!(broadcast(&[], &[2]), Some(shape(&[2])));
    assert_eq!(broadcast(&[2], &[3]), None);
    assert_eq!(broadcast(&[2, 3], &[2]), None);
    assert_eq!(shape(&[2, 3, 4]).strides()[..], [12, 4, 1]);
    assert_eq!(shape(&[]).elements(), 1);
    assert_eq!(format!("{} {:?}", shape(&[2, 3]), shape(&[])), "[2, 3] []");
}

#[test]
fn pieces_along_the_outermost_axis_are_windows() {
    let whole = Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]);
    let mut piece = whole.slice(0, 1..4);
    assert!(piece.shares_buffer(&whole));
    assert_eq!(piece, Tensor::from([[3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]));
    assert_eq!((piece.len(), piece[[1, 1]], piece.to_vec()[5]), (6, 6.0, 8.0));
    let inner = piece.slice(0, 1..2);
    assert!(inner.shares_buffer(&whole));
    assert_eq!((inner[[0, 0]], inner.reshape([2])), (5.0, Tensor::from([5.0, 6.0])));
    assert_eq!(inner.slice(1, 1..2).item(), 6.0);
    assert_eq!(piece.select(0, 2), Tensor::from([7.0, 8.0]));
    assert_eq!(piece.slice(0, 3..3).len(), 0);
    assert_eq!(piece.map(|x| x + 1.0), &piece + 1.0);
    // Writing to a window leaves the rest alone.
    assert!(piece.get_mut_slice().is_none());
    piece.as_mut_slice()[0] = 0.0;
    assert_eq!((piece[[0, 0]], whole[[1, 0]], inner[[0, 0]]), (0.0, 3.0, 5.0));
    let mut last = whole.slice(0, 3..4);
    assert!(last.get_mut_slice().is_none());
    drop((whole, inner));
    last.get_mut_slice().expect("the last one that holds the buffer")[1] = 9.0;
    assert_eq!(last, Tensor::from([[7.0, 9.0]]));
}

#[test]
fn windows_outlive_their_tape() {
    let mut tape = Tape::new();
    let mut kept = Vec::new();
    for k in 0..20 {
        tape.reset();
        let x = tape.tensor(Tensor::full([4, 50], f64::from(k)));
        let y = (x + 1.0).exp().ln().slice(0, 1..3);
        let g = (y * y).sum().backward().unwrap().wrt(x);
        kept.push((y.value(), g.slice(0, 2..4)));
    }
    for (k, (y, g)) in kept.iter().enumerate() {
        let expected = Tensor::full([2, 50], k as f64 + 1.0);
        assert_relative_eq!(*y, expected, max_relative = 1e-12);
        assert_relative_eq!(
            g.slice(0, 0..1),
            Tensor::full([1, 50], 2.0 * (k as f64 + 1.0)),
            max_relative = 1e-12
        );
        assert_eq!(g.slice(0, 1..2), Tensor::zeros([1, 50]));
    }
}
