//! Rows and columns at once.

use super::{Colouring, SparsityPattern};

/// Which rows of a Jacobian are asked for by reverse passes, and a colouring of these; the entries of the other
/// rows come from forward passes, by a colouring of the columns.
///
/// A matrix with a dense row and a dense column, such as an arrow, needs as many colours as it is wide by
/// columns alone or by rows alone, and few by both. Every entry is read off directly (Hossain and Steihaug,
/// *Computing a sparse Jacobian matrix by rows and columns*, 1998; Coleman and Verma, *The efficient computation
/// of sparse Jacobian matrices using automatic differentiation*, 1998).
///
/// ```
/// use autograd::sparse::{Bicolouring, Colouring, SparsityPattern};
///
/// let arrow = (0..100).map(|i| if i == 0 { (0..100).collect() } else { vec![0, i] });
/// let arrow = SparsityPattern::from_rows(100, arrow);
/// let both = Bicolouring::new(&arrow);
/// assert_eq!((both.rows(), both.columns()), (1, 2));
/// assert_eq!(Colouring::columns(&arrow).colours(), 100);
/// assert_eq!(Colouring::rows(&arrow).colours(), 100);
/// ```
///
/// It depends on the pattern alone, so it is made once and used for every program of the same structure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bicolouring {
    by_row: Vec<bool>,
    rows: Colouring,
    columns: Colouring,
}

/// So many ways to divide the rows are tried at most, those with the lowest bounds.
const TRIED: usize = 8;

impl Bicolouring {
    /// The longest rows by reverse passes and the others by forward passes: as many as give the fewest colours.
    /// That may be all of them, or none.
    pub fn new(pattern: &SparsityPattern) -> Self {
        let length = |&i: &usize| pattern.row(i).len();
        let mut order: Vec<usize> = (0..pattern.rows()).collect();
        order.sort_by_key(|i| std::cmp::Reverse(length(i)));
        // Entries in one column need different colours by rows, and those in one row by columns. So for each
        // number of rows there is a bound, which costs next to nothing, and most are never tried.
        let (mut in_column, mut longest_column) = (vec![0usize; pattern.columns()], 0);
        let mut bounds = Vec::new();
        for count in 0..=order.len() {
            let rest = order.get(count).map_or(0, length);
            if count == 0 || length(&order[count - 1]) > rest {
                let divided = count > 0 && rest > 0;
                bounds.push((longest_column + rest, divided, count));
            }
            for &j in order.get(count).map_or(&[][..], |&i| pattern.row(i)) {
                in_column[j] += 1;
                longest_column = longest_column.max(in_column[j]);
            }
        }
        bounds.sort_unstable();
        let mut best = Self::dividing(pattern, &order[..bounds[0].2]);
        for &(bound, _, count) in bounds[1..].iter().take(TRIED - 1) {
            if best.colours() <= bound {
                break;
            }
            let other = Self::dividing(pattern, &order[..count]);
            if other.colours() < best.colours() {
                best = other;
            }
        }
        best
    }

    /// The given rows by reverse passes.
    fn dividing(pattern: &SparsityPattern, rows: &[usize]) -> Self {
        let mut by_row = vec![false; pattern.rows()];
        rows.iter().for_each(|&i| by_row[i] = true);
        let [columns, rows] = [false, true].map(|side| part(pattern, &by_row, side));
        Bicolouring { rows: Colouring::rows(&rows), columns: Colouring::columns(&columns), by_row }
    }

    /// How many reverse passes there are.
    pub fn rows(&self) -> usize {
        self.rows.colours()
    }

    /// How many forward passes there are.
    pub fn columns(&self) -> usize {
        self.columns.colours()
    }

    /// How many passes there are.
    pub fn colours(&self) -> usize {
        self.rows() + self.columns()
    }

    /// The rows that one of the reverse passes asks for.
    pub(super) fn rows_of(&self, colour: usize) -> impl Iterator<Item = usize> + '_ {
        self.rows.members(colour).filter(|&i| self.by_row[i])
    }

    /// The columns that one of the forward passes asks for.
    pub(super) fn columns_of(&self, colour: usize) -> impl Iterator<Item = usize> + '_ {
        self.columns.members(colour)
    }

    /// The pass of an entry: whether it is a reverse one, and its number.
    pub(super) fn pass(&self, (i, j): (usize, usize)) -> (bool, usize) {
        match self.by_row[i] {
            true => (true, self.rows.colour(i)),
            false => (false, self.columns.colour(j)),
        }
    }

    #[track_caller]
    pub(super) fn assert_separates(&self, pattern: &SparsityPattern) {
        pattern.assert_size("rows", pattern.rows(), self.by_row.len());
        self.columns.assert_separates_columns(&part(pattern, &self.by_row, false));
        self.rows.assert_separates_columns(&part(pattern, &self.by_row, true).transposed());
    }
}

/// The rows of one side; the others are empty.
fn part(pattern: &SparsityPattern, by_row: &[bool], side: bool) -> SparsityPattern {
    let row = |i: usize| if by_row[i] == side { pattern.row(i).to_vec() } else { Vec::new() };
    SparsityPattern::from_rows(pattern.columns(), (0..pattern.rows()).map(row))
}
