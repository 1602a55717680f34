//! Running a program at one point.
//!
//! The list becomes steps over one array of numbers: the inputs, the constants, and slots that are used again
//! when their value is no longer needed. Two operations whose value in between nobody else needs are one
//! step ([`code`]). Where the same is done to many numbers, loops take the place of lists ([`rolled`]).

mod code;
mod lanes;
#[cfg(all(feature = "jit", target_arch = "x86_64", any(unix, windows)))]
mod native;
#[cfg(not(all(feature = "jit", target_arch = "x86_64", any(unix, windows))))]
#[path = "point/native/absent.rs"]
mod native;
mod repeats;
mod rolled;
mod run;

use super::body::{Body, Operand, Source};
use super::passes::inlined;
use crate::Real;

use code::{PointCall, Step, steps};
use native::Native;
use rolled::Rolled;

pub(super) use lanes::{LANES, Lane, LaneCode};

/// Memory that is kept from one run of a program to the next.
///
/// One workspace may serve several programs; it grows to what the largest needs, and is refilled when they
/// take turns.
#[derive(Debug, Default)]
pub struct Workspace<E> {
    memory: Vec<E>,
    indicators: Vec<E>,
    /// Those of the call of a user's function that is under way.
    arguments: Vec<E>,
}

/// A program that is ready to run at one point.
pub(super) struct PointCode<E: Real> {
    inputs: usize,
    constants: Vec<E>,
    /// The numbers of the array: inputs, constants, slots.
    size: usize,
    work: Work<E>,
    /// The steps as machine code.
    native: Option<Native<E>>,
    outputs: Vec<u32>,
    conditions: Vec<u32>,
}

/// What there is to do.
enum Work<E: Real> {
    /// One step after the other, and calls between them.
    Steps(Vec<Step>, Vec<PointCall<E>>),
    /// Loops, where the same is done to many numbers.
    Rolled(Rolled),
}

impl<E: Real> PointCode<E> {
    /// `machine_code` says whether there is to be any, if this machine has it.
    pub(super) fn new(body: &Body<E>, machine_code: bool) -> Self {
        let body = inlined(body);
        let first = body.inputs + body.constants.len();
        // Numbers one by one in registers are faster than loops over memory, unless most of the time goes into functions.
        let rolled = match machine_code && Native::is_fast(&body) {
            true => None,
            false => Rolled::new(&body),
        };
        let (work, slots, places) = match rolled {
            Some(mut rolled) => {
                let places = std::mem::take(&mut rolled.places);
                (Work::Rolled(rolled), places.len(), places)
            }
            None => {
                let (steps, calls, slots, places) = steps(&body, &mut Vec::new(), false);
                (Work::Steps(steps, calls), slots, places)
            }
        };
        let place = |operand: Operand| match operand.source() {
            Source::Input(k) => k,
            Source::Constant(k) => body.inputs as u32 + k,
            Source::Value(v) => places[v as usize],
        };
        let mut code = PointCode {
            inputs: body.inputs,
            size: first + slots,
            work,
            native: None,
            outputs: body.outputs.iter().map(|&o| place(o)).collect(),
            conditions: body.conditions.iter().map(|c| place(c.operand)).collect(),
            constants: body.constants.clone(),
        };
        let (Work::Steps(steps, _) | Work::Rolled(Rolled { steps, .. })) = &code.work;
        run::check(steps, code.size);
        if let Work::Steps(steps, calls) = &code.work
            && machine_code
        {
            let native = Native::numbers(steps, calls.iter().map(|call| call.at), code.size);
            code.native = native;
        }
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
        let places = &mut memory[..self.size];
        match &self.work {
            Work::Steps(steps, calls) => {
                let run =
                    |piece: usize, from: usize, to: usize, places: &mut [E]| match &self.native {
                        Some(native) => native.run(piece, steps, places),
                        None => run::run(&steps[from..to], places),
                    };
                let mut done = 0;
                for (piece, call) in calls.iter().enumerate() {
                    run(piece, done, call.at, places);
                    call.run(places, &mut workspace.arguments);
                    done = call.at;
                }
                run(calls.len(), done, steps.len(), places);
            }
            Work::Rolled(rolled) => rolled.run(places, run::run),
        }
        for (output, &place) in outputs.iter_mut().zip(&self.outputs) {
            *output = memory[place as usize];
        }
        workspace.indicators.clear();
        workspace.indicators.extend(self.conditions.iter().map(|&c| memory[c as usize]));
    }

    /// The bytes of machine code.
    pub(super) fn machine_code(&self) -> usize {
        self.native.as_ref().map_or(0, Native::bytes)
    }

    /// What the comparisons gave in the last run.
    pub(super) fn conditions<'w>(&self, workspace: &'w Workspace<E>) -> &'w [E] {
        &workspace.indicators
    }
}
