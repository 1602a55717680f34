//! The evaluations, each in a file of its own.

pub mod ba;
pub mod gmm;
pub mod hello;
pub mod kmeans;
pub mod llsq;
pub mod lse;
pub mod lstm;
pub mod ode;

use wengert::prelude::*;

use crate::Error;
use crate::job::{Answer, Call};

/// An evaluation: its name, and how one of its functions is computed.
pub(crate) struct Module {
    pub(crate) name: &'static str,
    pub(crate) evaluate: fn(&str, &Call<'_>) -> Result<Answer, Error>,
}

/// All of them.
const ALL: &[Module] = &[
    Module { name: "ba", evaluate: ba::evaluate },
    Module { name: "gmm", evaluate: gmm::evaluate },
    Module { name: "hello", evaluate: hello::evaluate },
    Module { name: "kmeans", evaluate: kmeans::evaluate },
    Module { name: "llsq", evaluate: llsq::evaluate },
    Module { name: "lse", evaluate: lse::evaluate },
    Module { name: "lstm", evaluate: lstm::evaluate },
    Module { name: "ode", evaluate: ode::evaluate },
];

/// The module of that name.
pub(crate) fn find(name: &str) -> Result<&'static Module, Error> {
    let found = ALL.iter().find(|module| module.name == name);
    found.ok_or_else(|| Error::Module(name.to_owned()))
}

/// A program that is ready for many points: a run at none of them makes what the first run would make.
/// `alike` says which inputs will be the same at all points.
fn ready(program: Program, alike: impl Fn(usize) -> bool) -> Result<Program, Error> {
    let column = |k| -> &[f64] { if alike(k) { &[0.0] } else { &[] } };
    let columns: Vec<&[f64]> = (0..program.inputs()).map(column).collect();
    program.eval_many(&columns)?;
    Ok(program)
}
