//! The passes that make a program shorter. None of them changes a bit of a result.
//!
//! Each is a small function: what is known of one instruction, or of the whole list. [`optimised`] applies
//! them in one walk forward (constants, identities, equal instructions) and one backward (what nothing
//! needs).

use std::borrow::Cow;

use rustc_hash::FxHashMap;

use super::body::{Body, Code, Condition, Instruction, Operand, Source};
use super::known::Known;
use crate::Real;
use crate::external::{Action, Work};
use crate::primitive::Primitive;
use crate::rule::MAX_OPERANDS;

/// The same program after all passes.
pub(crate) fn optimised<E: Real>(body: &Body<E>) -> Body<E> {
    let shorter = rewritten(body, |list, instruction| {
        fold(&list.body, instruction)
            .map(Rewritten::Constant)
            .or_else(|| simplify(list, instruction))
            .unwrap_or(Rewritten::Instruction(*instruction))
    });
    live(&shorter)
}

/// What becomes of an instruction.
#[derive(Clone, Copy)]
pub(super) enum Rewritten<E> {
    Instruction(Instruction),
    Operand(Operand),
    Constant(E),
}

/// A list that is being written, without equal instructions or equal constants.
pub(super) struct List<E: Real> {
    pub(super) body: Body<E>,
    known: Known,
    known_constants: FxHashMap<u64, u32>,
    known_calls: FxHashMap<((usize, Work), Vec<Operand>), u32>,
}

impl<E: Real> List<E> {
    pub(super) fn new(body: Body<E>) -> Self {
        let known = Known::with_capacity(body.instructions.capacity());
        let (known_constants, known_calls) = Default::default();
        List { body, known, known_constants, known_calls }
    }

    pub(super) fn constant(&mut self, c: E) -> Operand {
        let constants = &mut self.body.constants;
        let k = self.known_constants.entry(c.bits()).or_insert_with(|| {
            constants.push(c);
            constants.len() as u32 - 1
        });
        Operand::constant(*k as usize)
    }

    /// The value of an instruction: of an equal one, if there is one.
    pub(super) fn push(&mut self, mut instruction: Instruction) -> Operand {
        if let Code::Primitive(Primitive::Add | Primitive::Mul, _) = instruction.code {
            // Sums and products are the same either way.
            let [a, b, ..] = instruction.operands;
            let (a, b) = (a.min(b), a.max(b));
            instruction.operands = [a, b, a, a];
        }
        Operand::value(self.known.place_of(instruction, &mut self.body.instructions))
    }

    /// The value of a primitive.
    pub(super) fn apply(
        &mut self,
        primitive: Primitive,
        exponent: i32,
        operands: &[Operand],
    ) -> Operand {
        let code = Code::Primitive(primitive, exponent);
        self.push(Instruction { code, operands: filled(operands) })
    }

    /// The number of the first result of a call: of an equal one, if there is one.
    fn call(&mut self, action: &Action<E>, operands: Vec<Operand>) -> u32 {
        let body = &mut self.body;
        let known = self.known_calls.entry((action.key(), operands));
        *known.or_insert_with_key(|(_, operands)| body.push_call(action.clone(), operands.clone()))
    }

    fn definition(&self, operand: Operand) -> Option<&Instruction> {
        operand.as_value().map(|v| &self.body.instructions[v])
    }

    fn number(&self, operand: Operand) -> Option<E> {
        match operand.source() {
            Source::Constant(k) => Some(self.body.constants[k as usize]),
            _ => None,
        }
    }
}

/// Operands with the first one in the places beyond the arity.
pub(super) fn filled(operands: &[Operand]) -> [Operand; MAX_OPERANDS] {
    std::array::from_fn(|k| operands.get(k).copied().unwrap_or(operands[0]))
}

