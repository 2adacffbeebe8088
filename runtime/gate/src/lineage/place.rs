//! What a cell is by its contract, whatever the data: which declared codes of which
//! columns, under which row filter of the view.
//!
//! Two cells may hold the same rows and yet be different cells: that they are equal
//! then says that what lies between them is empty. Rows alone cannot tell that.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sluice_domain::contract::{Combination, Dimension, TableC};

use crate::route_c::impossible::{Bits, Impossible};

/// Most kinds of declared combinations that are told apart.
const KINDS_MAX: usize = 4_096;

/// A cell by its contract. A column that is not named is free.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// By column: how many finest parts it has, and which of them are inside, ascending.
    /// A view's row filter is a column of two parts.
    axes: BTreeMap<String, (u32, Vec<u32>)>,
}

impl Place {
    /// The cell at `key` of `table`, whose view has this row filter; none where the
    /// table's own filter leaves no code: such a cell is empty by contract.
    pub fn of(table: &TableC, filter: Option<&str>, key: &[Option<u32>]) -> Option<Self> {
        let filter = filter.map(|sql| (format!("where {sql}"), (2, vec![1])));
        let mut place = Self { axes: filter.into_iter().collect() };
        for (dimension, part) in table.plan.dimensions.iter().zip(key) {
            if let Some(at) = part {
                place.narrow(dimension, |of| u32::try_from(of) == Ok(*at));
            }
        }
        for (dimension, keys) in &table.plan.filter {
            place.narrow(dimension, |of| dimension.domain.get(of).is_some_and(|(code, _)| keys.contains(code)));
        }
        if place.axes.values().any(|(_, inside)| inside.is_empty()) {
            return None;
        }
        // A column that is whole is free.
        place.axes.retain(|_, (parts, inside)| u32::try_from(inside.len()) != Ok(*parts));
        Some(place)
    }

    fn narrow(&mut self, dimension: &Dimension, keeps: impl Fn(usize) -> bool) {
        let parts = u32::try_from(dimension.parts()).unwrap_or(u32::MAX);
        let kept = |part: &u32| dimension.place_of(*part as usize).is_some_and(&keeps);
        let (_, inside) =
            self.axes.entry(axis(dimension.base_name(), parts)).or_insert_with(|| (parts, (0..parts).collect()));
        inside.retain(kept);
    }

    /// The kinds of declared combinations, each by which of `places` hold it, but those
    /// that are `impossible`. None above the work limit.
    pub(super) fn kinds(places: &[&Self], impossible: &[Combination]) -> Option<BTreeSet<Vec<usize>>> {
        let mut axes: BTreeMap<&str, u32> = BTreeMap::new();
        for (name, (parts, _)) in places.iter().flat_map(|place| &place.axes) {
            axes.insert(name, *parts);
        }
        let known = Impossible::of(impossible, |column, parts| axes.contains_key(axis(column, parts).as_str()))?;
        let mut kinds = BTreeSet::from([((0..places.len()).collect::<Vec<usize>>(), known.all())]);
        for (name, parts) in axes {
            let column = name.rsplit_once('/').map_or(name, |(column, _)| column);
            let holds = |i: &usize, part: u32| {
                let axis = places.get(*i).and_then(|place| place.axes.get(name));
                axis.is_none_or(|(_, inside)| inside.binary_search(&part).is_ok())
            };
            let cut = |kind: &Vec<usize>, part| kind.iter().copied().filter(|i| holds(i, part)).collect();
            let mut next: BTreeSet<(Vec<usize>, Bits)> = BTreeSet::new();
            for (kind, of) in &kinds {
                next.extend((0..parts).map(|part| (cut(kind, part), of & known.with(column, parts, part))));
                if next.len() > KINDS_MAX {
                    return None;
                }
            }
            kinds = next;
        }
        Some(kinds.into_iter().filter(|(_, of)| !known.leave_nothing(*of)).map(|(kind, _)| kind).collect())
    }
}

/// A masked column has other parts than the column itself: another axis.
fn axis(column: &str, parts: u32) -> String {
    format!("{column}/{parts}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sluice_domain::contract::{Tabulation, Totals};

    use super::*;
    use crate::fixtures::{dimension, ints};

    fn place(axes: &[(&str, u32, &[u32])]) -> Place {
        let axes = axes.iter().map(|(name, parts, inside)| ((*name).to_owned(), (*parts, inside.to_vec())));
        Place { axes: axes.collect() }
    }

    #[test]
    fn a_filter_that_keeps_every_code_is_none() {
        let sex = dimension("sex", ints(2));
        let place = |kept: i64| {
            let plan = Tabulation {
                view: "v".parse().unwrap(),
                dimensions: vec![],
                measures: vec![],
                filter: vec![(sex.clone(), ints(kept))],
                derived: BTreeMap::new(),
                impossible: vec![],
            };
            Place::of(&TableC { name: "t".into(), sql: String::new(), plan, totals: Totals::None }, None, &[])
        };
        assert_eq!(place(2), Some(Place::default()));
        assert!(place(1).is_some_and(|one| one != Place::default()));
        assert_eq!(place(0), None);
    }

    #[test]
    fn combinations_are_told_apart_by_what_holds_them() {
        let (cell, whole) = (place(&[("sex", 2, &[1])]), place(&[]));
        let part = place(&[("age", 3, &[0, 1]), ("sex", 2, &[1])]);
        let kinds = Place::kinds(&[&cell, &whole, &part], &[]).unwrap();
        assert_eq!(kinds, BTreeSet::from([vec![0, 1, 2], vec![0, 1], vec![1]]));
        // Nobody of age 1 or 2 has sex 1: the cell's people are those of age 0.
        let never = json!({"age": {"parts": 3, "inside": [1, 2]}, "sex": {"parts": 2, "inside": [1]}});
        let never: Combination = serde_json::from_value(never).unwrap();
        let kinds = |places: &[&Place]| Place::kinds(places, std::slice::from_ref(&never)).unwrap();
        let young = place(&[("age/3", 3, &[0]), ("sex/2", 2, &[1])]);
        let cell = place(&[("sex/2", 2, &[1])]);
        assert_eq!(kinds(&[&cell, &young]), BTreeSet::from([vec![0, 1], vec![]]));
        assert_eq!(Place::kinds(&[&cell, &young], &[]).unwrap().len(), 3);
        // Where age is not asked for, somebody of sex 1 may be of age 0.
        assert_eq!(kinds(&[&cell]), BTreeSet::from([vec![0], vec![]]));
        let wide: Vec<Place> =
            (0..8).flat_map(|c| (0..4).map(move |i| place(&[(&format!("c{c}"), 4, &[i])]))).collect();
        assert_eq!(Place::kinds(&wide.iter().collect::<Vec<_>>(), &[]), None);
    }
}
