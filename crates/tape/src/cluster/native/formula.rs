//! Which primitives are instructions, and which.

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
    LessOrEqual = 2,
    Greater = 14,
}

/// What an instruction computes from its operands `a`, `b`, `c`, `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Formula {
    /// The square root of `a`.
    Sqrt,
    /// `a opcode b`.
    Two(Opcode),
    /// `a b + c`.
    MulAdd,
    /// `c` where the comparison of `a` with `b` holds, else `d`.
    Select(Comparison),
}

impl Formula {
    pub(super) fn arity(self) -> usize {
        match self {
            Formula::Sqrt => 1,
            Formula::Two(_) => 2,
            Formula::MulAdd => 3,
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

/// Up to three formulas one after the other; the value of the primitive is that of the last one.
type Formulas = &'static [(Formula, [Part; 4])];

/// What a primitive is made of; empty if it is a function. All is what the interpreter computes, to the bit; so the smaller
/// and the larger one of two are functions: which of 0 and -0 they are is up to the compiler.
pub(super) fn formulas(primitive: Primitive) -> Formulas {
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

/// Whether a primitive is computed by instructions, else it is a function.
pub(super) fn is_instruction(primitive: Primitive) -> bool {
    !formulas(primitive).is_empty()
}
