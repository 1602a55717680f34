//! Every operation: its value against an independent computation, its first and second derivative
//! against finite differences, for several shapes and broadcasts, on scalars and on tensors.

#![allow(clippy::op_ref)] // Operators by reference are tested on purpose.

use approx::assert_relative_eq;
use wengert::autograd::assert_gradients;
use wengert::prelude::*;
use wengert::tape::{concat, stack, where_};

/// Numbers that look random and are the same everywhere.
fn numbers(shape: impl Into<Shape>, low: f64, high: f64) -> Tensor {
    let shape = shape.into();
    let n = shape.elements();
    let data = (0..n).map(|i| {
        let u = ((i as f64 + 1.0) * 12.9898).sin() * 43_758.545_3;
        low + (high - low) * (u - u.floor())
    });
    Tensor::new(shape, data.collect())
}

/// Checks a unary method on a range of its domain: against the float of the same name, on scalars and
/// on tensors of several shapes.
macro_rules! unary {
    ($($name:ident [$low:expr, $high:expr];)*) => { $(
        #[test]
        fn $name() {
            let points = numbers([7], $low, $high);
            let tape = Tape::new();
            let t = tape.tensor(&points);
            assert_eq!(t.$name().value(), points.map(|x| x.$name()));
            for &x in points.iter() {
                assert_eq!(tape.var(x).$name().value(), x.$name());
                assert_eq!(Var::constant(x).$name().value(), x.$name());
                assert_gradients!(|x: Var| x.$name(), x);
            }
            let tape = Tape::<f32>::default();
            for &x in points.iter() {
                assert_eq!(tape.var(x as f32).$name().value(), (x as f32).$name());
            }
            assert_gradients!(|x: TensorVar| x.$name(), points);
            assert_gradients!(|x: TensorVar| x.$name(), numbers([2, 3, 2], $low, $high));
            assert_gradients!(|x: TensorVar| x.$name(), numbers(Shape::scalar(), $low, $high));
            // In a cluster with others, through a reduction.
            assert_gradients!(
                |x: TensorVar| (x.$name() * x.sin() + 1.0).square().sum_axes(0),
                numbers([3, 2], $low, $high)
            );
        }
    )* };
}

mod elementary {
    use super::*;

    unary! {
        abs [0.3, 2.0]; recip [0.4, 3.0]; sqrt [0.3, 4.0]; cbrt [0.3, 4.0]; exp [-2.0, 2.0];
        exp2 [-2.0, 2.0]; exp_m1 [-1.0, 1.0]; ln [0.3, 4.0]; ln_1p [-0.5, 2.0]; log2 [0.3, 4.0];
        log10 [0.3, 4.0]; sin [-3.0, 3.0]; cos [-3.0, 3.0]; tan [-1.2, 1.2]; asin [-0.8, 0.8];
        acos [-0.8, 0.8]; atan [-3.0, 3.0]; sinh [-2.0, 2.0]; cosh [-2.0, 2.0]; tanh [-2.0, 2.0];
        asinh [-3.0, 3.0]; acosh [1.3, 4.0]; atanh [-0.8, 0.8]; signum [0.2, 3.0];
        floor [0.2, 0.8]; ceil [0.2, 0.8]; round [0.6, 1.4]; trunc [1.2, 1.8];
    }

    #[test]
    fn negative_side_of_even_and_odd_functions() {
        let points = numbers([5], -3.0, -0.4);
        assert_gradients!(|x: TensorVar| x.abs(), &points);
        assert_gradients!(|x: TensorVar| x.recip(), &points);
        assert_gradients!(|x: TensorVar| x.cbrt(), &points);
        assert_gradients!(|x: TensorVar| x.relu() + x.signum(), &points);
    }

