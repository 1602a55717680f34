//! Programs of many chunks, which the small tensors of other tests never have.

use super::force_all;
use crate::primitive::Primitive;
use crate::registry;
use crate::{Tape, Tensor, TensorVar, with_threads};

fn numbers(shape: &[usize], step: f64) -> Tensor {
    let n: usize = shape.iter().product();
    Tensor::new(shape, (0..n).map(|i| (step * i as f64).sin()).collect())
}

/// The element of `x` that stands at `index` when `x` is repeated to the rank of `index`.
fn at(x: &Tensor, index: &[usize]) -> f64 {
    let own = &index[index.len() - x.rank()..];
    let offset = own
        .iter()
        .zip(x.shape().iter())
        .fold(0, |offset, (&i, &length)| offset * length + if length == 1 { 0 } else { i });
    x.as_slice()[offset]
}

#[test]
fn inputs_repeat_along_any_axes_over_many_chunks() {
    let target = [23, 15, 37];
    let shapes: [&[usize]; 9] = [
        &[37],
        &[15, 1],
        &[23, 1, 1],
        &[15, 37],
        &[1, 15, 37],
        &[23, 1, 37],
        &[23, 15, 1],
        &[1, 15, 1],
        &[1],
    ];
    let whole = numbers(&target, 0.37);
    for first in shapes {
        for second in shapes {
            let tape = Tape::new();
            let (a, b) = (numbers(first, 0.11), numbers(second, 0.23));
            let (x, a_var, b_var) = (tape.tensor(&whole), tape.tensor(&a), tape.tensor(&b));
            let y = (x * a_var + b_var - a_var * b_var).value();
            let mut k = 0;
            for i in 0..target[0] {
                for j in 0..target[1] {
                    for l in 0..target[2] {
                        let index = [i, j, l];
                        let (a, b) = (at(&a, &index), at(&b, &index));
                        let expected = whole.as_slice()[k] * a + b - a * b;
                        assert_eq!(y.as_slice()[k], expected, "{first:?} {second:?} {index:?}");
                        k += 1;
                    }
                }
            }
        }
    }
}

#[test]
fn a_total_and_values_of_one_program_are_those_of_programs_apart() {
    let shape = [123, 457];
    let run = |together: bool| {
        let tape = Tape::new();
        let x = tape.tensor(numbers(&shape, 0.37));
        let row = tape.tensor(numbers(&[457], 0.11));
        let y = x * row + 1.0;
        let (z, total): (TensorVar, TensorVar) = (y * y - x, (y / (x * x + 2.0)).sum());
        if together {
            let (inner, _) = registry::find::<f64>(x.tag);
            force_all(inner, |list| list.extend([y.index, z.index, total.index]));
        }
        (y.value(), z.value(), total.value())
    };
    let (y, z, total) = run(true);
    let (y_apart, z_apart, total_apart) = run(false);
    assert_eq!((y.to_vec(), z.to_vec()), (y_apart.to_vec(), z_apart.to_vec()));
    assert!((total.item() - total_apart.item()).abs() < 1e-10);
    for threads in [2, 3] {
        let (y_there, z_there, total_there) = with_threads(threads, || run(true));
        assert_eq!((y.to_vec(), z.to_vec()), (y_there.to_vec(), z_there.to_vec()));
        assert_eq!(total.item().to_bits(), total_there.item().to_bits());
    }
}

#[test]
fn totals_keep_what_the_rounding_of_parts_loses() {
    let n = 1_000_000;
    let tape = Tape::<f32>::default();
    let x = tape.tensor(Tensor::<f32>::full([n], 0.1));
    let exact = f64::from(0.1f32) * n as f64;
    // One after the other they would be wrong in the third digit.
    assert!((f64::from((x + x - x).sum().item()) / exact - 1.0).abs() <= 1e-6);
}

#[test]
fn values_of_one_program_in_stages() {
    // The mean is needed as a whole before anything that is made of it.
    let tape = Tape::new();
    let x = tape.tensor(numbers(&[5000], 0.37));
    let centred = x - x.sum() / 5000.0;
    let scaled = centred / (centred * centred).sum().sqrt();
    let length: f64 = scaled.value().iter().map(|x| x * x).sum();
    assert!((length - 1.0).abs() < 1e-14);
}

