//! One job of a case as a judged table: its keys, the rows behind each, and the
//! primary verdicts.

use std::collections::{BTreeMap, BTreeSet};

use roaring::RoaringBitmap;
use sluice_domain::{
    Refusal,
    candidate::Reason,
    contract::{Aggregate, Grid, MeasureC, Quantile, Rank, TableC, Tabulation, Totals},
};
use sluice_rows::cells::{CellKey, CellStats, Cells, MeasureStats};

use super::{
    case::{CaseRules, JobFile, MeasureFile, Missing, TotalsFile, bad, word},
    source::{Source, view},
};
use crate::{
    refusals,
    route_c::{
        JudgedTable,
        primary::{JudgedCell, number},
    },
};

/// Most cells of one job, margins included.
pub(super) const CELLS_MAX: usize = 20_000;
const DIMENSIONS_MAX: usize = 12;

/// A job that is not computed at all: it fails, and this is why.
pub(super) struct JobRefused(pub(super) String);

/// A job, tabulated and judged cell by cell.
pub(super) struct JobTable {
    pub(super) plan: TableC,
    pub(super) judged: JudgedTable,
    /// The rows of each cell; what they come to is in `judged`.
    pub(super) rows: Cells,
}

/// A measure with its column's number.
struct Measure {
    aggregate: Aggregate,
    column: Option<usize>,
}

impl JobTable {
    /// Tabulates and judges; a refusal of the job is an `Ok(Err(…))`.
    ///
    /// # Errors
    /// `case.form` for what the case file says wrongly.
    pub(super) fn of(
        job: &JobFile,
        place: &str,
        source: &Source,
        case: &CaseRules,
    ) -> Result<Result<Self, JobRefused>, Refusal> {
        let measures = match measures(job, place, source)? {
            Ok(measures) => measures,
            Err(refused) => return Ok(Err(refused)),
        };
        let Some(groups) = groups(job, place, source)? else {
            return Ok(Err(JobRefused("outside the declared domain".to_owned())));
        };
        let plan = plan(job, &measures, &groups.domains, source)?;
        let judge = |(key, rows): &(CellKey, RoaringBitmap)| judge(key.clone(), rows, &measures, source, case);
        let judged = JudgedTable { cells: groups.cells.iter().map(judge).collect(), disjoint: false };
        Ok(Ok(Self { plan, judged, rows: Cells::new(Vec::new(), groups.cells.into_iter().collect()) }))
    }
}

fn judge(key: CellKey, rows: &RoaringBitmap, measures: &[Measure], source: &Source, case: &CaseRules) -> JudgedCell {
    let (mut reasons, mut numbers) = (BTreeSet::new(), Vec::new());
    for measure in measures {
        let (cell, stats) = source.data().stats_for(measure.aggregate, rows, measure.column, case.dominance_n);
        reasons.extend(if rows.is_empty() { case.rules.judge_empty() } else { measure.judge(&cell, &stats, case) });
        numbers.push(number(measure.aggregate, &cell, &stats));
    }
    JudgedCell {
        key,
        units: source.data().units(rows),
        reasons,
        numbers,
        known: false,
        looked_at: false,
        impossible: false,
    }
}

/// Whether a reason only asks for a person.
pub(super) fn for_a_person(reason: Reason) -> bool {
    matches!(reason, Reason::Negative | Reason::Missing)
}

impl Measure {
    fn judge(&self, cell: &CellStats, stats: &MeasureStats, case: &CaseRules) -> BTreeSet<Reason> {
        let mut reasons = case.rules.judge(self.aggregate, cell, stats);
        let added_up = !matches!(self.aggregate, Aggregate::Rows | Aggregate::Count);
        if added_up && case.missing == Missing::Review && stats.count < cell.rows {
            reasons.insert(Reason::Missing);
        }
        reasons
    }
}

