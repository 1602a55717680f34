//! Backward passes: what they leave behind, what they compute, and what they do not.

mod common;

use std::cell::RefCell;

use approx::assert_relative_eq;
use wengert::autograd::Handle;
use wengert::prelude::*;

thread_local! {
    /// The names of the operations whose vjp has run.
    static CALLS: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

fn calls() -> Vec<&'static str> {
    let mut calls = CALLS.take();
    calls.sort_unstable();
    calls
}

/// Twice its input, which notes when its derivative is asked for, and which input is needed.
struct Spy(&'static str);

impl<E: Real> Op<E> for Spy {
    fn name(&self) -> &'static str {
        self.0
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        Ok(smallvec![inputs[0].clone()])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        outputs.set(0, inputs[0].map(|x| x + x));
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        assert!(call.needs(0), "nobody needs this");
        CALLS.with_borrow_mut(|calls| calls.push(self.0));
        smallvec![Some(call.cotangent() + call.cotangent())]
    }
}

#[test]
fn no_more_is_computed_than_asked_for() {
    let tape = Tape::new();
    let (a, b) = (tape.tensor([1.0, 2.0]), tape.tensor([3.0, 4.0]));
    let data = tape.constant([5.0, 6.0]);
    let (left, right, fixed) =
        (a.apply_op(Spy("left")), b.apply_op(Spy("right")), data.apply_op(Spy("fixed")));
    let middle = (left * right * fixed).apply_op(Spy("middle"));
    let loss = middle.sum();

    let g = loss.backward().unwrap();
    assert_eq!(calls(), ["left", "middle", "right"]);
    assert_eq!(g.wrt(a), Tensor::from([2.0 * 2.0 * 6.0 * 10.0, 2.0 * 2.0 * 8.0 * 12.0]));
    assert_eq!(g.get(data), None);

    let g = loss.grad(&[a]).unwrap();
    assert_eq!(calls(), ["left", "middle"]);
    assert_eq!(g.wrt(a), loss.backward().unwrap().wrt(a));
    calls();

    // A variable in the middle: nothing below it.
    let g = loss.grad(&[left]).unwrap();
    assert_eq!(calls(), ["middle"]);
    assert_eq!(g.wrt(left), Tensor::from([2.0 * 6.0 * 10.0, 2.0 * 8.0 * 12.0]));
    loss.grad(&[middle]).unwrap();
    assert!(calls().is_empty());

    loss.grad_recorded(&[b]).unwrap();
    assert_eq!(calls(), ["middle", "right"]);
    // What lies behind the result is not looked at.
    let _later = middle.apply_op(Spy("later")).sum();
    loss.backward().unwrap();
    assert_eq!(calls(), ["left", "middle", "right"]);
    // Constants may be asked for by name.
    assert_eq!(loss.grad(&[fixed]).unwrap().wrt(fixed), Tensor::from([2.0 * 12.0, 2.0 * 32.0]));
}

#[test]
fn a_pass_leaves_the_tape_as_it_was() {
    let tape = Tape::new();
    let (x, t) = (tape.var(0.5), tape.tensor([1.0, 2.0]));
    let first = (t * x).exp().sum();
    let second = (t - x).square().mean().to_scalar() * x;
    let nodes = (tape.scalar_nodes(), tape.tensor_nodes());
    let g = [first.backward().unwrap(), second.backward().unwrap(), first.backward().unwrap()];
    assert_eq!((tape.scalar_nodes(), tape.tensor_nodes()), nodes);
    assert_eq!(g[0].wrt(t), g[2].wrt(t));
    assert_eq!(g[0].wrt(x), g[2].wrt(x));
    let exps = [(0.5f64).exp(), (1.0f64).exp()];
    assert_relative_eq!(g[0].wrt(x), exps[0] + 2.0 * exps[1], epsilon = 1e-14);
    // second = x ((1 - x)^2 + (2 - x)^2) / 2
    assert_relative_eq!(g[1].wrt(x), (0.25 + 2.25) / 2.0 + 0.5 * -(0.5 + 1.5), epsilon = 1e-14);
    assert_relative_eq!(g[1].wrt(t), Tensor::from([0.5 * 0.5, 0.5 * 1.5]), epsilon = 1e-14);
    // Work may go on behind, and handles from before the passes are as good as ever.
    let third = first * second + x;
    assert!(third.backward().unwrap().wrt(x).is_finite());
}