/// More data than caches hold, so that the next chunk is fetched ahead; and a last chunk that is shorter.
#[test]
fn data_beyond_the_caches() {
    let n = 1_000_003;
    let (a, b) = (numbers(&[n], 0.37), numbers(&[n], 0.11));
    let run = || {
        let tape = Tape::new();
        let (a, b) = (tape.constant(&a), tape.constant(&b));
        let y = (a * b + a) / (b + 3.0);
        let total = y.sum();
        let (inner, _) = registry::find::<f64>(y.tag);
        force_all(inner, |list| list.extend([y.index, total.index]));
        (y.value(), total.item())
    };
    let (y, total) = with_threads(1, run);
    for (i, &y) in y.iter().enumerate() {
        let (a, b) = (a.as_slice()[i], b.as_slice()[i]);
        assert_eq!(y, (a * b + a) / (b + 3.0), "{i}");
    }
    assert!((total - y.iter().sum::<f64>()).abs() < 1e-7, "{total}");
    assert_eq!((y, total), with_threads(2, run));
}

/// An operation over few elements is computed when it is recorded, and a single one on little data without a program;
/// where neither is done, as with a profile, a program over few elements takes another way than a plan in chunks.
#[test]
fn little_data_have_the_bits_of_much_data() {
    let long: [Tensor; 4] = [0.37, 0.11, 0.23, 0.53].map(|step| numbers(&[5000], step) * 1.5);
    let start = |x: &Tensor, length: usize| Tensor::from(x.as_slice()[..length].to_vec());
    for &primitive in Primitive::ALL {
        let arity = primitive.arity();
        // All operands as tensors, and all but the first as numbers.
        for numbers in [false, true] {
            let values = |length: usize, apart: bool, profile: bool| {
                let tape = Tape::new();
                let tape = if profile { tape.with_profile() } else { tape };
                let operand = |k: usize| match numbers && k > 0 {
                    true => TensorVar::scalar_constant(0.25 * k as f64),
                    false => tape.tensor(start(&long[k], length)),
                };
                let operands: Vec<TensorVar> = (0..arity).map(operand).collect();
                let y = TensorVar::primitive(primitive, &operands, 3);
                let twice = y + operands[0];
                let (inner, _) = registry::find::<f64>(y.tag);
                force_all(inner, |list| match apart {
                    true => list.push(y.index),
                    false => list.extend([twice.index, y.index]),
                });
                let (y, twice) = (y.value(), twice.value());
                let bits = |x: &Tensor| -> Vec<u64> {
                    x.iter().take(100).map(|x| if x.is_nan() { 0 } else { x.to_bits() }).collect()
                };
                [bits(&y), bits(&twice)]
            };
            let much = values(5000, false, false);
            for (length, apart, profile) in [
                (100, true, false),
                (100, true, true),
                (100, false, true),
                (300, true, false),
                (300, false, false),
            ] {
                let name = format!("{} {numbers} {length} {apart} {profile}", primitive.name());
                assert_eq!(values(length, apart, profile), much, "{name}");
            }
        }
    }
}

#[test]
fn what_is_little_does_not_wait() {
    let pending = |x: Tensor, profile: bool| {
        let tape = Tape::new();
        let tape = if profile { tape.with_profile() } else { tape };
        let x = tape.tensor(x);
        let y = (x * x + 1.0) / x.sum();
        let z = TensorVar::select_gt(y, x, y, 0.5).mean();
        let pending = tape.stats().pending;
        (pending, z.value())
    };
    let few = numbers(&[4, 16], 0.37) + 2.0;
    let (none, at_once) = pending(few.clone(), false);
    let (some, later) = pending(few, true);
    assert_eq!((none, some > 0, at_once), (0, true, later));
    assert!(pending(numbers(&[400, 16], 0.37), false).0 > 0);
}

#[test]
fn few_elements_repeat_and_add_up() {
    let (whole, row, column) =
        (numbers(&[5, 7], 0.37), numbers(&[7], 0.11), numbers(&[5, 1], 0.23));
    let tape = Tape::new();
    let (x, r, c) = (tape.tensor(&whole), tape.tensor(&row), tape.tensor(&column));
    let y = (x * r + c) * 0.5;
    let (total, of_all) = (y.sum().item(), (x * 1.0).sum().item());
    let y = y.value();
    for i in 0..5 {
        for j in 0..7 {
            let expected = (whole[[i, j]] * row[[j]] + column[[i, 0]]) * 0.5;
            assert_eq!(y[[i, j]], expected, "{i} {j}");
        }
    }
    assert!((total - y.iter().sum::<f64>()).abs() < 1e-14);
    assert!((of_all - whole.iter().sum::<f64>()).abs() < 1e-14);
    // No elements, and the sum of none.
    let none = tape.tensor(Tensor::zeros([0, 7]));
    assert_eq!((none * r + 1.0).value().len(), 0);
    assert_eq!((none * r + 1.0).sum().item(), 0.0);
    assert!((tape.tensor([-0.0]) * 1.0).sum().item().is_sign_positive());
}
