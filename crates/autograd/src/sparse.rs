//! Sparse derivatives of programs: which entries can be other than zero, and all of them from a few passes.
//!
//! Columns of a Jacobian that share no row can be asked for together: one forward pass with the tangent 1 for
//! all of them gives every entry of each. So the columns are coloured, columns that meet in a row differently
//! ([`Colouring`]), and there is one pass for each colour. Rows in one reverse pass are the same transposed, and
//! a matrix may be divided between both ([`Bicolouring`]). A Hessian is symmetric, so it is enough that each
//! entry or its mirror image can be read off: that is a star colouring, which needs fewer colours
//! (Gebremedhin, Manne, Pothen, *What color is your Jacobian?*, 2005).
//!
//! ```
//! use autograd::sparse::SparseDerivative;
//! use tape::{Program, Var};
//!
//! let chained = Program::record(4, |x: &[Var]| {
//!     x.windows(2).map(|x| 100.0 * (x[1] - x[0] * x[0]).powi(2) + (1.0 - x[0]).powi(2)).sum::<Var>()
//! })?;
//! let hessian = SparseDerivative::hessian(&chained)?;
//! assert_eq!(hessian.pattern().entries(), 10); // Three diagonals.
//! assert_eq!(hessian.colours(), 3);
//! let h = hessian.eval(&[1.0; 4])?;
//! assert_eq!(h.get(0, 1), -400.0);
//! assert_eq!(h.get(0, 3), 0.0);
//! # Ok::<(), tape::ProgramError>(())
//! ```
//!
//! The result of a colouring is a [`Program`] whose outputs are the entries of the matrix, so it runs at one
//! point or at many, and can be stored.

mod bicolouring;
mod colouring;
mod matrix;
mod pattern;

use tape::{Program, ProgramError, Real, Var};

use crate::DifferentiateProgram;
use crate::program::{extended, gradient, tangents};

pub use bicolouring::Bicolouring;
pub use colouring::Colouring;
pub use matrix::SparseMatrix;
pub use pattern::SparsityPattern;

/// A sparse Jacobian or Hessian of a program, as a program of the entries that can be other than zero.
#[derive(Clone, Debug)]
pub struct SparseDerivative<E: Real = f64> {
    pattern: SparsityPattern,
    colours: usize,
    program: Program<E>,
}

impl<E: Real> SparseDerivative<E> {
    /// The Jacobian, by columns (forward mode), by rows (reverse mode), or some rows so and the other entries by
    /// columns: whichever needs the fewest colours; see [`Bicolouring`].
    ///
    /// # Errors
    /// [`ProgramError::NoDerivative`] if a function of a user does not state one.
    #[track_caller]
    pub fn jacobian(program: &Program<E>) -> Result<Self, ProgramError> {
        let pattern = SparsityPattern::jacobian(program);
        let colouring = Bicolouring::new(&pattern);
        Self::jacobian_by_both(program, pattern, &colouring)
    }

    /// The Jacobian by reverse passes for some rows and forward passes for the entries of the others.
    ///
    /// # Errors
    /// As [`jacobian`](Self::jacobian).
    ///
    /// # Panics
    /// If pattern or colouring do not fit the program: in size, or because two entries could not be told apart.
    #[track_caller]
    pub fn jacobian_by_both(
        program: &Program<E>,
        pattern: SparsityPattern,
        colouring: &Bicolouring,
    ) -> Result<Self, ProgramError> {
        assert_fits(&pattern, program);
        colouring.assert_separates(&pattern);
        let one = Var::constant(E::ONE);
        let compressed = extended(program, 0, |x, y, _| {
            let forward =
                |colour| tangents(x, y, colouring.columns_of(colour).map(|k| (x[k], one)));
            let reverse = |colour| {
                let sum = colouring.rows_of(colour).map(|k| y[k]).reduce(|sum, y| sum + y);
                gradient(sum.unwrap_or_default(), x)
            };
            let forward: Vec<Vec<Var<E>>> =
                (0..colouring.columns()).map(forward).collect::<Result<_, _>>()?;
            let reverse: Vec<Vec<Var<E>>> =
                (0..colouring.rows()).map(reverse).collect::<Result<_, _>>()?;
            let entry = |(i, j)| match colouring.pass((i, j)) {
                (true, pass) => reverse[pass][j],
                (false, pass) => forward[pass][i],
            };
            Ok(pattern.iter().map(entry).collect())
        })?;
        Ok(SparseDerivative { pattern, colours: colouring.colours(), program: compressed })
    }

