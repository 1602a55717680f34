//! The rows of `docs/errors.md`: every error, provoked.

use std::sync::Arc;

use wengert::autograd::check::{CheckError, gradcheck};
use wengert::autograd::{self, functional};
use wengert::optim;
use wengert::prelude::*;
use wengert::tape;

use super::walk::caught;

/// What the places in this file begin with.
pub(super) const PLACE: &str = concat!(file!(), ":");

/// A row of the page.
pub(super) struct Row {
    /// The variant; for panics, who panics.
    pub(super) what: &'static str,
    pub(super) when: &'static str,
    pub(super) advice: &'static str,
    pub(super) message: String,
}

/// A row for a variant: the code must return an error of this variant, whose message is written down.
macro_rules! row {
    ($kind:ident::$variant:ident, $when:literal, $advice:literal, $code:expr) => {
        Row {
            what: stringify!($variant),
            when: $when,
            advice: $advice,
            message: match $code.err() {
                Some(error @ $kind::$variant { .. }) => error.to_string(),
                Some(other) => panic!("{}: another error: {other}", stringify!($variant)),
                None => panic!("{}: no error", stringify!($variant)),
            },
        }
    };
}

/// A row for a panic at the line of the code.
macro_rules! panic_row {
    ($what:literal, $when:literal, $advice:literal, $code:expr) => {{
        let panic = caught(&mut || {
            let _ = $code;
        });
        let panic = panic.unwrap_or_else(|| panic!("{}: no panic", $what));
        assert_eq!(panic.file, file!(), "{}: line {} of another file", $what, panic.line);
        Row { what: $what, when: $when, advice: $advice, message: panic.message }
    }};
}

pub(super) fn of_tape() -> Vec<Row> {
    use tape::Error;
    let tape = Tape::new();
    let (x, w) = (tape.tensor(Tensor::zeros([32, 13])), tape.tensor(Tensor::zeros([10, 1])));
    vec![
        row!(
            Error::Shape,
            "An operation cannot take the shapes of its operands, or has no result of a shape that a tensor can have.",
            "Look at the shapes in the message; `reshape`, `unsqueeze`, `transpose` or `broadcast_to` make them fit.",
            x.try_matmul(w)
        ),
        row!(
            Error::Argument,
            "Another argument is wrong: an index or a label out of range, a probability above 1, a singular matrix.",
            "Check what comes from outside before, or use the `try_` twin and handle the error.",
            x.try_index_select(0, [3, 32])
        ),
    ]
}

