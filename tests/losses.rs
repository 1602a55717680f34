//! Losses: how they relate to each other, logits of any size, rows that do not count, and refusals.

use approx::assert_relative_eq;
use wengert::autograd::functional::{grad, hessian};
use wengert::prelude::*;
use wengert::tape::{Error, MultiMargin, TripletMargin};

const REDUCTIONS: [Reduction; 3] = [Reduction::None, Reduction::Mean, Reduction::Sum];

fn rows(reduction: Reduction) -> CrossEntropy {
    CrossEntropy { reduction, ..CrossEntropy::default() }
}

fn logits() -> Tensor {
    Tensor::from([[0.5, -1.0, 2.0], [3.0, 0.0, -2.0], [-0.5, 0.25, 0.75], [1.0, 1.0, -1.0]])
}

#[test]
fn cross_entropies_of_labels_and_of_probabilities_agree() {
    let tape = Tape::new();
    let x = tape.tensor(logits());
    let labels = [2, 0, 1, 1];
    let one_hot = Tensor::from_fn([4, 3], |[i, j]| if labels[i] == j { 1.0 } else { 0.0 });
    let weights = Some(vec![0.5, 2.0, 1.25]);
    for smoothing in [0.0, 0.1] {
        for reduction in [Reduction::None, Reduction::Sum] {
            let options =
                CrossEntropy { weights: weights.clone(), smoothing, reduction, ignore: None };
            let by_labels = x.cross_entropy_with(labels, options.clone());
            let target = tape.constant(&one_hot);
            let by_target = x.cross_entropy_of(target, options);
            if smoothing == 0.0 {
                assert_relative_eq!(by_labels.value(), by_target.value(), epsilon = 1e-14);
            }
            // Without weights both smooth alike.
            let plain = CrossEntropy { smoothing, ..rows(reduction) };
            let by_labels = x.cross_entropy_with(labels, plain.clone());
            let by_target = x.cross_entropy_of(target, plain);
            assert_relative_eq!(by_labels.value(), by_target.value(), epsilon = 1e-14);
        }
    }
    // The fused operation, its composite, and the logarithms of the probabilities.
    let fused = x.cross_entropy(labels);
    let sum = x.cross_entropy_with(labels, rows(Reduction::Sum));
    let nll = x.log_softmax(-1).nll_loss(labels, CrossEntropy::default());
    assert_relative_eq!(fused.item(), sum.item() / 4.0, epsilon = 1e-14);
    assert_relative_eq!(fused.item(), nll.item(), epsilon = 1e-14);
    let (a, b) = (fused.backward().unwrap().wrt(x), (sum / 4.0).backward().unwrap().wrt(x));
    assert_relative_eq!(a, b, epsilon = 1e-14);
    // The divergence is what the cross-entropy has above the entropy.
    let t = tape.constant(Tensor::from_fn([4, 3], |[i, j]| (1 + (i + j) % 3) as f64 / 6.0));
    let divergence = x.log_softmax(-1).kl_div(t, Reduction::Sum);
    let entropy = -t.xlogy(t).sum();
    let cross = x.cross_entropy_of(t, rows(Reduction::Sum));
    assert_relative_eq!(divergence.item(), (cross - entropy).item(), epsilon = 1e-13);
}

#[test]
fn losses_of_probabilities_and_of_logits_agree() {
    let tape = Tape::new();
    let (x, t) = (tape.tensor([-2.0, 0.3, 1.5]), tape.tensor([0.0, 0.25, 1.0]));
    let logits = x.binary_cross_entropy_with_logits(t, Reduction::None);
    let probabilities = x.sigmoid().binary_cross_entropy(t, Reduction::None);
    assert_relative_eq!(logits.value(), probabilities.value(), epsilon = 1e-14);
    for v in [x, t] {
        let (a, b) = (logits.sum().backward().unwrap(), probabilities.sum().backward().unwrap());
        assert_relative_eq!(a.wrt(v), b.wrt(v), epsilon = 1e-13);
    }
    // A focal loss without focus and with equal shares is half of the cross-entropy.
    let focal = x.focal_loss(t, 0.5, 0.0, Reduction::None);
    assert_relative_eq!(focal.value(), (logits * 0.5).value(), epsilon = 1e-14);
    // Two classes are a softmax of two.
    let pair = tape.tensor([[0.3, 0.0]]);
    let two = pair.cross_entropy([0]).item();
    let one =
        tape.tensor([0.3]).binary_cross_entropy_with_logits(tape.constant([1.0]), Reduction::Sum);
    assert_relative_eq!(two, one.item(), epsilon = 1e-15);
    // The Huber loss is the smooth one, scaled.
    let huber = x.huber_loss(t, 0.7, Reduction::Sum).item();
    assert_relative_eq!(
        huber,
        0.7 * x.smooth_l1_loss(t, 0.7, Reduction::Sum).item(),
        epsilon = 1e-15
    );
    // Small errors keep their digits.
    let tiny = tape.tensor([1e-9]).log_cosh_loss(tape.constant([0.0]), Reduction::Sum).item();
    assert_relative_eq!(tiny, 0.5e-18, max_relative = 1e-14);
}

