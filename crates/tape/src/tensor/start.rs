//! Where in its buffer a tensor begins, and what is known of its elements.

/// The number of the first element, and whether all elements of the tensor are known to be finite: in one word, since
/// there is one for every node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start(usize);

impl Start {
    /// The first element of the buffer; nothing is known.
    pub(super) const ZERO: Start = Start::at(0);

    /// The element number `first`; nothing is known.
    pub(super) const fn at(first: usize) -> Start {
        Start(first << 1)
    }

    /// The number of the first element.
    #[inline]
    pub(super) fn first(self) -> usize {
        self.0 >> 1
    }

    /// As many elements behind: what is known of all is known of those behind them.
    pub(super) fn behind(self, elements: usize) -> Start {
        Start(self.0 + (elements << 1))
    }

    /// Whether all elements are known to be finite.
    #[inline]
    pub(super) fn is_known_finite(self) -> bool {
        self.0 & 1 == 1
    }

    /// The same place, where this is known, or not.
    #[inline]
    pub(super) fn known_finite(self, known: bool) -> Start {
        Start(self.0 & !1 | usize::from(known))
    }
}
