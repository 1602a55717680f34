//! A single operation on little data, which is done at once: to find a plan for it takes longer than the work.

use crate::inner::{Inner, Kind};
use crate::primitive::Primitive;
use crate::rule::MAX_OPERANDS;
use crate::vector::at_best_level;
use crate::{Real, Tensor};

/// The most elements: more may be worth threads, or lie far away.
const MOST: usize = 4096;
/// As many elements at a time where an operand is a number, which has to be repeated; and as many such operands.
const CHUNK: usize = 128;
const NUMBERS: usize = 2;

/// The value of a pending node if it is a primitive of operands that have been computed, each of the shape of the node or
/// a number. It has the bits that a program would give it.
pub(super) fn value<E: Real>(inner: &Inner<E>, t: u32) -> Option<Tensor<E>> {
    let lane = inner.tensors.borrow();
    let node = &lane.nodes[t as usize];
    let Kind::Elementwise { opcode, operands, arity, constants } = node.kind else { return None };
    let primitive = opcode.as_primitive()?;
    // These two are no work: a program only reads their operands in another way.
    if matches!(primitive, Primitive::Copy | Primitive::Stop) || node.shape.elements() > MOST {
        return None;
    }
    let exponent = primitive.exponent(operands);
    let mut slices: [&[E]; MAX_OPERANDS] = [&[]; MAX_OPERANDS];
    let mut numbers = [E::ZERO; NUMBERS];
    let mut count = 0;
    // Where an operand is a number, which one it is.
    let mut number_of = [None; MAX_OPERANDS];
    for k in 0..arity as usize {
        let number = if constants >> k & 1 == 1 {
            inner.scalars.constant_at(operands[k])
        } else {
            let operand = lane.nodes[operands[k] as usize].value.as_ref()?;
            if *operand.shape() == node.shape {
                slices[k] = operand.as_slice();
                continue;
            }
            *operand.as_slice().first().filter(|_| operand.len() == 1)?
        };
        let known = numbers[..count].iter().position(|known| known.bits() == number.bits());
        number_of[k] = Some(known.unwrap_or(count));
        if known.is_none() {
            *numbers.get_mut(count)? = number;
            count += 1;
        }
    }
    let mut out = Tensor::uninitialised(node.shape.clone());
    let arity = arity as usize;
    if count == 0 {
        let all = std::array::from_fn(|k| slices[k.min(arity - 1)]);
        at_best_level(primitive.task(exponent, all, out.as_mut_slice()));
        return Some(out);
    }
    let rows = numbers.map(|number| [number; CHUNK]);
    for (chunk, out) in out.as_mut_slice().chunks_mut(CHUNK).enumerate() {
        let n = out.len();
        let all = std::array::from_fn(|k| match number_of[k.min(arity - 1)] {
            Some(number) => &rows[number][..n],
            None => &slices[k.min(arity - 1)][chunk * CHUNK..][..n],
        });
        at_best_level(primitive.task(exponent, all, out));
    }
    Some(out)
}
