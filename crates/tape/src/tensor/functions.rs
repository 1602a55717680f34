//! The functions of [`TensorVar`](crate::TensorVar) for plain tensors: the list of their signatures.
//!
//! Each records its operands on a [`SideTape`], calls the method of the same name there, and takes out the
//! value. So there is nothing here to compute, and nothing to be wrong but a signature. The cases of the table
//! of operations run plain as well, which holds the list to be complete.

use std::ops::Range;

use rand::Rng;

use super::Tensor;
use super::side_tape::{Operand, SideTape};
use crate::error::expect;
use crate::ops::activation::for_each_activation;
use crate::ops::special::for_each_special;
use crate::{
    Conv1d, Conv2d, Conv3d, CrossEntropy, Error, Indices, Interpolation, IntoAxes, IntoPair,
    IntoTriple, MultiMargin, Pad, Pool2d, Pool3d, Real, Reduction, Shape, Triangle, TripletMargin,
};

/// The methods that are one primitive, from the list of the primitives.
macro_rules! primitives {
    ($($method:ident $primitive:ident ($($operand:ident),*);)*) => {
        impl<E: Real> Tensor<E> { $(
            #[doc = concat!("[`Elementary::", stringify!($method), "`](crate::Elementary::", stringify!($method), ") of each element.")]
            #[track_caller]
            pub fn $method(&self $(, $operand: impl Operand<E>)*) -> Tensor<E> {
                let side = SideTape::new();
                side.take(side.put(self).$method($(side.put($operand)),*))
            }
        )* }
    };
}

crate::primitive::for_each_method!(primitives);

/// The methods that apply a rule, from the lists of the rules.
macro_rules! rules {
    ($($(#[$meta:meta])* $method:ident($($operand:ident),*) [$($constant:ident: $type:ty),*] => $apply:ident($($call:tt)*);)*) => {
        impl<E: Real> Tensor<E> { $(
            #[doc = concat!("[`Elementary::", stringify!($method), "`](crate::Elementary::", stringify!($method), ") of each element.")]
            #[track_caller]
            pub fn $method(&self $(, $operand: impl Operand<E>)* $(, $constant: $type)*) -> Tensor<E> {
                let side = SideTape::new();
                side.take(side.put(self).$method($(side.put($operand),)* $($constant),*))
            }
        )* }
    };
}

for_each_activation!(rules);
for_each_special!(rules);

/// What a function returns, if the list does not say it.
macro_rules! result {
    () => { Tensor<E> };
    ($type:ty) => { $type };
}

/// The type of an argument: a name alone is a tensor or a number.
macro_rules! argument {
    () => { impl Operand<E> };
    ($type:ty) => { $type };
}

/// What is handed on: an operand is recorded first.
macro_rules! handed_on {
    ($side:ident, $arg:ident) => {
        $side.put($arg)
    };
    ($side:ident, $arg:ident: $type:ty) => {
        $arg
    };
}

/// Methods from their signatures.
macro_rules! functions {
    ($($name:ident($($arg:ident $(: $type:ty)?),*) $(-> $result:ty)?;)*) => {
        impl<E: Real> Tensor<E> { $(
            #[doc = concat!("[`TensorVar::", stringify!($name), "`](crate::TensorVar::", stringify!($name), ") without a tape.")]
            #[track_caller]
            pub fn $name(&self $(, $arg: argument!($($type)?))*) -> result!($($result)?) {
                let side = SideTape::new();
                let result = side.put(self).$name($(handed_on!(side, $arg $(: $type)?)),*);
                side.take(result)
            }
        )* }
    };
}

/// Methods that have a twin which returns an error.
macro_rules! fallible {
    ($($name:ident $try_name:ident($($arg:ident $(: $type:ty)?),*) $(-> $result:ty)?;)*) => {
        functions! { $($name($($arg $(: $type)?),*) $(-> $result)?;)* }

        impl<E: Real> Tensor<E> { $(
            #[doc = concat!("[`TensorVar::", stringify!($try_name), "`](crate::TensorVar::", stringify!($try_name), ") without a tape.")]
            ///
            /// # Errors
            /// As there.
            #[track_caller]
            pub fn $try_name(
                &self $(, $arg: argument!($($type)?))*
            ) -> Result<result!($($result)?), Error> {
                let side = SideTape::new();
                let result = side.put(self).$try_name($(handed_on!(side, $arg $(: $type)?)),*)?;
                Ok(side.take(result))
            }
        )* }
    };
}

/// Convolutions: a weight, a bias that may be `None`, and the rest.
macro_rules! convolutions {
    ($($name:ident $try_name:ident($($arg:ident: $type:ty),*);)*) => {
        impl<E: Real> Tensor<E> { $(
            #[doc = concat!("[`TensorVar::", stringify!($name), "`](crate::TensorVar::", stringify!($name), ") without a tape.")]
            #[track_caller]
            pub fn $name<'a>(
                &self,
                weight: impl Operand<E>,
                bias: impl Into<Option<&'a Tensor<E>>>
                $(, $arg: $type)*
            ) -> Tensor<E> {
                expect(self.$try_name(weight, bias $(, $arg)*))
            }

            #[doc = concat!("[`TensorVar::", stringify!($try_name), "`](crate::TensorVar::", stringify!($try_name), ") without a tape.")]
            ///
            /// # Errors
            /// As there.
            #[track_caller]
            pub fn $try_name<'a>(
                &self,
                weight: impl Operand<E>,
                bias: impl Into<Option<&'a Tensor<E>>>
                $(, $arg: $type)*
            ) -> Result<Tensor<E>, Error> {
                let side = SideTape::new();
                let (weight, bias) = (side.put(weight), bias.into().map(|bias| side.put(bias)));
                Ok(side.take(side.put(self).$try_name(weight, bias $(, $arg)*)?))
            }
        )* }
    };
}

