//! What the first word of a scalar node says.

use crate::primitive::Primitive;

/// The opcode of a node: a primitive with a note on which operands are constants, a rule of the
/// tape's table, or one of the special kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opcode(pub(crate) u32);

/// The second operand is in the constant pool.
pub(crate) const CONSTANT_RIGHT: u32 = 1 << 8;
/// The first argument is in the constant pool: the node's operands are (second argument, constant).
pub(crate) const CONSTANT_LEFT: u32 = 1 << 9;
const RULE: u32 = 1 << 31;

impl Opcode {
    /// An independent variable.
    pub(crate) const LEAF: Opcode = Opcode(0xF0);
    /// A constant that had to become a node, because its operation has no room for constants.
    pub(crate) const CONSTANT: Opcode = Opcode(0xF1);
    /// The first two operands of the operation in the next node.
    pub(crate) const CARRY: Opcode = Opcode(0xF2);
    /// The value of a rank-0 tensor; the payload is its number in the tensor lane.
    pub(crate) const ITEM: Opcode = Opcode(0xF3);

    #[inline(always)]
    pub(crate) const fn primitive(p: Primitive) -> Opcode {
        Opcode(p as u32)
    }

    /// The same with a constant as its first argument.
    #[inline(always)]
    pub(crate) const fn left(self) -> Opcode {
        Opcode(self.0 | CONSTANT_LEFT)
    }

    /// The same with a constant as its second argument.
    #[inline(always)]
    pub(crate) const fn right(self) -> Opcode {
        Opcode(self.0 | CONSTANT_RIGHT)
    }

    pub(crate) const fn rule(k: u32) -> Opcode {
        Opcode(RULE | k)
    }

    /// The number of the rule, if it is one.
    pub(crate) fn as_rule(self) -> Option<u32> {
        (self.0 & RULE != 0).then_some(self.0 & !RULE)
    }

    /// The primitive, if it is one, whichever operands are constants.
    pub(crate) fn as_primitive(self) -> Option<Primitive> {
        if self.0 >= RULE {
            return None;
        }
        Primitive::ALL.get((self.0 & 0xFF) as usize).copied()
    }
}
