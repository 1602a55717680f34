//! Memory that is run. Those who run it say why that is sound.

use std::fmt::{self, Debug, Formatter};

use memmap2::{Mmap, MmapMut};

/// Code that can be run.
pub(crate) struct Executable(Mmap);

impl Executable {
    /// `None` where the system gives no such memory.
    pub(crate) fn new(code: &[u8]) -> Option<Self> {
        let mut memory = MmapMut::map_anon(code.len()).ok()?;
        memory.copy_from_slice(code);
        memory.make_exec().ok().map(Executable)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.len()
    }

    /// The address of the byte at a distance from the beginning.
    pub(crate) fn address(&self, distance: usize) -> *const u8 {
        self.0[distance..].as_ptr()
    }
}

impl Debug for Executable {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of machine code", self.bytes())
    }
}
