//! Cases of the recurrent layers.

use crate::Tensor;
use crate::cases::{Argument, Case, inside, naive, together, whole};

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `row times matrix`, where the row begins at `at`.
fn product(row: &[f64], matrix: &Tensor, column: usize) -> f64 {
    let width = matrix.shape()[1];
    row.iter().enumerate().map(|(k, x)| x * matrix.as_slice()[k * width + column]).sum()
}

/// The states of all steps, then the last one, from a step on one row.
fn steps(
    x: &Tensor,
    mut states: Vec<Vec<Vec<f64>>>,
    step: impl Fn(&[f64], &mut [Vec<f64>]),
) -> Tensor {
    let (time, batch, input) = (x.shape()[0], x.shape()[1], x.shape()[2]);
    let mut out = Vec::new();
    for t in 0..time {
        for (b, states) in states.iter_mut().enumerate() {
            step(&x.as_slice()[(t * batch + b) * input..][..input], states);
            out.extend(&states[0]);
        }
    }
    for k in 0..states[0].len() {
        states.iter().for_each(|states| out.extend(&states[k]));
    }
    naive::together(&[Tensor::from(out)])
}

/// For each row of the batch, its row in each of the states.
fn initial(states: &[&Tensor]) -> Vec<Vec<Vec<f64>>> {
    let (batch, hidden) = (states[0].shape()[0], states[0].shape()[1]);
    let row = |s: &Tensor, b: usize| s.as_slice()[b * hidden..][..hidden].to_vec();
    (0..batch).map(|b| states.iter().map(|s| row(s, b)).collect()).collect()
}

fn lstm(x: &[Tensor]) -> Tensor {
    steps(&x[0], initial(&[&x[1], &x[2]]), |row, states| {
        let [h, c] = states else { unreachable!("there are two states") };
        let (hidden, old) = (h.len(), h.clone());
        for (j, (h, c)) in h.iter_mut().zip(c).enumerate() {
            let gate = |k: usize| {
                let column = k * hidden + j;
                product(row, &x[3], column) + product(&old, &x[4], column) + x[5].as_slice()[column]
            };
            *c = sigmoid(gate(1)) * *c + sigmoid(gate(0)) * gate(2).tanh();
            *h = sigmoid(gate(3)) * c.tanh();
        }
    })
}

fn gru(x: &[Tensor]) -> Tensor {
    steps(&x[0], initial(&[&x[1]]), |row, states| {
        let hidden = states[0].len();
        let old = states[0].clone();
        for j in 0..hidden {
            let from_input =
                |k: usize| product(row, &x[2], k * hidden + j) + x[4].as_slice()[k * hidden + j];
            let from_state =
                |k: usize| product(&old, &x[3], k * hidden + j) + x[5].as_slice()[k * hidden + j];
            let r = sigmoid(from_input(0) + from_state(0));
            let z = sigmoid(from_input(1) + from_state(1));
            let n = (from_input(2) + r * from_state(2)).tanh();
            states[0][j] = (1.0 - z) * n + z * old[j];
        }
    })
}

fn point(time: usize, batch: usize, input: usize, hidden: usize, gates: usize) -> Vec<Argument> {
    let mut point = vec![inside([time, batch, input], -1.0, 1.0)];
    let states = if gates == 4 { 2 } else { 1 };
    point.extend((0..states).map(|_| inside([batch, hidden], -0.5, 0.5)));
    point.push(inside([input, gates * hidden], -0.6, 0.6));
    point.push(inside([hidden, gates * hidden], -0.5, 0.6));
    point.extend((0..3 - states).map(|_| inside([gates * hidden], -0.2, 0.3)));
    point
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        whole!(
            "lstm",
            "x.lstm(h0, c0, w_ih, w_hh, bias)",
            "through time, step by step",
            |x| {
                let (y, h, c) = x[0].lstm(x[1], x[2], x[3], x[4], x[5]);
                together(&[y, h, c])
            },
            |x| lstm(x)
        )
        .at(point(2, 2, 1, 1, 4))
        .at(point(1, 1, 2, 2, 4)),
        whole!(
            "gru",
            "x.gru(h0, w_ih, w_hh, b_ih, b_hh)",
            "through time, step by step",
            |x| {
                let (y, h) = x[0].gru(x[1], x[2], x[3], x[4], x[5]);
                together(&[y, h])
            },
            |x| gru(x)
        )
        .at(point(2, 2, 1, 1, 3))
        .at(point(1, 1, 2, 2, 3)),
    ]
}
