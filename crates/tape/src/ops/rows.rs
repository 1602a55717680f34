//! Loops over rows of numbers, for the kernels of operations that work row by row.
//!
//! What is marked `inline(always)` is compiled with the vector instructions of [`vectorised`] when it is
//! called inside of that.

use crate::Real;
use crate::kernels::fold_lanes;
use crate::vector::{Arithmetic, Task, Vectorised, at_best_level};

/// In how many lanes sums and extrema are taken, whatever the processor: so the bits are the same.
const LANES: usize = 16;

/// The longest run that is summed by lanes; longer ones are halved.
const RUN: usize = 1024;

/// Runs `f` compiled for the best vector instructions of the processor. Its body must be inlined:
/// `vectorised(#[inline(always)] || ...)`.
#[inline(always)]
pub(crate) fn vectorised<R>(f: impl FnOnce() -> R) -> R {
    at_best_level(Inlined(f))
}

/// A closure that is the same at every level.
struct Inlined<F>(F);

impl<R, F: FnOnce() -> R> Task for Inlined<F> {
    type Output = R;
    #[inline(always)]
    fn run<A: Arithmetic>(self) -> R {
        (self.0)()
    }
}

macro_rules! in_place {
    ($(#[$meta:meta] $name:ident $task:ident $function:ident;)*) => { $(
        struct $task<'a, E>(&'a mut [E]);

        impl<E: Real> Task for $task<'_, E> {
            type Output = ();
            #[inline(always)]
            fn run<A: Arithmetic>(self) {
                self.0.iter_mut().for_each(|x| *x = <E as Vectorised>::$function::<A>(*x));
            }
        }

        #[$meta]
        pub(crate) fn $name<E: Real>(x: &mut [E]) {
            at_best_level($task(x));
        }
    )* };
}

in_place! {
    /// `e^x` of each element.
    exp_in_place Exp exp;
    /// The logistic function of each element.
    sigmoid_in_place Sigmoid sigmoid;
    /// The hyperbolic tangent of each element.
    tanh_in_place Tanh tanh;
}

/// The largest element, where NaN counts for nothing; minus infinity if there is none.
#[inline(always)]
pub(crate) fn largest<E: Real>(x: &[E]) -> E {
    let larger = |a: E, b: E| if b > a { b } else { a };
    let mut lanes = [E::lit(f64::NEG_INFINITY); LANES];
    let mut chunks = x.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, x);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(chunks.remainder()) {
        *lane = larger(*lane, x);
    }
    fold_lanes(lanes, larger)
}

/// The sum of the elements.
#[inline(always)]
pub(crate) fn total<E: Real>(x: &[E]) -> E {
    if x.len() > RUN {
        return crate::kernels::sum(x);
    }
    let mut lanes = [E::ZERO; LANES];
    let mut chunks = x.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += x;
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(chunks.remainder()) {
        *lane += x;
    }
    fold_lanes(lanes, |a, b| a + b)
}

/// The sum of the products of the elements at the same places of two rows of one length.
#[inline(always)]
pub(crate) fn dot<E: Real>(x: &[E], y: &[E]) -> E {
    if x.len() > RUN {
        return long_dot(x, y);
    }
    let mut lanes = [E::ZERO; LANES];
    let (mut left, mut right) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    for (x, y) in (&mut left).zip(&mut right) {
        for ((lane, &x), &y) in lanes.iter_mut().zip(x).zip(y) {
            *lane += x * y;
        }
    }
    for ((lane, &x), &y) in lanes.iter_mut().zip(left.remainder()).zip(right.remainder()) {
        *lane += x * y;
    }
    fold_lanes(lanes, |a, b| a + b)
}

/// [`dot`] of long rows: pairwise over runs.
fn long_dot<E: Real>(x: &[E], y: &[E]) -> E {
    let half = (x.len() / 2).next_multiple_of(RUN);
    dot(&x[..half], &y[..half]) + dot(&x[half..], &y[half..])
}

/// Replaces a row by its exponentials relative to its largest element, so that nothing overflows.
/// Returns that element and the sum of the exponentials; NaN anywhere makes the sum NaN.
#[inline(always)]
pub(crate) fn exponentials<E: Real>(x: &mut [E]) -> (E, E) {
    let largest = largest(x);
    x.iter_mut().for_each(|x| *x -= largest);
    exp_in_place(x);
    (largest, total(x))
}

/// Replaces a row by its softmax, where [`exponentials`] has found the largest element and the sum.
#[inline(always)]
pub(crate) fn probabilities<E: Real>(x: &mut [E], largest: E, sum: E) {
    x.iter_mut().for_each(|x| *x -= largest);
    exp_in_place(x);
    let scale = E::ONE / sum;
    x.iter_mut().for_each(|p| *p *= scale);
}

/// Writes or adds each element of `x` times `factor`.
#[inline(always)]
pub(crate) fn put<E: Real>(out: &mut [E], x: &[E], factor: E, add: bool) {
    match add {
        true => out.iter_mut().zip(x).for_each(|(out, &x)| *out += x * factor),
        false => out.iter_mut().zip(x).for_each(|(out, &x)| *out = x * factor),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_any_length() {
        for n in [0, 1, 15, 16, 17, 33, 1024, 1025, 5000] {
            let x: Vec<f64> = (0..n).map(|i| ((i * 37 % 101) as f64).sin()).collect();
            let y: Vec<f64> = (0..n).map(|i| (i as f64).cos()).collect();
            let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-11, "{n}: {a} and {b}");
            close(total(&x), x.iter().sum());
            close(dot(&x, &y), x.iter().zip(&y).map(|(x, y)| x * y).sum());
            assert_eq!(largest(&x), x.iter().copied().fold(f64::NEG_INFINITY, f64::max));
            let mut p = x.clone();
            let (largest, sum) = exponentials(&mut p);
            close(sum, x.iter().map(|x| (x - largest).exp()).sum());
            let mut q = x.clone();
            probabilities(&mut q, largest, sum);
            p.iter().zip(&q).for_each(|(p, q)| close(p / sum, *q));
        }
        assert!(exponentials(&mut [1.0, f64::NAN, 2.0]).1.is_nan());
    }
}
