//! Which entries of a matrix can be other than zero.

use std::sync::Arc;

use smallvec::SmallVec;
use tape::{Dependency, Program, Real};

/// The places of a matrix that can be other than zero, row after row, in each row by column.
///
/// Clones share the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SparsityPattern {
    columns: usize,
    /// Row `i` is `indices[offsets[i]..offsets[i + 1]]`.
    offsets: Arc<Vec<usize>>,
    indices: Arc<Vec<usize>>,
}

/// Sets up to this size are kept for every value of a program. Larger ones are found again where an output
/// asks, by a walk back, so that a sum of many terms takes no more memory than its terms.
const KEPT: usize = 32;

/// What a value depends on, or `None` if that is more than is kept.
type Inputs = Option<SmallVec<[u32; 6]>>;

impl SparsityPattern {
    /// The pattern with these rows.
    ///
    /// # Panics
    /// If a column is not below `columns`.
    #[track_caller]
    pub fn from_rows(columns: usize, rows: impl IntoIterator<Item = Vec<usize>>) -> Self {
        let (mut offsets, mut indices) = (vec![0], Vec::new());
        for (i, mut row) in rows.into_iter().enumerate() {
            row.sort_unstable();
            row.dedup();
            let last = row.last().copied().unwrap_or(0);
            assert!(
                row.is_empty() || last < columns,
                "sparsity pattern: row {i} has an entry in column {last} of {columns}"
            );
            indices.append(&mut row);
            offsets.push(indices.len());
        }
        SparsityPattern { columns, offsets: Arc::new(offsets), indices: Arc::new(indices) }
    }

    /// That of the Jacobian of a program, by one walk over its instructions: output `i` against input `j`. An
    /// entry may be zero all the same, such as that of `x - x`.
    pub fn jacobian<E: Real>(program: &Program<E>) -> Self {
        let mut operands: Vec<SmallVec<[Dependency; 2]>> = Vec::new();
        let mut sets: Vec<Inputs> = Vec::new();
        let outputs = program.dependencies(|instruction| {
            sets.push(union(instruction, &sets));
            operands.push(SmallVec::from_slice(instruction));
        });
        let mut seen = vec![usize::MAX; operands.len()];
        let mut stack = Vec::new();
        let rows = outputs.into_iter().enumerate().map(|(i, output)| {
            let mut row = Vec::new();
            stack.extend(output);
            while let Some(dependency) = stack.pop() {
                match dependency {
                    Dependency::Input(k) => row.push(k),
                    Dependency::Value(v) if seen[v] == i => {}
                    Dependency::Value(v) => {
                        seen[v] = i;
                        match &sets[v] {
                            Some(set) => row.extend(set.iter().map(|&k| k as usize)),
                            None => stack.extend_from_slice(&operands[v]),
                        }
                    }
                }
            }
            row
        });
        Self::from_rows(program.inputs(), rows)
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    /// How many columns there are.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// How many entries can be other than zero.
    pub fn entries(&self) -> usize {
        self.indices.len()
    }

    /// Where each row begins in [`indices`](Self::indices), and at the end where the last one ends.
    pub fn offsets(&self) -> &[usize] {
        &self.offsets
    }

    /// The columns of the entries, row after row.
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }

    /// The columns of row `i`.
    ///
    /// # Panics
    /// If there is no such row.
    #[track_caller]
    pub fn row(&self, i: usize) -> &[usize] {
        assert!(i < self.rows(), "sparsity pattern: row {i} of {}", self.rows());
        &self.indices[self.offsets[i]..self.offsets[i + 1]]
    }

    /// The places of all entries, as (row, column).
    pub fn iter(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        (0..self.rows()).flat_map(|i| self.row(i).iter().map(move |&j| (i, j)))
    }

    /// Rows and columns exchanged.
    #[must_use]
    pub fn transposed(&self) -> Self {
        let mut offsets = vec![0; self.columns + 1];
        self.indices.iter().for_each(|&j| offsets[j + 1] += 1);
        for j in 0..self.columns {
            offsets[j + 1] += offsets[j];
        }
        let (mut next, mut indices) = (offsets.clone(), vec![0; self.entries()]);
        for (i, j) in self.iter() {
            indices[next[j]] = i;
            next[j] += 1;
        }
        SparsityPattern {
            columns: self.rows(),
            offsets: Arc::new(offsets),
            indices: Arc::new(indices),
        }
    }

    /// With the mirror image of every entry, and the whole diagonal.
    ///
    /// # Panics
    /// If it is not square.
    #[must_use]
    #[track_caller]
    pub fn symmetric(&self) -> Self {
        self.assert_size("columns", self.columns, self.rows());
        let other = self.transposed();
        let rows = (0..self.rows()).map(|i| {
            let mut row = [self.row(i), other.row(i), &[i]].concat();
            row.sort_unstable();
            row.dedup();
            row
        });
        Self::from_rows(self.columns, rows)
    }

    #[track_caller]
    pub(super) fn assert_size(&self, what: &str, own: usize, expected: usize) {
        assert!(
            own == expected,
            "sparsity pattern: it has {own} {what}, and {expected} are needed"
        );
    }
}

/// What an instruction depends on, from what its operands do.
fn union(instruction: &[Dependency], sets: &[Inputs]) -> Inputs {
    let mut all: SmallVec<[u32; 6]> = SmallVec::new();
    for &dependency in instruction {
        match dependency {
            Dependency::Input(k) => all.push(k as u32),
            Dependency::Value(v) => all.extend_from_slice(sets[v].as_ref()?),
        }
    }
    all.sort_unstable();
    all.dedup();
    (all.len() <= KEPT).then_some(all)
}
