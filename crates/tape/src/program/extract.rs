//! From nodes of a tape to the list of a program.

use std::panic::Location;
use std::sync::Arc;

use super::ProgramError;
use super::body::{Body, Code, Condition, Instruction, Operand};
use super::passes::{List, filled};
use crate::inner::Inner;
use crate::primitive::Primitive;
use crate::rule::MAX_OPERANDS;
use crate::scalar::opcode::{CONSTANT_LEFT, CONSTANT_RIGHT, Opcode};
use crate::{Real, Var};

/// What a node of the scalar lane says.
enum Node<E> {
    Leaf,
    Constant(E),
    Item,
    /// The first half of the node after it.
    Carry,
    Apply {
        code: Code,
        operands: [NodeOperand<E>; MAX_OPERANDS],
        arity: usize,
    },
}

#[derive(Clone, Copy)]
enum NodeOperand<E> {
    Node(u32),
    Constant(E),
}

/// Reads node `i`; a rule is called by its number on the tape.
fn read<E: Real>(inner: &Inner<E>, i: u32) -> Node<E> {
    let ([word, a, b], value) = inner.scalars.node(i);
    let opcode = Opcode(word);
    let constant = |k| NodeOperand::Constant(inner.scalars.constant_at(k));
    let node = NodeOperand::Node;
    let (code, arity) = match (opcode.as_rule(), opcode.as_primitive()) {
        (Some(k), _) => (Code::Rule(k), inner.rules.borrow().get(k).rule.arity()),
        (None, Some(Primitive::Powi)) => (Code::Primitive(Primitive::Powi, b as i32), 1),
        (None, Some(primitive)) => (Code::Primitive(primitive, 0), primitive.arity()),
        (None, None) => {
            return match opcode {
                Opcode::LEAF => Node::Leaf,
                Opcode::CONSTANT => Node::Constant(value),
                Opcode::CARRY => Node::Carry,
                _ => Node::Item,
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
        let mut list = List::new(empty(inputs.len()));
        let outputs = outputs.iter().map(|v| list.constant(v.value)).collect();
        return Ok(Body { outputs, ..list.body });
    };

    // Backward: what is needed, up to the inputs.
    let mut needed = vec![false; last as usize + 1];
    roots().for_each(|i| needed[i as usize] = true);
    let mut place: Vec<Option<Operand>> = vec![None; last as usize + 1];
    for (k, input) in inputs.iter().enumerate() {
        if let Some(place) = place.get_mut(input.index as usize) {
            *place = Some(Operand::input(k));
        }
    }
    for i in (0..=last).rev() {
        if !needed[i as usize] || place[i as usize].is_some() {
            continue;
        }
        match read(inner, i) {
            Node::Leaf => return Err(ProgramError::MissingInput { node: i, location }),
            Node::Item => {
                let output = outputs.iter().position(|v| v.index >= i).unwrap_or(0);
                return Err(ProgramError::Tensor { output });
            }
            Node::Constant(_) | Node::Carry => {}
            Node::Apply { operands, arity, .. } => {
                for operand in &operands[..arity] {
                    if let NodeOperand::Node(o) = *operand {
                        needed[o as usize] = true;
                    }
                }
            }
        }
    }

    // Forward: the list.
    let mut list = List::new(empty(inputs.len()));
    let mut rules: Vec<u32> = Vec::new();
    for i in 0..=last {
        if !needed[i as usize] || place[i as usize].is_some() {
            continue;
        }
        let operand = match read(inner, i) {
            Node::Constant(c) => list.constant(c),
            Node::Apply { code, operands, arity } => {
                let code = match code {
                    Code::Rule(k) => Code::Rule(rule_number(inner, &mut list.body, &mut rules, k)),
                    code => code,
                };
                let mut known = [Operand::input(0); MAX_OPERANDS];
                for (known, operand) in known.iter_mut().zip(&operands[..arity]) {
                    *known = match *operand {
                        NodeOperand::Constant(c) => list.constant(c),
                        NodeOperand::Node(o) => {
                            place[o as usize].expect("an operand is an earlier node")
                        }
                    };
                }
                // Equal instructions are found later.
                list.body
                    .instructions
                    .push(Instruction { code, operands: filled(&known[..arity]) });
                Operand::value(list.body.instructions.len() - 1)
            }
            Node::Leaf | Node::Item | Node::Carry => unreachable!("the walk back has seen to it"),
        };
        place[i as usize] = Some(operand);
    }
    for &output in outputs {
        let operand = match output.is_constant() {
            true => list.constant(output.value),
            false => place[output.index as usize].expect("outputs are needed"),
        };
        list.body.outputs.push(operand);
    }
    for (node, held, location) in comparisons {
        let operand = place[*node as usize].expect("comparisons are needed");
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

fn empty<E: Real>(inputs: usize) -> Body<E> {
    Body {
        inputs,
        instructions: Vec::new(),
        constants: Vec::new(),
        rules: Vec::new(),
        outputs: Vec::new(),
        conditions: Vec::new(),
    }
}
