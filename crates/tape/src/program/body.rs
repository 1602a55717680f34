//! The list of instructions of a program.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::Real;
use crate::external::Action;
use crate::primitive::Primitive;
use crate::rule::{ErasedRule, MAX_OPERANDS};

/// Where an instruction finds an operand, in four bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Operand(u32);

/// An [`Operand`], unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// What an earlier instruction makes.
    Value(u32),
    /// An argument of the program.
    Input(u32),
    /// An entry of the constants.
    Constant(u32),
}

const KIND: u32 = 3 << 30;
const INPUT: u32 = 1 << 30;
const CONSTANT: u32 = 2 << 30;

impl Operand {
    fn new(kind: u32, number: usize) -> Operand {
        assert!(number < 1 << 30, "a program holds at most 2^30 instructions");
        Operand(kind | number as u32)
    }

    pub(crate) fn value(number: usize) -> Operand {
        Operand::new(0, number)
    }

    pub(crate) fn input(number: usize) -> Operand {
        Operand::new(INPUT, number)
    }

    pub(crate) fn constant(number: usize) -> Operand {
        Operand::new(CONSTANT, number)
    }

    pub(crate) fn source(self) -> Source {
        let number = self.0 & !KIND;
        match self.0 & KIND {
            INPUT => Source::Input(number),
            CONSTANT => Source::Constant(number),
            _ => Source::Value(number),
        }
    }

    /// The instruction that makes it, if one does.
    pub(crate) fn as_value(self) -> Option<usize> {
        match self.source() {
            Source::Value(v) => Some(v as usize),
            _ => None,
        }
    }
}

/// What an instruction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// A primitive, and the exponent if that is `powi`.
    Primitive(Primitive, i32),
    /// A rule of the program's table.
    Rule(u32),
    /// A result of one of the program's calls; see [`Body::result`].
    Result(u32),
}

/// One instruction; its value has the number of its place in the list. Operands beyond the arity repeat
/// the first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instruction {
    pub(crate) code: Code,
    pub(crate) operands: [Operand; MAX_OPERANDS],
}

impl Instruction {
    /// A result of a call, which has the operands.
    pub(crate) fn result(number: u32) -> Instruction {
        Instruction { code: Code::Result(number), operands: [Operand::input(0); MAX_OPERANDS] }
    }

    /// A hash whose low bits depend on all of it.
    pub(crate) fn mixed(&self) -> u64 {
        let code = match self.code {
            Code::Primitive(primitive, exponent) => {
                primitive as u64 | u64::from(exponent as u32) << 8
            }
            Code::Rule(k) => 0xFF | u64::from(k) << 8,
            Code::Result(k) => 0xFE | u64::from(k) << 8,
        };
        let [a, b, c, d] = self.operands.map(|o| u64::from(o.0));
        // The upper half of a product of 64-bit numbers depends on all bits of both.
        let fold = |x: u64, y: u64| {
            let product =
                u128::from(x ^ 0x9E37_79B9_7F4A_7C15) * u128::from(y ^ 0xD1B5_4A32_D192_ED03);
            (product >> 64) as u64 ^ product as u64
        };
        fold(fold(a | b << 32, c | d << 32), code)
    }
}

/// What a comparison gave while the program was recorded: the operand must be 1 if it held and else 0.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) operand: Operand,
    pub(crate) held: bool,
    pub(crate) location: Arc<str>,
}

/// A call of a function of a user. Each of its results is an instruction ([`Code::Result`]), and the first of
/// them that a run meets makes all.
#[derive(Clone)]
pub(crate) struct Call<E: Real> {
    pub(crate) action: Action<E>,
    pub(crate) operands: Vec<Operand>,
    /// The number of its first result; those of all calls are numbered one after the other.
    pub(crate) first: u32,
}

/// A straight-line program. Every operand is an earlier instruction, an input, or a constant that is there.
#[derive(Clone)]
pub(crate) struct Body<E: Real> {
    pub(crate) inputs: usize,
    pub(crate) instructions: Vec<Instruction>,
    pub(crate) constants: Vec<E>,
    pub(crate) rules: Vec<Arc<dyn ErasedRule<E>>>,
    pub(crate) calls: Vec<Call<E>>,
    pub(crate) outputs: Vec<Operand>,
    pub(crate) conditions: Vec<Condition>,
}

