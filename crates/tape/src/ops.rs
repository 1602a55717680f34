//! The built-in operations with structure, a family a file. Each implements [`Op`](crate::Op), as a
//! user's would.

pub(crate) mod activation;
mod adaptive;
mod arrange;
mod attention;
mod conv;
mod distance;
mod dropout;
mod einsum;
pub(crate) mod index;
mod linalg;
mod loss;
mod norm;
mod normalise;
mod place;
mod pool;
mod product;
mod recurrent;
mod reduce;
mod resample;
pub(crate) mod rows;
mod shape;
mod softmax;
pub(crate) mod special;
mod view;

pub use arrange::Pad;
pub use attention::{
    Attention, multi_head_attention, scaled_dot_product_attention, try_multi_head_attention,
    try_scaled_dot_product_attention,
};
pub use conv::{Conv1d, Conv2d, Conv3d, IntoPair, IntoTriple};
pub use einsum::{einsum, try_einsum};
pub use index::{Indices, where_};
pub use linalg::Triangle;
pub(crate) use linalg::factor::Factor;
pub use loss::{CrossEntropy, MultiMargin, Reduction, TripletMargin};
pub use pool::{Pool2d, Pool3d};
pub use resample::Interpolation;
pub use shape::{concat, stack, try_concat};

/// The cases of all families.
#[cfg(feature = "cases")]
pub(crate) fn cases() -> Vec<(&'static str, Vec<crate::cases::Case>)> {
    vec![
        ("Special functions", special::cases::cases()),
        ("Activations", activation::cases::cases()),
        ("Softmax", softmax::cases()),
        ("Reductions", reduce::cases::cases()),
        ("Shape", shape::cases::cases()),
        ("Shape", view::cases::cases()),
        ("Shape", arrange::cases::cases()),
        ("Index", index::cases::cases()),
        ("Index", place::cases::cases()),
        ("Products", product::cases::cases()),
        ("Products", distance::cases::cases()),
        ("Products", einsum::cases::cases()),
        ("Linear algebra", linalg::cases::cases()),
        ("Convolutions", conv::cases::cases()),
        ("Convolutions", conv::other::cases::cases()),
        ("Pooling", pool::cases::cases()),
        ("Pooling", adaptive::cases::cases()),
        ("Pooling", resample::cases::cases()),
        ("Normalisation", norm::cases::cases()),
        ("Normalisation", normalise::cases::cases()),
        ("Normalisation", dropout::cases::cases()),
        ("Attention", attention::cases::cases()),
        ("Recurrent layers", recurrent::cases::cases()),
        ("Losses", loss::cases::cases()),
    ]
}