    /// The Jacobian by forward passes, one for each colour of the columns.
    ///
    /// # Errors
    /// As [`jacobian`](Self::jacobian).
    ///
    /// # Panics
    /// If pattern or colouring do not fit the program: in size, or because two columns of one colour share a
    /// row.
    #[track_caller]
    pub fn jacobian_by_columns(
        program: &Program<E>,
        pattern: SparsityPattern,
        colouring: &Colouring,
    ) -> Result<Self, ProgramError> {
        colouring.assert_separates_columns(&pattern);
        let sources = pattern.iter().map(|(i, j)| (i, colouring.colour(j))).collect::<Vec<_>>();
        Self::by_forward_passes(program, pattern, colouring, &sources)
    }

    /// The Jacobian by reverse passes, one for each colour of the rows.
    ///
    /// # Errors
    /// As [`jacobian`](Self::jacobian).
    ///
    /// # Panics
    /// If pattern or colouring do not fit the program: in size, or because two rows of one colour share a
    /// column.
    #[track_caller]
    pub fn jacobian_by_rows(
        program: &Program<E>,
        pattern: SparsityPattern,
        colouring: &Colouring,
    ) -> Result<Self, ProgramError> {
        assert_fits(&pattern, program);
        colouring.assert_separates_columns(&pattern.transposed());
        let compressed = extended(program, 0, |x, y, _| {
            let pass = |colour| {
                let sum = colouring.members(colour).map(|k| y[k]).reduce(|sum, y| sum + y);
                gradient(sum.unwrap_or_default(), x)
            };
            let passes: Vec<Vec<Var<E>>> =
                (0..colouring.colours()).map(pass).collect::<Result<_, _>>()?;
            Ok(pattern.iter().map(|(i, j)| passes[colouring.colour(i)][j]).collect())
        })?;
        Ok(SparseDerivative { pattern, colours: colouring.colours(), program: compressed })
    }

    /// The Hessian of a program with one output, by a star colouring. It is exactly symmetric.
    ///
    /// # Errors
    /// [`ProgramError::Count`] if there is not exactly one output.
    #[track_caller]
    pub fn hessian(program: &Program<E>) -> Result<Self, ProgramError> {
        let gradient = program.gradient()?;
        let pattern = SparsityPattern::jacobian(&gradient).symmetric();
        let colouring = Colouring::star(&pattern);
        let sources = colouring.star_sources(&pattern);
        Self::by_forward_passes(&gradient, pattern, &colouring, &sources)
    }

    /// The Hessian from a pattern and a star colouring that are known, such as those of an earlier program of
    /// the same structure.
    ///
    /// # Errors
    /// As [`hessian`](Self::hessian).
    ///
    /// # Panics
    /// If pattern or colouring do not fit the program.
    #[track_caller]
    pub fn hessian_with(
        program: &Program<E>,
        pattern: SparsityPattern,
        colouring: &Colouring,
    ) -> Result<Self, ProgramError> {
        let sources = colouring.star_sources(&pattern);
        Self::by_forward_passes(&program.gradient()?, pattern, colouring, &sources)
    }

    /// One forward pass for each colour; `sources` says for each entry in which row of which pass it stands.
    #[track_caller]
    fn by_forward_passes(
        program: &Program<E>,
        pattern: SparsityPattern,
        colouring: &Colouring,
        sources: &[(usize, usize)],
    ) -> Result<Self, ProgramError> {
        assert_fits(&pattern, program);
        let one = Var::constant(E::ONE);
        let compressed = extended(program, 0, |x, y, _| {
            let pass = |colour| {
                let of_colour = colouring.members(colour).map(|k| (x[k], one));
                tangents(x, y, of_colour)
            };
            let passes: Vec<Vec<Var<E>>> =
                (0..colouring.colours()).map(pass).collect::<Result<_, _>>()?;
            Ok(sources.iter().map(|&(row, colour)| passes[colour][row]).collect())
        })?;
        Ok(SparseDerivative { pattern, colours: colouring.colours(), program: compressed })
    }

    /// Which entries can be other than zero.
    pub fn pattern(&self) -> &SparsityPattern {
        &self.pattern
    }

    /// How many passes there are.
    pub fn colours(&self) -> usize {
        self.colours
    }

    /// The program of the entries, in the order of the pattern: row after row.
    pub fn program(&self) -> &Program<E> {
        &self.program
    }

    /// The matrix at a point.
    ///
    /// # Errors
    /// As [`Program::eval`].
    #[track_caller]
    pub fn eval(&self, x: &[E]) -> Result<SparseMatrix<E>, ProgramError> {
        Ok(SparseMatrix::new(self.pattern.clone(), self.program.eval(x)?))
    }
}

#[track_caller]
fn assert_fits<E: Real>(pattern: &SparsityPattern, program: &Program<E>) {
    pattern.assert_size("rows", pattern.rows(), program.outputs());
    pattern.assert_size("columns", pattern.columns(), program.inputs());
}
