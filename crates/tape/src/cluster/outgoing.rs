//! Where the values that leave a program are written.

/// Where a part of the work writes an output: a stretch of memory, and how far it is.
#[derive(Debug)]
pub(super) struct Outgoing<'m, E> {
    memory: &'m mut [E],
    /// Where the present chunk begins.
    at: usize,
    /// Whether every chunk takes the place of the one before.
    passes: bool,
}

impl<'m, E> Outgoing<'m, E> {
    /// All chunks, one behind the other.
    pub(super) fn kept(memory: &'m mut [E]) -> Self {
        Self::kept_from(memory, 0)
    }

    /// All chunks, one behind the other from element `at` on.
    pub(super) fn kept_from(memory: &'m mut [E], at: usize) -> Self {
        Outgoing { memory, at, passes: false }
    }

    /// One chunk, for somebody who reads it before the next one is computed.
    pub(super) fn passing(memory: &'m mut [E]) -> Self {
        Outgoing { memory, at: 0, passes: true }
    }

    /// The `n` elements of the present chunk.
    #[inline(always)]
    pub(super) fn chunk(&self, n: usize) -> &[E] {
        &self.memory[self.at..][..n]
    }

    /// The `n` elements of the present chunk, for writing.
    #[inline(always)]
    pub(super) fn chunk_mut(&mut self, n: usize) -> &mut [E] {
        &mut self.memory[self.at..][..n]
    }

    /// The elements from the present chunk on, if there are others behind it.
    pub(super) fn ahead(&self) -> &[E] {
        if self.passes { &[] } else { &self.memory[self.at..] }
    }

    /// The whole stretch.
    pub(super) fn memory(&mut self) -> &mut [E] {
        self.memory
    }

    /// The present chunk has had `n` elements.
    #[inline(always)]
    pub(super) fn advance(&mut self, n: usize) {
        if !self.passes {
            self.at += n;
        }
    }

    /// What the first `elements` from here on go to, and what the others go to.
    pub(super) fn split(self, elements: usize) -> (Self, Self) {
        let Outgoing { memory, at, passes } = self;
        let (lower, upper) = memory.split_at_mut(if passes { 0 } else { at + elements });
        (Outgoing { memory: lower, at, passes }, Outgoing { memory: upper, at: 0, passes })
    }
}
