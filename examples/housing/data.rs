//! The housing data: split, standardised, and cut into batches before the training begins.

use rand::Rng;
use rand::seq::SliceRandom;
use wengert::prelude::*;

use crate::table::{Standardiser, Table};

/// Features `[rows, 13]`, standardised, and prices `[rows, 1]` in $1000.
#[derive(Debug)]
pub(crate) struct Set {
    pub(crate) x: Tensor,
    pub(crate) y: Tensor,
}

impl Set {
    /// Cuts the rows into batches of `size`; the last one may be shorter.
    pub(crate) fn batches(&self, size: usize) -> Vec<Set> {
        let rows: Vec<usize> = (0..self.x.shape()[0]).collect();
        let batch = |rows: &[usize]| Set { x: self.x.rows(rows), y: self.y.rows(rows) };
        rows.chunks(size).map(batch).collect()
    }
}

/// A training and a test set: four fifths of the rows, drawn at random, and the rest.
pub(crate) fn load(rng: &mut impl Rng) -> Result<(Set, Set), String> {
    let table = Table::parse(include_str!("../data/boston_housing.csv"))?;

    let mut rows: Vec<usize> = (0..table.targets.len()).collect();
    rows.shuffle(rng);
    let (train, test) = rows.split_at(rows.len() * 4 / 5);

    // Mean and deviation come from the training rows alone: the test must not leak into the model.
    let standardise = Standardiser::fit(&table.features.rows(train));
    let set = |rows: &[usize]| Set {
        x: standardise.apply(&table.features.rows(rows)),
        y: table.targets.rows(rows),
    };
    Ok((set(train), set(test)))
}
