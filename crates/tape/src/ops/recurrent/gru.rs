//! Gated recurrent units (Cho et al. 2014).

use smallvec::{SmallVec, smallvec};

use super::{
    Jobs, Lengths, add_rows, check, fill_from, input_products, matrix, put, recurrent_product,
    sigmoid_in_place, tanh_in_place, transpose,
};
use crate::error::expect;
use crate::kernels::Onto;
use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::ops::rows::vectorised;
use crate::ops::{concat, stack};
use crate::recycle::Room;
use crate::tensor_var::try_apply_op;
use crate::threads::for_each_block;
use crate::{Error, KernelCall, Real, Shape, Tensor, TensorVar, VjpKernel};

/// The inputs are x, h0, w_ih, w_hh, b_ih, b_hh; the outputs y and h_n. The residual has, for each step
/// and row, the gates r, z and n after their nonlinearities, and what flows from the state into n.
struct Gru;

const X: usize = 0;
const H0: usize = 1;
const W_IH: usize = 2;
const W_HH: usize = 3;
const B_IH: usize = 4;
const B_HH: usize = 5;

/// One step for some rows of a batch: `from_input` has what flows into the gates, and `from_state` gets it.
fn step<E: Real>(
    hidden: usize,
    [w_hh, b_hh]: [&[E]; 2],
    h: &[E],
    from_input: &[E],
    from_state: &mut [E],
    [kept, next]: [&mut [E]; 2],
) {
    let rows = h.len() / hidden;
    let w_hh = matrix(w_hh, hidden, 3 * hidden);
    E::matmul(from_state, matrix(h, rows, hidden), w_hh, Onto::Row(b_hh));
    vectorised(
        #[inline(always)]
        || {
            let flows =
                from_input.chunks_exact(3 * hidden).zip(from_state.chunks_exact(3 * hidden));
            let states = h.chunks_exact(hidden).zip(next.chunks_exact_mut(hidden));
            let rows = kept.chunks_exact_mut(4 * hidden);
            for ((kept, (input, state)), (h, next)) in rows.zip(flows).zip(states) {
                let (rz, rest) = kept.split_at_mut(2 * hidden);
                let (n, from_h) = rest.split_at_mut(hidden);
                for ((gate, &a), &b) in rz.iter_mut().zip(input).zip(state) {
                    *gate = a + b;
                }
                sigmoid_in_place(rz);
                from_h.copy_from_slice(&state[2 * hidden..]);
                let (r, z) = (&rz[..hidden], &rz[hidden..][..hidden]);
                let input = &input[2 * hidden..][..hidden];
                let (n, from_h) = (&mut n[..hidden], &from_h[..hidden]);
                for k in 0..hidden {
                    n[k] = input[k] + r[k] * from_h[k];
                }
                tanh_in_place(n);
                for k in 0..hidden {
                    next[k] = (E::ONE - z[k]) * n[k] + z[k] * h[k];
                }
            }
        },
    );
}

