//! A step on several threads allocates nothing after the first ones, on none of them.
//!
//! The one test of its process, because what is counted is what all threads allocate.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use wengert::prelude::*;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, with a count of the calls of all threads.
struct Counting;

// SAFETY: every method hands its arguments to the system's allocator unchanged and returns what that
// returns; the counter is apart from the memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of this method, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What the steps of 10 rounds allocate, after 5 to warm up, with tables long enough for many blocks.
fn allocations_of_steps() -> Vec<usize> {
    let mut params = Params::<f32>::new();
    let u = params.insert("u", Tensor::full([6000, 32], 0.1));
    let v = params.insert("v", Tensor::full([4000, 32], 0.2));
    let mut opt = Adam::<f32>::new(1e-2).clip_global_norm(1.0);
    let mut tape = Tape::<f32>::default();
    let mut counts = Vec::with_capacity(15);
    for _ in 0..15 {
        tape.reset();
        let p = params.bind(&tape);
        let loss = p[u].square().mean() + p[v].square().mean();
        let gradients = loss.backward().expect("live");
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        opt.step(&mut params, gradients).expect("finite gradients");
        counts.push(ALLOCATIONS.load(Ordering::Relaxed) - before);
    }
    counts
}

#[test]
fn steps_on_one_and_on_two_threads() {
    for threads in [1, 2] {
        let counts = wengert::tape::with_threads(threads, allocations_of_steps);
        assert!(counts[0] > 0, "the counter counts");
        assert_eq!(counts[5..], [0; 10], "{threads} threads: {counts:?}");
    }
}
