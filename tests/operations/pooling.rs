//! Pooling.

use super::*;
use wengert::tape::with_threads;

const SHAPES: [[usize; 4]; 4] = [[1, 1, 2, 2], [2, 3, 4, 6], [1, 2, 5, 7], [2, 1, 3, 4]];

fn windows() -> [Pool2d; 5] {
    [
        Pool2d::new(2),
        Pool2d::new([1, 2]),
        Pool2d::new(2).stride(1),
        Pool2d::new(2).stride([2, 1]).padding(1),
        Pool2d::new([2, 1]).stride([3, 2]).padding([1, 0]),
    ]
}

/// `f` of the elements of each window that are in the image, in their order.
fn naive(
    x: &Tensor,
    (size, stride, padding): ([usize; 2], [usize; 2], [usize; 2]),
    f: impl Fn(&[f64]) -> f64,
) -> Tensor {
    let [n, c, h, w] = **x.shape() else { panic!("images") };
    let place = |len: usize, k: usize| (len + 2 * padding[k] - size[k]) / stride[k] + 1;
    let (oh, ow) = (place(h, 0), place(w, 1));
    let mut out = Vec::new();
    for k in 0..n * c * oh * ow {
        let (plane, i, j) = (k / (oh * ow), k / ow % oh, k % ow);
        let mut window = Vec::new();
        for u in 0..size[0] {
            for v in 0..size[1] {
                let row = (i * stride[0] + u).wrapping_sub(padding[0]);
                let column = (j * stride[1] + v).wrapping_sub(padding[1]);
                if row < h && column < w {
                    window.push(x[[plane / c, plane % c, row, column]]);
                }
            }
        }
        out.push(f(&window));
    }
    Tensor::new([n, c, oh, ow], out)
}

#[test]
fn values_and_derivatives() {
    let sizes = [
        ([2, 2], [2, 2], [0, 0]),
        ([1, 2], [1, 2], [0, 0]),
        ([2, 2], [1, 1], [0, 0]),
        ([2, 2], [2, 1], [1, 1]),
        ([2, 1], [3, 2], [1, 0]),
    ];
    for shape in SHAPES {
        // No two alike, and no two so near that a finite difference exchanges them.
        let n = shape.iter().product::<usize>();
        let x = (0..n).map(|i| -2.0 + ((61 * i + 7) % 211) as f64 / 128.0);
        let x = Tensor::new(shape, x.collect());
        for (window, sizes) in windows().into_iter().zip(sizes) {
            let tape = Tape::new();
            let t = tape.tensor(&x);
            let largest =
                naive(&x, sizes, |window| window.iter().copied().fold(f64::MIN, f64::max));
            assert_eq!(t.max_pool2d(window).value(), largest);
            let count = (sizes.0[0] * sizes.0[1]) as f64;
            let mean = naive(&x, sizes, |window| window.iter().sum::<f64>() / count);
            assert_relative_eq!(t.avg_pool2d(window).value(), mean, epsilon = 1e-15);
            assert_gradients!(|x: TensorVar| x.max_pool2d(window).exp(), &x);
            assert_gradients!(|x: TensorVar| x.avg_pool2d(window).exp(), &x);
            // Accumulated with what flows to the images from elsewhere, before and after.
            let f = |x: TensorVar| {
                let y = x.max_pool2d(window) * x.avg_pool2d(window);
                y.sum() + x.square().sum() + x.max_pool2d(Pool2d::new(1)).sum()
            };
            assert_gradients!(f, &x);
        }
    }
}

#[test]
fn the_kernel_says_what_the_composite_says() {
    for shape in [[3, 5, 24, 24], [65, 16, 9, 8], [2, 3, 33, 31]] {
        let x = numbers(shape, -1.0, 1.0);
        for window in windows() {
            for f in [TensorVar::max_pool2d, TensorVar::avg_pool2d] {
                let tape = Tape::new();
                let t = tape.tensor(&x);
                let y = f(t, window);
                let g = tape.constant(numbers(y.shape(), -1.0, 1.0));
                let loss = (y * g).sum() + (f(t, window) * g).sum();
                let kernel = loss.backward().unwrap().wrt(t);
                let composite = loss.grad_recorded(&[t]).unwrap()[0].unwrap().value();
                assert_relative_eq!(kernel, composite, epsilon = 1e-14);
            }
        }
    }
}

#[test]
fn ties_nan_and_infinities() {
    let tape = Tape::new();
    let image = |data: [f64; 4]| tape.tensor(Tensor::new([1, 1, 2, 2], data.to_vec()));
    let first =
        |t: TensorVar, window| t.max_pool2d(window).sum().backward().unwrap().wrt(t).to_vec();
    // The same by both ways through the kernel: the window of two by two has one of its own.
    for window in [Pool2d::new(2), Pool2d::new(2).stride(3)] {
        assert_eq!(first(image([1.0, 5.0, 5.0, 5.0]), window), [0.0, 1.0, 0.0, 0.0]);
        assert_eq!(first(image([f64::NEG_INFINITY; 4]), window), [1.0, 0.0, 0.0, 0.0]);
        assert_eq!(first(image([-0.0, 0.0, 0.0, -0.0]), window), [1.0, 0.0, 0.0, 0.0]);
        let nan = image([1.0, f64::INFINITY, f64::NAN, f64::NAN]);
        assert!(nan.max_pool2d(window).item().is_nan());
        assert_eq!(first(nan, window), [0.0, 0.0, 1.0, 0.0]);
    }
    let low = image([f64::NEG_INFINITY; 4]).max_pool2d(Pool2d::new(2).padding(1)).value();
    assert_eq!(low.to_vec(), [f64::NEG_INFINITY; 4]);
}

#[test]
fn single_precision_and_the_same_bits_for_every_number_of_threads() {
    let x = numbers([40, 16, 24, 24], -1.0, 1.0);
    let x = Tensor::<f32>::new(x.shape(), x.iter().map(|&x| x as f32).collect());
    for window in windows() {
        let run = || {
            let tape = Tape::<f32>::default();
            let t = tape.tensor(&x);
            let y = t.max_pool2d(window).square() + t.avg_pool2d(window);
            [y.value(), y.sum().backward().unwrap().wrt(t)].map(|t| t.to_vec())
        };
        let one = with_threads(1, run);
        assert!(one == with_threads(2, run) && one == with_threads(3, run));
        let sizes = one[0].iter().zip(&one[1]).fold(0.0, |sum, (a, b)| sum + a.abs() + b.abs());
        assert!(sizes > 1000.0);
    }
}

#[test]
fn tensors_without_elements() {
    let tape = Tape::new();
    let t = tape.tensor(Tensor::zeros([0, 3, 4, 4]));
    let y = t.max_pool2d(Pool2d::new(2)).sum() + t.avg_pool2d(Pool2d::new(2)).sum();
    assert_eq!(y.backward().unwrap().wrt(t), Tensor::zeros([0, 3, 4, 4]));
}
