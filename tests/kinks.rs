//! What happens at ties, kinks, poles, empty inputs, NaN and infinity is as `docs/kinks.md` says: its tables are
//! the data of this test.
//!
//! A row says: the operation, the arguments (separated by `;`; a number, or a vector in brackets), the value, and the
//! derivative of the sum of the value by each argument. All is checked on tensors in both precisions, and on recorded
//! numbers where the operation is elementwise.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use wengert::prelude::*;
use wengert::tape::{MultiMargin, TripletMargin};

const PAGE: &str = include_str!("../docs/kinks.md");

/// Elementwise operations.
fn elementwise<T: Elementary>(name: &str, x: &[T]) -> Option<T> {
    Some(match name {
        "abs" => x[0].abs(),
        "signum" => x[0].signum(),
        "recip" => x[0].recip(),
        "sqrt" => x[0].sqrt(),
        "cbrt" => x[0].cbrt(),
        "rsqrt" => x[0].rsqrt(),
        "square" => x[0].square(),
        "powi(0)" => x[0].powi(0),
        "powi(1)" => x[0].powi(1),
        "powi(3)" => x[0].powi(3),
        "powi(-1)" => x[0].powi(-1),
        "powi(-2)" => x[0].powi(-2),
        "exp" => x[0].exp(),
        "exp2" => x[0].exp2(),
        "exp_m1" => x[0].exp_m1(),
        "ln" => x[0].ln(),
        "ln_1p" => x[0].ln_1p(),
        "log2" => x[0].log2(),
        "log10" => x[0].log10(),
        "sin" => x[0].sin(),
        "cos" => x[0].cos(),
        "tan" => x[0].tan(),
        "asin" => x[0].asin(),
        "acos" => x[0].acos(),
        "atan" => x[0].atan(),
        "sinh" => x[0].sinh(),
        "cosh" => x[0].cosh(),
        "tanh" => x[0].tanh(),
        "asinh" => x[0].asinh(),
        "acosh" => x[0].acosh(),
        "atanh" => x[0].atanh(),
        "floor" => x[0].floor(),
        "ceil" => x[0].ceil(),
        "round" => x[0].round(),
        "trunc" => x[0].trunc(),
        "fract" => x[0].fract(),
        "erf" => x[0].erf(),
        "erfc" => x[0].erfc(),
        "erfinv" => x[0].erfinv(),
        "norm_pdf" => x[0].norm_pdf(),
        "norm_cdf" => x[0].norm_cdf(),
        "norm_quantile" => x[0].norm_quantile(),
        "gamma" => x[0].gamma(),
        "ln_gamma" => x[0].ln_gamma(),
        "digamma" => x[0].digamma(),
        "polygamma(1)" => x[0].polygamma(1),
        "polygamma(2)" => x[0].polygamma(2),
        "sinc" => x[0].sinc(),
        "sigmoid" => x[0].sigmoid(),
        "log_sigmoid" => x[0].log_sigmoid(),
        "softplus" => x[0].softplus(),
        "relu" => x[0].relu(),
        "relu6" => x[0].relu6(),
        "leaky_relu(0.1)" => x[0].leaky_relu(0.1),
        "elu(1.5)" => x[0].elu(1.5),
        "selu" => x[0].selu(),
        "celu(2)" => x[0].celu(2.0),
        "gelu" => x[0].gelu(),
        "gelu_tanh" => x[0].gelu_tanh(),
        "silu" => x[0].silu(),
        "mish" => x[0].mish(),
        "softsign" => x[0].softsign(),
        "hardsigmoid" => x[0].hardsigmoid(),
        "hardswish" => x[0].hardswish(),
        "hardtanh(-1, 1)" => x[0].hardtanh(-1.0, 1.0),
        "div" => x[0] / x[1],
        "mul" => x[0] * x[1],
        "rem" => x[0] % x[1],
        "powf" => x[0].powf(x[1]),
        "atan2" => x[0].atan2(x[1]),
        "hypot" => x[0].hypot(x[1]),
        "min" => x[0].min(x[1]),
        "max" => x[0].max(x[1]),
        "copysign" => x[0].copysign(x[1]),
        "log" => x[0].log(x[1]),
        "xlogy" => x[0].xlogy(x[1]),
        "logaddexp" => x[0].logaddexp(x[1]),
        "beta" => x[0].beta(x[1]),
        "ln_beta" => x[0].ln_beta(x[1]),
        "prelu" => x[0].prelu(x[1]),
        "clamp" => x[0].clamp(x[1], x[2]),
        "lerp" => x[0].lerp(x[1], x[2]),
        "select_gt" => T::select_gt(x[0], x[1], x[2], x[3]),
        "select_gt(x, 0, sqrt(x), 0)" => T::select_gt(x[0], T::lit(0.0), x[0].sqrt(), T::lit(0.0)),
        "select_gt(x, 0, sqrt(select_gt(x, 0, x, 1)), 0)" => {
            let zero = T::lit(0.0);
            let safe = T::select_gt(x[0], zero, x[0], T::lit(1.0));
            T::select_gt(x[0], zero, safe.sqrt(), zero)
        }
        _ => return None,
    })
}

