//! docs/red-team.md says of every attack where it is shown to be stopped. Here it is
//! held to what lies in the repository. It does not run what the table names.

use std::{collections::BTreeSet, fs, path::Path};

use crate::guest::{Guest, guests};

/// Attacks in the gate's specification; those found since follow it.
const ATTACKS: usize = 55;

/// Cells of the table under `heading`.
fn table(page: &str, heading: &str) -> Vec<Vec<String>> {
    let (_, after) = page.split_once(heading).unwrap();
    let lines = after.lines().skip_while(|l| !l.starts_with("|--")).skip(1).take_while(|l| l.starts_with('|'));
    lines.map(|l| l.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

fn page() -> String {
    fs::read_to_string(root().join("docs/red-team.md")).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn attacks(guest: &Guest) -> BTreeSet<String> {
    guest.field("attack").split(", ").map(str::to_owned).collect()
}

#[test]
fn every_attack_has_a_test_or_says_that_it_has_none() {
    let (page, guests) = (page(), guests());
    let (specified, found) = (table(&page, "## The attacks"), table(&page, "## New attacks"));
    assert_eq!(specified.len(), ATTACKS);
    for (number, row) in (1..).zip(specified.into_iter().chain(found)) {
        assert_eq!(row[0], number.to_string());
        let (number, shown) = (&row[0], &row[3]);
        let named: Vec<&str> = shown.split('`').skip(1).step_by(2).collect();
        let missing = guests.iter().filter(|g| attacks(g).contains(number) && !named.contains(&g.file.as_str()));
        assert!(missing.map(|g| &g.file).next().is_none(), "attack {number} does not name all its guests");
        let mut tests = 0;
        for name in named {
            if name.ends_with(".wat") {
                let guest = guests.iter().find(|g| g.file == name);
                assert!(guest.is_some_and(|g| attacks(g).contains(number)), "attack {number} names `{name}`");
                tests += 1;
            } else {
                let (file, function) = name.split_once("::").unwrap_or((name, ""));
                let code = fs::read_to_string(root().join(file)).unwrap_or_else(|_| panic!("no file `{file}`"));
                assert!(code.contains(&format!("fn {function}")), "attack {number}: no `{name}`");
                tests += usize::from(code.contains("#[test]") || code.contains("::test"));
            }
        }
        assert!(tests > 0 || shown.contains("not covered yet: "), "attack {number} has neither a test nor an excuse");
    }
}

#[test]
fn the_guests_headers_and_the_page_agree() {
    let written: BTreeSet<_> = table(&page(), "## The guests").into_iter().collect();
    let fields = ["attack", "tries", "layer", "without", "verdict"];
    for guest in guests() {
        let cells = [format!("`{}`", guest.file)].into_iter().chain(fields.map(|f| guest.field(f).to_owned()));
        let row: Vec<String> = cells.collect();
        assert!(written.contains(&row), "docs/red-team.md lacks\n| {} |", row.join(" | "));
    }
    assert_eq!(written.len(), guests().len(), "docs/red-team.md names a guest that is not there");
}
