//! How a handle finds its tape: by tag, through a table of the thread.
//!
//! The tape used last is at hand in a [`Cursor`]: one thread-local load and one comparison. What
//! runs inside `LocalKey::with` copies a pointer out and does nothing else: with more work in the
//! closure the compiler stops inlining it, and every operation takes three times as long.

use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::Real;
use crate::inner::Inner;

/// The tag of a handle that belongs to no tape: a constant.
pub(crate) const NO_TAPE: u32 = 0;

/// A tag that is never handed out.
const NOTHING: u32 = u32::MAX;

/// Tags are drawn from the process-wide counter in blocks of this size.
const BLOCK: u32 = 1 << 10;

/// The one piece of process-wide state: where the next block of tags begins. It may wrap.
static NEXT_BLOCK: AtomicU32 = AtomicU32::new(0);

/// The tape that the thread used last.
#[doc(hidden)]
pub struct Cursor<E: Real> {
    tag: Cell<u32>,
    /// Another tag of the same tape, or `NOTHING`: a sweep asks for what was recorded before it and for what it
    /// records itself, in turns.
    other: Cell<u32>,
    /// Dangling where the tag is `NOTHING`.
    inner: Cell<NonNull<Inner<E>>>,
}

impl<E: Real> Cursor<E> {
    pub(crate) const fn new() -> Self {
        Cursor {
            tag: Cell::new(NOTHING),
            other: Cell::new(NOTHING),
            inner: Cell::new(NonNull::dangling()),
        }
    }
}

/// The live tags of a thread; several may name one tape.
#[doc(hidden)]
pub struct Registry<E: Real> {
    live: Vec<(u32, *const Inner<E>)>,
    next: u32,
    left: u32,
}

impl<E: Real> Registry<E> {
    pub(crate) const fn new() -> Self {
        Registry { live: Vec::new(), next: 0, left: 0 }
    }

    fn draw(&mut self) -> u32 {
        loop {
            if self.left == 0 {
                self.next = NEXT_BLOCK.fetch_add(BLOCK, Ordering::Relaxed);
                self.left = BLOCK;
            }
            let tag = self.next;
            self.next = self.next.wrapping_add(1);
            self.left -= 1;
            let taken = tag == NO_TAPE || tag == NOTHING;
            if !taken && self.live.iter().all(|&(live, _)| live != tag) {
                return tag;
            }
        }
    }
}

/// Makes a new tag for `inner` and makes it the tape at hand.
///
/// The tag must be [`retire`]d before `inner` is freed.
pub(crate) fn enroll<E: Real>(inner: &Rc<Inner<E>>) -> u32 {
    // Not a pointer made from a reference: `hold` reaches the counts beside the value through it.
    let pointer = Rc::as_ptr(inner);
    let tag = E::registry().with_borrow_mut(|registry| {
        let tag = registry.draw();
        registry.live.push((tag, pointer));
        tag
    });
    point_at(tag, pointer);
    tag
}

/// Takes a tag out of use: from now on its handles are stale.
pub(crate) fn retire<E: Real>(tag: u32) {
    // At the end of a thread its table may be gone before its tapes are.
    let _ = E::registry().try_with(|registry| {
        registry.borrow_mut().live.retain(|&(live, _)| live != tag);
    });
    let _ = E::cursor().try_with(|cursor| {
        if cursor.tag.get() == tag {
            cursor.tag.set(NOTHING);
        }
        // Where nothing is at hand, there is no other name of it.
        if cursor.other.get() == tag || cursor.tag.get() == NOTHING {
            cursor.other.set(NOTHING);
        }
    });
}

/// Makes `tag` the one that is found fastest.
pub(crate) fn point_at<E: Real>(tag: u32, inner: *const Inner<E>) {
    let inner = NonNull::new(inner.cast_mut()).expect("the address of a tape");
    E::cursor().with(|cursor| {
        cursor.tag.set(tag);
        cursor.other.set(NOTHING);
        cursor.inner.set(inner);
    });
}

