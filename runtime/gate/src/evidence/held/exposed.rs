//! Canaries of a held product: people who do not exist, drawn column by column from the
//! real values, one in a replay. Exposure (Carlini et al. 2019) ranks each among others
//! drawn alike, by the loss of the model that was made with it. A table has no loss, so it
//! has no canaries.

use sluice_domain::{Digest, evidence::EvidenceRules};

use super::{
    mean_loss,
    people::People,
    variation::{Drawn, draws},
};
use crate::{
    evidence::{Exposure, canaries},
    held::{Columns, Fitted},
};

/// Rows of one person that a rank is made of.
pub(super) const ROWS_MAX: usize = 64;

/// Ranks each of those planted by the loss of the model made with it, among others with as
/// many rows.
pub(super) fn expose<'a>(
    people: &People,
    columns: &Columns,
    planted: impl Iterator<Item = (&'a Drawn, Fitted)>,
    seed: &Digest,
    rules: &EvidenceRules,
) -> Exposure {
    let (among, mut draws) = (rules.canary_candidates.max(2), draws(seed, b"canaries"));
    let loss = |fitted: &Fitted, drawn: &Drawn| mean_loss(fitted, &people.drawn_examples(drawn, columns));
    let mut bits = Vec::new();
    for (drawn, fitted) in planted {
        let Some(own) = loss(&fitted, drawn) else { continue };
        let sizes = drawn.sizes(ROWS_MAX);
        let others = (1..among).filter_map(|_| loss(&fitted, &people.draw(&sizes, |n| draws.below(n))));
        let all: Vec<f64> = std::iter::once(own).chain(others).collect();
        bits.extend(canaries::exposure(&all));
    }
    Exposure { bits, among }
}
