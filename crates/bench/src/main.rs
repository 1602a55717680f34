//! Benchmarks of the engine against hand-written loops.
//!
//! `cargo run --release -p wengert-bench -- run [NAMES] [--seconds S] [--json]` runs the named
//! workloads, or all. Each workload checks its values before anything is timed, and is measured in
//! turns with its floor in the same run.

mod counting;
mod minimal;
mod report;
mod timing;
mod workloads;

use std::process::ExitCode;

use report::Report;
use workloads::{ALL, Settings};

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

const USAGE: &str = "usage: wengert-bench run [NAMES] [--seconds S] [--json]";

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)) {
        Ok((names, settings, json)) => {
            run(&names, &settings, json);
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("{message}\n{USAGE}");
            for workload in ALL {
                eprintln!("  {:4} {}", workload.name, workload.what);
            }
            ExitCode::FAILURE
        }
    }
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<(Vec<String>, Settings, bool), String> {
    if args.next().as_deref() != Some("run") {
        return Err("there is one command: run".to_owned());
    }
    let (mut names, mut settings, mut json) = (Vec::new(), Settings { seconds: 2.0 }, false);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--json" => json = true,
            "--seconds" => {
                let seconds = args.next().and_then(|s| s.parse::<f64>().ok());
                settings.seconds = seconds
                    .filter(|s| s.is_finite() && *s >= 0.0)
                    .ok_or("--seconds takes a number")?;
            }
            name if ALL.iter().any(|w| w.name == name) => names.push(arg),
            other => return Err(format!("there is no workload or option {other}")),
        }
    }
    Ok((names, settings, json))
}

fn run(names: &[String], settings: &Settings, json: bool) {
    if !json {
        println!("{}", Report::header());
    }
    for workload in ALL {
        if names.is_empty() || names.iter().any(|name| name == workload.name) {
            let report = (workload.run)(settings);
            println!("{}", if json { report.json() } else { report.row() });
        }
    }
}
