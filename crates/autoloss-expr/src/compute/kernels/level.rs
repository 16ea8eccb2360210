//! Instruction sets, and the choice among them at run time.

/// An instruction set that the loops are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// The instructions that the build target guarantees (SSE2 on x86-64, NEON on ARM64).
    Baseline,
    /// AVX2 with fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 (F, BW, DQ, VL).
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// The largest instruction set of this processor.
    pub(crate) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
            {
                return Self::Avx512;
            }
            if avx2 {
                return Self::Avx2;
            }
        }
        Self::Baseline
    }
}

/// Whether the build target guarantees fused multiply-add, so that the baseline may use it.
pub(super) const BASELINE_FMA: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

/// Compiles `$body` once for each level, and defines `$name`, which calls the one of a level.
macro_rules! for_each_level {
    ($(#[doc = $doc:literal])+ fn $name:ident[$avx2:ident, $avx512:ident, $body:ident]($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)?) => {
        $(#[doc = $doc])+
        pub(in crate::compute) fn $name(level: Level, $($arg: $ty),*) $(-> $ret)? {
            match level {
                Level::Baseline => $body::<{ $crate::compute::kernels::level::BASELINE_FMA }>($($arg),*),
                #[cfg(target_arch = "x86_64")]
                // SAFETY: `Level::detect` gives this level only where the processor has AVX2 and FMA.
                Level::Avx2 => unsafe { $avx2($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: `Level::detect` gives this level only where the processor has these sets.
                Level::Avx512 => unsafe { $avx512($($arg),*) },
            }
        }

        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        fn $avx2($($arg: $ty),*) $(-> $ret)? {
            $body::<true>($($arg),*)
        }

        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
        fn $avx512($($arg: $ty),*) $(-> $ret)? {
            $body::<true>($($arg),*)
        }
    };
}

pub(super) use for_each_level;
