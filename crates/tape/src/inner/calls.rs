//! The table of uses of operations.

use std::ops::Deref;
use std::rc::Rc;

use smallvec::SmallVec;

use crate::ops::index::Rows;
use crate::{Real, Tensor, recycle};

/// The uses of operations in their order, and behind them the places of earlier ones: one is written where it stays, with
/// the lists that were there.
pub(crate) struct Calls<E: Real> {
    places: Vec<Call<E>>,
    len: usize,
}

impl<E: Real> Calls<E> {
    pub(super) fn new() -> Self {
        Calls { places: Vec::new(), len: 0 }
    }

    /// An empty list for the tensors of the next one.
    pub(crate) fn spare(&mut self) -> Rc<Held<E>> {
        let place = self.places.get_mut(self.len);
        place.and_then(|place| place.held.take()).unwrap_or_default()
    }

    /// Appends one without inputs, to be completed; gives its number.
    #[inline]
    pub(crate) fn push(&mut self, first: u32, outputs: u32) -> (u32, &mut Call<E>) {
        let number = self.len;
        if number == self.places.len() {
            self.places.push(Call {
                inputs: SmallVec::new(),
                first,
                outputs,
                held: None,
                rows: None,
            });
        }
        self.len += 1;
        let call = &mut self.places[number];
        debug_assert!(call.inputs.is_empty() && call.rows.is_none(), "what was forgotten is empty");
        (call.first, call.outputs) = (first, outputs);
        (number as u32, call)
    }

    /// Forgets all but the first `len`. Buffers go back to the pool with their last owner, which is the node.
    pub(super) fn truncate(&mut self, len: usize) {
        let len = len.min(self.len);
        for call in &mut self.places[len..self.len] {
            call.inputs.clear();
            call.held = call.held.take().and_then(Held::emptied);
            call.rows = None;
        }
        self.len = len;
    }
}

impl<E: Real> Deref for Calls<E> {
    type Target = [Call<E>];
    #[inline]
    fn deref(&self) -> &[Call<E>] {
        &self.places[..self.len]
    }
}

/// One use of an [`Op`](crate::Op).
pub(crate) struct Call<E: Real> {
    pub(crate) inputs: SmallVec<[u32; 6]>,
    pub(crate) first: u32,
    pub(crate) outputs: u32,
    /// `None` for an operation that is recorded without its inputs having been computed, which has no kernel.
    pub(crate) held: Option<Rc<Held<E>>>,
    /// What the only output is, if it is rows of the only input. It has no value then until it is asked for.
    pub(crate) rows: Option<Rows>,
}

/// The tensors of a call that its kernel reads.
///
/// They are those of the nodes. A kernel may be a user's code, which may do anything to the tape; so it cannot be lent what
/// the tape holds, and to make owners for it of all tensors takes longer than little work. Of this list there is only one more
/// owner to be made, which is not even known to other threads.
pub(crate) struct Held<E: Real> {
    pub(crate) inputs: Vec<Tensor<E>>,
    /// Empty if there is no kernel.
    pub(crate) outputs: Vec<Tensor<E>>,
    pub(crate) residuals: Vec<Tensor<E>>,
}

impl<E: Real> Default for Held<E> {
    fn default() -> Self {
        Held { inputs: Vec::new(), outputs: Vec::new(), residuals: Vec::new() }
    }
}

impl<E: Real> Held<E> {
    /// Lets go of the tensors, and gives the lists if nobody else has them.
    fn emptied(mut self: Rc<Self>) -> Option<Rc<Self>> {
        let held = Rc::get_mut(&mut self)?;
        held.inputs.clear();
        held.outputs.clear();
        held.residuals.drain(..).for_each(|residual| recycle::give(residual.into_buffer()));
        Some(self)
    }
}
