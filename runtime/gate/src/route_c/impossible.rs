//! Which of the cells that a table or a set of tables asks for can hold nobody, by the
//! impossible combinations of the catalogue.
//!
//! A combination may name columns that no table asks for, and several may leave nothing of
//! a cell between them: of every part of those columns one of them says so. It looks at
//! declarations alone, never at rows.

use std::collections::BTreeMap;

use sluice_domain::{contract::Combination, impossible::COMBINATIONS_MAX};

/// Some of the combinations, as bits.
pub(crate) type Bits = u64;
const _: () = assert!(COMBINATIONS_MAX <= Bits::BITS as usize);

/// The impossible combinations beside the columns that are asked for.
pub(crate) struct Impossible<'a> {
    combinations: Vec<&'a Combination>,
    /// Per column that nobody asks for, which combinations its parts are in; parts that are
    /// alike in that count once.
    others: Vec<Vec<Bits>>,
}

impl<'a> Impossible<'a> {
    /// `combinations`, where `asks` tells whether a column with so many finest parts is
    /// asked for. None where there are more than a catalogue may have.
    pub(crate) fn of(
        combinations: impl IntoIterator<Item = &'a Combination>,
        asks: impl Fn(&str, u32) -> bool,
    ) -> Option<Self> {
        let mut known = Self { combinations: Vec::new(), others: Vec::new() };
        for combination in combinations {
            if !known.combinations.contains(&combination) {
                known.combinations.push(combination);
            }
        }
        let sides = known.combinations.iter().flat_map(|c| c.sides());
        let columns: BTreeMap<&str, u32> = sides.map(|(column, side)| (column, side.parts)).collect();
        let others = columns.into_iter().filter(|(column, parts)| !asks(column, *parts));
        let alike = |(column, parts)| {
            let mut alike: Vec<Bits> = (0..parts).map(|part| known.with(column, parts, part)).collect();
            alike.sort_unstable();
            alike.dedup();
            alike
        };
        known.others = others.map(alike).collect();
        (known.combinations.len() <= COMBINATIONS_MAX).then_some(known)
    }

    /// All of them.
    pub(crate) fn all(&self) -> Bits {
        self.combinations.iter().fold(0, |all, _| all << 1 | 1)
    }

    /// Those that hold this part of the column, which has so many; a column that one does
    /// not name is free in it.
    pub(crate) fn with(&self, column: &str, parts: u32, part: u32) -> Bits {
        let holds = |combination: &Combination| {
            let side = combination.side(column).filter(|side| side.parts == parts);
            side.is_none_or(|side| side.inside.binary_search(&part).is_ok())
        };
        let bits = self.combinations.iter().map(|c| Bits::from(holds(c)));
        bits.fold(0, |all, bit| all << 1 | bit)
    }

    /// Whether nobody can be where the asked columns are within `these`.
    pub(crate) fn leave_nothing(&self, these: Bits) -> bool {
        nothing_left(these, &self.others)
    }
}

fn nothing_left(these: Bits, others: &[Vec<Bits>]) -> bool {
    match others.split_first() {
        _ if these == 0 => false,
        None => true,
        Some((column, rest)) => column.iter().all(|with| nothing_left(these & with, rest)),
    }
}