#[test]
fn gradients_outlive_the_tape() {
    let mut tape = Tape::new();
    let (x, t) = (tape.var(3.0), tape.tensor([1.0, 2.0]));
    let g = ((t * t).sum() * x).backward().unwrap();
    tape.reset();
    for k in 0..10 {
        // Buffers are in use again.
        let t = tape.tensor([f64::from(k), 7.0]);
        let _ = (t * t).sum().backward().unwrap();
        tape.reset();
    }
    drop(tape);
    assert_eq!(g.wrt(x), 5.0);
    assert_eq!(g.wrt(t), Tensor::from([6.0, 12.0]));
}

#[test]
fn values_taken_out_are_never_changed() {
    let mut tape = Tape::new();
    let mut kept = Vec::new();
    for k in 0..50 {
        tape.reset();
        let t = tape.tensor(Tensor::full([100], f64::from(k)));
        let y = (t * 2.0 + 1.0).exp_m1().ln_1p();
        let g = y.sum().backward().unwrap().wrt(t);
        kept.push((y.value(), g, t.value()));
    }
    for (k, (y, g, t)) in kept.iter().enumerate() {
        assert_relative_eq!(*y, Tensor::full([100], 2.0 * k as f64 + 1.0), max_relative = 1e-12);
        assert_relative_eq!(*g, Tensor::full([100], 2.0), max_relative = 1e-12);
        assert_eq!(*t, Tensor::full([100], k as f64));
    }
}

#[test]
fn third_derivative_of_x_exp_x() {
    let tape = Tape::new();
    let x = tape.var(0.5);
    let mut y = x * x.exp();
    for order in 1..=6 {
        y = y.grad_recorded(&[x]).unwrap()[0].unwrap();
        let expected = (0.5 + f64::from(order)) * 0.5f64.exp();
        assert_relative_eq!(y.value(), expected, max_relative = 1e-13);
    }
    let t = tape.tensor([0.5, -1.0]);
    let mut y = (t * t.exp()).sum();
    for order in 1..=4 {
        let d = y.grad_recorded(&[t]).unwrap()[0].unwrap();
        let expected = t.value().map(|x| (x + f64::from(order)) * x.exp());
        assert_relative_eq!(d.value(), expected, max_relative = 1e-13);
        y = d.sum();
    }
}

#[test]
fn recorded_gradients_of_both_lanes() {
    let tape = Tape::new();
    let (x, t) = (tape.var(0.7), tape.tensor([0.3, -0.2]));
    let loss = (t * x).sin().sum().to_scalar() * x + (t * t).sum().to_scalar();
    let handles: [Handle; 2] = [x.into(), t.into()];
    let recorded = loss.grad_recorded(&handles).unwrap();
    let plain = loss.backward().unwrap();
    let (Some(Handle::Scalar(dx)), Some(Handle::Tensor(dt))) = (recorded[0], recorded[1]) else {
        panic!("a gradient is of the kind of its variable");
    };
    assert_relative_eq!(dx.value(), plain.wrt(x), epsilon = 1e-15);
    assert_relative_eq!(dt.value(), plain.wrt(t), epsilon = 1e-15);
    // A penalty on the gradient is differentiated like anything else:
    // dx = sum(t cos(tx)) x + sum(sin(tx)).
    let second = (dx * dx).backward().unwrap().wrt(x);
    let (d, dd) = t.value().iter().fold((0.0, 0.0), |(d, dd), &t| {
        let (s, c) = (t * 0.7f64).sin_cos();
        (d + t * c * 0.7 + s, dd - t * t * s * 0.7 + 2.0 * t * c)
    });
    assert_relative_eq!(second, 2.0 * d * dd, epsilon = 1e-14);
}

