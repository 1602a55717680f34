//! Windows as columns of a matrix, and back: two linear operations, each the transpose of the other.

use smallvec::smallvec;

use super::Conv2d;
use super::window::{IntoPair, Window, image};
use crate::error::expect;
use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::tensor_var::try_apply_one;
use crate::{Error, Real, Shape, Tensor, TensorVar};

/// Each place of a window becomes a column: `[n, c, h, w]` to `[n, c * window, places]`.
pub(super) struct Unfold(pub(super) Window);

/// The columns are added up where they came from: the transpose of [`Unfold`].
pub(super) struct Fold {
    pub(super) window: Window,
    pub(super) image: [usize; 2],
}

impl<E: Real> Op<E> for Unfold {
    fn name(&self) -> &'static str {
        "unfold"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        let [n, channels, height, width] = **inputs[0] else {
            return Err(Misfit::shape("images are [n, channels, height, width]"));
        };
        let [rows, columns] = self.0.places([height, width])?;
        let window = self.0.size[0] * self.0.size[1];
        // What does not fit is refused as a shape.
        Ok(smallvec![[n, channels.saturating_mul(window), rows * columns].into()])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let size = image(inputs[0].shape());
        let places = self.0.places(size)?;
        let out = outputs.buffer(0);
        out.fill(E::ZERO);
        let (x, count) = (inputs[0].as_slice(), places[0] * places[1]);
        let columns = out.chunks_exact_mut((self.0.size[0] * self.0.size[1] * count).max(1));
        for (columns, x) in columns.zip(x.chunks_exact((size[0] * size[1]).max(1))) {
            self.0.for_each_run(size, places, |k, place, position, len| {
                let to = columns[k * count + place..][..len].iter_mut();
                to.zip(x[position..].iter().step_by(self.0.stride[1])).for_each(|(to, &x)| *to = x);
            });
        }
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let fold = Fold { window: self.0, image: image(&call.inputs[0].shape()) };
        smallvec![Some(call.cotangent().apply_op(fold))]
    }
}

impl<E: Real> Op<E> for Fold {
    fn name(&self) -> &'static str {
        "fold"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        let [n, rows, columns] = **inputs[0] else {
            return Err(Misfit::shape("columns are [n, channels * window, places]"));
        };
        let [height, width] = self.image;
        let places = self.window.places(self.image)?;
        let window = self.window.size[0] * self.window.size[1];
        if columns != places[0] * places[1] || rows % window != 0 {
            return Err(Misfit::shape(format!(
                "an image of {height} by {width} has {} places for a window of {window} elements",
                places[0] * places[1]
            )));
        }
        Ok(smallvec![[n, rows / window, height, width].into()])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let places = self.window.places(self.image)?;
        let out = outputs.buffer(0);
        out.fill(E::ZERO);
        let (x, count) = (inputs[0].as_slice(), places[0] * places[1]);
        let window = self.window.size[0] * self.window.size[1];
        let images = out.chunks_exact_mut((self.image[0] * self.image[1]).max(1));
        for (image, columns) in images.zip(x.chunks_exact((window * count).max(1))) {
            self.window.for_each_run(self.image, places, |k, place, position, len| {
                let from = columns[k * count + place..][..len].iter();
                let to = image[position..].iter_mut().step_by(self.window.stride[1]);
                to.zip(from).for_each(|(to, &x)| *to += x);
            });
        }
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        smallvec![Some(call.cotangent().apply_op(Unfold(self.window)))]
    }
}

impl<E: Real> TensorVar<E> {
    /// The windows of images as columns: `[n, c, h, w]` becomes `[n, c * kh * kw, places]`, where `size` is
    /// `kh` by `kw` and the window moves as `options` say (`groups` have no meaning here). A place outside
    /// of the image holds 0. A product with a matrix `[m, c * kh * kw]` on the left is a convolution.
    ///
    /// ```
    /// use tape::{Conv2d, Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.tensor(Tensor::new([1, 1, 2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    /// let columns = x.unfold([2, 2], Conv2d::new());
    /// let expected = [[1.0, 2.0], [2.0, 3.0], [4.0, 5.0], [5.0, 6.0]];
    /// assert_eq!(columns.value(), Tensor::from(expected).reshape([1, 4, 2]));
    /// ```
    ///
    /// # Panics
    /// If the rank is not 4, the window is empty or does not fit into the padded image, or a stride or a
    /// dilation is 0.
    #[track_caller]
    pub fn unfold(self, size: impl IntoPair, options: Conv2d) -> Self {
        expect(self.try_unfold(size, options))
    }

    /// Like [`unfold`](Self::unfold), for shapes from outside.
    ///
    /// # Errors
    /// Where [`unfold`](Self::unfold) panics.
    #[track_caller]
    pub fn try_unfold(self, size: impl IntoPair, options: Conv2d) -> Result<Self, Error> {
        try_apply_one(Unfold(options.window(size.into_pair())), &[self])
    }

    /// The transpose of [`unfold`](Self::unfold): columns `[n, c * kh * kw, places]` are added up where they
    /// would have come from in images `[n, c, h, w]`, where `image` is `h` by `w`. What would have come from
    /// the padding is dropped.
    ///
    /// ```
    /// use tape::{Conv2d, Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let columns = tape.tensor(Tensor::ones([1, 4, 2]));
    /// let image = columns.fold([2, 3], [2, 2], Conv2d::new());
    /// let expected = Tensor::new([1, 1, 2, 3], vec![1.0, 2.0, 1.0, 1.0, 2.0, 1.0]);
    /// assert_eq!(image.value(), expected);
    /// ```
    ///
    /// # Panics
    /// If the rank is not 3, the window does not fit into the padded image, the columns are not as many as
    /// its places or not as long as a number of windows, or a stride or a dilation is 0.
    #[track_caller]
    pub fn fold(self, image: impl IntoPair, size: impl IntoPair, options: Conv2d) -> Self {
        expect(self.try_fold(image, size, options))
    }

    /// Like [`fold`](Self::fold), for shapes from outside.
    ///
    /// # Errors
    /// Where [`fold`](Self::fold) panics.
    #[track_caller]
    pub fn try_fold(
        self,
        image: impl IntoPair,
        size: impl IntoPair,
        options: Conv2d,
    ) -> Result<Self, Error> {
        let window = options.window(size.into_pair());
        try_apply_one(Fold { window, image: image.into_pair() }, &[self])
    }
}
