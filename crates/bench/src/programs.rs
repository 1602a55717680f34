//! Compiled programs: one point against the plain function, many points against a plain loop, sparse second
//! derivatives against the gradient, and the reversal of a long loop.

mod cases;

use std::process::ExitCode;

use cases::CASES;

use crate::machine;
use crate::timing::{self, Samples};

const USAGE: &str = "usage: wengert-bench programs [NAMES] [--seconds S] [--json]";

/// What is measured, and what with.
const NOTES: &str = "\
hand: the plain function without a derivative; for sparse/* the gradient as a program; for many/2threads
the same on one thread (a ratio of 0.5 is twice as fast); for revolve the plain loop. one/* is run by the interpreter of
steps, code/* is the same program in machine code.
ns/instr.: of the program that is run, per point where there are many.";

/// One measured program.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) run: fn(seconds: f64) -> Row,
}

/// What a case has given.
pub(crate) struct Row {
    pub(crate) samples: Samples,
    /// The instructions of a run, over all points.
    pub(crate) instructions: f64,
    /// Whether the values are right.
    pub(crate) values_ok: bool,
    pub(crate) note: String,
}

struct Arguments {
    names: Vec<String>,
    seconds: f64,
    json: bool,
}

/// Runs the cases that are named, or all.
pub(crate) fn main(args: impl Iterator<Item = String>) -> ExitCode {
    let Arguments { names, seconds, json } = match parse(args) {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("{message}\n{USAGE}");
            CASES.iter().for_each(|case| eprintln!("  {:20} {}", case.name, case.what));
            return ExitCode::FAILURE;
        }
    };
    if !json {
        machine::print();
        println!("{NOTES}\n\n{}", header());
    }
    let mut all_ok = true;
    for case in CASES {
        if names.is_empty() || names.iter().any(|name| name == case.name) {
            let row = (case.run)(seconds);
            all_ok &= row.values_ok;
            println!("{}", if json { row.json(case.name) } else { row.text(case.name) });
        }
    }
    if all_ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut parsed = Arguments { names: Vec::new(), seconds: 1.0, json: false };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--json" => parsed.json = true,
            "--seconds" => parsed.seconds = timing::seconds(args.next())?,
            other if CASES.iter().any(|case| other == case.name) => parsed.names.push(arg),
            other => return Err(format!("there is no case or option {other}")),
        }
    }
    Ok(parsed)
}

fn header() -> String {
    format!(
        "{:20} {:>12} {:>12} {:>12} {:>8} {:>9} {:>6}  note",
        "workload", "engine us", "minimum us", "hand us", "ratio", "ns/instr.", "values"
    )
}

impl Row {
    fn figures(&self) -> [f64; 5] {
        let (engine, hand) = self.samples.times();
        let per_instruction = 1e3 * engine.median / self.instructions;
        [engine.median, engine.minimum, hand.median, engine.median / hand.median, per_instruction]
    }

    fn text(&self, name: &str) -> String {
        let [engine, minimum, hand, ratio, per_instruction] = self.figures();
        let ok = if self.values_ok { "ok" } else { "WRONG" };
        format!(
            "{name:20} {engine:>12.2} {minimum:>12.2} {hand:>12.2} {ratio:>8.3} {per_instruction:>9.3} \
             {ok:>6}  {}",
            self.note
        )
    }

    fn json(&self, name: &str) -> String {
        let [engine, minimum, hand, ratio, per_instruction] = self.figures();
        format!(
            "{{\"workload\":\"{name}\",\"engine_us\":{engine:.3},\"engine_min_us\":{minimum:.3},\
             \"hand_us\":{hand:.3},\"ratio\":{ratio:.4},\"ns_per_instruction\":{per_instruction:.4},\
             \"values_ok\":{}}}",
            self.values_ok
        )
    }
}
