//! `gradbench [--rerecord]`: answers the evaluator of GradBench on standard input and output.
//!
//! With `--rerecord` each run of a function prepares anew; see [`gradbench::Options`].

use std::io::{self, BufWriter};
use std::process::ExitCode;

use gradbench::{Options, protocol};

fn main() -> ExitCode {
    let mut options = Options::default();
    for argument in std::env::args_os().skip(1) {
        if argument == "--rerecord" {
            options.rerecord = true;
        } else {
            eprintln!("there is no option {}\nusage: gradbench [--rerecord]", argument.display());
            return ExitCode::FAILURE;
        }
    }
    let output = BufWriter::new(io::stdout().lock());
    match protocol::serve(io::stdin().lock(), output, options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
