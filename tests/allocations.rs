//! A training step allocates nothing after the first steps.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use rand::SeedableRng;
use rand::rngs::StdRng;
use wengert::optim::transforms::{ClipGlobalNorm, ScaleByAdam, ScaleBySchedule};
use wengert::prelude::*;
use wengert::tape::{Attention, Indices, multi_head_attention, scaled_dot_product_attention};

/// The system's allocator, with a count of the calls of each thread: tests run side by side.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static BYTES: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: usize) {
    // At the end of a thread the counter may be gone.
    let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
    let _ = BYTES.try_with(|n| n.set(n.get() + bytes as isize));
}

fn freed(bytes: usize) {
    let _ = BYTES.try_with(|n| n.set(n.get() - bytes as isize));
}

// SAFETY: every method hands its arguments to the system's allocator unchanged and returns what that
// returns; the counter is apart from the memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the contract of this method, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        freed(layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        freed(layout.size());
        count(size);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The allocations of each of 10 steps, after 30 to warm up: fused work of a few thousand elements has become machine code by
/// then, which is made once.
fn allocations_after_warm_up(mut step: impl FnMut()) -> Vec<usize> {
    (0..30).for_each(|_| step());
    let mut counts = Vec::with_capacity(10);
    for _ in 0..10 {
        let before = ALLOCATIONS.get();
        step();
        counts.push(ALLOCATIONS.get() - before);
    }
    counts
}

#[test]
fn the_counter_counts() {
    let mut kept = Vec::new();
    let counts = allocations_after_warm_up(|| kept = vec![1u8; 100]);
    assert_eq!(counts, [1; 10]);
    assert_eq!(kept.len(), 100);
}

#[test]
fn a_step_with_pieces_of_tensors() {
    let x = Tensor::full([5000], 0.3);
    let rows = Indices::from(vec![3, 1, 3, 4000]);
    let mut tape = Tape::new();
    let counts = allocations_after_warm_up(|| {
        tape.reset();
        let x = tape.tensor(&x);
        let (left, right) = (x.slice(0, 0..4999), x.slice(0, 1..5000));
        let apart = (x.slice(0, 0..100) * x.slice(0, 4000..4100)).sin();
        let some = x.index_select(0, &rows);
        let loss = (left * right).sin().sum() + apart.sum() + some.square().sum();
        let g = loss.backward().unwrap();
        assert!(g.wrt(x).as_slice()[0].is_finite());
    });
    assert_eq!(counts, [0; 10]);
}

#[test]
fn a_step_with_many_pieces() {
    let rows: Vec<usize> = (0..3000).map(|i| i * 7 % 400).collect();
    let rows = Indices::from(rows);
    let tables: Vec<Tensor> = (1..=5).map(|k| Tensor::full([400, 3], 0.1 * f64::from(k))).collect();
    let line = Tensor::full([5000], 0.25);
    let mut tape = Tape::new();
    let counts = allocations_after_warm_up(|| {
        tape.reset();
        let x = tape.tensor(&line);
        let stencil: TensorVar = (0..5).map(|k| x.slice(0, k..k + 4996).sin()).sum();
        let gathered: TensorVar =
            tables.iter().map(|table| tape.tensor(table).index_select(0, &rows).cos()).sum();
        let g = (stencil.square().sum() + gathered.square().sum()).backward().expect("live");
        assert!(g.wrt(x).as_slice()[0].is_finite());
    });
    assert_eq!(counts, [0; 10]);
}

#[test]
fn a_scalar_step() {
    let mut theta: Vec<f64> = (0..100).map(|i| f64::from(i).sin()).collect();
    let mut tape = Tape::new();
    let mut vars = Vec::with_capacity(theta.len());
    let counts = allocations_after_warm_up(|| {
        tape.reset();
        vars.clear();
        vars.extend(theta.iter().map(|&v| tape.var(v)));
        let loss: Var = vars.windows(2).map(|w| (w[1] - w[0] * w[0]).powi(2) + w[0].sin()).sum();
        let g = loss.backward().expect("live");
        for (theta, &v) in theta.iter_mut().zip(&vars) {
            *theta -= 0.01 * g.wrt(v);
        }
    });
    assert_eq!(counts, [0; 10]);
}

/// A loss with a parameter: rules of this kind are stored anew in every step.
struct Huber {
    delta: f64,
}

