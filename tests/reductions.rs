//! Products, cumulative reductions, norms and order statistics: sizes, zeros, and refusals.

use approx::assert_relative_eq;
use wengert::autograd::functional::hessian;
use wengert::prelude::*;

fn numbers(shape: &[usize]) -> Tensor {
    let n = shape.iter().product::<usize>();
    Tensor::new(shape, (0..n).map(|i| ((i * 37 + 11) % 101) as f64 / 50.0 - 0.9).collect())
}

#[test]
fn lines_of_any_length() {
    for n in 1..20 {
        let tape = Tape::new();
        let x = tape.tensor(numbers(&[n]));
        let data = x.value().to_vec();
        let product: f64 = data.iter().product();
        assert_relative_eq!(x.prod().item(), product, max_relative = 1e-13, epsilon = 1e-16);
        let mut so_far = (0.0, 1.0, f64::NEG_INFINITY);
        let (sums, products, logarithms) =
            (x.cumsum(0).value(), x.cumprod(0).value(), x.logcumsumexp(0).value());
        for (k, &x) in data.iter().enumerate() {
            so_far = (so_far.0 + x, so_far.1 * x, so_far.2.logaddexp(x));
            assert_relative_eq!(sums[[k]], so_far.0, epsilon = 1e-14);
            assert_relative_eq!(products[[k]], so_far.1, epsilon = 1e-14);
            assert_relative_eq!(logarithms[[k]], so_far.2, epsilon = 1e-14);
        }
        // The gradient of the product is that of the others.
        let g = x.prod().backward().unwrap().wrt(x);
        for k in 0..n {
            let others: f64 = (0..n).filter(|&i| i != k).map(|i| data[i]).product();
            assert_relative_eq!(g[[k]], others, max_relative = 1e-13, epsilon = 1e-16);
        }
        let (sorted, indices) = x.sort(0, false);
        let sorted = sorted.value();
        assert!(sorted.as_slice().is_sorted());
        assert!((0..n).all(|k| sorted[[k]] == data[indices.as_slice()[k]]));
        assert_eq!(x.median().item(), sorted[[(n - 1) / 2]]);
        assert_eq!(
            (x.quantile(0.0).item(), x.quantile(1.0).item()),
            (sorted[[0]], sorted[[n - 1]])
        );
        let (top, _) = x.topk(n.min(3), 0, true);
        assert!(top.value().iter().enumerate().all(|(k, &x)| x == sorted[[n - 1 - k]]));
    }
}

#[test]
fn axes_in_the_middle() {
    let tape = Tape::new();
    let x = tape.tensor(numbers(&[3, 4, 2]));
    let data = x.value();
    let (sorted, indices) = x.sort(1, true);
    let (sorted, order) = (sorted.value(), x.argsort(1, true));
    assert_eq!(indices, order);
    let (largest, smallest) = (x.argmax_axis(1), x.argmin_axis(1));
    let (top, places) = x.topk(2, 1, false);
    for i in 0..3 {
        for k in 0..2 {
            for j in 0..4 {
                let from = indices.as_slice()[(i * 4 + j) * 2 + k];
                assert_eq!(sorted[[i, j, k]], data[[i, from, k]]);
                assert!(j == 0 || sorted[[i, j, k]] <= sorted[[i, j - 1, k]]);
            }
            assert_eq!(data[[i, largest.as_slice()[2 * i + k], k]], sorted[[i, 0, k]]);
            assert_eq!(data[[i, smallest.as_slice()[2 * i + k], k]], sorted[[i, 3, k]]);
            assert_eq!(top.value()[[i, 0, k]], sorted[[i, 3, k]]);
            assert_eq!(data[[i, places.as_slice()[(2 * i + 1) * 2 + k], k]], sorted[[i, 2, k]]);
        }
    }
    assert_eq!(x.prod_axes([0, 2]).shape(), [4]);
    assert_eq!(x.prod_axes_keep(1).shape(), [3, 1, 2]);
    assert_relative_eq!(
        x.prod_axes([1, 2, 0]).item(),
        data.iter().product::<f64>(),
        epsilon = 1e-25
    );
    assert_eq!(x.std_axes_keep([0, 1], 1.0).shape(), [1, 1, 2]);
    assert_eq!(x.quantile_axis(1, 0.5).shape(), [3, 2]);
    assert_eq!(x.median_axis(-1).shape(), [3, 4]);
}