// Elementwise, beside the lists above.
functions! {
    powi(n: i32);
    square();
    sin_cos() -> (Tensor<E>, Tensor<E>);
    clamp(low, high);
}

// Reductions and what is along an axis.
functions! {
    sum();
    sum_axes(axes: impl IntoAxes);
    sum_axes_keep(axes: impl IntoAxes);
    mean();
    mean_axes(axes: impl IntoAxes);
    mean_axes_keep(axes: impl IntoAxes);
    amax();
    amax_axes(axes: impl IntoAxes);
    amax_axes_keep(axes: impl IntoAxes);
    amin();
    amin_axes(axes: impl IntoAxes);
    amin_axes_keep(axes: impl IntoAxes);
    prod();
    prod_axes(axes: impl IntoAxes);
    prod_axes_keep(axes: impl IntoAxes);
    logsumexp();
    logsumexp_axes(axes: impl IntoAxes);
    logsumexp_axes_keep(axes: impl IntoAxes);
    var(correction: f64);
    var_axes(axes: impl IntoAxes, correction: f64);
    var_axes_keep(axes: impl IntoAxes, correction: f64);
    std(correction: f64);
    std_axes(axes: impl IntoAxes, correction: f64);
    std_axes_keep(axes: impl IntoAxes, correction: f64);
    norm(p: f64);
    norm_axes(axes: impl IntoAxes, p: f64);
    norm_axes_keep(axes: impl IntoAxes, p: f64);
    all() -> bool;
    any() -> bool;
    all_axes(axes: impl IntoAxes);
    any_axes(axes: impl IntoAxes);
    argmax() -> usize;
    argmin() -> usize;
    argmax_axis(axis: isize) -> Indices;
    argmin_axis(axis: isize) -> Indices;
    argsort(axis: isize, descending: bool) -> Indices;
    sort(axis: isize, descending: bool) -> (Tensor<E>, Indices);
    topk(k: usize, axis: isize, largest: bool) -> (Tensor<E>, Indices);
    median();
    median_axis(axis: isize);
    quantile(q: f64);
    quantile_axis(axis: isize, q: f64);
    cumsum(axis: isize);
    cumprod(axis: isize);
    logcumsumexp(axis: isize);
    cummax(axis: isize);
    cummin(axis: isize);
    softmax(axis: isize);
    softmin(axis: isize);
    log_softmax(axis: isize);
}

