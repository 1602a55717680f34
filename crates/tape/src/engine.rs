//! What a sweep needs to see of a tape: the nodes in their order, and their local rules.
//!
//! This is the interface to the `autograd` crate. Nothing here sums cotangents or keeps them: a rule
//! hands over (operand, cotangent), and the sweep decides what becomes of it.
//!
//! Rules may be a user's code, which may do anything, even drop the tape. So no reference into the
//! arena is held while one runs, a [`Recording`] keeps the arena alive, and after each rule it
//! checks that the recording is still the same.

mod anomaly;
mod cotangent;

use std::cell::RefCell;
use std::panic::Location;
use std::rc::Rc;

use smallvec::SmallVec;

use crate::inner::{Inner, Kind, Label};
use crate::primitive::Primitive;
use crate::registry::{self, NO_TAPE};
use crate::rule::MAX_OPERANDS;
use crate::scalar::lane::Node;
use crate::scalar::local_rule::{Arguments, operands_of, primitive_rule};
use crate::scalar::opcode::Opcode;
use crate::shape::AxisSet;
use crate::{Backward, Cotangents, Real, Shape, Tensor, TensorVar, Var};

pub use anomaly::{Anomaly, Suspended};
pub use cotangent::Cotangent;

pub use crate::recycle::{LeafCotangent, Recyclable, Recycled, Scratch};
pub use crate::scalar::{Handled, Segment};

/// A node, in one of the lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeId {
    /// A scalar node.
    Scalar(u32),
    /// A tensor node.
    Tensor(u32),
}

/// What a sweep has to know about a tensor node.
#[derive(Clone, Copy, Debug)]
pub struct TensorInfo {
    /// How many scalar nodes were recorded before it.
    pub at: u32,
    /// Whether it is an independent variable.
    pub leaf: bool,
    /// Whether it depends on an independent variable.
    pub active: bool,
    /// The label of a leaf that has one.
    pub label: Option<Label>,
    /// The first of the nodes that share its rule: the outputs of one operation.
    pub first: u32,
    /// How many nodes share its rule.
    pub group: u32,
}

/// A recording as a sweep sees it.
pub struct Recording<E: Real> {
    inner: Rc<Inner<E>>,
    epoch: u64,
    refusal: RefCell<Option<Refusal>>,
    anomaly: RefCell<Option<Anomaly>>,
}

/// The rule of an operation has said that there is no derivative; see [`Backward::refuse`].
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The operation.
    pub operation: &'static str,
    /// Why there is no derivative.
    pub reason: String,
    /// The line that recorded the operation.
    pub recorded: &'static Location<'static>,
}

impl<E: Real> Recording<E> {
    fn hold(tag: u32) -> Option<Self> {
        let inner = registry::hold::<E>(tag)?;
        let epoch = inner.epoch.get();
        Some(Recording { inner, epoch, refusal: RefCell::default(), anomaly: RefCell::default() })
    }

    /// The recording that `v` belongs to; `None` if it is stale or a constant.
    pub fn of_var(v: Var<E>) -> Option<Self> {
        Self::hold(v.tag)
    }

    /// The recording that `t` belongs to; `None` if it is stale or a constant.
    pub fn of_tensor(t: TensorVar<E>) -> Option<Self> {
        Self::hold(t.tag)
    }

    /// Notes that `operation` makes plain numbers of what is recorded: an error if that is a program.
    #[track_caller]
    pub fn leave(&self, operation: &'static str) {
        crate::program::record::note_numbers(&self.inner, operation);
    }

    /// What the first rule that has refused since the last call has said.
    pub fn take_refusal(&self) -> Option<Refusal> {
        self.refusal.take()
    }

    /// The node of `v`; `None` if it is not of this recording.
    pub fn scalar_id(&self, v: Var<E>) -> Option<u32> {
        let known = (v.index as usize) < self.inner.scalars.len();
        (known && v.tag == self.inner.tag_of_scalar(v.index)).then_some(v.index)
    }

