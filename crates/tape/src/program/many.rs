//! Running a program at many points at once.
//!
//! The list becomes a program of the interpreter that runs fused tensor expressions (`cluster`): each
//! instruction is a vectorised loop over some hundreds of points whose values are in the first-level cache.

use std::panic::Location;
use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::body::{Body, Code, Operand, Source};
use super::few::{few_code, run_few};
use super::passes::{inlined, with_changes};
use super::point::{LANES, Lane, LaneCode, PointCode};
use super::{Program, ProgramError};
use crate::cluster::{self, Compensated, Data, Plan, Repetition};
use crate::threads;
use crate::{Real, Shape, Tensor};

/// How the numbers of an input are spread over the points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Spread {
    /// One for each point.
    Whole,
    /// The same one for all.
    Single,
    /// Repeated along some axes.
    Repeated,
}

/// Whether the results are wanted for each point or summed over all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Results {
    Each,
    Total,
}

/// The inputs of a run over the points of `shape`.
struct Given<'a, E: Real> {
    columns: &'a [&'a [E]],
    spreads: Vec<Spread>,
    /// How those columns are read that are repeated along some axes.
    repeated: Vec<Repetition<'a, E>>,
    shape: &'a Shape,
}

/// The plans that were asked for: few, because a program is called in few ways.
type Known = FxHashMap<(Vec<Spread>, Results), Arc<Plan>>;

/// A program that is ready to run at many points.
pub(super) struct Plans<E: Real> {
    /// In primitives only, with an output for each comparison: whether it turns out differently.
    body: Option<Arc<Body<E>>>,
    known: Known,
    /// For few points, by which inputs differ from point to point.
    few: FxHashMap<Vec<bool>, Arc<LaneCode<E>>>,
}

impl<E: Real> Default for Plans<E> {
    fn default() -> Self {
        Plans { body: None, known: Known::default(), few: FxHashMap::default() }
    }
}

impl<E: Real> Program<E> {
    /// The outputs at many points: `columns[k]` holds input `k` of every point, or one number if it is the same
    /// for all. The result has one vector for each output.
    ///
    /// ```
    /// use tape::Program;
    ///
    /// let p = Program::record(2, |x| x[0] * x[1])?;
    /// assert_eq!(p.eval_many(&[&[1.0, 2.0, 3.0], &[10.0]])?, [[10.0, 20.0, 30.0]]);
    /// # Ok::<(), tape::ProgramError>(())
    /// ```
    ///
    /// It runs on the threads of the `rayon` pool that it is called in, and has the same bits for every
    /// number of them. The vectorised functions are within 2 ulp.
    ///
    /// # Errors
    /// [`ProgramError::Count`] and [`ProgramError::Points`] for numbers that do not fit;
    /// [`ProgramError::BranchChanged`], with the number of the first such point, if a comparison turns out
    /// differently than when the program was recorded.
    #[track_caller]
    pub fn eval_many(&self, columns: &[&[E]]) -> Result<Vec<Vec<E>>, ProgramError> {
        let points = self.points(columns)?;
        let mut results = vec![vec![E::ZERO; points]; self.outputs()];
        let mut outputs: Vec<&mut [E]> = results.iter_mut().map(Vec::as_mut_slice).collect();
        self.eval_many_into(columns, &mut outputs)?;
        Ok(results)
    }

    /// Writes the outputs at many points to `outputs`, one slice for each; see
    /// [`eval_many`](Program::eval_many).
    ///
    /// # Errors
    /// As [`eval_many`](Program::eval_many), and for outputs that do not fit. After an error what is in
    /// `outputs` means nothing.
    #[track_caller]
    pub fn eval_many_into(
        &self,
        columns: &[&[E]],
        outputs: &mut [&mut [E]],
    ) -> Result<(), ProgramError> {
        let points = self.points(columns)?;
        super::error::check_count("outputs", self.outputs(), outputs.len())?;
        for (position, output) in outputs.iter().enumerate() {
            let (given, location) = (output.len(), Location::caller());
            if given != points {
                return Err(ProgramError::Points {
                    what: "output",
                    position,
                    given,
                    points,
                    location,
                });
            }
        }
        let outputs = outputs.iter_mut().map(|output| &mut **output).collect();
        self.run_many(columns, points, Results::Each, outputs)?;
        Ok(())
    }

