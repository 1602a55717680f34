//! The operations as data: how each is called, on what points, and what it should give.
//!
//! Each file of operations lists its cases beside the rules; a test of the workspace walks them all and
//! writes the table in `docs/operations.md`. Functions are pointers and not generic, so that the
//! test is compiled once for all of them.

use crate::{Real, Shape, Tensor, TensorVar, Var};

/// An operation, and what it takes to check it.
#[derive(Clone, Debug)]
pub struct Case {
    /// The name of the function or method. Several cases may have one name.
    pub name: &'static str,
    /// How it is called.
    pub signature: &'static str,
    /// The derivative, in one line: `dx` is the cotangent of `x`, `g` that of the result `y`.
    pub derivative: &'static str,
    /// Where it is not differentiable; empty if it is everywhere.
    pub kinks: &'static str,
    /// The operation on tensors of double precision. Several results are flattened into one.
    pub run: fn(&[TensorVar<f64>]) -> TensorVar<f64>,
    /// The same in single precision.
    pub run_single: fn(&[TensorVar<f32>]) -> TensorVar<f32>,
    /// The same on plain tensors.
    pub plain: fn(&[&Tensor]) -> Tensor,
    /// The same on recorded numbers, if it is elementwise.
    pub scalar: Option<OnNumbers>,
    /// An independent computation of the value.
    pub reference: Reference,
    /// The points at which it is checked.
    pub points: Vec<Vec<Argument>>,
    /// Whether it has a derivative at all. Indices and truth values have none.
    pub differentiable: bool,
    /// How far the value may be from the reference, as a part of the largest.
    pub accuracy: f64,
    /// How far value and gradient in single precision may be from those in double precision, as a part of
    /// the largest.
    pub single_accuracy: f64,
}

/// An operation on recorded numbers.
pub type OnNumbers = fn(&[Var<f64>]) -> Var<f64>;

/// An independent computation of a value.
#[derive(Clone, Copy, Debug)]
pub enum Reference {
    /// Element by element; arguments broadcast.
    Each(fn(&[f64]) -> f64),
    /// As a whole.
    Whole(fn(&[Tensor]) -> Tensor),
}

/// An argument at a point.
#[derive(Clone, Debug)]
pub struct Argument {
    shape: Shape,
    data: Data,
    /// Whether it is a constant of the case: nothing is differentiated by it.
    pub fixed: bool,
}

#[derive(Clone, Debug)]
enum Data {
    Inside(f64, f64),
    Apart(f64, f64),
    Exactly(Vec<f64>),
}

/// Numbers between two ends that look random.
pub fn inside(shape: impl Into<Shape>, low: f64, high: f64) -> Argument {
    Argument { shape: shape.into(), data: Data::Inside(low, high), fixed: false }
}

/// Numbers at equal distances between two ends, in an order that looks random: no two are so near that a
/// finite difference would exchange them.
pub fn apart(shape: impl Into<Shape>, low: f64, high: f64) -> Argument {
    Argument { shape: shape.into(), data: Data::Apart(low, high), fixed: false }
}

/// These numbers.
pub fn exactly(shape: impl Into<Shape>, data: &[f64]) -> Argument {
    Argument { shape: shape.into(), data: Data::Exactly(data.to_vec()), fixed: false }
}

impl Argument {
    /// The same, as a constant.
    #[must_use]
    pub fn fixed(self) -> Self {
        Argument { fixed: true, ..self }
    }

    /// The numbers. Each is also one of single precision. `k` is the place among the arguments:
    /// those of equal shape and range differ.
    pub fn value(&self, k: usize) -> Tensor {
        let n = self.shape.elements();
        let random = |i: usize| {
            let u = ((i + 101 * k + 1) as f64 * 12.9898).sin() * 43_758.545_3;
            u - u.floor()
        };
        let data: Vec<f64> = match &self.data {
            Data::Inside(low, high) => (0..n).map(|i| low + (high - low) * random(i)).collect(),
            Data::Apart(low, high) => {
                let mut order: Vec<usize> = (0..n).collect();
                order.sort_by(|&a, &b| random(a).total_cmp(&random(b)));
                let place = |i: usize| (i as f64 + 0.5) / n as f64;
                order.into_iter().map(|i| low + (high - low) * place(i)).collect()
            }
            Data::Exactly(data) => data.clone(),
        };
        Tensor::new(self.shape.clone(), data.iter().map(|&x| f64::from(x as f32)).collect())
    }
}

