//! The built-in operations with structure, a family a file. Each implements [`Op`](crate::Op), as a
//! user's would.

mod index;
mod loss;
mod product;
mod reduce;
mod shape;
mod softmax;

pub use index::{Indices, where_};
pub use shape::{concat, stack, try_concat};
