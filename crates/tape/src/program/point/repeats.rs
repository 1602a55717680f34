//! Lists of steps that repeat themselves.
//!
//! A loop in time is recorded step after step. The slots of its values come from a list that a step of the loop
//! leaves in another order than it has found it, but after some of them it is as it was: from there on the steps
//! are the same, with the same slots. They are kept once.

use super::code::Step;

/// Steps `from..to`, so many times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Repeat {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) times: usize,
}

/// Lists below this length are left as they are: they are in the cache anyway.
const SHORTEST: usize = 1 << 10;
/// Longer periods are not looked for.
const LONGEST_PERIOD: usize = 1 << 14;
/// So many steps must be the same for a period to be tried.
const PROBE: usize = 16;

/// The steps as repeated pieces; what is repeated is removed from the list.
pub(super) fn repeats(steps: &mut Vec<Step>) -> Vec<Repeat> {
    let mut stretches = Vec::new();
    find(steps, 0, steps.len(), &mut stretches);
    let (mut kept, mut pieces) = (Vec::with_capacity(steps.len()), Vec::new());
    let mut keep = |from: usize, to: usize, times: usize| {
        let start = kept.len();
        kept.extend_from_slice(&steps[from..to]);
        pieces.push(Repeat { from: start, to: kept.len(), times });
    };
    let mut done = 0;
    for (from, period, times) in stretches {
        keep(done, from, 1);
        keep(from, from + period, times);
        done = from + period * times;
    }
    keep(done, steps.len(), 1);
    if kept.len() < steps.len() {
        kept.shrink_to_fit();
    }
    *steps = kept;
    pieces.retain(|piece| piece.from < piece.to);
    pieces
}

/// Appends the stretches within `from..to`, in their order, as (first step, period, times).
fn find(steps: &[Step], from: usize, to: usize, found: &mut Vec<(usize, usize, usize)>) {
    if to - from < SHORTEST {
        return;
    }
    // A stretch that is longer than half of the list goes over the middle.
    let middle = from + (to - from) / 2;
    let probe = &steps[middle..middle + PROBE];
    let longest = LONGEST_PERIOD.min(middle - from);
    let period = (1..=longest).find(|&period| &steps[middle - period..][..PROBE] == probe);
    let Some(period) = period else { return };
    let same = |i: &usize| steps[*i] == steps[*i + period];
    let first = (from..middle).rev().take_while(same).last().unwrap_or(middle);
    let last = (middle..to - period).take_while(same).last().map_or(middle, |i| i + 1) + period;
    let times = (last - first) / period;
    find(steps, from, first, found);
    if times > 1 {
        found.push((first, period, times));
    }
    find(steps, first + period * times, to, found);
}

#[cfg(test)]
mod tests {
    use super::super::code::Action;
    use super::*;

    fn step(k: usize) -> Step {
        Step { action: Action(0), uniform: false, out: k as u32, operands: [0; 4] }
    }

    fn unrolled(steps: &[Step], pieces: &[Repeat]) -> Vec<Step> {
        let piece = |p: &Repeat| steps[p.from..p.to].repeat(p.times);
        pieces.iter().flat_map(piece).collect()
    }

    #[test]
    fn what_is_run_is_what_was_there() {
        let lists: [(Vec<usize>, usize); 5] = [
            ((0..5000).collect(), 5000),
            ((0..5000).map(|k| k % 70).collect(), 200),
            // A beginning, a loop whose last turn breaks off, and another loop.
            (
                (0..30)
                    .chain((0..4000).map(|k| 100 + k % 37))
                    .chain((0..3001).map(|k| k % 50))
                    .collect(),
                300,
            ),
            (vec![7; 5000], 20),
            (vec![], 0),
        ];
        for (list, most) in lists {
            let all: Vec<Step> = list.iter().map(|&k| step(k)).collect();
            let mut kept = all.clone();
            let pieces = repeats(&mut kept);
            assert_eq!(unrolled(&kept, &pieces), all);
            assert!(kept.len() <= most, "{} of {}", kept.len(), all.len());
        }
    }
}