/// One step backward for some rows of a batch. `dh` is the cotangent of the state after the step, and
/// becomes that of the state before; `to_input` and `to_state` get those of what flows into the gates. `w` is
/// the transpose of the recurrent weights.
fn step_back<E: Real>(
    hidden: usize,
    w: &[E],
    [kept, before]: [&[E]; 2],
    dy: Option<&[E]>,
    [to_input, to_state, dh]: [&mut [E]; 3],
) {
    if let Some(dy) = dy {
        dh.iter_mut().zip(dy).for_each(|(dh, &dy)| *dh += dy);
    }
    vectorised(
        #[inline(always)]
        || {
            let flows =
                to_input.chunks_exact_mut(3 * hidden).zip(to_state.chunks_exact_mut(3 * hidden));
            let states = before.chunks_exact(hidden).zip(dh.chunks_exact_mut(hidden));
            for ((kept, (input, state)), (before, dh)) in
                kept.chunks_exact(4 * hidden).zip(flows).zip(states)
            {
                let [r, z, n, from_h]: [&[E]; 4] =
                    std::array::from_fn(|k| &kept[k * hidden..][..hidden]);
                let (dr, rest) = input.split_at_mut(hidden);
                let (dz, dn) = rest.split_at_mut(hidden);
                let (dr, dz, dn) = (&mut dr[..hidden], &mut dz[..hidden], &mut dn[..hidden]);
                let (before, dh) = (&before[..hidden], &mut dh[..hidden]);
                let for_n = &mut state[2 * hidden..][..hidden];
                for k in 0..hidden {
                    let inner = dh[k] * (E::ONE - z[k]) * (E::ONE - n[k] * n[k]);
                    dn[k] = inner;
                    for_n[k] = inner * r[k];
                    dr[k] = inner * from_h[k] * r[k] * (E::ONE - r[k]);
                    dz[k] = dh[k] * (before[k] - n[k]) * z[k] * (E::ONE - z[k]);
                    dh[k] *= z[k];
                }
                state[..2 * hidden].copy_from_slice(&input[..2 * hidden]);
            }
        },
    );
    let rows = dh.len() / hidden;
    let w = matrix(w, 3 * hidden, hidden);
    E::matmul(dh, matrix(to_state, rows, 3 * hidden), w, Onto::Itself);
}

impl<E: Real> Op<E> for Gru {
    fn name(&self) -> &'static str {
        "gru"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        let Lengths { time, batch, input, hidden } = Lengths::new(inputs[X], inputs[H0])?;
        check("w_ih", inputs[W_IH], &[input, 3 * hidden])?;
        check("w_hh", inputs[W_HH], &[hidden, 3 * hidden])?;
        check("b_ih", inputs[B_IH], &[3 * hidden])?;
        check("b_hh", inputs[B_HH], &[3 * hidden])?;
        Ok(smallvec![[time, batch, hidden].into(), [batch, hidden].into()])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let lengths = Lengths::known(inputs[X].shape(), inputs[H0].shape());
        let Lengths { batch, input, hidden, .. } = lengths;
        let (rows, state) = (lengths.rows(), lengths.state());
        let stretch = lengths.steps_together() * batch;
        let [x, h0, w_ih, w_hh, b_ih, b_hh] = std::array::from_fn(|k| inputs[k].as_slice());
        let mut kept = Tensor::uninitialised([4 * rows * hidden].into());
        let [mut from_input, mut from_state] = [3 * stretch * hidden, 3 * state].map(Room::new);
        let (from_input, from_state) = (&mut *from_input, &mut *from_state);
        let mut buffers = outputs.buffers();
        let [y, h_n] = &mut *buffers else { unreachable!("two outputs are announced") };
        let mut h = h0;
        let length = lengths.rows_per_block(3) * hidden;
        let mut states = y.chunks_exact_mut(state);
        for (k, kept) in kept.as_mut_slice().chunks_mut(4 * stretch * hidden).enumerate() {
            let rows = kept.len() / (4 * hidden);
            let x = matrix(&x[k * stretch * input..][..rows * input], rows, input);
            let from_input = &mut from_input[..3 * rows * hidden];
            E::matmul(from_input, x, matrix(w_ih, input, 3 * hidden), Onto::Row(b_ih));
            let steps = from_input.chunks_exact(3 * state).zip(kept.chunks_exact_mut(4 * state));
            for ((from_input, kept), next) in steps.zip(&mut states) {
                let flows = from_input.chunks(3 * length).zip(from_state.chunks_mut(3 * length));
                let parts = kept.chunks_mut(4 * length).zip(next.chunks_mut(length));
                let mut jobs: Jobs<_> = flows.zip(parts).collect();
                for_each_block(&mut jobs, 1, |k, jobs| {
                    let ((from_input, from_state), (kept, next)) = &mut jobs[0];
                    let h = &h[k * length..][..next.len()];
                    step(hidden, [w_hh, b_hh], h, from_input, from_state, [kept, next]);
                });
                drop(jobs);
                h = next;
            }
        }
        h_n.copy_from_slice(h);
        drop(buffers);
        outputs.keep(kept);
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        composite(call)
    }
    fn kernel(&self) -> Option<&dyn VjpKernel<E>> {
        Some(self)
    }
}

