//! What a check has found.

use std::fmt;

use crate::Error;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Comparison {
    /// The gradient with differences of values.
    First,
    /// The Hessian with differences of gradients.
    Second,
    /// The gradient of a first-order sweep with that of a recorded sweep, at the element where they
    /// differ most.
    Sweeps,
    /// The pairing `<cotangent, J v>` by reverse mode with the same by forward mode.
    Forward,
}

/// Where it is compared. Elements are counted over the whole point, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Place {
    /// The derivative by one element.
    Element(usize),
    /// The second derivative by two elements: row and column of the Hessian.
    Pair(usize, usize),
    /// The derivative along a random direction, or twice along it.
    Direction(usize),
}

/// The outcome of one comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// The two agree.
    Agrees,
    /// There is a kink or a jump within the step, of the function or of its derivatives, so
    /// differences say nothing about the derivative. So is a singularity that is hardly farther than
    /// the step.
    Kink,
    /// The two differ.
    Differs,
    /// A derivative is infinite or NaN, or the function is, however near to the point.
    NonFinite,
}

/// One comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Entry {
    /// What is compared.
    pub comparison: Comparison,
    /// Where.
    pub index: Place,
    /// The derivative by the sweep.
    pub analytic: f64,
    /// The derivative that it is compared with.
    pub numeric: f64,
    /// The distance of the two.
    pub error: f64,
    /// The largest distance that is accepted: what was asked for, and what differences cannot
    /// resolve.
    pub tolerance: f64,
    /// The outcome.
    pub status: Status,
}

impl Entry {
    /// Whether the two agree.
    pub fn passed(&self) -> bool {
        self.status == Status::Agrees
    }

    /// Whether there is a kink or a jump within the step.
    pub fn is_kink(&self) -> bool {
        self.status == Status::Kink
    }

    /// The order in which entries are looked at, worst last.
    fn badness(&self) -> (u8, f64) {
        let severity = match self.status {
            Status::Agrees => 0,
            Status::Kink => 1,
            Status::Differs => 2,
            Status::NonFinite => 3,
        };
        (severity, self.error / self.tolerance)
    }
}

/// The comparisons of one check, in the order in which they were made. Printed, it is a table of the
/// worst of them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// All comparisons.
    pub entries: Vec<Entry>,
    /// The name of the element type.
    pub element: &'static str,
}

/// How many entries the table has.
const ROWS: usize = 10;

impl Report {
    /// Whether every comparison agrees. A kink does not.
    pub fn passed(&self) -> bool {
        self.entries.iter().all(Entry::passed)
    }

    /// The comparisons that do not agree.
    pub fn failures(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| !entry.passed())
    }

    /// The comparisons that have met a kink.
    pub fn kinks(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.is_kink())
    }

    /// The worst comparison: a non-finite one, else the largest error in units of its tolerance,
    /// where one that differs comes before a kink; `None` if nothing was compared.
    pub fn worst(&self) -> Option<&Entry> {
        self.by_badness().first().copied()
    }

    /// The largest error, in whatever comparison; infinite if one is not finite.
    pub fn max_error(&self) -> f64 {
        self.entries.iter().map(|entry| entry.error).fold(0.0, f64::max)
    }

    /// What the pattern of the failures says about where to look.
    fn hint(&self) -> Option<&'static str> {
        let differs = |comparison: Comparison| {
            let of = self.entries.iter().filter(move |entry| entry.comparison == comparison);
            of.into_iter().any(|entry| entry.status == Status::Differs)
        };
        match (differs(Comparison::First), differs(Comparison::Second)) {
            (true, false) if self.entries.iter().any(|e| e.comparison == Comparison::Second) => {
                Some(
                    "the hessian was compared with differences of the gradient that is wrong, so its \
                 agreement says nothing",
                )
            }
            (false, true) => Some(
                "the gradient is right and the hessian is wrong: does a derivative use a constant \
                 (value(), a literal) where it depends on the arguments?",
            ),
            _ => None,
        }
    }

    /// The entries, worst first.
    fn by_badness(&self) -> Vec<&Entry> {
        let mut entries: Vec<&Entry> = self.entries.iter().collect();
        entries.sort_by(|a, b| {
            let ((a, x), (b, y)) = (a.badness(), b.badness());
            b.cmp(&a).then(y.total_cmp(&x))
        });
        entries
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Comparison::First => "gradient",
            Comparison::Second => "hessian",
            Comparison::Sweeps => "recorded sweep",
            Comparison::Forward => "forward mode",
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&match self {
            Place::Element(i) => format!("[{i}]"),
            Place::Pair(i, j) => format!("[{i}, {j}]"),
            Place::Direction(k) => format!("direction {k}"),
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Status::Agrees => "agrees",
            Status::Kink => "KINK",
            Status::Differs => "DIFFERS",
            Status::NonFinite => "NOT FINITE",
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, failed) = (self.entries.len(), self.failures().count());
        writeln!(
            f,
            "{} of {all} comparisons ({}) do not agree{}",
            failed,
            self.element,
            match self.kinks().count() {
                0 => String::new(),
                kinks => format!(
                    "; {kinks} of them at a kink: check away from it, or with a shorter step"
                ),
            }
        )?;
        writeln!(
            f,
            "{:<15} {:<13} {:>15} {:>15} {:>10} {:>10}  status",
            "compared", "at", "analytic", "numeric", "error", "tolerance"
        )?;
        for entry in self.by_badness().into_iter().take(ROWS) {
            writeln!(
                f,
                "{:<15} {:<13} {:>15.8e} {:>15.8e} {:>10.2e} {:>10.2e}  {}",
                entry.comparison,
                entry.index,
                entry.analytic,
                entry.numeric,
                entry.error,
                entry.tolerance,
                entry.status
            )?;
        }
        if all > ROWS {
            writeln!(f, "and {} more, none worse", all - ROWS)?;
        }
        match self.hint() {
            Some(hint) => writeln!(f, "note: {hint}"),
            None => Ok(()),
        }
    }
}

/// Why a check has not passed.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// Some comparisons do not agree.
    #[error("gradient check: {0}")]
    Failed(Report),
    /// There is no derivative to check.
    #[error(transparent)]
    Derivative(#[from] Error),
}

/// The same as `Display`: a `main` or a test that returns the error prints it by `Debug`, and there the
/// table is what one wants to see.
impl fmt::Debug for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl CheckError {
    /// The report, if there is one.
    pub fn report(&self) -> Option<&Report> {
        match self {
            CheckError::Failed(report) => Some(report),
            CheckError::Derivative(_) => None,
        }
    }
}
