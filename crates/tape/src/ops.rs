//! The built-in operations with structure, a family a file. Each implements [`Op`](crate::Op), as a
//! user's would.

mod activation;
mod conv;
mod index;
mod loss;
mod norm;
mod pool;
mod product;
mod reduce;
mod shape;
mod softmax;

pub use conv::{Conv2d, IntoPair};
pub use index::{Indices, where_};
pub use pool::Pool2d;
pub use shape::{concat, stack, try_concat};
