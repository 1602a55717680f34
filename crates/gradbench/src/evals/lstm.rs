//! `lstm`: the loss of a recurrent network of ADBench, an LSTM whose matrices are all diagonal, which
//! predicts each element of a sequence from those before.

use serde::{Deserialize, Serialize};
use wengert::prelude::*;

use super::ready;
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
        let b = self.sequence.columns;
        let parameters = &self.extra_params.data[b..];
        let (mut state, mut values) = (self.state.data.clone(), vec![0.0; b]);
        let mut total = 0.0;
        for (now, next) in self.places() {
            self.predict(now, &mut state, &mut values, |_, _| {});
            total += score(parameters, &mut values, next);
        }
        total * self.scale()
    }

    /// Each element that something is predicted from, and the one after it.
    fn places(&self) -> impl Iterator<Item = (&[f64], &[f64])> {
        self.sequence.iter_rows().zip(self.sequence.iter_rows().skip(1))
    }

    /// Advances the state by a place whose element is `now`; `values` is then the output of the last layer.
    /// `before` gets the input of each layer and its state before it is advanced.
    fn predict(
        &self,
        now: &[f64],
        state: &mut [f64],
        values: &mut [f64],
        mut before: impl FnMut(&[f64], &[f64]),
    ) {
        let (main, b) = (&self.main_params.data, now.len());
        for i in 0..b {
            values[i] = self.extra_params.data[i] * now[i];
        }
        for (layer, state) in main.chunks_exact(8 * b).zip(state.chunks_exact_mut(2 * b)) {
            before(values, state);
            advance(layer, state, values);
        }
    }

    /// What the sum of all scores is multiplied by.
    fn scale(&self) -> f64 {
        -1.0 / (self.sequence.columns * (self.sequence.rows - 1)) as f64
    }
}

