//! Operations of networks: bad arguments and their messages, special inputs.

mod common;

use common::panic_at;
use rand::{SeedableRng, rngs::StdRng};
use wengert::prelude::*;
use wengert::tape::{Conv1d, Conv3d, Interpolation, Pool3d};

fn ignore<T>(_: T) {}

#[test]
fn messages_name_the_operation_and_the_line() {
    let tape = Tape::new();
    let of = |shape: &[usize]| tape.tensor(Tensor::ones(shape));
    let (line, image, volume) = (of(&[1, 2, 4]), of(&[1, 2, 4, 4]), of(&[1, 2, 4, 4, 4]));
    let (two, three) = (of(&[2]), of(&[3]));
    let cases: &[(&str, &dyn Fn())] = &[
        ("conv1d: shapes [1, 2, 4] and [2]: inputs and weights have 3 axes", &|| {
            ignore(line.conv1d(two, None, Conv1d::new()));
        }),
        ("conv1d: shapes [1, 2, 4] and [1, 3, 2]: the images have 2 channels", &|| {
            ignore(line.conv1d(of(&[1, 3, 2]), None, Conv1d::new()));
        }),
        ("conv3d: shapes [1, 2, 4, 4, 4] and [1, 2, 5, 1, 1]: a window of 5", &|| {
            ignore(volume.conv3d(of(&[1, 2, 5, 1, 1]), None, Conv3d::new()));
        }),
        ("conv3d: a stride of 0", &|| {
            ignore(volume.conv3d(of(&[1, 2, 1, 1, 1]), None, Conv3d::new().stride([0, 1, 1])));
        }),
        (
            "conv_transpose2d: shapes [1, 2, 4, 4] and [3, 1, 1, 1]: 2 channels, weights for 3",
            &|| {
                ignore(image.conv_transpose2d(of(&[3, 1, 1, 1]), None, Conv2d::new(), 0));
            },
        ),
        ("conv_transpose2d: shapes [1, 2, 4, 4] and [2, 1, 1, 1]: an output padding of 1", &|| {
            ignore(image.conv_transpose2d(of(&[2, 1, 1, 1]), None, Conv2d::new(), 1));
        }),
        ("[2, 1, 1, 1]: a padding of 2 cuts off all of the 4 rows", &|| {
            let options = Conv2d::new().padding(2);
            ignore(image.conv_transpose2d(of(&[2, 1, 1, 1]), None, options, 0));
        }),
        ("the bias is not one number for each of 1 filters", &|| {
            ignore(image.conv_transpose2d(of(&[2, 1, 1, 1]), two, Conv2d::new(), 0));
        }),
        ("conv_transpose3d: shapes [1, 2, 4, 4, 4] and [2, 1, 1, 1, 1]: a stride of 0", &|| {
            let options = Conv3d::new().stride(0);
            ignore(volume.conv_transpose3d(of(&[2, 1, 1, 1, 1]), None, options, 0));
        }),
        ("max_pool1d: shape [1, 2, 4]: a window of 1 by 5", &|| ignore(line.max_pool1d(5, 1, 0))),
        ("avg_pool1d: shape [1, 2, 4, 4]: lines", &|| ignore(image.avg_pool1d(2, 1, 0))),
        ("max_pool3d: shape [1, 2, 4, 4]: volumes", &|| ignore(image.max_pool3d(2))),
        ("avg_pool3d: shape [1, 2, 4, 4, 4]: a window of 5 by 1", &|| {
            ignore(volume.avg_pool3d([5, 2, 2]));
        }),
        ("max_pool3d: a padding of [2, 0]", &|| {
            ignore(volume.max_pool3d(Pool3d::new([3, 1, 1]).padding([2, 0, 0])));
        }),
        ("adaptive_max_pool1d: shape [1, 2, 4, 4]: lines", &|| {
            ignore(image.adaptive_max_pool1d(2));
        }),
        ("adaptive_avg_pool3d: shape [1, 2, 4, 4, 4]: volumes", &|| {
            ignore(volume.adaptive_avg_pool3d([2, 2, 0]));
        }),
        ("adaptive_avg_pool2d: shape [1, 2, 4]: images", &|| ignore(line.adaptive_avg_pool2d(2))),
        ("adaptive_max_pool2d: shape [1, 2, 4, 4]: images", &|| {
            ignore(image.adaptive_max_pool2d([2, 0]));
        }),
        ("interpolate: shape [1, 2, 4]: images", &|| {
            ignore(line.interpolate(2, Interpolation::Nearest));
        }),
        ("batch_norm: shapes [1, 2, 4] and [3]", &|| ignore(line.batch_norm(two, three, 0.1))),
        ("batch_norm_with: shapes [1, 2, 4] and [3]", &|| {
            ignore(line.batch_norm_with(two, two, three, two, 0.1));
        }),
        ("group_norm: shape [1, 2, 4]: 2 channels do not split into 3", &|| {
            ignore(line.group_norm(3, two, two, 0.1));
        }),
        ("instance_norm: shape [2]: channels", &|| ignore(two.instance_norm(two, two, 0.1))),
        ("rms_norm: shapes [1, 2, 4] and [3]", &|| ignore(line.rms_norm(three, 0.1))),
        ("dropout: a probability is between 0 and 1, and not 1.5", &|| {
            ignore(line.dropout(1.5, &mut StdRng::seed_from_u64(0)));
        }),
    ];
    for (expected, f) in cases {
        let (message, file, _) = panic_at(f);
        assert!(message.contains(expected), "{message}, not {expected}");
        assert!(file.ends_with("tests/networks.rs"), "{message} at {file}");
    }
}

