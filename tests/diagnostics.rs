//! Looking for what went wrong: anomalies with their lines, and the recording in numbers, as a list and
//! as a picture; and where the time goes.

mod common;

use std::collections::HashSet;

use common::panic_at;
use wengert::autograd::Error;
use wengert::prelude::*;
use wengert::tape::{OperationStats, Profile, ProfileRow, TapeStats};

fn watched() -> Tape {
    Tape::new().with_anomaly_detection()
}

/// Checks that the call panics at its own line, with these parts in the message.
macro_rules! anomaly {
    ($call:expr, $($part:expr),+ $(,)?) => {{
        let line = line!();
        let (message, file, at) = panic_at(|| $call);
        assert!((line..line + 3).contains(&at) && file.ends_with("diagnostics.rs"), "{file}:{at}");
        for part in [$($part),+] {
            assert!(message.contains(part), "{part:?} is not in {message:?}");
        }
        assert!(message.contains(&format!("diagnostics.rs:{at}:")), "{message}");
    }};
}

/// Checks that a backward pass ends with the anomaly of an operation that this line has recorded.
#[track_caller]
fn assert_anomaly<T>(result: Result<T, Error>, name: &str, line: u32, parts: &[&str]) {
    let Err(error) = result else { panic!("the pass has found no anomaly") };
    let text = error.to_string();
    let Error::Anomaly { operation, recorded, detail, location } = error else {
        panic!("another error: {text}")
    };
    assert_eq!((operation, recorded.line()), (name, line), "{text}");
    assert!(recorded.file().ends_with("diagnostics.rs"));
    assert!(text.contains(&detail) && text.contains(&location.to_string()), "{text}");
    for part in parts {
        assert!(detail.contains(part), "{part:?} is not in {detail:?}");
    }
}

/// `1 / x^2`, with a name that a picture has to escape.
struct InverseSquare;

impl Unary for InverseSquare {
    const NAME: &'static str = "1/\"x\\\"^2";
    fn value<T: Elementary>(&self, x: T) -> T {
        (x * x).recip()
    }
    fn partial<T: Elementary>(&self, x: T, y: T) -> T {
        T::lit(-2.0) * y / x
    }
}

/// The square root as a rule of a user.
struct Root;

impl Unary for Root {
    const NAME: &'static str = "root";
    fn value<T: Elementary>(&self, x: T) -> T {
        x.sqrt()
    }
    fn partial<T: Elementary>(&self, _x: T, y: T) -> T {
        T::lit(0.5) / y
    }
}

#[test]
fn a_number_that_an_operation_makes_of_finite_ones() {
    let tape = watched();
    let (x, zero) = (tape.var(-1.0), tape.var(0.0));
    let nodes = tape.scalar_nodes();
    anomaly!(x.ln(), "ln(-1) is NaN", "finite");
    anomaly!(x / zero, "div(-1, 0) is -inf");
    anomaly!(x / 0.0, "div(-1, 0) is -inf");
    anomaly!(1.0 / zero, "div(1, 0) is inf");
    anomaly!(zero.powi(-2), "powi(0, -2) is inf");
    anomaly!((x * 1e200).mul_add(1e200, zero), "mul_add(");
    anomaly!(zero.apply(InverseSquare), InverseSquare::NAME, "(0) is inf");
    // What was refused is not there, and the tape works as before.
    assert_eq!(tape.scalar_nodes(), nodes + 1);
    assert_eq!((x * x).backward().unwrap().wrt(x), -2.0);
}

