//! Pooling: the largest element or the mean of each window of an image.

#[cfg(feature = "cases")]
pub(crate) mod cases;
mod volume;

pub use volume::Pool3d;

use smallvec::smallvec;

use super::conv::window::{IntoPair, Window, image};
use super::index::Indices;
use crate::error::expect;
use crate::op::{Backward, Cotangents, Misfit, Op, Outputs, Shapes};
use crate::tensor_var::try_apply_one;
use crate::threads::{for_each_block, for_each_pair_of_blocks};
use crate::vector::{Arithmetic, Task, at_best_level};
use crate::{Error, KernelCall, Real, Shape, Tensor, TensorVar, VjpKernel};

/// The window of a pooling: it moves by its own size and without padding, unless said otherwise. A size alone
/// stands for such a window.
///
/// ```
/// use tape::Pool2d;
///
/// let halves = Pool2d::from(2);
/// assert_eq!(halves, Pool2d::new([2, 2]).stride(2));
/// let overlapping = Pool2d::new([3, 3]).stride(2).padding(1);
/// assert_ne!(halves, overlapping);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool2d {
    size: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
}

impl Pool2d {
    /// A window of the given height and width.
    pub fn new(size: impl IntoPair) -> Self {
        let size = size.into_pair();
        Pool2d { size, stride: size, padding: [0; 2] }
    }

    /// By how much the window moves from one place to the next.
    #[must_use]
    pub fn stride(self, stride: impl IntoPair) -> Self {
        Pool2d { stride: stride.into_pair(), ..self }
    }

    /// How far the window may reach beyond each end of the image, at most half of its size.
    #[must_use]
    pub fn padding(self, padding: impl IntoPair) -> Self {
        Pool2d { padding: padding.into_pair(), ..self }
    }

    fn window(&self) -> Window {
        let Pool2d { size, stride, padding } = *self;
        Window { size, stride, padding, dilation: [1; 2] }
    }

    fn infer(&self, input: &Shape) -> Result<Shapes, Misfit> {
        let [n, channels, height, width] = **input else {
            return Err(Misfit::shape("images are [n, channels, height, width]"));
        };
        let [rows, columns] = self.window().places([height, width])?;
        // A window beyond the image would have no element.
        if (0..2).any(|k| self.padding[k] > self.size[k] / 2) {
            let detail = format!(
                "a padding of {:?} is more than half of a window of {:?}",
                self.padding, self.size
            );
            return Err(Misfit::argument(detail));
        }
        if height == 0 || width == 0 {
            return Err(Misfit::shape("the images have no elements to choose from"));
        }
        Ok(smallvec![[n, channels, rows, columns].into()])
    }

    fn is_halving(&self) -> bool {
        *self == Pool2d::new(2)
    }
}

impl<T: IntoPair> From<T> for Pool2d {
    fn from(size: T) -> Self {
        Pool2d::new(size)
    }
}

/// How many outputs a thread is given at once: some tens of microseconds of work.
const BLOCK: usize = 1 << 15;

/// How many images of `len` outputs each a thread is given at once.
fn images_in_block(len: usize) -> usize {
    BLOCK.div_ceil(len.max(1))
}

/// `max_pool2d`: the cotangent goes to the first of the largest elements of each window.
///
/// Where they are is locally constant, so the positions in their images are kept.
struct MaxPool(Pool2d);

impl<E: Real> Op<E> for MaxPool {
    fn name(&self) -> &'static str {
        "max_pool2d"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        self.0.infer(inputs[0])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let (x, size) = (inputs[0].as_slice(), image(inputs[0].shape()));
        let shape = outputs.shape(0).clone();
        let places = image(&shape);
        let (area, count) = (size[0] * size[1], places[0] * places[1]);
        // Which element of the window it is: a small number, exact in every precision.
        let mut chosen = Tensor::uninitialised(shape);
        let out = outputs.buffer(0);
        let images = images_in_block(count);
        let len = images * count;
        for_each_pair_of_blocks(out, len, chosen.as_mut_slice(), len, |k, out, chosen| {
            let x = &x[k * images * area..][..out.len() / count * area];
            at_best_level(Largest { pool: self.0, size, places, x, out, chosen });
        });
        outputs.keep(chosen);
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let shape = call.inputs[0].shape();
        let size = image(&shape);
        let (planes, area) = (shape[0] * shape[1], size[0] * size[1]);
        let places = image(&call.outputs[0].shape());
        let count = places[0] * places[1];
        let positions: Vec<usize> = call.residuals[0]
            .iter()
            .enumerate()
            .map(|(k, &chosen)| k / count * area + self.position(chosen, k % count, size, places))
            .collect();
        let flat = call.cotangent().reshape([planes * count]);
        let put = super::index::put(flat, Indices::from(positions), planes * area);
        smallvec![Some(put.reshape(shape))]
    }
    fn kernel(&self) -> Option<&dyn VjpKernel<E>> {
        Some(self)
    }
}

