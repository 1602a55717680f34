//! Where the values of a program live while it runs.

use std::hash::{Hash, Hasher};
use std::rc::Rc;

use rustc_hash::{FxHashMap, FxHasher};

use super::lower::{Instruction, Lowering, Operand, Output};
use super::native::Later;
use super::pair::Pair;
use crate::Real;
use crate::primitive::Primitive;
use crate::rule::MAX_OPERANDS;

/// How many plans are kept. A training asks for the same few in every step; when there are more, the
/// shapes or the structure change all the time, and all are made anew.
const CAPACITY: usize = 512;

/// Where a value is: a chunk of it at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// A part of an input.
    Input(u32),
    /// A row of the scratch memory.
    Slot(u32),
    /// A part of an output.
    Output(u32),
}

#[derive(Debug)]
pub(super) enum Step {
    /// Computes `out`, which is none of the operands.
    Apply { code: Code, operands: [Place; MAX_OPERANDS], out: Place },
    /// Adds a chunk to total number `index`.
    Total { place: Place, index: u32 },
    /// Runs a segment of machine code.
    #[cfg_attr(
        not(all(feature = "jit", target_arch = "x86_64", any(unix, windows))),
        expect(dead_code, reason = "there is none without the feature")
    )]
    Segment(u32),
}

/// What a step does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Code {
    One { primitive: Primitive, exponent: i32 },
    Two(Pair),
}

impl Step {
    /// About how many additions take as long.
    fn cost(&self) -> usize {
        match self {
            Step::Total { .. } | Step::Segment(_) => 1,
            Step::Apply { code: Code::Two(_), .. } => 1,
            Step::Apply { code: Code::One { primitive, .. }, .. } => match primitive {
                primitive if primitive.is_cheap() => 1,
                Primitive::Div | Primitive::Recip | Primitive::Sqrt => 2,
                _ => 8,
            },
        }
    }
}

/// An instruction of the finished program; its value has the number of its place in the list.
#[derive(Clone, Copy, Debug)]
struct Operation {
    code: Code,
    operands: [Operand; MAX_OPERANDS],
    arity: usize,
    /// Whether its value is made within another operation.
    within: bool,
}

/// What an output of a program is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Made {
    /// The `k`th tensor that is written element by element.
    Each(u32),
    /// The `k`th total.
    Total(u32),
}

/// What is done to a chunk.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) steps: Vec<Step>,
    /// The rows of scratch memory: first those of these constants, then those of the repeated inputs, then those of
    /// the values.
    pub(super) constants: Vec<u32>,
    pub(super) slots: usize,
}

/// A program that is ready to run. It does not depend on shapes.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(super) work: Work,
    /// The same as machine code, once the plan has been used much.
    pub(super) native: Later,
    pub(super) outputs: Vec<Made>,
    pub(super) each: usize,
    pub(super) totals: usize,
    /// What an element costs, in additions.
    pub(super) cost: usize,
    /// The program that it was made from.
    pub(super) instructions: Vec<Instruction>,
    pub(super) recorded_outputs: Vec<Output>,
    pub(super) constants: usize,
    pub(super) repeated: usize,
}

/// The plans of earlier programs, by their structure.
#[derive(Debug, Default)]
pub(super) struct PlanCache {
    plans: FxHashMap<u64, Vec<Rc<Plan>>>,
    count: usize,
}

impl PlanCache {
    #[cfg(all(test, feature = "jit", target_arch = "x86_64", any(unix, windows)))]
    pub(super) fn all(&self) -> impl Iterator<Item = &Plan> {
        self.plans.values().flatten().map(|plan| &**plan)
    }

    /// The plan of a program.
    pub(super) fn get<E: Real>(&mut self, program: &Lowering<E>) -> Rc<Plan> {
        let mut hasher = FxHasher::default();
        program.instructions.hash(&mut hasher);
        program.outputs.hash(&mut hasher);
        (program.constants.len(), program.repeated.len()).hash(&mut hasher);
        let hash = hasher.finish();
        let known = self.plans.get(&hash).and_then(|plans| plans.iter().find(|p| p.is_of(program)));
        if let Some(plan) = known {
            return plan.clone();
        }
        if self.count == CAPACITY {
            self.plans.clear();
            self.count = 0;
        }
        self.count += 1;
        let (constants, repeated) = (program.constants.len(), program.repeated.len());
        let plan = Rc::new(Plan::new(&program.instructions, &program.outputs, constants, repeated));
        self.plans.entry(hash).or_default().push(plan.clone());
        plan
    }
}