#[test]
fn a_tensor_that_an_operation_makes_of_finite_ones() {
    let tape = watched();
    let x = tape.tensor([[1.0, 0.0, 2.0], [3.0, -1.0, 4.0]]);
    let small = tape.tensor([0.0]);
    anomaly!(x.ln(), "ln(0) is -inf", "element [0, 1]", "[[1, 0, 2], [3, -1, 4]] of shape [2, 3]");
    anomaly!(x / small, "div(1, 0) is inf", "element [0, 0]", "of shape [1]");
    anomaly!(x.sqrt(), "sqrt(-1) is NaN", "element [1, 1]");
    anomaly!(1.0 / x, "div(1, 0) is inf");
    anomaly!(x.apply(InverseSquare), InverseSquare::NAME, "(0) is inf");
    let large = tape.tensor(Tensor::full([3, 4], 1e308));
    anomaly!(large.sum(), "sum: gives inf", "a tensor of shape [3, 4]");
    anomaly!(large.sum_axes(0), "sum: gives", "inf");
    anomaly!(
        large.transpose(0, 1).matmul(large),
        "matmul",
        "a tensor of shape [4, 4] with inf at [0, 0]"
    );
    assert_eq!((x * x).sum().backward().unwrap().wrt(x)[[1, 1]], -2.0);
}

#[test]
fn what_was_given_is_no_anomaly() {
    let tape = watched();
    let infinity = f64::INFINITY;
    let x = tape.var(infinity);
    let y = x * 2.0 - x + x.exp() / x + tape.var(1.0) * infinity;
    assert!(y.value().is_nan());
    assert!(y.backward().unwrap().wrt(x).is_nan());
    assert!(y.grad_recorded(&[x]).unwrap()[0].unwrap().value().is_nan());

    let t = tape.tensor([infinity, 1.0]);
    let z = (t * t - t).sum() + t.matmul(t);
    assert!(z.item().is_nan());
    assert!(z.backward().unwrap().wrt(t)[[0]].is_infinite());
    assert!(z.grad_recorded(&[t]).unwrap()[0].unwrap().value()[[0]].is_infinite());
    // A given infinity in one place is no excuse for another place.
    anomaly!((t - 1.0).ln(), "ln(0) is -inf", "element [1]");
    // Infinities that a constant puts where a mask says so, and that go away again.
    let scores = tape.tensor([[1.0, 2.0], [3.0, 4.0]]);
    let mask = tape.constant([[0.0, 1.0], [0.0, 0.0]]);
    let p = scores.masked_fill(mask, f64::NEG_INFINITY).softmax(1);
    assert_eq!(p.value()[[0, 1]], 0.0);
    assert!((p * p).sum().backward().unwrap().wrt(scores).iter().all(|g| g.is_finite()));
    // A cotangent that is infinite because it was given so.
    let u = tape.tensor([1.0, 2.0]);
    assert_eq!((u * 2.0).vjp([infinity, 1.0]).unwrap().wrt(u)[[0]], infinity);
}

#[test]
fn a_derivative_by_a_number() {
    let tape = watched();
    let x = tape.var(0.0);
    let line = line!() + 1;
    let y = x.sqrt();
    let z = (y + 1.0) * 3.0;
    let parts = &["makes inf", "the cotangent 3", "the arguments 0"];
    assert_anomaly(z.backward(), "sqrt", line, parts);
    assert_anomaly(z.grad(&[x]), "sqrt", line, parts);
    assert_anomaly(z.vjp(Tensor::scalar(1.0)), "sqrt", line, parts);
    assert_anomaly(z.grad_recorded(&[x]), "sqrt", line, parts);
    let line = line!() + 1;
    let y = x.apply(Root);
    let z = y * 2.0;
    assert_anomaly(z.backward(), "root", line, &["makes inf", "the cotangent 2"]);
    assert_anomaly(z.grad_recorded(&[x]), "root", line, &["makes inf"]);
    // Recording goes on to be looked at after a pass with an anomaly.
    anomaly!(x.ln(), "ln(0) is -inf");
    // A derivative that is infinite where nothing flows is none.
    assert_eq!((x * 2.0).backward().unwrap().wrt(x), 2.0);
}

