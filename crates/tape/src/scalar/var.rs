//! The handle of a recorded scalar.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use smallvec::SmallVec;

use super::opcode::Opcode;
use crate::diagnostics::node::opcode_name;
use crate::elementary::sealed::Sealed;
use crate::primitive::Primitive;
use crate::program::record::{self, Comparison, compare};
use crate::registry::{self, NO_TAPE};
use crate::rule::{
    Binary, BinaryRule, ErasedRule, MAX_OPERANDS, Ternary, TernaryRule, Unary, UnaryRule,
};
use crate::{Elementary, Real, TensorVar};

/// A recorded number: its value, and its place on the tape.
///
/// `Copy`, `Send`, `'static`, 16 bytes for `f64`. Expressions are written as for floats, with
/// constants on both sides:
///
/// ```
/// use tape::Tape;
///
/// let tape = Tape::new();
/// let (x, y) = (tape.var(0.5), tape.var(4.0));
/// let z = x * y + x.sin() * 2.0 - 1.0 / y;
/// assert_eq!(z.value(), 0.5 * 4.0 + 0.5f64.sin() * 2.0 - 1.0 / 4.0);
/// ```
///
/// A `Var` without a tape is a constant: [`Var::constant`], `Var::from(2.0)`, `T::lit(2.0)`,
/// `num_traits::Zero::zero()`. Constants combine to constants, and nothing is recorded.
///
/// Comparisons look at the values. [`value`](Var::value), `num_traits::ToPrimitive` and the like
/// leave the tape: what is computed from their results has no derivative.
///
/// # Panics
/// Every operation panics, naming the caller's line, when a handle's tape was reset or dropped or
/// belongs to another thread, and when two operands belong to different tapes.
#[derive(Clone, Copy)]
pub struct Var<E: Real = f64> {
    pub(crate) value: E,
    pub(crate) index: u32,
    pub(crate) tag: u32,
}

const _: () = assert!(size_of::<Var<f64>>() == 16 && size_of::<Var<f32>>() == 12);

impl<E: Real> Var<E> {
    /// A constant: it belongs to no tape and has no derivative.
    #[inline(always)]
    pub fn constant(value: E) -> Self {
        Var { value, index: 0, tag: NO_TAPE }
    }

    /// The value. What is computed from it is not recorded; so while a
    /// [`Program`](crate::Program) is recorded, this is an error.
    #[inline(always)]
    #[track_caller]
    pub fn value(self) -> E {
        record::leave(self, "value()");
        self.value
    }

    /// The value, as a constant on purpose: also while a [`Program`](crate::Program) is recorded, which will
    /// have this number in it from then on.
    #[inline(always)]
    pub fn freeze(self) -> E {
        self.value
    }

    /// Whether this is a constant without a tape.
    pub fn is_constant(self) -> bool {
        self.tag == NO_TAPE
    }

    #[inline(always)]
    #[track_caller]
    pub(crate) fn unary(self, p: Primitive, immediate: u32, value: E) -> Self {
        let opcode = Opcode::primitive(p);
        if let Some(t) = registry::at_hand::<E>(self.tag) {
            let node = [opcode.0, self.index, immediate];
            if let Some(index) = t.scalars.push_at_once(self.index, node, value) {
                return Var { value, index, tag: self.tag };
            }
        }
        let (index, tag) = Self::any_unary(self.place(), opcode, immediate, value);
        Var { value, index, tag }
    }

    #[inline(always)]
    #[track_caller]
    pub(crate) fn binary(self, other: Self, p: Primitive, value: E) -> Self {
        let opcode = Opcode::primitive(p);
        if self.tag == other.tag
            && let Some(t) = registry::at_hand::<E>(self.tag)
        {
            let (a, b) = (self.index, other.index);
            if let Some(index) = t.scalars.push_at_once(a.max(b), [opcode.0, a, b], value) {
                return Var { value, index, tag: self.tag };
            }
        }
        // Of literals in generic code the compiler knows that they are constants.
        if self.tag == NO_TAPE
            && let Some(var) = other.constant_at_once(self.value, opcode.left(), value)
        {
            return var;
        }
        if other.tag == NO_TAPE
            && let Some(var) = self.constant_at_once(other.value, opcode.right(), value)
        {
            return var;
        }
        let (a, b) = (self.place(), other.place());
        let (index, tag) = Self::any_binary(a, b, self.value, other.value, opcode, value);
        Var { value, index, tag }
    }

