//! Recurrent networks.

use super::*;

fn lstm_inputs(time: usize, batch: usize, input: usize, hidden: usize) -> [Tensor; 6] {
    [
        numbers([time, batch, input], -1.0, 1.0),
        numbers([batch, hidden], -0.5, 0.5),
        numbers([batch, hidden], -1.0, 0.5),
        numbers([input, 4 * hidden], -0.6, 0.6),
        numbers([hidden, 4 * hidden], -0.5, 0.6),
        numbers([4 * hidden], -0.2, 0.3),
    ]
}

fn gru_inputs(time: usize, batch: usize, input: usize, hidden: usize) -> [Tensor; 6] {
    [
        numbers([time, batch, input], -1.0, 1.0),
        numbers([batch, hidden], -0.5, 0.5),
        numbers([input, 3 * hidden], -0.6, 0.6),
        numbers([hidden, 3 * hidden], -0.5, 0.6),
        numbers([3 * hidden], -0.2, 0.3),
        numbers([3 * hidden], -0.3, 0.1),
    ]
}

/// All outputs as one tensor, multiplied by which of them are asked for.
fn outputs_of(lstm: bool, v: &[TensorVar], asked: [f64; 3]) -> TensorVar {
    let (y, h, c) = match lstm {
        true => v[0].lstm(v[1], v[2], v[3], v[4], v[5]),
        false => {
            let (y, h) = v[0].gru(v[1], v[2], v[3], v[4], v[5]);
            (y, h, h)
        }
    };
    let mut parts: Vec<TensorVar> = Vec::new();
    for (part, asked) in [y, h, c].into_iter().zip(asked) {
        if asked != 0.0 {
            parts.push(part.flatten() * asked);
        }
    }
    concat(&parts, 0)
}

/// The steps one by one, on recorded tensors.
fn by_steps(lstm: bool, v: &[TensorVar]) -> TensorVar {
    let hidden = v[1].shape()[1];
    let part = |z: TensorVar, k: usize| z.narrow(1, k * hidden, hidden);
    let (mut h, mut c) = (v[1], v[2]);
    let mut states = Vec::new();
    for t in 0..v[0].shape()[0] {
        let x = v[0].select(0, t);
        if lstm {
            let z = x.matmul(v[3]) + h.matmul(v[4]) + v[5];
            c = part(z, 1).sigmoid() * c + part(z, 0).sigmoid() * part(z, 2).tanh();
            h = part(z, 3).sigmoid() * c.tanh();
        } else {
            let (a, b) = (x.matmul(v[2]) + v[4], h.matmul(v[3]) + v[5]);
            let r = (part(a, 0) + part(b, 0)).sigmoid();
            let z = (part(a, 1) + part(b, 1)).sigmoid();
            let n = (part(a, 2) + r * part(b, 2)).tanh();
            h = (1.0 - z) * n + z * h;
        }
        states.push(h.flatten());
    }
    states.push(h.flatten());
    states.push(if lstm { c.flatten() } else { h.flatten() });
    concat(&states, 0)
}

type Three = (TensorVar, TensorVar, TensorVar);

const SUBSETS: [[f64; 3]; 7] = [
    [1.0, 0.0, 0.0],
    [0.0, 1.0, 0.0],
    [0.0, 0.0, 1.0],
    [1.0, 1.0, 0.0],
    [1.0, 0.0, 1.0],
    [0.0, 1.0, 1.0],
    [1.0, 0.7, -0.4],
];

#[test]
fn layers_against_their_steps() {
    for lstm in [true, false] {
        // The last one is longer than what is done at a time.
        for (time, batch, input, hidden) in
            [(1, 1, 1, 1), (3, 2, 3, 2), (9, 5, 4, 7), (4, 1, 2, 33), (7, 90, 2, 3)]
        {
            let x = match lstm {
                true => lstm_inputs(time, batch, input, hidden),
                false => gru_inputs(time, batch, input, hidden),
            };
            let tape = Tape::new();
            let v = x.each_ref().map(|x| tape.tensor(x));
            let y = outputs_of(lstm, &v, [1.0; 3]);
            let expected = by_steps(lstm, &v);
            assert_relative_eq!(y.value(), expected.value(), epsilon = 1e-14);
            let weights = tape.constant(numbers(y.shape(), -1.0, 1.0));
            // In the second pass something has flowed to the input before.
            for further in [tape.constant(0.0), v[0].square().sum()] {
                let g = ((y * weights).sum() + further).backward().unwrap();
                let g_steps = ((expected * weights).sum() + further).backward().unwrap();
                for v in v {
                    assert_relative_eq!(g.wrt(v), g_steps.wrt(v), epsilon = 1e-12);
                }
            }
        }
    }
}

