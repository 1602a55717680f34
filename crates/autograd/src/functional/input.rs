//! Points at which a closure is differentiated.

use tape::Tape;
use tape::{Real, Tensor, TensorVar, Var};

use crate::Handle;

mod sealed {
    pub trait Sealed {}
}
use sealed::Sealed;

/// The elements of a point, in order, as they are handed out to its parts.
///
/// A vector may be shorter than the point that it is for; [`take`](Flat::take) panics then.
#[derive(Debug)]
pub struct Flat<'a, E> {
    rest: &'a [E],
}

impl<'a, E: Real> Flat<'a, E> {
    /// All of `elements`.
    pub fn new(elements: &'a [E]) -> Self {
        Flat { rest: elements }
    }

    /// The next `n` elements.
    ///
    /// # Panics
    /// If there are fewer.
    #[track_caller]
    pub fn take(&mut self, n: usize) -> &'a [E] {
        assert!(
            n <= self.rest.len(),
            "{n} more elements are asked for, and {} are left",
            self.rest.len()
        );
        let (taken, rest) = self.rest.split_at(n);
        self.rest = rest;
        taken
    }

    /// The next element.
    #[track_caller]
    fn next(&mut self) -> E {
        self.take(1)[0]
    }

    fn array<const N: usize>(&mut self) -> [E; N] {
        let mut array = [E::ZERO; N];
        array.copy_from_slice(self.take(N));
        array
    }
}

/// A point that can be lifted onto a tape: the argument of a closure, and the structure of its
/// gradient.
///
/// | point | the closure gets | its gradient |
/// |---|---|---|
/// | `f64`, `f32` | [`Var`] | a number |
/// | `[f64; N]`, `&[E; N]` | `[Var; N]` | `[E; N]` |
/// | `Vec<E>`, `&Vec<E>`, `&[E]` | `Vec<Var>` | `Vec<E>` |
/// | [`Tensor`], `&Tensor` | [`TensorVar`] | `Tensor` |
/// | `(A, B)`, `(A, B, C)` | the tuple of what `A`, `B`, `C` give | the tuple of gradients |
///
/// Arrays by value are those of `f64` alone. So the literal `[-1.2, 1.0]` has one type that fits, and
/// the closure may be written without a type or a suffix; an array of `f32` is passed by reference.
///
/// Sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a point at which a closure can be differentiated",
    note = "an array of `f32` is passed by reference: `&[0.5_f32, 1.0]`"
)]
pub trait Input: Sealed {
    /// The element type.
    type Elem: Real;
    /// What the closure gets.
    type Lifted;
    /// The structure of the gradient, of a tangent and of a point made from elements.
    type Gradient;

    /// How many elements there are.
    fn size(&self) -> usize;

    /// Appends the elements, in order.
    fn flatten(&self, elements: &mut Vec<Self::Elem>);

    /// New independent variables of the structure of this point, with the values of `elements`.
    /// Their handles are appended to `leaves`, in order.
    ///
    /// # Panics
    /// If there are not enough elements.
    fn lift(
        &self,
        tape: &Tape<Self::Elem>,
        elements: &mut Flat<'_, Self::Elem>,
        leaves: &mut Vec<Handle<Self::Elem>>,
    ) -> Self::Lifted;

