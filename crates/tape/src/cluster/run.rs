//! Running a program over chunks.

use std::ops::Range;

use smallvec::SmallVec;

use super::compensated::Compensated;
use super::lower::Lowering;
use super::native::{ChunkRows, Native};
use super::outgoing::Outgoing;
use super::plan::{Code, Made, Place, Plan, Step, Work};
use super::repetition::Repetition;
use super::target::{self, Share, Sink, Target};
use crate::kernels::sum;
use crate::recycle::{self, Scratch};
use crate::rule::MAX_OPERANDS;
use crate::vector::{self, Arithmetic, Task, prefetch};
use crate::{Real, Shape, Tensor, threads};

/// What the rows of a program may take of the first-level cache, in bytes.
const CACHE: usize = 28 * 1024;
/// Data of more bytes than this come from memory, not from a cache. They are fetched ahead, in longer chunks, whose
/// rows are in the second-level cache now and then.
const FAR: usize = 16 << 20;
const CACHE_IF_FAR: usize = 80 * 1024;
/// The least and the greatest length of a chunk.
const CHUNK: (usize, usize) = (LEAST_CHUNK, 1024);
pub(super) const LEAST_CHUNK: usize = 128;
/// Chunks a block: the unit of work for a thread, and of the sums.
const BLOCK: usize = 8;
/// Work is spread over threads from this many elements times the cost of the plan on; 30 to 100 microseconds.
const PARALLEL: usize = 1 << 19;
/// As many numbers need no memory from the pool.
const FEW: usize = 16;
/// Rows begin at multiples of this many elements: whole cache lines.
const ALIGNMENT: usize = 16;

/// A program and the data that it runs on.
struct Run<'a, 'd, E: Real> {
    plan: &'a Plan,
    /// The code for what is done, if there is any.
    native: Option<&'a Native>,
    data: &'a Data<'d, E>,
    len: usize,
    /// The length of a chunk, and of the parts of it that are summed.
    chunk: usize,
    summed: usize,
    /// The distance of the rows in the scratch memory.
    row: usize,
    /// Whether the next chunk is fetched while one is computed: where there are several loops over a chunk.
    far: bool,
    /// All blocks, and in how many parts they are done.
    blocks: usize,
    parts: usize,
    /// What some of the outputs are added to.
    targets: &'a [Target],
}

/// A part of the work, with the memory that it writes to.
pub(super) struct Part<'m, E: Real> {
    /// The numbers of the parts that it is made of; of one when it is done.
    pub(super) parts: Range<usize>,
    pub(super) outputs: SmallVec<[Outgoing<'m, E>; 8]>,
    /// Its share of each target.
    pub(super) shares: SmallVec<[Share<'m, E>; 8]>,
    /// Two numbers for each block and total: the sum and what its rounding has lost.
    totals: &'m mut [E],
    memory: &'m mut [E],
}

/// Runs a program of pending nodes; pushes the values of its roots.
pub(super) fn run<E: Real>(
    plan: &Plan,
    program: &Lowering<E>,
    results: &mut Vec<(u32, Tensor<E>)>,
) {
    let mut tensors: SmallVec<[Option<Tensor<E>>; 8]> = SmallVec::new();
    for _ in 0..plan.each {
        tensors.push(Some(Tensor::uninitialised(program.shape.clone())));
    }
    let outputs = tensors.iter_mut().flatten().map(|y| Outgoing::kept(y.as_mut_slice()));
    let data = data(program);
    let totals = run_with(plan, &data, outputs, &[], &mut []);
    push_values(plan, program, &mut tensors, &totals, results);
}

/// Pushes the values of the roots of a program, as far as they are kept: each tensor is the value of one root.
pub(super) fn push_values<E: Real>(
    plan: &Plan,
    program: &Lowering<E>,
    tensors: &mut [Option<Tensor<E>>],
    totals: &[E],
    results: &mut Vec<(u32, Tensor<E>)>,
) {
    for (&root, made) in program.roots.iter().zip(&plan.outputs) {
        let value = match *made {
            Made::Each(k) => tensors[k as usize].take(),
            Made::Total(k) => Some(Tensor::recycled(Shape::scalar(), totals[k as usize])),
        };
        results.extend(value.map(|value| (root, value)));
    }
}

/// What the plan of a program runs on.
pub(super) fn data<E: Real>(program: &Lowering<E>) -> Data<'_, E> {
    let (constants, shape) = (&program.constants[..], &program.shape);
    // The lists are filled where they are: to move one takes as long as to make it.
    let mut data = Data { whole: SmallVec::new(), repeated: SmallVec::new(), constants, shape };
    program.whole.iter().for_each(|input| data.whole.push(input.as_slice()));
    program.repeated.iter().for_each(|input| data.repeated.push(input.reader(shape)));
    data
}

