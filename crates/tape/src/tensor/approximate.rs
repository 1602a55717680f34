//! Comparison of tensors: exactly, and by the traits of `approx`.

use approx::{AbsDiffEq, RelativeEq, UlpsEq};

use super::Tensor;
use crate::Real;

impl<E: Real> PartialEq for Tensor<E> {
    fn eq(&self, other: &Self) -> bool {
        self.shape() == other.shape() && self.as_slice() == other.as_slice()
    }
}

impl<E: Real> Tensor<E> {
    fn all_pairs(&self, other: &Self, mut test: impl FnMut(&E, &E) -> bool) -> bool {
        self.shape() == other.shape() && self.iter().zip(other.iter()).all(|(a, b)| test(a, b))
    }
}

impl<E: Real> AbsDiffEq for Tensor<E> {
    type Epsilon = E;
    fn default_epsilon() -> E {
        E::default_epsilon()
    }
    fn abs_diff_eq(&self, other: &Self, epsilon: E) -> bool {
        self.all_pairs(other, |a, b| a.abs_diff_eq(b, epsilon))
    }
}

impl<E: Real> RelativeEq for Tensor<E> {
    fn default_max_relative() -> E {
        E::default_max_relative()
    }
    fn relative_eq(&self, other: &Self, epsilon: E, max_relative: E) -> bool {
        self.all_pairs(other, |a, b| a.relative_eq(b, epsilon, max_relative))
    }
}

impl<E: Real> UlpsEq for Tensor<E> {
    fn default_max_ulps() -> u32 {
        E::default_max_ulps()
    }
    fn ulps_eq(&self, other: &Self, epsilon: E, max_ulps: u32) -> bool {
        self.all_pairs(other, |a, b| a.ulps_eq(b, epsilon, max_ulps))
    }
}