    /// The node of `t`; `None` if it is not of this recording.
    pub fn tensor_id(&self, t: TensorVar<E>) -> Option<u32> {
        let known = (t.index as usize) < self.inner.tensors.borrow().nodes.len();
        (known && t.tag == self.inner.tag_of_tensor(t.index)).then_some(t.index)
    }

    /// The recorded number `i`.
    pub fn var(&self, i: u32) -> Var<E> {
        let (_, value) = self.inner.scalars.node(i);
        Var { value, index: i, tag: self.inner.tag_of_scalar(i) }
    }

    /// The recorded tensor `t`.
    pub fn tensor(&self, t: u32) -> TensorVar<E> {
        TensorVar { constant: E::ZERO, index: t, tag: self.inner.tag_of_tensor(t) }
    }

    /// A constant on this recording.
    #[track_caller]
    pub fn constant(&self, value: Tensor<E>) -> TensorVar<E> {
        TensorVar::source(&self.inner, value, Kind::Constant, None)
    }

    /// A new independent tensor on this recording.
    #[track_caller]
    pub fn leaf(&self, value: Tensor<E>) -> TensorVar<E> {
        TensorVar::source(&self.inner, value, Kind::Leaf, None)
    }

    /// The tags of the scalar nodes: each from a first node on.
    pub fn scalar_tags(&self) -> SmallVec<[(u32, u32); 2]> {
        self.inner.scalar_tags()
    }

    /// How many scalar nodes there are.
    pub fn scalars(&self) -> usize {
        self.inner.scalars.len()
    }

    /// How many tensor nodes there are.
    pub fn tensors(&self) -> usize {
        self.inner.tensors.borrow().nodes.len()
    }

