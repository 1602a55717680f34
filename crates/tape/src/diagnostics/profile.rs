//! Where the time goes: calls, time and bytes for each kind of operation.
//!
//! What is timed is a stack of frames, and the time of a frame is its own: that of the frames within it is
//! theirs. So every moment is counted once, and the rows add up to what was timed.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::node;
use crate::engine::NodeId;
use crate::inner::Inner;
use crate::scalar::lane::Node;
use crate::{Real, Tape, Tensor};

/// Where the time of a tape has gone; see [`Tape::profile`].
///
/// Its `Display` is a table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Profile {
    /// A row for each kind, that with the most time first, and operations on numbers at the end.
    pub rows: Vec<ProfileRow>,
}

/// What one kind of operation has taken.
///
/// "Backward" is all that happens while a sweep runs, and "forward" the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProfileRow {
    /// The name of the operation. Besides those there are two: elementwise operations on tensors are computed
    /// many at a time, and all of them together are `fused`; what a sweep does between the rules of tensors
    /// (its walk, all rules of numbers and of elementwise operations, sums of cotangents) is `sweep`.
    pub name: &'static str,
    /// Whether it works on tensors; else it is an operation on numbers.
    pub tensor: bool,
    /// How many recorded operations it stands for: as many as the calls, but for `fused`, where each call computes
    /// several.
    pub operations: u64,
    /// How often it was computed.
    pub forward_calls: u64,
    /// How long that took; `None` for operations on numbers, which are not timed: a clock takes longer than they do.
    pub forward_time: Option<Duration>,
    /// The bytes of the results, and of what operations keep for the backward pass. A result that shares the
    /// buffer of an operand has none; an operation on numbers has those of its nodes.
    pub forward_bytes: usize,
    /// How often its rule was asked for cotangents, or it was computed by the sweep itself. For `fused` the programs
    /// that ran in a sweep, for `sweep` the sweeps.
    pub backward_calls: u64,
    /// How long that took; `None` for operations on numbers.
    pub backward_time: Option<Duration>,
}

impl ProfileRow {
    fn new(name: &'static str, tensor: bool) -> Self {
        let time = tensor.then_some(Duration::ZERO);
        ProfileRow {
            name,
            tensor,
            operations: 0,
            forward_calls: 0,
            forward_time: time,
            forward_bytes: 0,
            backward_calls: 0,
            backward_time: time,
        }
    }

    fn time(&self) -> Duration {
        self.forward_time.unwrap_or_default() + self.backward_time.unwrap_or_default()
    }
}

/// What a tape with a profile keeps.
#[derive(Default)]
pub(crate) struct Profiler {
    rows: RefCell<BTreeMap<(bool, &'static str), ProfileRow>>,
    /// For each frame under way, the time of those within it that have ended.
    within: RefCell<Vec<Duration>>,
    sweeps: Cell<u32>,
    rules: Cell<u32>,
}

/// What a frame is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// An operation with structure is computed.
    Operation,
    /// A program of elementwise operations runs.
    Fused,
    /// The rule of an operation with structure.
    Rule,
    /// A sweep.
    Sweep,
}

/// Something that is timed until it is dropped.
pub(crate) struct Frame {
    profiler: Rc<Profiler>,
    what: What,
    name: &'static str,
    pub(crate) operations: u64,
    pub(crate) bytes: usize,
    begin: Instant,
}

impl Profiler {
    /// Times the computation of an operation with structure; not within a rule, whose time it is.
    pub(crate) fn operation(self: &Rc<Self>, name: &'static str) -> Option<Frame> {
        (self.rules.get() == 0).then(|| self.frame(What::Operation, name))
    }

    pub(crate) fn fused(self: &Rc<Self>) -> Frame {
        self.frame(What::Fused, "fused")
    }

    pub(crate) fn rule(self: &Rc<Self>, name: &'static str) -> Frame {
        self.frame(What::Rule, name)
    }

    pub(crate) fn sweep(self: &Rc<Self>) -> Frame {
        self.frame(What::Sweep, "sweep")
    }

    fn frame(self: &Rc<Self>, what: What, name: &'static str) -> Frame {
        match what {
            What::Rule => self.rules.set(self.rules.get() + 1),
            What::Sweep => self.sweeps.set(self.sweeps.get() + 1),
            What::Operation | What::Fused => {}
        }
        self.within.borrow_mut().push(Duration::ZERO);
        let profiler = self.clone();
        Frame { profiler, what, name, operations: 1, bytes: 0, begin: Instant::now() }
    }

