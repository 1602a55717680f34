//! The primitives: the closed list of elementwise operations that have an opcode of their own.
//!
//! Each is a rule of the same traits that users implement ([`Unary`], [`Binary`], ...), in one of
//! the files of this module; what sets a primitive apart is only that the sweep and the chunk
//! interpreter match on it instead of calling through a pointer. Every other rule is traced into
//! primitives.

mod arithmetic;
mod exponential;
mod piecewise;
mod trigonometric;

use crate::rule::{Binary, MAX_OPERANDS, Ternary, Unary};
use crate::vector::{Arithmetic, Task, Vectorised, for_each_vectorised};
use crate::{Elementary, Real};

pub(crate) use arithmetic::*;
pub(crate) use exponential::*;
pub(crate) use piecewise::*;
pub(crate) use trigonometric::*;

/// Lists the methods of [`Elementary`] that are one primitive: `method Primitive (arguments)`.
macro_rules! for_each_method {
    ($callback:ident) => {
        $callback! {
            abs Abs (); signum Signum (); recip Recip (); sqrt Sqrt (); cbrt Cbrt (); exp Exp ();
            exp2 Exp2 (); exp_m1 ExpM1 (); ln Ln (); ln_1p Ln1p (); log2 Log2 (); log10 Log10 ();
            sin Sin (); cos Cos (); tan Tan (); asin Asin (); acos Acos (); atan Atan ();
            sinh Sinh (); cosh Cosh (); tanh Tanh (); asinh Asinh (); acosh Acosh ();
            atanh Atanh (); floor Floor (); ceil Ceil (); round Round (); trunc Trunc ();
            erf Erf (); erfc Erfc (); sigmoid Sigmoid (); softplus Softplus (); relu Relu ();
            stop_gradient Stop ();
            powf Powf (y); atan2 Atan2 (x); hypot Hypot (y); min Min (other); max Max (other);
            copysign Copysign (sign); mul_add MulAdd (a, b);
        }
    };
}
pub(crate) use for_each_method;

/// Calls `$callback` with the primitives of each arity. The others are `Powi` (one operand and an
/// integer), `Stop` (which no cotangent passes) and `SelectGt` (four operands).
macro_rules! for_each_primitive {
    ($callback:ident) => {
        $callback! {
            unary { Neg Abs Signum Recip Sqrt Cbrt Exp Exp2 ExpM1 Ln Ln1p Log2 Log10 Sin Cos Tan
                Asin Acos Atan Sinh Cosh Tanh Asinh Acosh Atanh Floor Ceil Round Trunc Erf Erfc
                Sigmoid Softplus Relu Copy }
            binary { Add Sub Mul Div Rem Powf Atan2 Hypot Min Max Copysign }
            ternary { MulAdd }
        }
    };
}
pub(crate) use for_each_primitive;

macro_rules! define {
    (unary { $($u:ident)* } binary { $($b:ident)* } ternary { $($t:ident)* }) => {
        /// An elementwise operation with an opcode of its own.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub(crate) enum Primitive { $($b,)* $($u,)* $($t,)* Powi, Stop, SelectGt }

        impl Primitive {
            /// Every primitive, in the order of the opcodes.
            pub(crate) const ALL: &'static [Primitive] = &[
                $(Primitive::$b,)* $(Primitive::$u,)* $(Primitive::$t,)*
                Primitive::Powi, Primitive::Stop, Primitive::SelectGt,
            ];

            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Primitive::$u => <$u as Unary>::NAME,)*
                    $(Primitive::$b => <$b as Binary>::NAME,)*
                    $(Primitive::$t => <$t as Ternary>::NAME,)*
                    Primitive::Powi => "powi",
                    Primitive::Stop => "stop_gradient",
                    Primitive::SelectGt => "select_gt",
                }
            }

            pub(crate) fn arity(self) -> usize {
                match self {
                    $(Primitive::$u)|* | Primitive::Powi | Primitive::Stop => 1,
                    $(Primitive::$b)|* => 2,
                    $(Primitive::$t)|* => 3,
                    Primitive::SelectGt => 4,
                }
            }

            /// The cotangent of operand `k` from the cotangent `g` of the result `y`; `None` where
            /// nothing flows.
            pub(crate) fn pull<T: Elementary>(
                self,
                k: usize,
                exponent: i32,
                g: T,
                a: [T; MAX_OPERANDS],
                y: T,
            ) -> Option<T> {
                Some(match (self, k) {
                    (Primitive::Stop, _) | (Primitive::SelectGt, 0 | 1) => return None,
                    $((Primitive::$u, _) => $u.pull(g, a[0], y),)*
                    $((Primitive::$b, 0) => $b.pull_a(g, a[0], a[1], y),)*
                    $((Primitive::$b, _) => $b.pull_b(g, a[0], a[1], y),)*
                    $((Primitive::$t, 0) => g * $t.partial_a(a[0], a[1], a[2], y),)*
                    $((Primitive::$t, 1) => g * $t.partial_b(a[0], a[1], a[2], y),)*
                    $((Primitive::$t, _) => g * $t.partial_c(a[0], a[1], a[2], y),)*
                    (Primitive::Powi, _) => Powi { n: exponent }.pull(g, a[0], y),
                    (Primitive::SelectGt, 2) => T::select_gt(a[0], a[1], g, T::lit(0.0)),
                    (Primitive::SelectGt, _) => T::select_gt(a[0], a[1], T::lit(0.0), g),
                })
            }

            /// The value.
            pub(crate) fn value<T: Elementary>(self, exponent: i32, a: [T; MAX_OPERANDS]) -> T {
                match self {
                    $(Primitive::$u => $u.value(a[0]),)*
                    $(Primitive::$b => $b.value(a[0], a[1]),)*
                    $(Primitive::$t => $t.value(a[0], a[1], a[2]),)*
                    Primitive::Powi => Elementary::powi(a[0], exponent),
                    Primitive::Stop => a[0].stop_gradient(),
                    Primitive::SelectGt => T::select_gt(a[0], a[1], a[2], a[3]),
                }
            }
        }
    };
}