pub(super) fn of_programs() -> Vec<Row> {
    let tape = Tape::new();
    let (x, y, t) = (tape.var(1.0), tape.var(2.0), tape.tensor([1.0, 2.0]));
    let product = Program::<f64>::record(2, |x| x[0] * x[1]).unwrap();
    let guarded = Program::record_at(&[1.0], |x| if x[0] > 0.0 { x[0] } else { -x[0] }).unwrap();
    let user = Program::<f64>::record(1, |x| x[0].apply(Cube)).unwrap();
    let stored = serde_json::to_string(&product).unwrap();
    let square = Arc::new(Square);
    let called = Program::<f64>::record(1, |x| external(&square, x)[0]).unwrap();
    vec![
        row!(
            ProgramError::LeftTape,
            "While a program is recorded, a recorded number is made a plain one: `value()`, `backward()`, a cast.",
            "Stay on the tape. If a constant is meant, say so by `freeze()`.",
            Program::<f64>::record(1, |x| x[0] * x[0].value())
        ),
        row!(
            ProgramError::Tensor,
            "A tensor takes part in what is to be a program.",
            "Write the function on numbers, and run the program on tensors by `map`.",
            Program::of(&[x], &[(t * x).sum().to_scalar()])
        ),
        row!(
            ProgramError::ForeignInput,
            "`Program::of` is given an input that is not a recorded number of the tape of the outputs.",
            "Give leaves or intermediate numbers of the same tape.",
            Program::of(&[x, Var::constant(1.0)], &[x * y])
        ),
        row!(
            ProgramError::ForeignOutput,
            "An output is of another tape, or of one that was reset.",
            "Return what was computed from the inputs that the function was given.",
            Program::<f64>::record(1, |_| x)
        ),
        row!(
            ProgramError::MissingInput,
            "An output depends on a variable that is not among the inputs.",
            "Add it to the inputs, or make it a constant.",
            Program::of(&[x], &[x * y])
        ),
        row!(
            ProgramError::BranchChanged,
            "At this point a comparison would go the other way than when the program was recorded.",
            "Record the program anew there (`Rerecording` does it by itself), or replace the branch by `select_gt`.",
            guarded.eval(&[-1.0])
        ),
        row!(
            ProgramError::Count,
            "A list of arguments or results does not have the right length.",
            "See `inputs()` and `outputs()` of the program.",
            product.eval(&[1.0])
        ),
        row!(
            ProgramError::Points,
            "For many points, a list of numbers has neither one element nor as many as the others.",
            "Give each input one number for each point, or one for all of them.",
            product.eval_many(&[&[1.0, 2.0], &[1.0, 2.0, 3.0]])
        ),
        text_row(
            "Rule",
            "The program to be stored has a rule of a user in it, which is code.",
            "Take the derivatives first, then store each program after `inlined()`.",
            serde_json::to_string(&user).map(drop),
        ),
        text_row(
            "External",
            "The program to be stored calls a function of a user, which is code.",
            "Store the programs before and behind the call, and make the call between them.",
            serde_json::to_string(&called).map(drop),
        ),
        row!(
            ProgramError::NoDerivative,
            "The derivative of a program asks for one that a function of a user does not state: the second one, mostly.",
            "State it by `External::recorded_vjp`.",
            called.gradient().unwrap().gradient_of(0)
        ),
        text_row(
            "Malformed",
            "A stored program cannot be loaded: it is of another version or number type, or damaged.",
            "Store it again with this version.",
            serde_json::from_str::<Program>(&stored.replace("\"f64\"", "\"f32\"")).map(drop),
        ),
    ]
}

/// The cube, as a rule of a user.
struct Cube;

impl Unary for Cube {
    const NAME: &'static str = "cube";
    fn value<T: Elementary>(&self, x: T) -> T {
        x * x * x
    }
    fn partial<T: Elementary>(&self, x: T, _y: T) -> T {
        T::lit(3.0) * x * x
    }
}

/// The square, as a function that is called.
struct Square;

impl External<f64> for Square {
    fn name(&self) -> &'static str {
        "square"
    }
    fn inputs(&self) -> usize {
        1
    }
    fn outputs(&self) -> usize {
        1
    }
    fn call(&self, x: &[f64], y: &mut [f64]) {
        y[0] = x[0] * x[0];
    }
    fn vjp(&self, x: &[f64], _y: &[f64], u: &[f64], v: &mut [f64]) {
        v[0] = 2.0 * x[0] * u[0];
    }
}

/// A row for an error that a format hands on as a text.
fn text_row(
    what: &'static str,
    when: &'static str,
    advice: &'static str,
    result: serde_json::Result<()>,
) -> Row {
    let message = result.expect_err(what).to_string();
    assert!(message.starts_with("program: "), "{message}");
    Row { what, when, advice, message }
}

