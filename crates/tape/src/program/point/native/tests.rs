//! Machine code against the interpreter, bit for bit, in every form that this processor has.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::super::code::{Action, PAIRS, Step, TWO_PRODUCTS};
use super::super::lanes::{LANES, Lane, one};
use super::super::repeats::Repeat;
use super::super::run;
use super::*;
use crate::primitive::Primitive;

/// All steps but those that the numbers one by one do not have.
fn actions() -> Vec<u8> {
    (0..Primitive::ALL.len() as u8).chain(PAIRS..TWO_PRODUCTS).collect()
}

fn number<E: Real>(rng: &mut StdRng) -> E {
    const SPECIAL: [f64; 8] =
        [0.0, -0.0, 1.0, -1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e-40];
    E::lit(match rng.random_range(0..10) {
        0 => SPECIAL[rng.random_range(0..SPECIAL.len())],
        _ => rng.random_range(-2.0..2.0),
    })
}

fn step(rng: &mut StdRng, action: u8, size: u32) -> Step {
    let mut operands = std::array::from_fn(|_| rng.random_range(0..size));
    if action == Primitive::Powi as u8 {
        operands[1] = rng.random_range(-3..5i32) as u32;
    }
    Step { action: Action(action), uniform: false, out: rng.random_range(0..size), operands }
}

/// A list, most of it sums and products.
fn list(rng: &mut StdRng, actions: &[u8], len: usize, size: u32) -> Vec<Step> {
    let instructions: Vec<u8> =
        (0..4).chain(actions.iter().copied().filter(|&a| a >= PAIRS)).collect();
    let steps = (0..len).map(|_| {
        let from = if rng.random_range(0..8) == 0 { actions } else { &instructions };
        let action = from[rng.random_range(0..from.len())];
        step(rng, action, size)
    });
    steps.collect()
}

/// What is done before a loop, in it and behind it.
fn pieces(len: usize) -> Vec<Repeat> {
    let (a, b) = (len / 4, len / 2);
    [(0, a, 1), (a, b, 3), (b, b + 1, 5), (b + 1, len, 1)]
        .map(|(from, to, times)| Repeat { from, to, times })
        .to_vec()
}

fn same<E: Real>(made: E, expected: E) -> bool {
    made.bits() == expected.bits() || (made.is_nan() && expected.is_nan())
}

/// The memory after a run on numbers, with a pause after the third part.
fn check_numbers<E: Real>(rng: &mut StdRng, steps: &[Step], size: usize) {
    let pause = steps.len() / 3;
    let Some(native) = Native::<E>::numbers(steps, [pause].into_iter(), size) else { return };
    let mut expected: Vec<E> = (0..size).map(|_| number(rng)).collect();
    let mut made = expected.clone();
    native.run(0, steps, &mut made);
    let between = number(rng);
    made[0] = between;
    native.run(1, steps, &mut made);
    run::check(steps, size);
    run::run(&steps[..pause], &mut expected);
    expected[0] = between;
    run::run(&steps[pause..], &mut expected);
    for (place, (&made, &expected)) in made.iter().zip(&expected).enumerate() {
        assert!(same(made, expected), "{} {place}: {made} {expected}, {steps:?}", E::NAME);
    }
}

fn forms<E: Real>() -> Vec<Form> {
    let (double, stride) = (size_of::<E>() == 8, size_of::<Lane<E>>());
    let form = |lanes, registers| Form { double, lanes, stride, registers };
    match (double, Level::best()) {
        (_, Level::Baseline) => vec![],
        (false, _) => vec![form(8, 16)],
        (true, Level::Avx2) => vec![form(4, 16)],
        (true, Level::Avx512) => vec![form(4, 16), form(8, 32)],
    }
}

