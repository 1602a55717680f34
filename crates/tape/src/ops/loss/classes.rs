//! Losses of predictions of one class of several.

use super::Reduction;
use super::cross_entropy::MeanCrossEntropy;
use crate::error::{expect, require};
use crate::ops::{Indices, where_};
use crate::tensor_var::try_apply_one;
use crate::{Error, Real, Shape, Tensor, TensorVar};

/// How a cross-entropy is taken.
///
/// ```
/// use tape::{CrossEntropy, Reduction, Tape};
///
/// let tape = Tape::new();
/// let x = tape.tensor([[0.0, 0.0], [3.0, -3.0]]);
/// let options = CrossEntropy { smoothing: 0.1, reduction: Reduction::Sum, ..Default::default() };
/// assert!(x.cross_entropy_with([0, 1], options).item() > 6.0);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CrossEntropy {
    /// A weight for each class; 1 if there are none.
    pub weights: Option<Vec<f64>>,
    /// The part of the target that is spread evenly over all classes (Szegedy et al. 2016, "Rethinking the inception
    /// architecture").
    pub smoothing: f64,
    /// The label of rows that do not count.
    pub ignore: Option<usize>,
    /// What becomes of the losses of the rows. The mean is weighted: their sum, divided by that of the weights of
    /// their labels.
    pub reduction: Reduction,
}

/// How a hinge loss of several classes is taken.
#[derive(Clone, Debug, PartialEq)]
pub struct MultiMargin {
    /// By how much the score of the label is to be above the others; 1 unless said otherwise.
    pub margin: f64,
    /// The power of what is missing; 1 unless said otherwise.
    pub p: u32,
    /// A weight for each class, by which the loss of a row with that label is multiplied; 1 if there are none.
    pub weights: Option<Vec<f64>>,
    /// What becomes of the losses of the rows. The mean is not weighted.
    pub reduction: Reduction,
}

impl Default for MultiMargin {
    fn default() -> Self {
        MultiMargin { margin: 1.0, p: 1, weights: None, reduction: Reduction::Mean }
    }
}

/// Labels for the rows of `[..., classes]`, as constants of the tape.
struct Rows<E: Real> {
    /// The shape without that of the classes.
    shape: Shape,
    classes: usize,
    /// The label of each row; 0 where the row is ignored.
    labels: Vec<usize>,
    /// The weight of its label; 0 where the row is ignored.
    weights: Vec<E>,
    /// Whether each row counts, if any does not.
    counts: Option<Vec<E>>,
}

impl<E: Real> Rows<E> {
    #[track_caller]
    fn new(
        name: &'static str,
        x: TensorVar<E>,
        labels: &Indices,
        options: &CrossEntropy,
    ) -> Result<Self, Error> {
        let full = x.shape();
        let Some((&classes, outer)) = full.split_last() else {
            let detail = "there is no axis of classes".to_owned();
            return Err(Error::shape(name, &[&full], detail));
        };
        let shape = Shape::from(outer);
        let labels = labels.as_slice();
        if labels.len() != shape.elements() {
            let detail = format!("{} labels for {} rows", labels.len(), shape.elements());
            return Err(Error::shape(name, &[&full], detail));
        }
        check_weights(name, &full, classes, options)?;
        let counts = |label: &usize| Some(*label) != options.ignore;
        let wrong = labels.iter().enumerate().find(|&(_, l)| counts(l) && *l >= classes);
        if let Some((row, label)) = wrong {
            return Err(Error::Argument {
                operation: name,
                detail: format!("label {label} of row {row} for {classes} classes"),
                location: std::panic::Location::caller(),
            });
        }
        let weight = |label: &usize| match (&options.weights, counts(label)) {
            (_, false) => E::ZERO,
            (None, true) => E::ONE,
            (Some(weights), true) => E::lit(weights[*label]),
        };
        let all = labels.iter().all(counts);
        let as_number = |label: &usize| if counts(label) { E::ONE } else { E::ZERO };
        Ok(Rows {
            shape,
            classes,
            weights: labels.iter().map(weight).collect(),
            counts: (!all).then(|| labels.iter().map(as_number).collect()),
            labels: labels.iter().map(|l| if counts(l) { *l } else { 0 }).collect(),
        })
    }

