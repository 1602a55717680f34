//! The workloads, each written as a user would write it, beside its floor.

pub(crate) mod black_scholes;
mod cnn;
mod custom_loss;
mod factorisation;
mod gpt;
mod gradient;
mod log_sum_exp;
mod lotka_volterra;
mod lstm;
mod mlp;
mod rosenbrock;
mod tiny_mlp;
mod training;

use crate::measure::Settings;
use crate::report::Report;

/// A workload: its name, what it is, and how to run it.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) run: fn(&Settings) -> Report,
}

macro_rules! all {
    ($($name:literal $what:literal $run:expr;)*) => {
        &[$(Workload { name: $name, what: $what, run: $run }),*]
    };
}

/// All workloads.
pub(crate) const ALL: &[Workload] = all! {
    "T1" "a tiny network, squared error, Adam" tiny_mlp::run;
    "T2" "a classifier of images, cross-entropy, Adam" mlp::run;
    "T3" "a convolutional network, cross-entropy, momentum" cnn::run;
    "T4" "an LSTM that predicts the next token, Adam" lstm::run;
    "T5" "a small GPT, AdamW" gpt::run;
    "T6" "matrix factorisation, Adam" factorisation::run;
    "T7" "a loss of one's own on a million elements" custom_loss::run;
    "S1" "Rosenbrock's function of 100,000 numbers, on the scalar tape" rosenbrock::run_scalars;
    "S1t" "the same on tensors" rosenbrock::run_tensors;
    "S2" "log sum exp of 100,000 numbers, on the scalar tape" log_sum_exp::run_scalars;
    "S2t" "the same on tensors" log_sum_exp::run_tensors;
    "S3" "Black and Scholes's prices of 10,000 options" black_scholes::run;
    "S4" "Lotka and Volterra's equations, 100,000 steps of Runge and Kutta" lotka_volterra::run;
};
