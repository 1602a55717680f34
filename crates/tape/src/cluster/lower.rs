//! From pending nodes to a list of instructions.

use super::FULL;
use super::repetition::Repetition;
use super::schedule::{Schedule, extent, is_pending, joins, pending_operands};
use crate::inner::{Inner, Kind, TensorLane};
use crate::ops::index::Rows;
use crate::primitive::Primitive;
use crate::rule::MAX_OPERANDS;
use crate::symbol::Instruction as Traced;
use crate::{Real, Shape, Tensor};

/// Where an instruction finds an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operand {
    /// What an earlier instruction made.
    Value(u32),
    /// An input that has the shape of the program.
    Whole(u32),
    /// An input that is repeated along some axes, or rows of a tensor.
    Repeated(u32),
    /// A number.
    Constant(u32),
}

/// One instruction; its value has the number of its place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Instruction {
    pub(crate) primitive: Primitive,
    pub(crate) exponent: i32,
    pub(crate) operands: [Operand; MAX_OPERANDS],
}

/// What leaves a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Output {
    /// The value of each element.
    Each(Operand),
    /// Their sum.
    Total(Operand),
}

/// An input that is not read as it lies in memory.
#[derive(Debug)]
pub(super) enum Elsewhere<E: Real> {
    /// It is repeated along some axes.
    Repeated(Tensor<E>),
    /// It is rows of a tensor.
    Rows(Tensor<E>, Rows),
}

impl<E: Real> Elsewhere<E> {
    /// How it is read.
    pub(super) fn reader(&self, shape: &Shape) -> Repetition<'_, E> {
        match self {
            Elsewhere::Repeated(input) => Repetition::new(input, shape),
            Elsewhere::Rows(table, rows) => Repetition::of_rows(table, rows),
        }
    }
}

/// A program as it was recorded: the structure, by which a plan is found again, and the data.
#[derive(Debug)]
pub(super) struct Lowering<E: Real> {
    pub(super) instructions: Vec<Instruction>,
    pub(super) outputs: Vec<Output>,
    pub(super) shape: Shape,
    pub(super) whole: Vec<Tensor<E>>,
    pub(super) repeated: Vec<Elsewhere<E>>,
    pub(super) constants: Vec<E>,
    /// The tensor nodes of the outputs.
    pub(super) roots: Vec<u32>,
    /// For each tensor node, the program that saw it last and its place in that.
    places: Vec<(u32, Operand)>,
    program: u32,
    stack: Vec<u32>,
    members: Vec<u32>,
    /// How many recorded operations the program does.
    pub(super) operations: u64,
    /// The places of the values of the rule being written.
    locals: Vec<Operand>,
}

/// What a sweep says of a cotangent that it has taken back.
pub(super) const USED_UP: &str = "a rule has kept a cotangent, which the sweep has used up since";

const NOWHERE: Operand = Operand::Constant(u32::MAX);

impl<E: Real> Default for Lowering<E> {
    fn default() -> Self {
        Lowering {
            instructions: Vec::new(),
            outputs: Vec::new(),
            shape: Shape::scalar(),
            whole: Vec::new(),
            repeated: Vec::new(),
            constants: Vec::new(),
            roots: Vec::new(),
            places: Vec::new(),
            program: 0,
            stack: Vec::new(),
            members: Vec::new(),
            operations: 0,
            locals: Vec::new(),
        }
    }
}

impl<E: Real> Lowering<E> {
    pub(super) fn clear(&mut self) {
        self.instructions.clear();
        self.outputs.clear();
        self.whole.clear();
        self.repeated.clear();
        self.constants.clear();
        self.roots.clear();
        self.operations = 0;
    }

    /// Writes the program of `first` and of all other values of the schedule that fit in.
    pub(super) fn lower(&mut self, inner: &Inner<E>, schedule: &mut Schedule, first: u32) {
        let lane = &*inner.tensors.borrow();
        if self.program == u32::MAX {
            self.places.clear();
            self.program = 0;
        }
        self.program += 1;
        if self.places.len() < lane.nodes.len() {
            self.places.resize(lane.nodes.len(), (0, NOWHERE));
        }
        self.shape = extent(lane, first).clone();
        let mut root = Some(first);
        while let Some(t) = root {
            self.value(inner, lane, t);
            let full = self.instructions.len() >= FULL.0 || self.outputs.len() >= FULL.1;
            root = if full { None } else { schedule.companion(lane) };
        }
    }

    /// Writes what is missing for the value of `root`.
    fn value(&mut self, inner: &Inner<E>, lane: &TensorLane<E>, root: u32) {
        self.roots.push(root);
        if let Kind::Total { operand, .. } = lane.nodes[root as usize].kind {
            if is_pending(lane, operand) {
                self.collect(lane, operand);
            }
            self.write_members(inner, lane);
            let place = self.operand(inner, lane, operand);
            self.operations += 1;
            return self.outputs.push(Output::Total(place));
        }
        self.collect(lane, root);
        self.write_members(inner, lane);
        let place = self.operand(inner, lane, root);
        self.outputs.push(Output::Each(place));
    }

