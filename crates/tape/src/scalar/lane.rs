//! The scalar lane: an array of nodes that grows at its end.
//!
//! A node is an opcode and two operands (12 bytes) and a value. This module is one of the few that
//! use `unsafe`: recording a node is a few comparisons and stores, and reading one in a sweep is a
//! plain load. What makes that sound is checked where a node is recorded: every operand is the
//! number of an earlier node, or of an entry of the constant pool, or means no node at all. Tags
//! have no part in it.

use std::cell::{Cell, RefCell, UnsafeCell};
use std::panic::Location;

use super::opcode::Opcode;
use crate::Real;
use crate::diagnostics::Detail;
use crate::diagnostics::watch::Watch;
use crate::vector::prefetch_at;

/// An opcode and two operands.
pub(crate) type Node = [u32; 3];

/// A node and its value as they stand in memory: three stores, without gaps.
#[derive(Clone, Copy)]
#[repr(C, packed(4))]
struct Record<E> {
    /// The opcode in the lower half, and the first operand.
    opcode_and_first: u64,
    second: u32,
    value: E,
}

impl<E: Copy> Record<E> {
    #[inline(always)]
    fn new([opcode, a, b]: Node, value: E) -> Self {
        Record { opcode_and_first: u64::from(opcode) | u64::from(a) << 32, second: b, value }
    }

    #[inline(always)]
    fn node(&self) -> Node {
        [self.opcode_and_first as u32, (self.opcode_and_first >> 32) as u32, self.second]
    }
}

/// The constants used last are found again in so many places of two each, so that a loop over `100.0 * x` does not
/// fill the pool with copies of 100.
const PLACES: usize = 1 << PLACES_BITS;
const PLACES_BITS: u32 = 4;

/// The bits of a constant, and its number in the pool.
type Known = (u64, u32);

/// The place of the bits of a constant.
#[inline(always)]
const fn place_of(bits: u64) -> usize {
    ((bits ^ (bits >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - PLACES_BITS)) as usize
}

/// What stands in an empty place: bits that belong elsewhere.
const fn nothing_at(place: usize) -> Known {
    (if place == place_of(0) { 1 } else { 0 }, 0)
}
const _: () = assert!(place_of(0) != place_of(1));

/// How many nodes ahead memory is asked for, where nodes are recorded and where they are swept. The processor itself
/// does so within a page; but a page has two hundred nodes, and where it ends all would wait.
const AHEAD: usize = 128;

/// A place in the recording that it can be cut back to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LaneMark {
    pub(crate) nodes: usize,
    constants: usize,
}

pub(crate) struct ScalarLane<E> {
    len: Cell<usize>,
    /// Nodes up to here may be written without a look at anything else. It is the capacity, or 0
    /// when every node is to take the slow path because its location is kept.
    limit: Cell<usize>,
    /// Owned by this lane through the pointer below: that of a vector of length `len`.
    capacity: Cell<usize>,
    records: Cell<*mut Record<E>>,
    constants: UnsafeCell<Vec<E>>,
    recent: [[Cell<Known>; 2]; PLACES],
    /// How many [`Segment`]s are reading; meanwhile nothing may move or be cut off.
    readers: Cell<usize>,
    locations: Option<RefCell<Vec<&'static Location<'static>>>>,
    /// What is kept to look for anomalies, if anybody does; then locations are kept, too.
    pub(crate) watch: Option<Watch>,
}

