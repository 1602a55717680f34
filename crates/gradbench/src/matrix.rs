//! Matrices as the protocol writes them: arrays of rows.

use serde::{Deserialize, Serialize, Serializer};
use wengert::prelude::Tensor;

/// A matrix in one buffer, row by row. In JSON it is an array of rows, all of one length.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(try_from = "Vec<Vec<f64>>")]
pub struct Matrix {
    /// How many rows there are.
    pub rows: usize,
    /// How long each row is; 0 if there is none.
    pub columns: usize,
    /// The elements, row by row.
    pub data: Vec<f64>,
}

impl Matrix {
    /// The matrix of these elements, which are given row by row.
    ///
    /// # Panics
    /// If their number is not `rows * columns`.
    #[track_caller]
    pub fn new(rows: usize, columns: usize, data: Vec<f64>) -> Self {
        assert!(
            data.len() == rows * columns,
            "{rows} rows of {columns} do not have {} elements",
            data.len()
        );
        Matrix { rows, columns, data }
    }

    /// Row `i`.
    #[track_caller]
    pub fn row(&self, i: usize) -> &[f64] {
        &self.data[i * self.columns..][..self.columns]
    }

    /// The rows one after the other. Rows without elements are none.
    pub fn iter_rows(&self) -> std::slice::ChunksExact<'_, f64> {
        self.data.chunks_exact(self.columns.max(1))
    }

    /// The matrix as a tensor.
    pub fn tensor(&self) -> Tensor {
        Tensor::new([self.rows, self.columns], self.data.clone())
    }
}

impl TryFrom<Vec<Vec<f64>>> for Matrix {
    type Error = String;

    fn try_from(rows: Vec<Vec<f64>>) -> Result<Self, String> {
        let columns = rows.first().map_or(0, Vec::len);
        if let Some((i, row)) = rows.iter().enumerate().find(|(_, row)| row.len() != columns) {
            let length = row.len();
            return Err(format!("row {i} of a matrix has {length} elements, and row 0 {columns}"));
        }
        Ok(Matrix { rows: rows.len(), columns, data: rows.concat() })
    }
}

impl Serialize for Matrix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((0..self.rows).map(|i| self.row(i)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_is_an_array_of_rows_of_one_length() {
        let matrix: Matrix = serde_json::from_str("[[1.0,2.0],[3.0,4.0],[5.0,6.0]]").unwrap();
        assert_eq!(matrix, Matrix::new(3, 2, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
        assert_eq!(serde_json::to_string(&matrix).unwrap(), "[[1.0,2.0],[3.0,4.0],[5.0,6.0]]");
        let ragged = serde_json::from_str::<Matrix>("[[1.0,2.0],[3.0]]").unwrap_err();
        assert!(ragged.to_string().contains("row 1 of a matrix has 1 elements, and row 0 2"));
    }

    #[test]
    fn rows_without_elements_keep_their_number() {
        let matrix: Matrix = serde_json::from_str("[[],[]]").unwrap();
        assert_eq!((matrix.rows, matrix.columns), (2, 0));
        assert_eq!(serde_json::to_string(&matrix).unwrap(), "[[],[]]");
        assert_eq!(matrix.iter_rows().count(), 0);
    }
}
