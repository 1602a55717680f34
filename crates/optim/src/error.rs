//! What can go wrong in a store or in a step, as values.

use std::fmt;
use std::panic::Location;

use tape::Shape;

/// Why a parameter was not accepted, or a step not taken.
#[derive(Clone, thiserror::Error)]
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
    /// A key belongs to another store.
    #[error(
        "{operation}: the key belongs to another store; keys are of the store whose insert returned \
         them, and of its clones (at {location})"
    )]
    ForeignKey {
        /// What was asked of the store.
        operation: &'static str,
        /// The line that asked.
        location: &'static Location<'static>,
    },
    /// The parameter of a key is not in the store any more, or came into another clone of it only.
    #[error(
        "{operation}: the parameter of the key is not in this store: it was removed, or inserted \
         into another clone of the store (at {location})"
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
    /// A gradient was taken at a value that the parameter no longer has: there was a step, or a
    /// `set`, since the parameters were bound. Nothing was changed.
    ///
    /// Methods that apply old gradients on purpose say so:
    /// [`Chain::accept_outdated`](crate::Chain::accept_outdated).
    #[error(
        "step: the gradient of {parameter:?} was taken at a value that the store no longer has; \
         reset the tape and call params.bind(&tape) in each step (at {location})"
    )]
    Outdated {
        /// The name of the parameter.
        parameter: String,
        /// The line that asked for the step.
        location: &'static Location<'static>,
    },
    /// A schedule has left the finite numbers, and nothing was changed.
    #[error(
        "step: the learning rate of step {step} is {rate}; parameters and optimiser are as before \
         (at {location})"
    )]
    Rate {
        /// How many steps were taken before.
        step: u64,
        /// What the schedule says.
        rate: f64,
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

/// The same as `Display`: a `main` or a test that returns the error prints it by `Debug`, and there the
/// advice is what one wants to see.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
