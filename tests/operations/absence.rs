//! Absent and zero cotangents.

use super::*;

/// Zero times an infinite partial is NaN when zero has flowed, and nothing when nothing has: in
/// both lanes.
#[test]
fn zero_is_multiplied_and_absence_is_skipped() {
    let tape = Tape::new();
    let x = tape.var(0.0);
    let root = x.sqrt();
    assert!((root * 0.0).backward().unwrap().wrt(x).is_nan());
    assert!((root * -0.0).backward().unwrap().wrt(x).is_nan());
    assert!((-(root * 0.0)).backward().unwrap().wrt(x).is_nan());
    assert_eq!((root.stop_gradient() + x).backward().unwrap().wrt(x), 1.0);
    let chosen = Var::select_gt(1.0, 0.0, x, 2.0);
    let _unused = root * 3.0;
    assert_eq!(chosen.backward().unwrap().wrt(x), 1.0);
    let t = tape.tensor([0.0, 4.0]);
    let root = t.sqrt();
    let g = (root * 0.0).sum().backward().unwrap().wrt(t);
    assert!(g[[0]].is_nan() && g[[1]] == 0.0);
    assert_eq!((root.stop_gradient() + t).sum().backward().unwrap().wrt(t), Tensor::ones([2]));
}

#[test]
fn absent_is_not_zero() {
    let tape = Tape::new();
    let [x, y] = tape.vars([2.0, 3.0]);
    let t = tape.tensor([1.0]);
    let g = (x * 0.0).backward().unwrap();
    assert_eq!(g.get(x), Some(0.0));
    assert_eq!(g.get(y), None);
    assert_eq!(g.get(t), None);
    assert_eq!((g.wrt(y), g.wrt(t)), (0.0, Tensor::from([0.0])));
    assert!(y.grad_recorded(&[x]).unwrap()[0].is_none());
}