/// Operations on vectors.
fn on_vectors<E: Real>(name: &str, x: &[TensorVar<E>]) -> TensorVar<E> {
    let none = Reduction::None;
    match name {
        "sum" => x[0].sum(),
        "mean" => x[0].mean(),
        "prod" => x[0].prod(),
        "amax" => x[0].amax(),
        "amin" => x[0].amin(),
        "logsumexp" => x[0].logsumexp(),
        "var(0)" => x[0].var(0.0),
        "var(1)" => x[0].var(1.0),
        "std(0)" => x[0].std(0.0),
        "std(1)" => x[0].std(1.0),
        "norm(1)" => x[0].norm(1.0),
        "norm(2)" => x[0].norm(2.0),
        "norm(3)" => x[0].norm(3.0),
        "norm(inf)" => x[0].norm(f64::INFINITY),
        "cumsum" => x[0].cumsum(0),
        "cumprod" => x[0].cumprod(0),
        "logcumsumexp" => x[0].logcumsumexp(0),
        "cummax" => x[0].cummax(0),
        "cummin" => x[0].cummin(0),
        "median" => x[0].median(),
        "median_axis" => x[0].median_axis(0),
        "quantile(0.5)" => x[0].quantile(0.5),
        "quantile_axis(0.5)" => x[0].quantile_axis(0, 0.5),
        "sort" => x[0].sort(0, false).0,
        "sort, descending" => x[0].sort(0, true).0,
        "topk(1)" => x[0].topk(1, 0, true).0,
        "argmax" => x[0].constant_like(E::lit(x[0].argmax() as f64)),
        "argmin" => x[0].constant_like(E::lit(x[0].argmin() as f64)),
        "all" => x[0].constant_like(if x[0].all() { E::ONE } else { E::ZERO }),
        "any" => x[0].constant_like(if x[0].any() { E::ONE } else { E::ZERO }),
        "softmax" => x[0].softmax(0),
        "softmin" => x[0].softmin(0),
        "log_softmax" => x[0].log_softmax(0),
        "first of softmax" => x[0].softmax(0).narrow(0, 0, 1),
        "first of log_softmax" => x[0].log_softmax(0).narrow(0, 0, 1),
        "max_pool2d" => x[0].reshape([1, 1, 2, 2]).max_pool2d(Pool2d::new(2)).flatten(),
        "layer_norm, eps = 0" => x[0].layer_norm(x[1], x[2], 0.0),
        "l1_loss" => x[0].l1_loss(x[1], none),
        "mse_loss" => x[0].mse_loss(x[1]),
        "huber_loss(1)" => x[0].huber_loss(x[1], 1.0, none),
        "smooth_l1_loss(1)" => x[0].smooth_l1_loss(x[1], 1.0, none),
        "log_cosh_loss" => x[0].log_cosh_loss(x[1], none),
        "quantile_loss(0.75)" => x[0].quantile_loss(x[1], 0.75, none),
        "binary_cross_entropy" => x[0].binary_cross_entropy(x[1], none),
        "binary_cross_entropy_with_logits" => x[0].binary_cross_entropy_with_logits(x[1], none),
        "focal_loss(0.25, 2)" => x[0].focal_loss(x[1], 0.25, 2.0, none),
        "focal_loss(0.25, 0.5)" => x[0].focal_loss(x[1], 0.25, 0.5, none),
        "hinge_loss" => x[0].hinge_loss(x[1], none),
        "kl_div" => x[0].kl_div(x[1], none),
        "poisson_nll_loss" => x[0].poisson_nll_loss(x[1], true, none),
        "gaussian_nll_loss(1)" => x[0].gaussian_nll_loss(x[1], x[2], 1.0, none),
        "cosine_similarity" => x[0].cosine_similarity(x[1], 0, 1e-8),
        "triplet_margin_loss(1)" => x[0].triplet_margin_loss(x[1], x[2], 1.0, none),
        "triplet_margin_loss_with(swap)" => {
            let options = TripletMargin { swap: true, reduction: none, ..TripletMargin::default() };
            x[0].triplet_margin_loss_with(x[1], x[2], options)
        }
        "multi_margin_loss_with(0, p = 2)" => {
            let options = MultiMargin { p: 2, reduction: none, ..MultiMargin::default() };
            x[0].multi_margin_loss_with([0], options)
        }
        "multi_margin_loss(0, 1)" => x[0].multi_margin_loss([0], 1.0, none),
        "cross_entropy(0)" => x[0].cross_entropy([0]),
        "cross_entropy_with(9), 9 ignored" => {
            let options = CrossEntropy { ignore: Some(9), reduction: none, ..Default::default() };
            x[0].cross_entropy_with([9], options)
        }
        _ => panic!("the page has a row for {name}, which the test does not know"),
    }
}

