//! What is behind a [`Tape`](crate::Tape): both lanes, in one order.

mod calls;
mod nodes;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use smallvec::SmallVec;

use crate::diagnostics::profile::Profiler;
use crate::diagnostics::watch::Watch;
use crate::diagnostics::{Detail, Settings};
use crate::op::{Displaced, Op, recycle_place};
use crate::ops::index::Rows;
use crate::primitive::Primitive;
use crate::rule::{MAX_OPERANDS, RuleTable};
use crate::scalar::lane::{LaneMark, ScalarLane};
use crate::scalar::opcode::Opcode;
use crate::{Real, Tensor, recycle, registry};

pub(crate) use calls::{Call, Calls, Held};
pub(crate) use nodes::{Nodes, TensorNode};

/// What a leaf is called by those who do not see the tape, such as a parameter store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label {
    /// Which store the leaf belongs to.
    pub store: u64,
    /// Which entry of the store.
    pub key: u64,
    /// Which value of the entry: a store that counts its writes can tell the gradient at a value that
    /// it no longer has.
    pub version: u64,
}

/// How a tensor node came about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// An independent variable.
    Leaf,
    /// A constant.
    Constant,
    /// A node of the scalar lane, as a tensor of rank 0.
    Lift { scalar: u32 },
    /// An elementwise operation; bit `k` of `constants` says that operand `k` is in the constant
    /// pool.
    Elementwise { opcode: Opcode, operands: [u32; MAX_OPERANDS], arity: u8, constants: u8 },
    /// The sum of all elements, or their mean.
    Total { operand: u32, mean: bool },
    /// An output of a call.
    Output { call: u32 },
}

/// The tensor lane.
pub(crate) struct TensorLane<E: Real> {
    pub(crate) nodes: Nodes<E>,
    pub(crate) calls: Calls<E>,
    /// The operation of each call, and behind them those of earlier runs, whose places are used
    /// again.
    ops: Vec<Rc<dyn Op<E>>>,
}

impl<E: Real> TensorLane<E> {
    pub(crate) fn op(&self, call: u32) -> Rc<dyn Op<E>> {
        self.ops[call as usize].clone()
    }

    /// The tensor of which an output is rows, and which.
    pub(crate) fn rows(&self, call: u32) -> (&Tensor<E>, &Rows) {
        let Call { inputs, rows, .. } = &self.calls[call as usize];
        let table = self.nodes[inputs[0] as usize].value.as_ref();
        let table = table.expect("the inputs of an operation have been computed");
        (table, rows.as_ref().expect("an output without a value is rows"))
    }

    /// Whether a node is pending and nothing but one cheap operation on values that need no work.
    pub(crate) fn is_cheap_of_values(&self, t: u32) -> bool {
        let node = &self.nodes[t as usize];
        let Kind::Elementwise { opcode, .. } = node.kind else { return false };
        let is_cheap = opcode.as_primitive().is_some_and(Primitive::is_cheap);
        node.value.is_none() && node.pending == 1 && is_cheap
    }

    /// Puts the value of a pending node in its place, as it was computed: that of a mean is the sum.
    pub(crate) fn put_computed(&mut self, t: u32, mut value: Tensor<E>) {
        if let Kind::Total { operand, mean: true } = self.nodes[t as usize].kind {
            let count = self.count(operand);
            value.as_mut_slice().iter_mut().for_each(|sum| *sum /= count);
        }
        self.nodes[t as usize].set_value(value);
    }

    /// How many elements a node has, as a number to divide by.
    pub(crate) fn count(&self, t: u32) -> E {
        E::lit(self.nodes[t as usize].shape.elements() as f64)
    }

    /// Makes `op` that of the call which is recorded next.
    pub(crate) fn put_op<O: Op<E>>(&mut self, op: O) -> Displaced<O, Rc<dyn Op<E>>> {
        match self.ops.get_mut(self.calls.len()) {
            Some(place) => recycle_place(
                place,
                op,
                |place| Rc::get_mut(place).map(|op| op as &mut dyn Any),
                |op| Rc::new(op),
            ),
            None => {
                self.ops.push(Rc::new(op));
                Displaced::Nothing
            }
        }
    }

