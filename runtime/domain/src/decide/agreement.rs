//! Datasets enter the catalogue; agreements grant views of them.

use crate::{
    agreement::{Agreement, Mask},
    catalogue::{CatalogueEntry, ColumnRole, ColumnType, Opening},
    event::Event,
    id::PersonId,
    lang::text,
    person::Role,
    refusal::Refusal,
    state::State,
};

use super::require;

/// Registers a catalogue entry, or a new version of one.
///
/// # Errors
/// `account.role`; `catalogue.unit-changed` when a new version names another unit.
pub fn register_dataset(state: &State, by: &PersonId, entry: CatalogueEntry) -> Result<Event, Refusal> {
    let person = require(state, by, &[Role::Provider, Role::Bureau])?;
    if person.role == Role::Provider && person.org != entry.dataset.provider {
        return Err(Refusal::refused(
            "catalogue.provider",
            text("提供单位只能登记本单位的数据", "a provider registers its own data only"),
            text("改正 dataset.provider", "correct dataset.provider"),
        )
        .at("dataset.provider"));
    }
    let changed = state.dataset(&entry.dataset.id).is_some_and(|d| d.entry.dataset.unit != entry.dataset.unit);
    if changed {
        return Err(Refusal::refused(
            "catalogue.unit-changed",
            text("数据集的隐私单元不得更改", "the privacy unit of a dataset cannot change"),
            text("另立数据集", "register another dataset"),
        )
        .at("dataset.unit"));
    }
    Ok(Event::DatasetRegistered { entry })
}

/// Signs an agreement.
///
/// # Errors
/// `agreement.exists`, `agreement.term`, `agreement.dataset`, `agreement.column`,
/// `agreement.prohibited`, `agreement.allotment`, each with the field.
pub fn sign_agreement(state: &State, by: &PersonId, agreement: Agreement) -> Result<Event, Refusal> {
    require(state, by, &[Role::Bureau])?;
    let no = |code, place: String, zh: String, en: String| {
        Err(Refusal::refused(code, text(zh, en), text("改正协议后重新签署", "correct the agreement and sign it again"))
            .at(place))
    };
    let terms = &agreement.agreement;
    if state.agreement(&terms.id).is_some() {
        return no(
            "agreement.exists",
            "agreement.id".into(),
            "协议编号已被使用".into(),
            "the agreement's name is taken".into(),
        );
    }
    let years = i64::from(state.rulepack().agreement.years_max);
    let latest = terms.from.checked_add(jiff::Span::new().years(years)).unwrap_or(terms.from);
    if terms.to > latest {
        return no(
            "agreement.term",
            "agreement.to".into(),
            format!("授权期限不得超过 {years} 年"),
            format!("an agreement runs for {years} years at most"),
        );
    }
    for (id, view) in &agreement.views {
        let Some(dataset) = state.dataset(&view.dataset) else {
            return no(
                "agreement.dataset",
                format!("view.{id}.dataset"),
                "没有这个数据集".into(),
                "there is no such dataset".into(),
            );
        };
        let entry = &dataset.entry;
        if entry.dataset.opening == Opening::Prohibited && entry.dataset.opening_basis.trim().is_empty() {
            return no(
                "agreement.prohibited",
                format!("view.{id}.dataset"),
                "禁止开放的数据集须有匿名化、脱敏或同意的依据".into(),
                "a prohibited dataset needs a recorded basis".into(),
            );
        }
        for name in &view.columns {
            let place = format!("view.{id}.columns.{name}");
            let Some(column) = entry.column(name) else {
                return no(
                    "agreement.column",
                    place,
                    "数据集没有这一列".into(),
                    "the dataset has no such column".into(),
                );
            };
            if matches!(view.masks.get(name), Some(Mask::Bin { .. })) && column.kind != ColumnType::Int {
                return no(
                    "agreement.column",
                    place,
                    "只有整数列可以分箱".into(),
                    "only an int column can be binned".into(),
                );
            }
            if column.role == ColumnRole::Unit && view.masks.get(name).is_some_and(|m| matches!(m, Mask::Bin { .. })) {
                return no(
                    "agreement.column",
                    place,
                    "隐私单元列不能分箱".into(),
                    "the unit column cannot be binned".into(),
                );
            }
        }
        let root = state.rulepack().budget.rho_per_root_and_year;
        for year in terms.from.year()..=terms.to.year() {
            let granted = state.allotted(&view.dataset, year);
            if granted + terms.rho_per_year > root + f64::EPSILON {
                return no(
                    "agreement.allotment",
                    "agreement.rho_per_year".into(),
                    format!("该数据集每年的隐私预算为 ρ = {root}，{year} 年已授出 {granted}"),
                    format!("the dataset's yearly budget is ρ = {root}, of which {granted} is granted in {year}"),
                );
            }
        }
    }
    Ok(Event::AgreementSigned { agreement })
}
