//! Losses: composites of other operations.

use super::Indices;
use crate::error::expect;
use crate::{Error, Real, TensorVar};

impl<E: Real> TensorVar<E> {
    /// The mean squared error `mean((x - target)^2)`, of rank 0.
    ///
    /// The shapes must be equal: a `[n]` against a `[n, 1]` would broadcast to `[n, n]`, which is
    /// never what is meant.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn mse_loss(self, target: impl Into<Self>) -> Self {
        expect(self.try_mse_loss(target))
    }

    /// Like [`mse_loss`](Self::mse_loss), for shapes from outside.
    ///
    /// # Errors
    /// If the shapes differ.
    #[track_caller]
    pub fn try_mse_loss(self, target: impl Into<Self>) -> Result<Self, Error> {
        let target = target.into();
        let (own, other) = (self.shape(), target.shape());
        if own != other {
            return Err(Error::shape("mse_loss", &[&own, &other], "they differ".to_owned()));
        }
        let residual = self - target;
        Ok((residual * residual).mean())
    }

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
        let labels = labels.into();
        let shape = self.shape();
        let Some((&classes, rows)) = shape.split_last() else {
            let detail = "logits have an axis of classes".to_owned();
            return Err(Error::shape("cross_entropy", &[&shape], detail));
        };
        let rows = rows.iter().product::<usize>();
        if labels.as_slice().len() != rows {
            let detail = format!("{} labels for {rows} rows", labels.as_slice().len());
            return Err(Error::shape("cross_entropy", &[&shape], detail));
        }
        if let Some((row, label)) =
            labels.as_slice().iter().enumerate().find(|&(_, &label)| label >= classes)
        {
            return Err(Error::Argument {
                operation: "cross_entropy",
                detail: format!("label {label} of row {row} for {classes} classes"),
                location: std::panic::Location::caller(),
            });
        }
        let log_p = self.log_softmax(-1).reshape([rows, classes]);
        Ok(-log_p.gather(-1, [rows, 1], labels).mean())
    }
}
