//! Where there is no machine code: on other processors, and without the feature `jit`.

use std::convert::Infallible;

use super::outgoing::Outgoing;
use super::plan::{Plan, Work};
use crate::Real;

#[derive(Debug, Default)]
pub(super) struct Later(());

impl Later {
    pub(super) fn get(&self, _: &Plan, _: usize, _: usize) -> Option<&Native> {
        None
    }
}

/// There is none.
#[derive(Debug)]
pub(super) struct Native {
    pub(super) work: Work,
    nothing: Infallible,
}

#[expect(dead_code, reason = "there is no code that works on them")]
pub(super) struct ChunkRows<'c, 'a, 'm, E> {
    pub(super) n: usize,
    pub(super) inputs: &'c [&'a [E]],
    pub(super) start: usize,
    pub(super) outputs: &'c mut [Outgoing<'m, E>],
    pub(super) slots: &'c mut [E],
    pub(super) row: usize,
    pub(super) extra: &'c mut [E],
}

impl Native {
    pub(super) fn is_one_loop(&self) -> bool {
        match self.nothing {}
    }

    pub(super) fn extra(&self) -> usize {
        match self.nothing {}
    }

    pub(super) fn prepare<E: Real>(&self, _: &[E], _: &mut [E]) {
        match self.nothing {}
    }

    pub(super) fn run<E: Real>(&self, _: u32, _: ChunkRows<'_, '_, '_, E>) {
        match self.nothing {}
    }
}
