//! What of a program becomes machine code, and how few pieces it can be.
//!
//! A value is in a register within a segment and in a row of the scratch memory between two steps, so there should be few
//! segments with few values between them. All instructions that need no function of another value are one segment;
//! then come those functions, then all that needs nothing but these, and so on. A function here is what the
//! interpreter computes; those that are written as instructions ([`Repertoire`]) are as any other instruction.

use super::formula::Repertoire;
use crate::cluster::lower::{Instruction, Operand, Output};
use crate::cluster::plan::{Code, Leaving, Place, Step, Work, shared};
use crate::primitive::Primitive;
use crate::rule::MAX_OPERANDS;

/// A program in the order in which it is done.
#[derive(Debug)]
pub(super) struct Stages {
    pub(super) instructions: Vec<Instruction>,
    /// The steps, some of which are segments.
    pub(super) work: Work,
    /// The instructions of each segment.
    pub(super) segments: Vec<Vec<u32>>,
    /// Where the value of an instruction is for other steps, if any need it.
    pub(super) places: Vec<Option<Place>>,
    /// Where inputs are.
    pub(super) rows: Rows,
}

/// The rows of the scratch memory that hold what is not computed.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// The constants that are operands of functions.
    constants: Vec<u32>,
}

impl Rows {
    /// Where an operand is that is no value.
    pub(super) fn place(&self, operand: Operand) -> Place {
        match operand {
            Operand::Whole(k) => Place::Input(k),
            Operand::Repeated(k) => Place::Slot(self.constants.len() as u32 + k),
            Operand::Constant(c) => {
                let row = self.constants.iter().position(|&known| known == c);
                Place::Slot(row.expect("rows for the constants that steps read") as u32)
            }
            Operand::Value(_) => unreachable!("a value has a place of its own"),
        }
    }
}

/// A unit of the order.
enum Unit {
    Segment(Vec<u32>),
    Function(u32),
}

/// The stages of a program with so many repeated inputs.
pub(super) fn stages(
    recorded: &[Instruction],
    outputs: &[Output],
    repeated: usize,
    repertoire: Repertoire,
) -> Stages {
    let (instructions, outputs) = expanded(recorded, outputs);
    let (instructions, outputs) = shared(&instructions, &outputs);
    let uses = Uses::new(&instructions, &outputs, repertoire);
    let stage = sunk(&instructions, &uses, earliest(&instructions, &uses));
    let units = units(&uses, &stage);

    let mut rows = Rows::default();
    let mut constant = |operand: &Operand| {
        if let Operand::Constant(c) = *operand
            && !rows.constants.contains(&c)
        {
            rows.constants.push(c);
        }
    };
    for unit in &units {
        if let Unit::Function(v) = *unit {
            operands(&instructions[v as usize]).iter().for_each(&mut constant);
        }
    }
    for output in &outputs {
        let (Output::Each(operand) | Output::Total(operand)) = output;
        constant(operand);
    }
    let mut planner = Planner {
        unit_of: vec![usize::MAX; instructions.len()],
        last_use: vec![0; instructions.len()],
        places: vec![None; instructions.len()],
        slots: rows.constants.len() + repeated,
        free: Vec::new(),
        rows,
        steps: Vec::new(),
        segments: Vec::new(),
    };
    planner.plan(&instructions, &outputs, &units);
    let work = Work {
        steps: planner.steps,
        constants: planner.rows.constants.clone(),
        slots: planner.slots,
    };
    let Planner { segments, places, rows, .. } = planner;
    Stages { instructions, work, segments, places, rows }
}

fn operands(instruction: &Instruction) -> &[Operand] {
    &instruction.operands[..instruction.primitive.arity()]
}

/// The values that an instruction reads.
fn values(instruction: &Instruction) -> impl Iterator<Item = usize> {
    operands(instruction).iter().filter_map(|operand| match *operand {
        Operand::Value(v) => Some(v as usize),
        _ => None,
    })
}

