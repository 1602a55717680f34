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
        let (main, extra) = (&self.main_params.data, &self.extra_params.data);
        let mut state = self.state.data.clone();
        let mut output = vec![0.0; self.sequence.columns];
        let mut total = 0.0;
        for (now, next) in self.places() {
            predict(main, extra, now, &mut state, &mut output);
            total += score(extra, &mut output, next);
        }
        total * self.scale()
    }

    /// Each element that something is predicted from, and the one after it.
    fn places(&self) -> impl DoubleEndedIterator<Item = (&[f64], &[f64])> + ExactSizeIterator {
        let b = self.sequence.columns;
        let places = self.sequence.data.windows(2 * b).step_by(b);
        places.map(move |both| both.split_at(b))
    }

    /// What the sum of all scores is multiplied by.
    fn scale(&self) -> f64 {
        -1.0 / (self.sequence.columns * (self.sequence.rows - 1)) as f64
    }
}

/// Advances the state by one place of the sequence, whose element is `now`; `output` is then what the last
/// layer gives.
fn predict<T: Elementary>(main: &[T], extra: &[T], now: &[T], state: &mut [T], output: &mut [T]) {
    let b = now.len();
    for i in 0..b {
        output[i] = extra[i] * now[i];
    }
    for (layer, state) in main.chunks_exact(8 * b).zip(state.chunks_exact_mut(2 * b)) {
        advance(layer, state, output);
    }
}

/// How well the output of the last layer predicts the element `next`. It is overwritten.
fn score<T: Elementary>(extra: &[T], output: &mut [T], next: &[T]) -> T {
    let b = next.len();
    let (weights, biases) = extra[b..].split_at(b);
    let mut sum = T::lit(2.0);
    for i in 0..b {
        output[i] = output[i] * weights[i] + biases[i];
        sum += output[i].exp();
    }
    let norm = sum.ln();
    let mut total = T::lit(0.0);
    for i in 0..b {
        total += (output[i] - norm) * next[i];
    }
    total
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
/// One place of the sequence is recorded once, and the program of its cotangents is made. The states between
/// the places are computed on plain numbers and kept, and then the program is run for each of them, the last
/// one first.
pub struct Gradient {
    input: Input,
    /// From the parameters, the state, two elements, and the cotangents of the state after them and of their
    /// score to the cotangents of the parameters and of the state.
    backward: Program,
    workspace: Workspace<f64>,
    arguments: Vec<f64>,
    cotangents: Vec<f64>,
    /// The states before each place.
    states: Vec<f64>,
    gradient: Vec<f64>,
}

impl Gradient {
    /// The gradient at the given parameters.
    ///
    /// # Errors
    /// If the engine refuses.
    pub fn new(input: &Input) -> Result<Self, Error> {
        let Input { main_params, extra_params, state, sequence } = input;
        let (main, extra) = (main_params.data.len(), extra_params.data.len());
        let (state, b) = (state.data.len(), sequence.columns);
        let forward = Program::record(main + extra + state + 2 * b, |inputs| {
            let (main, inputs) = inputs.split_at(main);
            let (extra, inputs) = inputs.split_at(extra);
            let (state, elements) = inputs.split_at(state);
            let (now, next) = elements.split_at(b);
            let (mut state, mut output) = (state.to_vec(), now.to_vec());
            predict(main, extra, now, &mut state, &mut output);
            let score = score(extra, &mut output, next);
            (state, score)
        })?;
        let wanted: Vec<usize> = (0..main + extra + state).collect();
        let backward = forward.vjp()?.select(&wanted)?;
        Ok(Gradient {
            workspace: Workspace::default(),
            arguments: vec![0.0; backward.inputs()],
            cotangents: vec![0.0; backward.outputs()],
            states: vec![0.0; state * (sequence.rows - 1)],
            gradient: vec![0.0; main + extra],
            backward,
            input: input.clone(),
        })
    }

    /// What the last run has found.
    pub fn gradient(&self) -> &[f64] {
        &self.gradient
    }

    fn keep_states(&mut self) {
        let Input { main_params, extra_params, state, sequence } = &self.input;
        let (mut now_state, mut output) = (state.data.clone(), vec![0.0; sequence.columns]);
        let states = self.states.chunks_exact_mut(now_state.len());
        for (kept, (now, _)) in states.zip(self.input.places()) {
            kept.copy_from_slice(&now_state);
            predict(&main_params.data, &extra_params.data, now, &mut now_state, &mut output);
        }
    }
}

impl Job for Gradient {
    fn run(&mut self) -> Result<(), Error> {
        self.keep_states();
        let Input { main_params, extra_params, state, sequence } = &self.input;
        let (parameters, state, b) = (self.gradient.len(), state.data.len(), sequence.columns);
        let main = main_params.data.len();
        self.arguments[..main].copy_from_slice(&main_params.data);
        self.arguments[main..parameters].copy_from_slice(&extra_params.data);
        // Nothing depends on the last state, and all scores are added up.
        let after = parameters + state + 2 * b;
        self.arguments[after..].fill(0.0);
        self.arguments[after + state] = self.input.scale();
        self.gradient.fill(0.0);
        let states = self.states.chunks_exact(state);
        for (before, (now, next)) in states.zip(self.input.places()).rev() {
            let place = &mut self.arguments[parameters..after];
            place[..state].copy_from_slice(before);
            place[state..state + b].copy_from_slice(now);
            place[state + b..].copy_from_slice(next);
            self.backward.eval_into(&self.arguments, &mut self.cotangents, &mut self.workspace)?;
            let (of_parameters, of_state) = self.cotangents.split_at(parameters);
            self.gradient.iter_mut().zip(of_parameters).for_each(|(sum, g)| *sum += g);
            self.arguments[after..after + state].copy_from_slice(of_state);
        }
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
        "jacobian" => call.repeat(|| Gradient::new(&input)),
        _ => Err(Error::Function { module: "lstm", function: function.to_owned() }),
    }
}
