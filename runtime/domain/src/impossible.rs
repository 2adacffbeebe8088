//! 不可能组合: codes that no row has together, by public knowledge: nobody is insured
//! under plan 3 at another rate than the plan's. The catalogue declares them, ingest
//! refuses a row that has one, and so the gate may publish that nobody is there
//! (a *structural* zero; EU Handbook on Statistical Disclosure Control, ch. 4).
//!
//! That a combination is empty by chance is no public knowledge and is not said here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    catalogue::{CatalogueEntry, Key},
    contract::Dimension,
};

/// Most combinations of one dataset.
pub const COMBINATIONS_MAX: usize = 64;

/// A combination as the catalogue declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Impossible {
    /// Why there can be no such row, for people.
    pub basis: String,
    /// Per dimension or binning, some of its codes: no row has one of each.
    pub codes: BTreeMap<String, Vec<Key>>,
}

/// A combination by the finest parts of its columns: no row has one of each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Combination {
    sides: BTreeMap<String, Side>,
}

/// Some of the finest parts of a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Side {
    /// How many finest parts the column has.
    pub parts: u32,
    /// Which of them, ascending.
    pub inside: Vec<u32>,
}

impl Combination {
    /// Its columns, each with some of its parts.
    pub fn sides(&self) -> impl Iterator<Item = (&str, &Side)> {
        self.sides.iter().map(|(column, side)| (column.as_str(), side))
    }

    /// Which parts of the column it has; none for a column that it does not name, which
    /// is free.
    pub fn side(&self, column: &str) -> Option<&Side> {
        self.sides.get(column)
    }

    fn narrow(&mut self, dimension: &Dimension, codes: &[Key]) {
        let parts = u32::try_from(dimension.parts()).unwrap_or(u32::MAX);
        let side = self.sides.entry(dimension.base_name().to_owned());
        let side = side.or_insert_with(|| Side { parts, inside: (0..parts).collect() });
        let code = |part: u32| dimension.place_of(part as usize).and_then(|place| dimension.domain.get(place));
        side.inside.retain(|part| code(*part).is_some_and(|(code, _)| codes.contains(code)));
    }
}

impl CatalogueEntry {
    /// The impossible combinations, by finest parts.
    pub fn combinations(&self) -> Vec<Combination> {
        let combination = |impossible: &Impossible| {
            let mut combination = Combination::default();
            for (name, codes) in &impossible.codes {
                combination.narrow(&self.dimension(name)?, codes);
            }
            Some(combination)
        };
        // The check on reading has let no unknown name through.
        self.impossible.iter().filter_map(combination).collect()
    }

    /// Whether an impossible combination says something of the column.
    pub fn is_bound(&self, column: &str) -> bool {
        self.combinations().iter().any(|combination| combination.side(column).is_some())
    }

