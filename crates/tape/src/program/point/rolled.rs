//! Programs that do the same to many numbers: loops instead of lists.
//!
//! A function of a thousand numbers is often the same few operations on each of them. When instructions are
//! sorted by depth and kind, those of one kind stand side by side, and their operands are neighbours as well.
//! Such a stretch is one loop, over neighbours in memory, without a step for each of them.

use rustc_hash::FxHashMap;

use super::code::{Action, Step};
use crate::Real;
use crate::primitive::Primitive;
use crate::program::body::{Body, Code, Operand, Source};
use crate::rule::MAX_OPERANDS;
use crate::vector::{Arithmetic, Task, at_best_level};

/// A stretch becomes a loop from this length on.
const SHORTEST: usize = 8;
/// Numbers that are the same for all are repeated in a row of this length.
const ROW: usize = 256;

/// A part of a program.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// Steps `from..to`.
    Steps { from: usize, to: usize },
    /// A loop over numbers that do not need each other.
    Loop(Loop),
    /// The sum of many terms, each partial sum from the one before.
    Sum { out: usize, term: usize, len: usize },
}

/// `memory[out + i] = primitive(memory[first_k + i * stride_k] ...)` for `i` in `0..len`.
#[derive(Clone, Copy, Debug)]
struct Loop {
    primitive: Primitive,
    out: usize,
    len: usize,
    first: [usize; MAX_OPERANDS],
    /// 0 or 1.
    stride: [usize; MAX_OPERANDS],
}

/// A program in parts. Every value has a place of its own.
pub(super) struct Rolled {
    parts: Vec<Part>,
    /// The steps that are in no loop.
    pub(super) steps: Vec<Step>,
    /// The place of each value.
    pub(super) places: Vec<u32>,
}

impl Rolled {
    /// The program in parts, if most of it is loops.
    pub(super) fn new<E: Real>(body: &Body<E>) -> Option<Rolled> {
        let depths = depths(body);
        if !body.calls.is_empty() || !may_have_loops(body, &depths) {
            return None;
        }
        let (order, places) = sorted(body, &depths);
        let inputs = body.inputs as u32;
        let place = |operand: Operand| match operand.source() {
            Source::Input(k) => k,
            Source::Constant(k) => inputs + k,
            Source::Value(v) => places[v as usize],
        };
        let steps: Vec<Step> = order
            .iter()
            .map(|&i| {
                let instruction = &body.instructions[i as usize];
                let (primitive, exponent) = parts_of(instruction.code);
                let mut operands = instruction.operands.map(place);
                if primitive == Primitive::Powi {
                    operands[1] = exponent as u32;
                }
                {
                    let (action, out) = (Action(primitive as u8), places[i as usize]);
                    Step { action, uniform: false, out, operands }
                }
            })
            .collect();
        let (mut parts, mut kept, mut looped, mut rest) = (Vec::new(), Vec::new(), 0, &steps[..]);
        while !rest.is_empty() {
            let stretch = stretch(rest);
            let (own, others) = rest.split_at(stretch.len);
            rest = others;
            if let Some(part) = stretch.as_part() {
                looped += own.len();
                parts.push(part);
                continue;
            }
            let from = kept.len();
            kept.extend_from_slice(own);
            match parts.last_mut() {
                Some(Part::Steps { to, .. }) => *to = kept.len(),
                _ => parts.push(Part::Steps { from, to: kept.len() }),
            }
        }
        let worth_it = 2 * looped >= steps.len() && looped >= 4 * SHORTEST;
        worth_it.then_some(Rolled { parts, steps: kept, places })
    }

    /// Runs the parts; `steps` runs a list of steps.
    pub(super) fn run<E: Real>(&self, memory: &mut [E], steps: impl Fn(&[Step], &mut [E])) {
        at_best_level(Parts { rolled: self, memory, steps });
    }
}

fn parts_of(code: Code) -> (Primitive, i32) {
    match code {
        Code::Primitive(primitive, exponent) => (primitive, exponent),
        Code::Rule(_) | Code::Result(_) => unreachable!("there are primitives only"),
    }
}

/// How many instructions stand between each one and the arguments, at most.
fn depths<E: Real>(body: &Body<E>) -> Vec<u32> {
    let mut depths = Vec::with_capacity(body.instructions.len());
    for instruction in &body.instructions {
        let below = body.operands(instruction).iter().filter_map(|o| o.as_value());
        depths.push(below.map(|v| depths[v] + 1).max().unwrap_or(0));
    }
    depths
}

/// Whether half of the program can be loops: a cheap look that spares long chains the dear one. A loop is within one
/// depth; the terms of a sum are added at one depth each.
fn may_have_loops<E: Real>(body: &Body<E>, depths: &[u32]) -> bool {
    let deepest = depths.iter().max().map_or(0, |&depth| depth as usize);
    let mut widths = vec![0; deepest + 1];
    depths.iter().for_each(|&depth| widths[depth as usize] += 1);
    let fits = body.instructions.iter().zip(depths).filter(|&(instruction, &depth)| {
        widths[depth as usize] >= SHORTEST
            || matches!(instruction.code, Code::Primitive(Primitive::Add, _))
    });
    2 * fits.count() >= depths.len()
}

