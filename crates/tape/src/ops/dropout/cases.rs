//! Cases of dropout.

use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::Tensor;
use crate::cases::{Case, inside, whole};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        whole!(
            "dropout",
            "x.dropout(p, rng)",
            "dx = g / (1 - p) where an element stays, 0 where it is dropped",
            |x| x[0].dropout(0.5, &mut StdRng::seed_from_u64(7)),
            |x| {
                let mut rng = StdRng::seed_from_u64(7);
                let each = x[0].iter().map(|&x| if rng.random_bool(0.5) { 0.0 } else { 2.0 * x });
                Tensor::new(x[0].shape(), each.collect())
            }
        )
        .at_each([
            inside([3, 4], -1.0, 1.0),
            inside([], 0.5, 1.0),
            inside([0, 2], 0.0, 1.0),
        ]),
    ]
}
