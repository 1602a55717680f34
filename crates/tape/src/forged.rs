//! Tests with handles that no user can make: right tag, wrong number. They stand for a tag that comes
//! up again after 2^32 others, on which memory safety must not depend.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::engine::Recording;
use crate::{Tape, TensorVar, Unary, Var, apply_op, concat};

fn panics<R>(f: impl FnOnce() -> R) {
    assert!(catch_unwind(AssertUnwindSafe(f)).is_err(), "a panic was expected");
}

#[test]
fn a_number_beyond_the_nodes_is_never_recorded() {
    let tape = Tape::new();
    let x = tape.var(2.0);
    let bad = Var { index: 1 << 24, ..x };
    let nodes = tape.scalar_nodes();
    panics(|| bad + x);
    panics(|| x * bad);
    panics(|| bad.sin());
    panics(|| bad * 2.0);
    panics(|| 2.0 / bad);
    panics(|| bad.powi(3));
    panics(|| x.powf(bad));
    panics(|| -bad);
    panics(|| x.mul_add(x, bad));
    panics(|| Var::select_gt(x, bad, x, x));
    panics(|| bad.to_tensor());
    panics(|| bad.apply(Square));
    // The first node beyond the end is the next one to be written.
    panics(|| Var { index: tape.scalar_nodes() as u32, ..x } + x);
    // A carrying node may have been recorded before its partner was refused.
    assert!(tape.scalar_nodes() <= nodes + 2);
    assert_eq!(Recording::of_var(x).unwrap().scalar_id(bad), None);
}

struct Square;

impl Unary for Square {
    const NAME: &'static str = "square";
    fn value<T: crate::Elementary>(&self, x: T) -> T {
        x * x
    }
    fn partial<T: crate::Elementary>(&self, x: T, _y: T) -> T {
        T::lit(2.0) * x
    }
}

#[test]
fn a_tensor_number_beyond_the_nodes_is_never_recorded() {
    let tape = Tape::new();
    let t = tape.tensor([1.0, 2.0]);
    let bad = TensorVar { index: 1 << 24, ..t };
    panics(|| bad + t);
    panics(|| t + bad);
    panics(|| bad.exp());
    panics(|| bad.sum());
    panics(|| bad.value());
    panics(|| bad.shape());
    panics(|| bad.apply(Square));
    panics(|| concat(&[t, bad], 0));
    panics(|| apply_op(crate::forged::Never, &[bad]));
    assert_eq!(tape.tensor_nodes(), 1);
}

struct Never;

impl<E: crate::Real> crate::Op<E> for Never {
    fn name(&self) -> &'static str {
        "never"
    }
    fn infer(&self, _: &[&crate::Shape]) -> Result<crate::Shapes, crate::Misfit> {
        unreachable!("the handle is refused first")
    }
    fn forward(
        &self,
        _: &[crate::Tensor<E>],
        _: &mut crate::Outputs<E>,
    ) -> Result<(), crate::Misfit> {
        unreachable!("the handle is refused first")
    }
    fn vjp(&self, _: &crate::Backward<'_, E>) -> crate::Cotangents<E> {
        unreachable!("the handle is refused first")
    }
}

#[test]
fn a_lent_segment_forbids_what_would_move_it() {
    let tape = Tape::new();
    let x = tape.var(2.0);
    let recording = Recording::of_var(x).unwrap();
    let segment = recording.segment();
    let before = segment.len();
    panics(|| {
        let mut y = x;
        for _ in 0..1_000_000 {
            y += x;
        }
    });
    // Distinct constants make the pool grow.
    panics(|| {
        for k in 0..1_000_000 {
            let _ = x * f64::from(k);
        }
    });
    panics(|| drop(recording.begin_tail()));
    assert_eq!(segment.len(), before);
}

#[test]
fn a_tag_is_never_drawn_twice_while_it_lives() {
    let tape = Tape::new();
    let first = tape.var(1.0).tag;
    let mut others: Vec<Tape> = (0..3).map(|_| Tape::new()).collect();
    for _ in 0..5_000 {
        for other in &mut others {
            other.reset();
            assert_ne!(other.var(1.0).tag, first);
            assert_ne!(other.var(1.0).tag, 0);
        }
    }
}

#[test]
fn no_tag_outlives_the_arena() {
    // A tape that is dropped while a segment of it is lent refuses, by a panic; its tag must go all the
    // same when the arena goes.
    let tape = Tape::new();
    let x = tape.var(2.0);
    let recording = Recording::of_var(x).unwrap();
    std::mem::forget(recording.segment());
    drop(recording);
    panics(|| drop(tape));
    panics(|| x + x);

    let mut tape = Some(Tape::new());
    let x = tape.as_ref().unwrap().var(2.0);
    let y = x * x;
    let recording = Recording::of_var(y).unwrap();
    panics(|| recording.segment().local_rule(1, 1.0, |_, _| drop(tape.take())));
    drop(recording);
    panics(|| x + x);
}

#[test]
fn tails_may_end_in_any_order() {
    let tape = Tape::new();
    let x = tape.var(2.0);
    let recording = Recording::of_var(x).unwrap();
    let (first, second) = (recording.begin_tail(), recording.begin_tail());
    drop(first);
    drop(second);
    assert_eq!((tape.var(2.0) * x).value(), 4.0);
}
