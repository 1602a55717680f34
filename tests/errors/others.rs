//! Mistakes in programs, derivatives, parameters and optimisers.

use wengert::autograd::check::{Check, gradcheck};
use wengert::autograd::checkpoint::{checkpoint, forward_steps, loop_gradient, preaccumulate};
use wengert::autograd::functional::{grad, hessian, hvp, jacobian, jvp, vjp};
use wengert::autograd::sparse::{Colouring, SparseDerivative, SparseMatrix, SparsityPattern};
use wengert::optim::transforms::{AddDecay, ClipValue, Scale, ScaleByAdam, ScaleBySchedule, Trace};
use wengert::prelude::*;

use super::walk::{Walk, errs, panics};

const HUGE: usize = usize::MAX;

fn walk() -> Walk {
    Walk::new(file!(), include_str!("others.rs"))
}

#[test]
fn programs() {
    let mut walk = walk();
    let program = Program::<f64>::record(2, |x| [x[0] * x[1], x[0].sin()]).unwrap();
    let one = program.select(&[0]).unwrap();
    let none = Program::<f64>::record(2, |_| Vec::<Var>::new()).unwrap();
    let no_inputs = Program::<f64>::record(0, |_| Var::constant(2.0)).unwrap();
    let guarded = Program::record_at(&[1.0], |x| if x[0] > 0.0 { x[0] } else { -x[0] }).unwrap();
    let tape = Tape::new();
    let (x, t, u) = (tape.var(1.0), tape.tensor([1.0, 2.0]), tape.tensor([1.0, 2.0, 3.0]));
    let mut workspace = Workspace::default();
    errs! { walk;
        ["2 inputs", "3 were given"] program.eval(&[1.0, 2.0, 3.0]);
        ["2 inputs", "0 were given"] program.eval(&[]);
        ["2 outputs", "1 were given"] program.eval_into(&[1.0, 2.0], &mut [0.0], &mut workspace);
        ["2 inputs"] program.eval_many(&[&[1.0]]);
        ["input 1", "3 elements", "2 points"] program.eval_many(&[&[1.0, 2.0], &[1.0, 2.0, 3.0]]);
        ["input 1", "2 elements"] program.eval_many(&[&[], &[1.0, 2.0]]);
        ["2 outputs"] program.eval_many_into(&[&[1.0], &[2.0]], &mut []);
        ["output 0", "3 elements"] one.eval_many_into(&[&[1.0], &[2.0]], &mut [&mut [0.0; 3]]);
        ["2 inputs"] program.eval_sum(&[]);
        ["2 inputs"] program.call(&[x]);
        ["outputs", "2 were given"] program.select(&[0, 2]);
        ["2 inputs"] program.beside(&no_inputs);
        ["1 output", "2 were given"] program.gradient();
        ["1 output", "0 were given"] none.gradient();
        ["1 output"] program.value_and_gradient();
        ["outputs", "2 were given"] program.gradient_of(2);
        ["1 output"] program.hessian();
        ["1 output"] program.hvp();
        ["leaves the tape", "value()"] Program::<f64>::record(1, |x| Var::constant(x[0].value()));
        ["leaves the tape", "backward()"] Program::<f64>::record(1, |x| Var::constant(x[0].sin().backward().unwrap().wrt(x[0])));
        ["output 0", "not on the tape"] Program::<f64>::record(1, |_| x);
        ["variable", "not among the inputs"] Program::of(&[], &[x * 2.0]);
        ["input 1"] Program::of(&[x, Var::constant(1.0)], &[x]);
        ["tensor"] Program::of(&[x], &[(t * x).sum().to_scalar()]);
        ["comparison", "is false", "was true"] guarded.eval(&[-1.0]);
        ["point 1"] guarded.eval_many(&[&[1.0, -1.0]]);
        ["comparison"] guarded.call(&[tape.var(-1.0)]);
        ["comparison"] guarded.try_map(&[tape.tensor([1.0, -2.0])]);
        ["map", "2 inputs"] program.try_map(&[t]);
        ["map", "[2]", "[3]"] program.try_map(&[t, u]);
        ["1 output"] SparseDerivative::hessian(&program);
    }
    panics! { walk;
        ["map", "2 inputs", "1 tensors"] program.map(&[t]);
        ["map", "[2]", "[3]"] program.map(&[t, u]);
        ["map", "comparison"] guarded.map(&[tape.tensor([-1.0])]);
        ["map"] program.map(&[]);
        ["map", "no outputs"] none.map(&[t, t]);
        ["constant"] program.map(&[TensorVar::scalar_constant(1.0); 2]);
    }
    // Programs of nothing are none.
    assert_eq!(none.eval(&[1.0, 2.0]).unwrap(), [0.0; 0]);
    assert_eq!(none.eval_many(&[&[1.0], &[2.0]]).unwrap().len(), 0);
    assert_eq!(none.eval_sum(&[&[1.0, 2.0], &[2.0]]).unwrap(), [0.0; 0]);
    assert_eq!(program.eval_many(&[&[], &[1.0]]).unwrap(), [[0.0; 0]; 2]);
    assert_eq!(no_inputs.eval(&[]).unwrap(), [2.0]);
    assert_eq!(no_inputs.eval_many(&[]).unwrap(), [[2.0]]);
    assert_eq!(no_inputs.gradient().unwrap().outputs(), 0);
    assert_eq!(no_inputs.jacobian().unwrap().outputs(), 0);
    assert_eq!(none.jacobian().unwrap().outputs(), 0);
    assert_eq!(none.vjp().unwrap().eval(&[1.0, 2.0]).unwrap(), [0.0, 0.0]);
    assert_eq!(SparseDerivative::jacobian(&none).unwrap().pattern().rows(), 0);
    assert_eq!(SparseDerivative::hessian(&no_inputs).unwrap().pattern().columns(), 0);
    walk.end(35);
}

