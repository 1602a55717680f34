//! A closure, recorded once at a point.

use std::panic::Location;

use tape::engine::Recording;
use tape::{Real, Shape, Tape, Tensor, TensorVar, Var};

use super::{Flat, Input, Output};
use crate::forward::Forward;
use crate::{Differentiate, Error, Gradients, Handle};

/// One run of a closure on a tape of its own. Gradients are flat: the elements of the point in order.
///
/// It is of one type for all closures, as everything is that follows a run: only [`record`](Closure::record) is compiled for each
/// of them.
pub(crate) struct Closure<E: Real> {
    /// The handles below are stale when it is dropped.
    _tape: Tape<E>,
    leaves: Vec<Handle<E>>,
    pub(crate) outputs: Vec<Handle<E>>,
    /// The shape of the result; see [`Output::shape`].
    pub(crate) shape: Shape,
}

impl<E: Real> Closure<E> {
    /// Runs `f` at the point with the structure of `x` and the given elements, for a caller at `location`. Gives what it
    /// returns, too.
    pub(crate) fn record<X: Input<Elem = E>, O: Output<E>>(
        f: impl FnOnce(X::Lifted) -> O,
        x: &X,
        elements: &[E],
        location: &'static Location<'static>,
    ) -> Result<(Self, O), Error> {
        let tape = Tape::default();
        let (mut leaves, mut outputs) = (Vec::new(), Vec::new());
        let output = f(x.lift(&tape, &mut Flat::new(elements), &mut leaves));
        output.handles(&mut outputs);
        let closure = Closure { _tape: tape, leaves, outputs, shape: output.shape() };
        closure.check(location)?;
        Ok((closure, output))
    }

    /// A result of another tape is refused: it would have the derivative zero, and not by intention.
    fn check(&self, location: &'static Location<'static>) -> Result<(), Error> {
        let Some(recording) = self.recording() else { return Ok(()) };
        let own = |&handle: &Handle<E>| is_constant(handle) || owns(&recording, handle);
        match self.outputs.iter().all(own) {
            true => Ok(()),
            false => Err(Error::ForeignVariable { position: 0, location }),
        }
    }

    /// The recording; `None` for a point without elements.
    fn recording(&self) -> Option<Recording<E>> {
        match *self.leaves.first()? {
            Handle::Scalar(v) => Recording::of_var(v),
            Handle::Tensor(t) => Recording::of_tensor(t),
        }
    }

    /// The elements of the result.
    pub(crate) fn values(&self) -> Vec<E> {
        let mut values = Vec::new();
        for &handle in &self.outputs {
            match handle {
                Handle::Scalar(v) => values.push(v.value()),
                Handle::Tensor(t) => values.extend_from_slice(t.value().as_slice()),
            }
        }
        values
    }

    /// The result, if it has one element.
    #[track_caller]
    pub(crate) fn scalar(&self) -> Result<Handle<E>, Error> {
        let (shape, location) = (self.shape.clone(), Location::caller());
        // A list may have one element and another part without any.
        let mut handles = self.outputs.iter().filter(|&&h| elements(h) > 0);
        match (shape.elements(), handles.next()) {
            (1, Some(&handle)) => Ok(handle),
            _ => Err(Error::NotScalar { shape, location }),
        }
    }

    /// The gradient of a number; zero if it is a constant.
    #[track_caller]
    pub(crate) fn gradient(&self, of: Handle<E>) -> Result<Vec<E>, Error> {
        let mut flat = Vec::new();
        let gradients = match of {
            _ if is_constant(of) => None,
            Handle::Scalar(v) => Some(v.grad(&self.leaves)?),
            Handle::Tensor(t) => Some(t.grad(&self.leaves)?),
        };
        self.append(gradients.as_ref(), &mut flat);
        Ok(flat)
    }

    /// The gradient of a number as recorded values, one for each leaf; `None` where it is zero.
    #[track_caller]
    pub(crate) fn recorded_gradient(&self, of: Handle<E>) -> Result<Vec<Option<Handle<E>>>, Error> {
        match of {
            _ if is_constant(of) => Ok(vec![None; self.leaves.len()]),
            Handle::Scalar(v) => v.grad_recorded(&self.leaves),
            Handle::Tensor(t) => t.grad_recorded(&self.leaves),
        }
    }

    /// The elements of a [`recorded_gradient`](Self::recorded_gradient).
    pub(crate) fn recorded_values(&self, gradient: &[Option<Handle<E>>]) -> Vec<E> {
        let mut values = Vec::new();
        for (component, &leaf) in gradient.iter().zip(&self.leaves) {
            match component {
                Some(Handle::Scalar(v)) => values.push(v.value()),
                Some(Handle::Tensor(t)) => values.extend_from_slice(t.value().as_slice()),
                None => values.resize(values.len() + elements(leaf), E::ZERO),
            }
        }
        values
    }

    /// The gradient of each element of `of`, one after the other.
    #[track_caller]
    pub(crate) fn rows(&self, of: Handle<E>, rows: &mut Vec<E>) -> Result<(), Error> {
        match of {
            Handle::Tensor(t) if !is_constant(of) => {
                let shape = t.shape();
                for k in 0..shape.elements() {
                    let mut cotangent = Tensor::zeros(&shape);
                    cotangent.as_mut_slice()[k] = E::ONE;
                    self.append(Some(&t.vjp(cotangent)?), rows);
                }
            }
            _ => rows.extend(self.gradient(of)?),
        }
        Ok(())
    }

