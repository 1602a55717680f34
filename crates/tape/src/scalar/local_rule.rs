//! What one scalar node hands to its operands: the local rule, without any sum or slot.
//!
//! The rule is written once for numbers (a first-order sweep) and for recorded numbers (a sweep
//! whose result is differentiated again).

use super::lane::{Node, Segment};
use super::opcode::{CONSTANT_LEFT, CONSTANT_RIGHT, Opcode};
use crate::primitive::*;
use crate::rule::{Binary, MAX_OPERANDS, Ternary, Unary};
use crate::{Elementary, Real};

/// Whether [`Segment::local_rule`] has done all that there is to do for a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    /// Every cotangent was handed over.
    Yes,
    /// The node calls a user's rule or belongs to the tensor lane: ask
    /// [`Recording::scalar_rule`](crate::engine::Recording::scalar_rule), with no segment lent.
    No,
}

/// Where the arguments of a node come from.
pub(crate) trait Arguments<T> {
    /// The value of the node `i`.
    fn node(&self, i: u32) -> T;
    /// The entry `k` of the constant pool.
    fn constant(&self, k: u32) -> T;
    /// The value of the node itself.
    fn own(&self) -> T;
    /// The operands of the node before this one.
    fn carried(&self) -> (u32, u32);
}

macro_rules! local_rule {
    (unary { $($u:ident)* } binary { $($b:ident)* } ternary { $($t:ident)* }) => {
        /// Hands the cotangents of a primitive to `sink`, as (operand, cotangent), for the operands that
        /// `needed` accepts.
        #[inline(always)]
        pub(crate) fn primitive_rule<T: Elementary>(
            [opcode, a, b]: Node,
            g: T,
            arguments: &impl Arguments<T>,
            needed: impl Fn(u32) -> bool,
            sink: &mut impl FnMut(u32, T),
        ) -> Handled {
            /// Patterns of a `match` must be paths or literals.
            struct Code;
            #[allow(non_upper_case_globals)]
            impl Code {
                $(const $b: u32 = Primitive::$b as u32;)*
                $(const $u: u32 = Primitive::$u as u32;)*
                $(const $t: u32 = Primitive::$t as u32;)*
            }
            /// The same, with the constant on the right.
            struct Right;
            #[allow(non_upper_case_globals)]
            impl Right {
                $(const $b: u32 = Primitive::$b as u32 | CONSTANT_RIGHT;)*
            }
            /// The same, with the constant on the left.
            struct Left;
            #[allow(non_upper_case_globals)]
            impl Left {
                $(const $b: u32 = Primitive::$b as u32 | CONSTANT_LEFT;)*
            }
            const STOP: u32 = Primitive::Stop as u32;
            const POWI: u32 = Primitive::Powi as u32;
            const SELECT_GT: u32 = Primitive::SelectGt as u32;
            const LEAF: u32 = Opcode::LEAF.0;
            const CONSTANT: u32 = Opcode::CONSTANT.0;
            const CARRY: u32 = Opcode::CARRY.0;

            match opcode {
                LEAF | CONSTANT | CARRY | STOP => {}
                $(Code::$b => {
                    let (x, y, out) = (arguments.node(a), arguments.node(b), arguments.own());
                    if needed(a) {
                        sink(a, $b.pull_a(g, x, y, out));
                    }
                    if needed(b) {
                        sink(b, $b.pull_b(g, x, y, out));
                    }
                })*
                $(Right::$b => {
                    let (x, c, out) = (arguments.node(a), arguments.constant(b), arguments.own());
                    if needed(a) {
                        sink(a, $b.pull_a(g, x, c, out));
                    }
                })*
                $(Left::$b => {
                    let (c, x, out) = (arguments.constant(b), arguments.node(a), arguments.own());
                    if needed(a) {
                        sink(a, $b.pull_b(g, c, x, out));
                    }
                })*
                $(Code::$u => if needed(a) {
                    {
                        sink(a, $u.pull(g, arguments.node(a), arguments.own()));
                    }
                },)*
                POWI => {
                    let rule = Powi { n: b as i32 };
                    if needed(a) {
                        sink(a, rule.pull(g, arguments.node(a), arguments.own()));
                    }
                }
                $(Code::$t => {
                    let (first, second) = arguments.carried();
                    let (x, y) = (arguments.node(first), arguments.node(second));
                    let (z, out) = (arguments.node(a), arguments.own());
                    if needed(first) {
                        sink(first, g * $t.partial_a(x, y, z, out));
                    }
                    if needed(second) {
                        sink(second, g * $t.partial_b(x, y, z, out));
                    }
                    if needed(a) {
                        sink(a, g * $t.partial_c(x, y, z, out));
                    }
                })*
                SELECT_GT => {
                    let (first, second) = arguments.carried();
                    let (x, y) = (arguments.node(first), arguments.node(second));
                    if needed(a) {
                        sink(a, T::select_gt(x, y, g, T::lit(0.0)));
                    }
                    if needed(b) {
                        sink(b, T::select_gt(x, y, T::lit(0.0), g));
                    }
                }
                _ => return Handled::No,
            }
            Handled::Yes
        }
    };
}

for_each_primitive!(local_rule);

/// The arguments of node `i` of a segment.
struct OfSegment<'a, 'b, E: Real> {
    segment: &'a Segment<'b, E>,
    i: usize,
}

impl<E: Real> Arguments<E> for OfSegment<'_, '_, E> {
    #[inline(always)]
    fn node(&self, i: u32) -> E {
        // SAFETY: `primitive_rule` asks for operands of this node that are nodes.
        unsafe { self.segment.value(i) }
    }
    #[inline(always)]
    fn constant(&self, k: u32) -> E {
        // SAFETY: `primitive_rule` asks for operands of this node that are constants.
        unsafe { self.segment.constant(k) }
    }
    #[inline(always)]
    fn own(&self) -> E {
        self.segment.own_value(self.i)
    }
    #[inline(always)]
    fn carried(&self) -> (u32, u32) {
        let [_, a, b] = self.segment.node(self.i - 1);
        (a, b)
    }
}

impl<E: Real> Segment<'_, E> {
    /// Hands the cotangents of the operands of node `i`, whose own is `g`, to `sink`, as
    /// (operand, cotangent). Every operand is smaller than `i`.
    #[inline(always)]
    pub fn local_rule(&self, i: usize, g: E, mut sink: impl FnMut(u32, E)) -> Handled {
        primitive_rule(self.node(i), g, &OfSegment { segment: self, i }, |_| true, &mut sink)
    }
}

/// How many operands a node of the tape has, and which are nodes.
pub(crate) fn operands_of(
    [opcode, a, b]: Node,
    arity_of_rule: impl FnOnce(u32) -> usize,
    carried: impl FnOnce() -> (u32, u32),
) -> ([u32; MAX_OPERANDS], usize) {
    let opcode = Opcode(opcode);
    let arity = match (opcode.as_rule(), opcode.as_primitive()) {
        (Some(k), _) => arity_of_rule(k),
        (None, Some(p)) if opcode.0 & (CONSTANT_LEFT | CONSTANT_RIGHT) == 0 => p.arity(),
        (None, Some(_)) => 1,
        (None, None) => 0,
    };
    match arity {
        0..=2 => ([a, b, a, a], arity),
        _ => {
            let (first, second) = carried();
            ([first, second, a, b], arity)
        }
    }
}
