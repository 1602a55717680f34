//! The steps of a program at one point, and where their values live.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::Real;
use crate::external::Action as Function;
use crate::primitive::Primitive;
use crate::program::body::{Body, Code, Operand, Source};
use crate::rule::MAX_OPERANDS;

/// What a step computes from `a`, `b`, `c`, `d`: a primitive, or two of + - * / at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Action(pub(super) u8);

/// The numbers of the pairs begin here, above those of all primitives.
pub(super) const PAIRS: u8 = 64;
/// `a b + c d`; the next one is `a b - c d`. There are none unless they are asked for.
pub(super) const TWO_PRODUCTS: u8 = PAIRS + 24;

impl Action {
    /// `(a first b) second c`, or `c second (a first b)` if it is reversed.
    fn pair(first: Primitive, second: Primitive, reversed: bool) -> Option<Action> {
        let first = match first {
            Primitive::Add => 0,
            Primitive::Sub => 1,
            Primitive::Mul => 2,
            Primitive::Div => 3,
            _ => return None,
        };
        let second = match (second, reversed) {
            (Primitive::Add, _) => 0,
            (Primitive::Sub, false) => 1,
            (Primitive::Sub, true) => 2,
            (Primitive::Mul, _) => 3,
            (Primitive::Div, false) => 4,
            (Primitive::Div, true) => 5,
            _ => return None,
        };
        Some(Action(PAIRS + 6 * first + second))
    }

    /// A sum or a difference of two products.
    fn of_products(second: Primitive) -> Option<Action> {
        match second {
            Primitive::Add => Some(Action(TWO_PRODUCTS)),
            Primitive::Sub => Some(Action(TWO_PRODUCTS + 1)),
            _ => None,
        }
    }
}

/// One step: `memory[out] = action(memory[operands])`. The second operand of `powi` is its exponent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) action: Action,
    /// Whether it is the same for all points that are run at once.
    pub(super) uniform: bool,
    pub(super) out: u32,
    pub(super) operands: [u32; MAX_OPERANDS],
}

/// A call of a function of a user, between two steps.
pub(super) struct PointCall<E: Real> {
    function: Function<E>,
    /// How many steps are before it.
    pub(super) at: usize,
    operands: Vec<u32>,
    /// The place of the first result; the others are behind it.
    first: u32,
}

impl<E: Real> PointCall<E> {
    /// Calls the function on numbers of `memory`.
    pub(super) fn run(&self, memory: &mut [E], arguments: &mut Vec<E>) {
        arguments.clear();
        arguments.extend(self.operands.iter().map(|&place| memory[place as usize]));
        let results = &mut memory[self.first as usize..][..self.function.outputs()];
        self.function.run(arguments, results);
    }
}

/// An instruction on its way to a step.
#[derive(Clone, Copy)]
struct Operation {
    action: Action,
    exponent: i32,
    operands: [Operand; MAX_OPERANDS],
    arity: u8,
    /// Whether its value is made within another step or by a call.
    within: bool,
}

impl Operation {
    fn is_product(&self) -> bool {
        self.action.0 == Primitive::Mul as u8 && !self.within
    }
}

/// Slots whose value is no longer needed.
pub(super) trait FreeSlots {
    fn give(&mut self, slot: u32);
    fn take(&mut self) -> Option<u32>;
}

/// The one used last comes first: it is in the cache.
impl FreeSlots for Vec<u32> {
    fn give(&mut self, slot: u32) {
        self.push(slot);
    }
    fn take(&mut self) -> Option<u32> {
        self.pop()
    }
}

/// The one with the lowest number comes first, whatever came before: so a loop in time soon has the same slots
/// every time.
#[derive(Default)]
pub(super) struct Lowest(BinaryHeap<Reverse<u32>>);

impl FreeSlots for Lowest {
    fn give(&mut self, slot: u32) {
        self.0.push(Reverse(slot));
    }
    fn take(&mut self) -> Option<u32> {
        self.0.pop().map(|Reverse(slot)| slot)
    }
}

