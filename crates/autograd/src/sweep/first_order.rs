//! The sweep whose result is numbers.

mod ahead;
mod watched;

use std::hint::cold_path;

use smallvec::SmallVec;
use tape::engine::{
    Cotangent, Handled, LeafCotangent, NodeId, Recording, Recycled, Scratch, Sums, Tail,
};
use tape::{Real, Tensor, TensorVar};

use super::{Group, Needs, extent, one};
use crate::Gradients;

/// What stands in the slot of a scalar that nothing has flowed to: -0, the neutral element of IEEE
/// addition. A sum that something has flowed to is never -0; see [`add`].
pub(crate) fn absent<E: Real>() -> E {
    -E::ZERO
}

/// Whether nothing has flowed to a slot.
#[inline(always)]
pub(crate) fn is_absent<E: Real>(slot: E) -> bool {
    slot.bits() == absent::<E>().bits()
}

/// Adds a cotangent. A sum of -0 becomes +0.
#[inline(always)]
fn add<E: Real>(slot: &mut E, cotangent: E) {
    let sum = *slot + cotangent;
    // Seldom: a branch costs no time where an addition of +0 would be in the way of what waits for the sum.
    *slot = match is_absent(sum) {
        true => {
            cold_path();
            E::ZERO
        }
        false => sum,
    };
}

/// A first-order sweep over a recording.
pub(crate) struct FirstOrder<'a, E: Real> {
    recording: &'a Recording<E>,
    needs: Option<Needs<E>>,
    scalars: Scratch<E>,
    tensors: Recycled<E, Option<Cotangent<E>>>,
    /// Opened when the first rule of a tensor or of a user runs.
    tail: Option<Tail<E>>,
    variables: Option<&'a [NodeId]>,
    out: NodeId,
    /// Whether each rule is looked at; see [`watched`].
    watched: bool,
}

impl<'a, E: Real> FirstOrder<'a, E> {
    /// Sweeps from `out`, whose cotangent is 1 or, for a tensor, the given one. Without `variables`
    /// the result has the gradient of every leaf.
    pub(crate) fn run(
        recording: &'a Recording<E>,
        out: NodeId,
        cotangent: Option<tape::Tensor<E>>,
        variables: Option<&'a [NodeId]>,
    ) -> Gradients<E> {
        let (scalars, tensors) = extent(recording, out);
        let mut sweep = FirstOrder {
            recording,
            needs: variables.map(|v| Needs::new(recording, v, (scalars, tensors))),
            scalars: Scratch::slots(scalars as usize, absent()),
            tensors: Recycled::filled(tensors as usize, None),
            tail: None,
            variables,
            out,
            watched: recording.watches(),
        };
        match out {
            NodeId::Scalar(i) => {
                sweep.scalars[i as usize] = cotangent.map_or(E::ONE, |cotangent| cotangent.item());
            }
            NodeId::Tensor(t) => {
                sweep.open_tail();
                sweep.tensors[t as usize] = Some(Cotangent::Recorded(match cotangent {
                    Some(cotangent) => recording.constant(cotangent),
                    None => one(recording, t),
                }));
            }
        }
        sweep.sweep(scalars, tensors);
        sweep.finish()
    }

    fn needed(&self, id: NodeId) -> bool {
        is_needed(self.recording, self.needs.as_ref(), id)
    }

    fn sweep(&mut self, mut scalars: u32, mut tensors: u32) {
        while tensors > 0 {
            let info = self.recording.tensor_info(tensors - 1);
            if info.at < scalars {
                self.sweep_scalars(info.at, scalars);
                scalars = info.at;
            }
            if !info.leaf {
                self.tensor_group(info.first, info.group);
            }
            tensors = info.first;
        }
        self.sweep_scalars(0, scalars);
    }

    /// The scalar nodes `low..high`, backward.
    fn sweep_scalars(&mut self, low: u32, high: u32) {
        let low = low.max(self.needs.as_ref().map_or(0, |needs| needs.first_scalar));
        let mut high = high;
        while low < high {
            let stopped = match self.watched {
                true => self.watched_run(low, high),
                false => self.run_of_primitives(low, high),
            };
            match stopped {
                None => return,
                Some(i) => {
                    self.other_scalar(i);
                    high = i;
                }
            }
        }
    }

