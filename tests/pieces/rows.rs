//! Sums over rows, and what is known of rows that nothing, or much, flows to.

use wengert::prelude::*;

use crate::common::numbers;

/// What the sums of rows are is no matter of where they are computed.
#[test]
fn sums_over_rows_have_the_bits_of_each_row() {
    let bits = |x: &Tensor| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    for (n, width) in
        [(700, 33), (20_000, 2), (9001, 5), (4096, 32), (129, 128), (130, 129), (1, 40)]
    {
        let (a, b) = (numbers([n, width], -1.0, 1.0), numbers([n, width], 0.0, 1.0));
        let product = &a * &b;
        let right: Vec<_> = (0..n).flat_map(|i| bits(&product.rows(&[i]).sum())).collect();
        for threads in [1, 3] {
            let sums = with_threads(threads, || {
                let tape = Tape::new();
                (tape.tensor(&a) * tape.tensor(&b)).sum_axes(1).value()
            });
            assert!(right == bits(&sums), "{n} rows of {width} on {threads} threads");
        }
        assert!(right == bits(&product.sum_axes_keep(1)), "{n} rows of {width}");
    }
}

/// Rows that nothing flows to are zero, whatever was in the memory before.
#[test]
fn other_rows_are_zero() {
    let (table, indices) = (numbers([900, 32], -1.0, 1.0), [899, 3, 899, 500, 1]);
    let mut tape = Tape::new();
    for _ in 0..3 {
        tape.reset();
        let x = tape.tensor(&table);
        // The buffer goes back to the pool with the gradients, because nobody else holds it.
        let nan = (x * f64::NAN).sum().backward().unwrap();
        assert!(nan.wrt(x).iter().all(|g| g.is_nan()));
        drop(nan);
        tape.reset();
        let x = tape.tensor(&table);
        let g = x.index_select(0, indices).square().sum().backward().unwrap().wrt(x);
        for (row, g) in g.as_slice().chunks(32).enumerate() {
            let times = indices.iter().filter(|&&i| i == row).count() as f64;
            let x = &table.as_slice()[row * 32..];
            assert!(g.iter().zip(x).all(|(&g, &x)| g == times * 2.0 * x), "row {row}");
        }
    }
}

/// What is written to rows is seen to be finite, or not, while it is written.
fn rows_are_known_to_be_finite<E: Real>(long: usize, largest: f64) {
    let (rows, count) = (40, 90);
    // Row 1 has many indices, and the last one has none.
    let indices: Vec<_> = (0..count).map(|i| [1, i * 7 % (rows - 1)][i % 2]).collect();
    for width in [1, 5, 8, 15, 16, 17, 32, 33, 64, 150] {
        let factors: Tensor<E> = Tensor::full([count, width], E::lit(1.5));
        let gradient = |factors: &Tensor<E>, of_all: Option<E>| {
            let tape = Tape::<E>::default();
            let table = tape.tensor(Tensor::full([rows, width], E::ONE));
            let chosen = (table.index_select(0, &indices) * factors).sum();
            // Something else that flows to the table is added afterwards.
            let loss = of_all.map_or(chosen, |factor| chosen + (table.softmax(1) * factor).sum());
            loss.backward().unwrap().wrt(table)
        };
        let mut g = gradient(&factors, None);
        assert!(g.iter().all(|g| g.is_finite()));
        assert_eq!(g.is_known_finite(), width >= long, "rows of {width}");
        let same = g.reshape([rows * width]);
        assert_eq!(same.is_known_finite(), width >= long, "what is known of a clone");
        g.as_mut_slice()[0] = E::lit(f64::NAN);
        assert!(!g.is_known_finite(), "what was written later");
        drop(same);
        g.get_mut_slice().expect("the only owner")[0] = E::lit(f64::NAN);
        assert!(!g.is_known_finite(), "what was written later");
        assert!(!gradient(&factors, Some(E::lit(f64::INFINITY))).is_known_finite());
        for place in [0, width - 1, 7 * width + width / 2, (count - 1) * width, count * width - 1] {
            for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                let mut factors = factors.clone();
                factors.as_mut_slice()[place] = E::lit(bad);
                let g = gradient(&factors, None);
                assert!(g.iter().any(|g| !g.is_finite()));
                assert!(!g.is_known_finite(), "{bad} at {place} in rows of {width}");
            }
        }
        // Finite numbers, whose sum in row 1 is not.
        let mut factors = factors;
        for row in [0, 2] {
            factors.as_mut_slice()[row * width] = E::lit(largest);
        }
        assert!(!gradient(&factors, None).is_known_finite(), "a sum in rows of {width}");
    }
    let tape = Tape::<E>::default();
    let table = tape.tensor(Tensor::full([rows, 32], E::ONE));
    let none = table.index_select(0, Vec::new()).square().sum() + table.slice(0, 1..3).sum();
    assert!(none.backward().unwrap().wrt(table).iter().all(|g| g.is_finite()));
}

#[test]
fn rows_of_either_precision_are_known_to_be_finite() {
    rows_are_known_to_be_finite::<f32>(16, f64::from(f32::MAX));
    rows_are_known_to_be_finite::<f64>(8, f64::MAX);
}
