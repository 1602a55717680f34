//! What a node is: the name of its operation, its arguments, its line, its value.

use std::panic::Location;

use smallvec::SmallVec;

use crate::cluster;
use crate::engine::NodeId;
use crate::inner::{Inner, Kind};
use crate::primitive::Primitive;
use crate::scalar::local_rule::operands_of;
use crate::scalar::opcode::{CONSTANT_LEFT, CONSTANT_RIGHT, Opcode};
use crate::{Real, Tensor};

/// What an operation was applied to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Argument<E> {
    /// A node.
    Node(NodeId),
    /// A constant without a node.
    Constant(E),
    /// The integer exponent of `powi`.
    Exponent(i32),
}

pub(crate) type Arguments<E> = SmallVec<[Argument<E>; 4]>;

/// The name of an elementwise operation.
pub(crate) fn opcode_name<E: Real>(inner: &Inner<E>, opcode: Opcode) -> &'static str {
    match (opcode.as_rule(), opcode.as_primitive()) {
        (Some(rule), _) => inner.rules.borrow().get(rule).rule.name(),
        (None, Some(primitive)) => primitive.name(),
        (None, None) => match opcode {
            Opcode::LEAF => "leaf",
            Opcode::CONSTANT => "constant",
            Opcode::ITEM => "to_scalar",
            _ => "operands",
        },
    }
}

/// The name of the operation of a node.
pub(crate) fn name<E: Real>(inner: &Inner<E>, id: NodeId) -> &'static str {
    let t = match id {
        NodeId::Scalar(i) => return opcode_name(inner, Opcode(inner.scalars.node(i).0[0])),
        NodeId::Tensor(t) => t,
    };
    let kind = inner.tensors.borrow().nodes[t as usize].kind;
    match kind {
        Kind::Leaf => "leaf",
        Kind::Constant => "constant",
        Kind::Lift { .. } => "to_tensor",
        Kind::Total { mean, .. } => name_of_total(mean),
        Kind::Elementwise { opcode, .. } => opcode_name(inner, opcode),
        Kind::Output { call } => inner.tensors.borrow().op(call).name(),
    }
}

/// The name of a sum of all elements, or of their mean.
pub(super) fn name_of_total(mean: bool) -> &'static str {
    if mean { "mean" } else { "sum" }
}

/// The arguments of the operation of a node, in their order.
pub(crate) fn arguments<E: Real>(inner: &Inner<E>, id: NodeId) -> Arguments<E> {
    match id {
        NodeId::Scalar(i) => scalar_arguments(inner, i),
        NodeId::Tensor(t) => tensor_arguments(inner, t),
    }
}

fn scalar_arguments<E: Real>(inner: &Inner<E>, i: u32) -> Arguments<E> {
    let (node @ [code, a, b], _) = inner.scalars.node(i);
    let opcode = Opcode(code);
    let first = Argument::Node(NodeId::Scalar(a));
    let constant = || Argument::Constant(inner.scalars.constant_at(b));
    match opcode {
        Opcode::LEAF | Opcode::CONSTANT | Opcode::CARRY => return Arguments::new(),
        Opcode::ITEM => return [Argument::Node(NodeId::Tensor(b))].into_iter().collect(),
        _ => {}
    }
    match opcode.as_primitive() {
        Some(Primitive::Powi) => {
            return [first, Argument::Exponent(b as i32)].into_iter().collect();
        }
        Some(_) if code & CONSTANT_LEFT != 0 => return [constant(), first].into_iter().collect(),
        Some(_) if code & CONSTANT_RIGHT != 0 => return [first, constant()].into_iter().collect(),
        _ => {}
    }
    let arity = |rule| inner.rules.borrow().get(rule).rule.arity();
    let carried = || {
        let ([_, a, b], _) = inner.scalars.node(i - 1);
        (a, b)
    };
    let (operands, arity) = operands_of(node, arity, carried);
    operands[..arity].iter().map(|&o| Argument::Node(NodeId::Scalar(o))).collect()
}

