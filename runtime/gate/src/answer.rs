//! The exact answer to one table that a guest answers, whatever its route. It can be
//! committed to, and given to [`crate::clear()`], which noises it once or, where the
//! table is held, takes it as it is.

use sluice_domain::{Digest, Refusal, contract::Contract, contract::Table};

use crate::{
    noise::{Mechanism, medians::Medians, open::OpenMechanism},
    refusals,
    route_a::{self, PreNoise, open},
    route_b::BlockAnswers,
    route_d,
};

/// What the passes over one table came to, before noise.
#[derive(Debug)]
pub enum Answer {
    /// Clamped sums, of route A and of route B's means.
    Sums(PreNoise),
    /// One answer a block, of route B's medians.
    Blocks(BlockAnswers),
    /// Units and clamped sums by key, where nobody declared the keys.
    Open(open::PreNoise),
    /// The whole answer to a held table.
    Held(route_d::Exact),
}

impl Answer {
    /// Commits to the answer with a keyed function; see [`PreNoise::commitment`].
    pub fn commitment(&self, commit: &dyn Fn(&[u8]) -> Digest) -> Digest {
        match self {
            Self::Sums(exact) => exact.commitment(commit),
            Self::Blocks(exact) => exact.commitment(commit),
            Self::Open(exact) => exact.commitment(commit),
            Self::Held(exact) => exact.commitment(commit),
        }
    }
}

impl From<PreNoise> for Answer {
    fn from(exact: PreNoise) -> Self {
        Self::Sums(exact)
    }
}

/// Whether every held table of `contract` can be read, and every noised one has a
/// mechanism that keeps its ρ and δ over a roster of `roster_size` units: asked before
/// anything is charged.
///
/// # Errors
/// `gate.table`; `gate.blocks`, which says how many blocks a median needs. The place
/// is `table.` and the table's name.
pub fn can_keep(contract: &Contract, roster_size: u64) -> Result<(), Refusal> {
    let rows = contract.limits.rows_max;
    for table in &contract.tables {
        let checked = match table {
            Table::A(a) => route_a::Reducer::new(a, roster_size, rows).and_then(|_| Mechanism::for_table(a)).map(drop),
            Table::B(b) if b.combine == sluice_domain::contract::Combine::Median => Medians::for_table(b).map(drop),
            Table::B(b) => b
                .as_sums()
                .ok_or_else(|| refusals::overflow(&b.name))
                .and_then(|sums| Mechanism::for_table(&sums))
                .map(drop),
            Table::Open(o) => {
                open::Reducer::new(o, roster_size, rows).and_then(|_| OpenMechanism::for_table(o)).map(drop)
            }
            Table::D(held) => route_d::Reducer::new(held, rows).map(drop),
            Table::C(_) | Table::Regression(_) | Table::Survival(_) => Ok(()),
        };
        checked.map_err(|refusal| refusal.at(format!("table.{}", table.name())))?;
    }
    Ok(())
}
