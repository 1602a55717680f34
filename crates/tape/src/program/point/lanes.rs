//! Steps on vectors: a slot holds a number for each of a few points.
//!
//! A vector operation takes about as long as one number does, because most of the time of a step goes into finding
//! out what it is. What does not differ from point to point is in all lanes; of functions it is computed once.

use std::ops::Range;

use super::code::{Action, Lowest, PAIRS, Step, TWO_PRODUCTS, steps};
use super::native::Native;
use super::repeats::{Repeat, repeats};
use crate::Real;
use crate::primitive::Primitive;
use crate::program::body::{Body, Operand, Source};
use crate::vector::{Arithmetic, Task, at_best_level};

/// How many points there are in a slot.
pub(in crate::program) const LANES: usize = 8;

/// The numbers of a slot, in one line of the cache.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(in crate::program) struct Lane<E>(pub(in crate::program) [E; LANES]);

/// A program that is ready to run at up to [`LANES`] points.
pub(in crate::program) struct LaneCode<E: Real> {
    constants: Vec<E>,
    /// The slots: inputs, constants, values.
    size: usize,
    steps: Vec<Step>,
    repeats: Vec<Repeat>,
    /// The steps as machine code.
    native: Option<Native<E>>,
    outputs: Vec<u32>,
}

impl<E: Real> LaneCode<E> {
    /// The program, which must be in primitives and without calls or comparisons. `differs` says of each input
    /// whether it differs from point to point, `machine_code` whether there is to be any, if this machine has it.
    pub(in crate::program) fn new(body: &Body<E>, differs: &[bool], machine_code: bool) -> Self {
        let (mut steps, _, slots, places) = steps(body, &mut Lowest::default(), true);
        let first = body.inputs + body.constants.len();
        let place = |operand: Operand| match operand.source() {
            Source::Input(k) => k,
            Source::Constant(k) => body.inputs as u32 + k,
            Source::Value(v) => places[v as usize],
        };
        let outputs: Vec<u32> = body.outputs.iter().map(|&o| place(o)).collect();
        let mut differing = differs.to_vec();
        differing.resize(first + slots, false);
        for step in &mut steps {
            let operands = match step.action {
                Action(action) if action == Primitive::Powi as u8 => &step.operands[..1],
                _ => &step.operands[..],
            };
            step.uniform = !operands.iter().any(|&o| differing[o as usize]);
            differing[step.out as usize] = !step.uniform;
        }
        let repeats = repeats(&mut steps);
        let size = first + slots;
        let native = match machine_code {
            true => Native::lanes(&steps, &repeats, &outputs, size),
            false => None,
        };
        LaneCode { constants: body.constants.clone(), size, steps, repeats, native, outputs }
    }

    /// The bytes of machine code.
    pub(in crate::program) fn machine_code(&self) -> usize {
        self.native.as_ref().map_or(0, Native::bytes)
    }

    /// The outputs, for inputs that hold a number for each point.
    pub(in crate::program) fn run(&self, inputs: impl Iterator<Item = Lane<E>>) -> Vec<Lane<E>> {
        let mut memory = Vec::with_capacity(self.size);
        memory.extend(inputs);
        memory.extend(self.constants.iter().map(|&c| Lane([c; LANES])));
        memory.resize(self.size, Lane([E::ZERO; LANES]));
        match &self.native {
            Some(native) => native.run_lanes(&self.steps, &mut memory),
            None => at_best_level(Run { code: self, memory: &mut memory }),
        }
        self.outputs.iter().map(|&place| memory[place as usize]).collect()
    }
}

struct Run<'c, E: Real> {
    code: &'c LaneCode<E>,
    memory: &'c mut [Lane<E>],
}

impl<E: Real> Task for Run<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        for repeat in &self.code.repeats {
            let steps = &self.code.steps[repeat.from..repeat.to];
            for _ in 0..repeat.times {
                // A closure would be compiled for the lowest level.
                for step in steps {
                    one(step, self.memory);
                }
            }
        }
    }
}