impl<E: Real> VjpKernel<E> for Gru {
    fn run(&self, call: &mut KernelCall<'_, E>) {
        let inputs = call.inputs;
        let lengths = Lengths::known(inputs[X].shape(), inputs[H0].shape());
        let Lengths { time, hidden, .. } = lengths;
        let (state, together) = (lengths.state(), lengths.steps_together());
        let kept = call.residuals[0].as_slice();
        let y = call.outputs[0].as_slice();
        let [mut w, mut to_input, mut to_state, mut dh] =
            [3 * hidden * hidden, 3 * together * state, 3 * together * state, state].map(Room::new);
        let (w, dh) = (&mut *w, &mut *dh);
        let (to_input, to_state) = (&mut *to_input, &mut *to_state);
        // Once for all steps, so that each of them reads it in order.
        transpose(inputs[W_HH].as_slice(), 3 * hidden, w);
        fill_from(dh, call.cotangents[1].as_ref());
        let dy = call.cotangents[0].as_ref().map(Tensor::as_slice);
        let length = lengths.rows_per_block(3) * hidden;
        if time == 0 {
            // Zeros, for nothing is multiplied.
            for weights in [W_IH, W_HH, B_IH, B_HH] {
                call.sum(weights);
            }
        }
        let add = call.target(X).is_some_and(|target| target.add);
        for first in (0..time).step_by(together).rev() {
            let steps = together.min(time - first);
            let to_input = &mut to_input[..3 * steps * state];
            let to_state = &mut to_state[..3 * steps * state];
            let flows =
                to_input.chunks_exact_mut(3 * state).zip(to_state.chunks_exact_mut(3 * state));
            for (t, (to_input, to_state)) in (first..time).zip(flows).rev() {
                let kept = &kept[4 * t * state..][..4 * state];
                let before = if t == 0 { inputs[H0].as_slice() } else { &y[(t - 1) * state..] };
                let flows = to_input.chunks_mut(3 * length).zip(to_state.chunks_mut(3 * length));
                let mut jobs: Jobs<_> = flows.zip(dh.chunks_mut(length)).collect();
                for_each_block(&mut jobs, 1, |k, jobs| {
                    let ((to_input, to_state), dh) = &mut jobs[0];
                    let own = k * length..k * length + dh.len();
                    let dy = dy.map(|dy| &dy[t * state..][own.clone()]);
                    let kept = &kept[4 * own.start..4 * own.end];
                    step_back(hidden, w, [kept, &before[own]], dy, [to_input, to_state, dh]);
                });
            }
            recurrent_product(call, [H0, W_HH], lengths, y, (first, to_state));
            add_rows(call, B_HH, to_state);
            input_products(call, [X, W_IH, B_IH], lengths, (first, to_input), add);
        }
        put(call, H0, dh);
    }
}

