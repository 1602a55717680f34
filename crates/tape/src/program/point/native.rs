//! Steps as machine code of x86-64.
//!
//! Most of the time of a step goes into finding out what it is. Here that is done once: each step becomes an instruction
//! or two ([`encoder`]), and what a step has made stays in a register for those that need it soon
//! ([`registers`]). Sums, products and the like are instructions; every other primitive is a call of what
//! the interpreter calls ([`functions`]), so that all have its bits. What is run is the only `unsafe` ([`enter`]).

mod encoder;
mod enter;
mod formula;
mod functions;
mod registers;
#[cfg(test)]
mod tests;
mod uses;

use std::marker::PhantomData;

use super::code::Step;
use super::lanes::LANES;
use super::repeats::Repeat;
use crate::Real;
use crate::machine_code::Executable;
use crate::program::body::{Body, Code, Instruction};
use crate::vector::Level;

use encoder::Form;
use formula::Formula;

/// Longer lists stay with the interpreter: their code is far from fitting into the cache, and gains little for the time
/// that it takes to make it.
const MOST_STEPS: usize = 1 << 18;

/// The machine code of a list of steps.
pub(super) struct Native<E> {
    code: Executable,
    form: Form,
    /// Where the code of each piece begins.
    entries: Vec<usize>,
    steps: usize,
    size: usize,
    element: PhantomData<E>,
}

impl<E: Real> Native<E> {
    /// Whether there can be code of so many steps on this machine.
    fn is_there(steps: usize) -> bool {
        Level::best() != Level::Baseline && steps <= MOST_STEPS
    }

    /// Whether the code is faster than loops over neighbours: if few of the instructions are functions to call.
    pub(super) fn is_fast(body: &Body<E>) -> bool {
        let is_called = |instruction: &&Instruction| match instruction.code {
            Code::Primitive(primitive, _) => matches!(primitive.into(), Formula::Other(_)),
            Code::Rule(_) | Code::Result(_) => true,
        };
        let (all, called) = (&body.instructions, body.instructions.iter().filter(is_called));
        Self::is_there(all.len()) && 4 * called.count() < all.len()
    }

    /// For numbers one by one, with pauses before the steps that are numbered in `pauses`: a function of a user
    /// may read and write the memory then. `None` if there cannot be any on this machine.
    pub(super) fn numbers(
        steps: &[Step],
        pauses: impl Iterator<Item = usize>,
        size: usize,
    ) -> Option<Self> {
        let (mut pieces, mut from) = (Vec::new(), 0);
        for to in pauses.chain([steps.len()]) {
            pieces.push(Repeat { from, to, times: 1 });
            from = to;
        }
        let double = size_of::<E>() == 8;
        let form = Form { double, lanes: 1, stride: size_of::<E>(), registers: 16 };
        Self::new(form, steps, &pieces, None, size)
    }

    /// For vectors, of which the `outputs` are needed at the end.
    pub(super) fn lanes(
        steps: &[Step],
        pieces: &[Repeat],
        outputs: &[u32],
        size: usize,
    ) -> Option<Self> {
        let double = size_of::<E>() == 8;
        let (lanes, registers) = match Level::best() {
            Level::Avx512 if double => (LANES, 32),
            _ if double => (LANES / 2, 16),
            _ => (LANES, 16),
        };
        let form = Form { double, lanes, stride: size_of::<super::Lane<E>>(), registers };
        Self::new(form, steps, pieces, Some(outputs), size)
    }

    fn new(
        form: Form,
        steps: &[Step],
        pieces: &[Repeat],
        outputs: Option<&[u32]>,
        size: usize,
    ) -> Option<Self> {
        let reachable =
            size.checked_mul(form.stride).is_some_and(|bytes| bytes < i32::MAX as usize);
        if !Self::is_there(steps.len()) || !reachable {
            return None;
        }
        for step in steps {
            let mut places = formula::operands(step).iter().chain([&step.out]);
            assert!(places.all(|&place| (place as usize) < size), "a step outside of its memory");
        }
        let uses = uses::uses(steps, pieces, outputs, size);
        let (bytes, entries) = registers::translated::<E>(form, steps, pieces, &uses, size);
        let code = Executable::new(&bytes)?;
        Some(Native { code, form, entries, steps: steps.len(), size, element: PhantomData })
    }

    /// How many bytes it is.
    pub(super) fn bytes(&self) -> usize {
        self.code.bytes()
    }
}
