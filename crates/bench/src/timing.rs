//! Interleaved timing: both sides of a ratio are measured in turns, so that what else the machine
//! does falls on both.

use std::time::{Duration, Instant};

/// The times of one side, in microseconds.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    pub(crate) median: f64,
    pub(crate) minimum: f64,
    /// Half of the distance between the quartiles, in parts of the median.
    pub(crate) spread: f64,
}

impl Times {
    fn new(mut samples: Vec<f64>) -> Times {
        samples.sort_by(f64::total_cmp);
        let at = |part: f64| samples[((samples.len() - 1) as f64 * part) as usize];
        let median = at(0.5);
        Times { median, minimum: samples[0], spread: (at(0.75) - at(0.25)) / (2.0 * median) }
    }
}

/// Runs both sides in turns for `seconds`, after some turns to warm up.
pub(crate) fn interleaved(
    seconds: f64,
    mut engine: impl FnMut(),
    mut floor: impl FnMut(),
) -> (Times, Times) {
    let time = |f: &mut dyn FnMut()| {
        let start = Instant::now();
        f();
        start.elapsed().as_secs_f64() * 1e6
    };
    for _ in 0..3 {
        engine();
        floor();
    }
    let (mut engine_times, mut floor_times) = (Vec::new(), Vec::new());
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    while Instant::now() < end || engine_times.len() < 11 {
        engine_times.push(time(&mut engine));
        floor_times.push(time(&mut floor));
    }
    (Times::new(engine_times), Times::new(floor_times))
}
