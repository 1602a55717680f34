//! What happens while a program is recorded: comparisons are kept, and leaving the tape is noted.

use std::cell::Cell;
use std::panic::Location;
use std::sync::Arc;

use super::body::Condition;
use crate::inner::Inner;
use crate::registry::{self, NO_TAPE};
use crate::{Real, Var};

thread_local! {
    /// How many programs are being recorded on this thread, so that comparisons elsewhere cost nothing
    /// but a look at it.
    static UNDER_WAY: Cell<u32> = const { Cell::new(0) };
}

/// What a tape keeps while it records a program.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// For each comparison the node that is 1 where it holds, what it gave, and its line.
    pub(crate) comparisons: Vec<(u32, bool, Arc<str>)>,
    /// The first operation that turned a recorded number into a plain one.
    pub(crate) left: Option<(&'static str, &'static Location<'static>)>,
}

/// While it lives, a program is being recorded on this thread.
pub(crate) struct UnderWay;

impl UnderWay {
    pub(crate) fn begin() -> Self {
        UNDER_WAY.with(|count| count.set(count.get() + 1));
        UnderWay
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        UNDER_WAY.with(|count| count.set(count.get() - 1));
    }
}

#[inline(always)]
fn is_under_way() -> bool {
    UNDER_WAY.with(Cell::get) != 0
}

/// Notes that `v` is about to be turned into a plain number.
#[inline(always)]
#[track_caller]
pub(crate) fn leave<E: Real>(v: Var<E>, operation: &'static str) {
    if is_under_way() && v.tag != NO_TAPE {
        note_left(v, operation);
    }
}

#[cold]
#[track_caller]
fn note_left<E: Real>(v: Var<E>, operation: &'static str) {
    if let Some(inner) = registry::hold::<E>(v.tag) {
        note_numbers(&inner, operation);
    }
}

/// Notes that an operation makes plain numbers of what is recorded on this tape.
#[track_caller]
pub(crate) fn note_numbers<E: Real>(inner: &Inner<E>, operation: &'static str) {
    if let Some(log) = &mut *inner.program.borrow_mut() {
        log.left.get_or_insert((operation, Location::caller()));
    }
}

/// What is asked of two numbers. Other comparisons are these with the operands exchanged.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    /// Neither is NaN.
    Ordered,
    /// The first is neither infinite nor NaN; the second does not matter.
    Finite,
    /// The first is infinite.
    Infinite,
    /// The first has a negative sign.
    Negative,
}

impl Comparison {
    #[inline(always)]
    fn holds<E: Real>(self, a: E, b: E) -> bool {
        match self {
            Comparison::Less => a < b,
            Comparison::LessOrEqual => a <= b,
            Comparison::Equal => a == b,
            Comparison::Ordered => a.partial_cmp(&b).is_some(),
            Comparison::Finite => a.is_finite(),
            Comparison::Infinite => a.abs() == E::lit(f64::INFINITY),
            Comparison::Negative => E::ONE.copysign(a) < E::ZERO,
        }
    }

    /// A recorded number that is 1 where the comparison holds and 0 where it does not.
    #[track_caller]
    fn indicator<E: Real>(self, a: Var<E>, b: Var<E>) -> Var<E> {
        let (zero, one) = (Var::constant(E::ZERO), Var::constant(E::ONE));
        let infinity = Var::constant(E::lit(f64::INFINITY));
        // A NaN is not above anything, and nothing is above it.
        let is_number = |x| {
            let below_infinity = Var::select_gt(infinity, x, one, zero);
            Var::select_gt(x, -infinity, one, below_infinity)
        };
        match self {
            Comparison::Less => Var::select_gt(b, a, one, zero),
            Comparison::LessOrEqual => Var::select_gt(b, a, one, Comparison::Equal.indicator(a, b)),
            Comparison::Equal => {
                let ordered = Comparison::Ordered.indicator(a, b);
                Var::select_gt(a, b, zero, Var::select_gt(b, a, zero, ordered))
            }
            Comparison::Ordered => is_number(a) * is_number(b),
            Comparison::Finite => Comparison::Less.indicator(a.abs(), infinity),
            Comparison::Infinite => Comparison::Equal.indicator(a.abs(), infinity),
            Comparison::Negative => Comparison::Less.indicator(one.copysign(a), zero),
        }
    }
}

/// Whether `a` and `b` compare so. While a program is recorded, its tape keeps the question, the answer and
/// the line.
#[inline(always)]
#[track_caller]
pub(crate) fn compare<E: Real>(a: Var<E>, b: Var<E>, comparison: Comparison) -> bool {
    let held = comparison.holds(a.value, b.value);
    if is_under_way() {
        note_comparison(a, b, comparison, held);
    }
    held
}

#[cold]
#[track_caller]
fn note_comparison<E: Real>(a: Var<E>, b: Var<E>, comparison: Comparison, held: bool) {
    let location = Location::caller();
    let tag = if a.tag == NO_TAPE { b.tag } else { a.tag };
    let Some(inner) = registry::hold::<E>(tag) else { return };
    if inner.program.borrow().is_none() {
        return;
    }
    let indicator = comparison.indicator(a, b);
    if let Some(log) = &mut *inner.program.borrow_mut()
        && !indicator.is_constant()
    {
        log.comparisons.push((indicator.index, held, location.to_string().into()));
    }
}

/// Keeps a comparison of a program that was called while another one is recorded.
pub(crate) fn keep<E: Real>(indicator: Var<E>, condition: &Condition) {
    if is_under_way()
        && !indicator.is_constant()
        && let Some(inner) = registry::hold::<E>(indicator.tag)
        && let Some(log) = &mut *inner.program.borrow_mut()
    {
        log.comparisons.push((indicator.index, condition.held, condition.location.clone()));
    }
}