    fn is_placed(&self, t: u32) -> bool {
        self.places[t as usize].0 == self.program
    }

    /// Lists the pending nodes of the program that `root` depends on.
    fn collect(&mut self, lane: &TensorLane<E>, root: u32) {
        if self.is_placed(root) || matches!(lane.nodes[root as usize].kind, Kind::Lift { .. }) {
            return;
        }
        self.places[root as usize] = (self.program, NOWHERE);
        self.stack.push(root);
        while let Some(t) = self.stack.pop() {
            self.members.push(t);
            for operand in pending_operands(lane, t) {
                if !self.is_placed(operand) && joins(lane, t, operand) {
                    self.places[operand as usize] = (self.program, NOWHERE);
                    self.stack.push(operand);
                }
            }
        }
        // A number is smaller than those of all that depend on it.
        self.members.sort_unstable();
    }

    fn write_members(&mut self, inner: &Inner<E>, lane: &TensorLane<E>) {
        self.operations += self.members.len() as u64;
        for k in 0..self.members.len() {
            let t = self.members[k];
            let place = self.write(inner, lane, t);
            self.places[t as usize].1 = place;
        }
        self.members.clear();
    }

    fn write(&mut self, inner: &Inner<E>, lane: &TensorLane<E>, t: u32) -> Operand {
        let Kind::Elementwise { opcode, operands: numbers, arity, constants } =
            lane.nodes[t as usize].kind
        else {
            panic!("{USED_UP}")
        };
        let mut operands = [NOWHERE; MAX_OPERANDS];
        for k in 0..arity as usize {
            operands[k] = if constants >> k & 1 == 1 {
                self.constant(inner.scalars.constant_at(numbers[k]))
            } else {
                self.operand(inner, lane, numbers[k])
            };
        }
        match opcode.as_rule() {
            Some(rule) => self.inline(inner, rule, &operands[..arity as usize]),
            None => {
                let primitive = opcode.as_primitive().expect("an elementwise opcode");
                if matches!(primitive, Primitive::Stop | Primitive::Copy) {
                    // The value is there; what repeats it is how it is read.
                    return operands[0];
                }
                self.push(primitive, primitive.exponent(numbers), operands)
            }
        }
    }

    fn operand(&mut self, inner: &Inner<E>, lane: &TensorLane<E>, t: u32) -> Operand {
        let (program, place) = self.places[t as usize];
        if program == self.program {
            return place;
        }
        let node = &lane.nodes[t as usize];
        let place = match (&node.value, node.kind) {
            (Some(value), _) if *value.shape() == self.shape => {
                self.whole.push(value.clone());
                Operand::Whole(self.whole.len() as u32 - 1)
            }
            (Some(value), _) if value.len() == 1 => self.constant(value.as_slice()[0]),
            (Some(value), _) => self.elsewhere(Elsewhere::Repeated(value.clone())),
            (None, Kind::Output { call }) if node.shape == self.shape => {
                let (table, rows) = lane.rows(call);
                self.elsewhere(Elsewhere::Rows(table.clone(), rows.clone()))
            }
            (None, Kind::Lift { scalar }) => self.constant(inner.scalars.node(scalar).1),
            // An operand of another shape was computed before.
            (None, _) => panic!("{USED_UP}"),
        };
        self.places[t as usize] = (self.program, place);
        place
    }

    fn elsewhere(&mut self, input: Elsewhere<E>) -> Operand {
        self.repeated.push(input);
        Operand::Repeated(self.repeated.len() as u32 - 1)
    }

    /// Writes the instructions of a rule.
    fn inline(&mut self, inner: &Inner<E>, rule: u32, arguments: &[Operand]) -> Operand {
        let entry = inner.rules.borrow().get(rule);
        let trace = entry.trace();
        self.locals.clear();
        self.locals.extend_from_slice(arguments);
        for instruction in &trace.instructions {
            let place = match *instruction {
                Traced::Constant(c) => self.constant(E::lit(c)),
                Traced::Apply { primitive, exponent, operands } => {
                    let mut places = [NOWHERE; MAX_OPERANDS];
                    for (place, o) in places.iter_mut().zip(operands).take(primitive.arity()) {
                        *place = self.locals[o as usize];
                    }
                    self.push(primitive, exponent, places)
                }
            };
            self.locals.push(place);
        }
        self.locals[trace.result as usize]
    }

    fn constant(&mut self, c: E) -> Operand {
        let known = self.constants.iter().position(|known| known.bits() == c.bits());
        Operand::Constant(known.unwrap_or_else(|| {
            self.constants.push(c);
            self.constants.len() - 1
        }) as u32)
    }

    fn push(
        &mut self,
        primitive: Primitive,
        exponent: i32,
        operands: [Operand; MAX_OPERANDS],
    ) -> Operand {
        self.instructions.push(Instruction { primitive, exponent, operands });
        Operand::Value(self.instructions.len() as u32 - 1)
    }
}
