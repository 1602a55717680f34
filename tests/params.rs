//! The parameter store: keys, names, leaves on a tape, and the versions of values.

mod common;

use approx::assert_relative_eq;
use common::{panic_at, panic_message};
use wengert::autograd::Differentiate;
use wengert::optim::*;
use wengert::tape::{Label, Tape, Tensor, TensorVar};

#[test]
fn the_store() {
    let mut params = Params::new();
    let a = params.insert("a", [1.0, 2.0]);
    let b = params.insert_in("bias", "b", Tensor::zeros([3]));
    let c = params.insert("c", Tensor::scalar(1.0));
    assert_eq!((params.len(), params.elements()), (3, 6));
    assert_eq!((params.key("b"), params.key("z")), (Some(b), None));
    assert_eq!((params.name(b), params.group(b)), ("b", "bias"));
    assert_eq!(params.group(a), DEFAULT_GROUP);
    assert_eq!(params.remove(b), Some(Tensor::zeros([3])));
    assert_eq!(params.remove(b), None);
    // A slot map uses the place of `b` again; the order is that of insertion all the same.
    let d = params.insert("b", [4.0]);
    let listed: Vec<_> = params.iter().map(|(key, name, _)| (key, name)).collect();
    assert_eq!(listed, [(a, "a"), (c, "c"), (d, "b")]);

    let error = params.try_insert("a", [0.0]).unwrap_err();
    assert!(matches!(error, Error::DuplicateName { ref name, .. } if name == "a"));
    assert!(error.to_string().contains("tests/params.rs"), "{error}");
    assert!(matches!(params.try_set(a, [1.0]), Err(Error::Shape { operation: "set", .. })));
    assert!(matches!(params.try_set(b, [1.0]), Err(Error::UnknownKey { .. })));
}

#[test]
fn a_name_is_inserted_once() {
    let mut params: Params = Params::new();
    params.insert("a", [1.0]);
    let before = line!();
    let (message, file, line) = panic_at(|| params.insert("a", [1.0]));
    assert!(message.contains("there is a parameter \"a\" already"), "{message}");
    assert_eq!((file.as_str(), line), (file!(), before + 1));
    let before = line!();
    let (_, file, line) = panic_at(|| params.insert_in("bias", "a", [1.0]));
    assert_eq!((file.as_str(), line), (file!(), before + 1));
    assert_eq!(params.len(), 1);
}

#[test]
#[should_panic(expected = "inserted after bind")]
fn a_key_that_was_not_bound_is_named() {
    let mut params = Params::new();
    params.insert("a", [1.0]);
    let tape = Tape::new();
    let p = params.bind(&tape);
    let late = params.insert("b", [1.0]);
    let _ = p[late];
}

#[test]
fn stores_on_one_tape_do_not_mix() {
    let mut ours = Params::new();
    let mut theirs = Params::new();
    let a = ours.insert("a", [1.0, 2.0]);
    let b = theirs.insert("b", [10.0, 20.0]);
    assert_ne!(a, b);
    let tape = Tape::new();
    let (p, q) = (ours.bind(&tape), theirs.bind(&tape));
    let gradients = (p[a] * q[b]).sum().backward().unwrap();
    let labels: Vec<Label> = gradients.labelled().map(|(label, _)| label).collect();
    assert_eq!(labels[0].key, labels[1].key, "only the stores tell the labels apart");
    Sgd::new(0.1).step(&mut ours, &gradients).unwrap();
    assert_eq!(ours.get(a), &Tensor::from([0.0, 0.0]));
    assert_eq!(theirs.get(b), &Tensor::from([10.0, 20.0]));
    Sgd::new(0.5).step(&mut theirs, &gradients).unwrap();
    assert_eq!(theirs.get(b), &Tensor::from([9.5, 19.0]));
}

