//! Gradients of pieces of tensors, which are added to that of the whole while they are computed.

#[path = "../common/mod.rs"]
mod common;
mod rows;

use std::cell::Cell;

use approx::assert_relative_eq;
use common::numbers;
use wengert::prelude::*;

type Function<E> = fn(TensorVar<E>) -> TensorVar<E>;

/// The stretch of the outermost axis without the first `skip` and the last `leave`.
fn piece<E: Real>(x: TensorVar<E>, skip: usize, leave: usize) -> TensorVar<E> {
    let len = x.shape()[0];
    x.slice(0, skip.min(len)..len.saturating_sub(leave).max(skip.min(len)))
}

/// As many places along the outermost axis as it is long and one more, some of them several times.
fn places<E: Real>(x: TensorVar<E>, step: usize) -> Vec<usize> {
    let len = x.shape()[0];
    (0..len + 1).map(|i| (step * i + i / 5) % len).collect()
}

/// Functions of one tensor of at least three rows, with pieces of it.
fn functions<E: Real>() -> Vec<(&'static str, Function<E>)> {
    vec![
        ("neighbours", |x| {
            let (left, right) = (piece(x, 0, 1), piece(x, 1, 0));
            ((right - left.square()).square() * E::lit(10.0) + (-left + E::ONE).square()).sum()
        }),
        ("one piece", |x| (piece(x, 1, 1) * E::lit(1.5)).sin().sum()),
        ("three overlap", |x| {
            let [a, b, c] = [(0, 2), (1, 1), (2, 0)].map(|(skip, leave)| piece(x, skip, leave));
            ((a - b * E::lit(2.0) + c).tanh() * b).sum()
        }),
        ("out of order", |x| {
            let (b, c, a) = (piece(x, 1, 1), piece(x, 2, 0), piece(x, 0, 2));
            (a * b.sin() + (b * c).cos()).mean()
        }),
        ("the same twice", |x| (piece(x, 1, 0).sin() * piece(x, 1, 0).exp()).sum()),
        ("halves", |x| {
            let half = x.shape()[0] / 2;
            let rest = x.shape()[0] - half;
            (piece(x, 0, rest).exp() * piece(x, half, rest - half)).sum()
        }),
        ("apart", |x| {
            let last = x.shape()[0] - 1;
            (piece(x, 0, last) * piece(x, last, 0)).sin().sum()
        }),
        ("different lengths", |x| {
            let (a, b, c) = (piece(x, 1, 0), piece(x, 0, 1), piece(x, 2, 1));
            (a * b).sum() * E::lit(0.1) + c.cos().sum()
        }),
        ("beside the whole", |x| {
            let (left, right) = (piece(x, 0, 1), piece(x, 1, 0));
            x.cos().sum() + (left * right).sum() + x.softmax(0).square().sum()
        }),
        ("of something computed", |x| {
            let y = x.square() + x;
            (piece(y, 0, 1) * piece(y, 1, 0).sin()).sum()
        }),
        ("pieces of pieces", |x| {
            let y = piece(x, 1, 0);
            (piece(y, 0, 1) * piece(y, 1, 0)).sin().sum() + y.square().sum() + x.cos().sum()
        }),
        ("a number for all", |x| piece(x, 1, 0).sum() + piece(x, 0, 1).mean()),
        ("repeated", |x| {
            let row = x.slice(0, 0..1);
            (piece(x, 1, 0) * row).sin().sum()
        }),
        ("a cotangent for two", |x| (piece(x, 1, 0) + piece(x, 0, 1)).sin().sum()),
        ("a cotangent and what is made of it", |x| {
            let (a, b) = (piece(x, 1, 0), piece(x, 0, 1));
            (a + b * E::lit(2.0)).sin().sum()
        }),
        ("an empty one", |x| {
            let len = x.shape()[0];
            piece(x, len, 0).square().sum() + piece(x, 1, 0).sin().sum()
        }),
        ("nothing but an empty one", |x| x.slice(0, 1..1).exp().sum()),
        ("entries", |x| {
            let len = x.shape()[0];
            (x.select(0, 0).sin() * x.select(0, len - 1) + x.select(0, 1)).sum()
        }),
        ("rows", |x| {
            let rows = x.index_select(0, places(x, 7));
            (rows.square() * E::lit(0.5) + rows).sin().sum()
        }),
        ("rows of an axis behind one of length 1", |x| {
            let rows = x.unsqueeze(0).index_select(1, places(x, 5));
            (rows.sin() * rows).sum()
        }),
        ("columns", |x| {
            let columns = x.unsqueeze(0).flatten().reshape([1, x.shape().elements()]).t();
            (columns.t().index_select(1, [2, 0, 2]).sin()).sum()
        }),
        ("two lists of rows", |x| {
            let (a, b) = (x.index_select(0, places(x, 7)), x.embedding(places(x, 3)));
            (a.sin() * b + b.square()).sum()
        }),
        ("rows and stretches", |x| {
            let a = x.index_select(0, places(x, 7));
            let len = a.shape()[0].min(x.shape()[0]);
            let (a, b) = (a.slice(0, 0..len), x.slice(0, 0..len));
            let c = x.index_select(0, [1, 1]);
            (a.sin() * b + b.square()).sum() + c.exp().sum() + (piece(x, 1, 0).cos()).sum()
        }),
        ("stretches before rows", |x| {
            let (a, b) = (piece(x, 1, 0), piece(x, 0, 1));
            let rows = x.index_select(0, places(x, 7));
            (a * b).sin().sum() + (rows * E::lit(0.7)).exp().sum()
        }),
        ("stretches, and as many rows", |x| {
            let (a, b) = (piece(x, 1, 0), piece(x, 0, 1));
            let places = places(x, 7);
            let rows = x.index_select(0, &places[..places.len() - 2]);
            (a * b.exp() * rows).sin().sum()
        }),
        ("no rows", |x| x.index_select(0, Vec::new()).sin().sum()),
        ("rows of stretches", |x| {
            let y = piece(x, 1, 0);
            y.index_select(0, places(y, 3)).sin().sum() + (piece(y, 1, 0) * piece(y, 0, 1)).sum()
        }),
        ("sums over rows", |x| {
            let (a, b) = (x.index_select(0, places(x, 7)), x.embedding(places(x, 3)));
            let apart = (a - b).sum_axes(-1) * E::lit(0.1);
            ((a * b).sum_axes_keep(-1) * E::lit(0.1) + a).sin().sum() + apart.exp().mean()
        }),
        ("rows that are repeated", |x| {
            let rows = x.index_select(0, places(x, 7));
            (rows * x.slice(0, 0..2).unsqueeze(1).mean_axes(-1).unsqueeze(-1)).sin().sum()
        }),
        ("rows that are asked for between", |x| {
            let rows = x.index_select(0, places(x, 7));
            let sum = rows.square().sum();
            assert_eq!(rows.value().shape(), &rows.shape());
            sum + (rows * E::lit(0.5)).exp().mean()
        }),
        ("rows of rows", |x| {
            let rows = x.index_select(0, places(x, 7));
            (rows.index_select(0, places(rows, 3)) * E::lit(0.5)).sin().sum() + rows.sum()
        }),
        ("many", |x| {
            let parts: Vec<_> = (0..12)
                .map(|k| piece(x, k, 12usize.saturating_sub(k)).sin() * E::lit(k as f64))
                .collect();
            parts.into_iter().reduce(|a, b| a + b).expect("there are twelve").square().sum()
        }),
    ]
}

