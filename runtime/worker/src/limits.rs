//! What a room may use. All of it is fixed with the contract: nothing here
//! depends on data, and every unit gets the same.

use std::time::Duration;

pub use sluice_domain::contract::Profile;
use sluice_domain::contract::{Contract, Limits};

/// Most parameters and columns that cross into or out of a room.
pub(crate) const COLUMNS_MAX: usize = 256;
/// Most parameters handed to `start`.
pub(crate) const PARAMS_MAX: usize = 1024;

/// Limits of one room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoomLimits {
    /// Fuel per unit, for `start`, `process` and `finish` together.
    pub fuel: u64,
    /// Linear memory per unit, bytes, all memories of a guest together.
    pub memory_bytes: u64,
    /// Stack of the guest, bytes, at most 8 MiB. Recursion beyond it is a failed unit.
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
    /// The contract's reserved limits, for the standard profile.
    pub fn of(limits: &Limits) -> Self {
        Self {
            fuel: limits.fuel,
            memory_bytes: u64::from(limits.memory_mib) << 20,
            stack_bytes: limits.stack_kib.saturating_mul(1 << 10),
            rows_max: limits.rows_max,
            output_bytes_max: limits.output_kib.saturating_mul(1 << 10),
            unit_rows_max: limits.input_rows,
            unit_bytes_max: limits.input_rows.saturating_mul(4096).clamp(1 << 20, 64 << 20),
            wall: Duration::from_secs(u64::from(limits.wall_seconds)),
            profile: Profile::Standard,
        }
    }

    /// The limits of the contract's inner rooms.
    pub fn inner(contract: &Contract) -> Self {
        let wall = Duration::from_secs(u64::from(contract.tick_seconds));
        Self { profile: contract.profile, wall, ..Self::of(&contract.limits) }
    }

    /// The limits of the contract's outer rooms: fuel of their own, and no rows.
    pub fn outer(contract: &Contract) -> Self {
        Self { fuel: contract.limits.outer_fuel, ..Self::inner(contract) }
    }
}
