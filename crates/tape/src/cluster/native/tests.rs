//! Machine code against the interpreter, bit for bit, in every form that this processor has.

mod functions;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use smallvec::SmallVec;

use super::super::lower::{Instruction, Operand, Output};
use super::super::plan::{Plan, Step};
use super::super::repetition::Repetition;
use super::super::run::{Data, run_on};
use super::*;
use crate::primitive::Primitive;
use crate::rule::MAX_OPERANDS;
use crate::{Shape, Tape, Tensor, with_threads};

/// A program and what it runs on.
struct Case<E: Real> {
    instructions: Vec<Instruction>,
    outputs: Vec<Output>,
    shape: Shape,
    whole: Vec<Tensor<E>>,
    repeated: Vec<Tensor<E>>,
    constants: Vec<E>,
}

impl<E: Real> Case<E> {
    fn plan(&self) -> Plan {
        let (constants, repeated) = (self.constants.len(), self.repeated.len());
        Plan::new(&self.instructions, &self.outputs, constants, repeated)
    }

    /// The outputs and the totals by the interpreter, or by the code of a form, with functions in it or without.
    fn run(&self, form: Option<(Form, bool)>) -> Vec<Vec<E>> {
        let mut plan = self.plan();
        let native = form.and_then(|(form, functions)| Native::new(&plan, form, functions));
        let native = native.map(Box::new);
        let is_code = form.is_some_and(|(_, functions)| self.is_all_code(functions));
        assert!(native.is_some() || !is_code, "no code");
        plan.native = Later { done: AtomicUsize::new(0), native: OnceLock::from(native) };
        let n = self.shape.elements();
        let mut results: Vec<Vec<E>> = vec![vec![E::ONE; n]; plan.each];
        let repetition = |input| Repetition::new(input, &self.shape);
        let data = Data {
            whole: self.whole.iter().map(Tensor::as_slice).collect(),
            repeated: self.repeated.iter().map(repetition).collect(),
            constants: &self.constants,
            shape: &self.shape,
        };
        let outputs: SmallVec<[&mut [E]; 8]> = results.iter_mut().map(Vec::as_mut_slice).collect();
        let totals = run_on(&plan, &data, outputs);
        results.push(totals.into_vec());
        results
    }

    /// Whether there is a value, and all are computed by instructions.
    fn is_all_code(&self, functions: bool) -> bool {
        let repertoire = Repertoire { double: size_of::<E>() == 8, functions };
        let is_value = |output: &Output| {
            matches!(output, Output::Each(Operand::Value(_)) | Output::Total(Operand::Value(_)))
        };
        self.outputs.iter().any(is_value)
            && self.instructions.iter().all(|i| repertoire.has(i.primitive))
    }

    /// Compares; the share of finite numbers.
    fn check(&self) -> f64 {
        let expected = self.run(None);
        for form in forms::<E>() {
            let made = self.run(Some(form));
            for (k, (made, expected)) in made.iter().zip(&expected).enumerate() {
                let wrong = made.iter().zip(expected).position(|(&a, &b)| !same(a, b));
                if let Some(i) = wrong {
                    panic!(
                        "{form:?}, output {k} at {i} of {}: {} instead of {}\n{:?}\n{:?}",
                        self.shape, made[i], expected[i], self.instructions, self.outputs
                    );
                }
            }
        }
        let numbers = expected.iter().flatten();
        let finite = numbers.clone().filter(|x| x.is_finite()).count();
        finite as f64 / numbers.count().max(1) as f64
    }
}

fn same<E: Real>(made: E, expected: E) -> bool {
    made.bits() == expected.bits() || (made.is_nan() && expected.is_nan())
}

/// The forms, with functions in the code and without.
fn forms<E: Real>() -> Vec<(Form, bool)> {
    let double = size_of::<E>() == 8;
    let wide: &[bool] = match Level::best() {
        Level::Baseline => &[],
        // The interpreter is compiled for longer vectors then, but has the same bits.
        Level::Avx512 => &[false, true],
        Level::Avx2 => &[false],
    };
    let form = |&wide| Form { double, wide };
    wide.iter().map(form).flat_map(|form| [(form, false), (form, true)]).collect()
}

const SPECIAL: [f64; 12] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    2.5,
    -3.5,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    1e-40,
    -5e-324,
    1e30,
];

fn number<E: Real>(rng: &mut StdRng) -> E {
    E::lit(match rng.random_range(0..10) {
        0 => SPECIAL[rng.random_range(0..SPECIAL.len())],
        _ => rng.random_range(-2.0..2.0),
    })
}

fn tensor<E: Real>(rng: &mut StdRng, shape: &[usize]) -> Tensor<E> {
    let n = shape.iter().product();
    Tensor::new(shape, (0..n).map(|_| number(rng)).collect())
}

