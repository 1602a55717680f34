//! Random expressions as programs: against the tape that they were recorded on, one point against many, and
//! derivatives against those of the tape.

use proptest::prelude::*;
use wengert::autograd::functional::{grad, hessian, hvp, jvp};
use wengert::prelude::{Differentiate, DifferentiateProgram, Program, Tape, Tensor, Var};

use super::expression::expression;
use super::{close, config};

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..config() })]

    #[test]
    fn derivatives(
        e in expression(),
        entries in prop::collection::vec(-1.2..1.2f64, 15),
    ) {
        let n = e.inputs;
        let points: Vec<Vec<f64>> = entries.chunks(3).map(|x| x[..n].to_vec()).collect();
        let program = Program::record(n, |x: &[Var]| e.run(x)).unwrap();
        let both = program.value_and_gradient().unwrap();
        let in_code = both.clone().in_machine_code();
        let second = program.hessian().unwrap();
        let (product, tangent) = (program.hvp().unwrap(), program.jvp().unwrap());
        let forward = program.jacobian_forward().unwrap();
        let direction: Vec<f64> = (0..n).map(|k| 0.5 - k as f64).collect();
        for x in &points {
            // The value and the gradient have the bits of the tape: the same operations in the same order.
            prop_assert_eq!(program.eval(x).unwrap(), [e.run(x)]);
            let f = |x: Vec<Var>| e.run(&x);
            let expected = grad(f, x.clone()).unwrap();
            let made = both.eval(x).unwrap();
            prop_assert_eq!(made[0], e.run(x));
            prop_assert_eq!(&in_code.eval(x).unwrap(), &made);
            for (k, &expected) in expected.iter().enumerate() {
                prop_assert!(close(made[1 + k], expected, 1e-13), "{} {expected}", made[1 + k]);
                prop_assert!(close(forward.eval(x).unwrap()[k], expected, 1e-10));
            }
            let expected = hessian(f, x.clone()).unwrap();
            for (made, &expected) in second.eval(x).unwrap().iter().zip(expected.iter()) {
                prop_assert!(close(*made, expected, 1e-9), "{made} {expected}");
            }
            let arguments = [x.as_slice(), direction.as_slice()].concat();
            let expected = hvp(f, x.clone(), direction.clone()).unwrap();
            for (made, expected) in product.eval(&arguments).unwrap().iter().zip(expected) {
                prop_assert!(close(*made, expected, 1e-9), "{made} {expected}");
            }
            let (_, expected) = jvp(f, x.clone(), direction.clone()).unwrap();
            prop_assert!(close(tangent.eval(&arguments).unwrap()[0], expected, 1e-11));
        }
        // Many points at once.
        let columns: Vec<Vec<f64>> =
            (0..n).map(|k| points.iter().map(|x| x[k]).collect()).collect();
        let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        let many = both.eval_many(&columns).unwrap();
        prop_assert_eq!(&in_code.eval_many(&columns).unwrap(), &many);
        let sums = both.eval_sum(&columns).unwrap();
        for (k, column) in many.iter().enumerate() {
            for (&made, x) in column.iter().zip(&points) {
                let expected = both.eval(x).unwrap()[k];
                prop_assert!(close(made, expected, 1e-11), "{made} {expected}");
            }
            prop_assert!(close(sums[k], column.iter().sum(), 1e-12));
        }
    }

    #[test]
    fn of_many_numbers(
        e in expression(),
        x in prop::collection::vec(-1.2..1.2f64, 33..40),
        step in 1..4usize,
    ) {
        // The same to neighbours all along: in a program that is loops. What it is done to overlaps or not.
        fn f<T: wengert::prelude::Elementary>(e: &super::expression::Expression, x: &[T], step: usize) -> T {
            let terms = (0..x.len() - 2).step_by(step).map(|i| e.run(&x[i..i + e.inputs]));
            terms.reduce(|sum, term| sum + term).unwrap_or(x[0])
        }
        let n = x.len();
        let program = Program::record(n, |x: &[Var]| f(&e, x, step)).unwrap();
        let expected = f(&e, &x, step);
        prop_assert_eq!(program.eval(&x).unwrap(), [expected]);
        let tape = Tape::new();
        let vars = tape.vars_from(&x);
        let gradient = f(&e, &vars, step).backward().unwrap();
        let both = program.value_and_gradient().unwrap();
        let made = both.eval(&x).unwrap();
        prop_assert_eq!(made[0], expected);
        prop_assert_eq!(&both.clone().in_machine_code().eval(&x).unwrap(), &made);
        for (&made, &v) in made[1..].iter().zip(&vars) {
            prop_assert!(close(made, gradient.wrt(v), 1e-13), "{made} {}", gradient.wrt(v));
        }
        // One point is the same as many.
        let columns: Vec<&[f64]> = x.iter().map(std::slice::from_ref).collect();
        for (many, &one) in both.eval_many(&columns).unwrap().iter().zip(&made) {
            prop_assert!(close(many[0], one, 1e-11), "{} {one}", many[0]);
        }
    }

    #[test]
    fn on_tensors(
        e in expression(),
        entries in prop::collection::vec(-1.2..1.2f64, 18),
        kind in prop::array::uniform3(0..4usize),
    ) {
        let tape = Tape::new();
        let inputs: Vec<_> = (0..e.inputs)
            .map(|k| {
                let entries = &entries[6 * k..6 * (k + 1)];
                tape.tensor(match kind[k] {
                    0 => Tensor::new([2, 3], entries.to_vec()),
                    1 => Tensor::new([3], entries[..3].to_vec()),
                    2 => Tensor::new([2, 1], entries[..2].to_vec()),
                    _ => Tensor::scalar(entries[0]),
                })
            })
            .collect();
        let program = Program::record(e.inputs, |x: &[Var]| e.run(x)).unwrap();
        let mapped = program.map(&inputs)[0];
        // An input that does not matter counts for the shape of the map.
        let direct = e.run(&inputs).broadcast_to(mapped.shape());
        for (&a, &b) in mapped.value().iter().zip(direct.value().iter()) {
            prop_assert!(close(a, b, 1e-12), "{a} {b}");
        }
        // First order by a sweep of numbers, second order by one that is recorded.
        let (first, second) = (mapped.square().sum(), direct.square().sum());
        let (a, b) = (first.backward().unwrap(), second.backward().unwrap());
        let recorded = first.grad_recorded(&inputs).unwrap();
        let expected = second.grad_recorded(&inputs).unwrap();
        for (k, &x) in inputs.iter().enumerate() {
            let (Some(made), Some(wanted)) = (a.get(x), b.get(x)) else {
                prop_assert!(b.get(x).is_none());
                continue;
            };
            for (&a, &b) in made.iter().zip(wanted.iter()) {
                prop_assert!(close(a, b, 1e-10), "{a} {b}");
            }
            let (Some(made), Some(wanted)) = (recorded[k], expected[k]) else { continue };
            let (made, wanted) = (made.square().sum(), wanted.square().sum());
            let (made, wanted) = (made.backward().unwrap(), wanted.backward().unwrap());
            for &x in &inputs {
                if let Some(wanted) = wanted.get(x) {
                    let made = made.get(x).expect("the same variables matter");
                    for (&a, &b) in made.iter().zip(wanted.iter()) {
                        prop_assert!(close(a, b, 1e-8), "{a} {b}");
                    }
                }
            }
        }
    }
}
