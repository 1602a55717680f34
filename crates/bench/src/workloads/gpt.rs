//! T5: a GPT of four blocks on 16 sequences of 64 tokens, cross-entropy, AdamW.

use wengert::prelude::*;

use super::training::{Floor, Training};
use crate::counting;
use crate::formulas::{labels, labels_in_order, weight_scaled};
use crate::measure::Settings;
use crate::report::Report;

const BATCH: usize = 16;
const TIME: usize = 64;
const ROWS: usize = BATCH * TIME;
const TOKENS: usize = 65;
const WIDTH: usize = 128;
const HEADS: usize = 4;
const HEAD: usize = WIDTH / HEADS;
const LAYERS: usize = 4;

/// The products of each shape: forward, for the weights, for the inputs; and of the heads of
/// attention, which are many small ones.
const PRODUCTS: &[(usize, (usize, usize, usize))] = {
    const SMALL: usize = LAYERS * BATCH * HEADS;
    &[
        (LAYERS, (ROWS, WIDTH, 3 * WIDTH)),
        (LAYERS, (WIDTH, ROWS, 3 * WIDTH)),
        (LAYERS, (ROWS, 3 * WIDTH, WIDTH)),
        (LAYERS, (ROWS, WIDTH, WIDTH)),
        (LAYERS, (WIDTH, ROWS, WIDTH)),
        (LAYERS, (ROWS, WIDTH, WIDTH)),
        (LAYERS, (ROWS, WIDTH, 4 * WIDTH)),
        (LAYERS, (WIDTH, ROWS, 4 * WIDTH)),
        (LAYERS, (ROWS, 4 * WIDTH, WIDTH)),
        (LAYERS, (ROWS, 4 * WIDTH, WIDTH)),
        (LAYERS, (4 * WIDTH, ROWS, WIDTH)),
        (LAYERS, (ROWS, WIDTH, 4 * WIDTH)),
        // The scores and, backward, the cotangents of the probabilities.
        (2 * SMALL, (TIME, HEAD, TIME)),
        // The result of attention and, backward, those for queries, keys and values.
        (4 * SMALL, (TIME, TIME, HEAD)),
        (1, (ROWS, WIDTH, TOKENS)),
        (1, (WIDTH, ROWS, TOKENS)),
        (1, (ROWS, TOKENS, WIDTH)),
    ]
};

/// What a step has to hold, in bytes.
const HAND_COUNTED: usize = {
    // Both layer norms, and the weights and biases of the four dense layers.
    let block = 4 * WIDTH
        + (WIDTH + 1) * 3 * WIDTH
        + (WIDTH + 1) * WIDTH
        + (WIDTH + 1) * 4 * WIDTH
        + (4 * WIDTH + 1) * WIDTH;
    let numbers = (TOKENS + TIME) * WIDTH + LAYERS * block + 2 * WIDTH + WIDTH * TOKENS;
    // The parameters, AdamW's mean and mean of squares, and the gradients.
    let parameters = 4 * numbers;
    // A layer norm: its input, its output, and mean and deviation of each row.
    let norm = ROWS * (2 * WIDTH + 2);
    // Queries, keys and values; the probabilities; the result before its projection.
    let attention = ROWS * 3 * WIDTH + BATCH * HEADS * TIME * TIME + ROWS * WIDTH;
    // The hidden layer before and after GELU.
    let hidden = 2 * ROWS * 4 * WIDTH;
    let logits = ROWS * TOKENS;
    let saved = LAYERS * (2 * norm + attention + hidden) + norm + logits;
    // In the widest moment: the cotangents of the residual stream and of the hidden layer.
    let cotangents = ROWS * WIDTH + ROWS * 4 * WIDTH;
    4 * (parameters + saved + cotangents)
};

/// Training amplifies what single precision has rounded: a rival's fifth loss is off by 2e-3.
const TOLERANCES: &[f64] = &[2e-5, 2e-5, 2e-5, 2e-5, 3e-3];

