//! Cotangents of tensors in a sweep whose result is numbers, and the kernels that make them.

use smallvec::SmallVec;

use super::{Recording, fit};
use crate::inner::{Call, Held, Kind};
use crate::kernel_rule::{KernelCall, Place, add_to};
use crate::registry::NO_TAPE;
use crate::{Real, Shape, Tensor, TensorVar, recycle};

/// What has flowed to a tensor so far.
#[derive(Clone, Debug)]
pub enum Cotangent<E: Real> {
    /// A value on the tail of the sweep, which may be pending: elementwise contributions join one
    /// program.
    Recorded(TensorVar<E>),
    /// Numbers that belong to the sweep alone: kernels add to them in place.
    Owned(Tensor<E>),
}

/// What a sweep has of the cotangents that kernels add to.
pub trait Sums<E: Real> {
    /// Whether anything may flow to tensor `t`.
    fn needs(&self, t: u32) -> bool;
    /// The buffer of what has flowed to `t` so far, if the sweep owns one and lets others add to it.
    fn lend(&mut self, t: u32) -> Option<Tensor<E>>;
    /// Takes a buffer back that it has lent, with the contribution added; or else a contribution alone.
    fn receive(&mut self, t: u32, cotangent: Tensor<E>);
}

impl<E: Real> Cotangent<E> {
    /// The numbers, for a tensor of the shape of `y`.
    #[inline]
    pub fn into_tensor(self, y: TensorVar<E>) -> Tensor<E> {
        match self {
            Cotangent::Owned(g) => g,
            Cotangent::Recorded(g) if g.tag == NO_TAPE => Tensor::recycled(y.shape(), g.constant),
            Cotangent::Recorded(g) => fit(g, y).value(),
        }
    }

    /// Adds another cotangent of the same tensor.
    pub fn add(self, other: Self, recording: &Recording<E>) -> Self {
        match (self, other) {
            (Cotangent::Owned(mut sum), Cotangent::Owned(mut other)) => {
                // What somebody else holds would have to be copied.
                if sum.get_mut_slice().is_none() {
                    std::mem::swap(&mut sum, &mut other);
                }
                add_to(&mut sum, &other);
                recycle::give(other.into_buffer());
                Cotangent::Owned(sum)
            }
            (Cotangent::Owned(mut sum), Cotangent::Recorded(g))
            | (Cotangent::Recorded(g), Cotangent::Owned(mut sum)) => {
                let value = recording.computed(g, sum.shape());
                if let (Some(value), Some(_)) = (value, sum.get_mut_slice()) {
                    add_to(&mut sum, &value);
                    return Cotangent::Owned(sum);
                }
                Cotangent::Recorded(recording.constant(sum) + g)
            }
            (Cotangent::Recorded(sum), Cotangent::Recorded(other)) => {
                Cotangent::Recorded(sum + other)
            }
        }
    }

    /// A value on the recording.
    pub fn into_recorded(self, recording: &Recording<E>) -> TensorVar<E> {
        match self {
            Cotangent::Recorded(g) => g,
            Cotangent::Owned(g) => recording.constant(g),
        }
    }
}

impl<E: Real> Recording<E> {
    /// Whether the nodes that share the rule of `first` have a kernel.
    pub fn has_kernel(&self, first: u32) -> bool {
        let lane = self.inner.tensors.borrow();
        match lane.nodes[first as usize].kind {
            Kind::Output { call } => lane.op(call).kernel().is_some(),
            _ => false,
        }
    }

    /// Whether `g` is a node that waits to be computed.
    pub fn is_pending(&self, g: TensorVar<E>) -> bool {
        let node = self.tensor_id(g);
        node.is_some_and(|t| self.inner.tensors.borrow().nodes[t as usize].value.is_none())
    }

    /// Notes that several cotangents are `g`, or that it is asked for later.
    pub fn share(&self, g: TensorVar<E>) {
        if self.tensor_id(g).is_some() {
            let node = &mut self.inner.tensors.borrow_mut().nodes[g.index as usize];
            (node.uses, node.held) = (node.uses + 2, true);
        }
    }

    /// Notes that `g`, which is a cotangent, must stay when what was made of it has been used up.
    pub fn keep_operand(&self, g: TensorVar<E>) {
        if self.tensor_id(g).is_some() {
            let node = &mut self.inner.tensors.borrow_mut().nodes[g.index as usize];
            node.uses += if node.uses > 0 { 2 } else { 0 };
        }
    }

    /// Takes the numbers of a constant back of which no other node was made. Whoever asks for it all the same
    /// is told that it has been used up.
    pub fn take_back(&self, constant: TensorVar<E>) -> Option<Tensor<E>> {
        let mut lane = self.inner.tensors.borrow_mut();
        let node = &mut lane.nodes[constant.index as usize];
        if node.uses == 0 { node.value.take() } else { None }
    }

    /// The value of a cotangent, if it has been computed and has this shape.
    fn computed(&self, g: TensorVar<E>, shape: &Shape) -> Option<Tensor<E>> {
        let t = self.tensor_id(g)?;
        let value = self.inner.tensors.borrow().nodes[t as usize].value.clone();
        value.filter(|value| value.shape() == shape)
    }

