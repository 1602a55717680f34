//! Steps that are refused, and leave everything as it was.

use wengert::autograd::Differentiate;
use wengert::optim::transforms::*;
use wengert::optim::*;
use wengert::tape::{Tape, Tensor};

use crate::{A, C, START, gradients};

#[test]
fn a_rate_that_overflows_on_the_way_is_refused_before_anything_moves() {
    let mut params = Params::new();
    let key = params.insert("x", Tensor::from(START));
    let mut opt = Momentum::new(Schedule::exponential(1.0, 1e200));
    let g = gradients(&params, key, &A, &C);
    opt.step(&mut params, &g).unwrap();
    let g = gradients(&params, key, &[0.0; 4], &C);
    opt.step(&mut params, &g).unwrap();
    let before = params.get(key).to_vec();
    let g = gradients(&params, key, &[0.0; 4], &C);
    let error = opt.step(&mut params, &g).unwrap_err();
    assert!(matches!(error, Error::Rate { step: 2, rate: f64::INFINITY, .. }), "{error}");
    assert!(error.to_string().contains("tests/optim/refusals.rs"), "{error}");
    assert_eq!((params.get(key).to_vec(), opt.steps()), (before, 2));

    // What is a number for `f64` need not be one for the parameters.
    let mut params = Params::new();
    let key = params.insert("x", [1.0f32]);
    let g = gradients(&params, key, &[1.0], &[0.0]);
    let error = Sgd::new(1e300).step(&mut params, &g).unwrap_err();
    assert!(matches!(error, Error::Rate { step: 0, .. }), "{error}");
    assert_eq!(params.get(key).item(), 1.0);
}

/// Whether two lists are equal bit by bit.
fn same_bits(a: &[f64], b: &[f64]) -> bool {
    let bits = |x: &[f64]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    bits(a) == bits(b)
}

#[test]
fn a_gradient_that_is_not_finite_changes_nothing() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let run = |disturbed: bool| {
            let mut params = Params::new();
            let x = params.insert("x", Tensor::from(START));
            let y = params.insert("y", Tensor::from(START));
            // A rate, a momentum and a correction that all depend on the number of steps.
            let mut opt = Chain::new()
                .then(Trace::classical(0.9))
                .then(ClipGlobalNorm::new(10.0))
                .then(ScaleByAdam::default())
                .then(ScaleBySchedule::new(Schedule::exponential(0.1, 0.9)));
            for step in 0..10 {
                if disturbed && step % 3 == 0 {
                    let before = (params.get(x).to_vec(), params.get(y).to_vec(), opt.steps());
                    let tape = Tape::new();
                    let p = params.bind(&tape);
                    let factors = tape.constant([1.0, 1.0, bad, bad]);
                    let loss = p[x].sum() + (p[y] * factors).sum();
                    let error = opt.step(&mut params, loss.backward().unwrap());
                    match error.unwrap_err() {
                        Error::NonFinite { parameter, element, value, .. } => {
                            assert_eq!((parameter.as_str(), element), ("y", 2));
                            assert_eq!(value.is_nan(), bad.is_nan());
                        }
                        other => panic!("{other}"),
                    }
                    assert!(same_bits(params.get(x).as_slice(), &before.0));
                    assert!(same_bits(params.get(y).as_slice(), &before.1));
                    assert_eq!(opt.steps(), before.2);
                }
                let tape = Tape::new();
                let p = params.bind(&tape);
                let loss = (p[x] * p[x] * p[y]).sum() + (p[y] * p[y]).sum();
                opt.step(&mut params, loss.backward().unwrap()).unwrap();
            }
            [params.get(x).to_vec(), params.get(y).to_vec()].concat()
        };
        assert!(same_bits(&run(true), &run(false)));
    }
}

#[test]
fn a_sum_of_gradients_that_overflows_is_refused() {
    let mut params = Params::new();
    let x = params.insert("x", [1.0]);
    let tape = Tape::new();
    let (p, q) = (params.bind(&tape), params.bind(&tape));
    let loss = (p[x] * 1e308 + q[x] * 1e308).sum();
    let error = Sgd::new(0.1).step(&mut params, loss.backward().unwrap());
    assert!(matches!(error, Err(Error::NonFinite { .. })));
    assert_eq!(params.get(x).item(), 1.0);
}

/// Gradients of rows by index are seen to be finite while they are computed; a step sees the same as if it looked.
#[test]
fn a_row_that_is_not_finite_changes_nothing() {
    const WIDTH: usize = 32;
    let indices = [3, 0, 3, 7, 3];
    for (row, column) in [(0, 0), (2, 31), (4, 17), (3, 31)] {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut params = Params::new();
            let first = params.insert("first", Tensor::full([8, WIDTH], 1.0));
            let table = params.insert("table", Tensor::full([8, WIDTH], 1.0));
            let mut optimizer = Adam::new(0.1);
            let gradients = |params: &Params, factor: f64| {
                let mut factors = Tensor::full([5, WIDTH], 1.0);
                factors[[row, column]] = factor;
                let tape = Tape::new();
                let p = params.bind(&tape);
                let [a, b] = [first, table].map(|key| p[key].index_select(0, indices));
                (a.square().sum() + (b * &factors).sum()).backward().unwrap()
            };
            let good = gradients(&params, 2.0);
            optimizer.step(&mut params, &good).unwrap();
            let before = [first, table].map(|key| params.get(key).to_vec());
            let not_finite = gradients(&params, bad);
            let refused = optimizer.step(&mut params, not_finite).unwrap_err();
            let place = indices[row] * WIDTH + column;
            assert!(
                matches!(&refused, Error::NonFinite { parameter, element, .. }
                    if parameter == "table" && *element == place),
                "{refused}"
            );
            // What is written into gradients is looked at.
            let mut written = gradients(&params, 2.0);
            let (_, gradient) = written.labelled_mut().last().expect("two gradients");
            gradient.as_mut_slice()[8 * WIDTH - 1] = bad;
            let refused = optimizer.step(&mut params, written).unwrap_err();
            assert!(
                matches!(&refused, Error::NonFinite { element, .. } if *element == 8 * WIDTH - 1),
                "{refused}"
            );
            let after = [first, table].map(|key| params.get(key).to_vec());
            assert_eq!((after, optimizer.steps()), (before, 1));
        }
    }
}