#[test]
fn a_derivative_by_a_tensor() {
    let tape = watched();
    let x = tape.tensor([0.0, 1.0]);
    let line = line!() + 1;
    let y = x.sqrt();
    let z = (y * 3.0).sum();
    let parts =
        &["makes [inf, 1.5] of shape [2]", "the cotangent", "the arguments [0, 1] of shape [2]"];
    assert_anomaly(z.backward(), "sqrt", line, parts);
    assert_anomaly(z.grad(&[x]), "sqrt", line, parts);
    assert_anomaly(z.grad_recorded(&[x]), "sqrt", line, parts);
    // A kernel, and the same rule recorded.
    let (small, large) = (tape.tensor([[1e-200]]), tape.tensor([[1e200]]));
    let line = line!() + 1;
    let product = small.matmul(large);
    let z = (product * 1e200).sum();
    assert_anomaly(z.backward(), "matmul", line, &["makes [[inf]] of shape [1, 1]"]);
    assert_anomaly(z.grad_recorded(&[small]), "matmul", line, &["makes [[inf]]"]);
    // From a number to tensors and back.
    let s = tape.var(0.0);
    let line = line!() + 1;
    let root = s.sqrt();
    let z = (root * tape.tensor([2.0, 3.0])).sum();
    assert_anomaly(z.backward(), "sqrt", line, &["the cotangent 5"]);
    let z = z.to_scalar() * 2.0;
    assert_anomaly(z.backward(), "sqrt", line, &["the cotangent 10"]);
    assert_anomaly(z.grad_recorded(&[s]), "sqrt", line, &["the cotangent 10"]);
}

#[test]
fn a_sum_of_cotangents() {
    let tape = watched();
    let line = line!() + 1;
    let x = tape.var(0.0);
    let y = x * 1e308 + x * 1e308;
    assert_anomaly(y.backward(), "leaf", line, &["sum is inf"]);
    assert_anomaly(y.grad_recorded(&[x]), "leaf", line, &["sum is inf"]);
    let line = line!() + 1;
    let t = tape.tensor([0.0, 0.0]);
    let y = (t * 1e308).sum() + (t * 1e308).sum();
    assert_anomaly(y.backward(), "leaf", line, &["sum is", "inf"]);
    assert_anomaly(y.grad_recorded(&[t]), "leaf", line, &["sum is", "inf"]);
}

/// The square root with the slope 1 at zero; the branch that is masked there is infinite.
struct MaskedRoot;

impl Unary for MaskedRoot {
    const NAME: &'static str = "masked_root";
    fn value<T: Elementary>(&self, x: T) -> T {
        x.sqrt()
    }
    fn partial<T: Elementary>(&self, _x: T, y: T) -> T {
        T::select_gt(y, T::lit(0.0), T::lit(0.5) / y, T::lit(1.0))
    }
}

#[test]
fn steps_within_a_derivative_are_nobodys_business() {
    let tape = watched();
    let x = tape.var(0.0);
    let y = x.apply(MaskedRoot);
    assert_eq!(y.backward().unwrap().wrt(x), 1.0);
    assert_eq!(y.grad_recorded(&[x]).unwrap()[0].unwrap().value(), 1.0);
    let t = tape.tensor([0.0, 1.0]);
    let y = t.apply(MaskedRoot).sum();
    assert_eq!(y.backward().unwrap().wrt(t), Tensor::from([1.0, 0.5]));
    assert_eq!(y.grad_recorded(&[t]).unwrap()[0].unwrap().value(), Tensor::from([1.0, 0.5]));
    // The rule of `hypot` divides by an infinity at zero, on purpose.
    let (x, y) = (tape.var(0.0), tape.var(0.0));
    let z = x.hypot(y);
    assert_eq!(z.backward().unwrap().wrt(x), 0.0);
    assert_eq!(z.grad_recorded(&[x]).unwrap()[0].unwrap().value(), 0.0);
    let (x, y) = (tape.tensor([0.0, 3.0]), tape.tensor([0.0, 4.0]));
    let z = x.hypot(y).sum();
    assert_eq!(z.backward().unwrap().wrt(x), Tensor::from([0.0, 0.6]));
    let g = z.grad_recorded(&[x]).unwrap()[0].unwrap();
    assert_eq!(g.value(), Tensor::from([0.0, 0.6]));
}

#[test]
fn nothing_is_reported_unless_asked_for() {
    let tape = Tape::new();
    assert!((tape.var(-1.0).ln() + 0.0).backward().is_ok());
    let x = tape.tensor([0.0, -1.0]);
    assert!(x.ln().sum().backward().unwrap().wrt(x)[[0]].is_infinite());
    let tape = Tape::new().with_locations();
    assert!(tape.var(-1.0).ln().value().is_nan());
}

