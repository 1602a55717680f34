//! Cases of the products.

use crate::Tensor;
use crate::cases::{Case, inside, naive, whole};

/// The product by its sums, with numpy's rule for vectors and batches.
fn naive_matmul(a: &Tensor, b: &Tensor) -> Tensor {
    let row = if a.rank() == 1 { a.reshape([1, a.len()]) } else { a.clone() };
    let column = if b.rank() == 1 { b.reshape([b.len(), 1]) } else { b.clone() };
    let (s, t) = (row.shape().to_vec(), column.shape().to_vec());
    let (s_batch, t_batch) = (&s[..s.len() - 2], &t[..t.len() - 2]);
    let rank = s_batch.len().max(t_batch.len());
    let length = |batch: &[usize], k: usize| match (k + batch.len()).checked_sub(rank) {
        Some(k) => batch[k],
        None => 1,
    };
    let batch: Vec<usize> = (0..rank).map(|k| length(s_batch, k).max(length(t_batch, k))).collect();
    let (m, inner, n) = (s[s.len() - 2], s[s.len() - 1], t[t.len() - 1]);
    let shape = [&batch[..], &[m, n]].concat();
    let product = naive::build(&shape, |i| {
        let within = |own: &[usize]| -> Vec<usize> {
            let i = &i[rank - own.len()..rank];
            i.iter().zip(own).map(|(&i, &n)| if n == 1 { 0 } else { i }).collect()
        };
        (0..inner)
            .map(|k| {
                let left = [&within(s_batch)[..], &[i[rank], k]].concat();
                let right = [&within(t_batch)[..], &[k, i[rank + 1]]].concat();
                naive::at(&row, &left) * naive::at(&column, &right)
            })
            .sum()
    });
    let mut shape = batch;
    shape.extend((a.rank() > 1).then_some(m));
    shape.extend((b.rank() > 1).then_some(n));
    product.reshape(shape)
}

pub(crate) fn cases() -> Vec<Case> {
    let shapes: [[&[usize]; 2]; 9] = [
        [&[2, 3], &[3, 2]],
        [&[3], &[3]],
        [&[3], &[3, 2]],
        [&[2, 3], &[3]],
        [&[2, 2, 3], &[3, 2]],
        [&[2, 1, 3], &[2, 3, 2]],
        [&[2, 1, 2, 2], &[3, 2, 1]],
        [&[2, 2], &[3, 2, 2]],
        [&[0, 2], &[2, 3]],
    ];
    let matmul =
        whole!("matmul", "a.matmul(b)", "da = g b^T, db = a^T g", |x| x[0].matmul(x[1]), |x| {
            naive_matmul(&x[0], &x[1])
        });
    let at =
        |case: Case, [a, b]: [&[usize]; 2]| case.at([inside(a, -1.0, 1.0), inside(b, -1.0, 1.0)]);
    let dense = whole!(
        "dense",
        "x.dense(w, b)",
        "dx = g w^T, dw = x^T g, db = the sum of the rows of g",
        |x| x[0].dense(x[1], x[2]),
        |x| {
            let product = naive_matmul(&x[0], &x[1]);
            let bias = x[2].as_slice();
            naive::build(product.shape(), |i| naive::at(&product, i) + bias[i[i.len() - 1]])
        }
    );
    let layers: [[&[usize]; 3]; 6] = [
        [&[4, 3], &[3, 2], &[2]],
        [&[3], &[3, 2], &[2]],
        [&[2, 2, 3], &[3, 1], &[1]],
        [&[0, 3], &[3, 2], &[2]],
        [&[2, 0], &[0, 3], &[3]],
        [&[2, 3], &[3, 0], &[0]],
    ];
    let layer = |case: Case, shapes: [&[usize]; 3]| case.at(shapes.map(|s| inside(s, -1.0, 1.0)));
    vec![shapes.into_iter().fold(matmul, at), layers.into_iter().fold(dense, layer)]
}
