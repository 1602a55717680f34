//! Compiled scalar tapes: recorded once, run many times.
//!
//! A [`Program`] is what was recorded between some inputs and some outputs, as a straight line of instructions
//! ([`body`]): taken from a tape ([`extract`]), made shorter without changing a bit of a result ([`passes`]),
//! and run at one point ([`point`]), at many points at once ([`many`]), or as an operation on tensors
//! ([`map`]). What the function compared while it was recorded is kept and checked by every run
//! ([`record`]).
//!
//! A derivative of a program is a program again; making one is the business of the `autograd` crate, which
//! records the sweep behind the instructions by [`Program::extended`].

mod body;
mod error;
mod extract;
mod few;
mod known;
mod many;
mod map;
mod outputs;
mod passes;
mod point;
pub(crate) mod record;
mod rerecording;
mod show;
#[cfg(feature = "serde")]
mod store;

use std::panic::Location;
use std::sync::{Arc, Mutex, OnceLock};

use crate::diagnostics::{Detail, Settings};
use crate::external;
use crate::inner::Inner;
use crate::registry;
use crate::rule::{ErasedRule, MAX_OPERANDS};
use crate::symbol::Trace;
use crate::{Real, Tape, Var};

use body::{Body, Code, Source};
use many::Plans;
use point::PointCode;

pub use body::Dependency;
pub use error::ProgramError;
pub use outputs::ProgramOutputs;
pub use point::Workspace;
pub use rerecording::Rerecording;
pub use show::ProgramStats;

/// A function of numbers as a straight line of instructions: recorded once, run many times.
///
/// ```
/// use tape::Program;
///
/// let area = Program::record(2, |x| x[0] * x[1] + x[0].sin())?;
/// assert_eq!(area.eval(&[0.0, 3.0])?, [0.0]);
/// assert_eq!(area.eval(&[2.0, 3.0])?, [6.0 + 2.0f64.sin()]);
/// # Ok::<(), tape::ProgramError>(())
/// ```
///
/// It has the bits of the recorded function: nothing is reordered, and nothing is rounded differently, but
/// for the vectorised functions that [`eval_many`](Program::eval_many) uses (within 2 ulp).
///
/// # Branches
/// What the function compares while it is recorded (`if x > 0.0`) is decided at the recorded point, and kept.
/// A run at a point where a comparison would turn out differently is an error,
/// [`ProgramError::BranchChanged`], with the line; it never returns a number. Functions that choose
/// (`min`, `max`, `abs`, [`Var::select_gt`]) are recorded as they are and need no such care.
///
/// Turning a recorded number into a plain one (`value()`, a cast) would make a constant out of it, so it is an
/// error while a program is recorded, unless it is done by [`Var::freeze`].
///
/// Cloning is cheap: clones share everything.
pub struct Program<E: Real = f64> {
    shared: Arc<Shared<E>>,
}

struct Shared<E: Real> {
    body: Body<E>,
    /// Whether it runs as machine code where it can.
    machine_code: bool,
    point: OnceLock<PointCode<E>>,
    plans: Mutex<Plans<E>>,
    /// The programs of the cotangents of some inputs from those of some outputs, which operations on tensors
    /// have asked for.
    pullbacks: Mutex<map::Pullbacks<E>>,
}

impl<E: Real> Clone for Program<E> {
    fn clone(&self) -> Self {
        Program { shared: self.shared.clone() }
    }
}

impl<E: Real> Program<E> {
    /// Records `f` of `n` numbers, at the point where all of them are 1.
    ///
    /// The point matters only if `f` compares its numbers; see [`record_at`](Program::record_at). The result
    /// of `f` may be a [`Var`], an array, a vector or a tuple of these.
    ///
    /// # Errors
    /// If `f` turns a recorded number into a plain one, or its result depends on tensors or on another tape.
    ///
    /// # Panics
    /// Where `f` does.
    #[track_caller]
    pub fn record<O: ProgramOutputs<E>>(
        n: usize,
        f: impl FnOnce(&[Var<E>]) -> O,
    ) -> Result<Self, ProgramError> {
        Self::record_at(&vec![E::ONE; n], f)
    }

