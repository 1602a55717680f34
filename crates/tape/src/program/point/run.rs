//! The loop over the steps: the one place of programs that reads without bound checks.
//!
//! A step takes about as long as a bound check of each operand would. So all numbers of places are checked
//! once, when the code is made, and the loop relies on that alone.

use super::code::{PAIRS, Step, TWO_PRODUCTS};
use crate::primitive::*;
use crate::rule::{Binary, Ternary, Unary};
use crate::{Elementary, Real};

/// Panics unless every place is within `size` numbers and every action is known here.
pub(super) fn check(steps: &[Step], size: usize) {
    for step in steps {
        let powi = step.action.0 == Primitive::Powi as u8;
        let good =
            step.operands.iter().enumerate().all(|(k, &o)| (o as usize) < size || (powi && k == 1));
        assert!(good && (step.out as usize) < size, "a step outside of its memory");
        assert!(step.action.0 < TWO_PRODUCTS, "sums of products are steps on vectors");
    }
}

macro_rules! run {
    (unary { $($u:ident)* } binary { $($b:ident)* } ternary { $($t:ident)* }) => {
        /// Runs steps that [`check`] has seen with the length of `memory`.
        pub(super) fn run<E: Real>(steps: &[Step], memory: &mut [E]) {
            /// Patterns of a `match` must be paths or literals.
            struct Number;
            #[allow(non_upper_case_globals)]
            impl Number {
                $(const $u: u8 = Primitive::$u as u8;)*
                $(const $b: u8 = Primitive::$b as u8;)*
                $(const $t: u8 = Primitive::$t as u8;)*
                const POWI: u8 = Primitive::Powi as u8;
                const STOP: u8 = Primitive::Stop as u8;
                const SELECT_GT: u8 = Primitive::SelectGt as u8;
            }
            for step in steps {
                let at = |k: usize| {
                    let place = step.operands[k] as usize;
                    debug_assert!(place < memory.len());
                    // SAFETY: `check` has compared every operand with this length.
                    unsafe { *memory.get_unchecked(place) }
                };
                let value = match step.action.0 {
                    $(Number::$b => $b.value(at(0), at(1)),)*
                    $(Number::$u => $u.value(at(0)),)*
                    $(Number::$t => $t.value(at(0), at(1), at(2)),)*
                    Number::POWI => Elementary::powi(at(0), step.operands[1] as i32),
                    Number::STOP => at(0),
                    Number::SELECT_GT => E::select_gt(at(0), at(1), at(2), at(3)),
                    pair => pairs(pair - PAIRS, at(0), at(1), at(2)),
                };
                debug_assert!((step.out as usize) < memory.len());
                // SAFETY: `check` has compared every result with this length.
                unsafe { *memory.get_unchecked_mut(step.out as usize) = value };
            }
        }
    };
}

for_each_primitive!(run);

/// Two of + - * /, each rounded on its own.
#[inline(always)]
fn pairs<E: Real>(pair: u8, a: E, b: E, c: E) -> E {
    match pair {
        0 => (a + b) + c,
        1 => (a + b) - c,
        2 => c - (a + b),
        3 => (a + b) * c,
        4 => (a + b) / c,
        5 => c / (a + b),
        6 => (a - b) + c,
        7 => (a - b) - c,
        8 => c - (a - b),
        9 => (a - b) * c,
        10 => (a - b) / c,
        11 => c / (a - b),
        12 => (a * b) + c,
        13 => (a * b) - c,
        14 => c - (a * b),
        15 => (a * b) * c,
        16 => (a * b) / c,
        17 => c / (a * b),
        18 => (a / b) + c,
        19 => (a / b) - c,
        20 => c - (a / b),
        21 => (a / b) * c,
        22 => (a / b) / c,
        _ => c / (a / b),
    }
}
