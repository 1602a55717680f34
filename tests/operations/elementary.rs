//! Elementary functions.

use super::*;

/// Checks a unary method on a range of its domain: against the float of the same name, on scalars and
/// on tensors of several shapes.
macro_rules! unary {
    ($($name:ident [$low:expr, $high:expr];)*) => { $(
        #[test]
        fn $name() {
            let points = numbers([7], $low, $high);
            let tape = Tape::new();
            let t = tape.tensor(&points);
            // The tensor functions are others, which also are within 2 ulp.
            for (y, x) in t.$name().value().iter().zip(points.iter()) {
                assert_relative_eq!(*y, x.$name(), max_relative = 8e-16);
                assert_relative_eq!(Elementary::$name(*x), x.$name(), max_relative = 8e-16);
            }
            for &x in points.iter() {
                assert_eq!(tape.var(x).$name().value(), Elementary::$name(x));
                assert_eq!(Var::constant(x).$name().value(), Elementary::$name(x));
                assert_gradients!(|x: Var| x.$name(), x);
            }
            let tape = Tape::<f32>::default();
            for &x in points.iter() {
                assert_eq!(tape.var(x as f32).$name().value(), Elementary::$name(x as f32));
            }
            assert_gradients!(|x: TensorVar| x.$name(), points);
            assert_gradients!(|x: TensorVar| x.$name(), numbers([2, 3, 2], $low, $high));
            assert_gradients!(|x: TensorVar| x.$name(), numbers(Shape::scalar(), $low, $high));
            // In a cluster with others, through a reduction.
            assert_gradients!(
                |x: TensorVar| (x.$name() * x.sin() + 1.0).square().sum_axes(0),
                numbers([3, 2], $low, $high)
            );
        }
    )* };
}

unary! {
    abs [0.3, 2.0]; recip [0.4, 3.0]; sqrt [0.3, 4.0]; cbrt [0.3, 4.0]; exp [-2.0, 2.0];
    exp2 [-2.0, 2.0]; exp_m1 [-1.0, 1.0]; ln [0.3, 4.0]; ln_1p [-0.5, 2.0]; log2 [0.3, 4.0];
    log10 [0.3, 4.0]; sin [-3.0, 3.0]; cos [-3.0, 3.0]; tan [-1.2, 1.2]; asin [-0.8, 0.8];
    acos [-0.8, 0.8]; atan [-3.0, 3.0]; sinh [-2.0, 2.0]; cosh [-2.0, 2.0]; tanh [-2.0, 2.0];
    asinh [-3.0, 3.0]; acosh [1.3, 4.0]; atanh [-0.8, 0.8]; signum [0.2, 3.0];
    floor [0.2, 0.8]; ceil [0.2, 0.8]; round [0.6, 1.4]; trunc [1.2, 1.8];
}

#[test]
fn negative_side_of_even_and_odd_functions() {
    let points = numbers([5], -3.0, -0.4);
    assert_gradients!(|x: TensorVar| x.abs(), &points);
    assert_gradients!(|x: TensorVar| x.recip(), &points);
    assert_gradients!(|x: TensorVar| x.cbrt(), &points);
    assert_gradients!(|x: TensorVar| x.relu() + x.signum(), &points);
}

