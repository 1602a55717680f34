//! Mistakes in tensors: shapes, axes, indices, sizes.

use rand::SeedableRng;
use rand::rngs::StdRng;
use wengert::prelude::*;
use wengert::tape::{Pad, Shape, einsum, try_concat, try_einsum};

use super::walk::{Walk, errs, panics};

const HUGE: usize = usize::MAX;
/// A length with which the elements can be counted, but do not fit into memory.
const LARGE: usize = 1 << 61;

fn walk() -> Walk {
    Walk::new(file!(), include_str!("tensors.rs"))
}

#[test]
fn plain_tensors() {
    let mut walk = walk();
    let rng = &mut StdRng::seed_from_u64(1);
    let x = Tensor::<f64>::zeros([2, 3]);
    let y = Tensor::<f64>::zeros([4]);
    let normal = rand_distr::StandardNormal;
    panics! { walk;
        ["Tensor::new", "[2, 2]", "4 elements", "3"] Tensor::new([2, 2], vec![1.0; 3]);
        ["Tensor::new", "does not fit"] Tensor::new([HUGE, 2], vec![1.0]);
        ["does not fit"] Tensor::<f64>::zeros([HUGE, 2]);
        ["does not fit"] Tensor::<f64>::ones([HUGE, 2]);
        ["does not fit", "[2305843009213693952]"] Tensor::<f64>::zeros([LARGE]);
        ["does not fit"] Tensor::full([LARGE, 1], 1.0);
        ["does not fit"] Tensor::<f64>::eye(LARGE);
        ["does not fit"] Tensor::<f64>::eye(HUGE);
        ["does not fit"] Tensor::linspace(0.0, 1.0, LARGE);
        ["from_fn", "[2, 2]"] Tensor::from_fn([2, 2], |[i]| i as f64);
        ["does not fit"] Tensor::from_fn([LARGE, 2], |[i, _]| i as f64);
        ["does not fit"] Tensor::<f64>::random([HUGE, 2], &normal, rng);
        ["does not fit"] Tensor::uniform([HUGE, 2], 0.0, 1.0, rng);
        ["does not fit"] Tensor::uniform([LARGE], 0.0, 1.0, rng);
        ["does not fit"] Tensor::normal([HUGE, 2], 0.0, 1.0, rng);
        ["fan", "[3]"] Tensor::<f64>::xavier_uniform([3], rng);
        ["fan", "[3]"] Tensor::<f64>::xavier_normal([3], rng);
        ["fan", "[]"] Tensor::<f64>::he_uniform(Shape::scalar(), rng);
        ["fan", "[3]"] Tensor::<f64>::he_normal([3], rng);
        ["does not fit"] Tensor::<f64>::he_normal([HUGE, 2], rng);
        ["does not fit"] Tensor::<f64>::he_normal([1, HUGE, 2], rng);
        ["reshape", "[2, 3]", "[5]"] x.reshape([5]);
        ["reshape", "[2, 3]", "[18446744073709551615, 2]"] x.reshape([HUGE, 2]);
        ["zip_map", "[2, 3]", "[4]"] x.zip_map(&y, |a, b| a + b);
        ["rows", "rank 0"] Tensor::scalar(1.0).rows(&[0]);
        ["rows", "row 2", "[2, 3]"] x.rows(&[1, 2]);
        ["item", "[2, 3]"] x.item();
        ["item", "[0]"] Tensor::<f64>::zeros([0]).item();
        ["[2, 0]", "[2, 3]"] x[[2, 0]];
        ["[1]", "[2, 3]"] x[[1]];
        ["[0, 3]", "[2, 3]"] x.clone()[[0, 3]] = 1.0;
        ["at most 32 axes"] Tensor::<f64>::zeros([1; 33]);
        ["at most 32 axes"] Shape::from(vec![1; 40]);
        ["one_hot", "index 3", "3 classes"] Tensor::<f64>::one_hot([0, 3], 3);
        ["one_hot", "0 classes"] Tensor::<f64>::one_hot([0], 0);
        ["one_hot", "does not fit"] Tensor::<f64>::one_hot([0, 1, 2], HUGE);
        ["does not fit"] Shape::from([HUGE, 2]).elements();
    }
    errs! { walk;
        ["Tensor::new", "4 elements"] Tensor::try_new([2, 2], vec![1.0; 3]);
        ["Tensor::new", "does not fit"] Tensor::try_new([HUGE, HUGE], vec![1.0; 3]);
        ["Tensor::new"] Tensor::<f64>::try_new([1, 2], vec![]);
        ["one_hot", "index 5"] Tensor::<f64>::try_one_hot([5], 5);
        ["one_hot", "does not fit"] Tensor::<f64>::try_one_hot([0, 1], HUGE);
    }
    walk.end(40);
}