// Shape.
functions! {
    broadcast_to(shape: impl Into<Shape>);
    flatten();
    flatten_axes(first: isize, last: isize);
    squeeze(axis: isize);
    unsqueeze(axis: isize);
    permute(axes: &[isize]);
    transpose(a: isize, b: isize);
    t();
    narrow(axis: isize, start: usize, len: usize);
    slice(axis: isize, range: Range<usize>);
    slice_step(axis: isize, range: Range<usize>, step: usize);
    select(axis: isize, at: usize);
    windows(axis: isize, size: usize, step: usize);
    flip(axes: impl IntoAxes);
    roll(shift: isize, axis: isize);
    expand(lens: &[isize]);
    repeat(times: &[usize]);
    tile(times: &[usize]);
    split(axis: isize, lens: &[usize]) -> Vec<Tensor<E>>;
    chunk(axis: isize, count: usize) -> Vec<Tensor<E>>;
    unbind(axis: isize) -> Vec<Tensor<E>>;
    pad(axis: isize, before: usize, after: usize, with: Pad);
    tril(offset: isize);
    triu(offset: isize);
    diag(offset: isize);
    diag_embed(offset: isize);
    diagonal(offset: isize, rows: isize, columns: isize);
}

fallible! {
    view try_view(lens: &[isize]);
    trace try_trace();
}

// Indices and masks.
fallible! {
    index_select try_index_select(axis: isize, indices: impl Into<Indices>);
    embedding try_embedding(indices: impl Into<Indices>);
    gather try_gather(axis: isize, shape: impl Into<Shape>, indices: impl Into<Indices>);
    take try_take(indices: impl Into<Indices>);
    scatter try_scatter(axis: isize, indices: impl Into<Indices>, source);
    scatter_add try_scatter_add(axis: isize, indices: impl Into<Indices>, source);
    index_add try_index_add(axis: isize, indices: impl Into<Indices>, source);
}

functions! {
    masked_fill(mask, value);
    masked_select(mask: &Tensor<E>);
}

// Products and distances.
fallible! {
    matmul try_matmul(other);
    dot try_dot(other);
    outer try_outer(other);
    cdist try_cdist(other, p: f64);
    dense try_dense(weight, bias);
}

// Linear algebra.
fallible! {
    solve try_solve(b);
    solve_triangular try_solve_triangular(b, triangle: Triangle);
    lstsq try_lstsq(b);
    inverse try_inverse();
    pinv try_pinv();
    det try_det();
    slogdet try_slogdet() -> (Tensor<E>, Tensor<E>);
    logdet try_logdet();
    nuclear_norm try_nuclear_norm();
    spectral_norm try_spectral_norm();
    cholesky try_cholesky();
    cholesky_solve try_cholesky_solve(b);
    lu try_lu() -> (Tensor<E>, Tensor<E>, Tensor<E>);
    qr try_qr() -> (Tensor<E>, Tensor<E>);
    svd try_svd() -> (Tensor<E>, Tensor<E>, Tensor<E>);
    svdvals try_svdvals();
    eigh try_eigh() -> (Tensor<E>, Tensor<E>);
    eigvalsh try_eigvalsh();
    matrix_exp try_matrix_exp();
    matrix_power try_matrix_power(exponent: i32);
}

functions! {
    matrix_transpose();
}

// Layers of networks.
convolutions! {
    conv1d try_conv1d(options: Conv1d);
    conv2d try_conv2d(options: Conv2d);
    conv3d try_conv3d(options: Conv3d);
    conv_transpose1d try_conv_transpose1d(options: Conv1d, output_padding: usize);
    conv_transpose2d try_conv_transpose2d(options: Conv2d, output_padding: impl IntoPair);
    conv_transpose3d try_conv_transpose3d(options: Conv3d, output_padding: impl IntoTriple);
}