#[test]
fn both_modes_combine_and_survive_a_reset() {
    let mut tape = Tape::new().with_anomaly_detection().with_locations();
    for _ in 0..2 {
        let x = tape.var(-1.0);
        assert_eq!(tape.location(x).map(std::panic::Location::line), Some(line!() - 1));
        anomaly!(x.ln(), "ln(-1) is NaN");
        tape.reset();
    }
    let tape = Tape::new().with_locations().with_anomaly_detection();
    let x = tape.var(-1.0);
    assert!(tape.location(x).is_some());
    anomaly!(x.ln(), "ln(-1) is NaN");
    let single = Tape::<f32>::default().with_anomaly_detection();
    anomaly!(single.var(100.0).exp(), "exp(100) is inf");
}

#[test]
fn a_training_step_is_the_same_with_anomaly_detection() {
    let gradient = |tape: Tape| {
        let x = tape.tensor([[0.5, -1.0], [2.0, 0.25]]);
        let w = tape.tensor([[1.0], [-0.5]]);
        let s = tape.var(0.7);
        let y = (x.matmul(w).tanh() * s + s.sin()).square().mean() + s.powi(2);
        let g = y.backward().unwrap();
        (y.item(), g.wrt(w).to_vec(), g.wrt(s))
    };
    assert_eq!(gradient(Tape::new()), gradient(watched()));
}

fn of<'s>(stats: &'s TapeStats, name: &str, tensor: bool) -> &'s OperationStats {
    let mut kinds = stats.operations.iter();
    kinds.find(|o| o.name == name && o.tensor == tensor).expect("the tape has this kind")
}

#[test]
fn a_recording_in_numbers() {
    let tape = Tape::new();
    assert_eq!((tape.stats().bytes, tape.stats().operations.len()), (0, 0));
    let (a, b) = (tape.var(2.0), tape.var(3.0));
    let c = a * b + a * 5.0;
    let d = c.mul_add(a, b);
    let x = tape.tensor(Tensor::ones([200, 4]));
    let w = tape.constant(Tensor::ones([4, 3]));
    let y = x.matmul(w) * d;
    let z = y.reshape([600]).sum();
    let stats = tape.stats();
    assert_eq!((stats.leaves, stats.constants, stats.pending), (3, 1, 1));
    assert_eq!(
        (stats.scalar_nodes, stats.tensor_nodes),
        (tape.scalar_nodes(), tape.tensor_nodes())
    );
    assert_eq!((of(&stats, "mul", false).count, of(&stats, "mul", true).count), (2, 1));
    assert_eq!(of(&stats, "mul_add", false).count, 1);
    assert_eq!(of(&stats, "leaf", false).count, 2);
    // 12 bytes for a node and 8 for a value; `mul_add` takes two nodes.
    assert_eq!(of(&stats, "mul", false).bytes, 40);
    assert_eq!(of(&stats, "mul_add", false).bytes, 40);
    let kinds: usize = stats.operations.iter().map(|o| o.bytes).sum();
    assert_eq!(stats.bytes, kinds + 8, "one constant in the pool");
    // The value of a node counts when it is there; a view shares its buffer.
    let node = of(&stats, "sum", true).bytes;
    assert_eq!(of(&stats, "matmul", true).bytes, node + 600 * 8);
    assert_eq!(of(&stats, "mul", true).bytes, node + 600 * 8);
    assert_eq!(of(&stats, "reshape", true).bytes, node);
    assert_eq!(of(&stats, "leaf", true).bytes, node + 800 * 8);
    z.value();
    let after = tape.stats();
    assert_eq!((after.pending, after.bytes), (0, stats.bytes + 8));
}

