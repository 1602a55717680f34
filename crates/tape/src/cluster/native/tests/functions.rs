//! Functions in machine code: every bit of the interpreter's.

use super::*;

/// The primitives that are functions in the code for such numbers.
fn functions<E: Real>() -> Vec<Primitive> {
    let repertoire = |functions| Repertoire { double: size_of::<E>() == 8, functions };
    let only_there = |p: &Primitive| repertoire(true).has(*p) && !repertoire(false).has(*p);
    Primitive::ALL.iter().copied().filter(only_there).collect()
}

/// Where functions change their ways, and their arguments are cut off.
const EDGES: [f64; 30] = [
    0.0,
    5e-324,
    f64::MIN_POSITIVE,
    1e-45,
    f32::MIN_POSITIVE as f64,
    1e-17,
    0.55,
    0.6,
    std::f64::consts::FRAC_1_SQRT_2,
    0.92,
    1.0,
    std::f64::consts::SQRT_2,
    2.0,
    4.0,
    10.0,
    20.0,
    36.7,
    40.0,
    50.0,
    88.72283905206835,
    89.0,
    103.97,
    104.0,
    120.0,
    709.782712893384,
    710.0,
    745.13,
    746.0,
    1e30,
    f64::INFINITY,
];

/// Numbers next to the edges, numbers of every size, and those that usually occur.
fn numbers<E: Real>(rng: &mut StdRng) -> Vec<E> {
    let mut numbers = vec![E::lit(f64::NAN)];
    for edge in EDGES {
        for sign in [1.0, -1.0] {
            let bits = E::lit(sign * edge).bits();
            numbers.extend((0..7).map(|k| E::from_bits((bits + k).saturating_sub(3))));
        }
    }
    let exponents = if size_of::<E>() == 8 { 1100.0 } else { 150.0 };
    for _ in 0..3000 {
        numbers.push(E::from_bits(rng.random()));
        numbers.push(E::lit(rng.random_range(-2.0..2.0)));
        numbers.push(E::lit(rng.random_range(-120.0..120.0)));
        numbers.push(E::lit(rng.random_range(-800.0..800.0)));
        // Halves of integers, which are rounded to even, times the logarithm of 2.
        let half = f64::from(rng.random_range(-2200..2200)) * 0.5;
        numbers.push(E::lit(half * std::f64::consts::LN_2));
        let size: f64 = rng.random_range(-exponents..exponents);
        numbers.push(E::lit(size.exp2()));
    }
    numbers
}

fn one<E: Real>(primitive: Primitive, numbers: &[E]) -> Case<E> {
    let n = numbers.len();
    Case {
        instructions: vec![Instruction {
            primitive,
            exponent: 0,
            operands: [Operand::Whole(0); 4],
        }],
        outputs: vec![Output::Each(Operand::Value(0))],
        shape: Shape::from([n]),
        whole: vec![Tensor::new([n], numbers.to_vec())],
        repeated: vec![],
        constants: vec![],
    }
}

#[test]
fn functions_have_the_bits_of_the_interpreter() {
    fn check<E: Real>() {
        let numbers = numbers::<E>(&mut StdRng::seed_from_u64(5));
        for primitive in functions::<E>() {
            one(primitive, &numbers).check();
            // From every number on, so that each is in every place of a vector, and of what is left over.
            for n in 1..=70 {
                one(primitive, &numbers[n..2 * n]).check();
            }
        }
    }
    check::<f64>();
    check::<f32>();
}

/// As many values of functions as asked for, all of which are made before they are put together.
fn several<E: Real>(rng: &mut StdRng, values: u32, n: usize) -> Case<E> {
    let functions = functions::<E>();
    let mut instructions = Vec::new();
    let mut push = |primitive, a, b| {
        let operands = [a, b, b, b];
        instructions.push(Instruction { primitive, exponent: 0, operands });
        Operand::Value(instructions.len() as u32 - 1)
    };
    let whole = 3;
    let values: Vec<Operand> = (0..values)
        .map(|k| {
            let x = push(Primitive::Mul, Operand::Whole(k % whole), Operand::Constant(k % 5));
            push(functions[k as usize % functions.len()], x, x)
        })
        .collect();
    let mut sum = Operand::Constant(0);
    for &value in values.iter().rev().chain(&values) {
        sum = push(Primitive::Sub, sum, value);
    }
    // A function of functions, and one that is no instruction between.
    let last = push(functions[n % functions.len()], sum, sum);
    let sine = push(Primitive::Sin, sum, sum);
    let both = push(Primitive::Mul, last, sine);
    Case {
        instructions,
        outputs: vec![Output::Each(sum), Output::Total(values[0]), Output::Each(both)],
        shape: Shape::from([n]),
        whole: (0..whole).map(|_| tensor(rng, &[n])).collect(),
        repeated: vec![],
        constants: [0.5, 1.5, -1.0, 3.0, 1.0].map(E::lit).to_vec(),
    }
}

#[test]
fn several_functions_where_registers_run_out() {
    let rng = &mut StdRng::seed_from_u64(6);
    for n in (1..=70).chain([1000, 5003]) {
        for values in [1, 2, 5, 9, 16, 31] {
            several::<f64>(rng, values, n).check();
            several::<f32>(rng, values, n).check();
        }
    }
}

#[test]
fn functions_of_long_programs_are_steps() {
    let len = |values: u32| {
        let plan = several::<f32>(&mut StdRng::seed_from_u64(7), values, 1).plan();
        Native::best(&plan, 4).map(|native| (native.work.steps.len(), plan.work.steps.len()))
    };
    if Level::best() == Level::Baseline {
        return;
    }
    // Some hundred formulas, and thousands of them.
    let (few, _) = len(5).expect("a short program is code");
    assert!(few < 10, "{few}");
    let (many, steps) = len(300).expect("instructions between the functions are code");
    assert!(many > 300 && many < steps, "{many} of {steps}");
}