/// What a plan runs on.
pub(crate) struct Data<'a, E: Real> {
    /// The inputs that have the shape.
    pub(crate) whole: SmallVec<[&'a [E]; 16]>,
    /// The inputs that are repeated along some axes, or rows of a tensor.
    pub(crate) repeated: SmallVec<[Repetition<'a, E>; 8]>,
    pub(crate) constants: &'a [E],
    pub(crate) shape: &'a Shape,
}

/// Runs a plan, fills the outputs that are made element by element, and gives the totals.
pub(crate) fn run_on<E: Real>(
    plan: &Plan,
    data: &Data<'_, E>,
    outputs: SmallVec<[&mut [E]; 8]>,
) -> SmallVec<[E; 8]> {
    run_with(plan, data, outputs.into_iter().map(Outgoing::kept), &[], &mut [])
}

/// As [`run_on`], where some of the outputs are added to targets, whose memory is given.
pub(super) fn run_with<'o, E: Real>(
    plan: &Plan,
    data: &Data<'_, E>,
    outputs: impl Iterator<Item = Outgoing<'o, E>>,
    targets: &[Target],
    memory_of_targets: &mut [Sink<'_, E>],
) -> SmallVec<[E; 8]> {
    let len = data.shape.elements();
    let far = (data.whole.len() + plan.each) * len * size_of::<E>() > FAR;
    let cache = if far { CACHE_IF_FAR } else { CACHE };
    // Of rows by index the lines of the table are in the cache, too, and those that are asked for ahead.
    let by_index = data.repeated.iter().filter(|input| input.is_by_index()).count();
    let whole = data.whole.len() + 2 * by_index;
    let group = targets.iter().map(Target::group).max().unwrap_or(1);
    let summed = chunk_length::<E>(plan, cache, whole, &data.repeated, (len, group));
    let native = plan.native.get(plan, len, size_of::<E>());
    // Machine code needs fewer rows, so its chunks can be longer; but sums have the bits of the interpreter.
    let longer = native.map_or(1, |native| {
        let longest = longest_chunk::<E>(native.work.slots + plan.each + whole, cache).min(len);
        let fits = |times: &usize| times * summed <= longest;
        [BLOCK, BLOCK / 2, BLOCK / 4].into_iter().find(fits).unwrap_or(1)
    });
    let chunk = longer * summed;
    let row = chunk.next_multiple_of(ALIGNMENT);
    let far = far && !native.is_some_and(Native::is_one_loop);
    let blocks = len.div_ceil(summed * BLOCK);
    let parallel = len * plan.cost >= PARALLEL;
    let parts = if parallel { (2 * threads::available()).min(blocks) } else { 1 };
    let parts = if threads::available() == 1 { 1 } else { parts };
    let parts = if targets.iter().any(|target| !target.has_parts(len)) { 1 } else { parts };
    let run = Run { plan, native, data, len, chunk, summed, row, far, blocks, parts, targets };
    // Few totals and no rows, as small programs have, need no memory from the pool.
    let count = 2 * plan.totals * blocks;
    let (mut few, mut many);
    let totals: &mut [E] = if count <= FEW {
        few = [E::ZERO; FEW];
        &mut few[..count]
    } else {
        many = Scratch::<E>::filled(count, E::ZERO);
        &mut many
    };
    let mut spilt = (parts > 1).then(|| target::spilt::<E>(targets, parts));
    let spilt: &mut [E] = spilt.as_mut().map_or(&mut [], |spilt| spilt);
    let needed = parts * run.memory();
    let mut buffer = (needed > 0).then(|| recycle::take::<E>(needed + ALIGNMENT));
    {
        let memory = buffer.as_mut().map_or(&mut [][..], |buffer| {
            let rows = buffer.get_mut().expect("a buffer from the pool has one owner");
            let skip = rows.as_ptr().align_offset(ALIGNMENT * size_of::<E>()).min(ALIGNMENT);
            &mut rows[skip..]
        });
        // What is lent to the parts is lent for as long as the scratch memory.
        let (to, shares) = (SmallVec::new(), SmallVec::new());
        let mut part = Part { parts: 0..parts, outputs: to, shares, totals, memory };
        outputs.for_each(|output| part.outputs.push(output));
        target::share(targets, memory_of_targets, len, spilt, &mut part);
        run.parts(&mut part);
        target::finish(targets, &mut part);
    }
    if let Some(buffer) = buffer {
        recycle::give(buffer);
    }
    for part in if targets.is_empty() { 0..0 } else { 1..parts } {
        let elements = run.elements(part..part + 1);
        target::add_spilt(targets, memory_of_targets, elements, (part, parts), spilt);
    }
    let mut sums = SmallVec::new();
    for k in 0..plan.totals {
        let mut total = Compensated::zero();
        for block in totals.chunks_exact(2 * plan.totals) {
            total.merge(Compensated::at(block, k));
        }
        sums.push(total.value());
    }
    sums
}

/// The length of a chunk: all rows in so many bytes of the cache, whole groups of so many elements, and whole periods of
/// what is repeated or whole rows.
fn chunk_length<E: Real>(
    plan: &Plan,
    cache: usize,
    whole: usize,
    repeated: &[Repetition<'_, E>],
    (len, group): (usize, usize),
) -> usize {
    let longest = longest_chunk::<E>(plan.work.slots + plan.each + whole, cache);
    let units = repeated.iter().filter_map(|r| r.unit());
    let fits = |unit: &usize| (1..=longest).contains(unit) && unit.is_multiple_of(group);
    let unit = units.filter(fits).max().unwrap_or(group);
    (longest / unit * unit).min(len.max(1))
}

/// The length of a chunk of which so many rows are in so many bytes of the cache.
fn longest_chunk<E>(rows: usize, cache: usize) -> usize {
    let fits = cache / size_of::<E>() / rows.max(1);
    fits.clamp(CHUNK.0, CHUNK.1) / ALIGNMENT * ALIGNMENT
}

impl<E: Real> Run<'_, '_, E> {
    /// What is done to a chunk.
    fn work(&self) -> &Work {
        self.native.map_or(&self.plan.work, |native| &native.work)
    }

    /// The elements of scratch memory that a thread needs: what machine code needs besides rows, and the rows.
    fn memory(&self) -> usize {
        let passing: usize = self.targets.iter().map(Target::rows).sum();
        self.extra() + (self.work().slots + passing) * self.row
    }

    fn extra(&self) -> usize {
        self.native
            .map_or(0, |native| (native.extra() / size_of::<E>()).next_multiple_of(ALIGNMENT))
    }

    /// The blocks of some parts.
    fn blocks(&self, parts: &Range<usize>) -> Range<usize> {
        parts.start * self.blocks / self.parts..parts.end * self.blocks / self.parts
    }

    /// The elements of some parts.
    fn elements(&self, parts: Range<usize>) -> Range<usize> {
        let blocks = self.blocks(&parts);
        let block = BLOCK * self.summed;
        blocks.start * block..(blocks.end * block).min(self.len)
    }

    /// Runs a part, on several threads if it is made of several.
    fn parts<'m>(&self, part: &mut Part<'m, E>) {
        if part.parts.len() <= 1 {
            return vector::at_best_level(Blocks { run: self, part });
        }
        let Part { parts, outputs, shares, totals, memory } = part;
        let (outputs, shares) = (std::mem::take(outputs), std::mem::take(shares));
        let (totals, memory) = (std::mem::take(totals), std::mem::take(memory));
        let half = parts.start + parts.len() / 2;
        let (lower, upper) = (parts.start..half, half..parts.end);
        let blocks = self.blocks(&lower).len();
        let elements = blocks * BLOCK * self.summed;
        let (outputs, upper_outputs) = outputs.into_iter().map(|out| out.split(elements)).unzip();
        let split = |share: Share<'m, E>| share.split(elements, lower.len());
        let (shares, upper_shares) = shares.into_iter().map(split).unzip();
        let (totals, upper_totals) = totals.split_at_mut(2 * self.plan.totals * blocks);
        let (memory, upper_memory) = memory.split_at_mut(lower.len() * self.memory());
        let mut lower = Part { parts: lower, outputs, shares, totals, memory };
        let mut upper = Part {
            parts: upper,
            outputs: upper_outputs,
            shares: upper_shares,
            totals: upper_totals,
            memory: upper_memory,
        };
        threads::join(|| self.parts(&mut lower), || self.parts(&mut upper));
    }
}

/// A part of the work of a run, for one thread.
struct Blocks<'r, 'd, 'm, E: Real> {
    run: &'r Run<'r, 'd, E>,
    part: &'r mut Part<'m, E>,
}