pub(super) fn of_autograd() -> Vec<Row> {
    use autograd::Error;
    let tape = Tape::new();
    let (x, t) = (tape.var(1.0), tape.tensor([1.0, 2.0, 3.0]));
    let elsewhere = Tape::new();
    let (y, u) = (elsewhere.var(1.0), elsewhere.tensor([1.0, 2.0, 3.0]));
    let stale = Tape::new().var(1.0);
    let twice = tape.tensor([[1.0, 0.0], [0.0, 1.0]]);
    let watched = Tape::new().with_anomaly_detection();
    let zero = watched.var(0.0);
    vec![
        row!(
            Error::NotScalar,
            "`backward`, `grad` or `hessian` of a tensor of several elements.",
            "Reduce it to the one number that is meant (`sum()`, `mean()`), or give a cotangent to `vjp`.",
            (t * 2.0).backward()
        ),
        row!(
            Error::Constant,
            "The result was made of constants alone, so there is nothing to differentiate.",
            "Make what you differentiate by a variable: `tape.var(..)`, `tape.tensor(..)`.",
            Var::<f64>::constant(1.0).backward()
        ),
        row!(
            Error::Stale,
            "The tape of the result was reset or dropped, or is on another thread.",
            "Call `backward` before `reset`; keep the tape for as long as its handles.",
            stale.backward()
        ),
        row!(
            Error::ForeignVariable,
            "A variable to differentiate by is on another tape than the result, or is a constant.",
            "Record both on one tape; a closure to differentiate works on a tape of its own.",
            x.exp().grad(&[x, y])
        ),
        row!(
            Error::ForeignCotangent,
            "The cotangent for `vjp_recorded` is on another tape than the result.",
            "Record it on the same tape, or give numbers to `vjp`.",
            t.vjp_recorded(u, &[t])
        ),
        row!(
            Error::CotangentShape,
            "A cotangent for `vjp` does not have the shape of the result.",
            "A cotangent has one number for each element of the result.",
            t.vjp([1.0, 2.0])
        ),
        row!(
            Error::NoDerivative,
            "An operation has no derivative at the recorded values.",
            "Look up the operation in [kinks.md](kinks.md); the message says what to do instead, if anything can be done.",
            twice.eigh().1.sum().backward()
        ),
        row!(
            Error::Anomaly,
            "On a tape with anomaly detection: the derivative of an operation is NaN or infinite, and what it is made of is finite.",
            "Keep the arguments in the domain: add an epsilon under the root, choose by `select_gt` before and after.",
            zero.sqrt().backward()
        ),
    ]
}

pub(super) fn of_checks() -> Vec<Row> {
    let elsewhere = Tape::new();
    let y = elsewhere.var(1.0);
    vec![
        row!(
            CheckError::Failed,
            "A derivative differs from finite differences.",
            "The table that follows names the entries; a note says if they lie at a kink.",
            gradcheck(|x: Var| x.apply(Wrong), 0.5)
        ),
        row!(
            CheckError::Derivative,
            "There is no derivative to compare: an error of a backward pass, as above.",
            "As for that error.",
            gradcheck(|_: Var| y, 1.0)
        ),
    ]
}

/// A rule with a wrong derivative.
struct Wrong;

impl Unary for Wrong {
    const NAME: &'static str = "wrong";
    fn value<T: Elementary>(&self, x: T) -> T {
        x * x
    }
    fn partial<T: Elementary>(&self, x: T, _y: T) -> T {
        x
    }
}

pub(super) fn of_optim() -> Vec<Row> {
    use optim::Error;
    let tape = Tape::new();
    let mut params = Params::<f64>::new();
    let weight = params.insert("weight", [1.0, 2.0]);
    let removed = params.insert("removed", 1.0);
    params.remove(removed);
    let mut others = Params::<f64>::new();
    let other = others.insert("weight", [1.0, 2.0]);
    let old = params.bind(&tape)[weight].sum().backward().unwrap();
    params.set(weight, [3.0, 4.0]);
    let infinite = (params.bind(&tape)[weight] * f64::INFINITY).sum().backward().unwrap();
    let nothing = tape.tensor([1.0]).sum().backward().unwrap();
    let mut sgd = Sgd::new(0.1);
    let growing = Schedule::exponential(1e300, 1e300);
    let mut overflowing = Sgd::new(growing);
    let mut free = Params::<f64>::new();
    let far = free.insert("far", 1.0);
    let gradient = |free: &Params| free.bind(&tape)[far].sum().backward().unwrap();
    let first = gradient(&free);
    overflowing.step(&mut free, &first).unwrap();
    let second = gradient(&free);
    vec![
        row!(
            Error::DuplicateName,
            "A second parameter of one name is inserted.",
            "Choose another name; `set` gives a parameter another value.",
            params.try_insert("weight", 1.0)
        ),
        row!(
            Error::ForeignKey,
            "A key of one store is used on another.",
            "Use the key that `insert` of this store has returned, or `key(name)`.",
            params.try_set(other, [1.0, 2.0])
        ),
        row!(
            Error::UnknownKey,
            "The parameter of the key was removed, or was inserted into another clone of the store.",
            "Ask by `key(name)` whether it is there.",
            params.try_set(removed, 1.0)
        ),
        row!(
            Error::Shape,
            "A new value, or a gradient, does not have the shape of its parameter.",
            "The shape of a parameter is fixed; insert another one for another shape.",
            params.try_set(weight, [1.0, 2.0, 3.0])
        ),
        row!(
            Error::NoGradients,
            "A step is given gradients of which none belongs to a parameter of the store.",
            "Compute the loss from `params.bind(&tape)`.",
            sgd.step(&mut params, &nothing)
        ),
        row!(
            Error::Outdated,
            "The gradient was taken at a value that the parameter no longer has.",
            "Bind in each step; `accept_outdated()` says that old gradients are meant.",
            sgd.step(&mut params, &old)
        ),
        row!(
            Error::Rate,
            "The learning rate of a schedule is not finite.",
            "Mend the schedule. Nothing was changed.",
            overflowing.step(&mut free, &second)
        ),
        row!(
            Error::NonFinite,
            "A gradient is NaN or infinite.",
            "Nothing was changed, so the step may be left out. `Tape::with_anomaly_detection` finds the cause.",
            sgd.step(&mut params, &infinite)
        ),
    ]
}

