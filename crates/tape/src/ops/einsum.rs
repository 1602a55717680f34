//! Einstein's summation: a composite of diagonals, sums, permutations and matrix products.

#[cfg(feature = "cases")]
pub(crate) mod cases;

use smallvec::SmallVec;

use crate::error::expect;
use crate::{Error, Real, Shape, TensorVar};

/// The name of an axis: a letter, or a place in an ellipsis, counted from its right end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    Dots(usize),
    Letter(char),
}

type Labels = SmallVec<[Label; 6]>;

/// The labels of one operand or of the result as written: letters, and where the ellipsis stands.
struct Term {
    letters: Vec<char>,
    dots: Option<usize>,
}

impl Term {
    fn parse(text: &str) -> Result<Self, String> {
        let (mut letters, mut dots) = (Vec::new(), None);
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix("...") {
                if dots.replace(letters.len()).is_some() {
                    return Err(format!("`{text}` has two ellipses"));
                }
                rest = after;
                continue;
            }
            if !c.is_ascii_alphabetic() {
                return Err(format!("`{c}` in `{text}` is no letter"));
            }
            letters.push(c);
            rest = &rest[1..];
        }
        Ok(Term { letters, dots })
    }

    /// The labels, where the ellipsis stands for `count` axes.
    fn labels(&self, count: usize) -> Labels {
        let at = self.dots.unwrap_or(self.letters.len());
        let count = if self.dots.is_some() { count } else { 0 };
        let (before, after) = self.letters.split_at(at);
        let letters = |letters: &[char]| letters.iter().map(|&c| Label::Letter(c)).collect();
        let (before, after): (Labels, Labels) = (letters(before), letters(after));
        before.into_iter().chain((0..count).rev().map(Label::Dots)).chain(after).collect()
    }
}

/// A tensor and the names of its axes.
#[derive(Clone)]
struct Named<E: Real> {
    tensor: TensorVar<E>,
    labels: Labels,
}

impl<E: Real> Named<E> {
    fn position(&self, label: Label) -> Option<usize> {
        self.labels.iter().position(|&l| l == label)
    }

    fn has(&self, label: Label) -> bool {
        self.labels.contains(&label)
    }

    /// How many elements the axes with these labels have.
    #[track_caller]
    fn extent(&self, labels: &[Label]) -> usize {
        let shape = self.tensor.shape();
        labels.iter().filter_map(|&l| self.position(l)).map(|k| shape[k]).product()
    }

    /// An axis for each label, instead of the diagonal of several axes of one label.
    #[track_caller]
    fn with_diagonals(mut self) -> Self {
        let mut k = 0;
        while k < self.labels.len() {
            let label = self.labels[k];
            match (k + 1..self.labels.len()).find(|&j| self.labels[j] == label) {
                Some(j) => {
                    self.tensor = self.tensor.diagonal(0, k as isize, j as isize);
                    self.labels.remove(j);
                    self.labels.remove(k);
                    self.labels.push(label);
                }
                None => k += 1,
            }
        }
        self
    }

    /// The sum over all axes but those that are wanted.
    #[track_caller]
    fn summed(mut self, wanted: impl Fn(Label) -> bool) -> Self {
        let axes: SmallVec<[isize; 4]> = (0..self.labels.len())
            .filter(|&k| !wanted(self.labels[k]))
            .map(|k| k as isize)
            .collect();
        if !axes.is_empty() {
            self.tensor = self.tensor.sum_axes(&axes[..]);
            self.labels.retain(|label| wanted(*label));
        }
        self
    }

    /// The axes in the order of the labels, which are its own.
    #[track_caller]
    fn in_order(self, labels: &[Label]) -> TensorVar<E> {
        let order: SmallVec<[isize; 6]> =
            labels.iter().filter_map(|&l| self.position(l)).map(|k| k as isize).collect();
        let sorted = order.iter().enumerate().all(|(k, &axis)| k as isize == axis);
        if sorted { self.tensor } else { self.tensor.permute(&order) }
    }
}