    /// An operation with a constant on one side, as the opcode says.
    #[inline(always)]
    #[track_caller]
    fn with_constant(self, c: E, opcode: Opcode, value: E) -> Self {
        if let Some(var) = self.constant_at_once(c, opcode, value) {
            return var;
        }
        let (index, tag) = Self::any_with_constant(self.place(), c, opcode, value);
        Var { value, index, tag }
    }

    #[inline(always)]
    fn constant_at_once(self, c: E, opcode: Opcode, value: E) -> Option<Self> {
        let lane = &registry::at_hand::<E>(self.tag)?.scalars;
        let c = lane.known_constant(c)?;
        let index = lane.push_at_once(self.index, [opcode.0, self.index, c], value)?;
        Some(Var { value, index, tag: self.tag })
    }

    /// The index and the tag as one number.
    ///
    /// The functions below, which are called where an operation is more than a few stores, take and give numbers, which fit
    /// into registers: a call with handles, though it is hardly ever taken, would make every operation
    /// before it put its handles in memory.
    #[inline(always)]
    fn place(self) -> u64 {
        u64::from(self.index) << 32 | u64::from(self.tag)
    }

    #[cold]
    #[inline(never)]
    #[track_caller]
    fn any_unary(place: u64, opcode: Opcode, immediate: u32, value: E) -> (u32, u32) {
        let (index, tag) = parts(place);
        if tag == NO_TAPE {
            return (0, NO_TAPE);
        }
        let (t, tag) = registry::find::<E>(tag);
        (t.scalars.push_unary(opcode, index, immediate, value), tag)
    }

    /// Also for operands of two tags: parts of a tape have their own.
    #[cold]
    #[inline(never)]
    #[track_caller]
    fn any_binary(a: u64, b: u64, x: E, y: E, opcode: Opcode, value: E) -> (u32, u32) {
        let ((index_a, tag_a), (index_b, tag_b)) = (parts(a), parts(b));
        match (tag_a == NO_TAPE, tag_b == NO_TAPE) {
            (true, _) => Self::any_with_constant(b, x, opcode.left(), value),
            (false, true) => Self::any_with_constant(a, y, opcode.right(), value),
            (false, false) => {
                let (t, tag) = registry::find::<E>(tag_a);
                t.assert_owns(tag_b);
                (t.scalars.push(opcode, index_a, index_b, value), tag)
            }
        }
    }

    #[cold]
    #[inline(never)]
    #[track_caller]
    fn any_with_constant(place: u64, c: E, opcode: Opcode, value: E) -> (u32, u32) {
        let (index, tag) = parts(place);
        if tag == NO_TAPE {
            return (0, NO_TAPE);
        }
        let (t, tag) = registry::find::<E>(tag);
        let c = t.scalars.constant(c);
        (t.scalars.push_unary(opcode, index, c, value), tag)
    }

    #[inline(always)]
    #[track_caller]
    pub(crate) fn constant_right(self, c: E, p: Primitive, value: E) -> Self {
        self.with_constant(c, Opcode::primitive(p).right(), value)
    }

    #[inline(always)]
    #[track_caller]
    pub(crate) fn constant_left(self, c: E, p: Primitive, value: E) -> Self {
        self.with_constant(c, Opcode::primitive(p).left(), value)
    }

    /// Records an operation that is not one of the fast ones: of three or four operands, or a rule.
    #[track_caller]
    fn general(operands: &[Self], value: E, opcode: Opcode) -> Self {
        let Some(on_tape) = operands.iter().find(|v| v.tag != NO_TAPE) else {
            return Var::constant(value);
        };
        let (t, tag) = registry::find::<E>(on_tape.tag);
        let lane = &t.scalars;
        if let Some(watch) = t.watch() {
            let values: SmallVec<[E; 4]> = operands.iter().map(|v| v.value).collect();
            watch.look_at_numbers(|| opcode_name(t, opcode), &values, value);
        }
        let mut index = [0; 4];
        for (index, operand) in index.iter_mut().zip(operands) {
            *index = if operand.tag == NO_TAPE {
                lane.push_leaf(Opcode::CONSTANT, 0, operand.value)
            } else {
                t.assert_owns(operand.tag);
                operand.index
            };
        }
        let index = match operands.len() {
            1 => lane.push_unary(opcode, index[0], 0, value),
            2 => lane.push(opcode, index[0], index[1], value),
            n => {
                lane.push(Opcode::CARRY, index[0], index[1], value);
                lane.push(opcode, index[2], if n == 4 { index[3] } else { index[2] }, value)
            }
        };
        Var { value, index, tag }
    }

