//! From an offset in a guest's code to a line of its source, by the debug
//! information that the guest brings (DWARF in custom sections). Only of use to an
//! author; what it says is the guest's own claim.

use std::ops::Range;

use addr2line::{
    Context,
    gimli::{Dwarf, EndianSlice, LittleEndian, SectionId},
};
use wasmparser::{Parser, Payload};

type Source<'a> = EndianSlice<'a, LittleEndian>;

/// The places of one guest: one entry per module that has debug information.
pub struct Places<'a>(Vec<(Range<usize>, Context<Source<'a>>)>);

impl<'a> Places<'a> {
    /// Reads the component's modules, those of components inside it too.
    pub fn of(component: &'a [u8]) -> Self {
        let mut found: Vec<Module<'a>> = Vec::new();
        for payload in Parser::new(0).parse_all(component) {
            match payload {
                Ok(Payload::ModuleSection { .. }) => found.push(Module::default()),
                Ok(Payload::CodeSectionStart { range, .. }) => {
                    if let Some(module) = found.last_mut() {
                        module.code = range;
                    }
                }
                Ok(Payload::CustomSection(section)) if section.name().starts_with(".debug_") => {
                    if let Some(module) = found.last_mut() {
                        module.sections.push((section.name(), section.data()));
                    }
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
        found.retain(|module| !module.sections.is_empty());
        Self(found.iter().filter_map(|module| Some((module.code.clone(), module.context()?))).collect())
    }

    /// `file:line` of byte `offset` of the component, which is what the engine counts
    /// from; where functions were inlined there, each of theirs, innermost first.
    pub fn find(&self, offset: u64) -> Option<String> {
        let at = usize::try_from(offset).ok()?;
        let (code, context) = self.0.iter().find(|(code, _)| code.contains(&at))?;
        // DWARF counts from the start of its own module's code section, after the header.
        let frames = context.find_frames(at.checked_sub(code.start)? as u64).skip_all_loads();
        let (mut frames, mut places) = (frames.ok()?, Vec::new());
        while let Ok(Some(frame)) = frames.next() {
            places.extend(frame.location.and_then(|l| Some(format!("{}:{}", l.file?, l.line?))));
        }
        // The standard library's own lines are nobody's mistake here.
        let own: Vec<_> = places.iter().filter(|place| !place.starts_with("/rustc/")).cloned().collect();
        let shown = if own.is_empty() { places } else { own };
        (!shown.is_empty()).then(|| shown.join(" < "))
    }
}

#[derive(Default)]
struct Module<'a> {
    code: Range<usize>,
    sections: Vec<(&'a str, &'a [u8])>,
}

impl<'a> Module<'a> {
    fn context(&self) -> Option<Context<Source<'a>>> {
        let section = |id: SectionId| {
            let found = self.sections.iter().find(|(name, _)| *name == id.name());
            Ok::<_, addr2line::gimli::Error>(EndianSlice::new(found.map_or(&[], |(_, data)| *data), LittleEndian))
        };
        Context::from_dwarf(Dwarf::load(section).ok()?).ok()
    }
}
