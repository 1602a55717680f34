//! From steps to code: what is in which register.
//!
//! A value stays in the register where it was made or read until the register is needed for another one; then the one
//! goes whose next use is farthest (L. Belady, A study of replacement algorithms for virtual-storage computers,
//! 1966). Numbers that are the same for all elements are read before the loop, as far as there are registers left for them.
//!
//! A processor looks some hundred instructions ahead. Where a chain of steps each of which needs the one before is as long
//! as that, as in an exponential, it would wait for results most of the time; so there two vectors are done at once.

use super::Segment;
use super::encoder::{Encoder, Form, Source};
use super::formula::{Formula, Repertoire};
use super::stages::Stages;
use super::steps::{Fixed, Home, List, NEVER, Step, Turn, number_of};
use crate::machine_code::Opcode;

/// A chain of so many steps is long.
const LONG_CHAIN: u32 = 24;
/// More steps than this are not written twice.
const PAIRED: usize = 512;

/// Writes segments.
pub(super) struct Translator {
    pub(super) encoder: Encoder,
    form: Form,
    repertoire: Repertoire,
    /// What the segments need besides rows.
    pub(super) fixed: Vec<Fixed>,
}

impl Translator {
    pub(super) fn new(form: Form, repertoire: Repertoire) -> Self {
        Translator { encoder: Encoder::new(form), form, repertoire, fixed: Vec::new() }
    }

    /// Writes the code of a segment.
    pub(super) fn segment(&mut self, stages: &Stages, members: &[u32]) -> Segment {
        let mut list = List::new(self.repertoire, &mut self.fixed);
        members.iter().for_each(|&v| list.instruction(stages, v));
        let (single, rows) = (list.turn(), list.rows);
        let two = single.steps.len() <= PAIRED
            && single.depth() >= LONG_CHAIN
            && single.pressure <= self.form.registers();
        let pair = two.then(|| single.paired());
        let entry = self.encoder.begin(rows.len());
        let mut allocation = Allocation {
            encoder: &mut self.encoder,
            form: self.form,
            fixed: &mut self.fixed,
            spills: 0,
            values: Vec::new(),
            registers: vec![None; self.form.registers()],
            pinned: Vec::new(),
            in_use: 0,
        };
        allocation.pin(&single, pair.as_ref().map_or(single.pressure, |pair| pair.pressure));
        for turn in pair.iter().chain([&single]) {
            let start = allocation.encoder.begin_loop(turn.vectors);
            allocation.turn(turn);
            allocation.encoder.end_loop(turn.vectors, start);
        }
        self.encoder.end();
        Segment { entry, rows }
    }
}

/// What is known of a value.
#[derive(Clone, Copy, Debug)]
struct Value {
    /// Where it is in memory.
    home: Option<Home>,
    register: Option<u8>,
    next_use: u32,
    /// Whether its register is its own in all loops of the segment.
    pinned: bool,
}

/// Gives registers to values, step by step.
struct Allocation<'t> {
    encoder: &'t mut Encoder,
    form: Form,
    fixed: &'t mut Vec<Fixed>,
    /// How many places for what has no register are taken.
    spills: u32,
    values: Vec<Value>,
    /// The value in each register.
    registers: Vec<Option<u32>>,
    /// The values that have the first registers for themselves.
    pinned: Vec<u32>,
    /// The registers that the step under way needs, as bits.
    in_use: u32,
}