#[track_caller]
fn in_shape<E: Real>(tensor: TensorVar<E>, shape: Shape) -> TensorVar<E> {
    // A constant without a tape broadcasts to any shape.
    let fits = tensor.is_constant() || tensor.shape() == shape;
    if fits { tensor } else { tensor.reshape(shape) }
}

/// What two operands become: the labels of the product, those that are summed over and those that both
/// have and keep.
struct Plan {
    both: Labels,
    left: Labels,
    right: Labels,
    summed: Labels,
}

impl Plan {
    fn new<E: Real>(a: &Named<E>, b: &Named<E>, wanted: impl Fn(Label) -> bool) -> Self {
        let of = |labels: &Labels, f: &dyn Fn(Label) -> bool| -> Labels {
            labels.iter().copied().filter(|&l| f(l)).collect()
        };
        Plan {
            both: of(&a.labels, &|l| b.has(l) && wanted(l)),
            left: of(&a.labels, &|l| !b.has(l)),
            right: of(&b.labels, &|l| !a.has(l)),
            summed: of(&a.labels, &|l| b.has(l) && !wanted(l)),
        }
    }

    /// By how much memory grows, and how many multiplications there are.
    #[track_caller]
    fn cost<E: Real>(&self, a: &Named<E>, b: &Named<E>) -> (f64, f64) {
        let extent = |labels: &Labels, of: &Named<E>| of.extent(labels) as f64;
        let result = extent(&self.both, a) * extent(&self.left, a) * extent(&self.right, b);
        let operands = extent(&a.labels, a) + extent(&b.labels, b);
        (result - operands, result * extent(&self.summed, a))
    }

    #[track_caller]
    fn product<E: Real>(&self, a: Named<E>, b: Named<E>) -> Named<E> {
        let Plan { both, left, right, summed } = self;
        let (sa, sb) = (a.tensor.shape(), b.tensor.shape());
        let lens = |labels: &Labels, of: &Named<E>, shape: &Shape| -> Vec<usize> {
            labels.iter().filter_map(|&l| of.position(l)).map(|k| shape[k]).collect()
        };
        let (batch, rows) = (lens(both, &a, &sa), lens(left, &a, &sa));
        let (columns, inner) = (lens(right, &b, &sb), lens(summed, &a, &sa));
        let labels: Labels = [both, left, right].into_iter().flatten().copied().collect();
        let shape: Shape = [&batch, &rows, &columns].into_iter().flatten().copied().collect();
        let in_a: Labels = [both, left, summed].into_iter().flatten().copied().collect();
        let in_b: Labels = [both, summed, right].into_iter().flatten().copied().collect();
        let (x, y) = (a.in_order(&in_a), b.in_order(&in_b));
        if summed.is_empty() {
            // Nothing is summed: one elementwise product, in which each lacks the axes of the other.
            let ones = |n: usize| std::iter::repeat_n(1, n);
            let x =
                in_shape(x, batch.iter().chain(&rows).copied().chain(ones(right.len())).collect());
            let between = batch.iter().copied().chain(ones(left.len()));
            let y = in_shape(y, between.chain(columns.iter().copied()).collect());
            return Named { tensor: x * y, labels };
        }
        let size = |lens: &[usize]| lens.iter().product::<usize>();
        let (n, m, k, p) = (size(&batch), size(&rows), size(&inner), size(&columns));
        let (x, y) = match both.is_empty() {
            true => (in_shape(x, [m, k].into()), in_shape(y, [k, p].into())),
            false => (in_shape(x, [n, m, k].into()), in_shape(y, [n, k, p].into())),
        };
        Named { tensor: in_shape(x.matmul(y), shape), labels }
    }
}

