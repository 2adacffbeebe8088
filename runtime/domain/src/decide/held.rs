//! 留置: what of a job file asks for route D. Every number of it is judged from the
//! contract and the agreement alone, before any data is read.
//!
//! It does not judge what a guest answers: the gate does, and people.

use std::collections::BTreeSet;

use crate::{
    Refusal,
    agreement::{HeldTerms, Terms},
    catalogue::ColumnType,
    contract::{Contract, JobFile, Limits, MarkPolicy, MeasureA, ModelFile, RangeSpec, Table, TableFile, TableFileD},
    held::{Held, Model, ModelKind},
    rulepack::RulePack,
};

use super::freeze::{Resolved, bad, clamp, dimensions_of};

/// Most features of a model.
const FEATURES_MAX: usize = 32;

/// Whether an agreement allows what `contract` asks for.
///
/// # Errors
/// `job.held`.
pub fn allows(terms: &Terms, contract: &Contract) -> Result<(), Refusal> {
    match contract.held().next() {
        Some(held) if terms.held == HeldTerms::Refused => Err(bad(
            "job.held",
            format!("table.{}.route", held.name),
            "协议不允许直接由个人行制成的产品（路线 D）",
            "the agreement does not allow products made straight from person rows (route D)",
        )),
        _ => Ok(()),
    }
}

/// A job with a held table has held tables alone, and nothing that would make another
/// thing of them: neither rounds nor a report, and no mark.
pub(super) fn stands_alone(file: &JobFile) -> Result<(), Refusal> {
    let is_held = |t: &&TableFile| matches!(t, TableFile::D(_));
    let held = file.tables.iter().filter(is_held).count();
    if held == 0 {
        return Ok(());
    }
    let no = |place, zh, en| Err(bad("job.held-alone", place, zh, en));
    if held < file.tables.len() {
        return no("table", "D 路的表不能与其他路线的表在同一作业", "a table of route D has a job of its own");
    }
    if file.rounds.is_some() {
        return no("rounds", "D 路没有轮次", "route D has no rounds");
    }
    if file.report.is_some() {
        return no(
            "report",
            "外室不得处理 D 路的单元格：那会掩盖它们的来历",
            "no outer room over cells of route D: it would hide where they are from",
        );
    }
    if file.product.mark != MarkPolicy::None {
        return no("product.mark", "D 路的数字不作水印取整", "numbers of route D carry no mark");
    }
    Ok(())
}

/// Whether the product stays below the bits that one of route D may hold.
pub(super) fn within_capacity(tables: &[Table], rulepack: &RulePack) -> Result<(), Refusal> {
    let held = || tables.iter().filter_map(|t| if let Table::D(held) = t { Some(held) } else { None });
    let (bits, most) = (held().map(Held::capacity_bits).sum::<f64>(), rulepack.evidence.held_capacity_bits_max);
    let Some(first) = held().next().filter(|_| bits > most) else { return Ok(()) };
    Err(bad(
        "job.capacity",
        format!("table.{}", first.name),
        format!("该产品可容纳 {bits:.0} 比特，D 路至多 {most:.0}：减少单元格、缩小范围或放粗网格"),
        format!(
            "the product can hold {bits:.0} bits, route D at most {most:.0}: fewer cells, smaller ranges or coarser grids"
        ),
    ))
}

