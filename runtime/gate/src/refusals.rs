//! Every no of the gate, in both languages. None of them carries a number or a
//! value from the data: they name tables, columns and limits of the contract.

use sluice_domain::{Kind, Refusal, text};

/// A contract that route A cannot keep.
pub(crate) fn bad_table(table: &str, zh: &str, en: &str) -> Refusal {
    Refusal::refused(
        "gate.table",
        text(zh, en),
        text("修改作业文件中的这张表后重新提交", "change this table of the job file and submit it again"),
    )
    .at(table)
}

/// A private median over so few blocks would promise nothing.
pub(crate) fn too_few_blocks(table: &str, needed: f64) -> Refusal {
    Refusal::refused(
        "gate.blocks",
        text(
            format!("以此 ρ 与网格求中位数至少需要 {needed} 个分块"),
            format!("a median at this rho and grid needs at least {needed} blocks"),
        ),
        text("增加分块、放粗网格或提高 ρ", "use more blocks, a coarser grid or a larger rho"),
    )
    .at(table)
}

/// roster × M × scale reaches 2⁶² (gate.md §4).
pub(crate) fn overflow(table: &str) -> Refusal {
    bad_table(
        table,
        "名册规模与截断范围之积超出整数上限",
        "roster size times clamp reaches the integer limit of 2^62 grid units",
    )
}

/// The guest answered a held table in another form than the contract's, or not at all.
pub(crate) fn held_answer(table: &str) -> Refusal {
    Refusal::refused(
        "gate.held-answer",
        text(
            "客件未按合约的形式作答：域外的键、越界或非数、重复或缺失的项，或运行失败",
            "the guest did not answer in the contract's form: an undeclared key, a number out of range or none, a key twice or left out, or a call that failed",
        ),
        text("用 `sluice guest try` 在合成数据上查找原因", "look for the cause on synthetic data with `sluice guest try`"),
    )
    .at(table)
}

/// With what was released before, no cell of the job may go out.
pub(crate) fn nothing_left(job: &str) -> Refusal {
    Refusal::refused(
        "gate.nothing-left",
        text("与此前发布的表相减后，没有可以发布的内容", "with what was released before, nothing of it may go out"),
        text("使用更粗的维度，或改用路线 A", "use coarser dimensions, or route A"),
    )
    .at(job)
}

/// The host broke its own promise: not the operator's doing, and never a partial answer.
pub(crate) fn host_fault(place: &str, zh: &str, en: &str) -> Refusal {
    Refusal::failed(
        "gate.host-fault",
        text(zh, en),
        text("该次运行作废，请联系主管部门", "the run is void; please contact the bureau"),
    )
    .at(place)
}

/// The noise engine refused or failed.
pub(crate) fn noise(place: &str) -> Refusal {
    host_fault(place, "噪声机制未能给出结果", "the noise mechanism gave no answer")
}

/// What was handed in does not fit the contract.
pub(crate) fn misfit(place: &str) -> Refusal {
    host_fault(place, "运行结果与合约的表不符", "the results do not fit the contract's tables")
}

/// The linked tables of one job have too many atoms.
pub(crate) fn too_many_cells(view: &str, most: usize) -> Refusal {
    Refusal::refused(
        "gate.too-many-cells",
        text(
            format!("同一视图上各表的维度交叉后超过 {most} 格"),
            format!("the tables on this view together span more than {most} cells"),
        ),
        text(
            "减少维度、合并类别，或把表分到不同的作业",
            "use fewer dimensions or coarser bins, or put the tables into different jobs",
        ),
    )
    .at(view)
}

/// Bytes or a digest that do not stand for the candidate.
pub(crate) fn not_the_candidate(run: &str, zh: &str, en: &str) -> Refusal {
    Refusal::new(
        Kind::Verification,
        "gate.not-the-candidate",
        text(zh, en),
        text("停止发布并通知审计", "stop the release and tell the auditor"),
    )
    .at(run)
}