#[test]
fn vector_jacobian_products() {
    let tape = Tape::new();
    let (w, x) = (tape.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), tape.tensor([0.5, -1.0]));
    let y = w.matmul(x);
    let g = y.vjp([1.0, 10.0, 100.0]).unwrap();
    assert_eq!(g.wrt(x), Tensor::from([531.0, 642.0]));
    assert_eq!(g.wrt(w)[[2, 0]], 50.0);
    let v = tape.tensor([1.0, 10.0, 100.0]);
    let g = y.vjp_recorded(v, &[x]).unwrap()[0].unwrap();
    assert_eq!(g.value(), Tensor::from([531.0, 642.0]));
    // It is linear in the cotangent.
    let back = g.sum().backward().unwrap();
    assert_eq!(back.wrt(v), Tensor::from([3.0, 7.0, 11.0]));
    let s = tape.var(2.0);
    assert_eq!((s * s).vjp(3.0).unwrap().wrt(s), 12.0);
}

#[test]
fn a_function_generic_over_float_is_differentiated_as_it_is() {
    fn horner<T: num_traits::Float + num_traits::FloatConst>(x: T) -> T {
        let mut sum = T::zero();
        for k in (0..5).rev() {
            sum = sum * x + T::from(k).unwrap_or_else(T::one);
        }
        let scaled = (sum / T::PI()).tanh() + x.powi(3).abs() - T::one() / x.max(T::epsilon());
        if scaled > T::zero() { scaled.sqrt() } else { -(-scaled).sqrt() }
    }
    let tape = Tape::new();
    for x in [0.3, 0.9, 2.5] {
        let v = tape.var(x);
        let y = horner(v);
        assert_eq!(y.value(), horner(x));
        let h = 1e-6;
        let slope = (horner(x + h) - horner(x - h)) / (2.0 * h);
        assert_relative_eq!(y.backward().unwrap().wrt(v), slope, max_relative = 1e-7);
    }
    let single = Tape::<f32>::default();
    let v = single.var(0.9);
    assert_eq!(horner(v).value(), horner(0.9f32));
}

#[test]
fn tensors_alone_are_asked_for_through_scalars() {
    let tape = Tape::new();
    let x = tape.tensor([1.0, 2.0]);
    let s = x.sum().to_scalar();
    let y = s * s;
    let expected = Tensor::from([6.0, 6.0]);
    assert_eq!(y.backward().unwrap().wrt(x), expected);
    assert_eq!(y.grad(&[x]).unwrap().wrt(x), expected);
    assert_eq!(y.grad_recorded(&[x]).unwrap()[0].unwrap().value(), expected);
    // Some paths cross and some do not.
    let z = (x * s + x.mean().to_scalar()).sum() * x.amax().to_scalar();
    let whole = z.backward().unwrap().wrt(x);
    assert_eq!(z.grad(&[x]).unwrap().wrt(x), whole);
    assert_eq!(z.grad_recorded(&[x]).unwrap()[0].unwrap().value(), whole);
    wengert::autograd::assert_gradients!(
        |x: TensorVar| {
            let s = x.exp().sum().to_scalar();
            (x * s.sin()).mean() + x.square().mean().to_scalar() * s
        },
        Tensor::from([0.3, -0.4, 0.9])
    );
}

