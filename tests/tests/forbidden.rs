//! What the types for operators cannot be made to carry. Every file in `forbidden`
//! names the one error that the compiler must give; `control_compiles` names every field
//! that an operator's job has, so that a new one has to be thought about there.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests may fail loudly")]

#[path = "../../runtime/gate/tests/compiler/mod.rs"]
mod compiler;

use std::path::Path;

#[test]
fn nothing_of_a_run_fits_into_what_an_operator_sees() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/forbidden");
    let checked = compiler::check(&folder, &["sluice_service", "sluice_gate", "sluice_rows", "sluice_domain"]);
    assert_eq!(checked, 7, "a file lost its first line");
}
