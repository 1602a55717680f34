//! Normalisation over batches, groups of channels and rows: composites.

#[cfg(feature = "cases")]
pub(crate) mod cases;

use smallvec::SmallVec;

use crate::error::expect;
use crate::{Error, Real, Shape, TensorVar};

/// Mean 0 and variance 1 over some axes, and the mean and variance that were there, with axes of length 1.
#[track_caller]
fn standardised<E: Real>(x: TensorVar<E>, axes: &[isize], eps: f64) -> [TensorVar<E>; 3] {
    let mean = x.mean_axes_keep(axes);
    let centred = x - mean;
    // From the deviations: the mean of the squares less the square of the mean loses its digits.
    let variance = (centred * centred).mean_axes_keep(axes);
    [centred / (variance + E::lit(eps)).sqrt(), mean, variance]
}

/// Checks that there are channels in axis 1, and one number for each in the others; gives the shape in which
/// these broadcast.
#[track_caller]
fn of_channels<E: Real>(
    name: &'static str,
    x: TensorVar<E>,
    others: &[TensorVar<E>],
) -> Result<Shape, Error> {
    let shape = x.shape();
    let Some(&channels) = shape.get(1) else {
        let detail = "channels are in axis 1".to_owned();
        return Err(Error::shape(name, &[&shape], detail));
    };
    for other in others {
        let other = other.shape();
        if other != [channels] {
            let detail = format!("the second is not one number for each of {channels} channels");
            return Err(Error::shape(name, &[&shape, &other], detail));
        }
    }
    Ok(std::iter::once(channels).chain(shape[2..].iter().map(|_| 1)).collect())
}

impl<E: Real> TensorVar<E> {
    /// Batch normalisation (S. Ioffe and C. Szegedy, "Batch normalization", 2015) of `[n, c, ..]` as in training:
    /// for each channel, over all other axes,
    ///
    /// `y = gain (x - mean x) / sqrt(var x + eps) + bias`
    ///
    /// with the biased variance. `gain` and `bias` are `[c]`. Beside `y` it gives mean and variance, each `[c]`,
    /// from which a program keeps the running ones for [`batch_norm_with`](Self::batch_norm_with). (PyTorch
    /// keeps them itself, with the unbiased variance: `n / (n - 1)` times this one.)
    ///
    /// ```
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.tensor([[1.0, 0.0], [3.0, 4.0]]);
    /// let (gain, bias) = (tape.tensor([1.0, 1.0]), tape.tensor([0.0, 5.0]));
    /// let (y, mean, variance) = x.batch_norm(gain, bias, 0.0);
    /// assert_eq!(y.value(), Tensor::from([[-1.0, 4.0], [1.0, 6.0]]));
    /// assert_eq!(mean.value(), Tensor::from([2.0, 2.0]));
    /// assert_eq!(variance.value(), Tensor::from([1.0, 4.0]));
    /// ```
    ///
    /// # Panics
    /// If the rank is below 2, or `gain` or `bias` are not one number for each channel.
    #[track_caller]
    pub fn batch_norm(
        self,
        gain: TensorVar<E>,
        bias: TensorVar<E>,
        eps: f64,
    ) -> (Self, Self, Self) {
        expect(self.try_batch_norm(gain, bias, eps))
    }

    /// Like [`batch_norm`](Self::batch_norm), for shapes from outside.
    ///
    /// # Errors
    /// Where [`batch_norm`](Self::batch_norm) panics.
    #[track_caller]
    pub fn try_batch_norm(
        self,
        gain: TensorVar<E>,
        bias: TensorVar<E>,
        eps: f64,
    ) -> Result<(Self, Self, Self), Error> {
        let own = of_channels("batch_norm", self, &[gain, bias])?;
        let axes: SmallVec<[isize; 4]> =
            (0..self.rank() as isize).filter(|&axis| axis != 1).collect();
        let [z, mean, variance] = standardised(self, &axes, eps);
        let y = z * gain.reshape(&own) + bias.reshape(&own);
        let channels = [own[0]];
        Ok((y, mean.reshape(channels), variance.reshape(channels)))
    }

    /// Batch normalisation with a mean and a variance from elsewhere, each `[c]`, as a trained network has it; see
    /// [`batch_norm`](Self::batch_norm).
    ///
    /// # Panics
    /// If the rank is below 2, or one of the others is not one number for each channel.
    #[track_caller]
    pub fn batch_norm_with(
        self,
        mean: TensorVar<E>,
        variance: TensorVar<E>,
        gain: TensorVar<E>,
        bias: TensorVar<E>,
        eps: f64,
    ) -> Self {
        expect(self.try_batch_norm_with(mean, variance, gain, bias, eps))
    }