/// The same by recorded operations: the gates again from the inputs and the states, and then backward.
fn composite<E: Real>(call: &Backward<'_, E>) -> Cotangents<E> {
    let [x, h0, w_ih, w_hh, b_ih, b_hh] = std::array::from_fn(|k| call.inputs[k]);
    let Lengths { time, batch, input, hidden } = Lengths::known(&x.shape(), &h0.shape());
    let mut dh = call.cotangents[1];
    if time == 0 {
        let zeros = |v: TensorVar<E>| Some(call.constant(Tensor::zeros(v.shape())));
        return smallvec![zeros(x), dh, zeros(w_ih), zeros(w_hh), zeros(b_ih), zeros(b_hh)];
    }
    let y = call.outputs[0];
    let one = E::ONE;
    let (mut inward, mut back): (SmallVec<[_; 8]>, SmallVec<[_; 8]>) = Default::default();
    for t in (0..time).rev() {
        let h = if t == 0 { h0 } else { y.select(0, t - 1) };
        let from_input = x.select(0, t).matmul(w_ih) + b_ih;
        let from_state = h.matmul(w_hh) + b_hh;
        let part = |v: TensorVar<E>, k: usize| v.narrow(1, k * hidden, hidden);
        let r = (part(from_input, 0) + part(from_state, 0)).sigmoid();
        let z = (part(from_input, 1) + part(from_state, 1)).sigmoid();
        let n = (part(from_input, 2) + r * part(from_state, 2)).tanh();
        if let Some(dy) = call.cotangents[0] {
            let dy = dy.select(0, t);
            dh = Some(dh.map_or(dy, |dh| dh + dy));
        }
        let own = dh.unwrap_or_else(|| call.constant(Tensor::zeros([batch, hidden])));
        let dn = own * (-z + one) * (-n * n + one);
        let dr = dn * part(from_state, 2) * r * (-r + one);
        let dz = own * (h - n) * z * (-z + one);
        let to_state = concat(&[dr, dz, dn * r], 1);
        inward.push(concat(&[dr, dz, dn], 1));
        back.push(to_state);
        dh = Some(own * z + to_state.matmul(w_hh.t()));
    }
    inward.reverse();
    back.reverse();
    let to_input = stack(&inward, 0).reshape([time * batch, 3 * hidden]);
    let to_state = stack(&back, 0).reshape([time * batch, 3 * hidden]);
    let before = concat(&[h0.unsqueeze(0), y.narrow(0, 0, time - 1)], 0);
    smallvec![
        Some(to_input.matmul(w_ih.t()).reshape(x.shape())),
        dh,
        Some(x.reshape([time * batch, input]).t().matmul(to_input)),
        Some(before.reshape([time * batch, hidden]).t().matmul(to_state)),
        Some(to_input.sum_axes(0)),
        Some(to_state.sum_axes(0)),
    ]
}

impl<E: Real> TensorVar<E> {
    /// A layer of gated recurrent units over a sequence `x` `[time, batch, input]`, from the state `h0`
    /// `[batch, hidden]`. Returns the states of all steps `[time, batch, hidden]`, and the last one.
    ///
    /// With `[r, z, n] = x w_ih + b_ih` and `[r', z', n'] = h w_hh + b_hh`, each cut into three along the
    /// last axis (`w_ih` is `[input, 3 hidden]`, `w_hh` `[hidden, 3 hidden]`, the biases `[3 hidden]`), and
    /// `s` the logistic function, a step is
    ///
    /// ```text
    /// r = s(r + r')
    /// z = s(z + z')
    /// n = tanh(n + r n')
    /// h' = (1 - z) n + z h
    /// ```
    ///
    /// (Cho et al. 2014. The reset gate acts on `n'`, the product with its bias, as in cuDNN and PyTorch;
    /// in the paper it acts on the state before the product.)
    ///
    /// ```
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.tensor(Tensor::full([7, 2, 3], 0.5));
    /// let h0 = tape.constant(Tensor::zeros([2, 4]));
    /// let w_ih = tape.tensor(Tensor::full([3, 12], 0.1));
    /// let w_hh = tape.tensor(Tensor::full([4, 12], 0.1));
    /// let bias = tape.tensor(Tensor::zeros([12]));
    /// let (y, h) = x.gru(h0, w_ih, w_hh, bias, bias);
    /// assert_eq!(y.select(0, 6).value(), h.value());
    /// ```
    ///
    /// # Panics
    /// If the shapes do not fit, or the batch or the state is empty.
    #[track_caller]
    pub fn gru(self, h0: Self, w_ih: Self, w_hh: Self, b_ih: Self, b_hh: Self) -> (Self, Self) {
        expect(self.try_gru(h0, w_ih, w_hh, b_ih, b_hh))
    }

    /// Like [`gru`](Self::gru), for shapes from outside.
    ///
    /// # Errors
    /// Where [`gru`](Self::gru) panics.
    #[track_caller]
    pub fn try_gru(
        self,
        h0: Self,
        w_ih: Self,
        w_hh: Self,
        b_ih: Self,
        b_hh: Self,
    ) -> Result<(Self, Self), Error> {
        let outputs = try_apply_op(Gru, &[self, h0, w_ih, w_hh, b_ih, b_hh])?;
        Ok((outputs[0], outputs[1]))
    }
}
