//! What a failed read may say: one of a few fixed sentences, without a payload.
//!
//! A message of DataFusion's or arrow's may carry a value of a row, so none is
//! ever kept, not even for the log.

use sluice_domain::{Refusal, text};

/// Why rows could not be read. The variants are for the bureau's log; an operator
/// is shown the same [`Refusal`] for every one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// The snapshot, its keys or the view's own definition could not be opened.
    #[error("the view could not be opened")]
    Open,
    /// The plan reads a view that this authorisation does not grant.
    #[error("the plan reads a view that is not granted")]
    NotGranted,
    /// Reading stopped: storage, decryption, memory or evaluation.
    #[error("the view could not be read")]
    Read,
    /// A unit's rows were not together: the snapshot's order did not survive.
    #[error("the rows are not in unit order")]
    Order,
    /// A dimension holds a value that its declared domain does not have.
    #[error("a dimension holds an undeclared value")]
    Domain,
}

impl From<ViewError> for Refusal {
    fn from(_: ViewError) -> Self {
        Self::failed(
            "view.failed",
            text("授权视图读取失败", "the view could not be read"),
            text("请联系主管部门", "ask the bureau"),
        )
    }
}