    /// The element of each row at its label.
    #[track_caller]
    fn at_labels(&self, x: TensorVar<E>) -> TensorVar<E> {
        let rows = self.labels.len();
        let flat = x.reshape([rows, self.classes]);
        flat.gather(1, [rows, 1], &self.labels).reshape(&self.shape)
    }

    #[track_caller]
    fn constant(&self, x: TensorVar<E>, numbers: &[E]) -> TensorVar<E> {
        x.constant_like(Tensor::new(&self.shape, numbers.to_vec()))
    }

    /// `x` with zeros in the rows that do not count: so nothing that is in them can become NaN times 0.
    #[track_caller]
    fn masked(&self, x: TensorVar<E>) -> TensorVar<E> {
        match &self.counts {
            Some(counts) => where_(self.constant(x, counts).unsqueeze(-1), x, E::ZERO),
            None => x,
        }
    }

    #[track_caller]
    fn reduce(&self, losses: TensorVar<E>, reduction: Reduction) -> TensorVar<E> {
        match reduction {
            Reduction::Mean => losses.sum() / self.weights.iter().copied().sum::<E>(),
            other => other.of(losses),
        }
    }
}

#[track_caller]
fn check_weights(
    name: &'static str,
    shape: &Shape,
    classes: usize,
    options: &CrossEntropy,
) -> Result<(), Error> {
    let smoothing = options.smoothing;
    require((0.0..=1.0).contains(&smoothing), name, || {
        format!("the smoothing {smoothing} is not in [0, 1]")
    })?;
    match &options.weights {
        Some(weights) if weights.len() != classes => {
            let detail = format!("{} weights for {classes} classes", weights.len());
            Err(Error::shape(name, &[shape], detail))
        }
        _ => Ok(()),
    }
}

impl<E: Real> TensorVar<E> {
    /// The mean cross-entropy of logits `[..., classes]` against integer labels, one for each row:
    /// `mean(-log_softmax(x)[label])`, of rank 0, stable for logits of any size.
    ///
    /// # Panics
    /// If the number of labels is not that of the rows, or a label is not below the number of
    /// classes.
    #[track_caller]
    pub fn cross_entropy(self, labels: impl Into<Indices>) -> Self {
        expect(self.try_cross_entropy(labels))
    }

    /// Like [`cross_entropy`](Self::cross_entropy), for labels from outside.
    ///
    /// # Errors
    /// If the number of labels is not that of the rows, or a label is not below the number of
    /// classes.
    #[track_caller]
    pub fn try_cross_entropy(self, labels: impl Into<Indices>) -> Result<Self, Error> {
        try_apply_one(MeanCrossEntropy { labels: labels.into() }, &[self])
    }

    /// The cross-entropy of logits `[..., classes]` against integer labels, one for each row, with weights of classes,
    /// smoothed labels, and rows that do not count; see [`CrossEntropy`].
    ///
    /// With the smoothing `s` the loss of a row is `-(1 - s) w[label] log_p[label] - s mean(w log_p)`. Rows that do not
    /// count have the loss and the derivative 0. If no row counts, the mean is NaN, as in PyTorch.
    ///
    /// # Panics
    /// If the number of labels is not that of the rows, a label that counts is not below the number of classes, there are
    /// not as many weights as classes, or the smoothing is not in `[0, 1]`.
    #[track_caller]
    pub fn cross_entropy_with(self, labels: impl Into<Indices>, options: CrossEntropy) -> Self {
        expect(self.try_cross_entropy_with(labels, options))
    }

