//! Scaled dot-product attention (Vaswani et al. 2017, "Attention is all you need").

#[cfg(feature = "cases")]
pub(crate) mod cases;
mod head;
mod packed;

use smallvec::{SmallVec, smallvec};

pub use packed::{multi_head_attention, try_multi_head_attention};

use crate::error::expect;
use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::recycle::{Room, Scratch};
use crate::tensor_var::try_apply_one;
use crate::threads::{available, for_each_block};
use crate::{Error, KernelCall, Real, Shape, Target, Tensor, TensorVar, VjpKernel};
use head::{Head, Inputs, Mask};

/// How queries look at keys.
///
/// ```
/// use tape::{Attention, Tape, Tensor, scaled_dot_product_attention};
///
/// let tape = Tape::new();
/// let q = tape.tensor([[1.0, 0.0], [0.0, 1.0]]);
/// let causal = Attention { causal: true, ..Attention::default() };
/// let y = scaled_dot_product_attention(q, q, tape.tensor([[1.0], [2.0]]), causal);
/// // The first query sees the first key alone.
/// assert_eq!(y.value()[[0, 0]], 1.0);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Attention<M = TensorVar> {
    /// Whether query `i` sees the keys up to `i` only, counted from the first.
    pub causal: bool,
    /// By what the products of queries and keys are multiplied: `1 / sqrt(d)` if it is `None`.
    pub scale: Option<f64>,
    /// What is added to the scaled products; its shape broadcasts to theirs, `[..., t, s]`. Minus
    /// infinity hides a key. A query from which all keys are hidden has NaN as its result.
    pub mask: Option<M>,
}

impl<M> Default for Attention<M> {
    fn default() -> Self {
        Attention { causal: false, scale: None, mask: None }
    }
}

impl<M> Attention<M> {
    /// The same with `f` of the mask.
    pub(crate) fn map_mask<N>(self, f: impl FnOnce(M) -> N) -> Attention<N> {
        Attention { causal: self.causal, scale: self.scale, mask: self.mask.map(f) }
    }
}

/// The part of [`Attention`] that is no input, and the rules on recorded matrices.
#[derive(Clone, Copy, Debug)]
struct Settings {
    causal: bool,
    scale: Option<f64>,
}

impl Settings {
    fn scale<E: Real>(self, d: usize) -> E {
        E::lit(self.scale.unwrap_or(1.0 / (d as f64).sqrt()))
    }

    /// The cotangents of q, k, v and the mask from that of the result, recorded.
    fn cotangents<E: Real>(
        self,
        call: &Backward<'_, E>,
        [q, k, v]: [TensorVar<E>; 3],
        mask: Option<TensorVar<E>>,
        g: TensorVar<E>,
    ) -> [TensorVar<E>; 4] {
        let scale = self.scale::<E>(q.shape()[q.rank() - 1]);
        let mut scores = q.matmul(k.transpose(-1, -2)) * scale;
        if let Some(mask) = mask {
            scores += mask;
        }
        if self.causal {
            let shape = scores.shape();
            let (t, s) = (shape[shape.rank() - 2], shape[shape.rank() - 1]);
            let mut hidden = Tensor::recycled([t, s].into(), E::ZERO);
            for (query, row) in hidden.as_mut_slice().chunks_mut(s.max(1)).enumerate() {
                row[s.min(query + 1)..].fill(E::lit(f64::NEG_INFINITY));
            }
            scores += call.constant(hidden);
        }
        let p = scores.softmax(-1);
        let dp = g.matmul(v.transpose(-1, -2));
        let ds = p * (dp - (p * dp).sum_axes_keep(-1));
        [
            ds.matmul(k) * scale,
            ds.transpose(-1, -2).matmul(q) * scale,
            p.transpose(-1, -2).matmul(g),
            ds,
        ]
    }
}

/// `x` summed over the axes along which a tensor of the given shape was repeated to its shape.
fn sum_to<E: Real>(x: TensorVar<E>, shape: &Shape) -> TensorVar<E> {
    let own = x.shape();
    let skip = own.rank() - shape.rank();
    let repeated = |&k: &usize| k < skip || (shape[k - skip] == 1 && own[k] != 1);
    let axes: SmallVec<[isize; 8]> = (0..own.rank()).filter(repeated).map(|k| k as isize).collect();
    if axes.is_empty() { x } else { x.sum_axes(&axes[..]).reshape(shape) }
}

