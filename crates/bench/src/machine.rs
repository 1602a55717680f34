//! What the machine can do, measured: no ratio means much without it.

use std::hint::black_box;
use std::time::Instant;

use crate::floor::math::vectorised;

/// Prints cores, vector unit, and peaks.
pub(crate) fn print() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!(
        "machine: {cores} cores, {}; one core: {:.0} GFLOP/s (f32, multiply-add), copy {:.0} GB/s \
         in the cache (16 KiB), {:.1} GB/s in memory (256 MiB)",
        vectors(),
        multiply_add(),
        copy(16 << 10),
        copy(256 << 20)
    );
}

/// The vector unit that was found.
fn vectors() -> String {
    let arch = format!("{:?}", pulp::Arch::new());
    match arch.split('(').next() {
        Some("V4") => "AVX-512".to_owned(),
        Some("V3") => "AVX2".to_owned(),
        Some(other) => other.to_owned(),
        None => arch,
    }
}

/// The most memory that the process has had, in bytes; 0 where the system does not say.
pub(crate) fn peak_resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<usize>().ok());
    kib.unwrap_or(0) << 10
}

fn best(mut f: impl FnMut() -> f64) -> f64 {
    (0..9).map(|_| f()).fold(0.0, f64::max)
}

/// Multiply-adds of one core, in GFLOP/s: enough independent chains to fill two pipelines of vectors.
fn multiply_add() -> f64 {
    const LANES: usize = 16;
    const CHAINS: usize = 12;
    const TURNS: usize = 200_000;
    best(|| {
        let mut x = [[1.0_f32; LANES]; CHAINS];
        let (a, b) = (black_box([0.999_f32; LANES]), black_box([0.001_f32; LANES]));
        let start = Instant::now();
        vectorised(
            #[inline(always)]
            || {
                for _ in 0..TURNS {
                    for chain in &mut x {
                        for ((x, a), b) in chain.iter_mut().zip(&a).zip(&b) {
                            *x = x.mul_add(*a, *b);
                        }
                    }
                }
            },
        );
        let seconds = start.elapsed().as_secs_f64();
        black_box(&x);
        (2 * LANES * CHAINS * TURNS) as f64 / seconds / 1e9
    })
}

/// Bytes read and written by a copy between two buffers of `bytes` together, in GB/s.
fn copy(bytes: usize) -> f64 {
    let from = vec![1_u8; bytes / 2];
    let mut to = vec![0_u8; bytes / 2];
    let turns = (64_usize << 20).div_ceil(bytes);
    best(|| {
        let start = Instant::now();
        for _ in 0..turns {
            black_box(&mut to).copy_from_slice(black_box(&from));
        }
        (turns * 2 * from.len()) as f64 / start.elapsed().as_secs_f64() / 1e9
    })
}