    /// The sums of the outputs over many points, without an array for any of them: what a loss and its gradient
    /// by parameters that all points share need. The sums are compensated.
    ///
    /// ```
    /// use tape::Program;
    ///
    /// let squares = Program::record(1, |x| x[0] * x[0])?;
    /// assert_eq!(squares.eval_sum(&[&[1.0, 2.0, 3.0]])?, [14.0]);
    /// # Ok::<(), tape::ProgramError>(())
    /// ```
    ///
    /// # Errors
    /// As [`eval_many`](Program::eval_many).
    #[track_caller]
    pub fn eval_sum(&self, columns: &[&[E]]) -> Result<Vec<E>, ProgramError> {
        let points = self.points(columns)?;
        let totals = self.run_many(columns, points, Results::Total, SmallVec::new())?;
        Ok(totals.into_vec())
    }

    /// How many points the columns have.
    #[track_caller]
    fn points(&self, columns: &[&[E]]) -> Result<usize, ProgramError> {
        super::error::check_count("inputs", self.inputs(), columns.len())?;
        let points = columns.iter().map(|c| c.len()).find(|&n| n != 1).unwrap_or(1);
        for (position, column) in columns.iter().enumerate() {
            let (given, location) = (column.len(), Location::caller());
            if given != 1 && given != points {
                return Err(ProgramError::Points {
                    what: "input",
                    position,
                    given,
                    points,
                    location,
                });
            }
        }
        Ok(points)
    }

    fn run_many(
        &self,
        columns: &[&[E]],
        points: usize,
        results: Results,
        outputs: SmallVec<[&mut [E]; 8]>,
    ) -> Result<SmallVec<[E; 8]>, ProgramError> {
        if (1..=LANES).contains(&points) && self.body().calls.is_empty() {
            return self.run_few(columns, points, results, outputs);
        }
        let spread = |column: &&[E]| match column.len() {
            1 if points != 1 => Spread::Single,
            _ => Spread::Whole,
        };
        let spreads = columns.iter().map(spread).collect();
        let shape = &Shape::from([points]);
        let given = Given { columns, spreads, repeated: Vec::new(), shape };
        self.run_on(given, results, outputs, || {
            let repeated = |column: &&[E]| (0..points).map(|i| column[i % column.len()]).collect();
            columns.iter().map(repeated).collect()
        })
    }

    /// The outputs for tensors that broadcast to `shape`, as an operation on tensors needs them.
    pub(super) fn run_on_tensors(
        &self,
        inputs: &[Tensor<E>],
        shape: &Shape,
        outputs: SmallVec<[&mut [E]; 8]>,
    ) -> Result<(), ProgramError> {
        let spread = |input: &Tensor<E>| match input.len() {
            _ if input.shape() == shape => Spread::Whole,
            1 => Spread::Single,
            _ => Spread::Repeated,
        };
        let spreads: Vec<Spread> = inputs.iter().map(spread).collect();
        let repetition = |input| Repetition::new(input, shape);
        let repeated = inputs.iter().filter(|input| spread(input) == Spread::Repeated);
        let repeated = repeated.map(repetition).collect();
        let columns: Vec<&[E]> = inputs.iter().map(Tensor::as_slice).collect();
        let given = Given { columns: &columns, spreads, repeated, shape };
        self.run_on(given, Results::Each, outputs, || {
            let whole = |input| {
                let mut elements = vec![E::ZERO; shape.elements()];
                repetition(input).read(shape, 0, &mut elements);
                elements
            };
            inputs.iter().map(whole).collect()
        })?;
        Ok(())
    }