/// Checks that a mask fits the scores.
fn check_mask(mask: Option<&&Shape>, scores: &Shape) -> Result<(), Misfit> {
    match mask {
        Some(mask) if mask.broadcast(scores).as_ref() != Some(scores) => {
            Err(Misfit::shape(format!("the mask does not broadcast to the scores {scores}")))
        }
        _ => Ok(()),
    }
}

/// The mask of head `k` of the scores.
fn mask_of<'a, E: Real>(
    mask: Option<&'a Tensor<E>>,
    scores: &Shape,
    k: usize,
) -> Option<Mask<'a, E>> {
    let mask = mask?;
    let strides = mask.shape().strides_within(scores);
    let batch = scores.rank() - 2;
    let (mut rest, mut at) = (k, 0);
    for axis in (0..batch).rev() {
        at += rest % scores[axis] * strides[axis];
        rest /= scores[axis];
    }
    Some(Mask { data: &mask.as_slice()[at..], strides: [strides[batch], strides[batch + 1]] })
}

/// Adds the cotangent of the scores to that of the mask, in order.
fn add_to_mask<E: Real>(call: &mut KernelCall<'_, E>, input: usize, scores: &Shape, ds: &[E]) {
    let strides = call.inputs[input].shape().strides_within(scores);
    let Some(sum) = call.sum(input) else { return };
    let mut index: SmallVec<[usize; 8]> = smallvec![0; scores.rank()];
    let mut at = 0;
    for &ds in ds {
        sum[at] += ds;
        for k in (0..scores.rank()).rev() {
            index[k] += 1;
            at += strides[k];
            if index[k] < scores[k] {
                break;
            }
            at -= strides[k] * scores[k];
            index[k] = 0;
        }
    }
}

/// The most blocks that heads are divided into, and how many for each thread.
const BLOCKS: usize = 32;
const FOR_EACH_THREAD: usize = 4;

/// How many units of work (a batch element, or a head) of the given number of multiplications make a
/// block for one thread. No unit knows of another one, so this may depend on the number of threads: a block has
/// scratch memory of its own, and one thread stays in the cache with one block.
fn units_per_block(units: usize, multiplications: usize) -> usize {
    if available() == 1 {
        return units.max(1);
    }
    let worth = (1 << 20) / multiplications.max(1);
    let blocks = BLOCKS.min(FOR_EACH_THREAD * available());
    worth.max(units.div_ceil(blocks)).max(1)
}

/// What one thread does at a time: its parts of the results and of the scratch memory.
type Jobs<T> = SmallVec<[T; BLOCKS]>;

/// The inputs are q `[..., t, d]`, k `[..., s, d]`, v `[..., s, width]` and, if there is one, the mask.
struct DotProduct(Settings);

impl DotProduct {
    fn head<E: Real>(&self, q: &Shape, v: &Shape) -> Head<E> {
        let [t, d] = matrix(q);
        let [s, width] = matrix(v);
        Head { t, s, d, width, scale: self.0.scale(d), causal: self.0.causal }
    }
}

/// The lengths of the last two axes.
fn matrix(shape: &Shape) -> [usize; 2] {
    [shape[shape.rank() - 2], shape[shape.rank() - 1]]
}

/// The shape of the scores, for queries of the given shape.
fn scores_of<E>(q: &Shape, head: &Head<E>) -> Shape {
    let mut scores = q.clone();
    scores.set(q.rank() - 1, head.s);
    scores
}

fn heads_of(q: &Shape) -> usize {
    q[..q.rank() - 2].iter().product()
}

/// The inputs of head `k`.
fn inputs_of<'a, E: Real>(
    inputs: &'a [Tensor<E>],
    head: &Head<E>,
    scores: &Shape,
    k: usize,
) -> Inputs<'a, E> {
    let Head { t, s, d, width, .. } = *head;
    Inputs {
        q: &inputs[0].as_slice()[k * t * d..][..t * d],
        k: &inputs[1].as_slice()[k * s * d..][..s * d],
        v: &inputs[2].as_slice()[k * s * width..][..s * width],
        mask: mask_of(inputs.get(3), scores, k),
    }
}

