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

/// The rows behind a held product are nearly those behind an earlier one, or behind a
/// number of route C.
pub(crate) fn held_history(job: &str) -> Refusal {
    Refusal::refused(
        "gate.held-history",
        text(
            "输入与此前路线 D 产品的输入、或路线 C 已公布的数所依据的行（单独或合计）只差不足 k 个单位，相比会暴露他们",
            "its input differs from those of earlier products of route D, or from the rows under published numbers of route C, alone or together, by fewer than k units, whom they would show",
        ),
        text("使用完全相同的输入，或改用路线 A", "use the very same input, or route A"),
    )
    .at(job)
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

/// What a guest answered is no model of the declared kind.
pub(crate) fn model_form(table: &str) -> Refusal {
    Refusal::refused(
        "gate.model-form",
        text(
            "客程序的答案读不成所声明的模型：有数缺失，或不成一棵树，或在预测用不到的位置写了数",
            "the guest's answer does not read as the declared model: a number is missing, it is no tree, or something is written where no prediction reads it",
        ),
        text(
            "补全每一个系数；树的子节点编号大于自身，用不到的节点留作值为零的叶",
            "give every coefficient; a tree's children have numbers above their own node's, and nodes that are not used are leaves with value zero",
        ),
    )
    .at(table)
}

/// A leaf, or the whole model, stands on fewer than k units.
pub(crate) fn model_leaf(table: &str, k: u64) -> Refusal {
    Refusal::refused(
        "gate.model-leaf",
        text(
            format!("模型有一叶（或整个模型）不足 {k} 个单位"),
            format!("a leaf of the model, or all of it, has fewer than {k} units"),
        ),
        text("限制每叶的最少人数，或减少节点", "ask for more people in each leaf, or use fewer nodes"),
    )
    .at(table)
}

/// Too few units for the parameters.
pub(crate) fn model_degrees(table: &str, least: u64) -> Refusal {
    Refusal::refused(
        "gate.model-degrees",
        text(
            format!("单位数减参数数不足 {least}（同一单位的各行并不独立，所以按单位计）"),
            format!(
                "units less parameters are fewer than {least}; rows of one unit are not independent, so units are counted"
            ),
        ),
        text("使用更少的特征或节点", "use fewer features or nodes"),
    )
    .at(table)
}

/// Too many parameters for the units.
pub(crate) fn model_share(table: &str, most: f64) -> Refusal {
    Refusal::refused(
        "gate.model-share",
        text(
            format!("每个单位摊到的参数多于 {most}（同一单位的各行并不独立，所以按单位计）"),
            format!(
                "there are more than {most} parameters per unit; rows of one unit are not independent, so units are counted"
            ),
        ),
        text("使用更少的特征或节点", "use fewer features or nodes"),
    )
    .at(table)
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
