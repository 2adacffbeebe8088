//! Makes a component of the core module that a guest's compiler puts out.
//!
//! The module carries its world in a custom section (`wit-bindgen` puts it
//! there); `wit-component` does the rest. Nothing is trusted here and nothing is
//! checked for safety: the host inspects what comes out, wherever it was built.
#![forbid(unsafe_code)]

use wit_component::ComponentEncoder;

/// The module is not one that a guest's compiler puts out.
#[derive(Debug, thiserror::Error)]
#[error("this core module does not make a component: {0}")]
pub struct BuildError(String);

/// The component around core module `module`. The same bytes in give the same
/// bytes out.
///
/// # Errors
/// When the module does not parse, carries no world, or does not fit its world.
pub fn componentize(module: &[u8]) -> Result<Vec<u8>, BuildError> {
    let encoded = ComponentEncoder::default().module(module).and_then(|encoder| encoder.validate(true).encode());
    encoded.map_err(|e| BuildError(format!("{e:#}")))
}

#[cfg(test)]
mod tests {
    use super::componentize;

    #[test]
    fn what_is_no_module_is_refused() {
        assert!(componentize(b"\0asm").is_err());
        assert!(componentize(b"").is_err());
    }
}
