//! The workloads, each written as a user would write it, beside its floor.

pub(crate) mod rosenbrock;

use crate::report::Report;

/// What is asked of every workload.
pub(crate) struct Settings {
    /// How long to measure.
    pub(crate) seconds: f64,
}

/// A workload: its name, what it is, and how to run it.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) run: fn(&Settings) -> Report,
}

/// All workloads.
pub(crate) const ALL: &[Workload] = &[Workload {
    name: "S1",
    what: "Rosenbrock's function, n = 100,000, on the scalar tape; floor: a minimal tape",
    run: rosenbrock::run,
}];
