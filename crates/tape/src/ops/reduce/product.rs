//! Products of elements.

use super::Over;
use crate::{Real, Tensor, TensorVar, concat};

impl<E: Real> TensorVar<E> {
    /// The product as a tree of products of two: so no derivative is a quotient, and zeros need no exception.
    #[track_caller]
    pub(super) fn reduce_prod(self, over: Over) -> Self {
        if self.is_constant() {
            return self;
        }
        let shape = self.shape();
        let out = over.shape(&shape);
        let count = over.count(&shape);
        if count == 0 {
            return self.constant_like(Tensor::full(out, E::ONE));
        }
        // The axes that are multiplied come first.
        let of =
            |reduced: bool| (0..shape.rank()).filter(move |&k| over.axes.contains(k) == reduced);
        let order: Vec<isize> = of(true).chain(of(false)).map(|k| k as isize).collect();
        let mut factors = self.permute(&order).reshape([count, out.elements()]);
        let mut rest = count;
        while rest > 1 {
            let half = rest / 2;
            let pairs = factors.narrow(0, 0, half) * factors.narrow(0, half, half);
            factors = match rest % 2 {
                0 => pairs,
                _ => concat(&[pairs, factors.narrow(0, rest - 1, 1)], 0),
            };
            rest = half + rest % 2;
        }
        factors.reshape(out)
    }
}
