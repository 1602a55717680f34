//! Outputs that are added to a piece of another tensor as soon as a chunk of them is computed, and are no tensors
//! themselves: cotangents of pieces, which a sweep adds to the cotangent of the whole.
//!
//! The pieces are windows: stretches of the whole. Where several of them overlap, an element gets what flows to it in
//! the order of the elements that it comes from; so the bits depend neither on the length of a chunk nor on the number of
//! threads. For that the windows are added from the one with the largest beginning on. Each part of the work has a
//! stretch of the target to itself, which begins where the *last* window of the part does. What the other windows have
//! before that is *spilt*: it is kept until all parts are done.

use std::cmp::Reverse;

use smallvec::SmallVec;

use super::lower::Lowering;
use super::outgoing::Outgoing;
use super::plan::{Made, Plan};
use super::run::{data, run_with};
use crate::recycle::Scratch;
use crate::{Real, Shape, Tensor};

/// Values that are to be added to tensors as they are computed, and these tensors.
#[derive(Debug)]
pub(crate) struct Deposits<E: Real> {
    /// The pending nodes.
    pub(crate) nodes: SmallVec<[Deposit; 4]>,
    pub(crate) sums: SmallVec<[Sum<E>; 2]>,
}

/// One of the values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deposit {
    pub(crate) node: u32,
    /// The number of the tensor that it is added to, and the element of that which it begins at.
    pub(crate) sum: u32,
    pub(crate) first: usize,
}

/// One of the tensors that are added to.
#[derive(Debug)]
pub(crate) struct Sum<E: Real> {
    /// What the caller knows it by.
    pub(crate) node: u32,
    pub(crate) tensor: Tensor<E>,
    /// Whether nothing has been written to it.
    pub(crate) fresh: bool,
}

impl<E: Real> Default for Deposits<E> {
    fn default() -> Self {
        Deposits { nodes: SmallVec::new(), sums: SmallVec::new() }
    }
}

impl<E: Real> Deposits<E> {
    fn of(&self, node: u32) -> Option<&Deposit> {
        self.nodes.iter().find(|deposit| deposit.node == node)
    }

    /// Whether a program makes any of the values.
    pub(super) fn concern(&self, roots: &[u32]) -> bool {
        !self.nodes.is_empty() && roots.iter().any(|&root| self.of(root).is_some())
    }
}

/// What a program adds some of its outputs to.
#[derive(Debug)]
pub(super) struct Target {
    /// The one that begins last comes first.
    windows: SmallVec<[Window; 4]>,
    /// Whether nothing has been written to it: then the first window is written where it goes.
    fresh: bool,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    /// The number of the output.
    output: u32,
    /// The element of the target that it begins at.
    first: usize,
}

impl Target {
    /// The element that the last window begins at.
    fn last(&self) -> usize {
        self.windows[0].first
    }

    /// How many elements a part spills.
    fn spilt(&self) -> usize {
        self.windows.iter().map(|window| self.last() - window.first).sum()
    }

    /// Whether the work can be done in parts that spill little.
    pub(super) fn has_parts(&self, len: usize) -> bool {
        self.spilt() <= len / 16
    }

    /// The windows that are computed in rows of the scratch memory.
    fn passing(&self) -> &[Window] {
        &self.windows[usize::from(self.fresh)..]
    }

    /// How many rows they need.
    pub(super) fn rows(&self) -> usize {
        self.passing().len()
    }
}

/// What a part has of a target.
pub(super) struct Share<'m, E> {
    /// Its stretch, unless that is the memory of the first output.
    stretch: Option<Outgoing<'m, E>>,
    /// For each part, what it spills.
    spilt: &'m mut [E],
    /// How much a part spills.
    each: usize,
}

impl<E: Real> Share<'_, E> {
    /// The shares of the parts of the first `elements`, and of the others.
    pub(super) fn split(self, elements: usize, parts: usize) -> (Self, Self) {
        let Share { stretch, spilt, each } = self;
        let (stretch, upper_stretch) = stretch.map(|stretch| stretch.split(elements)).unzip();
        let (spilt, upper_spilt) = spilt.split_at_mut(parts * each);
        let upper = Share { stretch: upper_stretch, spilt: upper_spilt, each };
        (Share { stretch, spilt, each }, upper)
    }

    /// Adds the chunk of the elements from `start` on; the part begins with element `first`.
    #[inline(always)]
    pub(super) fn add(
        &mut self,
        target: &Target,
        outputs: &mut [Outgoing<'_, E>],
        first: usize,
        start: usize,
        n: usize,
    ) {
        // The stretch of the first part begins where the target does.
        let begins = if first == 0 { 0 } else { first + target.last() };
        let mut skip = 0;
        for window in target.passing() {
            let own = Outgoing::kept(&mut []);
            let row = std::mem::replace(&mut outputs[window.output as usize], own);
            let memory = match &mut self.stretch {
                Some(stretch) => stretch.memory(),
                None => outputs[target.windows[0].output as usize].memory(),
            };
            let place = window.first + start;
            let below = begins.saturating_sub(place).min(n);
            let (lost, kept) = row.chunk(n).split_at(below);
            if below > 0 {
                self.spilt[skip + start - first..][..below].copy_from_slice(lost);
            }
            let to = &mut memory[place + below - begins..][..n - below];
            to.iter_mut().zip(kept).for_each(|(sum, &x)| *sum += x);
            skip += target.last() - window.first;
            outputs[window.output as usize] = row;
        }
    }
}

