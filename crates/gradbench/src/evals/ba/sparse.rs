//! The Jacobian of bundle adjustment, by rows and without its zeros.

use serde::Serialize;

use super::{BLOCK, CAMERA, WEIGHT};
use crate::Error;

/// How many elements the two rows of an observation have.
pub(super) const BOTH_ROWS: usize = 2 * BLOCK;

/// A sparse matrix by compressed rows, in the order of the suite: two rows for each observation, and
/// then one for each weight. Its columns are those of the cameras, the points and the weights.
#[derive(Clone, Debug)]
pub struct Sparse {
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

    /// A matrix whose elements are not known yet, for these observations of points by cameras.
    pub(super) fn new(
        cameras: usize,
        points: usize,
        observations: &[(usize, usize)],
    ) -> Result<Self, Error> {
        let p = observations.len();
        Sparse::check(cameras, points, p)?;
        let of_points = CAMERA * cameras;
        let of_weights = of_points + 3 * points;
        let elements = BOTH_ROWS * p + p;
        let mut rows = super::reserved(3 * p + 1)?;
        rows.extend((0..=2 * p).map(|row| (BLOCK * row) as u32));
        rows.extend((1..=p).map(|weight| (BOTH_ROWS * p + weight) as u32));
        let mut columns = super::reserved(elements)?;
        for (i, &(camera, point)) in observations.iter().enumerate() {
            let row: [u32; BLOCK] = std::array::from_fn(|k| {
                let column = match k {
                    0..CAMERA => CAMERA * camera + k,
                    CAMERA..WEIGHT => of_points + 3 * point + k - CAMERA,
                    _ => of_weights + i,
                };
                column as u32
            });
            columns.extend_from_slice(&row);
            columns.extend_from_slice(&row);
        }
        columns.extend((of_weights..of_weights + p).map(|column| column as u32));
        Ok(Sparse { rows, columns, values: super::repeated(0.0, elements)? })
    }

    /// The elements of the two rows of each observation, and behind them those of the weights.
    pub(super) fn parts_mut(&mut self) -> (&mut [[f64; BOTH_ROWS]], &mut [f64]) {
        let observations = self.values.len() / (BOTH_ROWS + 1);
        let (blocks, weights) = self.values.split_at_mut(BOTH_ROWS * observations);
        (blocks.as_chunks_mut().0, weights)
    }

    pub(super) fn summary(&self) -> Summary {
        fn ends<T: Copy>(all: &[T]) -> Vec<T> {
            let first = all.iter().take(2 * BLOCK);
            first.chain(all.last()).copied().collect()
        }
        Summary { rows: ends(&self.rows), cols: ends(&self.columns), vals: ends(&self.values) }
    }
}
