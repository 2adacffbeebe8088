//! Seeds for `tests/fuzz` that only a whole city can make. They are written again when
//! a format changes: `cargo test --workspace --test thread seeds -- --ignored`.

use std::{fs, path::Path};

use crate::town::{SPENDING_CHANGE, Town, VISITS_REPORT, guest};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes into the fuzzing corpus"]
async fn write_seeds() {
    let town = Town::start().await;
    let put = |target: &str, name: &str, bytes: &[u8]| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), bytes).unwrap();
    };
    let spending_change = guest("spending_change.wasm");
    for (name, job, guest) in
        [("route-a.json", SPENDING_CHANGE, Some(&spending_change[..])), ("route-c.json", VISITS_REPORT, None)]
    {
        let (job, run) = town.run_soon(job, guest).await;
        let bench = town.city.service.open_candidate(&town.city.reviewers[0], &run).await.unwrap();
        put("candidate", name, &bench.candidate.canonical_bytes());
        put("contract", name, &bench.contract.canonical_bytes());
        town.city.approve(&run).await.unwrap();
        let product = town.city.released(&job, &run).await.unwrap();
        put("receipt", name, &fs::read(town.city.home.product(&product).join("receipt.json")).unwrap());
    }
    let entries = crate::town::entries(&town).await;
    let lines: Vec<String> = entries.iter().map(|entry| serde_json::to_string(entry).unwrap()).collect();
    put("ledger-entry", "a-city", lines.join("\n").as_bytes());
}
