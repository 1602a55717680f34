//! What safe code may do to a tape at the worst moment. Each of these would be undefined behaviour,
//! or a wrong number, without the check that it provokes; the suite is run under AddressSanitizer.

mod common;

use std::cell::{Cell, RefCell};

use common::panic_message;
use wengert::prelude::*;
use wengert::tape::{Backward, Cotangents, Misfit, Outputs, Shapes};

thread_local! {
    static TAPE: RefCell<Option<Tape>> = const { RefCell::new(None) };
    static KEPT: Cell<Option<Var>> = const { Cell::new(None) };
    static KEPT_TENSOR: Cell<Option<TensorVar>> = const { Cell::new(None) };
}

/// What [`Hook`] does while a sweep or a recording asks for it.
#[derive(Clone, Copy)]
enum Deed {
    Drop,
    Reset,
    /// Records enough nodes to make the arena move.
    Grow,
}

fn act(deed: Deed) {
    TAPE.with_borrow_mut(|tape| match deed {
        Deed::Drop => *tape = None,
        Deed::Reset => tape.as_mut().expect("there is a tape").reset(),
        Deed::Grow => {
            let tape = tape.as_ref().expect("there is a tape");
            let mut x = tape.var(1.0);
            for _ in 0..100_000 {
                x *= 1.5;
            }
            for _ in 0..1_000 {
                tape.tensor([1.0, 2.0]);
            }
        }
    });
}

/// The square, whose derivative does something to the tape.
#[derive(Clone, Copy)]
struct Hook(Deed);

impl Unary for Hook {
    const NAME: &'static str = "hook";
    fn value<T: Elementary>(&self, x: T) -> T {
        x * x
    }
    fn partial<T: Elementary>(&self, x: T, _y: T) -> T {
        act(self.0);
        T::lit(2.0) * x
    }
}

/// The sum, as an operation whose forward or backward does something to the tape.
struct HookOp {
    forward: Option<Deed>,
    backward: Option<Deed>,
}

impl<E: Real> Op<E> for HookOp {
    fn name(&self) -> &'static str {
        "hook_op"
    }
    fn infer(&self, _inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        Ok([Shape::scalar()].into_iter().collect())
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        if let Some(deed) = self.forward {
            act(deed);
        }
        outputs.buffer(0)[0] = inputs[0].iter().copied().sum();
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        if let Some(deed) = self.backward {
            act(deed);
        }
        let shape = call.inputs[0].shape();
        [Some(call.cotangent().broadcast_to(shape))].into_iter().collect()
    }
}

fn with_tape<R>(f: impl FnOnce(&Tape) -> R) -> R {
    TAPE.with_borrow_mut(|tape| *tape = Some(Tape::new()));
    TAPE.with_borrow(|tape| f(tape.as_ref().expect("it was just made")))
}

#[test]
fn a_rule_that_drops_the_tape_stops_the_sweep() {
    for deed in [Deed::Drop, Deed::Reset] {
        let y = with_tape(|tape| (tape.var(3.0).apply(Hook(deed)) * 2.0).exp());
        let message = panic_message(|| y.backward());
        assert!(message.contains("reset or dropped while a sweep"), "{message}");
        let y = with_tape(|tape| tape.tensor([3.0, 1.0]).apply(Hook(deed)).sum());
        panic_message(|| y.backward());
        let (x, y) = with_tape(|tape| {
            let x = tape.var(3.0);
            (x, x.apply(Hook(deed)) * 2.0)
        });
        panic_message(|| y.grad_recorded(&[x]));
    }
}

#[test]
fn a_rule_that_makes_the_arena_move_does_no_harm() {
    let (x, y) = with_tape(|tape| {
        let x = tape.var(3.0);
        (x, x.apply(Hook(Deed::Grow)) * x)
    });
    assert_eq!(y.backward().expect("it is on the tape").wrt(x), 27.0);
    let (t, s) = with_tape(|tape| {
        let t = tape.tensor([3.0, 1.0]);
        (t, (t.apply(Hook(Deed::Grow)) * t).sum())
    });
    assert_eq!(s.backward().expect("it is on the tape").wrt(t), Tensor::from([27.0, 3.0]));
    // What the rules have recorded is gone with the sweep.
    TAPE.with_borrow(|tape| {
        let tape = tape.as_ref().expect("there is a tape");
        assert_eq!(tape.scalar_nodes(), 0);
        assert_eq!(tape.tensor_nodes(), 4);
    });
}