#[test]
fn elementwise_operations() {
    let mut walk = walk();
    let tape = Tape::new();
    let zeros = |shape: &[usize]| tape.tensor(Tensor::zeros(shape));
    let (a, b) = (zeros(&[3, 4]), zeros(&[5]));
    let wide = tape.var(1.0).to_tensor().broadcast_to([1 << 32, 1]);
    let tall = tape.var(1.0).to_tensor().broadcast_to([1 << 32]);
    panics! { walk;
        ["add", "[3, 4]", "[5]"] a + b;
        ["sub", "[3, 4]", "[5]"] a - b;
        ["mul", "[3, 4]", "[5]"] a * b;
        ["div", "[3, 4]", "[5]"] a / b;
        ["rem", "[3, 4]", "[5]"] a % b;
        ["max", "[3, 4]", "[5]"] a.max(b);
        ["min", "[3, 4]", "[5]"] a.min(b);
        ["atan2", "[3, 4]", "[5]"] a.atan2(b);
        ["hypot", "[3, 4]", "[5]"] a.hypot(b);
        ["powf", "[3, 4]", "[5]"] a.powf(b);
        ["mul_add", "[3, 4]", "[5]"] a.mul_add(b, a);
        ["[3, 4]", "[5]"] a.lerp(b, 0.5);
        ["[3, 4]", "[5]"] a.clamp(b, 1.0);
        ["select_gt", "[3, 4]", "[5]"] TensorVar::select_gt(a, 0.0, b, 1.0);
        ["[3, 4]", "[5]"] where_(a, b, 0.0);
        ["masked_fill", "[3, 4]", "[5]"] a.masked_fill(b, 1.0);
        ["add", "does not fit"] wide + tall;
        ["broadcast_to", "[3, 4]", "[4, 3]"] a.broadcast_to([4, 3]);
        ["broadcast_to", "[3, 4]", "[4]"] a.broadcast_to([4]);
        ["broadcast_to", "does not fit"] a.broadcast_to([HUGE, 3, 4]);
        ["broadcast_to", "does not fit"] a.broadcast_to([LARGE, 3, 4]);
        ["constant"] TensorVar::scalar_constant(1.0).broadcast_to([2]);
        ["constant"] TensorVar::scalar_constant(1.0).constant_like([1.0]);
        ["constant"] TensorVar::scalar_constant(1.0).reshape([1]);
        ["sum", "axis 0", "[]"] TensorVar::scalar_constant(1.0).sum_axes(0);
        ["item", "[3, 4]"] a.item();
        ["to_scalar", "[3, 4]"] a.to_scalar();
    }
    walk.end(25);
}

