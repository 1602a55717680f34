//! Instructions on vectors as bytes.
//!
//! Source: Intel, Software Developer's Manual, volume 2, sections 2.3 (VEX) and 2.7 (EVEX).

/// How much of a register an instruction works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Length {
    /// One number, or 128 bits.
    Short = 0,
    Bits256,
    Bits512,
}

/// The table that an opcode is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Map {
    M0F = 1,
    M0F38,
    M0F3A,
}

/// The opcodes of arithmetic on vectors of numbers, in the table [`Map::M0F`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Opcode {
    Load = 0x10,
    Store = 0x11,
    Sqrt = 0x51,
    And = 0x54,
    Or = 0x56,
    Xor = 0x57,
    Add = 0x58,
    Mul = 0x59,
    Sub = 0x5C,
    Min = 0x5D,
    Div = 0x5E,
    Max = 0x5F,
}

/// vzeroupper: code for shorter vectors is slow where upper halves are in use.
pub(crate) const LEAVE_VECTORS: [u8; 3] = [0xC5, 0xF8, 0x77];

/// The operand that may be in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Register(u8),
    /// At the sum of one or two general registers and a displacement.
    Memory {
        base: u8,
        index: Option<u8>,
        displacement: i32,
    },
    /// In the code itself, so many bytes from its beginning.
    Code(usize),
}

/// An instruction with up to three registers, without them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instruction {
    pub(crate) map: Map,
    /// 0: none, 1: 66, 2: F3, 3: F2.
    pub(crate) prefix: u8,
    pub(crate) opcode: u8,
    /// The bit W.
    pub(crate) wide: bool,
    pub(crate) length: Length,
    /// Whether it has the longer prefix (EVEX), which knows 32 registers and masks.
    pub(crate) long: bool,
    /// The register that says which numbers of the vector are meant; 0 for all. Only with the longer prefix.
    pub(crate) mask: u8,
    pub(crate) immediate: Option<u8>,
}

impl Instruction {
    /// Appends `target = first opcode place`. Where there is no first operand, `first` is 0; what a store writes is its
    /// target.
    pub(crate) fn write(self, target: u8, first: u8, place: Place, bytes: &mut Vec<u8>) {
        // What the prefix has of the last operand: bits of one or two registers.
        let (low, high, higher) = match place {
            Place::Register(number) => (number, number >> 3, number >> 4),
            Place::Memory { base, index, .. } => (base, base >> 3, index.unwrap_or(0) >> 3),
            Place::Code(_) => (0, 0, 0),
        };
        // They stand inverted.
        let bit = |number: u8, at: u8| (!number & 1) << at;
        let registers = bit(target >> 3, 7) | bit(higher, 6) | bit(high, 5);
        let (wide, rest) = (u8::from(self.wide) << 7, (!first & 15) << 3);
        if self.long {
            let vector = (self.length as u8) << 5;
            bytes.extend([
                0x62,
                registers | bit(target >> 4, 4) | self.map as u8,
                wide | rest | 4 | self.prefix,
                vector | bit(first >> 4, 3) | self.mask,
            ]);
        } else {
            // A register beyond 15 does not exist here, so its bit is that of an index.
            let vector = (self.length as u8) << 2;
            bytes.extend([0xC4, registers | self.map as u8, wide | rest | vector | self.prefix]);
        }
        let target = (target & 7) << 3;
        bytes.push(self.opcode);
        match place {
            Place::Register(_) => bytes.push(0b11 << 6 | target | low & 7),
            Place::Memory { index, displacement, .. } => {
                // A second register, and as the base one whose number ends with 100, need a byte more.
                match (index, low & 7) {
                    (None, 4) => bytes.extend([0b10 << 6 | target | 4, 4 << 3 | 4]),
                    (None, low) => bytes.push(0b10 << 6 | target | low),
                    (Some(index), low) => {
                        bytes.extend([0b10 << 6 | target | 4, (index & 7) << 3 | low]);
                    }
                }
                bytes.extend(displacement.to_le_bytes());
            }
            Place::Code(at) => {
                bytes.push(target | 5);
                // Relative to the next instruction.
                let end = bytes.len() + 4 + usize::from(self.immediate.is_some());
                bytes.extend(distance(at as i64 - end as i64).to_le_bytes());
            }
        }
        bytes.extend(self.immediate);
    }
}

/// A distance as it stands in code.
pub(crate) fn distance(bytes: i64) -> i32 {
    i32::try_from(bytes).expect("code is limited so that distances fit")
}