/// A held table with every name resolved.
pub(super) fn table(file: TableFileD, resolved: &Resolved, limits: &Limits) -> Result<Held, Refusal> {
    let TableFileD { name, dimensions, measures, model } = file;
    let Some(model) = model else {
        if measures.is_empty() {
            let place = format!("table.{name}.measures");
            return Err(bad("job.measures", place, "须至少有一个度量", "at least one measure"));
        }
        let dimensions = dimensions_of(dimensions, resolved, &name)?;
        let range =
            |(measure, spec): (String, RangeSpec)| measured(&measure, &spec, &name, &format!("measures.{measure}"));
        let measures = measures.into_iter().map(range).collect::<Result<_, _>>()?;
        return Ok(Held { name, dimensions, measures, model: None });
    };
    let place = |field: &str| format!("table.{name}.{field}");
    if !dimensions.is_empty() || !measures.is_empty() {
        return Err(bad(
            "job.model",
            place("model"),
            "模型的表没有 dimensions 与 measures：键与数字由模型而定",
            "a model's table has neither `dimensions` nor `measures`: they follow from the model",
        ));
    }
    let held = of_model(&name, &model)?;
    let known = explained(&model, resolved);
    if !known {
        return Err(bad(
            "job.model",
            place("model"),
            "模型须恰有一个输入，特征（1 至 32 个，互不重复）与结果都是其中的 int 或 float 列",
            "a model has one input, and its features (1 to 32, distinct) and outcome are int or float columns of it",
        ));
    }
    if held.cells().is_none_or(|cells| cells > usize::try_from(limits.rows_max).unwrap_or(usize::MAX)) {
        return Err(bad(
            "job.model",
            "limits.rows_max",
            "模型的每一项都须作答，limits.rows_max 不够",
            "every term of a model is answered: limits.rows_max is too small",
        ));
    }
    Ok(held)
}

/// The table that a model is handed back in.
fn of_model(name: &str, file: &ModelFile) -> Result<Held, Refusal> {
    let ModelFile { kind, features, outcome, range, grid, nodes, thresholds } = file;
    let place = |field: &str| format!("table.{name}.model.{field}");
    let kind = ModelKind::named(kind).map_err(|refusal| refusal.at(place("kind")))?;
    let model = Model { kind, features: features.clone(), outcome: outcome.clone() };
    let range = RangeSpec { range: *range, grid: *grid };
    let (dimension, measures) = match (kind, nodes, thresholds) {
        (ModelKind::Tree, Some(nodes @ 3..), Some(thresholds)) => {
            let last = i64::from(*nodes) - 1;
            let place_of = |hi| (-1, hi);
            let features = i64::try_from(features.len()).unwrap_or(i64::MAX) - 1;
            let [feature, left, right, threshold, value] = Model::TREE;
            let whole = |name: &str, (lo, hi)| MeasureA { name: name.to_owned(), lo, hi, grid: 1 };
            let measures = vec![
                whole(feature, place_of(features)),
                whole(left, place_of(last)),
                whole(right, place_of(last)),
                measured(threshold, thresholds, name, "model.thresholds")?,
                measured(value, &range, name, "model.range")?,
            ];
            (Model::nodes(*nodes), measures)
        }
        (ModelKind::Linear | ModelKind::LogLinear | ModelKind::Logistic, None, None) => {
            (model.terms(), vec![measured(Model::COEFFICIENT, &range, name, "model.range")?])
        }
        _ => {
            return Err(bad(
                "job.model",
                place("nodes"),
                "树须有 nodes（至少 3）与 thresholds，其他模型没有",
                "a tree has `nodes` (3 at least) and `thresholds`, no other model has",
            ));
        }
    };
    Ok(Held { name: name.to_owned(), dimensions: vec![dimension], measures, model: Some(model) })
}

/// Whether the job's only input holds what the model explains, and by what.
fn explained(model: &ModelFile, resolved: &Resolved) -> bool {
    let mut inputs = resolved.inputs.values();
    let (Some(input), None) = (inputs.next(), inputs.next()) else { return false };
    let number = |name: &String| {
        input.columns.iter().any(|(n, kind)| n == name && matches!(kind, ColumnType::Int | ColumnType::Float))
    };
    let names: BTreeSet<&String> = model.features.iter().chain([&model.outcome]).collect();
    (1..=FEATURES_MAX).contains(&model.features.len())
        && names.len() == model.features.len() + 1
        && !names.iter().any(|name| *name == Model::CONST)
        && names.into_iter().all(number)
}

/// A number with its range in grid units; more than one value.
fn measured(measure: &str, spec: &RangeSpec, table: &str, field: &str) -> Result<MeasureA, Refusal> {
    let at = |refusal: Refusal| refusal.at(format!("table.{table}.{field}"));
    let (lo, hi) = clamp(table, measure, spec.range, spec.grid).map_err(at)?;
    if lo == hi {
        return Err(at(bad("job.clamp", "", "范围的上下界相等", "the range has one value only")));
    }
    Ok(MeasureA { name: measure.to_owned(), lo, hi, grid: spec.grid })
}
