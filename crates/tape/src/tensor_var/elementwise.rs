//! Recording elementwise operations and sums of all elements, which are computed when a value is needed.

use std::cell::RefMut;
use std::panic::Location;

use super::TensorVar;
use crate::error::expect;
use crate::inner::{Inner, Kind, TensorLane};
use crate::primitive::Primitive;
use crate::registry::{self, NO_TAPE};
use crate::rule::{
    Binary, BinaryRule, ErasedRule, MAX_OPERANDS, Ternary, TernaryRule, Unary, UnaryRule,
};
use crate::scalar::opcode::Opcode;
use crate::{Elementary, Error, Real, Shape, cluster};

/// Appends a node made of some others, which will be computed when its value is asked for if it is not now.
#[track_caller]
#[inline]
fn push_pending<E: Real>(
    inner: &Inner<E>,
    lane: &mut TensorLane<E>,
    (kind, shape): (Kind, Shape),
    (pending, low): (u32, u32),
    active: bool,
) -> u32 {
    let at = inner.scalars.len() as u32;
    let (t, node) = lane.nodes.push(kind, shape, at, Location::caller());
    (node.pending, node.low, node.active) = (pending, low, active);
    cluster::compute_if_little(inner, lane, t);
    t
}

/// Looks at a node that has just been recorded.
#[track_caller]
#[inline]
fn look_at<E: Real>(inner: &Inner<E>, t: u32) {
    if let Some(watch) = inner.watch() {
        watch.look_at_pending(inner, t);
    }
}

impl<E: Real> TensorVar<E> {
    /// Records an elementwise operation, whose shape is at least `least`.
    #[track_caller]
    fn elementwise(
        name: &'static str,
        operands: &[Self],
        exponent: u32,
        opcode: Opcode,
        least: &Shape,
    ) -> Result<Self, Error> {
        let on_tape = operands.iter().find(|v| v.tag != NO_TAPE).expect("the caller has looked");
        let location = Location::caller();
        let (inner, tag) = registry::find::<E>(on_tape.tag);
        let (pending, mut lane) = Self::relieve(inner, operands);
        // Most operands have one shape: it is copied once, when the node is made.
        let mut shape = least;
        let mut wider;
        let mut numbers = [exponent; MAX_OPERANDS];
        let (mut constants, mut active) = (0, false);
        for (k, operand) in operands.iter().enumerate() {
            if operand.tag == NO_TAPE {
                constants |= 1 << k;
                numbers[k] = inner.scalars.constant(operand.constant);
                continue;
            }
            inner.assert_owns(operand.tag);
            let node = operand.node(&lane);
            if shape.rank() == 0 {
                shape = &node.shape;
            } else if node.shape.rank() != 0 && *shape != node.shape {
                wider = shape.broadcast(&node.shape);
                let Some(wider) = &wider else {
                    let detail = "they do not broadcast".to_owned();
                    return Err(Self::misfit(&lane, name, operands, detail, location));
                };
                shape = wider;
            }
            numbers[k] = operand.index;
            active |= node.active;
        }
        if let Some(detail) = shape.flaw() {
            return Err(Self::misfit(&lane, name, operands, detail, location));
        }
        let shape = shape.clone();
        for operand in operands.iter().filter(|v| v.tag != NO_TAPE) {
            lane.nodes[operand.index as usize].uses += 1;
        }
        active &= opcode.as_primitive().is_none_or(Primitive::is_differentiable);
        let arity = operands.len() as u8;
        let kind = Kind::Elementwise { opcode, operands: numbers, arity, constants };
        let index = push_pending(inner, &mut lane, (kind, shape), pending, active);
        drop(lane);
        look_at(inner, index);
        Ok(TensorVar::on_tape(index, tag))
    }

    /// What is wrong with the shapes of some operands.
    #[cold]
    fn misfit(
        lane: &TensorLane<E>,
        operation: &'static str,
        operands: &[Self],
        detail: String,
        location: &'static Location<'static>,
    ) -> Error {
        let shapes = operands.iter().map(|o| match o.tag {
            NO_TAPE => Shape::scalar(),
            _ => o.node(lane).shape.clone(),
        });
        Error::Shape { operation, shapes: shapes.collect(), detail, location }
    }

