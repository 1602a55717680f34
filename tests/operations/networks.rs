//! Softmax and losses.

use super::*;

#[test]
fn softmax_and_its_logarithm() {
    let x = numbers([2, 3, 2], -2.0, 2.0);
    let tape = Tape::new();
    for axis in [0, 1, 2, -1] {
        let t = tape.tensor(&x);
        let e = t.exp();
        let expected = (e / e.sum_axes_keep(axis)).value();
        assert_relative_eq!(t.softmax(axis).value(), expected, epsilon = 1e-14);
        assert_relative_eq!(t.log_softmax(axis).value(), expected.map(f64::ln), epsilon = 1e-14);
        assert_gradients!(|x: TensorVar| x.softmax(axis).square(), &x);
        assert_gradients!(|x: TensorVar| x.log_softmax(axis) * x, &x);
    }
    let big = tape.tensor([1e4, -1e4, 0.0]);
    assert_eq!(big.softmax(0).value(), Tensor::from([1.0, 0.0, 0.0]));
    assert_eq!(big.log_softmax(0).value(), Tensor::from([0.0, -2e4, -1e4]));
}

#[test]
fn losses() {
    let x = numbers([3, 4], -2.0, 2.0);
    let labels = [2, 0, 3];
    let tape = Tape::new();
    let expected: f64 = labels
        .iter()
        .enumerate()
        .map(|(i, &label)| {
            let row = &x.as_slice()[i * 4..(i + 1) * 4];
            row.iter().map(|x| x.exp()).sum::<f64>().ln() - row[label]
        })
        .sum::<f64>()
        / 3.0;
    assert_relative_eq!(tape.tensor(&x).cross_entropy(labels).item(), expected, epsilon = 1e-14);
    assert_gradients!(|x: TensorVar| x.cross_entropy(labels), &x);
    let f = |x: TensorVar| x.reshape([3, 2, 2]).cross_entropy([0, 1, 1, 0, 0, 1]);
    assert_gradients!(f, &x);
    let y = numbers([3, 4], 0.0, 1.0);
    let expected = x.zip_map(&y, |a, b| (a - b) * (a - b)).iter().sum::<f64>() / 12.0;
    let loss = tape.tensor(&x).mse_loss(tape.constant(&y)).item();
    assert_relative_eq!(loss, expected, epsilon = 1e-14);
    assert_gradients!(|(x, y): (TensorVar, TensorVar)| x.mse_loss(y), (&x, &y));
    // Logits of any size.
    let big = tape.tensor([[1e4, -1e4], [-1e4, 1e4]]);
    let loss = big.cross_entropy([0, 0]);
    assert_eq!(loss.item(), 1e4);
    let g = loss.backward().unwrap().wrt(big);
    assert_eq!(g, Tensor::from([[0.0, 0.0], [-0.5, 0.5]]));
}

#[test]
fn kernels_of_softmax_and_losses() {
    for shape in [[1, 1], [1, 7], [5, 16], [3, 65], [2, 2000]] {
        let x = numbers(shape, -3.0, 3.0);
        for axis in [0, 1] {
            assert_kernels_are_composites(|v| v[0].softmax(axis), std::slice::from_ref(&x));
            assert_kernels_are_composites(|v| v[0].log_softmax(axis), std::slice::from_ref(&x));
        }
        let labels: Vec<usize> = (0..shape[0]).map(|i| (7 * i + 3) % shape[1]).collect();
        assert_kernels_are_composites(|v| v[0].cross_entropy(&labels), std::slice::from_ref(&x));
        // What a kernel is lent is added to.
        let twice = |v: &[TensorVar]| {
            let x = v[0];
            x.softmax(-1).sum()
                + x.cross_entropy(&labels) * 3.0
                + x.softmax(0).square().sum()
                + x.log_softmax(-1).square().sum()
                + (x * x).sum()
        };
        assert_kernels_are_composites(twice, &[x]);
    }
}

#[test]
fn large_losses_on_threads() {
    let x = numbers([1000, 120], -3.0, 3.0);
    let labels: Vec<usize> = (0..1000).map(|i| (7 * i + 3) % 120).collect();
    assert_threads_agree(
        |v| v[0].cross_entropy(&labels) + v[0].softmax(-1).square().sum(),
        std::slice::from_ref(&x),
    );
    assert_threads_agree(|v| v[0].softmax(0) + v[0].log_softmax(1), std::slice::from_ref(&x));
    let tape = Tape::<f32>::default();
    let logits = tape.tensor(single(&x));
    let loss = logits.cross_entropy(&labels);
    let exact = Tape::new().tensor(&x).cross_entropy(&labels).item();
    assert_relative_eq!(f64::from(loss.item()), exact, epsilon = 1e-6);
    let g = loss.backward().unwrap().wrt(logits);
    for (row, g) in g.as_slice().chunks(120).enumerate() {
        assert!(g.iter().sum::<f32>().abs() < 1e-8);
        assert!(g[labels[row]] < 0.0);
    }
}

#[test]
fn losses_of_extreme_logits() {
    let tape = Tape::<f32>::default();
    // In single precision 1e4 + ln 2 is 1e4; the probabilities are one half all the same.
    let x = tape.tensor([[1e4f32, 1e4, -1e4], [f32::NEG_INFINITY, 0.0, 0.0]]);
    let loss = x.cross_entropy([0, 1]);
    assert_relative_eq!(loss.item(), 2f32.ln(), epsilon = 1e-6);
    let g = loss.backward().unwrap().wrt(x);
    assert_relative_eq!(
        g.as_slice(),
        [-0.25f32, 0.25, 0.0, 0.0, -0.25, 0.25].as_slice(),
        epsilon = 1e-7
    );
    assert!(tape.tensor([[1.0f32, f32::NAN]]).cross_entropy([0]).item().is_nan());
    assert!(tape.tensor([[1.0f32, f32::INFINITY]]).cross_entropy([0]).item().is_nan());
    let none = tape.tensor(Tensor::<f32>::zeros([0, 3]));
    assert!(none.cross_entropy([]).item().is_nan());
    assert_eq!(none.softmax(1).sum().backward().unwrap().wrt(none), Tensor::zeros([0, 3]));
}
