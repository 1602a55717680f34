//! The special functions: their digits against constants of high precision, and their edges.

use std::collections::BTreeMap;

use approx::assert_relative_eq;
use wengert::autograd::functional::{grad, hessian};
use wengert::prelude::*;

/// What `tests/data/special.py` has computed: function, arguments, value.
const CONSTANTS: &str = include_str!("data/special.txt");

/// The function on one or two arguments, of whatever kind.
fn call<T: Elementary>(name: &str, x: &[T]) -> T {
    match name {
        "rsqrt" => x[0].rsqrt(),
        "sinc" => x[0].sinc(),
        "erfinv" => x[0].erfinv(),
        "norm_pdf" => x[0].norm_pdf(),
        "norm_cdf" => x[0].norm_cdf(),
        "norm_quantile" => x[0].norm_quantile(),
        "gamma" => x[0].gamma(),
        "ln_gamma" => x[0].ln_gamma(),
        "digamma" => x[0].digamma(),
        "beta" => x[0].beta(x[1]),
        "ln_beta" => x[0].ln_beta(x[1]),
        "xlogy" => x[0].xlogy(x[1]),
        "logaddexp" => x[0].logaddexp(x[1]),
        _ => {
            let n = name.strip_prefix("polygamma").expect("the list has all functions");
            x[0].polygamma(n.parse().expect("a number"))
        }
    }
}

/// The size of what is subtracted near a zero of the function, where that counts and not the result.
fn size(name: &str, x: &[f64], value: f64) -> f64 {
    let cancelled = match name {
        "ln_gamma" if x[0] < 0.0 => 1.0 + x[0].abs().ln().abs() * 4.0,
        "digamma" if x[0] > 0.0 => 1.0,
        "digamma" | "logaddexp" | "ln_beta" => 2.0,
        "sinc" => x[0].abs().recip().min(1.0),
        // The derivatives of the cotangent and those of positive arguments.
        _ if name.starts_with("polygamma") && x[0] < 0.0 => value.abs() * 4.0,
        "beta" => value * (1.0 + value.ln().abs()),
        _ => 0.0,
    };
    value.abs().max(cancelled)
}