    #[test]
    fn sigmoid_softplus_relu() {
        for x in [-3.0, -0.4, 0.3, 2.5f64] {
            assert_relative_eq!(Elementary::sigmoid(x), 1.0 / (1.0 + (-x).exp()), epsilon = 1e-15);
            assert_relative_eq!(Elementary::softplus(x), x.exp().ln_1p(), epsilon = 1e-15);
            assert_eq!(Elementary::relu(x), x.max(0.0));
            assert_gradients!(|x: Var| x.sigmoid() + x.softplus() * x + x.relu(), x);
        }
        assert_gradients!(|x: TensorVar| x.sigmoid(), numbers([4, 2], -4.0, 4.0));
        assert_gradients!(|x: TensorVar| x.softplus(), numbers([4, 2], -4.0, 4.0));
        assert_gradients!(|x: TensorVar| x.relu() * x, numbers([4, 2], 0.2, 4.0));
        // Far out nothing overflows, and the derivative is the limit.
        let tape = Tape::new();
        for (x, sigmoid, softplus) in [(1e4, 1.0, 1e4), (-1e4, 0.0, 0.0)] {
            let v = tape.var(x);
            assert_eq!((v.sigmoid().value(), v.softplus().value()), (sigmoid, softplus));
            assert_eq!(v.sigmoid().backward().unwrap().wrt(v), 0.0);
            assert_eq!(v.softplus().backward().unwrap().wrt(v), sigmoid);
        }
        assert!(Elementary::relu(f64::NAN).is_nan() && Elementary::sigmoid(f64::NAN).is_nan());
    }

    #[test]
    fn powers() {
        for n in [-3, -1, 0, 1, 2, 3, 7] {
            assert_gradients!(|x: Var| x.powi(n), 1.3);
            assert_gradients!(|x: Var| x.powi(n), -0.7);
            assert_gradients!(|x: TensorVar| x.powi(n), numbers([3, 2], 0.4, 2.0));
        }
        assert_gradients!(|[x, y]: [Var; 2]| x.powf(y), [1.4, 2.3]);
        assert_gradients!(|x: Var| x.powf(2.5), 1.4);
        assert_gradients!(|x: Var| Var::from(1.7).powf(x), 1.4);
        let (a, b) = (numbers([3, 1], 0.4, 2.0), numbers([2], -1.0, 2.0));
        assert_gradients!(|(a, b): (TensorVar, TensorVar)| a.powf(b), (a, b));
        // The exponent 0 is no exception for the second derivative.
        assert_gradients!(|[x, y]: [Var; 2]| x.powf(y), [1.7, 0.0]);
        assert_gradients!(|x: Var| x.powf(0.0) * x, 1.7);
        // Powers of zero: the derivative is that of the polynomial.
        let tape = Tape::new();
        let x = tape.var(0.0);
        for (n, slope) in [(0, 0.0), (1, 1.0), (2, 0.0), (3, 0.0)] {
            assert_eq!(x.powi(n).backward().unwrap().wrt(x), slope);
            assert_eq!(x.powf(f64::from(n)).backward().unwrap().wrt(x), slope);
            let y = tape.var(f64::from(n));
            let g = x.powf(y).backward().unwrap();
            assert_eq!((g.wrt(x), g.wrt(y)), (slope, 0.0));
        }
        let second = x.powi(2).grad_recorded(&[x]).unwrap()[0].unwrap();
        assert_eq!(second.backward().unwrap().wrt(x), 2.0);
    }

