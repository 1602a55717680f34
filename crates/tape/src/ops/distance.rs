//! Products of vectors, and distances between them.

#[cfg(feature = "cases")]
pub(crate) mod cases;

use crate::error::expect;
use crate::{Error, Real, Shape, TensorVar};

impl<E: Real> TensorVar<E> {
    /// The product of two vectors: `sum(x y)`, of rank 0.
    ///
    /// # Panics
    /// If they are not vectors of one length.
    #[track_caller]
    pub fn dot(self, other: TensorVar<E>) -> Self {
        expect(self.try_dot(other))
    }

    /// Like [`dot`](Self::dot), for shapes from outside.
    ///
    /// # Errors
    /// If they are not vectors of one length.
    #[track_caller]
    pub fn try_dot(self, other: TensorVar<E>) -> Result<Self, Error> {
        let (a, b) = (self.shape(), other.shape());
        if a.rank() != 1 || a != b {
            let detail = "they are not vectors of one length".to_owned();
            return Err(Error::shape("dot", &[&a, &b], detail));
        }
        Ok((self * other).sum())
    }

    /// All products of an element of one vector with one of another: `out[i][j] = x[i] y[j]`.
    ///
    /// # Panics
    /// If they are not vectors.
    #[track_caller]
    pub fn outer(self, other: TensorVar<E>) -> Self {
        expect(self.try_outer(other))
    }

    /// Like [`outer`](Self::outer), for shapes from outside.
    ///
    /// # Errors
    /// If they are not vectors.
    #[track_caller]
    pub fn try_outer(self, other: TensorVar<E>) -> Result<Self, Error> {
        let (a, b) = (self.shape(), other.shape());
        if a.rank() != 1 || b.rank() != 1 {
            let detail = "they are not vectors".to_owned();
            return Err(Error::shape("outer", &[&a, &b], detail));
        }
        Ok(self.unsqueeze(1) * other)
    }

    /// The distances between all rows of one matrix and all rows of another: of `[.., n, d]` and
    /// `[.., m, d]` the `[.., n, m]` numbers
    ///
    /// `out[i][j] = (sum over k of |x[i][k] - y[j][k]|^p)^(1/p)`
    ///
    /// the largest difference for infinite `p`. The axes before broadcast. It is computed from the
    /// differences: what is saved by a matrix product costs the digits of near rows.
    ///
    /// The derivative is 0 at a distance of 0, and by a coordinate that is the same in both rows. For
    /// infinite `p` it is shared equally among the largest differences.
    ///
    /// ```
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.tensor([[0.0, 0.0], [3.0, 4.0]]);
    /// assert_eq!(x.cdist(x, 2.0).value(), Tensor::from([[0.0, 5.0], [5.0, 0.0]]));
    /// ```
    ///
    /// # Panics
    /// If a rank is below 2, the rows differ in length, the axes before the last two do not broadcast, or
    /// `p` is not positive.
    #[track_caller]
    pub fn cdist(self, other: TensorVar<E>, p: f64) -> Self {
        expect(self.try_cdist(other, p))
    }

    /// Like [`cdist`](Self::cdist), for shapes from outside.
    ///
    /// # Errors
    /// Where [`cdist`](Self::cdist) panics.
    #[track_caller]
    pub fn try_cdist(self, other: TensorVar<E>, p: f64) -> Result<Self, Error> {
        let (a, b) = (self.shape(), other.shape());
        let shape_error = |detail: &str| detail.to_owned();
        if p.is_nan() || p <= 0.0 {
            return Err(Error::argument("cdist", format!("the exponent is positive, not {p}")));
        }
        let (&[ref batch_a @ .., _, da], &[ref batch_b @ .., _, db]) = (&*a, &*b) else {
            return Err(Error::shape("cdist", &[&a, &b], shape_error("rows are in matrices")));
        };
        let (batch_a, batch_b) = (Shape::from(batch_a), Shape::from(batch_b));
        if da != db || batch_a.broadcast(&batch_b).is_none() {
            let detail = "the rows differ in length, or the axes before do not broadcast";
            return Err(Error::shape("cdist", &[&a, &b], shape_error(detail)));
        }
        let difference = self.unsqueeze(-2) - other.unsqueeze(-3);
        // Where a power has no slope, it is that of 1 that is computed and not used.
        let zero = E::ZERO;
        let away = |x: TensorVar<E>, f: &dyn Fn(TensorVar<E>) -> TensorVar<E>| {
            let safe = TensorVar::select_gt(x, zero, x, E::ONE);
            TensorVar::select_gt(x, zero, f(safe), zero)
        };
        Ok(if p == 1.0 {
            difference.abs().sum_axes(-1)
        } else if p == 2.0 {
            away(difference.square().sum_axes(-1), &|x| x.sqrt())
        } else if p.is_infinite() {
            if da == 0 { difference.sum_axes(-1) } else { difference.abs().amax_axes(-1) }
        } else {
            let power = away(difference.abs(), &|x| x.powf(E::lit(p)));
            away(power.sum_axes(-1), &|x| x.powf(E::lit(1.0 / p)))
        })
    }
}
