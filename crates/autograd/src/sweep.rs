//! The chain rule.
//!
//! Both sweeps walk the recording backward, once, in its one order, and ask each node for its local
//! rule. They differ in what a cotangent is: in a [`first_order`] sweep a number for the scalar lane,
//! and for the tensor lane a node of a tail that is cut off again; in a [`recorded`] sweep
//! a recorded value in both lanes, which can be differentiated again.
//!
//! A node that nothing has flowed to is skipped, even where its partial is infinite; a node that zero
//! has flowed to is multiplied as IEEE arithmetic says. So absence is kept apart from zero.

mod first_order;
mod needs;
mod recorded;

use smallvec::SmallVec;
use tape::engine::{NodeId, Recording};
use tape::{Real, Tensor, TensorVar};

pub(crate) use first_order::{FirstOrder, is_absent};
pub(crate) use needs::Needs;
pub(crate) use recorded::Recorded;

/// The cotangents of the outputs of one operation.
type Group<E> = SmallVec<[Option<TensorVar<E>>; 3]>;

/// What a rule has handed over.
type Handed<E> = SmallVec<[(NodeId, TensorVar<E>); 6]>;

/// How many scalar and tensor nodes the result can depend on: those recorded up to it.
fn extent<E: Real>(recording: &Recording<E>, out: NodeId) -> (u32, u32) {
    match out {
        NodeId::Tensor(t) => {
            let info = recording.tensor_info(t);
            (info.at, info.first + info.group)
        }
        NodeId::Scalar(i) => {
            let (mut low, mut high) = (0, recording.tensors() as u32);
            while low < high {
                let middle = low + (high - low) / 2;
                if recording.tensor_info(middle).at <= i { low = middle + 1 } else { high = middle }
            }
            (i + 1, low)
        }
    }
}

/// The cotangent of a result of one element.
fn one<E: Real>(recording: &Recording<E>, t: u32) -> TensorVar<E> {
    let shape = recording.tensor(t).shape();
    match shape.rank() {
        0 => TensorVar::scalar_constant(E::ONE),
        _ => recording.constant(Tensor::ones(shape)),
    }
}
