//! Backward passes from a recorded result.

use std::panic::Location;

use smallvec::SmallVec;
use tape::engine::{NodeId, Recording};
use tape::{Real, Tensor, TensorVar, Var};

use crate::error::refused;
use crate::sweep::{FirstOrder, Recorded};
use crate::{Error, Gradients};

/// A recorded number or tensor, for lists that mix both.
#[derive(Clone, Copy, Debug)]
pub enum Handle<E: Real = f64> {
    /// A number.
    Scalar(Var<E>),
    /// A tensor.
    Tensor(TensorVar<E>),
}

impl<E: Real> From<Var<E>> for Handle<E> {
    fn from(v: Var<E>) -> Self {
        Handle::Scalar(v)
    }
}

impl<E: Real> From<TensorVar<E>> for Handle<E> {
    fn from(t: TensorVar<E>) -> Self {
        Handle::Tensor(t)
    }
}

impl<E: Real> Handle<E> {
    fn is_constant(self) -> bool {
        match self {
            Handle::Scalar(v) => v.is_constant(),
            Handle::Tensor(t) => t.is_constant(),
        }
    }

    fn id(self, recording: &Recording<E>) -> Option<NodeId> {
        match self {
            Handle::Scalar(v) => recording.scalar_id(v).map(NodeId::Scalar),
            Handle::Tensor(t) => recording.tensor_id(t).map(NodeId::Tensor),
        }
    }
}

/// What a recorded gradient may be asked for: [`Var`], [`TensorVar`], or [`Handle`] for both.
pub trait Wrt<E: Real>: Copy + Into<Handle<E>> {
    #[doc(hidden)]
    fn of(handle: Handle<E>) -> Self;
}

impl<E: Real> Wrt<E> for Var<E> {
    fn of(handle: Handle<E>) -> Self {
        match handle {
            Handle::Scalar(v) => v,
            Handle::Tensor(_) => unreachable!("the gradient of a scalar is a scalar"),
        }
    }
}

impl<E: Real> Wrt<E> for TensorVar<E> {
    fn of(handle: Handle<E>) -> Self {
        match handle {
            Handle::Tensor(t) => t,
            Handle::Scalar(_) => unreachable!("the gradient of a tensor is a tensor"),
        }
    }
}

impl<E: Real> Wrt<E> for Handle<E> {
    fn of(handle: Handle<E>) -> Self {
        handle
    }
}

/// Backward passes, as methods of [`Var`] and [`TensorVar`].
///
/// A pass leaves the tape as it was, so there may be any number of them, from any results. Each
/// begins at one number; [`vjp`](Differentiate::vjp) begins at a tensor with a given cotangent.
pub trait Differentiate<E: Real>: Copy + Into<Handle<E>> {
    /// The gradient by every leaf.
    ///
    /// ```
    /// use autograd::Differentiate;
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.tensor([1.0, 2.0, 3.0]);
    /// let g = (x * x).sum().backward()?;
    /// assert_eq!(g.wrt(x), Tensor::from([2.0, 4.0, 6.0]));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// If this is a tensor of several elements, a constant without a tape, or a stale handle.
    #[track_caller]
    fn backward(self) -> Result<Gradients<E>, Error> {
        let (recording, out) = start(self.into(), true)?;
        recording.leave("backward()");
        first_order(&recording, out, None, None)
    }

    /// The gradient by the given variables, which need not be leaves. No more is computed than they
    /// need.
    ///
    /// # Errors
    /// As [`backward`](Differentiate::backward), and if a variable is not on the tape of the result.
    #[track_caller]
    fn grad<V: Into<Handle<E>> + Copy>(self, variables: &[V]) -> Result<Gradients<E>, Error> {
        let (recording, out) = start(self.into(), true)?;
        recording.leave("grad()");
        let variables = ids(&recording, variables)?;
        first_order(&recording, out, None, Some(&variables))
    }

    /// The gradient by the given variables as recorded values, which can be differentiated again;
    /// `None` for a variable that the result does not depend on; so for every one if the result is a
    /// constant.
    ///
    /// ```
    /// use autograd::Differentiate;
    /// use tape::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var(2.0);
    /// let y = x.powi(4);
    /// let dy = y.grad_recorded(&[x])?[0].unwrap();
    /// let d2y = dy.grad_recorded(&[x])?[0].unwrap();
    /// assert_eq!((dy.value(), d2y.value()), (32.0, 48.0));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`grad`](Differentiate::grad).
    #[track_caller]
    fn grad_recorded<V: Wrt<E>>(self, variables: &[V]) -> Result<Vec<Option<V>>, Error> {
        let result: Handle<E> = self.into();
        if result.is_constant() {
            // A gradient may be a constant, as that of `3 x` is; it is differentiated like any other.
            return Ok(variables.iter().map(|_| None).collect());
        }
        let (recording, out) = start(result, true)?;
        let variables = ids(&recording, variables)?;
        recorded(&recording, out, None, &variables)
    }