    #[track_caller]
    fn rule<W: ErasedRule<E>>(operands: &[Self], value: E, rule: W) -> Self {
        let Some(on_tape) = operands.iter().find(|v| v.tag != NO_TAPE) else {
            return Var::constant(value);
        };
        let (number, _displaced) = {
            let (t, _) = registry::find::<E>(on_tape.tag);
            t.rules.borrow_mut().insert(rule)
        };
        Self::general(operands, value, Opcode::rule(number))
    }

    /// Applies a rule that a program holds.
    #[track_caller]
    pub(crate) fn shared_rule(operands: &[Self], rule: Arc<dyn ErasedRule<E>>) -> Self {
        let mut arguments = [E::ZERO; MAX_OPERANDS];
        for (argument, operand) in arguments.iter_mut().zip(operands) {
            *argument = operand.value;
        }
        let value = rule.value(arguments);
        let Some(on_tape) = operands.iter().find(|v| v.tag != NO_TAPE) else {
            return Var::constant(value);
        };
        let (number, _displaced) = {
            let (t, _) = registry::find::<E>(on_tape.tag);
            t.rules.borrow_mut().insert_shared(rule)
        };
        Self::general(operands, value, Opcode::rule(number))
    }

    /// This number as a rank-0 tensor of the same tape.
    #[track_caller]
    pub fn to_tensor(self) -> TensorVar<E> {
        record::leave(self, "to_tensor()");
        TensorVar::lift(self)
    }
}

/// What [`Var::place`] was made of.
#[inline(always)]
fn parts(place: u64) -> (u32, u32) {
    ((place >> 32) as u32, place as u32)
}

