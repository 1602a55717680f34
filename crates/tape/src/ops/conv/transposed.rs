//! Transposed convolutions: a matrix product, whose columns are added up where the window stands.

use super::other::{Conv3d, check_ranks, renamed};
use super::unfold::Fold;
use super::{Conv2d, image};
use crate::tensor_var::try_apply_op;
use crate::{Error, Real, Shape, TensorVar};

/// How long an axis becomes.
fn extent(
    len: usize,
    size: usize,
    [stride, padding, dilation, more]: [usize; 4],
) -> Result<usize, String> {
    if stride == 0 || dilation == 0 {
        return Err(format!("a stride of {stride} and a dilation of {dilation}"));
    }
    if len == 0 || size == 0 {
        return Err("an axis without elements".to_owned());
    }
    if more >= stride {
        return Err(format!("an output padding of {more} is not smaller than the stride"));
    }
    let product = |a: usize, b: usize| a as u128 * b as u128;
    let whole = product(len - 1, stride) + product(dilation, size - 1) + 1 + more as u128;
    let cut = whole.checked_sub(product(2, padding)).filter(|&len| len > 0).ok_or_else(|| {
        format!("a padding of {padding} cuts off all of the {whole} rows or columns")
    })?;
    usize::try_from(cut).map_err(|_| format!("{cut} rows or columns do not fit into memory"))
}

/// The transposed convolution of images.
#[track_caller]
pub(super) fn try_images<E: Real>(
    name: &'static str,
    x: TensorVar<E>,
    weight: TensorVar<E>,
    bias: Option<TensorVar<E>>,
    options: Conv2d,
    more: [usize; 2],
) -> Result<TensorVar<E>, Error> {
    check_ranks(name, x, weight, 4)?;
    let (own, filters) = (x.shape(), weight.shape());
    let groups = options.groups;
    let (n, channels, depth) = (own[0], own[1], filters[1]);
    let (places, size) = (image(&own), image(&filters));
    let window = options.window(size);
    if filters[0] != channels || groups == 0 || channels % groups != 0 {
        let of = filters[0];
        let detail = format!("{channels} channels, weights for {of}, and {groups} groups");
        return Err(refused(name, &own, &filters, detail));
    }
    let mut whole = [0; 2];
    for k in 0..2 {
        let moves = [window.stride[k], window.padding[k], window.dilation[k], more[k]];
        whole[k] = match extent(places[k], size[k], moves) {
            Ok(len) => len,
            Err(detail) => return Err(refused(name, &own, &filters, detail)),
        };
    }
    let count = depth * groups;
    let taps = depth * size[0] * size[1];
    let rows = x.reshape([n, groups, channels / groups, places[0] * places[1]]);
    let matrix = weight.reshape([groups, channels / groups, taps]).transpose(1, 2);
    let columns = matrix.matmul(rows).reshape([n, groups * taps, places[0] * places[1]]);
    let y = try_apply_op(Fold { window, image: whole }, &[columns]);
    let y = renamed(name, &[x, weight], y)?[0];
    match bias {
        None => Ok(y),
        Some(bias) if bias.shape() == [count] => Ok(y + bias.reshape([count, 1, 1])),
        Some(bias) => {
            let detail = format!("the bias is not one number for each of {count} filters");
            Err(Error::shape(name, &[&own, &filters, &bias.shape()], detail))
        }
    }
}

#[track_caller]
fn refused(name: &'static str, x: &Shape, weight: &Shape, detail: String) -> Error {
    Error::shape(name, &[x, weight], detail)
}

/// The transposed convolution of volumes: along height and width with the depth of the window as
/// channels, then along the depth.
#[track_caller]
pub(super) fn try_volumes<E: Real>(
    x: TensorVar<E>,
    weight: TensorVar<E>,
    bias: Option<TensorVar<E>>,
    options: Conv3d,
    more: [usize; 3],
) -> Result<TensorVar<E>, Error> {
    let name = "conv_transpose3d";
    let (own, filters) = (x.shape(), weight.shape());
    let (&[n, channels, depth, height, width], &[of, group, size, kh, kw]) = (&*own, &*filters)
    else {
        unreachable!("the ranks were checked")
    };
    let moves = [options.stride[0], options.padding[0], options.dilation[0], more[0]];
    let whole = match extent(depth, size, moves) {
        Ok(len) => len,
        Err(detail) => return Err(refused(name, &own, &filters, detail)),
    };
    let slices = x.permute(&[0, 2, 1, 3, 4]).reshape([n * depth, channels, height, width]);
    let weight = weight.reshape([of, group * size, kh, kw]);
    let more = [more[1], more[2]];
    let y = try_images(name, slices, weight, None, options.of_images(), more)?;
    let (count, [oh, ow]) = (group * options.groups, image(&y.shape()));
    let y = y.reshape([n, depth, count, size, oh, ow]).permute(&[0, 4, 5, 2, 3, 1]);
    let columns = y.reshape([n * oh * ow, count * size, depth]);
    let window = options.of_depth().window([size, 1]);
    let y = try_apply_op(Fold { window, image: [whole, 1] }, &[columns]);
    let y = renamed(name, &[x, weight], y)?[0];
    let y = y.reshape([n, oh, ow, count, whole]).permute(&[0, 3, 4, 1, 2]);
    match bias {
        None => Ok(y),
        Some(bias) if bias.shape() == [count] => Ok(y + bias.reshape([count, 1, 1, 1])),
        Some(bias) => {
            let detail = format!("the bias is not one number for each of {count} filters");
            Err(Error::shape(name, &[&own, &filters, &bias.shape()], detail))
        }
    }
}