    /// The vector-Jacobian product by every leaf: the gradient of `sum(cotangent * self)`.
    ///
    /// # Errors
    /// As [`backward`](Differentiate::backward), but for any shape; and if the cotangent does not
    /// have it.
    #[track_caller]
    fn vjp(self, cotangent: impl Into<Tensor<E>>) -> Result<Gradients<E>, Error> {
        let cotangent = cotangent.into();
        let (recording, out) = start(self.into(), false)?;
        recording.leave("vjp()");
        let result = match self.into() {
            Handle::Scalar(_) => tape::Shape::scalar(),
            Handle::Tensor(t) => t.shape(),
        };
        if *cotangent.shape() != result {
            return Err(Error::CotangentShape {
                cotangent: cotangent.shape().clone(),
                result,
                location: Location::caller(),
            });
        }
        first_order(&recording, out, Some(cotangent), None)
    }

    /// The vector-Jacobian product by the given variables as recorded values, from a recorded
    /// cotangent.
    ///
    /// # Errors
    /// As [`vjp`](Differentiate::vjp) and [`grad`](Differentiate::grad).
    #[track_caller]
    fn vjp_recorded<V: Wrt<E>>(
        self,
        cotangent: TensorVar<E>,
        variables: &[V],
    ) -> Result<Vec<Option<V>>, Error> {
        let this = match self.into() {
            Handle::Scalar(v) => v.to_tensor(),
            Handle::Tensor(t) => t,
        };
        let (recording, out) = start(this.into(), false)?;
        let location = Location::caller();
        if !cotangent.is_constant() && recording.tensor_id(cotangent).is_none() {
            return Err(Error::ForeignCotangent { location });
        }
        let (given, result) = (cotangent.shape(), this.shape());
        if given != result {
            return Err(Error::CotangentShape { cotangent: given, result, location });
        }
        let variables = ids(&recording, variables)?;
        recorded(&recording, out, Some(cotangent), &variables)
    }
}

impl<E: Real> Differentiate<E> for Var<E> {}
impl<E: Real> Differentiate<E> for TensorVar<E> {}

/// The recording of a result, and its node.
#[track_caller]
fn start<E: Real>(out: Handle<E>, scalar: bool) -> Result<(Recording<E>, NodeId), Error> {
    let location = Location::caller();
    let recording = match out {
        Handle::Scalar(v) => Recording::of_var(v),
        Handle::Tensor(t) => Recording::of_tensor(t),
    };
    if out.is_constant() {
        return Err(Error::Constant { location });
    }
    let recording = recording.ok_or(Error::Stale { location })?;
    let id = out.id(&recording).ok_or(Error::Stale { location })?;
    if let (Handle::Tensor(t), true) = (out, scalar) {
        let shape = t.shape();
        if shape.elements() != 1 {
            return Err(Error::NotScalar { shape, location });
        }
    }
    Ok((recording, id))
}

#[track_caller]
fn ids<E: Real, V: Into<Handle<E>> + Copy>(
    recording: &Recording<E>,
    variables: &[V],
) -> Result<SmallVec<[NodeId; 8]>, Error> {
    let location = Location::caller();
    let mut ids = SmallVec::new();
    for (position, &variable) in variables.iter().enumerate() {
        let id = variable.into().id(recording);
        ids.push(id.ok_or(Error::ForeignVariable { position, location })?);
    }
    Ok(ids)
}

#[track_caller]
fn first_order<'a, E: Real>(
    recording: &'a Recording<E>,
    out: NodeId,
    cotangent: Option<Tensor<E>>,
    variables: Option<&'a [NodeId]>,
) -> Result<Gradients<E>, Error> {
    let _suspended = recording.suspend_watch();
    let gradients = FirstOrder::run(recording, out, cotangent, variables);
    refused(recording)?;
    Ok(gradients)
}

#[track_caller]
fn recorded<E: Real, V: Wrt<E>>(
    recording: &Recording<E>,
    out: NodeId,
    seed: Option<TensorVar<E>>,
    variables: &[NodeId],
) -> Result<Vec<Option<V>>, Error> {
    let _suspended = recording.suspend_watch();
    let sweep = Recorded::run(recording, out, seed, variables);
    refused(recording)?;
    let of = |&id: &NodeId| match id {
        NodeId::Scalar(i) => sweep.scalar(i).map(|v| V::of(v.into())),
        NodeId::Tensor(t) => sweep.tensor(t).map(|t| V::of(t.into())),
    };
    Ok(variables.iter().map(of).collect())
}