#[test]
fn digits() {
    let mut worst: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    let (mut count, mut failures) = (0, Vec::new());
    for line in CONSTANTS.lines() {
        let mut words = line.split(' ');
        let name = words.next().unwrap();
        let mut numbers: Vec<f64> = words.map(|word| word.parse().unwrap()).collect();
        let value = numbers.pop().unwrap();
        count += 1;
        let on_floats = call(name, &numbers);
        let tape = Tape::new();
        let tensors: Vec<TensorVar> =
            numbers.iter().map(|&x| tape.tensor(Tensor::full([3], x))).collect();
        let on_tensors = call(name, &tensors).value()[[1]];
        let scale = size(name, &numbers, value);
        for y in [on_floats, on_tensors] {
            let error = if y == value { 0.0 } else { (y - value).abs() / scale };
            let worst = worst.entry(name).or_default();
            if error.is_nan() || error > worst.0 {
                *worst = (error, numbers[0]);
            }
            if error.is_nan() || error >= 1e-14 {
                failures
                    .push(format!("{name} of {numbers:?} is {value:e} and not {y:e}: {error:e}"));
            }
        }
    }
    assert!(count > 1000);
    for (name, (error, x)) in worst {
        println!("{name}: {error:.1e} at {x:e}");
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// Value and slope on a recorded number.
fn both(f: impl Fn(Var) -> Var, x: f64) -> (f64, f64) {
    let tape = Tape::new();
    let x = tape.var(x);
    let y = f(x);
    (y.value(), y.backward().unwrap().wrt(x))
}

#[test]
fn poles_and_ends() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    // Function, argument, value; NaN stands for NaN.
    let cases: [(&str, f64, f64); 37] = [
        ("rsqrt", 0.0, inf),
        ("rsqrt", -1.0, nan),
        ("rsqrt", inf, 0.0),
        ("sinc", 0.0, 1.0),
        ("sinc", 3.0, 0.0),
        ("sinc", -2.0, 0.0),
        ("sinc", inf, nan),
        ("erfinv", 1.0, inf),
        ("erfinv", -1.0, -inf),
        ("erfinv", 1.5, nan),
        ("erfinv", 0.0, 0.0),
        ("norm_pdf", inf, 0.0),
        ("norm_pdf", -1e10, 0.0),
        ("norm_cdf", inf, 1.0),
        ("norm_cdf", -inf, 0.0),
        ("norm_quantile", 0.0, -inf),
        ("norm_quantile", 1.0, inf),
        ("norm_quantile", 0.5, 0.0),
        ("norm_quantile", -0.1, nan),
        ("norm_quantile", 1.1, nan),
        ("gamma", 0.0, inf),
        ("gamma", -0.0, -inf),
        ("gamma", -3.0, nan),
        ("gamma", -inf, nan),
        ("gamma", inf, inf),
        ("gamma", 172.0, inf),
        ("gamma", -200.5, 0.0),
        ("ln_gamma", 0.0, inf),
        ("ln_gamma", -5.0, inf),
        ("ln_gamma", -inf, inf),
        ("ln_gamma", inf, inf),
        ("digamma", 0.0, -inf),
        ("digamma", -0.0, inf),
        ("digamma", -4.0, nan),
        ("digamma", inf, inf),
        ("polygamma1", -4.0, inf),
        ("polygamma2", -4.0, nan),
    ];
    let same = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan());
    for (name, x, value) in cases {
        let tape = Tape::new();
        for y in [call(name, &[x]), call(name, &[tape.var(x)]).value()] {
            assert!(same(y, value), "{name} of {x} is {y}");
        }
        let y = call(name, &[tape.tensor([x, x])]).value()[[1]];
        assert!(same(y, value), "{name} of {x} is {y} in a tensor");
        let y = f64::from(call(name, &[x as f32]));
        assert!(same(y, value), "{name} of {x} is {y} in single precision");
    }
    let one = [
        "rsqrt",
        "sinc",
        "erfinv",
        "norm_pdf",
        "norm_cdf",
        "norm_quantile",
        "gamma",
        "ln_gamma",
        "digamma",
        "polygamma1",
        "polygamma2",
    ];
    for name in one {
        let (value, slope) = both(|x| call(name, &[x]), nan);
        assert!(value.is_nan() && slope.is_nan(), "{name} of NaN is {value}, slope {slope}");
    }
    for name in ["beta", "ln_beta", "xlogy", "logaddexp"] {
        assert!(call(name, &[nan, 0.5]).is_nan() && call(name, &[0.5, nan]).is_nan(), "{name}");
    }
    for name in ["beta", "ln_beta"] {
        assert_eq!(call(name, &[0.0, 2.0]), inf);
        assert!(call(name, &[-0.5, 2.0]).is_nan() && call(name, &[2.0, -0.5]).is_nan());
    }
    assert_eq!(call("ln_beta", &[1.0, 1e300]), -(1e300f64.ln()));
}

#[test]
fn what_is_defined_by_its_limit() {
    // All derivatives of sinc at 0: 1, 0, -pi^2 / 3, 0.
    assert_eq!(grad(|x: Var| x.sinc(), 0.0).unwrap(), 0.0);
    let second: f64 = hessian(|x: Var| x.sinc(), 0.0).unwrap().item();
    assert!((second + std::f64::consts::PI.powi(2) / 3.0).abs() < 1e-14);
    // x ln y at x = 0.
    let tape = Tape::new();
    for (y, slopes) in [(0.0, (0.0, 0.0)), (-2.0, (0.0, 0.0)), (3.0, (3.0f64.ln(), 0.0))] {
        let (x, y) = (tape.var(0.0), tape.var(y));
        let z = x.xlogy(y);
        let g = z.backward().unwrap();
        assert_eq!((z.value(), (g.wrt(x), g.wrt(y))), (0.0, slopes));
    }
    // The mixed derivative at x = 0 is 1 / y: the exception must not cut it.
    let mixed = hessian(|[x, y]: [Var; 2]| x.xlogy(y), [0.0, 4.0]).unwrap();
    assert_eq!(mixed.to_vec(), [0.0, 0.25, 0.25, 0.0]);
    assert_eq!(0.0f64.xlogy(f64::INFINITY), 0.0);
    assert!(0.0f64.xlogy(f64::NAN).is_nan());
    // Equal numbers, and infinities.
    let same = hessian(|[x, y]: [Var; 2]| x.logaddexp(y), [1.5, 1.5]).unwrap();
    assert_eq!(same.to_vec(), [0.25, -0.25, -0.25, 0.25]);
    for infinity in [f64::INFINITY, f64::NEG_INFINITY] {
        let (x, y) = (tape.var(infinity), tape.var(infinity));
        let z = x.logaddexp(y);
        let g = z.backward().unwrap();
        assert_eq!((z.value(), g.wrt(x), g.wrt(y)), (infinity, 0.5, 0.5));
        assert_eq!(infinity.logaddexp(2.0), infinity.max(2.0));
    }
    assert_eq!(1e4f64.logaddexp(-1e4), 1e4);
    assert_eq!((3.0f64.lerp(7.1, 1.0), 3.0f64.lerp(7.1, 0.0)), (7.1, 3.0));
    // The density far out has the derivative 0, in all orders.
    for x in [1e10, f64::INFINITY] {
        assert_eq!(both(|x| x.norm_pdf(), x), (0.0, 0.0));
        assert_eq!(both(|x| x.norm_cdf(), x), (1.0, 0.0));
    }
    assert_eq!(hessian(|x: Var| x.norm_pdf(), 1e10).unwrap().item(), 0.0);
}

