//! Reads a guest before anything compiles it, and refuses one that could ask
//! for anything: a component that imports nothing and exports exactly the
//! interfaces of `sdk/wit/sluice-job.wit`, in names and types: the one that it is
//! wanted for, and perhaps the other, so that one file can serve both rooms.
//!
//! With no import at the top, nothing inside can reach a host function: the
//! validator has made sure that every import of a nested module or component is
//! met from within. What the guest computes is not looked at.

use std::fmt::Write as _;

use sluice_domain::{Digest, Refusal, text};
use wasmparser::{
    Instance, Parser, Payload, Validator, WasmFeatures,
    component_types::{
        ComponentDefinedType, ComponentEntityType, ComponentFuncTypeId, ComponentInstanceTypeId, ComponentValType,
    },
    types::Types,
};

/// The inner room's export, by its full name.
pub(crate) const INNER_ROOM: &str = "sluice:job/inner-room@0.1.0";
/// The outer room's.
pub(crate) const OUTER_ROOM: &str = "sluice:job/outer-room@0.1.0";

/// A batch, spelled out.
macro_rules! batch {
    () => {
        "record{rows: u32, columns: list<record{nulls: u32, validity: option<list<u8>>, offsets: option<list<u8>>, data: list<u8>}>}"
    };
}

/// The inner room's functions with their types spelled out.
pub const ABI: [(&str, &str); 3] = [
    ("start", "func(params: list<tuple<string, string>>, state: list<u8>) -> result<_, string>"),
    ("process", concat!("func(input: u32, rows: ", batch!(), ") -> result<_, string>")),
    ("finish", concat!("func() -> result<", batch!(), ", string>")),
];
/// What a guest is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interface {
    /// Sees rows.
    Inner,
    /// Sees cleared cells.
    Outer,
}

impl Interface {
    const ALL: [Self; 2] = [Self::Inner, Self::Outer];

    fn export(self) -> &'static str {
        match self {
            Self::Inner => INNER_ROOM,
            Self::Outer => OUTER_ROOM,
        }
    }

    /// The functions with their types spelled out.
    fn functions(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Inner => &ABI,
            Self::Outer => &[
                (
                    "update",
                    concat!("func(round: u32, state: list<u8>, cleared: ", batch!(), ") -> result<list<u8>, string>"),
                ),
                (
                    "compose",
                    concat!(
                        "func(state: list<u8>, tables: list<tuple<string, ",
                        batch!(),
                        ">>) -> result<list<tuple<string, list<u8>>>, string>"
                    ),
                ),
            ],
        }
    }
}

/// The interfaces' types.
const TYPES: [&str; 2] = ["column", "batch"];

/// Most core modules, core instances, memories and tables of a component: what
/// the engine's pool holds for one unit.
pub(crate) const CORE_ITEMS_MAX: u32 = 64;
/// How deep components and modules may lie in one another. The validator takes time with
/// the square of it, in the parent: 1 MB of headers, and it does not come back.
const DEPTH_MAX: u32 = 16;
/// Most linear memories of a component.
pub(crate) const MEMORIES_MAX: u32 = 4;
/// Most elements of one table: what the larger interpreters need.
pub(crate) const TABLE_ELEMENTS_MAX: u32 = 50_000;

/// What a guest may be like at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InspectLimits {
    /// Size of the component, bytes.
    pub bytes_max: u64,
    /// Linear memory per instance, bytes, all memories together.
    pub memory_bytes: u64,
}

/// A guest that passed, with its bytes: only [`inspect`] makes one, and only
/// this can be compiled.
pub struct Inspected {
    pub(crate) bytes: Box<[u8]>,
    digest: Digest,
    memories: Vec<u64>,
    interfaces: Vec<Interface>,
}

impl Inspected {
    /// SHA-256 of the component.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What each linear memory starts with, bytes.
    pub fn memories(&self) -> &[u64] {
        &self.memories
    }

