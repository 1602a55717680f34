//! Programs in files, by `serde`.
//!
//! What is stored is the list in a form of its own, so that the inner representation may change. Constants
//! are stored by their bits: not every format knows infinity, and none may round.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::body::{Body, Code, Condition, Instruction, Operand, Source};
use super::passes::filled;
use super::{Program, ProgramError};
use crate::Real;
use crate::primitive::Primitive;

/// The version of the format. Loading another one is an error.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Stored {
    wengert_program: u32,
    element: Cow<'static, str>,
    inputs: usize,
    /// The bits of the constants.
    constants: Vec<u64>,
    instructions: Vec<StoredInstruction>,
    outputs: Vec<StoredOperand>,
    conditions: Vec<StoredCondition>,
}

#[derive(Serialize, Deserialize)]
struct StoredInstruction {
    operation: Cow<'static, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exponent: Option<i32>,
    operands: Vec<StoredOperand>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredOperand {
    Value(u32),
    Input(u32),
    Constant(u32),
}

#[derive(Serialize, Deserialize)]
struct StoredCondition {
    operand: StoredOperand,
    held: bool,
    location: String,
}

impl From<Operand> for StoredOperand {
    fn from(operand: Operand) -> Self {
        match operand.source() {
            Source::Value(v) => StoredOperand::Value(v),
            Source::Input(k) => StoredOperand::Input(k),
            Source::Constant(k) => StoredOperand::Constant(k),
        }
    }
}

/// Stores the list. A program with a rule of a user cannot be stored, because the rule is code.
impl<E: Real> Serialize for Program<E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        stored(self.body()).map_err(ser::Error::custom)?.serialize(serializer)
    }
}

/// Loads what was stored. Whatever is in the file, the result is a program whose operands are all there.
impl<'de, E: Real> Deserialize<'de> for Program<E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Stored::deserialize(deserializer)?;
        loaded(&stored).map(|body| Program::from_body(&body)).map_err(de::Error::custom)
    }
}

fn stored<E: Real>(body: &Body<E>) -> Result<Stored, ProgramError> {
    if let Some(rule) = body.rules.first() {
        return Err(ProgramError::Rule { rule: rule.name() });
    }
    if let Some(call) = body.calls.first() {
        return Err(ProgramError::External { function: call.action.function.name() });
    }
    let instruction = |instruction: &Instruction| match instruction.code {
        Code::Primitive(primitive, exponent) => StoredInstruction {
            operation: primitive.name().into(),
            exponent: (primitive == Primitive::Powi).then_some(exponent),
            operands: body.operands(instruction).iter().map(|&o| o.into()).collect(),
        },
        Code::Rule(_) | Code::Result(_) => unreachable!("there are none: see above"),
    };
    Ok(Stored {
        wengert_program: VERSION,
        element: E::NAME.into(),
        inputs: body.inputs,
        constants: body.constants.iter().map(|c| c.bits()).collect(),
        instructions: body.instructions.iter().map(instruction).collect(),
        outputs: body.outputs.iter().map(|&o| o.into()).collect(),
        conditions: body
            .conditions
            .iter()
            .map(|condition| StoredCondition {
                operand: condition.operand.into(),
                held: condition.held,
                location: condition.location.to_string(),
            })
            .collect(),
    })
}

fn loaded<E: Real>(stored: &Stored) -> Result<Body<E>, ProgramError> {
    let malformed = |detail: String| ProgramError::Malformed { detail };
    if stored.wengert_program != VERSION {
        let version = stored.wengert_program;
        return Err(malformed(format!("it has version {version}, and this is version {VERSION}")));
    }
    if stored.element != E::NAME {
        let element = &stored.element;
        return Err(malformed(format!("its numbers are {element}, and {} is asked for", E::NAME)));
    }
    let (inputs, constants) = (stored.inputs, stored.constants.len());
    let operand = |o: StoredOperand, made: usize| {
        let (number, count, what) = match o {
            StoredOperand::Value(v) => (v as usize, made, "value"),
            StoredOperand::Input(k) => (k as usize, inputs, "input"),
            StoredOperand::Constant(k) => (k as usize, constants, "constant"),
        };
        if number >= count {
            return Err(malformed(format!("an operand is {what} {number} of {count}")));
        }
        Ok(match o {
            StoredOperand::Value(_) => Operand::value(number),
            StoredOperand::Input(_) => Operand::input(number),
            StoredOperand::Constant(_) => Operand::constant(number),
        })
    };
    let mut instructions = Vec::with_capacity(stored.instructions.len());
    for (i, instruction) in stored.instructions.iter().enumerate() {
        let name = &*instruction.operation;
        let primitive = Primitive::ALL.iter().find(|p| p.name() == name);
        let &primitive =
            primitive.ok_or_else(|| malformed(format!("there is no operation `{name}`")))?;
        let given = instruction.operands.len();
        if given != primitive.arity() {
            return Err(malformed(format!("`{name}` with {given} operands")));
        }
        let operands: Vec<Operand> =
            instruction.operands.iter().map(|&o| operand(o, i)).collect::<Result<_, _>>()?;
        let exponent = instruction.exponent.unwrap_or(0);
        let code = Code::Primitive(primitive, exponent);
        instructions.push(Instruction { code, operands: filled(&operands) });
    }
    let made = instructions.len();
    let outputs = stored.outputs.iter().map(|&o| operand(o, made)).collect::<Result<_, _>>()?;
    let mut conditions = Vec::with_capacity(stored.conditions.len());
    for condition in &stored.conditions {
        conditions.push(Condition {
            operand: operand(condition.operand, made)?,
            held: condition.held,
            location: condition.location.as_str().into(),
        });
    }
    let constants = stored.constants.iter().map(|&bits| E::from_bits(bits)).collect();
    Ok(Body { instructions, constants, outputs, conditions, ..Body::empty(inputs) })
}
