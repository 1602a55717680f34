//! Loops over whole tensors, without a tape.

mod product;

use crate::shape::AxisSet;
use crate::{Real, Shape};

pub(crate) use product::{PIECE, product};

/// A matrix in row-major order, or the transpose of one.
#[derive(Clone, Copy, Debug)]
#[doc(hidden)]
pub struct Matrix<'a, E> {
    /// The elements.
    pub data: &'a [E],
    /// Rows, after the transposition if there is one.
    pub rows: usize,
    /// Columns, after the transposition if there is one.
    pub columns: usize,
    /// Whether `data` holds the transpose, in row-major order.
    pub transposed: bool,
}

#[cfg(test)]
impl<E> Matrix<'_, E> {
    /// The transpose, of the same elements in memory.
    pub(crate) fn transpose(self) -> Self {
        Matrix { rows: self.columns, columns: self.rows, transposed: !self.transposed, ..self }
    }
}

/// Runs a loop compiled for the best vector instructions of the processor; everything in it must be
/// `#[inline(always)]`. It is told whether there is a fused multiply-add among them.
#[inline(always)]
pub(crate) fn vectorised<R>(f: impl FnOnce(bool) -> R) -> R {
    let arch = pulp::Arch::new();
    let fused = !matches!(arch, pulp::Arch::Scalar);
    arch.dispatch(
        #[inline(always)]
        || f(fused),
    )
}

/// Calls `f(element of the input, position in the output)` for each element of a tensor of the given
/// shape, in order, where the output lacks the axes of `reduced`.
pub(crate) fn for_each_reduced(shape: &Shape, reduced: AxisSet, mut f: impl FnMut(usize, usize)) {
    let rank = shape.rank();
    let mut strides = [0usize; 64];
    let mut stride = 1;
    for k in (0..rank).rev() {
        if !reduced.contains(k) {
            strides[k] = stride;
            stride *= shape[k];
        }
    }
    let mut index = [0usize; 64];
    let mut position = 0;
    for i in 0..shape.elements() {
        f(i, position);
        for k in (0..rank).rev() {
            index[k] += 1;
            position += strides[k];
            if index[k] < shape[k] {
                break;
            }
            position -= strides[k] * shape[k];
            index[k] = 0;
        }
    }
}

/// The sum of a slice, pairwise over blocks and, within a block, over fixed lanes: an error that
/// grows with the logarithm of the length, and the same bits every time.
pub(crate) fn sum<E: Real>(x: &[E]) -> E {
    const BLOCK: usize = 1024;
    const LANES: usize = 16;
    if x.len() > BLOCK {
        let half = (x.len() / 2).next_multiple_of(BLOCK);
        return sum(&x[..half]) + sum(&x[half..]);
    }
    vectorised(
        #[inline(always)]
        |_| {
            let mut lanes = [E::ZERO; LANES];
            let chunks = x.chunks_exact(LANES);
            let rest = chunks.remainder();
            for chunk in chunks {
                for (lane, &x) in lanes.iter_mut().zip(chunk) {
                    *lane += x;
                }
            }
            for (lane, &x) in lanes.iter_mut().zip(rest) {
                *lane += x;
            }
            fold_lanes(&mut lanes)
        },
    )
}

/// The sum of the lanes, a power of two, pairwise.
#[inline(always)]
pub(crate) fn fold_lanes<E: Real>(lanes: &mut [E]) -> E {
    let mut width = lanes.len() / 2;
    while width > 0 {
        for k in 0..width {
            let upper = lanes[k + width];
            lanes[k] += upper;
        }
        width /= 2;
    }
    lanes[0]
}

/// The sum of the rows of `x`, each as long as `out`: pairwise over blocks of rows.
pub(crate) fn sum_rows<E: Real>(x: &[E], out: &mut [E]) {
    const BLOCK: usize = 64;
    let width = out.len();
    let rows = x.len() / width;
    if rows > BLOCK {
        let half = (rows / 2).next_multiple_of(BLOCK) * width;
        sum_rows(&x[..half], out);
        let mut rest = crate::recycle::Scratch::<E>::filled(width, E::ZERO);
        sum_rows(&x[half..], &mut rest);
        out.iter_mut().zip(rest.iter()).for_each(|(out, &x)| *out += x);
        return;
    }
    out.fill(E::ZERO);
    vectorised(
        #[inline(always)]
        |_| {
            for row in x.chunks_exact(width) {
                out.iter_mut().zip(row).for_each(|(out, &x)| *out += x);
            }
        },
    );
}

/// Fills `out`, of the given shape, with elements of `data` read by stride.
pub(crate) fn read_strided<E: Real>(data: &[E], shape: &Shape, strides: &[usize], out: &mut [E]) {
    let rank = shape.rank();
    if rank == 0 {
        out.copy_from_slice(&data[..1]);
        return;
    }
    let (width, step) = (shape[rank - 1], strides[rank - 1]);
    if out.is_empty() {
        return;
    }
    let mut index = [0usize; 64];
    let mut offset = 0;
    for row in out.chunks_exact_mut(width) {
        for (i, out) in row.iter_mut().enumerate() {
            *out = data[offset + i * step];
        }
        for k in (0..rank - 1).rev() {
            index[k] += 1;
            offset += strides[k];
            if index[k] < shape[k] {
                break;
            }
            offset -= strides[k] * shape[k];
            index[k] = 0;
        }
    }
}
