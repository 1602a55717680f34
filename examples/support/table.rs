//! Tables of numbers for the examples: reading CSV, and standardising.

use wengert::prelude::*;

/// Features `[rows, columns]` and the target `[rows, 1]`, which is the last column of the file.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) features: Tensor,
    pub(crate) targets: Tensor,
}

impl Table {
    /// Reads CSV: a header line, then as many numbers in each line as the header has names. An error
    /// says where it is.
    pub(crate) fn parse(csv: &str) -> Result<Table, String> {
        let mut lines = (1usize..).zip(csv.lines());
        let (_, header) = lines.next().ok_or("the file is empty: a header line was expected")?;
        let names: Vec<&str> = header.split(',').map(str::trim).collect();

        let (mut features, mut targets) = (Vec::new(), Vec::new());
        for (line, text) in lines.filter(|(_, text)| !text.trim().is_empty()) {
            let cells: Vec<&str> = text.split(',').map(str::trim).collect();
            let (found, expected) = (cells.len(), names.len());
            if found != expected {
                return Err(format!("line {line}: {found} cells where the header has {expected}"));
            }
            for (cell, name) in cells.into_iter().zip(&names) {
                let number = cell.parse::<f64>();
                features.push(number.map_err(|e| format!("line {line}, {name}: `{cell}`: {e}"))?);
            }
            targets.extend(features.pop());
        }

        let rows = targets.len();
        Ok(Table {
            features: Tensor::new([rows, names.len() - 1], features),
            targets: Tensor::new([rows, 1], targets),
        })
    }
}

/// Shifts and scales each column to mean 0 and deviation 1 over the rows that it was fitted to.
#[derive(Debug)]
pub(crate) struct Standardiser {
    mean: Vec<f64>,
    scale: Vec<f64>,
}

impl Standardiser {
    pub(crate) fn fit(table: &Tensor) -> Standardiser {
        let (rows, columns) = (table.shape()[0], table.shape()[1]);
        let (mut mean, mut scale) = (vec![0.0; columns], vec![1.0; columns]);
        for k in 0..columns {
            let column = || (0..rows).map(|i| table[[i, k]]);
            mean[k] = column().sum::<f64>() / rows as f64;
            let variance = column().map(|x| (x - mean[k]).powi(2)).sum::<f64>() / rows as f64;
            // A column that never changes keeps its scale: its deviation is rounding alone.
            if variance.sqrt() > 1e-12 * mean[k].abs() {
                scale[k] = variance.sqrt();
            }
        }
        Standardiser { mean, scale }
    }

    pub(crate) fn apply(&self, table: &Tensor) -> Tensor {
        Tensor::from_fn(table.shape(), |[i, k]| (table[[i, k]] - self.mean[k]) / self.scale[k])
    }
}