#[test]
fn two_binds_of_a_parameter_add_up() {
    let mut params = Params::new();
    let w = params.insert("w", [1.0, 1.0]);
    let v = params.insert("v", [1.0, 1.0]);
    let tape = Tape::new();
    let gradients = |params: &Params| {
        let [p, q, r] = [(); 3].map(|()| params.bind(&tape));
        let weighted = |x: TensorVar, by: [f64; 2]| (x * tape.constant(by)).sum();
        let loss = weighted(p[w], [1.0, 2.0])
            + weighted(q[w], [10.0, 20.0])
            + weighted(q[v], [3.0, 4.0])
            + weighted(r[w], [100.0, 200.0]);
        loss.backward().unwrap()
    };
    let mut opt = Sgd::new(1.0);
    let g = gradients(&params);
    opt.step(&mut params, &g).unwrap();
    assert_eq!(params.get(w), &Tensor::from([-110.0, -221.0]));
    assert_eq!(params.get(v), &Tensor::from([-2.0, -3.0]));
    // Sums of one step do not reach the next, and statistics see them.
    opt = opt.clip_global_norm(1.0);
    params.set(w, [0.0, 0.0]);
    params.set(v, [0.0, 0.0]);
    let g = gradients(&params);
    opt.step(&mut params, &g).unwrap();
    let norm = (111.0f64 * 111.0 + 222.0 * 222.0 + 25.0).sqrt();
    let all = [params.get(w).to_vec(), params.get(v).to_vec()].concat();
    let expected = [111.0, 222.0, 3.0, 4.0].map(|g| -g / norm);
    assert_relative_eq!(all[..], expected[..], max_relative = 1e-14);
}

#[test]
fn no_gradient_is_an_error_and_says_where() {
    let mut params = Params::new();
    let x = params.insert("x", [1.0]);
    let mut stranger = Params::new();
    stranger.insert("x", [1.0]);
    let tape = Tape::new();
    let gradients = params.bind(&tape)[x].sum().backward().unwrap();
    let mut opt = Adam::new(0.1);
    let error = opt.step(&mut stranger, &gradients).unwrap_err();
    assert!(matches!(error, Error::NoGradients { .. }));
    assert!(error.to_string().contains("tests/params.rs"), "{error}");
    assert_eq!(opt.steps(), 0);

    // A parameter that was removed takes no gradient, not even by a later one in its place.
    let mut emptied = params.clone();
    let gradients = emptied.bind(&tape)[x].sum().backward().unwrap();
    assert!(emptied.remove(x).is_some());
    emptied.insert("y", [5.0]);
    let error = opt.step(&mut emptied, &gradients).unwrap_err();
    assert!(matches!(error, Error::NoGradients { .. }));
}

#[test]
fn a_gradient_of_another_shape_is_an_error() {
    let mut params = Params::new();
    let x = params.insert("x", [1.0, 2.0]);
    let tape = Tape::new();
    let recorded = params.bind(&tape)[x].sum().backward().unwrap();
    let label = recorded.labelled().next().unwrap().0;
    assert_eq!(label.store, params.id());
    let forged = tape.labelled(label, [1.0, 2.0, 3.0]);
    let error = Sgd::new(0.1).step(&mut params, forged.sum().backward().unwrap()).unwrap_err();
    assert!(matches!(error, Error::Shape { .. }));
    assert!(error.to_string().contains("\"x\""));
}

#[test]
fn a_clone_is_a_store_of_its_own() {
    let mut params = Params::new();
    let x = params.insert("x", [1.0, 2.0]);
    let mut copy = params.clone();
    assert_ne!(params.id(), copy.id());
    let tape = Tape::new();
    let gradients = params.bind(&tape)[x].sum().backward().unwrap();
    let refused = Sgd::new(0.5).step(&mut copy, &gradients);
    assert!(matches!(refused, Err(Error::NoGradients { .. })));
    Sgd::new(0.5).step(&mut params, &gradients).unwrap();
    assert_eq!(params.get(x), &Tensor::from([0.5, 1.5]));
    assert_eq!(copy.get(x), &Tensor::from([1.0, 2.0]));
}

#[test]
fn a_pending_value_keeps_the_parameters_it_was_recorded_with() {
    let mut params = Params::new();
    let w = params.insert("w", [1.0, 2.0]);
    let mut opt = Momentum::new(0.5).accept_outdated();
    let mut tape = Tape::new();
    for _ in 0..5 {
        tape.reset();
        let old = params.get(w).to_vec();
        let p = params.bind(&tape);
        let pending = p[w] * 2.0;
        let gradients = (p[w] * p[w]).sum().backward().unwrap();
        // The second step finds a recording that holds the spare buffer.
        opt.step(&mut params, &gradients).unwrap();
        opt.step(&mut params, &gradients).unwrap();
        let again = params.bind(&tape);
        let between = params.get(w).to_vec();
        let pending_again = again[w] * 2.0;
        opt.step(&mut params, &gradients).unwrap();
        assert_ne!(params.get(w).to_vec(), old);
        assert_eq!(pending.value().to_vec(), [2.0 * old[0], 2.0 * old[1]]);
        assert_eq!(p[w].value().to_vec(), old);
        let expected = [2.0 * between[0], 2.0 * between[1]];
        assert_eq!(pending_again.value().to_vec(), expected);
    }
}

