//! What the tool answers with where it cannot compute.

/// Why there is no result. The text goes to the evaluator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input is not JSON of the form that the evaluation has.
    #[error("the message or its input does not have the form of the protocol: {0}")]
    Form(#[from] serde_json::Error),
    /// The input has the form, and no meaning: lengths that do not fit, or parameters out of range.
    #[error("{0}")]
    Input(String),
    /// There is no such module.
    #[error("there is no module {0:?}")]
    Module(String),
    /// The module has no such function.
    #[error("module {module:?} has no function {function:?}")]
    Function {
        /// The module.
        module: &'static str,
        /// What was asked for.
        function: String,
    },
    /// A number of the result is infinite or not a number, and JSON has neither.
    #[error("the result has a number that is not finite, for which JSON has no notation")]
    NotFinite,
    /// The engine has refused to differentiate.
    #[error(transparent)]
    Engine(#[from] wengert::autograd::Error),
    /// A program could not be recorded or run.
    #[error(transparent)]
    Program(#[from] wengert::tape::ProgramError),
}

impl Error {
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Error::Input(message.into())
    }
}

/// An error unless there are `expected` of `what`.
pub(crate) fn expect_len(what: &str, found: usize, expected: usize) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    Err(Error::input(format!("{what} should be {expected}, not {found}")))
}