#[test]
fn a_recording_as_a_list() {
    let tape = Tape::new().with_locations();
    let line = line!() + 1;
    let a = tape.var(2.0);
    let b = 3.0 - a.powi(3);
    let x = tape.tensor(Tensor::ones([20, 20]));
    let y = x * b;
    let parts = y.chunk(0, 2);
    let z = parts[0].sum();
    let list = tape.to_string();
    let lines: Vec<&str> = list.lines().collect();
    let at = |k: u32| format!("({}:{}:", file!(), line + k);
    for (text, k) in [
        ("s0 = leaf = 2", 0),
        ("s1 = powi s0 3 = 8", 1),
        ("s2 = sub 3 s1 = -5", 1),
        ("t0 = leaf [20, 20]", 2),
        ("t1 = to_tensor s2 []", 3),
        ("t2 = mul t0 t1 [20, 20]", 3),
    ] {
        let beginning = format!("{text} {}", at(k));
        assert!(lines.iter().any(|l| l.starts_with(&beginning)), "{beginning:?} is not in\n{list}");
    }
    assert!(lines.iter().any(|l| l.contains(" = sum t") && l.contains(" [] pending (")), "{list}");
    assert_eq!(lines.len(), 1 + tape.scalar_nodes() + tape.tensor_nodes());
    z.value();
    assert!(!tape.to_string().contains("pending"));
    assert!(!Tape::new().to_string().contains('='));
}

/// The nodes and edges of a picture, each checked as far as a reader of the language does.
fn graph(dot: &str) -> (HashSet<String>, Vec<(String, String)>) {
    let mut lines = dot.lines();
    assert_eq!(lines.next(), Some("digraph tape {"));
    assert_eq!(dot.lines().last(), Some("}"));
    let (mut nodes, mut edges) = (HashSet::new(), Vec::new());
    for line in lines.map(str::trim).filter(|&line| line != "}") {
        let statement = line.strip_suffix(';').expect("a statement ends with a semicolon");
        if let Some((from, to)) = statement.split_once(" -> ") {
            edges.push((from.to_owned(), to.to_owned()));
            continue;
        }
        let (name, attributes) = statement.split_once(" [").expect("a node has attributes");
        let attributes = attributes.strip_suffix(']').expect("a bracket that closes");
        // Outside of quoted texts there is nothing that would need quotes.
        let (mut quoted, mut escaped) = (false, false);
        for c in attributes.chars() {
            match c {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                _ => assert!(quoted || c.is_alphanumeric() || " =,".contains(c), "{c:?} in {line}"),
            }
        }
        assert!(!quoted, "a quotation that does not end: {line}");
        if name != "node" {
            assert!(nodes.insert(name.to_owned()), "{name} is declared twice");
        }
    }
    for (from, to) in &edges {
        assert!(nodes.contains(from) && nodes.contains(to), "{from} -> {to}");
    }
    (nodes, edges)
}

#[test]
fn a_recording_as_a_picture() {
    let tape = Tape::new();
    assert_eq!(graph(&tape.to_dot()), (HashSet::new(), Vec::new()));
    let (a, b) = (tape.var(2.0), tape.var(0.5));
    let c = a.apply(InverseSquare).mul_add(b, 1.0) + 4.0;
    let x = tape.tensor([[1.0, 2.0], [3.0, 4.0]]);
    let w = tape.constant([[1.0], [1.0]]);
    let y = (x.matmul(w) * c).apply(InverseSquare).sum();
    let _ = y.to_scalar() * a;
    let dot = tape.to_dot();
    let (nodes, edges) = graph(&dot);
    // The two constants of the last lines have no node of their own; that of `mul_add` has one.
    let carried = 1;
    assert_eq!(nodes.len(), tape.scalar_nodes() + tape.tensor_nodes() - carried);
    let edge = |from: &str, to: &str| edges.contains(&(from.to_owned(), to.to_owned()));
    assert!(edge("t0", "t2") && edge("t1", "t2") && edge("s0", "s2"), "{dot}");
    assert!(dot.contains(r#"s2 = 1/\"x\\\"^2\n= 0.25"#), "{dot}");
    assert!(dot.contains("t0 = leaf\\n[2, 2]\\ntests/diagnostics.rs:"), "{dot}");
    assert!(dot.contains("add 4\\n"), "{dot}");
}

fn row<'p>(profile: &'p Profile, name: &str, tensor: bool) -> &'p ProfileRow {
    let mut rows = profile.rows.iter();
    rows.find(|r| r.name == name && r.tensor == tensor).expect("the profile has this kind")
}

