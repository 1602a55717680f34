//! What a workload has found, as a row of the table or as one JSON object a line.

use std::fmt::Write;

use crate::timing::Times;

/// What a workload has needed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) nodes: usize,
    /// Of the scalar lane if the workload is of scalars; else the peak, shared out over the nodes.
    pub(crate) bytes_per_node: f64,
    pub(crate) allocations_per_step: f64,
    /// The bytes that the workload had allocated at its peak.
    pub(crate) peak_bytes: usize,
    /// What a careful count by hand says that a training step has to hold.
    pub(crate) hand_counted: Option<usize>,
}

/// The result of one workload.
pub(crate) struct Report {
    pub(crate) workload: &'static str,
    pub(crate) threads: usize,
    pub(crate) engine: Times,
    pub(crate) floor: Times,
    /// Whether the values are those of the reference.
    pub(crate) losses_ok: bool,
    pub(crate) memory: Memory,
    /// The rivals that were asked for, and their medians in microseconds, if they ran.
    pub(crate) peers: Option<Vec<Peer>>,
}

/// A rival.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// Its median and the engine's around it, in microseconds; `None` if it is absent.
    pub(crate) medians: Option<(f64, f64)>,
}

impl Report {
    fn ratio(&self) -> f64 {
        self.engine.median / self.floor.median
    }

    pub(crate) fn header() -> String {
        format!(
            "{:8} {:>7} {:>12} {:>12} {:>7} {:>12} {:>12} {:>7} {:>6} {:>9} {:>9} {:>7} {:>12}",
            "workload",
            "threads",
            "engine us",
            "minimum us",
            "spread",
            "floor us",
            "floor min.",
            "ratio",
            "values",
            "nodes",
            "bytes/n.",
            "allocs",
            "peak bytes"
        )
    }

    pub(crate) fn row(&self) -> String {
        let mut row = format!(
            "{:8} {:>7} {:>12.2} {:>12.2} {:>6.1}% {:>12.2} {:>12.2} {:>7.3} {:>6} {:>9} {:>9.2} \
             {:>7.1} {:>12}",
            self.workload,
            self.threads,
            self.engine.median,
            self.engine.minimum,
            100.0 * self.engine.spread,
            self.floor.median,
            self.floor.minimum,
            self.ratio(),
            if self.losses_ok { "ok" } else { "WRONG" },
            self.memory.nodes,
            self.memory.bytes_per_node,
            self.memory.allocations_per_step,
            self.memory.peak_bytes
        );
        if let Some(hand) = self.memory.hand_counted {
            let part = self.memory.peak_bytes as f64 / hand as f64;
            write!(row, "\n         hand-counted {hand} bytes, peak/hand {part:.2}").expect("text");
        }
        for Peer { name, medians } in self.peers.iter().flatten() {
            match medians {
                Some((peer, engine)) => {
                    let times = peer / engine;
                    write!(row, "\n         {name:13} {peer:>12.2} us, peer/engine {times:.2}")
                }
                None => write!(row, "\n         {name:13} absent"),
            }
            .expect("text");
        }
        row
    }

    pub(crate) fn json(&self) -> String {
        let mut line = format!(
            "{{\"workload\":\"{}\",\"threads\":{},\"engine_us\":{:.3},\"engine_min_us\":{:.3},\
             \"floor_us\":{:.3},\"ratio\":{:.4},\"losses_ok\":{},\"nodes\":{},\
             \"bytes_per_node\":{:.3},\"allocations_per_step\":{},\"peak_bytes\":{}",
            self.workload,
            self.threads,
            self.engine.median,
            self.engine.minimum,
            self.floor.median,
            self.ratio(),
            self.losses_ok,
            self.memory.nodes,
            self.memory.bytes_per_node,
            self.memory.allocations_per_step,
            self.memory.peak_bytes
        );
        if let Some(peers) = &self.peers {
            let found = peers.iter().filter_map(|p| Some((p.name, p.medians?.0)));
            let list: Vec<_> = found.map(|(name, us)| format!("\"{name}\":{us:.3}")).collect();
            write!(line, ",\"peers\":{{{}}}", list.join(",")).expect("text");
        }
        line.push('}');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_json_has_the_keys_that_scripts_read() {
        let memory = Memory {
            nodes: 4,
            bytes_per_node: 20.0,
            allocations_per_step: 0.0,
            peak_bytes: 80,
            hand_counted: None,
        };
        let report = Report {
            workload: "S1",
            threads: 1,
            engine: Times::new(&[3.0, 1.0, 2.0]),
            floor: Times::new(&[1.0]),
            losses_ok: true,
            memory,
            peers: Some(vec![
                Peer { name: "jax", medians: Some((4.0, 2.0)) },
                Peer { name: "torch-eager", medians: None },
            ]),
        };
        let expected = "{\"workload\":\"S1\",\"threads\":1,\"engine_us\":2.000,\
                        \"engine_min_us\":1.000,\"floor_us\":1.000,\"ratio\":2.0000,\
                        \"losses_ok\":true,\"nodes\":4,\"bytes_per_node\":20.000,\
                        \"allocations_per_step\":0,\"peak_bytes\":80,\"peers\":{\"jax\":4.000}}";
        assert_eq!(report.json(), expected);
        assert!(report.row().contains("torch-eager   absent"));
    }
}
