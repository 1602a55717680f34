//! From steps to instructions: what is in which register.
//!
//! A value stays in the register where it was made or read until the register is needed for another one; then the one
//! goes whose next use is farthest (L. Belady, A study of replacement algorithms for virtual-storage computers,
//! 1966). It is written to its place only if it is used after that, before a call, and at the end of a piece.

use super::super::code::Step;
use super::super::repeats::Repeat;
use super::encoder::{Constant, Encoder, Form, Source};
use super::formula::{Formula, operands};
use super::functions::address;
use super::uses::{NEVER, Uses};
use crate::Real;
use crate::machine_code::Opcode;

/// In no register.
const NOWHERE: u8 = u8::MAX;

/// What a register holds.
#[derive(Clone, Copy, Debug)]
struct Content {
    place: u32,
    next_use: u32,
    /// Whether its place in memory has not got it yet.
    unwritten: bool,
}

struct Translator {
    /// Numbers one by one, else vectors.
    numbers: bool,
    encoder: Encoder,
    registers: Vec<Option<Content>>,
    /// The registers that the step under way needs, as bits.
    in_use: u32,
    /// Which register holds a place.
    register_of: Vec<u8>,
}

/// The code of the pieces, each a function, and where they begin.
pub(super) fn translated<E: Real>(
    form: Form,
    steps: &[Step],
    pieces: &[Repeat],
    uses: &[Uses],
    size: usize,
) -> (Vec<u8>, Vec<usize>) {
    let mut translator = Translator {
        numbers: form.lanes == 1,
        encoder: Encoder::new(form),
        registers: vec![None; form.registers.into()],
        in_use: 0,
        register_of: vec![NOWHERE; size],
    };
    let mut entries = Vec::with_capacity(pieces.len());
    for piece in pieces {
        entries.push(translator.encoder.begin());
        let start = (piece.times > 1).then(|| translator.encoder.begin_loop(piece.times));
        for i in piece.from..piece.to {
            translator.step::<E>(i, &steps[i], &uses[i]);
        }
        translator.empty();
        if let Some(start) = start {
            translator.encoder.end_loop(start);
        }
        translator.encoder.end();
    }
    (translator.encoder.bytes, entries)
}

impl Translator {
    fn step<E: Real>(&mut self, number: usize, step: &Step, uses: &Uses) {
        let formula = Formula::of(step);
        self.in_use = 0;
        let emit = |this: &mut Self, opcode, target, first, source| {
            this.encoder.instruction(opcode, target, first, source);
        };
        let target = match formula {
            Formula::One(opcode) => {
                let a = self.loaded(step, uses, 0);
                let b = self.source(step, uses, 1);
                // It reads before it writes, so the result may be where an operand was.
                self.used(step, uses);
                let target = self.fresh();
                emit(self, opcode, target, a, b);
                target
            }
            Formula::Neg | Formula::Abs => {
                let a = self.loaded(step, uses, 0);
                self.used(step, uses);
                let target = self.fresh();
                let (opcode, constant) = match formula {
                    Formula::Neg => (Opcode::Xor, Constant::Sign),
                    _ => (Opcode::And, Constant::Magnitude),
                };
                emit(self, opcode, target, a, Source::Constant(constant));
                target
            }
            Formula::Sqrt => {
                let a = self.source(step, uses, 0);
                self.used(step, uses);
                let target = self.fresh();
                emit(self, Opcode::Sqrt, target, 0, a);
                target
            }
            Formula::Recip => {
                let a = self.source(step, uses, 0);
                let target = self.fresh();
                emit(self, Opcode::Load, target, 0, Source::Constant(Constant::One));
                emit(self, Opcode::Div, target, target, a);
                target
            }
            Formula::Two(first, second) => {
                let (a, b) = (self.loaded(step, uses, 0), self.source(step, uses, 1));
                let c = self.source(step, uses, 2);
                let target = self.fresh();
                emit(self, first, target, a, b);
                emit(self, second, target, target, c);
                target
            }
            Formula::Reversed(first, second) => {
                let (a, b) = (self.loaded(step, uses, 0), self.source(step, uses, 1));
                let c = self.loaded(step, uses, 2);
                let target = self.fresh();
                emit(self, first, target, a, b);
                emit(self, second, target, c, Source::Register(target));
                target
            }
            Formula::Products(second) => {
                let (a, b) = (self.loaded(step, uses, 0), self.source(step, uses, 1));
                let (c, d) = (self.loaded(step, uses, 2), self.source(step, uses, 3));
                let (target, other) = (self.fresh(), self.fresh());
                emit(self, Opcode::Mul, target, a, b);
                emit(self, Opcode::Mul, other, c, d);
                emit(self, second, target, target, Source::Register(other));
                target
            }
            Formula::Other(primitive) if self.numbers => {
                self.empty();
                for (register, &place) in operands(step).iter().enumerate() {
                    emit(self, Opcode::Load, register as u8, 0, Source::Memory(place));
                }
                self.encoder.call(address::<E>(primitive), step.operands[1] as i32);
                // The result is in the first register.
                0
            }
            Formula::Other(_) => {
                self.empty();
                self.encoder.call_back(number * size_of::<Step>());
                return;
            }
        };
        self.used(step, uses);
        self.forget(step.out);
        if uses.out != NEVER {
            let content = Content { place: step.out, next_use: uses.out, unwritten: true };
            self.hold(target, content);
        }
    }

