//! Running the code: the `unsafe` of it.
//!
//! A segment reads and writes whole vectors of its rows, and numbers that are fixed. So it is run on as many whole
//! vectors as there are elements for; the elements that are left over are copied to vectors of their own.

use smallvec::SmallVec;

use super::super::outgoing::Outgoing;
use super::super::plan::Place;
use super::encoder::FIXED;
use super::{Native, Segment};
use crate::Real;

/// A segment: a function of the addresses of its rows, of that of the fixed numbers, and of the first and the last byte
/// to do in every row.
type Entry = unsafe extern "sysv64" fn(*const *mut u8, *mut u8, usize, usize);

/// A chunk, and where its rows are.
pub(in crate::cluster) struct ChunkRows<'c, 'a, 'm, E> {
    /// The elements.
    pub(in crate::cluster) n: usize,
    pub(in crate::cluster) inputs: &'c [&'a [E]],
    /// The first element in the inputs.
    pub(in crate::cluster) start: usize,
    pub(in crate::cluster) outputs: &'c mut [Outgoing<'m, E>],
    /// The rows of the scratch memory, and their distance.
    pub(in crate::cluster) slots: &'c mut [E],
    pub(in crate::cluster) row: usize,
    /// As much as [`Native::extra`] says, after [`Native::prepare`].
    pub(in crate::cluster) extra: &'c mut [E],
}

impl Native {
    /// Runs a segment on a chunk.
    pub(in crate::cluster) fn run<E: Real>(&self, segment: u32, rows: ChunkRows<'_, '_, '_, E>) {
        let ChunkRows { n, inputs, start, outputs, slots, row, extra } = rows;
        let segment = &self.segments[segment as usize];
        let width = self.form.bytes() / size_of::<E>();
        let (whole, bytes) = (n / width * width, size_of::<E>());
        assert_eq!(bytes == 8, self.form.double, "what the code was made for");
        assert!(n <= row && row.is_multiple_of(width), "rows are whole vectors");
        let (fixed, tails) = extra.split_at_mut(self.fixed.len() * FIXED / bytes);
        let slots_len = slots.len();
        let (slots, fixed) = (slots.as_mut_ptr(), fixed.as_mut_ptr().cast());
        let mut addresses: SmallVec<[*mut u8; 16]> = SmallVec::new();
        for piece in &segment.rows {
            let address = match piece.place {
                Place::Input(k) => inputs[k as usize][start..start + n].as_ptr().cast_mut(),
                Place::Output(k) => outputs[k as usize].chunk_mut(n).as_mut_ptr(),
                Place::Slot(k) => {
                    let first = k as usize * row;
                    assert!(first + row <= slots_len, "a row of the scratch memory");
                    slots.wrapping_add(first)
                }
            };
            addresses.push(address.cast());
        }
        if whole > 0 {
            // SAFETY: the addresses are those of `whole` elements at least, which are as many bytes as the code is to do
            // in each of its rows; those that it writes are borrowed mutably, no two of them are the same memory,
            // and `fixed` has a vector for each number that is fixed.
            unsafe { self.enter(segment, &addresses, fixed, 0..whole * bytes) };
        }
        if whole == n {
            return;
        }
        let mut vectors = tails.chunks_exact_mut(FIXED / bytes);
        for (piece, address) in segment.rows.iter().zip(&mut addresses) {
            let rest = match piece.place {
                Place::Input(k) => &inputs[k as usize][start + whole..start + n],
                Place::Output(k) => &outputs[k as usize].chunk(n)[whole..],
                Place::Slot(_) => continue,
            };
            let vector = vectors.next().expect("a vector for each row of a segment");
            vector[..rest.len()].copy_from_slice(rest);
            *address = vector.as_mut_ptr().wrapping_sub(whole).cast();
        }
        let end = (whole + width) * bytes;
        // SAFETY: as above; now the code is to do the one vector behind the whole ones. Rows of the scratch memory have
        // it, because they are whole vectors and longer than `whole`; in the place of others it finds the vectors of
        // `tails`.
        unsafe { self.enter(segment, &addresses, fixed, whole * bytes..end) };
        let mut vectors = tails.chunks_exact(FIXED / bytes);
        for piece in segment.rows.iter().filter(|piece| !matches!(piece.place, Place::Slot(_))) {
            let vector = vectors.next().expect("as many as before");
            if let (Place::Output(k), true) = (piece.place, piece.written) {
                outputs[k as usize].chunk_mut(n)[whole..].copy_from_slice(&vector[..n - whole]);
            }
        }
    }

    /// Runs the code of a segment on some bytes of its rows.
    ///
    /// # Safety
    /// There are as many addresses as rows. Those bytes are whole vectors, at least one, and behind every address
    /// is memory for them that may be read, and if the segment writes the row, written; no other row is the same memory then.
    /// Behind `fixed` there is a vector for each number that is fixed.
    unsafe fn enter(
        &self,
        segment: &Segment,
        addresses: &[*mut u8],
        fixed: *mut u8,
        bytes: std::ops::Range<usize>,
    ) {
        let entry = self.code.address(segment.entry);
        // SAFETY: a segment begins there, and this is how it was written: a function of these arguments in the
        // convention of System V, which keeps the registers that it must and writes to nothing but the memory that it
        // is given. The processor has the instructions: the form was chosen by them.
        unsafe {
            let run = std::mem::transmute::<*const u8, Entry>(entry);
            run(addresses.as_ptr(), fixed, bytes.start, bytes.end);
        }
    }
}
