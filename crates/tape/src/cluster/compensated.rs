//! Sums of many parts.

use crate::Real;

/// A sum with what its rounding has lost (Knuth's two-sum).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compensated<E> {
    sum: E,
    lost: E,
}

impl<E: Real> Compensated<E> {
    /// The sum of nothing.
    pub(super) fn zero() -> Self {
        Compensated { sum: E::ZERO, lost: E::ZERO }
    }

    /// The `k`th one of a slice that holds pairs.
    pub(super) fn at(pairs: &[E], k: usize) -> Self {
        Compensated { sum: pairs[2 * k], lost: pairs[2 * k + 1] }
    }

    /// Writes the `k`th pair of a slice.
    pub(super) fn put(self, pairs: &mut [E], k: usize) {
        pairs[2 * k] = self.sum;
        pairs[2 * k + 1] = self.lost;
    }

    /// The sum of some numbers.
    pub(crate) fn of(terms: &[E]) -> E {
        let mut sum = Compensated::zero();
        terms.iter().for_each(|&term| sum.add(term));
        sum.value()
    }

    /// Adds a number.
    pub(super) fn add(&mut self, x: E) {
        let sum = self.sum + x;
        let part = sum - self.sum;
        self.lost += (self.sum - (sum - part)) + (x - part);
        self.sum = sum;
    }

    /// Adds another sum.
    pub(super) fn merge(&mut self, other: Self) {
        self.add(other.sum);
        self.lost += other.lost;
    }

    /// The sum, rounded.
    pub(super) fn value(self) -> E {
        // Where the sum has become infinite, what was lost is no number.
        if self.sum.is_finite() { self.sum + self.lost } else { self.sum }
    }
}
