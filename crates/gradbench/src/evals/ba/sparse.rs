//! The Jacobian of bundle adjustment, by rows and without its zeros.

use serde::Serialize;

use super::{BLOCK, CAMERA};
use crate::Error;

/// Which number of a block is the weight.
const WEIGHT: usize = BLOCK - 1;

/// A sparse matrix by compressed rows, in the order of the suite: two rows for each observation, and
/// then one for each weight. Its columns are those of the cameras, the points and the weights.
#[derive(Clone, Debug)]
pub struct Sparse {
    cameras: usize,
    points: usize,
    observations: usize,
    /// Where each row begins in the two others; one more than there are rows.
    pub rows: Vec<u32>,
    /// The column of each element.
    pub columns: Vec<u32>,
    /// The elements.
    pub values: Vec<f64>,
}

/// What the protocol wants to see of it: the first elements, those of one observation, and the last.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    rows: Vec<u32>,
    cols: Vec<u32>,
    vals: Vec<f64>,
}

impl Sparse {
    /// An error if the matrix has more columns or elements than can be numbered.
    pub(super) fn check(cameras: usize, points: usize, observations: usize) -> Result<(), Error> {
        let most = u32::MAX as usize / (2 * BLOCK + 1);
        match cameras.max(points).max(observations) <= most / 2 {
            true => Ok(()),
            false => Err(Error::input(format!("n, m and p should be at most {}", most / 2))),
        }
    }

    /// An empty matrix, with the memory for its elements.
    pub(super) fn new(cameras: usize, points: usize, observations: usize) -> Result<Self, Error> {
        Sparse::check(cameras, points, observations)?;
        let elements = observations * (2 * BLOCK + 1);
        Ok(Sparse {
            cameras,
            points,
            observations,
            rows: super::reserved(3 * observations + 1)?,
            columns: super::reserved(elements)?,
            values: super::reserved(elements)?,
        })
    }

    /// Forgets the elements and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.columns.clear();
        self.values.clear();
        self.rows.push(0);
    }

    /// Appends the two rows of the next observation.
    pub(super) fn push_observation(
        &mut self,
        camera: usize,
        point: usize,
        rows: &[[f64; BLOCK]; 2],
    ) {
        // Rows are pushed in pairs until those of weights come.
        let observation = self.rows.len() / 2;
        let of_camera = CAMERA * camera;
        let of_point = CAMERA * self.cameras + 3 * point;
        let columns: [u32; BLOCK] = std::array::from_fn(|k| {
            let column = match k {
                0..CAMERA => of_camera + k,
                CAMERA..WEIGHT => of_point + k - CAMERA,
                _ => self.weight_column(observation),
            };
            column as u32
        });
        for row in rows {
            self.columns.extend_from_slice(&columns);
            self.values.extend_from_slice(row);
            self.rows.push(self.values.len() as u32);
        }
    }

    /// Appends the row of the next weight.
    pub(super) fn push_weight(&mut self, partial: f64) {
        let weight = self.rows.len() - 1 - 2 * self.observations;
        self.columns.push(self.weight_column(weight) as u32);
        self.values.push(partial);
        self.rows.push(self.values.len() as u32);
    }

    fn weight_column(&self, weight: usize) -> usize {
        CAMERA * self.cameras + 3 * self.points + weight
    }

    pub(super) fn summary(&self) -> Summary {
        fn ends<T: Copy>(all: &[T]) -> Vec<T> {
            let first = all.iter().take(2 * BLOCK);
            first.chain(all.last()).copied().collect()
        }
        Summary { rows: ends(&self.rows), cols: ends(&self.columns), vals: ends(&self.values) }
    }
}
