//! The few instructions of a segment, as bytes.
//!
//! A segment is a function of (addresses of rows, address of the numbers that are fixed, first byte, last byte) with loops
//! over the vectors of the rows, one of which may do two vectors at once. The addresses go to general registers as far as these reach. All registers that hold
//! vectors belong to the callee in the calling convention of System V, so nothing of them is saved.

use super::formula::{Comparison, Direction, Integer};
use crate::machine_code::{Instruction, LEAVE_VECTORS, Length, Map, Opcode, Place, distance};

/// What an instruction works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// Whether the numbers have 64 bits, else 32.
    pub(super) double: bool,
    /// Vectors of 512 bits, of which there are 32 registers, else of 256 bits in 16.
    pub(super) wide: bool,
}

impl Form {
    /// The bytes of a vector.
    pub(super) fn bytes(self) -> usize {
        if self.wide { 64 } else { 32 }
    }

    /// How many registers there are.
    pub(super) fn registers(self) -> usize {
        if self.wide { 32 } else { 16 }
    }
}

/// The last operand of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Register(u8),
    /// The vector of this turn of the loop in a row, or one so many vectors behind it.
    Row(u32, u8),
    /// A vector that is the same in all turns.
    Fixed(u32),
}

/// The bytes of a vector that is fixed.
pub(super) const FIXED: usize = 64;

// General registers by number: the arguments, and one for an address that has no register of its own.
const ROWS: u8 = 7; // rdi
const NUMBERS: u8 = 6; // rsi
const OFFSET: u8 = 2; // rdx
const SPARE: u8 = 0; // rax
/// Those of the addresses. Those from rbx on are the caller's.
const ADDRESSES: [u8; 10] = [8, 9, 10, 11, 3, 5, 12, 13, 14, 15];
const OWN: usize = 4;

/// Writes code.
pub(super) struct Encoder {
    form: Form,
    pub(super) bytes: Vec<u8>,
    /// The registers to give back at the end.
    saved: Vec<u8>,
}

impl Encoder {
    pub(super) fn new(form: Form) -> Self {
        Encoder { form, bytes: Vec::new(), saved: Vec::new() }
    }

    /// The beginning of a segment that works on so many rows. Its place.
    pub(super) fn begin(&mut self, rows: usize) -> usize {
        while !self.bytes.len().is_multiple_of(16) {
            self.bytes.push(0xCC);
        }
        let entry = self.bytes.len();
        let addresses = &ADDRESSES[..rows.min(ADDRESSES.len())];
        self.saved = addresses.iter().skip(OWN).copied().collect();
        for register in self.saved.clone() {
            self.push_or_pop(0x50, register);
        }
        for (row, &register) in addresses.iter().enumerate() {
            self.load_address(register, row as u32);
        }
        entry
    }

    /// The beginning of a loop over so many vectors at once, as long as there are so many. Its place.
    pub(super) fn begin_loop(&mut self, vectors: u8) -> usize {
        self.compare_with_last(vectors);
        // ja behind the loop; how far that is will be known at its end.
        self.bytes.extend([0x0F, 0x87, 0, 0, 0, 0]);
        self.bytes.len()
    }

    /// The end of the loop that begins there.
    pub(super) fn end_loop(&mut self, vectors: u8, start: usize) {
        // add rdx, bytes.
        self.bytes.extend([0x48, 0x81, 0xC2]);
        self.bytes.extend(self.length_of(vectors).to_le_bytes());
        self.compare_with_last(vectors);
        // jbe to the beginning.
        let back = distance(start as i64 - (self.bytes.len() + 6) as i64);
        self.bytes.extend([0x0F, 0x86]);
        self.bytes.extend(back.to_le_bytes());
        let length = distance((self.bytes.len() - start) as i64);
        self.bytes[start - 4..start].copy_from_slice(&length.to_le_bytes());
    }

    fn compare_with_last(&mut self, vectors: u8) {
        // lea rax, [rdx + bytes]; cmp rax, rcx.
        self.bytes.extend([0x48, 0x8D, 0x82]);
        self.bytes.extend(self.length_of(vectors).to_le_bytes());
        self.bytes.extend([0x48, 0x39, 0xC8]);
    }

    fn length_of(&self, vectors: u8) -> i32 {
        i32::from(vectors) * self.form.bytes() as i32
    }

    pub(super) fn end(&mut self) {
        self.bytes.extend(LEAVE_VECTORS);
        while let Some(register) = self.saved.pop() {
            self.push_or_pop(0x58, register);
        }
        self.bytes.push(0xC3);
    }

    fn push_or_pop(&mut self, opcode: u8, register: u8) {
        if register >= 8 {
            self.bytes.push(0x41);
        }
        self.bytes.push(opcode | register & 7);
    }