impl<E: Real> Op<E> for DotProduct {
    fn name(&self) -> &'static str {
        "scaled_dot_product_attention"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        let (q, k, v) = (inputs[0], inputs[1], inputs[2]);
        if [q, k, v].iter().any(|shape| shape.rank() < 2) {
            return Err(Misfit::shape("queries, keys and values are matrices [..., t, d]"));
        }
        let batch = |shape: &Shape| Shape::from(&shape[..shape.rank() - 2]);
        if batch(q) != batch(k) || batch(q) != batch(v) {
            return Err(Misfit::shape("the axes before the last two differ"));
        }
        let ([_, d], [s, of_key], [values, width]) = (matrix(q), matrix(k), matrix(v));
        if d != of_key || d == 0 {
            let detail = format!("queries of {d} and keys of {of_key} numbers");
            return Err(Misfit::shape(detail));
        }
        if s != values {
            return Err(Misfit::shape(format!("{s} keys and {values} values")));
        }
        check_mask(inputs.get(3), &scores_of(q, &self.head::<E>(q, v)))?;
        let mut out = q.clone();
        out.set(q.rank() - 1, width);
        Ok(smallvec![out])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let q = inputs[0].shape();
        let head = self.head::<E>(q, inputs[2].shape());
        let (heads, scores) = (heads_of(q), scores_of(q, &head));
        let (length, room) = (head.t * head.width, head.forward_scratch());
        let mut kept = Tensor::uninitialised([heads, head.kept()].into());
        let per_block = units_per_block(heads, head.multiplications());
        let blocks = heads.div_ceil(per_block);
        let mut scratch = Room::new(room * blocks);
        let out = split(outputs.buffer(0), per_block * length, blocks);
        let kept_parts = split(kept.as_mut_slice(), per_block * head.kept(), blocks);
        let scratch = split(&mut scratch, room, blocks);
        let jobs = out.into_iter().zip(kept_parts).zip(scratch);
        let mut jobs: Jobs<_> = jobs.collect();
        for_each_block(&mut jobs, 1, |block, jobs| {
            let ((out, kept), scratch) = &mut jobs[0];
            for unit in 0..per_block.min(heads - block * per_block) {
                let inputs = inputs_of(inputs, &head, &scores, block * per_block + unit);
                let out = &mut out[unit * length..][..length];
                let kept = &mut kept[unit * head.kept()..][..head.kept()];
                head.forward(inputs, out, kept, scratch);
            }
        });
        drop(jobs);
        outputs.keep(kept);
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let matrices = [call.inputs[0], call.inputs[1], call.inputs[2]];
        let mask = call.inputs.get(3).copied();
        let [q, k, v, ds] = self.0.cotangents(call, matrices, mask, call.cotangent());
        let mut cotangents: Cotangents<E> = smallvec![Some(q), Some(k), Some(v)];
        cotangents.extend(mask.map(|mask| Some(sum_to(ds, &mask.shape()))));
        cotangents
    }
    fn kernel(&self) -> Option<&dyn VjpKernel<E>> {
        Some(self)
    }
}

impl<E: Real> VjpKernel<E> for DotProduct {
    fn run(&self, call: &mut KernelCall<'_, E>) {
        let (inputs, g) = (call.inputs, call.cotangent().as_slice());
        let kept = call.residuals[0].as_slice();
        let q = inputs[0].shape();
        let head = self.head::<E>(q, inputs[2].shape());
        let Head { t, s, d, width, .. } = head;
        let (heads, scores) = (heads_of(q), scores_of(q, &head));
        let per_block = units_per_block(heads, head.multiplications());
        let blocks = heads.div_ceil(per_block);
        let room = head.backward_scratch();
        let mut scratch = Room::new(room * blocks);
        let for_mask = inputs.len() > 3 && call.needs(3);
        let mut ds = Scratch::<E>::filled(if for_mask { heads * t * s } else { 0 }, E::ZERO);
        let lengths = [t * d, s * d, s * width];
        {
            let [for_q, for_k, for_v] = call.targets();
            let mut parts = [for_q, for_k, for_v].into_iter().zip(lengths);
            let [for_q, for_k, for_v] = std::array::from_fn(|_| {
                let (target, length) = parts.next().expect("there are three inputs");
                split_target(target, per_block * length, blocks)
            });
            let ds = split(&mut ds, per_block * t * s, blocks);
            let scratch = split(&mut scratch, room, blocks);
            let targets = for_q.into_iter().zip(for_k).zip(for_v);
            let mut jobs: Jobs<_> = targets.zip(ds.into_iter().zip(scratch)).collect();
            for_each_block(&mut jobs, 1, |block, jobs| {
                let (((for_q, for_k), for_v), (ds, scratch)) = &mut jobs[0];
                for unit in 0..per_block.min(heads - block * per_block) {
                    let k = block * per_block + unit;
                    let cotangents = head::Cotangents {
                        q: unit_of(for_q, unit, lengths[0]),
                        k: unit_of(for_k, unit, lengths[1]),
                        v: unit_of(for_v, unit, lengths[2]),
                        mask: for_mask.then(|| &mut ds[unit * t * s..][..t * s]),
                    };
                    let g = &g[k * t * width..][..t * width];
                    let kept = &kept[k * head.kept()..][..head.kept()];
                    head.backward(
                        inputs_of(inputs, &head, &scores, k),
                        g,
                        kept,
                        cotangents,
                        scratch,
                    );
                }
            });
        }
        if for_mask {
            add_to_mask(call, 3, &scores, &ds);
        }
    }
}

