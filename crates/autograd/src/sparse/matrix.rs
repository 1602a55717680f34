//! A sparse matrix, as its rows.

use tape::{Real, Shape, Tensor};

use super::SparsityPattern;

/// A matrix of which the entries of a pattern are stored, row after row (the format called CSR).
#[derive(Clone, Debug, PartialEq)]
pub struct SparseMatrix<E: Real = f64> {
    pattern: SparsityPattern,
    values: Vec<E>,
}

impl<E: Real> SparseMatrix<E> {
    /// The matrix with these entries.
    ///
    /// # Panics
    /// If there are not as many as the pattern has.
    #[track_caller]
    pub fn new(pattern: SparsityPattern, values: Vec<E>) -> Self {
        let (own, given) = (pattern.entries(), values.len());
        assert!(own == given, "sparse matrix: {given} values for a pattern of {own} entries");
        SparseMatrix { pattern, values }
    }

    /// Which entries are stored.
    pub fn pattern(&self) -> &SparsityPattern {
        &self.pattern
    }

    /// The stored entries, in the order of the pattern.
    pub fn values(&self) -> &[E] {
        &self.values
    }

    /// The entry in row `i` and column `j`; 0 if it is not stored.
    ///
    /// # Panics
    /// If there is no such row or column.
    #[track_caller]
    pub fn get(&self, i: usize, j: usize) -> E {
        let (rows, columns) = (self.pattern.rows(), self.pattern.columns());
        assert!(i < rows && j < columns, "sparse matrix: entry ({i}, {j}) of {rows} by {columns}");
        let start = self.pattern.offsets()[i];
        match self.pattern.row(i).binary_search(&j) {
            Ok(place) => self.values[start + place],
            Err(_) => E::ZERO,
        }
    }

    /// The product with a vector.
    ///
    /// # Panics
    /// If the vector does not have as many elements as there are columns.
    #[must_use]
    #[track_caller]
    pub fn times(&self, v: &[E]) -> Vec<E> {
        self.pattern.assert_size("columns", self.pattern.columns(), v.len());
        let mut product = vec![E::ZERO; self.pattern.rows()];
        for ((i, j), &entry) in self.pattern.iter().zip(&self.values) {
            product[i] += entry * v[j];
        }
        product
    }

    /// The columns: the same matrix transposed, so that what it calls rows are columns (the format called
    /// CSC).
    #[must_use]
    pub fn transposed(&self) -> Self {
        let pattern = self.pattern.transposed();
        let mut next = pattern.offsets().to_vec();
        let mut values = vec![E::ZERO; self.values.len()];
        for ((_, j), &entry) in self.pattern.iter().zip(&self.values) {
            values[next[j]] = entry;
            next[j] += 1;
        }
        SparseMatrix { pattern, values }
    }

    /// With the zeros.
    ///
    /// # Panics
    /// If it does not fit into memory.
    #[track_caller]
    pub fn to_dense(&self) -> Tensor<E> {
        let (rows, columns) = (self.pattern.rows(), self.pattern.columns());
        let mut dense = vec![E::ZERO; Shape::from([rows, columns]).elements()];
        for ((i, j), &entry) in self.pattern.iter().zip(&self.values) {
            dense[i * columns + j] = entry;
        }
        Tensor::new([rows, columns], dense)
    }
}

/// The same entries as a matrix of `faer`.
#[cfg(feature = "faer")]
impl<E: Real> From<&SparseMatrix<E>> for faer::sparse::SparseRowMat<usize, E> {
    fn from(matrix: &SparseMatrix<E>) -> Self {
        let pattern = &matrix.pattern;
        let symbolic = faer::sparse::SymbolicSparseRowMat::new_checked(
            pattern.rows(),
            pattern.columns(),
            pattern.offsets().to_vec(),
            None,
            pattern.indices().to_vec(),
        );
        faer::sparse::SparseRowMat::new(symbolic, matrix.values.clone())
    }
}

/// The same entries as a matrix of `sprs`.
#[cfg(feature = "sprs")]
impl<E: Real> From<&SparseMatrix<E>> for sprs::CsMat<E> {
    fn from(matrix: &SparseMatrix<E>) -> Self {
        let pattern = &matrix.pattern;
        let shape = (pattern.rows(), pattern.columns());
        let (offsets, indices) = (pattern.offsets().to_vec(), pattern.indices().to_vec());
        sprs::CsMat::new(shape, offsets, indices, matrix.values.clone())
    }
}
