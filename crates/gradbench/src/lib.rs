//! The engine as a tool of [GradBench](https://github.com/gradbench/gradbench), the community's benchmark
//! of automatic differentiation.
//!
//! The binary `gradbench` speaks the benchmark's protocol on its standard input and output: one JSON
//! object a line ([`protocol`]). The evaluations, each in a file of its own, are in [`evals`]: the plain
//! function on `f64`, and beside it the derivative as a user of the engine would write it. Both are measured
//! without the evaluator by `cargo run --release -p wengert-bench -- gradbench`, on the inputs of [`suite`].
//!
//! What does not depend on the point of differentiation is done once and reported as `prepare`: in `ba`, `lstm`
//! and `ode` programs are recorded, differentiated and compiled, of one observation, of one unit and one score
//! and of one component of a step, and in `ba` the pattern of the sparse matrix is made. They are run for many of
//! these at a time. The others record tensors in every run.
//!
//! The mathematics is that of the benchmark; in `gmm` that of its version with the parts `q` and `l`.
//!
//! ```
//! let mut output = Vec::new();
//! let input = br#"{"id":0,"kind":"evaluate","module":"hello","function":"double","input":1.5}"#;
//! gradbench::protocol::serve(&input[..], &mut output, gradbench::Options::default())?;
//! assert!(output.starts_with(br#"{"id":0,"success":true,"output":3.0,"#));
//! # Ok::<(), std::io::Error>(())
//! ```

mod error;
pub mod evals;
mod job;
mod matrix;
pub mod protocol;
mod suite;

pub use error::Error;
pub use job::{Job, Objective, Options};
pub use matrix::Matrix;
pub use suite::{Case, Sides, suite};