#[test]
fn derivatives_of_both_orders_for_any_outputs() {
    for asked in SUBSETS {
        let x = lstm_inputs(2, 2, 2, 1);
        let f =
            |((a, b, c), (d, e, f)): (Three, Three)| outputs_of(true, &[a, b, c, d, e, f], asked);
        assert_gradients!(f, ((&x[0], &x[1], &x[2]), (&x[3], &x[4], &x[5])));
        let x = gru_inputs(2, 2, 2, 1);
        let f =
            |((a, b, c), (d, e, f)): (Three, Three)| outputs_of(false, &[a, b, c, d, e, f], asked);
        assert_gradients!(f, ((&x[0], &x[1], &x[2]), (&x[3], &x[4], &x[5])));
    }
    let x = lstm_inputs(3, 2, 1, 2);
    let f =
        |((a, b, c), (d, e, f)): (Three, Three)| outputs_of(true, &[a, b, c, d, e, f], [1.0; 3]);
    assert_gradients!(f, ((&x[0], &x[1], &x[2]), (&x[3], &x[4], &x[5])));
    let x = gru_inputs(3, 2, 1, 2);
    let f =
        |((a, b, c), (d, e, f)): (Three, Three)| outputs_of(false, &[a, b, c, d, e, f], [1.0; 3]);
    assert_gradients!(f, ((&x[0], &x[1], &x[2]), (&x[3], &x[4], &x[5])));
}

#[test]
fn kernels_of_recurrent_layers() {
    for asked in SUBSETS {
        for (time, batch, input, hidden) in [(1, 1, 1, 1), (5, 3, 4, 6), (3, 40, 2, 9)] {
            let x = lstm_inputs(time, batch, input, hidden);
            assert_kernels_are_composites(|v| outputs_of(true, v, asked), &x);
            let x = gru_inputs(time, batch, input, hidden);
            assert_kernels_are_composites(|v| outputs_of(false, v, asked), &x);
        }
    }
}

#[test]
fn layers_that_share_their_weights() {
    // The buffers that the second kernel is lent hold what the first has put there; h0 is also c0, and one
    // bias stands in both places.
    let x = lstm_inputs(4, 3, 2, 2);
    let two = |v: &[TensorVar]| {
        let (y, h, c) = v[0].lstm(v[1], v[1], v[3], v[4], v[5]);
        let (y, h, c) = y.lstm(h, c, v[3], v[4], v[5]);
        y.sum() + (h * c).sum() + v[2].sum()
    };
    assert_kernels_are_composites(two, &x);
    let x = gru_inputs(4, 3, 2, 2);
    let two = |v: &[TensorVar]| {
        let (y, h) = v[0].gru(v[1], v[2], v[3], v[4], v[4]);
        let (y, h) = y.gru(h, v[2], v[3], v[4], v[4]);
        y.square().sum() + h.sum() + v[5].sum()
    };
    assert_kernels_are_composites(two, &x);
}

#[test]
fn inputs_that_nobody_asks_for() {
    for lstm in [true, false] {
        let x = if lstm { lstm_inputs(3, 2, 3, 2) } else { gru_inputs(3, 2, 3, 2) };
        let tape = Tape::new();
        let all = x.each_ref().map(|x| tape.tensor(x));
        let run = |v: &[TensorVar]| outputs_of(lstm, v, [1.0; 3]).square().sum();
        let expected = run(&all).backward().unwrap();
        for wanted in 0..6 {
            let mut few = x.each_ref().map(|x| tape.constant(x));
            few[wanted] = all[wanted];
            let g = run(&few).backward().unwrap();
            assert_eq!(g.wrt(all[wanted]), expected.wrt(all[wanted]), "input {wanted}");
        }
    }
}

#[test]
fn layers_on_threads() {
    let x = lstm_inputs(3, 37, 16, 64);
    let f = |v: &[TensorVar<f32>]| {
        let (y, h, c) = v[0].lstm(v[1], v[2], v[3], v[4], v[5]);
        y + h * c
    };
    assert_threads_agree(f, &x);
    let x = gru_inputs(3, 37, 16, 64);
    assert_threads_agree(|v| v[0].gru(v[1], v[2], v[3], v[4], v[5]).0, &x);
}

#[test]
fn sequences_without_steps_and_inputs_without_numbers() {
    for lstm in [true, false] {
        for (time, input) in [(0, 2), (2, 0)] {
            let x =
                if lstm { lstm_inputs(time, 2, input, 3) } else { gru_inputs(time, 2, input, 3) };
            let tape = Tape::new();
            let v = x.each_ref().map(|x| tape.tensor(x));
            let y = outputs_of(lstm, &v, [1.0; 3]);
            assert_relative_eq!(y.value(), by_steps(lstm, &v).value(), epsilon = 1e-14);
            assert_kernels_are_composites(|v| outputs_of(lstm, v, [1.0; 3]), &x);
        }
    }
}
