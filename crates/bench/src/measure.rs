//! The measurement that all workloads share: engine and floor in turns, and rivals in between.

use std::path::PathBuf;

use crate::peers;
use crate::report::{Memory, Peer, Report};
use crate::timing::{Samples, Times, interleaved};

/// What is asked of every workload.
pub(crate) struct Settings {
    /// How long to measure.
    pub(crate) seconds: f64,
    /// How many threads the pool has in which the workload runs; 1 is without a pool.
    pub(crate) threads: usize,
    /// The interpreter of the rivals, if they are to run.
    pub(crate) python: Option<PathBuf>,
}

/// What a workload knows before it is timed.
pub(crate) struct Checked {
    pub(crate) workload: &'static str,
    /// Whether the values of engine and floor are those of the reference.
    pub(crate) losses_ok: bool,
    pub(crate) memory: Memory,
    /// How many steps make one sample: many for steps of a few microseconds.
    pub(crate) batch: usize,
}

/// Times a workload; `rule` makes the floor's time of what the floor's side has taken.
pub(crate) fn measure(
    settings: &Settings,
    checked: &Checked,
    mut engine: impl FnMut() -> f64,
    mut floor: impl FnMut() -> f64,
    rule: impl Fn(f64) -> f64,
) -> Report {
    let mut all = Samples::default();
    let mut slice = |seconds: f64| {
        let samples = interleaved(seconds, checked.batch, &mut engine, &mut floor);
        all.engine.extend_from_slice(&samples.engine);
        all.floor.extend_from_slice(&samples.floor);
        Times::new(&samples.engine).median
    };
    let peers = match &settings.python {
        None => {
            slice(settings.seconds);
            None
        }
        Some(python) => {
            // Each rival stands between two slices of the engine, and is compared with those.
            let seconds = settings.seconds / (peers::ALL.len() + 1) as f64;
            let mut before = slice(seconds);
            let run = |&(name, script, mode): &(&'static str, &str, &str)| {
                let script = (script, mode);
                let threads = settings.threads;
                let median =
                    peers::run(python, script, checked.workload, threads, settings.seconds);
                let after = slice(seconds);
                let around = (before + after) / 2.0;
                before = after;
                Peer { name, medians: median.map(|m| (m, around)) }
            };
            Some(peers::ALL.iter().map(run).collect())
        }
    };
    Report {
        workload: checked.workload,
        threads: settings.threads,
        engine: Times::new(&all.engine),
        floor: Times::new(&all.floor).map(rule),
        losses_ok: checked.losses_ok,
        memory: checked.memory,
        peers,
    }
}