for_each_primitive!(define);

/// Each element of `out` from those of the operands at the same place: a loop that becomes vector
/// instructions. Zipped iterators, because a bound check within the loop would be an exit from it, which
/// costs a pass over the last elements one by one.
macro_rules! each {
    ($out:ident, $value:expr, $a:ident) => {
        for (out, &$a) in $out.iter_mut().zip($a) {
            *out = $value;
        }
    };
    ($out:ident, $value:expr, $a:ident $b:ident) => {
        for ((out, &$a), &$b) in $out.iter_mut().zip($a).zip($b) {
            *out = $value;
        }
    };
    ($out:ident, $value:expr, $a:ident $b:ident $c:ident) => {
        for (((out, &$a), &$b), &$c) in $out.iter_mut().zip($a).zip($b).zip($c) {
            *out = $value;
        }
    };
    ($out:ident, $value:expr, $a:ident $b:ident $c:ident $d:ident) => {
        for ((((out, &$a), &$b), &$c), &$d) in $out.iter_mut().zip($a).zip($b).zip($c).zip($d) {
            *out = $value;
        }
    };
}

/// `run_at` from the primitives that vectorise as they are and the functions of `vector`.
macro_rules! run_at {
    ($($method:ident $function:ident $file:ident $single:ident;)*) => {
        run_at! { @plain
            unary { Neg Abs Signum Recip Sqrt Relu Copy }
            binary { Add Sub Mul Div Rem Min Max Copysign }
            vectorised { $($method $function)* floor Floor ceil Ceil round Round trunc Trunc }
            angle { sin Sin cos Cos tan Tan }
            pair { atan2 Atan2 is_coordinate powf Powf is_finite }
        }
    };
    (@plain
        unary { $($u:ident)* }
        binary { $($b:ident)* }
        vectorised { $($v:ident $vector:ident)* }
        angle { $($t:ident $angle:ident)* }
        pair { $($p:ident $pair:ident $in_range:ident)* }
    ) => {
        /// The values on chunks, as instructions of the caller: `out[i]` from `a[..][i]`.
        #[inline(always)]
        pub(crate) fn run_at<A: Arithmetic, E: Real>(
            self,
            exponent: i32,
            a: [&[E]; MAX_OPERANDS],
            out: &mut [E],
        ) {
            // Slices of one known length let the compiler drop the bound checks.
            let [a, b, c, d] = a.map(|a| &a[..out.len()]);
            match self {
                $(Primitive::$u => each!(out, $u.value(a), a),)*
                $(Primitive::$b => each!(out, $b.value(a, b), a b),)*
                $(Primitive::$vector => each!(out, <E as Vectorised>::$v::<A>(a), a),)*
                $(Primitive::$angle => {
                    each!(out, <E as Vectorised>::$t::<A>(a), a);
                    let good = a.iter().fold(true, |good, &a| good & E::is_small_angle(a));
                    if !good {
                        self.mend([a, a], out, E::is_small_angle);
                    }
                })*
                $(Primitive::$pair => {
                    each!(out, <E as Vectorised>::$p::<A>(a, b), a b);
                    let good = a.iter().chain(b).fold(true, |good, &a| {
                        good & <E as Vectorised>::$in_range(a)
                    });
                    if !good {
                        self.mend([a, b], out, <E as Vectorised>::$in_range);
                    }
                })*
                Primitive::Hypot => each!(out, <E as Vectorised>::hypot::<A>(a, b), a b),
                Primitive::MulAdd => each!(out, MulAdd.value(a, b, c), a b c),
                Primitive::SelectGt => each!(out, E::select_gt(a, b, c, d), a b c d),
                Primitive::Powi => powi(a, exponent, out),
                Primitive::Stop => out.copy_from_slice(a),
            }
        }
    };
}

impl Primitive {
    for_each_vectorised!(run_at);

