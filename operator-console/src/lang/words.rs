//! Names of the vocabulary's values for people. Each match is exhaustive: a new
//! role, reason or form does not compile until it has its two names.

use sluice_domain::{
    Lang,
    agreement::{Mask, ProductForm},
    approval::Decision,
    candidate::{Reason, Route},
    contract::Totals,
    person::Role,
};
use sluice_service::pages::Weight;

fn pick(lang: Lang, (zh, en): (&'static str, &'static str)) -> &'static str {
    match lang {
        Lang::Zh => zh,
        Lang::En => en,
    }
}

/// A role.
pub(crate) fn role(role: Role, lang: Lang) -> &'static str {
    let names = match role {
        Role::Bureau => ("主管部门", "Bureau"),
        Role::Provider => ("数据提供单位", "Provider"),
        Role::Operator => ("授权运营单位", "Operator"),
        Role::Reviewer => ("审核专家", "Reviewer"),
        Role::Auditor => ("审计", "Auditor"),
    };
    pick(lang, names)
}

/// A form of product (N23§19).
pub(crate) fn form(form: ProductForm, lang: Lang) -> &'static str {
    let names = match form {
        ProductForm::DataPackage => ("数据包", "data package"),
        ProductForm::DataModel => ("数据模型", "data model"),
        ProductForm::DataApi => ("数据 API", "data API"),
        ProductForm::DataService => ("数据服务", "data service"),
        ProductForm::DataReport => ("数据报告", "data report"),
        ProductForm::BusinessService => ("业务服务", "business service"),
    };
    pick(lang, names)
}

/// A decision.
pub(crate) fn decision(decision: Decision, lang: Lang) -> &'static str {
    let names = match decision {
        Decision::Approve => ("通过", "Approve"),
        Decision::Return => ("退回", "Return"),
        Decision::Reject => ("驳回", "Reject"),
    };
    pick(lang, names)
}

/// The weight of a finding.
pub(crate) fn weight(weight: Weight, lang: Lang) -> &'static str {
    let names = match weight {
        Weight::Risk => ("风险", "Risk"),
        Weight::Note => ("说明", "Note"),
        Weight::Limit => ("局限", "Limit"),
    };
    pick(lang, names)
}

/// The way a table's numbers took through the gate.
pub(crate) fn route(route: Route, lang: Lang) -> &'static str {
    let names = match route {
        Route::A => ("路线 A · 逐单元求和加噪", "Route A · per-unit sums with noise"),
        Route::B => ("路线 B · 分块作答、加噪取平均", "Route B · noised mean over blocks"),
        Route::C => ("路线 C · 宿主汇总与披露控制", "Route C · host tabulation with disclosure control"),
        Route::D => ("路线 D · 留置，无保证", "Route D · held, no guarantee"),
    };
    pick(lang, names)
}

/// Why a cell is withheld. For reviewers.
pub(crate) fn reason(reason: Reason, lang: Lang) -> &'static str {
    let names = match reason {
        Reason::Threshold => ("单位数不足", "too few units"),
        Reason::Zero => ("空格", "empty cell"),
        Reason::Dominance => ("少数占优", "dominance"),
        Reason::PPercent => ("p% 规则", "p% rule"),
        Reason::LargestShare => ("单一占比过大", "largest share"),
        Reason::AllSame => ("取值全同", "all the same"),
        Reason::Negative => ("含负值", "negative values"),
        Reason::Missing => ("含缺失值", "missing values"),
        Reason::Differencing => ("与此前发布相减", "differencing"),
        Reason::AsBefore => ("与此前一次相同", "as before"),
        Reason::Class => ("类别集中", "class disclosure"),
        Reason::Secondary => ("互补隐去", "complementary"),
        Reason::Degrees => ("自由度不足", "too few units for the coefficients"),
        Reason::Leverage => ("单一单位杠杆过大", "one unit's leverage"),
        Reason::Redacted => ("合计按合约隐去", "redacted by contract"),
    };
    pick(lang, names)
}

/// What happens to the margins of a table.
pub(crate) fn totals(totals: Totals, lang: Lang) -> &'static str {
    let names = match totals {
        Totals::None => ("无合计", "no totals"),
        Totals::True => ("合计为真值，连同互补隐去", "true totals, with complementary cells withheld"),
        Totals::Redacted => ("合计一律隐去", "totals redacted"),
    };
    pick(lang, names)
}

/// A mask (R05).
pub(crate) fn mask(mask: &Mask, lang: Lang) -> String {
    match (mask, lang) {
        (Mask::Drop, Lang::Zh) => "仅用于行条件，不入视图".to_owned(),
        (Mask::Drop, Lang::En) => "for the row filter only, not in the view".to_owned(),
        (Mask::Pseudonym, Lang::Zh) => "带密钥假名".to_owned(),
        (Mask::Pseudonym, Lang::En) => "keyed pseudonym".to_owned(),
        (Mask::Bin { from, to, width }, Lang::Zh) => format!("分箱 {from}–{to}，每档 {width}"),
        (Mask::Bin { from, to, width }, Lang::En) => format!("bins of {width} from {from} to {to}"),
    }
}
