//! Dropout.

#[cfg(feature = "cases")]
pub(crate) mod cases;

use rand::{Rng, RngExt};

use crate::error::expect;
use crate::{Error, Real, Tensor, TensorVar};

impl<E: Real> TensorVar<E> {
    /// Dropout (N. Srivastava et al., "Dropout", 2014) as in training: each element becomes 0 with probability
    /// `p`, and the others are divided by `1 - p`, so that the mean stays. In use, leave it out.
    ///
    /// The draws are those of `rng`, one for each element in row-major order: the same generator gives the
    /// same result, in both precisions and for every number of threads. An element that is dropped has the
    /// derivative 0, even where it is infinite.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.tensor(Tensor::ones([1000]));
    /// let y = x.dropout(0.25, &mut StdRng::seed_from_u64(1)).value();
    /// assert!(y.iter().all(|&y| y == 0.0 || y == 1.0 / 0.75));
    /// let dropped = y.iter().filter(|&&y| y == 0.0).count();
    /// assert!((200..300).contains(&dropped));
    /// ```
    ///
    /// # Panics
    /// If `p` is not in `[0, 1]`.
    #[track_caller]
    pub fn dropout(self, p: f64, rng: &mut (impl Rng + ?Sized)) -> Self {
        expect(self.try_dropout(p, rng))
    }

    /// Like [`dropout`](Self::dropout), for a probability from outside.
    ///
    /// # Errors
    /// If `p` is not in `[0, 1]`.
    #[track_caller]
    pub fn try_dropout(self, p: f64, rng: &mut (impl Rng + ?Sized)) -> Result<Self, Error> {
        if !(0.0..=1.0).contains(&p) {
            let detail = format!("a probability is between 0 and 1, and not {p}");
            return Err(Error::argument("dropout", detail));
        }
        let shape = self.shape();
        let draws = (0..shape.elements()).map(|_| rng.random_bool(p));
        let kept = draws.map(|dropped| if dropped { E::ZERO } else { E::ONE }).collect();
        let kept = self.constant_like(Tensor::new(shape, kept));
        let scale = if p < 1.0 { 1.0 / (1.0 - p) } else { 1.0 };
        // Chosen, not multiplied: 0 times an infinity would be NaN.
        Ok(TensorVar::select_gt(kept, E::ZERO, self * E::lit(scale), E::ZERO))
    }
}