/// The same program where integer powers are products and nothing is a copy.
fn expanded(recorded: &[Instruction], outputs: &[Output]) -> (Vec<Instruction>, Vec<Output>) {
    let mut list: Vec<Instruction> = Vec::new();
    let mut renamed: Vec<Operand> = Vec::new();
    let rename = |operand: Operand, renamed: &[Operand]| match operand {
        Operand::Value(v) => renamed[v as usize],
        other => other,
    };
    let mut push = |primitive, exponent, operands: [Operand; MAX_OPERANDS]| {
        list.push(Instruction { primitive, exponent, operands });
        Operand::Value(list.len() as u32 - 1)
    };
    for instruction in recorded {
        let Instruction { primitive, exponent, mut operands } = *instruction;
        for operand in &mut operands[..primitive.arity()] {
            *operand = rename(*operand, &renamed);
        }
        let [x, ..] = operands;
        renamed.push(match primitive {
            Primitive::Copy | Primitive::Stop => x,
            // The products of the interpreter, in its order.
            Primitive::Powi if exponent != 0 => {
                let (mut rest, mut square) = (exponent.unsigned_abs(), x);
                let mut power = None;
                loop {
                    if rest & 1 == 1 {
                        power = Some(match power {
                            None => square,
                            Some(power) => push(Primitive::Mul, 0, [power, square, square, square]),
                        });
                    }
                    rest >>= 1;
                    if rest == 0 {
                        break;
                    }
                    square = push(Primitive::Mul, 0, [square; MAX_OPERANDS]);
                }
                let power = power.expect("an exponent other than 0");
                if exponent < 0 { push(Primitive::Recip, 0, [power; MAX_OPERANDS]) } else { power }
            }
            _ => push(primitive, exponent, operands),
        });
    }
    let outputs = outputs.iter().map(|&output| match output {
        Output::Each(operand) => Output::Each(rename(operand, &renamed)),
        Output::Total(operand) => Output::Total(rename(operand, &renamed)),
    });
    let outputs = outputs.collect();
    (list, outputs)
}

/// Who needs the values.
struct Uses {
    /// The instructions that read each, those that nobody needs left out.
    readers: Vec<Vec<u32>>,
    needed: Vec<bool>,
    /// Whether it leaves the program.
    leaves: Vec<bool>,
    /// Whether it is computed by instructions.
    coded: Vec<bool>,
}

impl Uses {
    fn new(instructions: &[Instruction], outputs: &[Output], repertoire: Repertoire) -> Uses {
        let len = instructions.len();
        let mut uses = Uses {
            readers: vec![Vec::new(); len],
            needed: vec![false; len],
            leaves: vec![false; len],
            coded: instructions.iter().map(|i| repertoire.has(i.primitive)).collect(),
        };
        for output in outputs {
            if let Output::Each(Operand::Value(v)) | Output::Total(Operand::Value(v)) = *output {
                uses.leaves[v as usize] = true;
            }
        }
        for (v, instruction) in instructions.iter().enumerate().rev() {
            uses.needed[v] = uses.leaves[v] || !uses.readers[v].is_empty();
            if uses.needed[v] {
                for operand in values(instruction) {
                    if uses.readers[operand].last() != Some(&(v as u32)) {
                        uses.readers[operand].push(v as u32);
                    }
                }
            }
        }
        uses
    }
}

/// The number of the first segment that an instruction can be in, or of the segment that a function comes behind.
fn earliest(instructions: &[Instruction], uses: &Uses) -> Vec<u32> {
    let mut stage: Vec<u32> = Vec::with_capacity(instructions.len());
    for (instruction, &here) in instructions.iter().zip(&uses.coded) {
        let after = |v: usize| stage[v] + u32::from(here && !uses.coded[v]);
        stage.push(values(instruction).map(after).max().unwrap_or(0));
    }
    stage
}

/// Moves instructions to the segment that needs them, where no more values are between segments then.
fn sunk(instructions: &[Instruction], uses: &Uses, mut stage: Vec<u32>) -> Vec<u32> {
    for v in (0..instructions.len()).rev() {
        if !uses.coded[v] || !uses.needed[v] || uses.leaves[v] {
            continue;
        }
        let first = uses.readers[v].iter().map(|&reader| stage[reader as usize]).min();
        let Some(first) = first.filter(|&first| first > stage[v]) else { continue };
        // The operands that would be kept for it, and are not kept for anything else.
        let mut kept = 0;
        for operand in values(&instructions[v]) {
            let within = |&reader: &u32| {
                uses.coded[reader as usize]
                    && (stage[reader as usize] == stage[operand] || reader == v as u32)
            };
            let in_registers = uses.coded[operand]
                && !uses.leaves[operand]
                && uses.readers[operand].iter().all(within);
            kept += u32::from(in_registers);
        }
        if kept <= 1 {
            stage[v] = first;
        }
    }
    stage
}