/// How well the output of the last layer, after weights and then biases of its own, predicts the element `next`.
/// The output is overwritten.
fn score<T: Elementary>(parameters: &[T], output: &mut [T], next: &[T]) -> T {
    let b = next.len();
    let (weights, biases) = parameters.split_at(b);
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
fn advance(layer: &[f64], state: &mut [f64], values: &mut [f64]) {
    let b = values.len();
    let (hidden, cell) = state.split_at_mut(b);
    for i in 0..b {
        let before = [values[i], hidden[i], cell[i]];
        [hidden[i], cell[i]] = unit(before, |k| layer[k * b + i]);
        values[i] = hidden[i];
    }
}

/// How many parameters a unit has: its weights, and then its biases.
const PARAMETERS: usize = 8;

/// The next hidden state and cell of one unit from its input, its hidden state and its cell: the matrices are
/// diagonal, so it sees no other unit.
fn unit<T: Elementary>([value, hidden, cell]: [T; 3], parameter: impl Fn(usize) -> T) -> [T; 2] {
    let gate = |k: usize, x: T| x * parameter(k) + parameter(4 + k);
    let forget = gate(0, value).sigmoid();
    let ingate = gate(1, hidden).sigmoid();
    let outgate = gate(2, value).sigmoid();
    let change = gate(3, hidden).tanh();
    let cell = cell * forget + ingate * change;
    [outgate * cell.tanh(), cell]
}

/// What a unit depends on.
const UNIT: usize = 3 + PARAMETERS;

/// The gradient by the main and then the extra parameters.
///
/// Two programs are recorded once: the partial derivatives of a unit at one place of the sequence, and the
/// gradient of the score there. The states are computed on plain numbers and kept. Then the programs are run at
/// all places at once, and what remains to be done from place to place, the last one first, are the products
/// of cotangents and partial derivatives.
pub struct Gradient {
    input: Input,
    /// From what a unit depends on to the partial derivatives of its hidden state, and then of its cell.
    unit: Program,
    /// From the outputs of the last layer, their weights and biases and the next element to the gradient by
    /// the first three.
    score: Program,
    /// For each place the input and the state of each layer before it, and the output of the last layer.
    states: Vec<f64>,
    /// What of that a program is run on: a row has a number of all places.
    of_unit: Matrix,
    outputs: Matrix,
    sequence: Matrix,
    partials: [Vec<f64>; 2 * UNIT],
    /// The cotangents of the outputs, their weights and biases at all places.
    cotangents: Matrix,
    gradient: Vec<f64>,
}

impl Gradient {
    /// The gradient at the given parameters.
    ///
    /// # Errors
    /// If the engine refuses.
    pub fn new(input: &Input) -> Result<Self, Error> {
        let Input { main_params, extra_params, sequence, .. } = input;
        let (b, places) = (sequence.columns, sequence.rows - 1);
        let rows = |rows| Matrix::new(rows, places, vec![0.0; rows * places]);
        let parameters = main_params.data.len() + extra_params.data.len();
        Ok(Gradient {
            unit: partials_of_unit()?,
            score: gradient_of_score(b, input.scale())?,
            states: Vec::with_capacity((3 * main_params.rows / 2 + 1) * b * places),
            of_unit: rows(3),
            outputs: rows(b),
            sequence: transposed(sequence),
            partials: std::array::from_fn(|_| vec![0.0; places]),
            cotangents: rows(3 * b),
            gradient: vec![0.0; parameters],
            input: input.clone(),
        })
    }

    /// What the last run has found.
    pub fn gradient(&self) -> &[f64] {
        &self.gradient
    }

    fn keep_states(&mut self) {
        let (mut state, mut values) = (self.input.state.data.clone(), vec![0.0; self.outputs.rows]);
        self.states.clear();
        for (now, _) in self.input.places() {
            self.input.predict(now, &mut state, &mut values, |values, state| {
                self.states.extend_from_slice(values);
                self.states.extend_from_slice(state);
            });
            self.states.extend_from_slice(&values);
        }
    }

    /// The gradient of all scores. What it is by the weights and biases of the output is added up.
    fn differentiate_score(&mut self) -> Result<(), Error> {
        let Input { main_params, extra_params, sequence, .. } = &self.input;
        let (b, main) = (sequence.columns, main_params.data.len());
        let places = self.outputs.columns;
        let at_place = self.states.len() / places;
        for (i, row) in self.outputs.data.chunks_exact_mut(places).enumerate() {
            gather(&self.states, at_place, at_place - b + i, row);
        }
        let parameters = extra_params.data[b..].chunks_exact(1);
        let next = self.sequence.iter_rows().map(|row| &row[1..]);
        let given: Vec<&[f64]> = self.outputs.iter_rows().chain(parameters).chain(next).collect();
        let mut found: Vec<_> = self.cotangents.data.chunks_exact_mut(places).collect();
        self.score.eval_many_into(&given, &mut found)?;
        let sums = found[b..].iter().map(|row| row.iter().sum());
        self.gradient[main + b..].iter_mut().zip(sums).for_each(|(slot, sum)| *slot = sum);
        Ok(())
    }

    /// The gradient by the parameters of unit `i` of a layer. The cotangents of its outputs become those of
    /// its inputs.
    fn differentiate_unit(&mut self, layer: usize, i: usize) -> Result<(), Error> {
        let (b, places) = (self.outputs.rows, self.outputs.columns);
        let at_place = self.states.len() / places;
        for (k, row) in self.of_unit.data.chunks_exact_mut(places).enumerate() {
            gather(&self.states, at_place, (3 * layer + k) * b + i, row);
        }
        let parameter = |k: usize| (PARAMETERS * layer + k) * b + i;
        let given: [&[f64]; UNIT] = std::array::from_fn(|k| match k {
            0..3 => self.of_unit.row(k),
            _ => std::slice::from_ref(&self.input.main_params.data[parameter(k - 3)]),
        });
        let mut partials = self.partials.each_mut().map(|row| &mut row[..places]);
        self.unit.eval_many_into(&given, &mut partials)?;
        let [of_hidden, of_cell]: [[&[f64]; UNIT]; 2] = std::array::from_fn(|row| {
            std::array::from_fn(|k| &self.partials[row * UNIT + k][..places])
        });
        let cotangents = &mut self.cotangents.data[i * places..][..places];
        let (mut hidden, mut cell) = (0.0, 0.0);
        let mut sums = [0.0; PARAMETERS];
        for (place, cotangent) in cotangents.iter_mut().enumerate().rev() {
            hidden += *cotangent;
            let by = |k: usize| hidden * of_hidden[k][place] + cell * of_cell[k][place];
            for (k, sum) in sums.iter_mut().enumerate() {
                *sum += by(3 + k);
            }
            (*cotangent, hidden, cell) = (by(0), by(1), by(2));
        }
        for (k, sum) in sums.into_iter().enumerate() {
            self.gradient[parameter(k)] = sum;
        }
        Ok(())
    }
}

fn partials_of_unit() -> Result<Program, Error> {
    let program =
        Program::record(UNIT, |given| unit([given[0], given[1], given[2]], |k| given[3 + k]))?;
    ready(program.jacobian()?, |k| k >= 3)
}

fn gradient_of_score(b: usize, scale: f64) -> Result<Program, Error> {
    let program = Program::record(4 * b, |given| {
        let (output, given) = given.split_at(b);
        let (parameters, next) = given.split_at(2 * b);
        score(parameters, &mut output.to_vec(), next) * scale
    })?;
    let wanted: Vec<usize> = (0..3 * b).collect();
    ready(program.gradient()?.select(&wanted)?, |k| (b..3 * b).contains(&k))
}

/// Number `k` of all places.
fn gather(states: &[f64], at_place: usize, k: usize, row: &mut [f64]) {
    let places = states.chunks_exact(at_place);
    row.iter_mut().zip(places).for_each(|(slot, place)| *slot = place[k]);
}

fn transposed(matrix: &Matrix) -> Matrix {
    let column = |j: usize| matrix.iter_rows().map(move |row| row[j]);
    let data = (0..matrix.columns).flat_map(column).collect();
    Matrix::new(matrix.columns, matrix.rows, data)
}

impl Job for Gradient {
    fn run(&mut self) -> Result<(), Error> {
        self.keep_states();
        self.differentiate_score()?;
        let b = self.outputs.rows;
        for layer in (0..self.input.main_params.rows / 2).rev() {
            (0..b).try_for_each(|i| self.differentiate_unit(layer, i))?;
        }
        // The input of the first layer is an element times its weight.
        let of_weights = &mut self.gradient[self.input.main_params.data.len()..];
        for (i, sum) in of_weights[..b].iter_mut().enumerate() {
            let both = self.cotangents.row(i).iter().zip(self.sequence.row(i));
            *sum = both.map(|(cotangent, element)| cotangent * element).sum();
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
