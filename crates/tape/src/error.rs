//! What can go wrong, as values.

use std::panic::Location;

use crate::Shape;

/// A mistake in the arguments of an operation, with the line that made it.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Shapes that an operation cannot take.
    #[error("{operation}: {} {detail} (at {location})", shapes_text(shapes))]
    Shape {
        /// The operation.
        operation: &'static str,
        /// The shapes of its arguments.
        shapes: Vec<Shape>,
        /// What is wrong with them.
        detail: String,
        /// The line that recorded the operation.
        location: &'static Location<'static>,
    },
    /// An argument that an operation cannot take: an index or a label out of range, a singular
    /// matrix.
    #[error("{operation}: {detail} (at {location})")]
    Argument {
        /// The operation.
        operation: &'static str,
        /// What is wrong.
        detail: String,
        /// The line that recorded the operation.
        location: &'static Location<'static>,
    },
}

/// The same as `Display`: a `main` or an `unwrap` prints the error by `Debug`, and there one wants to read
/// the message.
impl std::fmt::Debug for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

fn shapes_text(shapes: &[Shape]) -> String {
    match shapes {
        [] => String::new(),
        [one] => format!("shape {one}:"),
        [first, second] => format!("shapes {first} and {second}:"),
        many => format!("shapes {many:?}:"),
    }
}

impl Error {
    #[track_caller]
    pub(crate) fn shape(operation: &'static str, shapes: &[&Shape], detail: String) -> Self {
        let shapes = shapes.iter().map(|&s| s.clone()).collect();
        Error::Shape { operation, shapes, detail, location: Location::caller() }
    }

    #[track_caller]
    pub(crate) fn argument(operation: &'static str, detail: impl Into<String>) -> Self {
        Error::Argument { operation, detail: detail.into(), location: Location::caller() }
    }

    /// The line that made the mistake.
    pub fn location(&self) -> &'static Location<'static> {
        match self {
            Error::Shape { location, .. } | Error::Argument { location, .. } => location,
        }
    }
}

/// An error unless an argument is as it must be; `detail` says how it is.
#[track_caller]
pub(crate) fn require(
    holds: bool,
    operation: &'static str,
    detail: impl FnOnce() -> String,
) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(Error::argument(operation, detail())) }
}

/// The value, or a panic at the line of the caller. (`unwrap_or_else` would name a line in here.)
#[track_caller]
pub(crate) fn expect<T>(result: Result<T, Error>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}