#[test]
fn what_was_not_asked_for_is_not_answered() {
    let tape = Tape::new();
    let (x, y) = (tape.tensor([1.0, 2.0]), tape.tensor([3.0, 4.0]));
    let g = (x * y).sum().grad(&[x]).unwrap();
    assert_eq!(g.get(y), None);
    assert!(common::panic_message(|| g.wrt(y)).contains("was not asked for"));
    // On the way to `w`, `u` receives a part of its cotangent.
    let [u, v] = tape.vars([2.0, 3.0]);
    let w = u * v;
    let z = w * u + u * u;
    let g = z.grad(&[v]).unwrap();
    assert_eq!(g.wrt(v), 4.0);
    assert_eq!(g.get(u), None);
    assert!(common::panic_message(|| g.wrt(u)).contains("was not asked for"));
    assert!(common::panic_message(|| g.wrt(w)).contains("was not asked for"));
    // Asked for, and without influence: zero, leaf or not.
    let aside = y * 2.0;
    let g = (x * x).sum().grad(&[aside]).unwrap();
    assert_eq!(g.wrt(aside), Tensor::from([0.0, 0.0]));
}

#[test]
fn constant_gradients_are_differentiated_like_others() {
    let tape = Tape::new();
    let (x, t) = (tape.var(2.0), tape.tensor([2.0]));
    let dx = (3.0 * x).grad_recorded(&[x]).unwrap()[0].unwrap();
    assert_eq!(dx.value(), 3.0);
    assert!(dx.grad_recorded(&[x]).unwrap()[0].is_none());
    let dt = (3.0 * t).sum().grad_recorded(&[t]).unwrap()[0].unwrap();
    assert_eq!(dt.value(), Tensor::from([3.0]));
    assert!(dt.grad_recorded(&[t]).unwrap()[0].is_none());
    // A result of one element and some axes.
    let one = t.reshape([1, 1]) * 5.0;
    let nodes = tape.tensor_nodes();
    for _ in 0..3 {
        assert_eq!(one.backward().unwrap().wrt(t), Tensor::from([5.0]));
    }
    assert_eq!(tape.tensor_nodes(), nodes);
    let elsewhere = Tape::new();
    let foreign = elsewhere.tensor([1.0]);
    assert!(t.vjp_recorded(foreign, &[t]).is_err());
}

#[test]
fn a_recorded_pass_records_what_is_asked_for() {
    let tape = Tape::new();
    let (x, p) = (tape.var(1.3), tape.var(2.5));
    let y = x.powf(p);
    let before = tape.scalar_nodes();
    y.grad_recorded(&[p]).unwrap();
    let for_p = tape.scalar_nodes() - before;
    y.grad_recorded(&[x, p]).unwrap();
    assert!(tape.scalar_nodes() - before > 2 * for_p, "the partial by x was recorded for p");
}

#[test]
fn asked_for_scalars_are_found_through_tensors() {
    let tape = Tape::new();
    let [a, x, y] = tape.vars([3.0, 0.7, 2.0]);
    let before = tape.tensor([1.0, 2.0]);
    let z = (before * x.to_tensor() * (a * y).to_tensor()).sum().to_scalar() * y;
    // 3 x a y^2.
    let expected = [3.0 * 0.7 * 4.0, 3.0 * 3.0 * 4.0, 3.0 * 0.7 * 3.0 * 2.0 * 2.0];
    for (v, expected) in [a, x, y].into_iter().zip(expected) {
        let close = |made: f64| (made - expected).abs() < 1e-12;
        assert!(close(z.grad(&[v]).unwrap().wrt(v)));
        assert!(close(z.grad_recorded(&[v]).unwrap()[0].unwrap().value()));
        assert!(close(z.backward().unwrap().wrt(v)));
    }
    let second = z.grad_recorded(&[y]).unwrap()[0].unwrap().grad_recorded(&[x]).unwrap()[0];
    assert!((second.unwrap().value() - 3.0 * 3.0 * 2.0 * 2.0).abs() < 1e-12);
}

type Model = fn(&[TensorVar]) -> Vec<TensorVar>;

