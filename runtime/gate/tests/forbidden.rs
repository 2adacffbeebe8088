//! What must not compile: every file in `tests/forbidden` names the one error code
//! that the compiler must give for it, and `control_compiles` does the same things
//! right.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests may fail loudly")]

mod compiler;

use std::path::Path;

#[test]
fn nothing_forbidden_compiles() {
    let crates = ["sluice_gate", "sluice_domain", "sluice_ledger", "sluice_rows", "serde"];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/forbidden");
    assert_eq!(compiler::check(&folder, &crates), 14, "a file lost its first line");
}
