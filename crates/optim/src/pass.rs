//! One part of a chain over the elements of one parameter.

use tape::{Real, threads};

use crate::CHUNK;
use crate::chain::Stage;
use crate::memory::StageState;
use crate::transforms::subtract_from;
use crate::vector::vectorised;

/// How many elements a thread works on at a time: some ten microseconds. Where the cuts are changes no
/// number, since elements do not meet.
pub(crate) const BLOCK: usize = 16 * CHUNK;

/// Stages of a chain with what they know of one parameter.
///
/// Stages that only scale need no loop of their own at the two ends: the one multiplies where the update
/// is read, the other where it is subtracted.
#[derive(Clone, Copy)]
pub(crate) struct Pass<'a, E: Real> {
    before: E,
    stages: &'a [Stage<E>],
    states: &'a [StageState],
    after: E,
    /// How many numbers the whole chain remembers for each element.
    remembered: usize,
}

impl<'a, E: Real> Pass<'a, E> {
    pub(crate) fn new(stages: &'a [Stage<E>], states: &'a [StageState], remembered: usize) -> Self {
        Pass { before: E::ONE, stages, states, after: E::ONE, remembered }
    }

    /// Lets a first stage that only scales do so while the update is read.
    fn scale_before(mut self) -> Self {
        if let Some(factor) = self.states.first().and_then(|state| state.factor::<E>()) {
            (self.before, self.stages, self.states) =
                (factor, &self.stages[1..], &self.states[1..]);
        }
        self
    }

    /// Lets a last stage that only scales do so while the update is subtracted.
    fn scale_after(mut self) -> Self {
        if let Some(factor) = self.states.last().and_then(|state| state.factor::<E>()) {
            let rest = self.states.len() - 1;
            (self.after, self.stages, self.states) =
                (factor, &self.stages[..rest], &self.states[..rest]);
        }
        self
    }

    /// Passes `source` through the stages and subtracts it from `target`, in place.
    pub(crate) fn subtract(self, source: &[E], target: &mut [E], memory: &mut [E]) {
        let pass = self.scale_after().scale_before();
        let remembered = pass.remembered;
        let each = |k: usize, target: &mut [E], memory: &mut [E]| {
            let block = k * BLOCK..k * BLOCK + target.len();
            pass.subtract_block(&source[block], target, memory);
        };
        threads::for_each_pair_of_blocks(target, BLOCK, memory, BLOCK * remembered, each);
    }

    fn subtract_block(&self, source: &[E], target: &mut [E], mut memory: &mut [E]) {
        // For a small parameter it takes longer to clear a whole chunk than to do the work.
        const SMALL: usize = 256;
        let (mut small, mut whole);
        let scratch: &mut [E] = if target.len() <= SMALL {
            small = [E::ZERO; SMALL];
            &mut small
        } else {
            whole = [E::ZERO; CHUNK];
            &mut whole
        };
        let nothing_to_do = !self.states.iter().any(|state| state.applies);
        for (source, target) in source.chunks(CHUNK).zip(target.chunks_mut(CHUNK)) {
            let own;
            (own, memory) = memory.split_at_mut(self.remembered * target.len());
            if nothing_to_do {
                subtract(target, self.before, self.after, source);
                continue;
            }
            let update = &mut scratch[..target.len()];
            scaled(update, self.before, source);
            self.run(target, update, own);
            subtract(target, E::ONE, self.after, update);
        }
    }

    /// Passes `source`, or what `target` holds, through the stages: `target = old - update`.
    pub(crate) fn replace(
        self,
        source: Option<&[E]>,
        old: &[E],
        target: &mut [E],
        memory: &mut [E],
    ) {
        let pass = self.scale_after().scale_before();
        let remembered = pass.remembered;
        let each = |k: usize, target: &mut [E], memory: &mut [E]| {
            let block = k * BLOCK..k * BLOCK + target.len();
            let source = source.map(|source| &source[block.clone()]);
            pass.replace_block(source, &old[block], target, memory);
        };
        threads::for_each_pair_of_blocks(target, BLOCK, memory, BLOCK * remembered, each);
    }

    fn replace_block(
        &self,
        source: Option<&[E]>,
        old: &[E],
        target: &mut [E],
        mut memory: &mut [E],
    ) {
        let mut source = source.map(|source| source.chunks(CHUNK));
        for (old, x) in old.chunks(CHUNK).zip(target.chunks_mut(CHUNK)) {
            let own;
            (own, memory) = memory.split_at_mut(self.remembered * x.len());
            match source.as_mut().and_then(Iterator::next) {
                Some(source) => scaled(x, self.before, source),
                None if self.before != E::ONE => scale(x, self.before),
                None => {}
            }
            match self.states.iter().rposition(|state| state.applies) {
                Some(last) => {
                    self.run_until(last, old, x, own);
                    let (stage, state) = (&self.stages[last], &self.states[last]);
                    let own = state.own(own, x.len());
                    stage.transform.chunk_and_subtract(&state.at, own, old, self.after, x);
                }
                None => subtract_from(old, self.after, x),
            }
        }
    }

    /// Passes the update through the stages and keeps it in `update`, which gets `source` first if there
    /// is one.
    pub(crate) fn keep(
        self,
        source: Option<&[E]>,
        parameter: &[E],
        update: &mut [E],
        memory: &mut [E],
    ) {
        let pass = if source.is_some() { self.scale_before() } else { self };
        let remembered = pass.remembered;
        let each = |k: usize, update: &mut [E], mut memory: &mut [E]| {
            for (j, update) in update.chunks_mut(CHUNK).enumerate() {
                let start = k * BLOCK + j * CHUNK;
                let chunk = start..start + update.len();
                if let Some(source) = source {
                    scaled(update, pass.before, &source[chunk.clone()]);
                }
                let own;
                (own, memory) = memory.split_at_mut(remembered * update.len());
                pass.run(&parameter[chunk], update, own);
            }
        };
        threads::for_each_pair_of_blocks(update, BLOCK, memory, BLOCK * remembered, each);
    }

    /// Runs the stages over one chunk.
    fn run(&self, parameter: &[E], update: &mut [E], memory: &mut [E]) {
        self.run_until(self.stages.len(), parameter, update, memory);
    }

    /// Runs the stages before `end`.
    fn run_until(&self, end: usize, parameter: &[E], update: &mut [E], memory: &mut [E]) {
        for (stage, state) in self.stages[..end].iter().zip(self.states) {
            if state.applies {
                let own = state.own(memory, update.len());
                stage.transform.chunk(&state.at, own, parameter, update);
            }
        }
    }
}

/// `x = factor x`.
fn scale<E: Real>(x: &mut [E], factor: E) {
    vectorised(
        #[inline(always)]
        move || x.iter_mut().for_each(|x| *x = factor * *x),
    );
}

/// `out = factor x`.
fn scaled<E: Real>(out: &mut [E], factor: E, x: &[E]) {
    vectorised(
        #[inline(always)]
        move || {
            for (out, &x) in out.iter_mut().zip(x) {
                *out = factor * x;
            }
        },
    );
}

/// `x -= after (before u)`.
fn subtract<E: Real>(x: &mut [E], before: E, after: E, u: &[E]) {
    vectorised(
        #[inline(always)]
        move || {
            for (x, &u) in x.iter_mut().zip(u) {
                *x -= after * (before * u);
            }
        },
    );
}