    /// Sweeps down to `low`, or to a node that is not a primitive, which it returns.
    fn run_of_primitives(&mut self, low: u32, high: u32) -> Option<u32> {
        let segment = self.recording.segment().first(high as usize);
        let slots = &mut self.scalars[..high as usize];
        let mut own = slots.last().copied()?;
        for i in (low as usize..slots.len()).rev() {
            let g = own;
            // Operands come before their node, so the slots below are all that a rule needs.
            let Some((before, below)) = slots[..i].split_last_mut() else {
                let done = is_absent(g) || segment.local_rule(0, g, |_, _| {}) == Handled::Yes;
                return if done { None } else { Some(0) };
            };
            // Many nodes have the one before as an operand. What flows there is kept out of memory: to load what was
            // just stored takes longer than to add to it.
            own = *before;
            segment.prefetch(i, below);
            if is_absent(g) {
                continue;
            }
            let handled = segment.local_rule(i, g, |operand, cotangent| {
                match below.get_mut(operand as usize) {
                    Some(slot) => add(slot, cotangent),
                    None => add(&mut own, cotangent),
                }
            });
            if handled == Handled::No {
                return Some(i as u32);
            }
            *before = own;
        }
        None
    }

    /// A scalar node with a user's rule, or one that comes from a tensor.
    fn other_scalar(&mut self, i: u32) {
        let g = self.scalars[i as usize];
        self.open_tail();
        if let Some(t) = self.recording.item_of(i) {
            self.accumulate(t, Cotangent::Recorded(TensorVar::scalar_constant(g)));
            return;
        }
        let needs = &self.needs;
        let needed = |id| needs.as_ref().is_none_or(|needs| needs.get(id));
        let mut handed: SmallVec<[(u32, E); 3]> = SmallVec::new();
        self.recording.scalar_rule(i, g, needed, |operand, cotangent| {
            handed.push((operand, cotangent));
        });
        for (operand, cotangent) in handed {
            self.add_to_scalar(NodeId::Scalar(i), operand, cotangent);
        }
    }

    fn tensor_group(&mut self, first: u32, group: u32) {
        let slots = &self.tensors[first as usize..(first + group) as usize];
        if slots.iter().all(Option::is_none) {
            return;
        }
        let kernel = self.recording.has_kernel(first);
        if let (false, [Some(Cotangent::Recorded(g))]) = (kernel || self.watched, slots) {
            let g = *g;
            return self.rule_of_one(first, g);
        }
        let recording = self.recording;
        let is_pending = |g: &_| matches!(g, Cotangent::Recorded(g) if recording.is_pending(*g));
        if kernel && slots.iter().flatten().any(is_pending) {
            self.compute_for_kernels(first);
            if self.tensors[first as usize..(first + group) as usize].iter().all(Option::is_none) {
                return;
            }
        }
        // What has flowed to a node that nobody asks for is used up here.
        let keep = (first..first + group).any(|t| self.is_asked(t));
        let slots = &mut self.tensors[first as usize..(first + group) as usize];
        let mut cotangents: SmallVec<[_; 3]> = SmallVec::new();
        for slot in slots {
            cotangents.push(if keep { slot.clone() } else { slot.take() });
        }
        for cotangent in cotangents.iter().flatten().filter(|_| keep) {
            if let Cotangent::Recorded(g) = cotangent {
                self.recording.share(*g);
            }
        }
        match kernel {
            true => self.kernel(first, &mut cotangents),
            false => self.composite(first, &mut cotangents),
        }
    }

    fn kernel(&mut self, first: u32, cotangents: &mut [Option<Cotangent<E>>]) {
        let incoming = self.finite_numbers(cotangents);
        let recording = self.recording;
        let mut sums = SumsOf { sweep: self, rule: NodeId::Tensor(first), incoming };
        recording.kernel_rule(first, cotangents.iter_mut().map(Option::take), &mut sums);
    }

