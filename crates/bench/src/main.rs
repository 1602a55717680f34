//! Benchmarks of the engine against hand-written loops.
//!
//! `cargo run --release -p wengert-bench -- run [NAMES] [--threads N] [--seconds S] [--json]
//! [--peers PYTHON]` runs the named workloads, or all. Each workload checks its values before
//! anything is timed, and is measured in turns with its floor in the same run.
//!
//! `cargo run --release -p wengert-bench -- gradbench [NAMES] [--seconds S] [--json]` measures functions
//! and gradients of the GradBench suite.
//!
//! `cargo run --release -p wengert-bench -- programs [NAMES] [--seconds S] [--json]` measures compiled
//! programs.

mod counting;
mod floor;
mod formulas;
mod gradbench;
mod machine;
mod measure;
mod peers;
mod programs;
mod reference;
mod report;
mod timing;
mod workloads;

use std::process::ExitCode;

use wengert::prelude::with_threads;

use measure::Settings;
use report::Report;
use workloads::ALL;

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

const USAGE: &str = "usage: wengert-bench run [NAMES] [--threads N] [--seconds S] [--json] \
                     [--peers PYTHON]";

/// How a number for a table is found, for those who read it.
const NOTES: &str = "\
spread: half of the distance between the quartiles. ratio: medians, engine to floor.
floors: T1, T2, T6, T7, S1t, S2t: a hand-written step; S1: a minimal tape; S2, S3, S4: 3 times the
plain value and 4 ns a node; T3, T4, T5: the sum of the matrix products alone.
bytes/n.: of the scalar lane a scalar node; in workloads of tensors the peak over the nodes.";

struct Arguments {
    names: Vec<String>,
    settings: Settings,
    json: bool,
}

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("gradbench") => return gradbench::main(std::env::args().skip(2)),
        Some("programs") => return programs::main(std::env::args().skip(2)),
        _ => {}
    }
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("{message}\n{USAGE}");
            for workload in ALL {
                eprintln!("  {:4} {}", workload.name, workload.what);
            }
            return ExitCode::FAILURE;
        }
    };
    if with_threads(arguments.settings.threads, || run(&arguments)) {
        return ExitCode::SUCCESS;
    }
    eprintln!("values of at least one workload are not those of the reference");
    ExitCode::FAILURE
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Arguments, String> {
    if args.next().as_deref() != Some("run") {
        return Err("the commands are run, programs and gradbench".to_owned());
    }
    let settings = Settings { seconds: 2.0, threads: 1, python: None };
    let mut parsed = Arguments { names: Vec::new(), settings, json: false };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--json" => parsed.json = true,
            "--seconds" => parsed.settings.seconds = timing::seconds(args.next())?,
            "--threads" => {
                let threads = args.next().and_then(|s| s.parse::<usize>().ok());
                parsed.settings.threads =
                    threads.filter(|&n| n > 0).ok_or("--threads takes a number from 1 on")?;
            }
            "--peers" => {
                let python = args.next().ok_or("--peers takes the path of a Python interpreter")?;
                parsed.settings.python = Some(python.into());
            }
            name if ALL.iter().any(|w| w.name == name) => parsed.names.push(arg),
            other => return Err(format!("there is no workload or option {other}")),
        }
    }
    Ok(parsed)
}

/// Runs the chosen workloads; whether all their values are right.
fn run(Arguments { names, settings, json }: &Arguments) -> bool {
    if !json {
        machine::print();
        println!("{NOTES}\n\n{}", Report::header());
    }
    floor::product::warm_up();
    let mut all_ok = true;
    for workload in ALL {
        if names.is_empty() || names.iter().any(|name| name == workload.name) {
            let report = (workload.run)(settings);
            all_ok &= report.losses_ok;
            println!("{}", if *json { report.json() } else { report.row() });
        }
    }
    if !json {
        println!("peak resident memory of the process: {} MiB", machine::peak_resident() >> 20);
    }
    all_ok
}