    /// The rows of each component of a [`recorded_gradient`](Self::recorded_gradient); zero rows for
    /// one that is zero.
    #[track_caller]
    pub(crate) fn hessian(&self, gradient: &[Option<Handle<E>>]) -> Result<Vec<E>, Error> {
        let mut rows = Vec::new();
        for (component, &leaf) in gradient.iter().zip(&self.leaves) {
            match component {
                Some(component) if !is_constant(*component) => self.rows(*component, &mut rows)?,
                _ => (0..elements(leaf)).for_each(|_| self.append(None, &mut rows)),
            }
        }
        Ok(rows)
    }

    /// The tangent of the result, from that of the point.
    #[track_caller]
    pub(crate) fn tangent(&self, tangent: &[E]) -> Result<Vec<E>, Error> {
        let mut flat = Flat::new(tangent);
        let mut forward = match self.recording() {
            Some(recording) => Forward::new(recording),
            None => return Ok(vec![E::ZERO; self.shape.elements()]),
        };
        for &leaf in &self.leaves {
            match leaf {
                Handle::Scalar(v) => forward.seed_scalar(v, flat.take(1)[0].into()),
                Handle::Tensor(t) => {
                    let shape = t.shape();
                    let elements = flat.take(shape.elements()).to_vec();
                    forward.seed_tensor(t, Tensor::new(shape, elements));
                }
            }
        }
        forward.run()?;
        let mut tangents = Vec::new();
        for &output in &self.outputs {
            match output {
                Handle::Scalar(v) => tangents.push(forward.scalar(v).map_or(E::ZERO, Var::value)),
                Handle::Tensor(t) => match forward.tensor(t) {
                    Some(tangent) => tangents.extend_from_slice(tangent.value().as_slice()),
                    None => tangents.resize(tangents.len() + elements(output), E::ZERO),
                },
            }
        }
        Ok(tangents)
    }

    /// Appends gradients by the leaves; `None` is zero.
    fn append(&self, gradients: Option<&Gradients<E>>, flat: &mut Vec<E>) {
        for &leaf in &self.leaves {
            match leaf {
                Handle::Scalar(v) => {
                    flat.push(gradients.and_then(|g| g.get(v)).unwrap_or(E::ZERO));
                }
                Handle::Tensor(t) => match gradients.and_then(|g| g.get(t)) {
                    Some(gradient) => flat.extend_from_slice(gradient.as_slice()),
                    None => flat.resize(flat.len() + elements(leaf), E::ZERO),
                },
            }
        }
    }
}

/// `sum(weights * handles)` over all elements, recorded.
#[track_caller]
pub(crate) fn contract<E: Real>(
    handles: impl IntoIterator<Item = Handle<E>>,
    weights: &[E],
) -> Handle<E> {
    let mut weights = Flat::new(weights);
    let (mut scalars, mut tensors): (Option<Var<E>>, Option<TensorVar<E>>) = (None, None);
    for handle in handles {
        let weights = weights.take(elements(handle));
        match handle {
            _ if is_constant(handle) => {}
            Handle::Scalar(v) => {
                let term = v * weights[0];
                scalars = Some(scalars.map_or(term, |sum| sum + term));
            }
            Handle::Tensor(t) => {
                let weights = Tensor::new(t.shape(), weights.to_vec());
                let term = (t * t.constant_like(weights)).sum();
                tensors = Some(tensors.map_or(term, |sum| sum + term));
            }
        }
    }
    match (scalars, tensors) {
        (None, None) => Var::constant(E::ZERO).into(),
        (Some(sum), None) => sum.into(),
        (None, Some(sum)) => sum.into(),
        (Some(scalars), Some(tensors)) => (tensors + scalars).into(),
    }
}

/// [`contract`], of a recorded gradient.
#[track_caller]
pub(crate) fn contract_gradient<E: Real>(
    gradient: &[Option<Handle<E>>],
    structure: &Closure<E>,
    weights: &[E],
) -> Handle<E> {
    let mut flat = Flat::new(weights);
    let (mut present, mut kept) = (Vec::new(), Vec::new());
    for (component, &leaf) in gradient.iter().zip(&structure.leaves) {
        let weights = flat.take(elements(leaf));
        match component {
            Some(component) if !is_constant(*component) => {
                present.push(*component);
                kept.extend_from_slice(weights);
            }
            _ => {}
        }
    }
    contract(present, &kept)
}

pub(crate) fn is_constant<E: Real>(handle: Handle<E>) -> bool {
    match handle {
        Handle::Scalar(v) => v.is_constant(),
        Handle::Tensor(t) => t.is_constant(),
    }
}

fn elements<E: Real>(handle: Handle<E>) -> usize {
    match handle {
        Handle::Scalar(_) => 1,
        Handle::Tensor(t) => t.shape().elements(),
    }
}

fn owns<E: Real>(recording: &Recording<E>, handle: Handle<E>) -> bool {
    match handle {
        Handle::Scalar(v) => recording.scalar_id(v).is_some(),
        Handle::Tensor(t) => recording.tensor_id(t).is_some(),
    }
}
