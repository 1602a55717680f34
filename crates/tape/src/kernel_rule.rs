//! Fast first-order rules: what an [`Op`](crate::Op) may offer beside its composite one.

use crate::ops::index::Rows;
use crate::{Indices, Real, Shape, Tensor, recycle};

/// A fast rule of an [`Op`](crate::Op) for sweeps whose result is numbers.
///
/// It computes on plain numbers what [`Op::vjp`](crate::Op::vjp) records as a composite. A recorded
/// sweep, which must be differentiated again, always takes the composite; so both must say the same,
/// and a test should compare them.
///
/// ```
/// use tape::{
///     Backward, Cotangents, KernelCall, Misfit, Op, Outputs, Real, Shape, Shapes, Tape, Tensor,
///     VjpKernel, smallvec,
/// };
///
/// /// `sum(x^2)`.
/// struct SumOfSquares;
///
/// impl<E: Real> Op<E> for SumOfSquares {
///     fn name(&self) -> &'static str {
///         "sum_of_squares"
///     }
///     fn infer(&self, _: &[&Shape]) -> Result<Shapes, Misfit> {
///         Ok(smallvec![Shape::scalar()])
///     }
///     fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
///         outputs.buffer(0)[0] = inputs[0].iter().map(|&x| x * x).sum();
///         Ok(())
///     }
///     fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
///         smallvec![Some(call.cotangent() * E::lit(2.0) * call.inputs[0])]
///     }
///     fn kernel(&self) -> Option<&dyn VjpKernel<E>> {
///         Some(self)
///     }
/// }
///
/// impl<E: Real> VjpKernel<E> for SumOfSquares {
///     fn run(&self, call: &mut KernelCall<'_, E>) {
///         let (x, g) = (&call.inputs[0], call.cotangent().item());
///         let Some(target) = call.target(0) else { return };
///         for (slot, &x) in target.buffer.iter_mut().zip(x.iter()) {
///             let cotangent = g * E::lit(2.0) * x;
///             *slot = if target.add { *slot + cotangent } else { cotangent };
///         }
///     }
/// }
///
/// let tape = Tape::new();
/// let x = tape.tensor([3.0, 4.0]);
/// assert_eq!(x.apply_op(SumOfSquares).item(), 25.0);
/// ```
pub trait VjpKernel<E: Real> {
    /// Computes the cotangents of the inputs from those of the outputs.
    fn run(&self, call: &mut KernelCall<'_, E>);

    /// Which piece of the only input the only output is, if that is all there is to the operation: then the kernel does
    /// nothing but to add the cotangent, as it is, to that piece of the cotangent of the input. `None`, as for most
    /// operations, says nothing.
    ///
    /// A sweep may then leave [`run`](Self::run) out: where the cotangent is pending work, it is added to that of the
    /// input while it is computed, and is never a tensor in memory. Work over at most 512 elements is not pending, so a test
    /// of this needs an output with more.
    ///
    /// ```
    /// use tape::{
    ///     Backward, Cotangents, KernelCall, Misfit, Op, Outputs, Pad, Piece, Real, Shape, Shapes,
    ///     Tensor, VjpKernel, smallvec,
    /// };
    ///
    /// /// The elements of a tensor of rank 1 without the first so many.
    /// struct Skip(usize);
    ///
    /// impl<E: Real> Op<E> for Skip {
    ///     fn name(&self) -> &'static str {
    ///         "skip"
    ///     }
    ///     fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
    ///         let rest = inputs[0].elements().checked_sub(self.0);
    ///         let rest = rest.ok_or_else(|| Misfit::shape("it has too few elements"))?;
    ///         Ok(smallvec![Shape::from([rest])])
    ///     }
    ///     fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
    ///         outputs.buffer(0).copy_from_slice(&inputs[0].as_slice()[self.0..]);
    ///         Ok(())
    ///     }
    ///     fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
    ///         smallvec![Some(call.cotangent().pad(0, self.0, 0, Pad::Constant(0.0)))]
    ///     }
    ///     fn kernel(&self) -> Option<&dyn VjpKernel<E>> {
    ///         Some(self)
    ///     }
    /// }
    ///
    /// impl<E: Real> VjpKernel<E> for Skip {
    ///     fn run(&self, call: &mut KernelCall<'_, E>) {
    ///         let g = call.cotangent();
    ///         let Some(sum) = call.sum(0) else { return };
    ///         sum[self.0..].iter_mut().zip(g.iter()).for_each(|(sum, &g)| *sum += g);
    ///     }
    ///     fn piece(&self, _: &Shape) -> Option<Piece> {
    ///         Some(Piece::Stretch(self.0))
    ///     }
    /// }
    /// ```
    fn piece(&self, input: &Shape) -> Option<Piece> {
        let _ = input;
        None
    }
}

/// Some of the elements of a tensor, in row-major order; see [`VjpKernel::piece`].
#[derive(Clone, Debug)]
pub enum Piece {
    /// Those from this one on.
    Stretch(usize),
    /// Rows: of every index `i` the `width` elements from number `i * width` on. An index may stand several times.
    Rows {
        /// The indices.
        indices: Indices,
        /// The length of a row.
        width: usize,
    },
}

impl Piece {
    /// Whether it is as long as the output, and within the input.
    pub(crate) fn fits(&self, input: &Shape, output: &Shape) -> bool {
        match self {
            Piece::Stretch(first) => {
                let end = first.checked_add(output.elements());
                end.is_some_and(|end| end <= input.elements())
            }
            Piece::Rows { indices, width } => {
                Rows { indices: indices.clone(), width: *width }.fit(input, output)
            }
        }
    }
}

/// What [`VjpKernel::run`] is given, and where it puts its results.
#[derive(Debug)]
pub struct KernelCall<'a, E: Real> {
    /// The values of the inputs.
    pub inputs: &'a [Tensor<E>],
    /// The values of the outputs; none for rows that [`Outputs::set_rows`](crate::Outputs::set_rows) has named, which may not
    /// have been copied.
    pub outputs: &'a [Tensor<E>],
    /// The cotangent of each output, which has its shape; `None` for an output that the result does not
    /// depend on.
    pub cotangents: &'a [Option<Tensor<E>>],
    /// What [`Outputs::keep`](crate::Outputs::keep) has kept. A kernel computes numbers, so here they may
    /// be anything that the forward pass has found.
    pub residuals: &'a [Tensor<E>],
    results: &'a mut [Place<E>],
}

