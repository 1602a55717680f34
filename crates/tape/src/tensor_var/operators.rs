//! Operators of [`TensorVar`], with tensors, scalars, numbers and data (`&Tensor`) on both sides.

use std::iter::Sum;
use std::ops::{
    Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Rem, RemAssign, Sub, SubAssign,
};

use super::TensorVar;
use crate::primitive::Primitive;
use crate::{Real, Tensor, Var};

macro_rules! operators {
    ($($op:ident $method:ident $assign:ident $assign_method:ident $sign:tt;)*) => { $(
        impl<E: Real> $op for TensorVar<E> {
            type Output = TensorVar<E>;
            #[track_caller]
            fn $method(self, other: TensorVar<E>) -> TensorVar<E> {
                TensorVar::primitive(Primitive::$op, &[self, other], 0)
            }
        }
        operators!(@right $op $method $assign $assign_method $sign E);
        operators!(@right $op $method $assign $assign_method $sign Var<E>);
        impl<E: Real> $op<TensorVar<E>> for Var<E> {
            type Output = TensorVar<E>;
            #[track_caller]
            fn $method(self, other: TensorVar<E>) -> TensorVar<E> {
                TensorVar::lift(self) $sign other
            }
        }
        impl<E: Real> $op<&TensorVar<E>> for &TensorVar<E> {
            type Output = TensorVar<E>;
            #[track_caller]
            fn $method(self, other: &TensorVar<E>) -> TensorVar<E> {
                *self $sign *other
            }
        }
        impl<E: Real> $op<&TensorVar<E>> for TensorVar<E> {
            type Output = TensorVar<E>;
            #[track_caller]
            fn $method(self, other: &TensorVar<E>) -> TensorVar<E> {
                self $sign *other
            }
        }
        impl<E: Real> $op<TensorVar<E>> for &TensorVar<E> {
            type Output = TensorVar<E>;
            #[track_caller]
            fn $method(self, other: TensorVar<E>) -> TensorVar<E> {
                *self $sign other
            }
        }
        impl<E: Real> $assign for TensorVar<E> {
            #[track_caller]
            fn $assign_method(&mut self, other: TensorVar<E>) {
                *self = *self $sign other;
            }
        }
        impl<E: Real> $op<&Tensor<E>> for TensorVar<E> {
            type Output = TensorVar<E>;
            #[track_caller]
            fn $method(self, data: &Tensor<E>) -> TensorVar<E> {
                self $sign self.constant_like(data)
            }
        }
        impl<E: Real> $op<TensorVar<E>> for &Tensor<E> {
            type Output = TensorVar<E>;
            #[track_caller]
            fn $method(self, x: TensorVar<E>) -> TensorVar<E> {
                x.constant_like(self) $sign x
            }
        }
        operators!(@left $op $method $sign f32);
        operators!(@left $op $method $sign f64);
    )* };
    (@right $op:ident $method:ident $assign:ident $assign_method:ident $sign:tt $other:ty) => {
        impl<E: Real> $op<$other> for TensorVar<E> {
            type Output = TensorVar<E>;
            #[track_caller]
            fn $method(self, other: $other) -> TensorVar<E> {
                self $sign TensorVar::from(other)
            }
        }
        impl<E: Real> $assign<$other> for TensorVar<E> {
            #[track_caller]
            fn $assign_method(&mut self, other: $other) {
                *self = *self $sign other;
            }
        }
    };
    // The orphan rule asks for one implementation for each concrete type.
    (@left $op:ident $method:ident $sign:tt $f:ident) => {
        impl $op<TensorVar<$f>> for $f {
            type Output = TensorVar<$f>;
            #[track_caller]
            fn $method(self, x: TensorVar<$f>) -> TensorVar<$f> {
                TensorVar::from(self) $sign x
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

impl<E: Real> Neg for TensorVar<E> {
    type Output = TensorVar<E>;
    #[track_caller]
    fn neg(self) -> TensorVar<E> {
        TensorVar::primitive(Primitive::Neg, &[self], 0)
    }
}

impl<E: Real> Neg for &TensorVar<E> {
    type Output = TensorVar<E>;
    #[track_caller]
    fn neg(self) -> TensorVar<E> {
        -*self
    }
}

impl<E: Real> Sum for TensorVar<E> {
    #[track_caller]
    fn sum<I: Iterator<Item = Self>>(mut iter: I) -> Self {
        let Some(mut sum) = iter.next() else {
            return TensorVar::scalar_constant(E::ZERO);
        };
        // A loop and not `fold`: a closure would lose the caller's line.
        for x in iter {
            sum += x;
        }
        sum
    }
}
