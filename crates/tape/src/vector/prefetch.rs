//! Asking the processor for memory before it is read, and writing what is read long after.
//!
//! The processor itself fetches ahead where a loop walks through memory. It does not see that a loop over one chunk will go on
//! with the next chunk after twenty loops over rows that are in the cache.

use crate::Real;

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

/// As [`prefetch_at`], for what will be written: no other processor has the line then.
#[inline(always)]
pub(crate) fn prefetch_to_write<T>(address: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        // SAFETY: a hint, as above; a processor that does not know it takes it for one that does nothing.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(address.cast()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = address;
}

/// From how many bytes on [`resize`] writes past the caches: more than most have for one core.
const PAST_CACHES: usize = 16 << 20;

/// As [`Vec::resize`] of an empty vector. What is larger than the caches is written straight to memory: else the processor would
/// first read what is there, and throw out what was recorded last, which a sweep reads first.
pub(crate) fn resize<E: Real>(vector: &mut Vec<E>, len: usize, value: E) {
    vector.clear();
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if size_of::<E>() == 8 && len >= PAST_CACHES / 8 {
        use std::arch::x86_64::{_mm_sfence, _mm_stream_si64};
        vector.reserve_exact(len);
        for slot in &mut vector.spare_capacity_mut()[..len] {
            // SAFETY: every x86-64 processor has the instruction, and the slot is eight bytes, as said above.
            unsafe { _mm_stream_si64(slot.as_mut_ptr().cast(), value.bits() as i64) };
        }
        // SAFETY: all `len` elements are written, with the bits of a number, and the fence orders these stores
        // before whatever comes.
        unsafe {
            _mm_sfence();
            vector.set_len(len);
        }
    }
    vector.resize(len, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_short_vectors_are_filled() {
        let mut vector = vec![3.0; 5];
        for len in [0, 7, PAST_CACHES / 8 - 1, PAST_CACHES / 8 + 3, 11] {
            resize(&mut vector, len, -0.0);
            assert!(vector.len() == len && vector.iter().all(|x| x.bits() == (-0.0f64).bits()));
            vector.fill(1.0);
        }
        let mut vector = vec![3.0f32; 5];
        resize(&mut vector, PAST_CACHES / 4, 2.0);
        assert!(vector.len() == PAST_CACHES / 4 && vector.iter().all(|&x| x == 2.0));
    }
}
