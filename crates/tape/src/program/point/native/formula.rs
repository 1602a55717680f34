//! Which steps are instructions, and which.

use super::super::code::{PAIRS, Step, TWO_PRODUCTS};
use crate::machine_code::Opcode;
use crate::primitive::Primitive;

/// What a step computes from `a`, `b`, `c`, `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Formula {
    /// `a first b`.
    One(Opcode),
    /// `(a first b) second c`.
    Two(Opcode, Opcode),
    /// `c second (a first b)`.
    Reversed(Opcode, Opcode),
    /// `a b second c d`.
    Products(Opcode),
    Neg,
    Abs,
    Sqrt,
    Recip,
    /// A function that is called.
    Other(Primitive),
}

impl Formula {
    pub(super) fn of(step: &Step) -> Formula {
        use Opcode::{Add, Div, Mul, Sub};
        match step.action.0 {
            TWO_PRODUCTS => Formula::Products(Add),
            action if action == TWO_PRODUCTS + 1 => Formula::Products(Sub),
            // In the order of `Action::pair`.
            pair @ PAIRS.. => {
                let first = [Add, Sub, Mul, Div][(pair - PAIRS) as usize / 6];
                match (pair - PAIRS) % 6 {
                    0 => Formula::Two(first, Add),
                    1 => Formula::Two(first, Sub),
                    2 => Formula::Reversed(first, Sub),
                    3 => Formula::Two(first, Mul),
                    4 => Formula::Two(first, Div),
                    _ => Formula::Reversed(first, Div),
                }
            }
            action => Primitive::ALL[action as usize].into(),
        }
    }
}

impl From<Primitive> for Formula {
    fn from(primitive: Primitive) -> Formula {
        match primitive {
            Primitive::Add => Formula::One(Opcode::Add),
            Primitive::Sub => Formula::One(Opcode::Sub),
            Primitive::Mul => Formula::One(Opcode::Mul),
            Primitive::Div => Formula::One(Opcode::Div),
            Primitive::Neg => Formula::Neg,
            Primitive::Abs => Formula::Abs,
            Primitive::Sqrt => Formula::Sqrt,
            Primitive::Recip => Formula::Recip,
            primitive => Formula::Other(primitive),
        }
    }
}

/// The places that a step reads.
pub(super) fn operands(step: &Step) -> &[u32] {
    let arity = match step.action.0 {
        TWO_PRODUCTS.. => 4,
        PAIRS.. => 3,
        action => Primitive::ALL[action as usize].arity(),
    };
    &step.operands[..arity]
}