    /// What is wrong with the impossible combinations: the place, in Chinese and English.
    pub(crate) fn misdeclared(&self) -> Option<(String, &'static str, &'static str)> {
        if self.impossible.len() > COMBINATIONS_MAX {
            return Some(("impossible".into(), "不可能组合至多 64 个", "there are 64 impossible combinations at most"));
        }
        (1..).zip(&self.impossible).find_map(|(i, impossible)| {
            let place = format!("impossible {i}");
            if impossible.basis.trim().is_empty() {
                return Some((place, "不可能组合须写明依据", "an impossible combination says why it is one"));
            }
            if impossible.codes.is_empty() {
                return Some((place, "不可能组合须有至少一列", "an impossible combination has a column"));
            }
            impossible.codes.iter().find_map(|(name, codes)| {
                let declared = self.dimension(name).is_some_and(|dimension| {
                    let known = |code| dimension.domain.iter().any(|(known, _)| known == code);
                    !codes.is_empty() && codes.iter().all(known)
                });
                let zh = "不可能组合须用维度列或分箱的名称，及其代码表中的代码";
                let en = "an impossible combination names dimensions or binnings, and codes that they have";
                (!declared).then(|| (format!("{place}.{name}"), zh, en))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Digest, Timestamp,
        event::{Actor, Entry, Event},
        id::SnapshotId,
        rulepack::RulePack,
        state::State,
    };

    fn entry(impossible: &str) -> Result<CatalogueEntry, crate::Refusal> {
        let column = |name: &str, more: &str| {
            format!("[[column]]\nname = '{name}'\ntitle = 't'\ntype = 'int'\nlevel = 'L2'\n{more}\n")
        };
        CatalogueEntry::parse(&format!(
            "[dataset]\nid = 'd'\ntitle = 't'\nsystem = 's'\nformat = 'f'\nprovider = 'p'\nsharing = 'unconditional'\n\
             opening = 'unconditional'\nprovision = 'p'\ncycle = 'c'\nterm = 't'\nunit = 'who'\n{}{}{}{impossible}",
            column("who", "role = 'unit'"),
            column("plan", "role = 'dimension'\ncodes = [{value=1,label='a'},{value=2,label='b'},{value=3,label='c'}]"),
            column(
                "age",
                "[[column.binning]]\nname = 'band'\ntitle = 't'\nedges = [18, 65]\nlabels = ['young', 'middle', 'old']\n\
                 [[column.binning]]\nname = 'adult'\ntitle = 't'\nedges = [18]\nlabels = ['no', 'yes']"
            ),
        ))
    }

    fn declared(codes: &str) -> Result<CatalogueEntry, crate::Refusal> {
        entry(&format!("[[impossible]]\nbasis = 'b'\ncodes = {{ {codes} }}\n"))
    }

    #[test]
    fn a_combination_is_kept_by_finest_parts() {
        let entry = declared("plan = [3, 1], adult = ['yes'], band = ['young', 'middle']").unwrap();
        let [combination] = entry.combinations().try_into().unwrap();
        // Parts of age: below 18, to 65, from 65.
        let sides: Vec<_> = combination.sides().map(|(name, side)| (name, side.parts, side.inside.clone())).collect();
        assert_eq!(sides, [("age", 3, vec![1]), ("plan", 3, vec![0, 2])]);
        assert!(combination.side("other").is_none());
        assert!(entry.is_bound("age") && entry.is_bound("plan") && !entry.is_bound("who"));
        let toml = toml::to_string(&entry).unwrap();
        assert_eq!(CatalogueEntry::parse(&toml).unwrap(), entry);
    }

    /// Rows of a snapshot were never held to what a later entry says.
    #[test]
    fn it_holds_while_the_entry_is_in_force_that_rows_were_held_to() {
        let (plain, told) = (entry("").unwrap(), declared("plan = [3], band = ['old']").unwrap());
        let mut state = State::new(RulePack::shipped().unwrap());
        let mut record = |seq: u64, event: Event| {
            state.apply(&Entry { seq, at: Timestamp::UNIX_EPOCH, actor: Actor::System, event });
            let dataset = state.datasets().next().unwrap();
            dataset.snapshots.last().map(|snapshot| dataset.entry_for(snapshot).combinations().len())
        };
        let registered = |entry: &CatalogueEntry| Event::DatasetRegistered { entry: entry.clone() };
        let sealed = |n: u64| Event::SnapshotSealed {
            dataset: told.dataset.id.clone(),
            snapshot: SnapshotId::numbered(n),
            rows: 1,
            roster_size: 1,
            commitment: Digest::of(b""),
            sealed_file: Digest::of(b""),
        };
        assert_eq!(record(0, registered(&plain)), None);
        assert_eq!(record(1, sealed(1)), Some(0));
        // An ingest that was refused leaves its entry in force.
        assert_eq!(record(2, registered(&told)), Some(0));
        assert_eq!(record(3, sealed(3)), Some(1));
        assert_eq!(record(4, registered(&told)), Some(1), "the same entry");
        assert_eq!(record(5, registered(&plain)), Some(0));
    }

    #[test]
    fn what_it_names_must_be_declared() {
        let place = |entry: Result<CatalogueEntry, crate::Refusal>| entry.unwrap_err().place;
        assert_eq!(place(declared("plan = [4]")).as_deref(), Some("impossible 1.plan"));
        assert_eq!(place(declared("plan = []")).as_deref(), Some("impossible 1.plan"));
        assert_eq!(place(declared("age = [3]")).as_deref(), Some("impossible 1.age"));
        assert_eq!(place(declared("")).as_deref(), Some("impossible 1"));
        assert_eq!(
            place(entry("[[impossible]]\nbasis = ' '\ncodes = { plan = [1] }\n")).as_deref(),
            Some("impossible 1")
        );
        let many = "[[impossible]]\nbasis = 'b'\ncodes = { plan = [1] }\n".repeat(COMBINATIONS_MAX + 1);
        assert_eq!(place(entry(&many)).as_deref(), Some("impossible"));
    }
}
