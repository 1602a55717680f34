//! Tracing: a rule is run once on symbols, and what it does becomes a list of instructions.

use std::cell::RefCell;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Rem, Sub, SubAssign};

use crate::Elementary;
use crate::elementary::sealed::Sealed;
use crate::primitive::Primitive;
use crate::rule::{Binary, MAX_OPERANDS, Ternary, Unary};

/// A value that is not known yet: the result of an instruction of the trace under way.
///
/// Only rules meet it, as one more `T: Elementary`.
#[derive(Clone, Copy, Debug)]
pub struct Symbol(u32);

/// One instruction of a [`Trace`]: its result has the number of its place, after the arguments.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Instruction {
    Constant(f64),
    Apply { primitive: Primitive, exponent: i32, operands: [u32; MAX_OPERANDS] },
}

/// What a rule does, as a straight line of primitives. Values `0..arguments` are its arguments;
/// value `arguments + i` is what instruction `i` makes.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    pub(crate) arguments: usize,
    pub(crate) instructions: Vec<Instruction>,
    pub(crate) result: u32,
}

thread_local! {
    /// The traces under way, the innermost one last.
    static UNDER_WAY: RefCell<Vec<Trace>> = const { RefCell::new(Vec::new()) };
}

/// Takes the innermost trace away again when its rule panics.
struct Abandon;

impl Drop for Abandon {
    fn drop(&mut self) {
        UNDER_WAY.with_borrow_mut(|traces| traces.pop());
    }
}

impl Trace {
    /// Runs `rule` on symbols; `memory` is a vector to build the list in.
    pub(crate) fn record(
        arguments: usize,
        mut memory: Vec<Instruction>,
        rule: impl FnOnce([Symbol; MAX_OPERANDS]) -> Symbol,
    ) -> Trace {
        memory.clear();
        let trace = Trace { arguments, instructions: memory, result: 0 };
        UNDER_WAY.with_borrow_mut(|traces| traces.push(trace));
        let abandon = Abandon;
        let result = rule(std::array::from_fn(|i| Symbol(i as u32)));
        std::mem::forget(abandon);
        let mut trace =
            UNDER_WAY.with_borrow_mut(Vec::pop).expect("the trace pushed above is the innermost");
        assert!(
            (result.0 as usize) < arguments + trace.instructions.len(),
            "a rule must return a value made of its own arguments"
        );
        trace.result = result.0;
        trace
    }
}

fn push(instruction: Instruction) -> Symbol {
    UNDER_WAY.with_borrow_mut(|traces| {
        let trace = traces.last_mut().expect("a symbol is used within the rule it was made for");
        let next = (trace.arguments + trace.instructions.len()) as u32;
        if let Instruction::Apply { operands, .. } = &instruction {
            // A symbol kept from another trace would name a value that is not there.
            assert!(operands.iter().all(|&o| o < next), "a symbol of another rule");
        }
        trace.instructions.push(instruction);
        Symbol(next)
    })
}

fn apply<const N: usize>(primitive: Primitive, args: [Symbol; N]) -> Symbol {
    let operands = std::array::from_fn(|i| args.get(i).map_or(args[0].0, |s| s.0));
    push(Instruction::Apply { primitive, exponent: 0, operands })
}

impl Sealed for Symbol {}

macro_rules! operators {
    ($($op:ident $method:ident $assign:ident $assign_method:ident;)*) => { $(
        impl $op for Symbol {
            type Output = Symbol;
            fn $method(self, other: Symbol) -> Symbol {
                apply(Primitive::$op, [self, other])
            }
        }
        impl $assign for Symbol {
            fn $assign_method(&mut self, other: Symbol) {
                *self = apply(Primitive::$op, [*self, other]);
            }
        }
    )* };
}

operators! {
    Add add AddAssign add_assign;
    Sub sub SubAssign sub_assign;
    Mul mul MulAssign mul_assign;
    Div div DivAssign div_assign;
}

impl Rem for Symbol {
    type Output = Symbol;
    fn rem(self, other: Symbol) -> Symbol {
        apply(Primitive::Rem, [self, other])
    }
}

impl Neg for Symbol {
    type Output = Symbol;
    fn neg(self) -> Symbol {
        apply(Primitive::Neg, [self])
    }
}

macro_rules! methods {
    ($($method:ident $primitive:ident ($($arg:ident),*);)*) => { $(
        fn $method(self $(, $arg: Self)*) -> Self {
            apply(Primitive::$primitive, [self $(, $arg)*])
        }
    )* };
}

impl Elementary for Symbol {
    crate::primitive::for_each_method!(methods);

    fn lit(c: f64) -> Self {
        push(Instruction::Constant(c))
    }
    fn powi(self, exponent: i32) -> Self {
        let operands = [self.0; MAX_OPERANDS];
        push(Instruction::Apply { primitive: Primitive::Powi, exponent, operands })
    }
    fn select_gt(a: Self, b: Self, x: Self, y: Self) -> Self {
        apply(Primitive::SelectGt, [a, b, x, y])
    }
    fn apply<U: Unary>(self, rule: U) -> Self {
        rule.value(self)
    }
    fn apply2<B: Binary>(self, other: Self, rule: B) -> Self {
        rule.value(self, other)
    }
    fn apply3<R: Ternary>(self, b: Self, c: Self, rule: R) -> Self {
        rule.value(self, b, c)
    }
}
