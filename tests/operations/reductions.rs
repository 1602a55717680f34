//! Reductions over any axes.

use super::*;

const AXES: [&[isize]; 7] = [&[0], &[1], &[2], &[0, 2], &[-1, -2], &[0, 1, 2], &[]];

#[test]
fn values_against_loops() {
    let x = numbers([2, 3, 4], -2.0, 2.0);
    let tape = Tape::new();
    let t = tape.tensor(&x);
    for axes in AXES {
        let reduced: Vec<usize> = axes.iter().map(|a| a.rem_euclid(3) as usize).collect();
        let kept: Vec<usize> =
            (0..3).map(|k| if reduced.contains(&k) { 1 } else { x.shape()[k] }).collect();
        let mut groups = vec![Vec::new(); kept.iter().product()];
        for i in 0..2 {
            for j in 0..3 {
                for k in 0..4 {
                    let at = [i, j, k].iter().enumerate().fold(0, |o, (axis, &i)| {
                        o * kept[axis] + if reduced.contains(&axis) { 0 } else { i }
                    });
                    groups[at].push(x[[i, j, k]]);
                }
            }
        }
        let expect = |f: &dyn Fn(&[f64]) -> f64| {
            Tensor::new(kept.as_slice(), groups.iter().map(|g| f(g)).collect())
        };
        let sum = |g: &[f64]| g.iter().sum::<f64>();
        let mean = |g: &[f64]| sum(g) / g.len() as f64;
        let largest = |g: &[f64]| g.iter().copied().fold(f64::MIN, f64::max);
        let close = |a: &Tensor, b: &Tensor| assert_relative_eq!(*a, *b, epsilon = 1e-14);
        close(&t.sum_axes_keep(axes).value(), &expect(&sum));
        close(&t.mean_axes_keep(axes).value(), &expect(&mean));
        close(&t.amax_axes_keep(axes).value(), &expect(&largest));
        let smallest = |g: &[f64]| g.iter().copied().fold(f64::MAX, f64::min);
        close(&t.amin_axes_keep(axes).value(), &expect(&smallest));
        let lse = |g: &[f64]| g.iter().map(|x| x.exp()).sum::<f64>().ln();
        close(&t.logsumexp_axes_keep(axes).value(), &expect(&lse));
        let var = |g: &[f64]| g.iter().map(|x| (x - mean(g)).powi(2)).sum::<f64>() / g.len() as f64;
        close(&t.var_axes_keep(axes, 0.0).value(), &expect(&var));
        // Without the axes it is the same numbers.
        let dropped = t.sum_axes(axes).value();
        assert_eq!(dropped.as_slice(), t.sum_axes_keep(axes).value().as_slice());
        assert_eq!(dropped.rank(), 3 - axes.len());
    }
    assert_relative_eq!(t.sum().item(), x.iter().sum::<f64>(), epsilon = 1e-13);
    assert_eq!(t.mean().shape(), Shape::scalar());
}

#[test]
fn derivatives() {
    let x = numbers([2, 3, 2], -2.0, 2.0);
    for axes in AXES {
        assert_gradients!(|x: TensorVar| (x * x).sum_axes(axes) * 2.0, &x);
        assert_gradients!(|x: TensorVar| x.sum_axes_keep(axes) * x, &x);
        assert_gradients!(|x: TensorVar| x.mean_axes_keep(axes) * x * x, &x);
        assert_gradients!(|x: TensorVar| x.mean_axes(axes).exp(), &x);
        assert_gradients!(|x: TensorVar| x.amax_axes_keep(axes) * x, &x);
        assert_gradients!(|x: TensorVar| x.amin_axes(axes).exp(), &x);
        assert_gradients!(|x: TensorVar| x.logsumexp_axes(axes), &x);
        assert_gradients!(|x: TensorVar| x.logsumexp_axes_keep(axes) * x, &x);
    }
    for axes in &AXES[..6] {
        assert_gradients!(|x: TensorVar| x.var_axes(*axes, 1.0), &x);
        assert_gradients!(|x: TensorVar| x.var_axes_keep(*axes, 0.0) * x, &x);
    }
    assert_gradients!(|x: TensorVar| x.sum() * x.mean() + x.var(1.0).sqrt(), &x);
    assert_gradients!(|x: TensorVar| x.logsumexp() + x.amax() * x.amin(), &x);
}

#[test]
fn ties_share_and_extremes_are_stable() {
    let tape = Tape::new();
    let t = tape.tensor([1.0, 3.0, 3.0, 2.0]);
    let g = t.amax().backward().unwrap().wrt(t);
    assert_eq!(g, Tensor::from([0.0, 0.5, 0.5, 0.0]));
    let big = tape.tensor([1e4, -1e4, 1e4]);
    assert_relative_eq!(big.logsumexp().item(), 1e4 + 2f64.ln(), epsilon = 1e-10);
    let g = big.logsumexp().backward().unwrap().wrt(big);
    assert_relative_eq!(g, Tensor::from([0.5, 0.0, 0.5]), epsilon = 1e-10);
    assert!(tape.tensor([1.0, f64::NAN, 2.0]).amax().item().is_nan());
    let minus = tape.tensor([f64::NEG_INFINITY, f64::NEG_INFINITY]);
    assert_eq!(minus.logsumexp().item(), f64::NEG_INFINITY);
    // Long sums keep their digits.
    let many = Tape::<f32>::default();
    let sum = many.tensor(vec![0.1f32; 1_000_000]).sum().item();
    assert!((f64::from(sum) / (1e6 * f64::from(0.1f32)) - 1.0).abs() < 1e-6, "{sum}");
}

