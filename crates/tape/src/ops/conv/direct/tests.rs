//! All products in both precisions, which take different ways through [`tile`](super::tile), and on several
//! threads.

use super::{Geometry, for_images, for_weights, forward};
use crate::ops::conv::window::Window;
use crate::{Real, Tape, Target, with_threads};

/// Batch, groups, channels and filters of a group, the image, and the window with its stride, padding and
/// dilation.
type Case = (usize, usize, usize, usize, [usize; 2], [[usize; 2]; 4]);

const CASES: [Case; 9] = [
    (3, 1, 1, 16, [28, 28], [[5, 5], [1, 1], [0, 0], [1, 1]]),
    (9, 1, 16, 32, [12, 12], [[5, 5], [1, 1], [0, 0], [1, 1]]),
    (2, 1, 3, 33, [7, 13], [[3, 2], [1, 1], [1, 0], [1, 1]]),
    (2, 1, 17, 40, [9, 6], [[2, 3], [2, 1], [0, 1], [1, 1]]),
    (1, 2, 5, 16, [8, 11], [[3, 3], [1, 2], [2, 1], [1, 2]]),
    (2, 3, 32, 7, [5, 5], [[2, 2], [1, 1], [1, 1], [2, 1]]),
    (5, 4, 1, 1, [6, 4], [[3, 3], [1, 1], [1, 1], [1, 1]]),
    (1, 1, 64, 64, [1, 1], [[1, 1], [1, 1], [0, 0], [1, 1]]),
    (40, 1, 20, 96, [6, 5], [[4, 3], [3, 2], [2, 1], [1, 1]]),
];

fn numbers<E: Real>(n: usize, step: f64) -> Vec<E> {
    (0..n).map(|i| E::lit(f64::from((step * i as f64).sin() as f32))).collect()
}

/// What is computed, one after the other: each once written and once added to what is there.
fn all<E: Real>(case: Case) -> Vec<E> {
    let _tape = Tape::<E>::default();
    let (n, groups, depth, filters, image, [size, stride, padding, dilation]) = case;
    let window = Window { size, stride, padding, dilation };
    let places = window.places(image).expect("the window fits");
    let at = Geometry { n, groups, depth, filters, image, places, window };
    let (image_len, out_len) = at.lengths();
    let x = numbers::<E>(n * image_len, 0.37);
    let weight = numbers::<E>(groups * filters * at.taps(), 0.11);
    let bias = numbers::<E>(groups * filters, 0.7);
    let g = numbers::<E>(n * out_len, 0.23);
    let mut all = vec![E::lit(f64::NAN); n * out_len];
    forward(&at, &x, &weight, None, &mut all);
    let mut out = vec![E::lit(f64::NAN); n * out_len];
    forward(&at, &x, &weight, Some(&bias), &mut out);
    all.extend(out);
    for add in [false, true] {
        let start = |n: usize| if add { numbers(n, 0.5) } else { vec![E::lit(f64::NAN); n] };
        let (mut dx, mut dw, mut db) = (start(x.len()), start(weight.len()), start(bias.len()));
        for_images(&at, &weight, &g, Target { buffer: &mut dx, add });
        let of_weight = Target { buffer: &mut dw, add };
        for_weights(&at, &x, &g, Some(of_weight), Some(Target { buffer: &mut db, add }));
        all.extend(dx.into_iter().chain(dw).chain(db));
    }
    all
}

#[test]
fn single_precision_says_what_double_precision_says() {
    for case in CASES {
        let (single, double) = (all::<f32>(case), all::<f64>(case));
        assert_eq!(single.len(), double.len());
        for (k, (single, double)) in single.iter().zip(&double).enumerate() {
            let difference = (f64::from(*single) - double).abs();
            // NaN is no small difference.
            assert!(difference < 2e-4, "{case:?}, number {k}: {single} and {double}");
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for case in CASES {
        let one = all::<f32>(case);
        for threads in [2, 3] {
            let several = with_threads(threads, || all::<f32>(case));
            assert!(one.iter().zip(&several).all(|(a, b)| a.to_bits() == b.to_bits()), "{case:?}");
        }
    }
}
