//! One head of attention on plain numbers: its queries, keys and values are contiguous matrices.

use crate::kernels::{Matrix, Onto};
use crate::ops::rows::{dot, exponentials, probabilities, vectorised};
use crate::{Real, Target};

/// How many queries are worked on at once. With a causal mask a block skips the keys after its last query.
const ROWS: usize = 64;

/// The most probabilities of a head that are kept for the backward pass. Longer heads keep two numbers
/// for each query and compute them again, so that memory grows with the length and not with its square.
const KEPT: usize = 1 << 14;

/// What all heads have in common: `t` queries and `s` keys of `d` numbers, values of `width` numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<E> {
    pub(super) t: usize,
    pub(super) s: usize,
    pub(super) d: usize,
    pub(super) width: usize,
    pub(super) scale: E,
    pub(super) causal: bool,
}

/// Numbers that are added to the scores of one head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mask<'a, E> {
    /// From the first number of this head on.
    pub(super) data: &'a [E],
    /// How far apart those of two queries are, and those of two keys: 0 or 1.
    pub(super) strides: [usize; 2],
}

/// The matrices of one head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inputs<'a, E> {
    pub(super) q: &'a [E],
    pub(super) k: &'a [E],
    pub(super) v: &'a [E],
    pub(super) mask: Option<Mask<'a, E>>,
}

/// Where the cotangents of the matrices of one head go; those that nobody asks for are missing. That of
/// the mask has the shape of the scores.
#[derive(Debug, Default)]
pub(super) struct Cotangents<'a, E> {
    pub(super) q: Option<Target<'a, E>>,
    pub(super) k: Option<Target<'a, E>>,
    pub(super) v: Option<Target<'a, E>>,
    pub(super) mask: Option<&'a mut [E]>,
}

/// A block of consecutive queries, the keys that one of them sees, and how many keys that are.
#[derive(Clone, Copy)]
struct Block {
    first: usize,
    rows: usize,
    keys: usize,
}

impl<E: Real> Head<E> {
    fn keeps_probabilities(&self) -> bool {
        self.t * self.s <= KEPT
    }

    /// How many multiplications the forward pass takes.
    pub(super) fn multiplications(&self) -> usize {
        self.t * self.s * (self.d + self.width)
    }

    /// How many numbers a head keeps for the backward pass.
    pub(super) fn kept(&self) -> usize {
        if self.keeps_probabilities() { self.t * self.s } else { 2 * self.t }
    }

    /// How many numbers of scratch memory the forward pass takes.
    pub(super) fn forward_scratch(&self) -> usize {
        if self.keeps_probabilities() { 0 } else { ROWS.min(self.t) * self.s }
    }

    /// How many numbers of scratch memory the backward pass takes.
    pub(super) fn backward_scratch(&self) -> usize {
        let tiles = if self.keeps_probabilities() { 1 } else { 2 };
        tiles * ROWS.min(self.t) * self.s
    }

    fn blocks(self) -> impl Iterator<Item = Block> {
        (0..self.t).step_by(ROWS).map(move |first| {
            let rows = ROWS.min(self.t - first);
            let keys = if self.causal { self.s.min(first + rows) } else { self.s };
            Block { first, rows, keys }
        })
    }

    /// Fills `out` with the values, averaged with the probabilities of their keys.
    pub(super) fn forward(
        &self,
        inputs: Inputs<'_, E>,
        out: &mut [E],
        kept: &mut [E],
        scratch: &mut [E],
    ) {
        let (d, width) = (self.d, self.width);
        for block in self.blocks() {
            let Block { first, rows, keys } = block;
            // The probabilities of a block lie together, as wide as it sees keys.
            let (tile, parts) = match self.keeps_probabilities() {
                true => (&mut kept[first * self.s..][..rows * keys], None),
                false => (&mut scratch[..rows * keys], Some(&mut kept[2 * first..][..2 * rows])),
            };
            multiply(
                tile,
                (&inputs.q[first * d..], rows),
                (&inputs.k[..keys * d], d),
                Form::Abt,
                false,
            );
            self.softmax(tile, block, inputs.mask, parts);
            let out = &mut out[first * width..][..rows * width];
            multiply(out, (tile, rows), (&inputs.v[..keys * width], keys), Form::Ab, false);
        }
    }

    /// Turns products of queries and keys into probabilities, and writes the parts of the log-sum-exp.
    fn softmax(
        &self,
        tile: &mut [E],
        block: Block,
        mask: Option<Mask<'_, E>>,
        mut parts: Option<&mut [E]>,
    ) {
        vectorised(
            #[inline(always)]
            || {
                for r in 0..block.rows {
                    let row = self.scores(tile, block, mask, r);
                    let (largest, sum) = exponentials(row);
                    let scale = E::ONE / sum;
                    row.iter_mut().for_each(|p| *p *= scale);
                    if let Some(parts) = &mut parts {
                        (parts[2 * r], parts[2 * r + 1]) = (largest, sum);
                    }
                }
            },
        );
    }

    /// Turns products of queries and keys into probabilities, from the parts of the log-sum-exp.
    fn softmax_again(&self, tile: &mut [E], block: Block, mask: Option<Mask<'_, E>>, parts: &[E]) {
        vectorised(
            #[inline(always)]
            || {
                for (r, part) in parts.chunks_exact(2).enumerate() {
                    probabilities(self.scores(tile, block, mask, r), part[0], part[1]);
                }
            },
        );
    }