    #[test]
    fn functions_of_two() {
        let (a, b) = (numbers([3, 1], 0.4, 2.0), numbers([2], -2.0, -0.3));
        assert_gradients!(|(a, b): (TensorVar, TensorVar)| a.atan2(b), (&a, &b));
        assert_gradients!(|(a, b): (TensorVar, TensorVar)| a.hypot(b), (&a, &b));
        assert_gradients!(|(a, b): (TensorVar, TensorVar)| a.min(b) * a.max(b) * b, (&a, &b));
        assert_gradients!(|(a, b): (TensorVar, TensorVar)| a.copysign(b) * a, (&a, &b));
        // Quotients between 1 and 2: away from the jumps.
        let (c, d) = (numbers([3, 1], 0.35, 0.45), numbers([2], -0.3, -0.25));
        assert_gradients!(|(a, b): (TensorVar, TensorVar)| a % b * a, (&c, &d));
        for (x, y) in [(0.7, 1.9), (-0.7, 1.9), (0.7, -1.9), (-0.7, -1.9)] {
            assert_gradients!(|[x, y]: [Var; 2]| x.atan2(y), [x, y]);
            assert_gradients!(|[x, y]: [Var; 2]| x.hypot(y), [x, y]);
            assert_gradients!(|[x, y]: [Var; 2]| x.min(y) * x.max(y) * x, [x, y]);
            assert_gradients!(|[x, y]: [Var; 2]| x.copysign(y) * x, [x, y]);
            assert_gradients!(|[x, y]: [Var; 2]| x % y * x, [x, y]);
            let tape = Tape::new();
            let (u, v) = (tape.var(x), tape.var(y));
            assert_eq!(u.atan2(v).value(), x.atan2(y));
            assert_eq!(u.hypot(v).value(), x.hypot(y));
            assert_eq!((u % v).value(), x % y);
            assert_eq!(u.copysign(v).value(), x.copysign(y));
            // Against constants on both sides.
            assert_gradients!(|x: Var| x.atan2(0.3) + Var::from(0.3).atan2(x), x);
            assert_gradients!(|x: Var| x.hypot(0.3) + Var::from(0.3).hypot(x), x);
            assert_gradients!(|x: Var| x % 0.3 + 0.3 % x, x);
            assert_gradients!(|x: Var| x.max(0.3) * x + x.min(0.4) * x, x);
        }
    }

    #[test]
    fn functions_of_three_and_four() {
        let f = |[a, b, c]: [Var; 3]| a.mul_add(b, c) * c;
        assert_gradients!(f, [0.4, -1.3, 0.6]);
        let a = numbers([2, 3], -1.0, 1.0);
        let b = numbers([3], 0.2, 1.0);
        let c = numbers([2, 1], -2.0, -0.5);
        let f = |(a, b, c): (TensorVar, TensorVar, TensorVar)| a.mul_add(b, c) * a;
        assert_gradients!(f, (&a, &b, &c));
        let select = |(a, b, c): (TensorVar, TensorVar, TensorVar)| {
            TensorVar::select_gt(b, c, a * b, c * c) + TensorVar::select_gt(c, b, a, b.exp())
        };
        assert_gradients!(select, (&a, &b, &c));
        assert_gradients!(|[x, y]: [Var; 2]| Var::select_gt(x, y, x * x * y, y.exp()), [0.4, 0.3]);
        assert_gradients!(|[x, y]: [Var; 2]| Var::select_gt(x, y, x * x * y, y.exp()), [0.2, 0.3]);
        assert_gradients!(|x: Var| x.clamp(-0.5, 0.5) * x, 0.3);
        assert_gradients!(|x: Var| x.clamp(-0.5, 0.5) * x, 0.7);
        let tape = Tape::new();
        assert_eq!(tape.var(0.1).mul_add(10.0, -1.0).value(), 0.1f64.mul_add(10.0, -1.0));
    }
}

mod arithmetic {
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
}

mod reductions {
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
            let var =
                |g: &[f64]| g.iter().map(|x| (x - mean(g)).powi(2)).sum::<f64>() / g.len() as f64;
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
}

mod shapes {
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
}

mod products {
    use super::*;

    /// The product by numpy's rule, by loops over indices.
    fn naive(a: &Tensor, b: &Tensor) -> Vec<f64> {
        let (ra, rb) = (a.rank(), b.rank());
        let sa: Vec<usize> = if ra == 1 { vec![1, a.len()] } else { a.shape().to_vec() };
        let sb: Vec<usize> = if rb == 1 { vec![b.len(), 1] } else { b.shape().to_vec() };
        let (m, k, n) = (sa[sa.len() - 2], sa[sa.len() - 1], sb[sb.len() - 1]);
        let (ba, bb) = (&sa[..sa.len() - 2], &sb[..sb.len() - 2]);
        let rank = ba.len().max(bb.len());
        let dim = |s: &[usize], i: usize| {
            if i + s.len() >= rank { s[i + s.len() - rank] } else { 1 }
        };
        let batch: Vec<usize> = (0..rank).map(|i| dim(ba, i).max(dim(bb, i))).collect();
        let mut out = Vec::new();
        for index in 0..batch.iter().product::<usize>() {
            let (mut rest, mut at_a, mut at_b, mut step_a, mut step_b) = (index, 0, 0, 1, 1);
            for i in (0..rank).rev() {
                let p = rest % batch[i];
                rest /= batch[i];
                at_a += if dim(ba, i) == 1 { 0 } else { p } * step_a;
                at_b += if dim(bb, i) == 1 { 0 } else { p } * step_b;
                step_a *= dim(ba, i);
                step_b *= dim(bb, i);
            }
            for r in 0..m {
                for c in 0..n {
                    let terms = (0..k).map(|j| {
                        a.as_slice()[at_a * m * k + r * k + j]
                            * b.as_slice()[at_b * k * n + j * n + c]
                    });
                    out.push(terms.sum());
                }
            }
        }
        out
    }

