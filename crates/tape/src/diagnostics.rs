//! Looking at a recording, and looking for what went wrong in it.
//!
//! [`node`] says what a node is in words; [`watch`] finds the first operation that makes NaN or an
//! infinity of finite numbers; [`stats`], [`listing`], [`dot`] and [`html`] are the recording in numbers, as a
//! list, as a picture and as a page; [`profile`] says where the time goes. Nothing here is on the way of a tape that did not ask for it.

mod dot;
mod html;
mod listing;
pub(crate) mod node;
pub(crate) mod profile;
mod stats;
pub(crate) mod watch;

pub use profile::{Profile, ProfileRow};
pub use stats::{OperationStats, TapeStats};

/// What a tape does beside recording.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) detail: Detail,
    /// Whether it measures where the time goes.
    pub(crate) profile: bool,
}

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