/// The order.
fn units(uses: &Uses, stage: &[u32]) -> Vec<Unit> {
    let mut order: Vec<u32> =
        (0..stage.len() as u32).filter(|&v| uses.needed[v as usize]).collect();
    let is_function = |v: u32| !uses.coded[v as usize];
    // It is a stable one, so operands stay before those that read them.
    order.sort_by_key(|&v| (stage[v as usize], is_function(v)));
    let mut units: Vec<Unit> = Vec::new();
    let mut last = None;
    for v in order {
        match units.last_mut() {
            _ if is_function(v) => units.push(Unit::Function(v)),
            Some(Unit::Segment(members)) if last == Some(stage[v as usize]) => members.push(v),
            _ => units.push(Unit::Segment(vec![v])),
        }
        last = Some(stage[v as usize]);
    }
    units
}

/// Hands out rows.
struct Planner {
    unit_of: Vec<usize>,
    /// The last unit that needs a value.
    last_use: Vec<usize>,
    places: Vec<Option<Place>>,
    slots: usize,
    free: Vec<u32>,
    rows: Rows,
    steps: Vec<Step>,
    segments: Vec<Vec<u32>>,
}

impl Planner {
    fn plan(&mut self, instructions: &[Instruction], outputs: &[Output], units: &[Unit]) {
        let mut kept = vec![false; instructions.len()];
        for (number, unit) in units.iter().enumerate() {
            for &v in unit.members() {
                self.unit_of[v as usize] = number;
                self.last_use[v as usize] = number;
                for operand in values(&instructions[v as usize]) {
                    self.last_use[operand] = number;
                    kept[operand] |= self.unit_of[operand] != number;
                }
            }
        }
        let leaving = Leaving::new(outputs, &mut self.places);
        for (kept, sums) in kept.iter_mut().zip(&leaving.sums) {
            *kept |= !sums.is_empty();
        }
        let mut read = Vec::new();
        for (number, unit) in units.iter().enumerate() {
            read.clear();
            for &v in unit.members() {
                read.push(v as usize);
                read.extend(values(&instructions[v as usize]));
                let function = matches!(unit, Unit::Function(_));
                if self.places[v as usize].is_none() && (function || kept[v as usize]) {
                    let slot = self.free.pop().unwrap_or_else(|| {
                        self.slots += 1;
                        self.slots as u32 - 1
                    });
                    self.places[v as usize] = Some(Place::Slot(slot));
                }
            }
            match unit {
                Unit::Segment(members) => {
                    self.steps.push(Step::Segment(self.segments.len() as u32));
                    self.segments.push(members.clone());
                }
                Unit::Function(v) => self.function(*v, &instructions[*v as usize]),
            }
            for &v in unit.members() {
                let place = self.places[v as usize];
                for &index in &leaving.sums[v as usize] {
                    let place = place.expect("what is summed has a place");
                    self.steps.push(Step::Total { place, index });
                }
            }
            // Rows are freed behind the unit: none writes what it reads.
            read.sort_unstable();
            read.dedup();
            for &v in &read {
                if self.last_use[v] == number
                    && let Some(Place::Slot(slot)) = self.places[v]
                {
                    self.free.push(slot);
                }
            }
        }
        let last = leaving.last_steps(|operand| self.place(operand));
        self.steps.extend(last);
    }

    fn function(&mut self, v: u32, instruction: &Instruction) {
        let &Instruction { primitive, exponent, .. } = instruction;
        let read = operands(instruction);
        let operands = std::array::from_fn(|k| self.place(read[k.min(read.len() - 1)]));
        let out = self.places[v as usize].expect("the value of a function has a place");
        self.steps.push(Step::Apply { code: Code::One { primitive, exponent }, operands, out });
    }

    fn place(&self, operand: Operand) -> Place {
        match operand {
            Operand::Value(v) => self.places[v as usize].expect("what a step reads has a place"),
            other => self.rows.place(other),
        }
    }
}

impl Unit {
    fn members(&self) -> &[u32] {
        match self {
            Unit::Segment(members) => members,
            Unit::Function(v) => std::slice::from_ref(v),
        }
    }
}
