//! Pending elementwise work, and how it is done.
//!
//! Recording an elementwise tensor operation computes nothing. When a value is needed, the pending
//! nodes that it depends on become one straight-line program of primitives, which runs over chunks
//! small enough for the cache: no intermediate value goes to memory. This module is the whole of
//! the executor: [`force`] finds the work, [`Compiler`] writes the program, [`Program::run`] runs it.

use crate::inner::{Inner, Kind, TensorLane};
use crate::primitive::Primitive;
use crate::rule::MAX_OPERANDS;
use crate::symbol::Instruction;
use crate::{Real, Shape, Tensor, recycle};

/// When more than this many nodes would be pending for a new one, the operands with the most of them are
/// computed first. It bounds the length of programs and of every walk through pending nodes, and how
/// often the work of a node is done again for other consumers: a backward pass asks for every node of
/// a chain.
pub(crate) const MAX_PENDING: u32 = 32;

/// Elements a chunk.
const CHUNK: usize = 512;

/// Memory that is kept from one program to the next.
#[derive(Debug)]
pub(crate) struct Scratch<E: Real> {
    /// For each tensor node, the visit that saw it last and its place in the present program.
    seen: Vec<(u32, Place)>,
    visit: u32,
    stack: Vec<u32>,
    /// The pending nodes in question, and those of them that need a value of their own.
    pending: Vec<u32>,
    roots: Vec<u32>,
    program: Program<E>,
    /// The places of the values of the rule being inlined.
    locals: Vec<Place>,
}

impl<E: Real> Default for Scratch<E> {
    fn default() -> Self {
        Scratch {
            seen: Vec::new(),
            visit: 0,
            stack: Vec::new(),
            pending: Vec::new(),
            roots: Vec::new(),
            program: Program::default(),
            locals: Vec::new(),
        }
    }
}

/// Where a value is while a program runs.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// An input tensor.
    Input(u32),
    /// A chunk of the scratch memory.
    Slot(u32),
}

#[derive(Debug)]
struct Step {
    primitive: Primitive,
    exponent: i32,
    operands: [Place; MAX_OPERANDS],
    out: u32,
}

/// A straight line of primitives over chunks. Slots are numbered in the order in which they are
/// written, so a step reads only slots below its own.
#[derive(Debug)]
struct Program<E: Real> {
    /// Inputs that have the shape of the result, read in place.
    whole: Vec<Tensor<E>>,
    /// Inputs that are repeated along some axes, expanded into their slots.
    broadcast: Vec<(Tensor<E>, u32)>,
    /// Slots that hold one number all the time.
    constants: Vec<(E, u32)>,
    steps: Vec<Step>,
    slots: u32,
    /// The slot of the result.
    result: u32,
}

impl<E: Real> Default for Program<E> {
    fn default() -> Self {
        Program {
            whole: Vec::new(),
            broadcast: Vec::new(),
            constants: Vec::new(),
            steps: Vec::new(),
            slots: 0,
            result: 0,
        }
    }
}

/// The value of tensor node `t`, computed now if it is pending.
pub(crate) fn force<E: Real>(inner: &Inner<E>, t: u32) -> Tensor<E> {
    let mut lane = inner.tensors.borrow_mut();
    if let Some(value) = &lane.nodes[t as usize].value {
        return value.clone();
    }
    let mut scratch = inner.scratch.borrow_mut();
    let scratch = &mut *scratch;
    find_roots(&lane, scratch, t);
    for k in 0..scratch.roots.len() {
        let root = scratch.roots[k];
        let value = match lane.nodes[root as usize].kind {
            Kind::Lift { scalar } => {
                Tensor::recycled(Shape::scalar(), inner.scalars.node(scalar).1)
            }
            _ => {
                Compiler { inner, lane: &lane, scratch }.compile(root);
                let value = scratch.program.run(&lane.nodes[root as usize].shape);
                scratch.program.clear();
                value
            }
        };
        let node = &mut lane.nodes[root as usize];
        node.value = Some(value);
        node.pending = 0;
    }
    lane.nodes[t as usize].value.clone().expect("the asked-for node is the last of the roots")
}

