//! Convolution without a copy of the windows.
//!
//! All three products of a convolution are sums `out[i][lane] = sum over j of x[row i + column j] *
//! v[j][lane]`, where the rows and the columns are offsets into images or cotangents as they lie in memory,
//! and only the small operand `v` is put in order beforehand:
//!
//! | | `x` | rows | columns | `v` | lanes |
//! |-|-|-|-|-|-|
//! | forward | the image | places | elements of the window | the weights | filters |
//! | cotangent of the weights | the image | elements of the window | places | the cotangent | filters |
//! | cotangent of the images | the cotangent | places | filters | the weights | input channels |
//!
//! The last one is a sum for each element of the window, which is added to the places that this element
//! meets. So nothing is multiplied by the zeros of a border but those of the padding. [`tile`] computes
//! several rows at once, with the sums in registers.
//!
//! Images are dealt with in groups, one after the other on each thread. The groups depend on the shapes
//! alone, so the result has the same bits for every number of threads.

#[cfg(target_arch = "x86_64")]
mod avx512;
mod pack;
mod table;
#[cfg(test)]
mod tests;
mod tile;

use super::window::{Window, embed};
use crate::recycle::Room;
use crate::threads::for_each_pair_of_blocks;
use crate::vector::{Arithmetic, Task, at_best_level};
use crate::{Real, Target};

use pack::{pack_cotangent, pack_filters, pack_transposed, transpose};
use table::{Offsets, Table};
use tile::{add_products, lanes_for};

/// The sizes of a convolution; channels are counted in each group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Geometry {
    pub(super) n: usize,
    pub(super) groups: usize,
    pub(super) depth: usize,
    pub(super) filters: usize,
    pub(super) image: [usize; 2],
    pub(super) places: [usize; 2],
    pub(super) window: Window,
}

impl Geometry {
    /// The elements of a window in one channel.
    fn window_len(&self) -> usize {
        self.window.size[0] * self.window.size[1]
    }

    /// The elements of a window in all channels of a group.
    fn taps(&self) -> usize {
        self.depth * self.window_len()
    }

    fn count(&self) -> usize {
        self.places[0] * self.places[1]
    }

    /// The elements of the images and of the outputs of one member of the batch.
    fn lengths(&self) -> (usize, usize) {
        let [height, width] = self.image;
        (self.groups * self.depth * height * width, self.groups * self.filters * self.count())
    }

    fn padded(&self) -> [usize; 2] {
        self.window.padded(self.image)
    }

    /// The elements of a channel with its padding.
    fn area(&self) -> usize {
        let [height, width] = self.padded();
        height * width
    }

    /// The elements of a padded member of the batch; 0 if there is no padding.
    fn padded_len(&self) -> usize {
        if self.window.padding == [0, 0] { 0 } else { self.groups * self.depth * self.area() }
    }

    /// How many members of the batch are dealt with together: some tens of microseconds of work, in at
    /// most `most` blocks.
    fn block(&self, most: usize) -> usize {
        const WORK: usize = 4_000_000;
        let work = self.groups * self.filters * self.taps() * self.count();
        WORK.div_ceil(work.max(1)).max(self.n.div_ceil(most)).clamp(1, self.n.max(1))
    }

    /// Where the window stands at each place, in a padded channel.
    fn places_table<E: Real>(&self) -> Table<E> {
        let (width, [down, across]) = (self.padded()[1], self.window.stride);
        let [rows, columns] = self.places;
        Table::new(
            (0..rows).flat_map(|row| {
                (0..columns).map(move |column| row * down * width + column * across)
            }),
        )
    }

    /// Where the elements of the window are, relative to its place, in `channels` padded channels.
    fn taps_table<E: Real>(&self, channels: usize) -> Table<E> {
        let (width, [down, across]) = (self.padded()[1], self.window.dilation);
        let ([rows, columns], area) = (self.window.size, self.area());
        Table::new((0..channels * rows).flat_map(|k| {
            let start = k / rows * area + k % rows * down * width;
            (0..columns).map(move |column| start + column * across)
        }))
    }
}

/// The places whose outputs are computed before they are put where they belong.
const BLOCK: usize = 16;