impl Plan {
    fn is_of<E: Real>(&self, program: &Lowering<E>) -> bool {
        self.instructions == program.instructions
            && self.recorded_outputs == program.outputs
            && self.constants == program.constants.len()
            && self.repeated == program.repeated.len()
    }

    /// The plan of a program with so many constants and inputs that are repeated.
    pub(crate) fn new(
        recorded: &[Instruction],
        recorded_outputs: &[Output],
        constants: usize,
        repeated: usize,
    ) -> Plan {
        let (instructions, outputs) = shared(recorded, recorded_outputs);
        let instructions = paired(&instructions, &outputs);
        let mut planner = Planner {
            places: vec![None; instructions.len()],
            last_use: last_uses(&instructions, &outputs),
            constants,
            free: Vec::new(),
            slots: constants + repeated,
            steps: Vec::new(),
        };
        let leaving = Leaving::new(&outputs, &mut planner.places);
        for (v, operation) in instructions.iter().enumerate().filter(|(_, o)| !o.within) {
            planner.step(v, operation, &leaving.sums[v]);
        }
        let last = leaving.last_steps(|operand| planner.place(operand));
        planner.steps.extend(last);
        Plan {
            cost: planner.steps.iter().map(Step::cost).sum(),
            work: Work {
                steps: planner.steps,
                constants: (0..constants as u32).collect(),
                slots: planner.slots,
            },
            native: Later::default(),
            outputs: leaving.made,
            each: leaving.each as usize,
            totals: leaving.totals as usize,
            instructions: recorded.to_vec(),
            recorded_outputs: recorded_outputs.to_vec(),
            constants,
            repeated,
        }
    }
}

/// Where what leaves a program goes.
#[derive(Default)]
pub(super) struct Leaving {
    made: Vec<Made>,
    each: u32,
    totals: u32,
    /// The totals that each value is added to where it is computed.
    pub(super) sums: Vec<Vec<u32>>,
    /// What is added and copied at the end, because it is not computed or has another place.
    late_sums: Vec<(Operand, u32)>,
    copies: Vec<(Operand, Place)>,
}

impl Leaving {
    /// A value that leaves the program is written where it goes: that is its place.
    pub(super) fn new(outputs: &[Output], places: &mut [Option<Place>]) -> Leaving {
        let sums = vec![Vec::new(); places.len()];
        let mut leaving = Leaving { sums, ..Leaving::default() };
        for &output in outputs {
            match output {
                Output::Each(operand) => {
                    let place = Place::Output(leaving.each);
                    match operand {
                        Operand::Value(v) if places[v as usize].is_none() => {
                            places[v as usize] = Some(place);
                        }
                        _ => leaving.copies.push((operand, place)),
                    }
                    leaving.made.push(Made::Each(leaving.each));
                    leaving.each += 1;
                }
                Output::Total(operand) => {
                    match operand {
                        Operand::Value(v) => leaving.sums[v as usize].push(leaving.totals),
                        _ => leaving.late_sums.push((operand, leaving.totals)),
                    }
                    leaving.made.push(Made::Total(leaving.totals));
                    leaving.totals += 1;
                }
            }
        }
        leaving
    }

    /// What is done at the end.
    pub(super) fn last_steps(&self, place: impl Fn(Operand) -> Place) -> Vec<Step> {
        let sum = |&(operand, index): &_| Step::Total { place: place(operand), index };
        let copy = |&(operand, out): &_| Step::Apply {
            code: Code::One { primitive: Primitive::Copy, exponent: 0 },
            operands: [place(operand); MAX_OPERANDS],
            out,
        };
        self.late_sums.iter().map(sum).chain(self.copies.iter().map(copy)).collect()
    }
}

/// The same program where equal instructions on equal operands are one.
pub(super) fn shared(
    instructions: &[Instruction],
    outputs: &[Output],
) -> (Vec<Instruction>, Vec<Output>) {
    let mut list: Vec<Instruction> = Vec::new();
    let mut known: FxHashMap<Instruction, u32> = FxHashMap::default();
    let mut new_number = Vec::new();
    let renamed = |operand: Operand, new_number: &[u32]| match operand {
        Operand::Value(v) => Operand::Value(new_number[v as usize]),
        other => other,
    };
    for instruction in instructions {
        let mut instruction = *instruction;
        let arity = instruction.primitive.arity();
        for operand in &mut instruction.operands[..arity] {
            *operand = renamed(*operand, &new_number);
        }
        let number = *known.entry(instruction).or_insert_with(|| {
            list.push(instruction);
            list.len() as u32 - 1
        });
        new_number.push(number);
    }
    let outputs = outputs.iter().map(|&output| match output {
        Output::Each(operand) => Output::Each(renamed(operand, &new_number)),
        Output::Total(operand) => Output::Total(renamed(operand, &new_number)),
    });
    (list, outputs.collect())
}