/// A program in which operands are mostly values that were made not long ago.
fn random_case<E: Real>(rng: &mut StdRng, primitives: &[Primitive], len: usize) -> Case<E> {
    let lengths = [1, 3, 8, 15, 16, 17, 33, 64, 100, 255, 1023, 1024, 1025, 3000, 9001];
    let columns = lengths[rng.random_range(0..lengths.len())];
    let most = (10_000 / columns).clamp(2, 200);
    let rows = if rng.random_range(0..3) == 0 { rng.random_range(1..most) } else { 1 };
    let shape = [rows, columns];
    let whole = rng.random_range(0..14);
    let kinds: [&[usize]; 3] = [&[columns], &[rows, 1], &[1, columns]];
    let repeated = rng.random_range(0..4);
    let constants = rng.random_range(1..8);
    let window = [3, 20, 200][rng.random_range(0..3)];
    let outside = |rng: &mut StdRng| match rng.random_range(0..4) {
        0 if repeated > 0 => Operand::Repeated(rng.random_range(0..repeated)),
        1 => Operand::Constant(rng.random_range(0..constants)),
        _ if whole > 0 => Operand::Whole(rng.random_range(0..whole)),
        _ => Operand::Constant(0),
    };
    let operand = |rng: &mut StdRng, before: u32| match rng.random_range(0..4) {
        0 => outside(rng),
        _ if before == 0 => outside(rng),
        _ => Operand::Value(rng.random_range(before.saturating_sub(window)..before)),
    };
    let mut instructions = Vec::new();
    for v in 0..len as u32 {
        let primitive = primitives[rng.random_range(0..primitives.len())];
        let operands: [Operand; MAX_OPERANDS] = std::array::from_fn(|_| operand(rng, v));
        // As it is recorded: what is no operand is the same everywhere.
        let operands = std::array::from_fn(|k| operands[if k < primitive.arity() { k } else { 0 }]);
        let exponent = if primitive == Primitive::Powi { rng.random_range(-3..6) } else { 0 };
        instructions.push(Instruction { primitive, exponent, operands });
    }
    let outputs = (0..rng.random_range(1..8)).map(|k| {
        let operand = match rng.random_range(0..12) {
            0 => outside(rng),
            _ if k == 0 => Operand::Value(len as u32 - 1),
            _ => Operand::Value(rng.random_range(0..len as u32)),
        };
        if rng.random_range(0..4) == 0 { Output::Total(operand) } else { Output::Each(operand) }
    });
    let outputs = outputs.collect();
    Case {
        instructions,
        outputs,
        shape: Shape::from(shape),
        whole: (0..whole).map(|_| tensor(rng, &shape)).collect(),
        repeated: (0..repeated).map(|k| tensor(rng, kinds[(k as usize + len) % 3])).collect(),
        constants: (0..constants).map(|_| number(rng)).collect(),
    }
}

/// A primitive on all combinations of special values.
fn special_case<E: Real>(primitive: Primitive, exponent: i32, columns: usize) -> Case<E> {
    let k = SPECIAL.len();
    let arity = primitive.arity();
    let n = columns.max(k.pow(arity.min(3) as u32));
    let input = |stride: usize| {
        let numbers = (0..n).map(|i| E::lit(SPECIAL[i / stride % k])).collect();
        Tensor::new([n], numbers)
    };
    let operands = std::array::from_fn(|i| Operand::Whole(if i < arity { i as u32 } else { 0 }));
    Case {
        instructions: vec![Instruction { primitive, exponent, operands }],
        outputs: vec![Output::Each(Operand::Value(0)), Output::Total(Operand::Value(0))],
        shape: Shape::from([n]),
        whole: [1, k, k * k, k * k + 1].map(input).to_vec(),
        repeated: vec![],
        constants: vec![],
    }
}

fn every_primitive<E: Real>() {
    for &primitive in Primitive::ALL {
        let exponents = match primitive {
            Primitive::Powi => vec![-7, -2, -1, 0, 1, 2, 3, 10, i32::MIN, i32::MAX],
            _ => vec![0],
        };
        for exponent in exponents {
            special_case::<E>(primitive, exponent, 0).check();
            special_case::<E>(primitive, exponent, 1025).check();
        }
    }
}

#[test]
fn every_primitive_on_special_values() {
    every_primitive::<f64>();
    every_primitive::<f32>();
}

/// Those without a result that depends on the sign of NaN, which is that of either operand.
fn primitives() -> Vec<Primitive> {
    let all = Primitive::ALL.iter().copied();
    all.filter(|&p| p != Primitive::Copysign).collect()
}

fn instructions() -> Vec<Primitive> {
    let repertoire = Repertoire { double: true, functions: false };
    primitives().into_iter().filter(|&p| repertoire.has(p)).collect()
}

#[test]
fn random_programs() {
    let rng = &mut StdRng::seed_from_u64(1);
    let (all, cheap) = (primitives(), instructions());
    let mostly_cheap: Vec<Primitive> = cheap.iter().copied().cycle().take(80).chain(all).collect();
    let (rounds, mut finite) = (400, 0.0);
    for round in 0..rounds {
        let len = [1, 2, 5, 20, 60, 150][round % 6];
        let primitives = if round % 2 == 0 { &cheap } else { &mostly_cheap };
        finite += random_case::<f64>(rng, primitives, len).check();
        finite += random_case::<f32>(rng, primitives, len).check();
    }
    // Infinite values and NaN would hide what becomes of them.
    assert!(finite > 0.5 * 2.0 * rounds as f64, "{finite} of {rounds}");
}

