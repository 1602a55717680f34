//! Operators of plain tensors, with tensors and numbers on both sides; shapes broadcast.

use std::ops::{
    Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Rem, RemAssign, Sub, SubAssign,
};

use super::Tensor;
use super::side_tape::{Operand, SideTape};
use crate::Real;

macro_rules! operators {
    ($($op:ident $method:ident $assign:ident $assign_method:ident $sign:tt;)*) => { $(
        operators!(@of E $op $method $sign [E: Real] Tensor<E>, Tensor<E>);
        operators!(@of E $op $method $sign ['a, E: Real] Tensor<E>, &'a Tensor<E>);
        operators!(@of E $op $method $sign [E: Real] Tensor<E>, E);
        operators!(@of E $op $method $sign ['a, E: Real] &'a Tensor<E>, Tensor<E>);
        operators!(@of E $op $method $sign ['a, 'b, E: Real] &'a Tensor<E>, &'b Tensor<E>);
        operators!(@of E $op $method $sign ['a, E: Real] &'a Tensor<E>, E);
        // The orphan rule asks for one implementation for each concrete type.
        operators!(@of f32 $op $method $sign [] f32, Tensor<f32>);
        operators!(@of f32 $op $method $sign ['a] f32, &'a Tensor<f32>);
        operators!(@of f64 $op $method $sign [] f64, Tensor<f64>);
        operators!(@of f64 $op $method $sign ['a] f64, &'a Tensor<f64>);

        impl<E: Real, T: Operand<E>> $assign<T> for Tensor<E> {
            #[track_caller]
            fn $assign_method(&mut self, other: T) {
                *self = {
                    let side = SideTape::new();
                    side.take(side.put(&*self) $sign side.put(other))
                };
            }
        }
    )* };
    (@of $e:ident $op:ident $method:ident $sign:tt [$($generics:tt)*] $left:ty, $right:ty) => {
        impl<$($generics)*> $op<$right> for $left {
            type Output = Tensor<$e>;
            #[track_caller]
            fn $method(self, other: $right) -> Tensor<$e> {
                let side = SideTape::new();
                side.take(side.put(self) $sign side.put(other))
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

impl<E: Real> Neg for &Tensor<E> {
    type Output = Tensor<E>;
    #[track_caller]
    fn neg(self) -> Tensor<E> {
        let side = SideTape::new();
        side.take(-side.put(self))
    }
}

impl<E: Real> Neg for Tensor<E> {
    type Output = Tensor<E>;
    #[track_caller]
    fn neg(self) -> Tensor<E> {
        -&self
    }
}
