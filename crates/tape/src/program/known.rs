//! Finding an equal instruction again.

use super::body::Instruction;

/// A hash table of the numbers of instructions. A general one would keep the instructions a second time, and
/// programs have millions.
///
/// Instructions that read values of about the same age are looked for at about the same time, so they are near
/// each other in the table, and what is looked at is in the cache.
#[derive(Default)]
pub(super) struct Known {
    /// Number and upper half of the hash, each at the first free place of its [`path`]. The length is a power of two,
    /// and at most half of the places are taken.
    places: Vec<(u32, u32)>,
    taken: usize,
}

const FREE: u32 = u32::MAX;
/// So many places are near the latest operand. Of a value that many instructions read, the others are anywhere.
const NEAR: usize = 8;

/// The places where an instruction may stand, in the order in which they are looked at.
fn path(instruction: &Instruction, hash: u64, mask: usize) -> impl Iterator<Item = usize> {
    let latest = instruction.operands.iter().filter_map(|o| o.as_value()).max().unwrap_or(0);
    let near = (0..NEAR).map(move |k| 2 * latest + (hash as usize + k) % NEAR);
    let anywhere = (0..).map(move |k| hash as usize + k);
    near.chain(anywhere).map(move |place| place & mask)
}

impl Known {
    /// A table that need not grow for so many instructions.
    pub(super) fn with_capacity(instructions: usize) -> Self {
        let places = vec![(FREE, 0); (2 * instructions).next_power_of_two()];
        Known { places, taken: 0 }
    }

    /// The number of an instruction in the list, where it is appended if no equal one is there.
    pub(super) fn place_of(
        &mut self,
        instruction: Instruction,
        list: &mut Vec<Instruction>,
    ) -> usize {
        if 2 * self.taken >= self.places.len() {
            self.grow(list);
        }
        let hash = instruction.mixed();
        let upper = (hash >> 32) as u32;
        let mut free = 0;
        for place in path(&instruction, hash, self.places.len() - 1) {
            match self.places[place] {
                (FREE, _) => {
                    free = place;
                    break;
                }
                (k, other) if other == upper && list[k as usize] == instruction => {
                    return k as usize;
                }
                _ => {}
            }
        }
        self.places[free] = (list.len() as u32, upper);
        self.taken += 1;
        list.push(instruction);
        list.len() - 1
    }

    fn grow(&mut self, list: &[Instruction]) {
        let old = std::mem::replace(self, Known::with_capacity((2 * self.taken).max(32)));
        let mask = self.places.len() - 1;
        for (k, upper) in old.places.into_iter().filter(|&(k, _)| k != FREE) {
            let instruction = &list[k as usize];
            let mut path = path(instruction, instruction.mixed(), mask);
            let free = path.find(|&place| self.places[place].0 == FREE);
            self.places[free.expect("half of the places are free")] = (k, upper);
        }
        self.taken = old.taken;
    }
}

#[cfg(test)]
mod tests {
    use super::super::body::{Code, Operand};
    use super::super::passes::filled;
    use super::*;
    use crate::primitive::Primitive;

    #[test]
    fn every_instruction_is_found_again() {
        // More of them read one value than fit near it, and the table grows on the way.
        let instructions: Vec<Instruction> = (0..1000)
            .map(|k| {
                let operands = filled(&[Operand::value(3 + k / 500), Operand::input(k)]);
                Instruction { code: Code::Primitive(Primitive::Mul, 0), operands }
            })
            .collect();
        let (mut known, mut list) = (Known::default(), Vec::new());
        for _ in 0..2 {
            for (k, &instruction) in instructions.iter().enumerate() {
                assert_eq!(known.place_of(instruction, &mut list), k);
            }
        }
        assert_eq!(list.len(), instructions.len());
    }
}
