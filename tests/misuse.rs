//! Misuse, each with a message that names the operation, the shapes and the user's own line.

#![allow(clippy::op_ref)] // Operators by reference are tested on purpose.

mod common;

use common::{panic_at, panic_message};
use wengert::autograd::Error;
use wengert::prelude::*;
use wengert::tape::{
    Attention, concat, multi_head_attention, scaled_dot_product_attention, stack, try_concat,
    try_multi_head_attention, try_scaled_dot_product_attention,
};

/// Checks the message and that the panic is at the line of the call.
macro_rules! misuse {
    ($call:expr, $($part:expr),+ $(,)?) => {{
        let line = line!();
        let (message, file, at) = panic_at(|| $call);
        for part in [$(&*$part.to_string()),+] {
            assert!(message.contains(part), "{part:?} is not in {message:?}");
        }
        assert!(file.ends_with("misuse.rs"), "the panic is at {file}:{at}: {message}");
        // A call of several lines has its operation on one of them.
        assert!((line..line + 9).contains(&at), "the panic is at line {at}, not {line}: {message}");
    }};
}

#[test]
fn shapes_that_do_not_fit() {
    let tape = Tape::new();
    let (x, w) = (tape.tensor(Tensor::zeros([32, 13])), tape.tensor(Tensor::zeros([10, 1])));
    misuse!(x.matmul(w), "matmul", "[32, 13]", "[10, 1]", "13 and 10", "misuse.rs");
    let (a, b) = (tape.tensor(Tensor::zeros([3, 4])), tape.tensor(Tensor::zeros([5])));
    misuse!(a + b, "add", "[3, 4]", "[5]", "misuse.rs");
    misuse!(a / b, "div", "[3, 4]", "[5]");
    misuse!(a.powf(b), "powf", "[3, 4]", "[5]");
    misuse!(a.mul_add(a, b), "mul_add", "[3, 4]", "[5]");
    misuse!(&a * &b, "mul", "[3, 4]", "[5]");
    misuse!(a.reshape([5, 5]), "reshape", "[3, 4]", "[5, 5]");
    misuse!(a.permute(&[0, 0]), "permute", "[3, 4]", "[0, 0]");
    misuse!(a.sum_axes(2), "sum", "axis 2", "[3, 4]");
    misuse!(a.mean_axes([0, -2]), "mean", "axis -2", "[3, 4]");
    misuse!(a.softmax(2), "softmax", "axis 2", "[3, 4]");
    misuse!(a.slice(1, 2..5), "slice", "2..5", "[3, 4]");
    misuse!(a.select(0, 3), "slice", "3..4", "[3, 4]");
    misuse!(a.squeeze(0), "squeeze", "[3, 4]");
    misuse!(a.unsqueeze(3), "unsqueeze", "[3, 4]");
    misuse!(a.broadcast_to([4, 3]), "broadcast_to", "[3, 4]", "[4, 3]");
    misuse!(a.mse_loss(b), "mse_loss", "[3, 4]", "[5]");
    misuse!(b.t(), "t:", "[5]");
    misuse!(concat(&[a, x], 0), "concat", "[3, 4]", "[32, 13]");
    misuse!(stack(&[a, b], 0), "stack", "[3, 4]", "[5]");
    misuse!(concat::<f64>(&[], 0), "concat", "no tensors");
    misuse!(a.sum().matmul(b), "matmul", "[]", "[5]");
    misuse!(tape.tensor(Tensor::zeros([0])).amax(), "amax", "[0]");
    misuse!(a.item(), "item", "[3, 4]");
    misuse!(a.to_scalar(), "to_scalar", "[3, 4]");
    misuse!(Tensor::new([2, 2], vec![1.0; 3]), "Tensor::new", "4 elements", "3");
    misuse!(Tensor::from([[1.0, 2.0]])[[1, 0]], "[1, 0]", "[1, 2]");
    misuse!(Tensor::<f64>::zeros([2]).reshape([3]), "reshape", "[2]", "[3]");
}

