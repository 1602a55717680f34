//! Tables of places in memory.

use std::ops::Range;

use crate::Real;
use crate::recycle::Recycled;

/// Places in memory, ascending.
pub(super) struct Table<E: Real>(Recycled<E, usize>);

impl<E: Real> Table<E> {
    /// # Panics
    /// If the places do not ascend.
    pub(super) fn new(places: impl Iterator<Item = usize>) -> Self {
        let mut table = Recycled::empty();
        table.extend(places);
        assert!(table.is_sorted(), "the places of a table ascend");
        Table(table)
    }

    pub(super) fn offsets(&self) -> Offsets<'_> {
        Offsets { base: 0, at: &self.0 }
    }
}

/// Places of a [`Table`], relative to a first one.
#[derive(Clone, Copy)]
pub(super) struct Offsets<'a> {
    base: usize,
    /// Ascending: the last one is the largest.
    at: &'a [usize],
}

impl<'a> Offsets<'a> {
    pub(super) fn len(self) -> usize {
        self.at.len()
    }

    /// As many places as it takes to hold the last one.
    #[inline(always)]
    pub(super) fn span(self) -> usize {
        self.at.last().map_or(0, |last| self.base + last + 1)
    }

    #[inline(always)]
    pub(super) fn get(self, k: usize) -> usize {
        self.base + self.at[k]
    }

    /// The places without their base.
    pub(super) fn iter(self) -> impl Iterator<Item = usize> + use<'a> {
        self.at.iter().map(move |at| self.base + at)
    }

    /// All of them, so much farther.
    #[inline(always)]
    pub(super) fn moved(self, by: usize) -> Self {
        Offsets { base: self.base + by, ..self }
    }

    /// A part of them.
    #[inline(always)]
    pub(super) fn part(self, range: Range<usize>) -> Self {
        Offsets { at: &self.at[range], ..self }
    }

    /// Stretches of at most so many.
    #[inline(always)]
    pub(super) fn chunks(self, length: usize) -> impl Iterator<Item = Self> + use<'a> {
        self.at.chunks(length).map(move |at| Offsets { at, ..self })
    }
}