/// The same program where operations whose value has one use are done within another one.
fn paired(instructions: &[Instruction], outputs: &[Output]) -> Vec<Operation> {
    let mut uses = vec![0; instructions.len()];
    let mut count = |operand: &Operand| {
        if let Operand::Value(v) = *operand {
            uses[v as usize] += 1;
        }
    };
    for instruction in instructions {
        instruction.operands[..instruction.primitive.arity()].iter().for_each(&mut count);
    }
    for output in outputs {
        let (Output::Each(operand) | Output::Total(operand)) = output;
        count(operand);
    }
    let mut list: Vec<Operation> = Vec::with_capacity(instructions.len());
    for instruction in instructions {
        let Instruction { primitive, exponent, operands } = *instruction;
        let arity = primitive.arity();
        let code = Code::One { primitive, exponent };
        let mut operation = Operation { code, operands, arity, within: false };
        for side in 0..arity.min(2) {
            let Operand::Value(v) = operands[side] else { continue };
            let inner = list[v as usize];
            if let Code::One { primitive: first, .. } = inner.code
                && uses[v as usize] == 1
                && let Some(pair) = Pair::new(first, primitive, side == 1)
            {
                list[v as usize].within = true;
                let [a, b, ..] = inner.operands;
                let c = operands[1 - side];
                operation.code = Code::Two(pair);
                operation.operands = [a, b, c, c];
                operation.arity = 3;
                break;
            }
        }
        list.push(operation);
    }
    list
}

/// For each value, the last instruction that reads it; its own where none does.
fn last_uses(instructions: &[Operation], outputs: &[Output]) -> Vec<usize> {
    let mut last: Vec<usize> = (0..instructions.len()).collect();
    for (i, instruction) in instructions.iter().enumerate().filter(|(_, o)| !o.within) {
        for operand in &instruction.operands[..instruction.arity] {
            if let Operand::Value(v) = *operand {
                last[v as usize] = i;
            }
        }
    }
    for &output in outputs {
        // What is copied at the end must be there then.
        if let Output::Each(Operand::Value(v)) = output {
            last[v as usize] = usize::MAX;
        }
    }
    last
}

/// Hands out slots.
struct Planner {
    places: Vec<Option<Place>>,
    last_use: Vec<usize>,
    constants: usize,
    free: Vec<u32>,
    slots: usize,
    steps: Vec<Step>,
}

impl Planner {
    fn place(&self, operand: Operand) -> Place {
        match operand {
            Operand::Whole(k) => Place::Input(k),
            Operand::Constant(k) => Place::Slot(k),
            Operand::Repeated(k) => Place::Slot(self.constants as u32 + k),
            Operand::Value(v) => {
                self.places[v as usize].expect("an operand comes before its instruction")
            }
        }
    }

    fn step(&mut self, v: usize, operation: &Operation, sums: &[u32]) {
        let arity = operation.arity;
        let operands = &operation.operands[..arity];
        let places = std::array::from_fn(|k| self.place(operands[k.min(arity - 1)]));
        let out = self.places[v].unwrap_or_else(|| {
            Place::Slot(self.free.pop().unwrap_or_else(|| {
                self.slots += 1;
                self.slots as u32 - 1
            }))
        });
        self.places[v] = Some(out);
        self.steps.push(Step::Apply { code: operation.code, operands: places, out });
        self.steps.extend(sums.iter().map(|&index| Step::Total { place: out, index }));
        // Slots are freed after the result has one of its own: an instruction never writes what it reads.
        self.release(v, v);
        for (k, operand) in operands.iter().enumerate() {
            if let Operand::Value(read) = *operand
                && !operands[..k].contains(operand)
            {
                self.release(read as usize, v);
            }
        }
    }

    /// Frees the slot of a value if instruction `now` is the last that needs it.
    fn release(&mut self, value: usize, now: usize) {
        if self.last_use[value] == now
            && let Some(Place::Slot(slot)) = self.places[value]
        {
            self.free.push(slot);
        }
    }
}