/// The outputs of all images.
pub(super) fn forward<E: Real>(
    at: &Geometry,
    x: &[E],
    weight: &[E],
    bias: Option<&[E]>,
    out: &mut [E],
) {
    if out.is_empty() {
        return;
    }
    if at.taps() == 0 {
        for (k, out) in out.chunks_exact_mut(at.count()).enumerate() {
            out.fill(bias.map_or(E::ZERO, |bias| bias[k % bias.len()]));
        }
        return;
    }
    let lanes = lanes_for::<E>(at.filters);
    let filters = pack_filters(at, weight, lanes);
    let (places, taps) = (at.places_table::<E>(), at.taps_table::<E>(at.depth));
    let numbers = Table::<E>::new(0..BLOCK);
    let (block, (image_len, out_len)) = (at.block(64), at.lengths());
    let blocks = at.n.div_ceil(block);
    let mut padded = Room::zeros(blocks * at.padded_len());
    let (filters, tables) = (&*filters, [places.offsets(), taps.offsets(), numbers.offsets()]);
    for_each_pair_of_blocks(
        out,
        block * out_len,
        &mut padded,
        at.padded_len(),
        |k, out, padded| {
            let x = &x[k * block * image_len..];
            at_best_level(Forward { at, lanes, x, filters, bias, tables, padded, out });
        },
    );
}

struct Forward<'a, E> {
    at: &'a Geometry,
    lanes: usize,
    x: &'a [E],
    filters: &'a [E],
    bias: Option<&'a [E]>,
    /// The places, the elements of the window, and the numbers of the places in a block.
    tables: [Offsets<'a>; 3],
    padded: &'a mut [E],
    out: &'a mut [E],
}

impl<E: Real> Task for Forward<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        tile::with_lanes!(self.lanes, self.run_with);
    }
}

impl<E: Real> Forward<'_, E> {
    #[inline(always)]
    fn run_with<A: Arithmetic, const LANES: usize>(self) {
        let Forward { at, x, filters, bias, tables, padded, out, .. } = self;
        let [places, taps, numbers] = tables;
        let (image_len, out_len) = at.lengths();
        let mut sums = [[E::ZERO; LANES]; BLOCK];
        let (blocks, count) = (at.filters.div_ceil(LANES), at.count());
        let group_len = at.depth * at.area();
        for (k, out) in out.chunks_exact_mut(out_len).enumerate() {
            let image = padded_image(at, &x[k * image_len..][..image_len], padded);
            for unit in 0..at.groups * blocks {
                let (group, first) = (unit / blocks, unit % blocks * LANES);
                let own = LANES.min(at.filters - first);
                let filter = group * at.filters + first;
                let image = &image[group * group_len..][..group_len];
                let v = &filters[unit * taps.len() * LANES..][..taps.len() * LANES];
                let mut start = [E::ZERO; LANES];
                if let Some(bias) = bias {
                    start[..own].copy_from_slice(&bias[filter..filter + own]);
                }
                for (number, rows) in places.chunks(BLOCK).enumerate() {
                    let sums = &mut sums[..rows.len()];
                    sums.fill(start);
                    let to = numbers.part(0..rows.len());
                    add_products::<A, E, LANES>(sums, to, (image, rows), taps, v);
                    let out = &mut out[filter * count + number * BLOCK..];
                    let sums = (sums.as_flattened(), LANES);
                    transpose(sums, (rows.len(), own), (out, count), false);
                }
            }
        }
    }
}

/// The image with its padding, which is made in `padded`, or as it is if there is none.
#[inline(always)]
fn padded_image<'a, E: Real>(at: &Geometry, x: &'a [E], padded: &'a mut [E]) -> &'a [E] {
    if padded.is_empty() {
        return x;
    }
    embed(x, at.image, padded, at.padded(), at.window.padding);
    padded
}

/// The cotangents of all images.
pub(super) fn for_images<E: Real>(at: &Geometry, weight: &[E], g: &[E], target: Target<'_, E>) {
    let Target { buffer, add } = target;
    if buffer.is_empty() || at.filters == 0 {
        // Without filters nothing flows, and an untouched buffer may hold anything.
        if !add {
            buffer.fill(E::ZERO);
        }
        return;
    }
    let (image_len, out_len) = at.lengths();
    let lanes = lanes_for::<E>(at.depth);
    let filters = pack_transposed(at, weight, lanes);
    let (places, taps) = (at.places_table::<E>(), at.taps_table::<E>(1));
    let columns = Table::<E>::new((0..at.filters).map(|filter| filter * at.count()));
    let numbers = Table::<E>::new(0..at.count());
    let block = at.block(64);
    let sums_len = at.area() * lanes;
    let mut sums = Room::new(at.n.div_ceil(block) * sums_len);
    let filters = &*filters;
    let tables = [&places, &taps, &columns, &numbers].map(Table::offsets);
    for_each_pair_of_blocks(buffer, block * image_len, &mut sums, sums_len, |k, out, sums| {
        let g = &g[k * block * out_len..];
        at_best_level(ForImages { at, lanes, g, filters, tables, sums, out, add });
    });
}

