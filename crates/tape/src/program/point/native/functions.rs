//! What is called for a function of numbers: one function for each primitive, in the calling convention that the
//! code is written for.

use crate::Real;
use crate::primitive::{Primitive, for_each_primitive};

macro_rules! functions {
    (unary { $($u:ident)* } binary { $($b:ident)* } ternary { $($t:ident)* }) => {
        functions! { @each $($u)* $($b)* $($t)* Powi Stop SelectGt }
    };
    (@each $($primitive:ident)*) => {
        /// Where the function is that takes the operands, and behind them the exponent of `powi`. It computes what
        /// the interpreter computes. Operands beyond the arity are not looked at.
        pub(super) fn address<E: Real>(primitive: Primitive) -> usize {
            match primitive {
                $(Primitive::$primitive => {
                    extern "sysv64" fn call<E: Real>(a: E, b: E, c: E, d: E, exponent: i32) -> E {
                        Primitive::$primitive.value(exponent, [a, b, c, d])
                    }
                    call::<E> as *const () as usize
                })*
            }
        }
    };
}

for_each_primitive!(functions);
