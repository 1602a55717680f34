//! Programs over one element, which are done at once: a plan and its chunks would take longer than the work.

use smallvec::SmallVec;

use super::lower::{Lowering, Operand, Output};
use crate::rule::MAX_OPERANDS;
use crate::vector::at_best_level;
use crate::{Real, Shape, Tensor};

/// Runs a program over a shape with one element by the functions that chunks are computed with, so the bits are
/// the same; pushes the values of its roots.
pub(super) fn run<E: Real>(program: &Lowering<E>, results: &mut Vec<(u32, Tensor<E>)>) {
    let mut values: SmallVec<[E; 32]> = SmallVec::new();
    let read = |operand: Operand, values: &[E]| match operand {
        Operand::Value(k) => values[k as usize],
        Operand::Whole(k) => program.whole[k as usize].as_slice()[0],
        Operand::Repeated(k) => program.repeated[k as usize].as_slice()[0],
        Operand::Constant(k) => program.constants[k as usize],
    };
    for instruction in &program.instructions {
        let mut operands = [E::ZERO; MAX_OPERANDS];
        let arity = instruction.primitive.arity();
        for (value, &operand) in operands.iter_mut().zip(&instruction.operands[..arity]) {
            *value = read(operand, &values);
        }
        let mut out = E::ZERO;
        let slices = operands.each_ref().map(std::slice::from_ref);
        let out_slice = std::slice::from_mut(&mut out);
        at_best_level(instruction.primitive.task(instruction.exponent, slices, out_slice));
        values.push(out);
    }
    for (&root, &output) in program.roots.iter().zip(&program.outputs) {
        let value = match output {
            Output::Each(place) => Tensor::recycled(program.shape.clone(), read(place, &values)),
            // A sum begins with 0, which turns -0 into 0.
            Output::Total(place) => {
                Tensor::recycled(Shape::scalar(), E::ZERO + read(place, &values))
            }
        };
        results.push((root, value));
    }
}
