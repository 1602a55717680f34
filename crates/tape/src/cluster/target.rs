//! What the outputs of a program are added to, chunk by chunk, if they are not kept.
//!
//! The pieces of a target that outputs are added to are stretches of it, or rows. Where stretches overlap, an
//! element gets what flows to it in the order of the elements that it comes from; so the bits depend neither on the length of
//! a chunk nor on the number of threads. For that the stretch that begins last is added first. Each part of the work has a
//! share of the target to itself, which begins where its last stretch does. What the other stretches have before that is
//! *spilt*: it is kept until all parts are done.

use std::ops::Range;

use smallvec::SmallVec;

use super::outgoing::Outgoing;
use super::run::Part;
use crate::Real;
use crate::kernels::sum_each;
use crate::ops::index::{AHEAD, Indices, add_slice, fetch_slice, with_width};
use crate::recycle::{Recycled, Scratch};
use crate::vector::LINE;

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
    written: Option<Recycled<E, bool>>,
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

/// Rows of `width` elements, which the indices name, that chunks are added to.
struct Rows<'a, E> {
    sum: &'a mut [E],
    indices: &'a [usize],
    width: usize,
}

impl<E: Real> Rows<'_, E> {
    /// Adds the elements from `start` on, `x`.
    #[inline(always)]
    fn add(self, start: usize, x: &[E]) {
        if self.width == 1 {
            let places = &self.indices[start..][..x.len()];
            return places.iter().zip(x).for_each(|(&place, &x)| self.sum[place] += x);
        }
        self.each_piece(start, x, |_, sum, x, _| add_slice(sum, x));
    }

    /// As [`add`](Self::add), where rows that are not `written` hold anything: the first sum there is one with zeros.
    #[inline(always)]
    fn write_or_add(self, start: usize, x: &[E], written: &mut [bool]) {
        self.each_piece(start, x, |index, sum, x, is_last| {
            match written[index] {
                true => add_slice(sum, x),
                false => sum.iter_mut().zip(x).for_each(|(sum, &x)| *sum = E::ZERO + x),
            }
            // A chunk may end within a row; the next one goes on with what there is of it.
            written[index] |= is_last;
        });
    }

    /// Calls `f(index, place of a piece, the piece, whether the row ends with it)`.
    #[inline(always)]
    fn each_piece(self, start: usize, x: &[E], f: impl FnMut(usize, &mut [E], &[E], bool)) {
        with_width!(self.width, self.each_piece_of(start, x, f));
    }

    #[inline(always)]
    fn each_piece_of<const WIDTH: usize>(
        self,
        start: usize,
        x: &[E],
        mut f: impl FnMut(usize, &mut [E], &[E], bool),
    ) {
        let Rows { sum, indices, width } = self;
        let (mut row, mut column) = (start / width, start % width);
        if WIDTH > 0 && column == 0 && x.len().is_multiple_of(WIDTH) {
            for (row, x) in (row..).zip(x.chunks_exact(WIDTH)) {
                fetch_slice(sum, indices, row + AHEAD, WIDTH);
                f(indices[row], &mut sum[indices[row] * WIDTH..][..WIDTH], x, true);
            }
            return;
        }
        let mut rest = x;
        while !rest.is_empty() {
            let (x, others) = rest.split_at((width - column).min(rest.len()));
            fetch_slice(sum, indices, row + AHEAD, width);
            let place = indices[row] * width + column;
            f(indices[row], &mut sum[place..][..x.len()], x, column + x.len() == width);
            (row, column, rest) = (row + 1, 0, others);
        }
    }
}

/// Fills the rows that nothing was added to with zeros, as many as lie side by side at a time.
fn clear_others<E: Real>(memory: &mut [E], width: usize, written: &[bool]) {
    let mut rest = memory;
    for run in written.chunk_by(|a, b| a == b) {
        let rows;
        (rows, rest) = rest.split_at_mut(run.len() * width);
        if !run[0] {
            rows.fill(E::ZERO);
        }
    }
    rest.fill(E::ZERO);
}

/// Memory for what several parts spill.
pub(super) fn spilt<E: Real>(targets: &[Target], parts: usize) -> Scratch<E> {
    let each: usize = targets.iter().map(Target::spilt).sum();
    Scratch::filled(parts * each, E::ZERO)
}

/// Gives all of the work its share of each target, whose memory is given. What no stretch is written to becomes zero.
pub(super) fn share<'m, E: Real>(
    targets: &[Target],
    memory: &'m mut [&mut [E]],
    len: usize,
    mut spilt: &'m mut [E],
    part: &mut Part<'m, E>,
) {
    let parts = part.parts.len();
    for (target, memory) in targets.iter().zip(memory) {
        let mut written = None;
        let share = match target {
            Target::Rows { fresh, width, .. } => {
                // Short rows share their lines of the cache with others.
                if *fresh && width * size_of::<E>() >= LINE {
                    written = Some(Recycled::filled(memory.len() / width, false));
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
            clear_others(memory.memory(), *width, written);
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
    memory: &mut [&mut [E]],
    elements: Range<usize>,
    (part, parts): (usize, usize),
    mut spilt: &[E],
) {
    for (target, memory) in targets.iter().zip(memory) {
        let each = target.spilt();
        let mut own = &spilt[part * each..];
        for stretch in target.added() {
            let before = target.last() - stretch.first;
            let n = before.min(elements.len());
            add_slice(&mut memory[stretch.first + elements.start..][..n], &own[..n]);
            own = &own[before..];
        }
        spilt = &spilt[parts * each..];
    }
}
