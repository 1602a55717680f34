//! The few instructions that are needed, as bytes.
//!
//! All registers that hold numbers belong to the callee in the calling convention of System V, so nothing of them is
//! saved.

use crate::machine_code::{Instruction, LEAVE_VECTORS, Length, Map, Opcode, Place, distance};

/// What an instruction works on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// Whether the numbers have 64 bits, else 32.
    pub(super) double: bool,
    /// How many of them an instruction takes: 1, or as many as fill a vector of 256 or 512 bits.
    pub(super) lanes: usize,
    /// The distance of two places of the memory in bytes.
    pub(super) stride: usize,
    /// The registers that there are: with 32 of them the instructions have the longer prefix (EVEX).
    pub(super) registers: u8,
}

/// The last operand of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Register(u8),
    /// A place of the memory.
    Memory(u32),
    Constant(Constant),
}

/// Numbers that stand before the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Constant {
    /// The sign bit alone.
    Sign,
    /// All bits but the sign.
    Magnitude,
    One,
}

/// The bytes of a constant: a whole vector.
const CONSTANT: usize = 64;

/// Writes code.
pub(super) struct Encoder {
    form: Form,
    pub(super) bytes: Vec<u8>,
}

impl Encoder {
    /// With the constants at the beginning.
    pub(super) fn new(form: Form) -> Self {
        let constants = match form.double {
            true => [1 << 63, !(1 << 63), 1f64.to_bits()],
            false => [1 << 31, !(1 << 31), 1f32.to_bits()]
                .map(|half: u32| u64::from(half) << 32 | u64::from(half)),
        };
        let bytes = constants.iter().flat_map(|c| c.to_le_bytes().repeat(CONSTANT / 8)).collect();
        Encoder { form, bytes }
    }

    /// `target = first opcode source`. Where there is no first operand, `first` is 0; what a store writes is
    /// its target.
    pub(super) fn instruction(&mut self, opcode: Opcode, target: u8, first: u8, source: Source) {
        let Form { double, lanes, stride, registers } = self.form;
        // 66 stands for vectors of doubles, none for those of singles; F2 and F3 for one of them.
        let prefix: u8 = match (opcode, lanes, double) {
            (Opcode::And | Opcode::Xor, ..) => 1,
            (_, 1, true) => 3,
            (_, 1, false) => 2,
            (_, _, double) => u8::from(double),
        };
        let long = registers == 32;
        let length = match (long, lanes) {
            (true, _) => Length::Bits512,
            (false, 1) => Length::Short,
            (false, _) => Length::Bits256,
        };
        let place = match source {
            Source::Register(register) => Place::Register(register),
            // The register that holds the address: rbx.
            Source::Memory(place) => {
                let displacement = distance((place as usize * stride) as i64);
                Place::Memory { base: 3, index: None, displacement }
            }
            Source::Constant(constant) => Place::Code(constant as usize * CONSTANT),
        };
        let opcode = opcode as u8;
        let (map, mask, immediate) = (Map::M0F, 0, None);
        let instruction =
            Instruction { map, prefix, opcode, wide: long, length, long, mask, immediate };
        instruction.write(target, first, place, &mut self.bytes);
    }

    fn displacement(&mut self, bytes: i64) {
        self.bytes.extend(distance(bytes).to_le_bytes());
    }

    /// The beginning of a function of (address of the memory, of the steps, of what is called back, of what that
    /// is to know). Its place.
    pub(super) fn begin(&mut self) -> usize {
        let start = self.bytes.len();
        // push rbx, r12, r13, r14, r15: with the return address the stack is a multiple of 16 bytes again.
        self.bytes.extend([0x53, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57]);
        // mov rbx, rdi; mov r12, rsi; mov r13, rdx; mov r14, rcx.
        self.bytes.extend([0x48, 0x89, 0xFB, 0x49, 0x89, 0xF4, 0x49, 0x89, 0xD5, 0x49, 0x89, 0xCE]);
        start
    }

    /// The end of the function.
    pub(super) fn end(&mut self) {
        self.bytes.extend(LEAVE_VECTORS);
        // pop r15, r14, r13, r12, rbx; ret.
        self.bytes.extend([0x41, 0x5F, 0x41, 0x5E, 0x41, 0x5D, 0x41, 0x5C, 0x5B, 0xC3]);
    }

    /// Calls the function at an address, which takes numbers in the first registers and an exponent.
    pub(super) fn call(&mut self, address: usize, exponent: i32) {
        // mov edi, exponent; mov rax, address; call rax.
        self.bytes.push(0xBF);
        self.bytes.extend(exponent.to_le_bytes());
        self.bytes.extend([0x48, 0xB8]);
        self.bytes.extend((address as u64).to_le_bytes());
        self.bytes.extend([0xFF, 0xD0]);
    }

    /// Calls back for the step at a distance from the first one.
    pub(super) fn call_back(&mut self, distance: usize) {
        self.bytes.extend(LEAVE_VECTORS);
        // mov rdi, r14; lea rsi, [r12 + distance]; call r13.
        self.bytes.extend([0x4C, 0x89, 0xF7, 0x49, 0x8D, 0xB4, 0x24]);
        self.displacement(distance as i64);
        self.bytes.extend([0x41, 0xFF, 0xD5]);
    }

    /// What follows is done so many times, up to [`end_loop`](Encoder::end_loop), which takes the result.
    pub(super) fn begin_loop(&mut self, times: usize) -> usize {
        // mov r15, times.
        self.bytes.extend([0x49, 0xBF]);
        self.bytes.extend((times as u64).to_le_bytes());
        self.bytes.len()
    }

    pub(super) fn end_loop(&mut self, start: usize) {
        // dec r15; jnz start.
        self.bytes.extend([0x49, 0xFF, 0xCF, 0x0F, 0x85]);
        self.displacement(start as i64 - (self.bytes.len() + 4) as i64);
    }
}
