//! A program that is recorded anew where a branch changes.

use super::{Program, ProgramError, Workspace};
use crate::Real;

/// A program and what records it. Where a comparison turns out differently than when it was recorded, it is recorded
/// anew at that point, and that program is kept beside the others.
///
/// ```
/// use tape::{Program, ProgramError, Rerecording, Var};
///
/// let f = |x: &[Var]| if x[0] > 0.0 { x[0].sqrt() } else { -x[0] };
/// let mut root = Rerecording::new(|x: &[f64]| Program::record_at(x, f));
/// assert_eq!(root.eval(&[9.0])?, [3.0]);
/// assert_eq!(root.eval(&[-2.0])?, [2.0]);
/// assert_eq!(root.eval(&[4.0])?, [2.0]);
/// assert_eq!(root.recordings(), 2);
/// # Ok::<(), ProgramError>(())
/// ```
pub struct Rerecording<F, E: Real = f64> {
    record: F,
    /// The one used last comes first.
    programs: Vec<Program<E>>,
    recordings: usize,
    workspace: Workspace<E>,
}

/// How many programs are kept: one for each way through the branches that is in use.
const KEPT: usize = 16;

impl<E: Real, F: FnMut(&[E]) -> Result<Program<E>, ProgramError>> Rerecording<F, E> {
    /// A program that `record` makes at a point: the function, or a derivative of it.
    pub fn new(record: F) -> Self {
        let workspace = Workspace::default();
        Rerecording { record, programs: Vec::new(), recordings: 0, workspace }
    }

    /// The outputs at one point.
    ///
    /// # Errors
    /// As [`Program::eval`] and as the function that records; [`ProgramError::BranchChanged`] only if a program
    /// recorded at a point does not hold at that point, because the function is not the same every time.
    #[track_caller]
    pub fn eval(&mut self, x: &[E]) -> Result<Vec<E>, ProgramError> {
        for k in 0..self.programs.len() {
            let program = &self.programs[k];
            let mut outputs = vec![E::ZERO; program.outputs()];
            match program.eval_into(x, &mut outputs, &mut self.workspace) {
                Err(ProgramError::BranchChanged { .. }) => {}
                Err(other) => return Err(other),
                Ok(()) => {
                    self.programs[..=k].rotate_right(1);
                    return Ok(outputs);
                }
            }
        }
        let program = (self.record)(x)?;
        self.recordings += 1;
        let outputs = program.eval(x)?;
        self.programs.truncate(KEPT - 1);
        self.programs.insert(0, program);
        Ok(outputs)
    }

    /// How often it was recorded.
    pub fn recordings(&self) -> usize {
        self.recordings
    }
}

impl<F, E: Real> std::fmt::Debug for Rerecording<F, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rerecording")
            .field("programs", &self.programs)
            .field("recordings", &self.recordings)
            .finish_non_exhaustive()
    }
}