impl<E: Real> Task for Blocks<'_, '_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        let Blocks { run, part: Part { parts, outputs, shares, totals, memory } } = self;
        // The rows are lent to the outputs, for as long as these are.
        let (extra, memory) = std::mem::take(memory).split_at_mut(run.extra());
        let (memory, passing) = memory.split_at_mut(run.work().slots * run.row);
        target::lend_rows(run.targets, passing.chunks_exact_mut(run.row.max(1)), outputs);
        run.prepare(extra, memory);
        let work = run.work();
        let blocks = run.blocks(parts);
        let Range { mut start, end } = run.elements(parts.clone());
        let first = start;
        for block in 0..blocks.len() {
            let totals = &mut totals[2 * run.plan.totals * block..][..2 * run.plan.totals];
            for _ in 0..BLOCK * run.summed / run.chunk {
                let n = run.chunk.min(end - start);
                if n == 0 {
                    break;
                }
                let mut chunk = Chunk { run, start, n, outputs, memory, extra };
                chunk.read_repeated();
                for (done, step) in work.steps.iter().enumerate() {
                    if run.far {
                        chunk.fetch(done, work.steps.len());
                    }
                    chunk.step::<A>(step, totals);
                }
                for (target, share) in run.targets.iter().zip(&mut *shares) {
                    share.add(target, outputs, first, start, n);
                }
                outputs.iter_mut().for_each(|output| output.advance(n));
                start += n;
            }
        }
    }
}

