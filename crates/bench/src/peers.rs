//! The Python rivals: each a script that prints one line of JSON.
//!
//! `python3 -m venv target/peers && target/peers/bin/pip install jax optax numpy` makes an
//! interpreter for `--peers target/peers/bin/python`; with `torch` it has all rivals, and several GB
//! more where the package index offers it for graphics cards alone.

use std::path::Path;
use std::process::{Command, Stdio};

/// Name, script and mode of each rival.
pub(crate) const ALL: &[(&str, &str, &str)] = &[
    ("jax", "jax_bench.py", "jit"),
    ("torch-eager", "torch_bench.py", "eager"),
    ("torch-fused", "torch_bench.py", "fused"),
    ("torch-compile", "torch_bench.py", "compile"),
];

/// The median of a rival, in microseconds a step. `None` if it is not installed or fails: the
/// benchmark of the engine does not depend on what else there is on a machine.
pub(crate) fn run(
    python: &Path,
    (script, mode): (&str, &str),
    workload: &str,
    threads: usize,
    seconds: f64,
) -> Option<f64> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(script);
    // The forms on tensors and on scalars are one workload to an engine of arrays.
    let workload = workload.trim_end_matches('t');
    let output = Command::new(python)
        .arg(script)
        .args([workload, &threads.to_string(), mode, &seconds.to_string()])
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let rest = text.split_once("\"median_us\": ")?.1;
    rest.split([',', '}']).next()?.trim().parse().ok().filter(|_| output.status.success())
}