    /// The scalar nodes, lent for a stretch of a sweep that runs no code of a user.
    pub fn segment(&self) -> Segment<'_, E> {
        self.inner.scalars.segment()
    }

    /// The facts about tensor node `t`.
    pub fn tensor_info(&self, t: u32) -> TensorInfo {
        let lane = self.inner.tensors.borrow();
        let node = &lane.nodes[t as usize];
        let (first, group) = match node.kind {
            Kind::Output { call, .. } => {
                let call = &lane.calls[call as usize];
                (call.first, call.outputs)
            }
            _ => (t, 1),
        };
        TensorInfo {
            at: node.at,
            leaf: matches!(node.kind, Kind::Leaf),
            active: node.active,
            label: node.label,
            first,
            group,
        }
    }

    /// Whether scalar node `i` is an independent variable.
    pub fn is_scalar_leaf(&self, i: u32) -> bool {
        Opcode(self.inner.scalars.node(i).0[0]) == Opcode::LEAF
    }

    fn carried(&self, i: u32) -> (u32, u32) {
        let ([_, a, b], _) = self.inner.scalars.node(i - 1);
        (a, b)
    }

    fn scalar_operands(&self, i: u32) -> ([u32; MAX_OPERANDS], usize) {
        let (node, _) = self.inner.scalars.node(i);
        let arity = |rule| self.inner.rules.borrow().get(rule).rule.arity();
        operands_of(node, arity, || self.carried(i))
    }

    /// Calls `f` with each node that `id` was made from.
    pub fn for_each_operand(&self, id: NodeId, mut f: impl FnMut(NodeId)) {
        match id {
            NodeId::Scalar(i) => {
                if let Some(t) = self.item_of(i) {
                    return f(NodeId::Tensor(t));
                }
                let (operands, arity) = self.scalar_operands(i);
                operands[..arity].iter().for_each(|&o| f(NodeId::Scalar(o)));
            }
            NodeId::Tensor(t) => {
                let lane = self.inner.tensors.borrow();
                match lane.nodes[t as usize].kind {
                    Kind::Leaf | Kind::Constant => {}
                    Kind::Lift { scalar } => f(NodeId::Scalar(scalar)),
                    Kind::Total { operand } => f(NodeId::Tensor(operand)),
                    Kind::Elementwise { operands, arity, constants, .. } => {
                        for k in (0..arity as usize).filter(|k| constants >> k & 1 == 0) {
                            f(NodeId::Tensor(operands[k]));
                        }
                    }
                    Kind::Output { call, .. } => {
                        for &input in &lane.calls[call as usize].inputs {
                            f(NodeId::Tensor(input));
                        }
                    }
                }
            }
        }
    }

    /// The tensor whose only element scalar node `i` is, if it is such a node.
    pub fn item_of(&self, i: u32) -> Option<u32> {
        let ([opcode, _, t], _) = self.inner.scalars.node(i);
        (Opcode(opcode) == Opcode::ITEM).then_some(t)
    }

    /// The rule of a scalar node that [`Segment::local_rule`] does not handle: a user's. Hands over
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
                        let cotangent = flow_back(product, self.tensor(operand), y);
                        sink(NodeId::Tensor(operand), cotangent);
                    },
                );
            }
            Kind::Total { operand } => {
                if let Some(g) = cotangents[0].filter(|_| needed(NodeId::Tensor(operand))) {
                    sink(NodeId::Tensor(operand), g);
                }
            }
            Kind::Output { call, .. } => {
                let (op, inputs, residuals) = {
                    let lane = self.inner.tensors.borrow();
                    let record = &lane.calls[call as usize];
                    (lane.op(call), record.inputs.clone(), record.residuals.clone())
                };
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
                    residuals: &residuals,
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

    /// The cotangent `g` of tensor `t` in the shape of `t`.
    pub fn fitted(&self, g: TensorVar<E>, t: u32) -> TensorVar<E> {
        fit(g, self.tensor(t))
    }

    /// Computes the tensors that `list` names, those of one shape in one pass over the data.
    pub fn compute(&self, list: impl FnOnce(&mut dyn FnMut(TensorVar<E>))) {
        crate::cluster::force_all(&self.inner, |targets| {
            list(&mut |t| {
                if self.tensor_id(t).is_some() {
                    targets.push(t.index);
                }
            });
        });
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

    /// Panics if the tape was reset or dropped since the sweep began.
    pub fn check(&self) {
        assert!(
            self.inner.epoch.get() == self.epoch,
            "the tape was reset or dropped while a sweep was running on it"
        );
    }

    /// Opens a tail: what is recorded from here on is forgotten when the guard is dropped, and its
    /// handles are stale then.
    pub fn begin_tail(&self) -> Tail<E> {
        self.check();
        Tail { inner: self.inner.clone(), epoch: self.epoch, tag: self.inner.begin() }
    }
}

/// See [`Recording::begin_tail`].
pub struct Tail<E: Real> {
    inner: Rc<Inner<E>>,
    epoch: u64,
    tag: u32,
}

impl<E: Real> Drop for Tail<E> {
    fn drop(&mut self) {
        if self.inner.epoch.get() == self.epoch {
            self.inner.rewind(self.tag);
        }
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
fn fit<E: Real>(cotangent: TensorVar<E>, operand: TensorVar<E>) -> TensorVar<E> {
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

/// The cotangent of an operand of an elementwise operation with the result `y`, from the product of the
/// cotangent of `y` with the partial derivative. What is the same for all elements stays a number, so the
/// product may lack axes.
#[track_caller]
fn flow_back<E: Real>(
    product: TensorVar<E>,
    operand: TensorVar<E>,
    y: TensorVar<E>,
) -> TensorVar<E> {
    let (target, whole) = (operand.shape(), y.shape());
    if target == whole {
        return product;
    }
    let own = if product.tag == NO_TAPE { Shape::scalar() } else { product.shape() };
    let common = own.broadcast(&target).expect("both broadcast to the shape of the result");
    // The operand was repeated along axes along which the product does not change.
    let times = whole.elements() / common.elements().max(1);
    fit(if times == 1 { product } else { product * E::lit(times as f64) }, operand)
}

// A node takes 12 bytes beside its value.
const _: () = assert!(size_of::<Node>() == 12);

impl<E: Real> Recording<E> {
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
}