    #[test]
    fn numpys_rule() {
        let cases: &[(&[usize], &[usize], &[usize])] = &[
            (&[3], &[3], &[]),
            (&[3], &[3, 2], &[2]),
            (&[2, 3], &[3], &[2]),
            (&[2, 3], &[3, 4], &[2, 4]),
            (&[1, 1], &[1, 1], &[1, 1]),
            (&[2, 2, 3], &[3, 2], &[2, 2, 2]),
            (&[2, 3], &[2, 3, 2], &[2, 2, 2]),
            (&[2, 2, 3], &[2, 3, 2], &[2, 2, 2]),
            (&[2, 1, 2, 3], &[3, 3, 2], &[2, 3, 2, 2]),
            (&[3], &[2, 3, 2], &[2, 2]),
            (&[2, 2, 3], &[3], &[2, 2]),
            (&[1, 2, 3], &[2, 3, 2], &[2, 2, 2]),
        ];
        for &(s, t, shape) in cases {
            let (a, b) = (numbers(s, -1.0, 1.0), numbers(t, -1.0, 1.0));
            let tape = Tape::new();
            let product = tape.tensor(&a).matmul(tape.tensor(&b)).value();
            assert_eq!(**product.shape(), *shape);
            assert_relative_eq!(product.as_slice(), naive(&a, &b).as_slice(), epsilon = 1e-14);
            assert_gradients!(|(a, b): (TensorVar, TensorVar)| a.matmul(b).square(), (&a, &b));
        }
    }

    #[test]
    fn large_products_and_their_gradients() {
        let (a, b) = (numbers([67, 130], -1.0, 1.0), numbers([130, 45], -1.0, 1.0));
        let tape = Tape::new();
        let (s, t) = (tape.tensor(&a), tape.tensor(&b));
        let product = s.matmul(t);
        assert_relative_eq!(product.value().as_slice(), naive(&a, &b).as_slice(), epsilon = 1e-12);
        let g = product.sum().backward().unwrap();
        for (i, row) in g.wrt(s).as_slice().chunks(130).enumerate() {
            for (j, g) in row.iter().enumerate() {
                let expected: f64 = b.as_slice()[j * 45..(j + 1) * 45].iter().sum();
                assert_relative_eq!(*g, expected, epsilon = 1e-12, max_relative = 1e-12);
                let _ = i;
            }
        }
        let f = Tape::<f32>::default();
        let single =
            |t: &Tensor| Tensor::<f32>::new(t.shape(), t.iter().map(|&x| x as f32).collect());
        let product = f.tensor(single(&a)).matmul(f.tensor(single(&b))).value();
        for (p, q) in product.iter().zip(naive(&a, &b)) {
            assert_relative_eq!(f64::from(*p), q, epsilon = 1e-4);
        }
    }
}

mod networks {
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
            assert_relative_eq!(
                t.log_softmax(axis).value(),
                expected.map(f64::ln),
                epsilon = 1e-14
            );
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
        assert_relative_eq!(
            tape.tensor(&x).cross_entropy(labels).item(),
            expected,
            epsilon = 1e-14
        );
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
}

mod accuracy {
    use super::*;
    use wengert::autograd::functional::{grad, hessian};