    /// The rule of a node that shares it with no other, from what is recorded: most nodes are like this, and lists take
    /// longer to fill than to read.
    fn rule_of_one(&mut self, t: u32, g: TensorVar<E>) {
        match self.is_asked(t) {
            true => self.recording.share(g),
            false => self.tensors[t as usize] = None,
        }
        let mut handed: super::Handed<E> = Default::default();
        self.recording.tensor_rule(
            t,
            &[Some(g)],
            |id| self.needed(id),
            |operand, cotangent| handed.push((operand, cotangent)),
        );
        self.hand_over(t, &mut handed);
    }

    fn composite(&mut self, first: u32, cotangents: &mut [Option<Cotangent<E>>]) {
        let recording = self.recording;
        let incoming = self.finite_numbers(cotangents);
        let mut owned: SmallVec<[TensorVar<E>; 3]> = SmallVec::new();
        let mut recorded_cotangents: Group<E> = SmallVec::new();
        for cotangent in cotangents.iter_mut().map(Option::take) {
            let is_owned = matches!(cotangent, Some(Cotangent::Owned(_)));
            let recorded = cotangent.map(|g| g.into_recorded(recording));
            owned.extend(recorded.filter(|_| is_owned));
            recorded_cotangents.push(recorded);
        }
        let mut handed: super::Handed<E> = Default::default();
        recording.tensor_rule(
            first,
            &recorded_cotangents,
            |id| self.needed(id),
            |operand, cotangent| handed.push((operand, cotangent)),
        );
        if let Some(incoming) = &incoming {
            for (_, cotangent) in &handed {
                recording.look_at_rule(NodeId::Tensor(first), incoming, &cotangent.value());
            }
        }
        for g in owned {
            self.hand_on(g, &mut handed);
        }
        self.hand_over(first, &mut handed);
    }

    /// Adds what the rule of `first` has handed over to what has flowed to its operands.
    fn hand_over(&mut self, first: u32, handed: &mut super::Handed<E>) {
        let recording = self.recording;
        // What goes to several operands is not used up by the first kernel that reads it; nor is what goes to
        // one, by a kernel that reads what was made of it for another one.
        for (k, (_, cotangent)) in handed.iter().enumerate() {
            match handed[..k].iter().any(|(_, other)| other.key() == cotangent.key()) {
                true => recording.share(*cotangent),
                false => recording.keep_operand(*cotangent),
            }
        }
        for (operand, cotangent) in handed.drain(..) {
            match operand {
                NodeId::Tensor(t) => self.accumulate(t, Cotangent::Recorded(cotangent)),
                NodeId::Scalar(i) => {
                    self.add_to_scalar(NodeId::Tensor(first), i, cotangent.item());
                }
            }
        }
    }

    /// Where a rule has handed on `g`, numbers of the sweep's own, as it came, and made nothing else of it, the
    /// operands get the numbers, which kernels can add to in place.
    fn hand_on(&mut self, g: TensorVar<E>, handed: &mut super::Handed<E>) {
        let recording = self.recording;
        let same = |other: &TensorVar<E>| other.key() == g.key();
        let mut own = handed.iter().filter(|(_, other)| same(other)).peekable();
        if own.peek().is_none() {
            return;
        }
        // The sum of a tensor hands on a number that is the same for all elements.
        let shape = g.shape();
        let fits = |operand| match operand {
            NodeId::Tensor(t) => recording.tensor(t).shape() == shape,
            NodeId::Scalar(_) => false,
        };
        let numbers =
            if own.all(|&(operand, _)| fits(operand)) { recording.take_back(g) } else { None };
        let Some(numbers) = numbers else {
            return recording.share(g);
        };
        handed.retain(|(operand, other)| {
            let own = same(other);
            if let (true, NodeId::Tensor(t)) = (own, *operand) {
                self.accumulate(t, Cotangent::Owned(numbers.clone()));
            }
            !own
        });
    }

    /// Sums what flows to a tensor.
    #[inline(always)] // A cotangent is large: it is moved once.
    fn accumulate(&mut self, t: u32, cotangent: Cotangent<E>) {
        let finite = self.watched && self.is_sum_finite(t) && cotangent.is_finite();
        let slot = &mut self.tensors[t as usize];
        match slot.take() {
            None => *slot = Some(cotangent),
            Some(sum) => *slot = Some(sum.add(cotangent, self.recording)),
        }
        if finite {
            self.look_at_sum(t);
        }
    }