/// The places of `outputs` after a run on vectors, of whose places the second half is the same in all lanes at first.
fn check_lanes<E: Real>(
    rng: &mut StdRng,
    steps: &[Step],
    pieces: &[Repeat],
    outputs: &[u32],
    size: usize,
) {
    let lanes = |place| match place < size / 2 {
        true => Lane(std::array::from_fn(|_| number(rng))),
        false => Lane([number(rng); LANES]),
    };
    let start: Vec<Lane<E>> = (0..size).map(lanes).collect();
    let mut expected = start.clone();
    for piece in pieces {
        for _ in 0..piece.times {
            steps[piece.from..piece.to].iter().for_each(|step| one(step, &mut expected));
        }
    }
    for form in forms::<E>() {
        let native = Native::new(form, steps, pieces, Some(outputs), size).expect("it fits");
        let mut made = start.clone();
        native.run_lanes(steps, &mut made);
        for &place in outputs {
            let (made, expected) = (made[place as usize].0, expected[place as usize].0);
            let good = made.iter().zip(expected).all(|(&made, expected)| same(made, expected));
            assert!(good, "{form:?} {place}: {made:?} {expected:?}, {steps:?}");
        }
    }
}

#[test]
fn every_action_in_every_form() {
    let rng = &mut StdRng::seed_from_u64(1);
    for _ in 0..100 {
        for action in actions() {
            // Few places, so that operands and result meet in all ways; and places that are far away.
            for size in [2, 6, 9000] {
                let steps = [step(rng, action, size)];
                check_numbers::<f64>(rng, &steps, size as usize);
                check_numbers::<f32>(rng, &steps, size as usize);
            }
        }
        let once = [Repeat { from: 0, to: 1, times: 1 }];
        for action in actions().into_iter().chain([TWO_PRODUCTS, TWO_PRODUCTS + 1]) {
            let steps = [step(rng, action, 6)];
            check_lanes::<f64>(rng, &steps, &once, &[0, 1, 2, 3, 4, 5], 6);
            check_lanes::<f32>(rng, &steps, &once, &[0, 1, 2, 3, 4, 5], 6);
        }
    }
}

#[test]
fn lists_that_need_all_registers() {
    let rng = &mut StdRng::seed_from_u64(2);
    let numbers = actions();
    let vectors: Vec<u8> =
        numbers.iter().copied().chain([TWO_PRODUCTS, TWO_PRODUCTS + 1]).collect();
    for round in 0..300 {
        // From fewer places than registers to far more.
        let size = [5, 14, 40, 90, 6000][round % 5];
        let len = rng.random_range(4..400);
        let steps = list(rng, &numbers, len, size);
        check_numbers::<f64>(rng, &steps, size as usize);
        check_numbers::<f32>(rng, &steps, size as usize);
        let mut steps = list(rng, &vectors, len, size);
        let pieces = pieces(len);
        // A value is the same in all lanes if that holds for all that it is made of, in every turn of a loop.
        let mut differing: Vec<bool> = (0..size).map(|place| place < size / 2).collect();
        let differs = |step: &Step, differing: &[bool]| {
            formula::operands(step).iter().any(|&place| differing[place as usize])
        };
        let mut known = Vec::new();
        while known != differing {
            known.clone_from(&differing);
            steps.iter().for_each(|s| differing[s.out as usize] |= differs(s, &differing));
        }
        steps.iter_mut().for_each(|s| s.uniform = !differs(s, &differing));
        // Few outputs: what nobody reads any more is not written.
        let outputs: Vec<u32> = (0..size).filter(|_| rng.random_range(0..4) == 0).collect();
        check_lanes::<f64>(rng, &steps, &pieces, &outputs, size as usize);
        check_lanes::<f32>(rng, &steps, &pieces, &outputs, size as usize);
    }
}

#[test]
fn what_does_not_fit_the_memory_is_not_run() {
    if Level::best() == Level::Baseline {
        return;
    }
    let step = |b| {
        let operands = [0, b, 0, 0];
        [Step { action: Action(Primitive::Add as u8), uniform: false, out: 1, operands }]
    };
    let made = |steps: &[Step]| Native::<f64>::numbers(steps, std::iter::empty(), 2);
    let refused = |f: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).is_err();
    assert!(refused(&|| drop(made(&step(2)))));
    let native = made(&step(1)).expect("two places");
    native.run(0, &step(1), &mut [1.0, 2.0]);
    assert!(refused(&|| native.run(0, &step(1), &mut [1.0])));
    assert!(refused(&|| native.run(0, &[], &mut [1.0, 2.0])));
    assert!(refused(&|| native.run(1, &step(1), &mut [1.0, 2.0])));
    assert!(refused(&|| native.run_lanes(&step(1), &mut [Lane([1.0; LANES]); 2])));
}
