//! Attention of several heads on queries, keys and values that lie beside each other.

use smallvec::{SmallVec, smallvec};

use super::head::{self, Head, Inputs};
use super::{
    Attention, Jobs, Settings, add_to_mask, check_mask, mask_of, split, sum_to, units_per_block,
};
use crate::error::expect;
use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::ops::stack;
use crate::recycle::{Room, Scratch};
use crate::tensor_var::try_apply_one;
use crate::threads::for_each_block;
use crate::{Error, KernelCall, Real, Shape, Target, Tensor, TensorVar, VjpKernel};

/// The inputs are `[..., t, 3 * heads * d]`, whose last axis is first the queries of all heads, then
/// their keys, then their values; and, if there is one, the mask.
struct Packed {
    heads: usize,
    settings: Settings,
}

/// How the rows of one batch element are laid out.
#[derive(Clone, Copy)]
struct Rows {
    /// How many there are.
    t: usize,
    heads: usize,
    d: usize,
}

/// How many numbers are copied out of rows at once, unless one head has more: they stay in the second cache.
const APART: usize = 1 << 15;

impl Rows {
    /// The length of a row of the result.
    fn width(self) -> usize {
        self.heads * self.d
    }

    /// The length of the matrix of one head.
    fn size(self) -> usize {
        self.t * self.d
    }

    /// How many heads are worked on together. A row has the numbers of all heads beside each other, and memory is
    /// read best as it lies.
    fn group(self) -> usize {
        (APART / (3 * self.size()).max(1)).clamp(1, self.heads)
    }

    /// The groups, each by its first head and the number of its heads.
    fn groups(self) -> impl Iterator<Item = (usize, usize)> {
        let group = self.group();
        (0..self.heads).step_by(group).map(move |first| (first, group.min(self.heads - first)))
    }

    /// Copies the matrices of a group out of rows that have `parts` numbers for each of the result: those of one
    /// head lie together, part after part.
    fn apart<E: Real>(
        self,
        rows: &[E],
        parts: usize,
        (first, count): (usize, usize),
        out: &mut [E],
    ) {
        for (r, row) in rows.chunks_exact(parts * self.width()).enumerate() {
            for part in 0..parts {
                for h in 0..count {
                    let from = &row[part * self.width() + (first + h) * self.d..][..self.d];
                    let at = (h * parts + part) * self.size() + r * self.d;
                    copy(from, &mut out[at..][..self.d]);
                }
            }
        }
    }

    /// Puts the matrices of a group back into such rows, or adds them.
    fn together<E: Real>(
        self,
        x: &[E],
        parts: usize,
        (first, count): (usize, usize),
        target: &mut Target<'_, E>,
    ) {
        for (r, row) in target.buffer.chunks_exact_mut(parts * self.width()).enumerate() {
            for part in 0..parts {
                for h in 0..count {
                    let to = &mut row[part * self.width() + (first + h) * self.d..][..self.d];
                    let from = &x[(h * parts + part) * self.size() + r * self.d..][..self.d];
                    match target.add {
                        true => to.iter_mut().zip(from).for_each(|(to, &x)| *to += x),
                        false => copy(from, to),
                    }
                }
            }
        }
    }
    /// Attention within one batch element.
    fn forward<'m, E: Real>(
        self,
        head: &Head<E>,
        x: &[E],
        mask: impl Fn(usize) -> Option<head::Mask<'m, E>>,
        out: &mut [E],
        kept: &mut [E],
        scratch: &mut [E],
    ) {
        let (size, room) = (self.size(), self.group() * self.size());
        let (qkv, scratch) = scratch.split_at_mut(3 * room);
        let (y, scratch) = scratch.split_at_mut(room);
        for (first, count) in self.groups() {
            self.apart(x, 3, (first, count), qkv);
            for k in 0..count {
                let inputs = matrices(&qkv[3 * k * size..], size, mask(first + k));
                let kept = &mut kept[(first + k) * head.kept()..][..head.kept()];
                head.forward(inputs, &mut y[k * size..][..size], kept, scratch);
            }
            let mut target = Target { buffer: &mut *out, add: false };
            self.together(y, 1, (first, count), &mut target);
        }
    }

    /// The cotangents of one batch element, and those of its scores if they are asked for.
    fn backward<'m, E: Real>(
        self,
        head: &Head<E>,
        (x, g): (&[E], &[E]),
        mask: impl Fn(usize) -> Option<head::Mask<'m, E>>,
        kept: &[E],
        (mut target, mut ds): (Option<Target<'_, E>>, Option<&mut [E]>),
        scratch: &mut [E],
    ) {
        let (size, room, scores) = (self.size(), self.group() * self.size(), self.t * self.t);
        let (qkv, scratch) = scratch.split_at_mut(3 * room);
        let (dqkv, scratch) = scratch.split_at_mut(3 * room);
        let (dy, scratch) = scratch.split_at_mut(room);
        for (first, count) in self.groups() {
            self.apart(x, 3, (first, count), qkv);
            self.apart(g, 1, (first, count), dy);
            for k in 0..count {
                let h = first + k;
                let mut parts = dqkv[3 * k * size..][..3 * size].chunks_exact_mut(size.max(1));
                let mut part = || {
                    let buffer = parts.next().filter(|_| target.is_some())?;
                    Some(Target { buffer, add: false })
                };
                let cotangents = head::Cotangents {
                    q: part(),
                    k: part(),
                    v: part(),
                    mask: ds.as_deref_mut().map(|ds| &mut ds[h * scores..][..scores]),
                };
                let inputs = matrices(&qkv[3 * k * size..], size, mask(h));
                let kept = &kept[h * head.kept()..][..head.kept()];
                head.backward(inputs, &dy[k * size..][..size], kept, cotangents, scratch);
            }
            if let Some(target) = &mut target {
                self.together(dqkv, 3, (first, count), target);
            }
        }
    }
}