    #[test]
    fn the_quotient_of_a_remainder_is_the_one_that_was_taken() {
        for (a, b, quotient) in
            [(1.0, 0.1, 9.0), (5.0, 0.1, 49.0), (5.0, 0.2, 24.0), (-7.5, 2.0, -3.0)]
        {
            let g = grad(|[a, b]| a % b, [a, b]).unwrap();
            assert_eq!(g, [1.0, -quotient]);
        }
    }

    #[test]
    fn tanh_keeps_the_digits_of_its_slope() {
        for x in [0.0, 0.5, 5.0, 15.0, 18.0, 20.0, 300.0f64, -20.0] {
            // 4 e^-2x / (1 + e^-2x)^2
            let e = (-2.0 * x.abs()).exp();
            let slope = 4.0 * e / (1.0 + e).powi(2);
            assert_relative_eq!(grad(|x| x.tanh(), x).unwrap(), slope, max_relative = 1e-13);
        }
        // Far out all orders are 0, and none is NaN.
        assert_eq!(grad(|x| x.tanh(), 1e4_f64).unwrap(), 0.0);
        assert_eq!(hessian(|x: Var| x.tanh(), 1e4_f64).unwrap().item(), 0.0);
        assert_eq!(hessian(|x: Var| x.sigmoid() + x.softplus(), -1e4_f64).unwrap().item(), 0.0);
        let slope = grad(|x: Var<f32>| x.tanh(), 9.0_f32).unwrap();
        assert_relative_eq!(slope, 6.091994e-8, max_relative = 1e-5);
    }

    #[test]
    fn long_sums_over_any_axis_keep_their_digits() {
        let tape = Tape::<f32>::default();
        let n = 1 << 20;
        let tall = tape.tensor(Tensor::full([n, 2], 0.1f32));
        let exact = n as f32 * 0.1f32;
        for sum in [tall.sum_axes(0).value(), tall.reshape([2, n]).sum_axes(1).value()] {
            sum.iter().for_each(|s| assert_relative_eq!(*s, exact, max_relative = 1e-6));
        }
        let apart = tall.reshape([n / 2, 2, 2]).sum_axes([0, 2]).value();
        apart.iter().for_each(|s| assert_relative_eq!(*s, exact, max_relative = 1e-6));
        tall.mean_axes(0)
            .value()
            .iter()
            .for_each(|m| assert_relative_eq!(*m, 0.1, max_relative = 1e-6));
        // The gradient of a bias is such a sum.
        let bias = tape.tensor([0.0f32, 0.0]);
        let g = ((tall + bias) * 0.1).sum().backward().unwrap().wrt(bias);
        g.iter().for_each(|g| assert_relative_eq!(*g, exact, max_relative = 1e-6));
        let zeros = tape.tensor(Tensor::zeros([n]));
        assert_relative_eq!(zeros.logsumexp().item(), (n as f32).ln(), max_relative = 1e-6);
        assert_relative_eq!(zeros.softmax(0).value()[[5]], 1.0 / n as f32, max_relative = 1e-6);
    }

    #[test]
    fn nan_goes_through() {
        let nan = f64::NAN;
        assert!(grad(|x| x.powf(2.0), nan).unwrap().is_nan());
        assert!(grad(|x| Var::from(2.0).powf(x), nan).unwrap().is_nan());
        assert!(grad(|x| x.abs(), nan).unwrap().is_nan());
        assert!(grad(|[x, y]| x.hypot(y), [nan, 3.0]).unwrap().iter().all(|g| g.is_nan()));
        assert!(Elementary::clamp(nan, 0.0, 1.0).is_nan());
        let tape = Tape::new();
        assert!(tape.var(nan).clamp(0.0, 1.0).value().is_nan());
        let t = tape.tensor([nan, 0.0]);
        assert!(t.amax().backward().unwrap().wrt(t)[[0]].is_nan() || t.amax().item().is_nan());
        let g = t.amax().backward().unwrap().wrt(t);
        assert_eq!(g, Tensor::from([1.0, 0.0]));
    }