#[test]
fn an_operation_that_drops_the_tape_is_a_panic() {
    for deed in [Deed::Drop, Deed::Reset] {
        let x = with_tape(|tape| tape.tensor([1.0, 2.0]));
        panic_message(|| x.apply_op(HookOp { forward: Some(deed), backward: None }));
        let y = with_tape(|tape| {
            tape.tensor([1.0, 2.0]).apply_op(HookOp { forward: None, backward: Some(deed) })
        });
        panic_message(|| y.backward());
    }
    let x = with_tape(|tape| tape.tensor([1.0, 2.0]));
    let y = x.apply_op(HookOp { forward: Some(Deed::Grow), backward: Some(Deed::Grow) });
    assert!(y.backward().is_ok());
}

/// A rule that keeps a handle of what its derivative has recorded.
struct Keep;

impl Unary for Keep {
    const NAME: &'static str = "keep";
    fn value<T: Elementary>(&self, x: T) -> T {
        x * x
    }
    fn partial<T: Elementary>(&self, x: T, _y: T) -> T {
        TAPE.with_borrow(|tape| {
            let tape = tape.as_ref().expect("there is a tape");
            KEPT.set(Some(tape.var(10.0) * 2.0));
            KEPT_TENSOR.set(Some(tape.tensor([10.0, 20.0])));
        });
        T::lit(2.0) * x
    }
}

#[test]
fn a_handle_kept_from_a_sweep_is_stale() {
    let y = with_tape(|tape| tape.var(3.0).apply(Keep) * 1.0);
    y.backward().expect("it is on the tape");
    let (kept, kept_tensor) = (KEPT.get().unwrap(), KEPT_TENSOR.get().unwrap());
    // The numbers of the nodes are in use again: only the tag tells the old handles from new ones.
    TAPE.with_borrow(|tape| {
        let tape = tape.as_ref().expect("there is a tape");
        for _ in 0..10 {
            tape.var(7.0);
            tape.tensor([7.0]);
        }
    });
    for message in [
        panic_message(|| kept * 2.0),
        panic_message(|| y + kept),
        panic_message(|| kept_tensor.value()),
        panic_message(|| kept_tensor + kept_tensor),
    ] {
        assert!(message.contains("made in a backward pass which has ended"), "{message}");
    }
    assert!(kept.backward().is_err());
}

/// A rule that panics in its derivative.
struct Panics;

impl Unary for Panics {
    const NAME: &'static str = "panics";
    fn value<T: Elementary>(&self, x: T) -> T {
        x.exp()
    }
    fn partial<T: Elementary>(&self, _x: T, _y: T) -> T {
        panic!("the rule gives up")
    }
}

#[test]
fn a_rule_that_panics_leaves_the_tape_as_it_was() {
    let tape = Tape::new();
    let (x, t) = (tape.var(1.0), tape.tensor([1.0, 2.0]));
    let good = (t * x).sum() + x.sin();
    let before = (tape.scalar_nodes(), tape.tensor_nodes());
    let bad_scalar = x.apply(Panics);
    let bad_tensor = (t.apply(Panics) * x).sum();
    let with_bad = (tape.scalar_nodes(), tape.tensor_nodes());
    assert_eq!(panic_message(|| bad_scalar.backward()), "the rule gives up");
    assert_eq!(panic_message(|| bad_tensor.backward()), "the rule gives up");
    assert_eq!((tape.scalar_nodes(), tape.tensor_nodes()), with_bad);
    assert!(before < with_bad);
    let g = good.backward().expect("it is on the tape");
    assert_eq!(g.wrt(x), 3.0 + 1f64.cos());
}

#[test]
fn handles_may_be_sent_but_work_only_at_home() {
    let tape = Tape::new();
    let (x, t) = (tape.var(1.0), tape.tensor([1.0]));
    let joined = std::thread::spawn(move || {
        // A tape of that thread in the same state: only the tags differ.
        let own = Tape::new();
        let (_own_x, _own_t) = (own.var(5.0), own.tensor([5.0]));
        let messages =
            [panic_message(|| x * x), panic_message(|| t + t), panic_message(|| t.value())];
        (messages, x.backward().is_err())
    })
    .join();
    let (messages, error) = joined.expect("the panics were caught");
    assert!(error);
    assert!(messages.iter().all(|m| m.contains("another thread")), "{messages:?}");
}