    /// The values on chunks, `out[i]` from `a[..][i]`, as a task of its own.
    pub(crate) fn task<'a, E: Real>(
        self,
        exponent: i32,
        operands: [&'a [E]; MAX_OPERANDS],
        out: &'a mut [E],
    ) -> impl Task<Output = ()> + use<'a, E> {
        Run { primitive: self, exponent, operands, out }
    }

    /// Computes again by the scalar function where an operand is out of range.
    #[cold]
    #[inline(never)]
    fn mend<E: Real>(self, a: [&[E]; 2], out: &mut [E], in_range: fn(E) -> bool) {
        for (i, out) in out.iter_mut().enumerate() {
            let a = a.map(|a| a[i]);
            if !a.into_iter().all(in_range) {
                *out = self.value(0, [a[0], a[1], a[0], a[0]]);
            }
        }
    }

    /// The integer exponent of a recorded `powi`, which stands where its second operand would; 0 for all others.
    pub(crate) fn exponent(self, operands: [u32; MAX_OPERANDS]) -> i32 {
        if self == Primitive::Powi { operands[1] as i32 } else { 0 }
    }

    /// Whether it takes about as long as an addition.
    pub(crate) fn is_cheap(self) -> bool {
        use Primitive::{
            Abs, Add, Copy, Copysign, Max, Min, Mul, MulAdd, Neg, Relu, SelectGt, Sub,
        };
        matches!(
            self,
            Add | Sub | Mul | Neg | Abs | Copy | Copysign | Min | Max | MulAdd | Relu | SelectGt
        )
    }

    /// Whether a cotangent ever flows to the operands.
    pub(crate) fn is_differentiable(self) -> bool {
        self != Primitive::Stop
    }
}

struct Run<'a, E> {
    primitive: Primitive,
    exponent: i32,
    operands: [&'a [E]; MAX_OPERANDS],
    out: &'a mut [E],
}

impl<E: Real> Task for Run<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        self.primitive.run_at::<A, E>(self.exponent, self.operands, self.out);
    }
}

/// Powers by repeated multiplication: the same products in the same order as the scalar function.
#[inline(always)]
fn powi<E: Real>(x: &[E], n: i32, out: &mut [E]) {
    const BLOCK: usize = 64;
    for (x, out) in x.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
        let mut squares = [E::ONE; BLOCK];
        let squares = &mut squares[..x.len()];
        squares.copy_from_slice(x);
        out.fill(E::ONE);
        let mut rest = n.unsigned_abs();
        loop {
            if rest & 1 == 1 {
                out.iter_mut().zip(&*squares).for_each(|(out, &s)| *out *= s);
            }
            rest >>= 1;
            if rest == 0 {
                break;
            }
            squares.iter_mut().for_each(|s| *s *= *s);
        }
        if n < 0 {
            out.iter_mut().for_each(|out| *out = E::ONE / *out);
        }
    }
}

/// Declares unary rules: name, value, partial; optionally a shorter product with the cotangent.
macro_rules! unary {
    ($($(#[$meta:meta])* $rule:ident $name:literal |$x:ident, $y:ident| $value:expr, $partial:expr $(, |$g:ident| $pull:expr)?;)*) => { $(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $rule;

        impl $crate::Unary for $rule {
            const NAME: &'static str = $name;
            #[inline(always)]
            fn value<T: $crate::Elementary>(&self, $x: T) -> T {
                $value
            }
            #[inline(always)]
            #[allow(unused_variables)]
            fn partial<T: $crate::Elementary>(&self, $x: T, $y: T) -> T {
                $partial
            }
            $(
                #[inline(always)]
                #[allow(unused_variables)]
                fn pull<T: $crate::Elementary>(&self, $g: T, $x: T, $y: T) -> T {
                    $pull
                }
            )?
        }
    )* };
}
pub(crate) use unary;

/// Declares binary rules: name, value, and the products of the cotangent with both partials.
macro_rules! binary {
    ($($(#[$meta:meta])* $rule:ident $name:literal |$g:ident, $a:ident, $b:ident, $y:ident| $value:expr, $pull_a:expr, $pull_b:expr;)*) => { $(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $rule;

        impl $crate::Binary for $rule {
            const NAME: &'static str = $name;
            #[inline(always)]
            fn value<T: $crate::Elementary>(&self, $a: T, $b: T) -> T {
                $value
            }
            #[inline(always)]
            fn partial_a<T: $crate::Elementary>(&self, a: T, b: T, y: T) -> T {
                self.pull_a(T::lit(1.0), a, b, y)
            }
            #[inline(always)]
            fn partial_b<T: $crate::Elementary>(&self, a: T, b: T, y: T) -> T {
                self.pull_b(T::lit(1.0), a, b, y)
            }
            #[inline(always)]
            #[allow(unused_variables)]
            fn pull_a<T: $crate::Elementary>(&self, $g: T, $a: T, $b: T, $y: T) -> T {
                $pull_a
            }
            #[inline(always)]
            #[allow(unused_variables)]
            fn pull_b<T: $crate::Elementary>(&self, $g: T, $a: T, $b: T, $y: T) -> T {
                $pull_b
            }
        }
    )* };
}
pub(crate) use binary;
