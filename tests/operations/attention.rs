//! Scaled dot-product attention.

use super::*;
use wengert::tape::{Attention, multi_head_attention, scaled_dot_product_attention};

/// The definition, by recorded operations.
fn by_definition(
    [q, k, v]: [TensorVar; 3],
    causal: bool,
    scale: f64,
    mask: Option<TensorVar>,
) -> TensorVar {
    let mut scores = q.matmul(k.transpose(-1, -2)) * scale;
    if let Some(mask) = mask {
        scores += mask;
    }
    if causal {
        let (t, s) = (q.shape()[q.rank() - 2], k.shape()[k.rank() - 2]);
        let hidden = (0..t * s).map(|i| if i % s > i / s { -1e30 } else { 0.0 });
        scores += q.constant_like(Tensor::new([t, s], hidden.collect()));
    }
    scores.softmax(-1).matmul(v)
}

fn inputs(batch: &[usize], t: usize, s: usize, d: usize, width: usize) -> [Tensor; 3] {
    let shape = |rows: usize, columns: usize| [batch, &[rows, columns]].concat();
    [
        numbers(shape(t, d), -1.5, 1.5),
        numbers(shape(s, d), -1.0, 2.0),
        numbers(shape(s, width), -1.0, 1.0),
    ]
}

#[test]
fn values_and_derivatives() {
    let cases: &[(&[usize], usize, usize, usize, usize)] = &[
        (&[], 1, 1, 1, 1),
        (&[], 3, 3, 2, 2),
        (&[2], 3, 4, 2, 1),
        (&[1, 2], 4, 2, 3, 2),
        (&[2, 2], 2, 2, 1, 3),
    ];
    for &(batch, t, s, d, width) in cases {
        let x = inputs(batch, t, s, d, width);
        for causal in [false, true] {
            for scale in [None, Some(0.7)] {
                let attention = Attention { causal, scale, ..Attention::default() };
                let factor = scale.unwrap_or(1.0 / (d as f64).sqrt());
                let tape = Tape::new();
                let [q, k, v] = x.each_ref().map(|x| tape.tensor(x));
                let y = scaled_dot_product_attention(q, k, v, attention).value();
                let expected = by_definition([q, k, v], causal, factor, None).value();
                assert_relative_eq!(y, expected, epsilon = 1e-14);
                let f = |(q, k, v): (TensorVar, TensorVar, TensorVar)| {
                    scaled_dot_product_attention(q, k, v, attention)
                };
                assert_gradients!(f, (&x[0], &x[1], &x[2]));
            }
        }
    }
}

#[test]
fn masks() {
    let masks: &[&[usize]] = &[&[2, 3, 4], &[3, 4], &[1, 4], &[2, 1, 1], &[3, 1], &[]];
    let [q, k, v] = inputs(&[2], 3, 4, 2, 2);
    for &shape in masks {
        let mask = numbers(shape, -1.0, 1.0);
        for causal in [false, true] {
            let run = |(q, k, v): (TensorVar, TensorVar, TensorVar), mask: TensorVar| {
                let attention = Attention { causal, mask: Some(mask), scale: None };
                scaled_dot_product_attention(q, k, v, attention)
            };
            let tape = Tape::new();
            let [a, b, c, m] = [&q, &k, &v, &mask].map(|x| tape.tensor(x));
            let expected = by_definition([a, b, c], causal, 0.5f64.sqrt(), Some(m)).value();
            assert_relative_eq!(run((a, b, c), m).value(), expected, epsilon = 1e-14);
            assert_gradients!(|(x, mask): (_, TensorVar)| run(x, mask), ((&q, &k, &v), &mask));
        }
    }
    // Minus infinity hides a key.
    let tape = Tape::new();
    let [q, k, v] = [q, k, v].map(|x| tape.tensor(x));
    let hidden = tape.constant([0.0, 0.0, f64::NEG_INFINITY, f64::NEG_INFINITY]);
    let attention = Attention { mask: Some(hidden), ..Attention::default() };
    let y = scaled_dot_product_attention(q, k, v, attention);
    let few = |x: TensorVar| x.narrow(1, 0, 2);
    let expected = scaled_dot_product_attention(q, few(k), few(v), Attention::default());
    assert_relative_eq!(y.value(), expected.value(), epsilon = 1e-14);
    let g = y.square().sum().backward().unwrap();
    assert!([q, k, v].iter().all(|&x| g.wrt(x).iter().all(|g| g.is_finite())));
    assert!(g.wrt(v).as_slice()[4..8].iter().all(|&g| g == 0.0));
}