impl<E: Real> ScalarLane<E> {
    pub(crate) fn new(detail: Detail) -> Self {
        ScalarLane {
            len: Cell::new(0),
            limit: Cell::new(0),
            capacity: Cell::new(0),
            records: Cell::new(std::ptr::null_mut()),
            constants: UnsafeCell::new(Vec::new()),
            recent: std::array::from_fn(|k| [nothing_at(k), nothing_at(k)].map(Cell::new)),
            readers: Cell::new(0),
            locations: (detail >= Detail::Locations).then(RefCell::default),
            watch: (detail >= Detail::Anomalies).then(Watch::default),
        }
    }

    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.len.get()
    }

    /// Appends a node if that is a few stores: `None` if there is no room, if somebody wants to look at it, or if
    /// `last`, the last of its operands, is no node.
    ///
    /// The place of the new node is the length. That is told by the last operand where it is the node before: then the
    /// processor need not wait for the length, which has just been stored, and takes longer to load than all the
    /// rest of an operation.
    #[inline(always)]
    pub(crate) fn push_at_once(&self, last: u32, node: Node, value: E) -> Option<u32> {
        let (last, len) = (last as usize, self.len.get());
        let i = match last + 1 == len {
            true => told_apart(last) + 1,
            false if last < len => len,
            false => return None,
        };
        if i >= self.limit.get() {
            return None;
        }
        self.write(i, node, value);
        Some(i as u32)
    }

    /// Appends a node whose operands are nodes.
    #[track_caller]
    pub(crate) fn push(&self, opcode: Opcode, a: u32, b: u32, value: E) -> u32 {
        self.push_behind(a.max(b), [opcode.0, a, b], value)
    }

    /// Appends a node whose second operand is not a node: an entry of the constant pool, an
    /// exponent, or nothing.
    #[track_caller]
    pub(crate) fn push_unary(&self, opcode: Opcode, a: u32, b: u32, value: E) -> u32 {
        self.push_behind(a, [opcode.0, a, b], value)
    }

    #[track_caller]
    fn push_behind(&self, last: u32, node: Node, value: E) -> u32 {
        assert!(
            (last as usize) < self.len.get(),
            "a handle that names no node of this tape: it was kept over a reset"
        );
        self.append(node, value)
    }

    /// Appends a node without operands.
    #[inline(always)]
    #[track_caller]
    pub(crate) fn push_leaf(&self, opcode: Opcode, payload: u32, value: E) -> u32 {
        self.append([opcode.0, 0, payload], value)
    }

    #[inline(always)]
    #[track_caller]
    fn append(&self, node: Node, value: E) -> u32 {
        let i = self.len.get();
        if i >= self.limit.get() {
            self.prepare(node, value);
        }
        self.write(i, node, value);
        i as u32
    }

    /// Writes node `i`, which is the length, behind the others; there must be room.
    #[inline(always)]
    fn write(&self, i: usize, node: Node, value: E) {
        debug_assert!(i == self.len.get() && i < self.capacity.get());
        prefetch_at(self.records.get().wrapping_add(i + AHEAD));
        // SAFETY: `i < capacity`: the callers have compared it with the limit, or `prepare` has made room. The
        // pointer is that of an allocation of `capacity` records.
        unsafe { self.records.get().add(i).write(Record::new(node, value)) };
        self.len.set(i + 1);
    }

    /// Makes room for one more node, this one; looks at it and keeps its location if that is asked for.
    #[cold]
    #[inline(never)]
    #[track_caller]
    fn prepare(&self, node: Node, value: E) {
        if let Some(watch) = &self.watch {
            watch.look_at_node(self, node, value);
        }
        if let Some(locations) = &self.locations {
            locations.borrow_mut().push(Location::caller());
        }
        let (len, capacity) = (self.len.get(), self.capacity.get());
        if len < capacity {
            return;
        }
        assert!(self.readers.get() == 0, "the tape cannot grow while its nodes are being read");
        assert!(len < u32::MAX as usize, "a tape holds at most 2^32 - 1 scalar nodes");
        let wanted = (2 * capacity).max(1 << 10).min(u32::MAX as usize);
        let mut records = self.take_vector();
        records.reserve_exact(wanted - len);
        self.put_vector(records);
    }

    /// The array as a vector; until [`put_vector`](Self::put_vector) the lane is empty.
    fn take_vector(&self) -> Vec<Record<E>> {
        let (len, capacity) = (self.len.get(), self.capacity.replace(0));
        self.limit.set(0);
        self.len.set(0);
        if capacity == 0 {
            return Vec::new();
        }
        // SAFETY: `put_vector` has stored the pointer of a vector of this capacity, and `len` records of it are
        // written. The lane forgets it here, so it has one owner.
        unsafe { Vec::from_raw_parts(self.records.get(), len, capacity) }
    }

    fn put_vector(&self, records: Vec<Record<E>>) {
        let mut records = std::mem::ManuallyDrop::new(records);
        self.len.set(records.len());
        self.capacity.set(records.capacity());
        self.limit.set(if self.locations.is_some() { 0 } else { records.capacity() });
        self.records.set(records.as_mut_ptr());
    }

    /// The place of `c` in the constant pool.
    pub(crate) fn constant(&self, c: E) -> u32 {
        self.known_constant(c).unwrap_or_else(|| self.new_constant(c))
    }

    /// The place of `c` in the constant pool, if it is one of those used last.
    #[inline(always)]
    pub(crate) fn known_constant(&self, c: E) -> Option<u32> {
        let [first, second] = &self.recent[place_of(c.bits())];
        match (first.get(), second.get()) {
            ((bits, k), _) if bits == c.bits() => Some(k),
            (_, (bits, k)) if bits == c.bits() => Some(k),
            _ => None,
        }
    }

    #[inline(never)]
    fn new_constant(&self, c: E) -> u32 {
        assert!(self.readers.get() == 0, "the tape cannot grow while its nodes are being read");
        // SAFETY: no `Segment` reads, and this module keeps no other reference to the pool.
        let constants = unsafe { &mut *self.constants.get() };
        let k = constants.len() as u32;
        constants.push(c);
        let [first, second] = &self.recent[place_of(c.bits())];
        second.set(first.replace((c.bits(), k)));
        k
    }

    pub(crate) fn mark(&self) -> LaneMark {
        // SAFETY: a shared reference for the length of this expression; see `constant`.
        let constants = unsafe { (*self.constants.get()).len() };
        LaneMark { nodes: self.len.get(), constants }
    }

    /// Panics while a [`Segment`] is lent.
    pub(crate) fn assert_no_readers(&self) {
        assert!(self.readers.get() == 0, "the tape cannot be cut while its nodes are being read");
    }

    /// Forgets everything recorded since `mark`.
    pub(crate) fn rewind(&self, mark: LaneMark) {
        assert!(self.readers.get() == 0, "the tape cannot be cut while its nodes are being read");
        if mark.nodes < self.len.get() {
            self.len.set(mark.nodes);
        }
        if let Some(locations) = &self.locations {
            locations.borrow_mut().truncate(mark.nodes);
        }
        // SAFETY: no `Segment` reads, and this module keeps no other reference to the pool.
        let constants = unsafe { &mut *self.constants.get() };
        if constants.len() > mark.constants {
            constants.truncate(mark.constants);
            for (place, recent) in self.recent.iter().enumerate() {
                for known in recent.iter().filter(|known| known.get().1 as usize >= mark.constants)
                {
                    known.set(nothing_at(place));
                }
            }
        }
    }

    /// Node `i`, which must have been recorded.
    pub(crate) fn node(&self, i: u32) -> (Node, E) {
        assert!((i as usize) < self.len.get(), "no such node");
        // SAFETY: the first `len` records are written.
        let record = unsafe { *self.records.get().add(i as usize) };
        (record.node(), record.value)
    }

    pub(crate) fn constant_at(&self, k: u32) -> E {
        // SAFETY: a shared reference for the length of this expression; see `constant`.
        unsafe { (&*self.constants.get())[k as usize] }
    }

    pub(crate) fn location(&self, i: u32) -> Option<&'static Location<'static>> {
        self.locations.as_ref()?.borrow().get(i as usize).copied()
    }

    /// How much it keeps for messages.
    pub(crate) fn detail(&self) -> Detail {
        match (&self.watch, &self.locations) {
            (Some(_), _) => Detail::Anomalies,
            (None, Some(_)) => Detail::Locations,
            (None, None) => Detail::Least,
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        let constants = self.mark().constants * size_of::<E>();
        self.len.get() * size_of::<Record<E>>() + constants
    }

    /// The nodes, for a sweep. While they are lent the lane may append within its
    /// capacity, but a move or a cut is a panic.
    pub(crate) fn segment(&self) -> Segment<'_, E> {
        self.readers.set(self.readers.get() + 1);
        let len = self.len.get();
        let records = match len {
            0 => &[][..],
            // SAFETY: the first `len` records are written and, while `readers > 0`, neither moved nor
            // written again: appending writes behind them.
            _ => unsafe { std::slice::from_raw_parts(self.records.get(), len) },
        };
        // SAFETY: while `readers > 0`, nothing makes an exclusive reference to the pool.
        let constants = unsafe { (*self.constants.get()).as_slice() };
        Segment { records, constants, lane: self }
    }
}

