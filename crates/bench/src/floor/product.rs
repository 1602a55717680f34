//! Matrix products of the floors: `faer`'s, sequential, in the way that is fastest here, or the engine's where that is
//! faster.

use std::time::Instant;

use faer::linalg::matmul::matmul;
use faer::mat::{MatMut, MatRef};
use faer::{Accum, Par};
use wengert::tape::{Matrix, Onto, Real};

/// `c = a b` with `a` of `m` rows and `k` columns and `b` of `k` rows and `n` columns, in row-major
/// order or given as their transposes.
///
/// Whether an operand is first copied into its transposed order, and whether two threads share the
/// product, is tried out when it is made.
pub(crate) struct Product {
    shape: (usize, usize, usize),
    transposed: (bool, bool),
    way: Way,
    packed: (Vec<f32>, Vec<f32>),
}

#[derive(Clone, Copy)]
struct Way {
    pack: (bool, bool),
    halves: bool,
    /// Whether the engine multiplies, which then also shares out.
    engine: bool,
}

impl Product {
    pub(crate) fn new(
        shape: (usize, usize, usize),
        transposed: (bool, bool),
        threads: usize,
    ) -> Self {
        let (m, k, n) = shape;
        let (a, b) = (vec![0.01; m * k], vec![0.01; k * n]);
        let mut c = vec![0.0; m * n];
        let way = Way { pack: (false, false), halves: false, engine: true };
        let packed = (vec![0.0; m * k], vec![0.0; k * n]);
        let mut product = Product { shape, transposed, way, packed };
        let mut best = (fastest(|| product.run(&mut c, &a, &b)), way);
        for number in 0..if threads > 1 { 8 } else { 4 } {
            let pack = (number & 1 != 0, number & 2 != 0);
            product.way = Way { pack, halves: number & 4 != 0, engine: false };
            let time = fastest(|| product.run(&mut c, &a, &b));
            if time < best.0 {
                best = (time, product.way);
            }
        }
        product.way = best.1;
        product
    }

    pub(crate) fn run(&mut self, c: &mut [f32], a: &[f32], b: &[f32]) {
        let (m, k, n) = self.shape;
        let (mut ta, mut tb) = self.transposed;
        if self.way.engine {
            return multiply_by_engine(self.shape, (ta, tb), c, a, b);
        }
        let (mut a, mut b) = (a, b);
        if self.way.pack.0 {
            transpose(a, if ta { (k, m) } else { (m, k) }, &mut self.packed.0);
            (a, ta) = (&self.packed.0, !ta);
        }
        if self.way.pack.1 {
            transpose(b, if tb { (n, k) } else { (k, n) }, &mut self.packed.1);
            (b, tb) = (&self.packed.1, !tb);
        }
        let c = MatMut::from_row_major_slice_mut(c, m, n);
        multiply(c, view(a, m, k, ta), view(b, k, n, tb), self.way.halves);
    }
}

/// Has the library take the workspace of this thread, which it takes once and keeps, so that it does not
/// count as memory of the workload that happens to be the first.
pub(crate) fn warm_up() {
    const N: usize = 64;
    let (a, mut c) = (vec![0.01; N * N], vec![0.0; N * N]);
    multiply(
        MatMut::from_row_major_slice_mut(&mut c, N, N),
        view(&a, N, N, false),
        view(&a, N, N, false),
        false,
    );
    multiply_by_engine((N, N, N), (true, false), &mut c, &a, &a);
}

/// Products of one shape in the layout that is fastest here: what has no neighbours may choose.
pub(crate) struct FreeProduct {
    shape: (usize, usize, usize),
    count: usize,
    layout: Layout,
    a: Vec<f32>,
    b: Vec<f32>,
    c: Vec<f32>,
}

/// How the products are done.
#[derive(Clone, Copy)]
struct Layout {
    /// Whether each of the three matrices is stored column by column.
    columns: [bool; 3],
    /// Whether two threads share the products, or the one that there is.
    halves: bool,
    /// Whether the engine multiplies; its results are by rows.
    engine: bool,
}

impl FreeProduct {
    /// `count` products `[m, k] [k, n]`, of different matrices or all with the same right operand.
    pub(crate) fn new(
        count: usize,
        shape: (usize, usize, usize),
        same_right: bool,
        threads: usize,
    ) -> Self {
        let (m, k, n) = shape;
        let rights = if same_right { 1 } else { count };
        let (a, b) = (vec![0.01; count * m * k], vec![0.01; rights * k * n]);
        let c = vec![0.0; count * m * n];
        let layout = |number: usize| Layout {
            columns: [number & 1 != 0, number & 2 != 0, number & 4 != 0],
            engine: number & 8 != 0,
            halves: number & 16 != 0,
        };
        let mut product = FreeProduct { shape, count, layout: layout(0), a, b, c };
        let mut best = (f64::INFINITY, layout(0));
        for layout in (0..if threads > 1 { 32 } else { 16 }).map(layout) {
            if layout.engine && layout.columns[2] {
                continue;
            }
            product.layout = layout;
            let time = fastest(|| product.run());
            if time < best.0 {
                best = (time, layout);
            }
        }
        product.layout = best.1;
        product
    }

