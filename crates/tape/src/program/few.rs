//! Running a program at few points at once: such as the directions that tangents are asked for in.
//!
//! The steps are those of one point ([`point`](super::point)), and every slot holds a number for each of
//! `LANES` points. What does not differ from point to point is in all of them. When tangents in several directions are
//! asked for, that is all of the function itself: it is done once, and its derivatives are applied to a vector.

use super::body::{Body, Source};
use super::passes::Renumbering;
use super::point::{Lane, LaneCode};
use crate::Real;

/// The program for inputs that differ from point to point, or do not. It must be in primitives only; `machine_code` says
/// whether it is to be machine code if this machine has it.
pub(super) fn few_code<E: Real>(
    body: &Body<E>,
    differs: &[bool],
    machine_code: bool,
) -> LaneCode<E> {
    LaneCode::new(&interleaved(body, differs), differs, machine_code)
}

/// The outputs at up to `LANES` points, and at least one. A column has an element for each point or one for all.
pub(super) fn run_few<E: Real>(
    code: &LaneCode<E>,
    columns: &[&[E]],
    points: usize,
) -> Vec<Lane<E>> {
    // Behind the last point there is the last one again, and nobody looks at it.
    let lane = |column: &&[E]| {
        Lane(std::array::from_fn(|i| column[i.min(points - 1).min(column.len() - 1)]))
    };
    code.run(columns.iter().map(lane))
}

/// The list in another order: an instruction that differs from point to point stands directly behind the last
/// one that does not and that it needs.
///
/// A forward pass is recorded behind the whole function. In this order a value is used soon, so that few slots
/// are needed; and a loop in time, one step after the other, is a list that repeats itself.
fn interleaved<E: Real>(body: &Body<E>, differs: &[bool]) -> Body<E> {
    let n = body.instructions.len();
    let (mut differing, mut keys) = (vec![false; n], vec![0u32; n]);
    for (i, instruction) in body.instructions.iter().enumerate() {
        let mut latest = 0;
        for operand in body.operands(instruction) {
            differing[i] |= match operand.source() {
                Source::Value(v) => {
                    latest = latest.max(keys[v as usize]);
                    differing[v as usize]
                }
                Source::Input(k) => differs[k as usize],
                Source::Constant(_) => false,
            };
        }
        keys[i] = if differing[i] { latest } else { i as u32 };
    }
    let mut order: Vec<u32> = (0..n as u32).collect();
    // In the order that they had where the keys are equal: operands come first.
    order.sort_by_key(|&i| keys[i as usize]);
    let mut list = Renumbering::new(body);
    for i in order {
        list.keep(i as usize, &body.instructions[i as usize]);
    }
    list.finish()
}
