//! When a value is used next: what says how long it stays in a register, and whether it ever goes to memory.

use super::super::code::Step;
use super::super::repeats::Repeat;
use super::formula::operands;
use crate::rule::MAX_OPERANDS;

/// The value is not used again: its place is written before, or nobody needs it.
pub(super) const NEVER: u32 = u32::MAX;
/// It is not used again in its piece, but perhaps behind it.
pub(super) const AT_END: u32 = u32::MAX - 1;

/// The numbers of the steps that use next what a step reads, and what it makes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Uses {
    pub(super) operands: [u32; MAX_OPERANDS],
    pub(super) out: u32,
}

/// The next uses of all steps. At the end the `outputs` are needed; where there are none given, anything may be
/// needed behind every piece.
pub(super) fn uses(
    steps: &[Step],
    pieces: &[Repeat],
    outputs: Option<&[u32]>,
    size: usize,
) -> Vec<Uses> {
    // From the end to the beginning: the next use of each place.
    let mut next = vec![if outputs.is_some() { NEVER } else { AT_END }; size];
    outputs.unwrap_or(&[]).iter().for_each(|&place| next[place as usize] = AT_END);
    let mut uses = vec![Uses::default(); steps.len()];
    for piece in pieces.iter().rev() {
        let steps = &steps[piece.from..piece.to];
        let places = || steps.iter().flat_map(|s| operands(s).iter().chain([&s.out])).copied();
        let uses = &mut uses[piece.from..piece.to];
        if piece.times > 1 {
            // What the loop reads before it writes it is needed at its end, too.
            let after: Vec<u32> = places().map(|place| next[place as usize]).collect();
            walk(steps, &mut next, uses);
            let read: Vec<u32> = places().filter(|&place| next[place as usize] < AT_END).collect();
            places().zip(after).for_each(|(place, after)| next[place as usize] = after);
            read.iter().for_each(|&place| next[place as usize] = AT_END);
        }
        walk(steps, &mut next, uses);
        for place in places() {
            let next = &mut next[place as usize];
            if outputs.is_none() || *next < AT_END {
                *next = AT_END;
            }
        }
    }
    uses
}

/// Goes through the steps backward.
fn walk(steps: &[Step], next: &mut [u32], uses: &mut [Uses]) {
    for (i, (step, uses)) in steps.iter().zip(uses).enumerate().rev() {
        uses.out = std::mem::replace(&mut next[step.out as usize], NEVER);
        for (use_, &place) in uses.operands.iter_mut().zip(operands(step)) {
            *use_ = next[place as usize];
        }
        operands(step).iter().for_each(|&place| next[place as usize] = i as u32);
    }
}