pub(super) fn of_panics() -> Vec<Row> {
    let tape = Tape::new();
    let watched = Tape::new().with_anomaly_detection();
    let other = Tape::new();
    let (x, t, middle) = (tape.var(1.0), tape.tensor(Tensor::zeros([3, 4])), tape.var(2.0) * 2.0);
    let (y, stale) = (other.var(1.0), Tape::new().var(1.0));
    let tensor = tape.tensor([1.0, 2.0]) * 2.0;
    let gradients = (x * x + tensor.sum().to_scalar()).backward().unwrap();
    let some = (x * middle).grad(&[x]).unwrap();
    let mut params = Params::<f64>::new();
    let early = params.bind(&tape);
    let key = params.insert("weight", 1.0);
    vec![
        panic_row!(
            "operators and methods",
            "Where the `try_` twin returns a `tape::Error`. Operators have none: they panic.",
            "As for the error.",
            t + tape.tensor([1.0, 2.0])
        ),
        panic_row!(
            "every operation",
            "A handle is used whose tape was reset or dropped.",
            "Keep no handle over `reset`; get values out by `value()` before.",
            stale.sin()
        ),
        panic_row!(
            "every operation",
            "Operands are on two tapes.",
            "Use one tape; bring numbers over by `value()`.",
            x + y
        ),
        panic_row!(
            "operations on tensors",
            "All operands are constants without a tape.",
            "Put one on a tape by `tape.constant(..)`.",
            TensorVar::<f64>::scalar_constant(1.0).reshape([1])
        ),
        panic_row!(
            "operations on a tape with anomaly detection",
            "The result is NaN or infinite, and the arguments are finite.",
            "Look at the line: that is where it begins.",
            (watched.var(1.0) - 1.0).ln()
        ),
        panic_row!(
            "`item`, `to_scalar`",
            "The tensor does not have exactly one element.",
            "Reduce it, or index its `value()`.",
            t.item()
        ),
        panic_row!(
            "indexing a `Tensor`",
            "The index is outside of the tensor, or has another number of places than the tensor has axes.",
            "Look at `shape()`.",
            Tensor::from([[1.0, 2.0]])[[1, 0]]
        ),
        panic_row!(
            "`Gradients::wrt`",
            "The variable is on another tape than the result.",
            "Ask for variables that the result was computed from, or use `get`.",
            gradients.wrt(y)
        ),
        panic_row!(
            "`Gradients::wrt`",
            "A tensor that is no leaf, after `backward`, which keeps the gradients of leaves.",
            "Ask for it by `grad(&[..])`.",
            gradients.wrt(tensor)
        ),
        panic_row!(
            "`Gradients::wrt`",
            "After `grad`, a variable that was not in its list.",
            "Add it to the list.",
            some.wrt(middle)
        ),
        panic_row!(
            "`Bound[key]`",
            "The parameter was inserted after `bind`, or the key is of another store.",
            "Insert all parameters before `bind`.",
            early[key]
        ),
        panic_row!(
            "`functional::jvp`, `hvp`",
            "The tangent does not have the structure of the point.",
            "Give as many numbers, in the same shapes.",
            functional::jvp(|x: Vec<Var>| x[0], vec![1.0], vec![1.0, 2.0])
        ),
        panic_row!(
            "optimisers, transforms, schedules",
            "A setting is not in its range.",
            "The message names the range.",
            Adam::<f64>::new(0.1).betas(1.0, 0.999)
        ),
    ]
}
