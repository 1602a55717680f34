//! Applying an operation with structure.

use std::panic::Location;
use std::rc::Rc;
use std::slice::from_ref;

use smallvec::{SmallVec, smallvec};

use super::TensorVar;
use crate::diagnostics::profile::bytes;
use crate::error::expect;
use crate::inner::{Held, Inner, Kind, TensorLane};
use crate::op::{Misfit, Op, Outputs};
use crate::ops::index::Rows;
use crate::registry::{self, NO_TAPE};
use crate::{Error, Real, Shape, Tensor};

/// Applies an operation.
///
/// # Errors
/// If it cannot take these shapes or values; the error has the caller's line, and nothing is
/// recorded.
///
/// # Panics
/// If an input is a stale handle or the inputs belong to different tapes, or if all of them are
/// constants without a tape.
#[track_caller]
pub fn try_apply_op<E: Real, O: Op<E>>(
    op: O,
    inputs: &[TensorVar<E>],
) -> Result<SmallVec<[TensorVar<E>; 3]>, Error> {
    let mut done = Done::nothing();
    done.apply(&op, inputs)?;
    let first = record(op, &mut done);
    let outputs = 0..done.outputs.tensors.len() as u32;
    Ok(outputs.map(|k| TensorVar::on_tape(first.index + k, first.tag)).collect())
}

/// Applies an operation with one output; see [`try_apply_op`].
///
/// # Errors
/// As there.
#[track_caller]
pub(crate) fn try_apply_one<E: Real, O: Op<E>>(
    op: O,
    inputs: &[TensorVar<E>],
) -> Result<TensorVar<E>, Error> {
    let mut done = Done::nothing();
    done.apply(&op, inputs)?;
    Ok(record(op, &mut done))
}

/// An operation that has been done, and is to be recorded.
///
/// What is done for an operation is the same code for all of them. Only the place that it gets in the recording is
/// compiled for each. It is large, so it is filled where it is.
struct Done<E: Real> {
    inputs: SmallVec<[u32; 6]>,
    outputs: Outputs<E>,
    held: Option<Rc<Held<E>>>,
    rows: Option<Rows>,
    tag: u32,
}

impl<E: Real> Done<E> {
    fn nothing() -> Self {
        let (inputs, outputs) = (SmallVec::new(), Outputs::new());
        Done { inputs, outputs, held: None, rows: None, tag: NO_TAPE }
    }

    /// Does an operation.
    #[track_caller]
    fn apply(&mut self, op: &dyn Op<E>, inputs: &[TensorVar<E>]) -> Result<(), Error> {
        let name = op.name();
        assert!(
            !inputs.is_empty(),
            "{name}: an operation needs an input, which says what tape it is on"
        );
        let Some(on_tape) = inputs.iter().find(|v| v.tag != NO_TAPE) else {
            panic!(
                "{name}: all inputs are constants without a tape; put one on it by Tape::constant"
            )
        };
        let tag = on_tape.tag;
        let mut held = registry::find::<E>(tag).0.tensors.borrow_mut().calls.spare();
        let lists = Rc::get_mut(&mut held).expect("what nobody uses has one owner");
        gather(inputs, tag, &mut self.inputs, &mut lists.inputs);
        let values = &lists.inputs[..];
        let mut shapes: SmallVec<[&Shape; 6]> = SmallVec::new();
        values.iter().for_each(|value| shapes.push(value.shape()));
        let outputs = &mut self.outputs;
        match op.infer(&shapes) {
            Ok(out_shapes) => outputs.announce(name, out_shapes),
            Err(misfit) => return Err(misfit.into_error(name, &shapes)),
        }
        assert!(!outputs.shapes.is_empty(), "{name}: infer announces no outputs");
        if let Some(detail) = outputs.shapes.iter().find_map(Shape::flaw) {
            return Err(Error::shape(name, &shapes, detail));
        }
        self.rows = match forward(op, values, outputs, tag) {
            Ok(rows) => rows,
            Err(misfit) => return Err(misfit.into_error(name, &shapes)),
        };
        drop(shapes);
        if op.kernel().is_some() {
            let made = outputs.tensors.iter().flatten();
            made.for_each(|output| lists.outputs.extend_from_slice(from_ref(output)));
        }
        lists.residuals.extend(outputs.residuals.drain(..));
        (self.held, self.tag) = (Some(held), tag);
        Ok(())
    }
}

/// Appends the numbers of the inputs, and their values. Constants without a tape become nodes.
///
/// # Panics
/// Unless all belong to one tape.
#[track_caller]
fn gather<E: Real>(
    inputs: &[TensorVar<E>],
    tag: u32,
    numbers: &mut SmallVec<[u32; 6]>,
    values: &mut Vec<Tensor<E>>,
) {
    for &input in inputs {
        let input = match input.tag {
            NO_TAPE => {
                TensorVar::constant_on(tag, Tensor::recycled(Shape::scalar(), input.constant))
            }
            _ => input,
        };
        let (inner, _) = registry::find::<E>(tag);
        inner.assert_owns(input.tag);
        numbers.push(input.index);
        // Copied from where it is to where it goes: what is put down in between is waited for.
        let lane = inner.tensors.borrow();
        if let Some(value) = &input.node(&lane).value {
            values.extend_from_slice(from_ref(value));
            continue;
        }
        drop(lane);
        values.push(input.value_on(inner));
    }
}