impl MaxPool {
    /// The position in the image of element `chosen` of the window at a place.
    #[inline(always)]
    fn position<E: Real>(
        &self,
        chosen: E,
        place: usize,
        size: [usize; 2],
        places: [usize; 2],
    ) -> usize {
        let Pool2d { size: window, stride, padding } = self.0;
        let chosen = chosen.to_f64() as usize;
        let row = place / places[1] * stride[0] + chosen / window[1] - padding[0];
        let column = place % places[1] * stride[1] + chosen % window[1] - padding[1];
        row * size[1] + column
    }
}

impl<E: Real> VjpKernel<E> for MaxPool {
    fn run(&self, call: &mut KernelCall<'_, E>) {
        let (size, places) = (image(call.inputs[0].shape()), image(call.outputs[0].shape()));
        let (g, chosen) = (call.cotangent().as_slice(), call.residuals[0].as_slice());
        let (area, count) = (size[0] * size[1], places[0] * places[1]);
        let Some(target) = call.target(0) else { return };
        let (pool, add) = (self.0, target.add);
        let images = images_in_block(count);
        for_each_block(target.buffer, images * area, |k, x| {
            let range = k * images * count..k * images * count + x.len() / area * count;
            let (g, chosen) = (&g[range.clone()], &chosen[range]);
            if pool.is_halving() {
                return at_best_level(Halved { size, places, g, chosen, x, add });
            }
            if !add {
                x.fill(E::ZERO);
            }
            for (j, (&g, &chosen)) in g.iter().zip(chosen).enumerate() {
                x[j / count * area + self.position(chosen, j % count, size, places)] += g;
            }
        });
    }
}

/// The largest elements of the windows of some images.
struct Largest<'a, E> {
    pool: Pool2d,
    size: [usize; 2],
    places: [usize; 2],
    x: &'a [E],
    out: &'a mut [E],
    chosen: &'a mut [E],
}

impl<E: Real> Task for Largest<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        let Largest { pool, size, places, x, out, chosen } = self;
        let (area, count) = (size[0] * size[1], places[0] * places[1]);
        let halving = pool.is_halving();
        let images = out.chunks_exact_mut(count).zip(chosen.chunks_exact_mut(count));
        for ((out, chosen), x) in images.zip(x.chunks_exact(area)) {
            if halving {
                let rows = out.chunks_exact_mut(places[1]).zip(chosen.chunks_exact_mut(places[1]));
                for ((out, chosen), x) in rows.zip(x.chunks_exact(2 * size[1])) {
                    let (upper, lower) = x.split_at(size[1]);
                    largest_of_four(upper, lower, out, chosen);
                }
                continue;
            }
            out.fill(E::lit(f64::NEG_INFINITY));
            // The elements of a window come in their order, so the first of equals stays.
            chosen.fill(E::lit(-1.0));
            pool.window().for_each_run(size, places, |element, place, position, len| {
                let number = E::lit(element as f64);
                let x = x[position..].iter().step_by(pool.stride[1]);
                let slots = out[place..place + len].iter_mut().zip(&mut chosen[place..place + len]);
                for ((best, chosen), &x) in slots.zip(x) {
                    let none = *chosen < E::ZERO;
                    if none | (x > *best) | (x.is_nan() & !best.is_nan()) {
                        *best = x;
                        *chosen = number;
                    }
                }
            });
        }
    }
}

