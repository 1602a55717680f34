//! Loops at the width of the processor's vectors.

/// Runs `f`, a loop over slices, in code for the widest vectors that the processor at hand has.
///
/// Only what is inlined into `f` is compiled so: write `vectorised(#[inline(always)] move || ...)`. Without
/// `move`, even constants would be behind references, and the loop would ask of each whether the slices
/// overlap it.
///
/// The numbers are the same on every processor, because each element goes through the same operations, each
/// rounded by itself.
#[inline(always)]
pub(crate) fn vectorised<R>(f: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(f)
}