/// Computes the outputs, and looks at them where somebody wants to know. Gives the rows that are the output, if they stay
/// where they are.
#[track_caller]
fn forward<E: Real>(
    op: &dyn Op<E>,
    values: &[Tensor<E>],
    outputs: &mut Outputs<E>,
    tag: u32,
) -> Result<Option<Rows>, Misfit> {
    let (profiler, watched) = {
        let (inner, _) = registry::find::<E>(tag);
        (inner.profiler.clone(), inner.watch().is_some())
    };
    let mut frame = profiler.and_then(|profiler| profiler.operation(outputs.name));
    op.forward(values, outputs)?;
    let rows = uncopied(outputs, values, tag);
    if rows.is_none() {
        outputs.check();
    }
    if frame.is_some() || watched {
        let tensors: SmallVec<[Tensor<E>; 3]> = outputs.tensors.iter().flatten().cloned().collect();
        if let Some(frame) = &mut frame {
            frame.bytes = bytes(&tensors, values) + bytes(&outputs.residuals, values);
        }
        if watched && let Some(watch) = registry::find::<E>(tag).0.watch() {
            watch.look_at_call(outputs.name, values, &tensors);
        }
    }
    Ok(rows)
}

/// Records an operation that has been done; gives its first output.
#[track_caller]
fn record<E: Real, O: Op<E>>(op: O, done: &mut Done<E>) -> TensorVar<E> {
    // The operation was the user's code: the tape is looked up again, and so are the inputs. An operation whose place this one takes
    // is dropped when the tape is free, as that is the user's code, too.
    let _displaced;
    let (inner, tag) = registry::find::<E>(done.tag);
    let mut lane = inner.tensors.borrow_mut();
    _displaced = lane.put_op(op);
    TensorVar::on_tape(push_call(inner, &mut lane, done), tag)
}

/// Records a call whose operation is in its place; gives the number of the first output.
#[track_caller]
fn push_call<E: Real>(inner: &Inner<E>, lane: &mut TensorLane<E>, done: &mut Done<E>) -> u32 {
    let location = Location::caller();
    let Done { inputs, outputs: Outputs { name, shapes, tensors, .. }, held, rows, .. } = done;
    let known = inputs.iter().all(|&i| (i as usize) < lane.nodes.len());
    assert!(known, "{name}: the tape was cut while the operation ran");
    let active = inputs.iter().any(|&i| lane.nodes[i as usize].active);
    inputs.iter().for_each(|&i| lane.nodes[i as usize].uses += 1);
    let first = lane.nodes.len() as u32;
    let (number, call) = lane.calls.push(first, tensors.len() as u32);
    call.inputs.extend_from_slice(inputs);
    (call.held, call.rows) = (held.take(), rows.take());
    for (shape, tensor) in shapes.iter().zip(tensors) {
        let (at, kind) = (inner.scalars.len() as u32, Kind::Output { call: number });
        let (_, node) = lane.nodes.push(kind, shape.clone(), at, location);
        (node.value, node.active) = (tensor.take(), active);
    }
    first
}

impl<E: Real> TensorVar<E> {
    /// Applies an operation without a kernel, of one input, whose only output is known.
    #[track_caller]
    pub(crate) fn apply_done<O: Op<E>>(self, op: O, output: Tensor<E>) -> Self {
        debug_assert!(op.kernel().is_none(), "a kernel would read the input, which may be pending");
        let mut done = Done::nothing();
        done.outputs.announce(op.name(), smallvec![output.shape().clone()]);
        done.outputs.tensors[0] = Some(output);
        done.inputs.push(self.index);
        done.tag = self.tag;
        record(op, &mut done)
    }
}

/// The rows that are the output, if they may stay where they are; others are copied.
///
/// What a rule records is made of cotangents, which do not stay themselves; and where values are looked at there have to
/// be some.
#[track_caller]
fn uncopied<E: Real>(outputs: &mut Outputs<E>, values: &[Tensor<E>], tag: u32) -> Option<Rows> {
    let rows = outputs.rows.take()?;
    let name = outputs.name;
    let ([table], [shape]) = (values, &outputs.shapes[..]) else {
        panic!("{name}: rows are those of an only input, and there are {}", values.len())
    };
    assert!(
        rows.fit(table.shape(), shape),
        "{name}: forward says that its output of shape {shape} is rows of {} that are not there",
        table.shape()
    );
    let (inner, _) = registry::find::<E>(tag);
    let stay = inner.start_of_tail().is_none() && inner.watch().is_none() && rows.may_stay::<E>();
    if !stay {
        outputs.tensors[0] = Some(rows.copied(table, shape.clone()));
    }
    stay.then_some(rows)
}

/// Applies an operation; see [`try_apply_op`].
///
/// # Panics
/// Where [`try_apply_op`] returns an error, and where it panics.
#[track_caller]
pub fn apply_op<E: Real, O: Op<E>>(op: O, inputs: &[TensorVar<E>]) -> SmallVec<[TensorVar<E>; 3]> {
    expect(try_apply_op(op, inputs))
}
