//! Outputs that are added to a piece of another tensor as soon as a chunk of them is computed, and are no tensors
//! themselves: cotangents of pieces, which a sweep adds to the cotangent of the whole. What is added where, and in what
//! order, is the business of [`target`](super::target).

use std::cmp::Reverse;

use smallvec::SmallVec;

use super::lower::Lowering;
use super::outgoing::Outgoing;
use super::plan::{Made, Plan};
use super::run::{data, push_values, run_with};
use super::target::{Sink, Stretch, Target};
use crate::kernel_rule::Piece;
use crate::{Real, Tensor};

/// Values that are to be added to tensors as they are computed, and these tensors: no more than a sweep looks ahead for.
#[derive(Debug)]
pub(crate) struct Deposits<E: Real> {
    pub(crate) values: SmallVec<[Deposit; 16]>,
    pub(crate) sums: SmallVec<[Sum<E>; 16]>,
    /// Values that are not added but kept.
    pub(crate) refused: SmallVec<[Deposit; 2]>,
}

/// One of the values.
#[derive(Debug)]
pub(crate) struct Deposit {
    /// The pending node.
    pub(crate) node: u32,
    /// What the caller knows it by.
    pub(crate) piece: u32,
    /// The number of the tensor that it is added to, and where there.
    pub(crate) sum: u32,
    pub(crate) place: Place,
    /// Whether other nodes were made of it.
    pub(crate) shared: bool,
}

/// Where the elements of a value are added.
#[derive(Debug)]
pub(crate) enum Place {
    /// To a piece of a tensor.
    Piece(Piece),
    /// So many neighbours to one element: there is nothing else there.
    Neighbours(usize),
}

/// One of the tensors that are added to: either stretches, or one value in another way.
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
        Deposits { values: SmallVec::new(), sums: SmallVec::new(), refused: SmallVec::new() }
    }
}

impl<E: Real> Deposits<E> {
    fn of(&self, node: u32) -> Option<&Deposit> {
        self.values.iter().find(|deposit| deposit.node == node)
    }

    /// Keeps the values of which other nodes were made, unless `joined` says that these are made of it in one program.
    pub(super) fn refuse_unless(&mut self, joined: impl Fn(u32) -> bool) {
        let mut k = 0;
        while let Some(deposit) = self.values.get(k) {
            match deposit.shared && !joined(deposit.node) {
                true => self.refused.push(self.values.remove(k)),
                false => k += 1,
            }
        }
    }

    /// Whether a program makes any of the values.
    pub(super) fn concern(&self, roots: &[u32]) -> bool {
        !self.values.is_empty() && roots.iter().any(|&root| self.of(root).is_some())
    }
}

/// The targets of a program, and their memory.
struct Targets<'m, E> {
    list: SmallVec<[Target; 8]>,
    memory: SmallVec<[Sink<'m, E>; 8]>,
    /// The number of the tensor that each belongs to.
    numbers: SmallVec<[usize; 8]>,
}

impl<E> Default for Targets<'_, E> {
    fn default() -> Self {
        Targets { list: SmallVec::new(), memory: SmallVec::new(), numbers: SmallVec::new() }
    }
}

impl<'m, E> Targets<'m, E> {
    /// Stretches of so many elements of one tensor. Those that do not overlap with others are targets of their own.
    fn add_stretches(
        &mut self,
        mut stretches: SmallVec<[Stretch; 8]>,
        len: usize,
        fresh: bool,
        mut memory: &'m mut [E],
    ) {
        // The one that begins last comes first.
        stretches.sort_by_key(|stretch| Reverse(stretch.first));
        let apart = |a: &Stretch, b: &Stretch| b.first + len > a.first;
        let mut groups = stretches.chunk_by_mut(apart).peekable();
        while let Some(group) = groups.next() {
            let mut own = std::mem::take(&mut memory);
            if groups.peek().is_some() {
                let begins = group[group.len() - 1].first;
                group.iter_mut().for_each(|stretch| stretch.first -= begins);
                (memory, own) = own.split_at_mut(begins);
            }
            self.list.push(Target::Stretches { stretches: group.iter().copied().collect(), fresh });
            self.memory.push(Sink::new(own));
        }
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
    let mut own: SmallVec<[(u32, usize); 8]> = SmallVec::new();
    for (&root, made) in program.roots.iter().zip(&plan.outputs) {
        let &Made::Each(output) = made else { continue };
        debug_assert_eq!(output as usize, tensors.len(), "outputs are numbered in their order");
        let deposit = deposits.values.iter().position(|deposit| deposit.node == root);
        let kept = deposit.is_none().then(|| Tensor::uninitialised(program.shape.clone()));
        tensors.push(kept);
        own.extend(deposit.map(|deposit| (output, deposit)));
    }
    let mut targets = Targets::default();
    let len = program.shape.elements();
    for (number, sum) in deposits.sums.iter_mut().enumerate() {
        let mut stretches: SmallVec<[Stretch; 8]> = SmallVec::new();
        let mut other = None;
        for &(output, deposit) in &own {
            match &deposits.values[deposit] {
                deposit if deposit.sum as usize != number => {}
                Deposit { place: Place::Piece(Piece::Stretch(first)), .. } => {
                    stretches.push(Stretch { output, first: *first });
                }
                Deposit { place: Place::Piece(Piece::Rows { indices, width }), .. } => {
                    let (indices, width, fresh) = (indices.clone(), *width, sum.fresh);
                    other = Some(Target::Rows { output, indices, width, fresh });
                }
                &Deposit { place: Place::Neighbours(count), .. } => {
                    other = Some(Target::Neighbours { output, count });
                }
            }
        }
        if stretches.is_empty() && other.is_none() {
            continue;
        }
        let fresh = std::mem::take(&mut sum.fresh);
        let memory = sum.tensor.as_mut_slice();
        match other {
            Some(target) => {
                targets.list.push(target);
                targets.memory.push(Sink::new(memory));
            }
            None => targets.add_stretches(stretches, len, fresh, memory),
        }
        targets.numbers.resize(targets.list.len(), number);
    }
    let outputs = tensors.iter_mut().map(|tensor| match tensor {
        Some(tensor) => Outgoing::kept(tensor.as_mut_slice()),
        None => Outgoing::passing(&mut []),
    });
    let data = data(program);
    let totals = run_with(plan, &data, outputs, &targets.list, &mut targets.memory);
    let Targets { list: _, memory, numbers } = { targets };
    let finite = memory.into_iter().zip(numbers).filter(|(sink, _)| sink.finite);
    let finite: SmallVec<[usize; 8]> = finite.map(|(_, number)| number).collect();
    finite.iter().for_each(|&number| deposits.sums[number].tensor.set_known_finite());
    push_values(plan, program, &mut tensors, &totals, results);
}
