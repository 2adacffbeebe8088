//! The child that compiles one guest. It sees the component and no data.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    sluice_worker::child::compile::main()
}
