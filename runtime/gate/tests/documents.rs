//! What `docs/gate.md` says is a default is what the shipped rule pack says, and every
//! number of the sections it speaks of is there. It reads text, not meaning.
#![expect(clippy::unwrap_used, reason = "tests may fail loudly")]

use std::{collections::BTreeMap, path::Path};

const SECTIONS: &[&str] = &["disclosure", "refusals", "budget"];

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// `section.key` → the number as a float, of a flat TOML file.
fn of_pack(text: &str) -> BTreeMap<String, f64> {
    let (mut section, mut numbers) = (String::new(), BTreeMap::new());
    for line in text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else if let Some((key, value)) = line.split_once('=')
            && let Ok(number) = value.trim().replace('_', "").parse::<f64>()
        {
            numbers.insert(format!("{section}.{}", key.trim()), number);
        }
    }
    numbers
}

/// Rows of a table whose first column is `section.key` in backticks.
fn of_page(text: &str) -> BTreeMap<String, f64> {
    let row = |line: &str| -> Option<(String, f64)> {
        let mut columns = line.strip_prefix("| `")?.split('|').map(str::trim);
        let key = columns.next()?.strip_suffix('`')?.to_owned();
        let known = SECTIONS.iter().any(|section| key.starts_with(&format!("{section}.")));
        Some((key, columns.next()?.parse().ok()?)).filter(|_| known)
    };
    text.lines().filter_map(row).collect()
}

#[test]
fn every_default_of_the_page_is_the_rule_packs() {
    let mut pack = of_pack(&read("../domain/rulepacks/2026.2.toml"));
    pack.retain(|key, _| SECTIONS.iter().any(|section| key.starts_with(&format!("{section}."))));
    assert!(pack.len() >= 16, "{pack:?}");
    assert_eq!(of_page(&read("../../docs/gate.md")), pack);
}