impl Case {
    /// A case without points.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn new(
        name: &'static str,
        signature: &'static str,
        derivative: &'static str,
        run: fn(&[TensorVar<f64>]) -> TensorVar<f64>,
        run_single: fn(&[TensorVar<f32>]) -> TensorVar<f32>,
        plain: fn(&[&Tensor]) -> Tensor,
        scalar: Option<OnNumbers>,
        reference: Reference,
    ) -> Self {
        Case {
            name,
            signature,
            derivative,
            kinks: "",
            run,
            run_single,
            plain,
            scalar,
            reference,
            points: Vec::new(),
            differentiable: true,
            accuracy: 1e-13,
            single_accuracy: 1e-5,
        }
    }

    /// Says where it is not differentiable.
    pub(crate) fn kinks(self, kinks: &'static str) -> Self {
        Case { kinks, ..self }
    }

    /// Adds a point.
    pub(crate) fn at(mut self, point: impl Into<Vec<Argument>>) -> Self {
        self.points.push(point.into());
        self
    }

    /// Adds points of one argument each.
    pub(crate) fn at_each(mut self, points: impl IntoIterator<Item = Argument>) -> Self {
        self.points.extend(points.into_iter().map(|argument| vec![argument]));
        self
    }

    /// Adds points of the usual shapes, from the ranges of the arguments of an elementwise operation: plain,
    /// broadcast, of rank 0, without elements.
    pub(crate) fn ranges(mut self, ranges: &[[f64; 2]]) -> Self {
        let shapes: &[&[&[usize]]] = match ranges.len() {
            1 => &[&[&[7]], &[&[2, 3, 2]], &[&[]], &[&[2, 0]]],
            2 => &[
                &[&[3, 2], &[3, 2]],
                &[&[3, 1], &[2]],
                &[&[], &[2, 2]],
                &[&[2], &[]],
                &[&[], &[]],
                &[&[0, 2], &[2]],
            ],
            3 => &[
                &[&[2, 2], &[2, 2], &[2, 2]],
                &[&[2, 1], &[3], &[]],
                &[&[], &[], &[]],
                &[&[0], &[], &[1]],
            ],
            _ => &[&[&[2], &[2], &[2], &[2]], &[&[2, 1], &[2], &[], &[1]], &[&[], &[], &[], &[]]],
        };
        for shapes in shapes {
            let arguments = shapes.iter().zip(ranges);
            self.points.push(arguments.map(|(&s, &[low, high])| inside(s, low, high)).collect());
        }
        self
    }

    /// Says that there is no derivative, because the result is not a number of the kind.
    pub(crate) fn discrete(self) -> Self {
        Case { differentiable: false, ..self }
    }

    /// How far the value may be from the reference, as a part of the largest.
    pub(crate) fn accuracy(self, accuracy: f64) -> Self {
        Case { accuracy, ..self }
    }

    /// How far single precision may be from double precision, as a part of the largest.
    pub(crate) fn single_accuracy(self, single_accuracy: f64) -> Self {
        Case { single_accuracy, ..self }
    }
}

/// The text of a case, read for plain tensors: functions have their plain twins there.
macro_rules! plainly {
    ($run:expr) => {{
        #[allow(unused_imports)]
        use $crate::cases::plain::*;
        $run
    }};
}
pub(crate) use plainly;

/// What the names of free functions mean in a case that runs on plain tensors.
pub(crate) mod plain {
    use std::borrow::Borrow;

