//! Long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000).

use smallvec::{SmallVec, smallvec};

use super::{
    Jobs, Lengths, check, fill_from, input_products, matrix, put, recurrent_product,
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

/// The inputs are x, h0, c0, w_ih, w_hh, bias; the outputs y, h_n, c_n. The residual has the gates
/// `[time, batch, 4 hidden]`, after their nonlinearities, and then the cells `[time, batch, hidden]`.
struct Lstm;

const X: usize = 0;
const H0: usize = 1;
const C0: usize = 2;
const W_IH: usize = 3;
const W_HH: usize = 4;
const BIAS: usize = 5;

/// The parts of a row of gates, or of their cotangents.
#[inline(always)]
fn gates<E>(row: &[E], hidden: usize) -> [&[E]; 4] {
    std::array::from_fn(|k| &row[k * hidden..][..hidden])
}

/// One step for some rows of a batch: `z` has what flows in from the input, and gets the gates.
fn step<E: Real>(
    hidden: usize,
    w_hh: &[E],
    [h, c]: [&[E]; 2],
    z: &mut [E],
    [next_h, next_c]: [&mut [E]; 2],
) {
    let rows = h.len() / hidden;
    E::matmul(z, matrix(h, rows, hidden), matrix(w_hh, hidden, 4 * hidden), Onto::Itself);
    vectorised(
        #[inline(always)]
        || {
            let next = next_h.chunks_exact_mut(hidden).zip(next_c.chunks_exact_mut(hidden));
            for ((z, c), (next_h, next_c)) in
                z.chunks_exact_mut(4 * hidden).zip(c.chunks_exact(hidden)).zip(next)
            {
                sigmoid_in_place(&mut z[..2 * hidden]);
                tanh_in_place(&mut z[2 * hidden..3 * hidden]);
                sigmoid_in_place(&mut z[3 * hidden..]);
                let [i, f, g, o] = gates(z, hidden);
                for k in 0..hidden {
                    next_c[k] = f[k] * c[k] + i[k] * g[k];
                }
                next_h.copy_from_slice(next_c);
                tanh_in_place(next_h);
                next_h.iter_mut().zip(o).for_each(|(h, &o)| *h *= o);
            }
        },
    );
}

/// One step backward for some rows of a batch. `dh` and `dc` are the cotangents of the state after the
/// step, and become those of the state before; `dz` gets those of what flows into the gates. `w` is the
/// transpose of the recurrent weights, and `room` is for one row.
fn step_back<E: Real>(
    hidden: usize,
    w: &[E],
    [z, c, before]: [&[E]; 3],
    dy: Option<&[E]>,
    [dz, dh, dc]: [&mut [E]; 3],
    tanh: &mut [E],
) {
    if let Some(dy) = dy {
        dh.iter_mut().zip(dy).for_each(|(dh, &dy)| *dh += dy);
    }
    vectorised(
        #[inline(always)]
        || {
            tanh.copy_from_slice(c);
            tanh_in_place(tanh);
            let states = tanh.chunks_exact(hidden).zip(before.chunks_exact(hidden));
            let cotangents = dh.chunks_exact(hidden).zip(dc.chunks_exact_mut(hidden));
            let rows = z.chunks_exact(4 * hidden).zip(dz.chunks_exact_mut(4 * hidden));
            for (((z, dz), (tanh, before)), (dh, dc)) in rows.zip(states).zip(cotangents) {
                let [i, f, g, o] = gates(z, hidden);
                let (di, rest) = dz.split_at_mut(hidden);
                let (df, rest) = rest.split_at_mut(hidden);
                let (dg, d_o) = rest.split_at_mut(hidden);
                let (di, df, dg, d_o) =
                    (&mut di[..hidden], &mut df[..hidden], &mut dg[..hidden], &mut d_o[..hidden]);
                let (tanh, before, dh, dc) =
                    (&tanh[..hidden], &before[..hidden], &dh[..hidden], &mut dc[..hidden]);
                for k in 0..hidden {
                    let all = dc[k] + dh[k] * o[k] * (E::ONE - tanh[k] * tanh[k]);
                    d_o[k] = dh[k] * tanh[k] * o[k] * (E::ONE - o[k]);
                    di[k] = all * g[k] * i[k] * (E::ONE - i[k]);
                    df[k] = all * before[k] * f[k] * (E::ONE - f[k]);
                    dg[k] = all * i[k] * (E::ONE - g[k] * g[k]);
                    dc[k] = all * f[k];
                }
            }
        },
    );
    let rows = dh.len() / hidden;
    E::matmul(dh, matrix(dz, rows, 4 * hidden), matrix(w, 4 * hidden, hidden), Onto::Nothing);
}

impl<E: Real> Op<E> for Lstm {
    fn name(&self) -> &'static str {
        "lstm"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        let Lengths { time, batch, input, hidden } = Lengths::new(inputs[X], inputs[H0])?;
        check("c0", inputs[C0], &[batch, hidden])?;
        check("w_ih", inputs[W_IH], &[input, 4 * hidden])?;
        check("w_hh", inputs[W_HH], &[hidden, 4 * hidden])?;
        check("the bias", inputs[BIAS], &[4 * hidden])?;
        let state = Shape::from([batch, hidden]);
        Ok(smallvec![[time, batch, hidden].into(), state.clone(), state])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let lengths = Lengths::known(inputs[X].shape(), inputs[H0].shape());
        let Lengths { batch, input, hidden, .. } = lengths;
        let (rows, state) = (lengths.rows(), lengths.state());
        let [x, h0, c0, w_ih, w_hh, bias] = std::array::from_fn(|k| inputs[k].as_slice());
        let mut kept = Tensor::uninitialised([5 * rows * hidden].into());
        let (z, cells) = kept.as_mut_slice().split_at_mut(4 * rows * hidden);
        let mut buffers = outputs.buffers();
        let [y, h_n, c_n] = &mut *buffers else { unreachable!("three outputs are announced") };
        let (mut h, mut c) = (h0, c0);
        let block = lengths.rows_per_block(4);
        let mut states = y.chunks_exact_mut(state).zip(cells.chunks_exact_mut(state));
        let stretch = lengths.steps_together() * batch;
        for (k, z) in z.chunks_mut(4 * stretch * hidden).enumerate() {
            let rows = z.len() / (4 * hidden);
            let x = matrix(&x[k * stretch * input..][..rows * input], rows, input);
            E::matmul(z, x, matrix(w_ih, input, 4 * hidden), Onto::Row(bias));
            for (z, (next_h, next_c)) in z.chunks_exact_mut(4 * state).zip(&mut states) {
                let parts =
                    next_h.chunks_mut(block * hidden).zip(next_c.chunks_mut(block * hidden));
                let mut jobs: Jobs<_> = z.chunks_mut(4 * block * hidden).zip(parts).collect();
                for_each_block(&mut jobs, 1, |k, jobs| {
                    let (z, (next_h, next_c)) = &mut jobs[0];
                    let own = k * block * hidden..k * block * hidden + next_h.len();
                    step(hidden, w_hh, [&h[own.clone()], &c[own]], z, [next_h, next_c]);
                });
                drop(jobs);
                (h, c) = (next_h, next_c);
            }
        }
        h_n.copy_from_slice(h);
        c_n.copy_from_slice(c);
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

impl<E: Real> VjpKernel<E> for Lstm {
    fn run(&self, call: &mut KernelCall<'_, E>) {
        let inputs = call.inputs;
        let lengths = Lengths::known(inputs[X].shape(), inputs[H0].shape());
        let Lengths { time, hidden, .. } = lengths;
        let (rows, state, together) = (lengths.rows(), lengths.state(), lengths.steps_together());
        let (z, cells) = call.residuals[0].as_slice().split_at(4 * rows * hidden);
        let y = call.outputs[0].as_slice();
        let [mut w, mut dz, mut ends] =
            [4 * hidden * hidden, 4 * together * state, 3 * state].map(Room::new);
        let (w, dz) = (&mut *w, &mut *dz);
        // Once for all steps, so that each of them reads it in order.
        transpose(inputs[W_HH].as_slice(), 4 * hidden, w);
        let (dh, rest) = ends.split_at_mut(state);
        let (dc, tanh) = rest.split_at_mut(state);
        fill_from(dh, call.cotangents[1].as_ref());
        fill_from(dc, call.cotangents[2].as_ref());
        let dy = call.cotangents[0].as_ref().map(Tensor::as_slice);
        let length = lengths.rows_per_block(4) * hidden;
        if time == 0 {
            // Zeros, for nothing is multiplied.
            for weights in [W_IH, W_HH, BIAS] {
                call.sum(weights);
            }
        }
        let add = call.target(X).is_some_and(|target| target.add);
        for first in (0..time).step_by(together).rev() {
            let dz = &mut dz[..4 * together.min(time - first) * state];
            for (t, dz) in (first..time).zip(dz.chunks_exact_mut(4 * state)).rev() {
                let z = &z[4 * t * state..][..4 * state];
                let c = &cells[t * state..][..state];
                let before = if t == 0 { inputs[C0].as_slice() } else { &cells[(t - 1) * state..] };
                let states = dh.chunks_mut(length).zip(dc.chunks_mut(length));
                let parts = dz.chunks_mut(4 * length).zip(tanh.chunks_mut(length));
                let mut jobs: Jobs<_> = states.zip(parts).collect();
                for_each_block(&mut jobs, 1, |k, jobs| {
                    let ((dh, dc), (dz, tanh)) = &mut jobs[0];
                    let own = k * length..k * length + dh.len();
                    let z = &z[4 * own.start..4 * own.end];
                    let dy = dy.map(|dy| &dy[t * state..][own.clone()]);
                    let kept = [z, &c[own.clone()], &before[own]];
                    step_back(hidden, w, kept, dy, [dz, dh, dc], tanh);
                });
            }
            recurrent_product(call, [H0, W_HH], lengths, y, (first, dz));
            input_products(call, [X, W_IH, BIAS], lengths, (first, dz), add);
        }
        put(call, H0, dh);
        put(call, C0, dc);
    }
}

/// The same by recorded operations: the steps again from the inputs, and then backward.
fn composite<E: Real>(call: &Backward<'_, E>) -> Cotangents<E> {
    let [x, h0, c0, w_ih, w_hh, bias] = std::array::from_fn(|k| call.inputs[k]);
    let Lengths { time, batch, input, hidden } = Lengths::known(&x.shape(), &h0.shape());
    let (mut dh, mut dc) = (call.cotangents[1], call.cotangents[2]);
    if time == 0 {
        let zeros = |v: TensorVar<E>| Some(call.constant(Tensor::zeros(v.shape())));
        return smallvec![zeros(x), dh, dc, zeros(w_ih), zeros(w_hh), zeros(bias)];
    }
    let y = call.outputs[0];
    let mut h = h0;
    let mut cells: SmallVec<[TensorVar<E>; 8]> = smallvec![c0];
    let mut activated: SmallVec<[[TensorVar<E>; 4]; 8]> = SmallVec::new();
    for t in 0..time {
        let z = x.select(0, t).matmul(w_ih) + h.matmul(w_hh) + bias;
        let part = |k: usize| z.narrow(1, k * hidden, hidden);
        let (i, f, g, o) =
            (part(0).sigmoid(), part(1).sigmoid(), part(2).tanh(), part(3).sigmoid());
        cells.push(f * cells[t] + i * g);
        activated.push([i, f, g, o]);
        h = y.select(0, t);
    }
    let mut backward: SmallVec<[TensorVar<E>; 8]> = SmallVec::new();
    let one = E::ONE;
    for t in (0..time).rev() {
        let ([i, f, g, o], tanh) = (activated[t], cells[t + 1].tanh());
        if let Some(dy) = call.cotangents[0] {
            let dy = dy.select(0, t);
            dh = Some(dh.map_or(dy, |dh| dh + dy));
        }
        let zero = || call.constant(Tensor::zeros([batch, hidden]));
        let own = dh.unwrap_or_else(zero);
        let through = own * o * (-tanh * tanh + one);
        let all = dc.map_or(through, |dc| dc + through);
        let dz = concat(
            &[
                all * g * i * (-i + one),
                all * cells[t] * f * (-f + one),
                all * i * (-g * g + one),
                own * tanh * o * (-o + one),
            ],
            1,
        );
        backward.push(dz);
        dh = Some(dz.matmul(w_hh.t()));
        dc = Some(all * f);
    }
    backward.reverse();
    let dz = stack(&backward, 0).reshape([time * batch, 4 * hidden]);
    let before = concat(&[h0.unsqueeze(0), y.narrow(0, 0, time - 1)], 0);
    smallvec![
        Some(dz.matmul(w_ih.t()).reshape(x.shape())),
        dh,
        dc,
        Some(x.reshape([time * batch, input]).t().matmul(dz)),
        Some(before.reshape([time * batch, hidden]).t().matmul(dz)),
        Some(dz.sum_axes(0)),
    ]
}

impl<E: Real> TensorVar<E> {
    /// A layer of long short-term memory over a sequence `x` `[time, batch, input]`, from the states
    /// `h0` and `c0` `[batch, hidden]`. Returns the states `h` of all steps `[time, batch, hidden]`, and
    /// the last `h` and `c` `[batch, hidden]`.
    ///
    /// With `[i, f, g, o] = x w_ih + h w_hh + bias`, cut into four along the last axis (`w_ih` is
    /// `[input, 4 hidden]`, `w_hh` `[hidden, 4 hidden]`, `bias` `[4 hidden]`), and `s` the logistic
    /// function, a step is
    ///
    /// ```text
    /// c' = s(f) c + s(i) tanh(g)
    /// h' = s(o) tanh(c')
    /// ```
    ///
    /// (Hochreiter and Schmidhuber 1997; the forget gate is of Gers, Schmidhuber and Cummins 2000).
    ///
    /// ```
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.tensor(Tensor::full([7, 2, 3], 0.5));
    /// let zeros = tape.constant(Tensor::zeros([2, 4]));
    /// let w_ih = tape.tensor(Tensor::full([3, 16], 0.1));
    /// let w_hh = tape.tensor(Tensor::full([4, 16], 0.1));
    /// let bias = tape.tensor(Tensor::zeros([16]));
    /// let (y, h, c) = x.lstm(zeros, zeros, w_ih, w_hh, bias);
    /// assert_eq!(y.shape(), [7, 2, 4]);
    /// assert_eq!(y.select(0, 6).value(), h.value());
    /// assert_eq!(c.shape(), [2, 4]);
    /// ```
    ///
    /// # Panics
    /// If the shapes do not fit, or the batch or the state is empty.
    #[track_caller]
    pub fn lstm(
        self,
        h0: Self,
        c0: Self,
        w_ih: Self,
        w_hh: Self,
        bias: Self,
    ) -> (Self, Self, Self) {
        expect(self.try_lstm(h0, c0, w_ih, w_hh, bias))
    }

    /// Like [`lstm`](Self::lstm), for shapes from outside.
    ///
    /// # Errors
    /// Where [`lstm`](Self::lstm) panics.
    #[track_caller]
    pub fn try_lstm(
        self,
        h0: Self,
        c0: Self,
        w_ih: Self,
        w_hh: Self,
        bias: Self,
    ) -> Result<(Self, Self, Self), Error> {
        let outputs = try_apply_op(Lstm, &[self, h0, c0, w_ih, w_hh, bias])?;
        Ok((outputs[0], outputs[1], outputs[2]))
    }
}
