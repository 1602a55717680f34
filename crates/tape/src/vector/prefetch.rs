//! Asking the processor for memory before it is read.
//!
//! The processor itself fetches ahead where a loop walks through memory. It does not see that a loop over one chunk will go on
//! with the next chunk after twenty loops over rows that are in the cache.

/// The bytes of a line of the cache.
pub(crate) const LINE: usize = 64;

/// Asks for the lines of `data`, as far as the processor has an instruction for it.
#[inline(always)]
pub(crate) fn prefetch<E>(data: &[E]) {
    for first in data.iter().step_by(LINE / size_of::<E>()) {
        prefetch_at(first);
    }
}

/// Asks for the line of an address, which need not be one of anything.
#[inline(always)]
pub(crate) fn prefetch_at<T>(address: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every x86-64 processor has the instruction. It is a hint, which reads nothing that the program can
        // see, and does nothing where there is no memory.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = address;
}
