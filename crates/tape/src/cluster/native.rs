//! Fused work as machine code of x86-64.
//!
//! The interpreter reads the operands of every step from the cache and writes its result there. Here sums, products,
//! comparisons and the like, and the commonest functions ([`functions`]), become loops of machine code in which what is
//! computed stays in registers ([`stages`] says which instructions are one loop, [`registers`] what is in which register,
//! [`encoder`] writes the bytes; [`steps`] is what they have in common). Other functions, as the sine, and totals are steps of the interpreter between these
//! loops. All has the bits that it has there. Code is made for a plan that has been used enough to pay for it, and kept with the plan.
//! What runs it is the only `unsafe` ([`enter`]).

mod encoder;
mod enter;
mod formula;
mod functions;
mod registers;
mod stages;
mod steps;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::plan::{Plan, Step, Work};
use crate::Real;
use crate::machine_code::Executable;
use crate::vector::Level;

use encoder::{FIXED, Form};
pub(super) use enter::ChunkRows;
use formula::Repertoire;
use registers::Translator;
use stages::stages;
use steps::{Fixed, Row};

/// Code is made for a plan when it has done so much: elements times what one costs in additions. The interpreter
/// takes some 100 microseconds for that, which is more than it takes to make the code of a short plan; of one that costs
/// more than 64 additions an element, as much more is asked for.
const ENOUGH: usize = 1 << 20;
/// The code of longer programs, in steps or with functions in formulas, would be far from fitting into the cache of
/// instructions.
const MOST: usize = 1 << 12;

thread_local! {
    /// What is enough on this thread; tests change it.
    static FROM: Cell<usize> = const { Cell::new(ENOUGH) };
}

/// Has machine code made on this thread for plans that have done so much work.
#[cfg(test)]
pub(super) fn from_work(work: usize) {
    FROM.set(work);
}

/// The machine code of a plan, once it pays.
#[derive(Debug, Default)]
pub(super) struct Later {
    done: AtomicUsize,
    native: OnceLock<Option<Box<Native>>>,
}

impl Later {
    /// The code for numbers of so many bytes, if there is any; before so many elements are computed.
    pub(super) fn get(&self, plan: &Plan, elements: usize, bytes: usize) -> Option<&Native> {
        let native = match self.native.get() {
            Some(native) => native,
            None => {
                let work = elements.saturating_mul(plan.cost);
                let done = self.done.fetch_add(work, Ordering::Relaxed).saturating_add(work);
                // It takes the longer to make the code the more there is of it.
                let enough = FROM.get().max((FROM.get() >> 6).saturating_mul(plan.cost));
                if done < enough {
                    return None;
                }
                self.native.get_or_init(|| Native::best(plan, bytes).map(Box::new))
            }
        };
        // A plan belongs to one type of numbers; this makes sure.
        native.as_deref().filter(|native| native.form.double == (bytes == 8))
    }

    #[cfg(test)]
    fn is_there(&self) -> bool {
        matches!(self.native.get(), Some(Some(_)))
    }
}

/// A plan whose cheap steps are machine code.
#[derive(Debug)]
pub(super) struct Native {
    /// The steps: segments of the code, and others.
    pub(super) work: Work,
    form: Form,
    code: Executable,
    segments: Vec<Segment>,
    fixed: Vec<Fixed>,
}

/// A loop of machine code.
#[derive(Debug)]
struct Segment {
    /// Where it begins.
    entry: usize,
    /// What it reads and writes.
    rows: Vec<Row>,
}

impl Native {
    /// The code for this machine, if there can be any and there is something in it.
    fn best(plan: &Plan, bytes: usize) -> Option<Native> {
        let wide = match Level::best() {
            Level::Baseline => return None,
            level => level == Level::Avx512,
        };
        let form = Form { double: bytes == 8, wide };
        if plan.work.steps.len() > MOST {
            return None;
        }
        // Functions are steps of the interpreter where they would be too long.
        let repertoire = Repertoire { double: form.double, functions: true };
        let formulas = plan.instructions.iter().map(|i| repertoire.formulas(i.primitive).len());
        let functions = formulas.sum::<usize>() <= MOST;
        let native = Native::new(plan, form, functions)?;
        // One loop for another is no gain.
        (native.work.steps.len() < plan.work.steps.len()).then_some(native)
    }

    fn new(plan: &Plan, form: Form, functions: bool) -> Option<Native> {
        let repertoire = Repertoire { double: form.double, functions };
        let stages = stages(&plan.instructions, &plan.recorded_outputs, plan.repeated, repertoire);
        let mut translator = Translator::new(form, repertoire);
        let segments = stages.segments.iter().map(|members| translator.segment(&stages, members));
        let segments: Vec<Segment> = segments.collect();
        if segments.is_empty() {
            return None;
        }
        let code = Executable::new(&translator.encoder.bytes)?;
        Some(Native { work: stages.work, form, code, segments, fixed: translator.fixed })
    }

    /// Whether all is one loop, besides totals. Then memory is read while the loop computes, and the processor sees by
    /// itself what will be read next.
    pub(super) fn is_one_loop(&self) -> bool {
        let mut steps = self.work.steps.iter().filter(|step| !matches!(step, Step::Total { .. }));
        matches!((steps.next(), steps.next()), (Some(Step::Segment(_)), None))
    }

    /// The bytes of memory that are needed besides rows: numbers that are fixed, and vectors for the last elements of the
    /// rows of a segment.
    pub(super) fn extra(&self) -> usize {
        let rows = self.segments.iter().map(|segment| segment.rows.len()).max().unwrap_or(0);
        (self.fixed.len() + rows) * FIXED
    }

    /// Fills the numbers that are fixed.
    pub(super) fn prepare<E: Real>(&self, constants: &[E], memory: &mut [E]) {
        let width = FIXED / size_of::<E>();
        for (fixed, vector) in self.fixed.iter().zip(memory.chunks_exact_mut(width)) {
            vector.fill(match *fixed {
                Fixed::Constant(c) => constants[c as usize],
                Fixed::Bits(bits) => E::from_bits(bits),
                Fixed::Spill(_) => E::ZERO,
            });
        }
    }
}
