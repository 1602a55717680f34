//! Shapes, indexing, selection.

use super::*;

#[test]
fn values() {
    let tape = Tape::new();
    let x = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    let t = tape.tensor(&x);
    assert_eq!(t.t().value(), Tensor::from([[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]));
    assert_eq!(t.reshape([3, 2]).value(), Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]));
    assert_eq!(t.slice(1, 1..3).value(), Tensor::from([[2.0, 3.0], [5.0, 6.0]]));
    assert_eq!(t.select(0, 1).value(), Tensor::from([4.0, 5.0, 6.0]));
    assert_eq!(t.flatten().shape(), [6]);
    assert_eq!(t.unsqueeze(1).shape(), [2, 1, 3]);
    assert_eq!(t.unsqueeze(-1).squeeze(2).shape(), [2, 3]);
    assert_eq!(t.broadcast_to([2, 2, 3]).value().as_slice()[6..9], [1.0, 2.0, 3.0]);
    let u = tape.tensor([[7.0, 8.0, 9.0]]);
    assert_eq!(concat(&[t, u], 0).value()[[2, 1]], 8.0);
    let wide = concat(&[t, t], 1).value();
    assert_eq!(
        wide,
        Tensor::from([[1.0, 2.0, 3.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 4.0, 5.0, 6.0]])
    );
    assert_eq!(stack(&[t, t], -1).value()[[1, 2, 1]], 6.0);
    let p = tape.tensor(numbers([2, 3, 4], 0.0, 1.0));
    let (a, b) = (p.value(), p.permute(&[2, 0, 1]).value());
    assert_eq!(b.shape(), &Shape::from([4, 2, 3]));
    assert_eq!(a[[1, 2, 3]], b[[3, 1, 2]]);
}

#[test]
fn derivatives() {
    let x = numbers([2, 3, 2], -1.0, 1.0);
    assert_gradients!(|x: TensorVar| x.reshape([3, 4]).exp(), &x);
    assert_gradients!(|x: TensorVar| x.permute(&[2, 0, 1]).exp() * 2.0, &x);
    assert_gradients!(|x: TensorVar| x.transpose(0, -1).square(), &x);
    assert_gradients!(|x: TensorVar| x.slice(1, 1..3).square() * x.slice(1, 0..2), &x);
    assert_gradients!(|x: TensorVar| x.select(0, 1) * x.select(0, 0).exp(), &x);
    assert_gradients!(|x: TensorVar| x.flatten().square(), &x);
    assert_gradients!(|x: TensorVar| x.unsqueeze(1).exp() * x.unsqueeze(0), &x);
    assert_gradients!(|x: TensorVar| x.slice(0, 0..1).squeeze(0).exp(), &x);
    assert_gradients!(|x: TensorVar| x.broadcast_to([2, 2, 3, 2]).exp(), &x);
    let y = numbers([2, 1, 2], -1.0, 1.0);
    let f = |(x, y): (TensorVar, TensorVar)| concat(&[x, y, x * x], 1).exp();
    assert_gradients!(f, (&x, &y));
    assert_gradients!(|x: TensorVar| stack(&[x, x.exp(), x * x], 1).square(), &x);
    // A slice whose rest has no gradient at all.
    let tape = Tape::new();
    let t = tape.tensor([1.0, 2.0, 3.0]);
    let g = t.slice(0, 1..2).square().sum().backward().unwrap();
    assert_eq!(g.wrt(t), Tensor::from([0.0, 4.0, 0.0]));
}

#[test]
fn indexing() {
    let tape = Tape::new();
    let table = tape.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    let rows = table.index_select(0, [2, 0, 2]);
    assert_eq!(rows.value(), Tensor::from([[5.0, 6.0], [1.0, 2.0], [5.0, 6.0]]));
    let g = rows.sum().backward().unwrap().wrt(table);
    assert_eq!(g, Tensor::from([[1.0, 1.0], [0.0, 0.0], [2.0, 2.0]]));
    assert_eq!(table.index_select(1, [1]).value(), Tensor::from([[2.0], [4.0], [6.0]]));
    let picked = table.gather(1, [3, 1], [0, 1, 1]);
    assert_eq!(picked.value(), Tensor::from([[1.0], [4.0], [6.0]]));
    let down = table.gather(0, [2, 2], [2, 0, 1, 1]);
    assert_eq!(down.value(), Tensor::from([[5.0, 2.0], [3.0, 4.0]]));
    let x = numbers([3, 4], -1.0, 1.0);
    assert_gradients!(|x: TensorVar| x.index_select(0, [2, 0, 2]).exp(), &x);
    assert_gradients!(|x: TensorVar| x.index_select(1, [3, 3, 1]).square(), &x);
    assert_gradients!(|x: TensorVar| x.gather(1, [3, 2], [0, 1, 3, 3, 2, 0]).square(), &x);
    assert_gradients!(|x: TensorVar| x.gather(0, [1, 4], [2, 0, 0, 1]).exp(), &x);
    let cube = numbers([2, 3, 2], -1.0, 1.0);
    let indices = [0, 2, 1, 1, 0, 0, 2, 2];
    assert_gradients!(|x: TensorVar| x.gather(1, [2, 2, 2], indices).exp(), &cube);
}

