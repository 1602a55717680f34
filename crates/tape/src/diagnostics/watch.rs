//! Anomalies: NaN or an infinity where all that went in was finite.
//!
//! Forward, an operation is looked at when it is recorded, and an anomaly is a panic at the caller's
//! line, because an operator has no other way to say it. While a sweep runs, this is suspended: the
//! sweep looks at what each rule makes, not at the steps that the rule takes.

use std::cell::Cell;
use std::fmt::Write;
use std::panic::Location;

use smallvec::SmallVec;

use super::node;
use crate::cluster;
use crate::inner::{Inner, Kind};
use crate::primitive::Primitive;
use crate::rule::MAX_OPERANDS;
use crate::scalar::lane::{Node, ScalarLane};
use crate::scalar::opcode::{CONSTANT_LEFT, CONSTANT_RIGHT, Opcode};
use crate::{Real, Shape, Tensor};

/// Tensors of at most this many elements are printed in messages.
const SMALL: usize = 8;

/// What a tape that looks for anomalies keeps.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// How many sweeps are under way.
    pub(crate) sweeps: Cell<u32>,
}

impl Watch {
    fn is_suspended(&self) -> bool {
        self.sweeps.get() > 0
    }

    /// Looks at a scalar operation of one or two operands, before it is recorded.
    #[track_caller]
    pub(crate) fn look_at_node<E: Real>(&self, lane: &ScalarLane<E>, [code, a, b]: Node, value: E) {
        if value.is_finite() || self.is_suspended() {
            return;
        }
        // Operations of more operands and rules come through `look_at_numbers`.
        let Some(primitive) = Opcode(code).as_primitive().filter(|p| p.arity() <= 2) else {
            return;
        };
        let x = lane.node(a).1;
        let arguments: SmallVec<[E; 2]> = match () {
            () if code & CONSTANT_LEFT != 0 => [lane.constant_at(b), x].into_iter().collect(),
            () if code & CONSTANT_RIGHT != 0 => [x, lane.constant_at(b)].into_iter().collect(),
            () if primitive == Primitive::Powi => {
                [x, E::lit(f64::from(b as i32))].into_iter().collect()
            }
            () if primitive.arity() == 1 => [x].into_iter().collect(),
            () => [x, lane.node(b).1].into_iter().collect(),
        };
        self.look_at_numbers(|| primitive.name(), &arguments, value);
    }

    /// Looks at a scalar operation, before it is recorded.
    #[track_caller]
    pub(crate) fn look_at_numbers<E: Real>(
        &self,
        name: impl FnOnce() -> &'static str,
        arguments: &[E],
        value: E,
    ) {
        if value.is_finite() || self.is_suspended() || !arguments.iter().all(|x| x.is_finite()) {
            return;
        }
        let name = name();
        report(
            name,
            &format!("{} is {value}, though its arguments are finite", call(name, arguments)),
        );
    }

    /// Computes an elementwise tensor node or a full sum that was just recorded, and looks at it.
    #[track_caller]
    pub(crate) fn look_at_pending<E: Real>(&self, inner: &Inner<E>, t: u32) {
        if self.is_suspended() {
            return;
        }
        let value = cluster::force(inner, t);
        if is_finite(&value) {
            return;
        }
        let kind = inner.tensors.borrow().nodes[t as usize].kind;
        match kind {
            Kind::Total { operand, mean } => {
                self.look_at_call(
                    node::name_of_total(mean),
                    &[cluster::force(inner, operand)],
                    &[value],
                );
            }
            Kind::Elementwise { opcode, operands, arity, constants } => {
                let argument = |k: usize| match constants >> k & 1 {
                    1 => Tensor::scalar(inner.scalars.constant_at(operands[k])),
                    _ => cluster::force(inner, operands[k]),
                };
                let arguments: SmallVec<[Tensor<E>; MAX_OPERANDS]> =
                    (0..arity as usize).map(argument).collect();
                look_at_elements(|| node::opcode_name(inner, opcode), &arguments, &value);
            }
            _ => {}
        }
    }

