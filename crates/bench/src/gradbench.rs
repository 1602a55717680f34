//! Functions and gradients of the GradBench suite, in turns in one run.
//!
//! The function is a plain loop over `f64`. What is compared with other tools of that suite is the ratio
//! of the two times, because it depends less on the machine.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use gradbench::{Case, Sides, suite};

use crate::machine;
use crate::timing::{self, Times};

const USAGE: &str = "usage: wengert-bench gradbench [NAMES] [--seconds S] [--json]";

struct Arguments {
    names: Vec<String>,
    seconds: f64,
    json: bool,
}

/// Runs the cases that are named, by evaluation or by evaluation and input, or all.
pub(crate) fn main(args: impl Iterator<Item = String>) -> ExitCode {
    let cases = suite();
    let Arguments { names, seconds, json } = match parse(args, &cases) {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("{message}\n{USAGE}");
            cases.iter().for_each(|case| eprintln!("  {}", name(case)));
            return ExitCode::FAILURE;
        }
    };
    if !json {
        machine::print();
        println!("{}", header());
    }
    for case in &cases {
        if names.is_empty()
            || names.iter().any(|wanted| *wanted == case.eval || *wanted == name(case))
        {
            let row = Row { case, times: measure(&mut (case.make)(), seconds) };
            println!("{}", if json { row.json() } else { row.text() });
        }
    }
    ExitCode::SUCCESS
}

fn name(case: &Case) -> String {
    format!("{}/{}", case.eval, case.input)
}

fn parse(mut args: impl Iterator<Item = String>, cases: &[Case]) -> Result<Arguments, String> {
    let mut parsed = Arguments { names: Vec::new(), seconds: 1.0, json: false };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--json" => parsed.json = true,
            "--seconds" => parsed.seconds = timing::seconds(args.next())?,
            other if cases.iter().any(|case| other == case.eval || other == name(case)) => {
                parsed.names.push(arg);
            }
            other => return Err(format!("there is no evaluation or option {other}")),
        }
    }
    Ok(parsed)
}

/// The times of the objective, the gradient, and the gradient with its preparation.
fn measure(sides: &mut Sides, seconds: f64) -> [Times; 3] {
    let mut sides = [&mut sides.objective, &mut sides.gradient, &mut sides.rerecorded];
    let mut samples = [const { Vec::new() }; 3];
    // Two rounds to warm up; so the third tells how many calls make a sample of a microsecond or more.
    let mut batches = [1; 3];
    for _ in 0..3 {
        for (side, batch) in sides.iter_mut().zip(&mut batches) {
            *batch = (20.0 / time(side, 1)).clamp(1.0, 1000.0) as usize;
        }
    }
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    while Instant::now() < end || samples[0].len() < 5 {
        for ((side, samples), &batch) in sides.iter_mut().zip(&mut samples).zip(&batches) {
            samples.push(time(side, batch));
        }
    }
    samples.map(|samples| Times::new(&samples))
}

/// Microseconds a call.
fn time(f: &mut impl FnMut(), batch: usize) -> f64 {
    let start = Instant::now();
    (0..batch).for_each(|_| f());
    start.elapsed().as_secs_f64() * 1e6 / batch as f64
}

struct Row<'a> {
    case: &'a Case,
    times: [Times; 3],
}

fn header() -> String {
    format!(
        "{:24} {:>12} {:>12} {:>8} {:>12} {:>12} {:>12} {:>8}",
        "input",
        "function us",
        "minimum us",
        "spread",
        "gradient us",
        "minimum us",
        "with prep.",
        "ratio"
    )
}

impl Row<'_> {
    /// Gradient to function, by medians.
    fn ratio(&self) -> f64 {
        self.times[1].median / self.times[0].median
    }

    fn text(&self) -> String {
        let [objective, gradient, rerecorded] = &self.times;
        format!(
            "{:24} {:>12.2} {:>12.2} {:>7.1}% {:>12.2} {:>12.2} {:>12.2} {:>8.3}",
            name(self.case),
            objective.median,
            objective.minimum,
            100.0 * objective.spread,
            gradient.median,
            gradient.minimum,
            rerecorded.median,
            self.ratio()
        )
    }

    fn json(&self) -> String {
        let [objective, gradient, rerecorded] = self.times.each_ref().map(|times| times.median);
        let [objective_min, gradient_min, _] = self.times.each_ref().map(|times| times.minimum);
        format!(
            "{{\"eval\":\"{}\",\"input\":\"{}\",\"objective_us\":{objective:.3},\
             \"gradient_us\":{gradient:.3},\"ratio\":{:.4},\"rerecorded_us\":{rerecorded:.3},\
             \"objective_min_us\":{objective_min:.3},\"gradient_min_us\":{gradient_min:.3}}}",
            self.case.eval,
            self.case.input,
            self.ratio()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_json_has_the_keys_that_scripts_read() {
        let cases = suite();
        let times =
            [[4.0, 3.0, 9.0], [6.0, 5.0, 7.0], [8.0; 3]].map(|samples| Times::new(&samples));
        let row = Row { case: &cases[0], times };
        let expected = "{\"eval\":\"llsq\",\"input\":\"n16_m128\",\"objective_us\":4.000,\
                        \"gradient_us\":6.000,\"ratio\":1.5000,\"rerecorded_us\":8.000,\
                        \"objective_min_us\":3.000,\"gradient_min_us\":5.000}";
        assert_eq!(row.json(), expected);
    }
}
