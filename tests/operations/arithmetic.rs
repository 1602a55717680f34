//! Operators, broadcasting, mixtures of scalars and tensors.

use super::*;

/// Pairs of shapes that broadcast.
fn pairs() -> Vec<(Shape, Shape)> {
    let shape = |s: &[usize]| Shape::from(s);
    [
        (&[][..], &[][..]),
        (&[3], &[3]),
        (&[3], &[]),
        (&[], &[2, 2]),
        (&[2, 3], &[3]),
        (&[3], &[2, 3]),
        (&[2, 3], &[2, 1]),
        (&[2, 1], &[1, 3]),
        (&[4, 1, 2], &[3, 1]),
        (&[1], &[2, 2]),
        (&[1, 1, 1], &[2]),
    ]
    .map(|(a, b)| (shape(a), shape(b)))
    .to_vec()
}

#[test]
fn every_operator_on_every_broadcast() {
    for (s, t) in pairs() {
        let (a, b) = (numbers(&s, 0.5, 2.0), numbers(&t, -2.0, -0.5));
        assert_gradients!(|(a, b): (TensorVar, TensorVar)| a + b, (&a, &b));
        assert_gradients!(|(a, b): (TensorVar, TensorVar)| (a - b) * a, (&a, &b));
        assert_gradients!(|(a, b): (TensorVar, TensorVar)| a * b, (&a, &b));
        assert_gradients!(|(a, b): (TensorVar, TensorVar)| a / b, (&a, &b));
        assert_gradients!(|(a, b): (TensorVar, TensorVar)| -a * b.exp() - b, (&a, &b));
    }
}

#[test]
fn broadcast_values_by_index() {
    for (s, t) in pairs() {
        let (a, b) = (numbers(&s, 0.5, 2.0), numbers(&t, -2.0, -0.5));
        let tape = Tape::new();
        let sum = (tape.tensor(&a) - 2.0 * tape.tensor(&b)).value();
        let at = |x: &Tensor, index: &[usize]| {
            let skip = index.len() - x.rank();
            let offset = x
                .shape()
                .iter()
                .zip(&index[skip..])
                .fold(0, |o, (&d, &i)| o * d + if d == 1 { 0 } else { i });
            x.as_slice()[offset]
        };
        let shape = sum.shape().clone();
        for (k, &value) in sum.iter().enumerate() {
            let mut index = vec![0; shape.rank()];
            let mut rest = k;
            for axis in (0..shape.rank()).rev() {
                index[axis] = rest % shape[axis];
                rest /= shape[axis];
            }
            assert_eq!(value, at(&a, &index) - 2.0 * at(&b, &index));
        }
    }
}

#[test]
fn constants_on_both_sides() {
    let f = |x: Var| {
        let mut y = 2.0 + x * 3.0 - 1.0 / x + (x - 1.5) / 4.0 + 0.5 * x - (7.0 - x) % 4.0;
        y += x;
        y -= 2.0;
        y *= x;
        y /= 3.0;
        y + (-x) * &x + &x / &x
    };
    assert_gradients!(f, 0.8);
    let f = |x: TensorVar| {
        let mut y = 2.0 + x * 3.0 - 1.0 / x + (x - 1.5) / 4.0 + 0.5 * x - (7.0 - x) % 4.0;
        y += x;
        y -= 2.0;
        y *= x;
        y /= 3.0;
        y + (-x) * &x + &x / &x
    };
    assert_gradients!(f, numbers([3, 2], 0.5, 0.9));
    assert_gradients!(|x: Var| [x, x * x, x.exp()].iter().sum::<Var>(), 0.8);
    assert_gradients!(|x: Var| [x, x * x, x.exp()].iter().product::<Var>(), 0.8);
}

#[test]
fn data_on_both_sides() {
    let data = numbers([2, 3], 0.5, 2.0);
    let f = |x: TensorVar| &data / x + x * &data - &data * (x - &data).exp();
    assert_gradients!(f, numbers([3], 0.5, 2.0));
}

#[test]
fn scalars_and_tensors_in_one_expression() {
    let f = |(x, t): (Var, TensorVar)| {
        let inner = (x * t + t / x - x).exp().sum().to_scalar();
        (inner.sin() * t * x + inner).mean()
    };
    assert_gradients!(f, (0.7, numbers([2, 2], 0.1, 0.6)));
    let f = |(x, t): (Var, TensorVar)| (t * x.sin()).sum().to_scalar() * x;
    assert_gradients!(f, (0.7, numbers([3], 0.1, 0.6)));
}

#[test]
fn stop_gradient_cuts() {
    let tape = Tape::new();
    let x = tape.var(3.0);
    let y = x.stop_gradient() * x;
    assert_eq!(y.value(), 9.0);
    assert_eq!(y.backward().unwrap().wrt(x), 3.0);
    let t = tape.tensor([3.0, 4.0]);
    let g = (t.stop_gradient() * t).sum().backward().unwrap();
    assert_eq!(g.wrt(t), Tensor::from([3.0, 4.0]));
    let cut = (t.stop_gradient() * 2.0).sum();
    assert_eq!(cut.backward().unwrap().get(t), None);
    assert_eq!(cut.backward().unwrap().wrt(t), Tensor::zeros([2]));
    assert_eq!(x.stop_gradient().backward().unwrap().get(x), None);
}
