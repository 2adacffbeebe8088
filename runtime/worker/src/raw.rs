//! What a guest answered: hostile bytes, in custody until the gate's intake has
//! rebuilt them. No `Clone`, no `Serialize`, and a `Debug` that shows nothing.

use std::fmt;

/// One unit's answer.
pub enum UnitOutcome {
    /// The guest finished. What it wrote is not believed.
    Output(RawBatch),
    /// Trap, exhaustion, error, wrong shape or too much output: the declared
    /// default stands in. Which of these it was stays in the child.
    Failed,
}

/// A batch as the guest wrote it: lengths are checked against the limits, and
/// nothing else is.
pub struct RawBatch {
    /// Rows that the guest claims.
    pub rows: u32,
    /// Columns in the guest's order.
    pub columns: Vec<RawColumn>,
}

/// One column as the guest wrote it (layout: `sdk/wit/sluice-job.wit`).
pub struct RawColumn {
    /// Nulls that the guest claims.
    pub nulls: u32,
    /// Validity bitmap, LSB first.
    pub validity: Option<Vec<u8>>,
    /// Offsets of text.
    pub offsets: Option<Vec<u8>>,
    /// Values.
    pub data: Vec<u8>,
}

impl fmt::Debug for UnitOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnitOutcome(withheld)")
    }
}

impl fmt::Debug for RawBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawBatch(withheld)")
    }
}

impl fmt::Debug for RawColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawColumn(withheld)")
    }
}
