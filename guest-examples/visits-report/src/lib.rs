//! A text and a chart of the cleared `visits-by-plan` table, for the outer room.

use sluice_guest::{Artefact, Chart, Error, Report};

/// Composes the report: visits per person-year for each plan, over all years.
///
/// # Errors
/// When the table has another shape.
pub fn compose(report: &Report) -> Result<Vec<Artefact>, Error> {
    let table = report.table("visits-by-plan")?;
    let keys = table.ints("plan")?.into_iter().zip(table.ints("year")?);
    let numbers = table.floats("person_years")?.into_iter().zip(table.floats("visits")?);
    let (mut labels, mut rates) = (Vec::new(), Vec::new());
    let mut all = None;
    for ((plan, year), (years, visits)) in keys.zip(numbers) {
        let rate = years.zip(visits).filter(|(years, _)| *years > 0.0).map(|(years, visits)| visits / years);
        match (plan, year) {
            (Some(plan), None) => {
                labels.push(format!("方案 {plan}"));
                rates.push(rate);
            }
            (None, None) => all = rate,
            _ => {}
        }
    }
    let known = rates.iter().flatten().count();
    let words = |rate: Option<f64>| rate.map_or_else(|| "隐去 withheld".to_owned(), |r| format!("{r:.2}"));
    let title = report.param("title").unwrap_or("每人年门诊次数");
    let text = format!(
        "{title}\n\n全部 all: {}\n方案 plans: {known} / {}\n最高 highest: {}\n",
        words(all),
        rates.len(),
        words(rates.iter().flatten().copied().reduce(f64::max)),
    );
    let chart = Chart::bars(title, labels).with("每人年次数 visits per person-year", rates);
    Ok(vec![Artefact::text("summary.txt", text), Artefact::chart("visits-per-year.chart.json", &chart)])
}

sluice_guest::outer!(compose = compose);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::allow_attributes, reason = "tests may fail loudly")]
mod tests {
    use sluice_guest::{Report, Table};

    use super::compose;

    #[test]
    fn a_table_of_another_shape_is_an_error() {
        let report = Report::of(&[], vec![("visits-by-plan", Table::of_floats(&[("visits", &[1.0])]))]);
        assert!(compose(&report).is_err());
        assert!(compose(&Report::of(&[], vec![])).is_err());
    }
}