#[test]
fn selection() {
    let tape = Tape::new();
    let mask = tape.constant([1.0, 0.0, -1.0]);
    let (x, y) = (tape.tensor([1.0, 2.0, 3.0]), tape.tensor([10.0, 20.0, 30.0]));
    let chosen = where_(mask, x, y);
    assert_eq!(chosen.value(), Tensor::from([1.0, 20.0, 3.0]));
    let g = chosen.sum().backward().unwrap();
    assert_eq!(g.wrt(x), Tensor::from([1.0, 0.0, 1.0]));
    assert_eq!(g.wrt(y), Tensor::from([0.0, 1.0, 0.0]));
    let a = numbers([2, 3], -1.0, 1.0);
    let f = |(a, b): (TensorVar, TensorVar)| {
        let mask = a.constant_like([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]);
        where_(mask, a * b, b.exp()) * a
    };
    assert_gradients!(f, (&a, numbers([3], 0.1, 1.0)));
    // The branch not taken does not poison the gradient.
    let z = tape.tensor([0.0, 4.0]);
    let safe = TensorVar::select_gt(z, 0.0, z, 1.0);
    let root = TensorVar::select_gt(z, 0.0, safe.sqrt(), 0.0);
    assert_eq!(root.sum().backward().unwrap().wrt(z), Tensor::from([0.0, 0.25]));
}

#[test]
fn the_kernels_say_what_the_composites_say() {
    type Move = fn(TensorVar) -> TensorVar;
    let moves: [(&str, Move); 9] = [
        ("reshape", |x| x.reshape([x.shape().elements()])),
        ("transpose", |x| x.transpose(1, 2)),
        ("permute", |x| x.permute(&[1, 0, 2])),
        ("permute", |x| x.permute(&[2, 0, 1])),
        ("permute", |x| x.permute(&[2, 1, 0])),
        ("slice", |x| x.slice(1, 1..x.shape()[1])),
        ("slice", |x| x.slice(2, 0..x.shape()[2] / 2)),
        ("concat", |x| concat(&[x, x * 2.0, x], 1)),
        ("concat", |x| concat(&[x.slice(2, 0..1), x, x], -1)),
    ];
    for shape in [[2, 3, 4], [3, 17, 33], [1, 1, 1], [2, 40, 16], [0, 2, 3], [4, 33, 1]] {
        let x = numbers(shape, -1.0, 1.0);
        for (name, f) in moves {
            let tape = Tape::new();
            let t = tape.tensor(&x);
            let g = |y: TensorVar| tape.constant(numbers(y.shape(), -1.0, 1.0));
            // Twice, so that the second adds to what the first has left.
            let (y, z) = (f(t), f(t));
            let loss = (y * g(y)).sum() + (z * z * g(z)).sum();
            let composite = loss.grad_recorded(&[t]).unwrap()[0].unwrap().value();
            let kernel = loss.backward().unwrap().wrt(t);
            assert_relative_eq!(kernel, composite, epsilon = 1e-14);
            assert!(y.value().len() == 0 || kernel.iter().any(|&g| g != 0.0), "{name}");
        }
    }
    // A cotangent that is asked for itself is not written over by what shares its buffer.
    let tape = Tape::new();
    let t = tape.tensor(numbers([2, 6], -1.0, 1.0));
    let y = t.exp().reshape([3, 4]);
    let z = y.reshape([4, 3]);
    let loss = z.square().sum() + y.sum() + (t * t).sum();
    let g = loss.grad(&[t, y, z]).unwrap();
    let recorded = loss.grad_recorded(&[t, y, z]).unwrap();
    for (v, expected) in [t, y, z].into_iter().zip(recorded) {
        assert_relative_eq!(g.wrt(v), expected.unwrap().value(), epsilon = 1e-14);
    }
}