fn measures(job: &JobFile, place: &str, source: &Source) -> Result<Result<Vec<Measure>, JobRefused>, Refusal> {
    let mut measures = Vec::new();
    for (i, file) in job.measures.iter().enumerate() {
        let MeasureFile { agg, column, q, grid } = file;
        let place = format!("{place}/measures/{i}");
        let number = column.as_deref().and_then(|name| source.column(name));
        let named = match agg.as_str() {
            "count" if number.is_none() => Ok(Aggregate::Rows),
            "count" => Ok(Aggregate::Count),
            "sum" => Ok(Aggregate::Sum),
            "mean" => Ok(Aggregate::Mean),
            "variance" => Ok(Aggregate::VarSamp),
            "std" => Ok(Aggregate::StddevSamp),
            "median" => quantile(Some(0.5), *grid, &place)?,
            "quantile" => quantile(*q, *grid, &place)?,
            "min" | "max" => Err(format!("{agg} is the value of one unit")),
            _ => Err(format!("{agg} is not an aggregate that may be tabulated")),
        };
        let aggregate = match named {
            Ok(aggregate) if number.is_none() && aggregate != Aggregate::Rows => {
                return Err(bad(&place, &format!("`{agg}` needs a `column`")));
            }
            Ok(aggregate) => aggregate,
            Err(why) => return Ok(Err(JobRefused(why))),
        };
        measures.push(Measure { aggregate, column: number });
    }
    Ok(Ok(measures))
}

/// A quantile; without a grid, or at either end, the job is refused, which is `Ok(Err(…))`.
fn quantile(q: Option<f64>, grid: Option<f64>, place: &str) -> Result<Result<Aggregate, String>, Refusal> {
    let wrong = || bad(place, "a quantile has `q` between 0 and 1 and a positive `grid`");
    // A case may write a third; ten-thousandths are near enough for its verdict.
    let near = |q: f64| Rank::of((q * 10_000.0).round() / 10_000.0);
    if q.is_some_and(|q| [0.0, 1.0].contains(&q)) {
        return Ok(Err("quantile at 0 or 1 is the value of one unit".to_owned()));
    }
    let rank = q.filter(|q| *q > 0.0 && *q < 1.0).and_then(near).ok_or_else(wrong)?;
    let Some(grid) = grid else { return Ok(Err("quantile without a grid to round to".to_owned())) };
    let grid = Grid::try_from(grid).map_err(|_| wrong())?;
    Ok(Ok(Aggregate::Quantile(Quantile { rank, grid })))
}

fn plan(job: &JobFile, measures: &[Measure], domains: &[Vec<String>], source: &Source) -> Result<TableC, Refusal> {
    let view = view().ok_or_else(|| refusals::host_fault("case", "内部名称有误", "a name is wrong"))?;
    let measures = measures.iter().zip(&job.measures).map(|(measure, file)| MeasureC {
        name: file.agg.clone(),
        aggregate: measure.aggregate,
        column: file.column.clone(),
    });
    let plan = Tabulation {
        view,
        dimensions: job.dimensions.iter().zip(domains).map(|(name, codes)| source.dimension(name, codes)).collect(),
        measures: measures.collect(),
        filter: source.filter(job),
        derived: std::collections::BTreeMap::new(),
        impossible: Vec::new(),
    };
    let totals = match job.totals {
        TotalsFile::True => Totals::True,
        // Redacted margins are never computed: there is nothing to judge or to subtract.
        TotalsFile::None | TotalsFile::Redacted => Totals::None,
    };
    Ok(TableC { name: String::new(), sql: String::new(), plan, totals })
}

/// The keys of a job in canonical order, and the rows behind each.
struct Groups {
    domains: Vec<Vec<String>>,
    cells: Vec<(CellKey, RoaringBitmap)>,
}