struct ForImages<'a, E> {
    at: &'a Geometry,
    lanes: usize,
    g: &'a [E],
    filters: &'a [E],
    /// The places, the elements of the window, where the filters begin, and the numbers of the places.
    tables: [Offsets<'a>; 4],
    /// A padded channel, with the input channels as lanes.
    sums: &'a mut [E],
    out: &'a mut [E],
    add: bool,
}

impl<E: Real> Task for ForImages<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        tile::with_lanes!(self.lanes, self.run_with);
    }
}

impl<E: Real> ForImages<'_, E> {
    #[inline(always)]
    fn run_with<A: Arithmetic, const LANES: usize>(self) {
        let ForImages { at, g, filters, tables, sums, out, add, .. } = self;
        let [places, taps, columns, numbers] = tables;
        let (image_len, out_len) = at.lengths();
        let blocks = at.depth.div_ceil(LANES);
        let group_len = at.filters * at.count();
        let ([height, width], [top, left]) = (at.image, at.window.padding);
        // Without padding all rows are one.
        let one_row = at.padded_len() == 0;
        let (rows, row_len) = if one_row { (1, height * width) } else { (height, width) };
        let sums = sums.as_chunks_mut::<LANES>().0;
        for (k, out) in out.chunks_exact_mut(image_len).enumerate() {
            let g = &g[k * out_len..][..out_len];
            for unit in 0..at.groups * blocks {
                let (group, first) = (unit / blocks, unit % blocks * LANES);
                let g = (&g[group * group_len..][..group_len], numbers);
                sums.fill([E::ZERO; LANES]);
                let len = columns.len() * LANES;
                for (element, tap) in taps.iter().enumerate() {
                    let v = &filters[(unit * taps.len() + element) * len..][..len];
                    add_products::<A, E, LANES>(sums, places.moved(tap), g, columns, v);
                }
                let channels = LANES.min(at.depth - first);
                let out = &mut out[(group * at.depth + first) * height * width..];
                for row in 0..rows {
                    let from = (row + top) * (width + 2 * left) + left;
                    let from = (sums[from..from + row_len].as_flattened(), LANES);
                    let out = (&mut out[row * width..], height * width);
                    transpose(from, (row_len, channels), out, add);
                }
            }
        }
    }
}

/// The cotangents of the weights and of the bias.
pub(super) fn for_weights<E: Real>(
    at: &Geometry,
    x: &[E],
    g: &[E],
    for_weight: Option<Target<'_, E>>,
    for_bias: Option<Target<'_, E>>,
) {
    let lanes = lanes_for::<E>(at.filters);
    let (places, taps) = (at.places_table::<E>(), at.taps_table::<E>(at.depth));
    let numbers = Table::<E>::new(0..at.taps());
    let blocks_of_filters = at.filters.div_ceil(lanes);
    let rows_count = at.groups * blocks_of_filters;
    // Each block of images has sums of its own: a row for each element of the window, one for the bias.
    let sums_len = rows_count * (at.taps() + 1) * lanes;
    const MOST: usize = 1 << 22;
    let block = at.block((MOST / sums_len.max(1)).clamp(2, 8));
    let blocks = if sums_len == 0 { 0 } else { at.n.div_ceil(block) };
    let mut sums = Room::zeros(blocks.max(1) * sums_len);
    let cotangent_len = blocks_of_filters * at.count() * lanes;
    let memory_len = cotangent_len + at.padded_len();
    let mut memory = Room::zeros(blocks * memory_len);
    let with_weights = for_weight.is_some();
    let (image_len, out_len) = at.lengths();
    let tables = [&places, &taps, &numbers].map(Table::offsets);
    let images = &mut sums[..blocks * sums_len];
    for_each_pair_of_blocks(images, sums_len, &mut memory, memory_len, |k, sums, memory| {
        let n = block.min(at.n - k * block);
        let x = &x[k * block * image_len..][..n * image_len];
        let g = &g[k * block * out_len..][..n * out_len];
        let (cotangent, padded) = memory.split_at_mut(cotangent_len);
        let memory = (cotangent, padded);
        at_best_level(ForWeights { at, lanes, n, x, g, tables, memory, sums, with_weights });
    });
    add_pairwise(&mut sums, sums_len);
    let row_len = (at.taps() + 1) * lanes;
    let rows = sums.chunks_exact(row_len.max(1));
    // The sums of a block of filters: how many filters there are, and the first one.
    let blocks = rows.enumerate().take(rows_count).map(|(k, sums)| {
        let (group, first) = (k / blocks_of_filters, k % blocks_of_filters * lanes);
        (lanes.min(at.filters - first), group * at.filters + first, sums)
    });
    if let Some(Target { buffer, add }) = for_weight {
        for (count, first, sums) in blocks.clone() {
            let to = (&mut buffer[first * at.taps()..], at.taps());
            transpose((sums, lanes), (at.taps(), count), to, add);
        }
    }
    if let Some(Target { buffer, add }) = for_bias {
        for (count, first, sums) in blocks {
            let slots = &mut buffer[first..first + count];
            for (slot, &sum) in slots.iter_mut().zip(&sums[at.taps() * lanes..]) {
                *slot = if add { *slot + sum } else { sum };
            }
        }
    }
}

