//! Normalisation and activation.

use super::*;
use wengert::tape::with_threads;

const SHAPES: [&[usize]; 6] = [&[4], &[1, 3], &[3, 2], &[2, 3, 5], &[2, 17], &[1, 1]];

/// The formula, by primitives.
fn formula<E: Real>(
    x: TensorVar<E>,
    gain: TensorVar<E>,
    bias: TensorVar<E>,
    eps: f64,
) -> TensorVar<E> {
    let centred = x - x.mean_axes_keep(-1);
    gain * centred / ((centred * centred).mean_axes_keep(-1) + E::lit(eps)).sqrt() + bias
}

fn operands(shape: &[usize]) -> (Tensor, Tensor, Tensor) {
    let width = *shape.last().unwrap();
    (numbers(shape, -2.0, 2.0), numbers([width], 0.5, 1.5), numbers([width], -1.0, 1.0))
}

#[test]
fn values_and_derivatives() {
    for shape in SHAPES {
        let (x, gain, bias) = operands(shape);
        let tape = Tape::new();
        let (s, g, b) = (tape.tensor(&x), tape.tensor(&gain), tape.tensor(&bias));
        let expected = formula(s, g, b, 1e-2).value();
        assert_relative_eq!(s.layer_norm(g, b, 1e-2).value(), expected, epsilon = 1e-13);
        let f = |(x, g, b): (TensorVar, TensorVar, TensorVar)| x.layer_norm(g, b, 1e-2).square();
        assert_gradients!(f, (&x, &gain, &bias));
        let f = |(x, g, b): (TensorVar, TensorVar, TensorVar)| {
            // Added to what has flowed to all of them from elsewhere.
            x.layer_norm(g, b, 0.1).layer_norm(b, g, 0.1) * x * g + x.layer_norm(g, g, 0.1)
        };
        assert_gradients!(f, (&x, &gain, &bias));
    }
}

/// The gradients by the kernel and by the composite of those of (x, gain, bias) that are variables.
fn gradients<E: Real>(
    shape: &[usize],
    variables: [bool; 3],
    single: impl Fn(&Tensor) -> Tensor<E>,
) -> [Vec<Tensor<E>>; 2] {
    let (x, gain, bias) = operands(shape);
    let tape = Tape::<E>::default();
    let inputs: Vec<_> = [x, gain, bias]
        .iter()
        .zip(variables)
        .map(
            |(t, variable)| {
                if variable { tape.tensor(single(t)) } else { tape.constant(single(t)) }
            },
        )
        .collect();
    let y = inputs[0].layer_norm(inputs[1], inputs[2], 1e-5);
    let g = tape.constant(single(&numbers(y.shape(), -1.0, 1.0)));
    let loss = (y * g).sum();
    let asked: Vec<_> =
        inputs.iter().zip(variables).filter(|(_, asked)| *asked).map(|(t, _)| *t).collect();
    let kernel = loss.backward().unwrap();
    let composite = loss.grad_recorded(&asked).unwrap();
    [
        asked.iter().map(|&t| kernel.wrt(t)).collect(),
        composite.iter().map(|g| g.unwrap().value()).collect(),
    ]
}

#[test]
fn the_kernel_says_what_the_composite_says() {
    let all = [true; 3];
    for shape in [&[300, 130][..], &[7, 41, 16], &[1, 1000], &[2000, 33], &[0, 3], &[5, 0]] {
        for variables in [all, [true, false, false], [false, true, true], [false, false, true]] {
            let [kernel, composite] = gradients(shape, variables, Clone::clone);
            for (k, c) in kernel.iter().zip(&composite) {
                assert_relative_eq!(*k, *c, epsilon = 1e-11);
            }
        }
        let single = |t: &Tensor| Tensor::new(t.shape(), t.iter().map(|&x| x as f32).collect());
        let ([of_singles, _], [kernel, _]) =
            (gradients::<f32>(shape, all, single), gradients(shape, all, Clone::clone));
        for (s, k) in of_singles.iter().zip(&kernel) {
            for (s, k) in s.iter().zip(k.iter()) {
                assert!((f64::from(*s) - k).abs() < 1e-4 * k.abs().max(1.0), "{s} for {k}");
            }
        }
    }
}