#[test]
fn shapes_and_axes() {
    let mut walk = walk();
    let tape = Tape::new();
    let zeros = |shape: &[usize]| tape.tensor(Tensor::zeros(shape));
    let (x, v, s) = (zeros(&[3, 4]), zeros(&[5]), tape.var(1.0).to_tensor());
    let deep = zeros(&[1; 32]);
    let empty = zeros(&[0, 2]);
    panics! { walk;
        ["reshape", "[3, 4]", "[5]"] x.reshape([5]);
        ["reshape"] x.reshape([HUGE, 2]);
        ["view", "[3, 4]", "[5, -1]"] x.view(&[5, -1]);
        ["view", "[-1, -1]"] x.view(&[-1, -1]);
        ["view", "[-2, 12]"] x.view(&[-2, 12]);
        ["view", "[0, -1]"] empty.view(&[0, -1]);
        ["view"] x.view(&[isize::MAX, isize::MAX, isize::MAX, -1]);
        ["permute", "[3, 4]", "[0]"] x.permute(&[0]);
        ["permute", "[0, 0]"] x.permute(&[0, 0]);
        ["permute", "[0, 2]"] x.permute(&[0, 2]);
        ["permute"] x.permute(&[isize::MIN, isize::MAX]);
        ["transpose", "axis 2", "[3, 4]"] x.transpose(0, 2);
        ["transpose", "axis -3"] x.transpose(-3, 0);
        ["t:", "[5]"] v.t();
        ["slice", "2..5", "[3, 4]"] x.slice(1, 2..5);
        ["slice", "3..2"] x.slice(1, std::ops::Range { start: 3, end: 2 });
        ["slice", "[3, 4]"] x.narrow(0, HUGE, 2);
        ["narrow", "axis 2", "[3, 4]"] x.narrow(2, 0, 1);
        ["select", "axis 2"] x.select(2, 0);
        ["[3, 4]"] x.select(0, 3);
        ["[3, 4]"] x.select(0, HUGE);
        ["unsqueeze", "axis 3", "[3, 4]"] x.unsqueeze(3);
        ["unsqueeze", "axis -4"] x.unsqueeze(-4);
        ["at most 32 axes"] deep.unsqueeze(0);
        ["squeeze", "[3, 4]"] x.squeeze(0);
        ["squeeze", "axis 2"] x.squeeze(2);
        ["flatten_axes", "[3, 4]"] x.flatten_axes(1, 0);
        ["flatten_axes", "axis 5"] x.flatten_axes(0, 5);
        ["flatten_axes", "axis 0", "[]"] s.flatten_axes(0, 0);
        ["expand", "[3, 4]", "[3, 5]"] x.expand(&[3, 5]);
        ["expand", "[4]"] x.expand(&[4]);
        ["expand", "[-1, 3, 4]"] x.expand(&[-1, 3, 4]);
        ["expand", "[-2, 4]"] x.expand(&[-2, 4]);
        ["broadcast_to", "does not fit"] x.expand(&[isize::MAX, 3, 4]);
        ["expand", "[3, 4]"] x.expand(&[1; 40]);
        ["at most 32 axes"] s.expand(&[1; 40]);
        ["repeat", "[3, 4]", "[2]"] x.repeat(&[2]);
        ["repeat", "does not fit"] x.repeat(&[HUGE, 2]);
        ["repeat", "does not fit"] x.repeat(&[LARGE, 1]);
        ["at most 32 axes"] x.repeat(&[1; 40]);
        ["repeat", "does not fit"] v.repeat(&[HUGE, 1, 1]);
        ["tile", "does not fit"] x.tile(&[HUGE]);
        ["roll", "axis 2"] x.roll(1, 2);
        ["split", "[3, 4]", "[1, 4]"] x.split(1, &[1, 4]);
        ["split", "[]"] x.split(1, &[]);
        ["split"] x.split(1, &[HUGE, 5]);
        ["split", "axis 4"] x.split(4, &[3]);
        ["chunk", "0 pieces"] x.chunk(0, 0);
        ["chunk", "axis -9"] x.chunk(-9, 2);
        ["unbind", "axis 0", "[]"] s.unbind(0);
        ["pad", "axis 2"] x.pad(2, 1, 1, Pad::Constant(0.0));
        ["pad", "[3, 4]", "Reflect"] x.pad(0, 3, 0, Pad::Reflect);
        ["pad", "Circular"] x.pad(0, 0, 4, Pad::Circular);
        ["pad", "[0, 2]"] empty.pad(0, 1, 0, Pad::Replicate);
        ["pad", "does not fit"] x.pad(0, HUGE, 1, Pad::Constant(0.0));
        ["pad", "does not fit"] x.pad(0, HUGE, 1, Pad::Replicate);
        ["pad", "does not fit"] x.pad(0, LARGE, 1, Pad::Replicate);
        ["tril", "[5]"] v.tril(0);
        ["triu", "[]"] s.triu(0);
        ["flip", "axis 2"] x.flip(2);
        ["flip", "axis -1", "twice"] x.flip([1, -1]);
        ["slice_step", "0..5", "[3, 4]"] x.slice_step(1, 0..5, 1);
        ["slice_step", "by 0"] x.slice_step(1, 0..4, 0);
        ["slice_step", "axis 2"] x.slice_step(2, 0..1, 1);
        ["windows", "[3, 4]"] x.windows(0, 4, 1);
        ["windows", "windows of 0"] x.windows(0, 0, 1);
        ["windows", "0 apart"] x.windows(0, 1, 0);
        ["at most 32 axes"] deep.windows(0, 1, 1);
        ["diagonal", "both axis 1"] x.diagonal(0, 1, -1);
        ["diagonal", "axis 2"] x.diagonal(0, 0, 2);
        ["diag_embed", "axis -1", "[]"] s.diag_embed(0);
        ["at most 32 axes"] deep.diag_embed(0);
        ["diag_embed", "does not fit"] v.diag_embed(isize::MIN);
        ["diag_embed", "does not fit"] v.diag_embed(isize::MAX);
        ["diag", "[]"] s.diag(0);
        ["trace", "[5]"] v.trace();
        ["concat", "no tensors"] concat::<f64>(&[], 0);
        ["concat", "axis 2", "[3, 4]"] concat(&[x, x], 2);
        ["concat", "[3, 4]", "[5]"] concat(&[x, v], 0);
        ["concat", "axis 0", "[]"] concat(&[s, s], 0);
        ["stack", "no tensors"] stack::<f64>(&[], 0);
        ["stack", "axis 3", "[3, 4]"] stack(&[x, x], 3);
        ["stack", "[3, 4]", "[5]"] stack(&[x, v], 0);
        ["at most 32 axes"] stack(&[deep, deep], 0);
        ["concat", "axis 0", "[]"] concat(&[TensorVar::scalar_constant(1.0)], 0);
    }
    errs! { walk;
        ["reshape", "[3, 4]"] x.try_reshape([7]);
        ["view", "[3, 4]"] x.try_view(&[7, -1]);
        ["view", "[3, 4]", "[7]"] x.try_view(&[7]);
        ["trace", "[]"] s.try_trace();
        ["concat", "[5]"] try_concat(&[x, v], 1);
        ["concat", "no tensors"] try_concat::<f64>(&[], 0);
        ["concat", "axis 7"] try_concat(&[x], 7);
    }
    // What looks like a mistake and is none.
    assert_eq!(x.repeat(&[2; 20]).shape().elements(), 12 << 20);
    assert_eq!(x.diagonal(isize::MIN, 0, 1).shape(), [0]);
    assert_eq!(x.tril(isize::MAX).shape(), [3, 4]);
    assert_eq!(x.triu(isize::MIN).roll(isize::MIN, 0).shape(), [3, 4]);
    assert_eq!(x.chunk(0, HUGE).len(), 3);
    assert_eq!(x.slice_step(0, 0..3, HUGE).shape(), [1, 4]);
    assert_eq!(x.windows(0, 1, HUGE).shape(), [1, 4, 1]);
    walk.end(80);
}

