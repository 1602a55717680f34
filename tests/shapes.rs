//! Shape and index operations: special inputs, bad arguments and their messages.

mod common;

use common::panic_at;
use wengert::autograd::assert_gradients;
use wengert::prelude::*;
use wengert::tape::Pad;

fn ignore<T>(_: T) {}

fn counted(shape: impl Into<Shape>) -> Tensor {
    let shape = shape.into();
    let n = shape.elements();
    Tensor::new(shape, (0..n).map(|i| i as f64).collect())
}

#[test]
fn a_length_left_open() {
    let tape = Tape::new();
    let x = tape.tensor(counted([2, 6]));
    assert_eq!(x.view(&[3, -1]).shape(), [3, 4]);
    assert_eq!(x.view(&[-1]).shape(), [12]);
    assert_eq!(x.view(&[4, 3]).shape(), [4, 3]);
    assert_eq!(tape.tensor(1.0).view(&[-1, 1]).shape(), [1, 1]);
    for bad in [&[5, -1][..], &[-1, -1], &[-2, 6], &[0, -1], &[5]] {
        let message = x.try_view(bad).unwrap_err().to_string();
        assert!(message.contains("[2, 6]") && message.contains("tests/shapes.rs"), "{message}");
    }
    assert_eq!(tape.tensor(Tensor::zeros([0, 3])).view(&[-1, 3]).shape(), [0, 3]);
}

#[test]
fn mirrored_and_strided() {
    let tape = Tape::new();
    let x = tape.tensor(counted([2, 3]));
    assert_eq!(x.flip([0, 1]).value().to_vec(), [5.0, 4.0, 3.0, 2.0, 1.0, 0.0]);
    assert_eq!(x.flip([-1]).value().to_vec(), [2.0, 1.0, 0.0, 5.0, 4.0, 3.0]);
    assert_eq!(x.slice_step(1, 0..3, 2).value().to_vec(), [0.0, 2.0, 3.0, 5.0]);
    assert_eq!(x.slice_step(1, 1..1, 2).shape(), [2, 0]);
    assert_eq!(x.roll(1, 1).value().to_vec(), [2.0, 0.0, 1.0, 5.0, 3.0, 4.0]);
    assert_eq!(x.roll(-4, 1).value().to_vec(), [1.0, 2.0, 0.0, 4.0, 5.0, 3.0]);
    assert_eq!(x.windows(1, 2, 1).value().to_vec(), [0.0, 1.0, 1.0, 2.0, 3.0, 4.0, 4.0, 5.0]);
    assert_eq!(x.diagonal(0, 0, 1).value().to_vec(), [0.0, 4.0]);
    assert_eq!(x.diagonal(-1, 1, 0).value().to_vec(), [1.0, 5.0]);
    assert_eq!(x.diagonal(9, 0, 1).shape(), [0]);
    assert_eq!(x.trace().item(), 4.0);
    let empty = tape.tensor(Tensor::zeros([0, 3]));
    assert_eq!(empty.flip(0).shape(), [0, 3]);
    assert_eq!(empty.diagonal(0, 0, 1).shape(), [0]);
    assert_eq!(empty.trace().item(), 0.0);
    let d = tape.tensor(Tensor::zeros([0])).diag_embed(1);
    assert_eq!(d.value(), Tensor::zeros([1, 1]));
    let x = counted([2, 3, 4]);
    let f = |x: TensorVar| (x.flip([0, 2]).windows(2, 2, 1) * x.windows(-1, 2, 1)).sin();
    assert_gradients!(f, &x);
    assert_gradients!(|x: TensorVar| x.diagonal(1, 0, 2).diag_embed(-1).cos(), &x);
}

#[test]
fn repeated_split_and_padded() {
    let tape = Tape::new();
    let x = tape.tensor(counted([2, 2]));
    assert_eq!(x.repeat(&[1, 2]).value().to_vec(), [0.0, 1.0, 0.0, 1.0, 2.0, 3.0, 2.0, 3.0]);
    assert_eq!(x.tile(&[2]).value(), x.repeat(&[1, 2]).value());
    assert_eq!(x.repeat(&[3, 1, 1]).shape(), [3, 2, 2]);
    assert_eq!(x.repeat(&[0, 1]).shape(), [0, 2]);
    assert_eq!(x.unsqueeze(1).expand(&[3, -1, 4, -1]).shape(), [3, 2, 4, 2]);
    let lens = |pieces: Vec<TensorVar>| pieces.iter().map(|p| p.shape()[0]).collect::<Vec<_>>();
    let seven = tape.tensor(counted([7]));
    assert_eq!(lens(seven.split(0, &[3, 0, 4])), [3, 0, 4]);
    assert_eq!(lens(seven.chunk(0, 3)), [3, 3, 1]);
    assert_eq!(lens(seven.chunk(0, 9)), [1; 7]);
    assert_eq!(x.unbind(0)[1].value().to_vec(), [2.0, 3.0]);
    assert_eq!(x.flatten_axes(0, -1).shape(), [4]);
    let infinite = tape.tensor([[1.0, f64::INFINITY], [2.0, 3.0]]);
    assert_eq!(infinite.tril(0).value(), Tensor::from([[1.0, 0.0], [2.0, 3.0]]));
    assert_eq!(x.triu(1).value(), Tensor::from([[0.0, 1.0], [0.0, 0.0]]));
    let x = counted([2, 3]);
    for with in [Pad::Constant(2.0), Pad::Reflect, Pad::Replicate, Pad::Circular] {
        assert_gradients!(|x: TensorVar| x.pad(1, 2, 1, with).sin(), &x);
    }
}

