//! Running a program at one point.
//!
//! The list becomes steps over one array of numbers: the inputs, the constants, and slots that are used again
//! when their value is no longer needed. Two operations whose value in between nobody else needs are one
//! step.

mod code;
mod run;

use super::body::{Body, Operand, Source};
use super::passes::inlined;
use crate::Real;

use code::{Step, steps};

/// Memory that is kept from one run of a program to the next.
///
/// One workspace may serve several programs; it grows to what the largest needs, and is refilled when they
/// take turns.
#[derive(Debug, Default)]
pub struct Workspace<E> {
    memory: Vec<E>,
    indicators: Vec<E>,
}

/// A program that is ready to run at one point.
pub(super) struct PointCode<E> {
    inputs: usize,
    constants: Vec<E>,
    /// The numbers of the array: inputs, constants, slots.
    size: usize,
    steps: Vec<Step>,
    outputs: Vec<u32>,
    conditions: Vec<u32>,
}

impl<E: Real> PointCode<E> {
    pub(super) fn new(body: &Body<E>) -> Self {
        let body = inlined(body);
        let first = body.inputs + body.constants.len();
        let (steps, slots, places) = steps(&body);
        let place = |operand: Operand| match operand.source() {
            Source::Input(k) => k,
            Source::Constant(k) => body.inputs as u32 + k,
            Source::Value(v) => places[v as usize],
        };
        let code = PointCode {
            inputs: body.inputs,
            size: first + slots,
            steps,
            outputs: body.outputs.iter().map(|&o| place(o)).collect(),
            conditions: body.conditions.iter().map(|c| place(c.operand)).collect(),
            constants: body.constants.clone(),
        };
        run::check(&code.steps, code.size);
        code
    }

    /// Runs the steps at `x`.
    pub(super) fn run(&self, x: &[E], outputs: &mut [E], workspace: &mut Workspace<E>) {
        let memory = &mut workspace.memory;
        if memory.len() < self.size {
            memory.resize(self.size, E::ZERO);
        }
        memory[..self.inputs].copy_from_slice(x);
        memory[self.inputs..][..self.constants.len()].copy_from_slice(&self.constants);
        run::run(&self.steps, &mut memory[..self.size]);
        for (output, &place) in outputs.iter_mut().zip(&self.outputs) {
            *output = memory[place as usize];
        }
        workspace.indicators.clear();
        workspace.indicators.extend(self.conditions.iter().map(|&c| memory[c as usize]));
    }

    /// What the comparisons gave in the last run.
    pub(super) fn conditions<'w>(&self, workspace: &'w Workspace<E>) -> &'w [E] {
        &workspace.indicators
    }
}