/// Where the cotangent of one input goes.
#[derive(Debug)]
pub(crate) enum Place<E: Real> {
    /// Nobody asks for it.
    Unneeded,
    /// Nothing has been written.
    Empty,
    /// A buffer that the sweep has lent: it holds the sum of the cotangents so far.
    Sum(Tensor<E>),
    /// A buffer that the kernel has asked for.
    Fresh(Tensor<E>),
}

/// A buffer for the cotangent of one input, in row-major order.
#[derive(Debug)]
pub struct Target<'t, E> {
    /// The numbers. If `add` is false, what they are at first is unspecified.
    pub buffer: &'t mut [E],
    /// Whether the cotangent is to be added to what the buffer holds, and not to replace it.
    pub add: bool,
}

impl<'a, E: Real> KernelCall<'a, E> {
    pub(crate) fn new(
        inputs: &'a [Tensor<E>],
        outputs: &'a [Tensor<E>],
        cotangents: &'a [Option<Tensor<E>>],
        residuals: &'a [Tensor<E>],
        results: &'a mut [Place<E>],
    ) -> Self {
        KernelCall { inputs, outputs, cotangents, residuals, results }
    }

    /// Whether the cotangent of input `k` is asked for.
    pub fn needs(&self, k: usize) -> bool {
        !matches!(self.results[k], Place::Unneeded)
    }

    /// The cotangent of an operation with one output.
    ///
    /// # Panics
    /// If the operation has several outputs and nothing flows to the first.
    pub fn cotangent(&self) -> &'a Tensor<E> {
        self.cotangents[0]
            .as_ref()
            .expect("the only output has a cotangent, or the rule is not asked")
    }

    /// The buffer for the cotangent of input `k`; `None` if nobody asks for it. Once it was asked for, it
    /// must be written.
    pub fn target(&mut self, k: usize) -> Option<Target<'_, E>> {
        target(&mut self.results[k], &self.inputs[k])
    }

    /// The buffers for the first `N` inputs at once, as [`target`](Self::target).
    pub fn targets<const N: usize>(&mut self) -> [Option<Target<'_, E>>; N] {
        let mut places = self.results.iter_mut().zip(self.inputs);
        std::array::from_fn(|_| places.next().and_then(|(place, input)| target(place, input)))
    }

    /// The buffer for the cotangent of input `k`, to be added to: zeros, if nothing has flowed there yet.
    pub fn sum(&mut self, k: usize) -> Option<&mut [E]> {
        let target = self.target(k)?;
        if !target.add {
            target.buffer.fill(E::ZERO);
        }
        Some(target.buffer)
    }

    /// Makes `cotangent` that of input `k`, or adds it to what has flowed there; a buffer that nobody
    /// else holds is not copied.
    ///
    /// # Panics
    /// If its shape is not that of the input.
    pub fn set(&mut self, k: usize, cotangent: Tensor<E>) {
        let shape = self.inputs[k].shape();
        assert!(
            cotangent.shape() == shape,
            "a kernel gives input {k} of shape {shape} a cotangent of shape {}",
            cotangent.shape()
        );
        match &mut self.results[k] {
            Place::Unneeded => {}
            Place::Sum(sum) | Place::Fresh(sum) => {
                add_to(sum, &cotangent);
                recycle::give(cotangent.into_buffer());
            }
            place @ Place::Empty => *place = Place::Fresh(cotangent),
        }
    }
}

fn target<'t, E: Real>(place: &'t mut Place<E>, input: &Tensor<E>) -> Option<Target<'t, E>> {
    if let Place::Empty = place {
        *place = Place::Fresh(Tensor::uninitialised(input.shape().clone()));
        let Place::Fresh(tensor) = place else { unreachable!("it was put there a line above") };
        return Some(Target { buffer: tensor.as_mut_slice(), add: false });
    }
    match place {
        Place::Sum(tensor) | Place::Fresh(tensor) => {
            Some(Target { buffer: tensor.as_mut_slice(), add: true })
        }
        Place::Unneeded | Place::Empty => None,
    }
}

/// `sum += x`; a shared buffer is copied first.
pub(crate) fn add_to<E: Real>(sum: &mut Tensor<E>, x: &Tensor<E>) {
    for (sum, &x) in sum.as_mut_slice().iter_mut().zip(x.iter()) {
        *sum += x;
    }
}