/// The parts of a slice for each of `count` blocks; they are empty where there is nothing left.
fn split<E>(mut data: &mut [E], length: usize, count: usize) -> Jobs<&mut [E]> {
    let mut parts = Jobs::new();
    for _ in 0..count {
        let (part, rest) = data.split_at_mut(length.min(data.len()));
        parts.push(part);
        data = rest;
    }
    parts
}

/// As [`split`], for a target that there may not be.
fn split_target<E>(
    target: Option<Target<'_, E>>,
    length: usize,
    count: usize,
) -> Jobs<Option<Target<'_, E>>> {
    let Some(Target { buffer, add }) = target else {
        return (0..count).map(|_| None).collect();
    };
    let parts = split(buffer, length, count);
    parts.into_iter().map(|buffer| Some(Target { buffer, add })).collect()
}

/// The part of one head.
fn unit_of<'t, E>(
    target: &'t mut Option<Target<'_, E>>,
    unit: usize,
    length: usize,
) -> Option<Target<'t, E>> {
    let target = target.as_mut()?;
    Some(Target { buffer: &mut target.buffer[unit * length..][..length], add: target.add })
}

/// `softmax(scale q kᵀ + mask) v` over the last two axes: each query of `q` `[..., t, d]` averages the
/// values of `v` `[..., s, width]`, weighted by how well it fits the keys of `k` `[..., s, d]`. The result
/// has the shape `[..., t, width]`.
///
/// The scores of a block of queries are worked on at a time; for long sequences they are computed again
/// in the backward pass, so that memory grows with the length and not with its square (as in Dao et al.
/// 2022, "FlashAttention").
///
/// ```
/// use tape::{Attention, Tape, Tensor, scaled_dot_product_attention};
///
/// let tape = Tape::new();
/// let q = tape.tensor([[0.0, 0.0]]);
/// let k = tape.tensor([[1.0, 0.0], [0.0, 1.0]]);
/// let v = tape.tensor([[1.0], [3.0]]);
/// let y = scaled_dot_product_attention(q, k, v, Attention::default());
/// assert_eq!(y.value(), Tensor::from([[2.0]]));
/// ```
///
/// # Panics
/// If the axes before the last two differ, queries and keys have different lengths or none, there are
/// not as many values as keys, or the mask does not broadcast to `[..., t, s]`.
#[track_caller]
pub fn scaled_dot_product_attention<E: Real>(
    q: TensorVar<E>,
    k: TensorVar<E>,
    v: TensorVar<E>,
    attention: Attention<TensorVar<E>>,
) -> TensorVar<E> {
    expect(try_scaled_dot_product_attention(q, k, v, attention))
}

/// Like [`scaled_dot_product_attention`], for shapes from outside.
///
/// # Errors
/// Where [`scaled_dot_product_attention`] panics for a shape.
#[track_caller]
pub fn try_scaled_dot_product_attention<E: Real>(
    q: TensorVar<E>,
    k: TensorVar<E>,
    v: TensorVar<E>,
    attention: Attention<TensorVar<E>>,
) -> Result<TensorVar<E>, Error> {
    let Attention { causal, scale, mask } = attention;
    let mut inputs: SmallVec<[TensorVar<E>; 4]> = smallvec![q, k, v];
    inputs.extend(mask);
    try_apply_one(DotProduct(Settings { causal, scale }), &inputs)
}
