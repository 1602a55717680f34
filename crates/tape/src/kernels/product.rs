//! Products of two matrices: by loops of our own where the processor has long vectors and the shape suits them, else by `faer`.
//!
//! Products with much work are cut into pieces that threads may share. The cut depends on the shape
//! alone, never on the number of threads, so the bits are always the same.

#[cfg(target_arch = "x86_64")]
mod ahead;
#[cfg(target_arch = "x86_64")]
mod small;
#[cfg(target_arch = "x86_64")]
mod tile;
#[cfg(target_arch = "x86_64")]
mod wide;

use faer::linalg::matmul::matmul;
use faer::mat::{MatMut, MatRef};
use faer::traits::ComplexField;
use faer::{Accum, Par};

use super::{Matrix, Onto};
#[cfg(target_arch = "x86_64")]
use crate::vector::avx512::singles;
use crate::vector::in_library;
use crate::{Real, threads};

/// How many multiplications are worth a piece of their own, and so a thread.
pub(crate) const PIECE: usize = 1 << 21;
/// Into how many pieces a product is cut at most.
const PIECES: usize = 8;
/// The fewest rows, or columns, of a piece: `faer` rearranges the other operand for each.
const THINNEST: usize = 64;
/// The widest result that the blocks of `faer` suit.
const WIDEST: usize = 512;

#[cfg(target_arch = "x86_64")]
impl<'a, E: Real> Matrix<'a, E> {
    /// The matrix as what it is; see [`singles`].
    fn in_singles(self) -> Matrix<'a, f32> {
        let Matrix { data, rows, columns, transposed } = self;
        Matrix { data: singles(data), rows, columns, transposed }
    }
}

#[cfg(target_arch = "x86_64")]
impl<'a, E: Real> Onto<'a, E> {
    fn in_singles(self) -> Onto<'a, f32> {
        match self {
            Onto::Nothing => Onto::Nothing,
            Onto::Itself => Onto::Itself,
            Onto::Row(row) => Onto::Row(singles(row)),
        }
    }
}

impl<'a, E: ComplexField> Matrix<'a, E> {
    fn view(&self) -> MatRef<'a, E> {
        match self.transposed {
            false => MatRef::from_row_major_slice(self.data, self.rows, self.columns),
            true => MatRef::from_column_major_slice(self.data, self.rows, self.columns),
        }
    }
}

/// `c = onto + a b`.
///
/// # Panics
/// If a slice has not the length of its shape.
pub(crate) fn product<E: Real + ComplexField>(
    c: &mut [E],
    a: Matrix<'_, E>,
    b: Matrix<'_, E>,
    onto: Onto<'_, E>,
) {
    let (rows, inner, columns) = (a.rows, a.columns, b.columns);
    assert_eq!(inner, b.rows, "the inner lengths of a product");
    assert_eq!(c.len(), rows * columns, "the length of a product");
    assert_eq!(a.data.len(), rows * inner, "the length of the left operand");
    assert_eq!(b.data.len(), inner * columns, "the length of the right operand");
    if let Onto::Row(row) = onto {
        assert_eq!(row.len(), columns, "the length of a row");
    }
    if c.is_empty() {
        return;
    }
    if inner == 0 {
        if !prepare(c, onto) {
            c.fill(E::ZERO);
        }
        return;
    }
    // A vector lies in memory like its transpose.
    let [a, b] = [a, b].map(|m| Matrix { transposed: m.is_by_columns(), ..m });
    #[cfg(target_arch = "x86_64")]
    if small::product(c, a, b, onto) || wide::product(c, a, b, onto) {
        return;
    }
    let add = prepare(c, onto);
    cut_and_multiply(c, a, b, add);
}

/// Puts into `c` what a product is added to; whether there is anything.
fn prepare<E: Real>(c: &mut [E], onto: Onto<'_, E>) -> bool {
    match onto {
        Onto::Nothing => return false,
        Onto::Itself => {}
        Onto::Row(row) => repeat(row, c),
    }
    true
}

/// Fills `rows` with copies of `row`, in ever longer pieces: a short row takes longer to ask for than to copy.
fn repeat<E: Real>(row: &[E], rows: &mut [E]) {
    if let [number] = row {
        return rows.fill(*number);
    }
    /// Elements that are in the nearest cache when they are copied again.
    const NEAR: usize = 1024;
    let Some(times) = NEAR.checked_div(row.len()) else { return };
    let longest = times.max(1) * row.len();
    let mut done = row.len().min(rows.len());
    rows[..done].copy_from_slice(&row[..done]);
    while done < rows.len() {
        let piece = longest.min(done).min(rows.len() - done);
        rows.copy_within(..piece, done);
        done += piece;
    }
}