impl<E: Real> Run<'_, '_, E> {
    /// Fills the rows that are the same for all chunks.
    #[inline(never)]
    fn prepare(&self, extra: &mut [E], memory: &mut [E]) {
        if let Some(native) = self.native {
            native.prepare(self.data.constants, extra);
        }
        let constants = &self.work().constants;
        for (&c, row) in constants.iter().zip(memory.chunks_mut(self.row.max(1))) {
            row.fill(self.data.constants[c as usize]);
        }
        for (k, input) in self.data.repeated.iter().enumerate() {
            if self.len > 0 && self.is_same_everywhere(input) {
                let row = (constants.len() + k) * self.row;
                input.read(self.data.shape, 0, &mut memory[row..][..self.chunk]);
            }
        }
    }

    fn is_same_everywhere(&self, input: &Repetition<'_, E>) -> bool {
        input.period().is_some_and(|period| period > 0 && self.chunk.is_multiple_of(period))
    }
}

/// The `n` elements from `start` on.
struct Chunk<'c, 'd, 'm, E: Real> {
    run: &'c Run<'c, 'd, E>,
    start: usize,
    n: usize,
    outputs: &'c mut [Outgoing<'m, E>],
    /// The rows.
    memory: &'c mut [E],
    extra: &'c mut [E],
}

