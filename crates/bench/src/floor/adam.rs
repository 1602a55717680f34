//! A parameter of a hand-written model, and Adam's update of it.

use super::math::vectorised;

/// The two factors of Adam's update number `t`, which counts from 1.
#[derive(Clone, Copy)]
pub(crate) struct Adam {
    rate: f32,
    root: f32,
}

impl Adam {
    pub(crate) fn new(rate: f64, t: u64) -> Adam {
        let t = t as f64;
        let rate = rate / (1.0 - 0.9_f64.powf(t));
        let root = 1.0 / (1.0 - 0.999_f64.powf(t));
        Adam { rate: rate as f32, root: root as f32 }
    }

    /// One update of a piece of a parameter; its gradient is cleared if `CLEAR`.
    pub(crate) fn update<const CLEAR: bool>(
        self,
        x: &mut [f32],
        g: &mut [f32],
        m: &mut [f32],
        v: &mut [f32],
    ) {
        vectorised(
            #[inline(always)]
            || {
                for (((x, g), m), v) in x.iter_mut().zip(g).zip(m).zip(v) {
                    *m = 0.9_f32.mul_add(*m, 0.1 * *g);
                    *v = 0.999_f32.mul_add(*v, 0.001 * *g * *g);
                    *x -= self.rate * *m / ((self.root * *v).sqrt() + 1e-8);
                    if CLEAR {
                        *g = 0.0;
                    }
                }
            },
        );
    }
}

/// A parameter with its gradient and Adam's two means.
pub(crate) struct Parameter {
    pub(crate) value: Vec<f32>,
    pub(crate) gradient: Vec<f32>,
    mean: Vec<f32>,
    square: Vec<f32>,
}

impl Parameter {
    pub(crate) fn new(value: &[f32]) -> Parameter {
        let zeros = || vec![0.0; value.len()];
        Parameter { value: value.to_vec(), gradient: zeros(), mean: zeros(), square: zeros() }
    }

    /// One update; in halves if there are several threads and it is long.
    pub(crate) fn update<const CLEAR: bool>(&mut self, adam: Adam, threads: usize) {
        let Parameter { value: x, gradient: g, mean: m, square: v } = self;
        if threads == 1 || x.len() < 1 << 14 {
            adam.update::<CLEAR>(x, g, m, v);
            return;
        }
        let half = (x.len() / 2).next_multiple_of(16);
        let (x0, x1) = x.split_at_mut(half);
        let (g0, g1) = g.split_at_mut(half);
        let (m0, m1) = m.split_at_mut(half);
        let (v0, v1) = v.split_at_mut(half);
        rayon::join(
            || adam.update::<CLEAR>(x0, g0, m0, v0),
            || adam.update::<CLEAR>(x1, g1, m1, v1),
        );
    }
}
