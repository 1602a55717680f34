//! Interleaved timing: both sides of a ratio are measured in turns, so that what else the machine
//! does falls on both.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// The argument of `--seconds`: for how long a workload is measured.
pub(crate) fn seconds(argument: Option<String>) -> Result<f64, String> {
    let seconds = argument.and_then(|s| s.parse::<f64>().ok());
    let seconds = seconds.filter(|s| s.is_finite() && *s >= 0.0);
    seconds.ok_or_else(|| "--seconds takes a number".to_owned())
}

/// The times of one side, in microseconds.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    pub(crate) median: f64,
    pub(crate) minimum: f64,
    /// Half of the distance between the quartiles, in parts of the median.
    pub(crate) spread: f64,
}

/// The samples of both sides, in microseconds a step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples {
    pub(crate) engine: Vec<f64>,
    pub(crate) floor: Vec<f64>,
}

impl Samples {
    /// The times of the engine and of the floor.
    pub(crate) fn times(&self) -> (Times, Times) {
        (Times::new(&self.engine), Times::new(&self.floor))
    }
}

impl Times {
    pub(crate) fn new(samples: &[f64]) -> Times {
        let mut samples = samples.to_vec();
        samples.sort_by(f64::total_cmp);
        let at = |part: f64| samples[((samples.len() - 1) as f64 * part) as usize];
        let median = at(0.5);
        Times { median, minimum: samples[0], spread: (at(0.75) - at(0.25)) / (2.0 * median) }
    }

    /// The times that a rule makes of these.
    pub(crate) fn map(&self, rule: impl Fn(f64) -> f64) -> Times {
        Times { median: rule(self.median), minimum: rule(self.minimum), spread: self.spread }
    }
}

/// Runs both sides in turns for `seconds`, after some turns to warm up. A sample is `batch` steps.
pub(crate) fn interleaved(
    seconds: f64,
    batch: usize,
    engine: &mut dyn FnMut() -> f64,
    floor: &mut dyn FnMut() -> f64,
) -> Samples {
    let time = |f: &mut dyn FnMut() -> f64| {
        let start = Instant::now();
        for _ in 0..batch {
            black_box(f());
        }
        start.elapsed().as_secs_f64() * 1e6 / batch as f64
    };
    for _ in 0..3 {
        time(engine);
        time(floor);
    }
    let mut samples = Samples::default();
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    while Instant::now() < end || samples.engine.len() < 5 {
        samples.engine.push(time(engine));
        samples.floor.push(time(floor));
    }
    samples
}
