//! The sweep whose result is recorded, to be differentiated again.

use tape::engine::{NodeId, Recording};
use tape::{Real, TensorVar, Var};

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
            accumulate(&mut self.tensors[t as usize], TensorVar::from(g));
            return;
        }
        let (slots, needs) = (&mut self.scalars, &self.needs);
        self.recording.recorded_scalar_rule(
            i,
            g,
            |id| needs.get(id),
            |operand, cotangent| {
                add(&mut slots[operand as usize], cotangent);
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
        for (operand, cotangent) in handed {
            match operand {
                NodeId::Tensor(t) => accumulate(&mut self.tensors[t as usize], cotangent),
                NodeId::Scalar(i) if self.needs.get(operand) => {
                    add(&mut self.scalars[i as usize], cotangent.to_scalar());
                }
                NodeId::Scalar(_) => {}
            }
        }
    }
}

fn accumulate<E: Real>(slot: &mut Option<TensorVar<E>>, cotangent: TensorVar<E>) {
    *slot = Some(match *slot {
        None => cotangent,
        Some(sum) => sum + cotangent,
    });
}

fn add<E: Real>(slot: &mut Option<Var<E>>, cotangent: Var<E>) {
    *slot = Some(match *slot {
        None => cotangent,
        Some(sum) => sum + cotangent,
    });
}