    /// Records `f` at a point.
    ///
    /// ```
    /// use tape::{Program, ProgramError};
    ///
    /// let root = Program::record_at(&[4.0], |x| if x[0] > 0.0 { x[0].sqrt() } else { -x[0] })?;
    /// assert_eq!(root.eval(&[9.0])?, [3.0]);
    /// assert!(matches!(root.eval(&[-1.0]), Err(ProgramError::BranchChanged { .. })));
    /// # Ok::<(), ProgramError>(())
    /// ```
    ///
    /// # Errors
    /// As [`record`](Program::record).
    ///
    /// # Panics
    /// Where `f` does.
    #[track_caller]
    pub fn record_at<O: ProgramOutputs<E>>(
        point: &[E],
        f: impl FnOnce(&[Var<E>]) -> O,
    ) -> Result<Self, ProgramError> {
        let tape = Tape::default();
        let inputs = tape.vars_from(point);
        *tape.inner().program.borrow_mut() = Some(record::Log::default());
        let under_way = record::UnderWay::begin();
        let result = f(&inputs);
        drop(under_way);
        let log = tape.inner().program.take().unwrap_or_default();
        if let Some((operation, location)) = log.left {
            return Err(ProgramError::LeftTape { operation, location });
        }
        let mut outputs = Vec::new();
        result.append_to(&mut outputs);
        let body = extract::extract(tape.inner(), &inputs, &outputs, &log.comparisons)?;
        Ok(Self::from_body(&body))
    }

    /// The piece of a tape between `inputs` and `outputs`. The inputs need not be leaves.
    ///
    /// What was compared when it was recorded is not known, so whoever runs it elsewhere must know that it is
    /// the same function there. Leaves that are not among the inputs are an error.
    ///
    /// ```
    /// use tape::{Program, Tape};
    ///
    /// let tape = Tape::new();
    /// let x = tape.var(3.0);
    /// let u = x.sin();
    /// let y = u * u + 1.0;
    /// assert_eq!(Program::of(&[u], &[y])?.eval(&[3.0])?, [10.0]);
    /// # Ok::<(), tape::ProgramError>(())
    /// ```
    ///
    /// # Errors
    /// If a handle is stale or of another tape, or if the outputs depend on a leaf that is not among the inputs
    /// or on a tensor.
    #[track_caller]
    pub fn of(inputs: &[Var<E>], outputs: &[Var<E>]) -> Result<Self, ProgramError> {
        let location = Location::caller();
        let on_tape = inputs.iter().chain(outputs).find(|v| !v.is_constant());
        let inner = match on_tape {
            Some(v) => registry::hold::<E>(v.tag)
                .ok_or(ProgramError::ForeignOutput { position: 0, location })?,
            None => Inner::new(Settings { detail: Detail::Least, profile: false }),
        };
        Ok(Self::from_body(&extract::extract(&inner, inputs, outputs, &[])?))
    }

    pub(crate) fn from_body(body: &Body<E>) -> Self {
        Self::from_optimised(passes::optimised(body))
    }

    fn from_optimised(body: Body<E>) -> Self {
        Self::with(body, false)
    }

    fn with(body: Body<E>, machine_code: bool) -> Self {
        let shared = Shared {
            body,
            machine_code,
            point: OnceLock::new(),
            plans: Mutex::default(),
            pullbacks: Mutex::default(),
        };
        Program { shared: Arc::new(shared) }
    }

    fn body(&self) -> &Body<E> {
        &self.shared.body
    }

    /// How many numbers it takes.
    pub fn inputs(&self) -> usize {
        self.body().inputs
    }

    /// How many numbers it makes.
    pub fn outputs(&self) -> usize {
        self.body().outputs.len()
    }

