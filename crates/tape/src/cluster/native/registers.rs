//! From instructions to code: what is in which register.
//!
//! A value stays in the register where it was made or read until the register is needed for another one; then the one
//! goes whose next use is farthest (L. Belady, A study of replacement algorithms for virtual-storage computers,
//! 1966). Numbers that are the same for all elements are read before the loop, as far as there are registers left for them.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::encoder::{Encoder, Form, Source};
use super::formula::{Formula, Integer, Part, Repertoire, commutes};
use super::stages::Stages;
use crate::cluster::lower::Operand;
use crate::cluster::plan::Place;
use crate::machine_code::Opcode;

/// A vector that is the same for all elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Fixed {
    /// A constant of the program.
    Constant(u32),
    /// The number of these bits.
    Bits(u64),
    /// Room for what has no register at the moment.
    Spill(u32),
}

/// Writes segments.
pub(super) struct Translator {
    pub(super) encoder: Encoder,
    form: Form,
    repertoire: Repertoire,
    /// What the segments need besides rows.
    pub(super) fixed: Vec<Fixed>,
}

/// A row that a segment works on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) place: Place,
    pub(super) written: bool,
}

/// An instruction, with the numbers of values.
#[derive(Debug)]
struct Step {
    formula: Formula,
    operands: [u32; 4],
    /// The steps that read the operands next.
    next: [u32; 4],
    out: u32,
    /// The step that reads the result first.
    next_out: u32,
    /// The row that the result goes to.
    row: Option<u32>,
}

impl Step {
    fn operands(&self) -> &[u32] {
        &self.operands[..self.formula.arity()]
    }

    /// Whether an operand has to be in a register; else it can be in memory as well.
    fn needs_register(&self, k: usize) -> bool {
        match self.formula {
            Formula::Two(opcode) => k == 0 && !commutes(opcode),
            Formula::Integer(opcode) => k == 0 && opcode == Integer::Sub,
            Formula::Select(_) => k == 0 || k == 3,
            Formula::Shift(..) => true,
            _ => false,
        }
    }
}

/// What is known of a value.
#[derive(Clone, Copy, Debug, Default)]
struct Value {
    /// Where it is in memory.
    home: Option<Home>,
    register: Option<u8>,
    next_use: u32,
    /// Whether its register is its own in the whole loop.
    pinned: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Home {
    Row(u32),
    Fixed(u32),
}

impl From<Home> for Source {
    fn from(home: Home) -> Source {
        match home {
            Home::Row(row) => Source::Row(row),
            Home::Fixed(k) => Source::Fixed(k),
        }
    }
}

const NEVER: u32 = u32::MAX;

impl Translator {
    pub(super) fn new(form: Form, repertoire: Repertoire) -> Self {
        Translator { encoder: Encoder::new(form), form, repertoire, fixed: Vec::new() }
    }

    /// Writes the code of a segment; where it begins, and its rows.
    pub(super) fn segment(&mut self, stages: &Stages, members: &[u32]) -> (usize, Vec<Row>) {
        let mut list = List::new(self.repertoire, &mut self.fixed);
        members.iter().for_each(|&v| list.instruction(stages, v));
        let List { steps, values, rows, .. } = list;
        let (steps, pressure) = with_next_uses(steps, &values);
        let entry = self.encoder.begin(rows.len());
        let mut allocation = Allocation {
            encoder: &mut self.encoder,
            form: self.form,
            fixed: &mut self.fixed,
            spills: 0,
            values,
            registers: vec![None; self.form.registers()],
            in_use: 0,
        };
        allocation.pin(&steps, pressure);
        allocation.encoder.begin_loop();
        steps.iter().for_each(|step| allocation.step(step));
        self.encoder.end();
        (entry, rows)
    }
}

/// The steps of a segment as they are written.
struct List<'f> {
    repertoire: Repertoire,
    steps: Vec<Step>,
    values: Vec<Value>,
    rows: Vec<Row>,
    fixed: &'f mut Vec<Fixed>,
    of_place: FxHashMap<Place, u32>,
    of_fixed: FxHashMap<Fixed, u32>,
    /// The values of instructions of this segment.
    of_value: FxHashMap<u32, u32>,
}

impl<'f> List<'f> {
    fn new(repertoire: Repertoire, fixed: &'f mut Vec<Fixed>) -> Self {
        List {
            repertoire,
            steps: Vec::new(),
            values: Vec::new(),
            rows: Vec::new(),
            fixed,
            of_place: FxHashMap::default(),
            of_fixed: FxHashMap::default(),
            of_value: FxHashMap::default(),
        }
    }

    fn instruction(&mut self, stages: &Stages, v: u32) {
        let instruction = &stages.instructions[v as usize];
        let mut made: SmallVec<[u32; 4]> = SmallVec::new();
        for &(formula, parts) in self.repertoire.formulas(instruction.primitive).iter() {
            let mut operands = [0; 4];
            for (number, part) in operands.iter_mut().zip(parts).take(formula.arity()) {
                *number = match part {
                    Part::Operand(k) => self.operand(stages, instruction.operands[k as usize]),
                    Part::Fixed(number) => {
                        self.fixed(Fixed::Bits(number.bits(self.repertoire.double)))
                    }
                    Part::Made(k) => made[k as usize],
                };
            }
            let out = self.value(None);
            made.push(out);
            let (next, next_out) = ([NEVER; 4], NEVER);
            self.steps.push(Step { formula, operands, next, out, next_out, row: None });
        }
        let &value = made.last().expect("at least one formula");
        self.of_value.insert(v, value);
        if let Some(place) = stages.places[v as usize] {
            let row = self.row(place);
            self.rows[row as usize].written = true;
            self.steps.last_mut().expect("at least one formula").row = Some(row);
            self.values[value as usize].home = Some(Home::Row(row));
        }
    }

