//! What a recorded function returns.

use crate::{Real, Var};

mod sealed {
    pub trait Sealed {}
}
use sealed::Sealed;

/// The result of a function that becomes a [`Program`](crate::Program): a [`Var`], or an array, a vector or a
/// tuple of results.
///
/// Sealed.
#[diagnostic::on_unimplemented(
    message = "a function that becomes a program must return recorded numbers, not `{Self}`"
)]
pub trait ProgramOutputs<E: Real>: Sealed {
    /// Appends the numbers, in order.
    fn append_to(self, list: &mut Vec<Var<E>>);
}

impl<E: Real> Sealed for Var<E> {}

impl<E: Real> ProgramOutputs<E> for Var<E> {
    fn append_to(self, list: &mut Vec<Var<E>>) {
        list.push(self);
    }
}

macro_rules! sequence {
    ($($sequence:ty $(, $n:ident)?;)*) => { $(
        impl<T: Sealed $(, const $n: usize)?> Sealed for $sequence {}

        impl<E: Real, T: ProgramOutputs<E> $(, const $n: usize)?> ProgramOutputs<E> for $sequence {
            fn append_to(self, list: &mut Vec<Var<E>>) {
                self.into_iter().for_each(|part| part.append_to(list));
            }
        }
    )* };
}

sequence! { [T; N], N; Vec<T>; }

macro_rules! tuple {
    ($($part:ident $k:tt),*) => {
        impl<$($part: Sealed),*> Sealed for ($($part,)*) {}

        impl<E: Real, $($part: ProgramOutputs<E>),*> ProgramOutputs<E> for ($($part,)*) {
            fn append_to(self, list: &mut Vec<Var<E>>) {
                $(self.$k.append_to(list);)*
            }
        }
    };
}

tuple!(A 0);
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