    /// Like [`batch_norm_with`](Self::batch_norm_with), for shapes from outside.
    ///
    /// # Errors
    /// Where [`batch_norm_with`](Self::batch_norm_with) panics.
    #[track_caller]
    pub fn try_batch_norm_with(
        self,
        mean: TensorVar<E>,
        variance: TensorVar<E>,
        gain: TensorVar<E>,
        bias: TensorVar<E>,
        eps: f64,
    ) -> Result<Self, Error> {
        let own = of_channels("batch_norm_with", self, &[mean, variance, gain, bias])?;
        let scale = gain / (variance + E::lit(eps)).sqrt();
        Ok((self - mean.reshape(&own)) * scale.reshape(&own) + bias.reshape(&own))
    }

    /// Group normalisation (Y. Wu and K. He, "Group normalization", 2018) of `[n, c, ..]`: the channels are split
    /// into groups, and each group of each example is given mean 0 and variance 1; then each channel is
    /// multiplied by its `gain` and gets its `bias`, both `[c]`.
    ///
    /// # Panics
    /// If the rank is below 2, the channels do not split into so many groups, or `gain` or `bias` are not one
    /// number for each channel.
    #[track_caller]
    pub fn group_norm(
        self,
        groups: usize,
        gain: TensorVar<E>,
        bias: TensorVar<E>,
        eps: f64,
    ) -> Self {
        expect(self.try_group_norm(groups, gain, bias, eps))
    }

    /// Like [`group_norm`](Self::group_norm), for shapes from outside.
    ///
    /// # Errors
    /// Where [`group_norm`](Self::group_norm) panics.
    #[track_caller]
    pub fn try_group_norm(
        self,
        groups: usize,
        gain: TensorVar<E>,
        bias: TensorVar<E>,
        eps: f64,
    ) -> Result<Self, Error> {
        let own = of_channels("group_norm", self, &[gain, bias])?;
        let shape = self.shape();
        if groups == 0 || !own[0].is_multiple_of(groups) {
            let detail = format!("{} channels do not split into {groups} groups", own[0]);
            return Err(Error::shape("group_norm", &[&shape], detail));
        }
        let width = shape[1..].iter().product::<usize>() / groups;
        let rows = self.reshape([shape[0], groups, width]);
        let [z, ..] = standardised(rows, &[2], eps);
        Ok(z.reshape(shape) * gain.reshape(&own) + bias.reshape(&own))
    }

    /// Instance normalisation (D. Ulyanov et al., 2016) of `[n, c, ..]`: each channel of each example is given
    /// mean 0 and variance 1. It is [`group_norm`](Self::group_norm) with a group for each channel.
    ///
    /// # Panics
    /// If the rank is below 2, or `gain` or `bias` are not one number for each channel.
    #[track_caller]
    pub fn instance_norm(self, gain: TensorVar<E>, bias: TensorVar<E>, eps: f64) -> Self {
        expect(self.try_instance_norm(gain, bias, eps))
    }

    /// Like [`instance_norm`](Self::instance_norm), for shapes from outside.
    ///
    /// # Errors
    /// Where [`instance_norm`](Self::instance_norm) panics.
    #[track_caller]
    pub fn try_instance_norm(
        self,
        gain: TensorVar<E>,
        bias: TensorVar<E>,
        eps: f64,
    ) -> Result<Self, Error> {
        let own = of_channels("instance_norm", self, &[gain, bias])?;
        let axes: SmallVec<[isize; 4]> = (2..self.rank() as isize).collect();
        let [z, ..] = standardised(self, &axes, eps);
        Ok(z * gain.reshape(&own) + bias.reshape(&own))
    }

    /// Normalisation of each row, the last axis, by its root mean square (B. Zhang and R. Sennrich, "Root mean
    /// square layer normalization", 2019): `y = gain x / sqrt(mean(x^2) + eps)`, where `gain` has the shape of
    /// the last axis.
    ///
    /// ```
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.tensor([[1.0, 7.0]]);
    /// let y = x.rms_norm(tape.tensor([5.0, 10.0]), 0.0);
    /// assert_eq!(y.value(), Tensor::from([[1.0, 14.0]]));
    /// ```
    ///
    /// # Panics
    /// If the rank is 0, or `gain` does not have the shape of the last axis.
    #[track_caller]
    pub fn rms_norm(self, gain: TensorVar<E>, eps: f64) -> Self {
        expect(self.try_rms_norm(gain, eps))
    }

    /// Like [`rms_norm`](Self::rms_norm), for shapes from outside.
    ///
    /// # Errors
    /// Where [`rms_norm`](Self::rms_norm) panics.
    #[track_caller]
    pub fn try_rms_norm(self, gain: TensorVar<E>, eps: f64) -> Result<Self, Error> {
        let (shape, other) = (self.shape(), gain.shape());
        if shape.last().is_none_or(|&width| other != [width]) {
            let detail = "the gain has the shape of the last axis".to_owned();
            return Err(Error::shape("rms_norm", &[&shape, &other], detail));
        }
        let mean = (self * self).mean_axes_keep(-1);
        Ok(self / (mean + E::lit(eps)).sqrt() * gain)
    }
}