#[test]
fn derivatives() {
    let mut walk = walk();
    let tape = Tape::new();
    let (x, t) = (tape.var(1.0), tape.tensor([1.0, 2.0]));
    let elsewhere = Tape::new();
    let (y, u) = (elsewhere.var(1.0), elsewhere.tensor([1.0, 2.0]));
    let g = (x * x + t.sum().to_scalar()).backward().unwrap();
    let middle = t * 2.0;
    let some = (x * x + x).grad(&[x]).unwrap();
    let point = Tensor::from([1.0, 2.0]);
    errs! { walk;
        ["backward", "[2]"] t.backward();
        ["backward", "[2]"] t.grad(&[x]);
        ["backward", "[2]"] t.grad_recorded(&[t]);
        ["constant"] Var::<f64>::constant(1.0).backward();
        ["constant"] TensorVar::<f64>::scalar_constant(1.0).vjp(1.0);
        ["variable 0"] x.exp().grad(&[y]);
        ["variable 1"] x.exp().grad_recorded(&[x, y]);
        ["variable 0"] x.exp().grad(&[Var::<f64>::constant(1.0)]);
        ["cotangent of shape [3]", "shape [2]"] t.vjp([1.0, 2.0, 3.0]);
        ["cotangent of shape [2]", "shape []"] x.vjp([1.0, 2.0]);
        ["cotangent is not on the tape"] t.vjp_recorded(u, &[t]);
        ["cotangent of shape []"] t.vjp_recorded(TensorVar::scalar_constant(1.0), &[t]);
        ["[2]"] grad(|t: TensorVar| t * 2.0, &point);
        ["not on the tape"] grad(|_: Var| y, 1.0);
        ["[3]"] vjp(|t: TensorVar| t * 2.0, &point, Tensor::from([1.0, 2.0, 3.0]));
        ["[2]"] vjp(|x: Var| vec![x], 1.0, vec![1.0, 2.0]);
        ["[2]"] hessian(|t: TensorVar| t * 2.0, &point);
        ["[0]"] grad(|_: Var| Vec::<Var>::new(), 1.0);
        ["not on the tape"] jacobian(|_: Var| [y, y], 1.0);
        ["not on the tape"] gradcheck(|_: Var| y, 1.0);
    }
    panics! { walk;
        ["two different tapes"] loop_gradient(2, 1, &[1.0], &[], |_, x, _| vec![x[0] * y], |x, _| x[0]);
        ["wrt", "not on the tape"] g.wrt(y);
        ["wrt", "not on the tape"] g.wrt(u);
        ["wrt", "not a leaf"] g.wrt(middle);
        ["wrt", "not asked for"] some.wrt(t);
        ["jvp", "2 elements", "1"] jvp(|x: Vec<Var>| x[0], vec![1.0], vec![1.0, 2.0]);
        ["jvp"] jvp(|t: TensorVar| t, &point, Tensor::from([1.0]));
        ["hvp"] hvp(|t: TensorVar| t.sum(), &point, Tensor::zeros([2, 1]));
        ["order", "3"] Check::default().order(3);
        ["loop_gradient", "snapshot"] loop_gradient(2, 0, &[1.0], &[], |_, x, _| x.to_vec(), |x, _| x[0]);
        ["forward_steps", "snapshot"] forward_steps(5, 0);
        ["checkpoint"] checkpoint(|x| x.to_vec(), &[] as &[TensorVar]);
        ["preaccumulate"] preaccumulate(|x| x, &[] as &[Var]);
        ["sparsity pattern", "column 2 of 2"] SparsityPattern::from_rows(2, [vec![0, 2]]);
        ["sparsity pattern", "column 0 of 0"] SparsityPattern::from_rows(0, [vec![0]]);
        ["sparsity pattern", "row 1 of 1"] SparsityPattern::from_rows(2, [vec![0]]).row(1);
        ["sparsity pattern"] SparsityPattern::from_rows(2, [vec![0]]).row(HUGE);
        ["sparsity pattern", "2 columns"] SparsityPattern::from_rows(2, [vec![0]]).symmetric();
        ["sparsity pattern", "2 columns"] Colouring::star(&SparsityPattern::from_rows(2, [vec![0]]));
        ["colouring", "4"] Colouring::columns(&SparsityPattern::from_rows(2, [vec![0]])).colour(4);
        ["sparse matrix", "2 values", "1 entries"] SparseMatrix::new(SparsityPattern::from_rows(2, [vec![0]]), vec![1.0, 2.0]);
        ["sparse matrix", "(1, 0)"] SparseMatrix::new(SparsityPattern::from_rows(2, [vec![0]]), vec![1.0]).get(1, 0);
        ["sparse matrix", "(0, 2)"] SparseMatrix::new(SparsityPattern::from_rows(2, [vec![0]]), vec![1.0]).get(0, 2);
        ["2 columns"] SparseMatrix::new(SparsityPattern::from_rows(2, [vec![0]]), vec![1.0]).times(&[1.0]);
        ["does not fit"] SparseMatrix::new(SparsityPattern::from_rows(HUGE / 2, [vec![0], vec![0]]), vec![1.0; 2]).to_dense();
    }
    let program = Program::<f64>::record(2, |x| [x[0] * x[1], x[0].sin()]).unwrap();
    let one = program.select(&[0]).unwrap();
    let pattern =
        |rows: &[&[usize]]| SparsityPattern::from_rows(2, rows.iter().map(|r| r.to_vec()));
    let (full, diagonal) = (pattern(&[&[0, 1], &[0, 1]]), pattern(&[&[0], &[1]]));
    let (rows, few) = (Colouring::columns(&full), Colouring::columns(&diagonal));
    let three = SparsityPattern::from_rows(3, [vec![0], vec![1]]);
    panics! { walk;
        ["colouring", "row 0"] SparseDerivative::jacobian_by_columns(&program, full.clone(), &few);
        ["colouring"] SparseDerivative::jacobian_by_rows(&program, full.clone(), &few);
        ["sparsity pattern", "columns"] SparseDerivative::jacobian_by_columns(&program, three.clone(), &rows);
        ["sparsity pattern"] SparseDerivative::jacobian_by_rows(&program, three.clone(), &rows);
        ["sparsity pattern", "rows"] SparseDerivative::jacobian_by_columns(&program, pattern(&[&[0]]), &rows);
        ["sparsity pattern", "rows"] SparseDerivative::jacobian_by_rows(&program, pattern(&[&[0]]), &few);
        ["sparsity pattern"] SparseDerivative::hessian_with(&one, three.clone(), &rows);
        ["mirror image"] SparseDerivative::hessian_with(&one, pattern(&[&[1], &[]]), &rows);
        ["sparsity pattern"] SparseDerivative::hessian_with(&one, pattern(&[&[]]), &rows);
        ["colouring", "cannot be read off"] SparseDerivative::hessian_with(&one, full.clone(), &few);
    }
    assert_eq!(forward_steps(0, 1), 0);
    let step = |_: usize, x: &[Var], _: &[Var]| vec![x[0] * x[0]];
    let reversed = loop_gradient(2, HUGE, &[2.0], &[], step, |x, _| x[0]).unwrap();
    assert_eq!(reversed.state, [32.0]);
    assert_eq!(forward_steps(HUGE, HUGE), HUGE - 1);
    walk.end(50);
}

