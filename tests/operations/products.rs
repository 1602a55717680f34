//! Matrix products.

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
                    a.as_slice()[at_a * m * k + r * k + j] * b.as_slice()[at_b * k * n + j * n + c]
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
    let single = |t: &Tensor| Tensor::<f32>::new(t.shape(), t.iter().map(|&x| x as f32).collect());
    let product = f.tensor(single(&a)).matmul(f.tensor(single(&b))).value();
    for (p, q) in product.iter().zip(naive(&a, &b)) {
        assert_relative_eq!(f64::from(*p), q, epsilon = 1e-4);
    }
}

/// Batches of all kinds, in sizes for every way to multiply: forward, in the kernel of `backward`, into a
/// sum that has begun, and in the composite.
#[test]
fn batches_on_threads_agree_with_the_composite() {
    use wengert::tape::with_threads;

    let cases: &[(&[usize], &[usize])] = &[
        (&[1, 3, 2], &[1, 2, 4]),
        (&[3, 0, 2], &[3, 2, 4]),
        (&[0, 3, 2], &[0, 2, 4]),
        (&[3, 4, 0], &[3, 0, 4]),
        (&[40, 7, 5], &[40, 5, 3]),
        (&[5, 65, 130], &[5, 130, 33]),
        (&[7, 64, 96], &[7, 96, 130]),
        (&[30, 64, 32], &[30, 32, 65]),
        (&[2, 160, 300], &[2, 300, 130]),
        (&[5, 2, 20, 33], &[2, 33, 17]),
        (&[40, 33], &[3, 33, 50]),
    ];
    for &(s, t) in cases {
        let (a, b) = (numbers(s, -1.0, 1.0), numbers(t, -1.0, 1.0));
        let results = || {
            let tape = Tape::new();
            let (x, y) = (tape.tensor(&a), tape.tensor(&b));
            let product = x.matmul(y);
            // Each operand has another use, so the products are added to a sum or begin one.
            let loss = (product * product).sum() + x.square().sum() + (0.5 * y).sum();
            let g = loss.backward().unwrap();
            let recorded = loss.grad_recorded(&[x, y]).unwrap();
            let recorded = [recorded[0].unwrap().value(), recorded[1].unwrap().value()];
            (product.value(), [g.wrt(x), g.wrt(y)], recorded)
        };
        let (value, fast, composite) = with_threads(1, results);
        assert_relative_eq!(value.as_slice(), naive(&a, &b).as_slice(), epsilon = 1e-12);
        for (fast, composite) in fast.iter().zip(&composite) {
            assert_eq!(fast.shape(), composite.shape());
            assert_relative_eq!(
                fast.as_slice(),
                composite.as_slice(),
                epsilon = 1e-10,
                max_relative = 1e-10
            );
        }
        for threads in [2, 3] {
            assert!(
                with_threads(threads, results) == (value.clone(), fast.clone(), composite.clone())
            );
        }
    }
}

#[test]
fn a_dense_layer_is_a_product_and_a_sum() {
    for shape in [&[4, 3][..], &[3], &[2, 2, 3]] {
        let x = numbers(shape, -1.0, 1.0);
        let (w, b) = (numbers([3, 2], -1.0, 1.0), numbers([2], -1.0, 1.0));
        let layer = |v: &[TensorVar]| v[0].dense(v[1], v[2]);
        assert_kernels_are_composites(layer, &[x.clone(), w.clone(), b.clone()]);
        // What has flowed to an input before is added to, and not replaced.
        let twice = |v: &[TensorVar]| layer(v) * layer(v) + v[2];
        assert_kernels_are_composites(twice, &[x.clone(), w.clone(), b.clone()]);

        let tape = Tape::new();
        let (x, w, b) = (tape.tensor(x), tape.tensor(w), tape.tensor(b));
        let (fused, apart) = (x.dense(w, b).value(), (x.matmul(w) + b).value());
        assert_relative_eq!(fused, apart, max_relative = 1e-13);
    }
}
