//! Random expressions, smooth and of moderate size.

use proptest::prelude::*;
use wengert::prelude::Elementary;

/// One operation of a random expression, on earlier values by number.
#[derive(Clone, Debug)]
enum Step {
    Unary(u8, usize),
    Binary(u8, usize, usize),
    Constant(u8, usize, f64),
}

/// Inputs, and operations each of which may use any earlier value.
#[derive(Clone, Debug)]
pub(crate) struct Expression {
    pub(crate) inputs: usize,
    steps: Vec<Step>,
}

impl Expression {
    /// The value, on numbers, recorded numbers or recorded tensors. Every operation is smooth and
    /// keeps its value of moderate size, whatever its arguments are.
    pub(crate) fn run<T: Elementary>(&self, inputs: &[T]) -> T {
        let one = T::lit(1.0);
        let mut values = inputs.to_vec();
        for step in &self.steps {
            let at = |k: usize| values[k % values.len()];
            let value = match *step {
                Step::Unary(op, a) => {
                    let a = at(a);
                    match op % 12 {
                        0 => a.sin(),
                        1 => a.cos(),
                        2 => a.tanh(),
                        3 => a.sigmoid(),
                        4 => (-(a * a)).exp(),
                        5 => (a * a + one).sqrt(),
                        6 => (a * a + one).ln(),
                        7 => (a * a + one).recip(),
                        8 => a.atan(),
                        9 => a.softplus(),
                        10 => a.tanh().powi(3),
                        _ => -a.asinh(),
                    }
                }
                Step::Binary(op, a, b) => {
                    let (a, b) = (at(a), at(b));
                    match op % 7 {
                        0 => a + b,
                        1 => a - b,
                        2 => a.tanh() * b,
                        3 => a / (b * b + one),
                        4 => (a * a + one).powf(b.tanh()),
                        5 => a.hypot(b * b + one),
                        _ => a.sin().mul_add(b, a),
                    }
                }
                Step::Constant(op, a, c) => {
                    let (a, c) = (at(a), T::lit(c));
                    match op % 5 {
                        0 => a + c,
                        1 => c * a,
                        2 => c - a,
                        3 => c / (a * a + one),
                        _ => a / T::lit(2.0) * c,
                    }
                }
            };
            values.push(value);
        }
        // The last values together, so that few of the operations are dead.
        let tail = &values[values.len().saturating_sub(4)..];
        tail[1..].iter().fold(tail[0], |sum, &v| (sum + v).tanh() + v.sin())
    }
}

pub(crate) fn expression() -> impl Strategy<Value = Expression> {
    let step = prop_oneof![
        (any::<u8>(), 0..64usize).prop_map(|(op, a)| Step::Unary(op, a)),
        (any::<u8>(), 0..64usize, 0..64usize).prop_map(|(op, a, b)| Step::Binary(op, a, b)),
        (any::<u8>(), 0..64usize, -1.5..1.5f64).prop_map(|(op, a, c)| Step::Constant(op, a, c)),
    ];
    (1..4usize, prop::collection::vec(step, 3..40))
        .prop_map(|(inputs, steps)| Expression { inputs, steps })
}
