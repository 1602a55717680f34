//! Running machine code of steps: the `unsafe` of it.
//!
//! What the code does to memory was checked before it was made (`Native::new`): all places of its steps are within a
//! memory of some size, and a run takes no other.

use super::Native;
use crate::Real;
use crate::program::point::code::Step;
use crate::program::point::lanes::{LANES, Lane, other};

/// What is known to what is called back for a step on vectors.
struct Context<E> {
    memory: *mut Lane<E>,
    size: usize,
    /// The first lane of this run, and how many there are.
    first: usize,
    lanes: usize,
}

/// A piece: a function of the address of the memory and of what is needed to call back: the steps, the function, and
/// what that is to know.
type Piece<E> = unsafe extern "sysv64" fn(*mut E, *const Step, CallBack<E>, *const Context<E>);
type CallBack<E> = unsafe extern "sysv64" fn(*const Context<E>, *const Step);

impl<E: Real> Native<E> {
    /// Runs a piece of the steps that it was made from on numbers.
    pub(in crate::program::point) fn run(&self, piece: usize, steps: &[Step], memory: &mut [E]) {
        assert_eq!(self.form.lanes, 1, "code for numbers");
        let size = memory.len();
        let memory = memory.as_mut_ptr();
        // No step on numbers is called back for.
        let context = Context { memory: std::ptr::null_mut(), size: 0, first: 0, lanes: 0 };
        self.enter(piece, steps, (memory, size), &context);
    }

    /// Runs the steps that it was made from on vectors: all lanes at once, or one half after the other.
    pub(in crate::program::point) fn run_lanes(&self, steps: &[Step], memory: &mut [Lane<E>]) {
        let lanes = self.form.lanes;
        assert!(lanes > 1, "code for vectors");
        let (size, memory) = (memory.len(), memory.as_mut_ptr());
        for first in (0..LANES).step_by(lanes) {
            let context = Context { memory, size, first, lanes };
            for piece in 0..self.entries.len() {
                let own = memory.cast::<E>().wrapping_add(first);
                self.enter(piece, steps, (own, size), &context);
            }
        }
    }

    /// `memory` has so many places of the form's stride.
    fn enter(
        &self,
        piece: usize,
        steps: &[Step],
        (memory, size): (*mut E, usize),
        context: &Context<E>,
    ) {
        assert_eq!((steps.len(), size), (self.steps, self.size), "what the code was made for");
        let entry = self.code.address(self.entries[piece]);
        // SAFETY: a piece begins there, and this is how it was written: a function of these arguments in the
        // convention of System V, which keeps the registers that it must and writes to nothing but the memory. The
        // memory is borrowed mutably by the caller and has the size that all places of the steps were checked
        // with, and the lanes of the form are within a place; the offsets of the steps that are called back for
        // are within `steps`. The processor has the instructions: the form was chosen by them. No panic goes through
        // it: a function of this kind that is called from it ends the process instead.
        unsafe {
            let run = std::mem::transmute::<*const u8, Piece<E>>(entry);
            run(memory, steps.as_ptr(), call_back, context);
        }
    }
}

/// What the interpreter does for a step on vectors, in the lanes of this run.
unsafe extern "sysv64" fn call_back<E: Real>(context: *const Context<E>, step: *const Step) {
    // SAFETY: the code hands on what it was given, and code for vectors was given the memory, which is borrowed
    // while it runs; nobody else uses it until this returns.
    let (memory, first, lanes, step) = unsafe {
        let Context { memory, size, first, lanes } = *context;
        (std::slice::from_raw_parts_mut(memory, size), first, lanes, &*step)
    };
    other(step, memory, first..first + lanes);
}
