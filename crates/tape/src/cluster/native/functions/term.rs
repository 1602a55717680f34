//! Numbers that are not computed but written down.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::{Add, Div, Mul, Neg, Sub};

use super::super::formula::{Comparison, Direction, Formula, Integer, Line, Number, Part};
use crate::Real;
use crate::machine_code::Opcode;

/// The argument of a function of such numbers, or what an operation within it makes.
#[derive(Clone, Copy, Debug)]
pub(in crate::cluster::native) struct Term<'l, E> {
    list: &'l RefCell<Vec<Line>>,
    part: Part,
    of: PhantomData<E>,
}

/// What can be an operand: a term or a number.
pub(in crate::cluster::native) trait Operand<E>: Copy {
    fn part(self) -> Part;
}

impl<E: Copy> Operand<E> for Term<'_, E> {
    fn part(self) -> Part {
        self.part
    }
}

/// A number by its bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bits(pub(super) u64);

impl<E> Operand<E> for Bits {
    fn part(self) -> Part {
        Part::Fixed(Number::Bits(self.0))
    }
}

const SIGN: Part = Part::Fixed(Number::Sign);
const MAGNITUDE: Part = Part::Fixed(Number::Magnitude);

/// The formulas of a function, in their order.
pub(super) fn lines<E: Real>(function: fn(Term<'_, E>) -> Term<'_, E>) -> Vec<Line> {
    let list = RefCell::new(Vec::new());
    let value = function(Term { list: &list, part: Part::Operand(0), of: PhantomData });
    let last = value.part;
    let list = list.into_inner();
    debug_assert!(
        matches!(last, Part::Made(k) if usize::from(k) + 1 == list.len()),
        "the value of a function is that of its last formula"
    );
    list
}

impl<'l, E: Real + Operand<E>> Term<'l, E> {
    /// An operand as a term.
    pub(super) fn term(self, operand: impl Operand<E>) -> Self {
        Term { part: operand.part(), ..self }
    }

    fn push(self, formula: Formula, operands: [Part; 4]) -> Self {
        let mut list = self.list.borrow_mut();
        let number = u8::try_from(list.len()).expect("functions are shorter");
        list.push((formula, operands));
        Term { part: Part::Made(number), ..self }
    }

    fn one(self, formula: Formula) -> Self {
        self.push(formula, [self.part; 4])
    }

    fn two(self, formula: Formula, other: Part) -> Self {
        self.push(formula, [self.part, other, other, other])
    }

    /// `self * b + c`, rounded once.
    pub(super) fn mul_add(self, b: impl Operand<E>, c: impl Operand<E>) -> Self {
        self.push(Formula::MulAdd, [self.part, b.part(), c.part(), c.part()])
    }

    /// `self - a * b`, rounded once.
    pub(super) fn sub_product(self, a: impl Operand<E>, b: impl Operand<E>) -> Self {
        self.push(Formula::SubProduct, [a.part(), b.part(), self.part, self.part])
    }

    pub(super) fn abs(self) -> Self {
        self.two(Formula::Two(Opcode::And), MAGNITUDE)
    }

    pub(super) fn copysign(self, sign: Self) -> Self {
        self.abs().or(sign.two(Formula::Two(Opcode::And), SIGN))
    }

    /// Moved into an interval; NaN stays NaN.
    pub(super) fn clamp(self, low: impl Operand<E>, high: impl Operand<E>) -> Self {
        // These instructions give their second operand where it is NaN.
        let x = self.term(high).two(Formula::Two(Opcode::Min), self.part);
        self.term(low).two(Formula::Two(Opcode::Max), x.part)
    }

    /// `then` where `self` compares so with `with`, else `otherwise`.
    pub(super) fn select(
        self,
        how: Comparison,
        with: impl Operand<E>,
        then: impl Operand<E>,
        otherwise: impl Operand<E>,
    ) -> Self {
        let operands = [self.part, with.part(), then.part(), otherwise.part()];
        self.push(Formula::Select(how), operands)
    }

    /// The bits of both.
    pub(super) fn or(self, other: impl Operand<E>) -> Self {
        self.two(Formula::Two(Opcode::Or), other.part())
    }

    /// The bits that are in both.
    pub(super) fn and(self, other: impl Operand<E>) -> Self {
        self.two(Formula::Two(Opcode::And), other.part())
    }

    /// The sum of the bits as integers.
    pub(super) fn integer_add(self, other: impl Operand<E>) -> Self {
        self.two(Formula::Integer(Integer::Add), other.part())
    }

    /// The difference of the bits as integers.
    pub(super) fn integer_sub(self, other: impl Operand<E>) -> Self {
        self.two(Formula::Integer(Integer::Sub), other.part())
    }

    pub(super) fn shifted(self, direction: Direction, by: u8) -> Self {
        self.one(Formula::Shift(direction, by))
    }
}

impl<E: Real + Operand<E>> Neg for Term<'_, E> {
    type Output = Self;
    fn neg(self) -> Self {
        self.two(Formula::Two(Opcode::Xor), SIGN)
    }
}

macro_rules! operators {
    ($($operator:ident $method:ident;)*) => { $(
        impl<'l, E: Real + Operand<E>, T: Operand<E>> $operator<T> for Term<'l, E> {
            type Output = Self;
            fn $method(self, other: T) -> Self {
                self.two(Formula::Two(Opcode::$operator), other.part())
            }
        }
        operators! { @number f32 $operator $method }
        operators! { @number f64 $operator $method }
    )* };
    (@number $number:ident $operator:ident $method:ident) => {
        impl<'l> $operator<Term<'l, $number>> for $number {
            type Output = Term<'l, $number>;
            fn $method(self, other: Term<'l, $number>) -> Term<'l, $number> {
                other.term(self).two(Formula::Two(Opcode::$operator), other.part)
            }
        }
    };
}

operators! { Add add; Sub sub; Mul mul; Div div; }

macro_rules! numbers {
    ($($number:ident)*) => { $(
        impl Operand<$number> for $number {
            fn part(self) -> Part {
                Operand::<$number>::part(Bits(self.bits()))
            }
        }
    )* };
}

numbers! { f32 f64 }

/// `c[0] + x (c[1] + x (c[2] + ...))`.
pub(super) fn poly<'l, E: Real + Operand<E>>(x: Term<'l, E>, coefficients: &[E]) -> Term<'l, E> {
    let (&last, rest) = coefficients.split_last().expect("a polynomial has coefficients");
    rest.iter().rev().fold(x.term(last), |p, &c| x.mul_add(p, c))
}