/// The program in which every instruction is what `rewrite` makes of it.
pub(super) fn rewritten<E: Real>(
    body: &Body<E>,
    mut rewrite: impl FnMut(&mut List<E>, &Instruction) -> Rewritten<E>,
) -> Body<E> {
    let mut list = List::new(body.emptied());
    let mut places: Vec<Operand> = Vec::with_capacity(body.instructions.len());
    // For each constant, its number in the new list, where only those stand that something reads.
    let mut constants: Vec<Option<Operand>> = vec![None; body.constants.len()];
    let mut rename =
        |list: &mut List<E>, places: &[Operand], operand: Operand| match operand.source() {
            Source::Value(v) => places[v as usize],
            Source::Input(_) => operand,
            Source::Constant(k) => *constants[k as usize]
                .get_or_insert_with(|| list.constant(body.constants[k as usize])),
        };
    // For each call, the number of its first result in the new list.
    let mut calls: Vec<Option<u32>> = vec![None; body.calls.len()];
    for instruction in &body.instructions {
        let code = instruction.code;
        if let Code::Result(number) = code {
            let (k, output) = body.result(number);
            let first = *calls[k].get_or_insert_with(|| {
                let operands = body.calls[k].operands.iter();
                let operands = operands.map(|&o| rename(&mut list, &places, o)).collect();
                list.call(&body.calls[k].action, operands)
            });
            places.push(list.push(Instruction::result(first + output as u32)));
            continue;
        }
        let operands = instruction.operands.map(|o| rename(&mut list, &places, o));
        let place = match rewrite(&mut list, &Instruction { code, operands }) {
            Rewritten::Instruction(instruction) => list.push(instruction),
            Rewritten::Operand(operand) => operand,
            Rewritten::Constant(c) => list.constant(c),
        };
        places.push(place);
    }
    for &output in &body.outputs {
        let output = rename(&mut list, &places, output);
        list.body.outputs.push(output);
    }
    for condition in &body.conditions {
        let operand = rename(&mut list, &places, condition.operand);
        // A comparison of constants has had its say.
        if list.number(operand).is_none() {
            list.body.conditions.push(Condition { operand, ..condition.clone() });
        }
    }
    list.body
}

/// The value of an instruction whose operands are constants.
fn fold<E: Real>(body: &Body<E>, instruction: &Instruction) -> Option<E> {
    let mut arguments = [E::ZERO; MAX_OPERANDS];
    for (argument, operand) in arguments.iter_mut().zip(instruction.operands) {
        match operand.source() {
            Source::Constant(k) => *argument = body.constants[k as usize],
            _ => return None,
        }
    }
    Some(match instruction.code {
        Code::Primitive(primitive, exponent) => primitive.value(exponent, arguments),
        Code::Rule(k) => body.rules[k as usize].value(arguments),
        Code::Result(_) => return None,
    })
}

/// A shorter form with the same bits for all arguments. (`x * 0` is not 0 for all of them, and `x + 0` is
/// not `x` for -0. The sign of NaN says nothing.)
fn simplify<E: Real>(list: &List<E>, instruction: &Instruction) -> Option<Rewritten<E>> {
    let Code::Primitive(primitive, exponent) = instruction.code else { return None };
    let [a, b, c, d] = instruction.operands;
    let is = |operand, c: f64| list.number(operand).is_some_and(|n| n.bits() == E::lit(c).bits());
    let negated = |operand| match list.definition(operand) {
        Some(Instruction { code: Code::Primitive(Primitive::Neg, _), operands }) => {
            Some(operands[0])
        }
        _ => None,
    };
    let apply = |primitive, operands: &[Operand]| {
        let code = Code::Primitive(primitive, 0);
        Some(Rewritten::Instruction(Instruction { code, operands: filled(operands) }))
    };
    let keep = |operand| Some(Rewritten::Operand(operand));
    match primitive {
        Primitive::Copy => keep(a),
        Primitive::Neg => negated(a).and_then(keep),
        Primitive::Mul if is(a, 1.0) => keep(b),
        Primitive::Mul | Primitive::Div if is(b, 1.0) => keep(a),
        Primitive::Mul if is(a, -1.0) => apply(Primitive::Neg, &[b]),
        Primitive::Mul | Primitive::Div if is(b, -1.0) => apply(Primitive::Neg, &[a]),
        Primitive::Mul | Primitive::Div => match (negated(a), negated(b)) {
            (Some(a), Some(b)) => apply(primitive, &[a, b]),
            _ => None,
        },
        Primitive::Add if is(a, -0.0) => keep(b),
        Primitive::Add if is(b, -0.0) => keep(a),
        Primitive::Sub if is(b, 0.0) => keep(a),
        Primitive::Add => match (negated(a), negated(b)) {
            (_, Some(b)) => apply(Primitive::Sub, &[a, b]),
            (Some(a), None) => apply(Primitive::Sub, &[b, a]),
            _ => None,
        },
        Primitive::Sub => negated(b).and_then(|b| apply(Primitive::Add, &[a, b])),
        Primitive::Powi if exponent == 1 => keep(a),
        Primitive::Powi if exponent == 2 => apply(Primitive::Mul, &[a, a]),
        Primitive::SelectGt if c == d => keep(c),
        _ => None,
    }
}