    /// About how many nodes would be pending for a new one made of `operands`, and the first of them. The
    /// sum counts shared ones several times, and the distance to the first counts some that do not
    /// belong.
    pub(crate) fn pending(&self, operands: impl Iterator<Item = u32>) -> (u32, u32) {
        let next = self.nodes.len() as u32;
        let (mut sum, mut low) = (1u32, next);
        for operand in operands {
            // Handles are checked when the operation is recorded.
            let Some(node) = self.nodes.get(operand as usize) else { continue };
            if node.pending > 0 {
                sum = sum.saturating_add(node.pending);
                low = low.min(node.low);
            }
        }
        (sum.min(next - low + 1), low)
    }

    fn truncate(&mut self, nodes: usize, calls: usize) {
        self.calls.truncate(calls);
        self.nodes.truncate(nodes);
    }
}

/// A place that the recording can be cut back to.
struct Mark {
    tag: u32,
    scalars: LaneMark,
    nodes: usize,
    calls: usize,
    rules: usize,
}

pub(crate) struct Inner<E: Real> {
    /// The tag that new nodes get.
    pub(crate) tag_now: Cell<u32>,
    /// Counts the resets; a sweep that finds another number stops.
    pub(crate) epoch: Cell<u64>,
    pub(crate) scalars: ScalarLane<E>,
    pub(crate) tensors: RefCell<TensorLane<E>>,
    pub(crate) rules: RefCell<RuleTable<E>>,
    pub(crate) scratch: Cell<Option<Box<crate::cluster::Scratch<E>>>>,
    /// What is noted while a program is recorded.
    pub(crate) program: RefCell<Option<crate::program::record::Log>>,
    /// What is measured, if anybody asks for it.
    pub(crate) profiler: Option<Rc<Profiler>>,
    /// Whether the values on this tape mean nothing, so that no function of a user is called with them.
    pub(crate) placeholders: Cell<bool>,
    /// The first is the beginning; the others are the tails of the sweeps under way.
    marks: RefCell<Vec<Mark>>,
    /// The first tensor node of the newest part, which has the tag that new nodes get.
    newest: Cell<usize>,
    /// Whether the pool of buffers counts this as a tape that is alive.
    counted: bool,
}

impl<E: Real> Inner<E> {
    pub(crate) fn new(settings: Settings) -> Rc<Self> {
        recycle::tape_made::<E>();
        Self::build(settings, true)
    }

    /// An arena for which the pool keeps no buffers.
    pub(crate) fn uncounted() -> Rc<Self> {
        Self::build(Settings { detail: Detail::Least, profile: false }, false)
    }

    fn build(settings: Settings, counted: bool) -> Rc<Self> {
        let inner = Rc::new(Inner {
            tag_now: Cell::new(registry::NO_TAPE),
            epoch: Cell::new(0),
            scalars: ScalarLane::new(settings.detail),
            tensors: RefCell::new(TensorLane {
                nodes: Nodes::new(),
                calls: Calls::new(),
                ops: Vec::new(),
            }),
            rules: RefCell::new(RuleTable::new()),
            scratch: Cell::default(),
            program: RefCell::default(),
            profiler: settings.profile.then(Rc::default),
            placeholders: Cell::default(),
            marks: RefCell::default(),
            newest: Cell::default(),
            counted,
        });
        inner.begin();
        inner
    }

    /// What the tape keeps to look for anomalies, if it does.
    #[inline(always)]
    pub(crate) fn watch(&self) -> Option<&Watch> {
        self.scalars.watch.as_ref()
    }

    /// Opens a new part of the recording, with a tag of its own.
    pub(crate) fn begin(self: &Rc<Self>) -> u32 {
        let tag = registry::enroll(self);
        let tensors = self.tensors.borrow();
        self.marks.borrow_mut().push(Mark {
            tag,
            scalars: self.scalars.mark(),
            nodes: tensors.nodes.len(),
            calls: tensors.calls.len(),
            rules: self.rules.borrow().used(),
        });
        self.tag_now.set(tag);
        self.newest.set(tensors.nodes.len());
        tag
    }

