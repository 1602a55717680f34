//! A segment as a list of steps: instructions by the numbers of values, and when a value is needed next.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::encoder::Source;
use super::formula::{Formula, Integer, Part, Repertoire, commutes};
use super::stages::Stages;
use crate::cluster::lower::Operand;
use crate::cluster::plan::Place;

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

/// A row that a segment works on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) place: Place,
    pub(super) written: bool,
}

/// An instruction, with the numbers of values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) formula: Formula,
    pub(super) operands: [u32; 4],
    /// The steps that read the operands next.
    pub(super) next: [u32; 4],
    pub(super) out: u32,
    /// The step that reads the result first.
    pub(super) next_out: u32,
    /// Where the result goes to in a row.
    pub(super) row: Option<Home>,
}

impl Step {
    pub(super) fn operands(&self) -> &[u32] {
        &self.operands[..self.formula.arity()]
    }

    /// Whether an operand has to be in a register; else it can be in memory as well.
    pub(super) fn needs_register(&self, k: usize) -> bool {
        match self.formula {
            Formula::Two(opcode) => k == 0 && !commutes(opcode),
            Formula::Integer(opcode) => k == 0 && opcode == Integer::Sub,
            Formula::Select(_) => k == 0 || k == 3,
            Formula::Shift(..) => true,
            _ => false,
        }
    }
}

/// Where a value is in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    /// In a row, so many vectors behind that of this turn of the loop.
    Row(u32, u8),
    Fixed(u32),
}

impl Home {
    /// The same for the vector behind.
    fn next(self) -> Home {
        match self {
            Home::Row(row, ahead) => Home::Row(row, ahead + 1),
            Home::Fixed(k) => Home::Fixed(k),
        }
    }
}

impl From<Home> for Source {
    fn from(home: Home) -> Source {
        match home {
            Home::Row(row, ahead) => Source::Row(row, ahead),
            Home::Fixed(k) => Source::Fixed(k),
        }
    }
}

pub(super) const NEVER: u32 = u32::MAX;

/// Writes down the steps of a segment.
pub(super) struct List<'f> {
    repertoire: Repertoire,
    steps: Vec<Step>,
    /// Where each value is in memory, if it is.
    homes: Vec<Option<Home>>,
    pub(super) rows: Vec<Row>,
    fixed: &'f mut Vec<Fixed>,
    of_place: FxHashMap<Place, u32>,
    of_fixed: FxHashMap<Fixed, u32>,
    /// The values of instructions of this segment.
    of_value: FxHashMap<u32, u32>,
}

impl<'f> List<'f> {
    pub(super) fn new(repertoire: Repertoire, fixed: &'f mut Vec<Fixed>) -> Self {
        List {
            repertoire,
            steps: Vec::new(),
            homes: Vec::new(),
            rows: Vec::new(),
            fixed,
            of_place: FxHashMap::default(),
            of_fixed: FxHashMap::default(),
            of_value: FxHashMap::default(),
        }
    }

    pub(super) fn instruction(&mut self, stages: &Stages, v: u32) {
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
            let home = Some(Home::Row(row, 0));
            self.steps.last_mut().expect("at least one formula").row = home;
            self.homes[value as usize] = home;
        }
    }

    /// What has been written down, as a turn of a loop.
    pub(super) fn turn(&self) -> Turn {
        Turn::new(self.steps.clone(), self.homes.clone(), 1)
    }

    fn value(&mut self, home: Option<Home>) -> u32 {
        self.homes.push(home);
        self.homes.len() as u32 - 1
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
        let value = self.value(Some(Home::Row(row, 0)));
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

pub(super) fn number_of(list: &mut Vec<Fixed>, fixed: Fixed) -> u32 {
    let known = list.iter().position(|&known| known == fixed);
    known.unwrap_or_else(|| {
        list.push(fixed);
        list.len() - 1
    }) as u32
}

/// What is done in a turn of a loop.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) steps: Vec<Step>,
    /// Where each value is in memory, if it is.
    pub(super) homes: Vec<Option<Home>>,
    /// The vectors of a row that it works on.
    pub(super) vectors: u8,
    /// How many values that are not fixed are in use at once at most.
    pub(super) pressure: usize,
}

impl Turn {
    fn new(steps: Vec<Step>, homes: Vec<Option<Home>>, vectors: u8) -> Turn {
        let mut turn = Turn { steps, homes, vectors, pressure: 0 };
        turn.look_ahead();
        turn
    }

    pub(super) fn is_fixed(&self, v: u32) -> bool {
        matches!(self.homes[v as usize], Some(Home::Fixed(_)))
    }

    /// Sets the next uses, and counts values.
    fn look_ahead(&mut self) {
        // What comes from a row is in use from where it is read first.
        let mut first = vec![NEVER; self.homes.len()];
        for (number, step) in self.steps.iter().enumerate().rev() {
            first[step.out as usize] = number as u32;
            step.operands().iter().for_each(|&v| first[v as usize] = number as u32);
        }
        let mut next = vec![NEVER; self.homes.len()];
        let mut alive = 0usize;
        for number in (0..self.steps.len()).rev() {
            let mut read: SmallVec<[u32; 4]> = self.steps[number].operands().into();
            let step = &mut self.steps[number];
            step.next_out = next[step.out as usize];
            alive -= usize::from(step.next_out != NEVER);
            for (next_use, &operand) in step.next.iter_mut().zip(&read) {
                *next_use = next[operand as usize];
            }
            read.sort_unstable();
            read.dedup();
            read.retain(|&mut v| !self.is_fixed(v));
            alive += read.iter().filter(|&&v| next[v as usize] == NEVER).count();
            self.steps[number].operands().iter().for_each(|&v| next[v as usize] = number as u32);
            self.pressure = self.pressure.max(alive);
            alive -= read.iter().filter(|&&v| first[v as usize] == number as u32).count();
        }
    }

    /// The most steps each of which needs the one before.
    pub(super) fn depth(&self) -> u32 {
        let mut depth = vec![0; self.homes.len()];
        for step in &self.steps {
            let deepest = step.operands().iter().map(|&v| depth[v as usize]).max().unwrap_or(0);
            depth[step.out as usize] = deepest + 1;
        }
        depth.into_iter().max().unwrap_or(0)
    }

    /// The same for two vectors at once: each step for the first one, then for the second one.
    pub(super) fn paired(&self) -> Turn {
        let mut homes = self.homes.clone();
        let others: Vec<u32> = (0..self.homes.len() as u32)
            .map(|v| match self.homes[v as usize] {
                Some(Home::Fixed(_)) => v,
                home => {
                    homes.push(home.map(Home::next));
                    homes.len() as u32 - 1
                }
            })
            .collect();
        let second = |step: &Step| Step {
            operands: step.operands.map(|v| others[v as usize]),
            out: others[step.out as usize],
            row: step.row.map(Home::next),
            ..*step
        };
        let steps = self.steps.iter().flat_map(|step| [*step, second(step)]).collect();
        Turn::new(steps, homes, 2)
    }
}
