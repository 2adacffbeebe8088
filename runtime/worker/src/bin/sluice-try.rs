//! The child that shows an author what a guest does with synthetic rows. No run of a
//! job starts it, and it is not needed where jobs run.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    sluice_worker::child::explain::main()
}
