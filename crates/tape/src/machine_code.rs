//! What all machine code is made of: instructions as bytes, and memory that can be run.
//!
//! What the code does stands where it is made: `program/point/native` for steps at one point or a few, `cluster/native`
//! for fused tensor expressions.

mod executable;
mod instruction;

pub(crate) use executable::Executable;
pub(crate) use instruction::{Instruction, LEAVE_VECTORS, Length, Map, Opcode, Place, distance};
