//! How long each unit was followed and what ended it: one observation a unit, counted by
//! group and fate, over rows that come sorted by unit. Nothing of a row is kept but its
//! number.
//!
//! A unit's observation is the row with the smallest time of those with the event, or, of a
//! unit without one, the row with the largest; of several such the first. A row whose time
//! is negative says nothing.

use std::{collections::BTreeMap, fmt};

use roaring::RoaringBitmap;

use crate::cells::{CellKey, CellStats, Cells, MeasureStats};

/// Units under way and those counted.
pub struct Followed {
    /// Ascending.
    steps: Vec<f64>,
    open: Option<(u64, Observation)>,
    cells: BTreeMap<CellKey, RoaringBitmap>,
}

/// One row of a unit.
#[derive(Clone)]
pub struct Observation {
    /// Its hidden number.
    pub row: u32,
    /// The places of its group's codes.
    pub group: Vec<u32>,
    /// How long the unit was followed.
    pub time: f64,
    /// Whether the event ended it.
    pub event: Ended,
}

/// What ended an observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Something else: the unit was lost, or the study was over.
    Otherwise,
    /// The event.
    WithEvent,
}

impl Followed {
    /// Nobody seen yet; the fates are told apart at these steps, ascending.
    pub fn new(steps: &[f64]) -> Self {
        Self { steps: steps.to_vec(), open: None, cells: BTreeMap::new() }
    }

    /// A row of `unit`; a unit's rows come together, in stored order.
    pub fn add(&mut self, unit: u64, seen: Observation) {
        if self.open.as_ref().is_some_and(|(open, _)| *open != unit) {
            self.close();
        }
        let decides = |old: &Observation| match (old.event, seen.event) {
            (Ended::Otherwise, Ended::WithEvent) => true,
            (Ended::WithEvent, Ended::Otherwise) => false,
            (Ended::WithEvent, Ended::WithEvent) => seen.time < old.time,
            (Ended::Otherwise, Ended::Otherwise) => seen.time > old.time,
        };
        if seen.time >= 0.0 && self.open.as_ref().is_none_or(|(_, old)| decides(old)) {
            self.open = Some((unit, seen));
        }
    }

    fn close(&mut self) {
        let Some((_, Observation { row, group, time, event })) = self.open.take() else { return };
        let fate = match self.steps.iter().position(|step| *step >= time) {
            Some(step) => 2 * step + usize::from(event == Ended::Otherwise),
            None => 2 * self.steps.len(),
        };
        let fate = u32::try_from(fate).unwrap_or(u32::MAX);
        self.cells.entry(group.into_iter().chain([fate]).map(Some).collect()).or_default().insert(row);
    }

    /// Counts of units by group and fate: with the event until the first step, without it
    /// until then, the same for the others, and after the last. A unit stands for itself
    /// by the row that decided.
    pub fn finish(mut self) -> Cells {
        self.close();
        let stats = |rows: &RoaringBitmap| CellStats {
            rows: rows.len(),
            units: rows.len(),
            measures: vec![MeasureStats::default()],
        };
        let cells = self.cells.iter().map(|(key, rows)| (key.clone(), stats(rows))).collect();
        Cells::new(cells, self.cells.into_iter().collect())
    }
}

impl fmt::Debug for Followed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Followed(withheld)")
    }
}

impl fmt::Debug for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observation(withheld)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_seen_once_by_its_first_event_or_its_longest_time() {
        let mut followed = Followed::new(&[1.0, 2.0]);
        let rows = [
            (1, 2.5, 0), // the event decides
            (1, 1.5, 1),
            (1, 0.5, 1), // the first one
            (1, 0.5, 1),
            (2, 2.0, 0), // a step belongs to its interval
            (2, 1.0, 0),
            (3, 2.5, 1),  // after the last step
            (4, -1.0, 1), // says nothing
            (5, 0.0, 1),
        ];
        for (at, (unit, time, event)) in (0u32..).zip(rows) {
            let event = if event == 1 { Ended::WithEvent } else { Ended::Otherwise };
            followed.add(unit, Observation { row: at, group: vec![7], time, event });
        }
        let cells = followed.finish();
        let found: Vec<_> = cells.iter().map(|(key, s)| (key[1].unwrap(), s.units, cells.rows(key).min())).collect();
        assert_eq!(found, [(0, 2, Some(2)), (3, 1, Some(4)), (4, 1, Some(6))]);
    }
}
