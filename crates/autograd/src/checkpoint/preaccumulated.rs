//! A piece of a computation of which the tape keeps the Jacobian only.

use tape::{
    Backward, Cotangents, KernelCall, Misfit, Op, Outputs, Real, Shape, Shapes, Tensor, Var,
    VjpKernel, apply_op,
};

use crate::functional::{Output, jacobian_and_values};

/// Computes `f` of numbers on a tape of its own, and puts the results and their Jacobian on the tape of the
/// inputs, as one operation: for a long piece with few inputs and few outputs.
///
/// ```
/// use autograd::Differentiate;
/// use autograd::checkpoint::preaccumulate;
/// use tape::{Tape, Var};
///
/// let tape = Tape::new();
/// let [x, y] = tape.vars([2.0, 3.0]);
/// let power = |v: Vec<Var>| (0..1000).fold(v[0], |z, _| (z * 0.999 + v[1] * 0.001).sin());
/// let z = preaccumulate(power, &[x, y])[0];
/// assert!(tape.scalar_nodes() < 10);
/// let direct = power(vec![x, y]);
/// assert_eq!(z.backward()?.wrt(y), direct.backward()?.wrt(y));
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// The Jacobian is numbers, so there is no further derivative: a recorded sweep that comes here is an error,
/// [`Error::NoDerivative`](crate::Error).
///
/// # Panics
/// Where `f` does; if there are no inputs or no outputs, if all inputs are constants, or if `f` uses handles of
/// another tape than its arguments.
#[track_caller]
pub fn preaccumulate<E: Real, O: Output<E>>(
    f: impl FnOnce(Vec<Var<E>>) -> O,
    inputs: &[Var<E>],
) -> Vec<Var<E>> {
    let point: Vec<E> = inputs.iter().map(|x| x.freeze()).collect();
    let (values, jacobian) = match jacobian_and_values(f, point) {
        Ok(made) => made,
        Err(error) => panic!("preaccumulate: {error}"),
    };
    // Constants have no tape to be lifted on, and nothing flows to them.
    let active: Vec<usize> = (0..inputs.len()).filter(|&k| !inputs[k].is_constant()).collect();
    let lifted: Vec<_> = active.iter().map(|&k| inputs[k].to_tensor()).collect();
    let outputs = apply_op(Preaccumulated { values, jacobian, active }, &lifted);
    outputs.into_iter().map(tape::TensorVar::to_scalar).collect()
}

struct Preaccumulated<E: Real> {
    values: Vec<E>,
    /// Of shape [outputs, inputs].
    jacobian: Tensor<E>,
    /// Which inputs of the Jacobian are those of the operation.
    active: Vec<usize>,
}

impl<E: Real> Op<E> for Preaccumulated<E> {
    fn name(&self) -> &'static str {
        "preaccumulate"
    }

    fn infer(&self, _: &[&Shape]) -> Result<Shapes, Misfit> {
        Ok(self.values.iter().map(|_| Shape::scalar()).collect())
    }

    fn forward(&self, _: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        for (k, &value) in self.values.iter().enumerate() {
            outputs.buffer(k)[0] = value;
        }
        Ok(())
    }

    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        call.refuse("the Jacobian of the piece is numbers, and has no derivative of its own")
    }

    fn kernel(&self) -> Option<&dyn VjpKernel<E>> {
        Some(self)
    }
}

impl<E: Real> VjpKernel<E> for Preaccumulated<E> {
    fn run(&self, call: &mut KernelCall<'_, E>) {
        for (input, &column) in self.active.iter().enumerate() {
            let mut cotangent: Option<E> = None;
            for (row, g) in call.cotangents.iter().enumerate() {
                if let Some(g) = g {
                    let term = g.item() * self.jacobian[[row, column]];
                    cotangent = Some(cotangent.map_or(term, |sum| sum + term));
                }
            }
            if let Some(cotangent) = cotangent {
                call.set(input, Tensor::scalar(cotangent));
            }
        }
    }
}
