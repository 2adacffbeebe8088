//! Survival curves of route C: names to a plan, and one pass over the view's rows.
//!
//! A row without one of its values is left out, and so is one whose event is below 0. What the counts may say is the gate's to decide.

use datafusion::{
    arrow::array::{ArrayRef, AsArray, RecordBatch},
    arrow::datatypes::UInt32Type,
    logical_expr::{ident, utils::conjunction},
};
use futures::StreamExt;
use sluice_domain::{
    Refusal,
    catalogue::Key,
    contract::{Dimension, Event, EventFile, Survival, SurvivalFile},
    state::GrantedView,
    text,
};
use sluice_rows::{
    ROW_COLUMN,
    cells::Cells,
    follow::{Ended, Followed, Observation},
};

use crate::{
    ViewError, ViewReader,
    axis::Axis,
    measure::listed,
    reader::literal,
    refuse::refuse,
    schema::{ViewColumn, ViewRole, view_schema},
    tabulate::{numbers, said, slots},
    units::runs,
};

/// Most steps of a curve.
const STEPS_MAX: usize = 64;

/// Plans a survival curve from its names. Pure: reads no data.
///
/// # Errors
/// `survival.*` with the name that does not fit.
pub fn plan_survival(views: &[GrantedView], name: &str, file: &SurvivalFile) -> Result<Survival, Refusal> {
    let view = views.iter().find(|v| v.id == file.view).ok_or_else(|| {
        let known: Vec<_> = views.iter().map(|v| v.id.as_str()).collect();
        refuse(
            "survival.view",
            file.view.as_str(),
            text("协议没有授权此视图", "the agreement grants no such view"),
            text(format!("可用的视图：{}", known.join(", ")), format!("the views are: {}", known.join(", "))),
        )
    })?;
    let columns = view_schema(view)?;
    let role = |name: &str| columns.iter().find(|c| c.name == name).map(|c| &c.role);
    let dimension = |name: &String| match role(name) {
        Some(ViewRole::Dimension(dimension)) => Ok(dimension.clone()),
        _ => Err(misfit(&columns, name)),
    };
    let coded = |(name, keys): (&String, &Vec<Key>)| {
        let dimension = dimension(name)?;
        let declared = keys.iter().all(|key| dimension.domain.iter().any(|(code, _)| code == key));
        if keys.is_empty() || !declared { Err(misfit(&columns, name)) } else { Ok((dimension, keys.clone())) }
    };
    let counts = |d: &Dimension| d.base.is_none() && d.domain.iter().all(|(key, _)| matches!(key, Key::Int(_)));
    match role(&file.time) {
        Some(ViewRole::Measure) => {}
        Some(ViewRole::Dimension(dimension)) if counts(dimension) => {}
        _ => return Err(misfit(&columns, &file.time)),
    }
    let event = match &file.event {
        EventFile::Measure(name) if role(name) == Some(&ViewRole::Measure) && *name != file.time => {
            Event::Measure(name.clone())
        }
        EventFile::Measure(name) => return Err(misfit(&columns, name)),
        EventFile::Codes(codes) => match codes.iter().collect::<Vec<_>>().as_slice() {
            [one] => {
                let (dimension, keys) = coded(*one)?;
                Event::Codes(dimension, keys)
            }
            _ => return Err(misfit(&columns, "event")),
        },
    };
    let by = file.by.iter().map(dimension).collect::<Result<Vec<_>, Refusal>>()?;
    let mut bases: Vec<&str> = by.iter().map(Dimension::base_name).collect();
    if let Event::Codes(dimension, _) = &event {
        bases.push(dimension.base_name());
    }
    bases.push(&file.time);
    bases.sort_unstable();
    if let Some([twice, _]) = bases.array_windows().find(|[a, b]| a == b) {
        return Err(misfit(&columns, twice));
    }
    tells_alone(view, &file.time, &event)?;
    let rising = file.steps.array_windows().all(|[a, b]| a < b) && file.steps.iter().all(|s| s.is_finite() && *s > 0.0);
    let filter = file.filter.iter().map(coded).collect::<Result<Vec<_>, Refusal>>()?;
    let (time, steps) = (file.time.clone(), file.steps.clone());
    let plan = Survival {
        name: name.to_owned(),
        view: view.id.clone(),
        time,
        event,
        by,
        grid: steps.clone(),
        steps,
        filter,
        impossible: view.entry.combinations(),
    };
    if !rising || !(1..=STEPS_MAX).contains(&plan.steps.len()) || slots(&plan.dimensions()).is_none() {
        return Err(refuse(
            "survival.steps",
            "steps",
            text(
                format!("时间步须为 1 至 {STEPS_MAX} 个大于零、由小到大的数，且分组不能过多"),
                format!("steps are 1 to {STEPS_MAX} numbers above zero, ascending, and there are not too many groups"),
            ),
            text("例如 steps = [1, 2, 3]", "for example steps = [1, 2, 3]"),
        ));
    }
    Ok(plan)
}

