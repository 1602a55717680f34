//! The local rules of nodes, as a sweep asks for them.

use std::cell::RefCell;
use std::panic::Location;

use smallvec::SmallVec;

use super::{Handled, NodeId, Recording, Refusal};
use crate::inner::Kind;
use crate::primitive::Primitive;
use crate::registry::NO_TAPE;
use crate::rule::MAX_OPERANDS;
use crate::scalar::local_rule::{Arguments, primitive_rule};
use crate::scalar::opcode::Opcode;
use crate::shape::AxisSet;
use crate::{Backward, Cotangents, Real, Shape, Tensor, TensorVar, Var};

impl<E: Real> Recording<E> {
    /// The rule of a scalar node that [`Segment::local_rule`](super::Segment::local_rule) does not handle: a user's. Hands over
    /// (operand, cotangent).
    ///
    /// # Panics
    /// If the rule resets or drops the tape.
    pub fn scalar_rule(
        &self,
        i: u32,
        g: E,
        needed: impl Fn(NodeId) -> bool,
        mut sink: impl FnMut(u32, E),
    ) {
        let ([opcode, ..], y) = self.inner.scalars.node(i);
        let Some(rule) = Opcode(opcode).as_rule() else {
            return;
        };
        let entry = self.inner.rules.borrow().get(rule);
        let (operands, arity) = self.scalar_operands(i);
        let args = operands.map(|o| if arity == 0 { y } else { self.inner.scalars.node(o).1 });
        for (k, &operand) in operands[..arity].iter().enumerate() {
            if needed(NodeId::Scalar(operand)) {
                let cotangent = entry.rule.pull(k, g, args, y);
                self.check();
                sink(operand, cotangent);
            }
        }
    }

    /// The rule of any scalar node of the scalar lane, as recorded operations, for the operands that
    /// `needed` accepts. Hands over (operand, cotangent).
    ///
    /// # Panics
    /// If the rule resets or drops the tape.
    pub fn recorded_scalar_rule(
        &self,
        i: u32,
        g: Var<E>,
        needed: impl Fn(NodeId) -> bool,
        mut sink: impl FnMut(u32, Var<E>),
    ) {
        let (node, _) = self.inner.scalars.node(i);
        let arguments = Recorded { recording: self, i };
        let wanted = |i| needed(NodeId::Scalar(i));
        if primitive_rule(node, g, &arguments, wanted, &mut sink) == Handled::Yes {
            return;
        }
        let Some(rule) = Opcode(node[0]).as_rule() else {
            return;
        };
        let entry = self.inner.rules.borrow().get(rule);
        let (operands, arity) = self.scalar_operands(i);
        let args = std::array::from_fn(|k| self.var(operands[k.min(arity - 1)]));
        for (k, &operand) in operands[..arity].iter().enumerate() {
            if needed(NodeId::Scalar(operand)) {
                let cotangent = entry.rule.pull_var(k, g, args, self.var(i));
                self.check();
                sink(operand, cotangent);
            }
        }
    }