    /// Adds what is recorded of numbers, before it is forgotten.
    pub(crate) fn count_numbers<E: Real>(&self, inner: &Inner<E>) {
        count_numbers(inner, &mut self.rows.borrow_mut());
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        let whole = self.begin.elapsed();
        let profiler = &*self.profiler;
        let mut within = profiler.within.borrow_mut();
        let own = whole.saturating_sub(within.pop().unwrap_or_default());
        if let Some(outer) = within.last_mut() {
            *outer += whole;
        }
        let backward = profiler.sweeps.get() > 0;
        match self.what {
            What::Rule => profiler.rules.set(profiler.rules.get() - 1),
            What::Sweep => profiler.sweeps.set(profiler.sweeps.get() - 1),
            What::Operation | What::Fused => {}
        }
        let mut rows = profiler.rows.borrow_mut();
        let new = || ProfileRow::new(self.name, true);
        let row = rows.entry((true, self.name)).or_insert_with(new);
        row.operations += self.operations;
        let (calls, time) = match backward {
            true => (&mut row.backward_calls, &mut row.backward_time),
            false => (&mut row.forward_calls, &mut row.forward_time),
        };
        *calls += 1;
        *time = Some(time.unwrap_or_default() + own);
        if !backward {
            row.forward_bytes += self.bytes;
        }
    }
}

/// The bytes of tensors that share no buffer with `others`.
pub(crate) fn bytes<E: Real>(tensors: &[Tensor<E>], others: &[Tensor<E>]) -> usize {
    let own = tensors.iter().filter(|tensor| others.iter().all(|x| !tensor.shares_buffer(x)));
    own.map(|tensor| size_of_val(tensor.as_slice())).sum()
}

fn count_numbers<E: Real>(inner: &Inner<E>, rows: &mut BTreeMap<(bool, &'static str), ProfileRow>) {
    for i in (0..inner.scalars.len() as u32).filter(|&i| !node::is_carry(inner, i)) {
        let id = NodeId::Scalar(i);
        if node::given(inner, id).is_some() {
            continue;
        }
        let name = node::name(inner, id);
        let row = rows.entry((false, name)).or_insert_with(|| ProfileRow::new(name, false));
        let carry = i > 0 && node::is_carry(inner, i - 1);
        row.operations += 1;
        row.forward_calls += 1;
        row.forward_bytes += (1 + usize::from(carry)) * (size_of::<Node>() + size_of::<E>());
    }
}

impl<E: Real> Tape<E> {
    /// An empty tape that keeps a profile: write `Tape::new().with_profile()`; see [`profile`](Tape::profile).
    #[must_use]
    pub fn with_profile(self) -> Self {
        self.rebuilt(|settings| settings.profile = true)
    }

    /// Where the time has gone since the tape was made, over all resets: calls, time and bytes for each kind of
    /// operation; `None` unless the tape was made by [`with_profile`](Tape::with_profile).
    ///
    /// The time of an operation is that of computing its result or its cotangents. The time of its rule includes
    /// the operations with structure that the rule is made of. Elementwise operations on tensors are deferred, and
    /// computed many in one pass over memory, wherever the first value is asked for: their time is in the row
    /// `fused`, and cannot be told apart. Where a loss and its gradients are computed in one pass, that pass belongs to the sweep. Operations on numbers are counted,
    /// not timed; what a sweep does for them is in the row `sweep`.
    ///
    /// ```
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new().with_profile();
    /// let x = tape.tensor(Tensor::ones([20, 30]));
    /// let w = tape.tensor(Tensor::ones([30, 10]));
    /// let y = x.matmul(w).tanh().sum();
    /// y.value();
    /// let profile = tape.profile().unwrap();
    /// let matmul = profile.rows.iter().find(|row| row.name == "matmul").unwrap();
    /// assert_eq!((matmul.forward_calls, matmul.forward_bytes), (1, 20 * 10 * 8));
    /// println!("{profile}");
    /// ```
    pub fn profile(&self) -> Option<Profile> {
        let inner = &**self.inner();
        let mut rows = inner.profiler.as_ref()?.rows.borrow().clone();
        count_numbers(inner, &mut rows);
        let mut rows: Vec<ProfileRow> = rows.into_values().collect();
        rows.sort_by_key(|row| (!row.tensor, std::cmp::Reverse((row.time(), row.forward_calls))));
        Some(Profile { rows })
    }
}

/// A row a line: calls, time and bytes forward, calls and time backward. A dash stands for what is not
/// measured.
impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["operation", "forward", "time", "bytes", "backward", "time"].map(str::to_owned);
        let mut lines = vec![head];
        for row in &self.rows {
            let name = match row.operations == row.forward_calls + row.backward_calls {
                true if row.tensor => row.name.to_owned(),
                true => format!("{} (number)", row.name),
                false => format!("{}: {} operations", row.name, row.operations),
            };
            lines.push([
                name,
                row.forward_calls.to_string(),
                row.forward_time.map_or_else(|| "-".to_owned(), milliseconds),
                row.forward_bytes.to_string(),
                row.backward_calls.to_string(),
                row.backward_time.map_or_else(|| "-".to_owned(), milliseconds),
            ]);
        }
        let width = |k: usize| lines.iter().map(|line| line[k].chars().count()).max().unwrap_or(0);
        let widths: [usize; 6] = std::array::from_fn(width);
        for [name, cells @ ..] in &lines {
            write!(f, "{name:<0$}", widths[0])?;
            for (cell, width) in cells.iter().zip(&widths[1..]) {
                write!(f, "  {cell:>width$}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1e3)
}