#[test]
fn convolutions_and_pools_that_do_not_fit() {
    let tape = Tape::new();
    let zeros = |shape: &[usize]| tape.tensor(Tensor::zeros(shape));
    let (x, w) = (zeros(&[2, 4, 5, 6]), zeros(&[6, 2, 3, 3]));
    let (plain, groups) = (Conv2d::new(), Conv2d::new().groups(2));
    misuse!(x.conv2d(w, None, plain), "conv2d", "4 channels", "2 in each of 1 groups", "misuse.rs");
    misuse!(x.conv2d(w, None, plain.groups(0)), "conv2d", "0 groups");
    misuse!(x.conv2d(w, None, groups.groups(usize::MAX)), "conv2d", "channels");
    misuse!(x.conv2d(zeros(&[5, 2, 3, 3]), None, groups), "conv2d", "5 filters", "2 groups");
    misuse!(x.conv2d(w, zeros(&[5]), groups), "conv2d", "bias", "6 filters", "[5]");
    misuse!(x.conv2d(w, None, groups.stride([1, 0])), "conv2d", "stride of 0", "axis 1");
    misuse!(x.conv2d(w, None, groups.dilation(0)), "conv2d", "dilation of 0", "axis 0");
    misuse!(x.conv2d(w, None, groups.dilation([3, 1])), "conv2d", "3 by 3", "5 by 6", "[3, 1]");
    misuse!(x.conv2d(w, None, groups.padding(usize::MAX)), "conv2d", "does not fit");
    misuse!(x.conv2d(zeros(&[6, 2, 0, 3]), None, groups), "conv2d", "[0, 3]", "empty");
    misuse!(x.conv2d(zeros(&[6, 2, 3]), None, groups), "conv2d", "[6, 2, 3]", "height, width");
    misuse!(w.t().conv2d(w, None, groups), "t:", "[6, 2, 3, 3]");
    misuse!(x.unfold([6, 1], plain), "unfold", "6 by 1", "5 by 6");
    misuse!(x.fold([5, 6], [2, 2], plain), "fold", "[2, 4, 5, 6]");
    misuse!(zeros(&[1, 4, 7]).fold(3, 2, plain), "fold", "4 places", "[1, 4, 7]");
    misuse!(x.max_pool2d(Pool2d::new([6, 1])), "max_pool2d", "6 by 1", "5 by 6", "misuse.rs");
    misuse!(x.max_pool2d(Pool2d::new(2).padding(2)), "max_pool2d", "half", "[2, 2]");
    misuse!(x.avg_pool2d(Pool2d::new(2).stride(0)), "avg_pool2d", "stride of 0");
    misuse!(zeros(&[5, 6]).avg_pool2d(Pool2d::new(2)), "avg_pool2d", "[5, 6]");
    let error = x.try_conv2d(w, None, plain).unwrap_err().to_string();
    assert!(error.contains("conv2d") && error.contains("misuse.rs"), "{error}");
    assert!(x.try_max_pool2d(Pool2d::new(0)).is_err() && x.try_avg_pool2d(Pool2d::new(9)).is_err());
    assert!(x.try_unfold(7, plain).is_err() && x.try_fold(3, 2, plain).is_err());
}

#[test]
fn normalisations_that_do_not_fit() {
    let tape = Tape::new();
    let (x, six) = (tape.tensor(Tensor::zeros([2, 6])), tape.tensor(Tensor::zeros([6])));
    let two = tape.tensor(Tensor::zeros([2]));
    misuse!(x.layer_norm(two, six, 1e-5), "layer_norm", "[2, 6]", "[6]", "misuse.rs");
    misuse!(x.layer_norm(six, two, 1e-5), "layer_norm", "[2, 6]", "[6]");
    misuse!(x.sum().layer_norm(six, six, 1e-5), "layer_norm", "rank 0");
    assert!(x.try_layer_norm(six, two, 0.1).is_err());
}

#[test]
fn labels_and_indices_out_of_range() {
    let tape = Tape::new();
    let logits = tape.tensor(Tensor::zeros([4, 10]));
    misuse!(
        logits.cross_entropy([1, 2, 10, 3]),
        "cross_entropy",
        "label 10 of row 2 for 10 classes",
        "misuse.rs"
    );
    misuse!(logits.cross_entropy([1, 2]), "cross_entropy", "2 labels for 4 rows", "[4, 10]");
    misuse!(logits.index_select(0, [0, 4]), "index_select", "index 4", "axis 0 of length 4");
    misuse!(logits.gather(1, [4, 1], [0, 1, 2, 10]), "gather", "index 10", "axis 1 of length 10");
    misuse!(logits.gather(1, [5, 1], [0, 1, 2, 3, 4]), "gather", "[5, 1]", "[4, 10]");
}