    /// A value of the structure of this point, from `elements`.
    ///
    /// # Panics
    /// If there are not enough elements.
    fn rebuild(&self, elements: &mut Flat<'_, Self::Elem>) -> Self::Gradient;

    /// Whether `other` has the structure of this point: the same lengths and shapes.
    fn same_structure(&self, other: &Self::Gradient) -> bool;

    /// Appends the elements of a value of this structure, in order.
    fn flatten_gradient(gradient: &Self::Gradient, elements: &mut Vec<Self::Elem>);
}

fn lift_scalar<E: Real>(tape: &Tape<E>, value: E, leaves: &mut Vec<Handle<E>>) -> Var<E> {
    let v = tape.var(value);
    leaves.push(v.into());
    v
}

macro_rules! number {
    ($($f:ident)*) => { $(
        impl Sealed for $f {}

        impl Input for $f {
            type Elem = $f;
            type Lifted = Var<$f>;
            type Gradient = $f;

            fn size(&self) -> usize {
                1
            }
            fn flatten(&self, elements: &mut Vec<$f>) {
                elements.push(*self);
            }
            fn lift(
                &self,
                tape: &Tape<$f>,
                elements: &mut Flat<'_, $f>,
                leaves: &mut Vec<Handle<$f>>,
            ) -> Var<$f> {
                lift_scalar(tape, elements.next(), leaves)
            }
            fn rebuild(&self, elements: &mut Flat<'_, $f>) -> $f {
                elements.next()
            }
            fn same_structure(&self, _: &$f) -> bool {
                true
            }
            fn flatten_gradient(gradient: &$f, elements: &mut Vec<$f>) {
                elements.push(*gradient);
            }
        }
    )* };
}

number!(f32 f64);

macro_rules! array {
    ([$($generic:tt)*] $array:ty, $e:ty) => {
        impl<$($generic)* const N: usize> Sealed for $array {}

        impl<$($generic)* const N: usize> Input for $array {
            type Elem = $e;
            type Lifted = [Var<$e>; N];
            type Gradient = [$e; N];

            fn size(&self) -> usize {
                N
            }
            fn flatten(&self, elements: &mut Vec<$e>) {
                elements.extend_from_slice(&self[..]);
            }
            fn lift(
                &self,
                tape: &Tape<$e>,
                elements: &mut Flat<'_, $e>,
                leaves: &mut Vec<Handle<$e>>,
            ) -> [Var<$e>; N] {
                elements.array().map(|x| lift_scalar(tape, x, leaves))
            }
            fn rebuild(&self, elements: &mut Flat<'_, $e>) -> [$e; N] {
                elements.array()
            }
            fn same_structure(&self, _: &[$e; N]) -> bool {
                true
            }
            fn flatten_gradient(gradient: &[$e; N], elements: &mut Vec<$e>) {
                elements.extend_from_slice(gradient);
            }
        }
    };
}

array!([] [f64; N], f64);
array!([E: Real,] &[E; N], E);

macro_rules! slice {
    ($($slice:ty),*) => { $(
        impl<E: Real> Sealed for $slice {}

        impl<E: Real> Input for $slice {
            type Elem = E;
            type Lifted = Vec<Var<E>>;
            type Gradient = Vec<E>;

            fn size(&self) -> usize {
                self.len()
            }
            fn flatten(&self, elements: &mut Vec<E>) {
                elements.extend_from_slice(self);
            }
            fn lift(
                &self,
                tape: &Tape<E>,
                elements: &mut Flat<'_, E>,
                leaves: &mut Vec<Handle<E>>,
            ) -> Vec<Var<E>> {
                let values = elements.take(self.len()).iter();
                values.map(|&x| lift_scalar(tape, x, leaves)).collect()
            }
            fn rebuild(&self, elements: &mut Flat<'_, E>) -> Vec<E> {
                elements.take(self.len()).to_vec()
            }
            fn same_structure(&self, other: &Vec<E>) -> bool {
                self.len() == other.len()
            }
            fn flatten_gradient(gradient: &Vec<E>, elements: &mut Vec<E>) {
                elements.extend_from_slice(gradient);
            }
        }
    )* };
}

slice!(Vec<E>, &Vec<E>, &[E]);

macro_rules! tensor {
    ($($tensor:ty),*) => { $(
        impl<E: Real> Sealed for $tensor {}

        impl<E: Real> Input for $tensor {
            type Elem = E;
            type Lifted = TensorVar<E>;
            type Gradient = Tensor<E>;

            fn size(&self) -> usize {
                self.len()
            }
            fn flatten(&self, elements: &mut Vec<E>) {
                elements.extend_from_slice(self.as_slice());
            }
            fn lift(
                &self,
                tape: &Tape<E>,
                elements: &mut Flat<'_, E>,
                leaves: &mut Vec<Handle<E>>,
            ) -> TensorVar<E> {
                let t = tape.tensor(self.rebuild(elements));
                leaves.push(t.into());
                t
            }
            fn rebuild(&self, elements: &mut Flat<'_, E>) -> Tensor<E> {
                Tensor::new(self.shape(), elements.take(self.len()).to_vec())
            }
            fn same_structure(&self, other: &Tensor<E>) -> bool {
                self.shape() == other.shape()
            }
            fn flatten_gradient(gradient: &Tensor<E>, elements: &mut Vec<E>) {
                elements.extend_from_slice(gradient.as_slice());
            }
        }
    )* };
}

tensor!(Tensor<E>, &Tensor<E>);

macro_rules! tuple {
    ($first:ident $(, $other:ident)*; $($k:tt)*) => {
        impl<$first: Input, $($other: Input<Elem = $first::Elem>),*> Sealed
            for ($first, $($other),*)
        {
        }

        impl<$first: Input, $($other: Input<Elem = $first::Elem>),*> Input
            for ($first, $($other),*)
        {
            type Elem = $first::Elem;
            type Lifted = ($first::Lifted, $($other::Lifted),*);
            type Gradient = ($first::Gradient, $($other::Gradient),*);

            fn size(&self) -> usize {
                0 $(+ self.$k.size())*
            }
            fn flatten(&self, elements: &mut Vec<Self::Elem>) {
                $(self.$k.flatten(elements);)*
            }
            fn lift(
                &self,
                tape: &Tape<Self::Elem>,
                elements: &mut Flat<'_, Self::Elem>,
                leaves: &mut Vec<Handle<Self::Elem>>,
            ) -> Self::Lifted {
                ($(self.$k.lift(tape, elements, leaves)),*)
            }
            fn rebuild(&self, elements: &mut Flat<'_, Self::Elem>) -> Self::Gradient {
                ($(self.$k.rebuild(elements)),*)
            }
            fn same_structure(&self, other: &Self::Gradient) -> bool {
                $(self.$k.same_structure(&other.$k))&&*
            }
            fn flatten_gradient(gradient: &Self::Gradient, elements: &mut Vec<Self::Elem>) {
                tuple!(@flatten gradient elements; $first $($other)*; $($k)*);
            }
        }
    };
    (@flatten $g:ident $e:ident; $a:ident $b:ident; $i:tt $j:tt) => {
        $a::flatten_gradient(&$g.$i, $e);
        $b::flatten_gradient(&$g.$j, $e);
    };
    (@flatten $g:ident $e:ident; $a:ident $b:ident $c:ident; $i:tt $j:tt $k:tt) => {
        tuple!(@flatten $g $e; $a $b; $i $j);
        $c::flatten_gradient(&$g.$k, $e);
    };
}

tuple!(A, B; 0 1);
tuple!(A, B, C; 0 1 2);
