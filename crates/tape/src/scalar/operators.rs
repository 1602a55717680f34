//! Operators of [`Var`], with constants on both sides, by value and by reference.

use std::iter::{Product, Sum};
use std::ops::{
    Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Rem, RemAssign, Sub, SubAssign,
};

use super::Var;
use crate::Real;
use crate::primitive::Primitive;

macro_rules! operators {
    ($($op:ident $method:ident $assign:ident $assign_method:ident $sign:tt;)*) => { $(
        impl<E: Real> $op for Var<E> {
            type Output = Var<E>;
            #[inline(always)]
            #[track_caller]
            fn $method(self, other: Var<E>) -> Var<E> {
                self.binary(other, Primitive::$op, self.value $sign other.value)
            }
        }
        impl<E: Real> $op<E> for Var<E> {
            type Output = Var<E>;
            #[inline(always)]
            #[track_caller]
            fn $method(self, c: E) -> Var<E> {
                self.constant_right(c, Primitive::$op, self.value $sign c)
            }
        }
        impl<E: Real> $op<&Var<E>> for &Var<E> {
            type Output = Var<E>;
            #[inline(always)]
            #[track_caller]
            fn $method(self, other: &Var<E>) -> Var<E> {
                *self $sign *other
            }
        }
        impl<E: Real> $op<&Var<E>> for Var<E> {
            type Output = Var<E>;
            #[inline(always)]
            #[track_caller]
            fn $method(self, other: &Var<E>) -> Var<E> {
                self $sign *other
            }
        }
        impl<E: Real> $op<Var<E>> for &Var<E> {
            type Output = Var<E>;
            #[inline(always)]
            #[track_caller]
            fn $method(self, other: Var<E>) -> Var<E> {
                *self $sign other
            }
        }
        impl<E: Real> $op<E> for &Var<E> {
            type Output = Var<E>;
            #[inline(always)]
            #[track_caller]
            fn $method(self, c: E) -> Var<E> {
                *self $sign c
            }
        }
        impl<E: Real> $assign for Var<E> {
            #[inline(always)]
            #[track_caller]
            fn $assign_method(&mut self, other: Var<E>) {
                *self = *self $sign other;
            }
        }
        impl<E: Real> $assign<E> for Var<E> {
            #[inline(always)]
            #[track_caller]
            fn $assign_method(&mut self, c: E) {
                *self = *self $sign c;
            }
        }
        operators!(@left f32 $op $method $sign);
        operators!(@left f64 $op $method $sign);
    )* };
    // The orphan rule asks for one implementation for each concrete type.
    (@left $f:ident $op:ident $method:ident $sign:tt) => {
        impl $op<Var<$f>> for $f {
            type Output = Var<$f>;
            #[inline(always)]
            #[track_caller]
            fn $method(self, x: Var<$f>) -> Var<$f> {
                x.constant_left(self, Primitive::$op, self $sign x.value)
            }
        }
        impl $op<&Var<$f>> for $f {
            type Output = Var<$f>;
            #[inline(always)]
            #[track_caller]
            fn $method(self, x: &Var<$f>) -> Var<$f> {
                self $sign *x
            }
        }
    };
}

operators! {
    Add add AddAssign add_assign +;
    Sub sub SubAssign sub_assign -;
    Mul mul MulAssign mul_assign *;
    Div div DivAssign div_assign /;
    Rem rem RemAssign rem_assign %;
}

impl<E: Real> Neg for Var<E> {
    type Output = Var<E>;
    #[inline(always)]
    #[track_caller]
    fn neg(self) -> Var<E> {
        self.unary(Primitive::Neg, 0, -self.value)
    }
}

impl<E: Real> Neg for &Var<E> {
    type Output = Var<E>;
    #[inline(always)]
    #[track_caller]
    fn neg(self) -> Var<E> {
        -*self
    }
}

// The first element starts the sum: an explicit zero would be a node more for nothing.
impl<E: Real> Sum for Var<E> {
    #[inline]
    #[track_caller]
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        let mut sum = None;
        // A loop and not `fold`: a closure would lose the caller's line. And one place that asks for the next
        // number, so that what makes it becomes part of the loop.
        for x in iter {
            sum = Some(match sum {
                Some(sum) => sum + x,
                None => x,
            });
        }
        sum.unwrap_or(Var::constant(E::ZERO))
    }
}

impl<'a, E: Real> Sum<&'a Var<E>> for Var<E> {
    #[track_caller]
    fn sum<I: Iterator<Item = &'a Self>>(iter: I) -> Self {
        iter.copied().sum()
    }
}

impl<E: Real> Product for Var<E> {
    #[track_caller]
    fn product<I: Iterator<Item = Self>>(mut iter: I) -> Self {
        let Some(mut product) = iter.next() else {
            return Var::constant(E::ONE);
        };
        // A loop and not `fold`: a closure would lose the caller's line.
        for x in iter {
            product *= x;
        }
        product
    }
}

impl<'a, E: Real> Product<&'a Var<E>> for Var<E> {
    #[track_caller]
    fn product<I: Iterator<Item = &'a Self>>(iter: I) -> Self {
        iter.copied().product()
    }
}