#[test]
fn sequences_that_do_not_fit() {
    let tape = Tape::new();
    let zeros = |shape: &[usize]| tape.tensor(Tensor::zeros(shape));
    let (q, k) = (zeros(&[2, 3, 4]), zeros(&[2, 5, 4]));
    let plain = Attention::default();

    misuse!(
        scaled_dot_product_attention(q, k, q, plain),
        "scaled_dot_product_attention",
        "5 keys and 3 values"
    );
    misuse!(
        scaled_dot_product_attention(q, zeros(&[2, 5, 3]), k, plain),
        "queries of 4 and keys of 3 numbers",
        "[2, 3, 4]",
        "[2, 5, 3]"
    );
    misuse!(scaled_dot_product_attention(q, zeros(&[5, 4]), k, plain), "before the last two");
    misuse!(scaled_dot_product_attention(zeros(&[4]), k, k, plain), "matrices", "[4]");
    misuse!(
        scaled_dot_product_attention(zeros(&[3, 0]), zeros(&[2, 0]), zeros(&[2, 1]), plain),
        "queries of 0"
    );
    let masked = Attention { mask: Some(zeros(&[3, 4])), ..plain };
    misuse!(scaled_dot_product_attention(q, k, k, masked), "the scores [2, 3, 5]", "[3, 4]");
    misuse!(multi_head_attention(q, 2, plain), "multi_head_attention", "2 heads", "[2, 3, 4]");
    misuse!(multi_head_attention(zeros(&[3, 6]), 0, plain), "0 heads");
    let masked = Attention { mask: Some(zeros(&[4, 4])), ..plain };
    misuse!(multi_head_attention(zeros(&[3, 6]), 2, masked), "the scores [2, 3, 3]", "[4, 4]");
    assert!(try_scaled_dot_product_attention(q, k, q, plain).is_err());
    assert!(try_multi_head_attention(q, 2, plain).is_err());

    let (x, h) = (zeros(&[7, 2, 3]), zeros(&[2, 4]));
    let (w, u, b) = (zeros(&[3, 16]), zeros(&[4, 16]), zeros(&[16]));
    misuse!(x.lstm(h, h, u, u, b), "lstm", "w_ih is [3, 16], not [4, 16]", "[7, 2, 3]");
    misuse!(x.lstm(h, zeros(&[4]), w, u, b), "c0 is [2, 4], not [4]");
    misuse!(x.lstm(h, h, w, w, b), "w_hh is [4, 16], not [3, 16]");
    misuse!(x.lstm(h, h, w, u, h), "the bias is [16], not [2, 4]");
    misuse!(h.lstm(h, h, w, u, b), "the input is [time, batch, input]");
    misuse!(x.lstm(zeros(&[3, 4]), h, w, u, b), "a state for 2 sequences");
    misuse!(x.gru(h, w, u, b, b), "gru", "w_ih is [3, 12], not [3, 16]");
    assert!(x.try_lstm(h, h, u, u, b).is_err());
    assert!(x.try_gru(h, w, u, b, b).is_err());

    misuse!(h.embedding([0, 2]), "embedding", "index 2 at position 1 for a table of 2 rows");
    misuse!(h.sum().embedding([0]), "embedding", "[]");
    misuse!(h.sum().cross_entropy([0]), "cross_entropy", "[]");
    assert!(h.try_embedding([2]).is_err());
}

#[test]
fn the_result_of_a_backward_pass_must_be_one_number() {
    let tape = Tape::new();
    let t = tape.tensor([1.0, 2.0, 3.0]);
    let line = line!() + 1;
    let error = (t * 2.0).backward().unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, Error::NotScalar { .. }));
    for part in ["shape [3]", "vjp", &format!("misuse.rs:{line}:")] {
        assert!(message.contains(part), "{part} is not in {message}");
    }
    assert!(matches!((t * 2.0).grad(&[t]), Err(Error::NotScalar { .. })));
    assert!(matches!((t * 2.0).grad_recorded(&[t]), Err(Error::NotScalar { .. })));
    let error = (t * 2.0).vjp([1.0, 2.0]).unwrap_err();
    assert!(matches!(error, Error::CotangentShape { .. }), "{error}");
    assert!(matches!(Var::constant(2.0).backward(), Err(Error::Constant { .. })));
    let elsewhere = Tape::new();
    let other = elsewhere.var(1.0);
    let error = tape.var(1.0).exp().grad(&[other]).unwrap_err();
    assert!(matches!(error, Error::ForeignVariable { position: 0, .. }), "{error}");
}