    /// Computes operands, those with the most pending nodes first, until a node made of all of them has
    /// at most [`cluster::MAX_PENDING`]. So the operand is shared by all its consumers from then on. Gives how many
    /// will be pending, and the first of them; and the nodes, to record one more.
    #[inline(always)] // What it gives is several words, which are not put into memory then.
    fn relieve<'a>(
        inner: &'a Inner<E>,
        operands: &[Self],
    ) -> ((u32, u32), RefMut<'a, TensorLane<E>>) {
        loop {
            let lane = inner.tensors.borrow_mut();
            let recorded = operands.iter().filter(|v| v.tag != NO_TAPE);
            let (total, low) = lane.pending(recorded.map(|v| v.index));
            if total <= cluster::MAX_PENDING {
                return ((total, low), lane);
            }
            drop(lane);
            Self::compute_most_pending(inner, operands);
        }
    }

    #[cold]
    #[inline(never)]
    fn compute_most_pending(inner: &Inner<E>, operands: &[Self]) {
        let most = {
            let lane = inner.tensors.borrow();
            let pending = |v: &&Self| lane.nodes.get(v.index as usize).map_or(0, |n| n.pending);
            let recorded = operands.iter().filter(|v| v.tag != NO_TAPE);
            recorded.max_by_key(pending).expect("something is pending").index
        };
        cluster::relieve(inner, most);
    }

    /// The sum of all elements, or their mean, of rank 0, which is computed when it is asked for.
    #[track_caller]
    pub(crate) fn total(self, mean: bool) -> Self {
        let (inner, tag) = registry::find::<E>(self.tag);
        let (pending, mut lane) = Self::relieve(inner, &[self]);
        let active = self.node(&lane).active;
        lane.nodes[self.index as usize].uses += 1;
        let total = (Kind::Total { operand: self.index, mean }, Shape::scalar());
        let index = push_pending(inner, &mut lane, total, pending, active);
        drop(lane);
        look_at(inner, index);
        TensorVar::on_tape(index, tag)
    }

    /// Records a primitive.
    #[track_caller]
    pub(crate) fn primitive(p: Primitive, operands: &[Self], exponent: i32) -> Self {
        expect(Self::try_primitive(p, operands, exponent))
    }

    #[track_caller]
    fn try_primitive(p: Primitive, operands: &[Self], exponent: i32) -> Result<Self, Error> {
        Self::try_elementwise(p.name(), p, operands, exponent)
    }

    /// Records a primitive for an operation of another name, which is that of its errors.
    #[track_caller]
    pub(crate) fn try_named(
        name: &'static str,
        p: Primitive,
        operands: &[Self],
    ) -> Result<Self, Error> {
        Self::try_elementwise(name, p, operands, 0)
    }

    #[track_caller]
    fn try_elementwise(
        name: &'static str,
        p: Primitive,
        operands: &[Self],
        exponent: i32,
    ) -> Result<Self, Error> {
        if operands.iter().all(|v| v.tag == NO_TAPE) {
            let mut values = [operands[0].constant; MAX_OPERANDS];
            for (value, operand) in values.iter_mut().zip(operands) {
                *value = operand.constant;
            }
            return Ok(TensorVar::scalar_constant(p.value(exponent, values)));
        }
        Self::elementwise(name, operands, exponent as u32, Opcode::primitive(p), &Shape::scalar())
    }

    /// Records a rule.
    #[track_caller]
    fn rule<W: ErasedRule<E>>(operands: &[Self], value: impl Fn(&W) -> E, rule: W) -> Self {
        let Some(on_tape) = operands.iter().find(|v| v.tag != NO_TAPE) else {
            return TensorVar::scalar_constant(value(&rule));
        };
        let name = rule.name();
        let (number, _displaced, entry) = {
            let (inner, _) = registry::find::<E>(on_tape.tag);
            let mut rules = inner.rules.borrow_mut();
            let (number, displaced) = rules.insert(rule);
            (number, displaced, rules.get(number))
        };
        entry.make_trace();
        expect(Self::elementwise(name, operands, 0, Opcode::rule(number), &Shape::scalar()))
    }

    /// This tensor repeated to a larger shape.
    ///
    /// # Panics
    /// If its shape does not broadcast to `shape`.
    #[track_caller]
    pub fn broadcast_to(self, shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        let own = self.shape();
        if own == shape {
            return self;
        }
        if own.broadcast(&shape).as_ref() != Some(&shape) {
            let detail = "the first does not broadcast to the second".to_owned();
            panic!("{}", Error::shape("broadcast_to", &[&own, &shape], detail));
        }
        assert!(self.tag != NO_TAPE, "broadcast_to: a constant without a tape; use Tape::constant");
        expect(Self::elementwise(
            "broadcast_to",
            &[self],
            0,
            Opcode::primitive(Primitive::Copy),
            &shape,
        ))
    }

    /// Applies a unary rule to each element.
    #[track_caller]
    pub fn apply<U: Unary>(self, rule: U) -> Self {
        Self::rule(&[self], |r: &UnaryRule<U>| r.0.value(self.constant), UnaryRule(rule))
    }

    /// Applies a binary rule to each pair of elements; the shapes broadcast.
    #[track_caller]
    pub fn apply2<B: Binary>(self, other: impl Into<Self>, rule: B) -> Self {
        let other = other.into();
        let value = |r: &BinaryRule<B>| r.0.value(self.constant, other.constant);
        Self::rule(&[self, other], value, BinaryRule(rule))
    }

    /// Applies a ternary rule to each triple of elements; the shapes broadcast.
    #[track_caller]
    pub fn apply3<R: Ternary>(self, b: impl Into<Self>, c: impl Into<Self>, rule: R) -> Self {
        let (b, c) = (b.into(), c.into());
        let value = |r: &TernaryRule<R>| r.0.value(self.constant, b.constant, c.constant);
        Self::rule(&[self, b, c], value, TernaryRule(rule))
    }

    /// Records [`Elementary::powi`].
    #[track_caller]
    pub fn powi(self, n: i32) -> Self {
        Self::primitive(Primitive::Powi, &[self], n)
    }

    /// Records [`Elementary::square`].
    #[track_caller]
    pub fn square(self) -> Self {
        self * self
    }

    /// Records [`Elementary::sin_cos`].
    #[track_caller]
    pub fn sin_cos(self) -> (Self, Self) {
        (self.sin(), self.cos())
    }

    /// Records [`Elementary::clamp`].
    #[track_caller]
    pub fn clamp(self, low: impl Into<Self>, high: impl Into<Self>) -> Self {
        Elementary::clamp(self, low.into(), high.into())
    }

    /// Records [`Elementary::select_gt`]: elementwise `x` where `a > b`, else `y`.
    #[track_caller]
    pub fn select_gt(
        a: impl Into<Self>,
        b: impl Into<Self>,
        x: impl Into<Self>,
        y: impl Into<Self>,
    ) -> Self {
        Self::primitive(Primitive::SelectGt, &[a.into(), b.into(), x.into(), y.into()], 0)
    }
}

