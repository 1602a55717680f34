//! Loops over whole tensors, without a tape.

mod product;

use crate::recycle::Scratch;
#[cfg(target_arch = "x86_64")]
use crate::vector::avx512;
use crate::vector::{Arithmetic, Task, at_best_level};
use crate::{Real, threads};

pub(crate) use product::{PIECE, product};

/// A matrix in row-major order, or the transpose of one.
#[derive(Clone, Copy, Debug)]
#[doc(hidden)]
pub struct Matrix<'a, E> {
    /// The elements.
    pub data: &'a [E],
    /// Rows, after the transposition if there is one.
    pub rows: usize,
    /// Columns, after the transposition if there is one.
    pub columns: usize,
    /// Whether `data` holds the transpose, in row-major order.
    pub transposed: bool,
}

impl<E> Matrix<'_, E> {
    /// The transpose, of the same elements in memory.
    pub(crate) fn transpose(self) -> Self {
        Matrix { rows: self.columns, columns: self.rows, transposed: !self.transposed, ..self }
    }

    /// Whether its rows are not in memory one after the other. A vector lies there like its transpose.
    fn is_by_columns(&self) -> bool {
        self.transposed && self.rows != 1 && self.columns != 1
    }
}

/// What a product is added to.
#[derive(Clone, Copy, Debug)]
#[doc(hidden)]
pub enum Onto<'a, E> {
    /// Nothing: what is there is replaced, and not read.
    Nothing,
    /// What is there.
    Itself,
    /// A row, the same for all rows.
    Row(&'a [E]),
}

impl<E> Onto<'_, E> {
    /// Onto what is there, or onto nothing.
    pub(crate) fn added(add: bool) -> Self {
        if add { Onto::Itself } else { Onto::Nothing }
    }
}

/// The sum of a slice, pairwise over blocks and, within a block, over fixed lanes: an error that
/// grows with the logarithm of the length, and the same bits every time.
pub(crate) fn sum<E: Real>(x: &[E]) -> E {
    if x.len() > SUM_BLOCK {
        let half = (x.len() / 2).next_multiple_of(SUM_BLOCK);
        return sum(&x[..half]) + sum(&x[half..]);
    }
    at_best_level(SumBlock(x))
}

/// The sum of each `length` neighbours, as [`sum`] gives it.
pub(crate) fn sum_each<E: Real>(x: &[E], length: usize, out: &mut [E]) {
    if length > SUM_BLOCK {
        return out.iter_mut().zip(x.chunks_exact(length)).for_each(|(out, x)| *out = sum(x));
    }
    #[cfg(target_arch = "x86_64")]
    if avx512::sum_each(x, length, out) {
        return;
    }
    at_best_level(SumEach { x, length, out });
}

const SUM_BLOCK: usize = 1024;

/// The sum of a block, as [`sum`] gives it.
pub(crate) struct SumBlock<'a, E>(pub(crate) &'a [E]);

impl<E: Real> Task for SumBlock<'_, E> {
    type Output = E;
    #[inline(always)]
    fn run<A: Arithmetic>(self) -> E {
        const LANES: usize = 32;
        let mut lanes = [E::ZERO; LANES];
        let (chunks, rest) = self.0.as_chunks::<LANES>();
        for chunk in chunks {
            for (lane, &x) in lanes.iter_mut().zip(chunk) {
                *lane += x;
            }
        }
        if !rest.is_empty() {
            // Zeros change no sum that begins with one. A loop over the rest would keep the lanes in memory.
            let mut last = [E::ZERO; LANES];
            last[..rest.len()].copy_from_slice(rest);
            for (lane, &x) in lanes.iter_mut().zip(&last) {
                *lane += x;
            }
        }
        fold_lanes(lanes, |a, b| a + b)
    }
}

/// Short sums, many of them: the way to the best level is gone once.
struct SumEach<'a, E> {
    x: &'a [E],
    length: usize,
    out: &'a mut [E],
}

impl<E: Real> Task for SumEach<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        for (out, x) in self.out.iter_mut().zip(self.x.chunks_exact(self.length)) {
            *out = SumBlock(x).run::<A>();
        }
    }
}

