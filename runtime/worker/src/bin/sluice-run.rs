//! The child that runs one guest, one fresh instance per unit. It is told what to
//! run over its standard input and compiles nothing.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    sluice_worker::child::run::main()
}
