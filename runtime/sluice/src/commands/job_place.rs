//! Where in a job file a refusal points: `table.rose.rho` becomes `job.toml:12`.
//!
//! Works on lines, so that it also serves a file whose content was refused; a value
//! over several lines is found by its first.

use std::path::Path;

use sluice_domain::Refusal;

/// The same refusal, at its line of `file`, if its place is in there.
pub(super) fn located(refusal: Refusal, file: &Path, toml: &str) -> Refusal {
    let shown = file.display();
    let place = refusal.place.clone().unwrap_or_default();
    match (place.strip_prefix("line "), line(toml, &place)) {
        (Some(rest), _) => refusal.at(format!("{shown}:{rest}")),
        (None, Some(line)) => refusal.at(format!("{shown}:{line} {place}")),
        (None, None) => refusal,
    }
}

/// The line, from 1, of the longest part of `place` that the file has.
fn line(toml: &str, place: &str) -> Option<usize> {
    // `[limits] memory_mib` says the same as `limits.memory_mib`.
    let place = place.replace(['[', ']'], "").replace(' ', ".");
    let wanted: Vec<&str> = place.split(':').next()?.split('.').collect();
    let found = paths(toml).into_iter().filter(|(path, _)| wanted.starts_with(&path.split('.').collect::<Vec<_>>()));
    // The first of the longest.
    found.reduce(|best, other| if other.0.len() > best.0.len() { other } else { best }).map(|(_, line)| line)
}

/// Every header and key of the file by its dotted path, with its line.
fn paths(toml: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = toml.lines().map(str::trim).collect();
    let (mut found, mut under) = (Vec::new(), String::new());
    for (at, text) in lines.iter().enumerate() {
        let key = text.split('=').next().unwrap_or_default().trim();
        if let Some(header) = text.strip_prefix('[') {
            under = header.split(']').next().unwrap_or_default().trim_start_matches('[').trim().to_owned();
            found.push((under.clone(), at + 1));
            if header.starts_with('[') {
                // A table of a list goes by its name.
                let block = lines.iter().skip(at + 1).take_while(|l| !l.starts_with('['));
                let name = block.filter_map(|l| l.strip_prefix("name")?.trim().strip_prefix('=')).next();
                if let Some(name) = name.and_then(|n| n.split('"').nth(1)) {
                    under = format!("{under}.{name}");
                    found.push((under.clone(), at + 1));
                }
            }
        } else if !key.is_empty() && key.len() < text.len() && !key.starts_with('#') {
            found.push((format!("{under}.{key}"), at + 1));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn a_place_is_found_on_its_line() {
        let job = "[job]\nname = \"a\"\n\n[inputs.claims]\nsql = \"SELECT\"\n\n[[table]]\nname = \"rose\"\nrho = 0.2\n[[table]]\nname = \"b\"\nrho = 1\n[limits]\nfuel = 0\n";
        for (place, at) in [
            ("limits.fuel", 14),
            ("[limits] memory_mib", 13),
            ("table.rose.rho", 9),
            ("table.b.rho", 12),
            ("table.b.measures.x", 10),
            ("inputs.claims.sql: WHERE", 5),
            ("job.scenario", 1),
        ] {
            assert_eq!(line(job, place), Some(at), "{place}");
        }
        assert_eq!(line(job, "sluice:job/inner-room"), None);
    }
}
