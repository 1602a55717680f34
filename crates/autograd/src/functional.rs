//! Derivatives of closures.
