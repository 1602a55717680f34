//! Functions of plain tensors: that they leave nothing behind, what they say when something is wrong, and
//! that they may be called at any moment. (Their values are compared with those of recorded tensors in
//! `table/`.)

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use common::panic_message;
use wengert::prelude::*;

#[test]
fn operators_take_tensors_and_numbers_on_both_sides() {
    let (a, row) = (Tensor::from([[1.0, 2.0], [3.0, 4.0]]), Tensor::from([10.0, 20.0]));
    let sum = Tensor::from([[11.0, 22.0], [13.0, 24.0]]);
    assert_eq!(&a + &row, sum);
    assert_eq!(a.clone() + &row, sum);
    assert_eq!(&a + row.clone(), sum);
    assert_eq!(a.clone() + row.clone(), sum);
    assert_eq!(&a * 2.0, Tensor::from([[2.0, 4.0], [6.0, 8.0]]));
    assert_eq!(2.0 * &a, a.clone() * 2.0);
    assert_eq!(1.0 / &row, Tensor::from([0.1, 0.05]));
    assert_eq!(8.0 - a.clone(), -(&a - 8.0));
    assert_eq!(-&a % 3.0, Tensor::from([[-1.0, -2.0], [0.0, -1.0]]));
    let mut b = a.clone();
    b += &row;
    b -= 1.0;
    b *= a.clone();
    b /= &a;
    assert_eq!(b, &sum - 1.0);
    let single = Tensor::<f32>::from([1.0, 2.0]);
    assert_eq!(2.0 * &single + 1.0, Tensor::from([3.0f32, 5.0]));
    assert_eq!(single.max(1.5).powf(2.0), Tensor::from([2.25f32, 4.0]));
}

#[test]
fn messages_name_the_operation_and_the_line() {
    let (a, b) = (Tensor::<f64>::zeros([2, 3]), Tensor::<f64>::zeros([2, 3]));
    let line = line!() + 1;
    let message = panic_message(|| drop(a.matmul(&b)));
    assert!(message.contains("matmul") && message.contains("[2, 3]"), "{message}");
    assert!(message.contains(&format!("plain.rs:{line}:")), "{message}");

    let line = line!() + 1;
    let error = a.try_matmul(&b).unwrap_err();
    assert_eq!((error.location().file(), error.location().line()), (file!(), line));

    let line = line!() + 1;
    let message = panic_message(|| drop(&a + &Tensor::zeros([4])));
    assert!(message.contains("add") && message.contains(&format!("plain.rs:{line}:")), "{message}");

    let line = line!() + 1;
    let message = panic_message(|| drop(Tensor::concat(&[&a, &Tensor::zeros([1, 4])], 0)));
    assert!(message.contains("concat"), "{message}");
    assert!(message.contains(&format!("plain.rs:{line}:")), "{message}");

    assert!(Tensor::from([[1.0, 2.0], [2.0, 4.0]]).try_inverse().is_err());
    assert!(a.try_conv2d(&b, None, Conv2d::default()).is_err());
}

#[test]
fn nothing_is_left_on_a_tape_of_the_user() {
    let tape = Tape::new();
    let x = tape.tensor([1.0, 2.0]);
    let y = x * 3.0;
    let nodes = tape.tensor_nodes();
    let plain = Tensor::from([1.0, 2.0]).exp().sum();
    assert_eq!(tape.tensor_nodes(), nodes);
    let g = (y * &plain).sum().backward().unwrap();
    assert_eq!(g.wrt(x), Tensor::from([3.0, 3.0]) * &plain);
}

#[test]
fn nobody_holds_the_operands_afterwards() {
    let mut x = Tensor::full([64, 64], 0.5);
    let mut w = Tensor::full([64, 64], 0.25);
    let mut y = x.matmul(&w).relu();
    for tensor in [&mut x, &mut w, &mut y] {
        assert!(tensor.get_mut_slice().is_some());
    }
    // What only gives another shape does not copy.
    assert!(x.flatten().shares_buffer(&x));
    assert!(x.view(&[-1, 32]).shares_buffer(&x));
    assert!(x.broadcast_to([64, 64]).shares_buffer(&x));
}

