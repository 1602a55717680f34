//! A recording as a list.

use std::fmt;

use super::node::{self, Argument};
use crate::engine::NodeId;
use crate::inner::{Inner, Kind};
use crate::{Real, Tape};

/// How a node is called: `s3` in the scalar lane, `t5` in the tensor lane.
pub(super) fn label(id: NodeId) -> String {
    match id {
        NodeId::Scalar(i) => format!("s{i}"),
        NodeId::Tensor(t) => format!("t{t}"),
    }
}

/// The operation of a node, with the number of the output if there are several.
pub(super) fn operation<E: Real>(inner: &Inner<E>, id: NodeId) -> String {
    let name = node::name(inner, id);
    let NodeId::Tensor(t) = id else { return name.to_owned() };
    let lane = inner.tensors.borrow();
    match lane.nodes[t as usize].kind {
        Kind::Output { call } if lane.calls[call as usize].outputs > 1 => {
            format!("{name}.{}", t - lane.calls[call as usize].first)
        }
        _ => name.to_owned(),
    }
}

/// The value of a number, the shape of a tensor.
pub(super) fn size<E: Real>(inner: &Inner<E>, id: NodeId) -> String {
    match id {
        NodeId::Scalar(i) => format!("= {}", inner.scalars.node(i).1),
        NodeId::Tensor(t) => {
            let lane = inner.tensors.borrow();
            let node = &lane.nodes[t as usize];
            let lift = matches!(node.kind, Kind::Lift { .. });
            let pending = if node.value.is_some() || lift { "" } else { " pending" };
            format!("{}{pending}", node.shape)
        }
    }
}

/// One node a line, in the order of recording: its number, its operation, the operands, the value of a
/// number or the shape of a tensor, and the line that recorded it, where that is kept. Numbers are `s0`,
/// `s1`, ..., tensors `t0`, `t1`, ...; a number of a lane that is not in the list is part of the next one.
///
/// ```
/// use tape::Tape;
///
/// let tape = Tape::new();
/// let x = tape.var(3.0);
/// let y = (x * 2.0).sin();
/// let list = tape.to_string();
/// assert!(list.starts_with("tape of 3 numbers and 0 tensors\ns0 = leaf = 3\ns1 = mul s0 2 = 6\n"));
/// # let _ = y;
/// ```
impl<E: Real> fmt::Display for Tape<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &**self.inner();
        writeln!(f, "tape of {} numbers and {} tensors", self.scalar_nodes(), self.tensor_nodes())?;
        let mut result = Ok(());
        node::for_each(inner, |id| {
            if result.is_ok() {
                result = line(f, inner, id);
            }
        });
        result
    }
}

fn line<E: Real>(f: &mut fmt::Formatter<'_>, inner: &Inner<E>, id: NodeId) -> fmt::Result {
    write!(f, "{} = {}", label(id), operation(inner, id))?;
    for argument in node::arguments(inner, id) {
        match argument {
            Argument::Node(id) => write!(f, " {}", label(id))?,
            Argument::Constant(c) => write!(f, " {c}")?,
            Argument::Exponent(n) => write!(f, " {n}")?,
        }
    }
    write!(f, " {}", size(inner, id))?;
    match node::location(inner, id) {
        Some(location) => writeln!(f, " ({location})"),
        None => writeln!(f),
    }
}
