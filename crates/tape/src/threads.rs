//! Work on several threads.
//!
//! The engine uses the threads of the `rayon` pool that it is called in, and outside of a pool it works
//! on the calling thread alone. How work is cut into blocks never depends on the number of threads, so
//! the results have the same bits for every number of them.

mod helpers;

/// Runs `f` with `threads` threads at the engine's disposal; with one, on the calling thread.
///
/// A tape belongs to the thread that made it, so `f` makes its own. Results have the same bits for
/// every number of threads.
///
/// Between two operations the other threads look for work for about a millisecond before they sleep, as many of them as the processor
/// has cores for: to wake one takes longer than most operations leave it idle. In a pool of the caller's own they sleep as the
/// pool lets them. A job that `f` has spawned on the pool, and not waited for, may be waited for here.
///
/// ```
/// use tape::{Tape, Tensor};
///
/// let sum = || Tape::new().tensor(Tensor::full([1000, 1000], 0.1)).exp().sum().item();
/// assert_eq!(tape::with_threads(1, sum), tape::with_threads(2, sum));
/// ```
///
/// # Panics
/// If `threads` is 0, or the system refuses to start threads.
#[track_caller]
pub fn with_threads<R: Send>(threads: usize, f: impl FnOnce() -> R + Send) -> R {
    assert!(threads > 0, "with_threads: work needs a thread");
    if threads == 1 && available() == 1 {
        return f();
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    match pool {
        Ok(pool) => pool.install(|| helpers::with_helpers(threads, f)),
        Err(error) => panic!("with_threads: {error}"),
    }
}

/// How many threads there are to work on.
#[doc(hidden)]
pub fn available() -> usize {
    // Outside of a pool this does not start one.
    if rayon::current_thread_index().is_some() { rayon::current_num_threads() } else { 1 }
}

/// Runs both, on two threads if there are.
#[doc(hidden)]
pub fn join(a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
    if available() == 1 {
        a();
        b();
    } else {
        helpers::call();
        rayon::join(a, b);
    }
}

/// Calls `f(k, block)` for each block of `length` elements of `data`, the last of which may be shorter,
/// on all threads.
///
/// A block must be worth some ten microseconds of work: handing one over takes a few.
#[doc(hidden)]
pub fn for_each_block<T: Send>(
    data: &mut [T],
    length: usize,
    f: impl Fn(usize, &mut [T]) + Sync + Copy + Send,
) {
    for_each_pair_of_blocks(data, length, &mut [], 0, |k, block, _: &mut [()]| f(k, block));
}

/// As [`for_each_block`], for two slices at once: `f(k, block of a, block of b)`. Where there is none left
/// in `b`, it is empty; so `b` may be scratch memory of the blocks, which is taken beforehand because the
/// pool of buffers belongs to the calling thread.
#[doc(hidden)]
pub fn for_each_pair_of_blocks<A: Send, B: Send>(
    a: &mut [A],
    length_a: usize,
    b: &mut [B],
    length_b: usize,
    f: impl Fn(usize, &mut [A], &mut [B]) + Sync + Copy + Send,
) {
    let blocks = a.len().div_ceil(length_a.max(1));
    if blocks <= 1 || available() == 1 {
        let mut rest = b;
        for (k, a) in a.chunks_mut(length_a.max(1)).enumerate() {
            let (own, others) = rest.split_at_mut(length_b.min(rest.len()));
            f(k, a, own);
            rest = others;
        }
        return;
    }
    helpers::call();
    halves(0, blocks, a, length_a, b, length_b, f);
}

fn halves<A: Send, B: Send>(
    first: usize,
    blocks: usize,
    a: &mut [A],
    length_a: usize,
    b: &mut [B],
    length_b: usize,
    f: impl Fn(usize, &mut [A], &mut [B]) + Sync + Copy + Send,
) {
    if blocks == 1 {
        return f(first, a, b);
    }
    let half = blocks / 2;
    let (a, upper_a) = a.split_at_mut(half * length_a);
    let (b, upper_b) = b.split_at_mut((half * length_b).min(b.len()));
    rayon::join(
        || halves(first, half, a, length_a, b, length_b, f),
        || halves(first + half, blocks - half, upper_a, length_a, upper_b, length_b, f),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_is_met_once_with_its_own_part_of_both_slices() {
        for threads in [1, 3] {
            let (a, b) = with_threads(threads, || {
                let (mut a, mut b) = (vec![0usize; 10], vec![0usize; 8]);
                for_each_pair_of_blocks(&mut a, 3, &mut b, 2, |k, a, b| {
                    a.fill(k + 1);
                    b.fill(10 * (k + 1));
                });
                (a, b)
            });
            assert_eq!(a, [1, 1, 1, 2, 2, 2, 3, 3, 3, 4]);
            assert_eq!(b, [10, 10, 20, 20, 30, 30, 40, 40]);
        }
    }
}
