//! Capacity: the bits that a product can hold at most, whatever is in them. A number of
//! route C is the host's own aggregate, so this bounds what a query could be bent to say.

use sluice_domain::contract::Aggregate;

use super::influence::Tabulated;

/// Bits of a number that is no count: a double's.
const DOUBLE_BITS: f64 = 64.0;

/// Bits of each table: (name, published numbers, Σ log₂ of what each could be).
pub(crate) fn bits(tables: &[Tabulated<'_>], roster: u64, rows: u64) -> Vec<(String, u64, f64)> {
    #[expect(clippy::cast_precision_loss, reason = "a logarithm of a count")]
    let counted = |most: u64| (most as f64 + 1.0).log2();
    let of = |aggregate| match aggregate {
        Aggregate::Units => counted(roster),
        Aggregate::Rows | Aggregate::Count => counted(rows),
        Aggregate::Sum
        | Aggregate::Mean
        | Aggregate::VarSamp
        | Aggregate::VarPop
        | Aggregate::StddevSamp
        | Aggregate::StddevPop
        | Aggregate::Quantile(_)
        | Aggregate::Fit => DOUBLE_BITS,
    };
    let all = tables.iter().map(|table| {
        let cells = table.cells().count() as u64;
        let of_cell: f64 = table.aggregates().map(of).sum();
        #[expect(clippy::cast_precision_loss, reason = "a number of cells")]
        let bits = cells as f64 * of_cell;
        (table.published.name.clone(), cells * table.aggregates().count() as u64, bits)
    });
    all.collect()
}