/// Copies a short slice: in pieces whose length the compiler knows, which takes no call.
#[inline]
fn copy<E: Real>(from: &[E], to: &mut [E]) {
    let (from, rest) = from.as_chunks::<8>();
    let (to, end) = to.as_chunks_mut::<8>();
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    end.iter_mut().zip(rest).for_each(|(to, &x)| *to = x);
}

impl Packed {
    fn rows(&self, shape: &Shape) -> Rows {
        let [t, columns] = super::matrix(shape);
        Rows { t, heads: self.heads, d: columns / (3 * self.heads) }
    }

    fn head<E: Real>(&self, Rows { t, d, .. }: Rows) -> Head<E> {
        let Settings { causal, .. } = self.settings;
        Head { t, s: t, d, width: d, scale: self.settings.scale(d), causal }
    }

    /// `[..., heads, t, t]`.
    fn scores(&self, shape: &Shape) -> Shape {
        let t = shape[shape.rank() - 2];
        let mut scores: Shape = shape[..shape.rank() - 2].into();
        scores.push(self.heads);
        scores.push(t);
        scores.push(t);
        scores
    }
}

impl<E: Real> Op<E> for Packed {
    fn name(&self) -> &'static str {
        "multi_head_attention"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        let shape = inputs[0];
        let heads = self.heads;
        let last = if shape.rank() < 2 { 0 } else { shape[shape.rank() - 1] };
        if heads == 0 || last == 0 || !last.is_multiple_of(heads.saturating_mul(3)) {
            let detail = format!("the last axis is not queries, keys and values of {heads} heads");
            return Err(Misfit::shape(detail));
        }
        check_mask(inputs.get(1), &self.scores(shape))?;
        let mut out = shape.clone();
        out.set(shape.rank() - 1, last / 3);
        Ok(smallvec![out])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let (shape, x) = (inputs[0].shape(), inputs[0].as_slice());
        let rows = self.rows(shape);
        let (head, scores) = (self.head::<E>(rows), self.scores(shape));
        let batch = super::heads_of(shape);
        let length = rows.t * rows.width();
        let per_block = units_per_block(batch, self.heads * head.multiplications());
        let blocks = batch.div_ceil(per_block);
        let kept_length = self.heads * head.kept();
        let mut kept = Tensor::uninitialised([batch, kept_length].into());
        let room = 4 * rows.group() * rows.size() + head.forward_scratch();
        let mut scratch = Room::new(room * blocks);
        let out = split(outputs.buffer(0), per_block * length, blocks);
        let kept_parts = split(kept.as_mut_slice(), per_block * kept_length, blocks);
        let scratch = split(&mut scratch, room, blocks);
        let jobs = out.into_iter().zip(kept_parts).zip(scratch);
        let mut jobs: Jobs<_> = jobs.collect();
        for_each_block(&mut jobs, 1, |block, jobs| {
            let ((out, kept), scratch) = &mut jobs[0];
            for unit in 0..per_block.min(batch - block * per_block) {
                let b = block * per_block + unit;
                let x = &x[3 * b * length..][..3 * length];
                let mask = |h| mask_of(inputs.get(1), &scores, b * self.heads + h);
                let out = &mut out[unit * length..][..length];
                let kept = &mut kept[unit * kept_length..][..kept_length];
                rows.forward(&head, x, mask, out, kept, scratch);
            }
        });
        drop(jobs);
        outputs.keep(kept);
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let (x, g) = (call.inputs[0], call.cotangent());
        let (shape, rows) = (x.shape(), self.rows(&x.shape()));
        let batch = super::heads_of(&shape);
        let Rows { t, heads, d } = rows;
        // [3, batch, heads, t, d], and [batch, heads, t, d].
        let apart = x.reshape([batch, t, 3, heads, d]).permute(&[2, 0, 3, 1, 4]);
        let g = g.reshape([batch, t, heads, d]).permute(&[0, 2, 1, 3]);
        let matrices = [0, 1, 2].map(|part| apart.select(0, part));
        let scores = self.scores(&shape);
        let mask = call.inputs.get(1).copied();
        let flat: Shape = [batch, heads, t, t].into();
        let spread = mask.map(|mask| mask.broadcast_to(&scores).reshape(&flat));
        let [q, k, v, ds] = self.settings.cotangents(call, matrices, spread, g);
        let dx = stack(&[q, k, v], 0).permute(&[1, 3, 0, 2, 4]).reshape(shape);
        let mut cotangents: Cotangents<E> = smallvec![Some(dx)];
        cotangents.extend(mask.map(|mask| Some(sum_to(ds.reshape(&scores), &mask.shape()))));
        cotangents
    }
    fn kernel(&self) -> Option<&dyn VjpKernel<E>> {
        Some(self)
    }
}

