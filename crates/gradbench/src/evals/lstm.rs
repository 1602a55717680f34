//! `lstm`: the loss of a recurrent network of ADBench, an LSTM whose matrices are all diagonal, which
//! predicts each element of a sequence from those before.

use serde::{Deserialize, Serialize};
use wengert::prelude::*;

use crate::error::expect_len;
use crate::job::{Answer, Call};
use crate::{Error, Job, Matrix, Objective};

/// The input of both functions, for `l` layers of width `b`.
#[derive(Clone, Debug, Deserialize)]
pub struct Input {
    /// `2 l` rows of length `4 b`: the weights and then the biases of each layer, for its forget gate,
    /// input gate, output gate and change.
    pub main_params: Matrix,
    /// 3 rows of length `b`: weights of the input, weights of the output, biases of the output.
    pub extra_params: Matrix,
    /// `2 l` rows of length `b`: the first hidden state and the first cell of each layer.
    pub state: Matrix,
    /// The elements, of length `b`.
    pub sequence: Matrix,
}

impl Input {
    fn checked(self) -> Result<Self, Error> {
        let Input { main_params, extra_params, state, sequence } = &self;
        let (rows, width) = (main_params.rows, extra_params.columns);
        if rows == 0 || rows % 2 == 1 || width == 0 {
            return Err(Error::input("main_params should have two rows for each layer, not empty"));
        }
        if sequence.rows < 2 {
            return Err(Error::input("sequence should have at least two rows"));
        }
        expect_len("the columns of main_params", main_params.columns, 4 * width)?;
        expect_len("the rows of extra_params", extra_params.rows, 3)?;
        expect_len("the rows of state", state.rows, rows)?;
        expect_len("the columns of state", state.columns, width)?;
        expect_len("the columns of sequence", sequence.columns, width)?;
        Ok(self)
    }

    /// The loss on plain numbers.
    pub fn objective(&self) -> f64 {
        self.loss(&self.main_params.data, &self.extra_params.data)
    }

    /// The loss of the given parameters, plain or recorded.
    fn loss<T: Elementary>(&self, main: &[T], extra: &[T]) -> T {
        let b = self.sequence.columns;
        let (in_weights, out_weights, out_biases) =
            (&extra[..b], &extra[b..2 * b], &extra[2 * b..]);
        let mut state: Vec<T> = self.state.data.iter().map(|&s| T::lit(s)).collect();
        let mut output = vec![T::lit(0.0); b];
        let mut total = T::lit(0.0);
        for (now, next) in self.sequence.iter_rows().zip(self.sequence.iter_rows().skip(1)) {
            for i in 0..b {
                output[i] = in_weights[i] * T::lit(now[i]);
            }
            for (layer, state) in main.chunks_exact(8 * b).zip(state.chunks_exact_mut(2 * b)) {
                advance(layer, state, &mut output);
            }
            let mut sum = T::lit(2.0);
            for i in 0..b {
                output[i] = output[i] * out_weights[i] + out_biases[i];
                sum += output[i].exp();
            }
            let norm = sum.ln();
            for i in 0..b {
                total += (output[i] - norm) * T::lit(next[i]);
            }
        }
        -total / T::lit((b * (self.sequence.rows - 1)) as f64)
    }
}

/// One layer at one place of the sequence; `values` is its input and then its output.
fn advance<T: Elementary>(layer: &[T], state: &mut [T], values: &mut [T]) {
    let b = values.len();
    let (weights, biases) = layer.split_at(4 * b);
    let (hidden, cell) = state.split_at_mut(b);
    for i in 0..b {
        let gate = |k: usize, x: T| x * weights[k * b + i] + biases[k * b + i];
        let forget = gate(0, values[i]).sigmoid();
        let ingate = gate(1, hidden[i]).sigmoid();
        let outgate = gate(2, values[i]).sigmoid();
        let change = gate(3, hidden[i]).tanh();
        cell[i] = cell[i] * forget + ingate * change;
        hidden[i] = outgate * cell[i].tanh();
        values[i] = hidden[i];
    }
}

/// The gradient by the main and then the extra parameters.
///
/// The loss is recorded number by number: its tensors would have 14 elements each.
pub struct Gradient {
    tape: Tape,
    input: Input,
    gradient: Vec<f64>,
}

impl Gradient {
    /// The gradient at the given parameters.
    pub fn new(input: &Input) -> Self {
        Gradient { tape: Tape::new(), input: input.clone(), gradient: Vec::new() }
    }

    /// What the last run has found.
    pub fn gradient(&self) -> &[f64] {
        &self.gradient
    }
}

impl Job for Gradient {
    fn run(&mut self) -> Result<(), Error> {
        self.tape.reset();
        let main = self.tape.vars_from(&self.input.main_params.data);
        let extra = self.tape.vars_from(&self.input.extra_params.data);
        let gradients = self.input.loss(&main, &extra).backward()?;
        self.gradient.clear();
        self.gradient.extend(main.iter().chain(&extra).map(|&parameter| gradients.wrt(parameter)));
        Ok(())
    }

    fn output(&self) -> impl Serialize {
        self.gradient()
    }
}

pub(crate) fn evaluate(function: &str, call: &Call<'_>) -> Result<Answer, Error> {
    let input = call.input::<Input>()?.checked()?;
    match function {
        "objective" => call.repeat(|| Ok(Objective::new(|| input.objective()))),
        "jacobian" => call.repeat(|| Ok(Gradient::new(&input))),
        _ => Err(Error::Function { module: "lstm", function: function.to_owned() }),
    }
}