#[test]
fn the_same_bits_for_every_number_of_threads() {
    let run = || gradients(&[1024, 128], [true; 3], Clone::clone)[0].clone();
    let one = with_threads(1, run);
    assert!(one == with_threads(2, run) && one == with_threads(3, run));
}

#[test]
fn a_large_mean_takes_no_digits_from_the_variance() {
    let tape = Tape::<f32>::default();
    let x = tape.tensor([10_000.0f32, 10_001.0, 10_002.0, 10_003.0]);
    let (one, zero) = (tape.tensor(Tensor::ones([4])), tape.tensor(Tensor::zeros([4])));
    let y = x.layer_norm(one, zero, 0.0).value();
    for (y, expected) in y.iter().zip([-1.341_640_8, -0.447_213_6, 0.447_213_6, 1.341_640_8]) {
        assert!((y - expected).abs() < 1e-6, "{y} for {expected}");
    }
}

#[test]
fn gelu_in_its_approximate_form() {
    let formula = |x: f64| {
        let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
        0.5 * x * (1.0 + u.tanh())
    };
    let tape = Tape::new();
    let x = numbers([50], -5.0, 5.0);
    let y = tape.tensor(&x).gelu_tanh().value();
    assert_relative_eq!(y, x.map(formula), epsilon = 1e-14);
    for (low, high) in [(-0.5, 0.5), (-4.0, 4.0), (6.0, 8.0), (-8.0, -6.0)] {
        assert_gradients!(|x: TensorVar| x.gelu_tanh(), numbers([7], low, high));
        assert_gradients!(|x: TensorVar| x.gelu_tanh() * x, numbers([2, 3], low, high));
    }
    far_out(TensorVar::gelu_tanh, TensorVar::gelu_tanh);
}

#[test]
fn gelu() {
    let tape = Tape::new();
    let y = tape.tensor([-6.0, -2.0, -0.5, 0.0, 0.5, 2.0]).gelu().value();
    // x Phi(x), to 16 digits.
    let expected = [
        -5.919_525_870_226_207e-9,
        -0.045_500_263_896_358_44,
        -0.154_268_769_362_993_44,
        0.0,
        0.345_731_230_637_006_56,
        1.954_499_736_103_641_6,
    ];
    assert_relative_eq!(y, Tensor::from(expected), epsilon = 0.0, max_relative = 2e-14);
    for (low, high) in [(-0.5, 0.5), (-4.0, 4.0), (6.0, 8.0), (-8.0, -6.0)] {
        assert_gradients!(|x: TensorVar| x.gelu(), numbers([7], low, high));
        assert_gradients!(|x: TensorVar| x.gelu() * x, numbers([2, 3], low, high));
    }
    far_out(TensorVar::gelu, TensorVar::gelu);
}

/// Far out a unit is 0 or `x`, with all its derivatives, in both precisions.
fn far_out(f: impl Fn(TensorVar) -> TensorVar, single: impl Fn(TensorVar<f32>) -> TensorVar<f32>) {
    let tape = Tape::new();
    for (x, y, slope) in
        [(40.0, 40.0, 1.0), (1e30, 1e30, 1.0), (-40.0, 0.0, 0.0), (-1e30, 0.0, 0.0)]
    {
        let t = tape.tensor([x]);
        let first = f(t).sum().grad_recorded(&[t]).unwrap()[0].unwrap();
        let second = first.sum().grad(&[t]).unwrap().wrt(t);
        assert_eq!([f(t).item(), first.item(), second.item()], [y, slope, 0.0], "at {x}");
        let tape = Tape::<f32>::default();
        let t = tape.tensor([x as f32]);
        let g = single(t).sum().backward().unwrap().wrt(t);
        assert_eq!((single(t).item(), g.item()), (y as f32, slope as f32), "at {x}");
    }
    assert!(f(tape.tensor([f64::NAN])).item().is_nan());
}