fn cut_and_multiply<E: Real + ComplexField>(
    c: &mut [E],
    a: Matrix<'_, E>,
    b: Matrix<'_, E>,
    add: bool,
) {
    let (rows, columns) = (a.rows, b.columns);
    let pieces = (rows * a.columns * columns / PIECE).clamp(1, PIECES);
    // The longer side is cut; but a right operand that is transposed takes long to rearrange, so it is
    // not done again for pieces of rows. Pieces begin at multiples of what the library works on.
    let by_rows = rows >= columns && !(b.transposed && columns >= 2 * THINNEST);
    let length = if by_rows { rows } else { columns };
    let length = length.div_ceil(pieces).max(THINNEST).next_multiple_of(32);
    let (piece_rows, piece_columns) = if by_rows { (length, columns) } else { (rows, length) };
    let (a, b) = (a.view(), b.view());
    let accumulate = if add { Accum::Add } else { Accum::Replace };
    let out = MatMut::from_row_major_slice_mut(c, rows, columns);
    let piece = (piece_rows, piece_columns.min(WIDEST));
    for_each_piece(out, (0, 0), piece, &|c: MatMut<'_, E>, (row, column)| {
        let (a, b) = (a.subrows(row, c.nrows()), b.subcols(column, c.ncols()));
        in_library(|| matmul(c, accumulate, a, b, E::ONE, Par::Seq));
    });
}

