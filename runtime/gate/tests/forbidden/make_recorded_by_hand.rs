//! error: E0624

use sluice_domain::{approval::Approval, event::Entry};
use sluice_ledger::{Checkpoint, Recorded};

pub fn recorded(approval: Approval, entry: Entry, checkpoint: Checkpoint) -> Recorded<Approval> {
    Recorded::new(approval, entry, checkpoint)
}
