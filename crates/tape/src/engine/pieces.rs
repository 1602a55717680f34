//! Cotangents of pieces of tensors: what is added to the cotangent of the whole while it is computed.

use smallvec::SmallVec;

use super::{Cotangent, Recording};
use crate::cluster::{self, Deposit, Deposits, Place, Sum};
use crate::inner::Kind;
use crate::kernel_rule::Piece;
use crate::{Real, Tensor, TensorVar, recycle, threads};

/// From this many elements on, to compute rows on several threads gains more than to write them and to read them again takes.
const MANY: usize = 1 << 19;

/// What is asked for together; see [`Recording::compute_pieces`].
pub struct Asked<'a, E: Real> {
    recording: &'a Recording<E>,
    targets: &'a mut Vec<u32>,
    deposits: &'a mut Deposits<E>,
    /// The tensors of which rows were asked for.
    of_rows: SmallVec<[u32; 16]>,
}

impl<E: Real> Asked<'_, E> {
    /// Asks for a tensor.
    pub fn push(&mut self, g: TensorVar<E>) {
        if self.recording.tensor_id(g).is_some() {
            self.targets.push(g.index);
        }
    }

    /// Asks that `g` be added to what has flowed to another tensor, if it is the cotangent of `t`, a piece of that, as
    /// [`VjpKernel::piece`](crate::VjpKernel::piece) says, and of nothing else. Kernels that were asked for before
    /// will hand something to the tensors `open`. `lend` is given the other tensor and says whether anything may flow
    /// there, and gives the numbers that have, if the sweep owns them. Says whether `g` will be added, unless it turns out
    /// that somebody else needs it as a tensor; the kernel of `t` has nothing to do then.
    ///
    /// # Panics
    /// If the piece is not within the other tensor.
    pub fn push_piece(
        &mut self,
        g: TensorVar<E>,
        t: u32,
        open: &[u32],
        lend: impl FnOnce(u32) -> Option<Option<Tensor<E>>>,
    ) -> bool {
        let Some((whole, piece, shared)) = self.recording.piece(t, g) else { return false };
        // Rows are added on one thread, and not where there are several and much work to share: then the kernel
        // adds them. The order of all additions is the same in either case, and so are the bits: there is nothing of the same
        // tensor before the rows, and what comes behind them waits for its kernel.
        let refused = match piece {
            Piece::Stretch(_) => self.of_rows.contains(&whole),
            Piece::Rows { .. } if open.contains(&whole) => true,
            Piece::Rows { .. } => {
                self.of_rows.push(whole);
                threads::available() > 1 && self.recording.tensor(t).shape().elements() >= MANY
            }
        };
        if refused {
            return false;
        }
        let known = self.deposits.sums.iter().position(|sum| sum.node == whole);
        let sum = match known {
            Some(sum) => sum,
            None => {
                let Some(lent) = lend(whole) else { return false };
                let fresh = lent.is_none();
                let tensor = lent.unwrap_or_else(|| self.recording.uninitialised_as(whole));
                self.deposits.sums.push(Sum { node: whole, tensor, fresh });
                self.deposits.sums.len() - 1
            }
        };
        let (sum, place) = (sum as u32, Place::Piece(piece));
        self.deposits.values.push(Deposit { node: g.index, piece: t, sum, place, shared });
        true
    }
}

impl<E: Real> Recording<E> {
    /// If `g` is pending work, the cotangent of `t`, a piece of another tensor, and of nothing else: that tensor, where the
    /// piece is, and whether other nodes were made of `g`.
    fn piece(&self, t: u32, g: TensorVar<E>) -> Option<(u32, Piece, bool)> {
        let (op, whole, input, output, shared) = {
            let lane = self.inner.tensors.borrow();
            let node = &lane.nodes[t as usize];
            let Kind::Output { call } = node.kind else { return None };
            let record = &lane.calls[call as usize];
            let ([whole], 1) = (&record.inputs[..], record.outputs) else { return None };
            let g = &lane.nodes[self.on_tail(g)? as usize];
            let is_pending = g.value.is_none() && matches!(g.kind, Kind::Elementwise { .. });
            if !is_pending || g.held || g.shape != node.shape {
                return None;
            }
            let input = lane.nodes[*whole as usize].shape.clone();
            (lane.op(call), *whole, input, node.shape.clone(), g.uses > 0)
        };
        let piece = op.kernel()?.piece(&input)?;
        assert!(
            piece.fits(&input, &output),
            "{}: its kernel says that its output of shape {output} is a piece of its input of shape {input} that \
             is not there: {piece:?}",
            op.name()
        );
        Some((whole, piece, shared))
    }

    /// Memory for a tensor of the shape of `t`, whose pieces are most likely read when it is written.
    fn uninitialised_as(&self, t: u32) -> Tensor<E> {
        let node = &self.inner.tensors.borrow().nodes[t as usize];
        match &node.value {
            Some(value) => Tensor::uninitialised_beside(node.shape.clone(), value),
            None => Tensor::uninitialised(node.shape.clone()),
        }
    }

    /// Computes the tensors that `list` asks for, those of one shape in one pass over the data, and adds pieces to
    /// the sums that they belong to. Hands over these, (tensor, what has flowed to it), and the pieces that were not added
    /// but computed, because more than this pass needs their cotangents: (piece, cotangent).
    pub fn compute_pieces(
        &self,
        list: impl FnOnce(&mut Asked<'_, E>),
        mut sink: impl FnMut(u32, Cotangent<E>),
        mut refused: impl FnMut(u32, TensorVar<E>),
    ) {
        let mut deposits = Deposits::default();
        let ask = |targets: &mut _, deposits: &mut _| {
            let of_rows = SmallVec::new();
            list(&mut Asked { recording: self, targets, deposits, of_rows });
        };
        cluster::force_and_deposit(&self.inner, ask, &mut deposits);
        for deposit in &deposits.values {
            self.free(self.tensor(deposit.node));
        }
        for deposit in &deposits.refused {
            refused(deposit.piece, self.tensor(deposit.node));
        }
        for Sum { node, tensor, fresh } in deposits.sums.drain(..) {
            match fresh {
                true => recycle::give(tensor.into_buffer()),
                false => sink(node, Cotangent::Owned(tensor)),
            }
        }
    }
}