impl Unary for Huber {
    const NAME: &'static str = "huber";
    fn value<T: Elementary>(&self, x: T) -> T {
        let d = T::lit(self.delta);
        T::select_gt(x.abs(), d, d * (x.abs() - T::lit(0.5) * d), T::lit(0.5) * x * x)
    }
    fn partial<T: Elementary>(&self, x: T, _y: T) -> T {
        x.clamp(T::lit(-self.delta), T::lit(self.delta))
    }
}

/// The network and the batches of the housing example, in the shapes that it has.
fn mlp_step(
    loss: impl Fn(TensorVar, TensorVar) -> TensorVar,
    step: impl Fn(&mut Adam, &mut Params, Gradients),
) -> Vec<usize> {
    let mut rng = StdRng::seed_from_u64(1);
    let mut params = Params::new();
    let w1 = params.insert("w1", Tensor::he_normal([13, 10], &mut rng));
    let b1 = params.insert("b1", Tensor::zeros([10]));
    let w2 = params.insert("w2", Tensor::xavier_uniform([10, 1], &mut rng));
    let b2 = params.insert("b2", Tensor::zeros([1]));
    let batches: Vec<(Tensor, Tensor)> = (0..4)
        .map(|_| {
            let x = Tensor::normal([32, 13], 0.0, 1.0, &mut rng);
            let y = Tensor::normal([32, 1], 0.0, 1.0, &mut rng);
            (x, y)
        })
        .collect();
    let mut opt = Adam::new(1e-2);
    let mut tape = Tape::new();
    let mut batch = 0;
    allocations_after_warm_up(|| {
        tape.reset();
        let (x, y) = &batches[batch % batches.len()];
        batch += 1;
        let p = params.bind(&tape);
        let hidden = (tape.constant(x).matmul(p[w1]) + p[b1]).relu();
        let predicted = hidden.dense(p[w2], p[b2]);
        let loss = loss(predicted, tape.constant(y)) + 1e-3 * p[w1].square().sum();
        let g = loss.backward().expect("live");
        step(&mut opt, &mut params, g);
    })
}

fn by_value(opt: &mut Adam, params: &mut Params, gradients: Gradients) {
    opt.step(params, gradients).expect("finite gradients");
}

#[test]
fn a_step_of_a_small_network() {
    assert_eq!(mlp_step(|x, y| x.mse_loss(y), by_value), [0; 10]);
    let by_reference = |opt: &mut Adam, params: &mut Params, gradients: Gradients| {
        opt.step(params, &gradients).expect("finite gradients");
    };
    assert_eq!(mlp_step(|x, y| x.mse_loss(y), by_reference), [0; 10]);
}

#[test]
fn a_step_with_a_loss_of_ones_own() {
    let huber = |x: TensorVar, y: TensorVar| (x - y).apply(Huber { delta: 1.0 }).mean();
    assert_eq!(mlp_step(huber, by_value), [0; 10]);
}

/// A step of a small model of sequences, which is made of all operations for them.
fn sequence_step() -> Vec<usize> {
    let mut rng = StdRng::seed_from_u64(1);
    let mut normal = |shape: &[usize]| Tensor::<f32>::normal(shape, 0.0, 0.3, &mut rng);
    let weights = [
        normal(&[20, 16]),
        normal(&[16, 48]),
        normal(&[16, 64]),
        normal(&[16, 64]),
        normal(&[64]),
        normal(&[16, 48]),
        normal(&[16, 48]),
        normal(&[48]),
        normal(&[16, 20]),
    ];
    let state = Tensor::<f32>::zeros([40, 16]);
    let tokens = Indices::from((0..6 * 40).map(|i| (7 * i + 3) % 20).collect::<Vec<_>>());
    let mut tape = Tape::<f32>::default();
    allocations_after_warm_up(|| {
        tape.reset();
        let v = weights.each_ref().map(|w| tape.tensor(w));
        let zeros = tape.constant(&state);
        let x = v[0].embedding(&tokens).reshape([6, 40, 16]);
        let causal = Attention { causal: true, ..Attention::default() };
        let x = x + multi_head_attention(x.matmul(v[1]), 2, causal);
        let (y, h, c) = x.lstm(zeros, zeros, v[2], v[3], v[4]);
        let (y, h) = y.gru(h * c, v[5], v[6], v[7], v[7]);
        let y = scaled_dot_product_attention(y, y, x, causal).softmax(-1) + h;
        let loss = y.matmul(v[8]).cross_entropy(&tokens);
        let g = loss.backward().expect("live");
        assert!(g.wrt(v[0]).iter().all(|g| g.is_finite()));
    })
}