/// The instructions by depth, kind and operands; and the place of the value of each.
///
/// The kind of an instruction is what it does to what kinds of operands: so `x * x` and `x * 100` of many
/// numbers are two stretches, and do not take turns.
fn sorted<E: Real>(body: &Body<E>, depths: &[u32]) -> (Vec<u32>, Vec<u32>) {
    let n = body.instructions.len();
    let mut kinds = vec![0u32; n];
    let mut known: FxHashMap<(u8, i32, [u32; MAX_OPERANDS]), u32> = FxHashMap::default();
    // Kind 0 is an input. Each constant is a kind of its own, below those of values.
    let constants = body.constants.len() as u32;
    for (i, instruction) in body.instructions.iter().enumerate() {
        let (primitive, exponent) = parts_of(instruction.code);
        let operands = instruction.operands.map(|operand| match operand.source() {
            Source::Input(_) => 0,
            Source::Constant(k) => 1 + k,
            Source::Value(v) => kinds[v as usize],
        });
        let next = 1 + constants + known.len() as u32;
        kinds[i] = *known.entry((primitive as u8, exponent, operands)).or_insert(next);
    }
    let mut order: Vec<u32> = (0..n as u32).collect();
    order.sort_by_key(|&i| depths[i as usize]);
    let inputs = body.inputs as u32;
    let first = inputs + constants;
    let mut places = vec![0u32; n];
    let mut done = 0;
    for level in order.chunk_by_mut(|&a, &b| depths[a as usize] == depths[b as usize]) {
        // The operands are of lower levels, which have their places.
        level.sort_by_cached_key(|&i| {
            let place = |operand: Operand| match operand.source() {
                Source::Input(k) => k,
                Source::Constant(k) => inputs + k,
                Source::Value(v) => places[v as usize],
            };
            let [a, b, ..] = body.instructions[i as usize].operands.map(place);
            (kinds[i as usize], a, b)
        });
        for &i in &*level {
            places[i as usize] = first + done;
            done += 1;
        }
    }
    (order, places)
}

/// The longest stretch of one kind over neighbours that the steps begin with.
fn stretch(steps: &[Step]) -> Loop {
    let head = steps[0];
    let primitive = Primitive::ALL[head.action.0 as usize];
    let arity = primitive.arity();
    let mut stride = [0; MAX_OPERANDS];
    let mut len = 1;
    if let Some(second) = steps.get(1) {
        let neighbours = second.operands.iter().zip(&head.operands);
        for (stride, (&second, &first)) in stride.iter_mut().zip(neighbours).take(arity) {
            *stride = usize::from(second == first + 1);
        }
        let follows = |i: usize, step: &Step| {
            step.action == head.action
                && (0..arity)
                    .all(|k| step.operands[k] as usize == head.operands[k] as usize + i * stride[k])
        };
        len = steps.iter().enumerate().take_while(|&(i, step)| follows(i, step)).count();
    }
    let first = std::array::from_fn(|k| if k < arity { head.operands[k] as usize } else { 0 });
    Loop { primitive, out: head.out as usize, len, first, stride }
}

/// All parts as one task, so that the instructions of the processor are chosen once.
struct Parts<'p, E, S> {
    rolled: &'p Rolled,
    memory: &'p mut [E],
    steps: S,
}

impl<E: Real, S: Fn(&[Step], &mut [E])> Task for Parts<'_, E, S> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        let mut rows = [[E::ZERO; ROW]; MAX_OPERANDS];
        for part in &self.rolled.parts {
            match *part {
                Part::Steps { from, to } => {
                    (self.steps)(&self.rolled.steps[from..to], self.memory);
                }
                Part::Loop(part) => part.run::<A, E>(self.memory, &mut rows),
                Part::Sum { out, term, len } => sum(self.memory, out, term, len),
            }
        }
    }
}

impl Loop {
    /// The stretch as a part of its own, if it is long enough, has the same bits in vectors, and needs nothing
    /// that it makes; or if it is a sum.
    fn as_part(self) -> Option<Part> {
        use Primitive::{Abs, Add, Div, Mul, Neg, Recip, SelectGt, Sqrt, Sub};
        let Loop { primitive, out, len, first, stride } = self;
        if len < SHORTEST {
            return None;
        }
        let before = |k: usize| first[k] + stride[k] * (len - 1) < out;
        let is_sum = primitive == Add && first[0] + 1 == out && stride[..2] == [1, 1] && before(1);
        if is_sum {
            return Some(Part::Sum { out, term: first[1], len });
        }
        let same_bits =
            matches!(primitive, Add | Sub | Mul | Div | Neg | Abs | Sqrt | Recip | SelectGt);
        (same_bits && (0..primitive.arity()).all(before)).then_some(Part::Loop(self))
    }

    #[inline(always)]
    fn run<A: Arithmetic, E: Real>(self, memory: &mut [E], rows: &mut [[E; ROW]; MAX_OPERANDS]) {
        let (below, rest) = memory.split_at_mut(self.out);
        let out = &mut rest[..self.len];
        let repeated = self.stride.contains(&0);
        for (k, row) in rows.iter_mut().enumerate() {
            if self.stride[k] == 0 {
                row[..ROW.min(self.len)].fill(below[self.first[k]]);
            }
        }
        let rows = &*rows;
        let width = if repeated { ROW } else { self.len };
        for (i, out) in out.chunks_mut(width).enumerate() {
            let operands = std::array::from_fn(|k| match self.stride[k] {
                0 => &rows[k][..out.len()],
                _ => &below[self.first[k] + i * width..][..out.len()],
            });
            self.primitive.run_at::<A, E>(0, operands, out);
        }
    }
}

/// The partial sums of `len` terms from `term` on, onto the number before `out`.
#[inline(never)]
fn sum<E: Real>(memory: &mut [E], out: usize, term: usize, len: usize) {
    let (below, rest) = memory.split_at_mut(out);
    let mut total = below[out - 1];
    for (partial, &term) in rest[..len].iter_mut().zip(&below[term..]) {
        total += term;
        *partial = total;
    }
}