    /// mov register, [rdi + 8 row].
    fn load_address(&mut self, register: u8, row: u32) {
        self.bytes.extend([0x48 | register >> 3 << 2, 0x8B, 0x80 | (register & 7) << 3 | ROWS]);
        self.bytes.extend(distance(8 * i64::from(row)).to_le_bytes());
    }

    fn place(&mut self, source: Source) -> Place {
        match source {
            Source::Register(register) => Place::Register(register),
            Source::Row(row, ahead) => {
                let base = ADDRESSES.get(row as usize).copied().unwrap_or_else(|| {
                    self.load_address(SPARE, row);
                    SPARE
                });
                let displacement = self.length_of(ahead);
                Place::Memory { base, index: Some(OFFSET), displacement }
            }
            Source::Fixed(k) => {
                let displacement = distance(i64::from(k) * FIXED as i64);
                Place::Memory { base: NUMBERS, index: None, displacement }
            }
        }
    }

    fn write(
        &mut self,
        (map, prefix, opcode): (Map, u8, u8),
        (target, first, source): (u8, u8, Source),
        mask: u8,
        immediate: Option<u8>,
    ) {
        let place = self.place(source);
        let Form { double, wide: long } = self.form;
        let length = if long { Length::Bits512 } else { Length::Bits256 };
        // The bit says doubles where the prefix cannot; the shorter form has it for few instructions.
        let wide = double && (long || map == Map::M0F38);
        let instruction = Instruction { map, prefix, opcode, wide, length, long, mask, immediate };
        instruction.write(target, first, place, &mut self.bytes);
    }

    /// 66 stands for doubles.
    fn precision(&self) -> u8 {
        u8::from(self.form.double)
    }

    pub(super) fn load(&mut self, target: u8, source: Source) {
        self.two(Opcode::Load, target, 0, source);
    }

    pub(super) fn store(&mut self, register: u8, target: Source) {
        self.two(Opcode::Store, register, 0, target);
    }

    /// `target = first opcode source`.
    pub(super) fn two(&mut self, opcode: Opcode, target: u8, first: u8, source: Source) {
        self.write((Map::M0F, self.precision(), opcode as u8), (target, first, source), 0, None);
    }

    /// `target = source + target * first`; minus the product if so.
    pub(super) fn multiply_add(&mut self, minus: bool, target: u8, first: u8, source: Source) {
        let opcode = if minus { 0xAC } else { 0xA8 };
        self.write((Map::M0F38, 1, opcode), (target, first, source), 0, None);
    }

    /// `target = target + first * source`; minus the product if so.
    pub(super) fn add_product(&mut self, minus: bool, target: u8, first: u8, source: Source) {
        let opcode = if minus { 0xBC } else { 0xB8 };
        self.write((Map::M0F38, 1, opcode), (target, first, source), 0, None);
    }

    /// `target = first opcode source`, as integers.
    pub(super) fn integer(&mut self, opcode: Integer, target: u8, first: u8, source: Source) {
        let opcode = match (opcode, self.form.double) {
            (Integer::Add, false) => 0xFE,
            (Integer::Add, true) => 0xD4,
            (Integer::Sub, false) => 0xFA,
            (Integer::Sub, true) => 0xFB,
        };
        self.write((Map::M0F, 1, opcode), (target, first, source), 0, None);
    }

    /// `target` is `source` with its bits moved by so many places.
    pub(super) fn shift(&mut self, direction: Direction, by: u8, target: u8, source: u8) {
        // What is done stands where others have a register, and the result where they have an operand.
        let what = match direction {
            Direction::Left => 6,
            Direction::Right => 2,
        };
        let opcode = if self.form.double { 0x73 } else { 0x72 };
        let operands = (what, target, Source::Register(source));
        self.write((Map::M0F, 1, opcode), operands, 0, Some(by));
    }

    /// Compares: the result is in register `mask`, a vector or, with 512 bits, a mask.
    pub(super) fn compare(&mut self, how: Comparison, mask: u8, first: u8, source: Source) {
        let operands = (mask, first, source);
        self.write((Map::M0F, self.precision(), 0xC2), operands, 0, Some(how as u8));
    }

    /// `source` where the mask is set, else `first`.
    pub(super) fn select(&mut self, mask: u8, target: u8, first: u8, source: Source) {
        if self.form.wide {
            self.write((Map::M0F38, 1, 0x65), (target, first, source), mask, None);
        } else {
            let opcode = 0x4A | self.precision();
            self.write((Map::M0F3A, 1, opcode), (target, first, source), 0, Some(mask << 4));
        }
    }
}