/// Models in which numbers that a kernel has made are handed on, added to and shared on their way.
fn streams() -> Vec<(&'static str, Model)> {
    // Each gives tensors on the way, and the loss at the end.
    vec![
        ("residuals", |v| {
            let mut h = v[0] + v[0].dense(v[1], v[2]);
            let first = h;
            h += h.layer_norm(v[2], v[3], 1e-5).dense(v[1], v[3]).gelu();
            h += h.layer_norm(v[3], v[2], 1e-5).dense(v[1], v[2]);
            vec![first, h, h.layer_norm(v[2], v[3], 1e-5).square().sum()]
        }),
        ("both operands of a sum go to kernels again", |v| {
            let (a, b) = (v[0].dense(v[1], v[2]), v[0].dense(v[1], v[3]));
            let sum = a + b;
            let both = a.softmax(-1).matmul(v[1]) + b.softmax(0).matmul(v[1]);
            vec![a, sum, (sum.matmul(v[1]) * both).sum()]
        }),
        ("a number for all elements", |v| {
            let sums = stack(&[v[0].sum(), (v[1] * v[1]).sum(), v[2].sum() + v[3].sum()], 0);
            vec![sums, sums.softmax(0).index_select(0, [1, 2, 1]).square().sum()]
        }),
        ("handed on and used", |v| {
            let fma = v[0].mul_add(v[4], v[0]);
            let h = fma.dense(v[1], v[2]) - fma;
            vec![fma, h, (h.dense(v[1], v[3]) + h * h - v[4]).softmax(-1).square().sum()]
        }),
        ("handed on to one operand and used for the other", |v| {
            let (a, b) = (v[0].dense(v[1], v[2]), v[4].dense(v[1], v[3]));
            vec![a, b, (a - b).matmul(v[1]).square().sum()]
        }),
        ("used for a kernel now and for another one later", |v| {
            let a = v[0].dense(v[1], v[2]);
            let b = a.exp().dense(v[1], v[3]);
            vec![a, b, (a * b).matmul(v[1]).square().sum()]
        }),
        ("broadcast sums", |v| {
            let h = v[0].dense(v[1], v[2]) + v[3];
            let k = h.dense(v[1], v[3]) + v[2] + h.sum_axes(0);
            vec![h, k, k.layer_norm(v[2], v[3], 1e-5).exp().sum()]
        }),
    ]
}

#[test]
fn what_kernels_hand_on_is_what_recorded_rules_say() {
    for (name, f) in streams() {
        let tape = Tape::new();
        let wave = |shape: &[usize], phase: f64| {
            let n = shape.iter().product::<usize>();
            let data = (0..n).map(|i| (0.7 * i as f64 + phase).sin() + 0.2).collect();
            tape.tensor(Tensor::new(shape, data))
        };
        let leaves = [
            wave(&[4, 3], 0.0),
            wave(&[3, 3], 1.0),
            wave(&[3], 2.0),
            wave(&[3], 3.0),
            wave(&[4, 3], 4.0),
        ];
        let made = f(&leaves);
        let (&loss, on_the_way) = made.split_last().unwrap();
        let all: Vec<TensorVar> = leaves.iter().chain(on_the_way).copied().collect();
        let recorded = loss.grad_recorded(&all).unwrap();
        let asked: Vec<Handle> = all.iter().map(|&v| v.into()).collect();
        let (of_leaves, of_all) = (loss.backward().unwrap(), loss.grad(&asked).unwrap());
        for (k, (&v, expected)) in all.iter().zip(&recorded).enumerate() {
            let Some(expected) = expected else {
                assert!(of_all.get(v).is_none(), "{name}: variable {k}");
                continue;
            };
            let expected = expected.value();
            assert_relative_eq!(of_all.wrt(v), expected, max_relative = 1e-11, epsilon = 1e-12);
            if k < leaves.len() {
                assert_relative_eq!(
                    of_leaves.wrt(v),
                    expected,
                    max_relative = 1e-11,
                    epsilon = 1e-12
                );
            }
        }
        // A pass leaves nothing behind that the next one would add to.
        let again = loss.backward().unwrap();
        for &leaf in &leaves {
            assert_eq!(again.get(leaf), of_leaves.get(leaf), "{name}");
        }
    }
}

