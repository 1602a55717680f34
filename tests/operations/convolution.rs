//! Convolutions, unfolding and folding.

use super::*;
use wengert::tape::{Conv2d, with_threads};

/// A case: images, weights, options as (stride, padding, dilation, groups).
type Case = ([usize; 4], [usize; 4], ([usize; 2], [usize; 2], [usize; 2], usize));

const SMALL: [Case; 10] = [
    ([1, 1, 3, 3], [1, 1, 2, 2], ([1, 1], [0, 0], [1, 1], 1)),
    ([2, 2, 4, 3], [3, 2, 2, 2], ([1, 1], [0, 0], [1, 1], 1)),
    ([2, 2, 4, 5], [3, 2, 3, 2], ([2, 1], [1, 0], [1, 1], 1)),
    ([1, 2, 5, 4], [2, 2, 2, 2], ([1, 2], [0, 2], [2, 1], 1)),
    ([2, 4, 3, 4], [6, 2, 2, 3], ([1, 1], [1, 1], [1, 1], 2)),
    ([1, 3, 4, 4], [3, 1, 3, 3], ([2, 2], [1, 1], [1, 1], 3)),
    // The window leaves a rest that it never meets, and one that reaches only into the padding.
    ([1, 1, 6, 6], [2, 1, 2, 2], ([3, 3], [0, 0], [1, 1], 1)),
    ([1, 1, 2, 2], [1, 1, 1, 1], ([2, 1], [3, 2], [1, 1], 1)),
    ([2, 1, 1, 4], [2, 1, 1, 1], ([1, 1], [0, 0], [1, 1], 1)),
    ([1, 2, 3, 3], [1, 2, 3, 3], ([1, 1], [0, 0], [2, 2], 1)),
];

fn options(
    (stride, padding, dilation, groups): ([usize; 2], [usize; 2], [usize; 2], usize),
) -> Conv2d {
    Conv2d::new().stride(stride).padding(padding).dilation(dilation).groups(groups)
}

/// The sum of the definition.
fn naive(x: &Tensor, w: &Tensor, bias: Option<&Tensor>, case: &Case) -> Tensor {
    let (stride, padding, dilation, groups) = case.2;
    let [n, channels, height, width] = case.0;
    let [filters, depth, kh, kw] = case.1;
    let place = |len: usize, k: usize, axis: usize| {
        (len + 2 * padding[axis] - dilation[axis] * (k - 1) - 1) / stride[axis] + 1
    };
    let (oh, ow) = (place(height, kh, 0), place(width, kw, 1));
    let mut y = Tensor::zeros([n, filters, oh, ow]);
    for (b, o, i, j) in indices([n, filters, oh, ow]) {
        let mut sum = bias.map_or(0.0, |bias| bias[[o]]);
        for (c, u, v, _) in indices([depth, kh, kw, 1]) {
            let row = (i * stride[0] + u * dilation[0]).wrapping_sub(padding[0]);
            let column = (j * stride[1] + v * dilation[1]).wrapping_sub(padding[1]);
            let channel = o / (filters / groups) * (channels / groups) + c;
            if row < height && column < width {
                sum += w[[o, c, u, v]] * x[[b, channel, row, column]];
            }
        }
        y[[b, o, i, j]] = sum;
    }
    y
}

fn indices([a, b, c, d]: [usize; 4]) -> impl Iterator<Item = (usize, usize, usize, usize)> {
    (0..a * b * c * d).map(move |k| (k / (b * c * d), k / (c * d) % b, k / d % c, k % d))
}

fn operands(case: &Case) -> (Tensor, Tensor, Tensor) {
    let x = numbers(case.0, -1.0, 1.0);
    (x, numbers(case.1, -0.7, 1.2), numbers([case.1[0]], 0.5, 1.0))
}

fn fits(case: &Case) -> bool {
    let (_, padding, dilation, _) = case.2;
    (0..2).all(|k| case.0[2 + k] + 2 * padding[k] > dilation[k] * (case.1[2 + k] - 1))
}

