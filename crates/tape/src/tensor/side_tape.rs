//! Where plain functions compute: a tape on the side, of which the user sees nothing.

use std::cell::Cell;

use super::Tensor;
use crate::{Indices, Real, Tape, TensorVar, recycle};

/// A tape that a plain function has for itself: it records constants there, computes, and takes the value
/// out. So there is one rule for each operation, and its value has the same bits with and without a tape
/// of the user's.
///
/// A thread keeps one such tape for the next function. It is taken out of its place while it is in use: a
/// plain function that an operation of the user calls in between finds none and makes another one.
pub(super) struct SideTape<E: Real> {
    /// Always there, until the drop.
    tape: Option<Tape<E>>,
}

impl<E: Real> SideTape<E> {
    pub(super) fn new() -> Self {
        recycle::pause::<E>();
        let kept = E::side_tape().try_with(Cell::take).ok().flatten();
        SideTape { tape: Some(kept.unwrap_or_else(Tape::uncounted)) }
    }

    pub(super) fn tape(&self) -> &Tape<E> {
        self.tape.as_ref().expect("it goes with the drop")
    }

    /// An operand, as a constant.
    #[track_caller]
    pub(super) fn put(&self, operand: impl Operand<E>) -> TensorVar<E> {
        operand.put(self.tape())
    }

    /// Several operands.
    #[track_caller]
    pub(super) fn put_all(
        &self,
        operands: &[impl std::borrow::Borrow<Tensor<E>>],
    ) -> Vec<TensorVar<E>> {
        operands.iter().map(|operand| self.put(operand.borrow())).collect()
    }

    /// A result, without the tape.
    #[track_caller]
    pub(super) fn take<C: Computed<E>>(&self, result: C) -> C::Plain {
        result.plain()
    }
}

impl<E: Real> Drop for SideTape<E> {
    fn drop(&mut self) {
        // What a panic has left half done is not used again.
        if let Some(mut tape) = self.tape.take()
            && !std::thread::panicking()
        {
            tape.clear();
            // At the end of a thread there is no place any more.
            let _ = E::side_tape().try_with(|place| place.set(Some(tape)));
        }
        recycle::resume::<E>();
    }
}

/// Computes with handles and records nothing that outlives the call: what is written for training is used
/// for prediction.
///
/// The closure gets an empty tape, puts data on it by [`Tape::constant`] and returns what it has computed,
/// by [`value`](TensorVar::value) or [`item`](TensorVar::item); a handle that it returns is stale. Values
/// have the same bits as on any other tape. For a single function, [`Tensor`] has a method of the same name.
///
/// ```
/// use tape::{Tensor, TensorVar, infer};
///
/// fn layer(x: TensorVar, w: TensorVar) -> TensorVar {
///     x.matmul(w).tanh()
/// }
///
/// let (x, w) = (Tensor::from([[1.0, 2.0]]), Tensor::from([[0.5], [0.25]]));
/// let y = infer(|tape| layer(tape.constant(&x), tape.constant(&w)).value());
/// assert_eq!(y, x.matmul(&w).tanh());
/// ```
pub fn infer<E: Real, R>(f: impl FnOnce(&Tape<E>) -> R) -> R {
    let side = SideTape::new();
    f(side.tape())
}

/// What a plain function takes beside its tensor: another tensor, by reference or by value, or a number.
pub trait Operand<E: Real> {
    #[doc(hidden)]
    #[track_caller]
    fn put(self, tape: &Tape<E>) -> TensorVar<E>;
}

impl<E: Real> Operand<E> for &Tensor<E> {
    #[track_caller]
    fn put(self, tape: &Tape<E>) -> TensorVar<E> {
        tape.constant(self)
    }
}

impl<E: Real> Operand<E> for Tensor<E> {
    #[track_caller]
    fn put(self, tape: &Tape<E>) -> TensorVar<E> {
        tape.constant(self)
    }
}

impl<E: Real> Operand<E> for E {
    fn put(self, _: &Tape<E>) -> TensorVar<E> {
        TensorVar::from(self)
    }
}

/// What a function of handles returns, and what that is without a tape.
pub(super) trait Computed<E: Real> {
    type Plain;
    #[track_caller]
    fn plain(self) -> Self::Plain;
}

impl<E: Real> Computed<E> for TensorVar<E> {
    type Plain = Tensor<E>;
    #[track_caller]
    fn plain(self) -> Tensor<E> {
        self.value()
    }
}

impl<E: Real> Computed<E> for Vec<TensorVar<E>> {
    type Plain = Vec<Tensor<E>>;
    #[track_caller]
    fn plain(self) -> Vec<Tensor<E>> {
        self.into_iter().map(TensorVar::value).collect()
    }
}

impl<E: Real, A: Computed<E>, B: Computed<E>> Computed<E> for (A, B) {
    type Plain = (A::Plain, B::Plain);
    #[track_caller]
    fn plain(self) -> Self::Plain {
        (self.0.plain(), self.1.plain())
    }
}

impl<E: Real, A: Computed<E>, B: Computed<E>, C: Computed<E>> Computed<E> for (A, B, C) {
    type Plain = (A::Plain, B::Plain, C::Plain);
    #[track_caller]
    fn plain(self) -> Self::Plain {
        (self.0.plain(), self.1.plain(), self.2.plain())
    }
}

/// Results that are plain already.
macro_rules! plain {
    ($($t:ty)*) => { $(
        impl<E: Real> Computed<E> for $t {
            type Plain = Self;
            fn plain(self) -> Self {
                self
            }
        }
    )* };
}

plain! { Indices usize bool }