/// Calls `f(piece, (its first row, its first column))` for pieces of `c` of at most so many rows and columns, on all threads.
/// `first` is the place of `c` itself.
fn for_each_piece<E: Send>(
    c: MatMut<'_, E>,
    first: (usize, usize),
    piece: (usize, usize),
    f: &(impl Fn(MatMut<'_, E>, (usize, usize)) + Sync),
) {
    let ((row, column), (rows, columns)) = (first, piece);
    if c.nrows() > rows {
        let half = c.nrows().div_ceil(rows) / 2 * rows;
        let (c, lower) = c.split_at_row_mut(half);
        threads::join(
            || for_each_piece(c, first, piece, f),
            || for_each_piece(lower, (row + half, column), piece, f),
        );
    } else if c.ncols() > columns {
        let half = c.ncols().div_ceil(columns) / 2 * columns;
        let (c, right) = c.split_at_col_mut(half);
        threads::join(
            || for_each_piece(c, first, piece, f),
            || for_each_piece(right, (row, column + half), piece, f),
        );
    } else {
        f(c, first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Tape, with_threads};

    fn numbers<E: Real>(n: usize, seed: f64) -> Vec<E> {
        (0..n).map(|i| E::lit((1.7 * i as f64 + seed).sin())).collect()
    }

    fn at<E: Real>(m: Matrix<'_, E>, row: usize, column: usize) -> f64 {
        let position = match m.transposed {
            false => row * m.columns + column,
            true => column * m.rows + row,
        };
        m.data[position].to_f64()
    }

    /// Every way to multiply, with sides that are and are not multiples of what is worked on at a time.
    const SHAPES: [(usize, usize, usize); 32] = [
        (1, 1, 1),
        (1, 37, 1),
        (1, 5000, 1),
        (5, 3, 1),
        (1, 3, 5),
        (7, 1, 9),
        (4, 64, 16),
        (6, 65, 17),
        (3, 130, 33),
        (33, 13, 10),
        (13, 32, 10),
        (10, 32, 1),
        (19, 17, 23),
        (3, 64, 21),
        (32, 32, 17),
        (41, 40, 39),
        (1, 300, 200),
        (200, 300, 1),
        (200, 1, 300),
        (16, 25, 1100),
        (130, 128, 512),
        (700, 90, 70),
        (70, 90, 700),
        (512, 257, 65),
        (512, 300, 100),
        (1024, 260, 64),
        (8, 1, 32),
        (47, 31, 96),
        (48, 513, 110),
        (49, 40, 49),
        (250, 64, 34),
        (263, 530, 1041),
    ];

    fn compare<E: Real + ComplexField>(tolerance: f64) {
        let _tape = Tape::<E>::default();
        for (rows, inner, columns) in SHAPES {
            let (x, y) = (numbers::<E>(rows * inner, 0.3), numbers::<E>(inner * columns, 0.8));
            for (ta, tb) in [(false, false), (true, false), (false, true), (true, true)] {
                let a = Matrix { data: &x, rows, columns: inner, transposed: ta };
                let b = Matrix { data: &y, rows: inner, columns, transposed: tb };
                // What is there before must not be read, unless it is to be added to.
                let mut once = vec![E::lit(f64::NAN); rows * columns];
                product(&mut once, a, b, Onto::Nothing);
                let mut added = numbers::<E>(rows * columns, 0.1);
                let before = added.clone();
                product(&mut added, a, b, Onto::Itself);
                let row = numbers::<E>(columns, 0.4);
                let mut onto_row = vec![E::lit(f64::NAN); rows * columns];
                product(&mut onto_row, a, b, Onto::Row(&row));
                let step = (rows * columns / 500).max(1);
                for k in (0..rows * columns).step_by(step) {
                    let (i, j) = (k / columns, k % columns);
                    let expected: f64 = (0..inner).map(|p| at(a, i, p) * at(b, p, j)).sum();
                    let bound = tolerance * inner as f64;
                    let name = format!("{rows}x{inner}x{columns} {ta} {tb} at {i}, {j}");
                    assert!((once[k].to_f64() - expected).abs() <= bound, "{name}");
                    let sum = expected + before[k].to_f64();
                    assert!((added[k].to_f64() - sum).abs() <= bound, "{name}, added");
                    let sum = expected + row[j].to_f64();
                    assert!((onto_row[k].to_f64() - sum).abs() <= bound, "{name}, onto a row");
                }
                assert!(once.iter().chain(&onto_row).all(|x| x.is_finite()));
            }
        }
    }

    #[test]
    fn all_ways_are_the_sum_of_products() {
        compare::<f64>(1e-15);
        compare::<f32>(1e-6);
    }

    fn bits<E: Real + ComplexField>(threads: usize) -> Vec<u64> {
        with_threads(threads, || {
            let _tape = Tape::<E>::default();
            let mut all = Vec::new();
            for (rows, inner, columns) in SHAPES {
                let (x, y) = (numbers::<E>(rows * inner, 0.3), numbers::<E>(inner * columns, 0.8));
                for transposed in [false, true] {
                    let a = Matrix { data: &x, rows, columns: inner, transposed };
                    let b = Matrix { data: &y, rows: inner, columns, transposed };
                    let mut c = numbers::<E>(rows * columns, 0.1);
                    product(&mut c, a, b, Onto::Itself);
                    all.extend(c.iter().map(|c| c.bits()));
                    product(&mut c, a, b, Onto::Row(&numbers(columns, 0.4)));
                    all.extend(c.iter().map(|c| c.bits()));
                }
            }
            all
        })
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let (single, double) = (bits::<f32>(1), bits::<f64>(1));
        for threads in [2, 3] {
            assert!(bits::<f32>(threads) == single && bits::<f64>(threads) == double);
        }
    }

    #[test]
    fn zero_times_infinity_is_not_skipped() {
        for (rows, inner, columns) in SHAPES {
            for special in [f64::INFINITY, f64::NAN] {
                let x = vec![0.0; rows * inner];
                let mut y = vec![1.0; inner * columns];
                y[inner / 2 * columns + columns / 2] = special;
                let a = Matrix { data: &x, rows, columns: inner, transposed: false };
                let b = Matrix { data: &y, rows: inner, columns, transposed: false };
                let mut c = vec![1.0; rows * columns];
                product(&mut c, a, b, Onto::Nothing);
                for (k, c) in c.iter().enumerate() {
                    assert!(if k % columns == columns / 2 { c.is_nan() } else { *c == 0.0 });
                }
                let (a, b) = (b.transpose(), a.transpose());
                let mut c = vec![1.0; rows * columns];
                product(&mut c, a, b, Onto::Nothing);
                for (k, c) in c.iter().enumerate() {
                    assert!(if k / rows == columns / 2 { c.is_nan() } else { *c == 0.0 });
                }
            }
        }
    }

    #[cfg(all(target_arch = "x86_64", not(miri)))]
    #[test]
    fn the_upper_halves_of_registers_are_not_left_in_use() {
        for (rows, inner, columns) in SHAPES {
            let (x, y) = (vec![0.5; rows * inner], vec![0.25; inner * columns]);
            let a = Matrix { data: &x, rows, columns: inner, transposed: false };
            let b = Matrix { data: &y, rows: inner, columns, transposed: false };
            product(&mut vec![0.0; rows * columns], a, b, Onto::Nothing);
            let in_use = crate::vector::upper_halves_in_use();
            assert_ne!(in_use, Some(true), "{rows}x{inner}x{columns}");
        }
    }

    #[test]
    fn no_terms_are_zero_and_no_elements_are_nothing() {
        let nothing = |rows, columns| Matrix::<f64> { data: &[], rows, columns, transposed: false };
        let mut c = [7.0; 6];
        product(&mut c, nothing(2, 0), nothing(0, 3), Onto::Itself);
        assert_eq!(c, [7.0; 6]);
        product(&mut c, nothing(2, 0), nothing(0, 3), Onto::Nothing);
        assert_eq!(c, [0.0; 6]);
        product(&mut c, nothing(2, 0), nothing(0, 3), Onto::Row(&[1.0, 2.0, 3.0]));
        assert_eq!(c, [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]);
        let b = Matrix { data: &[1.0; 6], rows: 2, columns: 3, transposed: false };
        product(&mut [], nothing(0, 2), b, Onto::Nothing);
        product(&mut [], b.transpose(), nothing(2, 0), Onto::Nothing);
    }
}
