//! The floor of the scalar lane: the least that a tape can be.
//!
//! A list of opcodes, operands and values as a structure of arrays, written for one function: no
//! handles that find their tape, no checks, no kinds of node that this function does not use. It is
//! the only place of this crate with `unsafe`, because a floor with bound checks would flatter.

const LEAF: u32 = 0;
const ADD: u32 = 1;
const SUB: u32 = 2;
const MUL: u32 = 3;
/// A constant minus a node.
const SUB_FROM: u32 = 4;
/// A node times a constant.
const SCALE: u32 = 5;

/// A bare list of nodes. Constants have a table of their own, which is filled beforehand.
#[derive(Default)]
pub(crate) struct MinimalTape {
    nodes: Vec<[u32; 3]>,
    values: Vec<f64>,
    constants: Vec<f64>,
}

/// A node: its number and its value.
#[derive(Clone, Copy)]
pub(crate) struct Node {
    index: u32,
    value: f64,
}

impl MinimalTape {
    pub(crate) fn clear(&mut self) {
        self.nodes.clear();
        self.values.clear();
        self.constants.clear();
    }

    #[inline(always)]
    fn push(&mut self, op: u32, a: u32, b: u32, value: f64) -> Node {
        let index = self.nodes.len() as u32;
        self.nodes.push([op, a, b]);
        self.values.push(value);
        Node { index, value }
    }

    #[inline(always)]
    pub(crate) fn leaf(&mut self, value: f64) -> Node {
        self.push(LEAF, 0, 0, value)
    }

    #[inline(always)]
    pub(crate) fn add(&mut self, a: Node, b: Node) -> Node {
        self.push(ADD, a.index, b.index, a.value + b.value)
    }

    #[inline(always)]
    pub(crate) fn sub(&mut self, a: Node, b: Node) -> Node {
        self.push(SUB, a.index, b.index, a.value - b.value)
    }

    #[inline(always)]
    pub(crate) fn mul(&mut self, a: Node, b: Node) -> Node {
        self.push(MUL, a.index, b.index, a.value * b.value)
    }

    /// Puts a constant into the table.
    pub(crate) fn constant(&mut self, c: f64) -> u32 {
        self.constants.push(c);
        self.constants.len() as u32 - 1
    }

    #[inline(always)]
    pub(crate) fn sub_from(&mut self, c: u32, a: Node) -> Node {
        let value = self.constants[c as usize] - a.value;
        self.push(SUB_FROM, a.index, c, value)
    }

    #[inline(always)]
    pub(crate) fn scale(&mut self, c: u32, a: Node) -> Node {
        let value = self.constants[c as usize] * a.value;
        self.push(SCALE, a.index, c, value)
    }

    /// The cotangents of all nodes up to `out`.
    pub(crate) fn sweep(&self, out: Node, slots: &mut Vec<f64>) {
        let n = out.index as usize + 1;
        slots.clear();
        slots.resize(n, 0.0);
        slots[n - 1] = 1.0;
        for i in (0..n).rev() {
            // SAFETY: `nodes`, `values` and `slots` have at least `n` elements, the operands of a
            // node are smaller than its number, and constants are in their table: the methods above
            // are the only ones that write nodes.
            unsafe {
                let g = *slots.get_unchecked(i);
                let [op, a, b] = *self.nodes.get_unchecked(i);
                let (a, b) = (a as usize, b as usize);
                match op {
                    ADD => {
                        *slots.get_unchecked_mut(a) += g;
                        *slots.get_unchecked_mut(b) += g;
                    }
                    SUB => {
                        *slots.get_unchecked_mut(a) += g;
                        *slots.get_unchecked_mut(b) -= g;
                    }
                    MUL => {
                        *slots.get_unchecked_mut(a) += g * self.values.get_unchecked(b);
                        *slots.get_unchecked_mut(b) += g * self.values.get_unchecked(a);
                    }
                    SUB_FROM => *slots.get_unchecked_mut(a) -= g,
                    SCALE => *slots.get_unchecked_mut(a) += g * self.constants.get_unchecked(b),
                    _ => {}
                }
            }
        }
    }
}

impl Node {
    pub(crate) fn value(self) -> f64 {
        self.value
    }
}
