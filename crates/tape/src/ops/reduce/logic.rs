//! Whether elements are other than 0. NaN is.

use crate::{IntoAxes, Real, TensorVar};

impl<E: Real> TensorVar<E> {
    /// Whether all elements are other than 0; so it is if there are none. This computes the tensor, and has no
    /// derivative.
    #[track_caller]
    pub fn all(self) -> bool {
        self.value().iter().all(|&x| x != E::ZERO)
    }

    /// Whether an element is other than 0. This computes the tensor, and has no derivative.
    #[track_caller]
    pub fn any(self) -> bool {
        self.value().iter().any(|&x| x != E::ZERO)
    }

    /// 1 where all elements over some axes, which go, are other than 0, else 0. It has no derivative.
    ///
    /// # Panics
    /// If an axis does not exist.
    #[track_caller]
    pub fn all_axes(self, axes: impl IntoAxes) -> Self {
        let over = self.over("all", axes, false);
        let zeros = self.truth(true).reduce_sum(over);
        TensorVar::select_gt(zeros, E::ZERO, E::ZERO, E::ONE)
    }

    /// 1 where an element over some axes, which go, is other than 0, else 0. It has no derivative.
    ///
    /// # Panics
    /// If an axis does not exist.
    #[track_caller]
    pub fn any_axes(self, axes: impl IntoAxes) -> Self {
        let over = self.over("any", axes, false);
        let others = self.truth(false).reduce_sum(over);
        TensorVar::select_gt(others, E::ZERO, E::ONE, E::ZERO)
    }

    /// 1 where an element is 0, or where it is not; without a derivative.
    #[track_caller]
    fn truth(self, zero: bool) -> Self {
        // NaN is not below anything, so it counts as what is chosen last.
        let (is, is_not) = if zero { (E::ONE, E::ZERO) } else { (E::ZERO, E::ONE) };
        let size = self.stop_gradient().abs();
        TensorVar::select_gt(size, E::ZERO, is_not, TensorVar::select_gt(size, -E::ONE, is, is_not))
    }
}
