//! What the machine can do, measured: no ratio means much without it.

use std::hint::black_box;
use std::time::Instant;

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

/// Multiply-adds of one core, in GFLOP/s.
fn multiply_add() -> f64 {
    best(|| {
        let start = Instant::now();
        let operations = black_box(pulp::Arch::new().dispatch(Chains(black_box(0.999))));
        operations / start.elapsed().as_secs_f64() / 1e9
    })
}

/// Enough independent chains of multiply-adds, each a vector register, to fill two pipelines.
struct Chains(f32);

impl pulp::WithSimd for Chains {
    /// The number of operations.
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, simd: S) -> f64 {
        const CHAINS: usize = 12;
        const TURNS: usize = 200_000;
        let (a, b) = (simd.splat_f32s(self.0), simd.splat_f32s(1.0 - self.0));
        let mut x = [simd.splat_f32s(1.0); CHAINS];
        for _ in 0..TURNS {
            for x in &mut x {
                *x = simd.mul_add_f32s(*x, a, b);
            }
        }
        for x in x {
            black_box(simd.reduce_sum_f32s(x));
        }
        (2 * S::F32_LANES * CHAINS * TURNS) as f64
    }
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
