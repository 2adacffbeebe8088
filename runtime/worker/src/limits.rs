//! What a room may use. All of it is fixed with the contract: nothing here
//! depends on data, and every unit gets the same.

use std::time::Duration;

use sluice_domain::contract::Limits;

/// How floating point is compiled. Part of the compiled code's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// The bits of a NaN may differ between machines.
    #[default]
    Standard,
    /// NaNs are canonical: the same bits everywhere, at 2.5–3× on scalar float code.
    Reproducible,
}

impl Profile {
    /// Stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Reproducible => "reproducible",
        }
    }
}

/// Most parameters and columns that cross into or out of a room.
pub(crate) const COLUMNS_MAX: usize = 256;
/// Most parameters handed to `start`.
pub(crate) const PARAMS_MAX: usize = 1024;

/// Stack of a guest where nothing else is said: what interpreters need.
pub(crate) const STACK_BYTES: u32 = 1 << 20;

/// Limits of one room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoomLimits {
    /// Fuel per unit, for `start`, `process` and `finish` together.
    pub fuel: u64,
    /// Linear memory per unit, bytes.
    pub memory_bytes: u64,
    /// Stack of the guest, bytes. Recursion beyond it is a failed unit.
    pub stack_bytes: u32,
    /// Rows that one unit's output may have.
    pub rows_max: u32,
    /// Bytes that one unit's output may have.
    pub output_bytes_max: u32,
    /// Rows of one unit that are handed in; a unit with more has failed.
    pub unit_rows_max: u32,
    /// Bytes of one unit that are handed in; a unit with more has failed.
    pub unit_bytes_max: u32,
    /// Wall time of the whole room; then it is killed.
    pub wall: Duration,
    /// How floating point is compiled.
    pub profile: Profile,
}

impl RoomLimits {
    /// The contract's reserved limits. `unit_rows_max` is the rule pack's.
    pub fn of(limits: &Limits, unit_rows_max: u32) -> Self {
        Self {
            fuel: limits.fuel,
            memory_bytes: u64::from(limits.memory_mib) << 20,
            stack_bytes: STACK_BYTES,
            rows_max: limits.rows_max,
            // 256 bytes of columns a row, and room for short tables of long keys.
            output_bytes_max: limits.rows_max.saturating_mul(256).clamp(64 << 10, 64 << 20),
            unit_rows_max,
            unit_bytes_max: unit_rows_max.saturating_mul(4096).clamp(1 << 20, 64 << 20),
            wall: Duration::from_secs(u64::from(limits.wall_seconds)),
            profile: Profile::Standard,
        }
    }
}