/// Lists the pending nodes below `t` whose values are needed as such, in the order in which they can
/// be computed: `t` itself, and those that a consumer reads in another shape.
fn find_roots<E: Real>(lane: &TensorLane<E>, scratch: &mut Scratch<E>, t: u32) {
    scratch.start(lane);
    scratch.pending.clear();
    scratch.roots.clear();
    scratch.roots.push(t);
    scratch.stack.push(t);
    while let Some(t) = scratch.stack.pop() {
        let node = &lane.nodes[t as usize];
        for operand in pending_operands(lane, t) {
            if lane.nodes[operand as usize].shape != node.shape {
                scratch.roots.push(operand);
            }
            if scratch.see(operand, Place::Slot(0)) {
                scratch.stack.push(operand);
            }
        }
    }
    // A number is smaller than those of all that depend on it.
    scratch.roots.sort_unstable();
    scratch.roots.dedup();
}

/// The operands of a pending elementwise node that are pending elementwise nodes too.
fn pending_operands<E: Real>(lane: &TensorLane<E>, t: u32) -> impl Iterator<Item = u32> {
    let (operands, arity, constants) = match lane.nodes[t as usize].kind {
        Kind::Elementwise { operands, arity, constants, .. } => (operands, arity, constants),
        _ => ([0; MAX_OPERANDS], 0, 0),
    };
    (0..arity as usize).filter(move |k| constants >> k & 1 == 0).map(move |k| operands[k]).filter(
        |&o| {
            let node = &lane.nodes[o as usize];
            node.value.is_none() && matches!(node.kind, Kind::Elementwise { .. })
        },
    )
}

impl<E: Real> Scratch<E> {
    fn start(&mut self, lane: &TensorLane<E>) {
        if self.visit == u32::MAX {
            self.seen.clear();
            self.visit = 0;
        }
        self.visit += 1;
        if self.seen.len() < lane.nodes.len() {
            self.seen.resize(lane.nodes.len(), (0, Place::Slot(0)));
        }
    }

    /// Notes the place of `t` in this visit; false if it has one already.
    fn see(&mut self, t: u32, place: Place) -> bool {
        let entry = &mut self.seen[t as usize];
        let new = entry.0 != self.visit;
        if new {
            *entry = (self.visit, place);
        }
        new
    }

    fn place(&self, t: u32) -> Option<Place> {
        let (visit, place) = self.seen[t as usize];
        (visit == self.visit).then_some(place)
    }
}

struct Compiler<'a, E: Real> {
    inner: &'a Inner<E>,
    lane: &'a TensorLane<E>,
    scratch: &'a mut Scratch<E>,
}