#[test]
fn stale_handles() {
    let mut tape = Tape::new();
    let (x, t) = (tape.var(1.0), tape.tensor([1.0]));
    tape.reset();
    misuse!(x * x, "reset or dropped");
    misuse!(x.sin(), "reset or dropped");
    misuse!(2.0 - x, "reset or dropped");
    misuse!(-x, "reset or dropped");
    misuse!(x.mul_add(2.0, 3.0), "reset or dropped");
    misuse!(t + 1.0, "reset or dropped");
    misuse!(t.value(), "reset or dropped");
    misuse!(t.matmul(t), "reset or dropped");
    misuse!(t * x, "reset or dropped");
    assert!(matches!(x.backward(), Err(Error::Stale { .. })));
    assert!(matches!(t.backward(), Err(Error::Stale { .. })));
    // A new node has the same number as the old one had.
    let (y, u) = (tape.var(2.0), tape.tensor([2.0]));
    misuse!(x + y, "reset or dropped");
    misuse!(y + x, "reset or dropped");
    misuse!(u + t, "reset or dropped");
    misuse!(u.mse_loss(t), "reset or dropped");
    misuse!(u.l1_loss(t, Reduction::Sum), "reset or dropped");
    misuse!(stack(&[u, t], 0), "reset or dropped");
    assert!(x.backward().is_err());
    drop(tape);
    misuse!(y + y, "reset or dropped");
    misuse!(u.sum(), "reset or dropped");
    assert!(y.backward().is_err());
}

#[test]
fn handles_of_two_tapes() {
    let (first, second) = (Tape::new(), Tape::new());
    let (x, y) = (first.var(1.0), second.var(2.0));
    misuse!(x + y, "two different tapes");
    misuse!(y * x, "two different tapes");
    misuse!(x.atan2(y), "two different tapes");
    misuse!(x.mul_add(x, y), "two different tapes");
    let (t, u) = (first.tensor([1.0]), second.tensor([2.0]));
    misuse!(t + u, "two different tapes");
    misuse!(t.matmul(u), "two different tapes");
    misuse!(t * y, "two different tapes");
    misuse!(concat(&[t, u], 0), "two different tapes");
    // Gradients of one tape asked for by a handle of the other.
    let g = (x * x).backward().unwrap();
    misuse!(g.wrt(y), "not on the tape");
    misuse!(g.wrt(u), "not on the tape");
    assert_eq!(g.get(y), None);
}

#[test]
fn a_gradient_that_was_not_kept() {
    let tape = Tape::new();
    let t = tape.tensor([1.0, 2.0]);
    let middle = t * 2.0;
    let g = middle.sum().backward().unwrap();
    assert!(panic_message(|| g.wrt(middle)).contains("not a leaf"));
    let g = middle.sum().grad(&[middle]).unwrap();
    assert_eq!(g.wrt(middle), Tensor::from([1.0, 1.0]));
}

#[test]
fn the_try_twins_return_what_the_others_panic_with() {
    let tape = Tape::new();
    let (a, b) = (tape.tensor(Tensor::zeros([3, 4])), tape.tensor(Tensor::zeros([5])));
    let nodes = tape.tensor_nodes();
    let line = line!() + 1;
    let error = a.try_matmul(b).unwrap_err();
    assert_eq!(error.location().line(), line);
    assert!(error.to_string().contains(&format!("misuse.rs:{line}:")), "{error}");
    assert!(a.try_reshape([5]).is_err());
    assert!(a.try_cross_entropy([4, 0, 0]).is_err());
    assert!(a.try_index_select(0, [3]).is_err());
    assert!(a.try_gather(0, [1, 4], [3, 0, 0, 0]).is_err());
    assert!(a.try_mse_loss(b).is_err());
    assert!(try_concat(&[a, b], 0).is_err());
    assert!(Tensor::try_new([2, 2], vec![0.0; 3]).is_err());
    // Nothing was recorded, and the tape works as before.
    assert_eq!(tape.tensor_nodes(), nodes);
    assert_eq!(a.sum().item(), 0.0);
}