#[derive(Clone, Debug)]
struct Row {
    name: String,
    arguments: Vec<Vec<f64>>,
    /// Whether each argument is a vector.
    vectors: Vec<bool>,
    /// `None` if it panics.
    value: Option<Vec<f64>>,
    derivatives: Vec<Vec<f64>>,
}

/// A number or a vector, and whether it is one.
fn parse(text: &str) -> (Vec<f64>, bool) {
    let text = text.trim();
    let number = |text: &str| {
        let text = text.trim();
        text.parse::<f64>().unwrap_or_else(|_| panic!("`{text}` is no number"))
    };
    match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some("") => (Vec::new(), true),
        Some(list) => (list.split(',').map(number).collect(), true),
        None => (vec![number(text)], false),
    }
}

/// The rows of the tables of four columns.
fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for line in PAGE.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, arguments, value, derivatives] = cells[..] else { continue };
        let (arguments, vectors) = arguments.split(';').map(parse).unzip();
        rows.push(Row {
            name: name.trim_matches('`').to_owned(),
            arguments,
            vectors,
            value: (value != "panics").then(|| parse(value).0),
            derivatives: match derivatives {
                "none" | "" => Vec::new(),
                _ => derivatives.split(';').map(|text| parse(text).0).collect(),
            },
        });
    }
    rows
}

fn close(a: f64, b: f64, tolerance: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * b.abs() + 1e-10
}

fn check(what: &str, row: &Row, found: &[f64], expected: &[f64], tolerance: f64) {
    let fits = found.len() == expected.len()
        && found.iter().zip(expected).all(|(&a, &b)| close(a, b, tolerance));
    assert!(
        fits,
        "{} at {:?}: {what} is {found:?}, and the page says {expected:?}",
        row.name, row.arguments
    );
}