    /// Runs the program, and looks at the comparisons. `whole` gives the inputs with an element for each point.
    fn run_on(
        &self,
        given: Given<'_, E>,
        results: Results,
        outputs: SmallVec<[&mut [E]; 8]>,
        whole: impl FnOnce() -> Vec<Vec<E>>,
    ) -> Result<SmallVec<[E; 8]>, ProgramError> {
        let Given { columns, spreads, repeated, shape } = given;
        if !self.body().calls.is_empty() {
            return self.run_one_by_one(&whole(), shape.elements(), results, outputs);
        }
        let of = |wanted| {
            let kinds = spreads.iter().zip(columns);
            kinds.filter(move |&(&kind, _)| kind == wanted).map(|(_, &column)| column)
        };
        let (whole_columns, singles) = (of(Spread::Whole).collect(), of(Spread::Single));
        let singles: SmallVec<[E; 8]> = singles.map(|column| column[0]).collect();
        let (body, plan) = self.plan(spreads, results);
        let mut constants = body.constants.clone();
        constants.extend(singles);
        let repeated = repeated.into_iter().collect();
        let data = Data { whole: whole_columns, repeated, constants: &constants, shape };
        let mut totals = cluster::run_on(&plan, &data, outputs);
        let changes: SmallVec<[E; 8]> =
            totals.drain(totals.len() - self.body().conditions.len()..).collect();
        match changes.iter().all(|&count| count == E::ZERO) {
            true => Ok(totals),
            false => Err(self.first_change(&changes, shape.elements(), &whole())),
        }
    }

    /// Runs a program with calls of a user's functions, which take one point at a time.
    fn run_one_by_one(
        &self,
        columns: &[Vec<E>],
        points: usize,
        results: Results,
        mut outputs: SmallVec<[&mut [E]; 8]>,
    ) -> Result<SmallVec<[E; 8]>, ProgramError> {
        const BLOCK: usize = 64;
        let count = self.outputs();
        let mut rows = vec![E::ZERO; points * count];
        let first_error = Mutex::new(None);
        threads::for_each_block(&mut rows, BLOCK * count, |block, rows| {
            let mut workspace = super::Workspace::default();
            for (i, row) in rows.chunks_mut(count).enumerate() {
                let point = block * BLOCK + i;
                let x: Vec<E> = columns.iter().map(|column| column[point]).collect();
                if let Err(error) = self.eval_into(&x, row, &mut workspace) {
                    let mut first = first_error.lock().unwrap_or_else(PoisonError::into_inner);
                    if first.as_ref().is_none_or(|&(earlier, _)| point < earlier) {
                        *first = Some((point, error));
                    }
                }
            }
        });
        match first_error.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some((point, ProgramError::BranchChanged { location, held, .. })) => {
                return Err(ProgramError::BranchChanged { location, held, point: Some(point) });
            }
            Some((_, error)) => return Err(error),
            None => {}
        }
        let column = |k: usize| rows.iter().skip(k).step_by(count).copied();
        match results {
            Results::Each => {
                for (k, output) in outputs.iter_mut().enumerate() {
                    output.iter_mut().zip(column(k)).for_each(|(output, value)| *output = value);
                }
                Ok(SmallVec::new())
            }
            Results::Total => {
                let total = |k| Compensated::of(&column(k).collect::<Vec<E>>());
                Ok((0..count).map(total).collect())
            }
        }
    }

    /// The error of the first point where a comparison turns out differently; `changes` says at how many each
    /// does.
    fn first_change(&self, changes: &[E], points: usize, columns: &[Vec<E>]) -> ProgramError {
        let mut workspace = super::Workspace::default();
        let mut outputs = vec![E::ZERO; self.outputs()];
        for point in 0..points {
            let x: Vec<E> = columns.iter().map(|column| column[point]).collect();
            match self.eval_into(&x, &mut outputs, &mut workspace) {
                Err(ProgramError::BranchChanged { location, held, .. }) => {
                    return ProgramError::BranchChanged { location, held, point: Some(point) };
                }
                Err(other) => return other,
                Ok(()) => {}
            }
        }
        // Two numbers so close that a vectorised function has put them in the other order.
        let k = changes.iter().position(|&count| count != E::ZERO).unwrap_or(0);
        let condition = &self.body().conditions[k];
        let location = condition.location.to_string();
        ProgramError::BranchChanged { location, held: condition.held, point: None }
    }

    /// The bytes of machine code that there are by now.
    pub(super) fn machine_code(&self) -> usize {
        let plans = self.shared.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let few: usize = plans.few.values().map(|code| code.machine_code()).sum();
        few + self.shared.point.get().map_or(0, PointCode::machine_code)
    }

    /// The list in primitives, with an output for each comparison.
    fn list(&self) -> Arc<Body<E>> {
        Arc::new(with_changes(&inlined(self.body())))
    }

    /// Runs the program at up to [`LANES`] points.
    fn run_few(
        &self,
        columns: &[&[E]],
        points: usize,
        results: Results,
        mut outputs: SmallVec<[&mut [E]; 8]>,
    ) -> Result<SmallVec<[E; 8]>, ProgramError> {
        let differs: Vec<bool> = columns.iter().map(|column| column.len() != 1).collect();
        let machine_code = self.shared.machine_code;
        let code = {
            let mut plans = self.shared.plans.lock().unwrap_or_else(PoisonError::into_inner);
            let Plans { body, few, .. } = &mut *plans;
            let body = body.get_or_insert_with(|| self.list());
            let code = few.entry(differs);
            let code =
                code.or_insert_with_key(|differs| Arc::new(few_code(body, differs, machine_code)));
            code.clone()
        };
        let made = run_few(&code, columns, points);
        let (made, changes) = made.split_at(self.outputs());
        let changed = |lane: &Lane<E>| lane.0[..points].iter().any(|&changed| changed != E::ZERO);
        if changes.iter().any(changed) {
            let changes: Vec<E> =
                changes.iter().map(|lane| lane.0[..points].iter().copied().sum()).collect();
            let whole = |column: &&[E]| (0..points).map(|i| column[i % column.len()]).collect();
            let columns: Vec<Vec<E>> = columns.iter().map(whole).collect();
            return Err(self.first_change(&changes, points, &columns));
        }
        if results == Results::Total {
            return Ok(made.iter().map(|lane| Compensated::of(&lane.0[..points])).collect());
        }
        for (output, lane) in outputs.iter_mut().zip(made) {
            output.copy_from_slice(&lane.0[..points]);
        }
        Ok(SmallVec::new())
    }

    /// The list in primitives, and its plan for inputs that are spread so.
    fn plan(&self, spreads: Vec<Spread>, results: Results) -> (Arc<Body<E>>, Arc<Plan>) {
        // Nothing in here can be left half done by a panic.
        let mut plans = self.shared.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let Plans { body, known, .. } = &mut *plans;
        let changes = self.body().conditions.len();
        let body = body.get_or_insert_with(|| self.list()).clone();
        let plan = known.entry((spreads, results)).or_insert_with_key(|(spreads, results)| {
            Arc::new(plan_of(&body, changes, spreads, *results))
        });
        (body.clone(), plan.clone())
    }
}

