//! From what a compiler puts out to a component of exactly the world `inner`.

use wasm_encoder::{
    Alias, Component, ComponentAliasSection, ComponentExportKind, ComponentExportSection, ComponentInstanceSection,
    ComponentSectionId, RawSection,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::{BuildError, files::WIT};

/// The one export of a guest.
const INNER_ROOM: &str = "sluice:job/inner-room@0.1.0";

/// The component around a core module that carries its world, as `wit-bindgen`'s
/// do. The same bytes in give the same bytes out.
///
/// # Errors
/// [`BuildError::Module`] when the module does not parse, carries no world, or does
/// not fit its world.
pub fn componentize(module: &[u8]) -> Result<Vec<u8>, BuildError> {
    let encoded = ComponentEncoder::default().module(module).and_then(|encoder| encoder.validate(true).encode());
    encoded.map_err(|e| BuildError::Module(format!("{e:#}")))
}

/// Gives a core module of the ABI's exports its world, for compilers that know none.
pub(crate) fn with_world(mut module: Vec<u8>) -> Result<Vec<u8>, BuildError> {
    let mut resolve = Resolve::default();
    resolve
        .push_str("sluice-job.wit", WIT)
        .and_then(|package| resolve.select_world(&[package], Some("inner")))
        .and_then(|world| embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8))
        .map_err(|e| BuildError::Module(format!("{e:#}")))?;
    Ok(module)
}

/// A component around `inside` that exports the inner room alone: interpreters also
/// export what their own build needed, and the host takes nothing but the interface.
pub(crate) fn narrow(inside: &[u8]) -> Vec<u8> {
    let mut outside = Component::new();
    outside.section(&RawSection { id: ComponentSectionId::Component.into(), data: inside });
    let mut instances = ComponentInstanceSection::new();
    instances.instantiate(0, Vec::<(&str, ComponentExportKind, u32)>::new());
    outside.section(&instances);
    let mut aliases = ComponentAliasSection::new();
    aliases.alias(Alias::InstanceExport { instance: 0, kind: ComponentExportKind::Instance, name: INNER_ROOM });
    outside.section(&aliases);
    let mut exports = ComponentExportSection::new();
    exports.export(INNER_ROOM, ComponentExportKind::Instance, 1, None);
    outside.section(&exports);
    outside.finish()
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