#[test]
fn error_functions() {
    // Of a table to 17 digits.
    for (x, erf, erfc) in [
        (0.0, 0.0, 1.0),
        (0.5, 0.520_499_877_813_046_5, 0.479_500_122_186_953_5),
        (-1.0, -0.842_700_792_949_714_9, 1.842_700_792_949_715),
        (3.0, 0.999_977_909_503_001_4, 2.209_049_699_858_544e-5),
        (10.0, 1.0, 2.088_487_583_762_545e-45),
    ] {
        assert_relative_eq!(Elementary::erf(x), erf, max_relative = 4e-16);
        assert_relative_eq!(Elementary::erfc(x), erfc, max_relative = 4e-16);
        let single = (x as f32, erf as f32, erfc as f32);
        assert_relative_eq!(Elementary::erf(single.0), single.1, max_relative = 2e-7);
        assert_relative_eq!(Elementary::erfc(single.0), single.2, max_relative = 2e-7);
    }
    for x in [-2.3, -0.4, 0.0, 0.3, 1.7] {
        assert_gradients!(|x: Var| x.erf(), x);
        assert_gradients!(|x: Var| x.erfc() * x.erf(), x);
        let tape = Tape::new();
        assert_eq!(tape.var(x).erf().value(), Elementary::erf(x));
        assert_eq!(tape.var(x).erfc().value(), Elementary::erfc(x));
    }
    assert_gradients!(|x: TensorVar| x.erf(), numbers([4, 2], -2.0, 2.0));
    assert_gradients!(|x: TensorVar| x.erfc() * x, numbers([3, 1], -2.0, 2.0));
    assert_gradients!(
        |x: TensorVar| x.erf() + x.erfc() * x.sin(),
        numbers(Shape::scalar(), 0.2, 2.0)
    );
    // Far out the derivative is 0, and nothing overflows.
    let tape = Tape::new();
    for x in [-1e200, -30.0, 30.0, 1e200, f64::INFINITY] {
        let v = tape.var(x);
        assert_eq!((v.erf().value(), v.erfc().value()), (x.signum(), 1.0 - x.signum()));
        assert_eq!(v.erf().backward().unwrap().wrt(v), 0.0);
        assert_eq!(v.erfc().backward().unwrap().wrt(v), 0.0);
    }
    assert!(Elementary::erf(f64::NAN).is_nan() && Elementary::erfc(f32::NAN).is_nan());
}

#[test]
fn sigmoid_softplus_relu() {
    for x in [-3.0, -0.4, 0.3, 2.5f64] {
        assert_relative_eq!(Elementary::sigmoid(x), 1.0 / (1.0 + (-x).exp()), epsilon = 1e-15);
        assert_relative_eq!(Elementary::softplus(x), x.exp().ln_1p(), epsilon = 1e-15);
        assert_eq!(Elementary::relu(x), x.max(0.0));
        assert_gradients!(|x: Var| x.sigmoid() + x.softplus() * x + x.relu(), x);
    }
    assert_gradients!(|x: TensorVar| x.sigmoid(), numbers([4, 2], -4.0, 4.0));
    assert_gradients!(|x: TensorVar| x.softplus(), numbers([4, 2], -4.0, 4.0));
    assert_gradients!(|x: TensorVar| x.relu() * x, numbers([4, 2], 0.2, 4.0));
    // Far out nothing overflows, and the derivative is the limit.
    let tape = Tape::new();
    for (x, sigmoid, softplus) in [(1e4, 1.0, 1e4), (-1e4, 0.0, 0.0)] {
        let v = tape.var(x);
        assert_eq!((v.sigmoid().value(), v.softplus().value()), (sigmoid, softplus));
        assert_eq!(v.sigmoid().backward().unwrap().wrt(v), 0.0);
        assert_eq!(v.softplus().backward().unwrap().wrt(v), sigmoid);
    }
    assert!(Elementary::relu(f64::NAN).is_nan() && Elementary::sigmoid(f64::NAN).is_nan());
}

#[test]
fn powers() {
    for n in [-3, -1, 0, 1, 2, 3, 7] {
        assert_gradients!(|x: Var| x.powi(n), 1.3);
        assert_gradients!(|x: Var| x.powi(n), -0.7);
        assert_gradients!(|x: TensorVar| x.powi(n), numbers([3, 2], 0.4, 2.0));
    }
    assert_gradients!(|[x, y]: [Var; 2]| x.powf(y), [1.4, 2.3]);
    assert_gradients!(|x: Var| x.powf(2.5), 1.4);
    assert_gradients!(|x: Var| Var::from(1.7).powf(x), 1.4);
    let (a, b) = (numbers([3, 1], 0.4, 2.0), numbers([2], -1.0, 2.0));
    assert_gradients!(|(a, b): (TensorVar, TensorVar)| a.powf(b), (a, b));
    // The exponent 0 is no exception for the second derivative.
    assert_gradients!(|[x, y]: [Var; 2]| x.powf(y), [1.7, 0.0]);
    assert_gradients!(|x: Var| x.powf(0.0) * x, 1.7);
    // Powers of zero: the derivative is that of the polynomial.
    let tape = Tape::new();
    let x = tape.var(0.0);
    for (n, slope) in [(0, 0.0), (1, 1.0), (2, 0.0), (3, 0.0)] {
        assert_eq!(x.powi(n).backward().unwrap().wrt(x), slope);
        assert_eq!(x.powf(f64::from(n)).backward().unwrap().wrt(x), slope);
        let y = tape.var(f64::from(n));
        let g = x.powf(y).backward().unwrap();
        assert_eq!((g.wrt(x), g.wrt(y)), (slope, 0.0));
    }
    let second = x.powi(2).grad_recorded(&[x]).unwrap()[0].unwrap();
    assert_eq!(second.backward().unwrap().wrt(x), 2.0);
}

