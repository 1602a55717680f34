//! Parameters, and the optimisers that move them along their gradients.
//!
//! The story of a step:
//!
//! 1. Parameters live in a [`Params`], by key and by name. [`Params::bind`] records each as a leaf
//!    of a tape, with a label that says which entry of which store it is, and which of its values.
//!    The leaf shares the buffer of the parameter.
//! 2. A loss is recorded and swept. This crate sees neither: what comes back is an
//!    [`autograd::Gradients`], tensors keyed by the labels.
//! 3. [`Chain::step`] looks for the labels of its store, refuses those of earlier values (a gradient
//!    serves one step), adds up those that come twice, and checks that all numbers are finite. From
//!    here on nothing can fail.
//! 4. Parameter by parameter, and chunk by chunk, the gradient passes through the [`transforms`] of the
//!    chain and is subtracted: in place, or into the parameter's second buffer while a tape still
//!    holds the first, so that nothing that was recorded changes.
//!
//! The named optimisers ([`Sgd`], [`Adam`], ...) are short chains:
//!
//! ```
//! use autograd::Differentiate;
//! use optim::{Adam, Params};
//! use tape::{Tape, Tensor};
//!
//! let mut params = Params::new();
//! let x = params.insert("x", Tensor::scalar(3.0));
//! let mut opt = Adam::new(0.1);
//! let mut tape = Tape::new();
//! for _ in 0..200 {
//!     tape.reset();
//!     let p = params.bind(&tape);
//!     let loss = (p[x] - 1.0).square();
//!     opt.step(&mut params, loss.backward()?)?;
//! }
//! assert!((params.get(x).item() - 1.0).abs() < 1e-2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Where to look:
//!
//! - `params` and `bind`: the store, and its parameters on a tape.
//! - `chain`: the step; `pass`: its loops over the elements, on all threads; `memory`: what is
//!   remembered of a parameter; `numeric`: the checks; `vector`: loops for the processor at hand.
//! - [`transforms`]: the stages of a chain, a family a file.
//! - `schedule`: learning rates; `optimizers`: the named chains.

pub mod transforms;

mod bind;
mod chain;
mod error;
mod memory;
mod numeric;
mod optimizers;
mod params;
mod part;
mod pass;
mod schedule;
mod vector;

pub use bind::Bound;
pub use chain::Chain;
pub use error::Error;
pub use optimizers::{
    Adadelta, Adagrad, Adam, AdamW, GradientDescent, Momentum, Nesterov, RmsProp, Sgd,
};
pub use params::{DEFAULT_GROUP, ParamKey, Params};
pub use schedule::Schedule;

/// How many elements pass through a chain at a time: few enough for the update, the parameter and
/// the buffers of a transform to stay in the cache, many enough to make the call of each transform
/// free.
const CHUNK: usize = 2048;