/// The largest of each two by two elements of two rows, and which one it is.
#[inline(always)]
fn largest_of_four<E: Real>(upper: &[E], lower: &[E], out: &mut [E], chosen: &mut [E]) {
    let pairs = upper.as_chunks::<2>().0.iter().zip(lower.as_chunks::<2>().0);
    for ((best, chosen), (upper, lower)) in out.iter_mut().zip(chosen).zip(pairs) {
        let mut largest = (upper[0], E::ZERO);
        for (k, x) in [upper[1], lower[0], lower[1]].into_iter().enumerate() {
            let better = (x > largest.0) | (x.is_nan() & !largest.0.is_nan());
            largest.0 = if better { x } else { largest.0 };
            largest.1 = if better { E::lit((k + 1) as f64) } else { largest.1 };
        }
        (*best, *chosen) = largest;
    }
}

/// The cotangents of images whose windows are two by two and do not overlap: each of its four elements
/// gets the cotangent or nothing, so no position is computed.
struct Halved<'a, E> {
    size: [usize; 2],
    places: [usize; 2],
    g: &'a [E],
    chosen: &'a [E],
    x: &'a mut [E],
    add: bool,
}

impl<E: Real> Task for Halved<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        let Halved { size: [height, width], places, g, chosen, x, add } = self;
        if !add && (height % 2 == 1 || width % 2 == 1) {
            // The last row or column that no window meets.
            x.fill(E::ZERO);
        }
        let count = places[0] * places[1];
        let images = g.chunks_exact(count).zip(chosen.chunks_exact(count));
        for ((g, chosen), x) in images.zip(x.chunks_exact_mut(height * width)) {
            let rows = g.chunks_exact(places[1]).zip(chosen.chunks_exact(places[1]));
            for ((g, chosen), x) in rows.zip(x.chunks_exact_mut(2 * width)) {
                let (upper, lower) = x.split_at_mut(width);
                for (first, x) in [(E::ZERO, upper), (E::lit(2.0), lower)] {
                    let pairs = x.as_chunks_mut::<2>().0;
                    for ((pair, &g), &chosen) in pairs.iter_mut().zip(g).zip(chosen) {
                        let left = if chosen == first { g } else { E::ZERO };
                        let right = if chosen == first + E::ONE { g } else { E::ZERO };
                        *pair = if add { [pair[0] + left, pair[1] + right] } else { [left, right] };
                    }
                }
            }
        }
    }
}

/// `avg_pool2d`: the sum of each window over the number of its elements; linear.
struct AvgPool(Pool2d);

/// The transpose of [`AvgPool`]: each element of a window gets its share.
struct Spread {
    pool: Pool2d,
    size: [usize; 2],
}

impl<E: Real> Op<E> for AvgPool {
    fn name(&self) -> &'static str {
        "avg_pool2d"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        self.0.infer(inputs[0])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let (x, size) = (inputs[0].as_slice(), image(inputs[0].shape()));
        let places = image(outputs.shape(0));
        let (area, count) = (size[0] * size[1], places[0] * places[1]);
        let images = images_in_block(count);
        let pool = self.0;
        for_each_block(outputs.buffer(0), images * count, |k, out| {
            let x = &x[k * images * area..];
            for (out, x) in out.chunks_exact_mut(count).zip(x.chunks_exact(area)) {
                out.fill(E::ZERO);
                pool.window().for_each_run(size, places, |_, place, position, len| {
                    let x = x[position..].iter().step_by(pool.stride[1]);
                    out[place..place + len].iter_mut().zip(x).for_each(|(out, &x)| *out += x);
                });
                let share = pool.share::<E>();
                out.iter_mut().for_each(|out| *out *= share);
            }
        });
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        let size = image(&call.inputs[0].shape());
        smallvec![Some(call.cotangent().apply_op(Spread { pool: self.0, size }))]
    }
    fn kernel(&self) -> Option<&dyn VjpKernel<E>> {
        Some(self)
    }
}

impl<E: Real> VjpKernel<E> for AvgPool {
    fn run(&self, call: &mut KernelCall<'_, E>) {
        let (size, places) = (image(call.inputs[0].shape()), image(call.outputs[0].shape()));
        let g = call.cotangent().as_slice();
        if let Some(x) = call.sum(0) {
            self.0.spread(g, size, places, x);
        }
    }
}