/// Einstein's summation convention, as in numpy: each operand has a letter for each axis, and the result is
/// the sum, over all letters that it does not have, of the product of the operands.
///
/// | subscripts | meaning |
/// |---|---|
/// | `ij,jk->ik` | the product of two matrices |
/// | `bij,bjk->bik` | the products of two batches |
/// | `ii->i`, `ii->` | the diagonal, the trace |
/// | `i,j->ij` | the outer product |
/// | `ij,ij->` | the sum of the elementwise product |
/// | `bi,ij,bj->b` | a bilinear form for each of a batch |
/// | `...ij,...jk->...ik` | as `matmul` |
///
/// A letter that stands twice in one operand takes its diagonal. An ellipsis stands for any axes, which
/// broadcast from the right. Without `->` the result has the letters that stand once, in alphabetical
/// order, after the axes of the ellipsis. Spaces are ignored. An axis of length 1 does not broadcast
/// under a letter (unlike in numpy): lengths are equal.
///
/// Two operands at a time become one matrix product; of more than two, each time the pair whose
/// product adds the least to memory, and of equals the one with the fewest multiplications.
///
/// ```
/// use tape::{Tape, Tensor, einsum};
///
/// let tape = Tape::new();
/// let (a, x) = (tape.tensor([[1.0, 2.0], [3.0, 4.0]]), tape.tensor([1.0, -1.0]));
/// assert_eq!(einsum("i,ij,j", &[x, a, x]).item(), 0.0);
/// assert_eq!(einsum("ij->ji", &[a]).value(), Tensor::from([[1.0, 3.0], [2.0, 4.0]]));
/// ```
///
/// # Panics
/// If the subscripts cannot be read, do not fit the operands, or give one letter two lengths.
#[track_caller]
pub fn einsum<E: Real>(subscripts: &str, operands: &[TensorVar<E>]) -> TensorVar<E> {
    expect(try_einsum(subscripts, operands))
}

/// Like [`einsum`], for subscripts and shapes from outside.
///
/// # Errors
/// Where [`einsum`] panics.
#[track_caller]
pub fn try_einsum<E: Real>(
    subscripts: &str,
    operands: &[TensorVar<E>],
) -> Result<TensorVar<E>, Error> {
    let mut shapes: SmallVec<[Shape; 4]> = SmallVec::new();
    for operand in operands {
        shapes.push(operand.shape());
    }
    let (inputs, output) = match read(subscripts, &shapes) {
        Ok(read) => read,
        Err(detail) => {
            let shapes: Vec<&Shape> = shapes.iter().collect();
            return Err(Error::shape("einsum", &shapes, format!("\"{subscripts}\": {detail}")));
        }
    };
    // Along an ellipsis a length of 1 gives way to another one.
    let longest = |label: Label| {
        let lens = inputs.iter().zip(&shapes).flat_map(|(labels, shape)| {
            labels.iter().zip(shape.iter()).filter(move |(l, _)| **l == label).map(|(_, &len)| len)
        });
        lens.fold(1, |longest, len| if len == 1 { longest } else { len })
    };
    let mut list: Vec<Named<E>> = Vec::new();
    for (labels, &tensor) in inputs.iter().zip(operands) {
        let mut named = Named { tensor, labels: labels.clone() };
        for k in (0..labels.len()).rev() {
            let gives_way = matches!(labels[k], Label::Dots(_))
                && named.tensor.shape()[k] == 1
                && longest(labels[k]) != 1;
            if gives_way {
                named.tensor = named.tensor.squeeze(k as isize);
                named.labels.remove(k);
            }
        }
        list.push(named.with_diagonals());
    }
    for k in 0..list.len() {
        let elsewhere = |l| {
            output.contains(&l) || list.iter().enumerate().any(|(j, other)| j != k && other.has(l))
        };
        list[k] = list[k].clone().summed(elsewhere);
    }
    while list.len() > 1 {
        let mut best: Option<((f64, f64), usize, usize, Plan)> = None;
        for i in 0..list.len() {
            for j in i + 1..list.len() {
                let wanted = |l| {
                    let others = list.iter().enumerate().filter(|&(k, _)| k != i && k != j);
                    output.contains(&l) || others.into_iter().any(|(_, other)| other.has(l))
                };
                let plan = Plan::new(&list[i], &list[j], wanted);
                let cost = plan.cost(&list[i], &list[j]);
                if best.as_ref().is_none_or(|(least, ..)| cost < *least) {
                    best = Some((cost, i, j, plan));
                }
            }
        }
        let (_, i, j, plan) = best.expect("there are two operands");
        let (b, a) = (list.remove(j), list.remove(i));
        list.push(plan.product(a, b));
    }
    Ok(list.remove(0).in_order(&output))
}