impl<E> Drop for ScalarLane<E> {
    fn drop(&mut self) {
        let (len, capacity) = (self.len.get(), self.capacity.get());
        if capacity > 0 {
            // SAFETY: as in `take_vector`; nothing uses the lane after this.
            drop(unsafe { Vec::from_raw_parts(self.records.get(), len, capacity) });
        }
    }
}

/// `x`, of which the compiler forgets that it is equal to something else, where that can be said.
#[inline(always)]
fn told_apart(x: usize) -> usize {
    #[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]
    let x = {
        let mut x = x;
        // SAFETY: there is no instruction in it, so everything is as it was.
        unsafe {
            std::arch::asm!("/* {0} */", inout(reg) x, options(nomem, nostack, preserves_flags));
        };
        x
    };
    x
}

/// The recorded scalar nodes, lent to a sweep.
pub struct Segment<'a, E: Real> {
    records: &'a [Record<E>],
    constants: &'a [E],
    lane: &'a ScalarLane<E>,
}

impl<E: Real> Segment<'_, E> {
    /// The first `len` nodes alone.
    ///
    /// # Panics
    /// If there are not so many.
    #[must_use]
    #[inline(always)]
    pub fn first(mut self, len: usize) -> Self {
        self.records = &self.records[..len];
        self
    }

    /// How many nodes there are.
    #[allow(clippy::len_without_is_empty)]
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Asks for what a sweep that goes backward, and is at node `i`, will need: the nodes, and their slots.
    #[inline(always)]
    pub fn prefetch(&self, i: usize, slots: &[E]) {
        prefetch_at(self.records.as_ptr().wrapping_add(i).wrapping_sub(AHEAD));
        prefetch_at(slots.as_ptr().wrapping_add(i).wrapping_sub(AHEAD));
    }

    /// Node `i`.
    #[inline(always)]
    pub(crate) fn node(&self, i: usize) -> Node {
        self.records[i].node()
    }

    /// The value of node `i`.
    #[inline(always)]
    pub(crate) fn own_value(&self, i: usize) -> E {
        self.records[i].value
    }

    /// The value of an operand of one of the nodes of this segment.
    ///
    /// # Safety
    /// `i` must be an operand of a node of this segment that its opcode says is a node.
    #[inline(always)]
    pub(crate) unsafe fn value(&self, i: u32) -> E {
        debug_assert!((i as usize) < self.records.len());
        // SAFETY: recording has checked that the operand is an earlier node.
        unsafe { self.records.get_unchecked(i as usize).value }
    }

    /// A constant operand of one of the nodes of this segment.
    ///
    /// # Safety
    /// `k` must be an operand of a node of this segment that its opcode says is a constant.
    #[inline(always)]
    pub(crate) unsafe fn constant(&self, k: u32) -> E {
        debug_assert!((k as usize) < self.constants.len());
        // SAFETY: recording took the number from the pool, which is only cut together with the
        // nodes that use it.
        unsafe { *self.constants.get_unchecked(k as usize) }
    }
}

impl<E: Real> Drop for Segment<'_, E> {
    fn drop(&mut self) {
        self.lane.readers.set(self.lane.readers.get() - 1);
    }
}
