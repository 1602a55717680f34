//! Recurrent networks: one operation for a whole sequence.

#[cfg(feature = "cases")]
pub(crate) mod cases;
mod gru;
mod lstm;

use smallvec::SmallVec;

use super::rows::{sigmoid_in_place, tanh_in_place};
use crate::kernels::{Matrix, Onto, sum_rows};
use crate::op::Misfit;
use crate::recycle::Room;
use crate::{KernelCall, Real, Shape, Tensor, threads};

/// The lengths of a sequence of batches.
#[derive(Clone, Copy, Debug)]
struct Lengths {
    time: usize,
    batch: usize,
    input: usize,
    hidden: usize,
}

impl Lengths {
    /// Those of `x` `[time, batch, input]` and a state `[batch, hidden]`.
    fn new(x: &Shape, state: &Shape) -> Result<Self, Misfit> {
        let (&[time, batch, input], &[rows, hidden]) = (&**x, &**state) else {
            let detail = "the input is [time, batch, input], a state [batch, hidden]";
            return Err(Misfit::shape(detail));
        };
        if rows != batch || batch == 0 || hidden == 0 {
            let detail = format!("a state for {batch} sequences is [{batch}, hidden]");
            return Err(Misfit::shape(detail));
        }
        Ok(Lengths { time, batch, input, hidden })
    }

    /// Of shapes that have been accepted.
    fn known(x: &Shape, state: &Shape) -> Self {
        Self::new(x, state).expect("the operation has accepted the shapes")
    }

    /// The number of rows of the products over all steps.
    fn rows(self) -> usize {
        self.time * self.batch
    }

    /// The length of a state.
    fn state(self) -> usize {
        self.batch * self.hidden
    }

    /// How many rows of a batch one thread works on at a time, in a step with that many gates. No row knows of
    /// another, so it may depend on the number of threads.
    fn rows_per_block(self, gates: usize) -> usize {
        const MULTIPLICATIONS: usize = 1 << 20;
        /// So many rows read the weights less often, and what they write stays in a near cache.
        const ROWS: usize = 48;
        let worth = MULTIPLICATIONS / (gates * self.hidden * self.hidden);
        let alone = ROWS.min(self.batch / threads::available());
        worth.max(alone).max(self.batch.div_ceil(BLOCKS)).clamp(1, self.batch)
    }

    /// How many steps are done at a time, each by itself, before or after a product over all of them: what it reads or has
    /// written is still in the cache.
    fn steps_together(self) -> usize {
        const ROWS: usize = 256;
        (ROWS / self.batch).clamp(1, self.time.max(1))
    }
}

/// The most blocks that a batch is divided into.
const BLOCKS: usize = 16;

/// What one thread does at a time: its rows of the matrices of a step.
type Jobs<T> = SmallVec<[T; BLOCKS]>;

/// Checks the shape of a weight or a bias.
fn check(name: &str, shape: &Shape, expected: &[usize]) -> Result<(), Misfit> {
    if **shape == *expected {
        return Ok(());
    }
    Err(Misfit::shape(format!("{name} is {expected:?}, not {shape}")))
}

/// A matrix in row-major order.
fn matrix<E>(data: &[E], rows: usize, columns: usize) -> Matrix<'_, E> {
    Matrix { data, rows, columns, transposed: false }
}

/// The transpose of a matrix with that many rows and columns.
fn transposed<E>(data: &[E], rows: usize, columns: usize) -> Matrix<'_, E> {
    Matrix { data, rows: columns, columns: rows, transposed: true }
}

/// Copies the transpose of a matrix.
fn transpose<E: Real>(x: &[E], columns: usize, out: &mut [E]) {
    const TILE: usize = 16;
    let rows = x.len() / columns;
    for first in (0..columns).step_by(TILE) {
        for row in 0..rows {
            for column in first..columns.min(first + TILE) {
                out[column * rows + row] = x[row * columns + column];
            }
        }
    }
}

/// The cotangents of what goes into the gates of some steps from `first` on: `z = x w + b` with the cotangent `dz`, for the
/// inputs with these numbers. `add` is whether that of `x` is added to.
fn input_products<E: Real>(
    call: &mut KernelCall<'_, E>,
    [x, w, b]: [usize; 3],
    lengths: Lengths,
    (first, dz): (usize, &[E]),
    add: bool,
) {
    let inputs = call.inputs;
    let input = lengths.input;
    let width = inputs[b].len();
    let rows = dz.len() / width;
    let own = first * lengths.batch * input..(first * lengths.batch + rows) * input;
    if let Some(target) = call.target(x) {
        let w = transposed(inputs[w].as_slice(), input, width);
        let dx = &mut target.buffer[own.clone()];
        E::matmul(dx, matrix(dz, rows, width), w, Onto::added(add));
    }
    if let Some(target) = call.target(w) {
        let x = transposed(&inputs[x].as_slice()[own], rows, input);
        E::matmul(target.buffer, x, matrix(dz, rows, width), Onto::added(target.add));
    }
    add_rows(call, b, dz);
}

/// Adds the sum of the rows of `dz` to the cotangent of a bias.
fn add_rows<E: Real>(call: &mut KernelCall<'_, E>, bias: usize, dz: &[E]) {
    let Some(sum) = call.sum(bias) else { return };
    let mut room = Room::new(sum.len());
    if dz.is_empty() {
        return;
    }
    sum_rows(dz, &mut room);
    sum.iter_mut().zip(&*room).for_each(|(sum, &x)| *sum += x);
}

/// The cotangent of the recurrent weights: the sum over some steps from `first` on of `hᵀ dz`, where `h` is the state
/// before the step.
fn recurrent_product<E: Real>(
    call: &mut KernelCall<'_, E>,
    [state, w]: [usize; 2],
    lengths: Lengths,
    y: &[E],
    (first, dz): (usize, &[E]),
) {
    let inputs = call.inputs;
    let Lengths { batch, hidden, .. } = lengths;
    let width = inputs[w].shape()[1];
    let (of_start, others) = dz.split_at(if first == 0 { batch * width } else { 0 });
    // The states before the other steps are those after the steps before them.
    let before = &y[first.saturating_sub(1) * batch * hidden..];
    for (h, dz) in [(inputs[state].as_slice(), of_start), (before, others)] {
        let rows = dz.len() / width;
        if rows == 0 {
            continue;
        }
        let Some(target) = call.target(w) else { return };
        let h = transposed(&h[..rows * hidden], rows, hidden);
        E::matmul(target.buffer, h, matrix(dz, rows, width), Onto::added(target.add));
    }
}

/// Writes or adds a cotangent that has been computed.
fn put<E: Real>(call: &mut KernelCall<'_, E>, input: usize, cotangent: &[E]) {
    if let Some(target) = call.target(input) {
        super::rows::put(target.buffer, cotangent, E::ONE, target.add);
    }
}

/// The cotangent of a final state, or zeros.
fn fill_from<E: Real>(out: &mut [E], cotangent: Option<&Tensor<E>>) {
    match cotangent {
        Some(g) => out.copy_from_slice(g.as_slice()),
        None => out.fill(E::ZERO),
    }
}