    /// Looks at an operation with structure, before it is recorded.
    #[track_caller]
    pub(crate) fn look_at_call<E: Real>(
        &self,
        name: &'static str,
        inputs: &[Tensor<E>],
        outputs: &[Tensor<E>],
    ) {
        if self.is_suspended() || !inputs.iter().all(is_finite) {
            return;
        }
        if let Some(output) = outputs.iter().find(|output| !is_finite(output)) {
            let detail =
                format!("gives {} for finite arguments: {}", describe(output), list(inputs));
            report(name, &detail);
        }
    }
}

/// Finds an element that is not finite though the elements it was made of are. Elements are looked at one
/// by one, because an infinity that was given in one place is no excuse for another.
#[track_caller]
fn look_at_elements<E: Real>(
    name: impl FnOnce() -> &'static str,
    arguments: &[Tensor<E>],
    value: &Tensor<E>,
) {
    for (k, y) in value.iter().enumerate().filter(|(_, y)| !y.is_finite()) {
        let place = place(value.shape(), k);
        let at: SmallVec<[E; MAX_OPERANDS]> =
            arguments.iter().map(|argument| element(argument, &place)).collect();
        if at.iter().all(|x| x.is_finite()) {
            let name = name();
            let mut detail = format!("{} is {y}, though its arguments are finite", call(name, &at));
            if value.rank() > 0 {
                let _ = write!(detail, "; element {place:?} of {}", describe(value));
                let _ = write!(detail, ", from {}", list(arguments));
            }
            report(name, &detail);
        }
    }
}

#[cold]
#[track_caller]
fn report(name: &str, detail: &str) -> ! {
    let location = Location::caller();
    panic!("{name}: {detail} (found by anomaly detection at {location})")
}

/// The multi-index of element `k`.
fn place(shape: &Shape, mut k: usize) -> SmallVec<[usize; 4]> {
    let mut place: SmallVec<[usize; 4]> = SmallVec::from_elem(0, shape.rank());
    for axis in (0..shape.rank()).rev() {
        place[axis] = k % shape[axis];
        k /= shape[axis];
    }
    place
}

/// The element of a tensor that broadcasting puts at `place`.
fn element<E: Real>(tensor: &Tensor<E>, place: &[usize]) -> E {
    let shape = tensor.shape();
    let own = &place[place.len() - shape.rank()..];
    let offset = shape
        .iter()
        .zip(own)
        .fold(0, |offset, (&length, &i)| offset * length + if length == 1 { 0 } else { i });
    tensor.as_slice()[offset]
}

pub(crate) fn is_finite<E: Real>(tensor: &Tensor<E>) -> bool {
    tensor.iter().all(|x| x.is_finite())
}

/// An operation with its arguments as one writes it.
fn call<E: Real>(name: &str, arguments: &[E]) -> String {
    let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    format!("{name}({})", arguments.join(", "))
}

/// The values of a small tensor, and the shape.
pub(crate) fn describe<E: Real>(tensor: &Tensor<E>) -> String {
    if tensor.rank() == 0 {
        return tensor.item().to_string();
    }
    let shape = tensor.shape();
    if (1..=SMALL).contains(&tensor.len()) {
        let rows = tensor.to_string();
        let values: Vec<&str> = rows.lines().map(str::trim).collect();
        return format!("{} of shape {shape}", values.join(" "));
    }
    match tensor.iter().position(|x| !x.is_finite()) {
        None => format!("a tensor of shape {shape}"),
        Some(k) => {
            let (x, at) = (tensor.as_slice()[k], place(shape, k));
            format!("a tensor of shape {shape} with {x} at {at:?}")
        }
    }
}

/// Several tensors in words.
pub(crate) fn list<E: Real>(tensors: &[Tensor<E>]) -> String {
    let texts: Vec<String> = tensors.iter().map(describe).collect();
    texts.join("; ")
}