/// An operation that computes with plain tensors, and may panic.
struct Inside {
    /// Says whether the operation is still there.
    _held: Rc<()>,
    panics: bool,
}

impl Op<f64> for Inside {
    fn name(&self) -> &'static str {
        "inside"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        Ok(smallvec![inputs[0].clone()])
    }
    fn forward(&self, inputs: &[Tensor], outputs: &mut Outputs<f64>) -> Result<(), Misfit> {
        let half = inputs[0].softmax(-1) * 0.5;
        assert!(!self.panics, "half way");
        outputs.set(0, &half + infer(|tape| (tape.constant(&inputs[0]).softmax(-1) * 0.5).value()));
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, f64>) -> Cotangents<f64> {
        call.refuse("it has none")
    }
}

#[test]
fn plain_functions_are_called_inside_of_others() {
    let x = Tensor::from([[1.0, 2.0, 3.0]]);
    let held = Rc::new(());
    let y = x.apply_op(Inside { _held: held.clone(), panics: false });
    // The operation went with the call.
    assert_eq!(Rc::strong_count(&held), 1);
    assert_eq!(y, x.softmax(-1));
}

#[test]
fn a_panic_in_between_does_no_harm() {
    let x = Tensor::from([[1.0, 2.0, 3.0]]);
    let held = Rc::new(());
    let before = x.softmax(-1);
    for _ in 0..3 {
        let op = Inside { _held: held.clone(), panics: true };
        let panicked = catch_unwind(AssertUnwindSafe(|| x.apply_op(op)));
        assert!(panicked.is_err());
        assert_eq!(Rc::strong_count(&held), 1);
        assert_eq!(x.softmax(-1), before);
    }
    assert!(catch_unwind(|| Tensor::<f64>::zeros([2]).softmax(5)).is_err());
    assert_eq!(x.softmax(-1), before);
}

#[test]
fn a_handle_of_inference_is_stale_afterwards() {
    let escaped = infer(|tape: &Tape| tape.constant([1.0, 2.0]).exp());
    let message = panic_message(|| drop(escaped.value()));
    assert!(message.contains("stale handle"), "{message}");
    // And does not become that of the next one.
    let message =
        panic_message(|| infer(|tape: &Tape| drop((tape.constant([1.0, 2.0]), escaped.value()))));
    assert!(message.contains("stale handle"), "{message}");
}

#[test]
fn a_derivative_may_be_taken_in_inference() {
    let slope = infer(|tape| {
        let x = tape.tensor([1.0, 2.0]);
        (x * x).sum().backward().map(|g| g.wrt(x))
    });
    assert_eq!(slope.unwrap(), Tensor::from([2.0, 4.0]));
}

#[test]
fn rules_and_operations_of_the_caller() {
    struct Bump;
    impl Unary for Bump {
        const NAME: &'static str = "bump";
        fn value<T: Elementary>(&self, x: T) -> T {
            (-(x * x)).exp()
        }
        fn partial<T: Elementary>(&self, x: T, y: T) -> T {
            T::lit(-2.0) * x * y
        }
    }
    let x = Tensor::from([0.0, 0.5]);
    assert_eq!(x.apply(Bump), (-x.square()).exp());
    let mask = Tensor::from([0.0, f64::NEG_INFINITY]);
    let attention = Attention { mask: Some(&mask), ..Attention::default() };
    let (q, v) = (Tensor::from([[1.0, 0.0], [0.0, 1.0]]), Tensor::from([[1.0], [2.0]]));
    let y = Tensor::scaled_dot_product_attention(&q, &q, &v, attention);
    assert_eq!(y, Tensor::from([[1.0], [1.0]]));
}