#[test]
fn locations_of_scalars_are_kept_when_asked_for() {
    let tape = Tape::new().with_locations();
    let line = line!() + 1;
    let x = tape.var(1.0) * 2.0;
    assert_eq!(tape.location(x).map(|l| (l.file(), l.line())), Some((file!(), line)));
    let mut y = x;
    for _ in 0..5_000 {
        y = y * 1.0001 + x;
    }
    assert_eq!(tape.location(y).map(std::panic::Location::line), Some(line!() - 2));
    let quiet = Tape::new();
    assert_eq!(quiet.location(quiet.var(1.0)), None);
}

#[test]
fn shapes_that_are_too_large() {
    let tape = Tape::new();
    let t = tape.tensor([1.0, 2.0]);
    assert!(t.try_reshape([usize::MAX, 2]).is_err());
    assert!(Tensor::try_new([usize::MAX, 2], vec![1.0]).is_err());
    // As in numpy, lengths that are too large do not become smaller by one of 0 beside them.
    assert!(Tensor::<f64>::try_new([usize::MAX, 2, 0], vec![]).is_err());
    misuse!(Tensor::<f64>::zeros([0, usize::MAX, 2]), "does not fit");
    let (none, large) = (tape.tensor(Tensor::zeros([0])), 1 << 40);
    misuse!(none.repeat(&[large, large]), "repeat", "does not fit");
    misuse!(none.tile(&[large, large]), "tile", "does not fit");
    let empty = tape.tensor(Tensor::zeros([2, 0]));
    misuse!(empty.pad(0, usize::MAX / 2, 0, wengert::tape::Pad::Replicate), "pad", "does not fit");
    let empty = tape.tensor(Tensor::zeros([0, 0]));
    misuse!(empty.diag_embed(isize::MAX), "diag_embed", "does not fit");
    assert!(panic_message(|| t.reshape([1; 40])).contains("at most 32 axes, not 40"));
    misuse!(Tensor::<f64>::zeros([usize::MAX, 2]), "does not fit");
}

/// An operation that makes a mistake of the given kind.
struct Bad(u8);

impl<E: Real> Op<E> for Bad {
    fn name(&self) -> &'static str {
        "bad"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        match self.0 {
            0 => Ok(Shapes::new()),
            _ => Ok(smallvec![inputs[0].clone()]),
        }
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        match self.0 {
            1 => {}
            2 => outputs.set(0, Tensor::zeros([7])),
            3 => outputs.set(1, inputs[0].clone()),
            _ => outputs.set(0, inputs[0].clone()),
        }
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        match self.0 {
            4 => Cotangents::new(),
            5 => smallvec![Some(call.constant(Tensor::zeros([7])))],
            _ => smallvec![Some(call.cotangent())],
        }
    }
}

#[test]
fn operations_that_break_their_contract_are_named() {
    let tape = Tape::new();
    let t = tape.tensor([1.0, 2.0]);
    misuse!(t.apply_op(Bad(0)), "bad", "no outputs");
    misuse!(t.apply_op(Bad(1)), "bad", "has not made output 0");
    assert!(
        panic_message(|| t.apply_op(Bad(2))).contains("bad: forward gives output 0 the shape [7]")
    );
    assert!(panic_message(|| t.apply_op(Bad(3))).contains("bad: forward makes output 1"));
    misuse!(apply_op::<f64, _>(Bad(6), &[]), "bad", "needs an input");
    for (kind, part) in
        [(4, "0 cotangents for 1 inputs"), (5, "of shape [2] a cotangent of shape [7]")]
    {
        let line = line!() + 1;
        let y = t.apply_op(Bad(kind)).sum();
        let message = panic_message(|| y.backward());
        let place = format!("misuse.rs:{line}:");
        assert!(message.contains(part) && message.contains(&place), "{message}");
    }
    assert!(t.apply_op(Bad(6)).sum().backward().is_ok());
}