#[inline(always)]
pub(super) fn one<E: Real>(step: &Step, memory: &mut [Lane<E>]) {
    const ADD: u8 = Primitive::Add as u8;
    const SUB: u8 = Primitive::Sub as u8;
    const MUL: u8 = Primitive::Mul as u8;
    const DIV: u8 = Primitive::Div as u8;
    const NEG: u8 = Primitive::Neg as u8;
    const SQRT: u8 = Primitive::Sqrt as u8;
    // The pairs stand in the order of `Action::pair`.
    const _: () = assert!(PAIRS == 64 && TWO_PRODUCTS == 88);
    let operands = step.operands;
    // The operations read what they use, and each stores its result itself: a store that all have in common
    // takes three times as long.
    macro_rules! lanes {
        (|$($x:ident $k:literal),*| $value:expr) => {{
            $(let $x = memory[operands[$k] as usize].0;)*
            let mut out = [E::ZERO; LANES];
            for lane in 0..LANES {
                $(let $x = $x[lane];)*
                out[lane] = $value;
            }
            memory[step.out as usize].0 = out;
        }};
    }
    match step.action.0 {
        ADD => lanes!(|a 0, b 1| a + b),
        SUB => lanes!(|a 0, b 1| a - b),
        MUL => lanes!(|a 0, b 1| a * b),
        DIV => lanes!(|a 0, b 1| a / b),
        NEG => lanes!(|a 0| -a),
        SQRT => lanes!(|a 0| a.sqrt()),
        64 => lanes!(|a 0, b 1, c 2| (a + b) + c),
        65 => lanes!(|a 0, b 1, c 2| (a + b) - c),
        66 => lanes!(|a 0, b 1, c 2| c - (a + b)),
        67 => lanes!(|a 0, b 1, c 2| (a + b) * c),
        68 => lanes!(|a 0, b 1, c 2| (a + b) / c),
        69 => lanes!(|a 0, b 1, c 2| c / (a + b)),
        70 => lanes!(|a 0, b 1, c 2| (a - b) + c),
        71 => lanes!(|a 0, b 1, c 2| (a - b) - c),
        72 => lanes!(|a 0, b 1, c 2| c - (a - b)),
        73 => lanes!(|a 0, b 1, c 2| (a - b) * c),
        74 => lanes!(|a 0, b 1, c 2| (a - b) / c),
        75 => lanes!(|a 0, b 1, c 2| c / (a - b)),
        76 => lanes!(|a 0, b 1, c 2| (a * b) + c),
        77 => lanes!(|a 0, b 1, c 2| (a * b) - c),
        78 => lanes!(|a 0, b 1, c 2| c - (a * b)),
        79 => lanes!(|a 0, b 1, c 2| (a * b) * c),
        80 => lanes!(|a 0, b 1, c 2| (a * b) / c),
        81 => lanes!(|a 0, b 1, c 2| c / (a * b)),
        82 => lanes!(|a 0, b 1, c 2| (a / b) + c),
        83 => lanes!(|a 0, b 1, c 2| (a / b) - c),
        84 => lanes!(|a 0, b 1, c 2| c - (a / b)),
        85 => lanes!(|a 0, b 1, c 2| (a / b) * c),
        86 => lanes!(|a 0, b 1, c 2| (a / b) / c),
        87 => lanes!(|a 0, b 1, c 2| c / (a / b)),
        88 => lanes!(|a 0, b 1, c 2, d 3| (a * b) + (c * d)),
        89 => lanes!(|a 0, b 1, c 2, d 3| (a * b) - (c * d)),
        _ => other(step, memory, 0..LANES),
    }
}

/// A function, for some of the points: once if it is the same for all.
#[inline(never)]
pub(super) fn other<E: Real>(step: &Step, memory: &mut [Lane<E>], lanes: Range<usize>) {
    let primitive = Primitive::ALL[step.action.0 as usize];
    let (arity, exponent) = (primitive.arity(), step.operands[1] as i32);
    // The second operand of a power is no place.
    let operands = std::array::from_fn(|k| step.operands[if k < arity { k } else { 0 }] as usize);
    let at = |lane: usize| primitive.value(exponent, operands.map(|place| memory[place].0[lane]));
    let mut out = [E::ZERO; LANES];
    match step.uniform {
        true => out[lanes.clone()].fill(at(lanes.start)),
        false => lanes.clone().for_each(|lane| out[lane] = at(lane)),
    }
    memory[step.out as usize].0[lanes.clone()].copy_from_slice(&out[lanes]);
}