/// Gain and bias of a layer norm.
#[derive(Clone, Copy)]
struct Norm(ParamKey, ParamKey);

/// Weight and bias of a dense layer.
#[derive(Clone, Copy)]
struct Dense(ParamKey, ParamKey);

struct Block {
    norm1: Norm,
    qkv: Dense,
    projection: Dense,
    norm2: Norm,
    expand: Dense,
    contract: Dense,
}

/// Makes parameters in the order that their numbers go by.
struct Maker {
    params: Params<f32>,
}

impl Maker {
    fn weight(&mut self, name: String, shape: impl Into<Shape>) -> ParamKey {
        let k = self.params.len();
        self.params.insert(name, weight_scaled(0.02, k, shape))
    }

    fn norm(&mut self, gain: String, bias: String) -> Norm {
        let gain = self.params.insert(gain, Tensor::ones([WIDTH]));
        Norm(gain, self.params.insert(bias, Tensor::zeros([WIDTH])))
    }

    fn dense(&mut self, names: [String; 2], inputs: usize, outputs: usize) -> Dense {
        let [weight, bias] = names;
        Dense(self.weight(weight, [inputs, outputs]), self.weight(bias, [outputs]))
    }

    fn block(&mut self, layer: usize) -> Block {
        let name = |name: &str| format!("l{layer}.{name}");
        Block {
            norm1: self.norm(name("g1"), name("h1")),
            qkv: self.dense(["Wqkv", "bqkv"].map(name), WIDTH, 3 * WIDTH),
            projection: self.dense(["Wo", "bo"].map(name), WIDTH, WIDTH),
            norm2: self.norm(name("g2"), name("h2")),
            expand: self.dense(["W1", "b1"].map(name), WIDTH, 4 * WIDTH),
            contract: self.dense(["W2", "b2"].map(name), 4 * WIDTH, WIDTH),
        }
    }
}

fn layer_norm(p: &Bound<f32>, x: TensorVar<f32>, Norm(gain, bias): Norm) -> TensorVar<f32> {
    x.layer_norm(p[gain], p[bias], 1e-5)
}

fn dense(p: &Bound<f32>, x: TensorVar<f32>, Dense(weight, bias): Dense) -> TensorVar<f32> {
    x.dense(p[weight], p[bias])
}

/// Runs the workload.
pub(crate) fn run(settings: &Settings) -> Report {
    let tokens = labels(ROWS, TOKENS);
    let next = labels_in_order(1..ROWS + 1, TOKENS);
    let causal = Attention { causal: true, ..Attention::default() };
    let start = counting::live();
    let mut maker = Maker { params: Params::new() };
    let wte = maker.weight("wte".to_owned(), [TOKENS, WIDTH]);
    let wpe = maker.weight("wpe".to_owned(), [TIME, WIDTH]);
    let blocks: Vec<_> = (0..LAYERS).map(|layer| maker.block(layer)).collect();
    let last = maker.norm("gf".to_owned(), "hf".to_owned());
    let head = maker.weight("Wh".to_owned(), [WIDTH, TOKENS]);
    let loss = |_: &Tape<f32>, p: &Bound<f32>| {
        let embedded = p[wte].embedding(&tokens).reshape([BATCH, TIME, WIDTH]);
        let mut h = embedded + p[wpe];
        for block in &blocks {
            let qkv = dense(p, layer_norm(p, h, block.norm1), block.qkv);
            h += dense(p, multi_head_attention(qkv, HEADS, causal), block.projection);
            let hidden = dense(p, layer_norm(p, h, block.norm2), block.expand).gelu_tanh();
            h += dense(p, hidden, block.contract);
        }
        layer_norm(p, h, last).matmul(p[head]).cross_entropy(&next)
    };
    let training = Training {
        workload: "T5",
        params: maker.params,
        optimizer: AdamW::new(3e-4).into(),
        loss,
        start,
        tolerances: TOLERANCES,
        batch: 1,
        hand_counted: Some(HAND_COUNTED),
    };
    training.run(settings, || Floor::products(PRODUCTS, false, settings.threads))
}