/// A length of 0 makes the others no smaller: as in numpy, they have to fit by themselves.
#[test]
fn empty_and_wide() {
    let mut walk = walk();
    let tape = Tape::new();
    let zeros = |shape: &[usize]| tape.tensor(Tensor::zeros(shape));
    let (none, empty, square) = (zeros(&[0]), zeros(&[2, 0]), zeros(&[0, 0]));
    let wide = zeros(&[0, LARGE / 4]);
    panics! { walk;
        ["does not fit"] Tensor::<f64>::zeros([0, HUGE]);
        ["does not fit"] Tensor::<f64>::zeros([HUGE, 0, HUGE]);
        ["does not fit"] tape.constant(Tensor::full([0, LARGE], 1.0));
        ["reshape"] none.reshape([0, HUGE]);
        ["view"] none.view(&[isize::MAX, isize::MAX, 0]);
        ["broadcast_to", "does not fit"] none.broadcast_to([HUGE, 0]);
        ["broadcast_to", "does not fit"] none.expand(&[isize::MAX, 0]);
        ["repeat", "does not fit"] none.repeat(&[1 << 40, 1 << 40]);
        ["tile", "does not fit"] none.tile(&[1 << 40, 1 << 40]);
        ["pad", "does not fit"] empty.pad(0, HUGE / 2, 0, Pad::Replicate);
        ["pad", "does not fit"] none.pad(0, HUGE, 0, Pad::Constant(0.0));
        ["diag_embed", "does not fit"] square.diag_embed(isize::MAX);
        ["concat", "does not fit"] concat(&[wide, wide, wide, wide], 1);
        ["matmul", "does not fit"] wide.t().matmul(wide);
    }
    assert_eq!(wide.t().permute(&[1, 0]).sum().item(), 0.0);
    assert_eq!(wide.slice(1, 5..9).shape(), [0, 4]);
    assert_eq!((wide + wide).exp().sum().item(), 0.0);
    assert_eq!(concat(&[wide, wide], 0).shape(), [0, LARGE / 4]);
    assert_eq!(wide.softmax(0).shape(), wide.cumsum(1).shape());
    walk.end(14);
}