/// Combines lanes, as many as a power of two, pairwise.
#[inline(always)]
pub(crate) fn fold_lanes<E: Real, const N: usize>(mut lanes: [E; N], f: impl Fn(E, E) -> E) -> E {
    let mut width = N / 2;
    while width > 0 {
        for k in 0..width {
            lanes[k] = f(lanes[k], lanes[k + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// So many rows are summed in their order, and the sums in pairs.
const ROWS: usize = 64;

/// The sum of the rows of `x`, each as long as `out`: pairwise over blocks of rows.
pub(crate) fn sum_rows<E: Real>(x: &[E], out: &mut [E]) {
    /// Elements that are worth a thread.
    const MANY: usize = 1 << 16;
    let width = out.len();
    let (rows, block) = (x.len() / width, ROWS * width);
    if rows <= ROWS {
        return sum_few_rows(x, out);
    }
    let mut sums = Scratch::<E>::filled(rows.div_ceil(ROWS) * width, E::ZERO);
    let blocks = MANY.div_ceil(block);
    threads::for_each_block(&mut sums, blocks * width, |k, sums| {
        let x = x[k * blocks * block..].chunks(block);
        x.zip(sums.chunks_exact_mut(width)).for_each(|(x, out)| sum_few_rows(x, out));
    });
    add_pairs(&mut sums, rows, width);
    out.copy_from_slice(&sums[..width]);
}

/// Adds the sums of blocks of so many rows up, into the first one.
fn add_pairs<E: Real>(sums: &mut [E], rows: usize, width: usize) {
    if rows > ROWS {
        let half = (rows / 2).next_multiple_of(ROWS);
        let (lower, upper) = sums.split_at_mut(half / ROWS * width);
        add_pairs(lower, half, width);
        add_pairs(upper, rows - half, width);
        lower[..width].iter_mut().zip(&*upper).for_each(|(sum, &x)| *sum += x);
    }
}

/// The sum of rows in their order.
fn sum_few_rows<E: Real>(x: &[E], out: &mut [E]) {
    #[cfg(target_arch = "x86_64")]
    if crate::vector::avx512::sum_rows(x, out) {
        return;
    }
    at_best_level(SumRows { x, out });
}

struct SumRows<'a, E> {
    x: &'a [E],
    out: &'a mut [E],
}

impl<E: Real> Task for SumRows<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        let (x, out) = (self.x, self.out);
        let width = out.len();
        out.fill(E::ZERO);
        // Four rows at once go four times less often to the sums.
        let fours = x.chunks_exact(4 * width);
        for row in fours.remainder().chunks_exact(width) {
            out.iter_mut().zip(row).for_each(|(out, &x)| *out += x);
        }
        for rows in fours {
            let (first, second) = rows.split_at(2 * width);
            let ((a, b), (c, d)) = (first.split_at(width), second.split_at(width));
            let pairs = a.iter().zip(b).zip(c.iter().zip(d));
            for (out, ((&a, &b), (&c, &d))) in out.iter_mut().zip(pairs) {
                *out += (a + b) + (c + d);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Tape, with_threads};

    /// Numbers of all sizes, some of them zeros of both signs.
    fn numbers<E: Real>(n: usize) -> Vec<E> {
        let number = |i: usize| match i % 7 {
            0 => -0.0,
            k => (1.7 * i as f64).sin() * 10f64.powi(k as i32 - 3),
        };
        (0..n).map(|i| E::lit(number(i))).collect()
    }

    fn each_is_the_sum<E: Real>(length: usize, count: usize) {
        let mut x = numbers::<E>(length * count);
        if count > 2 {
            // What is not finite stays in its run, the last number of one and the first of another.
            (x[2 * length - 1], x[2 * length]) = (E::lit(f64::NAN), E::lit(f64::INFINITY));
        }
        let mut sums = vec![E::lit(0.5); count];
        sum_each(&x, length, &mut sums);
        for (k, (&found, x)) in sums.iter().zip(x.chunks_exact(length)).enumerate() {
            let right = sum(x);
            let same = found.bits() == right.bits() || found.is_nan() && right.is_nan();
            assert!(same, "{found} instead of {right}: number {k} of {count} runs of {length}");
        }
    }

    fn narrow_rows_are_columns<E: Real>(rows: usize, width: usize) {
        const WIDE: usize = 40;
        let wide = numbers::<E>(rows * WIDE);
        let mut of_wide = [E::ONE; WIDE];
        sum_rows(&wide, &mut of_wide);
        let narrow: Vec<E> = wide.chunks(WIDE).flat_map(|row| &row[..width]).copied().collect();
        let mut of_narrow = vec![E::ONE; width];
        sum_rows(&narrow, &mut of_narrow);
        let bits = |x: &[E]| x.iter().map(|x| x.bits()).collect::<Vec<_>>();
        assert_eq!(bits(&of_narrow), bits(&of_wide[..width]), "{rows} rows of {width}");
    }

    #[test]
    fn sums_of_rows_have_the_same_bits_for_every_width() {
        for rows in [0, 1, 2, 3, 4, 7, 32, 63, 64, 65, 200] {
            for width in 1..=33 {
                narrow_rows_are_columns::<f32>(rows, width);
                narrow_rows_are_columns::<f64>(rows, width);
            }
        }
    }

    #[test]
    fn sums_of_neighbours_have_the_bits_of_single_sums() {
        for length in (1..70).chain([96, 100, 127, 128, 500, 1024, 1025]) {
            for count in [0, 1, 3, 15, 16, 17, 37] {
                each_is_the_sum::<f32>(length, count);
                each_is_the_sum::<f64>(length, count);
            }
        }
        let mut sums = [1.0f32; 20];
        sum_each(&[-0.0; 60], 3, &mut sums);
        assert!(sums.iter().all(|x| x.to_bits() == 0));
    }

    #[test]
    fn sums_of_rows_have_the_bits_of_one_thread() {
        for (rows, width) in
            [(1, 5), (64, 3), (65, 3), (129, 7), (300, 40), (1000, 200), (9001, 33)]
        {
            let x = numbers::<f64>(rows * width);
            let sums = |threads| {
                with_threads(threads, || {
                    let _tape = Tape::<f64>::default();
                    let mut sums = vec![f64::NAN; width];
                    sum_rows(&x, &mut sums);
                    sums
                })
            };
            let found = sums(1);
            for (k, &found) in found.iter().enumerate() {
                let column = || x.iter().skip(k).step_by(width);
                let (right, size) = (column().sum::<f64>(), column().map(|x| x.abs()).sum::<f64>());
                assert!((found - right).abs() <= 1e-13 * size, "column {k} of {rows} x {width}");
            }
            let bits = |x: Vec<f64>| x.into_iter().map(f64::to_bits).collect::<Vec<_>>();
            let found = bits(found);
            for threads in [2, 3] {
                assert!(bits(sums(threads)) == found, "{rows} x {width} on {threads} threads");
            }
        }
    }
}