/// The labels of the operands and of the result, or what is wrong.
fn read(subscripts: &str, shapes: &[Shape]) -> Result<(Vec<Labels>, Labels), String> {
    let text: String = subscripts.chars().filter(|c| !c.is_whitespace()).collect();
    let (left, right) = match text.split_once("->") {
        Some((left, right)) => (left, Some(right)),
        None => (&*text, None),
    };
    let terms: Vec<Term> = left.split(',').map(Term::parse).collect::<Result<_, _>>()?;
    if terms.len() != shapes.len() {
        return Err(format!("{} operands are named, {} are given", terms.len(), shapes.len()));
    }
    let (mut inputs, mut dots) = (Vec::new(), 0);
    for (k, (term, shape)) in terms.iter().zip(shapes).enumerate() {
        let count = shape.rank().checked_sub(term.letters.len());
        let Some(count) = count.filter(|&n| n == 0 || term.dots.is_some()) else {
            let named = term.letters.len();
            return Err(format!("operand {k} of shape {shape} has {named} letters"));
        };
        dots = dots.max(count);
        inputs.push(term.labels(count));
    }
    check_lengths(&inputs, shapes)?;
    let output = match right {
        Some(right) => {
            let term = Term::parse(right)?;
            if dots > 0 && term.dots.is_none() {
                return Err("the result lacks the ellipsis".to_owned());
            }
            term.labels(dots)
        }
        None => {
            let mut once: Vec<char> = terms.iter().flat_map(|t| t.letters.clone()).collect();
            once.sort_unstable();
            let all = once.clone();
            once.retain(|c| all.iter().filter(|d| *d == c).count() == 1);
            Term { letters: once, dots: Some(0) }.labels(dots)
        }
    };
    for (k, &label) in output.iter().enumerate() {
        let Label::Letter(c) = label else { continue };
        if output[..k].contains(&label) {
            return Err(format!("the result has `{c}` twice"));
        }
        if !inputs.iter().any(|labels| labels.contains(&label)) {
            return Err(format!("the result has `{c}`, which no operand has"));
        }
    }
    Ok((inputs, output))
}

/// Each label has one length; along an ellipsis, 1 fits every other one.
fn check_lengths(inputs: &[Labels], shapes: &[Shape]) -> Result<(), String> {
    let mut known: Vec<(Label, usize)> = Vec::new();
    for (labels, shape) in inputs.iter().zip(shapes) {
        for (&label, &len) in labels.iter().zip(shape.iter()) {
            match known.iter_mut().find(|(l, _)| *l == label) {
                None => known.push((label, len)),
                Some((_, old)) if *old == len => {}
                Some((Label::Dots(_), old)) if *old == 1 || len == 1 => {
                    *old = if *old == 1 { len } else { *old };
                }
                Some((Label::Letter(c), old)) => {
                    return Err(format!("`{c}` has the length {old} and the length {len}"));
                }
                Some((_, old)) => {
                    return Err(format!("the ellipses do not broadcast: lengths {old} and {len}"));
                }
            }
        }
    }
    Ok(())
}
