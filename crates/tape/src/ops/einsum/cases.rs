//! Cases of Einstein's summation.

use super::einsum;
use crate::Tensor;
use crate::cases::{Argument, Case, inside, naive, whole};

/// The sum over all indices, one loop for each letter: lengths of the letters in alphabetical order, which
/// letters each operand and the result have.
fn sums(x: &[Tensor], lens: &[usize], operands: &[&[usize]], result: &[usize]) -> Tensor {
    let shape: Vec<usize> = result.iter().map(|&l| lens[l]).collect();
    let mut out = Tensor::zeros(&shape[..]);
    let strides = out.shape().strides();
    for index in naive::indices(lens) {
        let place: usize = result.iter().zip(&strides).map(|(&l, stride)| index[l] * stride).sum();
        let factor = |(x, letters): (&Tensor, &&[usize])| {
            let own: Vec<usize> = letters.iter().map(|&l| index[l]).collect();
            naive::at(x, &own)
        };
        out.as_mut_slice()[place] += x.iter().zip(operands).map(factor).product::<f64>();
    }
    out
}

macro_rules! subscripts {
    ($text:literal, [$($letters:expr),*], $result:expr, $lens:expr) => {
        whole!(
            "einsum",
            "einsum(subscripts, operands)",
            "einsum of g and the other operands",
            |x| einsum($text, x),
            |x| {
                let lens: fn(&[Tensor]) -> Vec<usize> = $lens;
                sums(x, &lens(x), &[$(&$letters),*], &$result)
            }
        )
    };
}

pub(crate) fn cases() -> Vec<Case> {
    let of = |shapes: &[&[usize]]| -> Vec<Argument> {
        shapes.iter().map(|&shape| inside(shape, -1.0, 1.0)).collect()
    };
    vec![
        subscripts!("ij,jk->ik", [[0, 1], [1, 2]], [0, 2], |x| vec![
            x[0].shape()[0],
            x[0].shape()[1],
            x[1].shape()[1]
        ])
        .at(of(&[&[2, 3], &[3, 2]]))
        .at(of(&[&[2, 0], &[0, 3]])),
        subscripts!("bij,bkj->kbi", [[0, 1, 2], [0, 3, 2]], [3, 0, 1], |x| vec![
            x[0].shape()[0],
            x[0].shape()[1],
            x[0].shape()[2],
            x[1].shape()[1]
        ])
        .at(of(&[&[2, 2, 3], &[2, 1, 3]])),
        subscripts!("iji,kj,kl->l", [[0, 1, 0], [2, 1], [2, 3]], [3], |x| vec![
            x[0].shape()[0],
            x[0].shape()[1],
            x[1].shape()[0],
            x[2].shape()[1]
        ])
        .at(of(&[&[2, 3, 2], &[2, 3], &[2, 2]])),
        subscripts!("ii", [[0, 0]], [], |x| vec![x[0].shape()[0]])
            .at(of(&[&[3, 3]]))
            .at(of(&[&[0, 0]])),
        subscripts!("i, j -> ji", [[0], [1]], [1, 0], |x| vec![x[0].len(), x[1].len()])
            .at(of(&[&[2], &[3]])),
        subscripts!(",i->i", [[], [0]], [0], |x| vec![x[1].len()]).at(of(&[&[], &[3]])),
        subscripts!("bi,ij,bj->b", [[0, 1], [1, 2], [0, 2]], [0], |x| vec![
            x[0].shape()[0],
            x[1].shape()[0],
            x[1].shape()[1]
        ])
        .at(of(&[&[2, 3], &[3, 2], &[2, 2]])),
        subscripts!("...ij,j...->...i", [[0, 1, 2], [2, 0]], [0, 1], |x| vec![
            x[0].shape()[0],
            x[0].shape()[1],
            x[0].shape()[2]
        ])
        .at(of(&[&[2, 2, 3], &[3, 2]])),
        whole!(
            "einsum",
            "einsum(subscripts, operands)",
            "einsum of g and the other operands",
            |x| einsum("...i,...i", x),
            |x| naive::build(&[2, 3], |i| {
                (0..2).map(|k| x[0][[i[0], 0, k]] * x[1][[i[1], k]]).sum()
            })
        )
        .at(of(&[&[2, 1, 2], &[3, 2]])),
    ]
}
