//! From nodes of a tape to the list of a program.

use std::any::Any;
use std::panic::Location;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::ProgramError;
use super::body::{Body, Code, Condition, Instruction, Operand};
use super::passes::{List, filled};
use crate::engine::NodeId;
use crate::external;
use crate::inner::{Inner, Kind};
use crate::op::Op;
use crate::primitive::Primitive;
use crate::rule::MAX_OPERANDS;
use crate::scalar::opcode::{CONSTANT_LEFT, CONSTANT_RIGHT, Opcode};
use crate::{Real, Var};

/// What a node says.
enum Node<E: Real> {
    Leaf,
    Constant(E),
    /// The same number as another node: of the other lane, or the sum of one element.
    Same(NodeId),
    /// The first half of the node after it.
    Carry,
    Apply {
        code: Code,
        operands: [NodeOperand<E>; MAX_OPERANDS],
        arity: usize,
    },
    /// A result of a function of a user, with the number of the call on the tape and of the first result.
    Result {
        call: u32,
        first: u32,
    },
    /// A tensor of several elements, or an operation on tensors.
    Tensor,
}

#[derive(Clone, Copy)]
enum NodeOperand<E> {
    Node(NodeId),
    Constant(E),
}

/// Reads scalar node `i`; a rule is called by its number on the tape.
fn read<E: Real>(inner: &Inner<E>, i: u32) -> Node<E> {
    let ([word, a, b], value) = inner.scalars.node(i);
    let opcode = Opcode(word);
    let constant = |k| NodeOperand::Constant(inner.scalars.constant_at(k));
    let node = |i| NodeOperand::Node(NodeId::Scalar(i));
    let (code, arity) = match (opcode.as_rule(), opcode.as_primitive()) {
        (Some(k), _) => (Code::Rule(k), inner.rules.borrow().get(k).rule.arity()),
        (None, Some(Primitive::Powi)) => (Code::Primitive(Primitive::Powi, b as i32), 1),
        (None, Some(primitive)) => (Code::Primitive(primitive, 0), primitive.arity()),
        (None, None) => {
            return match opcode {
                Opcode::LEAF => Node::Leaf,
                Opcode::CONSTANT => Node::Constant(value),
                Opcode::CARRY => Node::Carry,
                _ => Node::Same(NodeId::Tensor(b)),
            };
        }
    };
    let plain = opcode.as_rule().is_some();
    let operands = match arity {
        0..=2 if !plain && word & CONSTANT_RIGHT != 0 => [node(a), constant(b), node(a), node(a)],
        0..=2 if !plain && word & CONSTANT_LEFT != 0 => [constant(b), node(a), node(a), node(a)],
        0..=1 => [node(a); MAX_OPERANDS],
        2 => [node(a), node(b), node(a), node(a)],
        _ => {
            let ([_, first, second], _) = inner.scalars.node(i - 1);
            [node(first), node(second), node(a), node(b)]
        }
    };
    Node::Apply { code, operands, arity }
}

/// Reads tensor node `t`. The sweeps over calls of a user's functions compute with tensors of rank 0.
fn read_tensor<E: Real>(inner: &Inner<E>, t: u32) -> Node<E> {
    let lane = inner.tensors.borrow();
    let tensor = &lane.nodes[t as usize];
    if tensor.shape.rank() != 0 {
        return Node::Tensor;
    }
    match tensor.kind {
        Kind::Leaf => Node::Leaf,
        Kind::Constant => tensor.value.as_ref().map_or(Node::Tensor, |v| Node::Constant(v.item())),
        Kind::Lift { scalar } => Node::Same(NodeId::Scalar(scalar)),
        Kind::Total { operand, .. } if lane.nodes[operand as usize].shape.rank() == 0 => {
            Node::Same(NodeId::Tensor(operand))
        }
        Kind::Total { .. } => Node::Tensor,
        Kind::Elementwise { opcode, operands, arity, constants } => {
            let code = match (opcode.as_rule(), opcode.as_primitive()) {
                (Some(k), _) => Code::Rule(k),
                (None, Some(Primitive::Powi)) => {
                    Code::Primitive(Primitive::Powi, operands[1] as i32)
                }
                (None, Some(primitive)) => Code::Primitive(primitive, 0),
                (None, None) => return Node::Tensor,
            };
            let operand = |k: usize| match constants >> k & 1 {
                1 => NodeOperand::Constant(inner.scalars.constant_at(operands[k])),
                _ => NodeOperand::Node(NodeId::Tensor(operands[k])),
            };
            let arity = arity as usize;
            let operands = std::array::from_fn(|k| operand(if k < arity { k } else { 0 }));
            Node::Apply { code, operands, arity }
        }
        Kind::Output { call } => match as_call(&*lane.op(call)) {
            Some(_) => Node::Result { call, first: lane.calls[call as usize].first },
            None => Node::Tensor,
        },
    }
}

