//! Functions as instructions: what the interpreter computes for them, operation by operation.
//!
//! The functions of [`crate::vector`] are straight lines of arithmetic, comparisons and operations on bits, so they can
//! stand in a segment like any sum. Here they are written once more on [`Term`]s: an operation on a term appends a
//! formula to a list. Their bits are those of the interpreter, because it uses fused multiply-add on every processor
//! that there is machine code for; a test compares them. The functions that are computed again for some elements
//! (angles and powers), and those that are computed in doubles for single precision, remain steps of the interpreter.

mod double;
mod single;
mod term;

use super::formula::Line;
use crate::primitive::Primitive;
use term::{Term, lines};

/// A function of one argument, as operations on terms.
#[derive(Clone, Copy)]
pub(super) enum Function {
    Single(fn(Term<'_, f32>) -> Term<'_, f32>),
    Double(fn(Term<'_, f64>) -> Term<'_, f64>),
}

/// The function that a primitive is, if there is one for this type of numbers.
pub(super) fn find(primitive: Primitive, double: bool) -> Option<Function> {
    Some(match (primitive, double) {
        (Primitive::Exp, false) => Function::Single(single::exp),
        (Primitive::Ln, false) => Function::Single(single::ln),
        (Primitive::Sigmoid, false) => Function::Single(single::sigmoid),
        (Primitive::Tanh, false) => Function::Single(single::tanh),
        (Primitive::Erf, false) => Function::Single(single::erf),
        (Primitive::Exp, true) => Function::Double(double::exp),
        (Primitive::Exp2, true) => Function::Double(double::exp2),
        (Primitive::ExpM1, true) => Function::Double(double::exp_m1),
        (Primitive::Ln, true) => Function::Double(double::ln),
        (Primitive::Ln1p, true) => Function::Double(double::ln_1p),
        (Primitive::Sigmoid, true) => Function::Double(double::sigmoid),
        (Primitive::Softplus, true) => Function::Double(double::softplus),
        (Primitive::Tanh, true) => Function::Double(double::tanh),
        _ => return None,
    })
}

impl Function {
    /// The formulas, in their order.
    pub(super) fn lines(self) -> Vec<Line> {
        match self {
            Function::Single(function) => lines(function),
            Function::Double(function) => lines(function),
        }
    }
}