#[test]
fn kernels_of_attention() {
    // Lengths below, at and beyond the blocks, with probabilities kept and computed again.
    let lengths =
        [(1, 1), (63, 64), (64, 64), (65, 70), (128, 128), (130, 129), (200, 5), (5, 4000)];
    for (t, s) in lengths {
        let x = inputs(&[3], t, s, 3, 2);
        for causal in [false, true] {
            let attention = Attention { causal, ..Attention::default() };
            let f = |v: &[TensorVar]| scaled_dot_product_attention(v[0], v[1], v[2], attention);
            assert_kernels_are_composites(f, &x);
            let [q, k, v] = &x;
            let mask = numbers([t, s], -1.0, 1.0);
            let masked = |v: &[TensorVar]| {
                let attention = Attention { causal, mask: Some(v[3]), scale: Some(0.3) };
                scaled_dot_product_attention(v[0], v[1], v[2], attention)
            };
            assert_kernels_are_composites(masked, &[q.clone(), k.clone(), v.clone(), mask]);
        }
    }
}

#[test]
fn one_tensor_in_several_places() {
    let x = numbers([2, 5, 3], -1.0, 1.0);
    let causal = Attention { causal: true, ..Attention::default() };
    assert_gradients!(|x: TensorVar| scaled_dot_product_attention(x, x, x, causal), &x);
    let f = |v: &[TensorVar]| {
        let x = v[0];
        // The buffers that the kernel is lent hold sums already.
        scaled_dot_product_attention(x, x, x, causal) * x.softmax(-1)
            + scaled_dot_product_attention(x, x * 2.0, x, Attention::default())
    };
    assert_kernels_are_composites(f, &[x]);
}

#[test]
fn inputs_that_nobody_asks_for() {
    let x = inputs(&[2], 4, 5, 3, 2);
    let tape = Tape::new();
    let all = x.each_ref().map(|x| tape.tensor(x));
    let run = |[q, k, v]: [TensorVar; 3]| {
        scaled_dot_product_attention(q, k, v, Attention::default()).square().sum()
    };
    let expected = run(all).backward().unwrap();
    for wanted in 0..3 {
        let mut few = x.each_ref().map(|x| tape.constant(x));
        few[wanted] = all[wanted];
        let g = run(few).backward().unwrap();
        assert_eq!(g.wrt(all[wanted]), expected.wrt(all[wanted]));
    }
}

#[test]
fn packed_heads() {
    let cases: &[(&[usize], usize, usize, usize)] =
        &[(&[], 3, 1, 2), (&[1], 4, 2, 1), (&[2], 3, 2, 2), (&[2, 1], 2, 3, 1)];
    for &(batch, t, heads, d) in cases {
        let x = numbers([batch, &[t, 3 * heads * d]].concat(), -1.0, 1.0);
        for causal in [false, true] {
            let attention = Attention { causal, ..Attention::default() };
            let tape = Tape::new();
            let qkv = tape.tensor(&x);
            let y = multi_head_attention(qkv, heads, attention);
            let count = batch.iter().product();
            let apart = qkv.reshape([count, t, 3 * heads, d]).transpose(1, 2);
            let part = |k: usize| apart.narrow(1, k * heads, heads);
            let expected =
                by_definition([part(0), part(1), part(2)], causal, 1.0 / (d as f64).sqrt(), None);
            let expected = expected.transpose(1, 2).reshape(y.shape());
            assert_relative_eq!(y.value(), expected.value(), epsilon = 1e-14);
            assert_gradients!(|x: TensorVar| multi_head_attention(x, heads, attention), &x);
            let lent = |v: &[TensorVar]| {
                multi_head_attention(v[0], heads, attention).square().sum()
                    + v[0].softmax(-1).square().sum()
                    + multi_head_attention(v[0].exp(), heads, attention).sum()
            };
            assert_kernels_are_composites(lent, std::slice::from_ref(&x));
        }
    }
}