/// `None` when a row lies outside a declared domain.
fn groups(job: &JobFile, place: &str, source: &Source) -> Result<Option<Groups>, Refusal> {
    let names = &job.dimensions;
    if names.len() > DIMENSIONS_MAX || names.iter().collect::<BTreeSet<_>>().len() < names.len() {
        return Err(bad(&format!("{place}/dimensions"), "at most 12 different dimensions"));
    }
    let declared = declared(job, place)?;
    let rows = filtered(job, place, source)?;
    let mut domains = Vec::new();
    for name in names {
        let codes = source.codes(name);
        // A blank is missing: such a row is in no cell.
        let code = |row: &u32| codes.get(*row as usize).filter(|code| !code.is_empty());
        domains.push(match declared.get(name.as_str()) {
            Some(domain) => {
                if rows.iter().any(|row| code(&row).is_some_and(|c| !domain.contains(c))) {
                    return Ok(None);
                }
                domain.clone()
            }
            None => {
                let observed: BTreeSet<&String> = rows.iter().filter_map(|row| code(&row)).collect();
                observed.into_iter().cloned().collect::<Vec<_>>()
            }
        });
    }
    let numbers: Vec<BTreeMap<&str, u32>> =
        domains.iter().map(|d| d.iter().map(String::as_str).zip(0u32..).collect()).collect();
    let mut cells: BTreeMap<CellKey, RoaringBitmap> = BTreeMap::new();
    for row in &rows {
        let part = |(name, numbers): (&String, &BTreeMap<&str, u32>)| {
            numbers.get(source.codes(name).get(row as usize)?.as_str()).copied().map(Some)
        };
        if let Some(key) = names.iter().zip(&numbers).map(part).collect::<Option<CellKey>>() {
            cells.entry(key).or_default().insert(row);
        }
    }
    // Every declared code stands beside every observed key of the other dimensions.
    let mut keys: BTreeSet<CellKey> = cells.keys().cloned().collect();
    if names.iter().all(|name| declared.contains_key(name.as_str())) {
        keys.insert(vec![Some(0); names.len()]);
    }
    for (axis, (name, domain)) in names.iter().zip(&domains).enumerate() {
        if declared.contains_key(name.as_str()) {
            keys = keys.iter().flat_map(|key| (0u32..).take(domain.len()).map(move |i| with(key, axis, i))).collect();
        }
        if keys.len() > CELLS_MAX {
            return Err(refusals::too_many_cells(place, CELLS_MAX));
        }
    }
    let inner: Vec<(CellKey, RoaringBitmap)> = keys
        .into_iter()
        .map(|key| {
            let rows = cells.remove(&key).unwrap_or_default();
            (key, rows)
        })
        .collect();
    let mut all = inner.clone();
    if job.totals == TotalsFile::True {
        let mut patterns: Vec<u32> = (1..1u32 << names.len()).collect();
        patterns.sort_by_key(|pattern| pattern.count_ones());
        for pattern in patterns {
            let mut margins: BTreeMap<CellKey, RoaringBitmap> = BTreeMap::new();
            for (key, rows) in &inner {
                let margin = key.iter().enumerate().map(|(i, part)| part.filter(|_| pattern >> i & 1 == 0)).collect();
                *margins.entry(margin).or_default() |= rows;
            }
            all.extend(margins);
            if all.len() > CELLS_MAX {
                return Err(refusals::too_many_cells(place, CELLS_MAX));
            }
        }
    }
    Ok(Some(Groups { domains, cells: all }))
}

fn with(key: &CellKey, axis: usize, code: u32) -> CellKey {
    key.iter().enumerate().map(|(i, part)| if i == axis { Some(code) } else { *part }).collect()
}

fn declared<'a>(job: &'a JobFile, place: &str) -> Result<BTreeMap<&'a str, Vec<String>>, Refusal> {
    let mut declared = BTreeMap::new();
    for (name, values) in job.domain.iter().flatten() {
        let place = format!("{place}/domain/{name}");
        if !job.dimensions.contains(name) {
            return Err(bad(&place, "a domain is declared for something that is no dimension"));
        }
        let values = values.iter().map(|v| word(v, &place)).collect::<Result<Vec<_>, _>>()?;
        if values.is_empty() || values.iter().collect::<BTreeSet<_>>().len() < values.len() {
            return Err(bad(&place, "a domain lists different values, at least one"));
        }
        declared.insert(name.as_str(), values);
    }
    Ok(declared)
}

pub(super) fn filtered(job: &JobFile, place: &str, source: &Source) -> Result<RoaringBitmap, Refusal> {
    let mut rows: RoaringBitmap = (0u32..).take(source.data().rows()).collect();
    for (name, value) in job.filter.iter().flatten() {
        let place = format!("{place}/filter/{name}");
        let wanted = match value {
            serde_json::Value::Array(values) => values.iter().map(|v| word(v, &place)).collect::<Result<_, _>>()?,
            one => BTreeSet::from([word(one, &place)?]),
        };
        let codes = source.codes(name);
        rows = rows.iter().filter(|row| codes.get(*row as usize).is_some_and(|c| wanted.contains(c))).collect();
    }
    Ok(rows)
}
