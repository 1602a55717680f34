//! What the hand-written sides are made of. Nothing here knows the engine.

pub(crate) mod adam;
pub(crate) mod math;
pub(crate) mod minimal;
pub(crate) mod product;