#[test]
fn reductions_and_order() {
    let mut walk = walk();
    let tape = Tape::new();
    let zeros = |shape: &[usize]| tape.tensor(Tensor::zeros(shape));
    let (x, empty, s) = (zeros(&[3, 4]), zeros(&[0, 2]), tape.var(1.0).to_tensor());
    panics! { walk;
        ["sum", "axis 2", "[3, 4]"] x.sum_axes(2);
        ["sum", "axis -1"] x.sum_axes_keep([1, -1]);
        ["mean", "axis -3"] x.mean_axes(-3);
        ["prod", "axis 2"] x.prod_axes(2);
        ["amax", "[0, 2]"] empty.amax();
        ["amin", "[0, 2]"] empty.amin();
        ["amax", "[0, 2]"] empty.amax_axes(0);
        ["amax", "axis 2"] x.amax_axes(2);
        ["var", "axis 2"] x.var_axes(2, 1.0);
        ["std", "axis 2"] x.std_axes(2, 1.0);
        ["logsumexp", "axis 2"] x.logsumexp_axes(2);
        ["norm", "axis 2"] x.norm_axes(2, 2.0);
        ["all", "axis 2"] x.all_axes(2);
        ["any", "axis 2"] x.any_axes(2);
        ["argmax", "[0, 2]"] empty.argmax();
        ["argmin", "[0, 2]"] empty.argmin();
        ["argmax", "[0, 2]"] empty.argmax_axis(0);
        ["argmin", "axis 2"] x.argmin_axis(2);
        ["argsort", "axis 0", "[]"] s.argsort(0, false);
        ["sort", "axis 2"] x.sort(2, true);
        ["topk", "5", "[3, 4]"] x.topk(5, 1, true);
        ["topk", "axis 2"] x.topk(1, 2, true);
        ["cummax", "axis 2"] x.cummax(2);
        ["cummin", "axis 2"] x.cummin(2);
        ["cumsum", "axis 2"] x.cumsum(2);
        ["cumprod", "axis 2"] x.cumprod(2);
        ["logcumsumexp", "axis 2"] x.logcumsumexp(2);
        ["median", "[0]"] empty.median();
        ["median", "[0, 2]"] empty.median_axis(0);
        ["quantile", "1.5"] x.quantile(1.5);
        ["quantile", "NaN"] x.quantile(f64::NAN);
        ["quantile", "-0.1"] x.quantile_axis(0, -0.1);
        ["quantile", "[0]"] empty.quantile(0.5);
        ["quantile", "axis 2"] x.quantile_axis(2, 0.5);
        ["softmax", "axis 2"] x.softmax(2);
        ["softmin", "axis 2"] x.softmin(2);
        ["log_softmax", "axis -3"] x.log_softmax(-3);
    }
    // Nothing along an axis of which nothing is asked.
    assert_eq!(empty.sum().item(), 0.0);
    assert!(empty.mean().item().is_nan());
    assert_eq!(empty.argsort(0, true).as_slice().len(), 0);
    walk.end(36);
}

