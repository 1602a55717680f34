//! What a differentiated closure returns.

use tape::{Real, Shape, Tensor, TensorVar, Var};

use super::Flat;
use crate::Handle;

mod sealed {
    pub trait Sealed {}
}
use sealed::Sealed;

/// The result of a closure: [`Var`], [`TensorVar`], `[Var; N]`, `Vec<Var>`, or a pair of results.
///
/// A gradient is that of one number, so it needs a result of one element; a Jacobian, a tangent and
/// a product with a cotangent are there for all.
///
/// Sealed.
#[diagnostic::on_unimplemented(
    message = "a closure to differentiate must return recorded numbers or tensors, not `{Self}`",
    note = "it is called with a `Var` or a `TensorVar`: make a function of numbers generic over \
            `T: Elementary` or `T: num_traits::Float`"
)]
pub trait Output<E: Real>: Sealed {
    /// The result as numbers, and the structure of its tangents and cotangents.
    type Value;

    /// Appends the handles, in order.
    fn handles(&self, handles: &mut Vec<Handle<E>>);

    /// The shape, for a tensor; the number of elements as a shape, for a list.
    fn shape(&self) -> Shape;

    /// A value of the structure of this result, from `elements`.
    ///
    /// # Panics
    /// If there are not enough elements.
    fn rebuild(&self, elements: &mut Flat<'_, E>) -> Self::Value;

    /// Appends the elements of a value of this structure, in order.
    ///
    /// # Errors
    /// If the value does not have the structure of this result: the shape of the part that differs,
    /// and the shape that it should have.
    fn flatten(&self, value: &Self::Value, elements: &mut Vec<E>) -> Result<(), (Shape, Shape)>;
}

impl<E: Real> Sealed for Var<E> {}

impl<E: Real> Output<E> for Var<E> {
    type Value = E;

    fn handles(&self, handles: &mut Vec<Handle<E>>) {
        handles.push((*self).into());
    }
    fn shape(&self) -> Shape {
        Shape::scalar()
    }
    fn rebuild(&self, elements: &mut Flat<'_, E>) -> E {
        elements.take(1)[0]
    }
    fn flatten(&self, value: &E, elements: &mut Vec<E>) -> Result<(), (Shape, Shape)> {
        elements.push(*value);
        Ok(())
    }
}

impl<E: Real> Sealed for TensorVar<E> {}

impl<E: Real> Output<E> for TensorVar<E> {
    type Value = Tensor<E>;

    fn handles(&self, handles: &mut Vec<Handle<E>>) {
        handles.push((*self).into());
    }
    fn shape(&self) -> Shape {
        TensorVar::shape(*self)
    }
    fn rebuild(&self, elements: &mut Flat<'_, E>) -> Tensor<E> {
        let shape = TensorVar::shape(*self);
        let elements = elements.take(shape.elements()).to_vec();
        Tensor::new(shape, elements)
    }
    fn flatten(&self, value: &Tensor<E>, elements: &mut Vec<E>) -> Result<(), (Shape, Shape)> {
        let shape = TensorVar::shape(*self);
        if *value.shape() != shape {
            return Err((value.shape().clone(), shape));
        }
        elements.extend_from_slice(value.as_slice());
        Ok(())
    }
}

impl<E: Real, const N: usize> Sealed for [Var<E>; N] {}

impl<E: Real, const N: usize> Output<E> for [Var<E>; N] {
    type Value = [E; N];

    fn handles(&self, handles: &mut Vec<Handle<E>>) {
        handles.extend(self.iter().map(|&v| Handle::from(v)));
    }
    fn shape(&self) -> Shape {
        [N].into()
    }
    fn rebuild(&self, elements: &mut Flat<'_, E>) -> [E; N] {
        let elements = elements.take(N);
        std::array::from_fn(|k| elements[k])
    }
    fn flatten(&self, value: &[E; N], elements: &mut Vec<E>) -> Result<(), (Shape, Shape)> {
        elements.extend_from_slice(value);
        Ok(())
    }
}

impl<E: Real> Sealed for Vec<Var<E>> {}

impl<E: Real> Output<E> for Vec<Var<E>> {
    type Value = Vec<E>;

    fn handles(&self, handles: &mut Vec<Handle<E>>) {
        handles.extend(self.iter().map(|&v| Handle::from(v)));
    }
    fn shape(&self) -> Shape {
        [self.len()].into()
    }
    fn rebuild(&self, elements: &mut Flat<'_, E>) -> Vec<E> {
        elements.take(self.len()).to_vec()
    }
    fn flatten(&self, value: &Vec<E>, elements: &mut Vec<E>) -> Result<(), (Shape, Shape)> {
        if value.len() != self.len() {
            return Err(([value.len()].into(), [self.len()].into()));
        }
        elements.extend_from_slice(value);
        Ok(())
    }
}

impl<A: Sealed, B: Sealed> Sealed for (A, B) {}

impl<E: Real, A: Output<E>, B: Output<E>> Output<E> for (A, B) {
    type Value = (A::Value, B::Value);

    fn handles(&self, handles: &mut Vec<Handle<E>>) {
        self.0.handles(handles);
        self.1.handles(handles);
    }
    fn shape(&self) -> Shape {
        [self.0.shape().elements() + self.1.shape().elements()].into()
    }
    fn rebuild(&self, elements: &mut Flat<'_, E>) -> Self::Value {
        (self.0.rebuild(elements), self.1.rebuild(elements))
    }
    fn flatten(&self, value: &Self::Value, elements: &mut Vec<E>) -> Result<(), (Shape, Shape)> {
        self.0.flatten(&value.0, elements)?;
        self.1.flatten(&value.1, elements)
    }
}
