//! Applying an operation with structure.

use std::panic::Location;
use std::rc::Rc;

use smallvec::{SmallVec, smallvec};

use super::TensorVar;
use crate::diagnostics::profile::bytes;
use crate::error::expect;
use crate::inner::{Call, Held, Inner, Kind, TensorLane};
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
    let done = Done::by(&op, inputs)?;
    Ok(record(op, done))
}

/// An operation that has been done, and is to be recorded.
///
/// What is done for an operation is the same code for all of them. Only the place that it gets in the recording is
/// compiled for each.
struct Done<E: Real> {
    inputs: SmallVec<[u32; 6]>,
    outputs: Outputs<E>,
    held: Option<Rc<Held<E>>>,
    rows: Option<Rows>,
    tag: u32,
}

impl<E: Real> Done<E> {
    /// Does an operation.
    #[track_caller]
    fn by(op: &dyn Op<E>, inputs: &[TensorVar<E>]) -> Result<Self, Error> {
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
        let mut held = registry::find::<E>(tag).0.tensors.borrow_mut().spare();
        let lists = Rc::get_mut(&mut held).expect("what nobody uses has one owner");
        let numbers = gather(inputs, tag, &mut lists.inputs);
        let values = &lists.inputs[..];
        let mut shapes: SmallVec<[&Shape; 6]> = SmallVec::new();
        values.iter().for_each(|value| shapes.push(value.shape()));
        let out_shapes = match op.infer(&shapes) {
            Ok(out_shapes) => out_shapes,
            Err(misfit) => return Err(misfit.into_error(name, &shapes)),
        };
        assert!(!out_shapes.is_empty(), "{name}: infer announces no outputs");
        if let Some(detail) = out_shapes.iter().find_map(Shape::flaw) {
            return Err(Error::shape(name, &shapes, detail));
        }
        let mut outputs = Outputs::new(name, out_shapes);
        let rows = match forward(op, values, &mut outputs, tag) {
            Ok(rows) => rows,
            Err(misfit) => return Err(misfit.into_error(name, &shapes)),
        };
        drop(shapes);
        if op.kernel().is_some() {
            lists.outputs.extend(outputs.tensors.iter().flatten().cloned());
        }
        lists.residuals.extend(outputs.residuals.drain(..));
        Ok(Done { inputs: numbers, outputs, held: Some(held), rows, tag })
    }
}

/// The numbers of the inputs; appends their values. Constants without a tape become nodes.
///
/// # Panics
/// Unless all belong to one tape.
#[track_caller]
fn gather<E: Real>(
    inputs: &[TensorVar<E>],
    tag: u32,
    values: &mut Vec<Tensor<E>>,
) -> SmallVec<[u32; 6]> {
    let mut numbers = SmallVec::new();
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
        values.push(input.value_on(inner));
    }
    numbers
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

/// Records an operation that has been done.
#[track_caller]
fn record<E: Real, O: Op<E>>(op: O, done: Done<E>) -> SmallVec<[TensorVar<E>; 3]> {
    // The operation was the user's code: the tape is looked up again, and so are the inputs. An operation whose place this one takes
    // is dropped when the tape is free, as that is the user's code, too.
    let _displaced;
    let (inner, tag) = registry::find::<E>(done.tag);
    let mut lane = inner.tensors.borrow_mut();
    _displaced = lane.put_op(op);
    push_call(inner, &mut lane, done, tag)
}

/// Records a call whose operation is in its place.
#[track_caller]
fn push_call<E: Real>(
    inner: &Inner<E>,
    lane: &mut TensorLane<E>,
    done: Done<E>,
    tag: u32,
) -> SmallVec<[TensorVar<E>; 3]> {
    let location = Location::caller();
    let Done { inputs, outputs, held, rows, .. } = done;
    let known = inputs.iter().all(|&i| (i as usize) < lane.nodes.len());
    assert!(known, "{}: the tape was cut while the operation ran", outputs.name);
    let active = inputs.iter().any(|&i| lane.nodes[i as usize].active);
    inputs.iter().for_each(|&i| lane.nodes[i as usize].uses += 1);
    let call = lane.calls.len() as u32;
    let first = lane.nodes.len() as u32;
    let Outputs { shapes, tensors, .. } = outputs;
    let outputs = tensors.len() as u32;
    lane.calls.push(Call { inputs, first, outputs, held, rows });
    let mut handles: SmallVec<[TensorVar<E>; 3]> = SmallVec::new();
    for (shape, tensor) in shapes.into_iter().zip(tensors) {
        let at = inner.scalars.len() as u32;
        let (t, node) = lane.nodes.push(Kind::Output { call }, shape, at, location);
        (node.value, node.active) = (tensor, active);
        handles.push(TensorVar::on_tape(t, tag));
    }
    handles
}

impl<E: Real> TensorVar<E> {
    /// Applies an operation without a kernel, of one input, whose only output is known.
    #[track_caller]
    pub(crate) fn apply_done<O: Op<E>>(self, op: O, output: Tensor<E>) -> Self {
        debug_assert!(op.kernel().is_none(), "a kernel would read the input, which may be pending");
        let mut outputs = Outputs::new(op.name(), smallvec![output.shape().clone()]);
        outputs.tensors[0] = Some(output);
        let inputs = smallvec![self.index];
        record(op, Done { inputs, outputs, held: None, rows: None, tag: self.tag })[0]
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
