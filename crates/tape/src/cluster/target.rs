//! What the outputs of a program are added to, chunk by chunk, if they are not kept.
//!
//! The pieces of a target that outputs are added to are stretches of it, or rows. Where stretches overlap, an
//! element gets what flows to it in the order of the elements that it comes from; so the bits depend neither on the length of
//! a chunk nor on the number of threads. For that the stretch that begins last is added first. Each part of the work has a
//! share of the target to itself, which begins where its last stretch does. What the other stretches have before that is
//! *spilt*: it is kept until all parts are done.

mod rows;

use std::ops::Range;

use smallvec::SmallVec;

use super::outgoing::Outgoing;
use super::run::Part;
use crate::Real;
use crate::kernels::sum_each;
use crate::ops::index::{Indices, add_slice};
use crate::recycle::Scratch;
use crate::vector::LINE;

use rows::{Rows, Written};

/// What a program adds some of its outputs to.
#[derive(Debug)]
pub(super) enum Target {
    /// Stretches that overlap; the one that begins last comes first. If nothing has been written to the target, that
    /// is fresh, and the first stretch is written where it goes.
    Stretches { stretches: SmallVec<[Stretch; 8]>, fresh: bool },
    /// Rows of so many elements, at places given by their number. There is one such output.
    Rows { output: u32, indices: Indices, width: usize, fresh: bool },
    /// The sums of so many neighbours each, which are written. There is one such output, and its chunks are made of whole
    /// groups.
    Neighbours { output: u32, count: usize },
}

/// A stretch of a target as long as the output that is added to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    /// The number of the output.
    pub(super) output: u32,
    /// The element of the target that it begins at.
    pub(super) first: usize,
}

impl Target {
    /// Where the last stretch begins.
    fn last(&self) -> usize {
        match self {
            Target::Stretches { stretches, .. } => stretches[0].first,
            Target::Rows { .. } | Target::Neighbours { .. } => 0,
        }
    }

    /// How many elements of the output go to one of the target.
    pub(super) fn group(&self) -> usize {
        if let Target::Neighbours { count, .. } = *self { count } else { 1 }
    }

    /// How many elements a part spills.
    fn spilt(&self) -> usize {
        self.added().iter().map(|stretch| self.last() - stretch.first).sum()
    }

    /// Whether the work can be done in parts, and these spill little.
    pub(super) fn has_parts(&self, len: usize) -> bool {
        match self {
            Target::Stretches { .. } => self.spilt() <= len / 16,
            Target::Rows { .. } => false,
            Target::Neighbours { .. } => true,
        }
    }

    /// The stretches that are computed elsewhere and added.
    fn added(&self) -> &[Stretch] {
        match self {
            Target::Stretches { stretches, fresh } => &stretches[usize::from(*fresh)..],
            Target::Rows { .. } | Target::Neighbours { .. } => &[],
        }
    }

    /// The output that is written where it goes.
    fn written(&self) -> Option<u32> {
        match self {
            Target::Stretches { stretches, fresh: true } => Some(stretches[0].output),
            _ => None,
        }
    }

    /// How many rows of the scratch memory the outputs need.
    pub(super) fn rows(&self) -> usize {
        match self {
            Target::Stretches { .. } => self.added().len(),
            Target::Rows { .. } | Target::Neighbours { .. } => 1,
        }
    }
}

/// The memory of a target.
#[derive(Debug)]
pub(super) struct Sink<'m, E> {
    pub(super) elements: &'m mut [E],
    /// Whether all elements are known to be finite, when all has been added.
    pub(super) finite: bool,
}

impl<'m, E> Sink<'m, E> {
    pub(super) fn new(elements: &'m mut [E]) -> Self {
        Sink { elements, finite: false }
    }
}

/// What a part has of a target.
pub(super) struct Share<'m, E: Real> {
    /// Its elements, unless they are the memory of an output.
    memory: Option<Outgoing<'m, E>>,
    /// For each part, what it spills.
    spilt: &'m mut [E],
    /// How much a part spills.
    each: usize,
    /// See [`Target::group`].
    group: usize,
    /// Which rows have been written, if there were none before.
    written: Option<Written<'m, E>>,
}