fn gradient<E: Real>(f: Function<E>, x: &Tensor<E>) -> Tensor<E> {
    let tape = Tape::<E>::default();
    let x = tape.tensor(x);
    f(x).backward().unwrap().wrt(x)
}

fn recorded<E: Real>(f: Function<E>, x: &Tensor<E>) -> Tensor<E> {
    let tape = Tape::<E>::default();
    let x = tape.tensor(x);
    f(x).grad_recorded(&[x]).unwrap()[0].map_or(x.value() * E::ZERO, |g| g.value())
}

#[test]
fn as_a_recorded_sweep_says() {
    // Around the lengths of vectors, chunks and blocks.
    let lengths = [3, 4, 13, 14, 127, 128, 129, 257, 1000, 1025, 8193, 9000];
    for (name, f) in functions::<f64>() {
        for n in lengths {
            if name == "many" && n < 13 {
                continue;
            }
            let x = numbers([n], -1.0, 1.0);
            let (fast, right) = (gradient(f, &x), recorded(f, &x));
            println!("{name} of {n}");
            assert_relative_eq!(fast, right, max_relative = 1e-12, epsilon = 1e-13);
        }
        for shape in [[17, 3, 5], [700, 1, 33]] {
            let x = numbers(shape, -1.0, 1.0);
            let (fast, right) = (gradient(f, &x), recorded(f, &x));
            println!("{name} of {shape:?}");
            assert_relative_eq!(fast, right, max_relative = 1e-12, epsilon = 1e-13);
        }
    }
    for (name, f) in functions::<f32>() {
        let data = numbers([500, 2], -1.0, 1.0);
        let x = Tensor::new([500, 2], data.iter().map(|&x| x as f32).collect());
        let (fast, right) = (gradient(f, &x), recorded(f, &x));
        println!("{name} of floats");
        assert_relative_eq!(fast, right, max_relative = 1e-4, epsilon = 1e-5);
    }
}