/// The program without what nothing needs.
pub(super) fn live<E: Real>(body: &Body<E>) -> Body<E> {
    let mut needed = vec![false; body.instructions.len()];
    for v in body.roots().filter_map(Operand::as_value) {
        needed[v] = true;
    }
    for (i, instruction) in body.instructions.iter().enumerate().rev() {
        if needed[i] {
            for v in body.operands(instruction).iter().filter_map(|o| o.as_value()) {
                needed[v] = true;
            }
        }
    }
    let mut list = Renumbering::new(body);
    for (i, instruction) in body.instructions.iter().enumerate() {
        if needed[i] {
            list.keep(i, instruction);
        }
    }
    list.finish()
}

/// Writes some of the instructions of a program into a new one, in an order of their own.
pub(super) struct Renumbering<'a, E: Real> {
    old: &'a Body<E>,
    new: Body<E>,
    values: Vec<u32>,
    constants: Vec<u32>,
    rules: Vec<u32>,
    calls: Vec<u32>,
}

const NOWHERE: u32 = u32::MAX;

impl<'a, E: Real> Renumbering<'a, E> {
    pub(super) fn new(old: &'a Body<E>) -> Self {
        let mut new = old.emptied();
        new.rules.clear();
        Renumbering {
            values: vec![NOWHERE; old.instructions.len()],
            constants: vec![NOWHERE; old.constants.len()],
            rules: vec![NOWHERE; old.rules.len()],
            calls: vec![NOWHERE; old.calls.len()],
            new,
            old,
        }
    }

    fn operand(&mut self, operand: Operand) -> Operand {
        match operand.source() {
            Source::Input(_) => operand,
            Source::Value(v) => {
                let number = self.values[v as usize];
                debug_assert!(number != NOWHERE, "an operand is kept before what uses it");
                Operand::value(number as usize)
            }
            Source::Constant(k) => {
                let number = &mut self.constants[k as usize];
                if *number == NOWHERE {
                    *number = self.new.constants.len() as u32;
                    self.new.constants.push(self.old.constants[k as usize]);
                }
                Operand::constant(*number as usize)
            }
        }
    }

    /// Writes old instruction `i`, whose operands have been kept.
    pub(super) fn keep(&mut self, i: usize, instruction: &Instruction) {
        let code = match instruction.code {
            Code::Rule(k) => {
                let number = &mut self.rules[k as usize];
                if *number == NOWHERE {
                    *number = self.new.rules.len() as u32;
                    self.new.rules.push(self.old.rules[k as usize].clone());
                }
                Code::Rule(*number)
            }
            Code::Result(number) => {
                let (k, output) = self.old.result(number);
                if self.calls[k] == NOWHERE {
                    let old = &self.old.calls[k];
                    let operands = old.operands.iter().map(|&o| self.operand(o)).collect();
                    self.calls[k] = self.new.push_call(old.action.clone(), operands);
                }
                Code::Result(self.calls[k] + output as u32)
            }
            code => code,
        };
        // Beyond the arity the first operand is repeated.
        let operands = instruction.operands.map(|o| self.operand(o));
        self.values[i] = self.new.instructions.len() as u32;
        self.new.instructions.push(Instruction { code, operands });
    }