    /// The program with `extra` further inputs, whose outputs are what `f` makes of its inputs, its outputs and
    /// the further inputs, all as recorded numbers. Comparisons are kept.
    ///
    /// ```
    /// use tape::Program;
    ///
    /// let p = Program::record(1, |x| x[0].exp())?;
    /// let scaled = p.extended(1, |_, y, factor| vec![y[0] * factor[0]])?;
    /// assert_eq!(scaled.eval(&[0.0, 5.0])?, [5.0]);
    /// # Ok::<(), tape::ProgramError>(())
    /// ```
    ///
    /// The numbers that `f` sees have no meaning: nothing may be decided by them.
    ///
    /// # Errors
    /// As [`record`](Program::record).
    #[track_caller]
    pub fn extended<O: ProgramOutputs<E>>(
        &self,
        extra: usize,
        f: impl FnOnce(&[Var<E>], &[Var<E>], &[Var<E>]) -> O,
    ) -> Result<Self, ProgramError> {
        let tape = Tape::default();
        let n = self.inputs();
        tape.inner().placeholders.set(true);
        let inputs = tape.vars_from(&vec![E::ONE; n + extra]);
        let (outputs, conditions) = self.replay(&inputs[..n]);
        let mut results = Vec::new();
        f(&inputs[..n], &outputs, &inputs[n..]).append_to(&mut results);
        let comparisons: Vec<_> = self
            .body()
            .conditions
            .iter()
            .zip(conditions)
            .map(|(condition, v)| (v.index, condition.held, condition.location.clone()))
            .collect();
        Ok(Self::from_body(&extract::extract(tape.inner(), &inputs, &results, &comparisons)?))
    }

    /// The program with the given ones of its outputs, in that order.
    ///
    /// # Errors
    /// [`ProgramError::Count`] if there is no such output.
    #[track_caller]
    pub fn select(&self, outputs: &[usize]) -> Result<Self, ProgramError> {
        let mut body = self.body().clone();
        let (expected, location) = (self.outputs(), Location::caller());
        if let Some(&given) = outputs.iter().find(|&&k| k >= expected) {
            let what = "outputs, numbered from 0";
            return Err(ProgramError::Count { what, expected, given, location });
        }
        body.outputs = outputs.iter().map(|&k| self.body().outputs[k]).collect();
        Ok(Self::from_optimised(passes::live(&body)))
    }

    /// One program that makes what both make, from the same inputs; what they have in common is done once.
    ///
    /// # Errors
    /// [`ProgramError::Count`] if they do not have the same number of inputs.
    #[track_caller]
    pub fn beside(&self, other: &Self) -> Result<Self, ProgramError> {
        error::check_count("inputs of the first program", self.inputs(), other.inputs())?;
        Ok(Self::from_body(&passes::joined(self.body(), other.body())))
    }

    /// Calls `f` for each instruction, in order, with what its derivative flows to, and gives that of each
    /// output: what a sparsity pattern is made from.
    #[doc(hidden)]
    pub fn dependencies(&self, f: impl FnMut(&[Dependency])) -> Vec<Option<Dependency>> {
        self.body().dependencies(f)
    }

    /// Records the program on the tape of its arguments, and gives its outputs.
    ///
    /// # Errors
    /// [`ProgramError::BranchChanged`] if a comparison would turn out differently at this point;
    /// [`ProgramError::Count`] if there are not as many arguments as inputs.
    ///
    /// # Panics
    /// If an argument is a stale handle, or if they belong to different tapes.
    #[track_caller]
    pub fn call(&self, arguments: &[Var<E>]) -> Result<Vec<Var<E>>, ProgramError> {
        error::check_count("inputs", self.inputs(), arguments.len())?;
        let (outputs, conditions) = self.replay(arguments);
        for (condition, v) in self.body().conditions.iter().zip(conditions) {
            condition.check(v.freeze(), None)?;
            record::keep(v, condition);
        }
        Ok(outputs)
    }

    /// The outputs and the indicators of the comparisons, recorded.
    #[track_caller]
    fn replay(&self, arguments: &[Var<E>]) -> (Vec<Var<E>>, Vec<Var<E>>) {
        let body = self.body();
        let mut values: Vec<Var<E>> = Vec::with_capacity(body.instructions.len());
        let of = |values: &[Var<E>], operand: body::Operand| match operand.source() {
            Source::Value(v) => values[v as usize],
            Source::Input(k) => arguments[k as usize],
            Source::Constant(k) => Var::constant(body.constants[k as usize]),
        };
        let mut results: Vec<Option<Vec<Var<E>>>> = vec![None; body.calls.len()];
        for instruction in &body.instructions {
            if let Code::Result(number) = instruction.code {
                let (k, output) = body.result(number);
                let made = results[k].get_or_insert_with(|| {
                    let call = &body.calls[k];
                    let operands: Vec<_> = call.operands.iter().map(|&o| of(&values, o)).collect();
                    external::record(&call.action, &operands)
                });
                values.push(made[output]);
                continue;
            }
            let mut operands = [Var::default(); MAX_OPERANDS];
            for (operand, &place) in operands.iter_mut().zip(&instruction.operands) {
                *operand = of(&values, place);
            }
            values.push(match instruction.code {
                Code::Primitive(primitive, exponent) => primitive.value(exponent, operands),
                Code::Rule(k) => {
                    let rule = body.rules[k as usize].clone();
                    Var::shared_rule(&operands[..rule.arity()], rule)
                }
                Code::Result(_) => unreachable!("see above"),
            });
        }
        let outputs = body.outputs.iter().map(|&o| of(&values, o)).collect();
        let conditions = body.conditions.iter().map(|c| of(&values, c.operand)).collect();
        (outputs, conditions)
    }

