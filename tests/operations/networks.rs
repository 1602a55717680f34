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