/// Memory for what several parts spill.
pub(super) fn spilt<E: Real>(targets: &[Target], parts: usize) -> Scratch<E> {
    let each: usize = targets.iter().map(Target::spilt).sum();
    Scratch::filled(parts * each, E::ZERO)
}

/// The share of the whole work in each target, whose memory is given. What no window writes to first becomes zero.
pub(super) fn shares<'m, E: Real>(
    targets: &[Target],
    memory: &'m mut [&mut [E]],
    len: usize,
    mut spilt: &'m mut [E],
    parts: usize,
    outputs: &mut [Outgoing<'m, E>],
) -> SmallVec<[Share<'m, E>; 2]> {
    let mut shares = SmallVec::new();
    for (target, memory) in targets.iter().zip(memory) {
        let (written, beyond) = memory.split_at_mut(target.last() + len);
        if target.fresh {
            written[..target.last()].fill(E::ZERO);
            beyond.fill(E::ZERO);
        }
        let mut stretch = Some(Outgoing::kept_from(written, target.last()));
        if target.fresh {
            outputs[target.windows[0].output as usize] = stretch.take().expect("it is there");
        }
        let each = target.spilt();
        let own = if parts > 1 { parts * each } else { 0 };
        let (own, rest) = std::mem::take(&mut spilt).split_at_mut(own);
        spilt = rest;
        shares.push(Share { stretch, spilt: own, each });
    }
    shares
}

/// Has the outputs that are added and not kept computed in `rows`.
pub(super) fn lend_rows<'m, E: Real>(
    targets: &[Target],
    mut rows: impl Iterator<Item = &'m mut [E]>,
    outputs: &mut [Outgoing<'m, E>],
) {
    for window in targets.iter().flat_map(Target::passing) {
        let row = rows.next().expect("a row for each output that is not kept");
        outputs[window.output as usize] = Outgoing::passing(row);
    }
}

/// Adds what part number `part`, which has these elements, has spilt.
pub(super) fn add_spilt<E: Real>(
    targets: &[Target],
    memory: &mut [&mut [E]],
    elements: std::ops::Range<usize>,
    (part, parts): (usize, usize),
    mut spilt: &[E],
) {
    for (target, memory) in targets.iter().zip(memory) {
        let each = target.spilt();
        let mut own = &spilt[part * each..];
        for window in target.passing() {
            let before = target.last() - window.first;
            let n = before.min(elements.len());
            let to = &mut memory[window.first + elements.start..][..n];
            to.iter_mut().zip(own).for_each(|(sum, &x)| *sum += x);
            own = &own[before..];
        }
        spilt = &spilt[parts * each..];
    }
}

/// Runs a program some of whose values are deposits; pushes the values of its other roots.
pub(super) fn run<E: Real>(
    plan: &Plan,
    program: &Lowering<E>,
    deposits: &mut Deposits<E>,
    results: &mut Vec<(u32, Tensor<E>)>,
) {
    let mut tensors: SmallVec<[Option<Tensor<E>>; 8]> = SmallVec::new();
    let mut added: SmallVec<[(u32, Window); 4]> = SmallVec::new();
    for (&root, made) in program.roots.iter().zip(&plan.outputs) {
        let &Made::Each(output) = made else { continue };
        let deposit = deposits.of(root);
        let kept = deposit.is_none().then(|| Tensor::uninitialised(program.shape.clone()));
        debug_assert_eq!(output as usize, tensors.len(), "outputs are numbered in their order");
        tensors.push(kept);
        added.extend(deposit.map(|&Deposit { sum, first, .. }| (sum, Window { output, first })));
    }
    // The one that begins last comes first.
    added.sort_by_key(|(_, window)| Reverse(window.first));
    let mut targets: SmallVec<[Target; 2]> = SmallVec::new();
    let mut memory: SmallVec<[&mut [E]; 2]> = SmallVec::new();
    for (k, sum) in deposits.sums.iter_mut().enumerate() {
        let own = added.iter().filter(|(number, _)| *number == k as u32);
        let windows: SmallVec<[Window; 4]> = own.map(|&(_, window)| window).collect();
        if !windows.is_empty() {
            targets.push(Target { windows, fresh: std::mem::take(&mut sum.fresh) });
            memory.push(sum.tensor.as_mut_slice());
        }
    }
    let outputs = tensors.iter_mut().map(|tensor| match tensor {
        Some(tensor) => Outgoing::kept(tensor.as_mut_slice()),
        None => Outgoing::passing(&mut []),
    });
    let data = data(program);
    let totals = run_with(plan, &data, outputs, &targets, &mut memory);
    for (&root, made) in program.roots.iter().zip(&plan.outputs) {
        let value = match *made {
            Made::Each(k) => tensors[k as usize].take(),
            Made::Total(k) => Some(Tensor::recycled(Shape::scalar(), totals[k as usize])),
        };
        results.extend(value.map(|value| (root, value)));
    }
}