    /// The same function with every rule of a user written out in primitives: its derivatives will be those
    /// of the primitives, and no longer those that the rules state.
    #[must_use]
    pub fn inlined(&self) -> Self {
        Self::from_optimised(passes::inlined(self.body()).into_owned())
    }

    /// The same program, which runs as machine code at one point and at up to eight, where this machine lets it: with the
    /// feature `jit`, on x86-64 with AVX2. Elsewhere, and for more than 262,144 steps, it runs as before.
    ///
    /// It has the same bits. The first run makes the code, which takes as long as some hundred runs. `+ - * /`, `sqrt`,
    /// `abs`, `recip` and the sign are instructions; other functions are called and take their time. What is made of
    /// the program (a derivative, a stored file) is a program without machine code, so this comes last.
    ///
    /// ```
    /// use tape::Program;
    ///
    /// let p = Program::record(2, |x| (x[0] * x[1] + 1.0) / x[0])?.in_machine_code();
    /// assert_eq!(p.eval(&[2.0, 3.0])?, [3.5]);
    /// println!("{} bytes", p.stats().machine_code);
    /// # Ok::<(), tape::ProgramError>(())
    /// ```
    #[must_use]
    pub fn in_machine_code(self) -> Self {
        let body = match Arc::try_unwrap(self.shared) {
            Ok(shared) => shared.body,
            Err(shared) => shared.body.clone(),
        };
        Self::with(body, true)
    }

    /// The outputs at one point.
    ///
    /// It allocates the result and a [`Workspace`]; in a loop, use [`eval_into`](Program::eval_into).
    ///
    /// # Errors
    /// [`ProgramError::Count`] if there are not as many numbers as inputs; [`ProgramError::BranchChanged`] if
    /// a comparison turns out differently than when the program was recorded.
    #[track_caller]
    pub fn eval(&self, x: &[E]) -> Result<Vec<E>, ProgramError> {
        let mut outputs = vec![E::ZERO; self.outputs()];
        self.eval_into(x, &mut outputs, &mut Workspace::default())?;
        Ok(outputs)
    }

    /// Writes the outputs at one point to `outputs`. It allocates nothing when `workspace` was used with this
    /// program before.
    ///
    /// ```
    /// use tape::{Program, Workspace};
    ///
    /// let p = Program::record(1, |x| [x[0].exp(), x[0] * x[0]])?;
    /// let (mut workspace, mut y) = (Workspace::default(), [0.0; 2]);
    /// for x in [0.0f64, 1.0, 2.0] {
    ///     p.eval_into(&[x], &mut y, &mut workspace)?;
    ///     assert_eq!(y, [x.exp(), x * x]);
    /// }
    /// # Ok::<(), tape::ProgramError>(())
    /// ```
    ///
    /// # Errors
    /// As [`eval`](Program::eval); and if `outputs` does not have the right length.
    #[track_caller]
    pub fn eval_into(
        &self,
        x: &[E],
        outputs: &mut [E],
        workspace: &mut Workspace<E>,
    ) -> Result<(), ProgramError> {
        error::check_count("inputs", self.inputs(), x.len())?;
        error::check_count("outputs", self.outputs(), outputs.len())?;
        let code =
            self.shared.point.get_or_init(|| PointCode::new(self.body(), self.shared.machine_code));
        code.run(x, outputs, workspace);
        for (condition, &value) in self.body().conditions.iter().zip(code.conditions(workspace)) {
            condition.check(value, None)?;
        }
        Ok(())
    }
}

/// A rule as instructions.
fn trace_of<E: Real>(rule: &dyn ErasedRule<E>) -> Trace {
    Trace::record(rule.arity(), Vec::new(), |arguments| rule.trace(arguments))
}
