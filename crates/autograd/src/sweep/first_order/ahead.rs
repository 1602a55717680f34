//! What a sweep computes in one pass for several kernels: it looks ahead for those that it comes to next.

use smallvec::SmallVec;
use tape::engine::{Asked, Cotangent, NodeId};
use tape::{Real, TensorVar};

use super::{FirstOrder, is_needed, lend};

/// How many nodes a sweep looks ahead for kernels whose cotangents are complete.
const AHEAD: u32 = 16;

impl<E: Real> FirstOrder<'_, E> {
    /// Computes what the kernel of `first` reads, in one pass over the data with what the next kernels will
    /// read, as far as all has flowed there, and with the value of the result.
    pub(super) fn compute_for_kernels(&mut self, first: u32) {
        let recording = self.recording;
        let at = recording.tensor_info(first).at;
        let mut sums: SmallVec<[(u32, Cotangent<E>); 16]> = SmallVec::new();
        let mut refused: SmallVec<[(u32, TensorVar<E>); 4]> = SmallVec::new();
        let list = |asked: &mut Asked<'_, E>| {
            if let NodeId::Tensor(t) = self.out {
                asked.push(recording.tensor(t));
            }
            // What the nodes passed by will hand something to.
            let mut open: SmallVec<[u32; 16]> = SmallVec::new();
            let mut next = first + 1;
            while next > 0 && next + AHEAD > first {
                let info = recording.tensor_info(next - 1);
                let group = info.first..info.first + info.group;
                next = info.first;
                if info.leaf || !info.active {
                    continue;
                }
                // Elementwise nodes hand over pending work, which is not there yet; and so do scalars.
                let complete = info.at == at && !open.iter().any(|t| group.contains(t));
                if !complete || !recording.has_kernel(info.first) {
                    break;
                }
                for t in group {
                    if let Some(Cotangent::Recorded(g)) = self.tensors[t as usize]
                        && !self.push_piece(asked, t, g, &open)
                    {
                        asked.push(g);
                    }
                }
                recording.for_each_operand(NodeId::Tensor(info.first), |operand| {
                    if let NodeId::Tensor(t) = operand {
                        open.push(t);
                    }
                });
            }
        };
        recording.compute_pieces(list, |t, sum| sums.push((t, sum)), |t, g| refused.push((t, g)));
        for (t, sum) in sums.drain(..) {
            self.accumulate(t, sum);
        }
        for (t, g) in refused {
            self.tensors[t as usize] = Some(Cotangent::Recorded(g));
        }
    }

    /// Where `g`, what has flowed to `t`, a piece of another tensor, is used up by that, has it added there
    /// while it is computed.
    fn push_piece(
        &mut self,
        asked: &mut Asked<'_, E>,
        t: u32,
        g: TensorVar<E>,
        open: &[u32],
    ) -> bool {
        if self.watched || self.is_asked(t) {
            return false;
        }
        let (recording, needs, slots) = (self.recording, self.needs.as_ref(), &mut self.tensors);
        let is_piece = asked.push_piece(g, t, open, |whole| {
            is_needed(recording, needs, NodeId::Tensor(whole))
                .then(|| lend(recording, slots, whole))
        });
        if is_piece {
            slots[t as usize] = None;
        }
        is_piece
    }
}
