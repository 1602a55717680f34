//! What can go wrong with a program, as values.

use std::panic::Location;

/// Why a program could not be recorded or run.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// While the program was recorded, a recorded number was turned into a plain one. What is computed from
    /// that would be a constant of the program.
    #[error(
        "program: {operation} leaves the tape while a program is recorded: what is computed from it \
         would be a constant of the program; if that is meant, use freeze() (at {location})"
    )]
    LeftTape {
        /// The operation.
        operation: &'static str,
        /// The line that called it.
        location: &'static Location<'static>,
    },
    /// A tensor takes part in the program.
    #[error(
        "program: output {output} depends on a tensor; programs are of numbers, and run on tensors by \
         map"
    )]
    Tensor {
        /// The first output that does.
        output: usize,
    },
    /// An input of the piece of a tape to make a program of is not a recorded number of that tape.
    #[error("program: input {position} is not on the tape of the outputs (at {location})")]
    ForeignInput {
        /// The position in the list.
        position: usize,
        /// The line that asked.
        location: &'static Location<'static>,
    },
    /// An output belongs to another tape, or to one that was reset.
    #[error(
        "program: output {position} is not on the tape of the program, or its handle is stale (at \
         {location})"
    )]
    ForeignOutput {
        /// The position in the list.
        position: usize,
        /// The line that asked.
        location: &'static Location<'static>,
    },
    /// An output depends on a variable that is not among the inputs.
    #[error(
        "program: the outputs depend on a variable (node {node}) that is not among the inputs (at \
         {location})"
    )]
    MissingInput {
        /// The number of its node.
        node: u32,
        /// The line that asked.
        location: &'static Location<'static>,
    },
    /// At the point that the program was run on, a comparison gives another result than it gave when the
    /// program was recorded: the list of operations is not the one that the function would do there.
    #[error(
        "program: at {} the comparison at {location} is {}, and was {held} when the program was \
         recorded: record it anew there",
        point_text(*point), !held
    )]
    BranchChanged {
        /// The line of the comparison, as `file:line:column`.
        location: String,
        /// What it was when the program was recorded.
        held: bool,
        /// Which of several points it was.
        point: Option<usize>,
    },
    /// A list of arguments or results does not have the right length.
    #[error("program: {expected} {what}, and {given} were given (at {location})")]
    Count {
        /// What is counted.
        what: &'static str,
        /// How many there are.
        expected: usize,
        /// How many were given.
        given: usize,
        /// The line that gave them.
        location: &'static Location<'static>,
    },
    /// A list of numbers, one for each point, has neither one element nor as many as the others.
    #[error("program: {what} {position} has {given} elements for {points} points (at {location})")]
    Points {
        /// Input or output.
        what: &'static str,
        /// Which one.
        position: usize,
        /// Its length.
        given: usize,
        /// How many points there are.
        points: usize,
        /// The line that gave it.
        location: &'static Location<'static>,
    },
    /// The program has a rule of a user in it, which cannot be stored.
    #[error(
        "program: the rule `{rule}` is code and cannot be stored; store what its derivatives are needed \
         of, as programs of their own, after inlined()"
    )]
    Rule {
        /// The name of the rule.
        rule: &'static str,
    },
    /// The program calls a function of a user, which cannot be stored; see [`External`](crate::External).
    #[error("program: the function `{function}` is code and cannot be stored")]
    External {
        /// The name of the function.
        function: &'static str,
    },
    /// A derivative was asked for that there is not, because a function of a user states none; see
    /// [`External::recorded_vjp`](crate::External::recorded_vjp).
    #[error("program: {operation}: {reason} (the derivative was asked for at {location})")]
    NoDerivative {
        /// The operation.
        operation: &'static str,
        /// Why there is none.
        reason: String,
        /// The line that asked.
        location: &'static Location<'static>,
    },
    /// A stored program cannot be loaded.
    #[error("program: cannot be loaded: {detail}")]
    Malformed {
        /// What is wrong.
        detail: String,
    },
}

/// The same as `Display`: a `main` or an `unwrap` prints the error by `Debug`, and there one wants to read
/// the message.
impl std::fmt::Debug for ProgramError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

fn point_text(point: Option<usize>) -> String {
    point.map_or_else(|| "this point".to_string(), |point| format!("point {point}"))
}

/// An error unless `given` is what is expected.
#[track_caller]
pub(super) fn check_count(
    what: &'static str,
    expected: usize,
    given: usize,
) -> Result<(), ProgramError> {
    if expected == given {
        return Ok(());
    }
    Err(ProgramError::Count { what, expected, given, location: Location::caller() })
}
