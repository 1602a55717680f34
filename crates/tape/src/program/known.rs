//! Finding an equal instruction again.

use super::body::Instruction;

/// A hash table of the numbers of instructions. A general one would keep the instructions a second time, and
/// programs have millions.
#[derive(Default)]
pub(super) struct Known {
    /// Number and upper half of the hash, each at the first free place from its hash on. The length is a power
    /// of two, and at most half of the places are taken.
    places: Vec<(u32, u32)>,
    taken: usize,
}

const FREE: u32 = u32::MAX;

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
        let mask = self.places.len() - 1;
        let hash = instruction.mixed();
        let (mut place, upper) = (hash as usize & mask, (hash >> 32) as u32);
        loop {
            match self.places[place] {
                (FREE, _) => break,
                (k, other) if other == upper && list[k as usize] == instruction => {
                    return k as usize;
                }
                _ => place = (place + 1) & mask,
            }
        }
        self.places[place] = (list.len() as u32, upper);
        self.taken += 1;
        list.push(instruction);
        list.len() - 1
    }

    fn grow(&mut self, list: &[Instruction]) {
        let old = std::mem::replace(self, Known::with_capacity((2 * self.taken).max(32)));
        let mask = self.places.len() - 1;
        for (k, upper) in old.places.into_iter().filter(|&(k, _)| k != FREE) {
            let mut place = list[k as usize].mixed() as usize & mask;
            while self.places[place].0 != FREE {
                place = (place + 1) & mask;
            }
            self.places[place] = (k, upper);
        }
        self.taken = old.taken;
    }
}
