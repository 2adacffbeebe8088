//! 建议: how the contract of a route-C table could be changed so that less is withheld,
//! the least loss first. Computed from the contract, the catalogue, the published roster
//! and, once there is a product, its published cells and marks: never from data, so it
//! tells an operator nothing new. A suggestion is no promise; only a run judges cells.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use sluice_domain::{
    Text,
    candidate::{CandidateTable, Cell, CellValue},
    catalogue::Key,
    contract::{Aggregate, Contract, Dimension, Law, MeasureA, MeasureC, Rank, Table, TableA, TableC, Totals},
    state::GrantedView,
    text,
};
use sluice_gate::noise::Mechanism;

/// Most suggestions per table.
const SHOWN: usize = 5;
/// Classes that one proposed merge names.
const NAMED: usize = 6;

/// One change of a contract.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Suggestion {
    /// The table.
    pub table: String,
    /// What to change.
    pub change: Text,
    /// What it costs, and what may be hoped for.
    pub effect: Text,
    /// Detail lost: log₂ of how many times fewer cells there are.
    pub loss_bits: f64,
}

/// What a contract has to keep to. Public.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowed {
    /// ρ that a product may still cost.
    pub(crate) rho: f64,
    /// Fewest units behind a published number.
    pub(crate) k: u64,
}

/// Suggestions for every table of route C; with `published`, a product's tables, for
/// those that have a withheld cell.
pub(crate) fn suggestions(
    contract: &Contract,
    views: &[GrantedView],
    published: Option<&[CandidateTable]>,
    allowed: Allowed,
) -> Vec<Suggestion> {
    let mut all = Vec::new();
    for (t, table) in contract.tables.iter().enumerate() {
        let Table::C(table) = table else { continue };
        let shown = published.and_then(|tables| tables.get(t));
        let withheld = |t: &CandidateTable| t.cells.iter().any(|c| matches!(c.value, CellValue::Withheld(_)));
        if shown.is_some_and(|t| !withheld(t)) {
            continue;
        }
        let Some(view) = views.iter().find(|v| v.id == table.plan.view) else { continue };
        all.extend(for_table(table, view, shown, allowed));
    }
    all
}

/// A change that makes cells coarser: the place of each old class among the new ones,
/// for one dimension; `None` drops the dimension.
struct Coarsening {
    dimension: usize,
    classes: Option<Vec<usize>>,
    change: Text,
}

fn for_table(table: &TableC, view: &GrantedView, shown: Option<&CandidateTable>, allowed: Allowed) -> Vec<Suggestion> {
    let dimensions = &table.plan.dimensions;
    let cells: usize = dimensions.iter().map(|d| d.domain.len()).product();
    let mut ranked: Vec<(usize, Suggestion)> = Vec::new();
    for coarsening in coarsenings(table, view, shown) {
        let Some(old) = dimensions.get(coarsening.dimension).map(|d| d.domain.len().max(1)) else { continue };
        let new = coarsening.classes.as_ref().map_or(1, |c| c.iter().collect::<BTreeSet<_>>().len().max(1));
        let fewer = cells / old * new;
        let (unsure, effect) = effect(table, view, shown, &coarsening, fewer);
        ranked.push((unsure, suggestion(table, coarsening.change, effect, bits(cells, fewer))));
    }
    // Those that leave nothing unsure first, then by what they lose.
    ranked.sort_by(|(a, x), (b, y)| {
        (*a > 0, x.loss_bits).partial_cmp(&(*b > 0, y.loss_bits)).unwrap_or(std::cmp::Ordering::Equal)
    });
    let mut found: Vec<_> = ranked.into_iter().map(|(_, suggestion)| suggestion).take(SHOWN).collect();
    if table.totals == Totals::True {
        found.insert(0, without_totals(table, cells));
    }
    found.extend(by_rank(table, allowed.k));
    found.extend(by_noise(table, allowed.rho));
    found
}

