//! Large parameters, whose blocks are worked on by several threads.

use wengert::autograd::Differentiate;
use wengert::optim::transforms::*;
use wengert::optim::*;
use wengert::tape::{Tape, Tensor, with_threads};

/// Sizes around the ends of chunks and blocks, and several blocks.
const SIZES: [usize; 7] = [1, 256, 257, 2048, 32_769, 40_000, 150_001];

/// Every transform, in an order that has norms at the beginning, in the middle and at the end.
fn everything() -> Chain<f32> {
    Chain::new()
        .then(ClipGlobalNorm::new(10.0))
        .then(AddDecay::new(0.01))
        .then(AddSign::new(0.001))
        .except_group("bias")
        .then(Trace::averaging(0.9).nesterov())
        .then(ClipNorm::new(5.0))
        .then(ScaleByAdam::default())
        .then(ScaleByRms::default().centered(true))
        .then(ClipValue::new(3.0))
        .then(ScaleByAdagrad::new(1e-3, 0.1))
        .then(Scale::new(2.0))
        .then(ClipGlobalNorm::new(20.0))
        .then(ScaleByAdadelta::default())
        .then(ScaleBySchedule::new(Schedule::exponential(0.5, 0.9)))
}

/// The bits of all parameters after some steps; with the tape at hand a step writes to a second buffer, and
/// without it in place.
fn bits_after_training(mut chain: Chain<f32>, keep_tape: bool) -> Vec<u32> {
    let mut params = Params::<f32>::new();
    for (k, &size) in SIZES.iter().enumerate() {
        let group = if k % 2 == 0 { "weight" } else { "bias" };
        let value: Vec<f32> = (0..size).map(|i| ((i + k) as f32).sin()).collect();
        params.insert_in(group, format!("w{k}"), value);
    }
    let keys: Vec<ParamKey> = params.iter().map(|(key, ..)| key).collect();
    for step in 0..4 {
        let tape = Tape::<f32>::default();
        let p = params.bind(&tape);
        let factor = 1.0 + step as f32;
        let terms = keys.iter().map(|&key| (p[key] * p[key] * factor).sum());
        let gradients = terms.reduce(|a, b| a + b).expect("there are some").backward().unwrap();
        let kept = keep_tape.then_some(tape);
        chain.step(&mut params, &gradients).unwrap();
        drop(kept);
    }
    params.iter().flat_map(|(.., value)| value.iter().map(|x| x.to_bits())).collect()
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let chains: [fn() -> Chain<f32>; 3] =
        [everything, || AdamW::new(0.01).into(), || Momentum::new(0.01).clip_norm(3.0).into()];
    for chain in chains {
        let alone = bits_after_training(chain(), true);
        for threads in [1, 2, 3] {
            let found = with_threads(threads, || bits_after_training(chain(), true));
            assert!(found == alone, "{threads} threads");
        }
        assert!(bits_after_training(chain(), false) == alone, "in place");
        assert!(with_threads(2, || bits_after_training(chain(), false)) == alone);
    }
}

#[test]
fn every_element_of_a_large_parameter_is_moved_like_the_only_one() {
    // Each element goes through the same numbers wherever it stands, and on whatever vector.
    let chain = || -> Chain<f32> { Adam::new(0.01).weight_decay(0.1).into() };
    let train = |start: Vec<f32>| {
        let mut params = Params::<f32>::new();
        let key = params.insert("x", start);
        let mut opt = chain();
        for _ in 0..3 {
            let tape = Tape::<f32>::default();
            let x = params.bind(&tape)[key];
            opt.step(&mut params, (x * x).sum().backward().unwrap()).unwrap();
        }
        params.get(key).to_vec()
    };
    let start: Vec<f32> = (0..100_003).map(|i| (i as f32 * 0.37).cos()).collect();
    let together = with_threads(2, || train(start.clone()));
    for k in (0..start.len()).step_by(997).chain([2047, 2048, 32_767, 32_768, 100_002]) {
        assert_eq!(train(vec![start[k]]), [together[k]], "element {k}");
    }
}

#[test]
fn a_number_that_is_not_finite_is_found_in_any_block() {
    let n = 300_000;
    with_threads(2, || {
        for bad in [0, 131_072, 200_000, n - 1] {
            for measured in [false, true] {
                let mut params = Params::<f32>::new();
                let (x, y) = (params.insert("x", [1.0]), params.insert("y", vec![1.0; n]));
                let tape = Tape::<f32>::default();
                let p = params.bind(&tape);
                let mut factors = vec![1.0; n];
                factors[bad] = f32::NEG_INFINITY;
                let loss = p[x].sum() + (p[y] * tape.constant(factors)).sum();
                let mut opt = Adam::<f32>::new(0.1);
                if measured {
                    opt = opt.clip_global_norm(1.0);
                }
                let error = opt.step(&mut params, loss.backward().unwrap()).unwrap_err();
                assert!(
                    matches!(&error, Error::NonFinite { parameter, element, .. }
                        if parameter == "y" && *element == bad),
                    "{error}"
                );
                assert_eq!((params.get(x).item(), opt.steps()), (1.0, 0));
                assert!(params.get(y) == &Tensor::full([n], 1.0));
            }
        }
    });
}