    /// Forgets the part that has this tag, and every later one; their handles are stale.
    pub(crate) fn rewind(&self, tag: u32) {
        if self.marks.borrow().iter().all(|mark| mark.tag != tag) {
            return;
        }
        self.scalars.assert_no_readers();
        while let Some(mark) = self.marks.borrow_mut().pop() {
            registry::retire::<E>(mark.tag);
            if mark.tag == tag {
                self.scalars.rewind(mark.scalars);
                self.tensors.borrow_mut().truncate(mark.nodes, mark.calls);
                self.rules.borrow_mut().rewind(mark.rules);
                break;
            }
        }
        if let Some(mark) = self.marks.borrow().last() {
            self.tag_now.set(mark.tag);
            self.newest.set(mark.nodes);
        }
    }

    /// Forgets everything and makes every handle stale.
    pub(crate) fn retire(&self) {
        self.epoch.set(self.epoch.get() + 1);
        let first = self.marks.borrow().first().map(|mark| mark.tag);
        if let Some(tag) = first {
            self.rewind(tag);
        }
    }

    /// Takes out what places of operations and rules still hold of earlier recordings. The caller drops it
    /// when nothing of the tape is borrowed: that may run code of a user.
    pub(crate) fn take_leftovers(&self) -> impl Sized + use<E> {
        let ops = std::mem::take(&mut self.tensors.borrow_mut().ops);
        (ops, self.rules.borrow_mut().take_leftovers())
    }

    /// The tag of a node, by the length of the recording that `length` reads off a mark.
    fn tag_at(&self, i: u32, length: impl Fn(&Mark) -> usize) -> u32 {
        let marks = self.marks.borrow();
        let mark = marks.iter().rev().find(|mark| length(mark) <= i as usize);
        mark.map_or(registry::NO_TAPE, |mark| mark.tag)
    }

    pub(crate) fn tag_of_scalar(&self, i: u32) -> u32 {
        self.tag_at(i, |mark| mark.scalars.nodes)
    }

    pub(crate) fn scalar_tags(&self) -> SmallVec<[(u32, u32); 2]> {
        let marks = self.marks.borrow();
        marks.iter().map(|mark| (mark.scalars.nodes as u32, mark.tag)).collect()
    }

    #[inline]
    pub(crate) fn tag_of_tensor(&self, t: u32) -> u32 {
        match t as usize >= self.newest.get() {
            true => self.tag_now.get(),
            false => self.tag_at(t, |mark| mark.nodes),
        }
    }

    /// Panics unless `tag` is one of this tape's.
    #[inline]
    #[track_caller]
    pub(crate) fn assert_owns(&self, tag: u32) {
        if tag != self.tag_now.get() {
            self.assert_owns_slow(tag);
        }
    }

    #[cold]
    #[track_caller]
    fn assert_owns_slow(&self, tag: u32) {
        if self.marks.borrow().iter().any(|mark| mark.tag == tag) {
            return;
        }
        match registry::is_live::<E>(tag) {
            true => panic!(
                "the operands of one operation belong to two different tapes ({} and {tag}). \
                 Functions of closures record on a tape of their own: capture numbers there, not \
                 handles",
                self.tag_now.get()
            ),
            // Says which handle is stale and why.
            false => drop(registry::find::<E>(tag)),
        }
    }

    /// The first tensor node of the part that will be cut off at the end of a sweep, if one is under way.
    pub(crate) fn start_of_tail(&self) -> Option<u32> {
        let marks = self.marks.borrow();
        marks.last().filter(|_| marks.len() > 1).map(|mark| mark.nodes as u32)
    }
}

impl<E: Real> Drop for Inner<E> {
    fn drop(&mut self) {
        // A tape retires its tags when it is dropped, unless it was refused because a segment was lent.
        // No tag may outlive the arena, whatever has happened.
        for mark in self.marks.borrow().iter() {
            registry::retire::<E>(mark.tag);
        }
        if self.counted {
            recycle::tape_dropped::<E>();
        }
    }
}