#[test]
fn values_and_derivatives() {
    for case in SMALL.iter().filter(|case| fits(case)) {
        let (x, w, bias) = operands(case);
        let options = options(case.2);
        let tape = Tape::new();
        let (s, t, b) = (tape.tensor(&x), tape.tensor(&w), tape.tensor(&bias));
        let y = s.conv2d(t, b, options).value();
        assert_relative_eq!(y, naive(&x, &w, Some(&bias), case), epsilon = 1e-13);
        let y = s.conv2d(t, None, options).value();
        assert_relative_eq!(y, naive(&x, &w, None, case), epsilon = 1e-13);
        let f = |(x, w, b): (TensorVar, TensorVar, TensorVar)| x.conv2d(w, b, options).square();
        assert_gradients!(f, (&x, &w, &bias));
        assert_gradients!(
            |(x, w): (TensorVar, TensorVar)| x.conv2d(w, None, options) * x.sum(),
            (&x, &w)
        );
    }
    assert_eq!(SMALL.iter().filter(|case| fits(case)).count(), 9);
}

/// Larger than the blocks of the kernel, and no multiples of them.
const LARGE: [Case; 5] = [
    ([7, 3, 19, 21], [37, 3, 3, 5], ([1, 1], [1, 2], [1, 1], 1)),
    ([5, 16, 12, 12], [32, 16, 5, 5], ([1, 1], [0, 0], [1, 1], 1)),
    ([3, 40, 9, 11], [22, 20, 3, 3], ([2, 3], [1, 1], [1, 2], 2)),
    ([70, 4, 16, 16], [130, 4, 3, 3], ([1, 1], [1, 1], [1, 1], 1)),
    ([4, 6, 13, 13], [12, 1, 3, 3], ([1, 1], [2, 2], [2, 2], 6)),
];

/// The gradients by the kernel and by the composite, from a cotangent of arbitrary numbers.
fn gradients<E: Real>(case: &Case, single: impl Fn(&Tensor) -> Tensor<E>) -> [Vec<Tensor<E>>; 2] {
    let (x, w, bias) = operands(case);
    let tape = Tape::<E>::default();
    let (x, w, b) = (tape.tensor(single(&x)), tape.tensor(single(&w)), tape.tensor(single(&bias)));
    let y = x.conv2d(w, b, options(case.2));
    let g = tape.constant(single(&numbers(y.shape(), -1.0, 1.0)));
    let loss = (y * g).sum();
    let kernel = loss.backward().unwrap();
    let kernel = vec![kernel.wrt(x), kernel.wrt(w), kernel.wrt(b)];
    let composite = loss.grad_recorded(&[x, w, b]).unwrap();
    [kernel, composite.iter().map(|g| g.unwrap().value()).collect()]
}

#[test]
fn the_kernel_says_what_the_composite_says() {
    for case in SMALL.iter().filter(|case| fits(case)).chain(&LARGE) {
        let [kernel, composite] = gradients(case, Clone::clone);
        for (k, c) in kernel.iter().zip(&composite) {
            assert_relative_eq!(*k, *c, epsilon = 1e-11, max_relative = 1e-12);
        }
        let single = |t: &Tensor| Tensor::new(t.shape(), t.iter().map(|&x| x as f32).collect());
        let [of_singles, _] = gradients::<f32>(case, single);
        for (k, c) in of_singles.iter().zip(&composite) {
            let largest = c.iter().fold(1.0, |a: f64, b| a.max(b.abs()));
            for (k, c) in k.iter().zip(c.iter()) {
                assert!((f64::from(*k) - c).abs() < 2e-6 * largest, "{k} for {c} of {case:?}");
            }
        }
    }
    for case in &LARGE {
        let (x, w, bias) = operands(case);
        let tape = Tape::new();
        let y = tape.tensor(&x).conv2d(tape.tensor(&w), tape.tensor(&bias), options(case.2));
        assert_relative_eq!(y.value(), naive(&x, &w, Some(&bias), case), epsilon = 1e-12);
    }
}

#[test]
fn the_same_bits_for_every_number_of_threads() {
    for case in &LARGE {
        let run = || {
            let (x, w, bias) = operands(case);
            let tape = Tape::new();
            let (x, w, b) = (tape.tensor(&x), tape.tensor(&w), tape.tensor(&bias));
            let y = x.conv2d(w, b, options(case.2));
            let g = y.square().sum().backward().unwrap();
            [y.value(), g.wrt(x), g.wrt(w), g.wrt(b)].map(|t| t.to_vec())
        };
        let one = with_threads(1, run);
        assert_eq!(one, with_threads(2, run));
        assert_eq!(one, with_threads(3, run));
    }
}

