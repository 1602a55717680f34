//! Applying an operation with structure.

use std::panic::Location;
use std::rc::Rc;

use smallvec::{SmallVec, smallvec};

use super::TensorVar;
use crate::diagnostics::profile::bytes;
use crate::error::expect;
use crate::inner::{Call, Held, Kind};
use crate::op::{Op, Outputs};
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
    let name = op.name();
    assert!(
        !inputs.is_empty(),
        "{name}: an operation needs an input, which says what tape it is on"
    );
    let Some(on_tape) = inputs.iter().find(|v| v.tag != NO_TAPE) else {
        panic!("{name}: all inputs are constants without a tape; put one on it by Tape::constant")
    };
    // Constants without a tape become nodes; checks that all belong to one tape.
    let mut numbers: SmallVec<[u32; 6]> = SmallVec::new();
    let mut held = registry::find::<E>(on_tape.tag).0.tensors.borrow_mut().spare();
    let lists = Rc::get_mut(&mut held).expect("what nobody uses has one owner");
    for &input in inputs {
        let input = match input.tag {
            NO_TAPE => TensorVar::constant_on(
                on_tape.tag,
                Tensor::recycled(Shape::scalar(), input.constant),
            ),
            _ => input,
        };
        let (inner, _) = registry::find::<E>(on_tape.tag);
        inner.assert_owns(input.tag);
        numbers.push(input.index);
        lists.inputs.push(input.value_on(inner));
    }
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
    let (profiler, watched) = {
        let (inner, _) = registry::find::<E>(on_tape.tag);
        (inner.profiler.clone(), inner.watch().is_some())
    };
    let mut frame = profiler.and_then(|profiler| profiler.operation(name));
    if let Err(misfit) = op.forward(values, &mut outputs) {
        return Err(misfit.into_error(name, &shapes));
    }
    let rows = uncopied(&mut outputs, values, on_tape.tag);
    if rows.is_none() {
        outputs.check();
    }
    if frame.is_some() || watched {
        let tensors: SmallVec<[Tensor<E>; 3]> = outputs.tensors.iter().flatten().cloned().collect();
        if let Some(frame) = &mut frame {
            frame.bytes = bytes(&tensors, values) + bytes(&outputs.residuals, values);
        }
        if watched && let Some(watch) = registry::find::<E>(on_tape.tag).0.watch() {
            watch.look_at_call(name, values, &tensors);
        }
    }
    drop((frame, shapes));
    if op.kernel().is_some() {
        lists.outputs.extend(outputs.tensors.iter().flatten().cloned());
    }
    lists.residuals.extend(outputs.residuals.drain(..));
    // The operation was the user's code: the tape is looked up again, and so are the inputs.
    Ok(record(op, numbers, outputs, (Some(held), rows), on_tape.tag))
}

/// Records an operation that has been done.
#[track_caller]
fn record<E: Real, O: Op<E>>(
    op: O,
    inputs: SmallVec<[u32; 6]>,
    outputs: Outputs<E>,
    (held, rows): (Option<Rc<Held<E>>>, Option<Rows>),
    tag: u32,
) -> SmallVec<[TensorVar<E>; 3]> {
    let location = Location::caller();
    let (handles, _displaced) = {
        let (inner, tag) = registry::find::<E>(tag);
        let lane = &mut *inner.tensors.borrow_mut();
        let known = inputs.iter().all(|&i| (i as usize) < lane.nodes.len());
        assert!(known, "{}: the tape was cut while the operation ran", outputs.name);
        let active = inputs.iter().any(|&i| lane.nodes[i as usize].active);
        inputs.iter().for_each(|&i| lane.nodes[i as usize].uses += 1);
        let displaced = lane.put_op(op);
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
        (handles, displaced)
    };
    handles
}

impl<E: Real> TensorVar<E> {
    /// Applies an operation without a kernel, of one input, whose only output is known.
    #[track_caller]
    pub(crate) fn apply_done<O: Op<E>>(self, op: O, output: Tensor<E>) -> Self {
        debug_assert!(op.kernel().is_none(), "a kernel would read the input, which may be pending");
        let mut outputs = Outputs::new(op.name(), smallvec![output.shape().clone()]);
        outputs.tensors[0] = Some(output);
        record(op, smallvec![self.index], outputs, (None, None), self.tag)[0]
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