impl<E: Real> Chunk<'_, '_, '_, E> {
    #[inline(never)]
    fn read_repeated(&mut self) {
        for (k, input) in self.run.data.repeated.iter().enumerate() {
            if !self.run.is_same_everywhere(input) {
                let row = (self.run.work().constants.len() + k) * self.run.row;
                input.read(self.run.data.shape, self.start, &mut self.memory[row..][..self.n]);
            }
        }
    }

    /// Asks for a part of the next chunk: in each of the steps that are `done` and to be done an equal one, because the
    /// processor waits for few lines at a time.
    #[inline(never)]
    fn fetch(&self, done: usize, steps: usize) {
        let part = self.n + self.n * done / steps..self.n + self.n * (done + 1) / steps;
        let inputs = self.run.data.whole.iter().map(|input| &input[self.start..]);
        for rest in inputs.chain(self.outputs.iter().map(Outgoing::ahead)) {
            prefetch(&rest[part.start.min(rest.len())..part.end.min(rest.len())]);
        }
    }

    #[inline(always)]
    fn step<A: Arithmetic>(&mut self, step: &Step, totals: &mut [E]) {
        let (run, start, n, row) = (self.run, self.start, self.n, self.run.row);
        let (code, operands, out) = match *step {
            Step::Apply { code, operands, out } => (code, operands, out),
            Step::Total { place, index } => {
                let mut total = Compensated::at(totals, index as usize);
                self.read(place).chunks(run.summed).for_each(|part| total.add(sum(part)));
                return total.put(totals, index as usize);
            }
            Step::Segment(k) => return self.segment(k),
        };
        // What is written is taken out of what is read: a row of the memory, or an output.
        let mut output = Outgoing::kept(&mut []);
        let mut first_above = u32::MAX;
        let (below, own, above) = match out {
            Place::Slot(slot) => {
                let (below, rest) = self.memory.split_at_mut(slot as usize * row);
                let (own, above) = rest.split_at_mut(row);
                first_above = slot + 1;
                (below, own, above)
            }
            Place::Output(k) | Place::Input(k) => {
                std::mem::swap(&mut output, &mut self.outputs[k as usize]);
                (&mut *self.memory, output.chunk_mut(n), &mut [][..])
            }
        };
        let mut slices = [&[][..]; MAX_OPERANDS];
        for (slice, &place) in slices.iter_mut().zip(&operands) {
            *slice = match place {
                Place::Input(k) => &run.data.whole[k as usize][start..start + n],
                Place::Output(k) => self.outputs[k as usize].chunk(n),
                Place::Slot(k) if k < first_above => &below[k as usize * row..][..n],
                Place::Slot(k) => &above[(k - first_above) as usize * row..][..n],
            };
        }
        match code {
            Code::One { primitive, exponent } => {
                primitive.run_at::<A, E>(exponent, slices, &mut own[..n]);
            }
            Code::Two(pair) => pair.run(slices, &mut own[..n]),
        }
        if let Place::Output(k) = out {
            self.outputs[k as usize] = output;
        }
    }

    #[inline(never)]
    fn segment(&mut self, k: u32) {
        let rows = ChunkRows {
            n: self.n,
            inputs: &self.run.data.whole,
            start: self.start,
            outputs: self.outputs,
            slots: self.memory,
            row: self.run.row,
            extra: self.extra,
        };
        self.run.native.expect("segments are of machine code").run(k, rows);
    }

    fn read(&self, place: Place) -> &[E] {
        match place {
            Place::Input(k) => &self.run.data.whole[k as usize][self.start..][..self.n],
            Place::Output(k) => self.outputs[k as usize].chunk(self.n),
            Place::Slot(k) => &self.memory[k as usize * self.run.row..][..self.n],
        }
    }
}