    /// Like [`cross_entropy_with`](Self::cross_entropy_with), for labels from outside.
    ///
    /// # Errors
    /// Where [`cross_entropy_with`](Self::cross_entropy_with) panics.
    #[track_caller]
    #[allow(clippy::needless_pass_by_value)] // Options are written where they are used.
    pub fn try_cross_entropy_with(
        self,
        labels: impl Into<Indices>,
        options: CrossEntropy,
    ) -> Result<Self, Error> {
        let labels = labels.into();
        if options == CrossEntropy::default() {
            return self.try_cross_entropy(labels);
        }
        let rows = Rows::new("cross_entropy_with", self, &labels, &options)?;
        let ln_p = rows.masked(self).log_softmax(-1);
        let smoothing = options.smoothing;
        let of_labels = rows.at_labels(ln_p) * rows.constant(self, &rows.weights);
        let mut losses = of_labels * E::lit(smoothing - 1.0);
        if smoothing > 0.0 {
            let weighted = match &options.weights {
                Some(weights) => {
                    let weights = weights.iter().map(|&w| E::lit(w)).collect::<Vec<_>>();
                    ln_p * self.constant_like(weights)
                }
                None => ln_p,
            };
            let mut spread = weighted.mean_axes(-1);
            if let Some(counts) = &rows.counts {
                spread *= rows.constant(self, counts);
            }
            losses -= spread * E::lit(smoothing);
        }
        Ok(rows.reduce(losses, options.reduction))
    }

    /// The cross-entropy of logits `[..., classes]` against probabilities of the same shape:
    /// `-sum(w t log_softmax(x))` over the classes, with the weights and the smoothing of [`CrossEntropy`]. The mean is that over
    /// the rows; `ignore` must be `None`.
    ///
    /// # Panics
    /// If the shapes differ or have no axis of classes, there are not as many weights as classes, the smoothing is not in
    /// `[0, 1]`, or `ignore` is given.
    #[track_caller]
    pub fn cross_entropy_of(self, probabilities: impl Into<Self>, options: CrossEntropy) -> Self {
        expect(self.try_cross_entropy_of(probabilities, options))
    }

    /// Like [`cross_entropy_of`](Self::cross_entropy_of), for shapes from outside.
    ///
    /// # Errors
    /// Where [`cross_entropy_of`](Self::cross_entropy_of) panics.
    #[track_caller]
    #[allow(clippy::needless_pass_by_value)] // Options are written where they are used.
    pub fn try_cross_entropy_of(
        self,
        probabilities: impl Into<Self>,
        options: CrossEntropy,
    ) -> Result<Self, Error> {
        let name = "cross_entropy_of";
        let target = probabilities.into();
        super::equal_shapes(name, &[self, target])?;
        require(options.ignore.is_none(), name, || {
            "there are no labels that could be ignored".to_owned()
        })?;
        let shape = self.shape();
        let Some(&classes) = shape.last() else {
            let detail = "there is no axis of classes".to_owned();
            return Err(Error::shape(name, &[&shape], detail));
        };
        check_weights(name, &shape, classes, &options)?;
        let smoothing = options.smoothing;
        let mut target = target;
        if smoothing > 0.0 {
            target = target * E::lit(1.0 - smoothing) + E::lit(smoothing / classes as f64);
        }
        if let Some(weights) = &options.weights {
            let weights = weights.iter().map(|&w| E::lit(w)).collect::<Vec<_>>();
            target *= self.constant_like(weights);
        }
        Ok(options.reduction.of(-(target * self.log_softmax(-1)).sum_axes(-1)))
    }

    /// The negative element at the label of each row of *logarithms* of probabilities `[..., classes]`, with weights and rows
    /// that do not count; see [`CrossEntropy`], whose smoothing must be 0. After
    /// [`log_softmax`](Self::log_softmax) it is the cross-entropy.
    ///
    /// # Panics
    /// Where [`cross_entropy_with`](Self::cross_entropy_with) does, or if there is a smoothing.
    #[track_caller]
    pub fn nll_loss(self, labels: impl Into<Indices>, options: CrossEntropy) -> Self {
        expect(self.try_nll_loss(labels, options))
    }

    /// Like [`nll_loss`](Self::nll_loss), for labels from outside.
    ///
    /// # Errors
    /// Where [`nll_loss`](Self::nll_loss) panics.
    #[track_caller]
    #[allow(clippy::needless_pass_by_value)] // Options are written where they are used.
    pub fn try_nll_loss(
        self,
        labels: impl Into<Indices>,
        options: CrossEntropy,
    ) -> Result<Self, Error> {
        require(options.smoothing == 0.0, "nll_loss", || "smoothing is for logits".to_owned())?;
        let rows = Rows::new("nll_loss", self, &labels.into(), &options)?;
        let ln_p = rows.at_labels(rows.masked(self));
        Ok(rows.reduce(-(ln_p * rows.constant(self, &rows.weights)), options.reduction))
    }

