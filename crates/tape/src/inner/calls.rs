//! The table of uses of operations.

use std::rc::Rc;

use smallvec::SmallVec;

use crate::ops::index::Rows;
use crate::{Real, Tensor, recycle};

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
    pub(super) fn emptied(mut self: Rc<Self>) -> Option<Rc<Self>> {
        let held = Rc::get_mut(&mut self)?;
        held.inputs.clear();
        held.outputs.clear();
        held.residuals.drain(..).for_each(|residual| recycle::give(residual.into_buffer()));
        Some(self)
    }
}