/// The steps of a program and the calls between them, how many slots they need, and the place of each value
/// that has one. `products` says whether whoever runs them knows sums of two products as one step: numbers one by
/// one are slower with them.
pub(super) fn steps<E: Real>(
    body: &Body<E>,
    free: &mut impl FreeSlots,
    products: bool,
) -> (Vec<Step>, Vec<PointCall<E>>, usize, Vec<u32>) {
    let operations = paired(body, products);
    let last = last_uses(body, &operations);
    let inputs = body.inputs as u32;
    let first = inputs + body.constants.len() as u32;
    let mut places = vec![u32::MAX; operations.len()];
    let place = |places: &[u32], operand: Operand| match operand.source() {
        Source::Input(k) => k,
        Source::Constant(k) => inputs + k,
        Source::Value(v) => places[v as usize],
    };
    // The results of calls come first, in their order.
    let mut slots = body.results();
    let mut steps = Vec::with_capacity(operations.len());
    let (mut calls, mut called) = (Vec::new(), vec![false; body.calls.len()]);
    for (i, operation) in operations.iter().enumerate() {
        if let Code::Result(number) = body.instructions[i].code {
            let (k, _) = body.result(number);
            places[i] = first + number;
            if !std::mem::replace(&mut called[k], true) {
                let call = &body.calls[k];
                calls.push(PointCall {
                    function: call.action.clone(),
                    at: steps.len(),
                    operands: call.operands.iter().map(|&o| place(&places, o)).collect(),
                    first: first + call.first,
                });
            }
            continue;
        }
        if operation.within {
            continue;
        }
        let mut operands = operation.operands.map(|o| place(&places, o));
        let read = &operation.operands[..operation.arity as usize];
        // A step reads before it writes, so the slot of an operand may be that of the result.
        for (k, &operand) in read.iter().enumerate() {
            if let Some(v) = operand.as_value()
                && last[v] == i
                && !read[..k].contains(&operand)
            {
                free.give(places[v]);
            }
        }
        let out = free.take().unwrap_or_else(|| {
            slots += 1;
            first + slots - 1
        });
        if operation.action.0 == Primitive::Powi as u8 {
            operands[1] = operation.exponent as u32;
        }
        places[i] = out;
        steps.push(Step { action: operation.action, uniform: false, out, operands });
    }
    (steps, calls, slots as usize, places)
}

/// The instructions, where those whose value has one use are done within another one.
fn paired<E: Real>(body: &Body<E>, products: bool) -> Vec<Operation> {
    let mut uses = vec![0u32; body.instructions.len()];
    let read = body.instructions.iter().flat_map(|i| body.operands(i).iter().copied());
    read.chain(body.roots()).filter_map(Operand::as_value).for_each(|v| uses[v] += 1);
    let mut list: Vec<Operation> = Vec::with_capacity(body.instructions.len());
    for instruction in &body.instructions {
        let (primitive, exponent, within) = match instruction.code {
            Code::Primitive(primitive, exponent) => (primitive, exponent, false),
            Code::Result(_) => (Primitive::Copy, 0, true),
            Code::Rule(_) => unreachable!("rules are written out in primitives before"),
        };
        let mut operation = Operation {
            action: Action(primitive as u8),
            exponent,
            operands: instruction.operands,
            arity: primitive.arity() as u8,
            within,
        };
        if let (Some(action), [Some(a), Some(b)]) =
            (Action::of_products(primitive), [0, 1].map(|k| instruction.operands[k].as_value()))
            && products
            && [a, b].iter().all(|&v| uses[v] == 1 && list[v].is_product())
        {
            let [first, second] = [a, b].map(|v| {
                list[v].within = true;
                list[v].operands
            });
            operation.action = action;
            operation.operands = [first[0], first[1], second[0], second[1]];
            operation.arity = 4;
            list.push(operation);
            continue;
        }
        for side in 0..primitive.arity().min(2) {
            let Some(v) = instruction.operands[side].as_value() else { continue };
            let inner = list[v];
            if uses[v] == 1
                && !inner.within
                && inner.action.0 < PAIRS
                && let Some(pair) =
                    Action::pair(Primitive::ALL[inner.action.0 as usize], primitive, side == 1)
            {
                list[v].within = true;
                let [a, b, ..] = inner.operands;
                let c = instruction.operands[1 - side];
                operation.action = pair;
                operation.operands = [a, b, c, c];
                operation.arity = 3;
                break;
            }
        }
        list.push(operation);
    }
    list
}

/// For each value, the last instruction that reads it.
fn last_uses<E: Real>(body: &Body<E>, operations: &[Operation]) -> Vec<usize> {
    let mut last: Vec<usize> = (0..operations.len()).collect();
    for (i, operation) in operations.iter().enumerate().filter(|(_, o)| !o.within) {
        for operand in &operation.operands[..operation.arity as usize] {
            if let Some(v) = operand.as_value() {
                last[v] = i;
            }
        }
    }
    // What leaves the program must be there at the end; and what a call takes, in every case.
    let taken = body.calls.iter().flat_map(|call| call.operands.iter().copied());
    body.roots().chain(taken).filter_map(Operand::as_value).for_each(|v| last[v] = usize::MAX);
    last
}
