//! What a workload has found, as a row of the table or as one JSON object a line.

use crate::timing::Times;

/// The result of one workload.
pub(crate) struct Report {
    pub(crate) workload: &'static str,
    pub(crate) threads: usize,
    pub(crate) engine: Times,
    pub(crate) floor: Times,
    /// Whether the values are those of the reference.
    pub(crate) losses_ok: bool,
    pub(crate) nodes: usize,
    pub(crate) bytes_per_node: f64,
    pub(crate) allocations_per_step: f64,
    /// The bytes that the workload had allocated at its peak.
    pub(crate) peak_bytes: usize,
}

impl Report {
    fn ratio(&self) -> f64 {
        self.engine.median / self.floor.median
    }

    pub(crate) fn header() -> String {
        format!(
            "{:10} {:>7} {:>12} {:>12} {:>7} {:>12} {:>7} {:>7} {:>9} {:>9} {:>6} {:>12}",
            "workload",
            "threads",
            "engine us",
            "minimum us",
            "spread",
            "floor us",
            "ratio",
            "values",
            "nodes",
            "bytes/n.",
            "allocs",
            "peak bytes"
        )
    }

    pub(crate) fn row(&self) -> String {
        format!(
            "{:10} {:>7} {:>12.2} {:>12.2} {:>6.1}% {:>12.2} {:>7.3} {:>7} {:>9} {:>9.2} {:>6} {:>12}",
            self.workload,
            self.threads,
            self.engine.median,
            self.engine.minimum,
            100.0 * self.engine.spread,
            self.floor.median,
            self.ratio(),
            if self.losses_ok { "ok" } else { "WRONG" },
            self.nodes,
            self.bytes_per_node,
            self.allocations_per_step,
            self.peak_bytes
        )
    }

    pub(crate) fn json(&self) -> String {
        format!(
            "{{\"workload\":\"{}\",\"threads\":{},\"engine_us\":{:.3},\"engine_min_us\":{:.3},\
             \"floor_us\":{:.3},\"ratio\":{:.4},\"losses_ok\":{},\"nodes\":{},\
             \"bytes_per_node\":{:.3},\"allocations_per_step\":{},\"peak_bytes\":{}}}",
            self.workload,
            self.threads,
            self.engine.median,
            self.engine.minimum,
            self.floor.median,
            self.ratio(),
            self.losses_ok,
            self.nodes,
            self.bytes_per_node,
            self.allocations_per_step,
            self.peak_bytes
        )
    }
}
