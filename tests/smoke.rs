//! x
use wengert::autograd::Handle;
use wengert::prelude::*;
fn ph<T: Elementary>(r: T) -> T {
    (r * r + T::lit(1.0)).sqrt() - T::lit(1.0)
}
struct Gauss;
impl Unary for Gauss {
    const NAME: &'static str = "gauss";
    fn value<T: Elementary>(&self, x: T) -> T {
        (-(x * x)).exp()
    }
    fn partial<T: Elementary>(&self, x: T, y: T) -> T {
        T::lit(-2.0) * x * y
    }
}
#[test]
fn scalars() {
    let tape = Tape::new();
    let (x, y) = (tape.var(0.5), tape.var(4.2));
    let z = x * y + x.sin() * 2.0 - 1.0 / y;
    let g = z.backward().unwrap();
    assert_eq!(g.wrt(x), 4.2 + 2.0 * 0.5f64.cos());
    let t2 = Tape::<f32>::default();
    let a = t2.var(0.5f32);
    let _ = 2.0 * a + 1.0;
    // third order of user rule
    let x = tape.var(0.7);
    let y = x.apply(Gauss);
    let d1 = y.grad_recorded(&[x]).unwrap()[0].unwrap();
    let d2 = d1.grad_recorded(&[x]).unwrap()[0].unwrap();
    let d3 = d2.backward().unwrap().wrt(x);
    let v = (-0.49f64).exp();
    assert!((d3 - (12.0 * 0.7 - 8.0 * 0.343) * v).abs() < 1e-14);
}
#[test]
fn tensors() {
    let tape = Tape::new();
    let x = tape.var(0.7);
    let t = tape.tensor([0.3, -0.2, 0.9]);
    let f = |x: Var, t: TensorVar| (ph(t * x - 1.0) + 2.0 * t.apply(Gauss) * x).sum() + 1e-3 * x;
    let loss = f(x, t);
    let g = loss.backward().unwrap();
    let h = 1e-6;
    let fd = (f(tape.var(0.7 + h), t).item() - f(tape.var(0.7 - h), t).item()) / (2.0 * h);
    assert!((g.wrt(x) - fd).abs() < 1e-8);
    let gs = loss.grad_recorded::<Handle>(&[x.into(), t.into()]).unwrap();
    let (Some(Handle::Scalar(gx)), Some(Handle::Tensor(gt))) = (gs[0], gs[1]) else {
        panic!()
    };
    assert_eq!(gx.value(), g.wrt(x));
    assert_eq!(gt.value(), g.wrt(t));
    let s = (gt * gt).sum() + gx;
    let gg = s.backward().unwrap();
    println!("{} {}", gg.wrt(x), gg.wrt(t));
    let w = tape.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    let b = tape.tensor([0.1, 0.2]);
    let y = (w.matmul(t) + b).tanh().softmax(0).cross_entropy([1]);
    let g = y.backward().unwrap();
    println!("{} {}", g.wrt(w), g.wrt(b));
    let y = (w.t() + b).tanh().log_softmax(-1).cross_entropy([1, 0, 1]);
    println!("{}", y.backward().unwrap().wrt(w));
}