    /// What it can serve.
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// Size of the component, bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Never: a component has a header.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl std::fmt::Debug for Inspected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Inspected({}, {} bytes)", self.digest, self.bytes.len())
    }
}

/// The proposals that a guest may use: WebAssembly 2.0 with SIMD, and the
/// component model. No threads, relaxed SIMD, 64-bit memories, GC, exceptions,
/// tail calls, asynchronous component functions.
pub(crate) fn features() -> WasmFeatures {
    WasmFeatures::WASM2.difference(WasmFeatures::GC_TYPES)
        | WasmFeatures::COMPONENT_MODEL
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::BULK_MEMORY_OPT
        | WasmFeatures::CALL_INDIRECT_OVERLONG
}

/// Reads the component `bytes`, wanted for the inner room.
///
/// # Errors
/// As [`inspect_for`].
pub fn inspect(bytes: &[u8], limits: InspectLimits) -> Result<Inspected, Refusal> {
    inspect_for(Interface::Inner, bytes, limits)
}

/// Reads the component `bytes`.
///
/// # Errors
/// `guest.too-large`, `guest.damaged`, `guest.import` (names the import),
/// `guest.abi` (names the export).
pub fn inspect_for(wanted: Interface, bytes: &[u8], limits: InspectLimits) -> Result<Inspected, Refusal> {
    if bytes.len() as u64 > limits.bytes_max {
        return Err(too_large("component", "组件", limits.bytes_max, bytes.len() as u64));
    }
    if Parser::is_core_wasm(bytes) {
        return Err(abi("a core module", "这是核心模块而非组件", "this is a core module, not a component"));
    }
    depth_of(bytes)?;
    let types = Validator::new_with_features(features()).validate_all(bytes).map_err(|e| damaged(e.offset()))?;
    let memories = walk(bytes, &types, limits)?;
    let interfaces = exports(wanted, bytes, &types)?;
    Ok(Inspected { bytes: bytes.into(), digest: Digest::of(bytes), memories, interfaces })
}

/// Nothing lies deeper than [`DEPTH_MAX`]: looked at before the validator is asked.
fn depth_of(bytes: &[u8]) -> Result<(), Refusal> {
    let mut depth = 0u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(|e| damaged(e.offset()))? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return Err(too_large("nesting", "嵌套层数", u64::from(DEPTH_MAX), u64::from(depth)));
        }
    }
    Ok(())
}

/// No import at the top; what lies within fits the pool. Answers with what each
/// memory starts with.
fn walk(bytes: &[u8], types: &Types, limits: InspectLimits) -> Result<Vec<u64>, Refusal> {
    let (mut depth, mut modules, mut instances, mut tables) = (0u32, 0u32, 0u32, 0u32);
    let mut memories = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(|e| damaged(e.offset()))? {
            Payload::ComponentImportSection(section) if depth == 0 => {
                if let Some(first) = section.into_iter().next() {
                    let name = first.map_err(|e| damaged(e.offset()))?.name.name;
                    return Err(import(&imported(name, types)));
                }
            }
            Payload::ModuleSection { .. } => {
                depth += 1;
                modules += 1;
            }
            Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::InstanceSection(section) => {
                for instance in section {
                    // Bundles of exports are only names: the pool holds instances of modules.
                    let instance = instance.map_err(|e| damaged(e.offset()))?;
                    instances += u32::from(matches!(instance, Instance::Instantiate { .. }));
                }
            }
            Payload::TableSection(section) => {
                tables = tables.saturating_add(section.count());
                for table in section {
                    let least = table.map_err(|e| damaged(e.offset()))?.ty.initial;
                    if least > u64::from(TABLE_ELEMENTS_MAX) {
                        return Err(too_large("table elements", "表元素数", u64::from(TABLE_ELEMENTS_MAX), least));
                    }
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    let memory = memory.map_err(|e| damaged(e.offset()))?;
                    let least = memory.initial.saturating_mul(64 << 10);
                    memories.push(least);
                    let all = memories.iter().sum();
                    if all > limits.memory_bytes {
                        return Err(too_large("memory", "内存", limits.memory_bytes, all).at("[limits] memory_mib"));
                    }
                }
            }
            _ => {}
        }
    }
    for (what, zh, count, max) in [
        ("modules", "模块数", modules, CORE_ITEMS_MAX),
        ("core instances", "核心实例数", instances, CORE_ITEMS_MAX),
        ("tables", "表数", tables, CORE_ITEMS_MAX),
        ("memories", "内存数", u32::try_from(memories.len()).unwrap_or(u32::MAX), MEMORIES_MAX),
    ] {
        if count > max {
            return Err(too_large(what, zh, u64::from(max), u64::from(count)));
        }
    }
    Ok(memories)
}

