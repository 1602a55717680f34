//! `docs/operations.md`.

use std::fmt::Write;

use wengert::tape::cases::Case;

use super::Found;

/// A row of the table: all cases of one name and one signature.
pub(crate) struct Row {
    family: &'static str,
    name: &'static str,
    signature: &'static str,
    derivative: &'static str,
    kinks: &'static str,
    differentiable: bool,
    points: usize,
    found: Found,
}

/// Adds what was found about a case to its row.
pub(crate) fn add(rows: &mut Vec<Row>, family: &'static str, case: &Case, found: Found) {
    let same = |row: &&mut Row| row.name == case.name && row.signature == case.signature;
    if let Some(row) = rows.iter_mut().find(same) {
        row.found.first = row.found.first.max(found.first);
        row.found.second = row.found.second.max(found.second);
        row.found.compared += found.compared;
        row.points += case.points.len();
        return;
    }
    rows.push(Row {
        family,
        name: case.name,
        signature: case.signature,
        derivative: case.derivative,
        kinks: case.kinks,
        differentiable: case.differentiable,
        points: case.points.len(),
        found,
    });
}

/// The smallest error that is told from 0: below it there is only rounding, which differs from machine to
/// machine.
const SMALLEST: [i32; 2] = [-11, -10];

/// The largest error that an operation may have.
const LARGEST: [f64; 2] = [1e-7, 1e-5];

const INTRODUCTION: &str = "# Operations

This file is written by a test (`tests/table`), which fails if it is out of date. Each row stands for a public operation, \
checked at several points (shapes, broadcasts, rank 0, no elements) in both precisions: its value against an independent computation, its \
gradient (by a first-order sweep, by a recorded one and by forward mode) against central differences, its Hessian against differences \
of the gradient, and where there is one, its form for recorded numbers against that for tensors.

The last two columns are the largest errors found in double precision, relative to the largest derivative at the point and rounded up to a power of ten: \
that of the gradient, not told apart below 1e-11, and that of the Hessian, not told apart below 1e-10. Most of it is that of the differences. In the formulas \
`g` is the cotangent of the result `y`, and `dx` that of `x`. A dash means that there is no derivative. What happens at \
kinks, poles and other edges is in [kinks.md](kinks.md).
";

/// What people know from elsewhere and look for in vain.
const ABSENT: &str = "
## What is not here

Options that others have, and what does the same:

- Axes that are kept: `median_axis`, `quantile_axis`, `all_axes` and `any_axes` drop theirs; `unsqueeze` puts it back. (Indices, such as those of `argmax_axis`, have no shape.)
- Slices with a negative step: `flip`, then `slice_step`.
- Norms of an order below 1, which are none. What is not 0 is counted by `where_(x, 1.0, 0.0).sum()`.
- Convolutions with another padding than zeros: `pad`, then the convolution. Pooling with dilated windows, with windows that reach beyond the padded image \
(`ceil_mode`), and means over what is inside of it alone (`count_include_pad`): `pad`, then `windows` and a reduction.
- `interpolate` is for images: a line is one of height 1. There is none for volumes.
- The gradient of `embedding` is a whole tensor: rows that were not asked for are its zeros, and the others are added to it in place.
- Several layers and directions of `lstm` and `gru`: a loop, and `flip`. A cell is a sequence of length 1.
- `softplus` with a factor: `(x * beta).softplus() / beta`. Losses with parts that depend on the target alone (`full`), and targets as logarithms: one more term, and `exp`.
- `one_hot` makes plain tensors (`Tensor::one_hot`), and has no derivative that a row could be about.
";

/// The exponent of the smallest power of ten that is not below an error.
fn exponent(error: f64, order: usize) -> i32 {
    let exact = if error > 0.0 { error.log10().ceil() as i32 } else { i32::MIN };
    exact.max(SMALLEST[order])
}

/// The exponents in the row of the present file that begins with `start`.
fn present(file: &str, start: &str) -> [Option<i32>; 2] {
    let row = file.lines().find(|line| line.starts_with(start));
    let Some(row) = row else { return [None; 2] };
    let cells: Vec<&str> = row.trim_end_matches('|').rsplit('|').map(str::trim).collect();
    let of = |k: usize| cells.get(k).and_then(|cell| cell.strip_prefix("1e")?.parse().ok());
    [of(1), of(0)]
}

fn document(rows: &[Row], file: &str) -> String {
    let mut text = INTRODUCTION.to_owned();
    let mut family = "";
    for row in rows {
        if row.family != family {
            family = row.family;
            let _ = write!(
                text,
                "\n## {family}\n\n| operation | call | derivative | not differentiable | first order | second order |\n|---|---|---|---|---|---|\n"
            );
        }
        let code = |text: &str| if text.is_empty() { String::new() } else { format!("`{text}`") };
        let start = format!(
            "| `{}` | {} | {} | {} |",
            row.name,
            code(row.signature),
            row.derivative.replace('|', "\\|"),
            row.kinks.replace('|', "\\|")
        );
        let errors = [row.found.first, row.found.second];
        let old = present(file, &start);
        let cell = |order: usize| {
            if !row.differentiable {
                return "-".to_owned();
            }
            // A bound that still holds and is at most one power too large stays, so that an error near a
            // power of ten gives the same file on every machine.
            let new = exponent(errors[order], order);
            let old = old[order].filter(|&old| old == new + 1);
            format!("1e{}", old.unwrap_or(new))
        };
        let _ = writeln!(text, "{start} {} | {} |", cell(0), cell(1));
    }
    let differentiable = rows.iter().filter(|row| row.differentiable);
    let worst = |of: fn(&Found) -> f64, order: usize| {
        let worst = differentiable.clone().map(|row| of(&row.found)).fold(0.0, f64::max);
        (worst, exponent(worst, order))
    };
    let (first, _) = worst(|found| found.first, 0);
    let (second, _) = worst(|found| found.second, 1);
    let points: usize = rows.iter().map(|row| row.points).sum();
    let compared: usize = rows.iter().map(|row| row.found.compared).sum();
    println!(
        "{} rows, {} of them checked at both orders, {points} points, {compared} derivatives; worst errors {first:.1e} and {second:.1e}",
        rows.len(),
        differentiable.clone().count(),
    );
    let _ = write!(
        text,
        "\n{} operations, {} of them differentiable and checked at both orders, at {points} points.\n",
        rows.len(),
        differentiable.count(),
    );
    text + ABSENT
}

/// Compares the table with the file, or writes it.
pub(crate) fn compare(rows: &[Row]) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md");
    let file = std::fs::read_to_string(path).unwrap_or_default();
    let text = document(rows, &file);
    for row in rows {
        for (error, largest) in [row.found.first, row.found.second].into_iter().zip(LARGEST) {
            assert!(error < largest, "{}: an error of {error:.1e}", row.signature);
        }
    }
    if std::env::var_os("WENGERT_WRITE_DOCS").is_some() {
        return std::fs::write(path, text).expect("the file can be written");
    }
    if file == text {
        return;
    }
    let differs = file.lines().zip(text.lines()).find(|(old, new)| old != new);
    let (old, new) = differs.unwrap_or(("", "(the number of lines)"));
    panic!(
        "docs/operations.md is out of date. Write it by WENGERT_WRITE_DOCS=1 cargo test --test table.\nold: {old}\nnew: {new}"
    );
}