fn tensor_arguments<E: Real>(inner: &Inner<E>, t: u32) -> Arguments<E> {
    let lane = inner.tensors.borrow();
    let tensor = |t: u32| Argument::Node(NodeId::Tensor(t));
    match lane.nodes[t as usize].kind {
        Kind::Leaf | Kind::Constant => Arguments::new(),
        Kind::Lift { scalar } => [Argument::Node(NodeId::Scalar(scalar))].into_iter().collect(),
        Kind::Total { operand, .. } => [tensor(operand)].into_iter().collect(),
        Kind::Output { call } => {
            lane.calls[call as usize].inputs.iter().map(|&t| tensor(t)).collect()
        }
        Kind::Elementwise { opcode, operands, arity, constants } => {
            let argument = |k: usize| match constants >> k & 1 {
                1 => Argument::Constant(inner.scalars.constant_at(operands[k])),
                _ => tensor(operands[k]),
            };
            let mut arguments: Arguments<E> = (0..arity as usize).map(argument).collect();
            if opcode.as_primitive() == Some(Primitive::Powi) {
                arguments.push(Argument::Exponent(operands[1] as i32));
            }
            arguments
        }
    }
}

/// The line that recorded a node; `None` for a scalar of a tape that does not keep those.
pub(crate) fn location<E: Real>(
    inner: &Inner<E>,
    id: NodeId,
) -> Option<&'static Location<'static>> {
    match id {
        NodeId::Scalar(i) => inner.scalars.location(i),
        NodeId::Tensor(t) => Some(inner.tensors.borrow().nodes[t as usize].location),
    }
}

/// The value of a node, computed if it is pending.
pub(crate) fn value<E: Real>(inner: &Inner<E>, id: NodeId) -> Tensor<E> {
    match id {
        NodeId::Scalar(i) => Tensor::scalar(inner.scalars.node(i).1),
        NodeId::Tensor(t) => cluster::force(inner, t),
    }
}

/// What a node is that was given and not computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    Leaf,
    Constant,
}

/// Whether a node was given, and as what. (Names do not tell: a user's operation may be called anything.)
pub(crate) fn given<E: Real>(inner: &Inner<E>, id: NodeId) -> Option<Given> {
    match id {
        NodeId::Scalar(i) => match Opcode(inner.scalars.node(i).0[0]) {
            Opcode::LEAF => Some(Given::Leaf),
            Opcode::CONSTANT => Some(Given::Constant),
            _ => None,
        },
        NodeId::Tensor(t) => match inner.tensors.borrow().nodes[t as usize].kind {
            Kind::Leaf => Some(Given::Leaf),
            Kind::Constant => Some(Given::Constant),
            _ => None,
        },
    }
}

/// Whether a scalar node is only the first two operands of the next one.
pub(crate) fn is_carry<E: Real>(inner: &Inner<E>, i: u32) -> bool {
    Opcode(inner.scalars.node(i).0[0]) == Opcode::CARRY
}

/// Calls `f` with each operation, those of both lanes in the one order in which they were recorded.
pub(crate) fn for_each<E: Real>(inner: &Inner<E>, mut f: impl FnMut(NodeId)) {
    let (scalars, tensors) = (inner.scalars.len() as u32, inner.tensors.borrow().nodes.len());
    let mut next = 0;
    let mut scalars_to = |end: u32, f: &mut dyn FnMut(NodeId)| {
        (next..end).filter(|&i| !is_carry(inner, i)).for_each(|i| f(NodeId::Scalar(i)));
        next = end.max(next);
    };
    for t in 0..tensors {
        let at = inner.tensors.borrow().nodes[t].at;
        scalars_to(at, &mut f);
        f(NodeId::Tensor(t as u32));
    }
    scalars_to(scalars, &mut f);
}