impl<E: Real> Body<E> {
    /// A program without instructions.
    pub(crate) fn empty(inputs: usize) -> Body<E> {
        Body {
            inputs,
            instructions: Vec::new(),
            constants: Vec::new(),
            rules: Vec::new(),
            calls: Vec::new(),
            outputs: Vec::new(),
            conditions: Vec::new(),
        }
    }

    /// The operands of an instruction, without the fillers.
    pub(crate) fn operands<'i>(&'i self, instruction: &'i Instruction) -> &'i [Operand] {
        let arity = match instruction.code {
            Code::Primitive(primitive, _) => primitive.arity(),
            Code::Rule(k) => self.rules[k as usize].arity(),
            Code::Result(number) => return &self.calls[self.result(number).0].operands,
        };
        &instruction.operands[..arity]
    }

    /// Which call makes a result, and the how manieth of its results it is.
    pub(crate) fn result(&self, number: u32) -> (usize, usize) {
        let call = self.calls.partition_point(|call| call.first <= number) - 1;
        (call, (number - self.calls[call].first) as usize)
    }

    /// How many results all calls have.
    pub(crate) fn results(&self) -> u32 {
        self.calls.last().map_or(0, |call| call.first + call.action.outputs() as u32)
    }

    /// Appends a call, and gives the number of its first result.
    pub(crate) fn push_call(&mut self, action: Action<E>, operands: Vec<Operand>) -> u32 {
        let first = self.results();
        self.calls.push(Call { action, operands, first });
        first
    }

    /// What must be computed.
    pub(crate) fn roots(&self) -> impl Iterator<Item = Operand> {
        self.outputs.iter().copied().chain(self.conditions.iter().map(|c| c.operand))
    }

    /// The same program without its list: to be filled anew.
    pub(crate) fn emptied(&self) -> Body<E> {
        Body {
            instructions: Vec::with_capacity(self.instructions.len()),
            rules: self.rules.clone(),
            ..Body::empty(self.inputs)
        }
    }
}

impl std::fmt::Debug for Operand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.source())
    }
}

impl Condition {
    /// An error if the indicator says otherwise than when the program was recorded.
    pub(crate) fn check<E: Real>(
        &self,
        indicator: E,
        point: Option<usize>,
    ) -> Result<(), super::ProgramError> {
        let expected = if self.held { E::ONE } else { E::ZERO };
        if indicator == expected {
            return Ok(());
        }
        Err(super::ProgramError::BranchChanged {
            location: self.location.to_string(),
            held: self.held,
            point,
        })
    }
}

/// What a derivative of an instruction flows to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dependency {
    /// What instruction number `k` makes.
    Value(usize),
    /// Input number `k` of the program.
    Input(usize),
}

impl Operand {
    fn dependency(self) -> Option<Dependency> {
        match self.source() {
            Source::Value(v) => Some(Dependency::Value(v as usize)),
            Source::Input(k) => Some(Dependency::Input(k as usize)),
            Source::Constant(_) => None,
        }
    }
}

impl<E: Real> Body<E> {
    /// Calls `f` with what a derivative of each instruction flows to, in order, and gives that of each output.
    pub(crate) fn dependencies(&self, mut f: impl FnMut(&[Dependency])) -> Vec<Option<Dependency>> {
        let mut list: SmallVec<[Dependency; MAX_OPERANDS]> = SmallVec::new();
        for instruction in &self.instructions {
            let operands = match instruction.code {
                Code::Primitive(Primitive::Stop, _) => &[],
                // Nothing flows to what decides.
                Code::Primitive(Primitive::SelectGt, _) => &instruction.operands[2..],
                _ => self.operands(instruction),
            };
            list.clear();
            list.extend(operands.iter().filter_map(|o| o.dependency()));
            f(&list);
        }
        self.outputs.iter().map(|o| o.dependency()).collect()
    }
}
