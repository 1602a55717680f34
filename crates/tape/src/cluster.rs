//! Pending elementwise work, and how it is done.
//!
//! Recording an elementwise tensor operation or a full sum computes nothing, unless there are few elements. When values are needed,
//! the pending nodes that they depend on become straight-line programs of primitives, which run over
//! chunks small enough for the cache: no intermediate value goes to memory. All values that are asked for
//! at once and have one shape come out of one program, so the value of a loss and its gradients are one
//! pass over the data.
//!
//! The way of a program: [`schedule`] says which values are computed together and in what order,
//! [`lower`] writes the list of instructions, [`plan`] finds places for the values (and keeps the plan,
//! because the next step of a training asks for the same), [`run`] runs it, or [`short`] if there are few elements.

mod compensated;
mod deposit;
mod direct;
mod lower;
#[cfg(all(feature = "jit", target_arch = "x86_64", any(unix, windows)))]
mod native;
#[cfg(not(all(feature = "jit", target_arch = "x86_64", any(unix, windows))))]
#[path = "cluster/native/absent.rs"]
mod native;
mod outgoing;
mod pair;
mod plan;
mod repetition;
mod run;
mod schedule;
mod short;
mod target;

#[cfg(test)]
mod tests;

use crate::inner::{Inner, Kind};
use crate::{Real, Shape, Tensor};

pub(crate) use compensated::Compensated;
pub(crate) use deposit::{Deposit, Deposits, Place, Sum};
pub(crate) use direct::compute_if_little;
pub(crate) use lower::{Instruction, Operand, Output};
pub(crate) use plan::Plan;
pub(crate) use repetition::Repetition;
pub(crate) use run::{Data, run_on};

use lower::Lowering;
use plan::PlanCache;
use schedule::Schedule;

/// When more than this many nodes would be pending for a new one, the operands with the most of them are
/// computed first. It bounds the length of programs and of every walk through pending nodes, and how
/// often the work of a node is done again for other consumers.
pub(crate) const MAX_PENDING: u32 = 128;

/// A program takes no further values in when it has this many instructions or outputs.
const FULL: (usize, usize) = (256, 8);

/// Memory that is kept from one program to the next.
#[derive(Debug)]
pub(crate) struct Scratch<E: Real> {
    schedule: Schedule,
    lowering: Lowering<E>,
    plans: PlanCache,
    results: Vec<(u32, Tensor<E>)>,
    targets: Vec<u32>,
}

impl<E: Real> Default for Scratch<E> {
    fn default() -> Self {
        Scratch {
            schedule: Schedule::default(),
            lowering: Lowering::default(),
            plans: PlanCache::default(),
            results: Vec::new(),
            targets: Vec::new(),
        }
    }
}

/// The value of tensor node `t`, which is computed now.
pub(crate) fn force<E: Real>(inner: &Inner<E>, t: u32) -> Tensor<E> {
    force_all(inner, |targets| targets.push(t));
    let lane = inner.tensors.borrow();
    lane.nodes[t as usize].value.clone().expect(lower::USED_UP)
}

/// Computes the values of the tensor nodes that `list` pushes, those of one shape together.
pub(crate) fn force_all<E: Real>(inner: &Inner<E>, list: impl FnOnce(&mut Vec<u32>)) {
    compute(inner, |targets, _| list(targets), None, &mut Deposits::default());
}

/// As [`force_all`]; the values of the deposits are added where they belong, and are not kept.
pub(crate) fn force_and_deposit<E: Real>(
    inner: &Inner<E>,
    list: impl FnOnce(&mut Vec<u32>, &mut Deposits<E>),
    deposits: &mut Deposits<E>,
) {
    compute(inner, list, None, deposits);
}

/// The sums of each `count` neighbours of a node, as a tensor of the given shape, if that is one cheap operation which can be
/// done again where its value is needed: then it is not written to memory.
pub(crate) fn sums_of_neighbours<E: Real>(
    inner: &Inner<E>,
    t: u32,
    count: usize,
    shape: Shape,
) -> Option<Tensor<E>> {
    // Less is in the cache when it is read.
    const MANY: usize = 1 << 14;
    {
        let lane = inner.tensors.borrow();
        let node = &lane.nodes[t as usize];
        let fits = (2..=run::LEAST_CHUNK).contains(&count) && node.shape.elements() >= MANY;
        if !fits || !lane.is_cheap_of_values(t) {
            return None;
        }
    }
    let mut deposits = Deposits::default();
    let tensor = Tensor::uninitialised(shape);
    deposits.sums.push(Sum { node: t, tensor, fresh: true });
    let place = Place::Neighbours(count);
    deposits.values.push(Deposit { node: t, piece: t, sum: 0, place, shared: false });
    force_and_deposit(inner, |_, _| {}, &mut deposits);
    deposits.sums.pop().map(|sum| sum.tensor)
}

