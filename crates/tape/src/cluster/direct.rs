//! Single operations on little data, which are done at once: to find a plan for one takes longer than the work.

use super::short::FEW;
use crate::inner::{Inner, Kind, TensorLane};
use crate::kernels::sum;
use crate::primitive::Primitive;
use crate::rule::MAX_OPERANDS;
use crate::vector::at_best_level;
use crate::{Real, Shape, Tensor};

/// The most elements: more may be worth threads, or lie far away.
const MOST: usize = 4096;
/// As many are computed when they are recorded: to find out later that nothing else is to be done in one pass with them takes
/// longer than the pass.
const LITTLE: usize = 512;
/// As many elements at a time where an operand is a number, which has to be repeated; or [`LITTLE`], where there is one
/// number.
const CHUNK: usize = 128;

/// Computes a node that has just been recorded if it is work over few elements whose operands are there: the instructions
/// of such work are done one by one in any case, so there is nothing to wait for.
pub(crate) fn compute_if_little<E: Real>(inner: &Inner<E>, lane: &mut TensorLane<E>, t: u32) {
    // A profile counts programs.
    if inner.profiler.is_some() {
        return;
    }
    let node = &lane.nodes[t as usize];
    let value = match node.kind {
        Kind::Total { operand, .. } => match &lane.nodes[operand as usize].value {
            Some(operand) if FEW.contains(&operand.len()) => {
                Some(Tensor::recycled(Shape::scalar(), sum(operand.as_slice())))
            }
            _ => None,
        },
        _ if (1..=LITTLE).contains(&node.shape.elements()) => value(inner, lane, t),
        _ => None,
    };
    if let Some(value) = value {
        lane.put_computed(t, value);
    }
}

/// The value of a pending node if it is a primitive of operands that have been computed, each of the shape of the node or
/// a number. It has the bits that a program would give it.
pub(super) fn value<E: Real>(inner: &Inner<E>, lane: &TensorLane<E>, t: u32) -> Option<Tensor<E>> {
    let node = &lane.nodes[t as usize];
    let Kind::Elementwise { opcode, operands, arity, constants } = node.kind else { return None };
    let primitive = opcode.as_primitive()?;
    let len = node.shape.elements();
    // These two are no work: a program only reads their operands in another way.
    if matches!(primitive, Primitive::Copy | Primitive::Stop) || len > MOST {
        return None;
    }
    let arity = arity as usize;
    let mut slices: [&[E]; MAX_OPERANDS] = [&[]; MAX_OPERANDS];
    let mut numbers = [E::ZERO; MAX_OPERANDS];
    // Which operands are numbers, a bit each.
    let mut are_numbers = 0;
    for k in 0..arity {
        numbers[k] = if constants >> k & 1 == 1 {
            inner.scalars.constant_at(operands[k])
        } else {
            let operand = lane.nodes[operands[k] as usize].value.as_ref()?;
            if *operand.shape() == node.shape {
                slices[k] = operand.as_slice();
                continue;
            }
            *operand.as_slice().first().filter(|_| operand.len() == 1)?
        };
        are_numbers |= 1_u8 << k;
    }
    let call = Call { primitive, exponent: primitive.exponent(operands), arity };
    let mut out = Tensor::uninitialised(node.shape.clone());
    let elements = out.get_mut_slice().expect("a buffer from the pool has one owner");
    if are_numbers == 0 || len == 1 {
        for (k, number) in numbers.iter().enumerate().filter(|(k, _)| are_numbers >> k & 1 == 1) {
            slices[k] = std::slice::from_ref(number);
        }
        call.run(slices, elements);
    } else {
        call.run_with_numbers(slices, numbers, are_numbers, elements);
    }
    Some(out)
}

/// A primitive, to be computed.
struct Call {
    primitive: Primitive,
    exponent: i32,
    arity: usize,
}

impl Call {
    fn run<E: Real>(&self, mut operands: [&[E]; MAX_OPERANDS], out: &mut [E]) {
        // Those that the primitive does not have are as long as the others.
        let [first, ..] = operands;
        operands[self.arity..].fill(first);
        at_best_level(self.primitive.task(self.exponent, operands, out));
    }

    /// Computes it piece by piece, so that the numbers are repeated a few times only.
    #[inline(never)]
    fn run_with_numbers<E: Real>(
        &self,
        operands: [&[E]; MAX_OPERANDS],
        numbers: [E; MAX_OPERANDS],
        are_numbers: u8,
        out: &mut [E],
    ) {
        // One operand at least has all elements. Mostly there is one other, or the numbers are the same, and rows take longer to
        // fill than to read.
        let is_number = |k: usize| are_numbers >> k & 1 == 1;
        let first = numbers[are_numbers.trailing_zeros() as usize];
        let is_other = |k: usize| is_number(k) && numbers[k].bits() != first.bits();
        if !(0..self.arity).any(is_other) {
            let (short, long);
            let row: &[E] = if out.len() <= CHUNK {
                short = [first; CHUNK];
                &short
            } else {
                long = [first; LITTLE];
                &long
            };
            self.run_with_rows(operands, are_numbers, &[row; MAX_OPERANDS - 1], out);
        } else {
            let numbers = (0..self.arity).filter(|&k| is_number(k)).map(|k| numbers[k]);
            let mut rows = [[E::ZERO; CHUNK]; MAX_OPERANDS - 1];
            rows.iter_mut().zip(numbers).for_each(|(row, number)| row.fill(number));
            self.run_with_rows(operands, are_numbers, &rows.each_ref().map(|row| &row[..]), out);
        }
    }

    /// The same with each of the numbers as a row, all of one length.
    fn run_with_rows<E: Real>(
        &self,
        operands: [&[E]; MAX_OPERANDS],
        are_numbers: u8,
        rows: &[&[E]],
        out: &mut [E],
    ) {
        let length = rows[0].len();
        for (chunk, out) in out.chunks_mut(length).enumerate() {
            let mut rows = rows.iter();
            let mut pieces: [&[E]; MAX_OPERANDS] = [&[]; MAX_OPERANDS];
            for (k, piece) in pieces[..self.arity].iter_mut().enumerate() {
                *piece = match are_numbers >> k & 1 {
                    1 => &rows.next().expect("a row for each number")[..out.len()],
                    _ => &operands[k][chunk * length..][..out.len()],
                };
            }
            self.run(pieces, out);
        }
    }
}
