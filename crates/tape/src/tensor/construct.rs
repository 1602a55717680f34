//! Ways to make a tensor.

use rand::Rng;
use rand_distr::Distribution;

use super::Tensor;
use crate::buffer::Buffer;
use crate::{Real, Shape};

impl<E: Real> Tensor<E> {
    /// All elements 0.
    #[track_caller]
    pub fn zeros(shape: impl Into<Shape>) -> Self {
        Self::full(shape, E::ZERO)
    }

    /// All elements 1.
    #[track_caller]
    pub fn ones(shape: impl Into<Shape>) -> Self {
        Self::full(shape, E::ONE)
    }

    /// All elements `value`.
    #[track_caller]
    pub fn full(shape: impl Into<Shape>, value: E) -> Self {
        let shape = shape.into();
        let data = Buffer::new(vec![value; shape.elements()]);
        Tensor::from_parts(shape, data)
    }

    /// A single number, of rank 0.
    pub fn scalar(value: E) -> Self {
        Self::full(Shape::scalar(), value)
    }

    /// The identity matrix of `n` rows.
    #[track_caller]
    pub fn eye(n: usize) -> Self {
        Self::from_fn([n, n], |[i, j]| if i == j { E::ONE } else { E::ZERO })
    }

    /// `f` of each index.
    ///
    /// # Panics
    /// If the rank is not `N`.
    #[track_caller]
    pub fn from_fn<const N: usize>(
        shape: impl Into<Shape>,
        mut f: impl FnMut([usize; N]) -> E,
    ) -> Self {
        let shape = shape.into();
        assert!(shape.rank() == N, "from_fn: the index has {N} places, the shape is {shape}");
        let mut index = [0; N];
        let mut data = Vec::with_capacity(shape.elements());
        for _ in 0..shape.elements() {
            data.push(f(index));
            for k in (0..N).rev() {
                index[k] += 1;
                if index[k] < shape[k] {
                    break;
                }
                index[k] = 0;
            }
        }
        Tensor::from_parts(shape, Buffer::new(data))
    }

    /// `n` evenly spaced numbers from `first` to `last`, both included.
    #[track_caller]
    pub fn linspace(first: E, last: E, n: usize) -> Self {
        let step = (last - first) / E::lit(n.saturating_sub(1).max(1) as f64);
        // The end is the end, whatever the steps round to.
        let at =
            |i: usize| if i > 0 && i + 1 == n { last } else { first + step * E::lit(i as f64) };
        (0..Shape::from([n]).elements()).map(at).collect()
    }

    /// Independent draws from a distribution of `rand` or `rand_distr`.
    #[track_caller]
    pub fn random<D, R>(shape: impl Into<Shape>, distribution: &D, rng: &mut R) -> Self
    where
        D: Distribution<E>,
        R: Rng + ?Sized,
    {
        let shape = shape.into();
        let data = (0..shape.elements()).map(|_| distribution.sample(rng)).collect();
        Tensor::from_parts(shape, Buffer::new(data))
    }

    /// Independent draws from the uniform distribution on `[low, high)`.
    #[track_caller]
    pub fn uniform(
        shape: impl Into<Shape>,
        low: E,
        high: E,
        rng: &mut (impl Rng + ?Sized),
    ) -> Self {
        let shape = shape.into();
        let data =
            (0..shape.elements()).map(|_| low + (high - low) * E::standard_uniform(rng)).collect();
        Tensor::from_parts(shape, Buffer::new(data))
    }

    /// Independent draws from the normal distribution.
    #[track_caller]
    pub fn normal(
        shape: impl Into<Shape>,
        mean: E,
        standard_deviation: E,
        rng: &mut (impl Rng + ?Sized),
    ) -> Self {
        let shape = shape.into();
        let data = (0..shape.elements())
            .map(|_| mean + standard_deviation * E::standard_normal(rng))
            .collect();
        Tensor::from_parts(shape, Buffer::new(data))
    }