#[test]
fn as_finite_differences_say() {
    for (name, f) in functions::<f64>() {
        println!("{name}");
        wengert::autograd::assert_gradients!(f, numbers([14, 2], -1.0, 1.0));
    }
}

/// Long enough for machine code and for several threads.
#[test]
fn the_bits_depend_on_nothing_but_the_numbers() {
    let bits = |g: &Tensor| g.iter().map(|g| g.to_bits()).collect::<Vec<_>>();
    let shapes = [Shape::from([70_001]), Shape::from([3001, 24]), Shape::from([22_001, 24])];
    let functions = functions::<f64>();
    for (&(name, f), shape) in functions.iter().flat_map(|f| shapes.iter().map(move |s| (f, s))) {
        let x = numbers(shape.clone(), -1.0, 1.0);
        let first = gradient(f, &x);
        for threads in [1, 2, 3, 7] {
            let again = with_threads(threads, || {
                let mut tape = Tape::new();
                let mut last = None;
                // Machine code is made for what is done again and again.
                for _ in 0..6 {
                    tape.reset();
                    let x = tape.tensor(&x);
                    last = Some(f(x).backward().unwrap().wrt(x));
                }
                last.unwrap()
            });
            assert!(bits(&first) == bits(&again), "{name} of {shape} on {threads} threads");
        }
    }
}

#[test]
fn only_what_is_asked_for() {
    let tape = Tape::new();
    let x = tape.tensor(numbers([1000], -1.0, 1.0));
    let (left, right) = (piece(x, 0, 1), piece(x, 1, 0));
    let loss = (left.sin() * right).sum();
    let all = loss.backward().unwrap();
    for variables in [vec![x], vec![left], vec![right, x], vec![left, right, x]] {
        let g = loss.grad(&variables).unwrap();
        for &v in &variables {
            let right_one = loss.grad_recorded(&[v]).unwrap()[0].unwrap().value();
            assert_relative_eq!(g.wrt(v), right_one, max_relative = 1e-13);
        }
    }
    assert_eq!(loss.grad(&[x]).unwrap().wrt(x), all.wrt(x));
    // The tape is as it was, so all can be asked for again, and the cotangents are those of any result.
    assert_eq!(loss.backward().unwrap().wrt(x), all.wrt(x));
    let y = left.sin() * right;
    let v = numbers([999], 0.0, 1.0);
    let g = y.vjp(v.clone()).unwrap().wrt(x);
    let again = y.vjp_recorded(tape.constant(v), &[x]).unwrap()[0].unwrap().value();
    assert_relative_eq!(g, again, max_relative = 1e-13);
    // What is no variable gets nothing.
    let data = tape.constant(numbers([1000], -1.0, 1.0));
    let mixed = (piece(data, 0, 1) * left + piece(data, 1, 0)).sin().sum();
    let g = mixed.backward().unwrap();
    assert_relative_eq!(g.wrt(x), mixed.grad_recorded(&[x]).unwrap()[0].unwrap().value());
}

#[test]
fn a_watched_sweep_says_the_same() {
    for (name, f) in functions::<f64>() {
        let x = numbers([700], -1.0, 1.0);
        let tape = Tape::new().with_anomaly_detection();
        let v = tape.tensor(&x);
        let watched = f(v).backward().unwrap().wrt(v);
        println!("{name}");
        assert_relative_eq!(watched, gradient(f, &x), max_relative = 1e-13, epsilon = 1e-14);
    }
}