    #[test]
    fn second_derivatives_at_kinks_are_zero() {
        let zero = Tensor::zeros([2, 2]);
        assert_eq!(hessian(|[x, y]| x.hypot(y), [0.0, 0.0]).unwrap(), zero);
        assert_eq!(hessian(|x: Var| x.abs(), 0.0_f64).unwrap().item(), 0.0);
        assert_eq!(grad(|[x, y]| x.hypot(y), [0.0, 0.0]).unwrap(), [0.0, 0.0]);
        assert_eq!(hessian(|x: Var| x.relu(), 0.0_f64).unwrap().item(), 0.0);
    }

    #[test]
    fn clamp_is_one_from_end_to_end() {
        for (x, slope) in [(-2.0_f64, 0.0), (-1.0, 1.0), (0.0, 1.0), (1.0, 1.0), (2.0, 0.0)] {
            assert_eq!(grad(|x: Var| x.clamp(-1.0, 1.0), x).unwrap(), slope);
            let tape = Tape::new();
            let t = tape.tensor([x]);
            let y = t.clamp(-1.0, 1.0);
            assert_eq!(y.value()[[0]], x.clamp(-1.0, 1.0));
            assert_eq!(y.sum().backward().unwrap().wrt(t)[[0]], slope);
        }
    }

    #[test]
    fn pending_work_is_shared() {
        // A chain longer than what may be pending, with many consumers and a shared middle.
        let tape = Tape::new();
        let x = tape.tensor([0.1, 0.2, 0.3]);
        let mut y = x;
        let mut expected = Tensor::from([0.1, 0.2, 0.3]);
        for _ in 0..200 {
            y = (y * 1.01).sin() + x * 0.01;
            expected = expected.map(|v| (v * 1.01).sin());
            expected = expected.zip_map(&x.value(), |v, x| v + x * 0.01);
        }
        let consumers: Vec<_> = (0..50).map(|k| (y * f64::from(k)).sum()).collect();
        assert_relative_eq!(y.value(), expected, max_relative = 1e-13);
        for (k, consumer) in consumers.iter().enumerate() {
            let sum = expected.iter().sum::<f64>() * k as f64;
            assert_relative_eq!(consumer.item(), sum, max_relative = 1e-12);
        }
        assert_gradients!(
            |x: TensorVar| {
                let mut y = x;
                for _ in 0..60 {
                    y = (y * 1.01).sin() + x * 0.01;
                }
                y * y
            },
            Tensor::from([0.1, 0.2, 0.3])
        );
    }
}

mod absence {
    use super::*;

    /// Zero times an infinite partial is NaN when zero has flowed, and nothing when nothing has: in
    /// both lanes.
    #[test]
    fn zero_is_multiplied_and_absence_is_skipped() {
        let tape = Tape::new();
        let x = tape.var(0.0);
        let root = x.sqrt();
        assert!((root * 0.0).backward().unwrap().wrt(x).is_nan());
        assert!((root * -0.0).backward().unwrap().wrt(x).is_nan());
        assert!((-(root * 0.0)).backward().unwrap().wrt(x).is_nan());
        assert_eq!((root.stop_gradient() + x).backward().unwrap().wrt(x), 1.0);
        let chosen = Var::select_gt(1.0, 0.0, x, 2.0);
        let _unused = root * 3.0;
        assert_eq!(chosen.backward().unwrap().wrt(x), 1.0);
        let t = tape.tensor([0.0, 4.0]);
        let root = t.sqrt();
        let g = (root * 0.0).sum().backward().unwrap().wrt(t);
        assert!(g[[0]].is_nan() && g[[1]] == 0.0);
        assert_eq!((root.stop_gradient() + t).sum().backward().unwrap().wrt(t), Tensor::ones([2]));
    }

    #[test]
    fn absent_is_not_zero() {
        let tape = Tape::new();
        let [x, y] = tape.vars([2.0, 3.0]);
        let t = tape.tensor([1.0]);
        let g = (x * 0.0).backward().unwrap();
        assert_eq!(g.get(x), Some(0.0));
        assert_eq!(g.get(y), None);
        assert_eq!(g.get(t), None);
        assert_eq!((g.wrt(y), g.wrt(t)), (0.0, Tensor::from([0.0])));
        assert!(y.grad_recorded(&[x]).unwrap()[0].is_none());
    }
}