#[test]
fn high_orders() {
    // The derivative of order k of ln gamma is polygamma(k - 1).
    let tape = Tape::new();
    let x = tape.var(2.5);
    let mut y = x.ln_gamma();
    for k in 0..5 {
        y = y.grad_recorded(&[x]).unwrap()[0].unwrap();
        let expected = 2.5f64.polygamma(k);
        assert!((y.value() - expected).abs() < 1e-13 * expected.abs(), "order {k}");
    }
    // sinc obeys (x s)' = cos(pi x); five times differentiated, x s_5 + 5 s_4 is the fourth derivative of it.
    for at in [0.1, 0.7, 1.9, -2.6] {
        let x = tape.var(at);
        let mut orders = vec![x.sinc()];
        for _ in 0..5 {
            let last = orders[orders.len() - 1];
            orders.push(last.grad_recorded(&[x]).unwrap()[0].unwrap());
        }
        let pi = std::f64::consts::PI;
        let expected = pi.powi(4) * (pi * at).cos();
        let found = at * orders[5].value() + 5.0 * orders[4].value();
        assert!((found - expected).abs() < 1e-11 * pi.powi(4), "at {at}: {found} and {expected}");
    }
}

/// The slopes of `ln_beta` are differences of digammas that are almost equal when the arguments are far apart.
#[test]
fn slopes_of_ln_beta() {
    // digamma(x) - digamma(x + y) and digamma(y) - digamma(x + y), to 17 digits.
    for (x, y, slopes) in SLOPES {
        let found = grad(|[x, y]: [Var; 2]| x.ln_beta(y), [x, y]).unwrap();
        for (found, slope) in found.iter().zip(slopes) {
            let error = ((found - slope) / slope).abs();
            assert!(error < 1e-14, "at {x}, {y}: {found:e} and {slope:e}");
        }
    }
}

const SLOPES: [(f64, f64, [f64; 2]); 6] = [
    (0.5, 2.0, [-2.6666666666666665, -0.28037230554677606]),
    (10000000000.0, 1.0, [-1e-10, -23.60306659489199]),
    (300000.0, 0.25, [-8.333343750005787e-07, -16.838990453681387]),
    (20.0, 1e-7, [-5.1270822803797e-09, -10000003.547739498]),
    (1e-5, 0.001, [-99009.90263380809, -9.90100652422198]),
    (50.0, 80.0, [-0.9616936922442434, -0.487919751628152]),
];

/// The standard library loses half of the digits there.
#[test]
fn inverse_hyperbolic_functions_of_numbers_keep_their_digits() {
    let tape = Tape::new();
    for x in [1.0 - 1e-12, 0.9999999, 0.5, 1e-9] {
        let exact = 0.5 * (f64::ln_1p(x) - f64::ln_1p(-x));
        for x in [x, -x] {
            assert_relative_eq!(
                tape.var(x).atanh().value(),
                exact.copysign(x),
                max_relative = 1e-14
            );
            assert_relative_eq!(Elementary::atanh(x), exact.copysign(x), max_relative = 1e-14);
        }
    }
    for t in [2.0f64.powi(-40), 2.0f64.powi(-20), 0.25, 1e3] {
        // sqrt(2 t) for small t.
        let exact = (t + (t * (t + 2.0)).sqrt()).ln_1p();
        assert_relative_eq!(tape.var(1.0 + t).acosh().value(), exact, max_relative = 1e-14);
        let single = Elementary::acosh(1.0 + t as f32);
        if t > 1e-7 {
            assert_relative_eq!(single, exact as f32, max_relative = 1e-6);
        }
    }
    let x = -0.99999_f32;
    let exact = -Elementary::atanh(-f64::from(x));
    assert_relative_eq!(f64::from(Elementary::atanh(x)), exact, max_relative = 1e-7);
}
