//! The sweep whose result is recorded, to be differentiated again.

use smallvec::SmallVec;
use tape::engine::{NodeId, Recording};
use tape::{Real, Tensor, TensorVar, Var};

use super::{Group, Needs, extent, one};

/// A sweep that records what it does.
pub(crate) struct Recorded<'a, E: Real> {
    recording: &'a Recording<E>,
    needs: Needs<E>,
    scalars: Vec<Option<Var<E>>>,
    tensors: Vec<Option<TensorVar<E>>>,
}

impl<'a, E: Real> Recorded<'a, E> {
    /// Sweeps from `out`, whose cotangent is `seed` or 1, to the variables.
    pub(crate) fn run(
        recording: &'a Recording<E>,
        out: NodeId,
        seed: Option<TensorVar<E>>,
        variables: &[NodeId],
    ) -> Self {
        let (scalars, tensors) = extent(recording, out);
        let mut sweep = Recorded {
            recording,
            needs: Needs::new(recording, variables, (scalars, tensors)),
            scalars: vec![None; scalars as usize],
            tensors: vec![None; tensors as usize],
        };
        match out {
            NodeId::Scalar(i) => sweep.scalars[i as usize] = Some(Var::constant(E::ONE)),
            NodeId::Tensor(t) => {
                sweep.tensors[t as usize] = Some(seed.unwrap_or_else(|| one(recording, t)));
            }
        }
        sweep.sweep(scalars, tensors);
        sweep
    }

    /// The cotangent of a scalar; `None` if the result does not depend on it.
    pub(crate) fn scalar(&self, i: u32) -> Option<Var<E>> {
        self.scalars.get(i as usize).copied().flatten()
    }

    /// The cotangent of a tensor; `None` if the result does not depend on it.
    pub(crate) fn tensor(&self, t: u32) -> Option<TensorVar<E>> {
        let cotangent = self.tensors.get(t as usize).copied().flatten()?;
        Some(self.recording.fitted(cotangent, t))
    }

    fn sweep(&mut self, mut scalars: u32, mut tensors: u32) {
        while tensors > 0 {
            let info = self.recording.tensor_info(tensors - 1);
            let at = info.at.min(scalars);
            (at..scalars).rev().for_each(|i| self.scalar_node(i));
            scalars = at;
            self.tensor_group(info.first, info.group);
            tensors = info.first;
        }
        (self.needs.first_scalar..scalars).rev().for_each(|i| self.scalar_node(i));
    }

    fn scalar_node(&mut self, i: u32) {
        let Some(g) = self.scalars[i as usize] else {
            return;
        };
        if !self.needs.get(NodeId::Scalar(i)) {
            return;
        }
        if let Some(t) = self.recording.item_of(i) {
            accumulate(self.recording, &mut self.tensors, t, TensorVar::from(g));
            return;
        }
        let (slots, needs) = (&mut self.scalars, &self.needs);
        let (recording, watched) = (self.recording, self.recording.watches());
        self.recording.recorded_scalar_rule(
            i,
            g,
            |id| needs.get(id),
            |operand, cotangent| {
                if watched && g.freeze().is_finite() {
                    let [incoming, handed] = [g, cotangent].map(|v| Tensor::scalar(v.freeze()));
                    recording.look_at_rule(NodeId::Scalar(i), &[incoming], &handed);
                }
                add(recording, slots, operand, cotangent);
            },
        );
    }

    fn tensor_group(&mut self, first: u32, group: u32) {
        let cotangents = &self.tensors[first as usize..(first + group) as usize];
        if cotangents.iter().all(Option::is_none) {
            return;
        }
        let cotangents: Group<E> = cotangents.iter().copied().collect();
        let mut handed: super::Handed<E> = Default::default();
        self.recording.tensor_rule(
            first,
            &cotangents,
            |id| self.needs.get(id),
            |operand, cotangent| handed.push((operand, cotangent)),
        );
        let incoming = self.recording.watches().then(|| {
            let numbers = cotangents.iter().flatten().map(|g| g.value());
            numbers.collect::<SmallVec<[Tensor<E>; 3]>>()
        });
        let incoming = incoming.filter(|incoming| incoming.iter().all(is_finite));
        for (operand, cotangent) in handed {
            if let Some(incoming) = &incoming {
                let first = NodeId::Tensor(first);
                self.recording.look_at_rule(first, incoming, &cotangent.value());
            }
            match operand {
                NodeId::Tensor(t) => accumulate(self.recording, &mut self.tensors, t, cotangent),
                NodeId::Scalar(i) if self.needs.get(operand) => {
                    add(self.recording, &mut self.scalars, i, cotangent.to_scalar());
                }
                NodeId::Scalar(_) => {}
            }
        }
    }
}

fn accumulate<E: Real>(
    recording: &Recording<E>,
    slots: &mut [Option<TensorVar<E>>],
    t: u32,
    cotangent: TensorVar<E>,
) {
    let slot = &mut slots[t as usize];
    let Some(before) = *slot else {
        *slot = Some(cotangent);
        return;
    };
    let sum = before + cotangent;
    *slot = Some(sum);
    if recording.watches() && [before, cotangent].iter().all(|g| is_finite(&g.value())) {
        recording.look_at_sum(NodeId::Tensor(t), &sum.value());
    }
}

fn add<E: Real>(recording: &Recording<E>, slots: &mut [Option<Var<E>>], i: u32, cotangent: Var<E>) {
    let slot = &mut slots[i as usize];
    let Some(before) = *slot else {
        *slot = Some(cotangent);
        return;
    };
    let sum = before + cotangent;
    *slot = Some(sum);
    if recording.watches() && [before, cotangent].iter().all(|g| g.freeze().is_finite()) {
        recording.look_at_sum(NodeId::Scalar(i), &Tensor::scalar(sum.freeze()));
    }
}

fn is_finite<E: Real>(tensor: &Tensor<E>) -> bool {
    tensor.iter().all(|x| x.is_finite())
}