    /// Xavier's (Glorot's) uniform initialisation: uniform on `[-a, a)` with
    /// `a = sqrt(6 / (fan_in + fan_out))`.
    ///
    /// A matrix is `[fan_in, fan_out]`; a convolution kernel `[out, in, spatial ...]` has
    /// `fan_in = in * spatial` and `fan_out = out * spatial`.
    ///
    /// Source: X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward
    /// neural networks", AISTATS 2010, equation 16.
    ///
    /// # Panics
    /// If the rank is below 2, in this and in the following three.
    #[track_caller]
    pub fn xavier_uniform(shape: impl Into<Shape>, rng: &mut (impl Rng + ?Sized)) -> Self {
        let shape = shape.into();
        let (fan_in, fan_out) = fans(&shape);
        let a = E::lit((6.0 / (fan_in + fan_out)).sqrt());
        Self::uniform(shape, -a, a, rng)
    }

    /// Xavier's (Glorot's) normal initialisation: mean 0, variance `2 / (fan_in + fan_out)`.
    #[track_caller]
    pub fn xavier_normal(shape: impl Into<Shape>, rng: &mut (impl Rng + ?Sized)) -> Self {
        let shape = shape.into();
        let (fan_in, fan_out) = fans(&shape);
        Self::normal(shape, E::ZERO, E::lit((2.0 / (fan_in + fan_out)).sqrt()), rng)
    }

    /// He's (Kaiming's) uniform initialisation for layers before a ReLU: uniform on `[-a, a)` with
    /// `a = sqrt(6 / fan_in)`.
    ///
    /// Source: K. He et al., "Delving deep into rectifiers", ICCV 2015, equation 10.
    #[track_caller]
    pub fn he_uniform(shape: impl Into<Shape>, rng: &mut (impl Rng + ?Sized)) -> Self {
        let shape = shape.into();
        let a = E::lit((6.0 / fans(&shape).0).sqrt());
        Self::uniform(shape, -a, a, rng)
    }

    /// He's (Kaiming's) normal initialisation: mean 0, variance `2 / fan_in`.
    #[track_caller]
    pub fn he_normal(shape: impl Into<Shape>, rng: &mut (impl Rng + ?Sized)) -> Self {
        let shape = shape.into();
        let deviation = E::lit((2.0 / fans(&shape).0).sqrt());
        Self::normal(shape, E::ZERO, deviation, rng)
    }
}

/// How many inputs an output has, and how many outputs an input.
#[track_caller]
fn fans(shape: &Shape) -> (f64, f64) {
    match **shape {
        [fan_in, fan_out] => (fan_in as f64, fan_out as f64),
        [outputs, inputs, ref spatial @ ..] => {
            // As floats: a shape that is too large is refused where the tensor is made.
            let field: f64 = spatial.iter().map(|&len| len as f64).product();
            (inputs as f64 * field, outputs as f64 * field)
        }
        _ => panic!("fan-in and fan-out need a shape of rank 2 or more, not {shape}"),
    }
}

impl<E: Real> From<E> for Tensor<E> {
    fn from(value: E) -> Self {
        Tensor::scalar(value)
    }
}

impl<E: Real> From<&Tensor<E>> for Tensor<E> {
    fn from(tensor: &Tensor<E>) -> Self {
        tensor.clone()
    }
}

impl<E: Real> From<Vec<E>> for Tensor<E> {
    fn from(data: Vec<E>) -> Self {
        Tensor::from_parts([data.len()].into(), Buffer::new(data))
    }
}

impl<E: Real> From<&[E]> for Tensor<E> {
    fn from(data: &[E]) -> Self {
        data.to_vec().into()
    }
}

impl<E: Real, const A: usize> From<[E; A]> for Tensor<E> {
    fn from(data: [E; A]) -> Self {
        data.to_vec().into()
    }
}

impl<E: Real, const A: usize, const B: usize> From<[[E; B]; A]> for Tensor<E> {
    fn from(data: [[E; B]; A]) -> Self {
        let data = data.as_flattened().to_vec();
        Tensor::from_parts([A, B].into(), Buffer::new(data))
    }
}

impl<E: Real, const A: usize, const B: usize, const C: usize> From<[[[E; C]; B]; A]> for Tensor<E> {
    fn from(data: [[[E; C]; B]; A]) -> Self {
        let data = data.as_flattened().as_flattened().to_vec();
        Tensor::from_parts([A, B, C].into(), Buffer::new(data))
    }
}

/// A tensor of rank 1.
impl<E: Real> FromIterator<E> for Tensor<E> {
    fn from_iter<I: IntoIterator<Item = E>>(elements: I) -> Self {
        elements.into_iter().collect::<Vec<E>>().into()
    }
}
