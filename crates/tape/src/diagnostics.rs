//! Looking at a recording, and looking for what went wrong in it.
//!
//! [`node`] says what a node is in words; [`watch`] finds the first operation that makes NaN or an
//! infinity of finite numbers; [`stats`], [`listing`] and [`dot`] are the recording in numbers, as a
//! list and as a picture. Nothing here is on the way of a tape that did not ask for it.

mod dot;
mod listing;
pub(crate) mod node;
mod stats;
pub(crate) mod watch;

pub use stats::{OperationStats, TapeStats};

/// How much a tape keeps and does for messages; each level has what those before it have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Detail {
    /// The lines of tensor operations.
    Least,
    /// The lines of scalar operations, too.
    Locations,
    /// And every operation is computed at once and looked at.
    Anomalies,
}