#[test]
fn a_store_that_owns_its_buffer_writes_in_place() {
    let mut params = Params::new();
    let w = params.insert("w", [1.0, 2.0]);
    let gradients = {
        let tape = Tape::new();
        params.bind(&tape)[w].sum().backward().unwrap()
    };
    let before = params.get(w).as_slice().as_ptr();
    Sgd::new(0.5).step(&mut params, &gradients).unwrap();
    assert_eq!(params.get(w).as_slice().as_ptr(), before);
    assert_eq!(params.get(w), &Tensor::from([0.5, 1.5]));
}

#[test]
fn every_write_outdates_the_gradients_of_before() {
    let mut params = Params::new();
    let a = params.insert("a", [1.0, 2.0]);
    let b = params.insert("b", [3.0]);
    let tape = Tape::new();
    let gradients = |params: &Params, key| {
        let p = params.bind(&tape);
        (p[key] * p[key]).sum().backward().unwrap()
    };
    let outdated = |result| match result {
        Err(Error::Outdated { parameter, .. }) => parameter,
        other => panic!("{other:?}"),
    };
    let mut opt = Adam::new(0.1);
    let (of_a, of_b) = (gradients(&params, a), gradients(&params, b));
    opt.step(&mut params, &of_a).unwrap();
    let again = opt.step(&mut params, &of_a);
    assert_eq!(outdated(again), "a");
    // Each parameter has versions of its own.
    opt.step(&mut params, &of_b).unwrap();

    let of_a = gradients(&params, a);
    assert!(params.try_set(a, [1.0]).is_err());
    params.set(a, [5.0, 6.0]);
    let set_between = opt.step(&mut params, &of_a);
    assert_eq!(outdated(set_between), "a");
    let of_a = gradients(&params, a);
    opt.step(&mut params, &of_a).unwrap();
    assert_eq!(opt.steps(), 3);
}

#[test]
fn a_bind_outside_of_the_loop_is_named_and_changes_nothing() {
    let mut params = Params::new();
    let x = params.insert("x", [1.0]);
    let a = params.insert("a", [1.0, 2.0]);
    let mut opt = Momentum::new(0.1);
    let tape = Tape::new();
    let p = params.bind(&tape);
    let mut step = |params: &mut Params, x_leaf: TensorVar| {
        let loss = (p[a] * p[a]).sum() + (x_leaf * x_leaf).sum();
        let result = opt.step(params, loss.backward().unwrap());
        (result, opt.steps())
    };
    let leaf = p[x];
    step(&mut params, leaf).0.unwrap();
    let before = (params.get(x).clone(), params.get(a).clone());
    // The gradient of `x` is new, that of `a` is not.
    let leaf = params.bind(&tape)[x];
    let (result, steps) = step(&mut params, leaf);
    let error = result.unwrap_err();
    let expected = "step: the gradient of \"a\" was taken at a value that the store no longer has; \
                    reset the tape and call params.bind(&tape) in each step (at tests/params.rs:";
    assert!(error.to_string().starts_with(expected), "{error}");
    assert_eq!(steps, 1);
    assert_eq!((params.get(x), params.get(a)), (&before.0, &before.1));
    // The refused step has left no mark: both move as if it had not been tried.
    let q = params.bind(&tape);
    let loss = (q[a] * q[a]).sum() + (q[x] * q[x]).sum();
    opt.step(&mut params, loss.backward().unwrap()).unwrap();
    // v = 2, x = 0.8; v = 0.9 * 2 + 1.6, x = 0.8 - 0.1 * 3.4
    assert_relative_eq!(params.get(x).item(), 0.46, max_relative = 1e-14);
}

#[test]
fn an_old_bind_and_a_new_one_do_not_add_up() {
    let mut params = Params::new();
    let w = params.insert("w", [1.0]);
    let tape = Tape::new();
    let old = params.bind(&tape);
    params.set(w, [2.0]);
    let new = params.bind(&tape);
    let gradients = (old[w] + new[w]).sum().backward().unwrap();
    let refused = Sgd::new(0.5).step(&mut params, &gradients);
    assert!(matches!(refused, Err(Error::Outdated { .. })));
    Sgd::new(0.5).accept_outdated().step(&mut params, &gradients).unwrap();
    assert_eq!(params.get(w).item(), 1.0);
}