/// Queries, keys and values that lie one after the other.
fn matrices<'a, E>(qkv: &'a [E], size: usize, mask: Option<head::Mask<'a, E>>) -> Inputs<'a, E> {
    Inputs { q: &qkv[..size], k: &qkv[size..2 * size], v: &qkv[2 * size..3 * size], mask }
}

impl<E: Real> VjpKernel<E> for Packed {
    fn run(&self, call: &mut KernelCall<'_, E>) {
        let (inputs, g) = (call.inputs, call.cotangent().as_slice());
        let kept = call.residuals[0].as_slice();
        let (shape, x) = (inputs[0].shape(), inputs[0].as_slice());
        let rows = self.rows(shape);
        let (head, scores) = (self.head::<E>(rows), self.scores(shape));
        let (batch, t) = (super::heads_of(shape), rows.t);
        let length = rows.t * rows.width();
        let per_block = units_per_block(batch, self.heads * head.multiplications());
        let blocks = batch.div_ceil(per_block);
        let room = 7 * rows.group() * rows.size() + head.backward_scratch();
        let mut scratch = Room::new(room * blocks);
        let for_mask = inputs.len() > 1 && call.needs(1);
        let per_unit = self.heads * t * t;
        let mut ds = Scratch::<E>::filled(if for_mask { batch * per_unit } else { 0 }, E::ZERO);
        {
            let target = call.target(0);
            let targets = super::split_target(target, 3 * per_block * length, blocks);
            let ds = split(&mut ds, per_block * per_unit, blocks);
            let scratch = split(&mut scratch, room, blocks);
            let jobs = targets.into_iter().zip(ds).zip(scratch);
            let mut jobs: Jobs<_> = jobs.collect();
            for_each_block(&mut jobs, 1, |block, jobs| {
                let ((target, ds), scratch) = &mut jobs[0];
                for unit in 0..per_block.min(batch - block * per_block) {
                    let b = block * per_block + unit;
                    let x = &x[3 * b * length..][..3 * length];
                    let g = &g[b * length..][..length];
                    let mask = |h| mask_of(inputs.get(1), &scores, b * self.heads + h);
                    let kept = &kept[b * self.heads * head.kept()..];
                    let target = super::unit_of(target, unit, 3 * length);
                    let ds = for_mask.then(|| &mut ds[unit * per_unit..][..per_unit]);
                    rows.backward(&head, (x, g), mask, kept, (target, ds), scratch);
                }
            });
        }
        if for_mask {
            add_to_mask(call, 1, &scores, &ds);
        }
    }
}

/// Attention of several heads on one tensor `[..., t, 3 * heads * d]`, as one product with a matrix
/// gives it: the thirds of the last axis are the queries, the keys and the values; in each, a head has `d`
/// numbers beside those of the head before. The result has the shape `[..., t, heads * d]`.
///
/// It is [`scaled_dot_product_attention`](crate::scaled_dot_product_attention) of each head, without the
/// copies that slices and permutations would make. A mask broadcasts to `[..., heads, t, t]`.
///
/// ```
/// use tape::{Attention, Tape, Tensor, multi_head_attention};
///
/// let tape = Tape::new();
/// let x = tape.tensor(Tensor::full([2, 5, 8], 0.5));
/// let w = tape.tensor(Tensor::full([8, 24], 0.1));
/// let causal = Attention { causal: true, ..Attention::default() };
/// let y = multi_head_attention(x.matmul(w), 4, causal);
/// assert_eq!(y.shape(), [2, 5, 8]);
/// ```
///
/// # Panics
/// If the last axis is not a multiple of `3 * heads`, or the mask does not broadcast to
/// `[..., heads, t, t]`.
#[track_caller]
pub fn multi_head_attention<E: Real>(
    qkv: TensorVar<E>,
    heads: usize,
    attention: Attention<TensorVar<E>>,
) -> TensorVar<E> {
    expect(try_multi_head_attention(qkv, heads, attention))
}

/// Like [`multi_head_attention`], for shapes from outside.
///
/// # Errors
/// Where [`multi_head_attention`] panics for a shape.
#[track_caller]
pub fn try_multi_head_attention<E: Real>(
    qkv: TensorVar<E>,
    heads: usize,
    attention: Attention<TensorVar<E>>,
) -> Result<TensorVar<E>, Error> {
    let Attention { causal, scale, mask } = attention;
    let mut inputs: SmallVec<[TensorVar<E>; 4]> = smallvec![qkv];
    inputs.extend(mask);
    try_apply_one(Packed { heads, settings: Settings { causal, scale } }, &inputs)
}
