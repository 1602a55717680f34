//! Losses of pairs and triples of vectors.

use super::{CrossEntropy, Reduction, equal_shapes};
use crate::error::{expect, require};
use crate::{Error, Real, TensorVar};

/// How the loss of triples is taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TripletMargin {
    /// By how much the negative is to be farther away; 1 unless said otherwise.
    pub margin: f64,
    /// The order of the norm, at least 1, which may be infinite; 2 unless said otherwise.
    pub p: f64,
    /// Whether the distance to the negative is that of the nearer one of `x` and the positive (Balntas et al. 2016,
    /// "Learning local feature descriptors with triplets and shallow convolutional neural networks").
    pub swap: bool,
    /// What becomes of the losses of the rows.
    pub reduction: Reduction,
}

impl Default for TripletMargin {
    fn default() -> Self {
        TripletMargin { margin: 1.0, p: 2.0, swap: false, reduction: Reduction::Mean }
    }
}

impl<E: Real> TensorVar<E> {
    /// The cosine of the angle between vectors along an axis, which goes:
    /// `sum(x y) / (max(|x|, eps) max(|y|, eps))`. Where a vector is no longer than `eps`, its length is a
    /// constant; so the derivative at 0 is finite. PyTorch's default for `eps` is 1e-8.
    ///
    /// ```
    /// use tape::Tape;
    ///
    /// let tape = Tape::new();
    /// let (x, y) = (tape.tensor([3.0, 0.0]), tape.tensor([4.0, 4.0]));
    /// assert!((x.cosine_similarity(y, 0, 1e-8).item() - 0.5f64.sqrt()).abs() < 1e-15);
    /// ```
    ///
    /// # Panics
    /// If the shapes differ, the axis does not exist, or `eps` is not positive.
    #[track_caller]
    pub fn cosine_similarity(self, other: impl Into<Self>, axis: isize, eps: f64) -> Self {
        expect(self.try_cosine_similarity(other, axis, eps))
    }

    /// Like [`cosine_similarity`](Self::cosine_similarity), for shapes from outside.
    ///
    /// # Errors
    /// Where [`cosine_similarity`](Self::cosine_similarity) panics.
    #[track_caller]
    pub fn try_cosine_similarity(
        self,
        other: impl Into<Self>,
        axis: isize,
        eps: f64,
    ) -> Result<Self, Error> {
        require(eps > 0.0, "cosine_similarity", || format!("eps is {eps}, which is not positive"))?;
        let other = other.into();
        equal_shapes("cosine_similarity", &[self, other])?;
        self.try_axis("cosine_similarity", axis)?;
        Ok((unit(self, axis, eps) * unit(other, axis, eps)).sum_axes(axis))
    }

    /// For rows of vectors `[..., d]` and a `y` for each pair, which is 1 or -1: `1 - cos` where `y` is 1, else
    /// `max(0, cos - margin)`, reduced.
    ///
    /// # Panics
    /// If the shapes of the vectors differ or that of `y` is not that of the rows.
    #[track_caller]
    pub fn cosine_embedding_loss(
        self,
        other: impl Into<Self>,
        y: impl Into<Self>,
        margin: f64,
        reduction: Reduction,
    ) -> Self {
        expect(self.try_cosine_embedding_loss(other, y, margin, reduction))
    }

    /// Like [`cosine_embedding_loss`](Self::cosine_embedding_loss), for shapes from outside.
    ///
    /// # Errors
    /// Where [`cosine_embedding_loss`](Self::cosine_embedding_loss) panics.
    #[track_caller]
    pub fn try_cosine_embedding_loss(
        self,
        other: impl Into<Self>,
        y: impl Into<Self>,
        margin: f64,
        reduction: Reduction,
    ) -> Result<Self, Error> {
        let name = "cosine_embedding_loss";
        let (other, y) = (other.into(), y.into());
        vectors(name, &[self, other])?;
        let cos = self.try_cosine_similarity(other, -1, 1e-8)?;
        equal_shapes(name, &[cos, y])?;
        let apart = (cos - E::lit(margin)).relu();
        Ok(reduction.of(TensorVar::select_gt(y, E::ZERO, Self::from(E::ONE) - cos, apart)))
    }

    /// For rows of vectors `[..., d]`: `max(0, |x - positive| - |x - negative| + margin)`, reduced (Schroff,
    /// Kalenichenko and Philbin 2015, "FaceNet"), with Euclidean lengths. The derivative of a length at 0 is 0. (PyTorch
    /// adds 1e-6 to each difference instead.)
    ///
    /// # Panics
    /// If the shapes differ or have no axis.
    #[track_caller]
    pub fn triplet_margin_loss(
        self,
        positive: impl Into<Self>,
        negative: impl Into<Self>,
        margin: f64,
        reduction: Reduction,
    ) -> Self {
        expect(self.try_triplet_margin_loss(positive, negative, margin, reduction))
    }