/// The tape that `tag` names if it is the one used last. `NO_TAPE` never is.
///
/// For how long the reference may be held stands at [`find`].
#[inline(always)]
pub(crate) fn at_hand<'a, E: Real>(tag: u32) -> Option<&'a Inner<E>> {
    let (at_hand, pointer) = E::cursor().with(|cursor| (cursor.tag.get(), cursor.inner.get()));
    match at_hand == tag {
        // SAFETY: as in `find`. Where there is no tape, the tag is `NOTHING`, which no handle has.
        true => Some(unsafe { pointer.as_ref() }),
        false => None,
    }
}

/// The tape used last if `tag` is the other one by which it was asked for. `NO_TAPE` never is.
///
/// For how long the reference may be held stands at [`find`].
#[inline]
fn at_hand_too<'a, E: Real>(tag: u32) -> Option<&'a Inner<E>> {
    let (other, pointer) = E::cursor().with(|cursor| (cursor.other.get(), cursor.inner.get()));
    match other == tag {
        // SAFETY: as in `find`. A tag that is retired is not the other one any more, nor is any when the tape at hand
        // changes.
        true => Some(unsafe { pointer.as_ref() }),
        false => None,
    }
}

/// The tape that `tag` names, and the tag that new nodes of it get.
///
/// The reference must not be held while code of a user runs, which might drop the tape. (A closure
/// could not enforce that either, and a panic inside of one would not name the user's line.)
///
/// # Panics
/// If there is no such tape on this thread.
#[inline(always)]
#[track_caller]
pub(crate) fn find<'a, E: Real>(tag: u32) -> (&'a Inner<E>, u32) {
    if let Some(inner) = at_hand(tag) {
        return (inner, tag);
    }
    if let Some(inner) = at_hand_too(tag) {
        return (inner, inner.tag_now.get());
    }
    let (inner, now) = search::<E>(tag);
    // SAFETY: a pointer in the cursor or in the registry is that of an `Inner` of this thread whose
    // tag has not been retired, and a tape retires its tags before it frees its `Inner`. No tape is
    // dropped while the reference is in use, because no code of a user runs then.
    (unsafe { &*inner }, now)
}

#[cold]
#[inline(never)]
#[track_caller]
fn search<E: Real>(tag: u32) -> (*const Inner<E>, u32) {
    let found = pointer_of::<E>(tag);
    let Some(inner) = found else {
        panic!(
            "a stale handle (of tape {tag}): its tape was reset or dropped, or belongs to another \
             thread, or the handle was made in a backward pass which has ended. Make handles, and \
             bind parameters, after reset(); keep numbers by value() or item()"
        )
    };
    // SAFETY: as in `find`.
    let now = unsafe { (*inner).tag_now.get() };
    // New nodes carry the tag `now`, so that is the one that the next operation will ask for.
    point_at(now, inner);
    if tag != now {
        E::cursor().with(|cursor| cursor.other.set(tag));
    }
    (inner, now)
}

/// The arena that `tag` names, kept alive by the result; `None` if there is none on this thread.
pub(crate) fn hold<E: Real>(tag: u32) -> Option<Rc<Inner<E>>> {
    let inner = pointer_of::<E>(tag)?;
    // SAFETY: an enrolled `Inner` is in an `Rc` (`Inner::new` makes no other), and it is alive, as in
    // `find`, so its count may be raised.
    unsafe {
        Rc::increment_strong_count(inner);
        Some(Rc::from_raw(inner))
    }
}

/// Whether `tag` names a tape of this thread.
pub(crate) fn is_live<E: Real>(tag: u32) -> bool {
    pointer_of::<E>(tag).is_some()
}

fn pointer_of<E: Real>(tag: u32) -> Option<*const Inner<E>> {
    let find = |registry: &RefCell<Registry<E>>| {
        registry.borrow().live.iter().find(|&&(live, _)| live == tag).map(|&(_, inner)| inner)
    };
    // At the end of a thread its table may be gone.
    E::registry().try_with(find).ok().flatten()
}
