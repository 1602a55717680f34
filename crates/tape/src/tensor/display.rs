//! Printing a tensor as nested rows.

use std::fmt;

use super::Tensor;
use crate::Real;

impl<E: Real> fmt::Display for Tensor<E> {
    /// Nested brackets, a row a line; precision and width apply to each element.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rank = self.rank();
        let strides = self.shape().strides();
        if self.len() == 0 {
            return write!(f, "[] of shape {}", self.shape());
        }
        for (i, value) in self.iter().enumerate() {
            // As many brackets open or close here as axes begin or end with this element.
            let opening = strides.iter().zip(&**self.shape()).filter(|(s, d)| i % (*s * *d) == 0);
            let opening = opening.count();
            if i > 0 {
                match opening {
                    0 => f.write_str(", ")?,
                    _ => write!(
                        f,
                        ",{}{:indent$}",
                        "\n".repeat(opening),
                        "",
                        indent = rank - opening
                    )?,
                }
            }
            f.write_str(&"[".repeat(opening))?;
            fmt::Display::fmt(value, f)?;
            let ends =
                strides.iter().zip(&**self.shape()).filter(|(s, d)| (i + 1) % (*s * *d) == 0);
            f.write_str(&"]".repeat(ends.count()))?;
        }
        Ok(())
    }
}