fn on_tensors<E: Real>(row: &Row, tolerance: f64) {
    let tape = Tape::<E>::default();
    let leaf = |(x, &vector): (&Vec<f64>, &bool)| {
        let data: Vec<E> = x.iter().map(|&x| E::lit(x)).collect();
        if vector { tape.tensor(data) } else { tape.tensor(data[0]) }
    };
    let vars: Vec<TensorVar<E>> = row.arguments.iter().zip(&row.vectors).map(leaf).collect();
    let run = || elementwise(&row.name, &vars).unwrap_or_else(|| on_vectors(&row.name, &vars));
    let Some(value) = &row.value else {
        assert!(catch_unwind(AssertUnwindSafe(run)).is_err(), "{} does not panic", row.name);
        return;
    };
    let y = run();
    let as_f64 = |x: Tensor<E>| -> Vec<f64> { x.iter().map(|x| x.to_f64()).collect() };
    check("the value", row, &as_f64(y.value()), value, tolerance);
    if row.derivatives.is_empty() {
        return;
    }
    // The derivatives of a sweep whose result is numbers, and of one whose result is recorded.
    let gradients = y.sum().backward().unwrap();
    let recorded = y.sum().grad_recorded(&vars).unwrap();
    for (k, expected) in row.derivatives.iter().enumerate() {
        let found = as_f64(gradients.wrt(vars[k]));
        check(&format!("derivative {k}"), row, &found, expected, tolerance);
        if let Some(recorded) = recorded[k] {
            let found = as_f64(recorded.broadcast_to(vars[k].shape()).value());
            check(&format!("the recorded derivative {k}"), row, &found, expected, tolerance);
        }
    }
}

fn on_numbers(row: &Row) {
    let tape = Tape::new();
    let vars: Vec<Var> = row.arguments.iter().map(|x| tape.var(x[0])).collect();
    let Some(y) = elementwise(&row.name, &vars) else { return };
    check("the value of a number", row, &[y.value()], row.value.as_ref().unwrap(), 1e-6);
    let gradients = y.backward().unwrap();
    for (k, expected) in row.derivatives.iter().enumerate() {
        let found = gradients.wrt(vars[k]);
        check(&format!("derivative {k} of a number"), row, &[found], expected, 1e-6);
    }
}

#[test]
fn the_page_is_right() {
    let rows = rows();
    assert!(rows.len() > 200, "{} rows", rows.len());
    let mut failures = Vec::new();
    for row in &rows {
        let all = || {
            on_tensors::<f64>(row, 1e-6);
            on_tensors::<f32>(row, 1e-5);
            if !row.vectors.contains(&true) {
                on_numbers(row);
            }
        };
        if let Err(message) = catch_unwind(AssertUnwindSafe(all)) {
            let message = message.downcast_ref::<String>().cloned().unwrap_or_default();
            failures.push(message);
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// Every operation that the table of operations calls not differentiable somewhere is on the page.
#[test]
fn no_kink_is_forgotten() {
    let name = |row: &Row| row.name.split(['(', ',']).next().unwrap().to_owned();
    let on_page: BTreeSet<String> = rows().iter().map(name).collect();
    // The forms over axes are those over everything.
    let base = |name: &'static str| {
        let name = name.strip_suffix("_keep").unwrap_or(name);
        name.strip_suffix("_axes").unwrap_or(name)
    };
    let missing: Vec<&str> = wengert::tape::cases::all()
        .into_iter()
        .flat_map(|(_, cases)| cases)
        .filter(|case| !case.kinks.is_empty())
        .map(|case| base(case.name))
        .filter(|&name| !on_page.contains(name) && !ELSEWHERE.contains(&name))
        .filter(|&name| !MATRICES.contains(&format!("`{name}`")))
        .collect();
    assert!(missing.is_empty(), "{missing:?} have kinks and are not on the page");
}

/// What has the kinks of another operation.
const ELSEWHERE: &[&str] = &[
    "cosine_embedding_loss",
    "quantile_axis",
    "max_pool1d",
    "max_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
];

/// What happens at special matrices stands there, and is tested in `linalg.rs`.
const MATRICES: &str = include_str!("../docs/linear_algebra.md");
