//! Computations that are prepared once and run many times, and their timing.

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::Error;

/// How the tool works.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Whether each run prepares anew, as tools do that keep nothing from one run to the next. The
    /// time of a run then includes its preparation.
    ///
    /// In `ba`, `lstm` and `ode` that is to record programs, to differentiate and to compile them, besides memory
    /// and the arrangement of the data. The others prepare no more than the latter: what they record, they record in
    /// every run, with the switch or without it.
    pub rerecord: bool,
}

/// A computation that can be run again and again. To make one is its preparation: what depends on
/// the size of the input and not on the point of differentiation may be done there.
pub trait Job {
    /// Computes the result anew.
    ///
    /// # Errors
    /// If the engine refuses, or there is no result.
    fn run(&mut self) -> Result<(), Error>;

    /// The result of the last run.
    fn output(&self) -> impl Serialize;
}

/// A plain function as a job without preparation.
pub struct Objective<F, T> {
    f: F,
    value: Option<T>,
}

impl<F: FnMut() -> T, T: Serialize> Objective<F, T> {
    /// The job of calling `f`.
    pub fn new(f: F) -> Self {
        Objective { f, value: None }
    }
}

impl<F: FnMut() -> T, T: Serialize> Job for Objective<F, T> {
    fn run(&mut self) -> Result<(), Error> {
        self.value = Some(black_box((self.f)()));
        Ok(())
    }

    fn output(&self) -> impl Serialize {
        &self.value
    }
}

/// How often the evaluator wants a function to be run. An input that says nothing means one run of at
/// least a second in all, as the benchmark's own tools have it.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Runs {
    #[serde(default = "one")]
    min_runs: u64,
    #[serde(default = "one_second")]
    min_seconds: f64,
}

fn one() -> u64 {
    1
}

fn one_second() -> f64 {
    1.0
}

/// The time that a part of the work has taken.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Timing {
    name: &'static str,
    nanoseconds: u128,
}

impl Timing {
    fn new(name: &'static str, elapsed: Duration) -> Self {
        Timing { name, nanoseconds: elapsed.as_nanos() }
    }
}

/// A result, written as JSON, and what it has taken.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    pub(crate) output: Box<RawValue>,
    pub(crate) timings: Vec<Timing>,
}

/// A request to evaluate a function.
pub(crate) struct Call<'a> {
    pub(crate) input: &'a RawValue,
    pub(crate) options: Options,
}

impl Call<'_> {
    /// The input in the form that the evaluation has.
    pub(crate) fn input<T: DeserializeOwned>(&self) -> Result<T, Error> {
        Ok(serde_json::from_str(self.input.get())?)
    }

    /// Runs a job as often as the input asks for.
    pub(crate) fn repeat<J: Job>(
        &self,
        prepare: impl Fn() -> Result<J, Error>,
    ) -> Result<Answer, Error> {
        let Runs { min_runs, min_seconds } = self.input()?;
        self.repeat_for(prepare, min_runs, min_seconds)
    }

    /// Runs a job once.
    pub(crate) fn once<J: Job>(
        &self,
        prepare: impl Fn() -> Result<J, Error>,
    ) -> Result<Answer, Error> {
        self.repeat_for(prepare, 1, 0.0)
    }

    /// The clock is the monotonic one, and stops while results are written.
    fn repeat_for<J: Job>(
        &self,
        prepare: impl Fn() -> Result<J, Error>,
        min_runs: u64,
        min_seconds: f64,
    ) -> Result<Answer, Error> {
        // A time that does not fit a duration is never reached, and a negative one always.
        let enough = Duration::try_from_secs_f64(min_seconds.max(0.0)).unwrap_or(Duration::MAX);
        let start = Instant::now();
        let mut job = prepare()?;
        let mut timings = vec![Timing::new("prepare", start.elapsed())];
        let (mut runs, mut total) = (0, Duration::ZERO);
        while runs == 0 || runs < min_runs || total < enough {
            let start = Instant::now();
            if self.options.rerecord {
                job = prepare()?;
            }
            job.run()?;
            let elapsed = start.elapsed();
            timings.push(Timing::new("evaluate", elapsed));
            total += elapsed;
            runs += 1;
        }
        Ok(Answer { output: write(&job.output())?, timings })
    }
}

/// A result as JSON. Numbers are written with as many digits as it takes to read the same number back.
fn write(output: &impl Serialize) -> Result<Box<RawValue>, Error> {
    let mut text = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, FiniteOnly);
    output.serialize(&mut serializer).map_err(|error| match error.is_io() {
        true => Error::NotFinite,
        false => error.into(),
    })?;
    Ok(serde_json::from_slice(&text)?)
}

/// JSON without `null`. The serialiser writes that for numbers that are not finite; a reader would take
/// it for something else, and no result of ours has it otherwise.
struct FiniteOnly;

impl serde_json::ser::Formatter for FiniteOnly {
    fn write_null<W: ?Sized + std::io::Write>(&mut self, _: &mut W) -> std::io::Result<()> {
        Err(std::io::ErrorKind::InvalidData.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_that_is_not_finite_is_refused() {
        assert_eq!(write(&[1.0, 0.1]).unwrap().get(), "[1.0,0.1]");
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(matches!(write(&[1.0, bad]), Err(Error::NotFinite)));
        }
    }

    fn counted(input: &str, rerecord: bool) -> (usize, usize, usize) {
        let input = RawValue::from_string(input.to_owned()).unwrap();
        let call = Call { input: &input, options: Options { rerecord } };
        let (prepared, run) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
        let answer = call.repeat(|| {
            prepared.set(prepared.get() + 1);
            Ok(Objective::new(|| run.set(run.get() + 1)))
        });
        // A unit is written as `null`, which is refused; only the counts matter here.
        assert!(answer.is_err());
        let timings = call.repeat(|| Ok(Objective::new(|| 0.0))).unwrap().timings;
        (prepared.get(), run.get(), timings.len())
    }

    #[test]
    fn a_job_is_run_and_prepared_as_often_as_asked() {
        assert_eq!(counted(r#"{"min_runs":7,"min_seconds":0}"#, false), (1, 7, 8));
        assert_eq!(counted(r#"{"min_runs":7,"min_seconds":0}"#, true), (8, 7, 8));
        assert_eq!(counted(r#"{"min_runs":0,"min_seconds":-1}"#, false), (1, 1, 2));
    }

    #[test]
    fn a_job_runs_for_the_seconds_that_are_asked_for() {
        let input = RawValue::from_string(r#"{"min_seconds":0.02}"#.to_owned()).unwrap();
        let call = Call { input: &input, options: Options::default() };
        let answer = call.repeat(|| Ok(Objective::new(|| 0.0))).unwrap();
        let runs = answer.timings.iter().skip(1);
        let total: u128 = runs.map(|timing| timing.nanoseconds).sum();
        assert!(answer.timings.len() > 3 && total >= 20_000_000);
    }
}
