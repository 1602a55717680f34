//! A piece of a computation of which the tape keeps the inputs only.

use std::cell::Cell;

use tape::{
    Backward, Cotangents, KernelCall, Misfit, Op, Outputs, Real, Shape, Shapes, Tape, Tensor,
    TensorVar, VjpKernel, apply_op,
};

use crate::Differentiate;

/// Computes `f` of the inputs on a tape of its own, which is dropped: the tape of the inputs keeps them and the
/// results. A sweep that comes here computes `f` again.
///
/// ```
/// use autograd::Differentiate;
/// use autograd::checkpoint::checkpoint;
/// use tape::{Tape, Tensor};
///
/// let tape = Tape::new();
/// let x = tape.tensor([0.1, 0.2]);
/// let y = checkpoint(|x| vec![x[0].sin().exp() * x[0]], &[x])[0];
/// let direct = x.sin().exp() * x;
/// assert_eq!(y.value(), direct.value());
/// assert_eq!(y.sum().backward()?.wrt(x), direct.sum().backward()?.wrt(x));
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// `f` must give the same result every time; randomness has to be drawn before. A recorded sweep records `f`
/// on the tape after all, because it may be asked for further derivatives.
///
/// # Panics
/// Where `f` does; if `f` uses handles of another tape than its arguments; if it gives no result or, another
/// time, results of other shapes.
#[track_caller]
pub fn checkpoint<E: Real>(
    f: impl Fn(&[TensorVar<E>]) -> Vec<TensorVar<E>> + 'static,
    inputs: &[TensorVar<E>],
) -> Vec<TensorVar<E>> {
    let tape = Tape::default();
    let arguments: Vec<_> = inputs.iter().map(|x| tape.constant(x.value())).collect();
    let values: Vec<Tensor<E>> = f(&arguments).into_iter().map(TensorVar::value).collect();
    let shapes = values.iter().map(|value| value.shape().clone()).collect();
    apply_op(Piece { f, shapes, values: Cell::new(values) }, inputs).to_vec()
}

struct Piece<F, E: Real> {
    f: F,
    shapes: Shapes,
    /// The results, until the tape has them.
    values: Cell<Vec<Tensor<E>>>,
}

impl<E: Real, F: Fn(&[TensorVar<E>]) -> Vec<TensorVar<E>> + 'static> Op<E> for Piece<F, E> {
    fn name(&self) -> &'static str {
        "checkpoint"
    }

    fn infer(&self, _: &[&Shape]) -> Result<Shapes, Misfit> {
        Ok(self.shapes.clone())
    }

    fn forward(&self, _: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        for (k, value) in self.values.take().into_iter().enumerate() {
            outputs.set(k, value);
        }
        Ok(())
    }

    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        // An input may be made from another one. Only what flows through this piece is asked for, so the piece
        // is done on copies.
        let copies: Vec<_> = call.inputs.iter().map(|&x| x * E::ONE).collect();
        let pairing = paired((self.f)(&copies), call.cotangents);
        let recorded = pairing.map(|pairing| pairing.grad_recorded(&copies));
        match recorded {
            None => call.inputs.iter().map(|_| None).collect(),
            Some(Ok(cotangents)) => cotangents.into_iter().collect(),
            Some(Err(error)) => call.refuse(error.to_string()),
        }
    }

    fn kernel(&self) -> Option<&dyn VjpKernel<E>> {
        Some(self)
    }
}

impl<E: Real, F: Fn(&[TensorVar<E>]) -> Vec<TensorVar<E>> + 'static> VjpKernel<E> for Piece<F, E> {
    fn run(&self, call: &mut KernelCall<'_, E>) {
        let tape = Tape::default();
        let argument = |(k, x): (usize, &Tensor<E>)| match call.needs(k) {
            true => tape.tensor(x),
            false => tape.constant(x),
        };
        let arguments: Vec<_> = call.inputs.iter().enumerate().map(argument).collect();
        let cotangents: Vec<_> =
            call.cotangents.iter().map(|g| g.as_ref().map(|g| tape.constant(g))).collect();
        let Some(pairing) = paired((self.f)(&arguments), &cotangents) else { return };
        let gradients = match pairing.grad(&arguments) {
            Ok(gradients) => gradients,
            Err(error) => panic!("checkpoint: {error}"),
        };
        for (k, &argument) in arguments.iter().enumerate() {
            if let (true, Some(gradient)) = (call.needs(k), gradients.get(argument)) {
                call.set(k, gradient.clone());
            }
        }
    }
}

/// `sum(y * g)` over all outputs that something has flowed to; `None` where that is a constant.
fn paired<E: Real>(
    outputs: Vec<TensorVar<E>>,
    cotangents: &[Option<TensorVar<E>>],
) -> Option<TensorVar<E>> {
    let terms = outputs.into_iter().zip(cotangents).filter(|(y, _)| !y.is_constant());
    let terms = terms.filter_map(|(y, g)| g.map(|g| (y * g).sum()));
    terms.reduce(|sum, term| sum + term)
}