#[test]
fn where_the_time_goes() {
    let begin = std::time::Instant::now();
    let mut tape = Tape::new().with_profile().with_locations();
    for _ in 0..2 {
        tape.reset();
        let x = tape.tensor(Tensor::ones([20, 30]));
        let w = tape.tensor(Tensor::ones([30, 10]));
        let y = x.matmul(w);
        let z = (y * 0.01).tanh().sum();
        z.value();
        let a = tape.var(2.0);
        let b = a * a + a.mul_add(a, a);
        let loss = z + y.reshape([200]).cumsum(0).sum() * b;
        loss.backward().unwrap();
        loss.grad_recorded(&[w]).unwrap();
    }
    let profile = tape.profile().unwrap();
    let whole = begin.elapsed();
    let matmul = row(&profile, "matmul", true);
    assert_eq!((matmul.forward_calls, matmul.forward_bytes), (2, 2 * 20 * 10 * 8));
    // By a first-order and by a recorded sweep; what the rule is made of is part of it.
    assert_eq!((matmul.backward_calls, matmul.operations), (4, 6));
    // A view has no bytes of its own.
    let reshape = row(&profile, "reshape", true);
    assert_eq!((reshape.forward_calls, reshape.forward_bytes, reshape.backward_calls), (2, 0, 4));
    assert_eq!(row(&profile, "cumsum", true).forward_bytes, 2 * 200 * 8);
    // One program for `z`, of three operations; the others ran in the sweeps.
    let fused = row(&profile, "fused", true);
    assert_eq!((fused.forward_calls, fused.forward_bytes), (2, 2 * 8));
    assert!(fused.operations > 6 && fused.backward_calls >= 4, "{fused:?}");
    let sweep = row(&profile, "sweep", true);
    assert_eq!((sweep.forward_calls, sweep.backward_calls), (0, 4));
    for timed in [matmul, fused] {
        assert!(timed.forward_time.unwrap().as_nanos() > 0);
        assert!(timed.backward_time.unwrap().as_nanos() > 0);
    }
    // Each moment is counted once.
    let times =
        |r: &ProfileRow| r.forward_time.unwrap_or_default() + r.backward_time.unwrap_or_default();
    assert!(profile.rows.iter().map(times).sum::<std::time::Duration>() <= whole);
    let order: Vec<_> = profile.rows.iter().filter(|r| r.tensor).map(times).collect();
    assert!(order.is_sorted_by(|a, b| a >= b));

    // Numbers are counted, over resets; recorded sweeps record some, too.
    let ternary = row(&profile, "mul_add", false);
    assert_eq!((ternary.forward_calls, ternary.forward_bytes), (2, 2 * 40));
    assert_eq!((ternary.forward_time, ternary.backward_time), (None, None));
    let list = profile.to_string();
    let widths: HashSet<usize> = list.lines().map(str::len).collect();
    assert_eq!((list.lines().count(), widths.len()), (1 + profile.rows.len(), 1), "{list}");
    assert!(list.contains(&format!("fused: {} operations", fused.operations)), "{list}");
    assert!(list.contains("mul_add (number)"), "{list}");
    assert_eq!(Tape::new().with_locations().profile(), None);
}

/// What an operation does that panics or is refused is timed all the same, and the next ones as before.
#[test]
fn a_profile_of_what_fails() {
    let tape = Tape::new().with_profile();
    let singular = tape.tensor(Tensor::zeros([3, 3]));
    assert!(singular.try_inverse().is_err());
    common::panic_message(|| singular.inverse());
    let x = tape.tensor(Tensor::eye(3));
    x.inverse();
    assert!(x.eigh().1.sum().backward().is_err());
    let profile = tape.profile().unwrap();
    let inverse = row(&profile, "inverse", true);
    assert_eq!((inverse.forward_calls, inverse.backward_calls), (3, 0));
    assert_eq!(row(&profile, "eigh", true).backward_calls, 1);
    assert!(tape.profile().unwrap().rows.iter().all(|r| r.name != "matmul"));
}
