//! The built-in operations with structure, a family a file. Each implements [`Op`](crate::Op), as a
//! user's would.

mod activation;
mod attention;
mod conv;
mod index;
mod loss;
mod norm;
mod pool;
mod product;
mod recurrent;
mod reduce;
mod rows;
mod shape;
mod softmax;

pub use attention::{
    Attention, multi_head_attention, scaled_dot_product_attention, try_multi_head_attention,
    try_scaled_dot_product_attention,
};
pub use conv::{Conv2d, IntoPair};
pub use index::{Indices, where_};
pub use pool::Pool2d;
pub use shape::{concat, stack, try_concat};
