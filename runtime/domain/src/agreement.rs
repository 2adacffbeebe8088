//! 授权协议: which operator may run which scenario over which views, until when,
//! at what price in privacy. One scenario, one agreement, one contingency plan (R20).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Date,
    id::{AgreementId, DatasetId, OrgId, ScenarioId, ViewId},
    lang::text,
    refusal::{Kind, Refusal},
};

/// A signed agreement, as its file says it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    /// Parties, scenario and term.
    pub agreement: Terms,
    /// The views it grants, by name.
    #[serde(rename = "view")]
    pub views: BTreeMap<ViewId, View>,
}

/// Parties, scenario and term of an agreement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// Name of the agreement.
    pub id: AgreementId,
    /// The operator it binds.
    pub operator: OrgId,
    /// The one scenario.
    pub scenario: ScenarioId,
    /// The scenario's name for people.
    pub title: String,
    /// What the products are for.
    pub purpose: String,
    /// First day.
    pub from: Date,
    /// Last day; at most the rule pack's term after `from`.
    pub to: Date,
    /// Product forms allowed.
    pub forms: Vec<ProductForm>,
    /// Privacy budget (zCDP ρ) per calendar year, out of the dataset root's.
    pub rho_per_year: f64,
    /// The contingency plan 应急预案.
    pub contingency_plan: String,
    /// Whether a product may be made straight from rows (route D).
    #[serde(default, skip_serializing_if = "HeldTerms::is_refused")]
    pub held: HeldTerms,
}

/// Whether an agreement allows products that a guest makes straight from rows, for which
/// no guarantee exists (route D).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeldTerms {
    /// None.
    #[default]
    Refused,
    /// In declared forms, held for two reviewers who decide on evidence alone.
    Allowed,
}

impl HeldTerms {
    /// For what is not written down where it is the default.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
    fn is_refused(&self) -> bool {
        *self == Self::Refused
    }
}

/// The six forms of N23§19 (R27).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProductForm {
    /// 数据包.
    DataPackage,
    /// 数据模型.
    DataModel,
    /// 数据 API.
    DataApi,
    /// 数据服务.
    DataService,
    /// 数据报告.
    DataReport,
    /// 业务服务.
    BusinessService,
}

/// 授权视图: the columns and rows of one dataset that an agreement grants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// The dataset it looks at.
    pub dataset: DatasetId,
    /// The columns it grants. No other column's key is ever unwrapped for it.
    pub columns: Vec<String>,
    /// Which rows, as a SQL predicate written by the bureau; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Masks by column (R05).
    #[serde(default)]
    pub masks: BTreeMap<String, Mask>,
    /// Derived measures approved by name: arithmetic over number columns of the view.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub measures: BTreeMap<String, String>,
}

/// How a column is changed before anybody sees it (R05).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mask {
    /// The column is read for the filter only and is not in the view.
    Drop,
    /// A keyed pseudonym, stable within the agreement, as text.
    Pseudonym,
    /// The lower edge of the bin of this width, counted from `from`; values
    /// outside `from..=to` fall into the first or last bin.
    Bin {
        /// Lower edge of the first bin.
        from: i64,
        /// Upper edge of the last bin.
        to: i64,
        /// Width of a bin.
        width: i64,
    },
}

impl Terms {
    /// Whether it is in force on some day of a calendar year.
    pub fn in_year(&self, year: i16) -> bool {
        (self.from.year()..=self.to.year()).contains(&year)
    }
}

impl Agreement {
    /// Reads and checks an agreement file. Whether its datasets exist and its
    /// budget fits is decided against the state (`decide`).
    ///
    /// # Errors
    /// `agreement.*` refusals that name the field.
    pub fn parse(toml: &str) -> Result<Self, Refusal> {
        let bad = |code, place: String, zh: String, en: String| {
            Refusal::new(
                Kind::Usage,
                code,
                text(zh, en),
                text("改正协议文件后重新提交", "correct the agreement file and submit it again"),
            )
            .at(place)
        };
        let this: Self = toml::from_str(toml).map_err(|e| {
            bad(
                "agreement.form",
                crate::contract::line_of(toml, e.span()),
                format!("协议文件格式有误：{}", e.message()),
                format!("the agreement file is not well formed: {}", e.message()),
            )
        })?;
        let t = &this.agreement;
        let content = |place: &str, zh: &str, en: &str| {
            Err(bad("agreement.content", place.to_owned(), zh.to_owned(), en.to_owned()))
        };
        if t.to < t.from {
            return content("agreement.to", "终止日早于起始日", "the last day is before the first");
        }
        if t.contingency_plan.trim().is_empty() {
            return content(
                "agreement.contingency_plan",
                "一场景一授权一预案：须有应急预案",
                "one scenario, one agreement, one contingency plan: the plan is missing",
            );
        }
        if !(t.rho_per_year.is_finite() && t.rho_per_year >= 0.0) {
            return content(
                "agreement.rho_per_year",
                "预算须为非负有限数",
                "the budget is a finite number, not negative",
            );
        }
        for (id, view) in &this.views {
            if view.columns.is_empty() {
                return content(
                    &format!("view.{id}.columns"),
                    "视图须至少授权一列",
                    "a view grants at least one column",
                );
            }
            for (column, mask) in &view.masks {
                if !view.columns.contains(column) {
                    return content(
                        &format!("view.{id}.masks.{column}"),
                        "脱敏规则所指的列不在视图中",
                        "the mask names a column that the view does not grant",
                    );
                }
                if let Mask::Bin { from, to, width } = mask
                    && (*width <= 0 || to <= from || i128::from(*to) - i128::from(*from) > 10_000 * i128::from(*width))
                {
                    return content(
                        &format!("view.{id}.masks.{column}"),
                        "分箱须有正宽度、from < to，且不超过一万箱",
                        "bins need a positive width, from < to, and are 10 000 at most",
                    );
                }
            }
        }
        Ok(this)
    }
}

#[cfg(test)]
mod tests {
    use super::Agreement;

    #[test]
    fn bins_over_everything_are_too_many_and_no_overflow() {
        let file = include_str!("../../../guest-examples/domain/insurance-pricing-2026.toml");
        let with = |bin: &str| {
            let file = file.replace("xage = \"drop\"", &format!("xage = {{ bin = {bin} }}"));
            Agreement::parse(&file).map_err(|refusal| refusal.code)
        };
        with("{ from = 0, to = 100, width = 10 }").unwrap();
        let all = format!("{{ from = {}, to = {}, width = 1 }}", i64::MIN, i64::MAX);
        assert_eq!(with(&all).unwrap_err(), "agreement.content");
    }
}