#[test]
fn indices_and_products() {
    let mut walk = walk();
    let tape = Tape::new();
    let zeros = |shape: &[usize]| tape.tensor(Tensor::zeros(shape));
    let (x, v, s) = (zeros(&[3, 4]), zeros(&[5]), tape.var(1.0).to_tensor());
    let empty = zeros(&[0, 4]);
    panics! { walk;
        ["index_select", "index 3", "axis 0 of length 3"] x.index_select(0, [0, 3]);
        ["index_select", "axis 2"] x.index_select(2, [0]);
        ["index_select", "index 0"] empty.index_select(0, [0]);
        ["embedding", "index 3", "3 rows"] x.embedding([3]);
        ["embedding", "[]"] s.embedding([0]);
        ["gather", "index 4"] x.gather(1, [3, 1], [0, 1, 4]);
        ["gather", "[4, 1]"] x.gather(1, [4, 1], [0, 1, 2, 3]);
        ["gather", "[3, 1]"] x.gather(1, [3, 1], [0, 1]);
        ["gather", "[3]"] x.gather(1, [3], [0, 1, 2]);
        ["gather", "axis 2"] x.gather(2, [3, 1], [0, 1, 2]);
        ["gather"] x.gather(1, [3, HUGE], [0, 1, 2]);
        ["scatter", "index 9"] x.scatter(1, [9, 0, 0], zeros(&[3, 1]));
        ["scatter", "[5]"] x.scatter(1, [0], v);
        ["scatter", "axis 2"] x.scatter(2, [0], v);
        ["scatter_add", "index 4"] x.scatter_add(1, [4, 0, 0], zeros(&[3, 1]));
        ["scatter_add"] x.scatter_add(1, [0, 0], zeros(&[3, 1]));
        ["index_add", "index 3"] x.index_add(0, [3], zeros(&[1, 4]));
        ["index_add", "[5]"] x.index_add(0, [0], v);
        ["index_add"] x.index_add(0, [0, 1], zeros(&[1, 4]));
        ["index_add", "axis 2"] x.index_add(2, [0], v);
        ["take", "index 12"] x.take([0, 12]);
        ["take", "index 0"] empty.take([0]);
        ["masked_select", "[3, 4]", "[2]"] x.masked_select(&Tensor::zeros([2]));
        ["matmul", "[3, 4]", "4 and 3"] x.matmul(x);
        ["matmul", "[]", "[5]"] s.matmul(v);
        ["matmul", "[3, 4]", "[5]"] x.matmul(v);
        ["matmul", "[2, 3, 4]", "[3, 4, 5]"] zeros(&[2, 3, 4]).matmul(zeros(&[3, 4, 5]));
        ["dot", "[5]", "[3, 4]"] v.dot(x);
        ["outer", "[5]", "[3, 4]"] v.outer(x);
        ["cdist", "[3, 4]", "[5]"] x.cdist(v, 2.0);
        ["cdist", "[3, 4]"] x.cdist(x.t(), 2.0);
        ["cdist", "-1"] x.cdist(x, -1.0);
        ["cdist", "NaN"] x.cdist(x, f64::NAN);
        ["cdist", "0"] x.cdist(x, 0.0);
        ["einsum", "ij,jk->ik"] einsum("ij,jk->ik", &[x, x]);
        ["einsum", "ij"] einsum("ij,jk->ik", &[x]);
        ["einsum", "->"] einsum("->", &[x]);
        ["einsum", "i->ij"] einsum("i->ij", &[v]);
        ["einsum", "ijk->i"] einsum("ijk->i", &[x]);
        ["einsum", "i?->i"] einsum("i?->i", &[x]);
        ["einsum", "ij->ii"] einsum("ij->ii", &[x]);
        ["einsum"] einsum("ij->i->j", &[x]);
        ["einsum"] einsum::<f64>("", &[]);
        ["einsum", "i.."] einsum("i..->i", &[x]);
        ["einsum", "..."] einsum("...i...->i", &[x]);
        ["einsum"] einsum("ii->i", &[x]);
        ["transpose", "[5]"] v.matrix_transpose();
    }
    errs! { walk;
        ["index_select", "index 3"] x.try_index_select(0, [3]);
        ["embedding", "index 3"] x.try_embedding([3]);
        ["gather", "index 4"] x.try_gather(1, [3, 1], [0, 1, 4]);
        ["scatter", "index 9"] x.try_scatter(1, [9, 0, 0], zeros(&[3, 1]));
        ["scatter_add", "index 9"] x.try_scatter_add(1, [9, 0, 0], zeros(&[3, 1]));
        ["index_add", "index 3"] x.try_index_add(0, [3], zeros(&[1, 4]));
        ["take", "index 12"] x.try_take([12]);
        ["matmul", "[3, 4]"] x.try_matmul(x);
        ["dot", "[5]"] v.try_dot(x);
        ["outer", "[5]"] v.try_outer(x);
        ["cdist", "NaN"] x.try_cdist(x, f64::NAN);
        ["einsum", "ij->k"] try_einsum("ij->k", &[x]);
    }
    walk.end(55);
}