/// A long sum of products all of which are made before any is summed.
fn crowded<E: Real>(rng: &mut StdRng, values: u32, n: usize) -> Case<E> {
    let whole = 12;
    let mut instructions = Vec::new();
    let mut push = |primitive, a, b| {
        let operands = [a, b, b, b];
        instructions.push(Instruction { primitive, exponent: 0, operands });
        Operand::Value(instructions.len() as u32 - 1)
    };
    let product = |k: u32| (Operand::Whole(k % whole), Operand::Whole(k / whole % whole));
    let products: Vec<Operand> = (0..values)
        .map(|k| {
            let (a, b) = product(k);
            push(Primitive::Mul, a, b)
        })
        .collect();
    let mut sum = products[0];
    for &product in products.iter().rev().chain(&products) {
        sum = push(Primitive::Sub, sum, product);
    }
    Case {
        instructions,
        outputs: vec![Output::Each(sum), Output::Total(products[3])],
        shape: Shape::from([n]),
        whole: (0..whole).map(|_| tensor(rng, &[n])).collect(),
        repeated: vec![],
        constants: vec![],
    }
}

#[test]
fn more_values_than_registers() {
    let rng = &mut StdRng::seed_from_u64(2);
    for values in [5, 14, 15, 16, 17, 30, 31, 32, 33, 34, 60, 140] {
        for n in [1, 65, 700] {
            crowded::<f64>(rng, values, n).check();
            crowded::<f32>(rng, values, n).check();
        }
    }
}

/// More data than caches hold, so that the next chunk is fetched ahead; and a last chunk that is shorter.
#[test]
fn data_beyond_the_caches() {
    crowded::<f32>(&mut StdRng::seed_from_u64(4), 8, 400_003).check();
}

#[test]
fn every_number_of_threads_has_the_same_bits() {
    let rng = &mut StdRng::seed_from_u64(3);
    let n = 60_001;
    let case = crowded::<f32>(rng, 20, n);
    for form in forms::<f32>() {
        let expected = with_threads(1, || case.run(None));
        for threads in [1, 2, 3] {
            let made = with_threads(threads, || case.run(Some(form)));
            for (made, expected) in made.iter().flatten().zip(expected.iter().flatten()) {
                assert!(same(*made, *expected), "{threads} threads: {made} {expected}");
            }
        }
    }
}

#[test]
fn functions_stand_between_few_segments() {
    // Two functions one after the other, and much that needs neither: three segments.
    let value = Operand::Value;
    let x = Operand::Whole(0);
    let one = |primitive, a| Instruction { primitive, exponent: 0, operands: [a; MAX_OPERANDS] };
    let two = |primitive, a, b| {
        let operands = [a, b, b, b];
        Instruction { primitive, exponent: 0, operands }
    };
    let instructions = [
        one(Primitive::Neg, x),
        one(Primitive::Sin, value(0)),
        two(Primitive::Add, value(1), Operand::Constant(0)),
        one(Primitive::Cos, value(2)),
        two(Primitive::Mul, x, x),
        two(Primitive::Add, value(3), value(4)),
        one(Primitive::Sqrt, value(4)),
        two(Primitive::Div, value(6), value(2)),
    ];
    let outputs = [Output::Total(value(5)), Output::Each(value(7))];
    let repertoire = Repertoire { double: true, functions: true };
    let stages = stages(&instructions, &outputs, 0, repertoire);
    let segments = stages.work.steps.iter().filter(|step| matches!(step, Step::Segment(_))).count();
    assert_eq!((segments, stages.work.steps.len()), (3, 6), "{:?}", stages.work);
    // The argument of one function, its result, that of the other one: no two of them at once.
    assert!(stages.work.slots <= 3, "{:?}", stages.work);
}

#[test]
fn a_plan_that_is_used_much_becomes_code() {
    let run = |from: usize| {
        from_work(from);
        let tape = Tape::<f32>::default();
        let x = tape.tensor(Tensor::<f32>::full([3000], 0.3));
        let values: Vec<f32> = (0..3)
            .flat_map(|k| {
                let y = x * x + f64::from(k) as f32;
                let z = (y * x - y / x).exp() * y + x;
                [z.value().as_slice()[2999], (z - y * x + 2.0).sum().item()]
            })
            .collect();
        let scratch = {
            let (inner, _) = crate::registry::find::<f32>(x.tag);
            inner.scratch.take().expect("programs have been run")
        };
        let made = scratch.plans.all().filter(|plan| plan.native.is_there()).count();
        from_work(ENOUGH);
        (values, made)
    };
    let (values, made) = run(usize::MAX);
    assert_eq!(made, 0);
    let (code_values, made) = run(0);
    assert!(made > 0 || Level::best() == Level::Baseline);
    assert_eq!(values, code_values);
}