/// Computes the value of tensor node `t`, where so much work has piled up that others will ask for parts of it
/// again: so what has several consumers below `t` is kept, and in a backward sweep all that was recorded before
/// the sweep, because the sweep comes by there.
pub(crate) fn relieve<E: Real>(inner: &Inner<E>, t: u32) {
    let before = inner.start_of_tail().unwrap_or(0);
    compute(inner, |targets, _| targets.push(t), Some(before), &mut Deposits::default());
}

fn compute<E: Real>(
    inner: &Inner<E>,
    list: impl FnOnce(&mut Vec<u32>, &mut Deposits<E>),
    keep: Option<u32>,
    deposits: &mut Deposits<E>,
) {
    // Taken out, so that nothing of the tape is borrowed while a program runs on several threads.
    let mut boxed = inner.scratch.take().unwrap_or_default();
    let scratch = &mut *boxed;
    scratch.targets.clear();
    list(&mut scratch.targets, deposits);
    // A profile counts programs.
    let direct = deposits.values.is_empty() && inner.profiler.is_none();
    if direct && compute_directly(inner, &scratch.targets) {
        inner.scratch.set(Some(boxed));
        return;
    }
    scratch.targets.extend(deposits.values.iter().map(|deposit| deposit.node));
    {
        let (lane, schedule) = (&*inner.tensors.borrow(), &mut scratch.schedule);
        schedule.find(lane, &scratch.targets, keep);
        deposits.refuse_unless(|t| schedule.joins_all_consumers(lane, t));
    }
    while let Some(first) = scratch.schedule.next() {
        if let Some(value) = read(inner, first) {
            scratch.results.push((first, value));
        } else if direct && let Some(value) = direct::value(inner, &inner.tensors.borrow(), first) {
            scratch.results.push((first, value));
        } else {
            let Scratch { schedule, lowering, plans, results, .. } = scratch;
            let mut frame = inner.profiler.as_ref().map(|profiler| profiler.fused());
            lowering.lower(inner, schedule, first);
            if deposits.concern(&lowering.roots) {
                deposit::run(&plans.get(lowering), lowering, deposits, results);
            } else if short::FEW.contains(&lowering.shape.elements()) {
                short::run(lowering, results);
            } else {
                run::run(&plans.get(lowering), lowering, results);
            }
            if let Some(frame) = &mut frame {
                frame.operations = lowering.operations;
                frame.bytes = results.iter().map(|(_, y)| size_of_val(y.as_slice())).sum();
            }
            lowering.clear();
        }
        let mut lane = inner.tensors.borrow_mut();
        scratch.results.drain(..).for_each(|(t, value)| lane.put_computed(t, value));
    }
    inner.scratch.set(Some(boxed));
}

/// The value of a node that is no work but has to be put in its place.
fn read<E: Real>(inner: &Inner<E>, t: u32) -> Option<Tensor<E>> {
    let lane = inner.tensors.borrow();
    let node = &lane.nodes[t as usize];
    match node.kind {
        Kind::Lift { scalar } => {
            Some(Tensor::recycled(Shape::scalar(), inner.scalars.node(scalar).1))
        }
        Kind::Output { call } => {
            let (table, rows) = lane.rows(call);
            Some(rows.copied(table, node.shape.clone()))
        }
        _ => None,
    }
}

/// Computes the targets if at most one is pending and takes no program.
fn compute_directly<E: Real>(inner: &Inner<E>, targets: &[u32]) -> bool {
    let (t, value) = {
        let lane = inner.tensors.borrow();
        let mut open = targets.iter().filter(|&&t| lane.nodes[t as usize].value.is_none());
        let Some(&t) = open.next() else { return true };
        if open.next().is_some() {
            return false;
        }
        let Some(value) = direct::value(inner, &lane, t) else { return false };
        (t, value)
    };
    inner.tensors.borrow_mut().nodes[t as usize].set_value(value);
    true
}
