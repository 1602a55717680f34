//! A program as an operation on tensors: applied at every place of tensors that broadcast.

use std::sync::PoisonError;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::{Program, ProgramError};
use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::tensor_var::try_apply_op;
use crate::{Error, Real, Shape, Tensor, TensorVar};

/// Makes the program of the cotangents: inputs, and behind them the cotangents of the outputs, to the
/// cotangents of the inputs.
type Pullback<E> = fn(&Program<E>) -> Result<Program<E>, ProgramError>;

/// The programs that were made, by the outputs and the inputs that they are for.
pub(super) type Pullbacks<E> = FxHashMap<(Vec<usize>, Vec<usize>), Program<E>>;

/// A program, applied at every place.
struct Map<E: Real> {
    program: Program<E>,
    pullback: Pullback<E>,
}

impl<E: Real> Op<E> for Map<E> {
    fn name(&self) -> &'static str {
        "map"
    }

    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        if inputs.len() != self.program.inputs() {
            let expected = self.program.inputs();
            let detail = format!("a program of {expected} inputs, and {} tensors", inputs.len());
            return Err(Misfit::argument(detail));
        }
        let mut shape = Shape::scalar();
        for (k, input) in inputs.iter().enumerate() {
            shape = shape.broadcast(input).ok_or_else(|| {
                Misfit::shape(format!("input {k} does not broadcast with those before it"))
            })?;
        }
        Ok((0..self.program.outputs()).map(|_| shape.clone()).collect())
    }

    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let shape = outputs.shape(0).clone();
        let buffers: SmallVec<[&mut [E]; 8]> = outputs.buffers().into_iter().collect();
        let run = self.program.run_on_tensors(inputs, &shape, buffers);
        run.map_err(|error| Misfit::argument(error.to_string()))
    }

    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        // An output that nothing has flowed to is absent: zero times its derivative might be NaN.
        let present = |k: &usize| call.cotangents[*k].is_some();
        let outputs: Vec<usize> = (0..call.outputs.len()).filter(present).collect();
        let needed: Vec<usize> = (0..call.inputs.len()).filter(|&k| call.needs(k)).collect();
        let pullback = match self.program.pullback(outputs, &needed, self.pullback) {
            Ok(pullback) => pullback,
            Err(error) => return call.refuse(error.to_string()),
        };
        let mut arguments: Vec<TensorVar<E>> = call.inputs.to_vec();
        arguments.extend(call.cotangents.iter().flatten());
        let made = crate::apply_op(Map { program: pullback, pullback: self.pullback }, &arguments);
        let mut cotangents: Cotangents<E> = call.inputs.iter().map(|_| None).collect();
        for (&k, cotangent) in needed.iter().zip(made) {
            cotangents[k] = Some(cotangent);
        }
        cotangents
    }
}

impl<E: Real> Program<E> {
    /// Applies the program at every place of tensors that broadcast, as one recorded operation; see
    /// `map` of `autograd::DifferentiateProgram`, which knows the pullback.
    #[doc(hidden)]
    #[track_caller]
    pub fn try_map_with(
        &self,
        inputs: &[TensorVar<E>],
        pullback: Pullback<E>,
    ) -> Result<Vec<TensorVar<E>>, Error> {
        let map = Map { program: self.clone(), pullback };
        try_apply_op(map, inputs).map(|outputs| outputs.to_vec())
    }

    /// The program of the cotangents of some inputs from those of some outputs, made once.
    fn pullback(
        &self,
        outputs: Vec<usize>,
        needed: &[usize],
        make: Pullback<E>,
    ) -> Result<Program<E>, ProgramError> {
        // Nothing in here can be left half done by a panic.
        let mut known = self.shared.pullbacks.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (outputs, needed.to_vec());
        if let Some(pullback) = known.get(&key) {
            return Ok(pullback.clone());
        }
        let pullback = make(&self.select(&key.0)?)?.select(needed)?;
        known.insert(key, pullback.clone());
        Ok(pullback)
    }
}