#[test]
fn inputs_that_stand_twice_or_are_constant() {
    let x = numbers([2, 2, 3, 3], -1.0, 1.0);
    let same = Conv2d::new().padding(1);
    // The images are their own filters.
    assert_gradients!(|x: TensorVar| x.conv2d(x, None, same), &x);
    // What flows to the images twice is added up.
    let w = numbers([2, 2, 3, 3], -0.5, 0.5);
    let f = |(x, w): (TensorVar, TensorVar)| x.conv2d(w, None, same) + x.conv2d(w, None, same) * x;
    assert_gradients!(f, (&x, &w));
    let tape = Tape::new();
    let (constant, t) = (tape.constant(&x), tape.tensor(&w));
    let g = constant.conv2d(t, None, same).sum().backward().unwrap().wrt(t);
    let (s, fixed) = (tape.tensor(&x), tape.constant(&w));
    let h = s.conv2d(fixed, None, same).sum().backward().unwrap().wrt(s);
    let both = s.conv2d(t, None, same).sum().backward().unwrap();
    assert_eq!((g, h), (both.wrt(t), both.wrt(s)));
    let b = tape.tensor([1.0, 2.0]);
    let only = constant.conv2d(fixed, b, same).sum().backward().unwrap().wrt(b);
    assert_eq!(only, Tensor::from([18.0, 18.0]));
}

#[test]
fn tensors_without_elements() {
    let tape = Tape::new();
    let run = |x: [usize; 4], w: [usize; 4]| {
        let (x, w) = (tape.tensor(Tensor::ones(x)), tape.tensor(Tensor::ones(w)));
        let b = tape.tensor(Tensor::ones([w.shape()[0]]));
        let y = x.conv2d(w, b, Conv2d::new().padding(1));
        let g = y.sum().backward().unwrap();
        let recorded = y.sum().grad_recorded(&[x, w, b]).unwrap();
        let gradients = [g.wrt(x), g.wrt(w), g.wrt(b)];
        assert_eq!(
            gradients.to_vec(),
            recorded.iter().map(|g| g.unwrap().value()).collect::<Vec<_>>()
        );
        (y.value(), gradients[2].clone())
    };
    let (y, b) = run([0, 2, 3, 3], [2, 2, 3, 3]);
    assert_eq!((y, b), (Tensor::zeros([0, 2, 3, 3]), Tensor::zeros([2])));
    let (y, b) = run([2, 0, 3, 3], [2, 0, 3, 3]);
    assert_eq!((y, b), (Tensor::ones([2, 2, 3, 3]), Tensor::full([2], 18.0)));
    let (y, _) = run([2, 2, 3, 3], [0, 2, 3, 3]);
    assert_eq!(y, Tensor::zeros([2, 0, 3, 3]));
    let (y, b) = run([2, 1, 0, 2], [2, 1, 2, 2]);
    assert_eq!((y, b), (Tensor::ones([2, 2, 1, 3]), Tensor::full([2], 6.0)));
}

#[test]
fn unfolding_and_folding() {
    let x = numbers([2, 2, 4, 5], -1.0, 1.0);
    let cases = [
        ([2, 3], Conv2d::new()),
        ([3, 2], Conv2d::new().stride([2, 1]).padding([1, 2])),
        ([2, 2], Conv2d::new().dilation([2, 3]).padding(1)),
    ];
    for (size, options) in cases {
        assert_gradients!(|x: TensorVar| x.unfold(size, options).square(), &x);
        let tape = Tape::new();
        let columns = tape.tensor(&x).unfold(size, options);
        let y = numbers(columns.shape(), -1.0, 1.0);
        let fold = |y: TensorVar| y.fold([4, 5], size, options).square();
        assert_gradients!(fold, &y);
        // Transposes of each other: the inner products agree.
        let image = tape.tensor(&y).fold([4, 5], size, options).value();
        let left: f64 = columns.value().iter().zip(y.iter()).map(|(a, b)| a * b).sum();
        let right: f64 = image.iter().zip(x.iter()).map(|(a, b)| a * b).sum();
        assert_relative_eq!(left, right, epsilon = 1e-12);
        // A convolution is a product with the columns.
        let w = tape.tensor(numbers([3, 2, size[0], size[1]], -1.0, 1.0));
        let product = w.reshape([3, 2 * size[0] * size[1]]).matmul(columns);
        let y = tape.tensor(&x).conv2d(w, None, options);
        let flat = y.reshape(product.shape()).value();
        assert_relative_eq!(flat, product.value(), epsilon = 1e-13);
    }
}
