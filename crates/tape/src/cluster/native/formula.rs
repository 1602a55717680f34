//! Which primitives are instructions, and which.

use std::borrow::Cow;

use super::functions;
use crate::machine_code::Opcode;
use crate::primitive::Primitive;

/// Whether the operands of an instruction can be exchanged.
pub(super) fn commutes(opcode: Opcode) -> bool {
    use Opcode::{Add, And, Mul, Or, Xor};
    matches!(opcode, Add | And | Mul | Or | Xor)
}

/// A comparison, by the number that the instruction has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Comparison {
    Equal = 0,
    Less = 1,
    LessOrEqual = 2,
    Greater = 14,
}

/// What is done to the bits of numbers as if they were integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Integer {
    Add,
    Sub,
}

/// Where bits are moved to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Left,
    Right,
}

/// What an instruction computes from its operands `a`, `b`, `c`, `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Formula {
    /// The square root of `a`.
    Sqrt,
    /// `a opcode b`.
    Two(Opcode),
    /// `a b + c`, rounded once.
    MulAdd,
    /// `c - a b`, rounded once.
    SubProduct,
    /// `a` and `b` as integers.
    Integer(Integer),
    /// The bits of `a` moved by so many places.
    Shift(Direction, u8),
    /// `c` where the comparison of `a` with `b` holds, else `d`.
    Select(Comparison),
}

impl Formula {
    pub(super) fn arity(self) -> usize {
        match self {
            Formula::Sqrt | Formula::Shift(..) => 1,
            Formula::Two(_) | Formula::Integer(_) => 2,
            Formula::MulAdd | Formula::SubProduct => 3,
            Formula::Select(_) => 4,
        }
    }
}

/// Vectors of one number that instructions need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Number {
    Zero,
    One,
    /// The sign bit alone.
    Sign,
    /// All bits but the sign.
    Magnitude,
    /// The number of these bits.
    Bits(u64),
}

impl Number {
    /// The bits of the number, with 64 or 32 bits.
    pub(super) fn bits(self, double: bool) -> u64 {
        let sign = if double { 1 << 63 } else { 1 << 31 };
        match self {
            Number::Zero => 0,
            Number::One if double => 1.0_f64.to_bits(),
            Number::One => 1.0_f32.to_bits().into(),
            Number::Sign => sign,
            Number::Magnitude => sign - 1,
            Number::Bits(bits) => bits,
        }
    }
}

/// An operand within the formulas of a primitive.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    /// An operand of the primitive.
    Operand(u8),
    Fixed(Number),
    /// What a formula before has made.
    Made(u8),
}

/// A formula with its operands; what is beyond its arity means nothing.
pub(super) type Line = (Formula, [Part; 4]);

/// What is written as instructions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repertoire {
    pub(super) double: bool,
    /// Whether functions are, as far as they can be.
    pub(super) functions: bool,
}

impl Repertoire {
    /// Whether a primitive is computed by instructions.
    pub(super) fn has(self, primitive: Primitive) -> bool {
        let function = || functions::find(primitive, self.double).is_some();
        !cheap(primitive).is_empty() || self.functions && function()
    }

    /// What a primitive is made of, one formula after the other; its value is that of the last one. Empty if it is a
    /// step of the interpreter.
    pub(super) fn formulas(self, primitive: Primitive) -> Cow<'static, [Line]> {
        match functions::find(primitive, self.double) {
            Some(function) if self.functions => Cow::Owned(function.lines()),
            _ => Cow::Borrowed(cheap(primitive)),
        }
    }
}

/// What a primitive is made of; empty if it is a function. All is what the interpreter computes, to the bit; so the smaller
/// and the larger one of two are functions: which of 0 and -0 they are is up to the compiler.
fn cheap(primitive: Primitive) -> &'static [Line] {
    use Comparison::{Greater, LessOrEqual};
    use Formula::{MulAdd, Select, Sqrt, Two};
    use Number::{Magnitude, One, Sign, Zero};
    use Opcode::{Add, And, Div, Mul, Or, Sub, Xor};
    use Part::{Fixed, Made, Operand};
    const A: Part = Operand(0);
    const B: Part = Operand(1);
    const C: Part = Operand(2);
    const D: Part = Operand(3);
    match primitive {
        Primitive::Add => &[(Two(Add), [A, B, B, B])],
        Primitive::Sub => &[(Two(Sub), [A, B, B, B])],
        Primitive::Mul => &[(Two(Mul), [A, B, B, B])],
        Primitive::Div => &[(Two(Div), [A, B, B, B])],
        Primitive::Neg => &[(Two(Xor), [A, Fixed(Sign), A, A])],
        Primitive::Abs => &[(Two(And), [A, Fixed(Magnitude), A, A])],
        Primitive::Recip => &[(Two(Div), [Fixed(One), A, A, A])],
        Primitive::Sqrt => &[(Sqrt, [A, A, A, A])],
        Primitive::MulAdd => &[(MulAdd, [A, B, C, C])],
        Primitive::SelectGt => &[(Select(Greater), [A, B, C, D])],
        // NaN stays NaN, and -0 becomes 0.
        Primitive::Relu => &[(Select(LessOrEqual), [A, Fixed(Zero), Fixed(Zero), A])],
        Primitive::Copysign => &[
            (Two(And), [A, Fixed(Magnitude), A, A]),
            (Two(And), [B, Fixed(Sign), B, B]),
            (Two(Or), [Made(0), Made(1), B, B]),
        ],
        _ => &[],
    }
}
