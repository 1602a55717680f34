//! Programs over few elements, whose instructions are done one by one: a plan and its chunks would take longer than the
//! work.

use super::lower::{Lowering, Operand, Output};
use crate::kernels::sum;
use crate::recycle;
use crate::rule::MAX_OPERANDS;
use crate::vector::at_best_level;
use crate::{Real, Shape, Tensor};

/// The numbers of elements: a plan would have one chunk for them.
pub(super) const FEW: std::ops::RangeInclusive<usize> = 1..=128;

/// Runs a program over a shape with few elements by the functions that chunks are computed with, so the bits are the
/// same; pushes the values of its roots.
pub(super) fn run<E: Real>(program: &Lowering<E>, results: &mut Vec<(u32, Tensor<E>)>) {
    let len = program.shape.elements();
    let (constants, repeated) = (program.constants.len(), program.repeated.len());
    // The rows: constants, inputs that are repeated, values.
    let first = constants + repeated;
    let mut buffer = recycle::take::<E>((first + program.instructions.len()) * len);
    let rows = buffer.get_mut().expect("a buffer from the pool has one owner");
    for (k, &constant) in program.constants.iter().enumerate() {
        rows[k * len..][..len].fill(constant);
    }
    for (k, input) in program.repeated.iter().enumerate() {
        let row = &mut rows[(constants + k) * len..][..len];
        input.reader(&program.shape).read(&program.shape, 0, row);
    }
    for (k, instruction) in program.instructions.iter().enumerate() {
        let (below, own) = rows.split_at_mut((first + k) * len);
        let arity = instruction.primitive.arity();
        let mut slices: [&[E]; MAX_OPERANDS] = [&below[..0]; MAX_OPERANDS];
        for (slice, &operand) in slices.iter_mut().zip(&instruction.operands[..arity]) {
            *slice = read(program, below, operand);
        }
        let [spare, ..] = slices;
        slices[arity..].fill(spare);
        let task = instruction.primitive.task(instruction.exponent, slices, &mut own[..len]);
        at_best_level(task);
    }
    for (&root, &output) in program.roots.iter().zip(&program.outputs) {
        let value = match output {
            Output::Each(place) => {
                let mut value = Tensor::uninitialised(program.shape.clone());
                value.as_mut_slice().copy_from_slice(read(program, rows, place));
                value
            }
            Output::Total(place) => {
                Tensor::recycled(Shape::scalar(), sum(read(program, rows, place)))
            }
        };
        results.push((root, value));
    }
    recycle::give(buffer);
}

/// The elements of an operand.
fn read<'r, E: Real>(program: &'r Lowering<E>, rows: &'r [E], operand: Operand) -> &'r [E] {
    let row = match operand {
        Operand::Whole(k) => return program.whole[k as usize].as_slice(),
        Operand::Constant(k) => k as usize,
        Operand::Repeated(k) => program.constants.len() + k as usize,
        Operand::Value(k) => program.constants.len() + program.repeated.len() + k as usize,
    };
    let len = program.shape.elements();
    &rows[row * len..][..len]
}