impl Allocation<'_> {
    /// Reads numbers that are the same for all elements before the loop: those that are used most, if registers are left.
    fn pin(&mut self, turn: &Turn, pressure: usize) {
        let mut uses = vec![0u32; turn.homes.len()];
        for step in &turn.steps {
            for (k, &v) in step.operands().iter().enumerate() {
                // Where it must be in a register it costs an instruction more.
                uses[v as usize] += if step.needs_register(k) { 3 } else { 1 };
            }
        }
        let all = 0..turn.homes.len() as u32;
        self.pinned = all.filter(|&v| turn.is_fixed(v) && uses[v as usize] > 0).collect();
        self.pinned.sort_by_key(|&v| u32::MAX - uses[v as usize]);
        let all = self.registers.len();
        // A step needs up to six at once.
        self.pinned.truncate(all.saturating_sub(pressure + 2).clamp(all / 4, all - 6));
        for (register, &v) in self.pinned.iter().enumerate() {
            let home = turn.homes[v as usize].expect("it is a fixed one");
            self.encoder.load(register as u8, home.into());
        }
    }

    /// The steps of a turn, at whose beginning nothing but the pinned values is in registers.
    fn turn(&mut self, turn: &Turn) {
        let value = |&home| Value { home, register: None, next_use: NEVER, pinned: false };
        self.values = turn.homes.iter().map(value).collect();
        self.registers.fill(None);
        for (register, &v) in self.pinned.iter().enumerate() {
            let value = &mut self.values[v as usize];
            (value.register, value.pinned) = (Some(register as u8), true);
            self.registers[register] = Some(v);
        }
        turn.steps.iter().for_each(|step| self.step(step));
    }

    fn step(&mut self, step: &Step) {
        self.in_use = 0;
        let mut order: [usize; 4] = std::array::from_fn(|k| k);
        // What is in memory had better be the last operand.
        let commutes = step.formula.arity() > 1 && !step.needs_register(0);
        if commutes && self.in_memory(step, 0) {
            order.swap(0, 1);
        }
        let [a, b, c, d] = order;
        let target = match step.formula {
            Formula::Sqrt => {
                let a = self.source(step, a);
                let target = self.target(step);
                self.encoder.two(Opcode::Sqrt, target, 0, a);
                target
            }
            Formula::Two(opcode) => {
                let (a, b) = (self.loaded(step, a), self.source(step, b));
                let target = self.target(step);
                self.encoder.two(opcode, target, a, b);
                target
            }
            Formula::MulAdd | Formula::SubProduct => {
                let minus = step.formula == Formula::SubProduct;
                // One operand is overwritten by the result: the sum, if it is not used again.
                let (a, b, c) = if self.leaves_register(step, c) {
                    let (a, c) = (self.loaded(step, a), self.loaded(step, c));
                    (a, self.source(step, b), Source::Register(c))
                } else {
                    let (a, b) = (self.loaded(step, a), self.loaded(step, b));
                    (a, Source::Register(b), self.source(step, c))
                };
                let target = self.target(step);
                if c == Source::Register(target) {
                    self.encoder.add_product(minus, target, a, b);
                } else if b == Source::Register(target) {
                    self.encoder.multiply_add(minus, target, a, c);
                } else if let Source::Register(b) = b {
                    if target != a {
                        self.encoder.load(target, Source::Register(a));
                    }
                    self.encoder.multiply_add(minus, target, b, c);
                } else {
                    unreachable!("a factor is in memory only if the sum leaves its register");
                }
                target
            }
            Formula::Integer(opcode) => {
                let (a, b) = (self.loaded(step, a), self.source(step, b));
                let target = self.target(step);
                self.encoder.integer(opcode, target, a, b);
                target
            }
            Formula::Shift(direction, by) => {
                let a = self.loaded(step, a);
                let target = self.target(step);
                self.encoder.shift(direction, by, target, a);
                target
            }
            Formula::Select(how) => {
                let (a, b) = (self.loaded(step, a), self.source(step, b));
                let mask = if self.form.wide { 1 } else { self.fresh() };
                self.encoder.compare(how, mask, a, b);
                let (c, d) = (self.source(step, c), self.loaded(step, d));
                let target = self.target(step);
                self.encoder.select(mask, target, d, c);
                target
            }
        };
        if let Some(row) = step.row {
            self.encoder.store(target, row.into());
        }
        if step.next_out != NEVER {
            let value = &mut self.values[step.out as usize];
            (value.register, value.next_use) = (Some(target), step.next_out);
            self.registers[target as usize] = Some(step.out);
        }
    }

    /// The register of an operand, which is read from memory if it is in none.
    fn loaded(&mut self, step: &Step, k: usize) -> u8 {
        let v = step.operands[k];
        let register = self.values[v as usize].register.unwrap_or_else(|| {
            let register = self.fresh();
            let home = self.values[v as usize].home.expect("what is in no register is in memory");
            self.encoder.load(register, home.into());
            self.values[v as usize].register = Some(register);
            self.registers[register as usize] = Some(v);
            register
        });
        self.in_use |= 1 << register;
        register
    }

    /// Whether an operand is read from memory where it can be: it is there alone, and not used again or the same for all
    /// elements.
    fn in_memory(&self, step: &Step, k: usize) -> bool {
        let value = &self.values[step.operands[k] as usize];
        let fixed = matches!(value.home, Some(Home::Fixed(_)));
        value.register.is_none() && (fixed || step.next[k] == NEVER)
    }

    /// Whether an operand is in a register that is free behind the step.
    fn leaves_register(&self, step: &Step, k: usize) -> bool {
        let value = &self.values[step.operands[k] as usize];
        value.register.is_some() && !value.pinned && step.next[k] == NEVER
    }

    /// An operand: in memory, if that is as good.
    fn source(&mut self, step: &Step, k: usize) -> Source {
        let value = &self.values[step.operands[k] as usize];
        match value.home {
            Some(home) if self.in_memory(step, k) => home.into(),
            _ => Source::Register(self.loaded(step, k)),
        }
    }

    /// A register for the result. The operands are read by then: those that are not used again leave theirs, of which
    /// the last one is taken.
    fn target(&mut self, step: &Step) -> u8 {
        self.in_use = 0;
        let mut left = None;
        for (&v, &next) in step.operands().iter().zip(&step.next) {
            let value = &mut self.values[v as usize];
            value.next_use = next;
            if next == NEVER
                && !value.pinned
                && let Some(register) = value.register.take()
            {
                self.registers[register as usize] = None;
                left = Some(register);
            }
        }
        left.unwrap_or_else(|| self.fresh())
    }

    /// A register for something new.
    fn fresh(&mut self) -> u8 {
        let mut best: Option<(usize, u32)> = None;
        for (register, content) in self.registers.iter().enumerate() {
            let next_use = match *content {
                None => NEVER,
                Some(v) if self.values[v as usize].pinned => continue,
                Some(v) => self.values[v as usize].next_use,
            };
            let free = self.in_use >> register & 1 == 0;
            if free && best.is_none_or(|(_, farthest)| next_use > farthest) {
                best = Some((register, next_use));
            }
        }
        let (register, _) = best.expect("a step needs six registers at most");
        if let Some(v) = self.registers[register].take() {
            let value = &mut self.values[v as usize];
            value.register = None;
            if value.home.is_none() {
                let k = number_of(self.fixed, Fixed::Spill(self.spills));
                self.spills += 1;
                value.home = Some(Home::Fixed(k));
                self.encoder.store(register as u8, Source::Fixed(k));
            }
        }
        self.in_use |= 1 << register;
        register as u8
    }
}