    /// Whether the sum of a tensor is part of the result, though it is no leaf.
    fn is_asked(&self, t: u32) -> bool {
        self.variables.is_some_and(|variables| variables.contains(&NodeId::Tensor(t)))
    }

    fn open_tail(&mut self) {
        if self.tail.is_none() {
            self.tail = Some(self.recording.begin_tail());
        }
    }

    /// Computes the gradients of the leaves, or of the variables.
    fn finish(mut self) -> Gradients<E> {
        let variables = self.variables;
        // The value of the result and its gradients, as far as they are elementwise, come out of one
        // pass over the data.
        self.recording.compute(|ask| {
            if let NodeId::Tensor(t) = self.out {
                ask(self.recording.tensor(t));
            }
            for t in 0..self.tensors.len() as u32 {
                if let Some(Cotangent::Recorded(g)) = self.tensors[t as usize]
                    && (self.is_asked(t) || self.recording.tensor_info(t).leaf)
                {
                    ask(g);
                }
            }
        });
        let mut leaves = Recycled::empty();
        for t in 0..self.tensors.len() as u32 {
            // A cotangent is large: it is looked at before it is moved.
            if self.tensors[t as usize].is_none() {
                continue;
            }
            let info = self.recording.tensor_info(t);
            let wanted = match variables {
                Some(_) => self.is_asked(t),
                None => info.leaf,
            };
            if let Some(cotangent) = self.tensors[t as usize].take_if(|_| wanted) {
                let leaf = self.recording.tensor(t);
                let value = cotangent.into_tensor(leaf);
                leaves.push(LeafCotangent { leaf, label: info.label, value });
            }
        }
        // The handles of the tail go stale here; the values above have been taken out of it.
        drop(self.tail.take());
        Gradients::new(self.scalars, leaves, self.recording.scalar_tags(), variables)
    }
}

/// The sums of a sweep, as the kernel of a node sees them.
struct SumsOf<'s, 'a, E: Real> {
    sweep: &'s mut FirstOrder<'a, E>,
    rule: NodeId,
    /// What has flowed to the node, if rules are watched and it is finite.
    incoming: Option<SmallVec<[Tensor<E>; 3]>>,
}

impl<E: Real> Sums<E> for SumsOf<'_, '_, E> {
    fn needs(&self, t: u32) -> bool {
        self.sweep.needed(NodeId::Tensor(t))
    }
    fn lend(&mut self, t: u32) -> Option<Tensor<E>> {
        // A contribution is looked at before it is added.
        if self.sweep.watched {
            return None;
        }
        lend(self.sweep.recording, &mut self.sweep.tensors, t)
    }
    #[inline]
    fn receive(&mut self, t: u32, cotangent: Tensor<E>) {
        if let Some(incoming) = &self.incoming {
            self.sweep.recording.look_at_rule(self.rule, incoming, &cotangent);
        }
        self.sweep.accumulate(t, Cotangent::Owned(cotangent));
    }
}

/// The numbers that have flowed to a tensor, if they are the sweep's own. A buffer that another tensor has part in
/// would have to be copied.
fn lend<E: Real>(
    recording: &Recording<E>,
    slots: &mut [Option<Cotangent<E>>],
    t: u32,
) -> Option<Tensor<E>> {
    let lent = slots[t as usize].take_if(|g| match g {
        Cotangent::Owned(sum) => sum.get_mut_slice().is_some(),
        Cotangent::Recorded(_) => false,
    });
    lent.map(|g| g.into_tensor(recording.tensor(t)))
}

fn is_needed<E: Real>(recording: &Recording<E>, needs: Option<&Needs<E>>, id: NodeId) -> bool {
    match (needs, id) {
        (Some(needs), id) => needs.get(id),
        (None, NodeId::Scalar(_)) => true,
        (None, NodeId::Tensor(t)) => recording.is_active(t),
    }
}