#[test]
fn second_derivatives_at_zeros() {
    let h = hessian(|x: TensorVar| x.prod(), Tensor::from([0.0, 2.0, 3.0])).unwrap();
    assert_eq!(h, Tensor::from([[0.0, 3.0, 2.0], [3.0, 0.0, 0.0], [2.0, 0.0, 0.0]]));
    let h = hessian(|x: TensorVar| x.cumprod(0).sum(), Tensor::from([0.0, 0.0, 3.0])).unwrap();
    assert_eq!(h, Tensor::from([[0.0, 4.0, 0.0], [4.0, 0.0, 0.0], [0.0, 0.0, 0.0]]));
    for p in [2.0, 3.0] {
        let h: Tensor = hessian(|x: TensorVar| x.norm(p), Tensor::from([0.0, 0.0])).unwrap();
        assert_eq!(h, Tensor::zeros([2, 2]), "norm of order {p}");
    }
    let h: Tensor = hessian(|x: TensorVar| x.std(0.0), Tensor::from([1.0, 1.0])).unwrap();
    assert_eq!(h, Tensor::zeros([2, 2]));
    // An element that is 0 beside one that is not.
    let h: Tensor = hessian(|x: TensorVar| x.norm(3.0), Tensor::from([0.0, 2.0])).unwrap();
    assert_eq!(h, Tensor::zeros([2, 2]));
}

#[test]
fn the_recorded_gradient_of_logsumexp_keeps_its_digits() {
    let tape = Tape::<f32>::default();
    let x = tape.tensor([10_000.0, 10_000.5]);
    let y = x.logsumexp();
    let recorded = y.grad_recorded(&[x]).unwrap()[0].unwrap().value();
    let p = 1.0 / (1.0 + 0.5f32.exp());
    assert_relative_eq!(recorded[[0]], p, max_relative = 1e-6);
    assert_relative_eq!(recorded, y.backward().unwrap().wrt(x), max_relative = 1e-6);
}

/// In single precision, against double: drifting bases, and one piece far above the others.
#[test]
fn logsumexp_of_a_long_row_in_single_precision() {
    for far in [0.0, 40.0, 300.0] {
        let at = |i: usize| {
            let jump = if i / 1024 == 4 { far } else { 0.0 };
            ((i * 37 + 11) % 101) as f64 / 50.0 + 3.0 * (i / 1024) as f64 + jump
        };
        let (tape, wide) = (Tape::<f32>::default(), Tape::new());
        let x = tape.tensor((0..10_000).map(|i| at(i) as f32).collect::<Vec<_>>());
        let z = wide.tensor((0..10_000).map(|i| f64::from(at(i) as f32)).collect::<Vec<_>>());
        let (y, right) = (x.logsumexp(), z.logsumexp());
        assert_relative_eq!(f64::from(y.item()), right.item(), max_relative = 1e-6);
        let (g, right) = (y.backward().unwrap().wrt(x), right.backward().unwrap().wrt(z));
        for (&g, &right) in g.iter().zip(right.iter()) {
            assert_relative_eq!(f64::from(g), right, max_relative = 4e-5, epsilon = 1e-30);
        }
    }
}