#[test]
fn functions_of_two() {
    let (a, b) = (numbers([3, 1], 0.4, 2.0), numbers([2], -2.0, -0.3));
    assert_gradients!(|(a, b): (TensorVar, TensorVar)| a.atan2(b), (&a, &b));
    assert_gradients!(|(a, b): (TensorVar, TensorVar)| a.hypot(b), (&a, &b));
    assert_gradients!(|(a, b): (TensorVar, TensorVar)| a.min(b) * a.max(b) * b, (&a, &b));
    assert_gradients!(|(a, b): (TensorVar, TensorVar)| a.copysign(b) * a, (&a, &b));
    // Quotients between 1 and 2: away from the jumps.
    let (c, d) = (numbers([3, 1], 0.35, 0.45), numbers([2], -0.3, -0.25));
    assert_gradients!(|(a, b): (TensorVar, TensorVar)| a % b * a, (&c, &d));
    for (x, y) in [(0.7, 1.9), (-0.7, 1.9), (0.7, -1.9), (-0.7, -1.9)] {
        assert_gradients!(|[x, y]: [Var; 2]| x.atan2(y), [x, y]);
        assert_gradients!(|[x, y]: [Var; 2]| x.hypot(y), [x, y]);
        assert_gradients!(|[x, y]: [Var; 2]| x.min(y) * x.max(y) * x, [x, y]);
        assert_gradients!(|[x, y]: [Var; 2]| x.copysign(y) * x, [x, y]);
        assert_gradients!(|[x, y]: [Var; 2]| x % y * x, [x, y]);
        let tape = Tape::new();
        let (u, v) = (tape.var(x), tape.var(y));
        assert_eq!(u.atan2(v).value(), x.atan2(y));
        assert_eq!(u.hypot(v).value(), x.hypot(y));
        assert_eq!((u % v).value(), x % y);
        assert_eq!(u.copysign(v).value(), x.copysign(y));
        // Against constants on both sides.
        assert_gradients!(|x: Var| x.atan2(0.3) + Var::from(0.3).atan2(x), x);
        assert_gradients!(|x: Var| x.hypot(0.3) + Var::from(0.3).hypot(x), x);
        assert_gradients!(|x: Var| x % 0.3 + 0.3 % x, x);
        assert_gradients!(|x: Var| x.max(0.3) * x + x.min(0.4) * x, x);
    }
}

#[test]
fn functions_of_three_and_four() {
    let f = |[a, b, c]: [Var; 3]| a.mul_add(b, c) * c;
    assert_gradients!(f, [0.4, -1.3, 0.6]);
    let a = numbers([2, 3], -1.0, 1.0);
    let b = numbers([3], 0.2, 1.0);
    let c = numbers([2, 1], -2.0, -0.5);
    let f = |(a, b, c): (TensorVar, TensorVar, TensorVar)| a.mul_add(b, c) * a;
    assert_gradients!(f, (&a, &b, &c));
    let select = |(a, b, c): (TensorVar, TensorVar, TensorVar)| {
        TensorVar::select_gt(b, c, a * b, c * c) + TensorVar::select_gt(c, b, a, b.exp())
    };
    assert_gradients!(select, (&a, &b, &c));
    assert_gradients!(|[x, y]: [Var; 2]| Var::select_gt(x, y, x * x * y, y.exp()), [0.4, 0.3]);
    assert_gradients!(|[x, y]: [Var; 2]| Var::select_gt(x, y, x * x * y, y.exp()), [0.2, 0.3]);
    assert_gradients!(|x: Var| x.clamp(-0.5, 0.5) * x, 0.3);
    assert_gradients!(|x: Var| x.clamp(-0.5, 0.5) * x, 0.7);
    let tape = Tape::new();
    assert_eq!(tape.var(0.1).mul_add(10.0, -1.0).value(), 0.1f64.mul_add(10.0, -1.0));
}
