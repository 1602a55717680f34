//! The function under check, as one number of a flat vector.

use tape::Real;

use super::difference::Sample;
use crate::functional::{Closure, contract};
use crate::{Error, Handle};

/// A function, recorded at the point with these elements.
pub(super) type Recorder<'a, E> = dyn Fn(&[E]) -> Result<Closure<E>, Error> + 'a;

/// `s(x) = <weights, f(x)>`: what is checked is the derivative of one number.
pub(super) struct Problem<'a, E: Real> {
    f: &'a Recorder<'a, E>,
    pub(super) point: Vec<E>,
    pub(super) weights: Vec<E>,
}

impl<'a, E: Real> Problem<'a, E> {
    /// Runs the function once, to see how many outputs it has.
    pub(super) fn new(
        f: &'a Recorder<'a, E>,
        point: Vec<E>,
        random: &mut Random,
    ) -> Result<Self, Error> {
        let outputs = f(&point)?.shape.elements();
        let weights = match outputs {
            1 => vec![E::ONE],
            // Multiples of 1/64, so that they are the same numbers in both precisions.
            _ => (0..outputs)
                .map(|_| E::lit((random.sign_and_size() * 64.0).round() / 64.0))
                .collect(),
        };
        Ok(Problem { f, point, weights })
    }

    pub(super) fn record(&self, elements: &[E]) -> Result<Closure<E>, Error> {
        (self.f)(elements)
    }

    /// `s`, recorded.
    #[track_caller]
    pub(super) fn result(&self, closure: &Closure<E>) -> Result<Handle<E>, Error> {
        match self.weights.len() {
            1 => closure.scalar(),
            _ => Ok(contract(closure.outputs.iter().copied(), &self.weights)),
        }
    }

    /// The point moved by `offset * direction`.
    pub(super) fn moved(&self, direction: &[f64], offset: f64) -> Vec<E> {
        self.point.iter().zip(direction).map(|(x, d)| E::lit(x.to_f64() + offset * d)).collect()
    }

    /// `s` there. The sum is taken in double precision.
    pub(super) fn value(&self, elements: &[E]) -> Result<Sample, Error> {
        Ok(pair(&self.record(elements)?.values(), &self.weights))
    }

    /// The gradient of `s` there, by a first-order sweep; NaN where `s` is not finite. A partial such
    /// as `1 / x` is finite on both sides of the end of the domain of `ln x`.
    #[track_caller]
    pub(super) fn gradient(&self, elements: &[E]) -> Result<Vec<E>, Error> {
        let closure = self.record(elements)?;
        let mut gradient = closure.gradient(self.result(&closure)?)?;
        if !closure.values().iter().all(|value| value.is_finite()) {
            gradient.fill(E::lit(f64::NAN));
        }
        Ok(gradient)
    }

    /// For each element, the length over which a function of it may be expected to be smooth. It
    /// grows with the root of the element: as the element itself, an oscillation far from 0 would be
    /// stepped over; not at all, the rounding of the element would be seen.
    pub(super) fn scale(&self, i: usize) -> f64 {
        self.point[i].to_f64().abs().sqrt().max(0.25)
    }
}

/// `<a, b>`, and the sum of the magnitudes of its terms.
pub(super) fn pair<E: Real>(a: &[E], b: &[E]) -> Sample {
    let mut sample = Sample { value: 0.0, magnitude: 0.0 };
    for (a, b) in a.iter().zip(b) {
        let term = a.to_f64() * b.to_f64();
        sample.value += term;
        sample.magnitude += term.abs();
    }
    sample
}

/// The same numbers in every run: the generator SplitMix64 (Steele, Lea and Flood, 2014).
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Of either sign, with a magnitude from 1/2 to 3/2: no term of a sum can hide behind a small
    /// factor.
    pub(super) fn sign_and_size(&mut self) -> f64 {
        let bits = self.next();
        let size = 0.5 + (bits >> 11) as f64 / (1u64 << 53) as f64;
        if bits & 1 == 0 { size } else { -size }
    }
}
