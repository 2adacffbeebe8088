//! What is different since the last job of the same name that reviewers approved: the
//! two contracts, field by field. Contracts are public to their parties; nothing of a
//! run or of data is compared here.

use std::collections::BTreeMap;

use serde_json::Value;
use similar::{ChangeTag, TextDiff};
use sluice_domain::{
    contract::Contract,
    state::{JobState, RunState, Stage, State},
};

use crate::pages::{Change, Changes, Word};

/// The changes of `job`'s contract since the newest approved run, older than `run`, of a
/// job of this name and operator.
pub(crate) fn since_approved(state: &State, job: &JobState, run: &RunState) -> Option<Changes> {
    let approved = |r: &&RunState| matches!(r.stage, Stage::Approved | Stage::Released) && r.at < run.at;
    let same = |r: &&RunState| {
        let of = state.job(&r.job);
        of.is_some_and(|j| j.id != job.id && j.operator == job.operator && j.contract.name == job.contract.name)
    };
    let last = state.runs().filter(approved).filter(same).max_by_key(|r| r.at)?;
    let fields = between(&state.job(&last.job)?.contract, &job.contract);
    Some(Changes { since: last.job.clone(), at: last.at, fields })
}

/// The fields in which two contracts differ, by their paths.
fn between(before: &Contract, after: &Contract) -> Vec<Change> {
    let leaves = |contract: &Contract| {
        let mut leaves = BTreeMap::new();
        collect(&serde_json::to_value(contract).unwrap_or_default(), String::new(), &mut leaves);
        leaves
    };
    let (before, after) = (leaves(before), leaves(after));
    let fields: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let differs = fields.into_iter().filter(|field| before.get(*field) != after.get(*field));
    differs
        .map(|field| {
            let (before, after) = (before.get(field).cloned(), after.get(field).cloned());
            let words = before.as_deref().zip(after.as_deref()).map(|(b, a)| words(b, a)).unwrap_or_default();
            Change { field: field.clone(), before, after, words }
        })
        .collect()
}

/// Every leaf of a document by its path. Members of a list go by their names where they
/// have one, so that a table put in between changes nothing else; a list without names
/// is one leaf.
fn collect(value: &Value, path: String, leaves: &mut BTreeMap<String, String>) {
    let join = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let name = |member: &Value| member.get("name").and_then(Value::as_str).map(str::to_owned);
    match value {
        Value::Null => {}
        Value::Object(fields) => fields.iter().for_each(|(field, value)| collect(value, join(field), leaves)),
        Value::Array(members) if !members.is_empty() && members.iter().all(|m| name(m).is_some()) => {
            members.iter().for_each(|member| collect(member, join(&name(member).unwrap_or_default()), leaves));
        }
        Value::String(text) => drop(leaves.insert(path, text.clone())),
        other => drop(leaves.insert(path, other.to_string())),
    }
}

/// Both texts in one, word by word; equal neighbours run together.
fn words(before: &str, after: &str) -> Vec<(Word, String)> {
    let mut words: Vec<(Word, String)> = Vec::new();
    for change in TextDiff::from_words(before, after).iter_all_changes() {
        let word = match change.tag() {
            ChangeTag::Equal => Word::Kept,
            ChangeTag::Delete => Word::Gone,
            ChangeTag::Insert => Word::New,
        };
        match words.last_mut() {
            Some((last, text)) if *last == word => text.push_str(change.value()),
            _ => words.push((word, change.value().to_owned())),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Word, collect, words};

    #[test]
    fn members_with_names_are_compared_by_name_and_others_as_a_whole() {
        let leaves = |value| {
            let mut leaves = std::collections::BTreeMap::new();
            collect(&value, String::new(), &mut leaves);
            leaves.into_iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>()
        };
        let value =
            json!({ "rho": 0.02, "guest": null, "tables": [{ "name": "b", "cells": [1, 2] }, { "name": "a" }] });
        assert_eq!(leaves(value), ["rho=0.02", "tables.a.name=a", "tables.b.cells=[1,2]", "tables.b.name=b"]);
    }

    #[test]
    fn sql_is_compared_word_by_word() {
        let told = words("SELECT plan, sum(x) FROM claims", "SELECT site, sum(x) FROM claims");
        let of = |word| told.iter().filter(|(w, _)| *w == word).map(|(_, t)| t.trim()).collect::<Vec<_>>();
        assert_eq!((of(Word::Gone), of(Word::New)), (vec!["plan,"], vec!["site,"]));
    }
}
