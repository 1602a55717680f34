//! What can go wrong in a backward pass, as values.

use std::panic::Location;

use tape::engine::Recording;
use tape::{Real, Shape};

/// Why there is no gradient.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The gradient of a tensor of several elements was asked for.
    #[error(
        "backward: the gradient is that of one number, and this tensor has the shape {shape}; \
         reduce it (sum, mean) or give a cotangent to vjp (at {location})"
    )]
    NotScalar {
        /// The shape.
        shape: Shape,
        /// The line that asked.
        location: &'static Location<'static>,
    },
    /// The result is a constant without a tape, so nothing was recorded.
    #[error("backward: the result is a constant that belongs to no tape (at {location})")]
    Constant {
        /// The line that asked.
        location: &'static Location<'static>,
    },
    /// The tape of the result was reset or dropped, or belongs to another thread.
    #[error(
        "backward: the tape of the result was reset or dropped, or belongs to another thread \
         (at {location})"
    )]
    Stale {
        /// The line that asked.
        location: &'static Location<'static>,
    },
    /// A variable to differentiate by is not on the tape of the result.
    #[error("grad: variable {position} is not on the tape of the result (at {location})")]
    ForeignVariable {
        /// The position in the list of variables.
        position: usize,
        /// The line that asked.
        location: &'static Location<'static>,
    },
    /// A recorded cotangent is not on the tape of the result.
    #[error("vjp: the cotangent is not on the tape of the result (at {location})")]
    ForeignCotangent {
        /// The line that asked.
        location: &'static Location<'static>,
    },
    /// The cotangent does not have the shape of the result.
    #[error("vjp: a cotangent of shape {cotangent} for a result of shape {result} (at {location})")]
    CotangentShape {
        /// The shape of the cotangent.
        cotangent: Shape,
        /// The shape of the result.
        result: Shape,
        /// The line that asked.
        location: &'static Location<'static>,
    },
    /// An operation has no derivative at the recorded values.
    #[error(
        "{operation}: {reason} (recorded at {recorded}; the derivative was asked for at {location})"
    )]
    NoDerivative {
        /// The operation.
        operation: &'static str,
        /// Why there is none.
        reason: String,
        /// The line that recorded the operation.
        recorded: &'static Location<'static>,
        /// The line that asked.
        location: &'static Location<'static>,
    },
    /// The derivative of an operation is NaN or infinite where all that it is made of is finite, on a tape that
    /// looks for such; see [`Tape::with_anomaly_detection`](tape::Tape::with_anomaly_detection).
    #[error(
        "{operation}: {detail} (recorded at {recorded}; the derivative was asked for at {location})"
    )]
    Anomaly {
        /// The operation.
        operation: &'static str,
        /// What its derivative is, and of what it was made.
        detail: String,
        /// The line that recorded the operation.
        recorded: &'static Location<'static>,
        /// The line that asked.
        location: &'static Location<'static>,
    },
}

/// The same as `Display`: a `main` or an `unwrap` prints the error by `Debug`, and there one wants to read
/// the advice.
impl std::fmt::Debug for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// The error of a sweep in which a rule has refused, or made an anomaly.
#[track_caller]
pub(crate) fn refused<E: Real>(recording: &Recording<E>) -> Result<(), Error> {
    match recording.take_refusal() {
        None => anomalous(recording),
        Some(refusal) => Err(Error::NoDerivative {
            operation: refusal.operation,
            reason: refusal.reason,
            recorded: refusal.recorded,
            location: Location::caller(),
        }),
    }
}

#[track_caller]
fn anomalous<E: Real>(recording: &Recording<E>) -> Result<(), Error> {
    match recording.take_anomaly() {
        None => Ok(()),
        Some(anomaly) => Err(Error::Anomaly {
            operation: anomaly.operation,
            detail: anomaly.detail,
            recorded: anomaly.recorded,
            location: Location::caller(),
        }),
    }
}
