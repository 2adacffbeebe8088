//! error: E0423

use sluice_domain::state::DemoDomain;

pub fn proof() -> DemoDomain {
    DemoDomain(())
}
