//! A guest that takes rows and forgets them, with the allocator of every Rust guest:
//! what handing in costs, and nothing else.
#![cfg_attr(not(target_arch = "wasm32"), forbid(unsafe_code))]

#[cfg(target_arch = "wasm32")]
mod guest {
    use sluice_guest::abi::{self, Batch, InnerRoom};

    struct Swallow;

    impl InnerRoom for Swallow {
        fn start(_: Vec<(String, String)>, _: Vec<u8>) -> Result<(), String> {
            Ok(())
        }

        fn process(_: u32, rows: Batch) -> Result<(), String> {
            drop(rows);
            Ok(())
        }

        fn finish() -> Result<Batch, String> {
            Ok(Batch { rows: 0, columns: Vec::new() })
        }
    }

    abi::bindings::export!(Swallow with_types_in abi::bindings);
}