#[test]
fn a_step_of_a_model_of_sequences() {
    assert_eq!(sequence_step(), [0; 10]);
}

#[test]
fn binding_and_stepping_with_many_parameters_bound_twice() {
    let mut params = Params::new();
    let keys: Vec<_> =
        (0..40).map(|k| params.insert(format!("w{k}"), Tensor::full([3, 1000], 0.5))).collect();
    let mut opt = Chain::new()
        .then(ScaleByAdam::default())
        .then(ClipGlobalNorm::new(1.0))
        .then(ScaleBySchedule::new(0.01));
    let mut tape = Tape::new();
    let mut counts = Vec::new();
    for _ in 0..30 {
        tape.reset();
        let start = ALLOCATIONS.get();
        let (p, q) = (params.bind(&tape), params.bind(&tape));
        let bound = ALLOCATIONS.get();
        let mut loss = p[keys[0]].sum();
        for &key in &keys {
            loss += (p[key] * q[key]).sum();
        }
        let gradients = loss.backward().expect("live");
        let swept = ALLOCATIONS.get();
        opt.step(&mut params, &gradients).expect("finite gradients");
        drop((p, q));
        counts.push(bound - start + ALLOCATIONS.get() - swept);
    }
    assert!(counts[0] > 0, "the counter counts");
    assert_eq!(counts[10..], [0; 20], "{counts:?}");
}

#[test]
fn data_that_comes_and_goes_does_not_pile_up() {
    // Each step brings a tensor of its own; what is freed with the tape must be freed.
    let w = Tensor::full([1000], 0.5);
    let mut tape = Tape::new();
    let mut step = |k: usize| {
        tape.reset();
        let x = Tensor::full([1000], k as f64);
        let (x, w) = (tape.constant(x), tape.tensor(&w));
        (x * w).sum().backward().expect("live").wrt(w).as_slice()[0]
    };
    for k in 0..20 {
        assert_eq!(step(k), k as f64);
    }
    let before = BYTES.get();
    for k in 0..100 {
        step(k);
    }
    assert!(BYTES.get() - before < 50_000, "{} bytes more than before", BYTES.get() - before);
}

#[test]
fn a_program_at_one_point() -> Result<(), ProgramError> {
    // As steps, as loops, and with a branch that is checked.
    let small = Program::record(2, |x: &[Var]| if x[0] > 0.5 { x[0] * x[1].sin() } else { x[1] })?;
    let large = Program::record(200, |x: &[Var]| x.iter().map(|&x| x.exp() * x).sum::<Var>())?;
    for program in [small.value_and_gradient()?, large.value_and_gradient()?] {
        let (mut workspace, mut results) = (Workspace::default(), vec![0.0; program.outputs()]);
        let x = vec![0.7; program.inputs()];
        let counts = allocations_after_warm_up(|| {
            program.eval_into(&x, &mut results, &mut workspace).unwrap();
        });
        assert_eq!(counts, [0; 10], "{} inputs", program.inputs());
    }
    Ok(())
}

/// Plain functions take no buffers from the pool of a tape, and do not make those grow old.
#[test]
fn a_step_between_plain_functions() {
    let data = Tensor::full([16, 8], 0.5);
    let mut tape = Tape::new();
    let mut counts = Vec::with_capacity(20);
    for _ in 0..20 {
        for _ in 0..100 {
            drop(data.tanh().matmul(data.t()).sum());
        }
        let before = ALLOCATIONS.get();
        tape.reset();
        let x = tape.tensor(&data);
        drop(x.tanh().matmul(x.t()).sum().backward());
        counts.push(ALLOCATIONS.get() - before);
    }
    assert_eq!(counts[10..], [0; 10]);
}

#[test]
fn plain_functions_keep_no_memory() {
    for tape in [None, Some(Tape::new())] {
        let x = Tensor::full([32, 32], 0.5);
        let run = || {
            drop(x.tanh().matmul(&x).sort(0, false));
            drop(x.apply(Huber { delta: 0.1 }).index_select(0, vec![3; 100]));
            infer(|side| side.tensor(&x).exp().sum().backward().map(drop)).expect("live");
        };
        // What is used much is kept as machine code, once.
        (0..1000).for_each(|_| run());
        let before = BYTES.get();
        (0..100).for_each(|_| run());
        assert_eq!(BYTES.get(), before);
        drop(tape);
    }
}
