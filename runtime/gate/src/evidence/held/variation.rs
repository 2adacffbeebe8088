//! Who is in a replay. All of it is drawn under the secret seed of the run.

use sluice_domain::{Digest, evidence::EvidenceRules};

use super::people::People;
use crate::evidence::canaries::Draws;

/// Units that are looked at for one with as many rows.
const DONORS_MAX: usize = 4096;

/// Somebody who does not exist: by input and column, the row that each value is from.
pub(super) struct Drawn(Vec<Vec<Vec<u32>>>);

/// Who stands in one place of a replay.
pub(super) enum Person<'a> {
    Unit(usize),
    Drawn(&'a Drawn),
}

/// One replay.
pub(super) enum Variation {
    /// Everybody but one.
    Without(usize),
    /// One has the rows of another unit, so that nothing is counted otherwise.
    Replaced(usize, usize),
    /// One has the rows of somebody who does not exist.
    Planted(usize, Drawn),
    /// A random half, and somebody who does not exist after one of the others.
    Shadow { members: Vec<bool>, after: usize, planted: Drawn },
}

impl Drawn {
    pub(super) fn new(rows: Vec<Vec<Vec<u32>>>) -> Self {
        Self(rows)
    }

    /// By column, the rows of one input that its values are from.
    pub(super) fn of(&self, input: usize) -> &[Vec<u32>] {
        self.0.get(input).map(Vec::as_slice).unwrap_or_default()
    }

    /// Rows in each input, `most` at most.
    pub(super) fn sizes(&self, most: usize) -> Vec<usize> {
        self.0.iter().map(|columns| columns.first().map_or(0, Vec::len).min(most)).collect()
    }
}

impl Variation {
    /// Who is there, in canonical order, of so many units.
    pub(super) fn people(&self, units: usize) -> impl Iterator<Item = Person<'_>> {
        (0..units).flat_map(move |unit| {
            let real = |who| Some(Person::Unit(who));
            let (one, other) = match self {
                Self::Without(out) => (real(unit).filter(|_| unit != *out), None),
                Self::Replaced(out, donor) => (real(if unit == *out { *donor } else { unit }), None),
                Self::Planted(out, drawn) if unit == *out => (Some(Person::Drawn(drawn)), None),
                Self::Planted(..) => (real(unit), None),
                Self::Shadow { members, after, planted } => {
                    let member = members.get(unit).copied().unwrap_or(false);
                    (real(unit).filter(|_| member), (unit == *after).then_some(Person::Drawn(planted)))
                }
            };
            [one, other].into_iter().flatten()
        })
    }

    /// Who was planted.
    pub(super) fn planted(&self) -> Option<&Drawn> {
        match self {
            Self::Without(_) | Self::Replaced(..) => None,
            Self::Planted(_, drawn) | Self::Shadow { planted: drawn, .. } => Some(drawn),
        }
    }

    /// Who is in a shadow.
    pub(super) fn members(&self) -> Option<&[bool]> {
        if let Self::Shadow { members, .. } = self { Some(members) } else { None }
    }
}

/// The replays over `people`: some units are left out one by one, and the same ones are
/// replaced, in turns by another unit and by somebody who does not exist; shadows come in
/// pairs of a half and the other half, so that each unit is in half of them.
pub(super) fn plan(people: &People, rules: &EvidenceRules, seed: &Digest) -> Vec<Variation> {
    let units = people.len();
    let mut draws = draws(seed, b"replays");
    let chosen = sample(units, rules.held_replays as usize, &mut draws);
    let mut all: Vec<Variation> = chosen.iter().map(|unit| Variation::Without(*unit)).collect();
    for (i, unit) in chosen.into_iter().enumerate() {
        let donor = (i % 2 == 0).then(|| donor(people, unit, &mut draws)).flatten();
        all.push(match donor {
            Some(donor) => Variation::Replaced(unit, donor),
            None => Variation::Planted(unit, people.draw(&people.sizes(unit), |n| draws.below(n))),
        });
    }
    for _ in 0..if units < 2 { 0 } else { rules.held_shadows / 2 } {
        let half: Vec<bool> = (0..units).map(|_| draws.below(2) == 0).collect();
        let rest = half.iter().map(|member| !member).collect();
        for members in [half, rest] {
            let after = draws.below(units);
            let planted = people.draw(&people.sizes(draws.below(units)), |n| draws.below(n));
            all.push(Variation::Shadow { members, after, planted });
        }
    }
    all
}

/// Another unit with as many rows in each input, so that no count tells of the change.
fn donor(people: &People, unit: usize, draws: &mut Draws) -> Option<usize> {
    let (units, sizes) = (people.len(), people.sizes(unit));
    let from = draws.below(units);
    let others = (0..units.min(DONORS_MAX)).map(|i| (from + i) % units);
    others.into_iter().find(|other| *other != unit && people.sizes(*other) == sizes)
}

/// `most` of so many units, each set as likely (the first steps of a shuffle).
fn sample(units: usize, most: usize, draws: &mut Draws) -> Vec<usize> {
    let mut all: Vec<usize> = (0..units).collect();
    let most = most.min(units);
    for at in 0..most {
        let other = at + draws.below(units - at);
        all.swap(at, other);
    }
    all.truncate(most);
    all
}

/// Draws of their own for each purpose.
pub(super) fn draws(seed: &Digest, purpose: &[u8]) -> Draws {
    Draws::new(&Digest::of(&[seed.as_bytes().as_slice(), purpose].concat()))
}
