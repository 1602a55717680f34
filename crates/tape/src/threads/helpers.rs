//! Threads that look for work for a while before they sleep.
//!
//! To wake a thread takes longer than most pauses between two operations of a step: tens of microseconds, in which half of a
//! short product is done. A thread of `rayon` sleeps soon; so the threads of a pool that was made for one caller are given
//! something to do as long as it is there: to look for work.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::Duration;

use rayon::Yield;

/// How often a helper looks for work before it sleeps, each time after all other threads that wait for its processor: about a
/// millisecond.
const PATIENCE: u32 = 2000;
/// How long it sleeps at first, and how often that is doubled while there is no work. It is woken when an operation has some,
/// but not for work of the caller's own.
const NAP: Duration = Duration::from_micros(200);
const DOUBLINGS: u32 = 4;

/// What a caller and its helpers know of each other.
struct Helpers {
    /// How often there was work.
    calls: AtomicUsize,
    asleep: AtomicUsize,
    /// Whether the caller has left.
    over: AtomicBool,
    threads: Box<[OnceLock<Thread>]>,
}

thread_local! {
    /// Those of the caller, on its thread.
    static HELPERS: RefCell<Option<Arc<Helpers>>> = const { RefCell::new(None) };
}

/// Runs `f`, on a thread of a pool of so many, with the others as helpers.
pub(super) fn with_helpers<R: Send>(threads: usize, f: impl FnOnce() -> R + Send) -> R {
    // Where there are more threads than cores, those that look for work would be in the way of those that have some.
    let cores = thread::available_parallelism().map_or(threads, |cores| cores.get());
    let slots = (1..threads.min(cores)).map(|_| OnceLock::new()).collect();
    let (calls, asleep, over) = Default::default();
    let helpers = Arc::new(Helpers { calls, asleep, over, threads: slots });
    let called = helpers.clone();
    let caller = move || {
        HELPERS.set(Some(called));
        let _caller = Caller;
        f()
    };
    rayon::join(caller, || helpers.start(0)).0
}

/// When it is dropped, the helpers of the thread are free.
struct Caller;

impl Drop for Caller {
    fn drop(&mut self) {
        if let Some(helpers) = HELPERS.take() {
            helpers.over.store(true, Ordering::SeqCst);
            helpers.wake();
        }
    }
}

/// There is work for the helpers of this thread, if it has some.
pub(super) fn call() {
    HELPERS.with_borrow(|helpers| {
        if let Some(helpers) = helpers {
            helpers.calls.fetch_add(1, Ordering::SeqCst);
            helpers.wake();
        }
    });
}

impl Helpers {
    fn wake(&self) {
        if self.asleep.load(Ordering::SeqCst) > 0 {
            self.threads.iter().filter_map(OnceLock::get).for_each(Thread::unpark);
        }
    }

    /// Each helper from this one on does what work there is, on a thread of its own.
    fn start(&self, number: usize) {
        match self.threads.len().saturating_sub(number) {
            0 => {}
            1 => self.help(number),
            _ => _ = rayon::join(|| self.help(number), || self.start(number + 1)),
        }
    }

    fn help(&self, number: usize) {
        // The caller itself may come by while it waits for others; it does not stay.
        if HELPERS.with_borrow(Option::is_some) {
            return;
        }
        self.threads[number].get_or_init(thread::current);
        let (mut calls, mut idle) = (0, 0_u32);
        while !self.over.load(Ordering::SeqCst) {
            let now = self.calls.load(Ordering::SeqCst);
            if rayon::yield_now() == Some(Yield::Executed) || now != calls {
                (calls, idle) = (now, 0);
            } else {
                idle = idle.saturating_add(1);
                match idle.checked_sub(PATIENCE) {
                    None => thread::yield_now(),
                    Some(naps) => self.sleep(calls, NAP * (1 << naps.min(DOUBLINGS))),
                }
            }
        }
    }

    /// Sleeps for a while, unless there was a call after so many.
    fn sleep(&self, calls: usize, nap: Duration) {
        self.asleep.fetch_add(1, Ordering::SeqCst);
        if self.calls.load(Ordering::SeqCst) == calls && !self.over.load(Ordering::SeqCst) {
            thread::park_timeout(nap);
        }
        self.asleep.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::threads::join;
    use crate::with_threads;

    fn own() -> Option<Arc<Helpers>> {
        HELPERS.with_borrow(Option::clone)
    }

    #[test]
    fn helpers_sleep_where_there_is_nothing_to_do_and_leave_with_the_caller() {
        let helpers = with_threads(3, || {
            let helpers = own().expect("the caller has helpers");
            for calls in 1..=3 {
                let (mut a, mut b) = (0, 0);
                join(|| a = calls, || b = calls);
                assert_eq!((a, b), (calls, calls));
                assert_eq!(helpers.calls.load(Ordering::SeqCst), calls);
                while helpers.asleep.load(Ordering::SeqCst) < helpers.threads.len() {
                    thread::yield_now();
                }
            }
            helpers
        });
        assert!(helpers.over.load(Ordering::SeqCst) && own().is_none());
        assert_eq!(helpers.asleep.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn work_of_the_callers_own_is_done_by_helpers_too() {
        let threads = with_threads(2, || {
            thread::sleep(Duration::from_millis(20));
            let mut others = 0;
            // A pair by chance on one thread says nothing.
            while others == 0 {
                let here = rayon::current_thread_index();
                let index = || {
                    thread::sleep(Duration::from_millis(2));
                    rayon::current_thread_index()
                };
                let (a, b) = rayon::join(index, index);
                others += usize::from(a != here) + usize::from(b != here);
            }
            others
        });
        assert_eq!(threads, 1);
    }

    #[test]
    fn a_caller_that_panics_leaves_its_helpers() {
        let caught = std::panic::catch_unwind(|| {
            with_threads(2, || {
                join(|| (), || ());
                panic!("on purpose");
            })
        });
        assert!(caught.is_err());
        assert_eq!(with_threads(2, || 5), 5);
    }

    #[test]
    fn a_pool_of_the_users_own_has_no_helpers() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        pool.install(|| {
            join(|| (), || ());
            assert!(own().is_none());
        });
    }
}