#[test]
fn of_equal_elements_of_a_volume_the_first_one_is_taken() {
    let tape = Tape::new();
    // The first 1 in row-major order is in the first layer, in the second row.
    let x = tape.tensor(Tensor::new([1, 1, 2, 2, 2], vec![0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0]));
    let g = x.max_pool3d(2).sum().backward().unwrap().wrt(x);
    assert_eq!(g.to_vec(), [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    let data = vec![0.0, 0.0, 1.0, 0.0, f64::NAN, 1.0, f64::NAN, 1.0];
    let x = tape.tensor(Tensor::new([1, 1, 2, 2, 2], data));
    let y = x.max_pool3d(2);
    assert!(y.item().is_nan());
    let g = y.sum().backward().unwrap().wrt(x);
    assert_eq!(g.to_vec(), [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
    // The pooling of one layer is that of its image.
    let image = tape.tensor(Tensor::from_fn([2, 3, 5, 4], |[a, b, c, d]| {
        ((7 * a + 5 * b + 3 * c + d) as f64).sin()
    }));
    let flat = image.unsqueeze(2);
    let (options, volumes) = (
        Pool2d::new(3).stride(2).padding(1),
        Pool3d::new([1, 3, 3]).stride([1, 2, 2]).padding([0, 1, 1]),
    );
    assert_eq!(flat.max_pool3d(volumes).squeeze(2).value(), image.max_pool2d(options).value());
    assert_eq!(flat.avg_pool3d(volumes).squeeze(2).value(), image.avg_pool2d(options).value());
}

#[test]
fn dropped_elements_are_zero_whatever_they_were() {
    let tape = Tape::new();
    let x = tape.tensor(Tensor::full([64], f64::INFINITY));
    let y = x.dropout(0.5, &mut StdRng::seed_from_u64(3));
    assert!(y.value().iter().all(|&y| y == 0.0 || y == f64::INFINITY));
    let g = y.sum().backward().unwrap().wrt(x);
    assert!(g.iter().zip(y.value().iter()).all(|(&g, &y)| g == if y == 0.0 { 0.0 } else { 2.0 }));
    let mut rng = StdRng::seed_from_u64(4);
    assert_eq!(x.dropout(1.0, &mut rng).value(), Tensor::zeros([64]));
    assert_eq!(x.dropout(0.0, &mut rng).value(), x.value());
}

#[test]
fn statistics_of_a_batch_serve_in_use() {
    let tape = Tape::new();
    let x = tape.tensor([[1.0, 0.0], [3.0, 4.0], [8.0, 1.0]]);
    let (gain, bias) = (tape.tensor([2.0, 3.0]), tape.tensor([0.5, -1.0]));
    let (y, mean, variance) = x.batch_norm(gain, bias, 1e-5);
    let z = x.batch_norm_with(mean, variance, gain, bias, 1e-5);
    for (y, z) in y.value().iter().zip(z.value().iter()) {
        assert!((y - z).abs() < 1e-14);
    }
}

#[test]
fn an_infinity_stays_in_the_windows_that_it_is_in() {
    let tape = Tape::new();
    let inf = f64::INFINITY;
    let x = tape.tensor(Tensor::new([1, 1, 1, 5], vec![inf, 1.0, 2.0, 3.0, f64::NAN]));
    let y = x.adaptive_avg_pool2d([1, 3]).value();
    assert_eq!((y[[0, 0, 0, 0]], y[[0, 0, 0, 1]]), (inf, 2.0));
    assert!(y[[0, 0, 0, 2]].is_nan());
    let volume = x.reshape([1, 1, 5, 1, 1]).adaptive_avg_pool3d([2, 1, 1]).value();
    assert_eq!(volume[[0, 0, 0, 0, 0]], inf);

    let x = x.slice(3, 0..4);
    let four_of = |align_corners| Interpolation::Bilinear { align_corners };
    let y = x.interpolate([2, 7], four_of(true)).value();
    assert_eq!(y.to_vec()[..7], [inf, inf, 1.0, 1.5, 2.0, 2.5, 3.0]);
    let y = x.interpolate([1, 8], four_of(false)).value();
    assert_eq!(y.to_vec(), [inf, inf, inf, 1.25, 1.75, 2.25, 2.75, 3.0]);
    let g = x.interpolate([1, 8], four_of(false)).sum().grad(&[x]).unwrap().wrt(x);
    assert_eq!(g.to_vec(), [2.0; 4]);
}

#[test]
fn of_equal_elements_of_an_adaptive_window_the_first_one_is_taken() {
    let tape = Tape::new();
    // Windows of two and of three elements.
    let x = tape.tensor(Tensor::new([1, 1, 5], vec![1.0; 5]));
    let y = x.adaptive_max_pool1d(3);
    let weights = tape.constant(Tensor::new([1, 1, 3], vec![1.0, 10.0, 100.0]));
    let g = (y * weights).sum().backward().unwrap().wrt(x);
    assert_eq!(g.to_vec(), [1.0, 10.0, 0.0, 100.0, 0.0]);
    let image = tape.tensor(Tensor::new([1, 1, 2, 3], vec![0.0, 2.0, 1.0, 2.0, 2.0, 3.0]));
    let y = image.adaptive_max_pool2d([1, 2]);
    assert_eq!(y.value().to_vec(), [2.0, 3.0]);
    let g = y.sum().backward().unwrap().wrt(image);
    assert_eq!(g.to_vec(), [0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    let undefined = tape.tensor(Tensor::new([1, 1, 3], vec![5.0, f64::NAN, f64::NAN]));
    let y = undefined.adaptive_max_pool1d(1);
    assert!(y.item().is_nan());
    assert_eq!(y.sum().backward().unwrap().wrt(undefined).to_vec(), [0.0, 1.0, 0.0]);
}
