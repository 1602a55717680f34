//! What a sweep needs to find the first rule that makes NaN or an infinity of finite numbers.

use std::panic::Location;
use std::rc::Rc;

use smallvec::SmallVec;

use super::{Cotangent, NodeId, Recording};
use crate::diagnostics::node::{self, Argument};
use crate::diagnostics::profile::Frame;
use crate::diagnostics::watch::{describe, is_finite, list};
use crate::inner::Inner;
use crate::{Real, Tensor};

/// The rule of an operation has made NaN or an infinity of finite numbers; see
/// [`Tape::with_anomaly_detection`](crate::Tape::with_anomaly_detection).
#[derive(Clone, Debug)]
pub struct Anomaly {
    /// The operation.
    pub operation: &'static str,
    /// What it has made, and of what.
    pub detail: String,
    /// The line that recorded the operation.
    pub recorded: &'static Location<'static>,
}

/// While it lives, operations that are recorded are not looked at; see [`Recording::suspend_watch`].
pub struct Suspended<E: Real> {
    inner: Rc<Inner<E>>,
    /// Times the sweep, if the tape has a profile.
    _frame: Option<Frame>,
}

impl<E: Real> Drop for Suspended<E> {
    fn drop(&mut self) {
        if let Some(watch) = self.inner.watch() {
            watch.sweeps.set(watch.sweeps.get() - 1);
        }
    }
}

impl<E: Real> Recording<E> {
    /// Whether the tape looks for anomalies.
    pub fn watches(&self) -> bool {
        self.inner.watch().is_some()
    }

    /// Stops the tape from looking at what is recorded: a sweep looks at the cotangents instead. On a tape with a
    /// profile, what happens until the guard is dropped is the sweep.
    pub fn suspend_watch(&self) -> Suspended<E> {
        if let Some(watch) = self.inner.watch() {
            watch.sweeps.set(watch.sweeps.get() + 1);
        }
        let frame = self.inner.profiler.as_ref().map(|profiler| profiler.sweep());
        Suspended { inner: self.inner.clone(), _frame: frame }
    }

    /// What was noted first since the last call.
    pub fn take_anomaly(&self) -> Option<Anomaly> {
        self.anomaly.take()
    }

    /// Looks at `handed`, a cotangent that the rule of `node` has made of the finite cotangents `incoming`.
    /// It is an anomaly if it is not finite, while the values of the node and of its operands are.
    pub fn look_at_rule(&self, node: NodeId, incoming: &[Tensor<E>], handed: &Tensor<E>) {
        if is_finite(handed) || self.anomaly.borrow().is_some() {
            return;
        }
        let arguments = node::arguments(&self.inner, node);
        let values = arguments.iter().map(|&argument| match argument {
            Argument::Node(id) => node::value(&self.inner, id),
            Argument::Constant(c) => Tensor::scalar(c),
            Argument::Exponent(n) => Tensor::scalar(E::lit(f64::from(n))),
        });
        let values: SmallVec<[Tensor<E>; 4]> = values.collect();
        let own = match node {
            NodeId::Scalar(_) => is_finite(&node::value(&self.inner, node)),
            NodeId::Tensor(t) => {
                let info = self.tensor_info(t);
                let mut group = info.first..info.first + info.group;
                group.all(|t| is_finite(&node::value(&self.inner, NodeId::Tensor(t))))
            }
        };
        if own && values.iter().all(is_finite) {
            let detail = format!(
                "its derivative makes {} of finite numbers: the cotangent {}, the arguments {}",
                describe(handed),
                list(incoming),
                list(&values)
            );
            self.note(node, detail);
        }
    }

    /// Looks at the sum of two finite cotangents of `node`.
    pub fn look_at_sum(&self, node: NodeId, sum: &Tensor<E>) {
        if !is_finite(sum) && self.anomaly.borrow().is_none() {
            let detail = format!(
                "the cotangents that flow to it are finite, but their sum is {}",
                describe(sum)
            );
            self.note(node, detail);
        }
    }

    fn note(&self, id: NodeId, detail: String) {
        let recorded = node::location(&self.inner, id);
        let anomaly = Anomaly {
            operation: node::name(&self.inner, id),
            detail,
            recorded: recorded.expect("a tape that looks for anomalies keeps all lines"),
        };
        self.anomaly.replace(Some(anomaly));
    }
}

impl<E: Real> Cotangent<E> {
    /// The numbers as they are: they may have fewer axes than the tensor. The cotangent stays.
    pub fn numbers(&self) -> Tensor<E> {
        match self {
            Cotangent::Owned(g) => g.clone(),
            Cotangent::Recorded(g) => g.value(),
        }
    }

    /// Whether all numbers are finite.
    pub fn is_finite(&self) -> bool {
        is_finite(&self.numbers())
    }
}