/// The wanted interface and nothing unknown, in names and types. Answers with those
/// that there are.
fn exports(wanted: Interface, bytes: &[u8], types: &Types) -> Result<Vec<Interface>, Refusal> {
    let mut depth = 0u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(|e| damaged(e.offset()))? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    let name = export.map_err(|e| damaged(e.offset()))?.name.name;
                    if Interface::ALL.iter().all(|i| name != i.export()) {
                        return Err(abi(
                            &shown(name),
                            "导出了接口以外的东西",
                            "it exports what the interface does not have",
                        ));
                    }
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    for interface in Interface::ALL {
        match types.as_ref().component_item_for_export(interface.export()).map(|item| item.ty) {
            Some(ComponentEntityType::Instance(id)) => {
                functions(interface, types, id)?;
                found.push(interface);
            }
            None if interface != wanted => {}
            _ => return Err(abi(interface.export(), "缺少该导出", "this export is missing")),
        }
    }
    Ok(found)
}

fn functions(interface: Interface, types: &Types, id: ComponentInstanceTypeId) -> Result<(), Refusal> {
    let Some(instance) = types.as_ref().get(id) else { return Err(damaged(0)) };
    let export = interface.export();
    for (name, wanted) in interface.functions() {
        let place = format!("{export}#{name}");
        match instance.exports.get(*name).map(|item| item.ty) {
            Some(ComponentEntityType::Func(id)) if spell_func(types, id) == *wanted => {}
            Some(_) => return Err(abi(&place, "类型不符", "its type is another one")),
            None => return Err(abi(&place, "缺少该导出", "this export is missing")),
        }
    }
    for (name, item) in &instance.exports {
        let known = interface.functions().iter().any(|(f, _)| f == name)
            || (TYPES.contains(&name.as_str()) && matches!(item.ty, ComponentEntityType::Type { .. }));
        if !known {
            let place = format!("{export}#{}", shown(name));
            return Err(abi(&place, "接口中没有它", "the interface does not have it"));
        }
    }
    Ok(())
}

/// A function's type in words. Longer than any of ours, it stops early.
fn spell_func(types: &Types, id: ComponentFuncTypeId) -> String {
    let mut out = String::from("func(");
    let Some(func) = types.as_ref().get(id) else { return out };
    if func.async_ {
        out.insert_str(0, "async ");
    }
    for (at, (name, ty)) in func.params.iter().enumerate() {
        let _ = write!(out, "{}{}: ", if at > 0 { ", " } else { "" }, shown(name.as_str()));
        spell(types, *ty, &mut out, 0);
    }
    out.push(')');
    if let Some(ty) = func.result {
        out.push_str(" -> ");
        spell(types, ty, &mut out, 0);
    }
    out
}