/// `body` has the outputs and behind them the `changes`, which are summed: at how many points each
/// comparison turns out differently.
fn plan_of<E: Real>(body: &Body<E>, changes: usize, spreads: &[Spread], results: Results) -> Plan {
    let number = |k: usize| spreads[..k].iter().filter(|&&s| s == spreads[k]).count();
    let constants = body.constants.len();
    let inputs: Vec<cluster::Operand> = (0..spreads.len())
        .map(|k| match spreads[k] {
            Spread::Whole => cluster::Operand::Whole(number(k) as u32),
            Spread::Repeated => cluster::Operand::Repeated(number(k) as u32),
            Spread::Single => cluster::Operand::Constant((constants + number(k)) as u32),
        })
        .collect();
    let place = |operand: Operand| match operand.source() {
        Source::Value(v) => cluster::Operand::Value(v),
        Source::Input(k) => inputs[k as usize],
        Source::Constant(k) => cluster::Operand::Constant(k),
    };
    let instructions: Vec<cluster::Instruction> = body
        .instructions
        .iter()
        .map(|instruction| match instruction.code {
            Code::Primitive(primitive, exponent) => cluster::Instruction {
                primitive,
                exponent,
                operands: instruction.operands.map(place),
            },
            Code::Rule(_) | Code::Result(_) => unreachable!("there are primitives only"),
        })
        .collect();
    let count = body.outputs.len() - changes;
    let outputs: Vec<cluster::Output> = body
        .outputs
        .iter()
        .enumerate()
        .map(|(k, &output)| match results {
            Results::Each if k < count => cluster::Output::Each(place(output)),
            _ => cluster::Output::Total(place(output)),
        })
        .collect();
    let singles = spreads.iter().filter(|&&s| s == Spread::Single).count();
    let repeated = spreads.iter().filter(|&&s| s == Spread::Repeated).count();
    Plan::new(&instructions, &outputs, constants + singles, repeated)
}