#[test]
fn tensors_without_elements() {
    let tape = Tape::new();
    let empty = tape.tensor(Tensor::zeros([0, 3]));
    assert_eq!(empty.sum().item(), 0.0);
    assert_eq!(empty.sum_axes(0).value(), Tensor::zeros([3]));
    assert_eq!((empty * 2.0 + 1.0).value(), Tensor::zeros([0, 3]));
    let g = (empty.exp().sum() * 2.0).backward().unwrap();
    assert_eq!(g.wrt(empty), Tensor::zeros([0, 3]));
    let w = tape.tensor(Tensor::ones([3, 2]));
    assert_eq!(empty.matmul(w).shape(), [0, 2]);
    assert_eq!(w.t().matmul(empty.t()).shape(), [2, 0]);
    let inner = tape.tensor(Tensor::ones([2, 0])).matmul(empty);
    assert_eq!(inner.value(), Tensor::zeros([2, 3]));
}

/// The gradient of `sum(g y)` by the kernel and by the composite, where something has flowed to `x` before.
fn both_ways<E: Real>(
    x: &Tensor<E>,
    f: impl Fn(TensorVar<E>) -> TensorVar<E>,
    g: impl Fn(Shape) -> Tensor<E>,
) -> [Tensor<E>; 2] {
    let tape = Tape::<E>::default();
    let t = tape.tensor(x);
    // The leading one lends its buffer to the other.
    let y = f(t) + f(t) * f(t);
    let loss = (y * tape.constant(g(y.shape()))).sum();
    let composite = loss.grad_recorded(&[t]).unwrap()[0].unwrap().value();
    [loss.backward().unwrap().wrt(t), composite]
}

#[test]
fn the_kernels_say_what_the_composites_say() {
    type Reduction = fn(TensorVar, &[isize]) -> TensorVar;
    let reductions: [(&str, Reduction); 5] = [
        ("sum", |x, axes| x.sum_axes(axes)),
        ("mean", |x, axes| x.mean_axes_keep(axes)),
        ("amax", |x, axes| x.amax_axes(axes)),
        ("amin", |x, axes| x.amin_axes_keep(axes)),
        ("logsumexp", |x, axes| x.logsumexp_axes(axes)),
    ];
    for shape in [[2, 3, 4], [5, 70, 33], [1, 3, 1], [200, 1, 129], [3, 2, 20_000]] {
        // Few different numbers, so that there are ties.
        let x = numbers(shape, -2.0, 2.0).map(|x| (x * 8.0).round() / 8.0);
        for axes in AXES {
            for (name, f) in reductions {
                let weights = |shape: Shape| numbers(shape, -1.0, 1.0);
                let [kernel, composite] = both_ways(&x, |x| f(x, axes), weights);
                let difference = kernel.zip_map(&composite, |a, b| (a - b).abs());
                let largest = difference.iter().fold(0.0, |a: f64, &b| a.max(b));
                assert!(largest < 1e-12, "{name} over {axes:?} of {shape:?}: off by {largest}");
            }
        }
    }
    let x = Tensor::<f32>::new([3, 40], (0..120).map(|k| (k as f32).sin()).collect());
    let weights = |shape: Shape| Tensor::ones(shape);
    let [kernel, composite] = both_ways(&x, |x| x.logsumexp_axes(1), weights);
    assert_relative_eq!(kernel, composite, epsilon = 1e-6);
}

#[test]
fn the_same_bits_for_every_number_of_threads() {
    let x = numbers([3, 40_000], -5.0, 5.0);
    let run = || {
        let tape = Tape::new();
        let t = tape.tensor(&x);
        let y = t.logsumexp_axes(1).sum() + t.t().logsumexp_axes(1).sum() + t.logsumexp();
        let g = (y + t.amax()).backward().unwrap().wrt(t);
        (y.item(), g)
    };
    let one = wengert::tape::with_threads(1, run);
    assert!(
        one == wengert::tape::with_threads(2, run) && one == wengert::tape::with_threads(3, run)
    );
}

#[test]
fn extremes_in_kernels() {
    let tape = Tape::new();
    let t = tape.tensor([[1.0, f64::NAN, 2.0], [f64::NAN, f64::NAN, 0.0], [4.0, 4.0, 4.0]]);
    let g = t.amax_axes(1).sum().backward().unwrap().wrt(t);
    let third = 1.0 / 3.0;
    assert_eq!(g, Tensor::from([[0.0, 1.0, 0.0], [0.5, 0.5, 0.0], [third, third, third]]));
    // Long enough for all lanes, with the NaN in each place.
    for at in 0..70 {
        let mut x = numbers([70], -1.0, 1.0);
        x.as_mut_slice()[at] = f64::NAN;
        let t = tape.tensor(&x);
        assert!(t.amax().item().is_nan() && t.amin().item().is_nan());
        let g = t.amax().backward().unwrap().wrt(t);
        assert!(g.iter().enumerate().all(|(k, &g)| g == f64::from(u8::from(k == at))));
    }
    // What flows through an infinite logarithm is what the composite says it is.
    let inf = f64::INFINITY;
    for row in [[-inf, -inf], [inf, 1.0], [inf, inf], [-inf, 1.0], [f64::NAN, 1.0]] {
        let x = Tensor::from([row]);
        let [kernel, composite] = both_ways(&x, |x| x.logsumexp_axes(1), |_| Tensor::ones([1]));
        for (k, c) in kernel.iter().zip(composite.iter()) {
            assert!(k == c || k.is_nan() && c.is_nan(), "{k} for {c} at {row:?}");
        }
    }
}