    /// Scales row `r` of a tile and adds the mask. What the query does not see becomes minus infinity, whose
    /// exponential is 0: rows of one length are faster than shorter ones of many lengths.
    #[inline(always)]
    fn scores<'t>(
        &self,
        tile: &'t mut [E],
        block: Block,
        mask: Option<Mask<'_, E>>,
        r: usize,
    ) -> &'t mut [E] {
        let query = block.first + r;
        let row = &mut tile[r * block.keys..][..block.keys];
        row.iter_mut().for_each(|x| *x *= self.scale);
        if let Some(mask) = mask {
            let data = &mask.data[query * mask.strides[0]..];
            match mask.strides[1] {
                0 => row.iter_mut().for_each(|x| *x += data[0]),
                _ => row.iter_mut().zip(data).for_each(|(x, &m)| *x += m),
            }
        }
        if self.causal {
            row[self.s.min(query + 1).min(block.keys)..].fill(E::lit(f64::NEG_INFINITY));
        }
        row
    }

    /// The cotangents of the inputs from that of the result. With `P` the probabilities, `G` the
    /// cotangent and `dP = G vᵀ`: `dv = Pᵀ G`; that of the scores, and of the mask, is
    /// `dS = P (dP - rowsum(P dP))`; `dq = scale dS k` and `dk = scale dSᵀ q`.
    pub(super) fn backward(
        &self,
        inputs: Inputs<'_, E>,
        g: &[E],
        kept: &[E],
        mut cotangents: Cotangents<'_, E>,
        scratch: &mut [E],
    ) {
        let (d, width) = (self.d, self.width);
        for target in [&mut cotangents.k, &mut cotangents.v].into_iter().flatten() {
            if !target.add {
                target.buffer.fill(E::ZERO);
            }
        }
        let (tile, again) = scratch.split_at_mut(ROWS.min(self.t) * self.s);
        for block in self.blocks() {
            let Block { first, rows, keys } = block;
            let (q, g) = (&inputs.q[first * d..][..rows * d], &g[first * width..][..rows * width]);
            let (k, v) = (&inputs.k[..keys * d], &inputs.v[..keys * width]);
            let p = match self.keeps_probabilities() {
                true => &kept[first * self.s..][..rows * keys],
                false => {
                    let p = &mut again[..rows * keys];
                    multiply(p, (q, rows), (k, d), Form::Abt, false);
                    self.softmax_again(p, block, inputs.mask, &kept[2 * first..][..2 * rows]);
                    &*p
                }
            };
            if let Some(dv) = &mut cotangents.v {
                multiply(&mut dv.buffer[..keys * width], (p, keys), (g, rows), Form::Atb, true);
            }
            if cotangents.q.is_none() && cotangents.k.is_none() && cotangents.mask.is_none() {
                continue;
            }
            let ds = &mut tile[..rows * keys];
            multiply(ds, (g, rows), (v, width), Form::Abt, false);
            self.softmax_backward(ds, p, block, cotangents.mask.as_deref_mut());
            if let Some(dq) = &mut cotangents.q {
                let out = &mut dq.buffer[first * d..][..rows * d];
                multiply(out, (ds, rows), (k, keys), Form::Ab, dq.add);
            }
            if let Some(dk) = &mut cotangents.k {
                multiply(&mut dk.buffer[..keys * d], (ds, keys), (q, rows), Form::Atb, true);
            }
        }
    }

    /// Turns the cotangents of probabilities into those of the products of queries and keys.
    fn softmax_backward(&self, ds: &mut [E], p: &[E], block: Block, mut mask: Option<&mut [E]>) {
        vectorised(
            #[inline(always)]
            || {
                for r in 0..block.rows {
                    let ds = &mut ds[r * block.keys..][..block.keys];
                    let p = &p[r * block.keys..][..block.keys];
                    let inner = dot(ds, p);
                    ds.iter_mut().zip(p).for_each(|(ds, &p)| *ds = p * (*ds - inner));
                    if let Some(mask) = &mut mask {
                        let row = &mut mask[(block.first + r) * self.s..][..self.s];
                        row[..block.keys].copy_from_slice(ds);
                        row[block.keys..].fill(E::ZERO);
                    }
                    ds.iter_mut().for_each(|ds| *ds *= self.scale);
                }
            },
        );
    }
}

/// Which of two matrices is taken transposed.
#[derive(Clone, Copy)]
enum Form {
    Ab,
    Atb,
    Abt,
}

/// Writes or adds the product of two matrices: the first with its number of rows as it is multiplied,
/// the second with the inner length. Lengths of 0 are allowed.
fn multiply<E: Real>(
    out: &mut [E],
    (a, rows): (&[E], usize),
    (b, inner): (&[E], usize),
    form: Form,
    add: bool,
) {
    if out.is_empty() {
        return;
    }
    if inner == 0 {
        if !add {
            out.fill(E::ZERO);
        }
        return;
    }
    let columns = out.len() / rows;
    let (a, b) = (&a[..rows * inner], &b[..inner * columns]);
    let a = Matrix { data: a, rows, columns: inner, transposed: matches!(form, Form::Atb) };
    let b = Matrix { data: b, rows: inner, columns, transposed: matches!(form, Form::Abt) };
    E::matmul(out, a, b, Onto::added(add));
}