fallible! {
    unfold try_unfold(size: impl IntoPair, options: Conv2d);
    fold try_fold(image: impl IntoPair, size: impl IntoPair, options: Conv2d);
    max_pool1d try_max_pool1d(size: usize, stride: usize, padding: usize);
    avg_pool1d try_avg_pool1d(size: usize, stride: usize, padding: usize);
    max_pool2d try_max_pool2d(options: impl Into<Pool2d>);
    avg_pool2d try_avg_pool2d(options: impl Into<Pool2d>);
    max_pool3d try_max_pool3d(options: impl Into<Pool3d>);
    avg_pool3d try_avg_pool3d(options: impl Into<Pool3d>);
    adaptive_avg_pool1d try_adaptive_avg_pool1d(size: usize);
    adaptive_max_pool1d try_adaptive_max_pool1d(size: usize);
    adaptive_avg_pool2d try_adaptive_avg_pool2d(size: impl IntoPair);
    adaptive_max_pool2d try_adaptive_max_pool2d(size: impl IntoPair);
    adaptive_avg_pool3d try_adaptive_avg_pool3d(size: impl IntoTriple);
    adaptive_max_pool3d try_adaptive_max_pool3d(size: impl IntoTriple);
    interpolate try_interpolate(size: impl IntoPair, how: Interpolation);
    layer_norm try_layer_norm(gain, bias, eps: f64);
    batch_norm try_batch_norm(gain, bias, eps: f64) -> (Tensor<E>, Tensor<E>, Tensor<E>);
    batch_norm_with try_batch_norm_with(mean, variance, gain, bias, eps: f64);
    group_norm try_group_norm(groups: usize, gain, bias, eps: f64);
    instance_norm try_instance_norm(gain, bias, eps: f64);
    rms_norm try_rms_norm(gain, eps: f64);
    dropout try_dropout(p: f64, rng: &mut (impl Rng + ?Sized));
    lstm try_lstm(h0, c0, w_ih, w_hh, bias) -> (Tensor<E>, Tensor<E>, Tensor<E>);
    gru try_gru(h0, w_ih, w_hh, b_ih, b_hh) -> (Tensor<E>, Tensor<E>);
}

// Losses.
fallible! {
    mse_loss try_mse_loss(target);
    squared_error try_squared_error(target, reduction: Reduction);
    l1_loss try_l1_loss(target, reduction: Reduction);
    huber_loss try_huber_loss(target, delta: f64, reduction: Reduction);
    smooth_l1_loss try_smooth_l1_loss(target, beta: f64, reduction: Reduction);
    log_cosh_loss try_log_cosh_loss(target, reduction: Reduction);
    quantile_loss try_quantile_loss(target, q: f64, reduction: Reduction);
    binary_cross_entropy try_binary_cross_entropy(target, reduction: Reduction);
    binary_cross_entropy_with_logits try_binary_cross_entropy_with_logits(target, reduction: Reduction);
    weighted_binary_cross_entropy_with_logits try_weighted_binary_cross_entropy_with_logits(target, pos_weight, reduction: Reduction);
    focal_loss try_focal_loss(target, alpha: f64, gamma: f64, reduction: Reduction);
    hinge_loss try_hinge_loss(target, reduction: Reduction);
    cross_entropy try_cross_entropy(labels: impl Into<Indices>);
    cross_entropy_with try_cross_entropy_with(labels: impl Into<Indices>, options: CrossEntropy);
    cross_entropy_of try_cross_entropy_of(probabilities, options: CrossEntropy);
    nll_loss try_nll_loss(labels: impl Into<Indices>, options: CrossEntropy);
    multi_margin_loss try_multi_margin_loss(labels: impl Into<Indices>, margin: f64, reduction: Reduction);
    multi_margin_loss_with try_multi_margin_loss_with(labels: impl Into<Indices>, options: MultiMargin);
    kl_div try_kl_div(target, reduction: Reduction);
    poisson_nll_loss try_poisson_nll_loss(target, logarithm: bool, reduction: Reduction);
    gaussian_nll_loss try_gaussian_nll_loss(target, variance, eps: f64, reduction: Reduction);
    cosine_similarity try_cosine_similarity(other, axis: isize, eps: f64);
    cosine_embedding_loss try_cosine_embedding_loss(other, y, margin: f64, reduction: Reduction);
    triplet_margin_loss try_triplet_margin_loss(positive, negative, margin: f64, reduction: Reduction);
    triplet_margin_loss_with try_triplet_margin_loss_with(positive, negative, options: TripletMargin);
    info_nce try_info_nce(keys, temperature: f64, reduction: Reduction);
}