#[test]
fn parameters_and_optimisers() {
    let mut walk = walk();
    let tape = Tape::new();
    let mut params = Params::<f64>::new();
    let (w, gone) = (params.insert("w", [1.0, 2.0]), params.insert("gone", 1.0));
    params.remove(gone);
    let mut others = Params::<f64>::new();
    let foreign = others.insert("w", [1.0, 2.0]);
    let bound = params.bind(&tape);
    let late = params.insert("late", 1.0);
    let gradients = |v: TensorVar| v.sum().backward().unwrap();
    let nan = f64::NAN;
    panics! { walk;
        ["insert", "\"w\""] params.insert("w", 1.0);
        ["set", "\"w\"", "[2]", "[3]"] params.set(w, [1.0, 2.0, 3.0]);
        ["get", "removed"] params.get(gone);
        ["get", "another store"] params.get(foreign);
        ["name", "another store"] params.name(foreign);
        ["group", "another store"] params.group(foreign);
        ["remove", "another store"] params.remove(foreign);
        ["another store"] bound[foreign];
        ["inserted after"] bound[late];
        ["-1"] Schedule::constant(-1.0);
        ["NaN"] Schedule::from(nan);
        ["every 0"] Schedule::step_decay(0.1, 0.5, 0);
        ["factor", "NaN"] Schedule::step_decay(0.1, nan, 2);
        ["factor", "-2"] Schedule::exponential(0.1, -2.0);
        ["inf"] Schedule::cosine(f64::INFINITY, 0.0, 10);
        ["NaN"] Schedule::warm_up(5, nan);
        ["NaN"] Sgd::<f64>::new(nan);
        ["-1"] Adam::<f64>::new(-1.0);
        ["1.5"] Adam::<f64>::new(0.1).betas(1.5, 0.9);
        ["NaN"] Adam::<f64>::new(0.1).betas(0.9, nan);
        ["-1"] Adam::<f64>::new(0.1).epsilon(-1.0);
        ["NaN"] AdamW::<f64>::new(0.1).weight_decay(nan);
        ["1"] Momentum::<f64>::new(0.1).momentum(1.0);
        ["-0.5"] Nesterov::<f64>::new(0.1).momentum(-0.5);
        ["NaN"] RmsProp::<f64>::new(0.1).alpha(nan);
        ["-1"] RmsProp::<f64>::new(0.1).momentum(-1.0);
        ["NaN"] Adagrad::<f64>::new(0.1).initial_accumulator(nan);
        ["2"] Adadelta::<f64>::new(0.1).rho(2.0);
        ["-1"] Sgd::<f64>::new(0.1).clip_norm(-1.0);
        ["NaN"] Sgd::<f64>::new(0.1).clip_value(nan);
        ["-1"] Sgd::<f64>::new(0.1).clip_global_norm(-1.0);
        ["NaN"] Sgd::<f64>::new(0.1).l1(nan);
        ["NaN"] Sgd::<f64>::new(0.1).weight_decay(nan);
        ["for_group", "no transform"] Chain::<f64>::new().for_group("a");
        ["except_group", "no transform"] Chain::<f64>::new().except_group("a");
        ["NaN"] Scale::new(nan);
        ["NaN"] ScaleBySchedule::new(nan);
        ["1"] ScaleByAdam::new(1.0, 0.9, 1e-8);
        ["NaN"] Trace::classical(nan);
        ["-1"] ClipValue::new(-1.0);
        ["NaN"] AddDecay::new(nan);
        ["with_threads"] with_threads(0, || 1);
    }
    let outdated = gradients(bound[w]);
    params.set(w, [3.0, 4.0]);
    let mut sgd = Sgd::new(0.1);
    let fresh = params.bind(&tape);
    let infinite = gradients(fresh[w] * f64::INFINITY);
    let nothing = gradients(tape.tensor([1.0]));
    errs! { walk;
        ["insert", "\"w\""] params.try_insert("w", 1.0);
        ["set", "[3]"] params.try_set(w, [1.0, 2.0, 3.0]);
        ["set", "another store"] params.try_set(foreign, [1.0, 2.0]);
        ["step", "\"w\""] sgd.step(&mut params, &outdated);
        ["step", "\"w\"", "inf at element 0"] sgd.step(&mut params, &infinite);
        ["step", "none of the gradients"] sgd.step(&mut params, &nothing);
        ["step", "none of the gradients"] sgd.step(&mut others, &outdated);
        ["step 0", "learning rate"] Sgd::<f32>::new(1e300).step(&mut Params::new(), Tape::<f32>::default().var(1.0).backward().unwrap());
    }
    assert_eq!(Schedule::warm_up(u64::MAX, 0.5).at(u64::MAX), 0.5);
    assert!(Schedule::cosine(0.1, 0.0, 0).at(0) == 0.0);
    walk.end(45);
}
