//! What can go wrong in a store or in a step, as values.

use std::panic::Location;

use tape::Shape;

/// Why a parameter was not accepted, or a step not taken.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is a parameter of this name already.
    #[error("insert: there is a parameter {name:?} already (at {location})")]
    DuplicateName {
        /// The name.
        name: String,
        /// The line that inserted.
        location: &'static Location<'static>,
    },
    /// A key is not in the store.
    #[error(
        "{operation}: the key is not in this store: it belongs to another store, or its parameter \
         was removed (at {location})"
    )]
    UnknownKey {
        /// What was asked of the store.
        operation: &'static str,
        /// The line that asked.
        location: &'static Location<'static>,
    },
    /// A tensor does not have the shape of its parameter.
    #[error(
        "{operation}: parameter {parameter:?} has the shape {expected}, and the tensor given for \
         it has {found} (at {location})"
    )]
    Shape {
        /// What was done: `set` or `step`.
        operation: &'static str,
        /// The name of the parameter.
        parameter: String,
        /// The shape of the parameter.
        expected: Box<Shape>,
        /// The shape of the new value, or of the gradient.
        found: Box<Shape>,
        /// The line that asked.
        location: &'static Location<'static>,
    },
    /// No gradient belongs to a parameter of the store.
    #[error(
        "step: none of the gradients belongs to a parameter of this store; was the loss computed \
         from params.bind(&tape), of this very store? (at {location})"
    )]
    NoGradients {
        /// The line that asked for the step.
        location: &'static Location<'static>,
    },
    /// A gradient is infinite or not a number, and nothing was changed.
    #[error(
        "step: the gradient of parameter {parameter:?} is {value} at element {element}; parameters \
         and optimiser are as before (at {location})"
    )]
    NonFinite {
        /// The name of the parameter.
        parameter: String,
        /// The first such element, in row-major order.
        element: usize,
        /// What is there.
        value: f64,
        /// The line that asked for the step.
        location: &'static Location<'static>,
    },
}