/// A loss of two tensors, in both precisions.
macro_rules! pairs {
    ($($name:ident($($argument:expr),*) [$($target:expr),*];)*) => { $(
        for x in [1e4f64, -1e4, 300.0, -300.0] {
            for t in [$($target),*] {
                let t: f64 = t;
                let value = |x: Var| {
                    let (x, t) = (x.to_tensor().reshape([1]), x.to_tensor().constant_like([t]));
                    x.$name(t $(, $argument)*, Reduction::Sum)
                };
                let slope: f64 = grad(value, x).unwrap();
                let second: f64 = hessian(value, x).unwrap().item();
                assert!(slope.is_finite() && second.is_finite(), "{} at {x}, {t}", stringify!($name));
                let tape = Tape::<f32>::default();
                let (v, target) = (tape.tensor([x as f32]), tape.constant([t as f32]));
                let y = v.$name(target $(, $argument)*, Reduction::Sum);
                let g = y.backward().unwrap().wrt(v);
                assert!(y.item().is_finite() && g[[0]].is_finite(), "{} at {x}, {t}", stringify!($name));
                assert_relative_eq!(f64::from(g[[0]]), slope, max_relative = 1e-5, epsilon = 1e-6);
            }
        }
    )* };
}

#[test]
fn nothing_overflows_for_large_arguments() {
    pairs! {
        squared_error() [0.0];
        l1_loss() [0.0];
        huber_loss(1.0) [0.0, 3.0];
        smooth_l1_loss(1.0) [0.0, 3.0];
        log_cosh_loss() [0.0, 3.0];
        quantile_loss(0.9) [0.0];
        binary_cross_entropy_with_logits() [0.0, 0.5, 1.0];
        focal_loss(0.25, 2.0) [0.0, 1.0];
        focal_loss(0.25, 0.5) [0.0, 1.0];
        hinge_loss() [-1.0, 1.0];
    }
    for large in [1e4, -1e4] {
        let f = |x: TensorVar| x.cross_entropy_with([0, 1], rows(Reduction::Sum));
        let x = Tensor::from([[large, 0.0, -large], [large, 0.0, -large]]);
        assert!(grad(f, &x).unwrap().iter().all(|g| g.is_finite()));
        assert!(hessian(f, &x).unwrap().iter().all(|h: &f64| h.is_finite()));
        let f = |x: TensorVar| {
            x.cross_entropy_of(x.constant_like([0.2, 0.3, 0.5]), rows(Reduction::Sum))
        };
        let x = Tensor::from([large, 0.0, -large]);
        assert!(grad(f, &x).unwrap().iter().all(|g| g.is_finite()));
    }
}

#[test]
fn activations_far_out() {
    /// All orders up to the third at far points are finite.
    fn check(name: &str, f: impl Fn(Var) -> Var) {
        for at in [1e4, -1e4, 800.0, -800.0, 100.0, -100.0] {
            let tape = Tape::new();
            let x = tape.var(at);
            let mut y = f(x);
            for order in 0..4 {
                assert!(y.value().is_finite(), "{name}: order {order} at {at} is {y}");
                match y.grad_recorded(&[x]).unwrap()[0] {
                    Some(next) => y = next,
                    None => break,
                }
            }
        }
    }
    check("sigmoid", |x| x.sigmoid());
    check("log_sigmoid", |x| x.log_sigmoid());
    check("softplus", |x| x.softplus());
    check("gelu", |x| x.gelu());
    check("gelu_tanh", |x| x.gelu_tanh());
    check("silu", |x| x.silu());
    check("mish", |x| x.mish());
    check("elu", |x| x.elu(1.5));
    check("selu", |x| x.selu());
    check("celu", |x| x.celu(0.5));
    check("softsign", |x| x.softsign());
    check("hardsigmoid", |x| x.hardsigmoid());
    check("hardswish", |x| x.hardswish());
    check("hardtanh", |x| x.hardtanh(-1.0, 1.0));
    check("relu6", |x| x.relu6());
    check("leaky_relu", |x| x.leaky_relu(0.01));
    check("tanh", |x| x.tanh());
    check("norm_cdf", |x| x.norm_cdf());
    check("logaddexp", |x| x.logaddexp(-x));
}

