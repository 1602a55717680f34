//! Running a task in the widest instructions that the processor has.
//!
//! A function that is compiled for more instructions than the program at large may be called only after
//! asking the processor, so this is `unsafe`; of the vectorised functions nothing else is.

use std::sync::atomic::{AtomicU8, Ordering};

#[cfg(target_arch = "x86_64")]
use super::Wide;
use super::{Fused, Plain, Task};

/// A set of instructions that a task can be compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Level {
    /// What the program was compiled for: SSE2 on x86-64, where nothing else was asked for.
    Baseline = 1,
    /// 256-bit vectors and fused multiply-add.
    Avx2,
    /// 512-bit vectors.
    Avx512,
}

/// The level found by the first call of [`Level::best`]; 0 before.
static BEST: AtomicU8 = AtomicU8::new(0);

impl Level {
    /// The best level of this processor.
    #[inline]
    pub fn best() -> Level {
        match BEST.load(Ordering::Relaxed) {
            1 => Level::Baseline,
            2 => Level::Avx2,
            3 => Level::Avx512,
            _ => {
                let level = Level::detect();
                BEST.store(level as u8, Ordering::Relaxed);
                level
            }
        }
    }

    /// Every level of this processor, the best one last.
    pub fn available() -> &'static [Level] {
        const ALL: [Level; 3] = [Level::Baseline, Level::Avx2, Level::Avx512];
        &ALL[..Level::best() as usize]
    }

    #[cold]
    fn detect() -> Level {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            return if avx512 { Level::Avx512 } else { Level::Avx2 };
        }
        Level::Baseline
    }
}

/// Runs `task` compiled for the best level of this processor.
#[inline]
pub(crate) fn at_best_level<T: Task>(task: T) -> T::Output {
    run(Level::best(), task)
}

/// Runs `task` compiled for `level`.
///
/// # Panics
///
/// When the processor does not have the level.
pub(crate) fn run_at<T: Task>(level: Level, task: T) -> T::Output {
    assert!(level as u8 <= Level::best() as u8, "the processor lacks {level:?}");
    run(level, task)
}

/// `level` is at most the best one.
#[inline(always)]
fn run<T: Task>(level: Level, task: T) -> T::Output {
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the best level, which `level` is not above, has been detected on this processor.
        Level::Avx512 => unsafe { avx512(task) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Level::Avx2 => unsafe { avx2(task) },
        // Other processors that have fused multiply-add in what the program was compiled for.
        _ if cfg!(any(target_arch = "aarch64", target_feature = "fma")) => task.run::<Fused>(),
        _ => baseline(task),
    }
}

/// Calls a library whose code for wide vectors leaves the upper halves of registers in use, and ends that use.
///
/// Until it ends, some processors (Intel's, since Ice Lake) take some hundred cycles each time they come from code
/// that is compiled for such vectors to code that is not, and back: `exp` of the system takes 160 ns instead of 5.
#[inline]
pub(crate) fn in_library<R>(work: impl FnOnce() -> R) -> R {
    let result = work();
    #[cfg(target_arch = "x86_64")]
    if Level::best() != Level::Baseline {
        // SAFETY: every level above the first has AVX2, and the best one has been detected.
        unsafe { zero_upper_halves() };
    }
    result
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx")]
fn zero_upper_halves() {
    std::arch::x86_64::_mm256_zeroupper();
}

/// Out of line like its siblings, so that the caller holds one copy of nothing.
#[inline(never)]
fn baseline<T: Task>(task: T) -> T::Output {
    task.run::<Plain>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2<T: Task>(task: T) -> T::Output {
    task.run::<Fused>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
fn avx512<T: Task>(task: T) -> T::Output {
    task.run::<Wide>()
}

/// Whether the upper halves of vector registers are in use; `None` where the processor does not say.
#[cfg(all(test, target_arch = "x86_64", not(miri)))]
pub(crate) fn upper_halves_in_use() -> Option<bool> {
    use std::arch::asm;
    if Level::best() == Level::Baseline {
        return None;
    }
    let state = || {
        let low: u32;
        // SAFETY: only called where the processor has the instruction, as asked below; it reads a register.
        unsafe {
            asm!("xgetbv", in("ecx") 1, out("eax") low, out("edx") _, options(nomem, nostack));
        }
        low & 1 << 2 != 0
    };
    // Leaf 13 is there where AVX is.
    let tells = std::arch::x86_64::__cpuid_count(13, 1).eax & 1 << 2 != 0;
    if !tells {
        return None;
    }
    let now = state();
    // Some processors, and some simulations, say that all is in use, always.
    // SAFETY: see `in_library`.
    unsafe { zero_upper_halves() };
    (!state()).then_some(now)
}

#[cfg(all(test, target_arch = "x86_64", not(miri)))]
mod tests {
    use super::*;

    #[test]
    fn what_a_library_leaves_in_use_is_given_back() {
        // SAFETY: the instruction is there from the second level on.
        let leave = || unsafe {
            if Level::best() != Level::Baseline {
                std::arch::asm!("vpcmpeqd ymm7, ymm7, ymm7", out("ymm7") _, options(nomem, nostack));
            }
        };
        leave();
        let left = upper_halves_in_use();
        in_library(leave);
        let after = upper_halves_in_use();
        assert!(
            matches!((left, after), (None | Some(true), None | Some(false))),
            "{left:?}, {after:?}"
        );
    }
}
