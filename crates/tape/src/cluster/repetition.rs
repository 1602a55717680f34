//! Inputs that are repeated along some axes.

use smallvec::SmallVec;

use crate::ops::index::{Rows, with_width};
use crate::ops::rows::vectorised;
use crate::shape::MAX_RANK;
use crate::{Real, Shape, Tensor};

/// An input that is repeated along some axes of a larger shape, or rows of a tensor by index.
pub(crate) struct Repetition<'a, E: Real> {
    data: &'a [E],
    strides: SmallVec<[usize; 4]>,
    period: Option<usize>,
    rows: Option<&'a Rows>,
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
        let period = repeats.then_some(period);
        Repetition { data: input.as_slice(), period, strides, rows: None }
    }

    /// Rows of `table`, one behind the other.
    pub(super) fn of_rows(table: &'a Tensor<E>, rows: &'a Rows) -> Self {
        let (data, strides) = (table.as_slice(), SmallVec::new());
        Repetition { data, strides, period: None, rows: Some(rows) }
    }

    /// Whether it is rows of a tensor.
    pub(super) fn is_by_index(&self) -> bool {
        self.rows.is_some()
    }

    /// Chunks had better be made of so many elements.
    pub(super) fn unit(&self) -> Option<usize> {
        self.rows.map_or(self.period, |rows| Some(rows.width))
    }

    /// After how many elements all comes again, if only axes at the beginning are repeated.
    pub(super) fn period(&self) -> Option<usize> {
        self.period
    }

    /// Fills `out` with the elements from `start` on of the input repeated to `target`.
    pub(crate) fn read(&self, target: &Shape, start: usize, out: &mut [E]) {
        if let Some(rows) = self.rows {
            return rows.read(self.data, start, out);
        }
        // Short runs, many of them: the way to the best level is gone once.
        vectorised(
            #[inline(always)]
            move || self.repeat(target, start, out),
        );
    }

    #[inline(always)]
    fn repeat(&self, target: &Shape, start: usize, out: &mut [E]) {
        let rank = target.rank();
        let last = rank.saturating_sub(1);
        let (width, step) = if rank == 0 { (1, 0) } else { (target[last], self.strides[last]) };
        let (mut row, mut column) = (start / width, start % width);
        let each_in_its_row = step == 0 && self.data.len() * width == target.elements();
        if each_in_its_row && column == 0 && out.len().is_multiple_of(width) {
            return with_width!(width, self.spread(row, width, out));
        }
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

    /// Fills rows, each with one of the elements from number `first` on.
    #[inline(always)]
    fn spread<const WIDTH: usize>(&self, first: usize, width: usize, out: &mut [E]) {
        let width = if WIDTH > 0 { WIDTH } else { width };
        let rows = out.chunks_exact_mut(width).zip(&self.data[first..]);
        rows.for_each(|(row, &x)| row.fill(x));
    }
}