/// Rows that are computed in pieces, some from the base of a piece before: with bases far apart, near each other or drifting,
/// without a finite element, infinite, with NaN.
#[test]
fn logsumexp_of_long_rows() {
    let n = 40_003;
    let at = |row: usize, i: usize| {
        let wave = ((i * 37 + 11) % 101) as f64 / 50.0;
        match (row, i / 1024) {
            (0, _) => wave,
            (1, piece) => wave + 900.0 * (piece % 3) as f64 - 1000.0,
            (2, 3..9) => f64::NEG_INFINITY,
            (2, _) => wave - 800.0,
            (3, _) => f64::NEG_INFINITY,
            (4, _) if i == 20_000 => f64::INFINITY,
            (5, _) if i == 20_000 => f64::NAN,
            (6, piece) => wave + 4.0 * piece as f64,
            (7, piece) => wave - 4.0 * piece as f64,
            (8, piece) => wave + 900.0 * (piece / 4 % 2) as f64,
            _ => wave + 5.0,
        }
    };
    // So many short rows that threads share them.
    let rows = |columns: usize| if columns < 2000 { 63 } else { 9 };
    let run = |columns: usize| {
        let (tape, rows) = (Tape::new(), rows(columns));
        let data = (0..rows * columns).map(|k| at(k / columns % 9, k % columns)).collect();
        let x = tape.tensor(Tensor::new([rows, columns], data));
        let y = x.logsumexp_axes(1);
        let weights = tape.constant((0..rows).map(|row| (row + 1) as f64).collect::<Vec<_>>());
        let gradient = (y * weights).sum().backward().unwrap().wrt(x);
        (y.value().to_vec(), gradient.to_vec())
    };
    for columns in [1, 1023, 1024, 1025, 20_001, n] {
        let (values, gradient) = run(columns);
        for (row, &value) in values.iter().enumerate() {
            let x: Vec<f64> = (0..columns).map(|i| at(row % 9, i)).collect();
            let largest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = x.iter().map(|x| (x - largest).exp()).sum();
            let gradient = &gradient[row * columns..][..columns];
            let infinite = x.contains(&f64::INFINITY);
            if x.iter().any(|x| x.is_nan()) {
                assert!(value.is_nan() && gradient.iter().all(|g| g.is_nan()));
            } else if largest == f64::NEG_INFINITY || infinite {
                assert_eq!(value, largest);
            } else {
                assert_relative_eq!(value, sum.ln() + largest, max_relative = 1e-13);
                for (g, x) in gradient.iter().zip(x) {
                    let expected = (row + 1) as f64 * (x - largest).exp() / sum;
                    assert_relative_eq!(*g, expected, max_relative = 1e-12, epsilon = 1e-300);
                }
            }
        }
    }
    let tape = Tape::new();
    let none = tape.tensor(Tensor::zeros([0, 5]));
    assert_eq!(none.logsumexp_axes(1).sum().backward().unwrap().wrt(none).shape(), &[0, 5]);
    let bits = |(values, gradient): (Vec<f64>, Vec<f64>)| -> Vec<u64> {
        values.iter().chain(&gradient).map(|x| x.to_bits()).collect()
    };
    for columns in [1025, n] {
        let expected = bits(with_threads(1, || run(columns)));
        assert_eq!(bits(with_threads(3, || run(columns))), expected);
    }
}

#[test]
fn logic() {
    let tape = Tape::new();
    let x = tape.tensor([[1.0, 0.0], [f64::NAN, -2.0], [0.0, -0.0]]);
    assert_eq!(x.all_axes(1).value().to_vec(), [0.0, 1.0, 0.0]);
    assert_eq!(x.any_axes(1).value().to_vec(), [1.0, 1.0, 0.0]);
    assert_eq!(x.all_axes([0, 1]).item(), 0.0);
    assert!(x.any() && !x.all());
    assert!(x.any_axes(0).sum().backward().unwrap().get(x).is_none());
}

/// The panic of a closure.
fn panic_of<R>(f: impl FnOnce() -> R) -> String {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).map(|_| ());
    let panic = result.unwrap_err();
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn refusals_name_the_operation_and_the_shape() {
    let tape = Tape::new();
    let x = tape.tensor(numbers(&[2, 3]));
    let empty = tape.tensor(Tensor::zeros([2, 0]));
    let cases: [(String, [&str; 2]); 16] = [
        (panic_of(|| x.cumsum(2)), ["cumsum", "axis 2"]),
        (panic_of(|| x.cumprod(2)), ["cumprod", "axis 2"]),
        (panic_of(|| x.logcumsumexp(-3)), ["logcumsumexp", "axis -3"]),
        (panic_of(|| x.cummax(2)), ["cummax", "axis 2"]),
        (panic_of(|| x.sort(2, true)), ["argsort", "axis 2"]),
        (panic_of(|| x.topk(4, 1, true)), ["topk", "4 elements of axis 1 of shape [2, 3]"]),
        (panic_of(|| empty.argmax()), ["argmax", "[2, 0]"]),
        (panic_of(|| empty.argmin_axis(1)), ["argmin_axis", "[2, 0]"]),
        (panic_of(|| empty.median()), ["median", "no elements"]),
        (panic_of(|| empty.median_axis(1)), ["median_axis", "[2, 0]"]),
        (panic_of(|| empty.quantile(0.5)), ["quantile", "no elements"]),
        (panic_of(|| x.quantile(1.5)), ["quantile", "1.5 is not in [0, 1]"]),
        (panic_of(|| x.norm(0.5)), ["norm", "0.5"]),
        (panic_of(|| x.norm_axes(2, 2.0)), ["norm", "axis 2"]),
        (panic_of(|| x.std_axes([0, 0], 1.0)), ["std", "twice"]),
        (panic_of(|| x.all_axes(5)), ["all", "axis 5"]),
    ];
    for (text, parts) in cases {
        assert!(parts.iter().all(|part| text.contains(part)), "{parts:?}: {text}");
    }
}