/// Adds up all stretches of length `len`, pairwise, into the first.
fn add_pairwise<E: Real>(sums: &mut [E], len: usize) {
    let mut step = len;
    while step > 0 && step < sums.len() {
        for pair in sums.chunks_mut(2 * step).filter(|pair| pair.len() > step) {
            let (first, second) = pair.split_at_mut(step);
            for (sum, &other) in first[..len].iter_mut().zip(&second[..len]) {
                *sum += other;
            }
        }
        step *= 2;
    }
}

struct ForWeights<'a, E> {
    at: &'a Geometry,
    lanes: usize,
    n: usize,
    x: &'a [E],
    g: &'a [E],
    /// The places, the elements of the window, and their numbers.
    tables: [Offsets<'a>; 3],
    /// For the cotangent in another order, and for an image with its padding.
    memory: (&'a mut [E], &'a mut [E]),
    sums: &'a mut [E],
    with_weights: bool,
}

impl<E: Real> Task for ForWeights<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        tile::with_lanes!(self.lanes, self.run_with);
    }
}

impl<E: Real> ForWeights<'_, E> {
    #[inline(always)]
    fn run_with<A: Arithmetic, const LANES: usize>(self) {
        let ForWeights { at, x, g, tables, memory: (cotangent, padded), sums, .. } = self;
        let [places, taps, numbers] = tables;
        let (image_len, out_len) = at.lengths();
        let (blocks, count) = (at.filters.div_ceil(LANES), at.count());
        let (group_len, row_len) = (at.depth * at.area(), taps.len() + 1);
        let sums = sums.as_chunks_mut::<LANES>().0;
        for k in 0..self.n {
            let image = padded_image(at, &x[k * image_len..][..image_len], padded);
            for group in 0..at.groups {
                let g = &g[k * out_len + group * at.filters * count..][..at.filters * count];
                pack_cotangent::<E, LANES>(g, at.filters, count, cotangent);
                for block in 0..blocks {
                    let v = &cotangent[block * count * LANES..][..count * LANES];
                    let sums = &mut sums[(group * blocks + block) * row_len..][..row_len];
                    let (sums, bias) = sums.split_at_mut(taps.len());
                    add_rows(v.as_chunks::<LANES>().0, &mut bias[0]);
                    if !self.with_weights || image.is_empty() {
                        continue;
                    }
                    let image = &image[group * group_len..][..group_len];
                    add_products::<A, E, LANES>(sums, numbers, (image, taps), places, v);
                }
            }
        }
    }
}

/// Adds all rows to `sum`, stretch by stretch.
#[inline(always)]
fn add_rows<E: Real, const LANES: usize>(rows: &[[E; LANES]], sum: &mut [E; LANES]) {
    for stretch in rows.chunks(32) {
        let mut own = [E::ZERO; LANES];
        let (fours, rest) = stretch.as_chunks::<4>();
        for [a, b, c, d] in fours {
            for lane in 0..LANES {
                own[lane] += (a[lane] + b[lane]) + (c[lane] + d[lane]);
            }
        }
        for row in rest {
            for lane in 0..LANES {
                own[lane] += row[lane];
            }
        }
        for lane in 0..LANES {
            sum[lane] += own[lane];
        }
    }
}
