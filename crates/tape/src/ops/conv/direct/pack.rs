//! Putting the small operands of a convolution in the order in which they are read.

use super::Geometry;
use crate::Real;
use crate::recycle::Room;

/// Weights as `[group][block of filters][element of the window of all channels][filter]`.
pub(super) fn pack_filters<E: Real>(at: &Geometry, weight: &[E], lanes: usize) -> Room<E> {
    let (taps, blocks) = (at.taps(), at.filters.div_ceil(lanes));
    let mut packed = Room::new(at.groups * blocks * taps * lanes);
    for (k, block) in packed.chunks_exact_mut(taps * lanes).enumerate() {
        let (group, first) = (k / blocks, k % blocks * lanes);
        for lane in 0..lanes {
            let column = block[lane..].iter_mut().step_by(lanes);
            if first + lane < at.filters {
                let row = &weight[(group * at.filters + first + lane) * taps..][..taps];
                column.zip(row).for_each(|(to, &from)| *to = from);
            } else {
                column.for_each(|to| *to = E::ZERO);
            }
        }
    }
    packed
}

/// Weights as `[group][block of channels][element of the window][filter][channel]`.
pub(super) fn pack_transposed<E: Real>(at: &Geometry, weight: &[E], lanes: usize) -> Room<E> {
    let (window, blocks) = (at.window_len(), at.depth.div_ceil(lanes));
    let mut packed = Room::new(at.groups * blocks * window * at.filters * lanes);
    for (k, row) in packed.chunks_exact_mut(lanes).enumerate() {
        let (filter, k) = (k % at.filters, k / at.filters);
        let (element, k) = (k % window, k / window);
        let (group, first) = (k / blocks, k % blocks * lanes);
        let of_filter = &weight[(group * at.filters + filter) * at.taps()..][..at.taps()];
        for (lane, to) in row.iter_mut().enumerate() {
            let channel = first + lane;
            *to = if channel < at.depth { of_filter[channel * window + element] } else { E::ZERO };
        }
    }
    packed
}

/// The cotangents of the filters of one group as `[block of filters][place][filter]`; lanes without a filter
/// are left as they are.
#[inline(always)]
pub(super) fn pack_cotangent<E: Real, const LANES: usize>(
    g: &[E],
    filters: usize,
    places: usize,
    packed: &mut [E],
) {
    for (k, block) in packed.chunks_exact_mut(places * LANES).enumerate() {
        let count = LANES.min(filters - k * LANES);
        let g = &g[k * LANES * places..][..count * places];
        transpose((g, places), (count, places), (block, LANES), false);
    }
}

/// Adds the transpose of a matrix of so many rows and columns to another one, or puts it there:
/// `to[j * to_step + i] = from[i * from_step + j]`.
#[inline(always)]
pub(super) fn transpose<E: Real>(
    (from, from_step): (&[E], usize),
    (rows, columns): (usize, usize),
    (to, to_step): (&mut [E], usize),
    add: bool,
) {
    #[cfg(target_arch = "x86_64")]
    if const { size_of::<E>() == 4 }
        && super::avx512::transpose((from, from_step), (rows, columns), (to, to_step), add)
    {
        return;
    }
    for j in 0..columns {
        let column = from[j..].iter().step_by(from_step);
        let row = to[j * to_step..][..rows].iter_mut();
        if add {
            row.zip(column).for_each(|(to, &from)| *to += from);
        } else {
            row.zip(column).for_each(|(to, &from)| *to = from);
        }
    }
}