    /// Like [`triplet_margin_loss`](Self::triplet_margin_loss), for shapes from outside.
    ///
    /// # Errors
    /// If the shapes differ or have no axis.
    #[track_caller]
    pub fn try_triplet_margin_loss(
        self,
        positive: impl Into<Self>,
        negative: impl Into<Self>,
        margin: f64,
        reduction: Reduction,
    ) -> Result<Self, Error> {
        let options = TripletMargin { margin, reduction, ..TripletMargin::default() };
        self.triplets("triplet_margin_loss", positive.into(), negative.into(), options)
    }

    /// Like [`triplet_margin_loss`](Self::triplet_margin_loss), with lengths by another norm, and on request with the
    /// positive in place of `x` where it is nearer to the negative.
    ///
    /// # Panics
    /// If the shapes differ or have no axis, or `p` is below 1.
    #[track_caller]
    pub fn triplet_margin_loss_with(
        self,
        positive: impl Into<Self>,
        negative: impl Into<Self>,
        options: TripletMargin,
    ) -> Self {
        expect(self.try_triplet_margin_loss_with(positive, negative, options))
    }

    /// Like [`triplet_margin_loss_with`](Self::triplet_margin_loss_with), for shapes from outside.
    ///
    /// # Errors
    /// If the shapes differ or have no axis, or `p` is below 1.
    #[track_caller]
    pub fn try_triplet_margin_loss_with(
        self,
        positive: impl Into<Self>,
        negative: impl Into<Self>,
        options: TripletMargin,
    ) -> Result<Self, Error> {
        self.triplets("triplet_margin_loss_with", positive.into(), negative.into(), options)
    }

    #[track_caller]
    fn triplets(
        self,
        name: &'static str,
        positive: Self,
        negative: Self,
        options: TripletMargin,
    ) -> Result<Self, Error> {
        let TripletMargin { margin, p, swap, reduction } = options;
        require(p >= 1.0, name, || format!("the norm is of order {p}, and not at least 1"))?;
        vectors(name, &[self, positive, negative])?;
        let near = (self - positive).norm_axes(-1, p);
        let far = (self - negative).norm_axes(-1, p);
        let far = if swap { far.min((positive - negative).norm_axes(-1, p)) } else { far };
        Ok(reduction.of((near - far + E::lit(margin)).relu()))
    }

    /// The contrastive loss InfoNCE (van den Oord, Li and Vinyals 2018) of queries `[n, d]` and keys `[n, d]`: the
    /// cross-entropy of `queries keys^T / temperature`, where the key of each query is the one in the same
    /// row. For cosines, make the vectors unit vectors first.
    ///
    /// # Panics
    /// If the shapes differ or are not those of matrices, or the temperature is not positive.
    #[track_caller]
    pub fn info_nce(self, keys: impl Into<Self>, temperature: f64, reduction: Reduction) -> Self {
        expect(self.try_info_nce(keys, temperature, reduction))
    }

    /// Like [`info_nce`](Self::info_nce), for shapes from outside.
    ///
    /// # Errors
    /// Where [`info_nce`](Self::info_nce) panics.
    #[track_caller]
    pub fn try_info_nce(
        self,
        keys: impl Into<Self>,
        temperature: f64,
        reduction: Reduction,
    ) -> Result<Self, Error> {
        require(temperature > 0.0, "info_nce", || format!("the temperature is {temperature}"))?;
        let keys = keys.into();
        equal_shapes("info_nce", &[self, keys])?;
        let shape = self.shape();
        let [n, _] = *shape else {
            let detail = "queries and keys are rows of matrices".to_owned();
            return Err(Error::shape("info_nce", &[&shape], detail));
        };
        let logits = self.matmul(keys.t()) / E::lit(temperature);
        let labels: Vec<usize> = (0..n).collect();
        logits.try_cross_entropy_with(labels, CrossEntropy { reduction, ..CrossEntropy::default() })
    }
}

/// Vectors divided by their length, or by `eps` where that is larger.
#[track_caller]
fn unit<E: Real>(x: TensorVar<E>, axis: isize, eps: f64) -> TensorVar<E> {
    let square = (x * x).sum_axes_keep(axis);
    let least = E::lit(eps * eps);
    x / TensorVar::select_gt(square, least, square, least).sqrt()
}

/// An error unless all shapes are equal and have an axis.
#[track_caller]
fn vectors<E: Real>(name: &'static str, operands: &[TensorVar<E>]) -> Result<(), Error> {
    equal_shapes(name, operands)?;
    let shape = operands[0].shape();
    match shape.rank() {
        0 => Err(Error::shape(name, &[&shape], "there is no axis of vectors".to_owned())),
        _ => Ok(()),
    }
}