#[test]
fn many_tapes_on_many_threads() {
    let threads: Vec<_> = (0..8)
        .map(|k| {
            std::thread::spawn(move || {
                let mut tapes: Vec<Tape> = (0..5).map(|_| Tape::new()).collect();
                for round in 0..50 {
                    let xs: Vec<Var> = tapes.iter().map(|t| t.var(f64::from(k + round))).collect();
                    let ys: Vec<Var> = xs.iter().map(|&x| x * x * x).collect();
                    for (&x, y) in xs.iter().zip(ys) {
                        let expected = 3.0 * f64::from(k + round).powi(2);
                        assert_eq!(y.backward().expect("live").wrt(x), expected);
                    }
                    tapes.iter_mut().for_each(Tape::reset);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("no thread panics"));
}

#[test]
fn tapes_nest_on_a_thread() {
    let outer = Tape::new();
    let x = outer.var(2.0);
    let y = x * x;
    let inner_gradient = {
        let inner = Tape::new();
        let u = inner.var(x.value());
        let v = u.exp();
        // Both are used in turns.
        let z = y.sin();
        assert_eq!(z.value(), 4f64.sin());
        v.backward().expect("live").wrt(u)
    };
    assert_eq!(inner_gradient, 2f64.exp());
    assert_eq!((y * inner_gradient).backward().expect("live").wrt(x), 4.0 * 2f64.exp());
}

/// A rule with a parameter that drops a tape when it is dropped itself, which recycling does in the
/// middle of recording.
struct DropsTape(#[allow(dead_code)] f64);

impl Drop for DropsTape {
    fn drop(&mut self) {
        let _ = TAPE.try_with(|tape| {
            if let Ok(mut tape) = tape.try_borrow_mut() {
                *tape = None;
            }
        });
    }
}

impl Unary for DropsTape {
    const NAME: &'static str = "drops_tape";
    fn value<T: Elementary>(&self, x: T) -> T {
        x
    }
    fn partial<T: Elementary>(&self, _x: T, _y: T) -> T {
        T::lit(1.0)
    }
}

#[test]
fn a_recycled_rule_may_drop_the_tape() {
    let x = with_tape(|tape| tape.var(1.0).apply(DropsTape(1.0)));
    TAPE.with_borrow_mut(|tape| tape.as_mut().expect("there is a tape").reset());
    assert!(panic_message(|| x * 1.0).contains("reset"));
    let x = TAPE.with_borrow(|tape| tape.as_ref().expect("there is a tape").var(1.0));
    // Recording the second rule drops the first, which drops the tape.
    panic_message(|| x.apply(DropsTape(2.0)) * 3.0);
    assert!(TAPE.with_borrow(Option::is_none));
}

/// A sweep asks for its tape by two tags in turns, so two are at hand when it ends.
#[test]
fn the_tags_at_hand_after_a_sweep_are_those_of_their_tapes() {
    let swept = || {
        let tape = Tape::new();
        let x = tape.tensor([1.0, 2.0]);
        (x * x).sum().backward().expect("it is on the tape");
        (tape, x)
    };
    // Another tape takes the place at hand.
    let (first, x) = swept();
    let second = Tape::new();
    let y = second.tensor([5.0, 6.0]);
    assert_eq!(x.value().to_vec(), [1.0, 2.0]);
    assert_eq!((x * 2.0).value().to_vec(), [2.0, 4.0]);
    assert_eq!(y.value().to_vec(), [5.0, 6.0]);
    drop((first, second));
    // The tape is dropped or reset right after the sweep.
    let (tape, x) = swept();
    drop(tape);
    assert!(panic_message(|| drop(x.value())).contains("stale"));
    let (mut tape, x) = swept();
    tape.reset();
    assert!(panic_message(|| drop(x.value())).contains("stale"));
    tape.tensor([7.0]);
    assert!(panic_message(|| _ = x * 2.0).contains("stale"));
}