    fn value(&mut self, home: Option<Home>) -> u32 {
        self.values.push(Value { home, ..Value::default() });
        self.values.len() as u32 - 1
    }

    fn row(&mut self, place: Place) -> u32 {
        let known = self.rows.iter().position(|row| row.place == place);
        known.unwrap_or_else(|| {
            self.rows.push(Row { place, written: false });
            self.rows.len() - 1
        }) as u32
    }

    fn operand(&mut self, stages: &Stages, operand: Operand) -> u32 {
        let place = match operand {
            Operand::Constant(c) => return self.fixed(Fixed::Constant(c)),
            Operand::Value(v) => match self.of_value.get(&v) {
                Some(&value) => return value,
                None => stages.places[v as usize].expect("what a segment reads has a place"),
            },
            other => stages.rows.place(other),
        };
        if let Some(&value) = self.of_place.get(&place) {
            return value;
        }
        let row = self.row(place);
        let value = self.value(Some(Home::Row(row)));
        self.of_place.insert(place, value);
        value
    }

    fn fixed(&mut self, fixed: Fixed) -> u32 {
        if let Some(&value) = self.of_fixed.get(&fixed) {
            return value;
        }
        let k = number_of(self.fixed, fixed);
        let value = self.value(Some(Home::Fixed(k)));
        self.of_fixed.insert(fixed, value);
        value
    }
}

fn number_of(list: &mut Vec<Fixed>, fixed: Fixed) -> u32 {
    let known = list.iter().position(|&known| known == fixed);
    known.unwrap_or_else(|| {
        list.push(fixed);
        list.len() - 1
    }) as u32
}

/// The steps with the next uses of their operands, and how many values that are not fixed are in use at once at most.
fn with_next_uses(mut steps: Vec<Step>, values: &[Value]) -> (Vec<Step>, usize) {
    let is_fixed = |v: u32| matches!(values[v as usize].home, Some(Home::Fixed(_)));
    let mut next = vec![NEVER; values.len()];
    // What comes from a row is in use from where it is read first.
    let mut first = vec![NEVER; values.len()];
    for (number, step) in steps.iter().enumerate().rev() {
        first[step.out as usize] = number as u32;
        step.operands().iter().for_each(|&v| first[v as usize] = number as u32);
    }
    let (mut alive, mut pressure) = (0usize, 0);
    for (number, step) in steps.iter_mut().enumerate().rev() {
        let number = number as u32;
        step.next_out = next[step.out as usize];
        alive -= usize::from(step.next_out != NEVER);
        let operands: SmallVec<[u32; 4]> = step.operands().into();
        for (next_use, &operand) in step.next.iter_mut().zip(&operands) {
            *next_use = next[operand as usize];
        }
        for &operand in &operands {
            let known = next[operand as usize] != NEVER || is_fixed(operand);
            alive += usize::from(!known);
            next[operand as usize] = number;
        }
        pressure = pressure.max(alive);
        let mut read: SmallVec<[u32; 4]> = operands;
        read.sort_unstable();
        read.dedup();
        let begins = |v: &&u32| first[**v as usize] == number && !is_fixed(**v);
        alive -= read.iter().filter(begins).count();
    }
    (steps, pressure)
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
    /// The registers that the step under way needs, as bits.
    in_use: u32,
}

impl Allocation<'_> {
    /// Reads numbers that are the same for all elements before the loop: those that are used most, if registers are left.
    fn pin(&mut self, steps: &[Step], pressure: usize) {
        let mut uses = vec![0u32; self.values.len()];
        for step in steps {
            for (k, &v) in step.operands().iter().enumerate() {
                // Where it must be in a register it costs an instruction more.
                uses[v as usize] += if step.needs_register(k) { 3 } else { 1 };
            }
        }
        let is_fixed = |v: &usize| matches!(self.values[*v].home, Some(Home::Fixed(_)));
        let mut fixed: Vec<usize> = (0..self.values.len()).filter(is_fixed).collect();
        fixed.sort_by_key(|&v| u32::MAX - uses[v]);
        let all = self.registers.len();
        // A step needs up to six at once.
        let left = all.saturating_sub(pressure + 2).clamp(all / 4, all - 6);
        for (register, &v) in fixed.iter().take(left).enumerate() {
            let home = self.values[v].home.expect("it is a fixed one");
            self.encoder.load(register as u8, home.into());
            self.registers[register] = Some(v as u32);
            let value = &mut self.values[v];
            (value.register, value.pinned) = (Some(register as u8), true);
        }
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
            self.encoder.store(target, Source::Row(row));
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

    /// Whether an operand is in a register that is free behind the step, and is no other operand.
    fn leaves_register(&self, step: &Step, k: usize) -> bool {
        let value = &self.values[step.operands[k] as usize];
        let others = step.operands().iter().filter(|&&v| v == step.operands[k]).count();
        value.register.is_some() && !value.pinned && step.next[k] == NEVER && others == 1
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