    use crate::{Attention, Indices, Operand, Reduction, Tensor};

    pub(crate) fn concat(tensors: &[impl Borrow<Tensor>], axis: isize) -> Tensor {
        Tensor::concat(tensors, axis)
    }
    pub(crate) fn stack(tensors: &[impl Borrow<Tensor>], axis: isize) -> Tensor {
        Tensor::stack(tensors, axis)
    }
    pub(crate) fn einsum(subscripts: &str, operands: &[impl Borrow<Tensor>]) -> Tensor {
        Tensor::einsum(subscripts, operands)
    }
    pub(crate) fn where_(
        mask: impl Operand<f64>,
        x: impl Operand<f64>,
        y: impl Operand<f64>,
    ) -> Tensor {
        Tensor::where_(mask, x, y)
    }
    pub(crate) fn scaled_dot_product_attention(
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        attention: Attention<&Tensor>,
    ) -> Tensor {
        Tensor::scaled_dot_product_attention(q, k, v, attention)
    }
    pub(crate) fn multi_head_attention(
        qkv: &Tensor,
        heads: usize,
        attention: Attention<&Tensor>,
    ) -> Tensor {
        Tensor::multi_head_attention(qkv, heads, attention)
    }

    // And the helpers of the cases.

    pub(crate) trait Value {
        fn value(&self) -> Tensor;
    }
    impl Value for Tensor {
        fn value(&self) -> Tensor {
            self.clone()
        }
    }

    pub(crate) fn together(results: &[impl Borrow<Tensor>]) -> Tensor {
        let flat: Vec<Tensor> = results.iter().map(|result| result.borrow().flatten()).collect();
        Tensor::concat(&flat, 0)
    }
    pub(crate) fn all_of(loss: impl Fn(Reduction) -> Tensor) -> Tensor {
        together(&[loss(Reduction::None), loss(Reduction::Mean), loss(Reduction::Sum)])
    }
    pub(crate) fn numbers(_: &Tensor, indices: &Indices) -> Tensor {
        indices.as_slice().iter().map(|&i| i as f64).collect()
    }
    pub(crate) fn truth(_: &Tensor, truth: bool) -> Tensor {
        Tensor::scalar(f64::from(u8::from(truth)))
    }
    pub(crate) fn power(x: &Tensor, n: f64) -> Tensor {
        x.powf(n)
    }
    pub(crate) fn select(a: &Tensor, b: &Tensor, x: &Tensor, y: &Tensor) -> Tensor {
        Tensor::select_gt(a, b, x, y)
    }
}

/// A case of an elementwise operation: name, how it is called, derivative, the operation on `x[0]`, `x[1]`, ...,
/// the reference on numbers, and the ranges of the arguments.
macro_rules! elementwise {
    ($name:expr, $signature:expr, $derivative:expr, |$x:ident| $run:expr, |$r:ident| $reference:expr, $ranges:expr) => {
        $crate::cases::Case::new(
            $name,
            $signature,
            $derivative,
            |$x: &[$crate::TensorVar<f64>]| $run,
            |$x: &[$crate::TensorVar<f32>]| $run,
            |$x: &[&$crate::Tensor]| $crate::cases::plainly!($run),
            Some(|$x: &[$crate::Var<f64>]| $run),
            $crate::cases::Reference::Each(|$r: &[f64]| $reference),
        )
        .ranges(&$ranges)
    };
}
pub(crate) use elementwise;

/// A case of an operation on whole tensors: name, how it is called, derivative, the operation on `x[0]`,
/// `x[1]`, ..., and the reference on plain tensors.
macro_rules! whole {
    ($name:expr, $signature:expr, $derivative:expr, |$x:ident| $run:expr, |$r:ident| $reference:expr) => {
        $crate::cases::Case::new(
            $name,
            $signature,
            $derivative,
            |$x: &[$crate::TensorVar<f64>]| $run,
            |$x: &[$crate::TensorVar<f32>]| $run,
            |$x: &[&$crate::Tensor]| $crate::cases::plainly!($run),
            None,
            $crate::cases::Reference::Whole(|$r: &[$crate::Tensor]| $reference),
        )
    };
}
pub(crate) use whole;