#[test]
fn written_places() {
    let tape = Tape::new();
    let x = tape.tensor([1.0, 2.0, 3.0]);
    let s = tape.tensor([10.0, 20.0]);
    // The last one wins, and only it has a derivative.
    let y = x.scatter(0, [1, 1], s);
    assert_eq!(y.value().to_vec(), [1.0, 20.0, 3.0]);
    let g = y.sum().backward().unwrap();
    assert_eq!((g.wrt(x).to_vec(), g.wrt(s).to_vec()), (vec![1.0, 0.0, 1.0], vec![0.0, 1.0]));
    assert_eq!(x.scatter_add(0, [1, 1], s).value().to_vec(), [1.0, 32.0, 3.0]);
    assert_eq!(x.index_add(0, [2, 0], s).value().to_vec(), [21.0, 2.0, 13.0]);
    // A shorter source writes to the first rows alone.
    let table = tape.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    let row = tape.tensor([[10.0, 20.0]]);
    let written = Tensor::from([[20.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    assert_eq!(table.scatter(1, [0, 0], row).value(), written);
    let added = Tensor::from([[1.0, 2.0], [13.0, 4.0], [5.0, 26.0]]);
    assert_eq!(table.scatter_add(0, [1, 2], row).value(), added);
    assert_eq!(table.gather(0, [2, 1], [2, 0]).value(), Tensor::from([[5.0], [1.0]]));
    assert_eq!(x.take([2, 2, 0]).value().to_vec(), [3.0, 3.0, 1.0]);
    assert_eq!(x.masked_fill(tape.constant([0.0, 1.0, f64::NAN]), 7.0).value()[[1]], 7.0);
    assert_eq!(x.masked_select(&Tensor::from([[1.0], [0.0]])).value().to_vec(), [1.0, 2.0, 3.0]);
    assert_eq!(x.masked_select(&Tensor::zeros([3])).shape(), [0]);
}

#[test]
fn messages_name_the_operation_and_the_line() {
    let tape = Tape::new();
    let x = tape.tensor(counted([2, 3]));
    let cases: &[(&str, &dyn Fn())] = &[
        ("flip: shape [2, 3]: axis 1 stands twice", &|| ignore(x.flip([1, 1]))),
        ("slice_step: shape [2, 3]: 0..4 by 2", &|| ignore(x.slice_step(1, 0..4, 2))),
        ("windows: shape [2, 3]: windows of 4", &|| ignore(x.windows(1, 4, 1))),
        ("diagonal: shape [2, 3]: rows and columns", &|| ignore(x.diagonal(0, 1, -1))),
        ("trace: shape [3]", &|| ignore(x.select(0, 0).trace())),
        ("repeat: shape [2, 3]: [2] has fewer", &|| ignore(x.repeat(&[2]))),
        ("expand: shape [2, 3]: it cannot be expanded to [2, 4]", &|| ignore(x.expand(&[2, 4]))),
        ("split: shape [2, 3]: [1, 1] does not", &|| ignore(x.split(1, &[1, 1]))),
        ("pad: shape [2, 3]: axis 1 is too short", &|| ignore(x.pad(1, 3, 0, Pad::Reflect))),
        ("tril: shape []", &|| ignore(x.sum().tril(0))),
        ("scatter: shapes [2, 3] and [3]", &|| ignore(x.scatter(1, [0; 3], x.select(0, 0)))),
        ("scatter: shapes [2, 3] and [3, 1]: the second may be longer along axis 1", &|| {
            ignore(x.scatter(1, [0; 3], tape.tensor(counted([3, 1]))));
        }),
        ("index_add: shapes [2, 3] and [1, 2]: they may differ along axis 1", &|| {
            ignore(x.index_add(1, [0; 2], tape.tensor(counted([1, 2]))));
        }),
        ("gather: shape [2, 3]: 3 indices of shape [3, 1]", &|| {
            ignore(x.gather(1, [3, 1], [0; 3]));
        }),
        ("scatter_add: index 3 is out of range", &|| ignore(x.scatter_add(1, [3; 6], x))),
        ("index_add: shapes [2, 3] and [2, 3]: 2 indices", &|| ignore(x.index_add(1, [0; 2], x))),
        ("take: index 6 is out of range for a tensor of 6", &|| ignore(x.take([6]))),
        ("masked_select: shapes [2, 3] and [2]", &|| ignore(x.masked_select(&Tensor::zeros([2])))),
        ("one_hot: index 3 is out of range for 3 classes", &|| {
            ignore(Tensor::<f64>::one_hot([3], 3));
        }),
    ];
    for (expected, f) in cases {
        let (message, file, _) = panic_at(f);
        assert!(message.contains(expected), "{message}, not {expected}");
        assert!(file.ends_with("tests/shapes.rs"), "{message} at {file}");
    }
}