thread_local! {
    static RUNS: Cell<usize> = const { Cell::new(0) };
}

/// All elements but the first `self.0`, of which the kernel counts its calls and says that they begin at `self.1`.
struct Skip(usize, Option<Piece>);

impl<E: Real> Op<E> for Skip {
    fn name(&self) -> &'static str {
        "skip"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        Ok(smallvec![Shape::from([inputs[0].elements() - self.0])])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        outputs.buffer(0).copy_from_slice(&inputs[0].as_slice()[self.0..]);
        Ok(())
    }
    fn vjp(&self, _: &Backward<'_, E>) -> Cotangents<E> {
        unreachable!("there is a kernel")
    }
    fn kernel(&self) -> Option<&dyn VjpKernel<E>> {
        Some(self)
    }
}

impl<E: Real> VjpKernel<E> for Skip {
    fn run(&self, call: &mut KernelCall<'_, E>) {
        RUNS.set(RUNS.get() + 1);
        let g = call.cotangent();
        let Some(sum) = call.sum(0) else { return };
        sum[self.0..].iter_mut().zip(g.iter()).for_each(|(sum, &g)| *sum += g);
    }
    fn piece(&self, _: &Shape) -> Option<Piece> {
        self.1.clone()
    }
}

/// Numbers of which there are too many to be computed when they are recorded.
fn many() -> Tensor {
    let numbers = (0..600).map(|k| 1.0 + f64::from(k % 4)).collect::<Vec<_>>();
    Tensor::from(numbers)
}

#[test]
fn the_kernel_of_a_piece_runs_only_where_its_cotangent_is_there() {
    // The elements from number 1, 3 and 599 on.
    let runs = |f: fn([TensorVar; 3]) -> TensorVar| {
        let tape = Tape::new();
        let x = tape.tensor(many());
        let rows =
            |first| Piece::Rows { indices: (first..600).collect::<Vec<_>>().into(), width: 1 };
        let pieces = [(1, Piece::Stretch(1)), (3, rows(3)), (599, rows(599))];
        let loss = f(pieces.map(|(first, piece)| x.apply_op(Skip(first, Some(piece)))));
        RUNS.set(0);
        let g = loss.backward().unwrap().wrt(x);
        (RUNS.get(), [0, 1, 2, 3, 599].map(|k| g.as_slice()[k]))
    };
    assert_eq!(runs(|[a, _, _]| a.square().sum()), (0, [0.0, 4.0, 6.0, 8.0, 8.0]));
    assert_eq!(runs(|[_, b, _]| b.square().sum()), (0, [0.0, 0.0, 0.0, 8.0, 8.0]));
    // What flows to the last one is a sum, which is there.
    let squares = many().square().sum().item() - 1.0;
    let expected = [0.0, 16.0, 24.0, 32.0, 32.0 + squares];
    assert_eq!(runs(|[a, _, c]| (a * a * c).sum()), (1, expected));
    assert_eq!(runs(|[a, _, _]| a.sum()), (1, [0.0, 1.0, 1.0, 1.0, 1.0]));
    // The product has made the cotangent already.
    assert_eq!(runs(|[a, _, _]| a.matmul(a)), (1, [0.0, 4.0, 6.0, 8.0, 8.0]));
    // And so it is where there is little, which is computed when it is recorded.
    assert_eq!(runs(|[_, _, c]| c.square().sum()), (1, [0.0, 0.0, 0.0, 0.0, 8.0]));
}

/// How often the kernel of a piece runs in the sweep of `f`, which is given the stretch beside it, and may make it; the
/// gradient is compared with that of a piece that has no kernel to count.
fn runs_of_a_shared_piece(f: fn(TensorVar, &dyn Fn() -> TensorVar) -> TensorVar) -> usize {
    let mut tape = Tape::new();
    let of = |tape: &Tape, right: fn(TensorVar) -> TensorVar| {
        let x = tape.tensor(many() * 0.1);
        (x, f(x.slice(0, 0..599), &|| right(x)))
    };
    let (x, loss) = of(&tape, |x| x.slice(0, 1..600));
    let expected = loss.grad_recorded(&[x]).unwrap()[0].unwrap().value();
    // The next buffer from the pool holds other numbers.
    drop((tape.tensor(many()) * f64::NAN).sum().backward().unwrap());
    tape.reset();
    let (x, loss) = of(&tape, |x| x.apply_op(Skip(1, Some(Piece::Stretch(1)))));
    RUNS.set(0);
    let g = loss.backward().unwrap().wrt(x);
    assert_relative_eq!(g, expected, max_relative = 1e-13, epsilon = 1e-14);
    RUNS.get()
}

