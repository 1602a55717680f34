//! Schedules, and settings that are out of range.

use approx::assert_relative_eq;
use wengert::optim::transforms::*;
use wengert::optim::*;

use crate::assert_follows;
use crate::common::panic_at;

#[test]
fn schedules() {
    let staircase = Schedule::step_decay(0.8, 0.5, 3);
    let found: Vec<f64> = (0..7).map(|s| staircase.at(s)).collect();
    assert_eq!(found, [0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.2]);

    let exponential = Schedule::exponential(2.0, 0.9);
    assert_eq!(exponential.at(0), 2.0);
    assert_relative_eq!(exponential.at(2), 1.62, max_relative = 1e-15);

    let cosine = Schedule::cosine(1.0, 0.2, 8);
    assert_eq!(cosine.at(0), 1.0);
    assert_relative_eq!(cosine.at(4), 0.6, max_relative = 1e-15);
    let eighth = 0.2 + 0.4 * (1.0 + std::f64::consts::FRAC_1_SQRT_2);
    assert_relative_eq!(cosine.at(2), eighth, max_relative = 1e-15);
    assert_eq!(cosine.at(8), 0.2);
    assert_eq!(cosine.at(u64::MAX), 0.2);

    let warm = Schedule::warm_up(3, Schedule::step_decay(0.8, 0.5, 2));
    let found: Vec<f64> = (0..6).map(|s| warm.at(s)).collect();
    assert_relative_eq!(found[..], [0.2, 0.4, 0.6, 0.8, 0.8, 0.4][..], max_relative = 1e-15);
    assert_eq!(Schedule::warm_up(0, 0.3).at(0), 0.3);
    assert_eq!(Schedule::from(0.3).at(9), 0.3);

    // The first step of an optimiser is step 0.
    let opt = Sgd::new(Schedule::exponential(0.1, 0.5));
    assert_eq!(opt.learning_rate(), 0.1);
    assert_follows(opt, 0.0, |t, x, g, _| x - 0.1 * 0.5f64.powi(t as i32 - 1) * g);
}

#[track_caller]
fn assert_refused<R>(f: impl FnOnce() -> R, expected: &str) {
    let at = std::panic::Location::caller().line();
    let (message, file, line) = panic_at(f);
    assert!(message.contains(expected), "{message}");
    assert_eq!((file.as_str(), line), (file!(), at), "{message}");
}

#[test]
fn learning_rates_are_finite_and_not_negative() {
    for bad in [f64::NAN, f64::INFINITY, -0.1] {
        let what = "the learning rate";
        assert_refused(|| Sgd::<f64>::new(bad), what);
        assert_refused(|| Momentum::<f64>::new(bad), what);
        assert_refused(|| Nesterov::<f64>::new(bad), what);
        assert_refused(|| Adagrad::<f64>::new(bad), what);
        assert_refused(|| RmsProp::<f64>::new(bad), what);
        assert_refused(|| Adadelta::<f64>::new(bad), what);
        assert_refused(|| Adam::<f64>::new(bad), what);
        assert_refused(|| AdamW::<f64>::new(bad), what);
        assert_refused(|| ScaleBySchedule::new(bad), what);
        assert_refused(|| Schedule::constant(bad), what);
        assert_refused(|| Schedule::from(bad), what);
        assert_refused(|| Schedule::warm_up(5, bad), what);
        assert_refused(|| Schedule::step_decay(bad, 0.5, 1), what);
        assert_refused(|| Schedule::exponential(bad, 0.5), what);
        assert_refused(|| Schedule::cosine(bad, 0.0, 10), what);
        assert_refused(|| Schedule::cosine(0.1, bad, 10), what);
        assert_refused(|| Schedule::step_decay(0.1, bad, 1), "the factor");
        assert_refused(|| Schedule::exponential(0.1, bad), "the factor");
    }
    assert_refused(|| Schedule::step_decay(0.1, 0.5, 0), "every 0 steps");
    assert_refused(|| Scale::new(f64::NAN), "the factor NaN");
    // Ascent, and no step at all, are not mistakes.
    assert_follows(Chain::new().then(Scale::new(-0.01)), 0.0, |_, x, g, _| x + 0.01 * g);
    assert_follows(Sgd::new(0.0), 0.0, |_, x, _, _| x);
}

#[test]
fn settings_out_of_range_are_refused_where_they_are_made() {
    for bad in [f64::NAN, 1.0, 1.5, -0.1] {
        assert_refused(|| Adam::<f64>::new(0.1).betas(bad, 0.9), "beta1");
        assert_refused(|| AdamW::<f64>::new(0.1).betas(0.9, bad), "beta2");
        assert_refused(|| Momentum::<f64>::new(0.1).momentum(bad), "momentum");
        assert_refused(|| Momentum::<f64>::new(0.1).averaging().momentum(bad), "momentum");
        assert_refused(|| Nesterov::<f64>::new(0.1).momentum(bad), "momentum");
        assert_refused(|| RmsProp::<f64>::new(0.1).momentum(bad), "momentum");
        assert_refused(|| RmsProp::<f64>::new(0.1).alpha(bad), "alpha");
        assert_refused(|| Adadelta::<f64>::new(0.1).rho(bad), "rho");
    }
    for bad in [f64::NAN, f64::INFINITY, -0.1] {
        assert_refused(|| Adam::<f64>::new(0.1).epsilon(bad), "epsilon");
        assert_refused(|| RmsProp::<f64>::new(0.1).epsilon(bad), "epsilon");
        assert_refused(|| Adadelta::<f64>::new(0.1).epsilon(bad), "epsilon");
        assert_refused(|| Adagrad::<f64>::new(0.1).epsilon(bad), "epsilon");
        assert_refused(|| Adagrad::<f64>::new(0.1).initial_accumulator(bad), "initial sum");
        assert_refused(|| AdamW::<f64>::new(0.1).weight_decay(bad), "weight decay");
        assert_refused(|| Sgd::<f64>::new(0.1).weight_decay(bad), "weight decay");
        assert_refused(|| Sgd::<f64>::new(0.1).l1(bad), "the rate of the penalty");
    }
    for bad in [f64::NAN, -0.1] {
        assert_refused(|| Sgd::<f64>::new(0.1).clip_value(bad), "the limit");
        assert_refused(|| Sgd::<f64>::new(0.1).clip_norm(bad), "the limit");
        assert_refused(|| Sgd::<f64>::new(0.1).clip_global_norm(bad), "the limit");
    }
    let unbounded = Sgd::new(0.1).clip_norm(f64::INFINITY);
    assert_follows(unbounded, 0.0, |_, x, g, _| x - 0.1 * g);
}