#[test]
fn masks_of_packed_heads() {
    let masks: &[&[usize]] = &[&[2, 2, 3, 3], &[2, 3, 3], &[2, 1, 1, 3], &[3, 3], &[2, 1, 1], &[]];
    let x = numbers([2, 3, 12], -1.0, 1.0);
    for &shape in masks {
        let mask = numbers(shape, -1.0, 1.0);
        let f = |(x, mask): (TensorVar, TensorVar)| {
            let attention = Attention { causal: true, scale: None, mask: Some(mask) };
            multi_head_attention(x, 2, attention)
        };
        assert_gradients!(f, (&x, &mask));
        assert_kernels_are_composites(|v| f((v[0], v[1])), &[x.clone(), mask]);
    }
}

#[test]
fn attention_on_threads() {
    let [q, k, v] = inputs(&[6, 5], 64, 64, 32, 32);
    let causal = Attention { causal: true, ..Attention::default() };
    assert_threads_agree(
        |v| {
            let attention = Attention { causal: true, ..Attention::default() };
            scaled_dot_product_attention(v[0], v[1], v[2], attention)
        },
        &[q.clone(), k.clone(), v.clone()],
    );
    assert_threads_agree(
        |v| {
            let attention = Attention { mask: Some(v[3]), ..Attention::default() };
            scaled_dot_product_attention(v[0], v[1], v[2], attention)
        },
        &[q.clone(), k.clone(), v.clone(), numbers([64, 64], -1.0, 1.0)],
    );
    let packed = numbers([7, 64, 96], -1.0, 1.0);
    assert_threads_agree(
        |v| {
            let attention = Attention { causal: true, ..Attention::default() };
            multi_head_attention(v[0], 2, attention)
        },
        std::slice::from_ref(&packed),
    );
    assert_kernels_are_composites(|v| multi_head_attention(v[0], 4, causal), &[packed]);
    // Single precision against double.
    let (single_tape, tape) = (Tape::<f32>::default(), Tape::new());
    let [a, b, c] = [&q, &k, &v].map(|x| single_tape.tensor(single(x)));
    let y = scaled_dot_product_attention(a, b, c, Attention::default()).value();
    let [a, b, c] = [&q, &k, &v].map(|x| tape.tensor(x));
    let exact = scaled_dot_product_attention(a, b, c, Attention::default()).value();
    for (y, exact) in y.iter().zip(exact.iter()) {
        assert_relative_eq!(f64::from(*y), *exact, epsilon = 1e-5);
    }
}

#[test]
fn large_scores_and_empty_tensors() {
    let tape = Tape::new();
    let q = tape.tensor([[1e4, 0.0], [0.0, -1e4]]);
    let v = tape.tensor([[1.0], [2.0]]);
    let y = scaled_dot_product_attention(q, q, v, Attention::default());
    assert_eq!(y.value(), Tensor::from([[1.0], [2.0]]));
    assert!(y.sum().backward().unwrap().wrt(q).iter().all(|&g| g == 0.0));
    for (batch, t, s, width) in [(0, 2, 2, 1), (2, 0, 3, 1), (2, 3, 0, 1), (1, 2, 2, 0)] {
        for causal in [false, true] {
            let x = inputs(&[batch], t, s, 2, width).map(|x| tape.tensor(x));
            let attention = Attention { causal, ..Attention::default() };
            let y = scaled_dot_product_attention(x[0], x[1], x[2], attention);
            assert_eq!(y.value(), Tensor::zeros([batch, t, width]));
            let g = y.sum().backward().unwrap();
            x.iter().for_each(|&x| assert_eq!(g.wrt(x), Tensor::zeros(x.shape())));
        }
    }
    let none = tape.tensor(Tensor::zeros([2, 0, 6]));
    let y = multi_head_attention(none, 2, Attention::default());
    assert_eq!(y.sum().backward().unwrap().wrt(none).len(), 0);
}