macro_rules! methods {
    ($($method:ident $primitive:ident ($($arg:ident),*);)*) => {
        impl<E: Real> TensorVar<E> { $(
            #[doc = concat!("Records [`Elementary::", stringify!($method), "`] of each element.")]
            #[track_caller]
            pub fn $method(self $(, $arg: impl Into<Self>)*) -> Self {
                Self::primitive(Primitive::$primitive, &[self $(, $arg.into())*], 0)
            }
        )* }

        impl<E: Real> Elementary for TensorVar<E> {
            $(
                #[track_caller]
                fn $method(self $(, $arg: Self)*) -> Self {
                    TensorVar::$method(self $(, $arg)*)
                }
            )*
            fn lit(c: f64) -> Self {
                TensorVar::scalar_constant(E::lit(c))
            }
            #[track_caller]
            fn powi(self, n: i32) -> Self {
                TensorVar::powi(self, n)
            }
            #[track_caller]
            fn select_gt(a: Self, b: Self, x: Self, y: Self) -> Self {
                TensorVar::select_gt(a, b, x, y)
            }
            #[track_caller]
            fn apply<U: Unary>(self, rule: U) -> Self {
                TensorVar::apply(self, rule)
            }
            #[track_caller]
            fn apply2<B: Binary>(self, other: Self, rule: B) -> Self {
                TensorVar::apply2(self, other, rule)
            }
            #[track_caller]
            fn apply3<R: Ternary>(self, b: Self, c: Self, rule: R) -> Self {
                TensorVar::apply3(self, b, c, rule)
            }
        }
    };
}

crate::primitive::for_each_method!(methods);
