//! A hostile guest as it lies in `guests/`: its header, and the component it becomes.

use std::{collections::BTreeMap, fs, path::Path};

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const WIT: &str = include_str!("../../sdk/wit/sluice-job.wit");
const PRELUDE: &str = include_str!("prelude.wat");
const OUTER_PRELUDE: &str = include_str!("prelude_outer.wat");
/// A component that has both rooms, as one file may.
const BOTH: &str = "world both { export inner-room; export outer-room; }";
const NOT_STARTED: &str = "(func $started (param $state i32))";
const MEMORY: &str = r#"(memory (export "memory") 2)"#;
const FINISH: &str = r#"(export "sluice:job/inner-room@0.1.0#finish" (func $finish))"#;
const PLAIN_FINISH: &str = r#"(export "sluice:job/inner-room@0.1.0#finish" (func $table))"#;

/// What must become of a guest in the house as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Inspection refuses it with this code.
    Refused(String),
    /// The target's unit counts as if it had no rows; nobody else's changes.
    Default,
    /// Every unit does, whatever the secret.
    DefaultAlways,
    /// It answers, and the exact sums are the same for both secrets.
    Same,
    /// The exact sums differ, by no more than the sensitivity that the noise covers.
    Bounded,
    /// An outer guest's report or state is dropped for one of the worlds.
    Failed,
}

/// A guest and its header.
pub(crate) struct Guest {
    pub(crate) file: String,
    pub(crate) fields: BTreeMap<String, String>,
    source: String,
}

/// Every guest of the folder, by name.
pub(crate) fn guests() -> Vec<Guest> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("hostile/guests");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|path| Guest::read(path)).collect()
}

impl Guest {
    /// Reads the header: lines of `;; key: value` before anything else.
    fn read(path: &Path) -> Self {
        let source = fs::read_to_string(path).unwrap();
        let header = source.lines().map_while(|line| line.strip_prefix(";; "));
        let fields = header.filter_map(|line| line.split_once(": "));
        Self {
            file: path.file_name().unwrap().to_str().unwrap().to_owned(),
            fields: fields.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            source,
        }
    }

    /// A guest of a held product, which is run again: its tests are in `held.rs`.
    pub(crate) fn held(file: &str) -> Self {
        Self::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("hostile/held").join(file))
    }

    /// The same with other words at one place.
    pub(crate) fn with(&self, from: &str, to: &str) -> Self {
        assert_eq!(self.source.matches(from).count(), 1, "{}: {from}", self.file);
        Self { file: self.file.clone(), fields: self.fields.clone(), source: self.source.replace(from, to) }
    }

    /// A line of the header that every guest has.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.get(name).unwrap_or_else(|| panic!("{}: no `{name}` in its header", self.file))
    }

    /// Whether the header says so: `room: outer`, `route: B`.
    pub(crate) fn has(&self, field: &str, value: &str) -> bool {
        self.fields.get(field).is_some_and(|v| v == value)
    }

    /// Whether it has an outer room of its own.
    pub(crate) fn is_outer(&self) -> bool {
        self.fields.contains_key("room")
    }

    pub(crate) fn verdict(&self) -> Verdict {
        match self.field("verdict").split_once(' ').unwrap_or((self.field("verdict"), "")) {
            ("refused", code) => Verdict::Refused(code.to_owned()),
            ("default", "") => Verdict::Default,
            ("default", "always") => Verdict::DefaultAlways,
            ("same", "") => Verdict::Same,
            ("bounded", "") => Verdict::Bounded,
            ("failed", "") => Verdict::Failed,
            _ => panic!("{}: no such verdict", self.file),
        }
    }

    /// The guest's bytes: a component as it stands, or the module that its fields and
    /// the prelude make, as a component of world `inner`.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        if self.source.contains("\n(component") || self.source.contains("\n(module") {
            return wat::parse_str(&self.source).unwrap_or_else(|e| panic!("{}: {e}", self.file));
        }
        let memory = if self.source.contains("(memory (export") { "" } else { MEMORY };
        let finish = if self.source.contains("(func $finish") { FINISH } else { PLAIN_FINISH };
        let started = if self.source.contains("(func $started") { "" } else { NOT_STARTED };
        let outer = if self.is_outer() { OUTER_PRELUDE } else { "" };
        let module = format!("(module {}\n{memory}\n{started}\n{PRELUDE}\n{outer}\n{finish})", self.source);
        let mut module = wat::parse_str(&module).unwrap_or_else(|e| panic!("{}: {e}", self.file));

        let mut resolve = Resolve::default();
        let mut world = WIT.to_owned();
        if let Some(host) = self.fields.get("host") {
            // `package/interface@version function: type`
            let (path, function) = host.split_once(' ').unwrap();
            let (package, interface) = path.split_once('/').unwrap();
            let (interface, version) = interface.split_once('@').unwrap();
            let wit = format!("package {package}@{version};\ninterface {interface} {{ {function} }}");
            resolve.push_str("host.wit", &wit).unwrap();
            world = world.replace("world inner {", &format!("world inner {{ import {path};"));
        }
        let package = resolve.push_str("guest.wit", &format!("{world}\n{BOTH}")).unwrap();
        let world = if self.is_outer() { "both" } else { "inner" };
        let world = resolve.select_world(&[package], Some(world)).unwrap();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
        ComponentEncoder::default().module(&module).unwrap().encode().unwrap_or_else(|e| panic!("{}: {e:#}", self.file))
    }
}