    pub(super) fn finish(mut self) -> Body<E> {
        for &output in &self.old.outputs {
            let output = self.operand(output);
            self.new.outputs.push(output);
        }
        for condition in &self.old.conditions {
            let operand = self.operand(condition.operand);
            self.new.conditions.push(Condition { operand, ..condition.clone() });
        }
        self.new
    }
}

/// Both programs in one list, on the same inputs.
pub(super) fn joined<E: Real>(first: &Body<E>, second: &Body<E>) -> Body<E> {
    let mut body = first.clone();
    let (values, constants) = (first.instructions.len(), first.constants.len());
    let moved = |operand: Operand| match operand.source() {
        Source::Input(_) => operand,
        Source::Value(v) => Operand::value(v as usize + values),
        Source::Constant(k) => Operand::constant(k as usize + constants),
    };
    let (rules, results) = (first.rules.len() as u32, first.results());
    body.constants.extend_from_slice(&second.constants);
    body.rules.extend(second.rules.iter().cloned());
    for call in &second.calls {
        body.push_call(call.action.clone(), call.operands.iter().map(|&o| moved(o)).collect());
    }
    body.instructions.extend(second.instructions.iter().map(|instruction| Instruction {
        code: match instruction.code {
            Code::Rule(k) => Code::Rule(k + rules),
            Code::Result(k) => Code::Result(k + results),
            code => code,
        },
        operands: instruction.operands.map(moved),
    }));
    body.outputs.extend(second.outputs.iter().map(|&o| moved(o)));
    let conditions = second.conditions.iter().cloned();
    body.conditions.extend(conditions.map(|c| Condition { operand: moved(c.operand), ..c }));
    body
}

/// The program with every rule of a user written out in primitives, and without stops and copies: what an
/// executor runs; calls stay. The derivative of a rule is its author's business, so this is not what is
/// differentiated.
pub(crate) fn inlined<E: Real>(body: &Body<E>) -> Cow<'_, Body<E>> {
    let primitive = |instruction: &Instruction| match instruction.code {
        Code::Primitive(primitive, _) => !matches!(primitive, Primitive::Stop | Primitive::Copy),
        Code::Rule(_) => false,
        Code::Result(_) => true,
    };
    if body.instructions.iter().all(primitive) {
        return Cow::Borrowed(body);
    }
    let traces: Vec<_> = body.rules.iter().map(|rule| super::trace_of(&**rule)).collect();
    let body = rewritten(body, |list, instruction| match instruction.code {
        Code::Primitive(Primitive::Stop | Primitive::Copy, _) => {
            Rewritten::Operand(instruction.operands[0])
        }
        Code::Primitive(..) | Code::Result(_) => Rewritten::Instruction(*instruction),
        Code::Rule(k) => {
            let trace = &traces[k as usize];
            let mut values = instruction.operands[..trace.arguments].to_vec();
            for step in &trace.instructions {
                let value = match *step {
                    crate::symbol::Instruction::Constant(c) => list.constant(E::lit(c)),
                    crate::symbol::Instruction::Apply { primitive, exponent, operands } => {
                        let operands = operands.map(|o| values[o as usize]);
                        list.apply(primitive, exponent, &operands[..primitive.arity()])
                    }
                };
                values.push(value);
            }
            Rewritten::Operand(values[trace.result as usize])
        }
    });
    Cow::Owned(optimised(&body))
}

/// The program with one more output for each comparison instead of the comparison itself: 1 where it turns
/// out differently than when the program was recorded, and 0 elsewhere.
pub(super) fn with_changes<E: Real>(body: &Body<E>) -> Body<E> {
    let mut list = List::new(body.emptied());
    list.body.instructions.clone_from(&body.instructions);
    list.body.constants.clone_from(&body.constants);
    list.body.calls.clone_from(&body.calls);
    list.body.outputs.clone_from(&body.outputs);
    for condition in &body.conditions {
        let changed = match condition.held {
            false => condition.operand,
            true => {
                let one = list.constant(E::ONE);
                list.apply(Primitive::Sub, 0, &[one, condition.operand])
            }
        };
        list.body.outputs.push(changed);
    }
    list.body
}