/// Several results as one.
pub(crate) fn together<E: Real>(results: &[TensorVar<E>]) -> TensorVar<E> {
    let mut flat = Vec::new();
    for result in results {
        flat.push(result.flatten());
    }
    crate::concat(&flat, 0)
}

/// Naive loops that references are made of.
pub(crate) mod naive {
    use crate::{Shape, Tensor};

    /// All indices of a shape, in row-major order.
    pub(crate) fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
        let mut all = vec![Vec::new()];
        for &len in shape {
            all = all
                .iter()
                .flat_map(|index| {
                    (0..len).map(move |i| {
                        let mut index = index.clone();
                        index.push(i);
                        index
                    })
                })
                .collect();
        }
        all
    }

    /// The element at an index.
    pub(crate) fn at(x: &Tensor, index: &[usize]) -> f64 {
        let offset = index.iter().zip(x.shape().iter()).fold(0, |o, (&i, &len)| o * len + i);
        x.as_slice()[offset]
    }

    /// A tensor from what `f` gives at each index.
    pub(crate) fn build(shape: &[usize], f: impl Fn(&[usize]) -> f64) -> Tensor {
        Tensor::new(shape, indices(shape).iter().map(|index| f(index)).collect())
    }

    /// `f` of the elements that a reduction over `axes` brings together, in order.
    pub(crate) fn reduce(
        x: &Tensor,
        axes: &[usize],
        keep: bool,
        f: impl Fn(&[f64]) -> f64,
    ) -> Tensor {
        let shape: Vec<usize> = x.shape().to_vec();
        let kept: Vec<usize> =
            (0..shape.len()).map(|k| if axes.contains(&k) { 1 } else { shape[k] }).collect();
        let groups: Vec<f64> = indices(&kept)
            .iter()
            .map(|place| {
                let same = |index: &Vec<usize>| {
                    (0..shape.len()).all(|k| axes.contains(&k) || index[k] == place[k])
                };
                let group: Vec<f64> =
                    indices(&shape).iter().filter(|i| same(i)).map(|i| at(x, i)).collect();
                f(&group)
            })
            .collect();
        let gone = (0..shape.len()).filter(|k| keep || !axes.contains(k)).map(|k| kept[k]);
        Tensor::new(gone.collect::<Vec<usize>>(), groups)
    }

    /// `f` of all elements, as a tensor of rank 0.
    pub(crate) fn total(x: &Tensor, f: impl Fn(&[f64]) -> f64) -> Tensor {
        Tensor::scalar(f(x.as_slice()))
    }

    /// `f` of each line along an axis, which gives a line of any one length.
    pub(crate) fn lines(x: &Tensor, axis: usize, f: impl Fn(&[f64]) -> Vec<f64>) -> Tensor {
        let shape: Vec<usize> = x.shape().to_vec();
        let line = |index: &[usize]| -> Vec<f64> {
            let mut index = index.to_vec();
            (0..shape[axis])
                .map(|i| {
                    index[axis] = i;
                    at(x, &index)
                })
                .collect()
        };
        let mut out = shape.clone();
        if x.len() > 0 {
            out[axis] = f(&line(&vec![0; shape.len()])).len();
        }
        build(&out, |index| f(&line(index))[index[axis]])
    }

    /// Results one after the other.
    pub(crate) fn together(results: &[Tensor]) -> Tensor {
        let data: Vec<f64> = results.iter().flat_map(|r| r.to_vec()).collect();
        Tensor::new(Shape::from([data.len()]), data)
    }
}

/// Every case, by family, in the order of the table.
pub fn all() -> Vec<(&'static str, Vec<Case>)> {
    let mut families = vec![("Elementary", crate::elementary::cases::cases())];
    families.extend(crate::ops::cases());
    families
}