/// How a unit ends is no column that the gate knows combinations of: nothing may be
/// public of its time and event beside what the curve says.
fn tells_alone(view: &GrantedView, time: &str, event: &Event) -> Result<(), Refusal> {
    let event = match event {
        Event::Measure(name) => name,
        Event::Codes(dimension, _) => dimension.base_name(),
    };
    let Some(bound) = [time, event].into_iter().find(|name| view.entry.is_bound(name)) else { return Ok(()) };
    Err(refuse(
        "survival.impossible",
        bound,
        text(
            "目录为此列声明了不可能组合，它不能作生存曲线的时间或事件",
            "the catalogue declares impossible combinations of the column, so it is no time or event of a survival curve",
        ),
        text("改用其他列", "use another column"),
    ))
}

fn misfit(columns: &[ViewColumn], name: &str) -> Refusal {
    let measures = listed(columns, |c| c.role == ViewRole::Measure);
    let dimensions = listed(columns, |c| c.dimension().is_some());
    refuse(
        "survival.column",
        name,
        text(
            "生存曲线的时间须是声明的度量或代码为整数的维度，事件须是另一个度量（大于 0 即发生）或某维度的代码，分组须是其余维度，各至多一次，筛选须用声明的代码",
            "the time of a survival curve is a declared measure or a dimension whose codes are whole numbers, its event another measure (above 0) or codes of a dimension, its groups are other dimensions, each once, and a filter has declared codes",
        ),
        text(
            format!("可用的度量：{measures}；可用的维度：{dimensions}"),
            format!("the measures are: {measures}; the dimensions are: {dimensions}"),
        ),
    )
}

impl ViewReader {
    /// Counts units by group and fate, in one pass over the view.
    ///
    /// # Errors
    /// Any [`ViewError`].
    pub async fn follow(&self, plan: &Survival) -> Result<Cells, ViewError> {
        let axes: Vec<Axis> = plan.by.iter().map(Axis::new).collect();
        let groups = plan.by.iter().map(|d| d.name.as_str());
        let outputs = groups.chain([plan.time.as_str(), plan.event.column(), ROW_COLUMN]);
        let filter = conjunction(plan.filter.iter().map(|(dimension, keys)| {
            ident(dimension.name.as_str()).in_list(keys.iter().map(literal).collect(), false)
        }));
        let mut rows = self.ask(&plan.view, outputs.map(ident).collect(), filter)?.run().await?;
        let (mut followed, mut last) = (Followed::new(&plan.steps), None);
        while let Some(batch) = rows.next().await {
            let batch: RecordBatch = batch.map_err(|_| ViewError::Read)?;
            let runs = runs(&batch, last)?;
            last = runs.last().map(|(unit, ..)| *unit).or(last);
            let (groups, rest) = batch.columns().split_at(axes.len());
            let [time, event, row, ..] = rest else { return Err(ViewError::Read) };
            let groups = axes.iter().zip(groups).map(|(axis, column)| axis.places(column));
            let groups = groups.collect::<Result<Vec<_>, _>>()?;
            let (times, events) = (numbers(time)?, ended(&plan.event, event)?);
            let row = row.as_primitive_opt::<UInt32Type>().ok_or(ViewError::Read)?.values();
            for (unit, from, len) in runs {
                for at in from..from + len {
                    let found = times.get(at).and_then(said).zip(events.get(at).copied().flatten());
                    let (Some((time, event)), Some(row)) = (found, row.get(at)) else { continue };
                    let group = groups
                        .iter()
                        .map(|places| places.get(at).copied())
                        .collect::<Option<Vec<u32>>>()
                        .ok_or(ViewError::Domain)?;
                    followed.add(unit, Observation { row: *row, group, time, event });
                }
            }
        }
        Ok(followed.finish())
    }
}

/// Of each row, what ended it; none where that is not said.
fn ended(event: &Event, column: &ArrayRef) -> Result<Vec<Option<Ended>>, ViewError> {
    let of = |is: bool| if is { Ended::WithEvent } else { Ended::Otherwise };
    match event {
        Event::Measure(_) => {
            let ended = |value: &f64| said(value).filter(|v| *v >= 0.0).map(|v| of(v > 0.0));
            Ok(numbers(column)?.iter().map(ended).collect())
        }
        Event::Codes(dimension, codes) => {
            let is: Vec<bool> = dimension.domain.iter().map(|(key, _)| codes.contains(key)).collect();
            let places = Axis::new(dimension).places(column)?;
            Ok(places.into_iter().map(|place| is.get(place as usize).map(|is| of(*is))).collect())
        }
    }
}