#[test]
fn rows_that_do_not_count() {
    let mut x = logits();
    x.as_mut_slice()[3..6].fill(f64::NAN);
    let labels = [2, 99, 1, 1];
    for reduction in REDUCTIONS {
        for smoothing in [0.0, 0.2] {
            let options = CrossEntropy { ignore: Some(99), smoothing, ..rows(reduction) };
            let tape = Tape::new();
            let v = tape.tensor(&x);
            let y = v.cross_entropy_with(labels, options.clone());
            let g = y.sum().backward().unwrap().wrt(v);
            assert!(y.value().iter().all(|y| y.is_finite()), "{reduction:?}");
            assert!(g.iter().all(|g| g.is_finite()), "{reduction:?}");
            assert_eq!(g.as_slice()[3..6], [0.0; 3]);
            // As if the row were not there.
            let w = tape.tensor(x.rows(&[0, 2, 3]));
            let fewer = CrossEntropy { ignore: None, ..options };
            let z = w.cross_entropy_with([2, 1, 1], fewer);
            let h = z.sum().backward().unwrap().wrt(w);
            assert_relative_eq!(y.sum().item(), z.sum().item(), epsilon = 1e-14);
            assert_relative_eq!(g.rows(&[0, 2, 3]), h, epsilon = 1e-14);
            let recorded = y.sum().grad_recorded(&[v]).unwrap()[0].unwrap();
            assert_relative_eq!(recorded.value(), g, epsilon = 1e-14);
        }
    }
    let tape = Tape::new();
    let none = CrossEntropy { ignore: Some(0), ..CrossEntropy::default() };
    assert!(tape.tensor([[1.0, 2.0]]).cross_entropy_with([0], none).item().is_nan());
}

#[track_caller]
fn refused(result: Result<TensorVar, Error>, parts: &[&str]) {
    let error = result.map(|_| ()).unwrap_err();
    let text = error.to_string();
    assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    assert!(error.location().file().ends_with("losses.rs"), "{text}");
}

#[test]
fn a_weight_of_one_is_no_weight() {
    let tape = Tape::new();
    let (x, t) = (tape.tensor([1e4, -1e4, 0.3, -40.0]), tape.tensor([0.0, 1.0, 0.25, 0.0]));
    for reduction in [Reduction::None, Reduction::Mean, Reduction::Sum] {
        let weighted = x.weighted_binary_cross_entropy_with_logits(t, 1.0, reduction).value();
        let plain = x.binary_cross_entropy_with_logits(t, reduction).value();
        for (a, b) in weighted.iter().zip(plain.iter()) {
            assert_relative_eq!(*a, *b, max_relative = 1e-14);
        }
    }
    let y = x.weighted_binary_cross_entropy_with_logits(t, 3.0, Reduction::None);
    assert_eq!(y.value().as_slice()[..2], [1e4, 3e4]);
    let g = y.sum().backward().unwrap();
    assert_eq!(g.wrt(x).as_slice()[..2], [1.0, -3.0]);
}