    /// The hinge loss of several classes, for scores `[..., classes]` and a label for each row: the sum over the
    /// wrong classes of `max(0, margin - x[label] + x[class])`, divided by the number of classes, reduced over the rows
    /// (Crammer and Singer 2001). PyTorch's default for the margin is 1.
    ///
    /// # Panics
    /// If the number of labels is not that of the rows, or a label is not below the number of classes.
    #[track_caller]
    pub fn multi_margin_loss(
        self,
        labels: impl Into<Indices>,
        margin: f64,
        reduction: Reduction,
    ) -> Self {
        expect(self.try_multi_margin_loss(labels, margin, reduction))
    }

    /// Like [`multi_margin_loss`](Self::multi_margin_loss), for labels from outside.
    ///
    /// # Errors
    /// Where [`multi_margin_loss`](Self::multi_margin_loss) panics.
    #[track_caller]
    pub fn try_multi_margin_loss(
        self,
        labels: impl Into<Indices>,
        margin: f64,
        reduction: Reduction,
    ) -> Result<Self, Error> {
        let options = MultiMargin { margin, reduction, ..MultiMargin::default() };
        self.margins("multi_margin_loss", &labels.into(), options)
    }

    /// Like [`multi_margin_loss`](Self::multi_margin_loss), with a power and weights: the sum over the wrong classes of
    /// `weight[label] max(0, margin - x[label] + x[class])^p`, divided by the number of classes.
    ///
    /// ```
    /// use tape::{MultiMargin, Tape};
    ///
    /// let tape = Tape::new();
    /// let x = tape.tensor([[0.5, 1.5]]);
    /// let options = MultiMargin { p: 2, weights: Some(vec![3.0, 1.0]), ..MultiMargin::default() };
    /// assert_eq!(x.multi_margin_loss_with([0], options).item(), 3.0 * 4.0 / 2.0);
    /// ```
    ///
    /// # Panics
    /// Where [`multi_margin_loss`](Self::multi_margin_loss) does, or if there are weights, but not one for each class,
    /// or `p` is 0.
    #[track_caller]
    pub fn multi_margin_loss_with(self, labels: impl Into<Indices>, options: MultiMargin) -> Self {
        expect(self.try_multi_margin_loss_with(labels, options))
    }

    /// Like [`multi_margin_loss_with`](Self::multi_margin_loss_with), for labels from outside.
    ///
    /// # Errors
    /// Where [`multi_margin_loss_with`](Self::multi_margin_loss_with) panics.
    #[track_caller]
    pub fn try_multi_margin_loss_with(
        self,
        labels: impl Into<Indices>,
        options: MultiMargin,
    ) -> Result<Self, Error> {
        self.margins("multi_margin_loss_with", &labels.into(), options)
    }

    #[track_caller]
    fn margins(
        self,
        name: &'static str,
        labels: &Indices,
        options: MultiMargin,
    ) -> Result<Self, Error> {
        let MultiMargin { margin, p, weights, reduction } = options;
        require(p > 0, name, || "the power is 0".to_owned())?;
        let weighted = weights.is_some();
        let rows = Rows::new(name, self, labels, &CrossEntropy { weights, ..Default::default() })?;
        // The label itself would add the margin.
        let mut margins = Tensor::full(self.shape(), E::lit(margin));
        for (row, &label) in margins.as_mut_slice().chunks_mut(rows.classes).zip(&rows.labels) {
            row[label] = E::ZERO;
        }
        let of_labels = rows.at_labels(self).unsqueeze(-1);
        let losses = (self - of_labels + self.constant_like(margins)).relu();
        let powers = if p == 1 { losses } else { losses.powi(p as i32) };
        let means = powers.mean_axes(-1);
        let means = if weighted { means * rows.constant(self, &rows.weights) } else { means };
        Ok(reduction.of(means))
    }
}