    /// The register of an operand, which is read from memory if it is in none.
    fn loaded(&mut self, step: &Step, uses: &Uses, operand: usize) -> u8 {
        let place = step.operands[operand];
        let mut register = self.register_of[place as usize];
        if register == NOWHERE {
            register = self.fresh();
            self.encoder.instruction(Opcode::Load, register, 0, Source::Memory(place));
            let next_use = uses.operands[operand];
            self.hold(register, Content { place, next_use, unwritten: false });
        }
        self.in_use |= 1 << register;
        register
    }

    /// An operand: in memory, if it is there and not used again.
    fn source(&mut self, step: &Step, uses: &Uses, operand: usize) -> Source {
        let place = step.operands[operand];
        let soon = uses.operands[operand] < super::uses::AT_END;
        match soon || self.register_of[place as usize] != NOWHERE {
            true => Source::Register(self.loaded(step, uses, operand)),
            false => Source::Memory(place),
        }
    }

    /// A register for something new.
    fn fresh(&mut self) -> u8 {
        let next_use = |content: &Option<Content>| content.map_or(NEVER, |c| c.next_use);
        let free = self.registers.iter().enumerate().filter(|&(r, _)| self.in_use >> r & 1 == 0);
        let (register, content) =
            free.max_by_key(|(_, content)| next_use(content)).expect("a step needs six at most");
        let (register, content) = (register as u8, *content);
        if let Some(content) = content {
            self.write(register, content);
            self.forget(content.place);
        }
        self.in_use |= 1 << register;
        register
    }

    fn hold(&mut self, register: u8, content: Content) {
        self.registers[register as usize] = Some(content);
        self.register_of[content.place as usize] = register;
    }

    fn forget(&mut self, place: u32) {
        let register = std::mem::replace(&mut self.register_of[place as usize], NOWHERE);
        if register != NOWHERE {
            self.registers[register as usize] = None;
        }
    }

    fn write(&mut self, register: u8, content: Content) {
        if content.unwritten && content.next_use != NEVER {
            let place = Source::Memory(content.place);
            self.encoder.instruction(Opcode::Store, register, 0, place);
        }
    }

    /// The operands of the step are read. Those that are not used again leave their registers.
    fn used(&mut self, step: &Step, uses: &Uses) {
        self.in_use = 0;
        for (&place, &next_use) in operands(step).iter().zip(&uses.operands) {
            let register = self.register_of[place as usize];
            if register == NOWHERE {
                continue;
            }
            match (next_use, &mut self.registers[register as usize]) {
                (NEVER, _) => self.forget(place),
                (_, Some(content)) => content.next_use = next_use,
                (_, None) => unreachable!("the register of a place holds it"),
            }
        }
    }

    /// Writes what is needed later, and forgets what is in the registers.
    fn empty(&mut self) {
        for register in 0..self.registers.len() {
            if let Some(content) = self.registers[register] {
                self.write(register as u8, content);
                self.forget(content.place);
            }
        }
    }
}