impl<E: Real> Compiler<'_, E> {
    /// Writes the program of `root`. Pending nodes of other shapes must have been computed before.
    fn compile(&mut self, root: u32) {
        self.scratch.start(self.lane);
        self.scratch.pending.clear();
        self.scratch.pending.push(root);
        self.scratch.stack.push(root);
        self.scratch.see(root, Place::Slot(0));
        while let Some(t) = self.scratch.stack.pop() {
            for operand in pending_operands(self.lane, t) {
                if self.scratch.see(operand, Place::Slot(0)) {
                    self.scratch.pending.push(operand);
                    self.scratch.stack.push(operand);
                }
            }
        }
        self.scratch.pending.sort_unstable();
        for k in 0..self.scratch.pending.len() {
            let t = self.scratch.pending[k];
            let place = self.compile_node(t, &self.lane.nodes[root as usize].shape);
            self.scratch.seen[t as usize].1 = place;
            // The root has the largest number, so it is the last.
            if let Place::Slot(slot) = place {
                self.scratch.program.result = slot;
            }
        }
    }

    fn compile_node(&mut self, t: u32, shape: &Shape) -> Place {
        let Kind::Elementwise { opcode, operands, arity, constants } =
            self.lane.nodes[t as usize].kind
        else {
            unreachable!("only elementwise nodes are pending")
        };
        // The integer exponent of `powi` stands where its second operand would.
        let exponent = operands[1] as i32;
        let mut places = [Place::Slot(0); MAX_OPERANDS];
        for k in 0..arity as usize {
            places[k] = if constants >> k & 1 == 1 {
                self.constant(self.inner.scalars.constant_at(operands[k]))
            } else {
                self.operand(operands[k], shape)
            };
        }
        for k in arity as usize..MAX_OPERANDS {
            places[k] = places[0];
        }
        match opcode.as_rule() {
            Some(rule) => self.inline(rule, &places[..arity as usize]),
            None => {
                let primitive = opcode.as_primitive().expect("an elementwise opcode");
                self.step(primitive, exponent, places)
            }
        }
    }

    fn operand(&mut self, t: u32, shape: &Shape) -> Place {
        if let Some(place) = self.scratch.place(t) {
            return place;
        }
        let node = &self.lane.nodes[t as usize];
        let place = match (&node.value, node.kind) {
            (Some(value), _) if value.shape() == shape => {
                self.scratch.program.whole.push(value.clone());
                Place::Input(self.scratch.program.whole.len() as u32 - 1)
            }
            (Some(value), _) if value.len() == 1 => self.constant(value.as_slice()[0]),
            (Some(value), _) => {
                let slot = self.slot();
                self.scratch.program.broadcast.push((value.clone(), slot));
                Place::Slot(slot)
            }
            (None, Kind::Lift { scalar }) => self.constant(self.inner.scalars.node(scalar).1),
            (None, _) => unreachable!("an operand in another shape was computed before"),
        };
        self.scratch.see(t, place);
        place
    }

    /// Writes the instructions of a rule.
    fn inline(&mut self, rule: u32, arguments: &[Place]) -> Place {
        let entry = self.inner.rules.borrow().get(rule);
        let trace = entry.trace();
        self.scratch.locals.clear();
        self.scratch.locals.extend_from_slice(arguments);
        for instruction in &trace.instructions {
            let place = match *instruction {
                Instruction::Constant(c) => self.constant(E::lit(c)),
                Instruction::Apply { primitive, exponent, operands } => {
                    let places = operands.map(|o| self.scratch.locals[o as usize]);
                    self.step(primitive, exponent, places)
                }
            };
            self.scratch.locals.push(place);
        }
        match self.scratch.locals[trace.result as usize] {
            // The result of a program is a slot.
            place @ Place::Input(_) => self.step(Primitive::Copy, 0, [place; MAX_OPERANDS]),
            place => place,
        }
    }

    fn constant(&mut self, c: E) -> Place {
        let slot = self.slot();
        self.scratch.program.constants.push((c, slot));
        Place::Slot(slot)
    }

    fn step(
        &mut self,
        primitive: Primitive,
        exponent: i32,
        operands: [Place; MAX_OPERANDS],
    ) -> Place {
        let out = self.slot();
        self.scratch.program.steps.push(Step { primitive, exponent, operands, out });
        Place::Slot(out)
    }

    fn slot(&mut self) -> u32 {
        self.scratch.program.slots += 1;
        self.scratch.program.slots - 1
    }
}

impl<E: Real> Program<E> {
    fn clear(&mut self) {
        self.whole.clear();
        self.broadcast.clear();
        self.constants.clear();
        self.steps.clear();
        self.slots = 0;
    }

    /// Runs the program over all elements of `shape`.
    fn run(&self, shape: &Shape) -> Tensor<E> {
        let len = shape.elements();
        let mut buffer = recycle::take(len);
        let out =
            std::sync::Arc::get_mut(&mut buffer).expect("a buffer from the pool has one owner");
        let chunk = CHUNK.min(len.max(1));
        let mut memory = recycle::Scratch::<E>::filled(self.slots as usize * chunk, E::ZERO);
        for &(c, slot) in &self.constants {
            memory[slot as usize * chunk..][..chunk].fill(c);
        }
        for start in (0..len).step_by(chunk) {
            let n = chunk.min(len - start);
            for (input, slot) in &self.broadcast {
                let expanded = &mut memory[*slot as usize * chunk..][..n];
                crate::kernels::read_broadcast(input, shape, start, expanded);
            }
            for step in &self.steps {
                // Slots are written in the order of their numbers.
                let (below, own) = memory.split_at_mut(step.out as usize * chunk);
                let operands = step.operands.map(|place| match place {
                    Place::Input(k) => &self.whole[k as usize].as_slice()[start..start + n],
                    Place::Slot(k) => &below[k as usize * chunk..][..n],
                });
                step.primitive.run(step.exponent, operands, &mut own[..n]);
            }
            out[start..start + n].copy_from_slice(&memory[self.result as usize * chunk..][..n]);
        }
        Tensor::from_parts(shape.clone(), buffer)
    }
}