    /// The rule of the tensor nodes that share the rule of `first`, as recorded operations, from
    /// their cotangents. Only what `needed` accepts is computed. Hands over (operand, cotangent);
    /// each broadcasts to the shape of its operand; see [`fitted`](Self::fitted).
    ///
    /// # Panics
    /// If the rule resets or drops the tape, or returns a cotangent of the wrong shape.
    pub fn tensor_rule(
        &self,
        first: u32,
        cotangents: &[Option<TensorVar<E>>],
        needed: impl Fn(NodeId) -> bool,
        mut sink: impl FnMut(NodeId, TensorVar<E>),
    ) {
        let (kind, location) = {
            let lane = self.inner.tensors.borrow();
            let node = &lane.nodes[first as usize];
            (node.kind, node.location)
        };
        match kind {
            Kind::Leaf | Kind::Constant => {}
            Kind::Lift { scalar } => {
                if let Some(g) = cotangents[0] {
                    sink(NodeId::Scalar(scalar), g);
                }
            }
            Kind::Elementwise { .. } => {
                let Some(g) = cotangents[0] else { return };
                let y = self.tensor(first);
                self.elementwise_products(
                    first,
                    |operand| needed(NodeId::Tensor(operand)).then_some(g),
                    |operand, product| {
                        let target = self.tensor(operand);
                        let cotangent = match self.have_one_shape(target, y) {
                            true => product,
                            false => flow_back(product, target, y),
                        };
                        sink(NodeId::Tensor(operand), cotangent);
                    },
                );
            }
            Kind::Total { operand, mean } => {
                if let Some(g) = cotangents[0].filter(|_| needed(NodeId::Tensor(operand))) {
                    let count = mean.then(|| self.inner.tensors.borrow().count(operand));
                    sink(NodeId::Tensor(operand), count.map_or(g, |count| g / count));
                }
            }
            Kind::Output { call, .. } => {
                let (op, inputs, held) = {
                    let lane = self.inner.tensors.borrow();
                    let record = &lane.calls[call as usize];
                    (lane.op(call), record.inputs.clone(), record.held.clone())
                };
                let residuals = held.as_ref().map_or(&[][..], |held| &held.residuals);
                let input_vars: SmallVec<[_; 6]> = inputs.iter().map(|&i| self.tensor(i)).collect();
                let outputs: SmallVec<[_; 3]> =
                    (0..cotangents.len() as u32).map(|k| self.tensor(first + k)).collect();
                let needed: SmallVec<[bool; 6]> =
                    inputs.iter().map(|&i| needed(NodeId::Tensor(i))).collect();
                if needed.iter().all(|&needed| !needed) {
                    return;
                }
                // A rule may rely on every cotangent having a tape and the shape of its output.
                let cotangents: SmallVec<[_; 3]> =
                    cotangents.iter().zip(&outputs).map(|(g, &y)| g.map(|g| fit(g, y))).collect();
                let refusal = RefCell::new(None);
                let backward = Backward {
                    inputs: &input_vars,
                    outputs: &outputs,
                    cotangents: &cotangents,
                    residuals,
                    needed: &needed,
                    tag: self.inner.tag_now.get(),
                    refusal: &refusal,
                };
                let before = self.inner.tensors.borrow().nodes.len();
                let frame = self.inner.profiler.as_ref().map(|profiler| profiler.rule(op.name()));
                let made: Cotangents<E> = op.vjp(&backward);
                drop(frame);
                self.check();
                // What the rule has recorded, it has recorded for the line that recorded the operation.
                for node in &mut self.inner.tensors.borrow_mut().nodes[before..] {
                    node.location = location;
                }
                if let Some(reason) = refusal.take() {
                    let refusal = Refusal { operation: op.name(), reason, recorded: location };
                    self.refusal.borrow_mut().get_or_insert(refusal);
                    return;
                }
                assert!(
                    made.len() == inputs.len(),
                    "{}: its vjp gives {} cotangents for {} inputs (recorded at {location})",
                    op.name(),
                    made.len(),
                    inputs.len()
                );
                for (k, cotangent) in made.into_iter().enumerate() {
                    if let (Some(cotangent), true) = (cotangent, needed[k]) {
                        let reference = input_vars[k];
                        self.check_cotangent(op.name(), k, cotangent, reference, location);
                        sink(NodeId::Tensor(inputs[k]), fit(cotangent, reference));
                    }
                }
            }
        }
    }

    /// The rule of an elementwise tensor node: hands over (operand, product of `factor` with the partial
    /// derivative by that operand), for each operand that has a factor. The factor is the cotangent of
    /// the node in a backward sweep, and the tangent of the operand in a forward one. A product
    /// broadcasts to the shape of the node. Says whether the node is elementwise; nothing is handed over
    /// for any other.
    ///
    /// # Panics
    /// If the rule resets or drops the tape.
    pub fn elementwise_products(
        &self,
        t: u32,
        factor: impl Fn(u32) -> Option<TensorVar<E>>,
        mut sink: impl FnMut(u32, TensorVar<E>),
    ) -> bool {
        let kind = self.inner.tensors.borrow().nodes[t as usize].kind;
        let Kind::Elementwise { opcode, operands, arity, constants } = kind else {
            return false;
        };
        let is_constant = |k: usize| constants >> k & 1 == 1;
        let y = self.tensor(t);
        let mut args = [y; MAX_OPERANDS];
        for k in 0..arity as usize {
            args[k] = if is_constant(k) {
                TensorVar::scalar_constant(self.inner.scalars.constant_at(operands[k]))
            } else {
                self.tensor(operands[k])
            };
        }
        if opcode.as_primitive() == Some(Primitive::Mul)
            && constants == 0
            && operands[0] == operands[1]
        {
            // A square has one partial derivative instead of two equal ones that would be added up.
            if let Some(factor) = factor(operands[0]) {
                let twice = factor.constant + factor.constant;
                sink(
                    operands[0],
                    match factor.tag == NO_TAPE && twice.is_finite() {
                        // The same product, because doubling is exact.
                        true => TensorVar::scalar_constant(twice) * args[0],
                        false => factor * (args[0] + args[0]),
                    },
                );
            }
            return true;
        }
        for k in (0..arity as usize).filter(|&k| !is_constant(k)) {
            let Some(factor) = factor(operands[k]) else { continue };
            // A partial is diagonal, so its transpose, which the rule states, is the partial itself.
            let product = match opcode.as_rule() {
                Some(rule) => {
                    let entry = self.inner.rules.borrow().get(rule);
                    Some(entry.rule.pull_tensor(k, factor, args, y))
                }
                None => opcode
                    .as_primitive()
                    .and_then(|p: Primitive| p.pull(k, operands[1] as i32, factor, args, y)),
            };
            self.check();
            if let Some(product) = product {
                sink(operands[k], product);
            }
        }
        true
    }

