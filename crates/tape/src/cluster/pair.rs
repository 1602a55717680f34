//! Two operations in one loop.
//!
//! A sum, difference, product or quotient costs less than the loads and stores around it; so where its
//! value has one use, in another such operation, both are done at once. Each is rounded on its own, as
//! if they were apart.

use crate::Real;
use crate::primitive::Primitive;
use crate::rule::MAX_OPERANDS;

/// `(a first b) second c`, or `c second (a first b)` if it is reversed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    first: Primitive,
    second: Primitive,
    reversed: bool,
}

impl Pair {
    /// The pair of two operations, if they are of those that can be paired.
    pub(super) fn new(first: Primitive, second: Primitive, reversed: bool) -> Option<Pair> {
        let fits =
            |p| matches!(p, Primitive::Add | Primitive::Sub | Primitive::Mul | Primitive::Div);
        // Sums and products are the same either way.
        let reversed = reversed && matches!(second, Primitive::Sub | Primitive::Div);
        (fits(first) && fits(second)).then_some(Pair { first, second, reversed })
    }

    /// The values on chunks, as instructions of the caller.
    #[inline(always)]
    pub(super) fn run<E: Real>(self, [a, b, c, _]: [&[E]; MAX_OPERANDS], out: &mut [E]) {
        let operands = out.iter_mut().zip(a).zip(b).zip(c);
        macro_rules! each {
            (|$x:ident, $c:ident| $value:expr) => {
                match self.first {
                    Primitive::Add => each!(@loop |a, b| a + b, $x, $c, $value),
                    Primitive::Sub => each!(@loop |a, b| a - b, $x, $c, $value),
                    Primitive::Mul => each!(@loop |a, b| a * b, $x, $c, $value),
                    _ => each!(@loop |a, b| a / b, $x, $c, $value),
                }
            };
            (@loop |$a:ident, $b:ident| $first:expr, $x:ident, $c:ident, $value:expr) => {
                for (((out, &$a), &$b), &$c) in operands {
                    let $x = $first;
                    *out = $value;
                }
            };
        }
        match (self.second, self.reversed) {
            (Primitive::Add, _) => each!(|x, c| x + c),
            (Primitive::Sub, false) => each!(|x, c| x - c),
            (Primitive::Sub, true) => each!(|x, c| c - x),
            (Primitive::Mul, _) => each!(|x, c| x * c),
            (_, false) => each!(|x, c| x / c),
            (_, true) => each!(|x, c| c / x),
        }
    }
}