#[test]
fn outdated_gradients_may_be_accepted() {
    fn twice(optimizer: impl Into<Chain>) -> f64 {
        let mut optimizer = optimizer.into();
        let mut params = Params::new();
        let w = params.insert("w", [1.0]);
        let tape = Tape::new();
        let gradients = params.bind(&tape)[w].sum().backward().unwrap();
        optimizer.step(&mut params, &gradients).unwrap();
        optimizer.step(&mut params, &gradients).unwrap();
        params.get(w).item()
    }
    // Settings that are chosen later keep the switch.
    assert_eq!(twice(Sgd::new(0.25).accept_outdated().clip_value(1.0)), 0.5);
    assert_eq!(twice(Chain::new().accept_outdated().then(transforms::Scale::new(0.25))), 0.5);
    assert!(twice(AdamW::new(0.25).accept_outdated()) < 0.6);
}

#[test]
fn clones_count_versions_on_their_own() {
    let mut params = Params::new();
    let w = params.insert("w", [1.0]);
    params.set(w, [2.0]);
    let mut copy = params.clone();
    copy.set(w, [3.0]);
    let tape = Tape::new();
    let (p, q) = (params.bind(&tape), copy.bind(&tape));
    let gradients = (p[w] * q[w]).sum().backward().unwrap();
    Sgd::new(1.0).step(&mut params, &gradients).unwrap();
    Sgd::new(1.0).step(&mut copy, &gradients).unwrap();
    assert_eq!((params.get(w).item(), copy.get(w).item()), (-1.0, 1.0));
}

#[test]
fn a_key_of_another_store_is_refused_at_the_line_that_used_it() {
    let (mut ours, mut theirs): (Params, Params) = (Params::new(), Params::new());
    let own = ours.insert("a", [1.0]);
    let foreign = theirs.insert("b", [2.0]);
    let tape = Tape::new();
    let p = ours.bind(&tape);
    #[track_caller]
    fn assert_refused<R>(f: impl FnOnce() -> R) {
        let at = std::panic::Location::caller().line();
        let (message, file, line) = panic_at(f);
        assert!(message.contains("the key belongs to another store"), "{message}");
        assert_eq!((file.as_str(), line), (file!(), at), "{message}");
    }
    assert_refused(|| ours.get(foreign).clone());
    assert_refused(|| ours.name(foreign).to_owned());
    assert_refused(|| ours.group(foreign).to_owned());
    assert_refused(|| p[foreign]);
    assert_refused(|| ours.set(foreign, [3.0]));
    assert_refused(|| ours.remove(foreign));
    assert!(matches!(
        ours.try_set(foreign, [3.0]),
        Err(Error::ForeignKey { operation: "set", .. })
    ));
    assert!(p.get(foreign).is_none());
    assert_eq!(ours.get(own).item(), 1.0);
}

#[test]
fn keys_work_in_clones_and_tell_apart_what_came_later() {
    let mut params: Params = Params::new();
    let w = params.insert("w", [1.0]);
    let gone = params.insert("gone", [9.0]);
    let mut copy = params.clone();
    let mut grandchild = copy.clone();
    for store in [&mut copy, &mut grandchild] {
        store.set(w, [2.0]);
        assert_eq!((store.get(w).item(), store.name(w), store.key("w")), (2.0, "w", Some(w)));
        assert_eq!(store.bind(&Tape::new())[w].value().item(), 2.0);
    }
    // Both use the same place for what is inserted now.
    let x = params.insert("x", [10.0]);
    let y = copy.insert("y", [20.0]);
    assert_ne!(x, y);
    assert_eq!((params.get(x).item(), copy.get(y).item()), (10.0, 20.0));
    let message = panic_message(|| params.get(y).clone());
    assert!(message.contains("inserted into another clone"), "{message}");
    let tape = Tape::new();
    let message = panic_message(|| copy.bind(&tape)[x]);
    assert!(message.contains("not among the bound parameters"), "{message}");
    assert_eq!(copy.remove(x), None);
    assert_eq!(params.remove(gone).map(|t| t.item()), Some(9.0));
    let message = panic_message(|| params.get(gone).clone());
    assert!(message.contains("it was removed"), "{message}");
    assert_eq!(copy.get(gone).item(), 9.0);
}

#[test]
fn the_debug_form_of_an_error_is_its_message() {
    let mut params: Params = Params::new();
    params.insert("a", [1.0]);
    let error = params.try_insert("a", [1.0]).unwrap_err();
    assert_eq!(format!("{error:?}"), error.to_string());
    let boxed: Box<dyn std::error::Error> = error.into();
    assert!(format!("{boxed:?}").starts_with("insert: there is a parameter"));
}