#[test]
fn the_cotangent_of_the_result_is_there_after_a_kernel_has_read_what_was_made_of_it() {
    let tape = Tape::new();
    let (x, w) = (tape.tensor([[0.5, -1.0]]), tape.tensor([[2.0], [0.25]]));
    let y = x.matmul(w) * 2.0;
    let g = y.grad(&[y, x]).unwrap();
    assert_eq!(g.wrt(y), Tensor::from([[1.0]]));
    assert_eq!(g.wrt(x), Tensor::from([[4.0, 0.5]]));
}

/// The cotangent that a pass begins with is handed on as it is to one operand, and a kernel reads what was made
/// of it for the other one.
#[test]
fn a_cotangent_that_is_handed_on_outlives_what_is_made_of_it() {
    let tape = Tape::new();
    let a = tape.tensor([[1.0, 2.0], [3.0, 4.0]]);
    let b = tape.tensor([[0.5, -1.0], [2.0, 1.5]]);
    let c = tape.tensor([[2.0, 0.0], [1.0, -3.0]]);
    let g = Tensor::from([[1.0, -2.0], [0.5, 3.0]]);
    for y in [a - b.matmul(c), (a - b.matmul(c)) - c.matmul(b), -b.matmul(c) - (b.matmul(a) - a)] {
        let kernels = y.vjp(&g).unwrap();
        let recorded = y.vjp_recorded(tape.constant(&g), &[a, b, c]).unwrap();
        for (x, recorded) in [a, b, c].into_iter().zip(recorded) {
            assert_eq!(kernels.wrt(x), recorded.unwrap().value());
        }
    }

    let (x, y) = (tape.tensor([[2.0]]), tape.tensor([[3.0]]));
    let g = (x - y.matmul(y)).backward().unwrap();
    assert_eq!((g.wrt(x).item(), g.wrt(y).item()), (1.0, -6.0));
}

/// As above, where a rule makes the numbers itself.
#[test]
fn numbers_that_a_rule_hands_over_outlive_what_is_made_of_them() {
    struct Difference;
    impl<E: Real> Op<E> for Difference {
        fn name(&self) -> &'static str {
            "difference"
        }
        fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
            Ok(smallvec![inputs[0].clone()])
        }
        fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
            outputs.set(0, &inputs[0] - &inputs[1]);
            Ok(())
        }
        fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
            let ones = call.constant(Tensor::ones(call.inputs[0].shape()));
            smallvec![Some(ones), Some(-ones)]
        }
    }
    let tape = Tape::new();
    let a = tape.tensor([[1.0, 2.0], [3.0, 4.0]]);
    let b = tape.tensor([[0.5, -1.0], [2.0, 1.5]]);
    let y = apply_op(Difference, &[a, b.matmul(b)])[0].sum();
    let g = y.backward().unwrap();
    assert_eq!(g.wrt(a), Tensor::ones([2, 2]));
    assert_eq!(g.wrt(b), (-b.matmul(b).sum()).backward().unwrap().wrt(b));
}

#[test]
fn zeros_of_either_sign_flow() {
    let tape = Tape::new();
    let (x, w) = (tape.var(0.0), tape.var(-0.0));
    // The root has an infinite slope, which a cotangent of 0 or -0 makes NaN, and which none at all leaves alone.
    let next = x.sqrt() * w;
    let root = x.sqrt();
    let apart = (w + 1.0) * 0.0 + root * w;
    let unused = x.sqrt();
    let lifted = x.to_tensor().sqrt() * w.to_tensor();
    for (y, expected) in
        [(next, true), (apart, true), (unused * 1.0 - unused + w, true), (w + x, false)]
    {
        assert_eq!(y.backward().unwrap().wrt(x).is_nan(), expected);
        assert_eq!(y.grad_recorded(&[x]).unwrap()[0].is_some_and(|g| g.value().is_nan()), expected);
    }
    assert!(lifted.backward().unwrap().wrt(x).is_nan());
    // The first node of a tape is swept, too.
    assert_eq!(x.backward().unwrap().wrt(x), 1.0);
    assert_eq!((x + x).backward().unwrap().wrt(x), 2.0);
}