#[test]
fn a_cotangent_of_which_others_are_made_in_the_same_pass_is_no_tensor() {
    // That of the left piece is made of that of the right one, and so is a sum.
    let runs = runs_of_a_shared_piece;
    assert_eq!(runs(|left, right| (right() - left.square()).square().sum()), 0);
    assert_eq!(runs(|left, right| (right() - left.sum()).sin().sum()), 0);
    // It is the cotangent of both.
    assert_eq!(runs(|left, right| (right() + left).sin().sum()), 1);
    // What is made of it is computed later, when all has flowed there.
    let later = |left: TensorVar, right: &dyn Fn() -> TensorVar| {
        let y = left.softmax(0);
        let of_y = y.cumsum(0).square().sum();
        (right() - y * 2.0).square().sum() + of_y
    };
    assert_eq!(runs(later), 1);
}

#[test]
fn a_piece_that_is_not_within_the_whole() {
    let rows = |indices: Vec<usize>, width| Piece::Rows { indices: indices.into(), width };
    for piece in [
        Piece::Stretch(2),
        Piece::Stretch(usize::MAX),
        rows((2..201).collect(), 1),
        rows((0..198).collect(), 1),
        rows((0..199).collect(), 2),
        rows(vec![1], 199),
        rows(vec![usize::MAX], 199),
    ] {
        let tape = Tape::new();
        let loss = tape.tensor(many()).apply_op(Skip(1, Some(piece))).square().sum();
        let message = common::panic_message(|| loss.backward());
        assert!(message.contains("skip: its kernel says"), "{message}");
    }
}

/// Rows of a matrix of six columns, by a forward pass that names them.
struct Named(usize, Vec<usize>);

impl<E: Real> Op<E> for Named {
    fn name(&self) -> &'static str {
        "named"
    }
    fn infer(&self, _: &[&Shape]) -> Result<Shapes, Misfit> {
        Ok(smallvec![Shape::from([self.0, 6])])
    }
    fn forward(&self, _: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        outputs.set_rows(self.1.clone().into(), 6);
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let whole = call.inputs[0] * E::ZERO;
        smallvec![Some(whole + call.cotangent().sum_axes_keep(0))]
    }
}

#[test]
fn rows_are_those_of_the_tensor() {
    // So many that they stay where they are, and fewer; around the lengths of chunks.
    for (n, width) in [(3, 6), (900, 33), (1100, 16), (4000, 5), (130, 129), (20, 1100)] {
        let table = numbers([n, width], -1.0, 1.0);
        let indices: Vec<usize> = (0..n + 7).map(|i| (13 * i + i / 3) % n).collect();
        let right = table.rows(&indices);
        let tape = Tape::new();
        let rows = tape.tensor(&table).index_select(0, &indices);
        // Elementwise work reads them where they are, the product as a tensor.
        assert_eq!((rows + rows).value(), &right + &right);
        assert_eq!(rows.matmul(rows.t()).shape(), [n + 7, n + 7]);
        assert_eq!(rows.value(), right);
        assert_eq!(table.index_select(0, &indices), right);
        let watched = Tape::new().with_anomaly_detection();
        assert_eq!(watched.tensor(&table).index_select(0, &indices).value(), right);
    }
    let (tape, table) = (Tape::new(), numbers([3, 6], -1.0, 1.0));
    let (x, indices) = (tape.tensor(&table), vec![2, 0, 2, 2]);
    assert_eq!(x.apply_op(Named(4, indices.clone())).value(), table.rows(&indices));
    for (count, indices) in [(4, vec![0, 3, 0, 0]), (3, indices), (1, vec![usize::MAX])] {
        let message = common::panic_message(|| x.apply_op(Named(count, indices)));
        assert!(message.contains("named: forward says"), "{message}");
    }
}