    /// Panics, naming the operation, unless a cotangent that its vjp has made can be summed to the
    /// shape of the input.
    fn check_cotangent(
        &self,
        name: &str,
        k: usize,
        cotangent: TensorVar<E>,
        input: TensorVar<E>,
        location: &Location<'_>,
    ) {
        if cotangent.tag == NO_TAPE {
            return;
        }
        assert!(
            self.tensor_id(cotangent).is_some(),
            "{name}: its vjp gives input {k} a cotangent that is not on the tape of the operation \
             (recorded at {location})"
        );
        let (own, target) = (cotangent.shape(), input.shape());
        let fits = own.broadcast(&target).is_some_and(|common| common == own || common == target);
        assert!(
            fits,
            "{name}: its vjp gives input {k} of shape {target} a cotangent of shape {own} (recorded \
             at {location})"
        );
    }
}

/// The arguments of a scalar node as recorded numbers.
struct Recorded<'a, E: Real> {
    recording: &'a Recording<E>,
    i: u32,
}

impl<E: Real> Arguments<Var<E>> for Recorded<'_, E> {
    fn node(&self, i: u32) -> Var<E> {
        self.recording.var(i)
    }
    fn constant(&self, k: u32) -> Var<E> {
        Var::constant(self.recording.inner.scalars.constant_at(k))
    }
    fn own(&self) -> Var<E> {
        self.recording.var(self.i)
    }
    fn carried(&self) -> (u32, u32) {
        self.recording.carried(self.i)
    }
}

/// Gives a cotangent the shape of its operand: repeated along the axes that it lacks, summed over those
/// that the operand lacks.
#[track_caller]
pub(super) fn fit<E: Real>(cotangent: TensorVar<E>, operand: TensorVar<E>) -> TensorVar<E> {
    if cotangent.tag == NO_TAPE {
        // A constant is a full tensor of it: a rule may hand over `T::lit(0.0)`.
        let number = Tensor::recycled(Shape::scalar(), cotangent.constant);
        return fit(TensorVar::constant_on(operand.tag, number), operand);
    }
    let (own, target) = (cotangent.shape(), operand.shape());
    if own == target {
        return cotangent;
    }
    let common = own.broadcast(&target).expect("the shapes were checked");
    if own != common {
        return fit(cotangent.broadcast_to(common), operand);
    }
    let skip = own.rank() - target.rank();
    let mut axes = AxisSet::all(skip);
    let mut keeps = true;
    for k in 0..target.rank() {
        if target[k] == 1 && own[skip + k] != 1 {
            axes.insert(skip + k);
            keeps = false;
        }
    }
    let sum = cotangent.sum_axis_set(axes, false);
    if keeps { sum } else { sum.reshape(target) }
}

/// The cotangent of an operand of an elementwise operation with the result `y` of another shape, from the product of the
/// cotangent of `y` with the partial derivative. What is the same for all elements stays a number, so the
/// product may lack axes.
#[track_caller]
fn flow_back<E: Real>(
    product: TensorVar<E>,
    operand: TensorVar<E>,
    y: TensorVar<E>,
) -> TensorVar<E> {
    let (target, whole) = (operand.shape(), y.shape());
    let own = if product.tag == NO_TAPE { Shape::scalar() } else { product.shape() };
    let common = own.broadcast(&target).expect("both broadcast to the shape of the result");
    // The operand was repeated along axes along which the product does not change.
    let times = whole.elements() / common.elements().max(1);
    fit(if times == 1 { product } else { product * E::lit(times as f64) }, operand)
}