#[test]
fn refusals() {
    let tape = Tape::new();
    let (x, t) = (tape.tensor([1.0, 2.0]), tape.tensor([[1.0], [2.0]]));
    let r = Reduction::Mean;
    let shapes = ["[2]", "[2, 1]", "differ"];
    let with = |name: &'static str| [&[name][..], &shapes].concat();
    refused(x.try_mse_loss(t), &with("mse_loss"));
    refused(x.try_squared_error(t, r), &with("squared_error"));
    refused(x.try_l1_loss(t, r), &with("l1_loss"));
    refused(x.try_huber_loss(t, 1.0, r), &with("huber_loss"));
    refused(x.try_smooth_l1_loss(t, 1.0, r), &with("smooth_l1_loss"));
    refused(x.try_log_cosh_loss(t, r), &with("log_cosh_loss"));
    refused(x.try_quantile_loss(t, 0.5, r), &with("quantile_loss"));
    refused(x.try_binary_cross_entropy(t, r), &with("binary_cross_entropy"));
    refused(
        x.try_binary_cross_entropy_with_logits(t, r),
        &with("binary_cross_entropy_with_logits"),
    );
    refused(x.try_focal_loss(t, 0.25, 2.0, r), &with("focal_loss"));
    refused(x.try_hinge_loss(t, r), &with("hinge_loss"));
    refused(x.try_kl_div(t, r), &with("kl_div"));
    refused(x.try_poisson_nll_loss(t, true, r), &with("poisson_nll_loss"));
    refused(x.try_gaussian_nll_loss(x, t, 1e-6, r), &["gaussian_nll_loss", "[2, 1]", "differ"]);
    refused(x.try_cosine_similarity(t, 0, 1e-8), &with("cosine_similarity"));
    refused(x.try_cosine_embedding_loss(t, x, 0.0, r), &with("cosine_embedding_loss"));
    refused(x.try_triplet_margin_loss(x, t, 1.0, r), &["triplet_margin_loss", "differ"]);
    refused(x.try_info_nce(t, 1.0, r), &with("info_nce"));
    refused(x.try_info_nce(x, 1.0, r), &["info_nce", "matrices"]);
    refused(x.try_cross_entropy_of(t, rows(r)), &with("cross_entropy_of"));
    let scalar = tape.tensor(1.0);
    refused(scalar.try_cross_entropy_of(scalar, rows(r)), &["cross_entropy_of", "classes"]);
    refused(
        scalar.try_cross_entropy_with([0], rows(Reduction::Sum)),
        &["cross_entropy_with", "classes"],
    );
    let m = tape.tensor([[1.0, 2.0], [3.0, 4.0]]);
    let sum = || rows(Reduction::Sum);
    refused(
        m.try_cross_entropy_with([0, 2], sum()),
        &["cross_entropy_with", "label 2 of row 1 for 2"],
    );
    refused(m.try_cross_entropy_with([0], sum()), &["cross_entropy_with", "1 labels for 2 rows"]);
    let weights = CrossEntropy { weights: Some(vec![1.0; 3]), ..rows(r) };
    refused(
        m.try_cross_entropy_with([0, 1], weights.clone()),
        &["cross_entropy_with", "3 weights for 2"],
    );
    refused(m.try_nll_loss([0, 1], weights), &["nll_loss", "3 weights for 2"]);
    refused(m.try_nll_loss([0, 5], sum()), &["nll_loss", "label 5"]);
    refused(m.try_multi_margin_loss([0, 5], 1.0, r), &["multi_margin_loss", "label 5"]);
    let margin = MultiMargin { weights: Some(vec![1.0; 3]), ..MultiMargin::default() };
    refused(
        m.try_multi_margin_loss_with([0, 1], margin),
        &["multi_margin_loss_with", "3 weights for 2"],
    );
    let triplet = TripletMargin::default();
    refused(
        x.try_triplet_margin_loss_with(x, t, triplet),
        &["triplet_margin_loss_with", "[2, 1]", "differ"],
    );
    let name = "weighted_binary_cross_entropy_with_logits";
    refused(x.try_weighted_binary_cross_entropy_with_logits(t, 2.0, r), &with(name));
    refused(
        x.try_weighted_binary_cross_entropy_with_logits(x, t, r),
        &[name, "[2]", "[2, 1]", "weights"],
    );
}

/// The panic of a closure.
fn panic_of<R>(f: impl FnOnce() -> R) -> String {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).map(|_| ());
    let panic = result.unwrap_err();
    let literal = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    literal.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

#[test]
fn settings_that_make_no_sense() {
    let tape = Tape::new();
    let x = tape.tensor([[1.0, 2.0]]);
    let r = Reduction::Mean;
    assert!(panic_of(|| x.huber_loss(x, 0.0, r)).contains("delta is 0"));
    assert!(panic_of(|| x.smooth_l1_loss(x, -1.0, r)).contains("beta is -1"));
    assert!(panic_of(|| x.quantile_loss(x, 1.5, r)).contains("q is 1.5"));
    assert!(panic_of(|| x.focal_loss(x, 0.5, -1.0, r)).contains("gamma is -1"));
    assert!(panic_of(|| x.gaussian_nll_loss(x, x, 0.0, r)).contains("eps is 0"));
    assert!(panic_of(|| x.cosine_similarity(x, 1, 0.0)).contains("eps is 0"));
    let order = TripletMargin { p: 0.0, ..TripletMargin::default() };
    assert!(panic_of(|| x.triplet_margin_loss_with(x, x, order)).contains("order 0"));
    let power = MultiMargin { p: 0, ..MultiMargin::default() };
    assert!(panic_of(|| x.multi_margin_loss_with([0], power)).contains("power is 0"));
    assert!(panic_of(|| x.info_nce(x, 0.0, r)).contains("temperature is 0"));
    let smooth = || CrossEntropy { smoothing: 2.0, ..CrossEntropy::default() };
    assert!(panic_of(|| x.cross_entropy_with([0], smooth())).contains("smoothing 2"));
    assert!(panic_of(|| x.nll_loss([0], smooth())).contains("smoothing"));
    let ignore = || CrossEntropy { ignore: Some(1), ..CrossEntropy::default() };
    assert!(panic_of(|| x.cross_entropy_of(x, ignore())).contains("ignored"));
}
