//! Inputs that are repeated along some axes.

use smallvec::SmallVec;

use crate::shape::MAX_RANK;
use crate::{Real, Shape, Tensor};

/// An input that is repeated along some axes of a larger shape.
pub(crate) struct Repetition<'a, E: Real> {
    data: &'a [E],
    strides: SmallVec<[usize; 4]>,
    period: Option<usize>,
}

impl<'a, E: Real> Repetition<'a, E> {
    pub(crate) fn new(input: &'a Tensor<E>, target: &Shape) -> Self {
        let strides = input.shape().strides_within(target);
        // Read from the last axis on as long as the input goes along; before, all must repeat.
        let mut period = 1;
        let mut rest = strides.iter().zip(target.iter()).rev().skip_while(|&(&stride, &length)| {
            let along = length == 1 || stride == period;
            period *= if along { length } else { 1 };
            along
        });
        let repeats = rest.all(|(&stride, &length)| stride == 0 || length == 1);
        Repetition { data: input.as_slice(), period: repeats.then_some(period), strides }
    }

    /// After how many elements all comes again, if only axes at the beginning are repeated.
    pub(super) fn period(&self) -> Option<usize> {
        self.period
    }

    /// Fills `out` with the elements from `start` on of the input repeated to `target`.
    pub(crate) fn read(&self, target: &Shape, start: usize, out: &mut [E]) {
        let rank = target.rank();
        let last = rank.saturating_sub(1);
        let (width, step) = if rank == 0 { (1, 0) } else { (target[last], self.strides[last]) };
        let (mut row, mut column) = (start / width, start % width);
        let mut index = [0usize; MAX_RANK];
        let mut offset = 0;
        for k in (0..last).rev() {
            index[k] = row % target[k];
            offset += index[k] * self.strides[k];
            row /= target[k];
        }
        let mut rest = out;
        while !rest.is_empty() {
            let (run, others) = rest.split_at_mut((width - column).min(rest.len()));
            match step {
                0 => run.fill(self.data[offset]),
                _ => run.copy_from_slice(&self.data[offset + column * step..][..run.len()]),
            }
            column = 0;
            for k in (0..last).rev() {
                index[k] += 1;
                offset += self.strides[k];
                if index[k] < target[k] {
                    break;
                }
                offset -= self.strides[k] * target[k];
                index[k] = 0;
            }
            rest = others;
        }
    }
}
