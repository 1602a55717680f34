//! Which values are computed, in which order and which of them together.

use crate::inner::{Kind, TensorLane};
use crate::rule::MAX_OPERANDS;
use crate::{Real, Shape};

/// A value that has to be computed as such.
#[derive(Clone, Copy, Debug)]
struct Root {
    node: u32,
    /// How many programs of other shapes have to run before.
    stage: u32,
    done: bool,
}

/// What is known of a tensor node in the present walk.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    visit: u32,
    stage: u32,
    root: bool,
}

/// The pending nodes below the asked-for ones.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    marks: Vec<Mark>,
    visit: u32,
    stack: Vec<u32>,
    pending: Vec<u32>,
    roots: Vec<Root>,
    /// Those before are done.
    next: usize,
}

/// The nodes that `t` is made from and that have to be computed first, if it is pending itself.
pub(super) fn pending_operands<E: Real>(lane: &TensorLane<E>, t: u32) -> impl Iterator<Item = u32> {
    let (operands, arity, constants) = match lane.nodes[t as usize].kind {
        Kind::Elementwise { operands, arity, constants, .. } => (operands, arity, constants),
        Kind::Total { operand, .. } => ([operand; MAX_OPERANDS], 1, 0),
        _ => ([0; MAX_OPERANDS], 0, 0),
    };
    (0..arity as usize)
        .filter(move |k| constants >> k & 1 == 0)
        .map(move |k| operands[k])
        .filter(move |&o| is_pending(lane, o) || is_uncopied(lane, o) && !joins(lane, t, o))
}

/// Whether a node waits for a program.
pub(super) fn is_pending<E: Real>(lane: &TensorLane<E>, t: u32) -> bool {
    let node = &lane.nodes[t as usize];
    node.value.is_none() && matches!(node.kind, Kind::Elementwise { .. } | Kind::Total { .. })
}

/// Whether a node is rows of a tensor that nobody has asked for as a tensor of their own. A program of their shape reads
/// them where they are.
fn is_uncopied<E: Real>(lane: &TensorLane<E>, t: u32) -> bool {
    let node = &lane.nodes[t as usize];
    node.value.is_none() && matches!(node.kind, Kind::Output { .. })
}

/// The shape that the program of a pending node runs over.
pub(super) fn extent<E: Real>(lane: &TensorLane<E>, t: u32) -> &Shape {
    match lane.nodes[t as usize].kind {
        Kind::Total { operand, .. } => &lane.nodes[operand as usize].shape,
        _ => &lane.nodes[t as usize].shape,
    }
}

/// Whether `consumer` can take `operand` as a value of the same program, element by element.
pub(super) fn joins<E: Real>(lane: &TensorLane<E>, consumer: u32, operand: u32) -> bool {
    !matches!(lane.nodes[operand as usize].kind, Kind::Total { .. })
        && extent(lane, consumer) == &lane.nodes[operand as usize].shape
}

impl Schedule {
    /// Finds all that the targets need. If work is to be kept, what several of the nodes that are found need is
    /// to be computed as such as well, and so is every node below the number in `keep`.
    pub(super) fn find<E: Real>(
        &mut self,
        lane: &TensorLane<E>,
        targets: &[u32],
        keep: Option<u32>,
    ) {
        if self.visit == u32::MAX {
            self.marks.clear();
            self.visit = 0;
        }
        self.visit += 1;
        if self.marks.len() < lane.nodes.len() {
            self.marks.resize(lane.nodes.len(), Mark::default());
        }
        self.pending.clear();
        self.roots.clear();
        self.next = 0;
        for &t in targets {
            if lane.nodes[t as usize].value.is_none() {
                self.visit(t);
                self.marks[t as usize].root = true;
            }
        }
        while let Some(t) = self.stack.pop() {
            self.pending.push(t);
            for operand in pending_operands(lane, t) {
                let again = !self.visit(operand);
                self.marks[operand as usize].root |=
                    keep.is_some_and(|below| again || operand < below);
            }
        }
        // A number is smaller than those of all that depend on it.
        self.pending.sort_unstable();
        for k in 0..self.pending.len() {
            let t = self.pending[k];
            let mut stage = 0;
            for operand in pending_operands(lane, t) {
                let mark = &mut self.marks[operand as usize];
                if joins(lane, t, operand) {
                    stage = stage.max(mark.stage);
                } else {
                    mark.root = true;
                    stage = stage.max(mark.stage + 1);
                }
            }
            self.marks[t as usize].stage = stage;
        }
        for &node in &self.pending {
            let Mark { stage, root, .. } = self.marks[node as usize];
            if root {
                self.roots.push(Root { node, stage, done: false });
            }
        }
        self.roots.sort_by_key(|root| root.stage);
    }

    /// Whether every node that was made of a pending one has been computed, or will be with it, element by element.
    pub(super) fn joins_all_consumers<E: Real>(&self, lane: &TensorLane<E>, t: u32) -> bool {
        /// As many nodes are looked at.
        const NEAR: usize = 256;
        let later = &lane.nodes[t as usize + 1..];
        later.len() <= NEAR
            && (t + 1..).zip(later).all(|(consumer, node)| {
                let is_found = self.marks[consumer as usize].visit == self.visit;
                node.value.is_some()
                    || is_found && joins(lane, consumer, t)
                    || !pending_operands(lane, consumer).any(|operand| operand == t)
            })
    }

    /// Whether it is the first visit of this walk.
    fn visit(&mut self, t: u32) -> bool {
        let mark = &mut self.marks[t as usize];
        let first = mark.visit != self.visit;
        if first {
            *mark = Mark { visit: self.visit, stage: 0, root: false };
            self.stack.push(t);
        }
        first
    }

    /// The first value that is not computed yet.
    pub(super) fn next(&mut self) -> Option<u32> {
        while self.roots.get(self.next)?.done {
            self.next += 1;
        }
        self.roots[self.next].done = true;
        Some(self.roots[self.next].node)
    }

    /// Another value that can be computed in the program of the one which [`next`](Self::next) gave.
    pub(super) fn companion<E: Real>(&mut self, lane: &TensorLane<E>) -> Option<u32> {
        let first = self.roots[self.next];
        let shape = extent(lane, first.node);
        let same = self.roots[self.next..].iter_mut().take_while(|root| root.stage == first.stage);
        for root in same {
            let alone = !is_pending(lane, root.node);
            if !root.done && !alone && extent(lane, root.node) == shape {
                root.done = true;
                return Some(root.node);
            }
        }
        None
    }
}