fn spell(types: &Types, ty: ComponentValType, out: &mut String, depth: u32) {
    // A hostile type may be a tree of any size.
    if depth > 12 || out.len() > 1024 {
        out.push('…');
        return;
    }
    let id = match ty {
        ComponentValType::Primitive(p) => {
            let _ = write!(out, "{p}");
            return;
        }
        ComponentValType::Type(id) => id,
    };
    let go = |out: &mut String, ty| spell(types, ty, out, depth + 1);
    match types.as_ref().get(id) {
        Some(ComponentDefinedType::Primitive(p)) => {
            let _ = write!(out, "{p}");
        }
        Some(ComponentDefinedType::List { element, .. }) => {
            out.push_str("list<");
            go(out, *element);
            out.push('>');
        }
        Some(ComponentDefinedType::Option { ty, .. }) => {
            out.push_str("option<");
            go(out, *ty);
            out.push('>');
        }
        Some(ComponentDefinedType::Result { ok, err, .. }) => {
            for (ty, before, after) in [(ok, "result<", ", "), (err, "", ">")] {
                out.push_str(before);
                match ty {
                    Some(ty) => go(out, *ty),
                    None => out.push('_'),
                }
                out.push_str(after);
            }
        }
        Some(ComponentDefinedType::Tuple(tuple)) => {
            for (at, ty) in tuple.types.iter().enumerate().take(64) {
                out.push_str(if at == 0 { "tuple<" } else { ", " });
                go(out, *ty);
            }
            out.push('>');
        }
        Some(ComponentDefinedType::Record(record)) => {
            for (at, (name, ty)) in record.fields.iter().enumerate().take(64) {
                let _ = write!(out, "{}{}: ", if at == 0 { "record{" } else { ", " }, shown(name.as_str()));
                go(out, *ty);
            }
            out.push('}');
        }
        _ => out.push('?'),
    }
}

/// An import by name, with the functions of an imported interface.
fn imported(name: &str, types: &Types) -> String {
    let mut out = shown(name);
    if let Some(ComponentEntityType::Instance(id)) = types.as_ref().component_item_for_import(name).map(|i| i.ty)
        && let Some(instance) = types.as_ref().get(id)
    {
        let functions = instance.exports.iter().filter(|(_, item)| matches!(item.ty, ComponentEntityType::Func(_)));
        for (at, (name, _)) in functions.take(8).enumerate() {
            let _ = write!(out, "{}{}", if at == 0 { "#" } else { ", " }, shown(name));
        }
    }
    out
}

/// A name out of the guest, safe for a terminal and a page.
fn shown(name: &str) -> String {
    name.chars().take(120).map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect()
}

fn import(name: &str) -> Refusal {
    Refusal::refused(
        "guest.import",
        text(
            format!("客件要求导入 `{name}`：内室中没有任何可导入之物"),
            format!("the guest imports `{name}`: in the inner room there is nothing to import"),
        ),
        text(
            "去掉该导入：需要的数据写在作业的 [inputs] 中，参数写在 [params] 中",
            "remove the import: data comes from the job's [inputs], settings from its [params]",
        ),
    )
    .at(name)
}

fn abi(place: &str, zh: &str, en: &str) -> Refusal {
    Refusal::refused(
        "guest.abi",
        text(format!("客件不符合约定的接口：{zh}"), format!("the guest does not fit its room's interface: {en}")),
        text(
            "用 sdk 中的世界 inner 或 outer 重新构建（scripts/guests 是样例）",
            "build it again for the world inner or outer of the sdk (scripts/guests is an example)",
        ),
    )
    .at(place)
}

fn damaged(offset: usize) -> Refusal {
    Refusal::refused(
        "guest.damaged",
        text(
            "客件不是有效的 WebAssembly 组件，或使用了不允许的特性",
            "the guest is not a valid WebAssembly component, or uses a feature that is not allowed",
        ),
        text(
            "重新构建：不用线程、宽松 SIMD、64 位内存、GC、异常与异步",
            "build it again, without threads, relaxed SIMD, 64-bit memories, GC, exceptions and async",
        ),
    )
    .at(format!("byte {offset}"))
}

fn too_large(what: &str, zh: &str, max: u64, is: u64) -> Refusal {
    Refusal::refused(
        "guest.too-large",
        text(
            format!("客件过大：{zh}为 {is}，上限 {max}"),
            format!("the guest is too large: {what} {is}, at most {max}"),
        ),
        text(
            "缩小客件，或请主管部门在规则包中提高上限",
            "make the guest smaller, or ask the bureau to raise the limit in the rule pack",
        ),
    )
}