/// The call of a user's function that an operation is.
fn as_call<E: Real>(op: &dyn Op<E>) -> Option<&external::Call<E>> {
    (op as &dyn Any).downcast_ref()
}

/// For each node of both lanes something that is known of it.
struct Both<T> {
    scalars: Vec<T>,
    tensors: Vec<T>,
}

impl<T: Copy> Both<T> {
    fn new(scalars: usize, tensors: usize, value: T) -> Self {
        Both { scalars: vec![value; scalars], tensors: vec![value; tensors] }
    }

    fn get(&self, id: NodeId) -> T {
        match id {
            NodeId::Scalar(i) => self.scalars[i as usize],
            NodeId::Tensor(t) => self.tensors[t as usize],
        }
    }

    fn set(&mut self, id: NodeId, value: T) {
        match id {
            NodeId::Scalar(i) => self.scalars[i as usize] = value,
            NodeId::Tensor(t) => self.tensors[t as usize] = value,
        }
    }
}

/// The program that computes `outputs` from `inputs`, and what the comparisons rest on.
#[track_caller]
pub(super) fn extract<E: Real>(
    inner: &Inner<E>,
    inputs: &[Var<E>],
    outputs: &[Var<E>],
    comparisons: &[(u32, bool, Arc<str>)],
) -> Result<Body<E>, ProgramError> {
    let location = Location::caller();
    let owned = |v: Var<E>| {
        (v.index as usize) < inner.scalars.len() && v.tag == inner.tag_of_scalar(v.index)
    };
    for (position, &output) in outputs.iter().enumerate() {
        if !output.is_constant() && !owned(output) {
            return Err(ProgramError::ForeignOutput { position, location });
        }
    }
    if let Some(position) = inputs.iter().position(|&input| !owned(input)) {
        return Err(ProgramError::ForeignInput { position, location });
    }
    let roots = outputs.iter().filter(|v| !v.is_constant()).map(|v| v.index);
    let roots = || roots.clone().chain(comparisons.iter().map(|c| c.0));
    let Some(last) = roots().max() else {
        let mut list = List::new(Body::empty(inputs.len()));
        let outputs = outputs.iter().map(|v| list.constant(v.value)).collect();
        return Ok(Body { outputs, ..list.body });
    };
    // How many scalar nodes were recorded before each tensor that may be needed.
    let before: Vec<u32> = {
        let lane = inner.tensors.borrow();
        lane.nodes.iter().map(|node| node.at).take_while(|&at| at <= last).collect()
    };
    let read = |id| match id {
        NodeId::Scalar(i) => read(inner, i),
        NodeId::Tensor(t) => read_tensor(inner, t),
    };

    // Backward: what is needed, up to the inputs.
    let mut needed = Both::new(last as usize + 1, before.len(), false);
    roots().for_each(|i| needed.scalars[i as usize] = true);
    let mut place: Both<Option<Operand>> = Both::new(last as usize + 1, before.len(), None);
    for (k, input) in inputs.iter().enumerate() {
        if let Some(place) = place.scalars.get_mut(input.index as usize) {
            *place = Some(Operand::input(k));
        }
    }
    let mut look_at = |id: NodeId, place: &Both<Option<Operand>>| {
        if !needed.get(id) || place.get(id).is_some() {
            return Ok(());
        }
        match read(id) {
            Node::Leaf => {
                let (NodeId::Scalar(node) | NodeId::Tensor(node)) = id;
                return Err(ProgramError::MissingInput { node, location });
            }
            Node::Tensor => {
                let at = match id {
                    NodeId::Scalar(i) => i,
                    NodeId::Tensor(t) => before[t as usize],
                };
                let output = outputs.iter().position(|v| v.index >= at).unwrap_or(0);
                return Err(ProgramError::Tensor { output });
            }
            Node::Constant(_) | Node::Carry => {}
            Node::Same(other) => needed.set(other, true),
            Node::Apply { operands, arity, .. } => {
                for operand in &operands[..arity] {
                    if let NodeOperand::Node(o) = *operand {
                        needed.set(o, true);
                    }
                }
            }
            Node::Result { call, .. } => {
                for &t in &inner.tensors.borrow().calls[call as usize].inputs {
                    needed.set(NodeId::Tensor(t), true);
                }
            }
        }
        Ok(())
    };
    let mut t = before.len();
    for i in (0..=last).rev() {
        while t > 0 && before[t - 1] > i {
            t -= 1;
            look_at(NodeId::Tensor(t as u32), &place)?;
        }
        look_at(NodeId::Scalar(i), &place)?;
    }
    (0..t).rev().try_for_each(|t| look_at(NodeId::Tensor(t as u32), &place))?;

    // Forward: the list.
    let mut list = List::new(Body::empty(inputs.len()));
    let mut rules: Vec<u32> = Vec::new();
    let mut calls: FxHashMap<u32, u32> = FxHashMap::default();
    let mut write = |id: NodeId, place: &mut Both<Option<Operand>>| {
        if !needed.get(id) || place.get(id).is_some() {
            return;
        }
        let known = |id: NodeId| place.get(id).expect("an operand is an earlier node");
        // Equal instructions are found later.
        let push = |list: &mut List<E>, instruction: Instruction| {
            list.body.instructions.push(instruction);
            Operand::value(list.body.instructions.len() - 1)
        };
        let operand = match read(id) {
            Node::Constant(c) => list.constant(c),
            Node::Same(other) => known(other),
            Node::Apply { code, operands, arity } => {
                let code = match code {
                    Code::Rule(k) => Code::Rule(rule_number(inner, &mut list.body, &mut rules, k)),
                    code => code,
                };
                let mut filling = [Operand::input(0); MAX_OPERANDS];
                for (place, operand) in filling.iter_mut().zip(&operands[..arity]) {
                    *place = match *operand {
                        NodeOperand::Constant(c) => list.constant(c),
                        NodeOperand::Node(o) => known(o),
                    };
                }
                push(&mut list, Instruction { code, operands: filled(&filling[..arity]) })
            }
            Node::Result { call, first } => {
                let number = *calls.entry(call).or_insert_with(|| {
                    let lane = inner.tensors.borrow();
                    let op = lane.op(call);
                    let action = as_call(&*op).expect("it was one a moment ago").action.clone();
                    let inputs = lane.calls[call as usize].inputs.iter();
                    let operands = inputs.map(|&t| known(NodeId::Tensor(t))).collect();
                    list.body.push_call(action, operands)
                });
                let NodeId::Tensor(t) = id else { unreachable!("results are tensors") };
                push(&mut list, Instruction::result(number + t - first))
            }
            Node::Leaf | Node::Tensor | Node::Carry => {
                unreachable!("the walk back has seen to it")
            }
        };
        place.set(id, Some(operand));
    };
    let mut t = 0;
    for i in 0..=last {
        while t < before.len() && before[t] <= i {
            write(NodeId::Tensor(t as u32), &mut place);
            t += 1;
        }
        write(NodeId::Scalar(i), &mut place);
    }
    for &output in outputs {
        let operand = match output.is_constant() {
            true => list.constant(output.value),
            false => place.scalars[output.index as usize].expect("outputs are needed"),
        };
        list.body.outputs.push(operand);
    }
    for (node, held, location) in comparisons {
        let operand = place.scalars[*node as usize].expect("comparisons are needed");
        let location = location.clone();
        list.body.conditions.push(Condition { operand, held: *held, location });
    }
    Ok(list.body)
}

/// The number in the program of rule `k` of the tape.
fn rule_number<E: Real>(
    inner: &Inner<E>,
    body: &mut Body<E>,
    numbers: &mut Vec<u32>,
    k: u32,
) -> u32 {
    // Few programs have more than a handful of rules.
    let known = numbers.iter().position(|&number| number == k);
    known.unwrap_or_else(|| {
        numbers.push(k);
        body.rules.push(inner.rules.borrow().get(k).rule.clone());
        numbers.len() - 1
    }) as u32
}
