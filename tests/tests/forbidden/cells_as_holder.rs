//! error: E0308

use sluice_rows::cells::Cells;
use sluice_service::pages::OperatorJob;

pub fn hold(seen: &mut OperatorJob, cells: Cells) {
    seen.holder = cells;
}
