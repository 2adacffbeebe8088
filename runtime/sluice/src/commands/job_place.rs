//! Where in a job file a refusal points: `table.rose.rho` becomes `job.toml:12:1`.

use std::path::Path;

use sluice_domain::{Refusal, contract::JobFile};

/// The same refusal, at its line and column of `file`, if its place is in there.
pub(super) fn located(refusal: Refusal, file: &Path, toml: &str) -> Refusal {
    let place = refusal.place.clone().unwrap_or_default();
    // Some refusals know their line; a place with its section in brackets says the same.
    let field = place.replace(['[', ']'], "").replace(' ', ".");
    let found = if place.starts_with("line ") { Some(String::new()) } else { JobFile::line(toml, &field) };
    let Some(line) = found else { return refusal };
    let (line, field) =
        if line.is_empty() { place.split_once(": ").unwrap_or((&place, "")) } else { (&*line, &*place) };
    let at = line.replace("line ", "").replace(", column ", ":");
    refusal.at(format!("{}:{at} {field}", file.display()).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sluice_domain::{Refusal, text};

    use super::located;

    #[test]
    fn a_place_is_found_on_its_line_and_another_stays() {
        let job = "[job]\nname = \"a\"\n\n[inputs.claims]\nsql = \"SELECT\"\n\n[[table]]\nname = \"rose\"\nrho = 0.2\n[limits]\nfuel = 0\n";
        for (place, shown) in [
            ("limits.fuel", "job.toml:11:1 limits.fuel"),
            ("[limits] memory_mib", "job.toml:10:2 [limits] memory_mib"),
            ("table.rose.rho", "job.toml:9:1 table.rose.rho"),
            ("inputs.claims.sql: WHERE", "job.toml:5:1 inputs.claims.sql: WHERE"),
            ("line 9, column 1: table.rose.rho", "job.toml:9:1 table.rose.rho"),
            ("line 3, column 7", "job.toml:3:7"),
            ("sluice:job/inner-room", "sluice:job/inner-room"),
        ] {
            let refusal = Refusal::refused("x", text("", ""), text("", "")).at(place);
            assert_eq!(located(refusal, Path::new("job.toml"), job).place.as_deref(), Some(shown));
        }
    }
}