macro_rules! methods {
    ($($(#[$meta:meta])* $method:ident $primitive:ident ($($arg:ident),*);)*) => {
        impl<E: Real> Var<E> { $(methods!(@inherent $method $primitive ($($arg),*));)* }

        impl<E: Real> Elementary for Var<E> {
            $(methods!(@forward $method ($($arg),*));)*

            #[inline(always)]
            fn lit(c: f64) -> Self {
                Var::constant(E::lit(c))
            }
            #[track_caller]
            fn powi(self, n: i32) -> Self {
                Var::powi(self, n)
            }
            #[track_caller]
            fn select_gt(a: Self, b: Self, x: Self, y: Self) -> Self {
                Var::select_gt(a, b, x, y)
            }
            #[track_caller]
            fn apply<U: Unary>(self, rule: U) -> Self {
                Var::apply(self, rule)
            }
            #[track_caller]
            fn apply2<B: Binary>(self, other: Self, rule: B) -> Self {
                Var::apply2(self, other, rule)
            }
            #[track_caller]
            fn apply3<R: Ternary>(self, b: Self, c: Self, rule: R) -> Self {
                Var::apply3(self, b, c, rule)
            }
        }
    };
    (@inherent $method:ident $primitive:ident ()) => {
        #[doc = concat!("Records [`Elementary::", stringify!($method), "`].")]
        #[inline]
        #[track_caller]
        pub fn $method(self) -> Self {
            self.unary(Primitive::$primitive, 0, Elementary::$method(self.value))
        }
    };
    (@inherent $method:ident $primitive:ident ($other:ident)) => {
        #[doc = concat!("Records [`Elementary::", stringify!($method), "`].")]
        #[inline]
        #[track_caller]
        pub fn $method(self, $other: impl Into<Self>) -> Self {
            let other: Self = $other.into();
            let value = Elementary::$method(self.value, other.value);
            self.binary(other, Primitive::$primitive, value)
        }
    };
    (@inherent $method:ident $primitive:ident ($a:ident, $b:ident)) => {
        #[doc = concat!("Records [`Elementary::", stringify!($method), "`].")]
        #[track_caller]
        pub fn $method(self, $a: impl Into<Self>, $b: impl Into<Self>) -> Self {
            let ($a, $b): (Self, Self) = ($a.into(), $b.into());
            let value = Elementary::$method(self.value, $a.value, $b.value);
            Self::general(&[self, $a, $b], value, Opcode::primitive(Primitive::$primitive))
        }
    };
    (@forward $method:ident ($($arg:ident),*)) => {
        #[inline]
        #[track_caller]
        fn $method(self $(, $arg: Self)*) -> Self {
            Var::$method(self $(, $arg)*)
        }
    };
}

crate::primitive::for_each_method!(methods);

impl<E: Real> Var<E> {
    /// Records [`Elementary::powi`].
    #[inline]
    #[track_caller]
    pub fn powi(self, n: i32) -> Self {
        self.unary(Primitive::Powi, n as u32, Elementary::powi(self.value, n))
    }

    /// Records [`Elementary::square`].
    #[inline]
    #[track_caller]
    pub fn square(self) -> Self {
        self * self
    }

    /// Records [`Elementary::clamp`].
    #[track_caller]
    pub fn clamp(self, low: impl Into<Self>, high: impl Into<Self>) -> Self {
        Elementary::clamp(self, low.into(), high.into())
    }

    /// Sine and cosine.
    #[track_caller]
    pub fn sin_cos(self) -> (Self, Self) {
        (self.sin(), self.cos())
    }

    /// Records [`Elementary::select_gt`].
    #[track_caller]
    pub fn select_gt(
        a: impl Into<Self>,
        b: impl Into<Self>,
        x: impl Into<Self>,
        y: impl Into<Self>,
    ) -> Self {
        let operands: [Self; 4] = [a.into(), b.into(), x.into(), y.into()];
        let [a, b, x, y] = operands.map(|v| v.value);
        let value = E::select_gt(a, b, x, y);
        Self::general(&operands, value, Opcode::primitive(Primitive::SelectGt))
    }

    /// Applies a unary rule.
    #[track_caller]
    pub fn apply<U: Unary>(self, rule: U) -> Self {
        let value = rule.value(self.value);
        Self::rule(&[self], value, UnaryRule(rule))
    }

    /// Applies a binary rule.
    #[track_caller]
    pub fn apply2<B: Binary>(self, other: impl Into<Self>, rule: B) -> Self {
        let other = other.into();
        let value = rule.value(self.value, other.value);
        Self::rule(&[self, other], value, BinaryRule(rule))
    }

    /// Applies a ternary rule.
    #[track_caller]
    pub fn apply3<R: Ternary>(self, b: impl Into<Self>, c: impl Into<Self>, rule: R) -> Self {
        let (b, c) = (b.into(), c.into());
        let value = rule.value(self.value, b.value, c.value);
        Self::rule(&[self, b, c], value, TernaryRule(rule))
    }
}

impl<E: Real> Sealed for Var<E> {}

impl<E: Real> From<E> for Var<E> {
    fn from(value: E) -> Self {
        Var::constant(value)
    }
}

impl<E: Real> Default for Var<E> {
    fn default() -> Self {
        Var::constant(E::ZERO)
    }
}

/// Comparisons look at the values. While a [`Program`](crate::Program) is recorded, it keeps them.
macro_rules! comparisons {
    ($other:ty, |$o:ident| $lifted:expr) => {
        impl<E: Real> PartialEq<$other> for Var<E> {
            #[inline]
            #[track_caller]
            fn eq(&self, $o: &$other) -> bool {
                compare(*self, $lifted, Comparison::Equal)
            }
        }

        impl<E: Real> PartialOrd<$other> for Var<E> {
            #[inline]
            #[track_caller]
            fn partial_cmp(&self, other: &$other) -> Option<Ordering> {
                if self < other {
                    Some(Ordering::Less)
                } else if self == other {
                    Some(Ordering::Equal)
                } else if self > other {
                    Some(Ordering::Greater)
                } else {
                    None
                }
            }
            #[inline]
            #[track_caller]
            fn lt(&self, $o: &$other) -> bool {
                compare(*self, $lifted, Comparison::Less)
            }
            #[inline]
            #[track_caller]
            fn le(&self, $o: &$other) -> bool {
                compare(*self, $lifted, Comparison::LessOrEqual)
            }
            #[inline]
            #[track_caller]
            fn gt(&self, $o: &$other) -> bool {
                compare($lifted, *self, Comparison::Less)
            }
            #[inline]
            #[track_caller]
            fn ge(&self, $o: &$other) -> bool {
                compare($lifted, *self, Comparison::LessOrEqual)
            }
        }
    };
}

comparisons!(Self, |other| *other);
comparisons!(E, |other| Var::constant(*other));

impl<E: Real> fmt::Debug for Var<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tag {
            NO_TAPE => write!(f, "Var({:?}, constant)", self.value),
            tag => write!(f, "Var({:?}, node {} of tape {tag})", self.value, self.index),
        }
    }
}

impl<E: Real> fmt::Display for Var<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.value, f)
    }
}