impl<E: Real> Op<E> for Spread {
    fn name(&self) -> &'static str {
        "avg_pool2d's transpose"
    }
    fn infer(&self, inputs: &[&Shape]) -> Result<Shapes, Misfit> {
        let [n, channels, ..] = **inputs[0] else { unreachable!("it is given cotangents") };
        Ok(smallvec![[n, channels, self.size[0], self.size[1]].into()])
    }
    fn forward(&self, inputs: &[Tensor<E>], outputs: &mut Outputs<E>) -> Result<(), Misfit> {
        let places = image(inputs[0].shape());
        let x = outputs.buffer(0);
        x.fill(E::ZERO);
        self.pool.spread(inputs[0].as_slice(), self.size, places, x);
        Ok(())
    }
    fn vjp(&self, call: &Backward<'_, E>) -> Cotangents<E> {
        smallvec![Some(call.cotangent().apply_op(AvgPool(self.pool)))]
    }
}

impl Pool2d {
    fn share<E: Real>(&self) -> E {
        E::ONE / E::lit((self.size[0] * self.size[1]) as f64)
    }

    /// Adds its share of each cotangent to all elements of its window.
    fn spread<E: Real>(&self, g: &[E], size: [usize; 2], places: [usize; 2], x: &mut [E]) {
        let (area, count) = (size[0] * size[1], places[0] * places[1]);
        let images = images_in_block(count);
        let share = self.share::<E>();
        for_each_block(x, images * area, |k, x| {
            let g = &g[k * images * count..];
            for (x, g) in x.chunks_exact_mut(area).zip(g.chunks_exact(count)) {
                self.window().for_each_run(size, places, |_, place, position, len| {
                    let x = x[position..].iter_mut().step_by(self.stride[1]);
                    x.zip(&g[place..place + len]).for_each(|(x, &g)| *x += g * share);
                });
            }
        });
    }
}

impl<E: Real> TensorVar<E> {
    /// The largest element in each window of images `[n, c, h, w]`: `[n, c, oh, ow]`, where with window `k`,
    /// stride `s` and padding `p`, `oh = (h + 2 p - k) / s + 1`, rounded down, and `ow` likewise.
    ///
    /// The padding never wins. NaN wins against everything, so that it is seen. The derivative goes to the
    /// first, in row-major order, of the largest elements of a window (of its NaNs).
    ///
    /// ```
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.tensor(Tensor::new([1, 1, 2, 4], vec![1.0, 2.0, 5.0, 5.0, 4.0, 3.0, 5.0, 0.0]));
    /// assert_eq!(x.max_pool2d(2).value(), Tensor::new([1, 1, 1, 2], vec![4.0, 5.0]));
    /// ```
    ///
    /// # Panics
    /// If the rank is not 4, the images have no elements, the window is empty or does not fit into the padded
    /// image, a stride is 0, or the padding is more than half of the window.
    #[track_caller]
    pub fn max_pool2d(self, options: impl Into<Pool2d>) -> Self {
        expect(self.try_max_pool2d(options))
    }

    /// Like [`max_pool2d`](Self::max_pool2d), for shapes from outside.
    ///
    /// # Errors
    /// Where [`max_pool2d`](Self::max_pool2d) panics.
    #[track_caller]
    pub fn try_max_pool2d(self, options: impl Into<Pool2d>) -> Result<Self, Error> {
        try_apply_one(MaxPool(options.into()), &[self])
    }

    /// The mean of each window of images `[n, c, h, w]`; shapes are those of
    /// [`max_pool2d`](Self::max_pool2d). What the window has in the padding counts as zeros, so the sum is
    /// always divided by the size of the window.
    ///
    /// ```
    /// use tape::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.tensor(Tensor::new([1, 1, 2, 2], vec![1.0, 2.0, 3.0, 6.0]));
    /// assert_eq!(x.avg_pool2d(2).item(), 3.0);
    /// ```
    ///
    /// # Panics
    /// As [`max_pool2d`](Self::max_pool2d).
    #[track_caller]
    pub fn avg_pool2d(self, options: impl Into<Pool2d>) -> Self {
        expect(self.try_avg_pool2d(options))
    }

    /// Like [`avg_pool2d`](Self::avg_pool2d), for shapes from outside.
    ///
    /// # Errors
    /// Where [`avg_pool2d`](Self::avg_pool2d) panics.
    #[track_caller]
    pub fn try_avg_pool2d(self, options: impl Into<Pool2d>) -> Result<Self, Error> {
        try_apply_one(AvgPool(options.into()), &[self])
    }
}