    pub(crate) fn run(&mut self) {
        let (m, k, n) = self.shape;
        let (shape, mut layout, count) = (self.shape, self.layout, self.count);
        // Many products are shared out, one is split.
        if layout.halves && count > 1 {
            layout.halves = false;
            let half = count / 2;
            let (c0, c1) = self.c.split_at_mut(half * m * n);
            let (a0, a1) = self.a.split_at(half * m * k);
            let (b0, b1) = match self.b.len() == k * n {
                true => (&self.b[..], &self.b[..]),
                false => self.b.split_at(half * k * n),
            };
            rayon::join(
                || multiply_all(shape, layout, c0, a0, b0),
                || multiply_all(shape, layout, c1, a1, b1),
            );
        } else {
            multiply_all(shape, layout, &mut self.c, &self.a, &self.b);
        }
    }
}

fn multiply_all(
    (m, k, n): (usize, usize, usize),
    layout: Layout,
    c: &mut [f32],
    a: &[f32],
    b: &[f32],
) {
    let columns = layout.columns;
    // What there is one of is used again.
    let operands = a.chunks_exact(m * k).zip(b.chunks_exact(k * n).cycle());
    for (c, (a, b)) in c.chunks_exact_mut(m * n).zip(operands) {
        if layout.engine {
            multiply_by_engine((m, k, n), (columns[0], columns[1]), c, a, b);
            continue;
        }
        let c = match columns[2] {
            false => MatMut::from_row_major_slice_mut(c, m, n),
            true => MatMut::from_column_major_slice_mut(c, m, n),
        };
        multiply(c, view(a, m, k, columns[0]), view(b, k, n, columns[1]), layout.halves);
    }
}

/// The engine's product, which shares out by itself.
fn multiply_by_engine(
    (m, k, n): (usize, usize, usize),
    transposed: (bool, bool),
    c: &mut [f32],
    a: &[f32],
    b: &[f32],
) {
    let a = Matrix { data: a, rows: m, columns: k, transposed: transposed.0 };
    let b = Matrix { data: b, rows: k, columns: n, transposed: transposed.1 };
    f32::matmul(c, a, b, Onto::Nothing);
}

fn view(data: &[f32], rows: usize, columns: usize, transposed: bool) -> MatRef<'_, f32> {
    match transposed {
        false => MatRef::from_row_major_slice(data, rows, columns),
        true => MatRef::from_column_major_slice(data, rows, columns),
    }
}

/// `c = a b`, in two halves of its longer side if so asked.
fn multiply(c: MatMut<'_, f32>, a: MatRef<'_, f32>, b: MatRef<'_, f32>, halves: bool) {
    let whole = |c: MatMut<'_, f32>, a: MatRef<'_, f32>, b: MatRef<'_, f32>| {
        matmul(c, Accum::Replace, a, b, 1.0, Par::Seq);
        end_use_of_vectors();
    };
    let (rows, columns) = (c.nrows(), c.ncols());
    if !halves {
        whole(c, a, b);
    } else if rows >= columns {
        let half = (rows / 2).next_multiple_of(16).min(rows);
        let ((c0, c1), (a0, a1)) = (c.split_at_row_mut(half), a.split_at_row(half));
        rayon::join(|| whole(c0, a0, b), || whole(c1, a1, b));
    } else {
        let half = (columns / 2).next_multiple_of(16).min(columns);
        let ((c0, c1), (b0, b1)) = (c.split_at_col_mut(half), b.split_at_col(half));
        rayon::join(|| whole(c0, a, b0), || whole(c1, a, b1));
    }
}

/// The library leaves the upper halves of registers in use, and functions of the system take thirty times as long as
/// they do else on processors that mind.
fn end_use_of_vectors() {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = pulp::x86::V3::try_new() {
        simd.avx._mm256_zeroupper();
    }
}

/// The transpose of a row-major matrix, in blocks that fit the cache.
fn transpose(x: &[f32], (rows, columns): (usize, usize), out: &mut [f32]) {
    const BLOCK: usize = 16;
    for i0 in (0..rows).step_by(BLOCK) {
        for j0 in (0..columns).step_by(BLOCK) {
            for j in j0..columns.min(j0 + BLOCK) {
                for i in i0..rows.min(i0 + BLOCK) {
                    out[j * rows + i] = x[i * columns + j];
                }
            }
        }
    }
}

/// The fastest of some runs, in seconds, without the first.
fn fastest(mut f: impl FnMut()) -> f64 {
    f();
    let time = |f: &mut dyn FnMut()| {
        let start = Instant::now();
        f();
        start.elapsed().as_secs_f64()
    };
    (0..7).map(|_| time(&mut f)).fold(f64::INFINITY, f64::min)
}