impl<E: Real> Share<'_, E> {
    /// The shares of the parts of the first `elements`, and of the others.
    pub(super) fn split(self, elements: usize, parts: usize) -> (Self, Self) {
        let Share { memory, spilt, each, group, written } = self;
        debug_assert!(written.is_none(), "rows are added by one part");
        let (memory, upper_memory) = memory.map(|memory| memory.split(elements / group)).unzip();
        let (spilt, upper_spilt) = spilt.split_at_mut(parts * each);
        let upper = Share { memory: upper_memory, spilt: upper_spilt, each, group, written: None };
        (Share { memory, spilt, each, group, written: None }, upper)
    }

    /// Adds the chunk of `n` elements from `start` on; the part begins with element `first`.
    #[inline(always)]
    pub(super) fn add(
        &mut self,
        target: &Target,
        outputs: &mut [Outgoing<'_, E>],
        first: usize,
        start: usize,
        n: usize,
    ) {
        if let (Target::Rows { output, indices, width, .. }, Some(memory)) =
            (target, &mut self.memory)
        {
            let x = outputs[*output as usize].chunk(n);
            let rows = Rows { sum: memory.memory(), indices: indices.as_slice(), width: *width };
            return match &mut self.written {
                Some(written) => rows.write_or_add(start, x, written),
                None => rows.add(start, x),
            };
        }
        if let (&Target::Neighbours { output, count }, Some(memory)) = (target, &mut self.memory) {
            sum_each(outputs[output as usize].chunk(n), count, memory.chunk_mut(n / count));
            return memory.advance(n / count);
        }
        // The share of the first part begins where the target does.
        let begins = if first == 0 { 0 } else { first + target.last() };
        let mut skip = 0;
        for stretch in target.added() {
            // Taken out, because the memory may be that of another output.
            let nothing = Outgoing::kept(&mut []);
            let output = std::mem::replace(&mut outputs[stretch.output as usize], nothing);
            let place = stretch.first + start;
            let (lost, kept) = output.chunk(n).split_at(begins.saturating_sub(place).min(n));
            if !lost.is_empty() {
                self.spilt[skip + start - first..][..lost.len()].copy_from_slice(lost);
            }
            skip += target.last() - stretch.first;
            let memory = match (&mut self.memory, target.written()) {
                (Some(memory), _) => memory.memory(),
                (None, Some(written)) => outputs[written as usize].memory(),
                (None, None) => unreachable!("the memory is that of the share or of an output"),
            };
            add_slice(&mut memory[place + lost.len() - begins..][..kept.len()], kept);
            outputs[stretch.output as usize] = output;
        }
    }
}

/// Memory for what several parts spill.
pub(super) fn spilt<E: Real>(targets: &[Target], parts: usize) -> Scratch<E> {
    let each: usize = targets.iter().map(Target::spilt).sum();
    Scratch::filled(parts * each, E::ZERO)
}

/// Gives all of the work its share of each target, whose memory is given. What no stretch is written to becomes zero.
pub(super) fn share<'m, E: Real>(
    targets: &[Target],
    memory: &'m mut [Sink<'_, E>],
    len: usize,
    mut spilt: &'m mut [E],
    part: &mut Part<'m, E>,
) {
    let parts = part.parts.len();
    for (target, sink) in targets.iter().zip(memory) {
        let Sink { elements: memory, finite } = sink;
        let mut written = None;
        let share = match target {
            Target::Rows { fresh, width, .. } => {
                // Short rows share their lines of the cache with others.
                if *fresh && width * size_of::<E>() >= LINE {
                    written = Some(Written::nothing(memory.len() / width, finite));
                } else if *fresh {
                    memory.fill(E::ZERO);
                }
                Some(Outgoing::kept(memory))
            }
            Target::Neighbours { .. } => Some(Outgoing::kept(memory)),
            Target::Stretches { .. } => {
                let (reached, beyond) = memory.split_at_mut(target.last() + len);
                match target.written() {
                    None => Some(Outgoing::kept_from(reached, target.last())),
                    Some(output) => {
                        reached[..target.last()].fill(E::ZERO);
                        beyond.fill(E::ZERO);
                        part.outputs[output as usize] = Outgoing::kept_from(reached, target.last());
                        None
                    }
                }
            }
        };
        let each = target.spilt();
        let own = if parts > 1 { parts * each } else { 0 };
        let (own, rest) = std::mem::take(&mut spilt).split_at_mut(own);
        spilt = rest;
        let group = target.group();
        part.shares.push(Share { memory: share, spilt: own, each, group, written });
    }
}

/// Completes the targets when all has been added.
pub(super) fn finish<E: Real>(targets: &[Target], part: &mut Part<'_, E>) {
    for (target, share) in targets.iter().zip(&mut part.shares) {
        if let (Target::Rows { width, .. }, Some(memory), Some(written)) =
            (target, &mut share.memory, &share.written)
        {
            written.clear_others(memory.memory(), *width);
        }
    }
}

/// Has the outputs that are added, and not written where they go, computed in `rows`.
pub(super) fn lend_rows<'m, E: Real>(
    targets: &[Target],
    mut rows: impl Iterator<Item = &'m mut [E]>,
    outputs: &mut [Outgoing<'m, E>],
) {
    let mut lend = |output: u32| {
        let row = rows.next().expect("a row for each output that is not kept");
        outputs[output as usize] = Outgoing::passing(row);
    };
    for target in targets {
        match target {
            Target::Rows { output, .. } | Target::Neighbours { output, .. } => lend(*output),
            Target::Stretches { .. } => {
                target.added().iter().for_each(|stretch| lend(stretch.output));
            }
        }
    }
}

/// Adds what part number `part` of `parts`, which has these elements, has spilt.
pub(super) fn add_spilt<E: Real>(
    targets: &[Target],
    memory: &mut [Sink<'_, E>],
    elements: Range<usize>,
    (part, parts): (usize, usize),
    mut spilt: &[E],
) {
    for (target, sink) in targets.iter().zip(memory) {
        let each = target.spilt();
        let mut own = &spilt[part * each..];
        for stretch in target.added() {
            let before = target.last() - stretch.first;
            let n = before.min(elements.len());
            add_slice(&mut sink.elements[stretch.first + elements.start..][..n], &own[..n]);
            own = &own[before..];
        }
        spilt = &spilt[parts * each..];
    }
}