/// A quantile nearer the middle: the further out one lies, the more units each cell
/// needs, and a cell without them is withheld with all its measures.
fn by_rank(table: &TableC, k: u64) -> Option<Suggestion> {
    let quantile = |m: &MeasureC| match m.aggregate {
        Aggregate::Quantile(quantile) => Some((quantile.rank.units_needed(k), m.name.clone())),
        _ => None,
    };
    let (needed, name) = table.plan.measures.iter().filter_map(quantile).max()?;
    let median = Rank::HALF.units_needed(k);
    (needed > median).then(|| {
        suggestion(
            table,
            text(
                format!("`{name}` 单列一表，或换成更靠近中位的分位数"),
                format!("a table of its own for `{name}`, or a quantile nearer the middle"),
            ),
            text(
                format!("它要求每格至少 {needed} 个单位，中位数为 {median} 个，计数为 {k} 个；不足的格连同其余度量一并隐去"),
                format!(
                    "it takes {needed} units in a cell, a median {median} and a count {k}; a cell with fewer is withheld with all its measures"
                ),
            ),
            0.0,
        )
    })
}

fn suggestion(table: &TableC, change: Text, effect: Text, loss_bits: f64) -> Suggestion {
    Suggestion { table: table.name.clone(), change, effect, loss_bits }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of cells")]
fn bits(before: usize, after: usize) -> f64 {
    (before.max(1) as f64 / after.max(1) as f64).log2()
}

fn coarsenings(table: &TableC, view: &GrantedView, shown: Option<&CandidateTable>) -> Vec<Coarsening> {
    let declared = sluice_view::view_schema(view).unwrap_or_default();
    let mut all = Vec::new();
    for (at, dimension) in table.plan.dimensions.iter().enumerate() {
        let coarser = declared.iter().filter_map(|c| c.dimension()).filter(|d| d.name != dimension.name);
        let coarser: Vec<_> = coarser.filter_map(|d| Some((d, onto(dimension, d)?))).collect();
        for (to, classes) in &coarser {
            let (old, new) = (dimension.domain.len(), to.domain.len());
            let change = text(
                format!("以目录已声明的 `{}`（{new} 类）代替 `{}`（{old} 类）", to.name, dimension.name),
                format!("`{}` ({new} classes), declared in the catalogue, for `{}` ({old})", to.name, dimension.name),
            );
            all.push(Coarsening { dimension: at, classes: Some(classes.clone()), change });
        }
        if coarser.is_empty() && dimension.domain.len() > 2 {
            all.push(merged(dimension, at, shown));
        }
        if table.plan.dimensions.len() > 1 {
            let change =
                text(format!("去掉维度 `{}`", dimension.name), format!("drop the dimension `{}`", dimension.name));
            all.push(Coarsening { dimension: at, classes: None, change });
        }
    }
    all
}

/// The class of `to` that each class of `from` lies in; none unless every class of `from`
/// lies in one, and `to` is coarser.
fn onto(from: &Dimension, to: &Dimension) -> Option<Vec<usize>> {
    if from.base_name() != to.base_name() || from.parts() != to.parts() || to.domain.len() >= from.domain.len() {
        return None;
    }
    let mut classes: BTreeMap<usize, usize> = BTreeMap::new();
    for part in 0..from.parts() {
        let (fine, coarse) = (from.place_of(part)?, to.place_of(part)?);
        if *classes.entry(fine).or_insert(coarse) != coarse {
            return None;
        }
    }
    (0..from.domain.len()).map(|class| classes.get(&class).copied()).collect()
}

/// Classes put together with the next one: those of which at least half the cells are
/// withheld, or, before there is anything to see, every second one.
fn merged(dimension: &Dimension, at: usize, shown: Option<&CandidateTable>) -> Coarsening {
    let thin: Vec<bool> = match shown {
        None => (0..dimension.domain.len()).map(|class| class % 2 == 0).collect(),
        Some(table) => dimension.domain.iter().map(|(key, _)| mostly_withheld(table, at, key)).collect(),
    };
    let (mut classes, mut class) = (Vec::new(), 0);
    for (n, thin_here) in thin.iter().enumerate() {
        classes.push(class);
        // The last class has no next one: it joins the one before.
        let joins = *thin_here || (n + 2 == thin.len() && thin.last() == Some(&true));
        class += usize::from(!joins);
    }
    let names = dimension.domain.iter().zip(&thin).filter(|(_, thin)| **thin).map(|((key, _), _)| key.to_string());
    let (left, many) = (classes.last().map_or(1, |last| last + 1), thin.iter().filter(|t| **t).count());
    let named = names.take(NAMED).collect::<Vec<_>>().join(" ");
    let more = if many > NAMED { " …" } else { "" };
    let name = &dimension.name;
    let change = match shown {
        Some(_) => text(
            format!(
                "把 `{name}` 中多已隐去的类（{named}{more}）并入相邻的类，余 {left} 类；请主管部门在目录中声明这一分箱"
            ),
            format!(
                "merge the mostly withheld classes of `{name}` ({named}{more}) with their neighbours, which leaves {left}; ask the bureau to declare that binning"
            ),
        ),
        None => text(
            format!("`{name}` 没有更粗的分箱：请主管部门在目录中声明约 {left} 类的分箱"),
            format!("`{name}` has no coarser binning: ask the bureau to declare one of about {left} classes"),
        ),
    };
    Coarsening { dimension: at, classes: Some(classes), change }
}

fn mostly_withheld(table: &CandidateTable, dimension: usize, key: &Key) -> bool {
    let of_class = |c: &&Cell| is_inner(c) && c.key.get(dimension).is_some_and(|k| k.as_ref() == Some(key));
    let (mut all, mut withheld) = (0, 0);
    for cell in table.cells.iter().filter(of_class) {
        all += 1;
        withheld += usize::from(matches!(cell.value, CellValue::Withheld(_)));
    }
    all > 0 && 2 * withheld >= all
}

fn is_inner(cell: &Cell) -> bool {
    cell.key.iter().all(Option::is_some)
}

/// How many of the coarser cells hold no published cell, and what to say. A coarser cell
/// with a published one in it has as many units at least.
fn effect(
    table: &TableC,
    view: &GrantedView,
    shown: Option<&CandidateTable>,
    by: &Coarsening,
    fewer: usize,
) -> (usize, Text) {
    let Some(shown) = shown else {
        let each = view.roster_size / u64::try_from(fewer.max(1)).unwrap_or(u64::MAX);
        let said = text(
            format!("剩 {fewer} 格，若均匀分布每格约 {each} 个单位"),
            format!("{fewer} cells are left, about {each} units each if they were spread evenly"),
        );
        return (0, said);
    };
    let mut surely: BTreeMap<Vec<usize>, bool> = BTreeMap::new();
    for cell in shown.cells.iter().filter(|c| is_inner(c)) {
        let place = |(d, (key, dimension)): (usize, (&Option<Key>, &Dimension))| {
            let class = dimension.domain.iter().position(|(k, _)| Some(k) == key.as_ref())?;
            Some(match &by.classes {
                _ if d != by.dimension => class,
                None => 0,
                Some(classes) => *classes.get(class)?,
            })
        };
        let places = cell.key.iter().zip(&table.plan.dimensions).enumerate().map(place).collect::<Option<Vec<_>>>();
        let sure = matches!(cell.value, CellValue::Published(_));
        if let Some(places) = places {
            *surely.entry(places).or_default() |= sure;
        }
    }
    let (all, sure) = (surely.len(), surely.values().filter(|sure| **sure).count());
    let said = text(
        format!("剩 {all} 格，其中 {sure} 格含有现已公布的格，人数只会更多"),
        format!("{all} cells are left, {sure} of which hold a cell that is published now and can only have more units"),
    );
    (all - sure, said)
}

fn without_totals(table: &TableC, cells: usize) -> Suggestion {
    let with: usize = table.plan.dimensions.iter().map(|d| d.domain.len() + 1).product();
    suggestion(
        table,
        text("不发布合计：`totals = \"none\"`", "no totals: `totals = \"none\"`"),
        text(
            format!("少 {} 个合计格，不再需要为它们互补隐去", with - cells),
            format!("{} margins fewer, and no cell withheld to protect another through them", with - cells),
        ),
        bits(with, cells),
    )
}

/// Route A for the table's counts: nothing withheld, with its error at ρ.
fn by_noise(table: &TableC, rho: f64) -> Option<Suggestion> {
    let counts = |a| matches!(a, Aggregate::Units | Aggregate::Rows | Aggregate::Count);
    if rho <= 0.0 || !table.plan.measures.iter().any(|m| counts(m.aggregate)) {
        return None;
    }
    let noised = TableA {
        name: table.name.clone(),
        dimensions: table.plan.dimensions.clone(),
        measures: vec![MeasureA { name: "n".to_owned(), lo: 0, hi: 1, grid: 1 }],
        keys_per_unit: 1,
        rho,
        noise: Law::Gaussian,
        shares: Vec::new(),
        consistent: None,
    };
    let error = Mechanism::for_table(&noised).ok()?.error_95();
    Some(suggestion(
        table,
        text(
            "改走路线 A（程序逐单元作答，主机加噪）",
            "take route A: code that answers unit by unit, noise by the host",
        ),
        text(
            format!("一格也不隐去；ρ = {rho} 时每单位一格的计数 95 % 误差为 ±{error:.0}，每单位至多 m 格时为其 √m 倍"),
            format!(
                "no cell is withheld; at ρ = {rho} a count with one cell per unit is off by ±{error:.0} with 95 %, √m times that with at most m cells per unit"
            ),
        ),
        0.0,
    ))
}

impl Suggestion {
    /// The whole of it as one sentence.
    pub fn sentence(&self) -> Text {
        text(
            format!("{}：{}。{}", self.table, self.change.zh, self.effect.zh),
            format!("{}: {}. {}", self.table, self.change.en, self.effect.en),
        )
    }
}

#[cfg(test)]
mod tests {
    use sluice_domain::{
        catalogue::Key,
        contract::{Base, Dimension},
    };

    use super::onto;

    fn dimension(name: &str, classes: usize, base: Option<(&str, Vec<u32>)>) -> Dimension {
        let domain = (0..classes).map(|n| (Key::Text(format!("{name}{n}")), String::new())).collect();
        let base = base.map(|(name, of_part)| Base { name: name.to_owned(), of_part });
        Dimension { name: name.to_owned(), title: name.to_owned(), domain, base }
    }

    #[test]
    fn only_a_true_coarsening_of_the_same_column_is_one() {
        let fine = dimension("age5", 4, Some(("age", vec![0, 1, 2, 3])));
        let half = dimension("age10", 2, Some(("age", vec![0, 0, 1, 1])));
        let across = dimension("odd", 3, Some(("age", vec![0, 0, 1, 2])));
        assert_eq!(onto(&fine, &half), Some(vec![0, 0, 1, 1]));
        assert_eq!(onto(&half, &fine), None);
        assert_eq!(onto(&across, &half), Some(vec![0, 1, 1]));
        let cuts = dimension("cuts", 3, Some(("age", vec![0, 1, 1, 2])));
        assert_eq!(onto(&cuts, &half), None);
        let codes = dimension("site", 4, None);
        assert_eq!(onto(&codes, &dimension("coast", 2, Some(("site", vec![1, 0, 0, 1])))), Some(vec![1, 0, 0, 1]));
        assert_eq!(onto(&codes, &half), None);
    }
}