    /// The value of a cotangent that is about to be used up, if it has been computed and has the shape of node `t`. Where
    /// nothing else was made of it, the node lets go of it: then it is pending, as it was.
    fn computed_for(&self, g: TensorVar<E>, t: u32) -> Option<Tensor<E>> {
        let is_own = self.on_tail(g).is_some();
        let g = self.tensor_id(g)?;
        let mut lane = self.inner.tensors.borrow_mut();
        let value = lane.nodes[g as usize].value.as_ref();
        let value = value.filter(|value| *value.shape() == lane.nodes[t as usize].shape)?;
        match is_own && lane.nodes[g as usize].is_last() {
            true => lane.nodes[g as usize].take_value(g),
            false => Some(value.clone()),
        }
    }

    /// The node of a value that the sweep under way has recorded.
    pub(super) fn on_tail(&self, g: TensorVar<E>) -> Option<u32> {
        let tail = self.inner.start_of_tail()?;
        self.tensor_id(g).filter(|&t| t >= tail)
    }

    /// Frees the value of a cotangent that has been consumed, if nothing else was made of it, and the
    /// constants that it alone was made of: the cotangents of the operation before. Whoever asks for it all the
    /// same finds it pending, as it was.
    pub(super) fn free(&self, g: TensorVar<E>) {
        let Some(tail) = self.inner.start_of_tail() else { return };
        let Some(g) = self.tensor_id(g).filter(|&g| g >= tail) else { return };
        let mut lane = self.inner.tensors.borrow_mut();
        let node = &mut lane.nodes[g as usize];
        if !node.is_last() {
            return;
        }
        if let Some(value) = node.take_value(g) {
            recycle::give(value.into_buffer());
        }
        let Kind::Elementwise { operands, arity, constants, .. } = node.kind else { return };
        for k in (0..arity as usize).filter(|k| constants >> k & 1 == 0) {
            let node = &mut lane.nodes[operands[k] as usize];
            if operands[k] >= tail
                && matches!(node.kind, Kind::Constant)
                && node.uses == 1
                && let Some(value) = node.value.take()
            {
                recycle::give(value.into_buffer());
            }
        }
    }

    /// Runs the kernel of the operation of `first` on the cotangents of its outputs, and hands the cotangents of its
    /// inputs over to `sums`.
    ///
    /// # Panics
    /// If the node has no kernel, or the kernel resets or drops the tape.
    pub fn kernel_rule(
        &self,
        first: u32,
        cotangents: impl Iterator<Item = Option<Cotangent<E>>>,
        sums: &mut impl Sums<E>,
    ) {
        let (op, held, numbers) = {
            let lane = self.inner.tensors.borrow();
            let Kind::Output { call } = lane.nodes[first as usize].kind else {
                unreachable!("only operations with structure have kernels")
            };
            let Call { inputs, held, .. } = &lane.calls[call as usize];
            let held = held.clone().expect("the inputs of an operation with a kernel are computed");
            (lane.op(call), held, SmallVec::<[u32; 6]>::from_slice(inputs))
        };
        let kernel = op.kernel().expect("the caller has asked whether there is a kernel");
        let mut consumed: SmallVec<[TensorVar<E>; 3]> = SmallVec::new();
        let mut values: SmallVec<[Option<Tensor<E>>; 3]> = SmallVec::new();
        for (t, g) in (first..).zip(cotangents) {
            values.push(match g {
                Some(Cotangent::Owned(g)) => Some(g),
                Some(Cotangent::Recorded(g)) => {
                    consumed.push(g);
                    let usual = self.computed_for(g, t);
                    let fitted = || Cotangent::Recorded(g).into_tensor(self.tensor(t));
                    Some(usual.unwrap_or_else(fitted))
                }
                None => None,
            });
        }
        let mut places: SmallVec<[Place<E>; 6]> = SmallVec::new();
        for &t in &numbers {
            places.push(match sums.needs(t) {
                false => Place::Unneeded,
                true => sums.lend(t).map_or(Place::Empty, Place::Sum),
            });
        }
        let Held { inputs, outputs, residuals } = &*held;
        let mut call = KernelCall::new(inputs, outputs, &values, residuals, &mut places);
        let frame = self.inner.profiler.as_ref().map(|profiler| profiler.rule(op.name()));
        kernel.run(&mut call);
        drop(frame);
        self.check();
        // What has been used up is free for the next ones.
        values.drain(..).flatten().for_each(|g| recycle::give(g.into_buffer()));
        consumed.into_iter().for_each(|g| self.free(g));
        // What was lent goes back first: where an input stands twice, the other one is added to it.
        for lent in [true, false] {
            for (place, &t) in places.iter_mut().zip(&numbers) {
                if matches!(place, Place::Sum(_)) == lent {
                    match std::mem::replace(place, Place::Unneeded) {
                        Place::Sum(tensor) | Place::Fresh(tensor) => sums.receive(t, tensor),
                        Place::Unneeded | Place::Empty => {}
                    }
                }
            }
        }
    }
}
